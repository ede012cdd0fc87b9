"""A Chromium with a fake microphone, and pages that notice what they must not do."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, async_playwright, expect

from tests.functional.native import Server

EXECUTABLE = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
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
OpenPage = Callable[..., Awaitable["Watched"]]


@dataclass
class Watched:
    """A page, and what went wrong on it."""

    page: Page
    context: BrowserContext
    wrong: list[str] = field(default_factory=list)

    async def assert_clean(self) -> None:
        """Assert that nothing was thrown, logged as an error, or kept off by the policy."""
        assert self.wrong == []
        assert await self.page.evaluate("window.violations") == []


@asynccontextmanager
async def pages(flags: tuple[str, ...]) -> AsyncIterator[OpenPage]:
    """Start Chromium with ``flags``; yield a function that opens a page at a URL."""
    sandbox = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    async with async_playwright() as playwright, AsyncExitStack() as stack:
        browser = await playwright.chromium.launch(
            executable_path=EXECUTABLE, args=[*FLAGS, *sandbox, *flags]
        )
        stack.push_async_callback(browser.close)

        async def open_page(url: str, **options: Any) -> Watched:
            context = await browser.new_context(**options)
            page = await context.new_page()
            watched = Watched(page, context)
            await page.add_init_script(_WATCH)
            page.on("pageerror", lambda error: watched.wrong.append(f"thrown: {error}"))
            page.on(
                "console",
                lambda message: (
                    watched.wrong.append(f"logged: {message.text}")
                    if message.type in ("error", "warning") and not _is_expected(message.text)
                    else None
                ),
            )
            page.on(
                "dialog", lambda dialog: watched.wrong.append(f"a {dialog.type} came up")
            )
            await page.goto(url)
            return watched

        yield open_page


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
