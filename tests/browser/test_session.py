"""The session page: a conversation is heard, read, searched, named, exported and deleted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from sttgate.stores import Gap, Mark, SessionChange
from tests.archive import Archive, said
from tests.browser.barriers import assert_narrow, assert_no_barriers
from tests.browser.chromium import address, microphone, record, stop
from tests.browser.conftest import Start
from tests.functional.native import Serve

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "<img/src=x/onerror=alert(1)><script>alert(2)</script>"
TALK = (
    said(1, "Good morning, all of you.", 0.4, speaker="0"),
    said(2, "When is the délivery date?", 4.0, speaker="1", unsure={"délivery"}),
    said(3, "The delivery is on Tuesday.", 8.0, speaker="0", provider="other", language="en"),
    said(4, "Then we say so.", 12.0, speaker="0", provider="other", language="en"),
)


async def current_time(page: Page) -> float:
    """Return where the recording is, in seconds."""
    time: float = await page.locator("audio").evaluate("audio => audio.currentTime")
    return time


async def ready(page: Page) -> None:
    """Wait until there is something to play."""
    await page.wait_for_function("() => document.querySelector('audio')?.readyState >= 1")


async def test_after_recording(serve: Serve, start: Start) -> None:
    """What was just recorded is found by a word of it, opened, played, and jumped about in."""
    script = ["the first sentence is short", "and the second one is here"]
    server = await serve("echo", script=script, words_per_second=3)
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await record(page)
    await expect(page.locator(".final")).to_have_count(2, timeout=15_000)
    await stop(page)
    await page.get_by_role("link", name="Open the conversation").click()
    await expect(page.locator(".utterance-text")).to_have_text(script)
    await page.get_by_role("link", name="Sessions").first.click()
    await page.get_by_role("searchbox").fill("second")
    await expect(page.locator("mark")).to_have_count(1)
    await page.get_by_role("link", name="the first sentence").click()
    await expect(page.get_by_role("status").first).to_contain_text("1 of 1")
    await ready(page)
    word = page.locator("[data-s]", has_text="second")
    wanted = float(await word.get_attribute("data-s") or "")
    await word.click()
    assert abs(await current_time(page) - wanted) < 0.05
    await expect(word).to_have_class("now")
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect(page.locator(".now", has_text=re.compile("one|is|here"))).to_be_attached(
        timeout=10_000
    )
    assert await current_time(page) > wanted
    await opened.assert_clean()


async def test_play(archive: Archive, start: Start) -> None:
    """The player plays from an utterance, lights up what is heard, and obeys slider, speed and keys."""
    await archive.keep("play", *TALK, marks=[Mark(at=4.0, label="a mark")], seconds=60.0)
    opened = await (await start())(address(archive.server, "/sessions/play"))
    page = opened.page
    await ready(page)
    await expect(page.locator(".now")).to_have_count(0)
    await page.get_by_role("button", name="Play from 8 seconds").click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await expect(page.locator("[aria-current=true]", has_text="Tuesday")).to_have_count(1)
    await expect(page.locator(".now")).to_have_text(re.compile("delivery|is|on|Tuesday."))
    await page.keyboard.press("k")
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    slider = page.get_by_role("slider", name="Position")
    await slider.fill("30")
    assert await current_time(page) == 30.0
    await expect(slider).to_have_attribute("aria-valuetext", "30 seconds of 1 minute")
    await slider.press("ArrowLeft")
    await page.keyboard.press("j")
    assert await current_time(page) == 17.0
    await page.keyboard.press(",")
    assert await current_time(page) == 12.0
    await page.keyboard.press(".")
    await page.keyboard.press(",")
    await page.keyboard.press(",")
    assert await current_time(page) == 4.0
    await page.keyboard.press("=")
    await expect(page.get_by_label("Speed")).to_have_value("1.25")
    assert await page.locator("audio").evaluate("audio => audio.playbackRate") == 1.25
    await page.get_by_label("Speed").select_option("2")
    await page.reload()
    await ready(page)
    await expect(page.get_by_label("Speed")).to_have_value("2")
    assert await page.locator("audio").evaluate("audio => audio.playbackRate") == 2
    await opened.assert_clean()


async def test_keys_have_a_place(archive: Archive, start: Start) -> None:
    """Single keys work in the region of the player only, unless they are asked for everywhere."""
    await archive.keep("keys", *TALK, seconds=60.0)
    opened = await (await start())(address(archive.server, "/sessions/keys"))
    page = opened.page
    await ready(page)
    await page.get_by_role("button", name="Change the title").focus()
    await page.keyboard.press("l")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert await current_time(page) == 0
    search = page.get_by_role("searchbox", name="Search in this conversation")
    await search.press_sequentially("l?")
    assert await current_time(page) == 0
    await page.get_by_role("button", name="Keys").focus()
    await page.keyboard.press("/")
    await expect(search).to_be_focused()
    await page.get_by_role("button", name="Keys").click()
    await page.get_by_role("switch", name="Everywhere on the page").click()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Change the title").focus()
    await page.keyboard.press("l")
    assert await current_time(page) == 10
    await opened.assert_clean()


async def test_search_inside(archive: Archive, start: Start) -> None:
    """Places that have all the words are counted, painted and visited; accents and case do not matter."""
    await archive.keep("inside", *TALK)
    opened = await (await start())(address(archive.server, "/sessions/inside"))
    page = opened.page
    field = page.get_by_role("searchbox", name="Search in this conversation")
    count = page.get_by_role("status").first
    await field.fill("DELIVERY")
    await expect(count).to_have_text("1 of 2: When is the délivery date?")
    painted = """() => ["found-here", "found"].map(name =>
        [...CSS.highlights.get(name)].map(range => range.toString()))"""
    assert await page.evaluate(painted) == [["délivery"], ["delivery"]]
    await field.press("Enter")
    await expect(count).to_contain_text("2 of 2")
    assert await page.evaluate(painted) == [["delivery"], ["délivery"]]
    await page.get_by_role("button", name="Next place").click()
    await expect(count).to_contain_text("1 of 2")
    await field.fill("date when")
    await expect(count).to_contain_text("1 of 1")
    assert sorted((await page.evaluate(painted))[0]) == ["When", "date"]
    await field.fill('"date when"')
    await expect(count).to_have_text("Not found")
    await field.press("Escape")
    await expect(field).to_have_value("")
    await expect(count).to_have_text("")
    await opened.assert_clean()


async def test_names(archive: Archive, start: Start) -> None:
    """Title and names of speakers are changed where they stand, and kept."""
    await archive.keep("names", *TALK)
    opened = await (await start())(address(archive.server, "/sessions/names"))
    page = opened.page
    await page.get_by_role("button", name="Change the title").click()
    title = page.get_by_role("textbox", name="Title")
    await expect(title).to_be_focused()
    await title.fill("What we said")
    await title.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("What we said")
    await expect(page).to_have_title("What we said · sttgate")
    await expect(page.get_by_role("button", name="Change the title")).to_be_focused()
    await page.get_by_role("button", name="Speaker 0: change the name").first.click()
    name = page.get_by_role("textbox", name="Name")
    await expect(name).to_be_focused()
    await name.fill("Ann")
    await name.press("Enter")
    await expect(page.get_by_role("button", name="Ann: change the name")).to_have_count(2)
    stored = await archive.server.stored("names")
    assert stored is not None
    assert (stored["title"], stored["speakers"]) == ("What we said", {"0": "Ann"})
    await page.get_by_role("button", name="Change the title").click()
    await title.fill("")
    await title.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Conversation of")
    await page.get_by_role("button", name="Change the title").click()
    await title.fill("thought better of it")
    await title.press("Escape")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Conversation of")
    await opened.assert_clean()


async def test_what_is_known(archive: Archive, start: Start) -> None:
    """Marks, gaps and changes of engine stand between the words; the rest is in the details."""
    await archive.keep(
        "known",
        *TALK,
        state="incomplete",
        marks=[Mark(at=4.0, label="a mark"), Mark(at=99.0, label="")],
        gaps=[Gap(start=6.5, end=7.5)],
        metadata={"room": "7 & 8"},
        seconds=100.0,
    )
    opened = await (await start())(address(archive.server, "/sessions/known"))
    page = opened.page
    await expect(page.locator(".note")).to_have_text(
        [
            "Mark: a mark",
            "1.0 s were recorded, but no engine heard them",
            "From here recognised by other, in en",
            "Mark",
        ]
    )
    await expect(page.get_by_text("It is not complete.")).to_be_visible()
    await expect(page.locator(".wave-mark")).to_have_count(2)
    await expect(page.locator(".wave-gap")).to_have_attribute("x", "6.500%")
    unsure = page.locator(".unsure")
    await expect(unsure).to_have_text("délivery")
    line = "node => getComputedStyle(node).textDecorationLine"
    assert await unsure.evaluate(line) == "none"
    await page.get_by_role("button", name="Uncertain words").click()
    assert await unsure.evaluate(line) == "underline"
    await page.get_by_text("About this conversation").click()
    facts = page.locator(".facts-list")
    await expect(facts.first).to_contain_text("echo (2 utterances), other (2 utterances)")
    await expect(facts.last).to_contain_text("Sent to echo")
    link = page.get_by_role("link", name="7 & 8")
    await expect(link).to_have_attribute("href", "/sessions?metadata.room=7+%26+8")
    await opened.assert_clean()


async def test_export_and_copy(archive: Archive, start: Start) -> None:
    """Every format is saved under a name that tells what it is; the text is copied as it is exported."""
    await archive.keep("export", *TALK, title="A talk")
    await archive.server.gateway.transcripts.update(
        "export", SessionChange(speakers={"0": "Ann", "1": "Bob"})
    )
    opened = await (await start())(address(archive.server, "/sessions/export"))
    page = opened.page
    saved: dict[str, bytes] = {}
    for label in ("Text", "Subtitles (SubRip)", "Subtitles (WebVTT)", "All of it", "Recording"):
        await page.get_by_role("button", name="Export").click()
        async with page.expect_download() as waiting:
            await page.get_by_role("button", name=label).click()
        download = await waiting.value
        saved[download.suggested_filename] = Path(await download.path()).read_bytes()
    assert list(saved) == [f"A-talk-export.{kind}" for kind in ("txt", "srt", "vtt", "json", "wav")]
    text = saved["A-talk-export.txt"].decode()
    assert text.startswith("Ann: Good morning, all of you.")
    assert saved["A-talk-export.srt"].startswith(b"1\n00:00:00,")
    assert saved["A-talk-export.vtt"].startswith(b"WEBVTT")
    assert json.loads(saved["A-talk-export.json"])["id"] == "export"
    assert saved["A-talk-export.wav"][:4] == b"RIFF"
    await opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == text
    await opened.assert_clean()


async def test_delete(archive: Archive, start: Start) -> None:
    """Recording and words can be deleted by themselves, and then all of it; each has to be confirmed."""
    server = archive.server
    await archive.keep("away", *TALK, title="Away with it")
    await archive.keep("mute", *TALK)
    opened = await (await start())(address(server, "/sessions/mute"))
    page = opened.page
    delete = page.get_by_role("button", name="Delete", exact=True)
    await delete.click()
    await page.get_by_role("radio", name="Only the recording").check()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("There is no recording.")).to_be_visible()
    await expect(page.locator("audio")).to_have_count(0)
    await expect(page.locator(".utterance-text")).to_have_count(4)
    assert await server.recording("mute") is None
    await page.goto(address(server, "/sessions/away"))
    await delete.click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await delete.click()
    await page.get_by_role("radio", name="Only the words").check()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("heading", name="There are no words.")).to_be_visible()
    await ready(page)
    await delete.click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("Deleted: Away with it")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sessions")
    await expect(page.get_by_role("link", name="Away with it")).to_have_count(0)
    assert await server.stored("away") is None
    assert await server.recording("away") is None
    await page.go_back()
    await expect(page.get_by_role("heading", name="There is no such conversation.")).to_be_visible()
    await opened.assert_clean()


async def test_hostile(archive: Archive, start: Start) -> None:
    """Words, title, names, marks, metadata and engines are text, whatever they look like."""
    await archive.keep(
        "hostile",
        said(1, f"{HOSTILE} it is", 0.0, speaker=HOSTILE, provider=HOSTILE),
        said(2, f"{HOSTILE} not timed", 3.0, timed=False, provider="echo", language=HOSTILE),
        title=f"{HOSTILE} title",
        marks=[Mark(at=1.0, label=HOSTILE)],
        metadata={HOSTILE: HOSTILE},
        language=HOSTILE,
    )
    await archive.server.gateway.transcripts.update(
        "hostile", SessionChange(speakers={HOSTILE: f"{HOSTILE} name"})
    )
    opened = await (await start())(address(archive.server, "/sessions/hostile?q=alert"))
    page = opened.page
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"{HOSTILE} title")
    await expect(page.locator(".utterance-text")).to_have_text(
        [f"{HOSTILE} it is", f"{HOSTILE} not timed"]
    )
    await expect(page.locator(".speaker").first).to_contain_text(f"{HOSTILE} name")
    await expect(page.locator(".note").first).to_have_text(f"Mark: {HOSTILE}")
    await page.get_by_text("About this conversation").click()
    await expect(page.locator(".facts-list").nth(1)).to_contain_text(HOSTILE)
    await page.locator(".speaker").first.click()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    assert await page.locator("main img, main script").count() == 0
    await opened.assert_clean()


async def test_barriers(archive: Archive, start: Start) -> None:
    """The page has no barriers with everything there is, a word lit, and with its dialogs open."""
    await archive.keep(
        "bars",
        *TALK,
        said(5, "no times here", 20.0, timed=False),
        state="incomplete",
        marks=[Mark(at=4.0, label="a mark")],
        gaps=[Gap(start=6.0, end=7.5)],
        metadata={"room": "7"},
        seconds=60.0,
    )
    opened = await (await start())(address(archive.server, "/sessions/bars?q=delivery&t=8"))
    page = opened.page
    await ready(page)
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect(page.locator(".now")).to_have_count(1)
    await page.keyboard.press("k")
    await page.get_by_text("About this conversation").click()
    await page.get_by_role("button", name="Uncertain words").click()
    await page.get_by_role("button", name="Change the title").click()
    await page.get_by_role("button", name="Export").click()
    await assert_no_barriers(page)
    for button in ("Keys", "Speaker 0: change the name", "Delete"):
        await page.get_by_role("button", name=button).first.click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        await assert_no_barriers(page)
        await page.keyboard.press("Escape")
    await opened.assert_clean()


async def test_following(archive: Archive, start: Start) -> None:
    """The page follows what is heard until somebody scrolls, and again when that is asked for."""
    spoken = [said(n, "one of many", 2.0 * n) for n in range(1, 40)]
    await archive.keep("follow", *spoken)
    opened = await (await start())(
        address(archive.server, "/sessions/follow"), viewport={"width": 900, "height": 600}
    )
    page = opened.page
    await ready(page)
    await page.get_by_role("button", name="Play", exact=True).click()
    slider = page.get_by_role("slider", name="Position")
    await slider.fill("60.1")
    current = page.locator(".utterance[aria-current]")
    await expect(current).to_have_attribute("data-line", "30.0")
    await expect(current).to_be_in_viewport(ratio=1)
    await page.mouse.move(400, 300)
    await page.mouse.wheel(0, -2000)
    chip = page.get_by_role("button", name="Follow the recording")
    await expect(chip).to_be_visible()
    await expect(current).to_have_attribute("data-line", "31.0")
    await expect(current).not_to_be_in_viewport()
    await chip.click()
    await expect(current).to_be_in_viewport(ratio=1)
    await expect(chip).to_have_count(0)
    await opened.assert_clean()


async def test_focus_is_in_sight(archive: Archive, start: Start) -> None:
    """What the keyboard gets to lies neither under the player nor under the bar at the top."""
    spoken = [said(n, "one of many", 2.0 * n) for n in range(1, 40)]
    await archive.keep("sight", *spoken)
    opened = await (await start())(
        address(archive.server, "/sessions/sight"), viewport={"width": 900, "height": 600}
    )
    page = opened.page
    await page.get_by_role("button", name="Play from 2 seconds").focus()
    hidden = """() => { const {top, bottom} = document.activeElement.getBoundingClientRect();
        const edge = (selector) => document.querySelector(selector).getBoundingClientRect();
        return top < edge(".talk-tools").bottom || bottom > edge(".dock").top; }"""
    for key in ("Tab", "Shift+Tab"):
        for _ in range(30):
            await page.keyboard.press(key)
            assert not await page.evaluate(hidden)
    await opened.assert_clean()


async def test_narrow(archive: Archive, start: Start) -> None:
    """Nothing has to be scrolled sideways on a phone; targets are large enough."""
    await archive.keep(
        "narrow",
        said(1, "w" * 90, 0.0, speaker="s" * 60),
        said(2, "Then we say so.", 2.0, speaker="1"),
        title="t" * 90,
        metadata={"k" * 60: "v" * 90},
    )
    opened = await (await start())(
        address(archive.server, "/sessions/narrow"), viewport={"width": 320, "height": 600}
    )
    page = opened.page
    await page.get_by_text("About this conversation").click()
    await page.get_by_role("button", name="Export").click()
    await assert_narrow(page)
    await opened.assert_clean()
