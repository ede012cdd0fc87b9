"""Several processes that are one gateway: nobody can tell which of them serves, or that one died."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from sttgate.audio import AudioFormat, wav_header
from sttgate.protocols.native import PATH
from tests.faults.caller import Caller
from tests.faults.patience import until
from tests.faults.process import Server, Servers
from tests.faults.speech import check, count, pcm_of, speech, spell, text
from tests.faults.together import Together

pytestmark = pytest.mark.timeout(240)

NUMBERS = count(40)
SECTIONS: dict[str, Any] = {
    "server": {"port": 0, "workers": 2, "drain_timeout_s": 20.0},
    "access": {"required": True},
    "limits": {"sessions_per_address": 12},
}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    """A server with two workers; tests leave it with two that live."""
    server = Server(tmp_path_factory.mktemp("together") / "server", **SECTIONS)
    made = Together(server)
    server.launch()
    deadline = time.monotonic() + 120
    while not server.serves():
        assert server.running, server.said()
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.05)
    yield made
    server.put_away()


async def finish(caller: Caller, said: list[int]) -> None:
    """Stop, and see that every word came once."""
    await caller.send("stop")
    stopped = await caller.until("stopped")
    assert stopped["full_transcription"] == spell(said)
    check(caller.log, said)


async def stored(together: Together, worker: int, session_id: str) -> dict[str, Any]:
    """Return a session once it is stored to its end."""
    body: dict[str, Any] = {}
    async with together.http(worker) as http:

        async def look() -> bool:
            nonlocal body
            status, body = await http.ask("GET", f"/api/v1/sessions/{session_id}")
            return status == 200 and body["state"] != "active"

        await until(look, every=0.1)
    return body


async def test_what_another_worker_has(together: Together) -> None:
    """Through any worker a session can be watched, read, listed, changed; figures are those of all."""
    async with together.call(1, acks=0.1) as caller, together.http(2) as other:
        started = await caller.until("started")
        address = f"/api/v1/sessions/{started['session_id']}"
        seen: list[dict[str, Any]] = []

        async def watch() -> None:
            async with other.session.get(f"{address}/events") as events:
                assert events.status == 200
                async for line in events.content:
                    if line.startswith(b"data: "):
                        seen.append(json.loads(line[6:]))

        watching = asyncio.create_task(watch())
        await caller.speak(speech(NUMBERS), speed=4)
        async with together.http(2) as http:
            status, changed = await http.ask("PATCH", address, json={"metadata": {"color": "red"}})
            assert (status, changed["metadata"]) == (200, {"color": "red"})
            status, session = await http.ask("GET", address)
            assert (status, session["state"]) == (200, "active")
            _, listed = await http.ask("GET", "/api/v1/sessions")
            assert listed["sessions"][0]["state"] == "active"
            assert (await http.ask("DELETE", address))[0] == 409
            assert (await http.figures())["sttgate_sessions_active"] == 1
            assert (await http.ask("GET", "/api/v1/status"))[1]["sessions"]["live"] == 1
            assert (await http.ask("GET", "/readyz"))[1]["sessions"] == 1
        await finish(caller, NUMBERS)
        await watching
    transcripts = [e for e in seen if e.get("is_final")]
    assert " ".join(e["text"] for e in transcripts) == spell(NUMBERS)
    assert (await stored(together, 2, started["session_id"]))["metadata"] == {"color": "red"}


async def test_resuming_through_another_worker(together: Together) -> None:
    """A client that comes back to the wrong worker goes on as if it were the right one."""
    async with together.call(1, resumable=True, acks=0.1) as caller:
        started = await caller.until("started")
        await caller.speak(speech(NUMBERS[:20]), speed=4)
        await caller.fall_silent()
        resume = {"session_id": started["session_id"], "token": started["resume_token"]}
        resume["last_seq"] = caller.log[-1]["seq"]
        log = list(caller.log)
        async with together.call(2, resume=resume, acks=0.1) as again:
            resumed = await again.until("resumed")
            assert resumed["received_bytes"] == len(speech(NUMBERS[:20]))
            await caller.until_end()
            assert caller.socket.close_code == 4409
            await again.speak(speech(NUMBERS[20:]), speed=4)
            await again.send("stop")
            stopped = await again.until("stopped")
            assert stopped["full_transcription"] == spell(NUMBERS)
            check(log + again.log, NUMBERS)
            greetings = [event for event in again.others if event["event"] == "hello"]
            assert len(greetings) == 1
            async with together.call(2, resume=resume | {"token": "wrong"}) as stranger:
                error = await stranger.until("error")
                assert (error["code"], error["fatal"]) == ("session_not_found", True)
                await stranger.until_end()
                assert stranger.socket.close_code == 4404
    await stored(together, 2, started["session_id"])
    audio = f"/api/v1/sessions/{started['session_id']}/audio"
    async with together.http(2) as http, http.session.get(audio) as answer:
        assert pcm_of(await answer.read()) == speech(NUMBERS)


async def test_uploads(together: Together) -> None:
    """A file can be watched, and cancelled, through the worker that did not get it."""
    pcm = speech(NUMBERS)
    wav = wav_header(AudioFormat(), len(pcm)) + pcm
    headers = {"Content-Type": "audio/wav"}
    async with together.http(1) as one, together.http(2) as two:
        _, accepted = await one.ask("POST", "/api/v1/transcriptions", data=wav, headers=headers)
        async with two.session.get(f"/api/v1/transcriptions/{accepted['id']}/events") as events:
            said = (await events.text()).splitlines()
        assert "event: done" in said
        status, done = await two.ask("GET", f"/api/v1/transcriptions/{accepted['id']}")
        assert (status, done["state"], done["duration"]) == (200, "done", 4.0)
        assert (await stored(together, 2, accepted["id"]))["text"] == spell(NUMBERS)
        long = BytesIO(wav_header(AudioFormat(), 200 * len(pcm)) + 200 * pcm)
        _, accepted = await one.ask("POST", "/api/v1/transcriptions", data=long, headers=headers)
        address = f"/api/v1/transcriptions/{accepted['id']}"
        async with two.session.delete(address) as response:
            assert response.status == 204
        assert (await two.ask("GET", address))[0] == 404
        assert (await one.ask("GET", f"/api/v1/sessions/{accepted['id']}"))[0] == 404


async def test_tokens_and_keys(together: Together) -> None:
    """A token opens one socket, whoever is asked; a key counts and ends everywhere."""
    made, key = together.keys.create("two", ["transcribe", "read"], max_sessions=2)
    async with together.http(1, key=key) as first, together.http(2) as second:
        wanted = {"ttl_seconds": 60, "scopes": ["transcribe"]}
        status, token = await first.ask("POST", "/api/v1/tokens", json=wanted)
        assert status == 201
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Authorization": f"Bearer {token['token']}",
        }
        for http, expected in ((second, 101), (first, 401)):
            async with http.session.get(PATH, headers=upgrade) as response:
                assert response.status == expected
    async with AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(together.call(worker, key=key)) for worker in (1, 2)
        ]
        for caller in callers:
            await caller.until("started")
        third = await stack.enter_async_context(together.call(2, key=key))
        refused = await third.until("error")
        assert (refused["code"], "2 sessions" in refused["message"]) == ("capacity", True)
        assert together.keys.revoke(made.id) is not None
        for caller in (*callers, third):
            await caller.until_end()
            assert caller.socket.close_code == 4401


async def test_a_worker_that_is_killed(together: Together) -> None:
    """Its sessions are settled by its successor, nobody else notices, and its places are free."""
    _, key = together.keys.create("places", ["transcribe"], max_sessions=2)
    async with AsyncExitStack() as stack:
        stays = await stack.enter_async_context(together.call(2, key=key, acks=0.1))
        await stays.until("started")
        started = await (await stack.enter_async_context(together.call(1, resumable=True))).until(
            "started"
        )
        resume = {"session_id": started["session_id"], "token": started["resume_token"]}
        far = await stack.enter_async_context(together.call(2, resume=resume, acks=0.1))
        await far.until("resumed")
        far.begin_to_speak(speech(count(600)))
        async with together.call(1, key=key, acks=0.1) as lost:
            await lost.until("started")
            for caller in (stays, lost):
                await caller.speak(speech(NUMBERS[:20]), speed=4)
                await caller.fall_silent()
            await until(lambda: spell(NUMBERS[:20]) == text(lost.log))
            async with together.http(2) as http:
                before = await http.figures()
            before_pid = together.workers[1]
            os.kill(before_pid, signal.SIGKILL)
            for caller in (lost, far):
                await caller.until_end()
                assert caller.socket.close_code == 1006
            async with together.http(2) as http:
                during = await http.figures()
            await stays.speak(speech(NUMBERS[20:]), speed=4)
            await until(lambda: together.workers[1] != before_pid)
        async with together.call(1, key=key) as again:
            await again.until("started")
        await finish(stays, NUMBERS)
    end = await stored(together, 1, lost.session_id)
    assert end["state"] == "interrupted"
    assert end["text"] == spell(NUMBERS[:20])
    async with together.http(1) as http:
        after = await http.figures()
    for name, value in before.items():
        if name.partition("{")[0].endswith(("_total", "_count", "_sum", "_bucket")):
            assert value <= during[name] <= after[name], name
    assert '"worker_died"' in together.server.said()
    assert '"relay_failed"' not in together.server.said()
    assert "never retrieved" not in together.server.said()


async def test_reading_the_configuration_again(together: Together) -> None:
    """SIGHUP reaches every worker: a limit that was lowered holds, for all together."""
    server = together.server
    server.configure(**SECTIONS | {"limits": {"sessions_per_key": 1}})
    server.signal(signal.SIGHUP)
    await until(lambda: server.said().count('"config_reloaded"') >= 2)
    async with together.call(1) as first:
        await first.until("started")
        async with together.call(2) as second:
            assert (await second.until("error"))["code"] == "capacity"
    # With a mistake in it the workers there are go on, also when they were to be replaced.
    pids = together.workers
    server.configure(**SECTIONS | {"limits": {"sessions_per_kee": 1}})
    server.signal(signal.SIGUSR2)
    await until(lambda: '"restart_given_up"' in server.said())
    assert together.workers == pids
    server.configure(**SECTIONS)
    server.signal(signal.SIGHUP)
    await until(lambda: server.said().count('"config_reloaded"') >= 4)
    for worker in pids:
        async with together.call(worker) as caller:
            await caller.until("started")


async def test_replacing_the_workers(together: Together) -> None:
    """SIGUSR2 replaces one after the other; who speaks finishes, who can resume goes on elsewhere."""
    pids = together.workers
    async with AsyncExitStack() as stack:
        polite = await stack.enter_async_context(together.call(1, acks=0.1))
        other = await stack.enter_async_context(together.call(2, acks=0.1))
        moving = await stack.enter_async_context(together.call(2, resumable=True, acks=0.1))
        started = await moving.until("started")
        resume = {"session_id": started["session_id"], "token": started["resume_token"]}
        far = await stack.enter_async_context(together.call(1, resume=resume, acks=0.1))
        await far.until("resumed")
        for caller in (polite, other, far):
            await caller.speak(speech(NUMBERS), speed=4)
        together.server.signal(signal.SIGUSR2)
        for caller in (polite, far):
            await caller.until("goaway", timeout=60)
        async with together.http(2) as http:
            assert (await http.ask("GET", "/readyz"))[0] == 200
        near = await stack.enter_async_context(together.call(2, resume=resume, acks=0.1))
        await near.until("resumed")
        await far.until_end()
        await finish(polite, NUMBERS)
        for caller in (other, near):
            await caller.until("goaway", timeout=60)
            await finish(caller, NUMBERS)
    await until(lambda: '"workers_restarted"' in together.server.said())
    assert not set(together.workers.values()) & set(pids.values())
    async with together.call(1) as caller:
        await caller.speak(speech(NUMBERS), speed=None)
        await finish(caller, NUMBERS)


async def test_the_end(together: Together, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM, to all processes as systemd sends it, drains all of them; nothing is left."""
    server = together.server
    async with together.call(1, acks=0.1) as first, together.call(2, acks=0.1) as second:
        for caller in (first, second):
            await caller.until("started")
            await caller.speak(speech(NUMBERS), speed=4)
        for pid in (server.pid, *together.workers.values()):
            os.kill(pid, signal.SIGTERM)
        for caller in (first, second):
            await caller.until("goaway")
            await finish(caller, NUMBERS)
    assert await server.exited(60) == 0
    assert not any(server.spool.iterdir())
    # And once more: without its supervisor no worker goes on, and the last one cleans up.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    await server.start()
    async with together.call(1) as caller:
        await caller.speak(speech(NUMBERS), speed=None)
        await caller.until("transcript")
        pids = together.workers.values()
        await server.kill()
        await caller.until("goaway")
        await finish(caller, NUMBERS)
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert list(tmp_path.iterdir()) == []


async def test_an_address_that_is_taken(servers: Servers) -> None:
    """One sentence and exit code 1, also when another gateway shares it among workers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = servers(server={"port": port, "workers": 2})
        server.launch()
        assert await server.exited(60) == 1
    assert server.said().strip() == (
        f"sttgate: cannot listen on 127.0.0.1:{port}: address already in use; set another "
        "'server.port' in the configuration or use --port"
    )


async def test_a_worker_that_cannot_start(servers: Servers) -> None:
    """What keeps the first worker from starting is said once, with its exit code."""
    server = servers(server={"port": 0, "workers": 2})
    server.database.parent.mkdir()
    server.database.write_text("no database at all, but long enough to be taken for one" * 20)
    server.launch()
    assert await server.exited(60) == 1
    lines = [line for line in server.said().splitlines() if not line.startswith("{")]
    assert len(lines) == 1
    assert "is not an SQLite database" in lines[0]
