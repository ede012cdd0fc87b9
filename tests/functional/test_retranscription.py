"""What no provider heard can be heard later."""

from __future__ import annotations

from pathlib import Path

from sttgate.retranscription import retranscribe
from sttgate.session import entries
from sttgate.session.params import SessionParams
from sttgate.session.session import Session
from sttgate.testing import tone
from tests.conftest import MakeGateway
from tests.gateways import SCRIPT

FAILING = {"use": "echo", "script": list(SCRIPT), "die_after": 3.0, "error": "auth"}


async def _say(session: Session, seconds: float) -> list[entries.AnyEntry]:
    session.append(tone(seconds))
    session.stop()
    reader = session.events.reader(0, lambda: None)
    said = []
    async for entry in reader.follow():
        said.append(entry)
        if isinstance(entry, entries.Stopped):
            break
    reader.close()
    return said


async def test_gap_is_recorded_and_filled_later(tmp_path: Path, make_gateway: MakeGateway) -> None:
    """A session whose only provider died keeps all audio, and its gap is filled on request."""
    gateway = await make_gateway(providers={"failing": FAILING, "echo": {}}, chain=["failing"])
    session = await gateway.open_session(SessionParams(protocol="test"))
    said = await _say(session, 6.0)
    assert [e.code for e in said if isinstance(e, entries.Error)] == ["provider_auth"]
    before = await gateway.transcripts.get(session.id)
    assert before is not None
    assert before.session.end is not None
    assert before.session.end.state == "incomplete"
    [gap] = before.session.end.gaps
    assert gap.end == 6.0

    done = await retranscribe(gateway, session.id, "echo")

    assert (done.filled, done.left) == (1, 0)
    after = await gateway.transcripts.get(session.id)
    assert after is not None
    assert after.session.end is not None
    assert (after.session.end.state, after.session.end.gaps) == ("completed", ())
    assert after.utterances[0] == before.utterances[0]
    assert after.utterances[-1].provider == "echo"
    assert after.utterances[-1].end == 6.0
    recording = await gateway.recordings.find(session.id)
    assert recording is not None
    assert recording.size == 44 + len(tone(6.0))


async def test_second_provider_goes_on_where_the_first_died(
    tmp_path: Path, make_gateway: MakeGateway
) -> None:
    """The chain's next provider hears everything that was not final, so nothing is missing."""
    gateway = await make_gateway(
        providers={"failing": FAILING, "echo": {}}, chain=["failing", "echo"]
    )
    session = await gateway.open_session(SessionParams(protocol="test"))
    said = await _say(session, 6.0)
    finals = [e for e in said if isinstance(e, entries.Transcript) and e.is_final]
    assert [e.text for e in finals] == [SCRIPT[0], "heard 4.0 seconds"]
    assert [(e.start, e.end) for e in finals] == [(0.0, 2.0), (2.0, 6.0)]
    assert [e.state for e in said if isinstance(e, entries.Provider)] == ["failed_over", "ready"]
    assert not [e for e in said if isinstance(e, (entries.Error, entries.Gap))]
