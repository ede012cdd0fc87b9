"""What was said? Whisper on CTranslate2, with no more context than an utterance needs.

Importing this module loads numpy, ctranslate2 and faster_whisper: do it in a thread. faster-whisper
loads models, makes features and aligns words; decoding is here, because its own always runs the
encoder over 30 s. Half of that is enough for most utterances, at the same word error rate, if
timestamps are decoded and the context is not too tight.
"""

from __future__ import annotations

import logging
import math
import re
import zlib

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations

from sttgate import Recognized, Word
from sttgate_whisper.options import WhisperOptions

_SAMPLE_RATE = 16_000
_FRAMES_PER_SECOND = 100
_WHOLE = 30.0
"""Seconds of context the models were trained with, the most they take."""
_LEAST, _MARGIN = 10.0, 5.0
"""Seconds of context at least, and beyond the utterance: with less the decoder repeats itself."""
_NEAR_END = 0.15
"""A timestamp so close to the end of the audio, in seconds, is the last: the rest is made up."""
_TIMESTAMP_SECONDS = 0.02
_TOKENS_PER_SECOND = 12
"""More is no speech any more, but a loop."""
_REPETITIVE = 2.4
"""Text that shrinks by more than this is a loop (Whisper's compression_ratio_threshold)."""
_SAID_TWICE = 3
"""So many words, repeated at once, are heard again with the whole context: with less the decoder may
say them again behind the end of the audio."""
_NO_SPEECH, _UNSURE = 0.6, -1.0
"""Whisper's thresholds for audio without speech."""
_MAX_TOKENS, _MAX_PROMPT = 448, 200
_OPENING = "\"'“¿([{-"
_CLOSING = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - full-width signs are what Chinese is written with


class Whisper:
    """The model in memory: stateless, so one serves all streams and threads."""

    def __init__(self, options: WhisperOptions, workers: int) -> None:
        ctranslate2.set_log_level(logging.ERROR)  # that a CPU has no float16 is no news
        self._model = WhisperModel(
            options.model,
            device=options.device,
            compute_type=options.compute_type,
            cpu_threads=options.threads,
            num_workers=workers,
            local_files_only=not options.download,
        )
        self._beam_size = options.beam_size
        self._min_confidence = options.min_confidence
        self.is_multilingual: bool = self._model.model.is_multilingual

    def knows(self, language: str) -> bool:
        """Return whether the model has this language."""
        return self._model.hf_tokenizer.token_to_id(f"<|{language}|>") is not None

    def recognize(self, pcm: bytes, language: str | None, prompt: str) -> Recognized:
        """Return what ``pcm`` says: 16 kHz mono, 16-bit, at most 30 s; ``language`` None finds out.

        Blocks; threads may call it at the same time.
        """
        audio = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        seconds = audio.size / _SAMPLE_RATE
        context = min(max(_LEAST, math.ceil(seconds + _MARGIN)), _WHOLE)
        said, repetitive = self._decode(audio, seconds, context, language, prompt)
        if repetitive and context < _WHOLE:
            said, _ = self._decode(audio, seconds, _WHOLE, language, prompt)
        return said

    def _decode(
        self, audio: np.ndarray, seconds: float, context: float, language: str | None, prompt: str
    ) -> tuple[Recognized, bool]:
        """Return what is heard with so many seconds of context, and whether it looks like a loop."""
        encoded = self._encode(audio, context)
        if self.is_multilingual and language is None:
            language = self._model.model.detect_language(encoded)[0][0][0].strip("<|>")
        tokenizer = Tokenizer(
            self._model.hf_tokenizer, self.is_multilingual, task="transcribe", language=language
        )
        begin = list(tokenizer.sot_sequence)
        if prompt:
            begin = [
                tokenizer.sot_prev,
                *tokenizer.encode(f" {prompt}")[-_MAX_PROMPT:],
                *begin,
            ]
        most = len(begin) + math.ceil(seconds * _TOKENS_PER_SECOND) + 10
        result = self._model.model.generate(
            encoded,
            [begin],
            beam_size=self._beam_size,
            max_length=min(most, _MAX_TOKENS),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = _text_tokens(result.sequences_ids[0], tokenizer.timestamp_begin, seconds)
        tokens = [token for token in tokens if token < tokenizer.eot]
        text = " ".join(tokenizer.decode(tokens).split())
        score = result.scores[0]
        silent = result.no_speech_prob > _NO_SPEECH and score < _UNSURE
        repetitive = _is_repetitive(text) or len(result.sequences_ids[0]) >= most - len(begin)
        if not text or silent or math.exp(score) < self._min_confidence:
            return Recognized(text=""), repetitive
        return (
            Recognized(
                text=text,
                words=self._words(tokenizer, tokens, encoded, seconds),
                confidence=min(math.exp(score), 1.0),
                language=tokenizer.language_code,
            ),
            repetitive,
        )

    def _encode(self, audio: np.ndarray, context: float) -> ctranslate2.StorageView:
        padding = max(round(context * _SAMPLE_RATE) - audio.size, 0)
        features = self._model.feature_extractor(audio, padding=padding)
        features = features[None, :, : round(context * _FRAMES_PER_SECOND)]
        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features))
        # CTranslate2 may keep the result on the GPU, where it is needed next.
        return self._model.model.encode(view)

    def _words(
        self,
        tokenizer: Tokenizer,
        tokens: list[int],
        encoded: ctranslate2.StorageView,
        seconds: float,
    ) -> tuple[Word, ...]:
        frames = math.ceil(seconds * _FRAMES_PER_SECOND)
        (aligned,) = self._model.find_alignment(tokenizer, [tokens], encoded, frames)
        merge_punctuations(aligned, _OPENING, _CLOSING)
        return tuple(
            Word(
                text=text,
                start=float(word["start"]),
                end=float(word["end"]),
                confidence=min(float(word["probability"]), 1.0),
            )
            for word in aligned
            if (text := word["word"].strip())
        )


def _text_tokens(tokens: list[int], timestamp_begin: int, seconds: float) -> list[int]:
    """Return the tokens that are no timestamps, up to the one at the end of the audio."""
    heard = []
    for number, token in enumerate(tokens):
        if token < timestamp_begin:
            heard.append(token)
        elif number and (token - timestamp_begin) * _TIMESTAMP_SECONDS >= seconds - _NEAR_END:
            break
    return heard


def _is_repetitive(text: str) -> bool:
    """Return whether some words are said twice in a row, or the text is a loop."""
    data = text.encode()
    if data and len(data) / len(zlib.compress(data)) > _REPETITIVE:
        return True
    words = re.findall(r"\w+", text.lower())
    return any(
        words[at : at + length] == words[at + length : at + 2 * length]
        for length in range(_SAID_TWICE, len(words) // 2 + 1)
        for at in range(len(words) - 2 * length + 1)
    )
