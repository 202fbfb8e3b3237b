"""Collections one after the other or side by side."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from weft.dataframe import _meta
from weft.dataframe._collection import Collection, blockwise, new_collection
from weft.dataframe._native import FrameExpr, Unsupported


def concat(
    dfs: Iterable[Any],
    axis: Any = 0,
    join: Any = "outer",
    ignore_unknown_divisions: bool = False,
    ignore_order: bool = False,
    interleave_partitions: bool = False,
    **kwargs: Any,
) -> Any:
    """Puts collections (or pandas objects) together along an axis.

    Parameters
    ----------
    dfs : list
    axis : {0, 1}
        0: rows after rows; 1: columns beside columns, by label.
    join : {'inner', 'outer'}
        Which columns (rows) to keep.
    interleave_partitions : bool
        Order rows by label although the divisions overlap.

    Raises
    ------
    ValueError
        If there is nothing to put together, or, for ``axis=1``, partitions cannot be aligned.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=1)
    >>> len(dd.concat([df, df]))
    4
    """
    if isinstance(dfs, (Collection, pd.DataFrame, pd.Series, str)) or isinstance(dfs, Mapping):
        raise TypeError("dfs must be a list of DataFrames/Series objects")
    if not isinstance(dfs, Iterable):
        raise TypeError(f"dfs must be a list of DataFrames/Series objects, not {type(dfs).__name__}")
    frames = list(dfs)
    if not frames:
        raise ValueError("No objects to concatenate")
    if join not in ("inner", "outer"):
        raise ValueError("'join' must be 'inner' or 'outer'")
    frames = [_collection(frame) for frame in frames]
    if len(frames) == 1:
        one = frames[0]
        return one.to_frame() if axis in (1, "columns") and one.ndim == 1 else one
    if axis in (1, "columns"):
        return _beside(frames, join, ignore_unknown_divisions)
    if axis not in (0, "index"):
        raise ValueError(f"No axis named {axis}")
    known = all(frame.known_divisions for frame in frames)
    if known and interleave_partitions and not _ascending(frames):
        from weft.dataframe._repartition import align

        meta = _stacked(frames, join)
        return blockwise(
            _stack, align(frames), join, meta, label="concat", meta=meta, divisions=None
        )._with_divisions(align(frames)[0].divisions)
    return _after(frames, join, known)


def _collection(value: Any) -> Any:
    if isinstance(value, Collection):
        return value
    if isinstance(value, (pd.DataFrame, pd.Series)):
        from weft.dataframe.io.io import from_pandas

        return from_pandas(value, npartitions=1, sort=value.index.is_monotonic_increasing)
    raise TypeError(f"concat takes DataFrames and Series, not {type(value).__name__}")


def _ascending(frames: list[Any]) -> bool:
    return all(a.divisions[-1] < b.divisions[0] for a, b in zip(frames, frames[1:]))


def _stacked(frames: list[Any], join: Any) -> Any:
    samples = [_meta.meta_nonempty(frame._meta) for frame in frames]
    return pd.concat(samples, join=join).iloc[:0]


def _stack(parts: list[Any], join: Any, meta: Any) -> Any:
    from weft.dataframe._collection import concat as united

    full = [part for part in parts if len(part)] or parts[:1]
    whole = united(full, join=join).sort_index(kind="stable")
    # Parts without rows have a say in the columns.
    return (
        whole.reindex(columns=meta.columns) if isinstance(whole, pd.DataFrame) and meta.ndim == 2 else whole
    )


def _after(frames: list[Any], join: Any, known: bool) -> Any:
    meta = _stacked(frames, join)
    moved = [_as(frame, meta) for frame in frames]
    divisions = None
    if known and _ascending(frames):
        divisions = [label for frame in frames[:-1] for label in frame.divisions[:-1]]
        divisions += frames[-1].divisions
    if len({frame.expr.lane == "native" for frame in moved}) > 1:
        moved = [_again(frame, meta) for frame in moved]
    try:
        expr = FrameExpr.concat([frame.expr for frame in moved])
    except Unsupported:
        expr = FrameExpr.concat([_again(frame, meta).expr for frame in moved])
    return new_collection(expr, meta, divisions)


def _again(frame: Any, meta: Any) -> Any:
    return blockwise(_like, frame, meta, label="concat-like", meta=meta)


def _as(frame: Any, meta: Any) -> Any:
    """``frame`` with the columns and dtypes of ``meta``."""
    same = type(frame._meta) is type(meta) and (
        frame._meta.dtypes.equals(meta.dtypes)
        if meta.ndim == 2
        else frame._meta.dtype == meta.dtype and frame._meta.name == meta.name
    )
    return frame if same else blockwise(_like, frame, meta, label="concat-like", meta=meta)


def _like(part: Any, meta: Any) -> Any:
    if meta.ndim == 1:
        return part.rename(meta.name).astype(meta.dtype) if _plain(meta.dtype) else part.rename(meta.name)
    if part.ndim == 1:
        part = part.to_frame(0 if part.name is None else part.name)
    part = part.reindex(columns=meta.columns)
    wrong = {c: d for c, d in meta.dtypes.items() if part[c].dtype != d and _plain(d)}
    return part.astype(wrong) if wrong else part


def _plain(dtype: Any) -> bool:
    return not isinstance(dtype, pd.CategoricalDtype) and getattr(dtype, "kind", "") != "O"


def _beside(frames: list[Any], join: Any, ignore_unknown: bool) -> Any:
    if not all(frame.known_divisions for frame in frames):
        if len({frame.npartitions for frame in frames}) != 1:
            raise ValueError("Unable to concatenate DataFrame with unknown division specifying axis=1")
        if not ignore_unknown and len({frame.expr.space for frame in frames}) > 1:
            warnings.warn(
                "Concatenating dataframes with unknown divisions.\n"
                "We're assuming that the indices of each dataframes are \n aligned. This assumption is not "
                "generally safe.",
                stacklevel=3,
            )
    samples = [_meta.meta_nonempty(frame._meta) for frame in frames]
    meta = pd.concat(samples, axis=1, join=join).iloc[:0]
    return blockwise(_side_by_side, frames, join, label="concat", meta=meta)


def _side_by_side(parts: list[Any], join: Any) -> Any:
    return pd.concat(parts, axis=1, join=join)
