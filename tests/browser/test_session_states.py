"""The session page in every state: running, interrupted, without a recording, out of reach, forbidden."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from sttgate.stores import SessionState
from sttgate.testing import tone
from tests.access.doors import Door, OpenDoor, bearer
from tests.api.service import eventually
from tests.archive import Archive, keep, said
from tests.browser.barriers import assert_no_barriers
from tests.browser.chromium import address
from tests.browser.conftest import Start
from tests.functional.native import Serve, send, send_audio
from tests.functional.native import start as start_session
from tests.functional.native import stop as stop_session

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = ["the first sentence is short", "and the second one is here"]
SPOKEN = said(1, "so it is", 0.4)


async def play(page: Page) -> None:
    """Play, and return once it does."""
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect(page.locator(".now")).to_have_count(1)


async def test_running(serve: Serve, start: Start) -> None:
    """A session that runs is watched as its words come; when it has ended, it can be heard."""
    server = await serve("echo", script=SCRIPT)
    opened = await (await start())(address(server, "/sessions"))
    page = opened.page
    async with server.connect("?protocol=2") as socket:
        session = (await start_session(socket))[-1]["session_id"]
        await send_audio(socket, tone(3.0))
        await eventually(lambda: server.stored(session))
        await page.reload()
        await page.get_by_role("listitem").filter(has_text="Live").get_by_role("link").click()
        log = page.get_by_role("log")
        await expect(log.locator(".final")).to_have_text(SCRIPT[:1])
        await expect(page.locator(".interim")).to_have_text("and …")
        await expect(page.get_by_text("It is being recorded.")).to_be_visible()
        await expect(page.get_by_role("button", name="Delete")).to_be_disabled()
        await expect(page.locator("audio")).to_have_count(0)
        await assert_no_barriers(page)
        await log.locator(".final").evaluate("node => window.first = node")
        await send(socket, "mark", label="<b>here</b>")
        await send_audio(socket, tone(2.5))
        await expect(log.locator(".final")).to_have_text(SCRIPT)
        await expect(log.locator(".note")).to_have_text("Mark: <b>here</b>")
        assert await page.evaluate("first.isConnected")
        await stop_session(socket)
    await expect(page.locator("audio")).to_have_count(1, timeout=15_000)
    await expect(page.locator(".utterance-text")).to_have_text(SCRIPT)
    await expect(page.get_by_role("button", name="Delete")).to_be_enabled()
    await opened.assert_clean()


async def test_watching_goes_on(serve: Serve, start: Start) -> None:
    """A watcher whose connection breaks goes on after the last word it saw."""
    server = await serve("echo", script=SCRIPT)
    opened = await (await start())(address(server, "/help"))
    page = opened.page
    seen: list[str | None] = []

    async def cut(route: Route) -> None:
        seen.append(await route.request.header_value("Last-Event-ID"))
        if len(seen) > 1:
            await route.continue_()
            return
        # What the server has so far, and then the connection is over.
        event = 'id: 1\nevent: marked\ndata: {"event":"marked","t":0,"label":"seen"}\n\n'
        await route.fulfill(content_type="text/event-stream", body=event)

    await page.route("**/events*", cut)
    async with server.connect("?protocol=2") as socket:
        session = (await start_session(socket))[-1]["session_id"]
        await send_audio(socket, tone(3.0))
        await page.goto(address(server, f"/sessions/{session}"))
        await expect(page.get_by_text("The connection broke.")).to_be_visible()
        await expect(page.locator(".final")).to_have_text(SCRIPT[:1], timeout=10_000)
        await expect(page.get_by_text("The connection broke.")).to_have_count(0)
        await stop_session(socket)
    await expect(page.locator("audio")).to_have_count(1, timeout=15_000)
    assert seen[:2] == [None, "1"]
    await opened.assert_clean()


@pytest.mark.parametrize(
    ("state", "recording", "sentence"),
    [
        ("interrupted", True, "The gateway stopped in the middle of it."),
        ("incomplete", True, "It is not complete."),
        ("failed", True, "No engine recognised it."),
        ("completed", False, "There is no recording."),
        (None, False, "It has not ended."),
    ],
)
async def test_states(
    archive: Archive,
    start: Start,
    state: SessionState | None,
    recording: bool,
    sentence: str,
) -> None:
    """What is special about a conversation is said, and only what there is can be used."""
    name = f"state-{state}"
    await archive.keep(name, SPOKEN, state=state, recording=recording)
    opened = await (await start())(address(archive.server, f"/sessions/{name}"))
    page = opened.page
    await expect(page.get_by_text(sentence)).to_be_visible()
    await expect(page.locator("audio")).to_have_count(int(recording))
    await expect(page.get_by_role("button", name="Play from")).to_have_count(int(recording))
    if state == "failed":  # one for all: they differ in words only
        await assert_no_barriers(page)
    await opened.assert_clean()


async def test_no_times_of_words(archive: Archive, start: Start) -> None:
    """Where an engine gave no times of words, the line that is heard is lit."""
    await archive.keep(
        "untimed", said(1, "so it is", 0.2, timed=False), said(2, "and so on", 4.0, timed=False)
    )
    opened = await (await start())(address(archive.server, "/sessions/untimed?t=4.1"))
    page = opened.page
    await expect(page.locator(".utterance[aria-current]")).to_contain_text("and so on")
    await expect(page.locator("[data-s]")).to_have_count(0)
    await expect(page.get_by_role("button", name="Uncertain words")).to_have_count(0)
    await opened.assert_clean()


async def test_out_of_reach(archive: Archive, start: Start) -> None:
    """While the gateway does not answer the page says so; it is tried again on demand."""
    await archive.keep("reach", SPOKEN)
    opened = await (await start())(address(archive.server, "/help"))
    page = opened.page
    await page.route("**/api/v1/sessions/reach", lambda route: route.abort())
    await page.evaluate("history.pushState(null, '', '/sessions/reach')")
    await page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
    await expect(page.get_by_role("alert").last).to_contain_text("could not be fetched")
    await assert_no_barriers(page)
    await page.unroute("**/api/v1/sessions/reach")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".utterance-text")).to_have_text("so it is")
    await opened.assert_clean()


async def test_recording_breaks(archive: Archive, start: Start) -> None:
    """A recording that cannot be fetched is said to be so, and played once it can be."""
    await archive.keep("broken", SPOKEN)
    opened = await (await start())(address(archive.server, "/help"))
    page = opened.page
    await page.route("**/broken/audio*", lambda route: route.abort())
    await page.goto(address(archive.server, "/sessions/broken?t=0.5"))
    await expect(page.get_by_role("alert").last).to_contain_text("The gateway does not answer.")
    await page.unroute("**/broken/audio*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".now")).to_have_count(1)
    await expect(page.get_by_role("alert").last).to_be_empty()
    assert await page.locator("audio").evaluate("audio => audio.currentTime") >= 0.5
    await opened.assert_clean()


async def test_recording_gone(archive: Archive, start: Start) -> None:
    """A recording that somebody took away behind the gateway's back is said to be gone."""
    await archive.keep("emptied", SPOKEN)
    assert await archive.server.gateway.recordings.delete("emptied")
    opened = await (await start())(address(archive.server, "/sessions/emptied"))
    page = opened.page
    await expect(page.get_by_role("alert").last).to_contain_text("not there any more")
    await expect(page.locator(".utterance-text")).to_have_text("so it is")
    await opened.assert_clean()


async def enter(door: Door, start: Start, path: str, key: str) -> Page:
    """Open a page with a key."""
    page = (await (await start())(str(door.client.make_url(path)))).page
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    return page


async def test_tokens(open_door: OpenDoor, start: Start, tmp_path: Path) -> None:
    """The key is in no address; the recording plays with a token, and goes on when that has ended."""
    door = await open_door()
    key = door.key("admin")
    await keep(door.gateway, tmp_path, "locked", [SPOKEN], seconds=120.0)
    page = (await (await start())(str(door.client.make_url("/sessions/locked")))).page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await play(page)
    first = await page.locator("audio").evaluate("audio => audio.src")
    assert "token=" in first
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Export").click()
        await page.get_by_role("button", name="Recording .wav").click()
    assert Path(await (await waiting.value).path()).stat().st_size > 1_000_000
    assert not any(key in url for url in asked)
    # As if an hour had passed: the token is not taken any more.
    moved = "audio => { audio.src = audio.src.replace(/token=.*/, 'token=old'); audio.load(); }"
    await page.evaluate("Date.now = () => 9e15")
    await page.locator("audio").evaluate(moved)
    await page.wait_for_function(
        "() => { const audio = document.querySelector('audio');"
        " return !audio.paused && audio.currentTime > 0 && !audio.src.includes('token=old'); }"
    )
    assert await page.locator("audio").evaluate("audio => audio.src") != first


async def test_rights(open_door: OpenDoor, start: Start, tmp_path: Path) -> None:
    """Who may only read can change and delete nothing; who may not read, or sees others' ones, is told."""
    door = await open_door()
    async with door.client.get("/api/v1/me", headers=bearer(key := door.key("read"))) as answer:
        owner = (await answer.json())["id"]
    await keep(door.gateway, tmp_path, "mine", [SPOKEN], owner=owner)
    await keep(door.gateway, tmp_path, "others", [SPOKEN], owner="somebody")
    page = await enter(door, start, "/sessions/mine", key)
    await expect(page.locator(".utterance-text")).to_have_text("so it is")
    await expect(page.get_by_role("button", name="Change the title")).to_have_count(0)
    await expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    await page.goto(str(door.client.make_url("/sessions/others")))
    await expect(page.get_by_role("heading", name="There is no such conversation.")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_label("API key").fill(door.key("transcribe"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Your key may not read conversations.")).to_be_visible()
