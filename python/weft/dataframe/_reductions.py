"""Reductions and other trees: something of each partition, then something of what came out.

``reduce_tree(collection, chunk, aggregate)`` is the pattern; the table at the end says which
methods of pandas follow it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from weft import config
from weft._engine import memory_limit
from weft.dataframe import _meta
from weft.dataframe._collection import Collection, MethodCall, blockwise, concat, host
from weft.dataframe._native import Unsupported

#: Results of partitions that one step makes one of.
FAN_IN = 8


class _Aggregate:
    """``function(concat(parts))``."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, parts: list[Any], *args: Any, **kwargs: Any) -> Any:
        kept = [part for part in parts if len(part)] or parts[:1]
        return self.function(concat(kept) if len(kept) > 1 else kept[0], *args, **kwargs)

    def __dask_tokenize__(self) -> Any:
        return "aggregate", self.function


def reduce_tree(
    collection: Collection,
    chunk: Callable[..., Any],
    aggregate: Callable[..., Any],
    *,
    label: str,
    meta: Any,
    chunk_kwargs: dict[str, Any] | None = None,
    aggregate_kwargs: dict[str, Any] | None = None,
    args: tuple[Any, ...] = (),
    combine: Callable[..., Any] | None = None,
    combine_kwargs: dict[str, Any] | None = None,
) -> Any:
    """``aggregate(concat of chunk(partition))`` as one partition.

    What a chunk gives is small beside its partition, so one step takes them all; unless ``combine`` makes one of a few
    of them, which is as good as all of these: then they come together in a tree.
    """
    parts = blockwise(
        chunk, collection, *args, label=f"{label}-chunk", divisions=None, **(chunk_kwargs or {})
    )
    while combine is not None and parts.npartitions > FAN_IN:
        runs = range(0, parts.npartitions, FAN_IN)
        parts = host(
            _Aggregate(combine),
            (parts,),
            combine_kwargs or {},
            meta=parts._meta,
            npartitions=len(runs),
            label=f"{label}-combine-chunk",
            lists=[list(range(i, min(i + FAN_IN, parts.npartitions))) for i in runs],
        )
    return host(
        _Aggregate(aggregate),
        (parts,),
        aggregate_kwargs or {},
        meta=meta,
        npartitions=1,
        label=label,
        whole=True,
    )


# -- sums and their like --------------------------------------------------------------------------


def _as_frame(partition: Any) -> pd.DataFrame:
    return partition.to_frame("0") if isinstance(partition, pd.Series) else partition


class _Row:
    """A reduction of each column, as a frame of one row that keeps what pandas made of it."""

    def __init__(self, name: str) -> None:
        self.name = self.__name__ = name

    def __dask_tokenize__(self) -> Any:
        return _Row, self.name

    def __call__(self, partition: Any, **kwargs: Any) -> Any:
        if isinstance(partition, pd.DataFrame):
            return _of_columns(partition, self.name, kwargs, as_row=True)
        return pd.Series([getattr(partition, self.name)(**kwargs)])


class _Columns:
    """The same reduction of the rows that :class:`_Row` made."""

    def __init__(self, name: str, meta: Any) -> None:
        self.name = self.__name__ = name
        self.meta = meta

    def __dask_tokenize__(self) -> Any:
        return _Columns, self.name, self.meta

    def __call__(self, rows: Any, **kwargs: Any) -> Any:
        if isinstance(rows, pd.DataFrame):
            return _with_dtype(_of_columns(rows, self.name, kwargs, as_row=False), self.meta)
        return _with_dtype(getattr(rows, self.name)(**kwargs), self.meta)


def _of_columns(frame: pd.DataFrame, name: str, kwargs: dict[str, Any], as_row: bool) -> Any:
    """A reduction of each column in the column's own dtype: pandas would make floats of large integers
    where others are floats."""
    labels = getattr(frame, name)(**kwargs).index  # Raises what pandas raises.
    kwargs = {key: value for key, value in kwargs.items() if key != "numeric_only"}
    places = [i for i, label in enumerate(frame.columns) if label in labels]
    values = [getattr(frame.iloc[:, i], name)(**kwargs) for i in places]
    if not as_row:
        return pd.Series(values, index=labels)
    row = pd.DataFrame({i: [value] for i, value in enumerate(values)})
    row.columns = labels
    return row


def _with_dtype(result: Any, meta: Any) -> Any:
    dtype = getattr(meta, "dtype", None)
    if dtype is None or getattr(result, "dtype", dtype) == dtype or dtype.kind == "O":
        return result
    try:
        if isinstance(result, pd.Series):
            return result.astype(dtype)
        return pd.Series([result]).astype(dtype).iloc[0]
    except (TypeError, ValueError, OverflowError):
        return result  # A missing value has no place in an integer dtype.


def moments(partition: Any, skipna: bool, numeric_only: bool) -> pd.DataFrame:
    """Count, mean and sum of squared distances from it, of each column of a partition."""
    frame = _as_frame(partition)
    if numeric_only:
        frame = frame.select_dtypes(["number", "bool"])
    numbers = pd.DataFrame(
        {i: _as_numbers(frame.iloc[:, i]) for i in range(frame.shape[1])}, index=frame.index
    )
    count = numbers.count() if skipna else pd.Series(len(numbers), index=numbers.columns)
    mean = numbers.mean(skipna=skipna)
    squares = ((numbers - mean) ** 2).sum(skipna=skipna, min_count=0 if skipna else 0)
    if not skipna:
        squares = squares.where(numbers.notna().all())
    table = pd.DataFrame({"count": count.astype("float64"), "mean": mean, "squares": squares})
    table["column"] = range(len(table))
    return table.reset_index(drop=True)


def _as_numbers(column: pd.Series) -> Any:
    """Values as floats; times as units since 1970."""
    if getattr(column.dtype, "kind", "") not in "mM":
        return column.astype("float64")
    return column.astype("int64").astype("float64").where(column.notna())


class _Spread:
    """Variance or standard deviation from the moments of partitions."""

    def __init__(self, name: str, ddof: int, labels: Any, meta: Any) -> None:
        self.name = self.__name__ = name
        self.ddof, self.labels, self.meta = ddof, labels, meta

    def __dask_tokenize__(self) -> Any:
        return _Spread, self.name, self.ddof, self.labels, self.meta

    def __call__(self, table: pd.DataFrame) -> Any:
        values = []
        for i in range(len(self.labels)):
            rows = table[table["column"] == i]
            full = rows[rows["count"] > 0]
            n = full["count"].sum()
            mean = (full["mean"] * full["count"]).sum() / n if n else np.nan
            squares = full["squares"].sum(skipna=False) + (full["count"] * (full["mean"] - mean) ** 2).sum()
            variance = squares / (n - self.ddof) if n > self.ddof else np.nan
            values.append(variance**0.5 if self.name in ("std", "sem") else variance)
            if self.name == "sem":
                values[-1] = values[-1] / n**0.5 if n else np.nan
        if isinstance(self.meta, pd.Series):
            return pd.Series(values, index=self.labels, dtype=self.meta.dtype)
        if isinstance(self.meta, (pd.Timedelta, type(pd.NaT))):
            return _as_span(values[0], self.meta)
        return _with_dtype(np.float64(values[0]), self.meta)


def _as_span(value: float, meta: Any) -> Any:
    return pd.NaT if np.isnan(value) else pd.Timedelta(round(value), unit=getattr(meta, "unit", "ns"))


def _strict_sum(values: pd.Series) -> Any:
    return values.sum(skipna=False)


def _mean(parts: pd.DataFrame, meta: Any, series: bool, labels: Any) -> Any:
    total = parts.groupby("column").agg({"sum": _strict_sum, "count": "sum"})
    result = total["sum"] / total["count"].where(total["count"] != 0)
    if series:
        return _with_dtype(result.iloc[0], meta)
    result.index = labels
    result.name = None
    return _with_dtype(result, meta)


def _sums(partition: Any, skipna: bool, numeric_only: bool) -> pd.DataFrame:
    frame = _as_frame(partition)
    if numeric_only:
        frame = frame.select_dtypes(["number", "bool"])
    count = frame.count() if skipna else pd.Series(len(frame), index=frame.columns)
    table = pd.DataFrame({"sum": frame.sum(skipna=skipna), "count": count})
    table["column"] = range(len(table))
    return table.reset_index(drop=True)


#: Reductions that are their own combination.
SIMPLE = {
    "sum": "sum",
    "prod": "prod",
    "min": "min",
    "max": "max",
    "any": "any",
    "all": "all",
    "count": "sum",
}


def reduction(
    collection: Any,
    name: str,
    axis: Any = 0,
    skipna: bool = True,
    numeric_only: bool = False,
    min_count: int = 0,
    ddof: int = 1,
) -> Any:
    """A reduction of each column, or, with ``axis=1``, of each row."""
    frame = hasattr(collection, "columns")
    if axis is None and frame:
        return _of_all(collection, name, skipna=skipna, numeric_only=numeric_only, ddof=ddof)
    if axis in (1, "columns"):
        kwargs: dict[str, Any] = {"axis": 1}
        if name not in ("count",):
            kwargs["skipna"] = skipna
        if frame:
            kwargs["numeric_only"] = numeric_only
        if min_count:
            kwargs["min_count"] = min_count
        if name in ("var", "std", "sem"):
            kwargs["ddof"] = ddof
        return collection._method(name, **kwargs)
    if axis not in (0, "index", None):
        raise ValueError(f"No axis named {axis} for object type {type(collection).__name__}")
    options: dict[str, Any] = {}
    if name != "count":
        options["skipna"] = skipna
    if frame and name not in ("any", "all"):
        options["numeric_only"] = numeric_only
    asked = dict(options)
    if name in ("var", "std", "sem"):
        asked["ddof"] = ddof
    if min_count:
        asked["min_count"] = min_count
    sample = _meta.meta_nonempty(collection._meta)
    meta = getattr(sample, name)(**asked)
    if isinstance(meta, pd.Series):
        meta = meta.iloc[:0]
    if min_count:
        total = reduction(collection, name, axis, skipna, numeric_only)
        enough = (
            reduction(collection, "count", axis, numeric_only=numeric_only) if frame else collection.count()
        )
        if frame:
            return total.where(enough >= min_count)
        return blockwise(_if_enough, total, enough, min_count, meta=meta, label=name)
    if skipna:
        try:
            source = collection
            if frame and numeric_only:
                source = collection[list(collection._meta.select_dtypes(["number", "bool"]).columns)]
            from weft.dataframe._collection import new_collection

            expr = source.expr.reduce(name, ddof=ddof) if "ddof" in asked else source.expr.reduce(name)
            return new_collection(expr, meta)
        except Unsupported:
            pass
    if name in SIMPLE:
        outer = {} if name == "count" else {"skipna": skipna}
        return reduce_tree(
            collection,
            _Row(name),
            _Columns(SIMPLE[name], meta),
            label=name,
            meta=meta,
            chunk_kwargs=options,
            aggregate_kwargs=outer,
        )
    measured = {"skipna": skipna, "numeric_only": numeric_only and frame}
    labels = sample.columns if frame else pd.Index(["0"])
    if frame and numeric_only:
        labels = sample.select_dtypes(["number", "bool"]).columns
    if name == "mean":
        return reduce_tree(
            collection,
            _sums,
            _mean,
            label=name,
            meta=meta,
            chunk_kwargs=measured,
            aggregate_kwargs={"meta": meta, "series": not frame, "labels": labels},
        )
    return reduce_tree(
        collection, moments, _Spread(name, ddof, labels, meta), label=name, meta=meta, chunk_kwargs=measured
    )


def _of_all(collection: Any, name: str, *, skipna: bool, numeric_only: bool, ddof: int) -> Any:
    """The reduction of all values of a frame, as ``axis=None`` asks for."""
    if name in ("sum", "prod", "min", "max", "any", "all"):
        columns = reduction(collection, name, 0, skipna, numeric_only)
        return reduction(columns, name, 0, skipna)
    if numeric_only:
        collection = collection[list(collection._meta.select_dtypes(["number", "bool"]).columns)]
    return reduction(_ravelled(collection), name, 0, skipna, ddof=ddof)


def _ravelled(collection: Any) -> Any:
    meta = pd.Series(_meta.meta_nonempty(collection._meta).to_numpy().ravel()).iloc[:0]
    return blockwise(_values_as_series, collection, meta=meta, label="ravel", divisions=None)


def _values_as_series(part: Any) -> pd.Series:
    return pd.Series(part.to_numpy().ravel())


def _if_enough(total: Any, count: Any, min_count: int) -> Any:
    return total if count >= min_count else np.nan


# -- trees of one method --------------------------------------------------------------------------


def again(collection: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """A method whose result on the results of partitions is the result on the whole."""
    call = MethodCall(name)
    meta = _meta.infer(call, (collection, *args), kwargs)
    return reduce_tree(
        collection,
        call,
        _Again(name, args),
        label=name,
        meta=meta,
        args=args,
        chunk_kwargs=kwargs,
        aggregate_kwargs=kwargs,
        combine=_Again(name, args),
        combine_kwargs=kwargs,
    )


class _Again:
    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name = self.__name__ = name
        self.args = args

    def __dask_tokenize__(self) -> Any:
        return _Again, self.name, self.args

    def __call__(self, parts: Any, **kwargs: Any) -> Any:
        return getattr(parts, self.name)(*self.args, **kwargs)


def _unique(partition: Any) -> Any:
    return partition.drop_duplicates()


def _added(parts: pd.Series, dropna: bool) -> pd.Series:
    levels = list(range(parts.index.nlevels))
    total = parts.groupby(
        level=levels if len(levels) > 1 else 0, sort=False, dropna=dropna, observed=False
    ).sum()
    return total.astype(parts.dtype if parts.dtype.kind == "i" else "int64")


def _counted(parts: pd.Series, sort: bool, ascending: bool, dropna: bool, normalize: bool) -> pd.Series:
    total = _added(parts, dropna)
    if normalize:
        total = (total / total.sum()).rename("proportion")
    return total.sort_values(ascending=ascending, kind="stable") if sort else total


def _value_counts_chunk(partition: Any, dropna: bool) -> Any:
    return partition.value_counts(sort=False, dropna=dropna)


def value_counts(collection: Any, sort: bool, ascending: bool, dropna: bool, normalize: bool) -> Any:
    options = {"sort": sort, "ascending": ascending, "dropna": dropna, "normalize": normalize}
    meta = _meta.make_meta(_meta.meta_nonempty(collection._meta).value_counts(**options))
    try:
        from weft.dataframe._collection import new_collection

        return new_collection(collection.expr.value_counts(**options), meta)
    except Unsupported:
        return reduce_tree(
            collection,
            _value_counts_chunk,
            _counted,
            label="value_counts",
            meta=meta,
            chunk_kwargs={"dropna": dropna},
            aggregate_kwargs=options,
            combine=_added,
            combine_kwargs={"dropna": dropna},
        )


def nunique(collection: Any, dropna: bool) -> Any:
    """Number of different values of a Series."""
    meta = np.int64(1)
    try:
        from weft.dataframe._collection import new_collection

        native = new_collection(collection.expr.reduce("nunique", dropna=dropna), meta)
    except Unsupported:
        return reduce_tree(
            collection,
            _unique,
            MethodCall("nunique"),
            label="nunique",
            meta=meta,
            aggregate_kwargs={"dropna": dropna},
            combine=_unique,
        )
    if not may_be_many(collection, 16):
        return native
    # Too many values, perhaps, for one task to hold: counted where equal ones meet.
    groups = collection.to_frame(_VALUES).groupby(_VALUES, dropna=dropna, sort=False)
    return rows(groups.size(split_out=collection.npartitions))


#: The column that values become on their way.
_VALUES = "__weft_values__"


def may_be_many(collection: Any, width: int) -> bool:
    """Whether results of ``width`` bytes for each row would take much of the memory there may be, for all that is known."""
    limit = memory_limit(config.get("memory.limit", None))
    if limit is None or collection.npartitions == 1:
        return False
    estimate = collection.expr.estimated_rows()
    if estimate is None:
        return bool(collection.npartitions >= 64)
    return bool(estimate[1] * width > limit / 4)


def rows(collection: Any) -> Any:
    """Number of rows, as a scalar."""
    try:
        from weft.dataframe._collection import new_collection

        return new_collection(collection.expr.len(), np.int64(1))
    except Unsupported:
        return host(
            _total,
            (blockwise(_length, collection, meta=np.int64(1), label="len-chunk", divisions=None),),
            {},
            meta=np.int64(1),
            npartitions=1,
            label="len",
            whole=True,
        )


def _length(partition: Any) -> int:
    return len(partition)


def _total(parts: list[int]) -> int:
    return sum(parts)
