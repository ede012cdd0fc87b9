"""Plugins that tests write into folders, installed or dropped in."""

from __future__ import annotations

import sys
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

ACME = '''
"""One plugin that offers all there is: a provider and both kinds of store."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

import sttgate


class Nested(BaseModel, extra="forbid"):
    folder: Path = Path("nested")
    depth: int = 1


class AcmeOptions(sttgate.Options):
    key: Annotated[SecretStr, sttgate.FromEnv("ACME_KEY")] = SecretStr("")
    """Key of the account."""
    region: Annotated[str, sttgate.FromEnv("ACME_REGION")] = "eu"
    pause_ms: Literal[False] | Annotated[int, Field(ge=100, le=5000)] | None = 300
    threads: int = Field(1, gt=0)
    fast: bool = False
    speed: float = 1.0
    mode: Literal["exact", "quick"] = "exact"
    words: tuple[str, ...] = Field((), max_length=3)
    model_dir: Path = Path("models/acme")
    folders: list[Path] = []
    nested: Nested = Nested()


class Acme(sttgate.Provider):
    capabilities = sttgate.Capabilities(diarize=True)

    def __init__(self, options):
        self.options = options

    async def transcribe(self, audio, params):
        yield sttgate.Finalized()


class RowsOptions(sttgate.Options):
    path: Path = Path("rows.db")


class BlobsOptions(sttgate.Options):
    bucket: str
    """Name of the bucket."""


@sttgate.hookimpl
def sttgate_providers():
    yield sttgate.ProviderSpec(name="acme", factory=Acme, options=AcmeOptions, summary="Acme Speech")


@sttgate.hookimpl
def sttgate_transcript_stores():
    return [sttgate.StoreSpec(name="rows", factory=dict, options=RowsOptions)]


@sttgate.hookimpl
def sttgate_recording_stores():
    return [sttgate.StoreSpec(name="blobs", factory=dict, options=BlobsOptions)]
'''

STORES = """
transcripts: {use: rows}
recordings: {use: blobs, bucket: b}
plugins: {dirs: [plugins]}
"""
"""The rest of a configuration that uses the plugin ``ACME``, dropped into ``plugins``."""


def provider_plugin(name: str, hook: str = "sttgate_providers") -> str:
    """Return the source of a plugin that offers one provider."""
    return textwrap.dedent(f"""
        import sttgate

        @sttgate.hookimpl
        def {hook}():
            return [sttgate.ProviderSpec(name="{name}", factory=print)]
    """)


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files, and the folders they are in."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    folder.mkdir(exist_ok=True)
    return folder


def install(
    monkeypatch: pytest.MonkeyPatch,
    site: Path,
    entries: Mapping[str, str],
    *,
    distribution: str = "sttgate",
    version: str = "1.2.3",
) -> None:
    """Make a distribution with these entry points, importing from ``site``.

    One named ``sttgate`` hides the one that may really be installed, with all of its plugins.
    """
    lines = [f"{name} = {module}" for name, module in entries.items()]
    write(
        site,
        {
            f"{distribution}-{version}.dist-info/METADATA": (
                f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
            ),
            f"{distribution}-{version}.dist-info/entry_points.txt": "\n".join(
                ["[sttgate]", *lines]
            ),
        },
    )
    monkeypatch.syspath_prepend(str(site))
    for entry in entries.values():
        if not (CHECKOUT / "plugins" / f"{entry}.py").exists():
            monkeypatch.delitem(sys.modules, entry.partition(":")[0], raising=False)


def install_shipped(monkeypatch: pytest.MonkeyPatch, site: Path) -> list[str]:
    """Make the shipped plugins importable as if this checkout were installed; return their names."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    install(monkeypatch, site, project["entry-points"]["sttgate"], version=project["version"])
    monkeypatch.syspath_prepend(str(CHECKOUT / "plugins"))
    return sorted(project["entry-points"]["sttgate"])
