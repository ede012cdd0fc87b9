"""Right messages at the wrong time."""

from __future__ import annotations

import json
import uuid

from sttgate.testing import tone
from tests.abuse.abuse import START, STOP, Abuse, Peer, checked, goes_on, masked, socket, text
from tests.abuse.catalogue.messages import refused, start

SPEECH = masked(2, tone(0.5))


def _ends_well(name: str, *sent: bytes) -> Abuse:
    """Return an abuse after which a session still ends with what it heard."""

    async def act(port: int) -> None:
        peer = await (await Peer.connect(port)).upgrade()
        try:
            for data in sent:
                await peer.send(data)
            await peer.answer("stopped")
            await peer.send(START)
            await peer.answer("started")
            checked(peer)
        finally:
            peer.leave()

    return Abuse(name, act)


async def _no_session(port: int) -> None:
    """Send hours of audio without a session: it is dropped."""
    peer = await (await Peer.connect(port)).upgrade()
    try:
        for _ in range(100):
            await peer.send(masked(2, bytes(65_536)))
        await goes_on(peer)
    finally:
        peer.leave()


async def _leave_at_once(port: int) -> None:
    """Start and be gone before the answer."""
    for _ in range(20):
        peer = await (await Peer.connect(port)).upgrade()
        await peer.send(START)
        peer.leave()


async def _steal(port: int) -> None:
    """Guess the token of a running session."""
    owner = await (await Peer.connect(port)).upgrade()
    thief = await (await Peer.connect(port)).upgrade()
    try:
        await owner.send(text(start(resumable=True)))
        session = json.loads(await owner.answer("started"))["session_id"]
        for token in ("", "x", "0" * 43, "\x00"):
            resume = {"session_id": session, "token": token, "last_seq": 0}
            await thief.send(text(start(resume=resume)))
            assert json.loads(await thief.answer("error"))["code"] == "session_not_found"
            thief.leave()
            thief = await (await Peer.connect(port)).upgrade()
        await goes_on(owner)
    finally:
        owner.leave()
        thief.leave()


NOBODY = {"session_id": str(uuid.uuid4()), "token": "x" * 43, "last_seq": 0}

ABUSES: list[Abuse] = [
    refused("finalize before start", '{"event":"finalize"}', "bad_request"),
    refused("pause before start", '{"event":"pause"}', "bad_request"),
    refused("mark before start", '{"event":"mark","label":"x"}', "bad_request"),
    refused("metadata before start", '{"event":"metadata","metadata":{}}', "bad_request"),
    socket("stop before start", STOP, STOP, STOP),
    socket("start in a start", START, START, START),
    socket("starts without end", *[START] * 500),
    socket("resume of nobody", text(start(resume=NOBODY)), closes=(4404,)),
    socket("resume of a path", text(start(resume=NOBODY | {"session_id": "../../etc"})), closes=(4404,)),
    socket("resume from the future", START, text(start(resume=NOBODY | {"last_seq": 2**62}))),
    _ends_well("stop twice", START, SPEECH, STOP, STOP),
    _ends_well("audio after stop", START, SPEECH, STOP, SPEECH, SPEECH),
    _ends_well("start and stop in one breath", START, STOP),
    _ends_well("pause twice", START, *[text('{"event":"pause"}')] * 2, SPEECH, STOP),
    _ends_well("unpause without pause", START, text('{"event":"unpause"}'), SPEECH, STOP),
    _ends_well("stop while paused", START, SPEECH, text('{"event":"pause"}'), STOP),
    _ends_well("finalize without audio", START, text('{"event":"finalize","id":1}'), STOP),
    _ends_well("finalize without end", START, *[text('{"event":"finalize","id":1}')] * 300, SPEECH, STOP),
    _ends_well("finalize after stop", START, SPEECH, STOP, text('{"event":"finalize"}')),
    _ends_well("discard", START, SPEECH, text('{"event":"stop","discard":true}')),
    _ends_well("discard that is a text", START, SPEECH, text('{"event":"stop","discard":"yes"}')),
    Abuse("audio without a session", _no_session),
    Abuse("gone before the answer", _leave_at_once),
    Abuse("guessed tokens", _steal),
]  # fmt: skip
