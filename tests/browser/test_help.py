"""The help page: the clients to copy do work, with the address of this very gateway."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.browser.chromium import address, microphone
from tests.browser.conftest import Start
from tests.cli.commands import write_wav
from tests.functional.native import Serve

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = ["the first sentence is short", "and the second one is here"]


async def test_clients(serve: Serve, start: Start, tmp_path: Path) -> None:
    """The Python client transcribes a file, the one for browsers gets its `stopped`."""
    server = await serve("echo", script=SCRIPT)
    opened = await (await start(*microphone()))(address(server, "/help"))
    page = opened.page
    python = await page.get_by_label(
        "Python: transcribes a WAV file (pip install websockets)", exact=True
    ).inner_text()
    (tmp_path / "client.py").write_text(python)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "client.py", write_wav(tmp_path / "talk.wav")),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    assert [line.split(maxsplit=1)[1] for line in out.decode().splitlines()] == SCRIPT
    script = await page.get_by_label(
        "JavaScript: for the console of this page's developer tools", exact=True
    ).inner_text()
    async with page.expect_console_message(lambda message: "stopped" in message.text):
        await page.evaluate(f"() => {{ {script} }}")
    await opened.assert_clean()
