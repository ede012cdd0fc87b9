"""What was said? Moonshine tiny-en on onnxruntime, greedy decoding with the key/value cache.

The graphs are those of moonshine-voice 0.1.0: an encoder from samples to features, and a merged
decoder whose ``use_cache_branch`` tells the first token from the rest.

Importing this module loads numpy and onnxruntime: do it in a thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sttgate_moonshine.assets import Assets

_SAMPLE_RATE = 16_000
_BEGIN, _END = 1, 2
_TOKENS_PER_SECOND = 6.5
"""More is no speech any more, but a loop (the limit Moonshine's authors set)."""
_PADDING = _SAMPLE_RATE // 4
"""Silence after the audio: fewer last words are lost, and the convolutions have their 900 samples."""
_LEVEL = 10 ** (-23 / 20)
_MAX_GAIN = 10 ** (36 / 20)
_WORD_MARK = "\u2581".encode()
"""SentencePiece's sign for the space before a word."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One recognised word and the mean probability of its tokens."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a piece of audio says; ``confidence`` is the mean token probability, 0 when empty."""

    words: tuple[Spoken, ...]
    confidence: float


class Moonshine:
    """The recogniser: stateless, so one serves all streams and threads."""

    def __init__(
        self, encoder: ort.InferenceSession, decoder: ort.InferenceSession, pieces: list[bytes]
    ) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._pieces = pieces
        past = [node for node in decoder.get_inputs() if node.name.startswith("past_key_values.")]
        self._past = [node.name for node in past]
        self._outputs = [
            "logits",
            *(name.replace("past_key_values", "present") for name in self._past),
        ]
        _, heads, _, width = past[0].shape
        self._nothing = ort.OrtValue.ortvalue_from_numpy(np.zeros((1, heads, 1, width), np.float32))

    def recognize(self, pcm: bytes) -> Recognition:
        """Return what ``pcm`` says: 16 kHz mono, 16-bit, at most 20 s or so.

        Blocks for about 3 % of its length; threads may call it at the same time.
        """
        tokens, probabilities = [], []
        for token, probability in self._tokens(_normalized(pcm)):
            tokens.append(self._pieces[token])
            probabilities.append(probability)
        words = tuple(_words(tokens, probabilities))
        return Recognition(words, _mean(probabilities) if words else 0.0)

    def _tokens(self, audio: NDArray[np.float32]) -> Iterator[tuple[int, float]]:
        """Yield the likeliest tokens and their probabilities."""
        value = ort.OrtValue.ortvalue_from_numpy
        mask = np.ones(audio.shape, np.int64)
        (features,) = self._encoder.run(None, {"input_values": audio, "attention_mask": mask})
        feeds = {"encoder_hidden_states": value(features), "encoder_attention_mask": value(mask)}
        feeds |= dict.fromkeys(self._past, self._nothing)
        feeds["use_cache_branch"] = value(np.array([False]))
        token = _BEGIN
        for step in range(math.ceil(audio.shape[1] / _SAMPLE_RATE * _TOKENS_PER_SECOND)):
            feeds["input_ids"] = value(np.array([[token]], np.int64))
            logits, *present = self._decoder.run_with_ort_values(self._outputs, feeds)
            scores = logits.numpy()[0, -1]
            token = int(scores.argmax())
            if token == _END:
                return
            yield token, 1 / float(np.exp(scores - scores[token]).sum())
            # The cached branch returns the keys of the encoder empty: keep the first ones.
            feeds |= {
                name: new
                for name, new in zip(self._past, present, strict=True)
                if step == 0 or ".decoder." in name
            }
            feeds["use_cache_branch"] = value(np.array([True]))


def load(assets: Assets, threads: int) -> Moonshine:
    """Load the recogniser; blocks for about half a second."""
    recognizer = Moonshine(
        encoder=_session(assets.encoder, threads),
        decoder=_session(assets.decoder, threads),
        pieces=load_pieces(assets.tokenizer),
    )
    recognizer.recognize(bytes(32_000))  # the first run allocates; better now than under a caller
    return recognizer


def _session(file: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads would burn the cores that other streams need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # failures arrive as exceptions; do not print them as well
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def load_pieces(path: Path) -> list[bytes]:
    """Read ``tokenizer.bin``: per token a length (one byte, or two from 128 on) and its bytes.

    Special tokens (``<unk>``, ``<s>``, ``</s>``, ``<<ST_n>>``) become empty: they are not text.
    """
    data = path.read_bytes()
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size, at = data[at], at + 1
        if size >= 128:
            size, at = size - 128 + 128 * data[at], at + 1
        piece = data[at : at + size]
        pieces.append(b"" if len(pieces) <= _END or piece.startswith(b"<<ST_") else piece)
        at += size
    return pieces


def _normalized(pcm: bytes) -> NDArray[np.float32]:
    """Return the samples as floats, one row, quiet audio raised to -23 dBFS RMS by at most 36 dB."""
    heard = np.frombuffer(pcm, "<i2")
    audio = np.zeros((1, heard.size + _PADDING), np.float32)
    audio[0, : heard.size] = heard
    audio /= 32768
    rms = math.sqrt(float(np.square(audio).sum()) / max(heard.size, 1))
    if rms > 0:
        audio *= min(max(_LEVEL / rms, 1.0), _MAX_GAIN)
    return audio


def _words(pieces: list[bytes], probabilities: list[float]) -> Iterator[Spoken]:
    """Join pieces into words: a new one begins at each piece with the mark of a space."""
    starts = [i for i, piece in enumerate(pieces) if piece.startswith(_WORD_MARK)]
    if not starts or starts[0] != 0:
        starts.insert(0, 0)
    for start, stop in zip(starts, [*starts[1:], len(pieces)], strict=True):
        text = (
            b"".join(pieces[start:stop]).replace(_WORD_MARK, b" ").decode(errors="ignore").strip()
        )
        if text:
            yield Spoken(text, _mean(probabilities[start:stop]))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
