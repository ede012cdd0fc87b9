"""Sessions over REST: list, search, read, change, delete."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from sttgate.stores import Gap, Mark, SessionEnd
from tests.api.service import CREATED_AT, Service, eventually


async def ids(api: Service, query: str = "") -> list[str]:
    """Return the ids of the sessions that a query lists."""
    return [session["id"] for session in (await api.get(f"/sessions{query}"))["sessions"]]


class TestList:
    async def test_empty(self, api: Service) -> None:
        """Before the first session there is an empty page and no next one."""
        assert await api.get("/sessions") == {"sessions": [], "next_cursor": None}

    async def test_summary(self, api: Service) -> None:
        """A session is told without its utterances, with times a program can read."""
        await api.store("hello there", "good bye", title="greeting", metadata={"room": "7"})
        [session] = (await api.get("/sessions"))["sessions"]
        assert session == {
            "id": "session-1",
            "title": "greeting",
            "state": "completed",
            "reason": "client",
            "created_at": "2026-11-25T09:46:41.250Z",
            "ended_at": "2026-11-25T09:47:40.250Z",
            "duration": 2.0,
            "protocol": "native/2",
            "provider": None,
            "model": None,
            "language": None,
            "sample_rate": 16000,
            "channels": 1,
            "recording": False,
            "live": False,
            "utterances": 2,
            "words": 4,
            "preview": session["preview"],
            "client_ref": None,
            "metadata": {"room": "7"},
            "speakers": {},
        }
        assert session["preview"].startswith("hello there")

    async def test_pages(self, api: Service) -> None:
        """Pages follow each other by cursor, newest first, without a gap."""
        for _ in range(5):
            await api.store("hello")
        page = await api.get("/sessions?limit=2")
        listed = [session["id"] for session in page["sessions"]]
        while page["next_cursor"]:
            page = await api.get(f"/sessions?limit=2&cursor={page['next_cursor']}")
            listed += [session["id"] for session in page["sessions"]]
        assert listed == [f"session-{number}" for number in (5, 4, 3, 2, 1)]

    async def test_filters(self, api: Service) -> None:
        """Each filter keeps the sessions it is about, and several keep what all of them keep."""
        await api.store("a", provider="deepgram", language="en", created_at=CREATED_AT)
        await api.store("b", provider="echo", language="de", created_at=CREATED_AT + 86_400)
        await api.store("c", provider="echo", ended=False, created_at=CREATED_AT + 2 * 86_400)
        assert await ids(api, "?provider=echo") == ["session-3", "session-2"]
        assert await ids(api, "?language=en") == ["session-1"]
        assert await ids(api, "?state=active") == ["session-3"]
        assert await ids(api, "?provider=echo&state=completed") == ["session-2"]
        assert await ids(api, "?from=2026-11-26") == ["session-3", "session-2"]
        assert await ids(api, "?to=2026-11-26") == ["session-1"]
        assert await ids(api, "?to=2026-11-25T09:46:40.250Z") == []
        assert await ids(api, "?from=2026-11-25T10:46:40.250%2B01:00&to=2026-11-26") == [
            "session-1"
        ]
        assert await ids(api, "?provider=&language=&state=&q=&limit=") == [
            f"session-{number}" for number in (3, 2, 1)
        ]

    async def test_metadata(self, api: Service) -> None:
        """A session is found by texts of its metadata, whatever characters are in the key."""
        await api.store("a", metadata={"room": "7", "a.b c": "x&y"})
        await api.store("b", metadata={"room": "8"})
        assert await ids(api, "?metadata.room=7") == ["session-1"]
        assert await ids(api, "?metadata.room=7&metadata.a.b%20c=x%26y") == ["session-1"]
        assert await ids(api, "?metadata.room=7&metadata.a.b%20c=other") == []
        assert await ids(api, "?metadata.room=") == []

    async def test_search(self, api: Service) -> None:
        """A search gives the utterances that were meant, the words in pieces and never as markup."""
        await api.store("nothing here", "the <b>invoice</b> is paid")
        await api.store("something else")
        [found] = (await api.get("/sessions?q=invoice"))["sessions"]
        [hit] = found["hits"]
        assert (found["id"], hit["utterance"], hit["start"]) == ("session-1", 2, 1.0)
        assert "".join(part["text"] for part in hit["snippet"]) == "the <b>invoice</b> is paid"
        assert [part["text"] for part in hit["snippet"] if part["hit"]] == ["invoice"]

    @pytest.mark.parametrize(
        "text",
        [
            '"',
            "NOT a",
            "a OR b",
            "text:a",
            "a*b(",
            "{a b}: c",
            "^a",
            "'; DROP TABLE sessions--",
            "\0",
        ],
    )
    async def test_search_is_no_syntax(self, api: Service, text: str) -> None:
        """Whatever people type is looked for as words, and finds nothing where it was not said."""
        await api.store("hello")
        answer = await api.request("GET", "/sessions", params={"q": text})
        assert answer.json()["sessions"] == []

    @pytest.mark.parametrize(
        ("query", "where"),
        [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=many", "limit"),
            ("from=yesterday", "from"),
            ("from=2026-02-30", "from"),
            ("to=20261126", "to"),
            ("to=2026-11-26T03:34:03", "to"),
            ("state=gone", "state"),
            ("since=2026-11-26", "since"),
            ("colour=red", "colour"),
            ("metadata=room", "metadata"),
            ("metadata.=room", "metadata."),
            (f"q={'a' * 1001}", "q"),
            ("&".join(f"metadata.k{n}=v" for n in range(17)), "metadata"),
        ],
    )
    async def test_wrong_value(self, api: Service, query: str, where: str) -> None:
        """A value that is not valid is refused, with the parameter it was."""
        answer = await api.request("GET", f"/sessions?{query}")
        problem = answer.assert_problem(400, "bad_request")
        assert [error["loc"] for error in problem["errors"]] == [where]

    async def test_wrong_cursor(self, api: Service) -> None:
        """A cursor that nobody gave out is refused."""
        for cursor in ("x", "%00", "WzEsMl0=", "../../etc"):
            answer = await api.request("GET", f"/sessions?cursor={cursor}")
            answer.assert_problem(400, "bad_request")

    async def test_repeated(self, api: Service) -> None:
        """A parameter that comes twice is refused: one of its values would not count."""
        answer = await api.request("GET", "/sessions?limit=1&limit=2")
        answer.assert_problem(400, "bad_request")


class TestShow:
    async def test_everything(self, api: Service) -> None:
        """A session has its words, marks, gaps and use, and links to what else there is."""
        await api.store("hello there", pcm=[[0]] * 100)
        await api.gateway.transcripts.end(
            "session-1",
            SessionEnd(
                state="incomplete",
                ended_at=CREATED_AT + 5,
                duration=1.23456,
                reason="client",
                recording=True,
                provider="echo",
                marks=(Mark(at=0.5, label="here"),),
                gaps=(Gap(start=1.0, end=1.2),),
                usage={"audio_s": 1.235},
            ),
        )
        session = await api.get("/sessions/session-1")
        assert session["duration"] == 1.235
        assert session["state"] == "incomplete"
        assert session["provider"] == "echo"
        assert session["text"] == "hello there"
        [utterance] = session["utterances"]
        assert (utterance["number"], utterance["start"], utterance["end"]) == (1, 0.0, 1.0)
        assert utterance["words"] == [
            {"text": "hello", "start": 0.0, "end": 0.1, "confidence": None, "speaker": None},
            {"text": "there", "start": 0.1, "end": 0.2, "confidence": None, "speaker": None},
        ]
        assert session["marks"] == [{"at": 0.5, "label": "here"}]
        assert session["gaps"] == [{"start": 1.0, "end": 1.2, "channel": 0}]
        assert session["usage"] == {"audio_s": 1.235}
        assert session["links"] == {
            "audio": "/api/v1/sessions/session-1/audio",
            "peaks": "/api/v1/sessions/session-1/peaks",
            "events": None,
        }

    async def test_live(self, api: Service) -> None:
        """A session that runs is live, and its events can be watched."""
        session = await api.open("runs")
        shown = await api.get("/sessions/runs")
        assert (shown["state"], shown["live"], shown["ended_at"]) == ("active", True, None)
        assert shown["links"]["events"] == "/api/v1/sessions/runs/events"
        [listed] = (await api.get("/sessions"))["sessions"]
        assert listed["live"]
        session.stop()

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    @pytest.mark.parametrize(
        "name",
        [
            "nobody",
            "..",
            "%2e%2e%2fetc%2fpasswd",
            "..%2f..%2fconfig.yaml",
            "a%00b",
            "-a",
            "a" * 65,
            "a%20b",
            "%F0%9F%98%80",
            "session-1.wav",
            "session-1'--",
        ],
    )
    async def test_no_such(self, api: Service, method: str, name: str) -> None:
        """A name that is none of a session, however hostile, is answered like an unknown one."""
        await api.store("hello")
        body: Any = {"json": {"title": "x"}} if method == "PATCH" else {}
        async with api.client.request(
            method, URL(f"/api/v1/sessions/{name}", encoded=True), **body
        ) as response:
            assert response.status in (404, 405)  # 405: ".." is taken for the list
            assert response.content_type == "application/problem+json"
        assert await ids(api) == ["session-1"]


class TestChange:
    async def test_changes(self, api: Service) -> None:
        """What is given is changed, null removes, and what is left out stays."""
        await api.store("hello", title="old", metadata={"a": 1, "b": "two"})
        answer = await api.request(
            "PATCH",
            "/sessions/session-1",
            json={"title": "new", "speakers": {"0": "Ann"}, "metadata": {"a": None, "c": True}},
        )
        changed = answer.json()
        assert (changed["title"], changed["speakers"]) == ("new", {"0": "Ann"})
        assert changed["metadata"] == {"b": "two", "c": True}
        answer = await api.request(
            "PATCH",
            "/sessions/session-1",
            json={"title": None, "speakers": {"0": None}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        assert (answer.json()["title"], answer.json()["speakers"]) == (None, {})
        assert (await api.get("/sessions/session-1"))["metadata"] == {"b": "two", "c": True}

    async def test_nothing(self, api: Service) -> None:
        """An empty change changes nothing."""
        await api.store("hello", title="old")
        answer = await api.request("PATCH", "/sessions/session-1", json={})
        assert answer.json()["title"] == "old"

    async def test_of_a_session_that_runs(self, api: Service) -> None:
        """What is changed while a session runs is still so when it has ended."""
        session = await api.open("runs")
        session.add_metadata({"a": 1, "b": 2})
        await api.request(
            "PATCH", "/sessions/runs", json={"title": "t", "metadata": {"a": None, "c": "d"}}
        )
        session.stop()
        await eventually(lambda: _ended(api, "runs"))
        shown = await api.get("/sessions/runs")
        assert (shown["title"], shown["metadata"]) == ("t", {"b": 2, "c": "d"})

    @pytest.mark.parametrize(
        ("body", "where"),
        [
            ('{"title":5}', "title"),
            (f'{{"title":"{"a" * 201}"}}', "title"),
            ('{"speakers":{"0":""}}', "speakers.0"),
            ('{"speakers":null}', "speakers"),
            ('{"metadata":{"a":[]}}', "metadata.a"),
            ('{"metadata":{"a":NaN}}', "metadata.a"),
            ('{"metadata":{"":1}}', "metadata."),
            ('{"owner":"me"}', "owner"),
            ("[]", "body"),
            ('"text"', "body"),
        ],
    )
    async def test_wrong_value(self, api: Service, body: str, where: str) -> None:
        """A value that is not valid is refused with its place, and nothing is changed."""
        await api.store("hello", title="old")
        answer = await api.request(
            "PATCH",
            "/sessions/session-1",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        problem = answer.assert_problem(400, "bad_request")
        assert any(error["loc"].startswith(where) for error in problem["errors"]), problem
        assert (await api.get("/sessions/session-1"))["title"] == "old"

    @pytest.mark.parametrize("body", ["", "{", '{"title":"\\ud800"}', "\x00", "[" * 100_000])
    async def test_no_json(self, api: Service, body: str) -> None:
        """What is no JSON is refused as such."""
        await api.store("hello")
        answer = await api.request(
            "PATCH",
            "/sessions/session-1",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        answer.assert_problem(400, "invalid_json")

    async def test_too_much_metadata(self, api: Service) -> None:
        """Many small changes do not add up to more metadata than a session may have."""
        await api.store("hello")
        for key in ("a", "b"):
            answer = await api.request(
                "PATCH", "/sessions/session-1", json={"metadata": {key: "x" * 3000}}
            )
        answer.assert_problem(400, "bad_request")
        names = {f"s{number}": "name" for number in range(60)}
        await api.request("PATCH", "/sessions/session-1", json={"speakers": names})
        names = {f"t{number}": "name" for number in range(60)}
        answer = await api.request("PATCH", "/sessions/session-1", json={"speakers": names})
        answer.assert_problem(400, "bad_request")

    async def test_other_type(self, api: Service) -> None:
        """A body of another type is not taken for JSON."""
        await api.store("hello")
        answer = await api.request("PATCH", "/sessions/session-1", data=b"{}")
        answer.assert_problem(415, "unsupported_media_type")


class TestDelete:
    async def test_everything(self, api: Service) -> None:
        """A deleted session is gone from list, search and recordings; a second time there is none."""
        await api.store("invoice", pcm=[[0]] * 100)
        answer = await api.request("DELETE", "/sessions/session-1")
        assert answer.status == 204
        assert await ids(api) == []
        assert await ids(api, "?q=invoice") == []
        assert await api.gateway.recordings.find("session-1") is None
        answer = await api.request("DELETE", "/sessions/session-1")
        answer.assert_problem(404, "not_found")

    async def test_transcript_only(self, api: Service) -> None:
        """Without what was said, session and recording are still there."""
        await api.store("invoice", pcm=[[0]] * 100)
        assert (await api.request("DELETE", "/sessions/session-1?only=transcript")).status == 204
        shown = await api.get("/sessions/session-1")
        assert (shown["text"], shown["utterances"], shown["recording"]) == ("", [], True)
        assert (await api.request("GET", "/sessions/session-1/audio")).status == 200

    async def test_recording_only(self, api: Service) -> None:
        """Without the recording, what was said is still there, and nothing links to the audio."""
        await api.store("invoice", pcm=[[0]] * 100)
        assert (await api.request("DELETE", "/sessions/session-1?only=recording")).status == 204
        shown = await api.get("/sessions/session-1")
        assert (shown["text"], shown["recording"]) == ("invoice", False)
        assert shown["links"]["audio"] is None
        answer = await api.request("GET", "/sessions/session-1/audio")
        answer.assert_problem(404, "not_found")

    async def test_recording_without_a_transcript(self, api: Service) -> None:
        """A recording of which no transcript was wanted can be had and deleted, too."""
        await api.record("alone", [[0]] * 100)
        assert (await api.request("GET", "/sessions/alone/audio")).status == 200
        assert (await api.request("DELETE", "/sessions/alone")).status == 204
        assert (await api.request("GET", "/sessions/alone/audio")).status == 404

    async def test_while_it_runs(self, api: Service) -> None:
        """A session that runs is not deleted; once it is stored, it is."""
        session = await api.open("runs")
        answer = await api.request("DELETE", "/sessions/runs")
        answer.assert_problem(409, "conflict")
        session.stop()
        await eventually(lambda: _gone(api, "runs"))
        assert (await api.request("DELETE", "/sessions/runs")).status == 204

    async def test_left_by_a_crash(self, api: Service) -> None:
        """A session whose spool another process left is not deleted: it would come back."""
        await api.store("hello", session_id="crashed", ended=False)
        (api.gateway.spool.path / "crashed").mkdir()
        answer = await api.request("DELETE", "/sessions/crashed")
        answer.assert_problem(409, "conflict")

    async def test_wrong_part(self, api: Service) -> None:
        """A part that does not exist is refused, and nothing is deleted."""
        await api.store("hello")
        answer = await api.request("DELETE", "/sessions/session-1?only=words")
        answer.assert_problem(400, "bad_request")
        assert await ids(api) == ["session-1"]


async def _ended(api: Service, session_id: str) -> bool:
    session = await api.gateway.transcripts.find(session_id)
    return session is not None and session.end is not None


async def _gone(api: Service, session_id: str) -> bool:
    return session_id not in api.gateway.sessions
