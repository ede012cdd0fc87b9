"""What can go wrong while somebody records: the page says so, and nothing that was said is lost."""

from __future__ import annotations

import io
import signal
import wave
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import unused_port
from playwright.async_api import Page, expect

from tests.browser.chromium import address, microphone, record, stop
from tests.browser.conftest import Start
from tests.browser.sounds import RATE, Samples, find, from_pcm, read_wav, write_silence
from tests.faults.process import Server, Servers
from tests.faults.proxy import FaultProxy
from tests.functional.native import Serve

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = ["the first sentence is short", "and the second one is here"]
ECHO = {"providers": {"echo": {"script": SCRIPT, "repeat": True}}, "chain": ["echo"]}


async def test_denied(serve: Serve, start: Start) -> None:
    """A microphone that is blocked is explained, with what to do; trying again is possible."""
    server = await serve("echo")
    opened = await (await start(*microphone(allowed=False)))(address(server))
    await assert_explained(opened.page, "The microphone is blocked for this page.")
    await opened.assert_clean()


async def test_no_microphone(serve: Serve, start: Start) -> None:
    """A machine without a microphone is told to get one."""
    server = await serve("echo")
    opened = await (await start("--use-fake-ui-for-media-stream"))(address(server))
    if await opened.page.evaluate("navigator.mediaDevices.enumerateDevices().then(x => x.length)"):
        pytest.skip("this machine has a microphone")
    await assert_explained(opened.page, "There is no microphone.")
    await opened.assert_clean()


async def assert_explained(page: Page, title: str) -> None:
    """Assert that an attempt to record ends with an alert, and that there may be another."""
    await page.get_by_role("button", name="Record").click()
    await expect(page.get_by_role("alert")).to_contain_text(title)
    await expect(page.get_by_role("status").first).to_have_text("Not recording")
    await expect(page.get_by_role("button", name="Record")).to_be_enabled()


async def test_insecure(serve: Serve, start: Start) -> None:
    """A page without https on another host says why it cannot record, before anybody tries."""
    server = await serve("echo")
    open_page = await start(*microphone(), "--host-resolver-rules=MAP gateway.test 127.0.0.1")
    opened = await open_page(f"http://gateway.test:{server.client.port}/")
    page = opened.page
    await expect(page.get_by_role("alert")).to_contain_text("The microphone needs a secure page.")
    await expect(page.get_by_role("button", name="Record")).to_be_disabled()


async def test_silence(serve: Serve, start: Start, tmp_path: Path) -> None:
    """After five seconds of nothing the page asks whether the microphone is the right one."""
    server = await serve("echo")
    silence = write_silence(tmp_path / "silence.wav", 20.0)
    opened = await (await start(*microphone(silence)))(address(server))
    page = opened.page
    await record(page)
    await expect(page.get_by_text("We hear nothing.")).to_be_visible(timeout=10_000)
    await stop(page)
    await expect(page.get_by_text("We hear nothing.")).to_have_count(0)
    await opened.assert_clean()


async def test_engine_replaced(serve: Serve, start: Start) -> None:
    """While an engine is replaced the page says so, and how much is to catch up; then it is over."""
    server = await serve(
        "puppet",
        sections={
            "providers": {
                "flaky": {"use": "echo", "script": SCRIPT, "die_after": 1.0},
                "puppet": {"hang": "begin"},
            },
            "chain": ["flaky", "puppet"],
        },
    )
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await record(page)
    await expect(page.get_by_text("The engine broke off")).to_be_visible(timeout=20_000)
    await expect(page.get_by_text("to catch up")).to_be_visible()
    await expect(page.get_by_text("No word is lost")).to_be_visible()
    server.engine("puppet").release.set()
    await stop(page)
    await expect(page.get_by_text("The engine broke off")).to_have_count(0)
    await opened.assert_clean()


async def test_no_engine(serve: Serve, start: Start) -> None:
    """When no engine answers, an alert says so, and that the voice is recorded all the same."""
    server = await serve("echo", refuse=True, error="auth")
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await page.get_by_role("button", name="Record").click()
    await expect(page.get_by_role("alert")).to_contain_text(
        "Your voice is being recorded.", timeout=15_000
    )
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("link", name="Open the conversation")).to_be_visible(
        timeout=20_000
    )
    await opened.assert_clean()


async def test_refused(serve: Serve, start: Start) -> None:
    """A gateway that does not take the recording is quoted."""
    server = await serve("puppet", languages=("en",))
    opened = await (await start(*microphone()))(address(server))
    page = opened.page
    await page.get_by_text("Microphone and engine").click()
    await page.get_by_label("Language").fill("tlh")
    await page.get_by_role("button", name="Record").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The gateway did not take the recording.")
    await expect(alert).to_contain_text("tlh")
    await opened.assert_clean()


async def test_connection_cut(serve: Serve, start: Start, reading: Path) -> None:
    """A connection that is cut, twice, costs nothing: one session, and every sample of it."""
    server = await serve("echo", script=SCRIPT, repeat=True)
    assert server.client.port is not None
    async with FaultProxy(server.client.port) as proxy:
        opened = await (await start(*microphone(reading)))(f"{proxy.url}/")
        page = opened.page
        await record(page)
        await expect(page.get_by_role("timer")).to_contain_text("0:02", timeout=10_000)
        proxy.set(refuse=True)
        proxy.cut()
        await expect(page.get_by_text("The gateway does not answer.")).to_be_visible()
        await expect(page.get_by_text("are waiting")).to_be_visible()
        await page.keyboard.press("Alt+m")
        await expect(page.get_by_role("timer")).to_contain_text("0:05", timeout=10_000)
        proxy.set()
        await expect(page.get_by_role("status").first).to_have_text("Listening", timeout=10_000)
        proxy.cut("fin")
        await expect(page.get_by_role("timer")).to_contain_text("0:07", timeout=10_000)
        await stop(page)
        link = page.get_by_role("link", name="Open the conversation")
        session_id = (await link.get_attribute("href") or "").rpartition("/")[2]
        await opened.assert_clean()
        await opened.context.close()
    stored = await server.stored(session_id)
    assert stored is not None
    assert [2 < mark["at"] < 5.5 for mark in stored["marks"]] == [True]
    pcm = await server.recording(session_id)
    assert pcm is not None
    assert_whole(from_pcm(pcm), read_wav(reading))


async def test_server_killed(servers: Servers, start: Start, reading: Path) -> None:
    """A gateway that is killed and started again costs nothing: two sessions have it all."""
    server = servers(**ECHO)
    await server.start()
    port = urlsplit(server.url).port
    server.configure(**ECHO, server={"port": port})
    opened = await (await start(*microphone(reading)))(f"{server.url}/")
    page = opened.page
    await record(page)
    await expect(page.get_by_role("timer")).to_contain_text("0:03", timeout=10_000)
    await server.kill()
    await expect(page.get_by_text("The gateway does not answer.")).to_be_visible()
    await server.start()
    await expect(page.get_by_text("goes on in a new session")).to_be_visible(timeout=20_000)
    await expect(page.get_by_role("status").first).to_have_text("Listening", timeout=10_000)
    await expect(page.get_by_text("The gateway does not answer.")).to_have_count(0)
    await stop(page)
    first, second = [
        (await link.get_attribute("href") or "").rpartition("/")[2]
        for link in await page.get_by_role("link", name="Open part").all()
    ]
    await opened.assert_clean()
    assert (await server.stored(first))["state"] == "interrupted"
    assert (await server.stored(second))["metadata"] == {"continues": first}
    await assert_no_hole(server, first, second, read_wav(reading))


async def test_server_restarted(servers: Servers, start: Start, reading: Path) -> None:
    """A gateway that is restarted says so first, then the recording goes on, and nothing is lost."""
    drain = {"port": unused_port(), "lame_duck_s": 0.0, "drain_timeout_s": 2.0}
    server = servers(**ECHO, server=drain)
    await server.start()
    opened = await (await start(*microphone(reading)))(f"{server.url}/")
    page = opened.page
    await record(page)
    await expect(page.get_by_role("timer")).to_contain_text("0:02", timeout=10_000)
    server.signal(signal.SIGTERM)
    await expect(page.get_by_text("The gateway is about to restart.")).to_be_visible()
    assert await server.exited(20) == 0
    await server.start()
    await expect(page.get_by_text("the recording goes on in a new one")).to_be_visible(
        timeout=20_000
    )
    await expect(page.get_by_text("The gateway is about to restart.")).to_have_count(0)
    await stop(page)
    first, second = [
        (await link.get_attribute("href") or "").rpartition("/")[2]
        for link in await page.get_by_role("link", name="Open part").all()
    ]
    await opened.assert_clean()
    await assert_no_hole(server, first, second, read_wav(reading))


async def assert_no_hole(server: Server, first: str, second: str, whole: Samples) -> None:
    """Assert that a session takes up what is said where another one left it."""
    begin, end = await recorded(server, first, whole)
    again, last = await recorded(server, second, whole)
    assert begin < again <= end + 0.05 * RATE
    assert end - again < 2 * RATE  # and not everything twice
    assert last > end


async def test_gone_for_good(servers: Servers, start: Start) -> None:
    """Stopped without a gateway, the page waits; who gives up can save the sound as a file."""
    server = servers(**ECHO)
    await server.start()
    opened = await (await start(*microphone()))(f"{server.url}/")
    page = opened.page
    await record(page)
    await expect(page.get_by_role("timer")).to_contain_text("0:01", timeout=10_000)
    await server.kill()
    await expect(page.get_by_text("The gateway does not answer.")).to_be_visible()
    await expect(page.get_by_role("timer")).to_contain_text("0:03", timeout=10_000)
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("status").first).to_have_text("Saving")
    await page.get_by_role("button", name="Give up").click()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save it as a file").click()
    path = await (await download.value).path()
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        assert file.getnframes() > RATE
    await opened.assert_clean()


async def recorded(server: Server, session_id: str, whole: Samples) -> tuple[int, int]:
    """Return where in ``whole`` the recording of a session begins and ends, in samples."""
    with wave.open(io.BytesIO(await server.recording(session_id))) as file:
        samples = from_pcm(file.readframes(file.getnframes()))
    begin, _ = place(samples[: 2 * RATE], whole)
    end, _ = place(samples[-RATE:], whole)
    return begin, end + RATE


def assert_whole(samples: Samples, whole: Samples) -> None:
    """Assert that a recording is one unbroken piece of ``whole``, but for a hiccup of the machine."""
    first, begin = anchor(samples, range(RATE, 0, -RATE // 4), whole)
    end = len(samples) - RATE
    last, finish = anchor(samples, range(end, end - RATE, -RATE // 4), whole)
    assert abs((finish - begin) - (last - first)) < 0.15 * RATE


def anchor(samples: Samples, starts: range, whole: Samples) -> tuple[int, int]:
    """Return where the first second that has no hiccup in it begins, here and in ``whole``."""
    fits = []
    for start in starts:
        at, fit = find(samples[start : start + RATE], whole)
        if fit > 0.8:
            return start, at
        fits.append(round(fit, 2))
    raise AssertionError(f"it fits nowhere: {fits}")


def place(piece: Samples, whole: Samples) -> tuple[int, float]:
    """Return where a piece of a recording lies, which has to be beyond doubt."""
    at, fit = find(piece, whole)
    assert fit > 0.8, f"it fits nowhere: {fit:.2f}"
    return at, fit
