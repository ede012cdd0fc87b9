"""Barriers: what axe finds (WCAG 2.2 A and AA), and what it cannot see."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from sttgate.console import PAGES
from tests.access.doors import OpenDoor
from tests.browser.barriers import assert_narrow, assert_no_barriers
from tests.browser.chromium import address, microphone, record, stop
from tests.browser.conftest import Start
from tests.functional.native import Serve

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = ["the first sentence is short", "and the second one is here"]


async def test_live(serve: Serve, start: Start) -> None:
    """The live page has no barriers before, while and after somebody records."""
    server = await serve("echo", script=SCRIPT, words_per_second=6, repeat=True)
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await page.get_by_text("Microphone and engine").click()
    await assert_no_barriers(page)
    await record(page)
    await page.keyboard.press("Alt+m")
    await expect(page.locator(".utterance")).not_to_have_count(0)
    await assert_no_barriers(page)
    await stop(page)
    await assert_no_barriers(page)
    await opened.assert_clean()


async def test_troubles(serve: Serve, start: Start) -> None:
    """Nor has it when something is the matter."""
    server = await serve("echo")
    opened = await (await start(*microphone(allowed=False)))(address(server))
    await opened.page.get_by_role("button", name="Record").click()
    await expect(opened.page.get_by_role("alert")).to_contain_text("blocked")
    await assert_no_barriers(opened.page)
    await opened.assert_clean()


async def test_other_pages(serve: Serve, start: Start) -> None:
    """Nor has any other page; every address of the server is a page of the console."""
    server = await serve("echo")
    opened = await (await start(*microphone()))(address(server))
    for path in PAGES:
        await opened.page.goto(address(server, path.format(id="some-id")))
        await expect(opened.page.get_by_role("heading", level=1)).not_to_have_text("Not found")
        await assert_no_barriers(opened.page)
    await opened.assert_clean()


async def test_sign_in(open_door: OpenDoor, start: Start) -> None:
    """Nor has the form for the key, with a complaint in it."""
    door = await open_door()
    opened = await (await start())(str(door.client.make_url("/")))
    await opened.page.get_by_label("API key").fill("wrong")
    await opened.page.get_by_role("button", name="Sign in").click()
    await expect(opened.page.get_by_role("alert")).to_contain_text("not valid")
    await assert_no_barriers(opened.page)


async def test_narrow(serve: Serve, start: Start) -> None:
    """Nothing has to be scrolled sideways on a phone, or at 400 % zoom; targets are large enough."""
    server = await serve("echo", script=["w" * 80, *SCRIPT], words_per_second=6)
    opened = await (await start(*microphone()))(
        address(server), viewport={"width": 320, "height": 600}
    )
    page = opened.page
    await page.get_by_text("Microphone and engine").click()
    await record(page)
    await expect(page.locator(".final")).not_to_have_count(0)
    for link in await page.locator("nav a").all():
        await link.click()
        await expect(page.locator("h1")).to_be_attached()
        await assert_narrow(page)
    await page.locator("nav a[href='/']").click()
    await stop(page)


async def test_announcements(serve: Serve, start: Start) -> None:
    """Who hears himself can have the captions not read out; the switch tells its state."""
    server = await serve("echo")
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await page.get_by_text("Microphone and engine").click()
    switch = page.get_by_role("switch", name="Announce captions")
    await expect(switch).to_be_checked()
    await switch.press("Space")
    await expect(switch).not_to_be_checked()
    await expect(page.get_by_role("log")).to_have_attribute("aria-live", "off")
    await opened.assert_clean()


async def test_keyboard(serve: Serve, start: Start) -> None:
    """The keyboard alone gets to the content and to every control, and the focus can be seen."""
    server = await serve("echo")
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await page.get_by_role("button", name="Record").wait_for()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.localName") == "main"
    reached = []
    for _ in range(4):
        await page.keyboard.press("Tab")
        name, outline = await page.evaluate(
            "[document.activeElement.textContent.trim(),"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline == "solid", name
        reached.append(name)
    assert reached == ["A", "A", "Microphone and engineAutomatic", "Record"]
    await page.get_by_role("link", name="Help").press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Help")).to_be_focused()
    await opened.assert_clean()
