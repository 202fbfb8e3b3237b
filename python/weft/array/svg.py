"""Drawings of how arrays are cut."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weft import config
from weft._formats import format_bytes

_LINE, _FILL, _EDGE = "#6b7280", "#dbe4f0", "#374151"


def svg(chunks: Any, size: int = 200, **kwargs: Any) -> str:
    """The blocks of an array as an SVG picture.

    Parameters
    ----------
    chunks : tuple of tuples of int
    size : int
        Pixels of the longer side.

    Returns
    -------
    str

    Raises
    ------
    NotImplementedError
        If sizes are unknown or there is no axis.

    Examples
    --------
    >>> svg(((10, 10), (5, 5))).startswith("<svg")
    True
    """
    shape = tuple(map(sum, chunks))
    if any(isinstance(n, float) and math.isnan(n) for n in shape):
        raise NotImplementedError(
            "Can't generate SVG with unknown chunk sizes.\n\n A possible solution is with x.compute_chunk_sizes()"
        )
    if not shape:
        raise NotImplementedError("Can't generate SVG with 0 dimensions")
    if not all(shape):
        raise NotImplementedError("Can't generate SVG with 0-length dimensions")
    sizes = draw_sizes(shape, size)
    parts: list[str] = []
    width = height = 0.0
    ndim = len(shape)
    # Axes in groups of up to three, drawn side by side, the last three right.
    groups: list[tuple[int, ...]] = [(0,)] if ndim == 1 else []
    if ndim > 1:
        first = ndim % 3 if ndim > 3 else ndim
        starts = ([0] if first else []) + list(range(first, ndim, 3))
        ends = starts[1:] + [ndim]
        groups = [tuple(range(a, b)) for a, b in zip(starts, ends)]
    for axes in groups:
        cuts = [_cuts(chunks[a], sizes[a]) for a in axes]
        ext = [sizes[a] for a in axes]
        x0 = width + 10
        if len(axes) == 1:
            body, w, h = _grid([0, 24.0], cuts[0], x0, 10)
            labels = [(f"{shape[axes[0]]}", x0 + w / 2, h + 30)]
        elif len(axes) == 2:
            body, w, h = _grid(cuts[0], cuts[1], x0, 10)
            labels = [
                (f"{shape[axes[1]]}", x0 + w / 2, h + 30),
                (f"{shape[axes[0]]}", x0 + w + 20, h / 2 + 10),
            ]
        else:
            body, w, h = _cube(cuts, x0, 10)
            labels = [
                (f"{shape[axes[2]]}", x0 + w - ext[2] / 2, h + 30),
                (f"{shape[axes[1]]}", x0 + w + 20, h - ext[1] / 2 + 10),
                (f"{shape[axes[0]]}", x0 + 2, h - 2),
            ]
        parts.append(body)
        for text, x, y in labels:
            parts.append(
                f'  <text x="{x:.2f}" y="{y:.2f}" font-size="1.0rem" font-weight="100" text-anchor="middle">{text}</text>'
            )
        width = x0 + w + 40
        height = max(height, h + 50)
    head = f'<svg width="{width:.0f}" height="{height:.0f}" style="stroke:rgb(0,0,0);stroke-width:1" xmlns="http://www.w3.org/2000/svg">'
    return "\n".join([head, *parts, "</svg>"])


def draw_sizes(shape: Any, size: int = 200) -> tuple[float, ...]:
    """Pixels for each axis: short ones longer than they are, so that they can be seen.

    Examples
    --------
    >>> draw_sizes((10, 10), size=100)
    (100.0, 100.0)
    """
    longest = max(shape)
    ratios = [longest / max(0.1, n) for n in shape]
    return tuple(float(size / _compress(r)) for r in ratios)


def _compress(ratio: float) -> float:
    if ratio > math.e:
        return ratio if ratio < 3 else math.log(ratio + 0.1) + math.e - 1
    return ratio


def _cuts(sizes: Any, pixels: float) -> list[float]:
    """Places of the lines; some of them where there are too many to see."""
    edges = np.concatenate([[0], np.cumsum(sizes)]).astype(float)
    places = edges / edges[-1] * pixels
    limit = max(2, int(pixels // 4))
    if len(places) > limit:
        places = places[np.linspace(0, len(places) - 1, limit).astype(int)]
    return places.tolist()


def _grid(rows: list[float], columns: list[float], x: float, y: float) -> tuple[str, float, float]:
    w, h = columns[-1], rows[-1]
    out = [
        f'  <rect x="{x:.2f}" y="{y:.2f}" width="{w:.2f}" height="{h:.2f}" fill="{_FILL}" stroke="{_EDGE}" />'
    ]
    out += [
        f'  <line x1="{x:.2f}" y1="{y + r:.2f}" x2="{x + w:.2f}" y2="{y + r:.2f}" stroke="{_LINE}" />'
        for r in rows
    ]
    out += [
        f'  <line x1="{x + c:.2f}" y1="{y:.2f}" x2="{x + c:.2f}" y2="{y + h:.2f}" stroke="{_LINE}" />'
        for c in columns
    ]
    return "\n".join(out), w, h


def _cube(cuts: list[list[float]], x: float, y: float) -> tuple[str, float, float]:
    deep, rows, columns = cuts
    shift = 0.6
    d = deep[-1] * shift
    front, w, h = _grid(rows, columns, x + d, y + d)
    out = []
    for c in columns:
        out.append(
            f'  <line x1="{x + c:.2f}" y1="{y:.2f}" x2="{x + c + d:.2f}" y2="{y + d:.2f}" stroke="{_LINE}" />'
        )
    for r in rows:
        out.append(
            f'  <line x1="{x:.2f}" y1="{y + r:.2f}" x2="{x + d:.2f}" y2="{y + r + d:.2f}" stroke="{_LINE}" />'
        )
    for k in deep:
        s = k * shift
        out.append(
            f'  <line x1="{x + s:.2f}" y1="{y + s:.2f}" x2="{x + s + w:.2f}" y2="{y + s:.2f}" stroke="{_LINE}" />'
        )
        out.append(
            f'  <line x1="{x + s:.2f}" y1="{y + s:.2f}" x2="{x + s:.2f}" y2="{y + s + h:.2f}" stroke="{_LINE}" />'
        )
    return "\n".join([*out, front]), w + d, h + d


def html_repr(x: Any) -> str:
    """A table of sizes beside the drawing, for notebooks."""
    try:
        picture = svg(x.chunks, size=config.get("array.svg.size", 120))
    except NotImplementedError:
        picture = ""
    known = not any(isinstance(n, float) and math.isnan(n) for n in x.shape)
    total = format_bytes(x.nbytes) if known and not x.dtype.hasobject else "unknown"
    biggest = (
        format_bytes(math.prod(x.chunksize) * x.dtype.itemsize)
        if known and not x.dtype.hasobject
        else "unknown"
    )
    rows = [
        ("Bytes", total, biggest),
        ("Shape", str(x.shape), str(x.chunksize)),
        ("Blocks", f"{x.npartitions} in a grid of {x.numblocks}", ""),
        ("Data type", f"{x.dtype} {type(x._meta).__module__.split('.')[0]}.{type(x._meta).__name__}", ""),
    ]
    body = "".join(
        f"<tr><th>{name}</th>" + (f"<td>{a}</td><td>{b}</td>" if b else f'<td colspan="2">{a}</td>') + "</tr>"
        for name, a, b in rows
    )
    table = (
        f"<table><thead><tr><td></td><th>Array</th><th>Chunk</th></tr></thead><tbody>{body}</tbody></table>"
    )
    return f"<table><tr><td>{table}</td><td>{picture}</td></tr></table>"
