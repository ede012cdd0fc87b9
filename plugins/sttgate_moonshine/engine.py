"""The models in memory. Importing this module loads numpy and onnxruntime: do it in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from sttgate_moonshine.assets import Assets
from sttgate_moonshine.model import Moonshine, load_pieces
from sttgate_moonshine.vad import VoiceDetector


@dataclass(frozen=True, slots=True)
class Models:
    """What all streams share: both are stateless and may be used from any thread."""

    recognizer: Moonshine
    vad: ort.InferenceSession

    def detector(self) -> VoiceDetector:
        """Return a voice detector for one stream."""
        return VoiceDetector(self.vad)


def load(assets: Assets, threads: int) -> Models:
    """Load the models; blocks for about half a second."""
    recognizer = Moonshine(
        encoder=_session(assets.encoder, threads),
        decoder=_session(assets.decoder, threads),
        pieces=load_pieces(assets.tokenizer),
    )
    recognizer.recognize(bytes(32_000))  # the first run allocates; better now than under a caller
    return Models(recognizer, _session(assets.vad, threads=1))


def _session(file: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads would burn the cores that other streams need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # failures arrive as exceptions; do not print them as well
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
