"""The configured providers over HTTP: what a client can choose from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Literal

from aiohttp import web

from sttgate.api.models import AnswerModel
from sttgate.api.routing import Answer, Operation
from sttgate.gateway import Gateway
from sttgate.session.chain import ConfiguredProvider

State = Literal["idle", "opening", "ready", "open_failed", "skipped"]


class CapabilitiesAnswer(AnswerModel):
    """What a provider can do."""

    sample_rates: list[int] | None
    """In Hz; null for any. The gateway converts what comes in another one."""
    languages: list[str] | None
    """BCP-47 tags; null if the provider does not tell."""
    interim_results: bool
    word_times: Literal["exact", "estimated", "none"]
    word_confidence: bool
    speech_started: bool
    diarize: bool
    keyterms: bool
    punctuate: bool
    profanity_filter: bool
    endpointing: bool
    utterance_end: bool
    models: bool
    """Whether a session may ask for a model."""
    max_replay_speed: float | None
    """How many times faster than real time it hears; null for as fast as it can."""
    max_streams: int | None
    """How many at a time; null for no limit of its own."""


class ProviderAnswer(AnswerModel):
    """A configured provider."""

    name: str
    """The one in the configuration, to ask for it."""
    plugin: str | None
    state: State
    """`idle` until the first session asks for it; `skipped` has not what it needs, such as a key."""
    in_chain: bool
    """Whether a session that asks for no provider may get it."""
    models: list[str]
    """The models to choose from; empty if it does not tell, and so far none tells."""
    languages: list[str] | None
    capabilities: CapabilitiesAnswer | None
    """Null if it is skipped."""


class ProviderList(AnswerModel):
    """The configured providers."""

    providers: list[ProviderAnswer]
    chain: list[str]
    """Those of a session that asks for none, in the order they are tried."""


class ProvidersApi:
    """The operation that lists the providers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def operations(self) -> Iterable[Operation]:
        """Return the operation."""
        return [
            Operation(
                name="listProviders",
                method="GET",
                path="/providers",
                handler=self.list_providers,
                scope="read",
                summary="List the providers",
                answers=(Answer(text="The providers.", model=ProviderList),),
            )
        ]

    async def list_providers(self, request: web.Request) -> ProviderList:
        """Return the providers, those of the chain that were skipped last."""
        gateway = self._gateway
        chain = [provider.name for provider in gateway.chain]
        usable = [_described(each, each.name in chain) for each in gateway.providers.values()]
        skipped = [
            ProviderAnswer(
                name=skip.name,
                plugin=None,
                state="skipped",
                in_chain=False,
                models=[],
                languages=None,
                capabilities=None,
            )
            for skip in gateway.skipped
        ]
        return ProviderList(providers=[*usable, *skipped], chain=chain)


def _described(configured: ConfiguredProvider, in_chain: bool) -> ProviderAnswer:
    capabilities = configured.provider.capabilities
    languages = capabilities.languages
    return ProviderAnswer(
        name=configured.name,
        plugin=configured.plugin,
        state=configured.state,
        in_chain=in_chain,
        models=[],
        languages=None if languages is None else list(languages),
        capabilities=CapabilitiesAnswer.model_validate(asdict(capabilities)),
    )
