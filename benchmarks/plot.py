"""The main table as a picture: bars of CPU for a chunk, in times the nginx relay."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_WIDTH, _LEFT, _ROW, _TOP = 760, 170, 26, 64
_STYLE = """
    svg { --ink: #1f2937; --soft: #57606a; --line: #d0d7de; --small: #6ea8fe; --large: #2f6feb; }
    @media (prefers-color-scheme: dark) {
      svg { --ink: #e6edf3; --soft: #9aa5b1; --line: #30363d; --small: #6ea8fe; --large: #2f6feb; }
    }
    text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
    .soft { font-size: 12px; fill: var(--soft); }
    .grid { stroke: var(--line); }
"""


def bars(result: Mapping[str, Any]) -> str:
    """Return an SVG of the result of ``chunks``; it needs nginx to have been there."""
    sizes = result["sizes"]
    servers = list(next(iter(sizes.values())))
    most = max(row["times_nginx"]["most"] for table in sizes.values() for row in table.values())
    scale = (_WIDTH - _LEFT - 90) / most
    parts, y = [], _TOP
    for server in servers:
        parts.append(
            f'<text x="{_LEFT - 12}" y="{y + 29}" text-anchor="end">{escape(server)}</text>'
        )
        for (size, table), color in zip(sizes.items(), ("small", "large"), strict=True):
            figure = table[server]["times_nginx"]
            end = _LEFT + figure["median"] * scale
            low, high = (_LEFT + figure[key] * scale for key in ("least", "most"))
            parts += [
                f'<rect x="{_LEFT}" y="{y + 4}" width="{end - _LEFT:.1f}" height="{_ROW - 8}"'
                f' fill="var(--{color})"><title>{size} ms chunks</title></rect>',
                f'<path class="grid" style="stroke: var(--ink)" d="M{low:.1f} {y + _ROW / 2:.0f}'
                f'H{high:.1f}"/>',
                f'<text class="soft" x="{max(end, high) + 6:.1f}" y="{y + 17}">'
                f"{figure['median']:.1f}</text>",
            ]
            y += _ROW
        y += 10
    lines = []
    for times in range(int(most) + 1):
        x = _LEFT + times * scale
        lines.append(f'<path class="grid" d="M{x:.1f} {_TOP - 6}V{y}"/>')
        lines.append(
            f'<text class="soft" x="{x:.1f}" y="{y + 16}" text-anchor="middle">{times}</text>'
        )
    legend = "".join(
        f'<rect x="{_LEFT + 150 * i}" y="34" width="12" height="12" fill="var(--{color})"/>'
        f'<text class="soft" x="{_LEFT + 150 * i + 18}" y="45">{size} ms chunks</text>'
        for i, (size, color) in enumerate(zip(sizes, ("small", "large"), strict=True))
    )
    body = "\n  ".join([*lines, legend, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 28}" role="img"'
        ' aria-labelledby="title">\n'
        '  <title id="title">CPU for a chunk of audio, in times a bare nginx relay</title>\n'
        f"  <style>{_STYLE}  </style>\n"
        f'  <text x="{_LEFT}" y="20">CPU for a chunk, in times a bare nginx relay</text>\n'
        f"  {body}\n</svg>\n"
    )
