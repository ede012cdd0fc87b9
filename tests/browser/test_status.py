"""The status page: it shows what the gateway says of itself, and says what that means."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Request, Route, expect

from sttgate.errors import StoreError
from tests.access.doors import OpenDoor
from tests.browser.barriers import assert_narrow
from tests.browser.chromium import address, sign_in
from tests.browser.conftest import Start
from tests.browser.test_barriers import assert_no_barriers
from tests.faults.proxy import FaultProxy
from tests.functional.native import ENGINES, Serve, Server, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLAKY = {
    "providers": {
        "spare": {"use": "echo"},
        "echo": {"script": ["hello there"]},
        "flaky": {"use": "echo", "refuse": True},
        "deepgram": {},
    },
    "chain": ["deepgram", "flaky", "echo"],
}


async def talk(server: Server, seconds: float = 3.0) -> None:
    """Have a session of so much audio."""
    async with server.connect("?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        await socket.send_bytes(bytes(2 * round(16_000 * seconds)))
        await socket.send_json({"event": "stop"})
        async for message in socket:
            if message.json()["event"] == "stopped":
                break
    await server.settled()


async def told(server: Server) -> dict[str, Any]:
    """Return the status as the API has it."""
    async with server.client.get("/api/v1/status") as response:
        status: dict[str, Any] = await response.json()
        return status


def tile(page: Page, name: str) -> Locator:
    """Return a figure."""
    return page.locator(".tile").filter(has=page.get_by_text(name, exact=True)).locator("dd")


def pair(page: Page, section: str, name: str) -> Locator:
    """Return a value of a list."""
    rows = page.get_by_role("region", name=section).locator(".pairs > div")
    return rows.filter(has_text=name).first.locator("dd")


def engine(page: Page, name: str) -> Locator:
    """Return what is shown of an engine."""
    return page.locator(".engine").filter(has=page.get_by_role("heading", name=name, exact=True))


def verdict(page: Page) -> Locator:
    """Return the few words that say how it stands."""
    return page.locator(".status-head").get_by_role("status")


async def ask(page: Page) -> None:
    """Have the page ask the gateway now."""
    await page.get_by_role("button", name="Ask now").click()


async def test_what_the_server_says(serve: Serve, start: Start) -> None:
    """Figures, engines, stores, limits and plugins are those of the API; all is well."""
    sections = {"limits": {"sessions_per_key": 7, "idle_s": 120}}
    server = await serve("echo", script=["hello there"], words_per_second=4, sections=sections)
    await talk(server)
    opened = await (await start())(address(server, "/status"))
    page = opened.page
    await expect(verdict(page)).to_have_text("All is well")
    status = await told(server)
    await expect(tile(page, "Sessions now")).to_have_text("0of 1,000")
    await expect(tile(page, "Sessions ended")).to_have_text("11 completed")
    await expect(tile(page, "Audio received")).to_have_text("3 s")
    await expect(tile(page, "Up for")).to_contain_text(f"version {status['version']}")
    await expect(tile(page, "Free for audio")).to_contain_text("GB")
    [provider] = status["providers"]
    await expect(engine(page, "echo")).to_contain_text("Ready")
    for kind, label in (("first_interim", "First words"), ("final", "Final words")):
        took = provider[kind]["p50"]
        shown = f"{round(1000 * took)} ms" if took < 0.995 else f"{took:.1f} s"
        figure = engine(page, "echo").locator("div").filter(has_text=label).last
        await expect(figure.locator("dd")).to_contain_text(shown)
    for name in ("Spool", "Transcripts", "Recordings"):
        await expect(pair(page, "Stores", name)).to_have_text("Can be written")
    await expect(pair(page, "Limits", "of one key")).to_have_text("7")
    await expect(pair(page, "Limits", "from one address")).to_have_text("none")
    await expect(pair(page, "Limits", "without audio")).to_have_text("2 min")
    await expect(pair(page, "Limits", "Size of a file")).to_have_text("500 MiB")
    await expect(pair(page, "Plugins", "native_engines")).to_have_text("Loaded")
    async with server.connect("?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        await until(lambda: bool(server.gateway.sessions))
        await expect(tile(page, "Sessions now")).to_have_text("1of 1,000", timeout=10_000)
        await socket.send_json({"event": "stop"})
        await server.settled()
    await opened.assert_clean()


async def test_engine_that_is_out(serve: Serve, start: Start) -> None:
    """An engine that fails is told at the top, with what it said; the chain is in its order."""
    server = await serve(sections=FLAKY)
    for _ in range(3):
        await talk(server, 1.0)
    opened = await (await start())(address(server, "/status"))
    page = opened.page
    await expect(verdict(page)).to_have_text("Works, with trouble")
    await expect(page.get_by_text("Out at the moment: flaky.")).to_be_visible()
    flaky = next(each for each in (await told(server))["providers"] if each["name"] == "flaky")
    await expect(engine(page, "flaky")).to_contain_text("Out, passed over for now")
    await expect(engine(page, "flaky")).to_contain_text(flaky["last_error"]["message"])
    await expect(engine(page, "flaky")).to_contain_text("unavailable")
    await expect(engine(page, "deepgram")).to_contain_text("no API key")
    await expect(engine(page, "spare")).to_contain_text("Not used yet")
    names = await page.locator(".engine h3").all_inner_texts()
    assert names[:2] == ["flaky", "echo"]
    await expect(page.get_by_text("Sessions that ask for none get flaky; echo")).to_be_visible()
    await assert_no_barriers(page)
    await opened.assert_clean()


async def test_troubles(serve: Serve, start: Start) -> None:
    """What else can be the matter is said, with what it means; on a phone too, without barriers."""
    sections = {
        "server": {"port": 0, "max_sessions": 1},
        "plugins": {"dirs": [str(ENGINES)], "disabled": ["whisper"]},
    }
    server = await serve("echo", refuse=True, error="auth", sections=sections)
    await talk(server, 0.5)
    for _ in range(100):
        server.gateway.tally.loop_lag.observe(0.4)
    server.gateway.warnings = ("config.yaml:3:1 limits: nobody is limited",)

    async def fail() -> None:
        raise StoreError("the disk is full")

    server.gateway.recordings.check = fail  # type: ignore[method-assign]
    opened = await (await start())(
        address(server, "/status"), viewport={"width": 320, "height": 640}
    )
    page = opened.page
    await expect(verdict(page)).to_have_text("In trouble")
    for title in (
        "No engine of the chain works.",
        "The recording store does not take anything.",
        "The gateway is short of time.",
        "config.yaml:3:1 limits: nobody is limited",
    ):
        await expect(page.get_by_text(title)).to_be_visible()
    await expect(pair(page, "Stores", "Recordings")).to_have_text("Cannot be written")
    await expect(pair(page, "Plugins", "whisper")).to_have_text("Switched off")
    await assert_no_barriers(page)
    await assert_narrow(page)
    async with server.connect("?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        await until(lambda: bool(server.gateway.sessions))
        await ask(page)
        await expect(page.get_by_text("New sessions are sent elsewhere")).to_be_visible()
        await expect(page.get_by_text("as many sessions as may be")).to_be_visible()
        server.gateway.ready = False
        await ask(page)
        await expect(verdict(page)).to_have_text("Going away")
        await expect(page.get_by_text("1 session may finish.")).to_be_visible()
    await opened.assert_clean()


async def test_not_looked_at(serve: Serve, start: Start) -> None:
    """Nothing is asked while the page cannot be seen or another one is shown; then it is asked at once."""
    server = await serve("echo")
    opened = await (await start())(address(server, "/help"))
    page = opened.page
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/status") and request.resource_type == "fetch":
            asked.append(request.url)

    page.on("request", note)
    await page.clock.install()
    await page.get_by_role("link", name="Status").click()
    await expect(verdict(page)).to_have_text("All is well")
    await page.clock.run_for(5100)
    await until(lambda: len(asked) == 2)
    await page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    await page.clock.run_for(60_000)
    assert len(asked) == 2
    await page.evaluate(
        "() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }"
    )
    await until(lambda: len(asked) == 3)
    await page.get_by_role("link", name="Help").click()
    await expect(page).to_have_title("Help · sttgate")
    await page.clock.run_for(60_000)
    assert len(asked) == 3
    await opened.assert_clean()


async def test_no_answer(serve: Serve, start: Start) -> None:
    """A gateway that does not answer is told, with what it said last; then all goes on by itself."""
    server = await serve("echo")
    assert server.client.port is not None
    async with FaultProxy(server.client.port) as proxy:
        opened = await (await start())(f"{proxy.url}/help")
        page, arrived = opened.page, asyncio.Event()

        async def hold(route: Route) -> None:
            await arrived.wait()
            await route.continue_()

        await page.route("**/api/v1/status", hold)
        await page.get_by_role("link", name="Status").click()
        await expect(verdict(page)).to_have_text("Asking")
        await expect(page.locator(".skeleton")).to_be_visible()
        await assert_no_barriers(page)
        arrived.set()
        await expect(verdict(page)).to_have_text("All is well")
        proxy.set(refuse=True)
        proxy.cut()
        await ask(page)
        await expect(page.get_by_role("alert")).to_contain_text("The gateway does not answer.")
        await expect(page.get_by_role("alert")).to_contain_text("what it said last")
        await expect(verdict(page)).to_have_text("No answer")
        await expect(engine(page, "echo")).to_be_visible()
        await assert_no_barriers(page)
        proxy.set()
        await expect(verdict(page)).to_have_text("All is well", timeout=10_000)
        await expect(page.get_by_role("alert")).to_have_count(0)
        await opened.assert_clean()
        await opened.context.close()


async def test_rights(open_door: OpenDoor, start: Start) -> None:
    """Who may only read sees the engines, who may do neither is told whom to ask; an operator sees all."""
    door = await open_door()
    opened = await (await start())(str(door.client.make_url("/status")))
    page = opened.page
    await sign_in(page, door.key("read"))
    await expect(page.get_by_text("Your key may see the engines alone.")).to_be_visible()
    await expect(engine(page, "echo")).to_be_visible()
    await expect(page.locator(".tile")).to_have_count(0)
    await assert_no_barriers(page)
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, door.key("transcribe"))
    await expect(page.get_by_text("Your key may not see the status.")).to_be_visible()
    await assert_no_barriers(page)
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, door.key("admin"))
    await expect(verdict(page)).to_have_text("All is well")
    await opened.assert_clean()
