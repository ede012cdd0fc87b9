"""The key: asked for where the gateway asks for one, kept in the tab, and never in an address."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.access.doors import OpenDoor
from tests.browser.chromium import microphone, record, stop
from tests.browser.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_sign_in(open_door: OpenDoor, start: Start) -> None:
    """A wrong key is refused in words, the right one lets in; it records, and is forgotten at last."""
    door = await open_door()
    key = door.key()
    opened = await (await start(*microphone()))(str(door.client.make_url("/")))
    page = opened.page
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("websocket", lambda socket: seen.append(socket.url))
    field = page.get_by_label("API key")
    await field.fill("stt_wrong_key")
    await field.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("This key is not valid (any more).")
    await field.fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await record(page)
    await stop(page)
    assert await page.evaluate("[localStorage, document.cookie].map(JSON.stringify).join()")
    stored = await page.evaluate("JSON.stringify(localStorage) + document.cookie")
    assert key not in stored
    assert not any(key in url for url in seen)
    await page.reload()
    await expect(page.get_by_role("button", name="Record")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(field).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0
    await opened.assert_clean()


async def test_revoked(open_door: OpenDoor, start: Start) -> None:
    """A key that is revoked while somebody records costs nothing: with another one it goes on."""
    door = await open_door()
    key, other = door.key("transcribe"), door.key("transcribe", "admin")
    opened = await (await start(*microphone()))(str(door.client.make_url("/")))
    page = opened.page
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await record(page)
    door.gate.keys.revoke(key.split("_")[1])
    await expect(page.get_by_text("Your recording goes on.")).to_be_visible(timeout=15_000)
    await page.get_by_label("API key").fill(other)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("status").first).to_have_text("Listening", timeout=15_000)
    await stop(page)
    await opened.assert_clean()


async def test_may_not(open_door: OpenDoor, start: Start) -> None:
    """A key that may only read is told so instead of a record button."""
    door = await open_door()
    opened = await (await start(*microphone()))(str(door.client.make_url("/")))
    page = opened.page
    await page.get_by_label("API key").fill(door.key("read"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Your key may not transcribe.")).to_be_visible()
    await expect(page.get_by_role("button", name="Record")).to_have_count(0)
    await opened.assert_clean()
