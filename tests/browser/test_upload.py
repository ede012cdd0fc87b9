"""The upload page: real files become conversations, and whatever stands in the way is said in a sentence."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import FilePayload, Locator, Page, expect

from sttgate.testing import tone
from tests.access.doors import OpenDoor
from tests.browser.barriers import assert_narrow
from tests.browser.chromium import Watched, address, sign_in
from tests.browser.conftest import Start
from tests.browser.test_barriers import assert_no_barriers
from tests.faults.process import Servers
from tests.faults.proxy import FaultProxy
from tests.functional.native import Serve, Server, until
from tests.uploads.media import wav

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = ["the first sentence is short", "and the second one is here"]
HOSTILE = "<img src=x onerror=alert(1)>.wav"
DROP = """
(data) => {
  const dataTransfer = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  dataTransfer.items.add(new File([bytes], "dropped.wav"));
  const tell = (name) => document.body.dispatchEvent(
    new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true }));
  window.tell = tell;
  return [tell("dragenter"), tell("dragover")];
}
"""


def sound(name: str, seconds: float = 1.0) -> FilePayload:
    """Return a WAV file to choose."""
    return {"name": name, "mimeType": "audio/wav", "buffer": wav(tone(seconds))}


async def choose(page: Page, *files: FilePayload | Path) -> None:
    """Choose files on the page."""
    await page.locator("input[type=file]").set_input_files(list(files))  # type: ignore[arg-type]


def row(page: Page, name: str) -> Locator:
    """Return what the page shows of a file."""
    return page.locator(".upload").filter(has=page.get_by_role("heading", name=name, exact=True))


async def session_of(row: Locator) -> str:
    """Return the id of the conversation a file has become."""
    link = row.get_by_role("link", name="Open the conversation")
    return (await link.get_attribute("href", timeout=30_000) or "").rpartition("/")[2]


async def open_upload(start: Start, server: Server) -> Watched:
    """Open the page, and wait until it knows what is taken."""
    opened = await (await start())(address(server, "/upload"))
    await expect(opened.page.get_by_text("MiB and")).to_be_visible()
    return opened


async def test_real_words(serve: Serve, start: Start, reading: Path) -> None:
    """A recording of real speech shows its words while they are heard, and ends as a conversation."""
    server = await serve("moonshine")
    opened = await open_upload(start, server)
    page = opened.page
    await choose(page, reading)
    upload = row(page, "reading.wav")
    await expect(upload.locator(".upload-words")).to_contain_text("best of times", timeout=30_000)
    await expect(upload.get_by_role("progressbar")).to_be_visible()
    session_id = await session_of(upload)
    await expect(page.get_by_role("status")).to_have_text("reading.wav is transcribed.")
    await expect(upload.get_by_role("progressbar")).to_have_count(0)
    stored = await server.stored(session_id)
    assert stored is not None
    assert stored["title"] == "reading.wav"
    assert "worst of times" in stored["text"]
    shown = await upload.locator(".upload-words").inner_text()
    assert stored["text"].startswith(shown.removesuffix(" …"))
    await opened.assert_clean()


async def test_queue(serve: Serve, start: Start) -> None:
    """What waits says for what, and is sent when there is room; what is cancelled leaves nothing."""
    server = await serve("puppet", hang="end", sections={"uploads": {"at_once": 1, "waiting": 1}})
    opened = await open_upload(start, server)
    page = opened.page
    await choose(page, *(sound(name) for name in ("a.wav", HOSTILE, "c.wav", "d.wav")))
    await expect(row(page, "a.wav")).to_contain_text("Transcribing")
    await expect(row(page, HOSTILE)).to_contain_text("Waits for its turn")
    await expect(row(page, "c.wav")).to_contain_text("There are as many files waiting as may wait.")
    await expect(row(page, "d.wav")).to_contain_text("Waits until those before it are sent")
    await expect(page.get_by_role("link", name="Upload 4 in progress")).to_be_visible()
    await expect(page.get_by_text("Keep this tab open")).to_be_visible()
    await assert_no_barriers(page)
    for name in (HOSTILE, "d.wav"):
        await page.get_by_role("button", name=f"Cancel: {name}").click()
        await expect(row(page, name)).to_have_count(0)
        await expect(page.get_by_role("status")).to_have_text(f"{name} is cancelled.")
    await expect(row(page, "c.wav")).to_contain_text("Waits for its turn", timeout=10_000)
    await expect(page.get_by_text("You may close this tab")).to_be_visible()
    server.engine("puppet").release.set()
    kept = {await session_of(row(page, name)) for name in ("a.wav", "c.wav")}
    async with server.client.get("/api/v1/sessions") as response:
        assert {each["id"] for each in (await response.json())["sessions"]} == kept
    await page.get_by_role("button", name="Clear what is over").click()
    await expect(page.locator(".upload")).to_have_count(0)
    await opened.assert_clean()


async def test_cancel_while_transcribing(serve: Serve, start: Start) -> None:
    """A file that is being heard can be cancelled; its conversation is gone."""
    lines = [[0.5, "final", "half of it"]]
    server = await serve("puppet", hang="end", lines=lines)
    opened = await open_upload(start, server)
    page = opened.page
    await choose(page, sound("talk.wav"))
    await expect(row(page, "talk.wav")).to_contain_text("half of it")
    await page.get_by_role("button", name="Cancel: talk.wav").click()
    await expect(page.locator(".upload")).to_have_count(0)
    await server.settled()
    async with server.client.get("/api/v1/sessions") as response:
        assert (await response.json())["sessions"] == []
    await opened.assert_clean()


async def test_no_use(serve: Serve, start: Start) -> None:
    """A file that is empty, too large or no audio is told so; there is no use in trying again."""
    server = await serve("echo", sections={"uploads": {"max_mb": 1}})
    opened = await open_upload(start, server)
    page = opened.page
    large = sound("large.wav", 40.0)
    noise: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"words " * 99}
    empty: FilePayload = {"name": "empty.mp3", "mimeType": "audio/mpeg", "buffer": b""}
    await choose(page, large, noise, empty)
    alert = row(page, "large.wav").get_by_role("alert")
    await expect(alert).to_have_text("The file is larger than 1 MiB.")
    alert = row(page, "empty.mp3").get_by_role("alert")
    await expect(alert).to_have_text("The file is empty.")
    alert = row(page, "notes.txt").get_by_role("alert")
    await expect(alert).to_contain_text("This is no audio file", timeout=30_000)
    await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    await assert_no_barriers(page)
    await page.get_by_role("button", name="Remove from the list: notes.txt").click()
    await expect(page.locator(".upload")).to_have_count(2)
    await opened.assert_clean()


async def test_server_refuses(serve: Serve, start: Start) -> None:
    """What the gateway itself refuses is told in its own sentence."""
    sections = {"uploads": {"max_mb": 1, "max_minutes": 0.1}}
    server = await serve("puppet", languages=("en",), sections=sections)
    opened = await (await start())(address(server, "/help"))
    page = opened.page
    await page.route("**/api/v1/transcriptions", lambda route: route.abort(), times=1)
    await page.get_by_role("link", name="Upload").click()
    await choose(page, sound("large.wav", 40.0), sound("long.wav", 10.0))
    alert = row(page, "large.wav").get_by_role("alert")
    await expect(alert).to_have_text("The file is larger than 1 MiB.")
    alert = row(page, "long.wav").get_by_role("alert")
    await expect(alert).to_contain_text("longer than 0.1 minutes")
    await page.get_by_text("Engine and language").click()
    await page.get_by_label("Language").fill("tlh")
    await choose(page, sound("foreign.wav"))
    alert = row(page, "foreign.wav").get_by_role("alert")
    await expect(alert).to_contain_text("The language 'tlh' is not supported.")
    await opened.assert_clean()


async def test_engine_is_out(serve: Serve, start: Start) -> None:
    """A file that no engine hears fails with the gateway's sentence, and can be tried again."""
    server = await serve("echo", refuse=True, error="auth")
    opened = await open_upload(start, server)
    page = opened.page
    await choose(page, sound("talk.wav"))
    alert = row(page, "talk.wav").get_by_role("alert")
    await expect(alert).to_contain_text("1.0 seconds could not be transcribed.", timeout=15_000)
    server.gateway.draining = True
    await page.get_by_role("button", name="Try again").click()
    await expect(row(page, "talk.wav")).to_contain_text(
        "The service is restarting. Try again. This page tries it again by itself."
    )
    server.gateway.draining = False
    await expect(alert).to_contain_text("could not be transcribed.", timeout=15_000)
    await opened.assert_clean()


async def test_drop(serve: Serve, start: Start) -> None:
    """Files can be dropped on any page; it says so, and shows what becomes of them."""
    server = await serve("echo", script=SCRIPT)
    opened = await (await start())(address(server))
    page = opened.page
    await page.get_by_role("button", name="Record").wait_for()
    data = base64.b64encode(wav(tone(5.0))).decode()
    assert await page.evaluate(DROP, data) == [False, False]  # the browser leaves it to the page
    await expect(page.get_by_text("Drop them to have them transcribed")).to_be_visible()
    await page.evaluate("tell('drop')")
    await expect(page).to_have_title("Upload · sttgate")
    await expect(page.get_by_text("Drop them to have them transcribed")).to_have_count(0)
    await expect(row(page, "dropped.wav")).to_contain_text(SCRIPT[0])
    await session_of(row(page, "dropped.wav"))
    await opened.assert_clean()


async def test_network(serve: Serve, start: Start) -> None:
    """Without a network, or a gateway, a file is sent when there is one; what was sent is not sent twice."""
    lines = [[0.5, "final", "half of it"], [2.0, "final", "and the rest"]]
    server = await serve("puppet", hang="end", lines=lines)
    assert server.client.port is not None
    async with FaultProxy(server.client.port) as proxy:
        opened = await (await start())(f"{proxy.url}/upload")
        page = opened.page
        await expect(page.get_by_text("MiB and")).to_be_visible()
        await opened.context.set_offline(True)
        await choose(page, sound("talk.wav"))
        upload = row(page, "talk.wav")
        await expect(upload).to_contain_text("This device is offline. This page tries it again")
        proxy.set(refuse=True)
        proxy.cut()
        await opened.context.set_offline(False)
        await expect(upload).to_contain_text("The gateway does not answer. Is it running?")
        await assert_no_barriers(page)
        proxy.set()
        await expect(upload).to_contain_text("half of it", timeout=15_000)
        proxy.set(refuse=True)
        proxy.cut()
        await expect(upload).to_contain_text("It has the file; we ask again until it does.")
        server.engine("puppet").release.set()
        await until(lambda: not server.gateway.sessions)
        proxy.set()
        session_id = await session_of(upload)
        await expect(upload.locator(".upload-words")).to_have_text("half of it and the rest")
        await opened.assert_clean()
        await opened.context.close()
    async with server.client.get("/api/v1/sessions") as response:
        assert [each["id"] for each in (await response.json())["sessions"]] == [session_id]


async def test_server_killed(servers: Servers, start: Start) -> None:
    """A gateway that is killed while it transcribes hears the file anew; no word is shown twice."""
    echo = {"script": SCRIPT, "words_per_second": 2.0, "delay": 0.2}
    sections = {"providers": {"echo": echo}, "chain": ["echo"]}
    server = servers(**sections)
    await server.start()
    port = urlsplit(server.url).port
    opened = await (await start())(f"{server.url}/upload")
    page = opened.page
    await expect(page.get_by_text("MiB and")).to_be_visible()
    await choose(page, sound("talk.wav", 8.0))
    upload = row(page, "talk.wav")
    await expect(upload).to_contain_text(SCRIPT[0], timeout=15_000)
    await server.kill()
    await expect(upload).to_contain_text("It has the file")
    server.configure(**sections, server={"port": port})
    await server.start()
    session_id = await session_of(upload)
    stored = (await server.stored(session_id))["text"]
    assert SCRIPT[0] in stored
    await expect(upload.locator(".upload-words")).to_have_text(stored)
    await opened.assert_clean()


async def test_may_not(open_door: OpenDoor, start: Start) -> None:
    """A key that may not transcribe is told so; one that may do only that, that it cannot watch."""
    door = await open_door()
    opened = await (await start())(str(door.client.make_url("/upload")))
    page = opened.page
    await sign_in(page, door.key("read"))
    await expect(page.get_by_text("Your key may not transcribe.")).to_be_visible()
    await assert_no_barriers(page)
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, door.key("transcribe"))
    await choose(page, sound("talk.wav"))
    await expect(row(page, "talk.wav")).to_contain_text("The gateway has it.")
    await assert_no_barriers(page)
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, door.key("transcribe", "read"))
    await expect(page.locator(".upload")).to_have_count(0)  # they were another's
    await opened.assert_clean()


async def test_narrow(serve: Serve, start: Start) -> None:
    """On a phone nothing has to be scrolled sideways, whatever a file is called."""
    server = await serve("echo", script=["w" * 90, *SCRIPT], words_per_second=9)
    opened = await (await start())(
        address(server, "/upload"), viewport={"width": 320, "height": 640}
    )
    page = opened.page
    await choose(page, sound(f"{'x' * 80}.wav", 3.0), sound("b.wav"))
    for upload in await page.locator(".upload").all():
        await session_of(upload)
    await assert_narrow(page)
    await assert_no_barriers(page)
    await opened.assert_clean()
