"""Reading an answer: ``json`` has text; ``verbose_json`` may also have words, segments and language.

Servers differ: OpenAI and Groq put ``words`` beside the segments, whisper.cpp inside them; vLLM and
LocalAI may have none, or times in other units.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from sttgate import Recognized, Word

_SLACK_SECONDS = 1.0
"""Engines round, and pad what they hear; times further outside the audio are in another unit."""
_NO_SPEECH = 0.6
_UNSURE = -1.0
"""Whisper's own thresholds for a segment that holds no speech (``transcribe()`` in openai/whisper)."""


def read_answer(body: bytes, seconds: float) -> Recognized:
    """Return what an answer says of ``seconds`` of audio; ValueError if it is no transcript."""
    answer = json.loads(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise ValueError("no text")
    segments = _dicts(answer.get("segments"))
    if segments and all(_is_silence(segment) for segment in segments):
        return Recognized(text="")
    language = answer.get("language") or _first_code(answer.get("languages"))
    return Recognized(
        text=" ".join(answer["text"].split()),
        words=tuple(_words(answer, segments, seconds)),
        confidence=_confidence(segments),
        # whisper-1 says "english": a name is no tag.
        language=language if isinstance(language, str) and 2 <= len(language) <= 3 else None,
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _first_code(languages: Any) -> Any:
    """gpt-transcribe lists what it heard, each with a code."""
    return next((language.get("code") for language in _dicts(languages)), None)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _is_silence(segment: dict[str, Any]) -> bool:
    no_speech, logprob = _number(segment.get("no_speech_prob")), _number(segment.get("avg_logprob"))
    return no_speech is not None and no_speech > _NO_SPEECH and (logprob or 0.0) < _UNSURE


def _confidence(segments: list[dict[str, Any]]) -> float | None:
    """Return the mean token probability over the segments, by their length."""
    total = weight = 0.0
    for segment in segments:
        logprob = _number(segment.get("avg_logprob"))
        start, end = _number(segment.get("start")), _number(segment.get("end"))
        # Servers that compute none say 0, which would be certainty.
        if logprob is None or logprob >= 0 or start is None or end is None or end <= start:
            return None
        total += math.exp(logprob) * (end - start)
        weight += end - start
    return total / weight if weight else None


def _words(
    answer: dict[str, Any], segments: list[dict[str, Any]], seconds: float
) -> Iterator[Word]:
    """Yield the words with their times, or none if one of them makes no sense."""
    told = _dicts(answer.get("words"))
    if not told:
        told = [word for segment in segments for word in _dicts(segment.get("words"))]
    found = []
    for word in told:
        start, end, text = _number(word.get("start")), _number(word.get("end")), word.get("word")
        if start is None or end is None or not isinstance(text, str):
            return
        if not 0 <= start <= end <= seconds + _SLACK_SECONDS:
            return
        if text := text.strip():
            probability = _number(word.get("probability"))
            if probability is not None:
                probability = min(max(probability, 0.0), 1.0)
            found.append(Word(text=text, start=start, end=end, confidence=probability))
    yield from found
