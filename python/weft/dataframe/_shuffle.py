"""Rows that move between partitions: by hash, by number, by range.

A key is a column's label; None is the index. Rust moves partitions that live in Rust; others are
cut and put together by pandas, with as many tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from weft._weft import frame_range, frame_shuffle
from weft.base import tokenize
from weft.dataframe import _convert, _meta
from weft.dataframe._collection import Collection, concat, host, new_collection
from weft.dataframe._native import Unsupported, fields_of, frame_memory

NO_DEFAULT = _meta.NO_DEFAULT
Key = Any


def exact(df: Collection) -> None:
    """Refuses collections whose partitions cannot live in Rust, by what their meta says.

    Raises
    ------
    NotImplementedError
    """
    _, fields = fields_of(df._meta)
    if fields is None:
        raise NotImplementedError("labels that frames cannot have")
    for name, dtype in fields:
        if dtype is None:
            raise NotImplementedError(f"column {name!r} holds what only pandas can hold")


def key_dtype(df: Collection, key: Key) -> Any:
    """The dtype of a key."""
    if key is None:
        return df._meta.index.dtype
    return df._meta[key].dtype if df.ndim == 2 else df._meta.dtype


def key_of(df: Collection, label: Any) -> Key:
    """The key that users call ``label``: a column, or else the index of that name.

    Raises
    ------
    KeyError
        If there is neither.
    """
    if label in df._meta.columns:
        return label
    if label is not None and label == df._meta.index.name:
        return None
    raise KeyError(label)


# -- by hash --------------------------------------------------------------------------------------


def by_hash(
    df: Collection,
    keys: Sequence[Key],
    npartitions: int,
    *,
    dtypes: Sequence[str | None] | None = None,
    keep_index: bool = True,
    native: bool = True,
) -> Any:
    """The rows of ``df`` with equal keys in the same partition.

    ``dtypes`` says as what a key is hashed that meets keys of another dtype. Rust and pandas hash
    differently: two collections that are to meet must both be ``native``, or neither.
    """
    if native:
        try:
            exact(df)
            pairs = list(zip(keys, dtypes or [None] * len(keys)))
            for key in keys:
                if _convert.dtype_name(key_dtype(df, key)) is None:
                    raise NotImplementedError("keys that only pandas can hold")
            expr = frame_shuffle(df.expr, pairs, npartitions, keep_index=keep_index)
            return new_collection(expr, df._meta if keep_index else df._meta.reset_index(drop=True))
        except Unsupported:
            pass
    return by_place(df, HashPlaces(list(keys), npartitions), npartitions, keep_index=keep_index)


class HashPlaces:
    """The partition of each row by a hash of its keys."""

    def __init__(self, keys: list[Key], npartitions: int) -> None:
        self.keys = keys
        self.npartitions = npartitions

    def __dask_tokenize__(self) -> Any:
        return "hash-places", self.keys, self.npartitions

    def __call__(self, part: Any) -> np.ndarray:
        hashes = np.zeros(len(part), dtype="uint64")
        for key in self.keys:
            values = part.index if key is None else part[key]
            hashes = hashes * np.uint64(1_000_003) ^ hash_values(values)
        return (hashes % np.uint64(self.npartitions)).astype("int64")


def hash_values(values: Any) -> np.ndarray:
    """A hash of each value; equal values have equal hashes whatever their dtype."""
    series = pd.Series(values).reset_index(drop=True)
    if isinstance(series.dtype, pd.CategoricalDtype):
        dtype = series.dtype.categories.dtype
        # Integers have no missing value.
        series = series.astype("float64" if dtype.kind in "iub" and series.hasnans else dtype)
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        if dtype.kind != "c":
            return _hash_floats(series.to_numpy("float64", na_value=np.nan))
    if dtype.kind == "M" or isinstance(dtype, pd.DatetimeTZDtype):
        return pd.util.hash_array(series.dt.as_unit("us").to_numpy("datetime64[us]"))
    if dtype.kind == "m":
        return pd.util.hash_array(series.dt.as_unit("us").to_numpy())
    objects = series.to_numpy(object)
    missing = series.isna().to_numpy()
    numbers = np.array([isinstance(value, (int, float, np.number)) for value in objects], dtype=bool)
    numbers &= ~missing
    hashes = np.zeros(len(objects), dtype="uint64")
    text = ~(numbers | missing)
    if text.any():
        words = np.array(
            [value if isinstance(value, str) else repr(value) for value in objects[text]], object
        )
        hashes[text] = pd.util.hash_array(words, categorize=True)
    if numbers.any():
        hashes[numbers] = _hash_floats(objects[numbers].astype("float64"))
    hashes[missing] = _hash_floats(np.array([np.nan]))[0]
    return hashes


def _hash_floats(values: np.ndarray) -> np.ndarray:
    values = values + 0.0  # One zero.
    values[np.isnan(values)] = np.nan
    return pd.util.hash_array(values)


# -- by place, with pandas ------------------------------------------------------------------------


def by_place(
    df: Collection, places: Callable[[Any], Any], npartitions: int, *, keep_index: bool = True
) -> Any:
    """The rows in the partitions whose numbers ``places`` gives: cut and put together by pandas."""
    n = df.npartitions
    cut = host(
        _cut,
        (df, places, npartitions),
        {},
        meta=object(),
        npartitions=n,
        label="shuffle-split",
    )
    # A task for each shard, so that no task that puts a partition together holds those of others.
    shards = host(
        _shard,
        (cut,),
        {},
        meta=object(),
        npartitions=n * npartitions,
        label="shuffle-shard",
        lists=[[i] for i in range(n) for _ in range(npartitions)],
        numbered=[j for _ in range(n) for j in range(npartitions)],
    )
    return host(
        _put_together,
        (shards, keep_index),
        {},
        meta=df._meta if keep_index else df._meta.reset_index(drop=True),
        npartitions=npartitions,
        label="shuffle",
        lists=[[i * npartitions + j for i in range(n)] for j in range(npartitions)],
    )


def _cut(part: Any, places: Callable[[Any], Any], npartitions: int) -> list[Any]:
    found = np.asarray(places(part), dtype="int64")
    order = np.argsort(found, kind="stable")
    ends = np.searchsorted(found[order], np.arange(npartitions + 1))
    return [part.iloc[order[start:stop]] for start, stop in zip(ends, ends[1:])]


def _shard(cut: list[list[Any]], partition_info: int) -> Any:
    return cut[0][partition_info]


def _put_together(shards: list[Any], keep_index: bool) -> Any:
    filled = [shard for shard in shards if len(shard)] or shards[:1]
    whole = concat(filled) if len(filled) > 1 else filled[0]
    return whole if keep_index else whole.reset_index(drop=True)


# -- by range -------------------------------------------------------------------------------------


def literal_boundaries(dtype: Any, values: Sequence[Any]) -> Any:
    """The boundaries that the user gave, or that were computed, as an expression."""
    frame = pd.DataFrame({0: pd.Series(list(values), dtype=dtype)})
    return frame_memory("boundaries", tokenize(frame), [frame])


def by_divisions(df: Collection, key: Key, divisions: Sequence[Any], *, keep_index: bool = True) -> Any:
    """The rows in the partitions that ``divisions`` describe; what lies outside goes to the nearest one."""
    inner, npartitions = list(divisions)[1:-1], len(divisions) - 1
    dtype = key_dtype(df, key)
    try:
        exact(df)
        if not _sortable(dtype):
            raise NotImplementedError("keys that Rust does not sort")
        try:
            boundaries = literal_boundaries(dtype, inner)
        except (TypeError, ValueError, _convert.Inexact):
            raise NotImplementedError("boundaries of another dtype") from None
        if boundaries.schema[0][1] != _convert.dtype_name(dtype):
            raise NotImplementedError("boundaries of another dtype")
        if not pd.Series(inner).equals(pd.Series(inner, dtype=dtype).astype(pd.Series(inner).dtype)):
            raise NotImplementedError("boundaries that the keys' dtype cannot hold")
        expr = frame_range(df.expr, [(key, True)], boundaries, npartitions, keep_index=keep_index)
        return new_collection(expr, df._meta)
    except Unsupported:
        return by_place(df, RangePlaces(key, inner), npartitions, keep_index=keep_index)


def _sortable(dtype: Any) -> bool:
    return _convert.dtype_name(dtype) is not None and not hasattr(dtype, "numpy_dtype")


class RangePlaces:
    """The partition of each row by inner divisions; missing keys go to the last, or the first."""

    def __init__(
        self, key: Key, inner: Sequence[Any], ascending: bool = True, missing_first: bool = False
    ) -> None:
        self.key = key
        self.inner = list(inner)
        self.ascending = ascending
        self.missing_first = missing_first

    def __dask_tokenize__(self) -> Any:
        return "range-places", self.key, self.inner, self.ascending, self.missing_first

    def __call__(self, part: Any) -> np.ndarray:
        values = pd.Series(part.index if self.key is None else part[self.key]).reset_index(drop=True)
        missing = values.isna().to_numpy()
        values = values[~missing]
        if isinstance(values.dtype, pd.CategoricalDtype):
            order = list(values.cat.categories)
            bounds = pd.Index([order.index(value) for value in self.inner if value in order])
            found = bounds.searchsorted(values.cat.codes, side="right")
        else:
            bounds = pd.Index(self.inner) if self.inner else pd.Index([], dtype=values.dtype)
            if bounds.dtype != values.dtype and (bounds.dtype == object or values.dtype == object):
                bounds, values = bounds.astype(object), values.astype(object)
            found = bounds.searchsorted(values.array, side="right")
        found = np.asarray(found, dtype="int64")
        places = np.empty(len(missing), dtype="int64")
        places[~missing] = found if self.ascending else len(self.inner) - found
        places[missing] = 0 if self.missing_first else len(self.inner)
        return places


# -- what users call ------------------------------------------------------------------------------


def shuffle(
    self: Any,
    on: Any = NO_DEFAULT,
    ignore_index: bool = False,
    npartitions: int | None = None,
    shuffle_method: str | None = None,
    on_index: bool = False,
    force: bool = False,
    **options: Any,
) -> Any:
    """Moves rows so that those with equal values of ``on`` are in the same partition.

    Parameters
    ----------
    on : label, list of labels, Series, Index or DataFrame
        By what. A label may be the index's name.
    ignore_index : bool
        Let each partition count from zero.
    npartitions : int, optional
        Number of partitions of the result; by default as many as before.
    shuffle_method : str, optional
        Accepted for compatibility: there is one way, in memory as far as it is allowed, then on disk.
    on_index : bool
        By the index.

    Returns
    -------
    DataFrame
        The same rows, without known divisions.

    Raises
    ------
    KeyError
        If a label is neither a column nor the index.
    TypeError
        If there is nothing to go by, or if it is not of the same rows.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"k": [1, 2, 1, 2]}), npartitions=2)
    >>> parts = df.shuffle("k").map_partitions(lambda part: part.k.drop_duplicates(), meta=("k", "int64"))
    >>> sorted(parts.compute().tolist())
    [1, 2]
    """
    if on is NO_DEFAULT and not on_index:
        raise TypeError(
            "Must shuffle on either columns or the index; currently shuffling on neither. "
            "Pass column(s) to 'on' or set 'on_index' to True."
        )
    if on is not NO_DEFAULT and on_index:
        raise TypeError(
            "Cannot shuffle on both columns and the index. Do not pass column(s) to 'on' or set 'on_index' to False."
        )
    check_method(shuffle_method)
    n = int(npartitions or self.npartitions)
    if isinstance(on, Collection):
        on = cast(Any, on)
        if on.npartitions != self.npartitions or on.divisions != self.divisions:
            raise TypeError("index must be aligned with the DataFrame to use as shuffle index.")
        if isinstance(on._meta, pd.Index):
            if on.expr == self.index.expr:
                return by_hash(self, [None], n, keep_index=not ignore_index)
            on = on.to_series()
        columns = [on.iloc[:, i] for i in range(len(on.columns))] if on.ndim == 2 else [on]
        names = [f"__weft_shuffle_{i}__" for i in range(len(columns))]
        moved = by_hash(self.assign(**dict(zip(names, columns))), names, n, keep_index=not ignore_index)
        return moved[list(self.columns)]
    if on_index:
        keys: list[Key] = [None]
    else:
        labels = list(on) if pd.api.types.is_list_like(on) and not isinstance(on, tuple) else [on]
        if self._meta.index.name is None:
            known = list(self._meta.columns)
        else:
            known = [*self._meta.columns, self._meta.index.name]
        bad = [label for label in labels if label not in known]
        if bad:
            raise KeyError(f"Cannot shuffle on {bad}, column(s) not in dataframe to shuffle")
        keys = [key_of(self, label) for label in labels]
    return by_hash(self, keys, n, keep_index=not ignore_index)


def check_method(method: Any) -> None:
    """Refuses what is no shuffle method.

    Raises
    ------
    ValueError
    """
    if method not in (None, "disk", "tasks", "p2p"):
        raise ValueError(f"Unknown shuffle method {method!r}: it is 'disk', 'tasks', 'p2p' or None")
