"""``loc`` and ``iloc``."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _meta
from weft.dataframe._arrays import beside, is_array
from weft.dataframe._collection import Collection, blockwise, new_collection


class Loc:
    """``df.loc[rows]`` and ``df.loc[rows, columns]``."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            f"{type(self._own).__name__!r} is lazy and .loc[…] = … would change it in place;"
            " use assign, where or mask"
        )

    def __getitem__(self, key: Any) -> Any:
        own = self._own
        if isinstance(key, tuple):
            if len(key) > own.ndim:
                raise pd.errors.IndexingError("Too many indexers")
            rows, columns = key
        else:
            rows, columns = key, None
        if callable(columns):
            columns = columns(own)
        if columns is not None and not (isinstance(columns, slice) and columns == slice(None)):
            labels = own._meta.loc[:, columns]
            picked = [columns] if isinstance(labels, pd.Series) else list(labels.columns)
            own = own[picked[0]] if isinstance(labels, pd.Series) else own[picked]
        if callable(rows):
            rows = rows(self._own)
        if isinstance(rows, slice) and rows == slice(None):
            return own
        if is_array(rows):
            rows = beside(self._own.index, rows)
        if isinstance(rows, Collection):
            if rows._meta.dtype in (bool, "boolean"):
                return own[rows]
            raise NotImplementedError("loc takes boolean Series, labels, lists and slices of labels")
        return self._labels(own, rows)

    def _labels(self, own: Any, rows: Any) -> Any:
        rows = _as_labels(own._meta.index, rows)
        if not isinstance(rows, (slice, list)):
            rows = slice(rows, rows) if own.known_divisions else [rows]
            exact: Any = rows.start if isinstance(rows, slice) else rows[0]
        else:
            exact = None
        which, divisions = _touched(own, rows)
        part = own.partitions[which] if which is not None else own
        result = blockwise(_loc, part, rows, label="loc", meta=own._meta, divisions=divisions)
        if exact is not None and own.known_divisions and which == []:
            raise KeyError(f"the label [{exact!s}] is not in the index")
        return result


def _as_labels(index: pd.Index, rows: Any) -> Any:
    """Text labels as the index's own kind."""
    if isinstance(rows, (np.ndarray, pd.Index, pd.Series)):
        rows = list(rows)
    if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        sample = _meta.meta_nonempty(index)
        if isinstance(rows, slice):
            bounds = []
            for side, value in (("left", rows.start), ("right", rows.stop)):
                bounds.append(
                    sample._maybe_cast_slice_bound(value, side) if isinstance(value, str) else value
                )
            return slice(*bounds)
        if isinstance(rows, str):
            return slice(
                sample._maybe_cast_slice_bound(rows, "left"), sample._maybe_cast_slice_bound(rows, "right")
            )
    return rows


def _touched(own: Any, rows: Any) -> tuple[list[int] | None, Any]:
    """Which partitions can hold ``rows``, and the divisions of the result."""
    if not own.known_divisions:
        return None, None
    divisions, last = list(own.divisions), own.npartitions - 1
    place = lambda label: min(max(bisect.bisect_right(divisions, label) - 1, 0), last)
    if isinstance(rows, list):
        inside = [r for r in rows if divisions[0] <= r <= divisions[-1]]
        return sorted({place(label) for label in inside}) or [0], None
    start = 0 if rows.start is None else place(rows.start)
    stop = last if rows.stop is None else place(rows.stop)
    # A label may repeat across a border.
    while start > 0 and rows.start is not None and divisions[start] == rows.start:
        start -= 1
    if stop < start:
        return [start], (None, None)
    inner = divisions[start : stop + 2]
    inner[0] = divisions[start] if rows.start is None else max(rows.start, divisions[start])
    inner[-1] = divisions[stop + 1] if rows.stop is None else min(rows.stop, divisions[stop + 1])
    return list(range(start, stop + 1)), tuple(inner)


def _loc(partition: Any, rows: Any) -> Any:
    if isinstance(rows, list):
        return partition.loc[partition.index.isin(rows)] if len(partition) else partition
    if not partition.index.is_monotonic_increasing:
        keep = np.ones(len(partition), bool)
        if rows.start is not None:
            keep &= np.asarray(partition.index >= rows.start)
        if rows.stop is not None:
            keep &= np.asarray(partition.index <= rows.stop)
        return partition.loc[keep]
    return partition.loc[rows]


class ILoc:
    """``df.iloc[:, columns]``."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("a lazy DataFrame is not changed in place; use assign, where or mask")

    def __getitem__(self, key: Any) -> Any:
        own = self._own
        if not isinstance(key, tuple):
            raise NotImplementedError(
                "'DataFrame.iloc' only supports selecting columns. It must be used like"
                " 'df.iloc[:, column_indexer]'."
            )
        if len(key) > 2:
            raise ValueError("Too many indexers")
        rows, columns = key
        if rows != slice(None):
            raise NotImplementedError(
                "'DataFrame.iloc' only supports selecting columns. It must be used like"
                " 'df.iloc[:, column_indexer]'."
            )
        meta = own._meta.iloc[:, columns]
        if own._meta.columns.is_unique:
            return own[meta.name] if isinstance(meta, pd.Series) else own[list(meta.columns)]
        return blockwise(_iloc, own, columns, label="iloc", meta=meta)


def _iloc(partition: Any, columns: Any) -> Any:
    return partition.iloc[:, columns]


__all__ = ["ILoc", "Loc", "new_collection"]
