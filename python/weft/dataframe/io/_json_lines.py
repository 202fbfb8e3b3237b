"""Lines of JSON as `pandas.read_json` reads them, most of them without making Python objects.

Rust finds the fields of each line and makes columns of integers, numbers, truth values and text. Whatever pandas decides by
looking closer (dates, text that may be numbers, lists and objects, mixtures) is given to pandas, a column at a time: pandas
converts each column by itself, so that the result is the one that it gives for all of them.
"""

from __future__ import annotations

import functools
import io
import json
from typing import Any

import pandas as pd

from weft._weft import json_frame


def read(data: bytes) -> pd.DataFrame | None:
    """The frame that ``pandas.read_json(…, lines=True)`` makes of some lines; ``None``: ask pandas."""
    if pd.Series(["text"]).dtype.name != "str":
        return None  # text is to stay objects
    parts = json_frame(data, [])
    if parts is None:
        return None
    names = parts[0]
    dates = [name for name in names if _may_be_date(name)]
    if dates:
        parts = json_frame(data, dates)
        if parts is None:
            return None
    names, native, rest = parts
    frame = native.to_pandas()
    rows = len(native)
    if not names or not rows:
        return None
    others: dict[int, Any] = {}
    for number, lines in rest:
        column = pd.read_json(io.BytesIO(lines), lines=True)
        if column.shape != (rows, 1):
            return None
        others[number] = column.iloc[:, 0].array
    if others:
        own = iter(range(frame.shape[1]))
        arrays = {i: others[i] if i in others else frame.iloc[:, next(own)].array for i in range(len(names))}
        frame = pd.DataFrame(arrays, copy=False)
    frame.columns = _labels(tuple(names))
    return frame


def _may_be_date(name: str) -> bool:
    """Whether pandas tries to see dates in a column, by its name."""
    lower = name.lower()
    return lower.endswith(("_at", "_time")) or lower.startswith(("timestamp", "modified", "date"))


@functools.lru_cache(maxsize=64)
def _labels(names: tuple[str, ...]) -> pd.Index:
    """What pandas makes of the names: text that looks like numbers or dates does not stay text."""
    return pd.read_json(io.StringIO(json.dumps(dict.fromkeys(names, 0))), lines=True).columns
