"""The file of API keys."""

from __future__ import annotations

import ast
import math
import os
import re
import threading
import time
from pathlib import Path

import pytest

from sttgate.access.keys import KeyFile, KeyFileError
from tests.docs.pages import ROOT


def test_the_file_has_no_key(tmp_path: Path) -> None:
    """Who reads the file, which only its owner can, learns no key."""
    path = tmp_path / "data" / "keys.json"
    key, presented = KeyFile(path).create("somebody", ["read"])
    assert presented.startswith(f"stt_{key.id}_")
    assert presented.removeprefix(f"stt_{key.id}_") not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_file_open_to_all(tmp_path: Path) -> None:
    """A file to which everyone may add a key counts for nothing, and is told with what to do."""
    file = KeyFile(tmp_path / "keys.json")
    _, presented = file.create("somebody", ["read"])
    file.path.chmod(0o606)
    later = KeyFile(file.path)
    with pytest.raises(KeyFileError, match="chmod 600"):
        later.refresh()
    assert later.find(presented) is None
    file.path.chmod(0o600)
    later.refresh()
    assert later.find(presented) is not None


def test_a_key_is_found(tmp_path: Path) -> None:
    """A key is known at once to whoever knows the file, with its scopes and its limit."""
    reader = KeyFile(tmp_path / "keys.json")
    KeyFile(tmp_path / "keys.json").create("other", ["admin"])
    assert reader.refresh()
    key, presented = KeyFile(tmp_path / "keys.json").create("me", ["read", "delete"], None, 3)
    found = reader.find(presented)
    assert found == key
    assert found is not None
    principal = found.principal
    assert (principal.id, principal.max_sessions) == (key.id, 3)
    assert [principal.may("read"), principal.may("delete"), principal.may("transcribe")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("change", ["", "x", "longer", "other id", "no id"])
def test_a_wrong_key_is_not_found(tmp_path: Path, change: str) -> None:
    """Whatever is not exactly a key is none."""
    file = KeyFile(tmp_path / "keys.json")
    key, presented = file.create("me", ["read"])
    other, _ = file.create("other", ["read"])
    wrong = {
        "": "",
        "x": presented[:-1] + ("x" if presented[-1] != "x" else "y"),
        "longer": presented + "x",
        "other id": presented.replace(key.id, other.id),
        "no id": "stt_",
    }[change]
    assert file.find(presented) is not None
    assert file.find(wrong) is None


def test_the_time_of_an_answer_tells_nothing(tmp_path: Path) -> None:
    """A wrong key takes as long whether its id exists or not, and however much of it is right."""
    file = KeyFile(tmp_path / "keys.json")
    key, presented = file.create("me", ["read"])
    tries = {
        "unknown id": presented.replace(key.id, "0" * len(key.id)),
        "all wrong": f"stt_{key.id}_{'x' * (len(presented) - len(key.id) - 5)}",
        "last one wrong": presented[:-1] + ("x" if presented[-1] != "x" else "y"),
    }
    assert len({len(wrong) for wrong in tries.values()}) == 1
    best = {name: math.inf for name in tries}
    for _ in range(100):  # in turns, so that whatever else the machine does hits all of them
        for name, wrong in tries.items():
            began = time.perf_counter()
            for _ in range(100):
                file.find(wrong)
            best[name] = min(best[name], time.perf_counter() - began)
    assert max(best.values()) < 1.5 * min(best.values()), best


def test_secrets_are_compared_in_constant_time() -> None:
    """No module compares a secret, a token or a digest with an operator that stops early."""
    secret = re.compile(r"\w*(?:digest|sha256|secret|token|hash|presented|password)")
    found = []
    for path in sorted((ROOT / "sttgate").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Compare):
                continue
            if not isinstance(node.ops[0], ast.Eq | ast.NotEq):
                continue
            sides = (node.left, *node.comparators)
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            names = [ast.unparse(side).rpartition(".")[2] for side in sides]
            found += [
                f"{path.name}: {ast.unparse(node)}" for name in names if secret.fullmatch(name)
            ]
    assert found == []


def test_a_revoked_key_is_not_found(tmp_path: Path) -> None:
    """Once revoked a key is no good, and revoking it again changes nothing."""
    file = KeyFile(tmp_path / "keys.json")
    key, presented = file.create("me", ["read"])
    revoked = file.revoke(key.id)
    assert revoked is not None
    assert file.find(presented) is None
    assert file.revoke(key.id) == revoked
    assert file.revoke("unknown") is None


def test_an_expired_key_is_not_found(tmp_path: Path) -> None:
    """A key ends when it says."""
    file = KeyFile(tmp_path / "keys.json")
    _, over = file.create("me", ["read"], expires_at=time.time() - 1)
    _, valid = file.create("me", ["read"], expires_at=time.time() + 60)
    assert file.find(over) is None
    assert file.find(valid) is not None


def test_changes_at_the_same_time(tmp_path: Path) -> None:
    """Of several who make keys at once, each key is kept."""
    path = tmp_path / "keys.json"

    def make() -> None:
        for _ in range(5):
            KeyFile(path).create("me", ["read"])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file = KeyFile(path)
    file.refresh()
    assert len(list(file)) == 20
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".tmp")] == []


@pytest.mark.parametrize("content", [b"", b"these are my notes", b'{"keys": [{"id": 3}]}'])
def test_a_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    """A file of something else is named, and left as it is."""
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    file = KeyFile(path)
    with pytest.raises(KeyFileError, match=r"keys\.json"):
        file.refresh()
    with pytest.raises(KeyFileError, match="sttgate keys create"):
        file.create("me", ["read"])
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A place where no file can be is named with the key that sets another."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(KeyFileError, match=r"access\.keys"):
        KeyFile(tmp_path / "file" / "keys.json").create("me", ["read"])
