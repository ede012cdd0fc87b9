"""No final on disk without the audio it came from."""

from __future__ import annotations

from pathlib import Path

from sttgate.audio import WAV_HEADER_BYTES
from sttgate.session import spool as spool_module
from sttgate.session.entries import Transcript
from sttgate.session.params import SessionParams
from sttgate.testing import tone
from tests.conftest import MakeGateway


async def test_audio_is_on_disk_before_its_final_is_seen(
    tmp_path: Path, make_gateway: MakeGateway
) -> None:
    """At the moment a final is seen, its audio has been written, however fast it came."""
    gateway = await make_gateway()
    session = await gateway.open_session(SessionParams(protocol="test"))
    reader = session.events.reader(0, lambda: None)
    session.append(tone(5.05))
    async for entry in reader.follow():
        if isinstance(entry, Transcript) and entry.is_final:
            break
    path = gateway.spool.path / session.id / spool_module.AUDIO_FILE
    assert path.stat().st_size - WAV_HEADER_BYTES >= entry.end * 32_000
    reader.close()
