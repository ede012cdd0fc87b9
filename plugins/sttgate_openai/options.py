"""What an operator can set, and which of it a single stream may change.

Names follow OpenAI's reference for "Create transcription".
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
)

from sttgate import FromEnv, Options, ProviderRejected, StreamParams

HOME = "https://api.openai.com/v1"
_ENDPOINT = "/audio/transcriptions"
_ANY_LANGUAGE = {"auto", "multi"}

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


def _web_address(url: str) -> str:
    """Check an http(s) address and cut the path of the endpoint if somebody added it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http or https address, such as https://api.groq.com/openai/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be scheme, host, port and path only")
    return url.rstrip("/").removesuffix(_ENDPOINT).rstrip("/")


def _header_safe(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be one word of plain ASCII")
    return SecretStr(text)


class RequestOptions(Options):
    """What the server is asked for; sessions may differ in these where the operator allows it."""

    model: Text = "whisper-1"
    """Model, such as `whisper-1` or `gpt-4o-transcribe`, `whisper-large-v3-turbo` on Groq."""

    language: Text | None = None
    """Language tag such as `en` or `de`; by default, or with `auto`, the model finds out by itself."""

    prompt: Annotated[str, Field(max_length=2_000)] = ""
    """Text in the style that is wanted, with names and terms to expect; key terms are added to it."""

    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    """How freely the model may choose its words; by default the server decides."""

    response_format: Literal["auto", "verbose_json", "json"] = "auto"
    """`verbose_json` has word times and confidence, `json` only text; `auto` asks for the first and
    takes the second from models that refuse it."""

    def for_stream(self, params: StreamParams) -> RequestOptions:
        """Return these options with what ``params`` asks for.

        Raises ProviderRejected for ``provider_options`` that are none of the options above or have
        wrong values.
        """
        options = RequestOptions(**self.model_dump(include=set(RequestOptions.model_fields)))
        if params.provider_options:
            try:
                options = RequestOptions(**options.model_dump() | dict(params.provider_options))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False, include_context=False)[
                    0
                ]
                name = ".".join(str(part) for part in first["loc"])
                raise ProviderRejected(
                    f"the transcription server cannot take provider_options.{name}: {first['msg']}."
                ) from None
        asked = {"model": params.model, "language": params.language}
        if params.keyterms:
            terms = ", ".join(params.keyterms)
            asked["prompt"] = f"{options.prompt} {terms}".strip()
        return options.model_copy(update={name: value for name, value in asked.items() if value})

    def fields(self, *, verbose: bool) -> list[tuple[str, str]]:
        """Return the fields of the form, without the file."""
        form = [("model", self.model)]
        if self.language is not None and self.language not in _ANY_LANGUAGE:
            # The reference wants ISO 639-1, so `en` for `en-GB`.
            form.append(("language", self.language.replace("_", "-").partition("-")[0].lower()))
        if self.prompt:
            form.append(("prompt", self.prompt))
        if self.temperature is not None:
            form.append(("temperature", f"{self.temperature:g}"))
        form.append(("response_format", "verbose_json" if verbose else "json"))
        if verbose:
            # Segments carry the confidence, and naming words alone would leave them out.
            form += [("timestamp_granularities[]", kind) for kind in ("word", "segment")]
        return form


class OpenAIOptions(RequestOptions):
    """Options of the ``openai`` provider."""

    model_config = ConfigDict(hide_input_in_errors=True)

    api_key: Annotated[SecretStr, FromEnv("OPENAI_API_KEY"), AfterValidator(_header_safe)] = (
        SecretStr("")
    )
    """API key; it is sent to `base_url`. A server of one's own may do without."""

    base_url: Annotated[str, AfterValidator(_web_address)] = HOME
    """Address of the API, with its version: `https://api.groq.com/openai/v1`, `http://localhost:8000/v1`."""

    timeout: Annotated[float, Field(gt=0, le=120)] = 15.0
    """Seconds one request may take, connecting included."""

    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 3.0
    """Seconds a new connection may take, name look-up and TLS included."""

    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 16
    """How many requests to have under way at once, over all streams."""

    endpointing_ms: Annotated[int, Field(ge=100, le=10_000)] | Literal[False] = 500
    """Pause in milliseconds that closes an utterance, `false` for never; a stream may ask for another."""

    max_utterance: Annotated[float, Field(ge=3, le=30)] = 20.0
    """Longest utterance in seconds; speech without a pause is cut where the voice is weakest."""

    interim_interval: Annotated[float, Field(ge=0.5, le=30)] | None = None
    """Seconds from one interim result to the next. Each is a request of its own, with all of the
    utterance so far: think of the bill. By default there are none."""
