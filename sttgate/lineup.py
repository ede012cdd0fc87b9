"""Which providers there are: built from a configuration, anew where it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sttgate.config import Config
from sttgate.config.model import ProviderConfig
from sttgate.errors import NotConfigured, SttgateError
from sttgate.session.chain import Chain, ConfiguredProvider


class StartupError(SttgateError):
    """The gateway cannot start; the sentence says why and what to do."""


class NoProvider(StartupError, NotConfigured):
    """The gateway cannot start because no provider of the chain has what it needs."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A provider of the chain that has nothing to work with, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineup:
    """The providers by name, and those that are asked for in turn."""

    providers: Mapping[str, ConfiguredProvider]
    chain: Chain
    skipped: tuple[Skipped, ...] = ()
    blocks: Mapping[str, ProviderConfig] = field(default_factory=dict, repr=False)
    """What each provider was made of."""

    @classmethod
    def from_config(cls, config: Config, before: Lineup | None = None) -> Lineup:
        """Make every provider, but keep those of ``before`` whose block has not changed.

        Raises NoProvider when none of the chain is usable.
        """
        providers: dict[str, ConfiguredProvider] = {}
        skipped = []
        for name, block in config.providers.items():
            if before and name in before.providers and before.blocks.get(name) == block:
                providers[name] = before.providers[name]
                continue
            try:
                providers[name] = ConfiguredProvider(name, block.spec.factory(block.options))
            except NotConfigured as error:
                skipped.append(Skipped(name, str(error)))
        usable = [name for name in config.chain if name in providers]
        if not usable:
            reasons = "; ".join(f"{skip.name}: {skip.reason}" for skip in skipped)
            raise NoProvider(
                f"no provider of the chain can be used ({reasons}); "
                "give one what it needs, or put another first in 'chain' of the configuration"
            )
        return cls(
            providers=providers,
            chain=tuple(providers[name] for name in usable),
            skipped=tuple(skip for skip in skipped if skip.name in config.chain),
            blocks=config.providers,
        )
