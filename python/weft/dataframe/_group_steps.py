"""Groups in the hands of pandas.

Aggregations that are their own combination are reduced partition by partition. Everything else needs the rows
of a group together: rows move to where their keys belong, in order of the keys, so that partitions of groups come
out in pandas' order. Methods that keep rows move them back to where they came from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from weft._weft import frame_boundaries, frame_range
from weft.dataframe import _convert, _meta
from weft.dataframe._collection import Collection, blockwise, concat, host, new_collection
from weft.dataframe._native import Unsupported
from weft.dataframe._repartition import joined
from weft.dataframe._shuffle import _sortable, by_divisions, by_hash, exact, key_dtype

#: Aggregations that combine their own results.
COMBINE = {
    "sum": "sum",
    "min": "min",
    "max": "max",
    "prod": "prod",
    "first": "first",
    "last": "last",
    "any": "any",
    "all": "all",
    "count": "sum",
    "size": "sum",
}


def _by(labels: list[Any], series: list[Any]) -> Any:
    series = list(series)
    keys = [series.pop(0) if label is None else label for label in labels]
    return keys if len(keys) > 1 else keys[0]


def _group(
    partition: Any,
    series: list[Any],
    labels: list[Any],
    columns: Any,
    picked: Any,
    options: dict[str, Any],
    call: Any,
    args: Any,
    kwargs: Any,
) -> Any:
    if columns is not None:
        partition = partition[columns]
    grouped = partition.groupby(_by(labels, series), **options)
    if picked is not None:
        grouped = grouped[picked]
    return call(grouped, *args, **kwargs)


def _regroup(parts: list[Any], levels: int, options: dict[str, Any], name: str, meta: Any) -> Any:
    whole = concat([part for part in parts if len(part)] or parts[:1])
    options = {key: value for key, value in options.items() if key != "group_keys"}
    grouped = whole.groupby(level=list(range(levels)) if levels > 1 else 0, **options)
    result = getattr(grouped, name)()
    if isinstance(result, pd.Series):
        return result.astype(meta.dtype) if _fits(result, meta.dtype) else result
    wrong = {c: d for c, d in meta.dtypes.items() if d.kind != "O" and _fits(result[c], d)}
    return result.astype(wrong) if wrong else result


def _fits(values: pd.Series, dtype: Any) -> bool:
    """Whether ``values`` have another dtype, and all of them fit into this: sums may be too large for it."""
    if values.dtype == dtype:
        return False
    if values.dtype.kind in "iu" and getattr(dtype, "kind", "O") in "iu":
        return bool((values.astype(dtype) == values).all())
    return True


def _pick(partition: Any, series: list[Any], labels: list[Any], columns: Any) -> Any:
    if columns is not None:
        partition = partition[columns]
    return partition, list(series)


def _group_all(
    parts: list[Any],
    picked: Any,
    options: dict[str, Any],
    call: Any,
    args: Any,
    kwargs: Any,
    keys: int,
    labels: list[Any],
    gather: bool,
) -> Any:
    kept = [part for part in parts if len(part[0])] or parts[:1]
    pieces = [(part, list(series)) for part, series in kept]
    whole = concat([part for part, _ in pieces]) if len(pieces) > 1 else pieces[0][0]
    series = [
        concat([own[i] for _, own in pieces]) if len(pieces) > 1 else pieces[0][1][i] for i in range(keys)
    ]

    def grouped(part: Any, own: list[Any]) -> Any:
        groups = part.groupby(_by(labels, own), **options)
        return groups if picked is None else groups[picked]

    if gather:
        return call.gather([grouped(part, own) for part, own in pieces], grouped(whole, series))
    return call(grouped(whole, series), *args, **kwargs)


def numbered_rows(result: Any, options: dict[str, Any], meta: Any) -> Any:
    """Groups with their keys as columns, numbered over all partitions."""
    lengths = blockwise(len, result, label="groupby-length-chunk", meta=object(), divisions=None)
    lengths = host(_listed, (lengths,), {}, meta=object(), npartitions=1, label="groupby-lengths", whole=True)
    n = result.npartitions
    return host(
        _flat,
        (result, lengths, options, meta),
        {},
        meta=meta,
        npartitions=n,
        label="reset_index",
        numbered=list(range(n)),
    )


def _listed(parts: list[int]) -> list[int]:
    return parts


def _flat(part: Any, lengths: list[int], options: dict[str, Any], meta: Any, partition_info: int) -> Any:
    part = part.reset_index(**options)
    start = sum(lengths[:partition_info])
    part.index = pd.RangeIndex(start, start + len(part))
    return part if len(part) else part.astype(meta.dtypes.to_dict()) if meta.columns.is_unique else part


# -- rows that move -------------------------------------------------------------------------------

#: Methods that give a row for each row, in its place.
KEEP_ROWS = frozenset(
    "bfill cumcount cummax cummin cumprod cumsum diff ffill head pct_change rank shift tail transform".split()
)
#: Methods whose rows are not one for each group, or whatever a function makes.
FREE = frozenset("apply describe get_group ngroup nlargest nsmallest unique value_counts".split())
#: Columns that rows carry while they are away.
_VALUES, _PLACE, _ROW = "__weft_values__", "__weft_place__", "__weft_row__"


class _Rows:
    """The rows of groups as one DataFrame: lazy keys are columns of it.

    Raises
    ------
    NotImplementedError
        If rows cannot move: pandas then gets them all.
    """

    def __init__(self, grouped: Any, keeps: bool = False) -> None:
        own, columns = grouped.obj, grouped._needed()
        if own.npartitions == 1 or not grouped.as_index:
            raise NotImplementedError("nothing to move, or rows that are numbered over all partitions")
        if own.ndim == 2 and own._meta.columns.nlevels > 1:
            raise NotImplementedError("columns of several levels")
        frame = own.to_frame(_VALUES) if own.ndim == 1 else own if columns is None else own[columns]
        self.lazy: list[tuple[str, Any]] = []
        self.keys: list[Any] = []
        extra: dict[str, Any] = {}
        for key in grouped.by:
            name = f"__weft_key_{len(self.keys)}__"
            if isinstance(key, Collection):
                if key.ndim != 1:
                    raise NotImplementedError("a DataFrame as key")
                extra[name] = key
                self.lazy.append((name, key._meta.name))
                self.keys.append(name)
            elif callable(key):
                raise NotImplementedError("keys made of the index")
            elif own.ndim == 2 and key in own.columns:
                self.keys.append(key)
            elif key is not None and key == own._meta.index.name:
                self.keys.append(None)
            else:
                raise NotImplementedError(f"the key {key!r}")
        self.frame = frame.assign(**extra) if extra else frame
        if (
            grouped.observed is False
            and not keeps
            and any(isinstance(key_dtype(self.frame, k), pd.CategoricalDtype) for k in self.keys)
        ):
            raise NotImplementedError("groups that no row belongs to")
        self.series = own._meta.name if own.ndim == 1 else None
        self.is_series = own.ndim == 1
        self.labels = [None if isinstance(key, Collection) else key for key in grouped.by]

    def taken_apart(self, part: Any) -> tuple[Any, list[Any]]:
        """What is grouped, and the keys that are no columns of it."""
        keys = [part[name].rename(label) for name, label in self.lazy]
        part = part.drop(columns=[name for name, _ in self.lazy])
        return (part[_VALUES].rename(self.series) if self.is_series else part), keys

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "frame": None}

    def __dask_tokenize__(self) -> Any:
        return "grouped-rows", self.lazy, self.labels, str(self.series), self.is_series


def together(grouped: Any, call: Any, args: Any, kwargs: Any, meta: Any, gather: bool) -> Any:
    """``call`` of pandas' groups: groups in order of their keys, over as many partitions as there were.

    Raises
    ------
    NotImplementedError
        If the rows cannot move.
    """
    if grouped.observed is False and _has_categories(grouped):
        return _with_unobserved(grouped, call, args, kwargs, meta, gather)
    rows = _Rows(grouped)
    moved, ordered = by_keys(rows.frame, rows.keys)
    result = blockwise(
        _of_groups,
        moved,
        rows,
        grouped._slice,
        grouped._options,
        call,
        args,
        kwargs,
        gather,
        meta,
        label=f"groupby-{call.__name__}",
        meta=meta,
        divisions=None,
    )
    # pandas leaves the groups of several keys unsorted in what describe gives.
    sorted_already = ordered and call.__name__ != "describe"
    if sorted_already or grouped.sort is False or call.__name__ == "apply":
        return result
    levels = len(grouped.by)
    return host(
        _in_order,
        (result, levels),
        {},
        meta=meta,
        npartitions=1,
        label=f"groupby-{call.__name__}",
        lists=[list(range(result.npartitions))],
    )


def _has_categories(grouped: Any) -> bool:
    keys = [key._meta if isinstance(key, Collection) else grouped.obj._meta.get(key) for key in grouped.by]
    return any(isinstance(getattr(key, "dtype", None), pd.CategoricalDtype) for key in keys)


def _with_unobserved(grouped: Any, call: Any, args: Any, kwargs: Any, meta: Any, gather: bool) -> Any:
    """The groups that rows belong to, and what pandas gives for the others.

    Raises
    ------
    NotImplementedError
        If the others are not known beforehand.
    """
    if call.__name__ in FREE or grouped.dropna is False or grouped.sort is False or gather:
        raise NotImplementedError("groups that no row belongs to")
    keys = [key._meta if isinstance(key, Collection) else grouped.obj._meta[key] for key in grouped.by]
    if not all(
        isinstance(key.dtype, pd.CategoricalDtype) and _meta.UNKNOWN_CATEGORIES not in key.cat.categories
        for key in keys
    ):
        raise NotImplementedError("groups that are not known")
    nothing = grouped.obj._meta.groupby(keys if len(keys) > 1 else keys[0], **grouped._options)
    nothing = nothing if grouped._slice is None else nothing[grouped._slice]
    try:
        others = call(nothing, *args, **kwargs)
    except (KeyError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise NotImplementedError("a function that needs rows") from error
    if not isinstance(others, type(meta)) or not others.index.is_unique:
        raise NotImplementedError("rows that are not groups")
    found = grouped._with(observed=True)._fallback(call, args, kwargs, meta)
    label = f"groupby-{call.__name__}"
    everything = [list(range(found.npartitions))]
    return host(_filled, (found, others, meta), {}, meta=meta, npartitions=1, label=label, lists=everything)


def _filled(parts: list[Any], others: Any, meta: Any) -> Any:
    found = joined(parts)
    if found.index.nlevels == 1:
        found.index = found.index.set_categories(others.index.categories)
    rest = others[~others.index.isin(found.index)]
    whole = pd.concat([found, rest]) if len(found) else others
    # In the order of the categories.
    whole = whole.iloc[whole.index.get_indexer(others.index)]
    whole.index = others.index
    return whole


def _in_order(parts: list[Any], levels: int) -> Any:
    """Groups as one partition, in order of their keys where these have an order."""
    whole = joined(parts)
    try:
        return whole.sort_index(level=list(range(levels)), sort_remaining=False, kind="stable")
    except TypeError:
        return whole


def by_keys(frame: Any, keys: list[Any]) -> tuple[Any, bool]:
    """Rows with equal keys in one partition, in order of the keys if that can be."""
    n = frame.npartitions
    try:
        exact(frame)
        dtypes = [key_dtype(frame, key) for key in keys]
        if not all(_sortable(dtype) for dtype in dtypes):
            raise NotImplementedError("keys that Rust does not sort")
        pairs = [(key, True) for key in keys]
        cut = frame_boundaries(frame.expr, pairs, [_convert.dtype_name(dtype) for dtype in dtypes], n)
        return new_collection(frame_range(frame.expr, pairs, cut, n), frame._meta), True
    except Unsupported:
        return by_hash(frame, keys, n, native=False), False


def _of_groups(
    part: Any,
    rows: _Rows,
    picked: Any,
    options: Any,
    call: Any,
    args: Any,
    kwargs: Any,
    gather: bool,
    empty: Any,
) -> Any:
    if not len(part):
        return empty  # Many methods of pandas, and functions of users, fail without rows.
    part, keys = rows.taken_apart(part)
    groups = part.groupby(_by(rows.labels, keys), **options)
    groups = groups if picked is None else groups[picked]
    return call.gather([groups], groups) if gather else call(groups, *args, **kwargs)


def _places() -> dict[str, Any]:
    """Empty columns for the partition and the number in it that each row has."""
    return {_PLACE: np.array([], "int64"), _ROW: np.array([], "int64")}


def _with_places(frame: Any, places: dict[str, Any]) -> Any:
    """``frame`` with its rows' places as columns, which rows that move take with them."""
    n = frame.npartitions
    return host(
        _numbered,
        (frame,),
        {},
        meta=frame._meta.assign(**places),
        npartitions=n,
        label="groupby-number",
        numbered=list(range(n)),
    )


def in_place(grouped: Any, call: Any, args: Any, kwargs: Any, meta: Any) -> Any:
    """``call`` of pandas' groups, whose rows come back to where they were.

    Raises
    ------
    NotImplementedError
        If the rows cannot move.
    """
    rows = _Rows(grouped, keeps=True)
    own, n = grouped.obj, grouped.obj.npartitions
    places = _places()
    moved = by_hash(_with_places(rows.frame, places), rows.keys, n)
    table = _meta.as_frame(meta.rename(_VALUES) if meta.ndim == 1 else meta)
    done = blockwise(
        _rows_of_groups,
        moved,
        rows,
        grouped._slice,
        grouped._options,
        call,
        args,
        kwargs,
        table,
        label=f"groupby-{call.__name__}",
        meta=table.assign(**places),
        divisions=None,
    )
    back = by_divisions(done, _PLACE, list(range(n + 1)))
    return blockwise(_returned, back, meta, label="groupby-return", meta=meta, divisions=own.divisions)


def numbers(grouped: Any, ascending: bool, meta: Any) -> Any:
    """``ngroup``: the place of each row's group in the order of the keys.

    Raises
    ------
    NotImplementedError
        If the rows cannot move, or not in that order.
    """
    if grouped.sort is False or grouped.observed is False and _has_categories(grouped):
        raise NotImplementedError("another order than that of the keys")
    rows = _Rows(grouped)
    kept = [key for key in rows.keys if key is not None] + ([_VALUES] if rows.is_series else [])
    rows.frame = rows.frame[kept]
    n = rows.frame.npartitions
    places = _places()
    numbered = _with_places(rows.frame, places)
    moved, ordered = by_keys(numbered, rows.keys)
    if not ordered:
        raise NotImplementedError("keys that Rust does not sort")
    table = pd.DataFrame({_VALUES: np.array([], "float64"), **places})
    done = blockwise(
        _numbers, moved, rows, grouped._options, table, label="groupby-ngroup", meta=table, divisions=None
    )
    counts = blockwise(_groups, done, label="groupby-count-chunk", meta=object(), divisions=None)
    counts = host(_listed, (counts,), {}, meta=object(), npartitions=1, label="groupby-counts", whole=True)
    placed = host(
        _counted_on,
        (done, counts, ascending),
        {},
        meta=table,
        npartitions=n,
        label="groupby-ngroup",
        numbered=list(range(n)),
    )
    back = by_divisions(placed, _PLACE, list(range(n + 1)))
    return blockwise(
        _returned_numbers,
        back,
        grouped.obj,
        meta,
        label="groupby-return",
        meta=meta,
        divisions=grouped.obj.divisions,
    )


def _numbers(part: Any, rows: _Rows, options: Any, empty: Any) -> Any:
    if not len(part):
        return empty
    own, keys = rows.taken_apart(part.drop(columns=[_PLACE, _ROW]))
    found = own.groupby(_by(rows.labels, keys), **options).ngroup()
    found = found.astype("float64").where(found >= 0)
    return pd.DataFrame(
        {_VALUES: found.to_numpy(), _PLACE: part[_PLACE].to_numpy(), _ROW: part[_ROW].to_numpy()}
    )


def _groups(part: Any) -> int:
    last = part[_VALUES].max()
    return 0 if np.isnan(last) else int(last) + 1


def _counted_on(part: Any, counts: list[int], ascending: bool, partition_info: int) -> Any:
    found = part[_VALUES] + sum(counts[:partition_info])
    return part.assign(**{_VALUES: found if ascending else sum(counts) - 1 - found})


def _returned_numbers(part: Any, own: Any, meta: Any) -> Any:
    found = part[_VALUES].to_numpy()[np.argsort(part[_ROW].to_numpy(), kind="stable")]
    dtype = "float64" if np.isnan(found).any() else meta.dtype
    return pd.Series(found.astype(dtype), index=own.index, name=meta.name)


def _numbered(part: Any, partition_info: int) -> Any:
    return part.assign(**{_PLACE: np.int64(partition_info), _ROW: np.arange(len(part), dtype="int64")})


def _rows_of_groups(
    part: Any, rows: _Rows, picked: Any, options: Any, call: Any, args: Any, kwargs: Any, empty: Any
) -> Any:
    if not len(part):
        return empty.assign(**{_PLACE: np.array([], "int64"), _ROW: np.array([], "int64")})
    part = part.iloc[np.lexsort((part[_ROW].to_numpy(), part[_PLACE].to_numpy()))]
    numbers = part[[_PLACE, _ROW]]
    own, keys = rows.taken_apart(part.drop(columns=[_PLACE, _ROW]))
    by = _by(rows.labels, keys)
    groups = own.groupby(by, **options)
    result = call(groups if picked is None else groups[picked], *args, **kwargs)
    if len(result) != len(part):  # Some rows of each group: the same ones of the numbers.
        each = by if isinstance(by, list) else [by]
        each = [
            own[key] if own.ndim == 2 and not isinstance(key, pd.Series) and key in own else key
            for key in each
        ]
        numbers = call(numbers.groupby(each if len(each) > 1 else each[0], **options), *args, **kwargs)
    table = _meta.as_frame(result.rename(_VALUES) if result.ndim == 1 else result)
    return table.assign(**{_PLACE: numbers[_PLACE].to_numpy(), _ROW: numbers[_ROW].to_numpy()})


def _returned(part: Any, meta: Any) -> Any:
    part = part.iloc[np.argsort(part[_ROW].to_numpy(), kind="stable")].drop(columns=[_PLACE, _ROW])
    return part[_VALUES].rename(meta.name) if meta.ndim == 1 else part


# -- windows over the rows of groups --------------------------------------------------------------


class RollingGroupBy:
    """Windows over the rows of each group: ``df.groupby(by).rolling(window)``."""

    def __init__(self, grouped: Any, options: dict[str, Any]) -> None:
        self._grouped, self._options = grouped, options

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if not hasattr(pd.api.typing.Rolling, name):
            raise AttributeError(f"'RollingGroupBy' object has no attribute {name!r}")

        def method(*args: Any, **kwargs: Any) -> Any:
            return self._grouped._infer(_Windows(self._options, name), args, kwargs)

        return method


class _Windows:
    def __init__(self, options: dict[str, Any], name: str) -> None:
        self.options, self.name = options, name
        self.__name__ = f"rolling-{name}"

    def __dask_tokenize__(self) -> Any:
        return _Windows, self.options, self.name

    def __call__(self, grouped: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(grouped.rolling(**self.options), self.name)(*args, **kwargs)
