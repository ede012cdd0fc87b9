"""What an operator can set, and which of it a single stream may change.

Names, defaults and limits follow Deepgram's reference for ``/v1/listen`` (live).
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from sttgate import FromEnv, Options, ProviderRejected, StreamParams

ENDPOINTING_MS = (10, 10_000)
UTTERANCE_END_MS = (1_000, 10_000)
EXTRA_MAX_CHARS = 2_048
NEWEST = "nova-3"
"""The family that takes key terms; older ones take keywords."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Texts = Annotated[tuple[Text, ...], Field(max_length=100)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]


def _web_address(url: str) -> str:
    """Check an http(s) or ws(s) address and cut what clients of Deepgram tend to add to it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname:
        raise ValueError(
            "must be an http, https, ws or wss address, such as https://api.deepgram.com"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be scheme, host, port and path only")
    return url.rstrip("/").removesuffix("/v1/listen").rstrip("/")


def _header_safe(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be one word of plain ASCII")
    return SecretStr(text)


class LiveOptions(Options):
    """What Deepgram is asked for; sessions may differ in these where the operator allows it."""

    model: Text = NEWEST
    """Model, such as `nova-3`, `nova-3-medical` or `nova-2-phonecall`, or the id of a custom one."""

    version: Text | None = None
    """Version of the model; Deepgram takes its latest when this is left out."""

    language: Text = "en"
    """Language tag such as `en`, `en-GB` or `de`; `multi` or `auto` for several in one conversation."""

    smart_format: bool = True
    """Write numbers, dates, currencies and the like the way people do, with punctuation."""

    punctuate: bool | None = None
    """Add punctuation and capitals; `smart_format` implies it."""

    numerals: bool | None = None
    """Write spoken numbers as digits."""

    dictation: bool | None = None
    """Turn spoken commands such as "comma" into punctuation."""

    filler_words: bool | None = None
    """Keep "uh" and "um"."""

    profanity_filter: bool | None = None
    """Mask profanity."""

    redact: Texts = ()
    """What to black out in transcripts, such as `pci`, `ssn`, `numbers` or `aggressive_numbers`."""

    replace: dict[Text, str] = Field(default={}, max_length=200)
    """Words to replace in transcripts: what is heard, and what to write for it."""

    search: Texts = ()
    """Terms to look for by sound; Deepgram adds what it finds to its own answers."""

    keyterms: Texts = ()
    """Names and terms to expect. Models before nova-3 get them as `keywords`."""

    keywords: Texts = ()
    """Words to expect for models before nova-3, with an optional boost: `sttgate:2`."""

    diarize: bool = False
    """Tell speakers apart."""

    diarize_model: Literal["latest", "v1"] | None = None
    """Which model tells speakers apart when `diarize` is on."""

    detect_entities: bool | None = None
    """Mark names, places and the like in Deepgram's own answers."""

    interim_results: bool = True
    """Show words while they are spoken."""

    endpointing: (
        Literal[False] | Annotated[int, Field(ge=ENDPOINTING_MS[0], le=ENDPOINTING_MS[1])] | None
    ) = 300
    """Silence in milliseconds that ends an utterance, `false` for never; Deepgram's default is 10."""

    utterance_end_ms: (
        Literal[False]
        | Annotated[int, Field(ge=UTTERANCE_END_MS[0], le=UTTERANCE_END_MS[1])]
        | None
    ) = 1_000
    """Gap between words in milliseconds that ends an utterance even in noise, `false` for never."""

    vad_events: bool = True
    """Report when somebody begins to speak."""

    no_delay: bool | None = None
    """Do not hold back results until a number or date is complete (`smart_format`)."""

    mip_opt_out: bool | None = None
    """Keep the audio out of Deepgram's model improvement programme."""

    tag: Annotated[tuple[Tag, ...], Field(max_length=20)] = ()
    """Labels for Deepgram's usage reports."""

    extra: dict[Text, str] = Field(default={}, max_length=100)
    """Key-value pairs that Deepgram attaches to its answers and logs."""

    @model_validator(mode="after")
    def _check_extra(self) -> LiveOptions:
        if sum(len(key) + len(value) + 1 for key, value in self.extra.items()) > EXTRA_MAX_CHARS:
            raise ValueError(f"extra must be {EXTRA_MAX_CHARS} characters or less in all")
        return self

    def for_stream(self, params: StreamParams) -> LiveOptions:
        """Return these options with what ``params`` asks for.

        Pauses are moved into the range Deepgram takes. Raises ProviderRejected for
        ``provider_options`` that are none of the options above or have wrong values.
        """
        options = self
        if params.provider_options:
            configured = self.model_dump(include=set(LiveOptions.model_fields))
            try:
                options = LiveOptions.model_validate(configured | dict(params.provider_options))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False, include_context=False)[
                    0
                ]
                name = ".".join(str(part) for part in first["loc"])
                raise ProviderRejected(
                    f"Deepgram cannot take provider_options.{name}: {first['msg']}."
                ) from None
        asked = {
            "model": params.model,
            "language": params.language,
            "punctuate": params.punctuate,
            "profanity_filter": params.profanity_filter,
            "diarize": params.diarize,
            "keyterms": params.keyterms or None,
            "endpointing": _within(ENDPOINTING_MS, params.endpointing_ms),
            "utterance_end_ms": _within(UTTERANCE_END_MS, params.utterance_end_ms),
            "interim_results": None if params.interim_results else False,
        }
        changes = {name: value for name, value in asked.items() if value is not None}
        return options.model_copy(update=changes) if changes else options


class ConnectionOptions(Options):
    """How to reach Deepgram, and how patient to be with it."""

    api_key: Annotated[SecretStr, FromEnv("DEEPGRAM_API_KEY"), AfterValidator(_header_safe)] = (
        SecretStr("")
    )
    """API key of the Deepgram project. A self-hosted server without keys takes any word."""

    base_url: Annotated[str, AfterValidator(_web_address)] = "https://api.deepgram.com"
    """Address of the service: `https://api.eu.deepgram.com` for the EU, or a self-hosted server."""

    max_streams: int | None = Field(default=None, ge=1)
    """How many streams to run at once; set it below the limit of the Deepgram project."""

    connect_timeout: float = Field(default=3.0, gt=0, le=60)
    """Seconds a new connection may take, name look-up and TLS included."""

    finalize_timeout: float = Field(default=2.0, gt=0, le=30)
    """Seconds to wait for the answer to Finalize, which Deepgram does not promise to send."""

    close_timeout: float = Field(default=5.0, gt=0, le=60)
    """Seconds to wait after the audio has ended, and after each result from then on, for the next."""

    keepalive_interval: float = Field(default=4.0, gt=0, le=8)
    """Seconds without audio after which to send KeepAlive; Deepgram hangs up after 10."""

    heartbeat: float = Field(default=6.0, gt=0, le=30)
    """Seconds without any data after which to ping; half of it later the connection counts as dead."""


class DeepgramOptions(LiveOptions, ConnectionOptions):
    """Options of the Deepgram provider."""

    model_config = ConfigDict(hide_input_in_errors=True)


def _within(
    limits: tuple[int, int], milliseconds: int | Literal[False] | None
) -> int | Literal[False] | None:
    if milliseconds is None or milliseconds is False:
        return milliseconds
    return min(max(milliseconds, limits[0]), limits[1])
