"""The live page, as somebody uses it: words, marks, holding, following, and what is stored."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.chromium import address, microphone, record, stop
from tests.browser.conftest import Start
from tests.browser.screenshot import MOST_BYTES, photograph
from tests.browser.sounds import find, from_pcm, read_wav
from tests.functional.native import Serve

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = ["the first sentence is short", "and the second one is here"]
HOSTILE = "<img/src=x/onerror=alert(1)><script>alert(2)</script>"


async def session_of(page: Page) -> str:
    """Return the id of the session that the page links to."""
    link = page.get_by_role("link", name="Open the conversation")
    return (await link.get_attribute("href") or "").rpartition("/")[2]


async def test_real_words(serve: Serve, start: Start, reading: Path, tmp_path: Path) -> None:
    """Real speech at the microphone becomes interims, then finals, then a stored conversation."""
    server = await serve("moonshine")
    opened = await (await start(*microphone(reading)))(address(server))
    page, log = opened.page, opened.page.get_by_role("log")
    await record(page)
    await expect(page.locator(".interim")).to_contain_text("best of times", timeout=20_000)
    await expect(log).not_to_contain_text("times")
    await expect(log).to_contain_text("worst of times", timeout=20_000)
    await expect(page.get_by_text("Delay")).to_be_attached()
    await photograph(page, tmp_path / "console.png")
    assert 0 < (tmp_path / "console.png").stat().st_size < MOST_BYTES
    await stop(page)
    stored = await server.stored(await session_of(page))
    assert stored is not None
    shown = " ".join(await log.locator(".final").all_inner_texts())
    assert " ".join(shown.split()) == stored["text"]
    pcm = await server.recording(stored["id"])
    assert pcm is not None
    recorded = from_pcm(pcm)
    middle = recorded[len(recorded) // 2 : len(recorded) // 2 + 16_000]
    assert find(middle, read_wav(reading))[1] > 0.95
    await opened.assert_clean()


async def test_captions(serve: Serve, start: Start) -> None:
    """Each final is added once and stays the node it is; interims are hidden from screen readers."""
    server = await serve("echo", script=SCRIPT, words_per_second=3)
    opened = await (await start(*microphone()))(address(server))
    page, log = opened.page, opened.page.get_by_role("log")
    await record(page)
    interim = page.locator(".interim")
    await expect(interim).to_have_text(re.compile("^the first.* …$"))
    assert await interim.evaluate("node => node.closest('[aria-hidden=true]') !== null")
    assert await interim.evaluate("node => node.closest('[role=log]') === null")
    assert await interim.evaluate("node => getComputedStyle(node).fontStyle") == "italic"
    await expect(log.locator(".final")).to_have_count(1)
    await log.locator(".final").evaluate("node => window.first = node")
    await expect(log.locator(".utterance")).to_have_count(2)
    assert (
        await page.evaluate(
            "first.isConnected && first === document.querySelector('.final') && first.textContent"
        )
        == SCRIPT[0]
    )
    assert await log.get_attribute("aria-live") == "polite"
    assert await log.get_attribute("aria-relevant") == "additions"
    await stop(page)
    assert (await log.locator(".final").all_inner_texts()) == SCRIPT
    await opened.assert_clean()


async def test_mark_and_keys(serve: Serve, start: Start) -> None:
    """Alt+R records and stops, Alt+M marks; the mark is shown in its place and stored."""
    server = await serve("echo", script=SCRIPT, words_per_second=2)
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await page.get_by_role("button", name="Record").wait_for()
    await page.keyboard.press("Alt+r")
    await expect(page.locator(".interim")).to_contain_text("the first")
    await page.keyboard.press("Alt+m")
    await expect(page.locator(".utterance")).to_have_count(2)
    await page.keyboard.press("Alt+r")
    await expect(page.get_by_role("status").first).to_have_text("Saved")
    blocks = await page.get_by_role("log").locator("> *").all_inner_texts()
    assert len(blocks) == 3
    assert "Mark at 0:0" in blocks[1]
    stored = await server.stored(await session_of(page))
    assert stored is not None
    (mark,) = stored["marks"]
    assert 0 < mark["at"] < stored["utterances"][0]["end"] + 0.3
    await opened.assert_clean()


async def test_hold(serve: Serve, start: Start) -> None:
    """Held captions stand still while the recording goes on, and catch up when they are released."""
    server = await serve("echo", script=SCRIPT, words_per_second=6)
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await record(page)
    await expect(page.locator(".final")).to_have_count(1)
    await page.get_by_role("button", name="Hold the captions").click()
    held = await page.locator(".final").count()
    timer = page.get_by_role("timer")
    await expect(timer).to_contain_text("0:04", timeout=10_000)
    assert await page.locator(".final").count() == held
    await page.get_by_role("button", name="Show what came since").click()
    await expect(page.locator(".final")).to_have_count(2)
    await stop(page)
    await opened.assert_clean()


async def test_following(serve: Serve, start: Start) -> None:
    """The page follows the words until somebody scrolls up, and again after "Jump to live"."""
    lines = [[0.05 * n, "endpoint", f"line {n} of many"] for n in range(1, 400)]
    server = await serve("puppet", lines=lines)
    opened = await (await start(*microphone()))(
        address(server), viewport={"width": 700, "height": 600}
    )
    page = opened.page
    await record(page)
    jump = page.get_by_role("button", name="Jump to live")
    await lines_at_end(page, 20)
    await expect(jump).to_have_count(0)
    await page.mouse.move(300, 300)
    await page.mouse.wheel(0, -400)
    await expect(jump).to_be_visible()
    top = await page.evaluate("scrollY")
    count = await page.locator(".final").count()
    await expect(page.locator(".final").nth(count + 20)).to_be_attached(timeout=10_000)
    assert await page.evaluate("scrollY") == top
    await jump.click()
    await lines_at_end(page, count + 40)
    await expect(jump).to_have_count(0)
    await stop(page)
    await opened.assert_clean()


async def lines_at_end(page: Page, count: int) -> None:
    """Wait until there are ``count`` finals, and the page shows the last one."""
    await page.wait_for_function(
        "count => document.querySelectorAll('.final').length >= count &&"
        " document.documentElement.scrollHeight - innerHeight - scrollY < 50",
        arg=count,
        timeout=15_000,
    )


async def test_elsewhere(serve: Serve, start: Start) -> None:
    """The recording goes on while another page is shown."""
    server = await serve("echo", script=SCRIPT, words_per_second=6)
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await record(page)
    await page.get_by_role("link", name="Help").click()
    await expect(page).to_have_title("Help · sttgate")
    await expect(page.get_by_role("link", name="Live (recording)")).to_be_visible()
    await page.go_back()
    await expect(page.locator(".final")).to_have_count(2)
    await stop(page)
    await opened.assert_clean()


async def test_settings_are_kept(serve: Serve, start: Start) -> None:
    """Engine, theme and text size outlive a reload; the engine that was chosen is asked for."""
    server = await serve(
        "echo",
        sections={"providers": {"echo": {}, "other": {"use": "echo", "script": SCRIPT}}},
    )
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await record(page)  # hello tells the names where the list of providers is not to be had
    await stop(page)
    await page.get_by_text("Microphone and engine").click()
    await page.get_by_label("Engine").select_option("other")
    await page.get_by_role("button", name="Larger text").click()
    await page.get_by_role("button", name="dark colours").click()
    await page.reload()
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert await page.locator(".transcript.size-2").count() == 1
    await record(page)
    await expect(page.locator(".badge").first).to_have_text("other")
    await stop(page)
    await opened.assert_clean()


async def test_hostile_words(serve: Serve, start: Start) -> None:
    """Words, names of engines and messages are text, whatever they look like."""
    server = await serve("echo", script=[HOSTILE, f"{HOSTILE} and on"], words_per_second=1.5)
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await record(page)
    await expect(page.locator(".interim")).to_contain_text(HOSTILE)
    await expect(page.locator(".final")).to_have_count(2)
    await stop(page)
    assert (await page.locator(".final").all_inner_texts())[0] == HOSTILE
    assert await page.locator("main img, main script").count() == 0
    # The policy would have stopped it, too.
    refused = await page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return ''; }"
        " catch (error) { return error.name; } }"
    )
    assert refused == "TypeError"
    violations = await page.evaluate("window.violations.splice(0)")
    assert len(violations) == 1
    assert violations[0].startswith("require-trusted-types-for")
    opened.wrong = [line for line in opened.wrong if "TrustedHTML" not in line]
    await opened.assert_clean()
