"""The resampler and the tape, in the browser they are made for."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.chromium import address
from tests.browser.conftest import Start
from tests.functional.native import Serve

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMPORT = """
const load = (name) =>
  import(new URL(name, document.querySelector("script[type=module]").src).href);
"""
RESAMPLE = (
    IMPORT
    + """
const { Resampler } = await load("live/resampler.js");
const resampler = new Resampler(from, 16000);
const sine = Float32Array.from({ length: from }, (_, i) => Math.sin(2 * Math.PI * hertz * i / from));
const out = [];
for (let at = 0; at < from; at += 128) {
  resampler.process(sine.subarray(at, at + 128), (sample) => out.push(sample));
}
resampler.flush((sample) => out.push(sample));
// The middle, against the sine it should be; and how much there is of anything.
let [dot, power, wrong] = [0, 0, 0];
for (let i = 2000; i < 14000; i++) {
  const wanted = Math.sin(2 * Math.PI * hertz * i / 16000);
  dot += out[i] * wanted;
  power += out[i] ** 2;
  wrong = Math.max(wrong, Math.abs(out[i] - wanted));
}
return { length: out.length, rms: Math.sqrt(power / 12000), gain: dot / 6000, wrong };
"""
)


async def run(page: Page, code: str, **names: Any) -> Any:
    """Return what ``code`` returns, as the body of an async function with ``names``."""
    return await page.evaluate(f"async ({{{', '.join(names)}}}) => {{ {code} }}", names)


async def test_resampler(serve: Serve, start: Start) -> None:
    """Speech passes as it is, in time and length; what 16 kHz cannot carry does not come back as noise."""
    server = await serve("echo")
    page = (await (await start())(address(server))).page
    for rate in (44_100, 48_000, 96_000, 16_000, 8_000):
        for hertz in (100, 1000, 3000):
            heard = await run(page, RESAMPLE, **{"from": rate, "hertz": hertz})
            assert heard["length"] == pytest.approx(16_000, abs=40)
            assert heard["gain"] == pytest.approx(1, abs=0.005), (rate, hertz)
            assert heard["wrong"] < 0.01, (rate, hertz)
    for rate in (44_100, 48_000):
        for hertz in (9000, 12_000, 15_900):
            heard = await run(page, RESAMPLE, **{"from": rate, "hertz": hertz})
            assert heard["rms"] < 0.002, (rate, hertz)  # below -50 dB


async def test_tape(serve: Serve, start: Start) -> None:
    """The tape gives back what is not safe from any position, and gives up the oldest beyond its limit."""
    server = await serve("echo")
    page = (await (await start())(address(server))).page
    code = (
        IMPORT
        + """
    const { Tape } = await load("live/tape.js");
    const tape = new Tape(10);
    const frame = (...bytes) => tape.append(new Uint8Array(bytes).buffer);
    const read = (at) => { const found = tape.read(at); return found && [...found]; };
    frame(0, 1, 2, 3); frame(4, 5); frame();
    const whole = [read(0), read(2), read(4), read(6)];
    tape.release(3);
    const kept = tape.start;
    tape.release(4);
    const released = [tape.start, tape.end, tape.dropped];
    frame(6, 7, 8, 9, 10, 11); frame(12, 13, 14, 15);
    const full = [tape.start, tape.end, tape.dropped, read(tape.start)];
    let refused = "";
    try { tape.read(0); } catch (error) { refused = error.name; }
    const wav = new DataView(await tape.wav(8).arrayBuffer());
    return { whole, kept, released, full, refused,
             wav: [wav.byteLength, wav.getUint32(40, true), wav.getUint8(44)] };
    """
    )
    assert await run(page, code) == {
        "whole": [[0, 1, 2, 3], [2, 3], [4, 5], None],
        "kept": 0,
        "released": [4, 6, 0],
        "full": [6, 16, 2, [6, 7, 8, 9, 10, 11]],
        "refused": "RangeError",
        "wav": [52, 8, 8],
    }
