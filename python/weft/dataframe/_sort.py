"""Order: ``sort_values``, ``set_index``, divisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weft._weft import frame_boundaries, frame_range, frame_set_index, frame_sort
from weft.base import compute
from weft.dataframe import _convert
from weft.dataframe._collection import Collection, blockwise, concat, host, new_collection
from weft.dataframe._native import Unsupported
from weft.dataframe._shuffle import (
    Key,
    RangePlaces,
    _sortable,
    by_divisions,
    by_place,
    check_method,
    exact,
    key_dtype,
)

#: The column that a Series becomes on its way to be an index.
_TEMPORARY = "__weft_index__"


def sort_values(
    self: Any,
    by: Any,
    npartitions: int | None = None,
    ascending: Any = True,
    na_position: str = "last",
    partition_size: float = 128e6,
    sort_function: Callable[..., Any] | None = None,
    sort_function_kwargs: Mapping[str, Any] | None = None,
    upsample: float = 1.0,
    ignore_index: bool = False,
    shuffle_method: str | None = None,
    **options: Any,
) -> Any:
    """The rows in order of one or several columns.

    Rows with equal keys stay in the order in which they were.

    Parameters
    ----------
    by : str or list of str
        Columns.
    npartitions : int, optional
        Number of partitions of the result; by default as many as before.
    ascending : bool or list of bool
        Direction, for all columns or each.
    na_position : {'last', 'first'}
        Where missing values go.
    sort_function : callable, optional
        Sorts a partition, instead of ``pandas.DataFrame.sort_values``.
    sort_function_kwargs : dict, optional
        Its arguments besides ``by``, ``ascending``, ``na_position`` and ``ignore_index``.
    ignore_index : bool
        Let each partition count from zero.

    Returns
    -------
    DataFrame

    Raises
    ------
    KeyError
        If a column does not exist.
    ValueError
        If ``na_position`` or ``ascending`` does not fit.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [3, 1, 2]}), npartitions=2)
    >>> df.sort_values("x").compute().x.tolist()
    [1, 2, 3]
    """
    if na_position not in ("first", "last"):
        raise ValueError("na_position must be either 'first' or 'last'")
    labels = list(by) if isinstance(by, list) else [by]
    if any(not isinstance(label, str) for label in labels):
        raise NotImplementedError(
            "Dataframes only support sorting by named columns which must be passed as a string or a list of "
            f"strings.\nYou passed {labels}"
        )
    if not isinstance(ascending, (bool, np.bool_)) and len(ascending) != len(labels):
        raise ValueError(f"Length of {ascending=} != length of {by=}")
    check_method(shuffle_method)
    self._meta[labels]  # Raises the KeyError that pandas raises.
    directions = [bool(ascending)] * len(labels) if np.isscalar(ascending) else [bool(a) for a in ascending]
    keys = list(zip(labels, directions))
    n = int(npartitions) if isinstance(npartitions, (int, np.integer)) else self.npartitions
    first = na_position == "first"
    try:
        exact(self)
        if not all(_sortable(self._meta[label].dtype) for label in labels):
            raise NotImplementedError("keys that Rust does not sort")
        expr = self.expr
        if n > 1 or self.npartitions > 1:
            dtypes = [_convert.dtype_name(self._meta[label].dtype) for label in labels]
            cut = frame_boundaries(expr, keys, dtypes, n, missing_first=first)
            expr = frame_range(expr, keys, cut, n, missing_first=first)
        if sort_function is None:
            expr = frame_sort(expr, keys, missing_first=first, keep_index=not ignore_index)
            return new_collection(expr, self._meta)
        moved = new_collection(expr, self._meta)
    except Unsupported:
        moved = self
        if n > 1 or self.npartitions > 1:
            cuts, _, _ = quantiles(self, labels[0], n)
            places = RangePlaces(labels[0], cuts[1:-1], directions[0], first)
            moved = by_place(self, places, max(1, len(cuts) - 1))
    settings: dict[str, Any] = {
        "by": labels,
        "ascending": directions,
        "na_position": na_position,
        "ignore_index": ignore_index,
    }
    if sort_function is None:
        settings["kind"] = "stable"
    else:
        settings["by"], settings["ascending"] = by, ascending
    settings.update(sort_function_kwargs or {})
    function = sort_function or _sort_part
    return blockwise(function, moved, label="sort", meta=self._meta, divisions=None, **settings)


def _sort_part(part: Any, **settings: Any) -> Any:
    return part.sort_values(**settings)


# -- divisions ------------------------------------------------------------------------------------


def check_divisions(divisions: Any) -> list[Any]:
    """Divisions that users give, as a list.

    Raises
    ------
    ValueError
        If they are not in order, or if one but the last occurs twice.
    """
    if not isinstance(divisions, (list, tuple)):
        raise ValueError("New division must be list or tuple")
    divisions = list(divisions)
    if not divisions:
        raise ValueError("New division must not be empty")
    for i, (a, b) in enumerate(zip(divisions, divisions[1:])):
        if b < a:
            raise ValueError(f"New division must be sorted: {b!r} at position {i + 1} comes after {a!r}")
    if len(divisions[:-1]) != len(list(dict.fromkeys(divisions[:-1]))):
        raise ValueError("New division must be unique, except for the last element")
    return divisions


def _extent(part: Any, key: Key) -> pd.DataFrame:
    """The smallest and the largest key of a partition, whether its keys are in order, and its rows."""
    values = pd.Series(part.index if key is None else part[key] if part.ndim == 2 else part)
    present = values.dropna()
    if isinstance(present.dtype, pd.CategoricalDtype):
        present = present.cat.as_ordered()
    if not len(present):
        return pd.DataFrame({"low": [], "high": [], "sorted": [], "rows": []}, dtype=object)
    row = [present.min(), present.max(), bool(values.is_monotonic_increasing), len(values)]
    return pd.DataFrame([row], columns=["low", "high", "sorted", "rows"], dtype=object)


def _sample(part: Any, key: Key) -> Any:
    values = pd.Series(part.index if key is None else part[key] if part.ndim == 2 else part).dropna()
    values = values.sort_values(kind="stable").reset_index(drop=True)
    size = min(len(values), 4096)
    return values.iloc[np.linspace(0, len(values) - 1, size).astype(int)] if size else values


def _extents(df: Any, key: Key) -> Any:
    column = df if key is None or df.ndim == 1 else df[[key]]
    return _each(_extent, column, key, "extent")


def _each(function: Callable[..., Any], df: Any, key: Key, label: str) -> Any:
    """What a function gives for each partition, as one lazy list."""
    parts = host(function, (df, key), {}, meta=object(), npartitions=df.npartitions, label=label)
    return host(_as_list, (parts,), {}, meta=object(), npartitions=1, label=label, whole=True)


def _as_list(parts: list[Any]) -> list[Any]:
    return parts


def quantiles(df: Any, key: Key, n: int) -> tuple[list[Any], list[Any], bool]:
    """Divisions that cut ``df`` into about ``n`` partitions, those that it has now, and whether these hold.

    Computes: the column is read once.

    Raises
    ------
    NotImplementedError
        If the values cannot be put in order.
    """
    column = df if key is None else df[[key]]
    extents = _extents(df, key)
    dtype = key_dtype(df, key)
    try:
        exact(column)
        if not _sortable(dtype):
            raise NotImplementedError("keys that Rust does not sort")
        names = [_convert.dtype_name(dtype)]
        cut = frame_boundaries(column.expr, [(key, True)], names, n, ends=True)
        found, parts = compute(new_collection(cut, pd.DataFrame({0: pd.Series([], dtype=dtype)})), extents)
        cuts = found[0]
    except Unsupported:
        samples = _each(_sample, column, key, "sample")
        try:
            found, parts = compute(samples, extents)
            filled = [sample for sample in found if len(sample)] or found[:1]
            values = concat(filled) if len(filled) > 1 else filled[0]
            values = values.sort_values(kind="stable")
        except TypeError as error:
            raise NotImplementedError(
                f"Divisions calculation failed for non-numeric column {key!r}.\nThis is probably due to the "
                f"presence of nulls, or of values that have no order ({error}).\nWe suggest you try with "
                f"`.dropna(subset=[{key!r}])`."
            ) from error
        cuts = values.iloc[np.linspace(0, len(values) - 1, n + 1).astype(int)] if len(values) else values
    now, holds = _current(parts)
    divisions = cuts.tolist()
    divisions = list(dict.fromkeys(divisions[:-1])) + divisions[-1:]
    return divisions, now, holds


def _current(parts: list[pd.DataFrame]) -> tuple[list[Any], bool]:
    """Divisions from the extents of partitions, and whether they hold."""
    if any(not len(part) for part in parts):
        return [], False
    lows, highs = [part.low.iloc[0] for part in parts], [part.high.iloc[0] for part in parts]
    holds = all(high < low for high, low in zip(highs, lows[1:]))
    return [*lows, highs[-1]], holds


# -- set_index ------------------------------------------------------------------------------------


def _several_levels(keys: list[Any]) -> NotImplementedError:
    return NotImplementedError(
        f"an index of several levels, {keys}: a lazy frame (as a Dask dataframe does not yet support multi-indexes) has one "
        "column as its index; choose one, or make one of them all and set that"
    )


def set_index(
    self: Any,
    other: Any,
    drop: bool = True,
    sorted: bool = False,
    npartitions: Any = None,
    divisions: Any = None,
    sort: bool = True,
    shuffle_method: str | None = None,
    upsample: float = 1.0,
    partition_size: float = 128e6,
    append: bool = False,
    **options: Any,
) -> Any:
    """A column as row labels, with the rows in their order and the divisions known.

    Parameters
    ----------
    other : label or Series
        The new labels.
    drop : bool
        Take the column out.
    sorted : bool
        The rows are in this order already: nothing is moved but labels that two partitions share.
    npartitions : int, optional
        Number of partitions of the result.
    divisions : list, optional
        The divisions of the result, so that they need not be computed.
    sort : bool
        False: only set the labels, as pandas does; the divisions are then unknown.

    Returns
    -------
    DataFrame

    Raises
    ------
    KeyError
        If the column does not exist.
    ValueError
        If ``divisions`` are not in order, or if the rows are not in the order that ``sorted`` claims.

    Notes
    -----
    Without ``divisions``, ``sorted=True`` or ``sort=False``, the column is computed once to find them.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"k": [3, 1, 2, 4], "x": range(4)}), npartitions=2)
    >>> df.set_index("k").compute().x.tolist()
    [1, 2, 0, 3]
    """
    if isinstance(other, list) and len(other) == 1:
        other = other[0]
    if isinstance(other, list):
        if any(isinstance(part, Collection) for part in other):
            raise TypeError("List[FrameBase] not supported by set_index")
        raise _several_levels(other)
    lazy = isinstance(other, Collection)
    if lazy:
        if other.ndim == 2:
            raise _several_levels(list(other.columns))
        if isinstance(other._meta, pd.Index) and other.expr == self.index.expr:
            return self
    elif other == self._meta.index.name and other is not None:
        return self
    if append:
        if sort or lazy:
            raise NotImplementedError(
                "set_index(append=True) takes a column, and sort=False: two levels have no order"
            )
        return blockwise(_append, self, other, drop, label="set_index", divisions=None)
    check_method(shuffle_method)
    if divisions is not None:
        divisions = check_divisions(divisions)
    if (sorted or not sort) and npartitions is not None:
        raise ValueError(
            "Specifying npartitions with sort=False or sorted=True is not supported. Call `repartition` afterwards."
        )
    df, label, name = self, other, other
    if lazy:
        name = other._meta.name
        if isinstance(other._meta, pd.Index):
            other = other.to_series()
        df, label, drop = self.assign(**{_TEMPORARY: other}), _TEMPORARY, True
    df._meta[[label]]  # Raises the KeyError that pandas raises.
    if sorted:
        return _set_sorted(df, label, name, drop, divisions)
    if not sort:
        return _label(df, label, name, drop)
    if divisions is None:
        n = int(npartitions) if isinstance(npartitions, (int, np.integer)) else df.npartitions
        if n == 1 or df.npartitions == 1 and npartitions is None:
            one = df if df.npartitions == 1 else by_divisions(df, label, [None, None])
            result = _label(_sorted_by(one, label), label, name, drop)
            return result
        divisions, now, holds = quantiles(df, label, n)
        if holds and n == df.npartitions:
            result = _label(_sorted_by(df, label), label, name, drop)
            result._divisions = tuple(now)
            return result
        if not divisions:
            return _label(df, label, name, drop)
        if len(divisions) == 1:
            divisions = divisions * 2
    elif df.npartitions == 1 and len(divisions) == 2:
        return _with_divisions(_label(_sorted_by(df, label), label, name, drop), divisions)
    moved = by_divisions(df, label, divisions)
    return _with_divisions(_label(_sorted_by(moved, label), label, name, drop), divisions)


def _append(part: Any, label: Any, drop: bool) -> Any:
    return part.set_index(label, drop=drop, append=True)


def _with_divisions(df: Any, divisions: Sequence[Any]) -> Any:
    return new_collection(df.expr, df._meta, divisions)


def _sorted_by(df: Any, label: Any) -> Any:
    """Each partition in order of a column."""
    try:
        exact(df)
        return new_collection(frame_sort(df.expr, [(label, True)]), df._meta)
    except Unsupported:
        return blockwise(_sort_part, df, label="sort", meta=df._meta, divisions=None, by=label, kind="stable")


def _label(df: Any, label: Any, name: Any, drop: bool) -> Any:
    """A column as index, partition by partition."""
    meta = _label_part(df._meta, label, name, drop)
    try:
        exact(df)
        return new_collection(frame_set_index(df.expr, label, name, drop=drop), meta)
    except Unsupported:
        return blockwise(_label_part, df, label, name, drop, label="set_index", meta=meta, divisions=None)


def _label_part(part: Any, label: Any, name: Any, drop: bool) -> Any:
    return part.set_index(label, drop=drop).rename_axis(index=name)


def _set_sorted(df: Any, label: Any, name: Any, drop: bool, divisions: list[Any] | None) -> Any:
    if divisions is not None and len(divisions) - 1 != df.npartitions:
        raise ValueError(
            "When doing `df.set_index(col, sorted=True, divisions=...)`, divisions indicates known splits in the "
            "index column. In this case divisions must be the same length as the existing divisions in `df`\n\n"
            "If the intent is to repartition into new divisions after setting the index, you probably want:\n\n"
            "`df.set_index(col, sorted=True).repartition(divisions=divisions)`"
        )
    if divisions is not None:
        result = _label(df, label, name, drop)
        bounds = [(divisions[i], divisions[i + 1]) for i in range(df.npartitions)]
        last = df.npartitions - 1
        checked = host(
            _within,
            (result, name, last),
            {},
            meta=result._meta,
            npartitions=df.npartitions,
            label="check-divisions",
            divisions=divisions,
            numbered=[(i, *pair) for i, pair in enumerate(bounds)],
            fallback=False,
        )
        return checked
    [parts] = compute(_extents(df, label))
    for i, part in enumerate(parts):
        if len(part) and not part.sorted.iloc[0]:
            raise ValueError(
                f"Partition {i} is not sorted by {name!r}, though sorted=True says so: "
                f"set_index({name!r}) without sorted=True sorts it"
            )
    filled = [part for part in parts if len(part)]
    if not filled:
        return _label(df, label, name, drop)
    lows, highs = [part.low.iloc[0] for part in filled], [part.high.iloc[0] for part in filled]
    for low, after in zip(lows, lows[1:]):
        if after < low:
            raise ValueError(
                f"Partitions must be sorted ascending with the index: {name!r} starts with {low!r} in one "
                f"partition and with {after!r} in the next"
            )
    for high, after in zip(highs, highs[1:]):
        if after < high:
            raise ValueError(
                f"Partitions must be sorted ascending with the index: {name!r} ends with {high!r} in one "
                f"partition and with {after!r} in the next"
            )
    now, holds = _current(parts)
    if holds:
        return _with_divisions(_label(df, label, name, drop), now)
    # Labels that two partitions share move to the later one; partitions without rows vanish.
    cuts = [*dict.fromkeys(lows), highs[-1]]
    return _with_divisions(_label(by_divisions(df, label, cuts), label, name, drop), cuts)


def _within(part: Any, name: Any, last: int, partition_info: Any) -> Any:
    number, low, high = partition_info
    if len(part):
        least, most = part.index.min(), part.index.max()
        if least < low or most > high or most == high and number < last:
            raise ValueError(
                f"Partition {number} of {name!r} holds {least!r} to {most!r}, outside its divisions "
                f"{low!r} to {high!r}: give divisions that fit, or leave sorted=True out"
            )
    return part


def compute_current_divisions(self: Any, col: Any = None, set_divisions: bool = False) -> Any:
    """The divisions that the data has, found by reading it.

    Parameters
    ----------
    col : label, optional
        A column, instead of the index.
    set_divisions : bool
        Return the collection with these divisions, instead of the divisions.

    Raises
    ------
    ValueError
        If the partitions are not in order.
    """
    if col is not None and set_divisions:
        raise NotImplementedError("set_divisions=True works on the index, not on a column")
    [parts] = compute(_extents(self, col))
    filled = [part for part in parts if len(part)]
    lows, highs = [part.low.iloc[0] for part in filled], [part.high.iloc[0] for part in filled]
    if any(b < a for a, b in zip(lows, lows[1:])) or any(b < a for a, b in zip(highs, highs[1:])):
        raise ValueError(f"Partitions must be sorted ascending with the index: mins {lows}, maxes {highs}")
    divisions = (*lows, highs[-1]) if filled else (None,) * (self.npartitions + 1)
    if not set_divisions:
        return divisions
    if not filled:
        return self
    now, holds = _current(parts)
    if holds:
        return _with_divisions(self, now)
    cuts = [*dict.fromkeys(lows), highs[-1]]
    return _with_divisions(by_divisions(self, None, cuts), cuts)
