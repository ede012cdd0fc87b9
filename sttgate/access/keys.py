"""API keys in a file: ``sttgate keys`` writes it, a running gateway notices.

A key is ``stt_<id>_<secret>`` with 256 random bits, so a fast hash keeps it as safe as a slow one
would (SHA-256: 2 us; argon2: 220 ms for nothing). The file never has a key itself.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hmac import compare_digest
from pathlib import Path

import msgspec

from sttgate.access.principal import Principal, Scope
from sttgate.config.modes import others_can_write
from sttgate.errors import SttgateError

PREFIX = "stt_"
_NOBODY = hashlib.sha256(b"").hexdigest()


class KeyFileError(SttgateError):
    """The file of keys cannot be read or written; the sentence says which and what to do."""


class Key(msgspec.Struct, kw_only=True, frozen=True):
    """An API key as it is kept; instants are seconds since the epoch."""

    id: str
    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    max_sessions: int | None = None

    def holds(self, now: float) -> bool:
        """Whether it is neither revoked nor over."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def principal(self) -> Principal:
        """Who presents this key."""
        return Principal(
            id=self.id,
            scopes=frozenset(self.scopes),
            key_id=self.id,
            expires_at=self.expires_at,
            max_sessions=self.max_sessions,
        )


class _Content(msgspec.Struct, kw_only=True):
    version: int = 1
    keys: list[Key] = []


class KeyFile:
    """The keys in ``path``; a file that is not there has none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: dict[str, Key] = {}
        self.version = 0
        """Grows whenever the file is found changed."""
        self._stamp: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys.values())

    def refresh(self) -> bool:
        """Read the file again if it has changed; whether it had. KeyFileError when it is no such file."""
        stamp = self._stamp_of()
        if stamp == self._stamp:
            return False
        self._keys = {key.id: key for key in self._read().keys}
        self._stamp = stamp
        self.version += 1
        return True

    def find(self, presented: str) -> Key | None:
        """Return the key that was presented if it holds, in the same time for every wrong one."""
        if (key := self._match(presented)) is None:
            self._look_again()  # for every wrong one: only for new ids would tell which there are
            key = self._match(presented)
        return key

    def _match(self, presented: str) -> Key | None:
        key = self._keys.get(presented.removeprefix(PREFIX).partition("_")[0])
        digest = hashlib.sha256(presented.encode("utf-8", "replace")).hexdigest()
        matches = compare_digest(digest, key.sha256 if key else _NOBODY)
        return key if matches and key is not None and key.holds(time.time()) else None

    def get(self, key_id: str) -> Key | None:
        """Return the key with this id, whether it holds or not; also if it was made just now."""
        if key_id not in self._keys:
            self._look_again()
        return self._keys.get(key_id)

    def _look_again(self) -> None:
        with suppress(KeyFileError):  # the ones known go on
            self.refresh()

    def create(
        self,
        name: str,
        scopes: Iterable[Scope],
        expires_at: float | None = None,
        max_sessions: int | None = None,
    ) -> tuple[Key, str]:
        """Add a key; return what is kept and the key itself, which nobody can read again."""
        key_id = secrets.token_hex(6)
        presented = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
        key = Key(
            id=key_id,
            name=name,
            sha256=hashlib.sha256(presented.encode()).hexdigest(),
            scopes=tuple(scopes),
            created_at=time.time(),
            expires_at=expires_at,
            max_sessions=max_sessions,
        )
        with self._changing() as content:
            content.keys.append(key)
        return key, presented

    def revoke(self, key_id: str) -> Key | None:
        """End a key now; None if there is no such one."""
        revoked = None
        with self._changing() as content:
            for index, key in enumerate(content.keys):
                if key.id == key_id:
                    if key.revoked_at is None:
                        key = msgspec.structs.replace(key, revoked_at=time.time())
                    content.keys[index] = revoked = key
        return revoked

    @contextmanager
    def _changing(self) -> Iterator[_Content]:
        """Change the content while no other process does; readers see the old or the new file."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _lock(self.path.with_name(f".{self.path.name}.lock")):
                content = self._read()
                yield content
                self._write(content)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise KeyFileError(
                f"the file of API keys {self.path} cannot be written: {reason}; make it writable "
                "or set another 'access.keys' in the configuration"
            ) from error
        self.refresh()

    def _read(self) -> _Content:
        try:
            if others_can_write(self.path):
                raise KeyFileError(
                    f"everyone may write to the file of API keys {self.path}, and so make a key: check "
                    f"what is in it, then `chmod 600 {self.path}`"
                )
            return msgspec.json.decode(self.path.read_bytes(), type=_Content)
        except FileNotFoundError:
            return _Content(keys=[])
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise KeyFileError(
                f"the file of API keys {self.path} cannot be read: {reason}; make it readable or "
                "set another 'access.keys' in the configuration"
            ) from error
        except msgspec.DecodeError as error:
            raise KeyFileError(
                f"{self.path} is no file of API keys; restore it, or remove it and create the keys "
                "again with `sttgate keys create`"
            ) from error

    def _write(self, content: _Content) -> None:
        data = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
        # mkstemp makes it for the owner's eyes only
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise

    def _stamp_of(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            import fcntl
        except ImportError:  # Windows: two people who edit keys at once are on their own
            yield
        else:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    finally:
        os.close(handle)
