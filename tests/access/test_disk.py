"""What a gateway leaves on disk, and for whom."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from sttgate.operations import process
from sttgate.protocols.native import PATH
from tests.cli.commands import configure, run, serve
from tests.gateways import receive_until

SAID = "zanzibar quicksilver"
WORD = b"zanzibar"
SECOND = random.Random(7).randbytes(32_000)  # a second of sound like no other
OURS = ("data", "recordings")


@dataclass(frozen=True)
class House:
    """A gateway that runs, its folder, and a key that may do everything."""

    folder: Path
    url: str
    pid: int
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """Return what shows the key."""
        return {"Authorization": f"Bearer {self.key}"}

    async def speak(self, name: str, sound: bytes, **start: object) -> dict[str, Any]:
        """Have a session in which everything there is to find was said; return its end."""
        fields = {"title": name, "client_ref": name, "metadata": {"room": name}}
        async with (
            ClientSession(self.url, headers=self.headers) as http,
            http.ws_connect(f"{PATH}?protocol=2") as socket,
        ):
            await socket.send_json({"event": "start", **fields, **start})
            for _ in range(4):
                await socket.send_bytes(sound)
            await socket.send_json({"event": "mark", "label": name})
            await socket.send_json({"event": "stop"})
            return (await receive_until(socket, "stopped"))[-1]

    async def spool_is_empty(self, but: int = 0) -> None:
        """Return once no session is in the spool, ``but`` for some that run."""
        spool = self.folder / "data" / "spool"
        async with asyncio.timeout(20):
            while len(list(spool.iterdir())) > but:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    def files(self) -> Iterator[Path]:
        """Yield everything the gateway has made."""
        for name in OURS:
            yield from (self.folder / name).rglob("*")

    def traces(self, *marks: bytes) -> Counter[bytes]:
        """Count how often each of ``marks`` can be found in all there is."""
        found: Counter[bytes] = Counter()
        for path in self.files():
            try:
                content = path.read_bytes()
            except (FileNotFoundError, IsADirectoryError):
                continue
            found.update({mark: content.count(mark) for mark in marks if mark in content})
        return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return a gateway in a process of its own."""
    folder = tmp_path_factory.mktemp("house")
    configure(
        folder,
        access={"required": True},
        providers={"echo": {"script": [SAID], "words_per_second": 2}},
        uploads={"path": "data/uploads"},
    )
    made = run(folder, "keys", "create", "all", "--scope", "admin")
    assert made.code == 0, made.err
    with serve(folder) as (running, url):
        yield House(folder, url, running.process.pid, made.out.strip())


async def test_for_the_owner_only(house: House) -> None:
    """Every file and folder the gateway makes is for its owner only: keys, secret, words and sound."""
    async with (
        ClientSession(house.url, headers=house.headers) as http,
        http.ws_connect(f"{PATH}?protocol=2") as socket,
    ):
        await socket.send_json({"event": "start"})
        await socket.send_bytes(SECOND)
        await receive_until(socket, "started")
        form = {"Content-Type": "audio/l16"}
        async with http.post("/api/v1/transcriptions", data=SECOND, headers=form) as response:
            await response.read()
        stopped = await house.speak("quokka", SECOND)
        await house.spool_is_empty(but=1)
        made = {path: stat.S_IMODE(path.stat().st_mode) for path in house.files()}
    names = {path.name for path in made}
    assert {"keys.json", "access.secret", "sttgate.db", "spool", "uploads"} <= names
    assert f"{stopped['session_id']}.wav" in names
    open_to_others = {path: oct(mode) for path, mode in made.items() if mode & 0o077}
    assert open_to_others == {}


async def test_not_to_be_stored(house: House) -> None:
    """A session that nothing of may be stored leaves nothing: not in the spool, not in the stores."""
    sound = random.Random(8).randbytes(32_000)
    before = house.traces(WORD)
    stopped = await house.speak("walrus", sound, store=False)
    assert SAID in stopped["full_transcription"]
    assert stopped["stored"] == {"transcript": False, "audio": False}
    await house.spool_is_empty()
    assert house.traces(WORD) <= before
    assert not house.traces(b"walrus", sound[1000:1064], stopped["session_id"].encode())
    assert stopped["session_id"] not in {path.stem for path in house.files()}


async def test_deleted(house: House) -> None:
    """What is deleted is gone from the database and its index, its log, the recordings and the spool."""
    sound = random.Random(9).randbytes(32_000)
    marks = (WORD, b"xylophone", sound[1000:1064])
    stopped = await house.speak("xylophone", sound)
    await house.spool_is_empty()
    assert set(house.traces(*marks)) == set(marks)
    async with ClientSession(house.url, headers=house.headers) as http:
        async with http.get("/api/v1/sessions?limit=200") as response:
            found = [session["id"] for session in (await response.json())["sessions"]]
        assert stopped["session_id"] in found
        for session_id in found:
            async with http.delete(f"/api/v1/sessions/{session_id}") as response:
                assert response.status == 204
        async with http.get(f"/api/v1/sessions?q={WORD.decode()}") as response:
            assert (await response.json())["sessions"] == []
    assert stopped["session_id"] not in {path.stem for path in house.files()}
    async with asyncio.timeout(30):
        while house.traces(*marks):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
async def test_process(house: House) -> None:
    """The process writes no core file, makes private files, and has descriptors for all it may serve."""
    status = Path(f"/proc/{house.pid}/status").read_text("ascii")
    assert "Umask:\t0077" in status
    limits = Path(f"/proc/{house.pid}/limits").read_text("ascii").splitlines()
    of = {line[:25].strip(): line[25:].split() for line in limits}
    assert of["Max core file size"][:2] == ["0", "0"]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4000 + 1000 * 4
    assert int(of["Max open files"][0]) >= (min(wanted, hard) if hard > 0 else wanted)


def test_few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system allows fewer than may be needed, that is said; a limit is never lowered."""
    before = os.umask(0o022)
    set_to: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64, 128))
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: set_to.append(limit))
    try:
        with capture_logs() as logged:
            process.prepare_process(1000, 20)
        assert [entry["event"] for entry in logged] == ["few_descriptors"]
        assert (resource.RLIMIT_NOFILE, (128, 128)) in set_to
        monkeypatch.setattr(resource, "getrlimit", lambda kind: (5000, 5000))
        set_to.clear()
        with capture_logs() as logged:
            process.prepare_process(10, None)
        assert logged == []
        assert [kind for kind, _ in set_to] == [resource.RLIMIT_CORE]
    finally:
        os.umask(before)
