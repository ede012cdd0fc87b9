"""A Chromium with a fake microphone, and pages that notice what they must not do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)

from tests.functional.native import Server

EXECUTABLE = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
FLAGS = (
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
)
_WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`));
"""
expect.set_options(
    timeout=10_000
)  # milliseconds; what takes one here may take five on a busy machine
OpenPage = Callable[..., Awaitable["Watched"]]


@dataclass
class Watched:
    """A page, and what went wrong on it."""

    page: Page
    context: BrowserContext
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Begin to notice."""
        page, wrong = self.page, self.wrong
        page.on("pageerror", lambda error: wrong.append(f"thrown: {error}"))
        page.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
        page.on("console", self._read)

    def _read(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _is_expected(message.text):
            self.wrong.append(f"logged: {message.text}")

    async def assert_clean(self) -> None:
        """Assert that nothing was thrown, logged as an error, or kept off by the policy."""
        assert self.wrong == []
        assert await self.page.evaluate("window.violations") == []


class Browsers:
    """The browsers that run, one for each set of flags."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, ...], Browser] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._playwright = await self._stack.enter_async_context(async_playwright())
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def opener(self, flags: tuple[str, ...], pages: AsyncExitStack) -> OpenPage:
        """Return what opens a page at a URL; ``pages`` closes it."""
        if flags not in self._running:
            sandbox = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
            browser = await self._playwright.chromium.launch(
                executable_path=EXECUTABLE, args=[*FLAGS, *sandbox, *flags]
            )
            self._stack.push_async_callback(browser.close)
            self._running[flags] = browser
        browser = self._running[flags]

        async def open_page(url: str, **options: Any) -> Watched:
            context = await browser.new_context(**options)
            pages.push_async_callback(context.close)
            watched = Watched(await context.new_page(), context)
            await watched.page.add_init_script(_WATCH)
            watched.watch()
            await watched.page.goto(url)
            return watched

        return open_page


def _is_expected(text: str) -> bool:
    """Whether Chromium logs it by itself: an answer that is an error, a socket that breaks."""
    return text.startswith("Failed to load resource") or "WebSocket connection to" in text


def microphone(recording: Path | None = None, *, allowed: bool = True) -> tuple[str, ...]:
    """Return the flags for a microphone that plays ``recording`` once, or beeps for ever."""
    answer = "" if allowed else "=deny"
    flags = ("--use-fake-device-for-media-stream", f"--use-fake-ui-for-media-stream{answer}")
    if recording is None:
        return flags
    return (*flags, f"--use-file-for-fake-audio-capture={recording}%noloop")


def address(server: Server, path: str = "/") -> str:
    """Return the URL of a page."""
    return str(server.client.make_url(path))


async def record(page: Page) -> None:
    """Begin to record, and return once an engine listens."""
    await page.get_by_role("button", name="Record").click()
    await expect(page.get_by_role("status").first).to_have_text("Listening", timeout=15_000)


async def stop(page: Page) -> None:
    """Stop, and return once all is stored."""
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("status").first).to_have_text("Saved", timeout=20_000)


async def sign_in(page: Page, key: str) -> None:
    """Sign in with a key."""
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
