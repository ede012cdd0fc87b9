"""What can be set for Whisper in config.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sttgate import Options


class WhisperOptions(Options):
    """Options of the ``whisper`` provider."""

    model: Annotated[str, Field(min_length=1)] = "base"
    """Folder of a model converted for CTranslate2, or a name such as `tiny.en`, `base`, `small`, `turbo`."""

    download: bool = True
    """Whether a model given by its name may be fetched from the Hugging Face hub, once."""

    language: str | None = None
    """Language tag such as `en` or `de`; by default, or with `auto`, the model finds out by itself."""

    prompt: Annotated[str, Field(max_length=1_000)] = ""
    """Text in the style that is wanted, with names and terms to expect; key terms are added to it."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs."""

    compute_type: str = "default"
    """Arithmetic, such as `int8` or `float16`; by default that of the model's files."""

    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    """Recognising threads, shared by all streams; by default one for each CPU core."""

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """CPU threads of one recognition. More make a single stream quicker and many streams slower."""

    beam_size: Annotated[int, Field(ge=1, le=10)] = 1
    """How many wordings to keep in mind; more are slower and a little better."""

    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.35
    """Utterances less certain than this, by the mean over their tokens, are taken for noise and dropped."""

    endpointing_ms: Annotated[int, Field(ge=100, le=10_000)] | Literal[False] = 500
    """Pause in milliseconds that closes an utterance, `false` for never; a stream may ask for another."""

    interim_interval: Annotated[float, Field(ge=0.2, le=30)] | None = 1.0
    """Seconds from one interim result to the next, while there is power to spare; `null` for none."""

    max_utterance: Annotated[float, Field(ge=3, le=25)] = 20.0
    """Longest utterance in seconds; speech without a pause is cut where the voice is weakest."""
