"""The sessions page: conversations are found, exported and deleted, and every state says what it is."""

from __future__ import annotations

import io
import re
import time
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, expect

from sttgate.session.params import SessionParams
from tests.access.doors import OpenDoor
from tests.archive import Archive, keep, said
from tests.browser.barriers import assert_narrow, assert_no_barriers
from tests.browser.chromium import address
from tests.browser.conftest import Start
from tests.functional.native import Serve

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "<img/src=x/onerror=alert(1)><script>alert(2)</script>"


async def titles(page: Page) -> list[str]:
    """Return what the rows are called."""
    return await page.locator(".row-title").all_text_contents()


async def test_search(archive: Archive, start: Start) -> None:
    """Words find where they were said as they are typed; the address keeps them, and so does Back."""
    await archive.keep("find-1", said(1, "When is the Delivery date?", 65.0), title="Logistics")
    await archive.keep("find-2", said(1, "The date is fixed.", 0.0), title="Calendar")
    opened = await (await start())(address(archive.server, "/sessions"))
    page = opened.page
    field = page.get_by_role("searchbox", name="Search what was said")
    await field.press_sequentially("date deliv")
    await expect(page.get_by_role("status").first).to_have_text("1 conversation found")
    assert await titles(page) == ["Logistics"]
    assert await page.locator("mark").all_inner_texts() == ["Delivery", "date"]
    hit = page.get_by_role("link", name="At 1 minute 5 seconds")
    await expect(hit).to_have_attribute("href", "/sessions/find-1?q=date+deliv&t=65")
    assert parse_qs(urlsplit(page.url).query) == {"q": ["date deliv"]}
    await page.reload()
    await expect(field).to_have_value("date deliv")
    await expect(page.locator(".row-item")).to_have_count(1)
    await page.get_by_role("link", name="Help").click()
    await page.go_back()
    await expect(field).to_have_value("date deliv")
    await expect(page.locator("mark")).to_have_count(2)
    await page.get_by_role("link", name="Logistics").click()
    await page.get_by_role("main").get_by_role("link", name="Sessions").click()
    await expect(page.locator("mark")).to_have_count(2)
    await field.fill("nobody said this")
    await expect(page.get_by_role("heading", name="Nothing found for")).to_be_visible()
    await page.get_by_role("button", name="Show all").click()
    await expect(field).to_have_value("")
    await expect(page.get_by_role("link", name="Calendar")).to_be_visible()
    assert urlsplit(page.url).query == ""
    await opened.assert_clean()


async def test_filters(archive: Archive, start: Start) -> None:
    """Filters narrow the list down, stand in the address, and can be taken off one by one."""
    day = 86_400
    noon = time.mktime((2026, 3, 10, 12, 0, 0, 0, 0, -1))
    utterance = said(1, "filters are fine", 0.0)
    for n in range(3):
        await archive.keep(
            f"filter-{n}",
            utterance,
            created_at=noon + n * day,
            title=f"filter {n}",
            provider="other" if n == 1 else "echo",
            metadata={"room": "7" if n else "8"},
            state="interrupted" if n == 2 else "completed",
            recording=False,
        )
    opened = await (await start())(
        address(archive.server, "/sessions?from=2026-03-10&to=2026-03-12"), timezone_id="UTC"
    )
    page = opened.page
    await expect(page.get_by_role("status").first).to_have_text("3 conversations found")
    await page.get_by_role("button", name="Filters").click()
    await page.get_by_label("Metadata").fill("room=7")
    await page.get_by_label("Metadata").press("Enter")
    await expect(page.locator(".row-item")).to_have_count(2)
    await page.get_by_label("State").select_option("Interrupted")
    await expect(page.locator(".row-item")).to_have_count(1)
    assert await titles(page) == ["filter 2"]
    assert parse_qs(urlsplit(page.url).query) == {
        "from": ["2026-03-10"],
        "to": ["2026-03-12"],
        "state": ["interrupted"],
        "metadata.room": ["7"],
    }
    await page.get_by_role("button", name="Remove: State: Interrupted").click()
    await expect(page.locator(".row-item")).to_have_count(2)
    await page.get_by_label("Engine").select_option("echo")
    await expect(page.locator(".row-item")).to_have_count(1)
    await page.get_by_label("Until", exact=True).fill("2026-03-11")
    await expect(page.get_by_role("heading", name="Nothing found.")).to_be_visible()
    await page.get_by_role("button", name="Remove all").click()
    await expect(page.locator(".row-item")).not_to_have_count(0)
    assert urlsplit(page.url).query == ""
    await opened.assert_clean()


async def test_nonsense_in_the_address(archive: Archive, start: Start) -> None:
    """A filter there cannot be is refused in words, and there is a way out."""
    await archive.keep("sense", said(1, "makes sense", 0.0), recording=False)
    opened = await (await start())(address(archive.server, "/sessions?state=nonsense"))
    page = opened.page
    await expect(page.get_by_role("alert").last).to_contain_text("not valid")
    await page.get_by_role("button", name="Show all").click()
    await expect(page.locator(".row-item").first).to_be_visible()
    await opened.assert_clean()


async def test_pages(archive: Archive, start: Start) -> None:
    """A long list grows as its end comes near, and is where it was when somebody comes back to it."""
    for n in range(120):
        await archive.keep(f"many-{n}", metadata={"test": "many"}, title=f"n{n}", recording=False)
    opened = await (await start())(
        address(archive.server, "/sessions?metadata.test=many"),
        viewport={"width": 900, "height": 600},
    )
    page = opened.page
    await expect(page.get_by_role("status").first).to_contain_text("The latest 50")
    more = page.get_by_role("button", name="Show more")
    await more.scroll_into_view_if_needed()
    await expect(page.locator(".row-item")).to_have_count(100)
    await more.scroll_into_view_if_needed()
    await expect(page.locator(".row-item")).to_have_count(120)
    await expect(more).to_have_count(0)
    assert sorted(await titles(page)) == sorted(f"n{n}" for n in range(120))
    last = page.locator(".row-item").last
    await last.scroll_into_view_if_needed()
    top = await page.evaluate("scrollY")
    await last.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1, name=re.compile("^n[0-9]+$"))).to_be_focused()
    await page.go_back()
    await expect(last).to_be_in_viewport()
    assert await page.evaluate("scrollY") == top
    await opened.assert_clean()


async def test_hostile(archive: Archive, start: Start) -> None:
    """Titles, words, snippets, names of engines and metadata are text, whatever they look like."""
    await archive.keep(
        "hostile-list",
        said(1, f"{HOSTILE} words", 0.0, provider=HOSTILE),
        title=f"{HOSTILE} title",
        provider=HOSTILE,
        language=HOSTILE,
        metadata={"test": HOSTILE},
    )
    opened = await (await start())(address(archive.server, "/sessions?q=alert"))
    page = opened.page
    await expect(page.locator(".row-title")).to_have_text(f"{HOSTILE} title")
    await expect(page.locator(".hits")).to_contain_text(f"{HOSTILE} words")
    await page.get_by_role("button", name="Filters").click()
    await page.get_by_label("Metadata").fill(f"test={HOSTILE}")
    await page.get_by_label("Metadata").press("Enter")
    await expect(page.locator(".filter-chip")).to_contain_text(HOSTILE)
    await expect(page.locator(".row-item")).to_have_count(1)
    await page.get_by_role("checkbox", name="Select: ").check()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    assert await page.locator("main img, main script").count() == 0
    await opened.assert_clean()


async def test_export(archive: Archive, start: Start, tmp_path: Path) -> None:
    """One conversation is saved as the file it is, several in an archive, doubles with a number."""
    for n in range(2):
        await archive.keep(
            f"00000000-{n}",  # the first characters are in the name of the file
            said(1, f"export {n}", 0.0),
            title="Größe",
            metadata={"test": "export"},
        )
    opened = await (await start())(address(archive.server, "/sessions?metadata.test=export"))
    page = opened.page
    await page.get_by_role("checkbox", name="Select: ").first.check()
    await expect(page.get_by_text("1 selected")).to_be_visible()
    await page.get_by_role("button", name="Export", exact=True).click()
    async with page.expect_download() as single:
        await page.get_by_role("button", name="Text .txt").click()
    download = await single.value
    assert download.suggested_filename == "Größe-00000000.txt"
    assert Path(await download.path()).read_text("utf-8") == "export 1\n"
    await page.get_by_role("checkbox", name="Select all that are shown").check()
    await page.get_by_role("button", name="Export", exact=True).click()
    async with page.expect_download() as several:
        await page.get_by_role("button", name="Subtitles (WebVTT)").click()
    download = await several.value
    assert download.suggested_filename == "sessions-vtt.zip"
    with zipfile.ZipFile(io.BytesIO(Path(await download.path()).read_bytes())) as made:
        assert made.testzip() is None
        assert made.namelist() == ["Größe-00000000.vtt", "Größe-00000000-2.vtt"]
        assert [made.read(name)[:6] for name in made.namelist()] == [b"WEBVTT"] * 2
        assert b"export 0" in made.read("Größe-00000000-2.vtt")
    await opened.assert_clean()


async def test_delete(serve: Serve, start: Start, tmp_path: Path) -> None:
    """What is selected is deleted once that is confirmed; one that still runs stays, and is told."""
    server = await serve("echo")
    gateway = server.gateway
    for n in range(2):
        await keep(gateway, tmp_path, f"delete-{n}", [said(1, "soon gone", 0.0)])
    running = await gateway.open_session(
        SessionParams(id="running", protocol="test", title="running")
    )
    running.append(bytes(32_000))
    opened = await (await start())(address(server, "/sessions"))
    page = opened.page
    await expect(page.locator(".row-item")).to_have_count(3)
    await expect(page.locator(".row-item", has_text="running")).to_contain_text("Live")
    for box in await page.get_by_role("checkbox", name="Select: ").all():
        await box.check()
    await page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog", name="Delete 3 conversations?")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_have_count(0)
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page.locator(".row-item")).to_have_count(3)
    await page.get_by_role("button", name="Delete", exact=True).click()
    await dialog.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_role("alert").last).to_contain_text("1 of 3 were not deleted")
    await expect(page.get_by_role("alert").last).to_contain_text("still runs")
    assert [await server.stored(f"delete-{n}") for n in range(2)] == [None, None]
    await page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    await expect(page.locator(".row-item")).to_have_count(1)
    await opened.assert_clean()


async def test_nothing_yet(serve: Serve, start: Start) -> None:
    """Where nothing was recorded the page says so, and leads to where it can be."""
    server = await serve("echo")
    opened = await (await start())(address(server, "/sessions"))
    page = opened.page
    await expect(page.get_by_role("heading", name="No conversations yet.")).to_be_visible()
    await assert_no_barriers(page)
    await page.get_by_role("link", name="Record one").click()
    await expect(page).to_have_title("Live · sttgate")
    await opened.assert_clean()


async def test_unreachable(archive: Archive, start: Start) -> None:
    """Without an answer the page says so and tries again; what it had already, it keeps."""
    await archive.keep("reach-1", said(1, "still here", 0.0), title="Still here")
    opened = await (await start())(address(archive.server, "/help"))
    page = opened.page
    sessions = "**/api/v1/sessions?*"
    await page.route(sessions, lambda route: route.abort())
    await page.get_by_role("link", name="Sessions").click()
    await expect(page.get_by_role("alert").last).to_contain_text("The gateway does not answer.")
    await assert_no_barriers(page)
    await page.unroute(sessions)
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("link", name="Still here")).to_be_visible()
    await opened.context.set_offline(True)
    await page.get_by_role("searchbox").fill("still")
    await expect(page.get_by_role("alert").first).to_contain_text("You are offline.")
    await expect(page.get_by_role("link", name="Still here")).to_be_visible()
    await opened.context.set_offline(False)  # and it looks again by itself
    await expect(page.locator("mark")).to_have_count(1)
    await expect(page.get_by_text("You are offline.")).to_have_count(0)
    await opened.assert_clean()


async def test_rights(open_door: OpenDoor, start: Start) -> None:
    """A key without `read` is told so; one without `delete` has no such button, and sees only its own."""
    door = await open_door()
    opened = await (await start())(str(door.client.make_url("/sessions")))
    page = opened.page
    await page.get_by_label("API key").fill(door.key("transcribe"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Your key may not read conversations.")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_label("API key").fill(door.key("read"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="No conversations yet.")).to_be_visible()
    await opened.assert_clean()


async def test_barriers(archive: Archive, start: Start) -> None:
    """The page has no barriers with rows, hits, filters, a selection, an open menu and a dialog."""
    await archive.keep("bar-1", said(1, "no barriers here", 0.0), metadata={"test": "bar"})
    await archive.keep("bar-2", state=None, recording=False, metadata={"test": "bar"})
    opened = await (await start())(address(archive.server, "/sessions?metadata.test=bar"))
    page = opened.page
    await page.get_by_role("button", name="Filters").click()
    await expect(page.locator(".row-item")).to_have_count(2)
    await page.get_by_role("checkbox", name="Select: No words").check()
    await page.get_by_role("button", name="Export", exact=True).click()
    await assert_no_barriers(page)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Export")).to_be_focused()
    await page.get_by_role("searchbox").fill("barriers")
    await expect(page.locator("mark")).to_have_count(1)
    await page.get_by_role("checkbox", name="Select: ").check()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await assert_no_barriers(page)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Delete")).to_be_focused()
    await opened.assert_clean()


async def test_narrow(archive: Archive, start: Start) -> None:
    """Nothing has to be scrolled sideways on a phone; targets are large enough."""
    await archive.keep("narrow", said(1, "w" * 90, 0.0), title="t" * 90, provider="p" * 60)
    opened = await (await start())(
        address(archive.server, "/sessions?q=www"), viewport={"width": 320, "height": 600}
    )
    page = opened.page
    await page.get_by_role("button", name="Filters").click()
    await page.get_by_role("checkbox", name="Select: ").check()
    await page.get_by_role("button", name="Export", exact=True).click()
    await assert_narrow(page)
    await opened.assert_clean()
