"""Where the installed package keeps its model: looked up, never imported.

moonshine-voice wants PortAudio when imported; only its files are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sttgate import NotConfigured


@dataclass(frozen=True, slots=True)
class Assets:
    """The files of Moonshine tiny-en on disk."""

    encoder: Path
    decoder: Path
    tokenizer: Path


def find_assets() -> Assets:
    """Return the model files; NotConfigured if a package is missing or came without its model."""
    spec = find_spec("moonshine_voice")
    if find_spec("onnxruntime") is None or spec is None or not spec.submodule_search_locations:
        raise NotConfigured("the local engine is not installed: pip install 'sttgate[local]'")
    folder = Path(spec.submodule_search_locations[0], "assets", "tiny-en")
    assets = Assets(
        encoder=folder / "encoder_model.ort",
        decoder=folder / "decoder_model_merged.ort",
        tokenizer=folder / "tokenizer.bin",
    )
    for file in (assets.encoder, assets.decoder, assets.tokenizer):
        if not file.is_file():
            raise NotConfigured(
                f"the local engine's model {file.name} is not in the installed packages: "
                "pip install --force-reinstall 'sttgate[local]'"
            )
    return assets
