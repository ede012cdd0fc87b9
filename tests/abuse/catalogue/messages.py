"""Text messages that are no messages, and fields that are no values."""

from __future__ import annotations

import json

from tests.abuse.abuse import START, STOP, Abuse, Peer, checked, goes_on, socket, text


def refused(name: str, message: str | bytes, code: str, query: str = "?protocol=2") -> Abuse:
    """Return an abuse that is answered with an error of this code, after which all goes on."""

    async def act(port: int) -> None:
        peer = await (await Peer.connect(port)).upgrade(query)
        try:
            await peer.send(text(message))
            answer = json.loads(await peer.answer("error"))
            assert answer["code"] == code, answer
            assert len(answer["message"]) < 400, "the answer is as long as the question"
            await peer.send(START)
            await peer.answer("started")
            await peer.send(STOP)
            await peer.answer("stopped")
            checked(peer)
        finally:
            peer.leave()

    return Abuse(name, act)


def start(**fields: object) -> str:
    """Return a start with these fields."""
    return json.dumps({"event": "start", **fields})


async def _hidden(port: int) -> None:
    """Send nonsense in protocol 1, which shows every error to its user: it gets none."""
    peer = await (await Peer.connect(port)).upgrade("")
    try:
        for nonsense in ("", "x", "[]", "{}", '{"event":7}', '{"event":"dance"}', "\x00"):
            await peer.send(text(nonsense))
        await goes_on(peer)
        assert b'"error"' not in peer.received
        await peer.send(START + STOP)
        await peer.answer("stopped")
    finally:
        peer.leave()


def _same_after_start(name: str, message: str, code: str) -> Abuse:
    """Return an abuse in the midst of a session, which goes on."""

    async def act(port: int) -> None:
        peer = await (await Peer.connect(port)).upgrade()
        try:
            await peer.send(START)
            await peer.answer("started")
            await peer.send(text(message))
            assert json.loads(await peer.answer("error"))["code"] == code
            await peer.send(STOP)
            await peer.answer("stopped")
            checked(peer)
        finally:
            peer.leave()

    return Abuse(name, act)


BAD = "bad_request"
NO_JSON = "invalid_json"

ABUSES: list[Abuse] = [
    Abuse("nonsense in protocol 1", _hidden),
    refused("empty text", "", NO_JSON),
    refused("no JSON", "event=start", NO_JSON),
    refused("a list", '["start"]', NO_JSON),
    refused("a number", "1e400", NO_JSON),
    refused("null", "null", NO_JSON),
    refused("an object without event", '{"start": true}', NO_JSON),
    refused("an event that is a number", '{"event": 1}', NO_JSON),
    refused("an event that is an object", '{"event": {"event": "start"}}', NO_JSON),
    refused("half an object", '{"event":"start"', NO_JSON),
    refused("two objects", '{"event":"start"}{"event":"stop"}', NO_JSON),
    refused("a comment", '{"event":"start"} // now', NO_JSON),
    refused("single quotes", "{'event':'start'}", NO_JSON),
    refused("NaN", '{"event":"start","sample_rate":NaN}', NO_JSON),
    refused("a byte order mark", "\ufeff" + '{"event":"start"}', NO_JSON),
    refused("half a surrogate pair", '{"event":"\\ud800"}', NO_JSON),
    refused("NUL in an event", '{"event":"start\\u0000"}', BAD),
    refused("very deep", "[" * 30_000, NO_JSON),
    refused("very deep inside a field", '{"event":"start","metadata":' + '{"a":' * 9000 + "1" + "}" * 9001, NO_JSON),
    refused("longer than a text may be", start(title="x" * 70_000), NO_JSON),
    refused("a number of many digits", '{"event":"start","sample_rate":' + "9" * 5000 + "}", NO_JSON),
    refused("unknown event", '{"event":"dance"}', BAD),
    refused("event of 60 000 characters", json.dumps({"event": "x" * 60_000}), BAD),
    refused("markup as an event", '{"event":"<script>alert(1)</script>"}', BAD),
    refused("rate of words", start(sample_rate="fast"), BAD),
    refused("rate 0", start(sample_rate=0), BAD),
    refused("negative rate", start(sample_rate=-16000), BAD),
    refused("rate of a fraction", start(sample_rate=16000.5), BAD),
    refused("rate beyond all ears", start(sample_rate=10**9), BAD),
    refused("no channel", start(channels=0), BAD),
    refused("too many channels", start(channels=10_000), BAD),
    refused("channels as a list", start(channels=[1]), BAD),
    refused("unknown encoding", start(encoding="mp17"), BAD),
    refused("an encoding nobody decodes", start(encoding="alaw"), "unsupported_encoding"),
    refused("an encoding that is a path", start(encoding="../../etc/passwd"), BAD),
    refused("unknown provider", start(provider="nobody"), "unknown_provider"),
    refused("provider that is a path", start(provider="../../x"), "unknown_provider"),
    refused("provider that is a number", start(provider=5), BAD),
    refused("provider of many characters", start(provider="p" * 5000), BAD),
    refused("title of many characters", start(title="t" * 5000), BAD),
    refused("metadata that is a text", start(metadata="x"), BAD),
    refused("metadata in metadata", start(metadata={"a": {"b": 1}}), BAD),
    refused("too much metadata", start(metadata={str(n): "x" * 50 for n in range(200)}), BAD),
    refused("keyterms that are a text", start(keyterms="word"), BAD),
    refused("too many keyterms", start(keyterms=["x"] * 101), BAD),
    refused("an empty keyterm", start(keyterms=[""]), BAD),
    refused("negative pause", start(endpointing_ms=-1), BAD),
    refused("endless pause", start(endpointing_ms=10**12), BAD),
    refused("pause that is true", start(endpointing_ms=True), BAD),
    refused("acknowledgements without pause", start(acks=0), BAD),
    refused("acknowledgements never", start(acks=-1), BAD),
    refused("protocol 9", start(protocol=9), BAD),
    refused("store that is a text", start(store="yes"), BAD),
    refused("resume that is true", start(resume=True), BAD),
    refused("resume without a token", start(resume={"session_id": "x"}), BAD),
    refused("resume from before the beginning", start(resume={"session_id": "x", "token": "y", "last_seq": -1}), BAD),
    _same_after_start("id that is a list", '{"event":"finalize","id":[1]}', BAD),
    _same_after_start("label that is a number", '{"event":"mark","label":1}', BAD),
    _same_after_start("label of many characters", json.dumps({"event": "mark", "label": "x" * 300}), BAD),
    _same_after_start("metadata event that is a list", '{"event":"metadata","metadata":[]}', BAD),
    _same_after_start("metadata without metadata", '{"event":"metadata"}', BAD),
    _same_after_start("metadata that grows without end", json.dumps({"event": "metadata", "metadata": {"x": "y" * 5000}}), BAD),
    socket("questions without end, answers unread", *[text('{"event":"ping","id":1}')] * 3000),
    socket("metadata without end", START, *[text('{"event":"metadata","metadata":{"a":1}}')] * 2000),
    socket("marks without end", START, *[text('{"event":"mark","label":"here"}')] * 2000),
]  # fmt: skip
