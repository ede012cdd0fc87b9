"""An engine that says what none should, once; the words after it are those of an honest one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

from sttgate import (
    AudioInput,
    Capabilities,
    Options,
    Provider,
    ProviderAuth,
    ProviderEvent,
    ProviderQuota,
    ProviderSpec,
    SpeechStarted,
    StreamParams,
    Transcript,
    UtteranceEnd,
    Word,
    hookimpl,
)

SECRET = "zanzibar"
"""What it says of what it heard where it should not."""

FINAL = Transcript(text="hello", start=0.0, end=0.5, is_final=True)
WORD = Word(text="hello", start=0.0, end=0.5)


def said(**changes: Any) -> Callable[[], object]:
    """Return what makes a final with something wrong."""
    return lambda: replace(FINAL, **changes)


def worded(**changes: Any) -> Callable[[], object]:
    """Return what makes a final one word of which is wrong."""
    return lambda: replace(FINAL, words=(replace(WORD, **changes),))


def raises(error: BaseException) -> Callable[[], object]:
    """Return what fails."""

    def fail() -> object:
        raise error

    return fail


ODD: dict[str, Callable[[], object]] = {
    "markup": said(text="<img src=x onerror=alert(1)>"),
    "escapes": said(text="\x1b[2J\x1b]0;owned\x07\r\n\x00\x7f\x9b31m"),
    "both directions": said(text="\u202egnp.exe\u202c\u2066"),
    "half a character": said(text="a\ud800b", speaker="\udfff", language="\ud800"),
    "long text": said(text="x" * 500_000),
    "many words": said(words=(WORD,) * 5_000),
    "words of elsewhere": worded(start=-5.0, end=1e8),
    "end before the beginning": said(start=0.4, end=-0.4),
    "far ahead": said(start=1e6, end=1e7),
    "certainty beyond all": said(confidence=1e8),
    "speech long ago": lambda: SpeechStarted(at=-1e6),
    "late end": lambda: UtteranceEnd(at=-1e6),
}
"""What is odd, but a transcript."""

WRONG: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "a number": lambda: 7,
    "a dict": lambda: {"type": "Results", "text": SECRET},
    "the class": lambda: Transcript,
    "text of bytes": said(text=b"zanzibar"),
    "no text": said(text=None),
    "text of 2 MiB": said(text="x" * (2 << 20)),
    "interim of 17 MiB": said(text="x" * (17 << 20), is_final=False),
    "times of text": said(start=SECRET, end="1"),
    "no times": said(start=None),
    "times that are none": said(end=float("nan")),
    "a time without end": said(end=float("inf")),
    "a huge time": said(end=10**400),
    "a time that is true": said(end=True),
    "final or not": said(is_final="yes"),
    "a pause or not": said(endpoint=None),
    "confidence of text": said(confidence=SECRET),
    "confidence without end": said(confidence=float("inf")),
    "a speaker that is a dict": said(speaker={"name": SECRET}),
    "a language without end": said(language="e" * 10_000_000),
    "a word": said(words="hello"),
    "words that are none": said(words=({"text": SECRET},)),
    "words without end": said(words=(WORD,) * 200_000),
    "a word of bytes": worded(text=b"zanzibar"),
    "a word without a time": worded(end=float("nan")),
    "a speaker of a word": worded(speaker=7),
    "speech at no time": lambda: SpeechStarted(at=float("nan")),
    "speech at a text": lambda: SpeechStarted(at=SECRET),  # type: ignore[arg-type]
    "an end at no time": lambda: UtteranceEnd(at=float("-inf")),
    "an error that quotes": raises(ValueError(f"could not parse {SECRET!r}")),
    "a recursion": raises(RecursionError(SECRET)),
    "a memory error": raises(MemoryError(SECRET)),
}
"""What is no event at all, or fails."""

REFUSALS: dict[str, Callable[[], object]] = {
    "an error with escapes": raises(ProviderAuth("\x1b[2J\r\nINFO forged=line")),
    "a pause that is no time": raises(ProviderQuota("later", retry_after=float("nan"))),
    "a pause that was": raises(ProviderQuota("later", retry_after=-1e300)),
    "an error without end": raises(ProviderAuth("x" * 1_000_000)),
}
"""Errors as they should be raised, but not with what should be in them."""

ALL = ODD | WRONG | REFUSALS


class HostileOptions(Options):
    says: str = "nothing"
    """Which of the above."""


class Hostile(Provider):
    """Says it at its first audio, on every stream, then the number of seconds."""

    capabilities = Capabilities(sample_rates=None)

    def __init__(self, options: HostileOptions) -> None:
        self._options = options

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        heard, first = 0.0, True
        async for item in audio:
            if isinstance(item, bytes):
                heard += len(item) / 2 / params.sample_rate
                if first:
                    first = False
                    yield ALL[self._options.says]()  # type: ignore[misc]
        yield Transcript(
            text=f"heard {heard:g}", start=0.0, end=heard, is_final=True, endpoint=True
        )


@hookimpl
def sttgate_providers() -> list[ProviderSpec]:
    return [ProviderSpec(name="hostile", factory=Hostile, options=HostileOptions)]
