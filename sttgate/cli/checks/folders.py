"""Folders and files: writable, private, on a local disk with room, quick to sync; what a crash left."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, SecretStr

from sttgate.cli.checks.finding import Finding

if TYPE_CHECKING:
    from sttgate.config import Config

_LITTLE = 500 * 1024**2  # bytes; four hours of 16 kHz audio
_SLOW_SYNC = 0.1  # seconds
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "afs"}
_MOUNTS = Path("/proc/self/mountinfo")


def paths_of(config: Config) -> dict[str, Path]:
    """Return the files and folders of a configuration by what they are for."""
    found = {"spool": config.spool.path, "uploads": config.uploads.path}
    for name, store in (("transcripts", config.transcripts), ("recordings", config.recordings)):
        if isinstance(path := getattr(store.options, "path", None), Path):
            found[name] = path
    return found


def look_at_folder(subject: str, path: Path) -> Finding:
    """Tell whether files can be made in a folder, which is made if it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        message = f"{path}: {error.strerror}; make it writable or set another {subject}.path"
        return Finding("error", subject, message)
    return Finding("ok", subject, f"{path} is writable")


def look_at_disks(config: Config) -> Iterator[Finding]:
    """Tell for each file system how much room it has, and whether it is far away."""
    disks: dict[int, list[tuple[str, Path]]] = {}
    for name, path in paths_of(config).items():
        there = _there(path)
        disks.setdefault(there.stat().st_dev, []).append((name, there))
    mounts = _MOUNTS.read_text("utf-8", "surrogateescape") if _MOUNTS.exists() else ""
    for users in disks.values():
        path = users[0][1]
        names = ", ".join(name for name, _ in users)
        kind = file_system(path, mounts)
        sensitive = [name for name, _ in users if name in ("spool", "transcripts")]
        if kind in _REMOTE and sensitive:
            message = (
                f"{' and '.join(sensitive)} on {kind}; use a local disk: locks and syncs fail there"
            )
            yield Finding("warning", f"disk of {names}", message)
            continue
        yield _room(names, path, config.spool.min_free_mb * 1024**2)


def _room(names: str, path: Path, kept_free: int) -> Finding:
    free = shutil.disk_usage(path).free
    mib = free // 1024**2
    if "spool" in names and free < kept_free:
        message = (
            f"{mib} MiB are free and spool.min_free_mb is {kept_free // 1024**2}, so every session "
            "is refused; make room"
        )
        return Finding("error", f"disk of {names}", message)
    if free < kept_free + _LITTLE:
        message = f"only {mib} MiB are free; make room, or have retention delete what is old"
        return Finding("warning", f"disk of {names}", message)
    return Finding("ok", f"disk of {names}", f"{free // 1024**3} GiB free")


def look_at_syncing(path: Path) -> Finding:
    """Tell how long the spool's disk takes to have audio safe; it is asked once a second."""
    took = []
    probe = path / ".doctor"
    try:
        with probe.open("wb", buffering=0) as file:
            for _ in range(5):
                file.write(bytes(64 * 1024))
                began = time.monotonic()
                os.fsync(file.fileno())
                took.append(time.monotonic() - began)
    except OSError as error:
        return Finding("error", "sync", f"{path}: {error.strerror}; look at the disk")
    finally:
        probe.unlink(missing_ok=True)
    middle = statistics.median(took)
    if middle > _SLOW_SYNC:
        message = (
            f"{path} takes {middle * 1000:.0f} ms to sync; put the spool on a faster disk, or set "
            "a longer spool.sync_interval_s"
        )
        return Finding("warning", "sync", message)
    return Finding("ok", "sync", f"{path} takes {middle * 1000:.0f} ms")


async def look_at_leftovers(path: Path) -> Finding:
    """Tell of sessions that a process left in the spool when it died."""
    from sttgate.session.spool import Spool

    spool, count = Spool(path), 0
    try:
        for session_id in await spool.left_behind():
            # Those of a process that lives are locked.
            if (folder := await spool.claim(session_id)) is not None:
                count += 1
                await spool.run(folder.close)
    except OSError as error:
        return Finding("error", "left behind", f"{path}: {error.strerror}; make it readable")
    finally:
        await spool.close()
    if count:
        sessions = "session lies" if count == 1 else "sessions lie"
        message = f"{count} {sessions} in {path} from a crash; `sttgate serve` stores them"
        return Finding("warning", "left behind", message)
    return Finding("ok", "left behind", "nothing; every session is stored")


def look_at_modes(config: Config) -> Iterator[Finding]:
    """Tell whether others of this machine can read keys, words or audio."""
    private = {
        **{name: path for name, path in paths_of(config).items() if name in _OF_STORES},
        "access.keys": config.access.keys,
        "access.secret": config.access.secret,
    }
    if config.path is not None and _holds_secret(config):
        private["the key in it"] = config.path
    open_to_all = [(what, path) for what, path in private.items() if _others_may_read(path)]
    for what, path in open_to_all:
        how = "go-rwx" if path.is_dir() else "600"
        message = f"everybody on this machine can read {path} ({what}); chmod {how} {path}"
        yield Finding("warning", "file modes", message)
    if not open_to_all:
        yield Finding("ok", "file modes", "only their owner can read keys, words and audio")


_OF_STORES = {"transcripts", "recordings"}


def _holds_secret(config: Config) -> bool:
    """Whether a secret stands in the file itself, and not in a variable or a file of its own."""
    assert config.path is not None
    text = config.path.read_text("utf-8", "replace")
    return any(
        secret in text for block in config.providers.values() for secret in _secrets(block.options)
    )


def _secrets(options: BaseModel) -> Iterator[str]:
    for _, value in options:
        if isinstance(value, SecretStr) and value.get_secret_value():
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets(value)


def _others_may_read(path: Path) -> bool:
    """Whether somebody else can read a file, or see what is in a folder, and get there."""
    if os.name != "posix":
        return False
    try:
        if not path.stat().st_mode & 0o004:
            return False
        return all(folder.stat().st_mode & 0o001 for folder in path.absolute().parents)
    except OSError:
        return False


def _there(path: Path) -> Path:
    """Return the folder that is there, of those that lead to ``path``."""
    return next(each for each in (path, *path.absolute().parents) if each.exists())


def file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system ``path`` is on, by the text of /proc/self/mountinfo."""
    best, kind = "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, types = before.split(), after.split()
        if len(fields) < 5 or not types:
            continue
        mount = fields[4].replace("\\040", " ")
        if path.resolve().is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, types[0]
    return kind
