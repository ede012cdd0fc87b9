"""What a provider plugin implements: one async generator from audio to events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Self, final

from pydantic import BaseModel, ConfigDict

from sttgate.events import ProviderEvent


class Control(Enum):
    """Signals that travel in line with the audio."""

    FINALIZE = "finalize"
    """Settle everything heard so far; more audio may follow."""


class AudioInput(ABC):
    """The audio of one stream: iterate it for PCM chunks and controls; it ends when the caller is done.

    Chunks are little-endian signed 16-bit mono PCM at ``StreamParams.sample_rate``, whole samples,
    never empty, at most 0.3 s each. Waiting for the next item may be cancelled (``asyncio.timeout``,
    ``asyncio.wait_for``) without losing any audio.
    """

    @abstractmethod
    async def receive(self) -> bytes | Control | None:
        """Return the next chunk or control, or None once the audio has ended."""

    @final
    def __aiter__(self) -> Self:
        return self

    @final
    async def __anext__(self) -> bytes | Control:
        item = await self.receive()
        if item is None:
            raise StopAsyncIteration
        return item


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a configured provider can do; the host, its tests and ``sttgate plugins show`` read it.

    ``sample_rates``: rates in Hz it takes, None for any from 8000 to 48000; the host resamples.
    ``languages``: BCP-47 tags it takes, None when it is for the provider to decide; a request for
    ``en`` matches ``en-GB`` and the other way round.
    ``word_times``: ``"exact"`` from the engine, ``"estimated"`` when interpolated, or ``"none"``.
    ``max_replay_speed``: how many times real time it accepts audio, None for as fast as it reads.
    ``max_streams``: how many streams at once, None for no limit of its own. The host gives more to the
    next provider of the chain, and refuses a session for which none has room.
    """

    sample_rates: tuple[int, ...] | None = (16_000,)
    languages: tuple[str, ...] | None = None
    interim_results: bool = True
    word_times: Literal["exact", "estimated", "none"] = "none"
    word_confidence: bool = False
    speech_started: bool = False
    diarize: bool = False
    keyterms: bool = False
    punctuate: bool = False
    profanity_filter: bool = False
    endpointing: bool = False
    utterance_end: bool = False
    models: bool = False
    max_replay_speed: float | None = None
    max_streams: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamParams:
    """What one stream asks for. ``None`` means: as configured for the provider.

    ``endpointing_ms`` and ``utterance_end_ms`` are pauses in milliseconds, ``False`` switches the
    feature off. ``provider_options`` are passed through from the client where the operator allows it.
    """

    sample_rate: int = 16_000
    language: str | None = None
    model: str | None = None
    interim_results: bool = True
    endpointing_ms: int | Literal[False] | None = None
    utterance_end_ms: int | Literal[False] | None = None
    keyterms: tuple[str, ...] = ()
    punctuate: bool | None = None
    profanity_filter: bool | None = None
    diarize: bool | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict)


class Provider(ABC):
    """A configured engine, shared by all sessions of the process.

    The constructor must be cheap: no I/O, no heavy imports. Raise ``NotConfigured`` from it when
    there is nothing to work with, such as no key or a package that is not installed.
    """

    capabilities: Capabilities = Capabilities()

    async def open(self) -> None:
        """Get ready before the first stream: heavy imports, models, clients.

        Called again after it has failed, and after ``close``.
        """

    async def close(self) -> None:
        """Let go of everything ``open`` took, after the last stream.

        May come twice, and after an ``open`` that failed.
        """

    async def check(self) -> None:
        """Return when the engine is reachable and the credentials are good, else raise ProviderError."""

    @property
    def busy(self) -> bool:
        """Whether new streams had better go elsewhere for now, as with ``max_streams``: an engine knows."""
        return False

    @abstractmethod
    def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield events for ``audio`` until it has ended and its last words are out as finals.

        1. After the audio ends the generator ends soon, and the last words come as finals.
        2. Finals are immutable, in order, do not overlap, and carry seconds of this stream's audio.
        3. An interim replaces the interim before it.
        4. After ``Control.FINALIZE`` finals cover all audio so far, then ``Finalized`` follows.
        5. Only ``ProviderError`` subclasses come out; errors of an SDK are wrapped with ``from``.
        6. Cancelling the task that iterates frees every task, thread and socket within a second.
        7. Two streams share no state. 8. Thirty seconds without audio are survived.
        9. A slow consumer slows the provider: nothing is buffered without bound.
        10. A stream that reads audio yields an event at least every ten seconds of it, in silence an
        empty final, or the host may take it for stalled and open another one.

        Never ``yield`` inside ``asyncio.TaskGroup`` or ``asyncio.timeout``: that would cancel the
        host (PEP 789).
        """


class Options(BaseModel):
    """Base of a plugin's options: unknown keys are errors, and values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class FromEnv:
    """Marks an option that falls back to an environment variable when the configuration leaves it out.

    ``api_key: Annotated[SecretStr, FromEnv("ACME_API_KEY")] = SecretStr("")``
    """

    variable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """How a plugin offers a provider.

    ``options`` is the pydantic model of its options, the only place where they are spelled:
    ``config.yaml`` is validated against it, the docs and the JSON Schema are printed from it.
    ``factory`` takes a validated instance of it and returns the provider.
    """

    name: str
    factory: Callable[[Any], Provider]
    options: type[BaseModel] = Options
    summary: str = ""
