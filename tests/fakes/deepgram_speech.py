"""What the fake Deepgram hears: scripted words on the clock of the audio it has received.

The messages are a function of the amount of audio, however it is cut and however fast it comes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SENTENCES = (
    "Good morning, this is the county library.",
    "I would like to renew two books, please.",
    "Certainly, may I have your card number?",
    "It is on the back of the card.",
)
SWITCHES = ("interim_results", "smart_format", "punctuate", "diarize", "vad_events", "numerals")
MODEL_UUID = "40bd3654-e622-47c4-a111-63a61b23bfe8"
MODEL_INFO = {"name": "general-nova-3", "version": "2025-04-17.21547", "arch": "nova-3"}
TICK = 0.02
INTERIM_EVERY = 1.0
LONGEST_SEGMENT = 5.0


@dataclass(frozen=True)
class SpokenWord:
    """One word of the script; ``sentence`` counts from 0."""

    text: str
    start: float
    end: float
    sentence: int


def lay_out(sentences: Iterable[str], lead: float = 0.4, pause: float = 1.5) -> list[SpokenWord]:
    """Return the words of ``sentences`` on the audio clock: 0.06 s a letter, ``pause`` between sentences."""
    words, at = [], lead
    for number, sentence in enumerate(sentences):
        for text in sentence.split():
            end = at + 0.1 + 0.06 * len(text)
            words.append(SpokenWord(text, round(at, 2), round(end, 2), number))
            at = end + 0.06
        at += pause - 0.06
    return words


def float32(seconds: float) -> float:
    """Return ``seconds`` with the noise of Deepgram's single precision."""
    single: float = struct.unpack("f", struct.pack("f", seconds))[0]
    return single


def _event(kind: str, **at: float) -> dict[str, Any]:
    return {"type": kind, "channel": [0, 1]} | {name: float32(value) for name, value in at.items()}


class Recognizer:
    """Turns an amount of audio into Deepgram's messages, in 20 ms steps of the audio clock."""

    def __init__(self, words: list[SpokenWord], query: Mapping[str, str], request_id: str) -> None:
        self._words = words
        self._query = query
        self._request_id = request_id
        self._on = {name: query.get(name) == "true" for name in SWITCHES}
        endpointing = query.get("endpointing", "10")
        self._endpointing = None if endpointing == "false" else int(endpointing) / 1000
        self._gap = int(query.get("utterance_end_ms", "0")) / 1000
        self.now = 0.0
        self._seconds = 0.0  # of audio, up to a tick more than now
        self._start = 0.0  # of the open segment
        self._next = 0  # first word that is in no final yet
        self._announced = -1  # last sentence that got a SpeechStarted
        self._interim_at = INTERIM_EVERY
        self._last_end = 0.0  # of the last word
        self._gap_after = 0.0  # end of the word before the last UtteranceEnd

    def hear(self, seconds: float) -> Iterable[dict[str, Any]]:
        """Yield the messages up to ``seconds`` of audio in all."""
        self._seconds = seconds
        while (at := self.now + TICK) <= seconds + 1e-6:
            self.now = round(at, 3)
            yield from self._tick()

    def flush(self, from_finalize: bool) -> Iterable[dict[str, Any]]:
        """Yield a final for what is open; Deepgram sends none when nothing is buffered."""
        self.now = max(self.now, self._seconds)
        if self.now > self._start:
            yield self._final(self._heard(cut=True), speech_final=True, from_finalize=from_finalize)

    def metadata(self) -> dict[str, Any]:
        """Return the last message of a connection; models are named if audio came."""
        models = [MODEL_UUID] if self.now else []
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._request_id,
            "sha256": "incomplete",
            "created": "2026-01-01T00:00:00.000Z",
            "duration": float32(self.now),
            "channels": len(models),
            "models": models,
        }

    def _heard(self, cut: bool = False) -> list[SpokenWord]:
        return [w for w in self._words[self._next :] if (w.start if cut else w.end) <= self.now]

    def _tick(self) -> Iterable[dict[str, Any]]:
        now, heard = self.now, self._heard()
        spoken = next((w for w in self._words[self._next :] if w.start <= now < w.end), None)
        if spoken and spoken.sentence > self._announced:
            self._announced = spoken.sentence
            if self._on["vad_events"]:
                yield _event("SpeechStarted", timestamp=spoken.start)
        if heard:
            self._last_end = heard[-1].end
        silence = 0.0 if spoken else now - self._last_end
        if self._last_end > self._gap_after and 0 < self._gap <= silence:
            self._gap_after = self._last_end
            yield _event("UtteranceEnd", last_word_end=self._last_end)
        if heard and self._endpointing is not None and silence >= self._endpointing > 0:
            yield self._final(heard, speech_final=True)
        elif not spoken and now - self._start >= LONGEST_SEGMENT:
            yield self._final(heard, speech_final=False)
        elif now >= self._interim_at:
            self._interim_at = now + INTERIM_EVERY
            if self._on["interim_results"]:
                yield self._results(heard, is_final=False)

    def _final(self, heard: list[SpokenWord], **flags: bool) -> dict[str, Any]:
        message = self._results(heard, is_final=True, **flags)
        self._next += len(heard)
        self._start = self.now
        self._interim_at = self.now + INTERIM_EVERY
        return message

    def _results(
        self,
        heard: list[SpokenWord],
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> dict[str, Any]:
        pretty = self._on["smart_format"] or self._on["punctuate"]
        words = []
        for spoken in heard:
            bare = spoken.text.strip(",.?").lower()
            word = {"word": bare, "start": float32(spoken.start), "confidence": 0.98}
            word["end"] = float32(min(spoken.end, self.now))
            if pretty:
                word["punctuated_word"] = spoken.text
            if self._on["diarize"] or "diarize_model" in self._query:
                word["speaker"] = spoken.sentence % 2
            words.append(word)
        text = " ".join(str(word.get("punctuated_word", word["word"])) for word in words)
        best = {"transcript": text, "confidence": 0.98 if words else 0.0, "words": words}
        if self._query.get("language") == "multi":
            best["languages"] = ["en"] if words else []
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": float32(self.now - self._start),
            "start": float32(self._start),
            "is_final": is_final,
            "speech_final": speech_final,
            "channel": {"alternatives": [best]},
            "metadata": {
                "request_id": self._request_id,
                "model_info": MODEL_INFO,
                "model_uuid": MODEL_UUID,
            },
            "from_finalize": from_finalize,
        }
