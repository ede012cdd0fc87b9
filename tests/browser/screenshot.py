"""``python -m tests.browser.screenshot``: takes the picture of the console in the README anew.

It is of a real recording: Chromium's microphone plays speech, and the local engine hears it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer
from playwright.async_api import Page, expect

from sttgate.app import create_app
from sttgate.gateway import Gateway
from tests.browser.chromium import EXECUTABLE, Browsers, microphone, record, stop
from tests.browser.sounds import write_reading
from tests.gateways import build_config

PICTURE = Path(__file__).parents[2] / "docs" / "console.png"
MOST_BYTES = 150_000
_SIZE = {"width": 1000, "height": 640}
_ENOUGH = 5  # finals, to fill the page without making it scroll


async def photograph(page: Page, path: Path, finals: int = 1) -> None:
    """Save what the live page shows once there are ``finals`` and words that may still change."""
    await page.wait_for_function(
        "count => document.querySelectorAll('.final').length >= count &&"
        " document.querySelector('.interim')?.textContent.split(' ').length > 4",
        arg=finals,
        timeout=60_000,
    )
    await page.screenshot(path=path, animations="disabled")


async def main() -> int:
    """Take the picture; return the exit code."""
    if EXECUTABLE is None:
        print("There is no Chromium on this machine.", file=sys.stderr)
        return 1
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = build_config(folder, providers={"moonshine": {}}, chain=["moonshine"])
        server = TestServer(create_app(Gateway.from_config(config)))
        client = await stack.enter_async_context(TestClient(server))
        browsers = await stack.enter_async_context(Browsers())
        pages = await stack.enter_async_context(AsyncExitStack())
        open_page = await browsers.opener(microphone(write_reading(folder / "reading.wav")), pages)
        opened = await open_page(
            str(client.make_url("/")), viewport=_SIZE, device_scale_factor=1.5, color_scheme="light"
        )
        await expect(opened.page.get_by_role("button", name="Record")).to_be_enabled()
        await record(opened.page)
        await photograph(opened.page, PICTURE, _ENOUGH)
        await stop(opened.page)
    size = PICTURE.stat().st_size
    print(f"{PICTURE.relative_to(Path.cwd())}: {size:,} bytes")
    return 0 if size < MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
