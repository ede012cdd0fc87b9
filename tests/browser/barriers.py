"""What keeps people out of a page: what axe finds (WCAG 2.2 A and AA), and what is too wide or too small."""

from __future__ import annotations

from typing import Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def assert_no_barriers(page: Page) -> None:
    """Assert that axe finds nothing on the page as it is, in both themes."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        options = {"runOnly": {"type": "tag", "values": RULES}}
        found = await Axe().run(page, options=options)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"


async def assert_narrow(page: Page) -> None:
    """Assert that nothing is wider than the window, and what can be pressed has 24 pixels each way."""
    size = page.viewport_size
    assert size is not None
    assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    small = await page.evaluate(
        "[...document.querySelectorAll('button, nav a, select, input, summary')]"
        ".filter(node => !node.closest('label'))"
        ".map(node => [node.textContent, node.getBoundingClientRect()])"
        ".filter(([, box]) => box.width > 0 && (box.width < 24 || box.height < 24)).join()"
    )
    assert small == ""
