"""What a key may do, and whose sessions it sees: over every operation the document names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sttgate.access.principal import SCOPES
from tests.api.service import Serve, Service

MARKER = "xylophone"  # what only Ann's session has
ANN = "anns-session"
BODIES: dict[str, Any] = {"PATCH": {"title": "changed"}, "POST": {}}


@pytest.fixture
async def api(serve: Serve) -> Service:
    """Return an API where everybody needs a key."""
    return await serve(keys=True)


def operations(api: Service) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, address and description of every operation; what deletes comes last."""
    found = [
        (method.upper(), path.replace("{id}", ANN), described)
        for path, methods in api.document["paths"].items()
        for method, described in methods.items()
    ]
    return iter(sorted(found, key=lambda each: each[0] == "DELETE"))


def scope_of(described: dict[str, Any]) -> str | None:
    """Return the scope an operation needs by the document."""
    return described["security"][0]["key"][0] if "security" in described else None


async def anns(api: Service) -> str:
    """Store a session with a recording for a key, and return the key."""
    owner, key = api.create_key("read", "transcribe", "delete")
    await api.store(
        MARKER,
        session_id=ANN,
        owner=owner,
        title=MARKER,
        metadata={"room": MARKER},
        pcm=[[1]] * 100,
    )
    return key


async def test_nobody_without_a_key(api: Service) -> None:
    """Every operation that needs a scope asks for a key, whether what it is about exists or not."""
    await anns(api)
    for method, path, described in operations(api):
        if scope_of(described) is None:
            continue
        for sent in ("", "stt_000000000000_wrong"):
            answer = await api.request(method, path, key=sent, json=BODIES.get(method))
            answer.assert_problem(401, "unauthorized")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_nothing_without_the_scope(api: Service) -> None:
    """A key with all other scopes but the one an operation needs is refused."""
    await anns(api)
    for method, path, described in operations(api):
        if (scope := scope_of(described)) is None:
            continue
        _, key = api.create_key(*(one for one in SCOPES if one not in (scope, "admin")))
        answer = await api.request(method, path, key=key, json=BODIES.get(method))
        answer.assert_problem(403, "forbidden")


async def test_others_sessions_do_not_exist(api: Service) -> None:
    """To any other key a session is not there: not a 403, no word of it, and nothing is changed."""
    await anns(api)
    _, bob = api.create_key("read", "transcribe", "delete")
    for method, path, described in operations(api):
        answer = await api.request(method, path, key=bob, json=BODIES.get(method))
        assert MARKER.encode() not in answer.body, path
        if scope_of(described) == "admin":
            answer.assert_problem(403, "forbidden")
        elif ANN in path:
            problem = answer.assert_problem(404, "not_found")
            nobody = await api.request(
                method, path.replace(ANN, "nobody"), key=bob, json=BODIES.get(method)
            )
            assert nobody.json() == problem
    for query in (f"q={MARKER}", f"metadata.room={MARKER}", "state=completed", "limit=200"):
        assert (await api.get(f"/sessions?{query}", key=bob))["sessions"] == []
    assert (await api.get(f"/sessions/{ANN}"))["title"] == MARKER
    assert await api.gateway.recordings.find(ANN) is not None


async def test_own_sessions_do(api: Service) -> None:
    """The key that opened a session can do everything with it that its scopes allow."""
    key = await anns(api)
    [listed] = (await api.get("/sessions", key=key))["sessions"]
    assert listed["id"] == ANN
    for method, path, described in operations(api):
        if f"/sessions/{ANN}" in path and scope_of(described) != "admin":
            answer = await api.request(method, path, key=key, json=BODIES.get(method))
            if path.endswith("/events"):  # it does not run
                assert answer.status == 404
            else:
                assert answer.status in (200, 204), (method, path, answer.body)
    assert (await api.get("/sessions", key=key))["sessions"] == []


async def test_admin_sees_all(api: Service) -> None:
    """A key with ``admin`` sees the sessions of all, and those that are nobody's."""
    await anns(api)
    await api.store("hello", session_id="nobodys")
    listed = (await api.get("/sessions"))["sessions"]
    assert {session["id"] for session in listed} == {ANN, "nobodys"}
    _, bob = api.create_key("read")
    answer = await api.request("GET", "/sessions/nobodys", key=bob)
    answer.assert_problem(404, "not_found")


async def test_recording_without_a_transcript(api: Service) -> None:
    """A recording of which nothing else is known is for ``admin`` only: nobody knows whose it is."""
    await api.record("alone", [[0]] * 100)
    _, bob = api.create_key("read", "delete")
    for method, path in (("GET", "/audio"), ("GET", "/peaks"), ("DELETE", "")):
        answer = await api.request(method, f"/sessions/alone{path}", key=bob)
        answer.assert_problem(404, "not_found")
    assert (await api.request("GET", "/sessions/alone/audio")).status == 200


async def test_session_that_runs(api: Service) -> None:
    """A session that runs is its owner's before anything of it is stored: others get no conflict."""
    owner, key = api.create_key("delete")
    _, bob = api.create_key("delete")
    session = await api.open("runs", owner)
    await api.gateway.transcripts.delete("runs")
    answer = await api.request("DELETE", "/sessions/runs", key=bob)
    answer.assert_problem(404, "not_found")
    answer = await api.request("DELETE", "/sessions/runs", key=key)
    answer.assert_problem(409, "conflict")
    session.stop(discard=True)


async def test_token_in_the_address(api: Service) -> None:
    """A page that cannot set a header may show a token in the address; a key there is no key."""
    key = await anns(api)
    made = await api.request("POST", "/tokens", key=key, json={"scopes": ["read"]})
    token = made.json()["token"]
    answer = await api.request("GET", f"/sessions/{ANN}/audio?token={token}", key="")
    assert answer.status == 200
    answer = await api.request("GET", f"/sessions?token={api.key}", key="")
    answer.assert_problem(401, "unauthorized")
