"""Any interleaving of audio, finalize, pause, failures and lost sockets; in virtual time."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate.app import create_app
from sttgate.client import GatewayClient, connect
from sttgate.session import entries
from sttgate.session.entries import AnyEntry
from tests.faults.patience import until
from tests.faults.promises import Report
from tests.faults.proxy import FaultProxy
from tests.faults.sessions import parrot
from tests.faults.speech import check, count, finals, pcm_of, plain, speech, spell, text
from tests.faults.virtual import run_virtually
from tests.session.engines import build_house

EXAMPLES = int(os.environ.get("FAULTS_EXAMPLES", "60"))
UNIT = 320  # bytes: 10 ms
SPEECH = speech(count(2000))

Step = tuple[Any, ...]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 300), st.sampled_from([0.0, 0.0, 0.01, 0.3, 2.0])),
        st.tuples(st.just("finalize")),
        st.tuples(st.just("pause")),
        st.tuples(st.just("unpause")),
        st.tuples(st.just("cut"), st.sampled_from(["reset", "fin"])),
        st.tuples(st.just("down"), st.sampled_from(["refuse", "blackhole", "freeze", "half_open"])),
    ),
    min_size=3,
    max_size=25,
)
faults = st.lists(
    st.fixed_dictionaries(
        {
            "point": st.sampled_from(
                ["connect", "first", "middle", "before_final", "after_final", "finalize", "end"]
            ),
            "kind": st.sampled_from(["break", "raise", "cancel", "return", "mute", "deaf"]),
            "words": st.integers(0, 30),
        }
    ),
    max_size=2,
)


class Talk:
    """One session through a proxy: what was sent, what of it counts, and what was seen."""

    def __init__(self, client: GatewayClient, proxy: FaultProxy) -> None:
        self.accepted = bytearray()
        self.seen: list[AnyEntry] = []
        self._client = client
        self._proxy = proxy
        self._sent = 0
        self._paused = False

    async def listen(self) -> None:
        async for entry in self._client.events():
            self.seen.append(entry)

    async def speak(self, script: list[Step]) -> None:
        await until(lambda: self.seen)  # what resumes a session comes with its first event
        for name, *values in script:
            await getattr(self, f"_{name}")(*values)
        await self._client.stop()

    async def _say(self, units: int, wait: float) -> None:
        piece = SPEECH[self._sent : self._sent + units * UNIT]
        self._sent += len(piece)
        if not self._paused:
            self.accepted += piece
        await self._client.send(piece)
        await asyncio.sleep(wait)

    async def _finalize(self) -> None:
        await self._client.event("finalize", id=len(self.seen))

    async def _pause(self) -> None:
        await self._until(entries.Paused, "pause")
        self._paused = True

    async def _unpause(self) -> None:
        await self._until(entries.Unpaused, "unpause")
        self._paused = False

    async def _cut(self, how: Any) -> None:
        self._proxy.cut(how)
        await asyncio.sleep(0)

    async def _down(self, how: Any) -> None:
        if how == "refuse":
            self._proxy.set(refuse=True)
            self._proxy.cut()
        else:
            self._proxy.set(how)
        await asyncio.sleep(4.0)
        self._proxy.set()
        # What a black hole took is missing in the middle, so such a connection is of no more use.
        self._proxy.cut()

    async def _until(self, kind: type[AnyEntry], event: str) -> None:
        """Send an event until it is answered, since it may be lost with its connection."""
        before = sum(isinstance(entry, kind) for entry in self.seen)
        while sum(isinstance(entry, kind) for entry in self.seen) == before:
            await self._client.event(event)
            for _ in range(20):
                await asyncio.sleep(0.1)
                if sum(isinstance(entry, kind) for entry in self.seen) > before:
                    return


async def talk(folder: Path, script: list[Step], trouble: list[dict[str, Any]]) -> int:
    """Have a session and check it; return how often its socket was lost."""
    provider = parrot(faults=trouble)
    house = build_house(folder, provider)
    async with TestServer(create_app(house.gateway)) as server:
        assert server.port is not None
        async with FaultProxy(server.port) as proxy, connect(proxy.url, words=True) as client:
            talk = Talk(client, proxy)
            async with asyncio.timeout(2000), asyncio.TaskGroup() as tasks:
                tasks.create_task(talk.listen())
                tasks.create_task(talk.speak(script))
            await until(lambda: not house.gateway.sessions, every=1.0)
    said = plain(talk.seen)
    check(said)
    samples = np.frombuffer(talk.accepted, "<i2")
    assert text(said) == spell(-samples[samples < 0])
    assert not [m for m in said if m["event"] in ("gap", "error")]
    stopped = said[-1]
    assert stopped["duration_s"] == round(len(talk.accepted) / 32000, 3)
    if talk.accepted:
        [recording] = house.recordings.files.values()
        assert pcm_of(recording) == talk.accepted
        stored = await house.transcripts.get(stopped["session_id"])
        assert stored is not None
        assert stored.text == text(said)
        assert [u.number for u in stored.utterances] == sorted(
            {m["utterance_id"] for m in finals(said) if m["text"]}
        )
    return client.resumes


@pytest.mark.promise("P1", "P2", "P11")
@pytest.mark.timeout(60 + 3 * EXAMPLES)
def test_whatever_happens_the_session_is_that_of_an_undisturbed_run(measure: Report) -> None:
    """Text, recording and order do not depend on what fails in between, nor does the store."""
    resumes = []

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=False)
    @given(script=steps, trouble=faults)
    def holds(script: list[Step], trouble: list[dict[str, Any]]) -> None:
        with TemporaryDirectory() as folder:
            resumes.append(run_virtually(talk(Path(folder), script, trouble)))

    holds()
    measure.say(
        "P11",
        f"{EXAMPLES} random interleavings with {sum(resumes)} resumed connections: every session "
        "as if undisturbed (virtual time)",
    )
    measure.say("P2", f"{EXAMPLES} random interleavings: seq, order and durations exact")
