"""Is there a voice? Silero VAD v6 on onnxruntime: one session for all, one memory per stream.

Importing this module loads numpy and onnxruntime: do it in a thread.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from sttgate.voice.segmenter import FRAME, SAMPLE_RATE

_CONTEXT = 64
"""Samples of the frame before that the model wants to see again (silero_vad/utils_vad.py)."""
_RATE = np.array(SAMPLE_RATE, np.int64)


class VoiceModel:
    """The model in memory: stateless, so one serves all streams."""

    def __init__(self, file: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # failures arrive as exceptions; do not print them as well
        self._session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def detector(self) -> VoiceDetector:
        """Return a detector for one stream."""
        return VoiceDetector(self._session)


class VoiceDetector:
    """Judges the frames of one stream in turn; costs about 0.12 ms a frame, so call it inline."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._memory = np.zeros((2, 1, 128), np.float32)
        self._input = np.zeros((1, _CONTEXT + FRAME), np.float32)

    def level(self, frame: bytes) -> float:
        """Return the probability, 0 to 1, of a voice in ``frame``: 512 samples of 16-bit PCM."""
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = np.frombuffer(frame, "<i2")
        self._input[0, _CONTEXT:] /= 32768
        level, self._memory = self._session.run(
            None, {"input": self._input, "state": self._memory, "sr": _RATE}
        )
        return float(level[0, 0])
