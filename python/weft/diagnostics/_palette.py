"""Colours for the names in a profile."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence

#: Told apart in light and in dark, and by people who do not see red and green apart.
DISTINCT = ("#3b82d6", "#e69f00", "#12a37f", "#cf5fa0", "#d9603b", "#58b4e8", "#8b6fd6", "#a39a1f")
#: For all names that have no colour of their own.
OTHER = "#8b93a1"

#: Colours between which a palette is interpolated.
_ANCHORS = {
    "Blues": ("#c6dbef", "#6baed6", "#2171b5", "#08306b"),
    "Greens": ("#c7e9c0", "#74c476", "#238b45", "#00441b"),
    "Viridis": ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"),
    "Plasma": ("#0d0887", "#7e03a8", "#cc4778", "#f89540", "#f0f921"),
    "Cividis": ("#00224e", "#4c556c", "#7d7c78", "#bbae6d", "#fde737"),
}


def get_colors(palette: str | Sequence[str] | None, funcs: Iterable[Hashable]) -> list[str]:
    """A colour for each of `funcs`, the same for equal ones.

    Parameters
    ----------
    palette : str, sequence of str, or None
        "Viridis", "Plasma", "Cividis", "Blues", "Greens"; or colours; or None for eight that are
        easy to tell apart.
    funcs : iterable of hashable
        Names, in the order in which None and colours are given out.

    Returns
    -------
    list of str
        As ``"#rrggbb"``.

    Raises
    ------
    ValueError
        If there is no such palette.

    Examples
    --------
    >>> get_colors(["red", "blue"], ["a", "b", "a"])
    ['red', 'blue', 'red']
    """
    funcs = list(funcs)
    names = list(dict.fromkeys(funcs))
    colours: Sequence[str]
    if palette is None:
        colours = DISTINCT
    elif not isinstance(palette, str):
        colours = palette
    elif palette in _ANCHORS:
        colours = _interpolate(_ANCHORS[palette], len(names))
    else:
        raise ValueError(
            f"no palette {palette!r}; there are {', '.join(sorted(_ANCHORS))}, or give a list of colours"
        )
    lookup = {name: colours[i % len(colours)] for i, name in enumerate(names)}
    return [lookup[name] for name in funcs]


def _interpolate(anchors: Sequence[str], count: int) -> list[str]:
    def at(position: float) -> str:
        i = min(int(position), len(anchors) - 2)
        part = position - i
        low, high = (tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in anchors[i : i + 2])
        return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(low, high))

    steps = max(count - 1, 1)
    colours = [at(i / steps * (len(anchors) - 1)) for i in range(count)]
    # Neighbours in the list are often neighbours in time: they should not look alike.
    random.Random(42).shuffle(colours)
    return colours
