"""A bar chart as SVG, drawn by hand so that nothing needs to be installed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

_STYLE = """
  svg { background: #ffffff }
  text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #344054; font-size: 13px }
  .title { font-size: 20px; font-weight: 650; fill: #101828 }
  .note, .tick { fill: #667085 }
  .tick { font-size: 12px }
  .grid { stroke: #e4e7ec }
  .bar { fill: #3b82d6 } .bar.top { fill: #e6862b }
  .value { font-size: 12px; fill: #101828 }
  @media (prefers-color-scheme: dark) {
    svg { background: #161a21 } text { fill: #c8cfda } .title, .value { fill: #f2f4f7 }
    .note, .tick { fill: #98a2b3 } .grid { stroke: #2c333f }
  }
"""


def columns(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    title: str,
    note: str,
    write: Callable[[float], str],
    top: int = 3,
) -> str:
    """Upright bars, the `top` highest picked out."""
    width, height, left, right, above, below = 980, 420, 70, 24, 84, 44
    limit, ticks = _scale(max(values, default=1.0))
    step = (width - left - right) / max(len(values), 1)
    best = set(sorted(range(len(values)), key=lambda i: -values[i])[:top])

    def y(value: float) -> float:
        return height - below - (height - above - below) * value / limit

    parts = []
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{left - 10}" y="{y(tick) + 4:.1f}" text-anchor="end">{escape(write(tick))}</text>'
        )
    for i, (label, value) in enumerate(zip(labels, values)):
        x, wide = left + i * step + step * 0.12, step * 0.76
        parts.append(
            f'<rect class="bar{" top" if i in best else ""}" x="{x:.1f}" y="{y(value):.1f}" width="{wide:.1f}" '
            f'height="{max(height - below - y(value), 0):.1f}" rx="3"><title>{escape(label)}: {escape(write(value))}</title></rect>'
        )
        parts.append(
            f'<text class="tick" x="{x + wide / 2:.1f}" y="{height - below + 20}" text-anchor="middle">{escape(label)}</text>'
        )
    return _svg(width, height, title, note, parts)


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    title: str,
    note: str,
    write: Callable[[float], str],
    top: int = 3,
) -> str:
    """Lying bars with their values, from the top down."""
    row, left, right, above, below, width = 30, 200, 90, 84, 20, 980
    height = above + below + row * len(values)
    limit = max([*values, 0]) or 1.0
    parts = []
    for i, (label, value) in enumerate(zip(labels, values)):
        y, wide = above + i * row, (width - left - right) * max(value, 0) / limit
        parts.append(f'<text x="{left - 12}" y="{y + 19}" text-anchor="end">{escape(label)}</text>')
        parts.append(
            f'<rect class="bar{" top" if i < top else ""}" x="{left}" y="{y + 4}" width="{max(wide, 1):.1f}" height="{row - 9}" rx="3"/>'
        )
        parts.append(
            f'<text class="value" x="{left + wide + 8:.1f}" y="{y + 19}">{escape(write(value))}</text>'
        )
    return _svg(width, height, title, note, parts)


def _svg(width: int, height: int, title: str, note: str, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f'<text class="title" x="24" y="38">{escape(title)}</text>\n'
        f'<text class="note" x="24" y="60">{escape(note)}</text>\n{body}\n</svg>\n'
    )


def _scale(highest: float) -> tuple[float, list[float]]:
    """The end of an axis that holds `highest`, and its ticks at 1, 2 or 5 times a power of ten."""
    if not highest > 0:
        return 1.0, [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= highest / 4)
    count = math.ceil(highest / step - 1e-9)
    return count * step, [i * step for i in range(count + 1)]
