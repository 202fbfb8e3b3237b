"""Summaries put together from reductions: ``describe``, ``mode``, ``pivot_table``.

No step holds more than what the reductions leave: a row for each statistic, or the different values of a column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _meta, _whole
from weft.dataframe._collection import blockwise, host
from weft.dataframe._native import Unsupported

# -- describe -------------------------------------------------------------------------------------


def describe(own: Any, percentiles: Any, include: Any, exclude: Any) -> Any:
    """``describe`` of pandas, exact."""
    options: dict[str, Any] = {"percentiles": percentiles}
    if own.ndim == 2:
        options.update(include=include, exclude=exclude)
    sample = _meta.meta_nonempty(own._meta).describe(**options)
    meta = _meta.make_meta(sample)
    try:
        if include is not None or exclude is not None:
            raise NotImplementedError("columns of several kinds")
        labels = list(sample.columns) if meta.ndim == 2 else [None]
        columns = [own[label] for label in labels] if own.ndim == 2 else [own]
        if len(set(labels)) < len(labels) or not columns:
            raise NotImplementedError("columns of one name")
        wanted = [0.25, 0.5, 0.75] if percentiles is None else [float(q) for q in percentiles]
        if own.npartitions == 1 or len(set(wanted)) < len(wanted):
            raise NotImplementedError("pandas' own business")
        parts = [_parts(column, sorted(wanted)) for column in columns]
    except Unsupported:
        return _whole.whole(own, "describe", meta=meta, **options)
    return host(_described, (parts, sample), {}, meta=meta, npartitions=1, label="describe", whole=True)


def _parts(column: Any, percentiles: list[float]) -> list[Any]:
    """What ``describe`` says of a Series of numbers or text, one after the other.

    Raises
    ------
    NotImplementedError
        If its values are neither.
    """
    dtype = column._meta.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        quantiles = [column.quantile(percentiles)] if percentiles else []
        return [column.count(), column.mean(), column.std(), column.min(), *quantiles, column.max()]
    if isinstance(dtype, pd.StringDtype) or isinstance(dtype, np.dtype) and dtype.kind == "b":
        counts = column.value_counts()
        return [
            column.count(),
            blockwise(_top, counts, meta=object(), label="describe-chunk", divisions=None),
        ]
    raise NotImplementedError(f"values of {dtype}")


def _top(counts: pd.Series) -> tuple[int, Any, Any]:
    """How many values there are, the most frequent one, and how often that occurs."""
    return (len(counts), counts.index[0], counts.iloc[0]) if len(counts) else (0, np.nan, np.nan)


def _described(parts: list[list[Any]], sample: Any) -> Any:
    columns = []
    for statistics in parts:
        values: list[Any] = []
        for [value] in statistics:
            values.extend(value if isinstance(value, (tuple, pd.Series)) else [value])
        columns.append(values)
    if sample.ndim == 1:
        return pd.Series(columns[0], index=sample.index, name=sample.name, dtype=sample.dtype)
    made = {
        i: pd.Series(values, index=sample.index, dtype=dtype)
        for i, (values, dtype) in enumerate(zip(columns, sample.dtypes))
    }
    return pd.DataFrame(made).set_axis(sample.columns, axis=1)


# -- mode -----------------------------------------------------------------------------------------


def mode(own: Any, dropna: bool, **options: Any) -> Any:
    """``mode`` of pandas: the most frequent values of each column, in order."""
    if own.ndim == 2 and options.pop("numeric_only", False):
        own = own[list(own._meta.select_dtypes(["number", "bool"]).columns)]
    meta = _meta.make_meta(_meta.meta_nonempty(own._meta).mode(dropna=dropna))
    if options or own.npartitions == 1 or own.ndim == 2 and not own._meta.columns.is_unique:
        return _whole.whole(own, "mode", meta=meta, dropna=dropna, **options)
    columns = [own[label] for label in own._meta.columns] if own.ndim == 2 else [own]
    counts = [column.value_counts(sort=False, dropna=dropna) for column in columns]
    found = [
        blockwise(_most_frequent, count, column._meta, meta=object(), label="mode-chunk", divisions=None)
        for count, column in zip(counts, columns)
    ]
    return host(_modes, (found, meta), {}, meta=meta, npartitions=1, label="mode", whole=True)


def _most_frequent(counts: pd.Series, empty: pd.Series) -> pd.Series:
    values = pd.Series(counts.index[counts == counts.max()], dtype=empty.dtype, name=empty.name)
    # pandas orders what can be ordered.
    return values.mode(dropna=False)


def _modes(found: list[list[pd.Series]], meta: Any) -> Any:
    columns = [column for [column] in found]
    if meta.ndim == 1:
        return columns[0]
    return pd.concat(columns, axis=1) if columns else meta


# -- pivot_table ----------------------------------------------------------------------------------


def pivot_table(needed: Any, meta: pd.DataFrame, options: dict[str, Any]) -> Any:
    """``pivot_table`` of pandas on one row for each pair of keys."""
    keys = [options["index"], options["columns"]]
    values = options["values"]
    picked = values if isinstance(values, list) else [values]
    groups = needed.groupby(keys, observed=True)[picked]
    name = options["aggfunc"]
    if name == "mean":
        tables = [groups.sum(), groups.count()]
    else:
        tables = [getattr(groups, name)()]
    # Labels of rows that have no category have a row too.
    labels = needed[[options["index"]]].drop_duplicates() if name in ("sum", "count") else None
    return host(
        _pivot, (tables, labels, meta, options), {}, meta=meta, npartitions=1, label="pivot_table", whole=True
    )


def _pivot(
    tables: list[list[pd.DataFrame]], labels: Any, meta: pd.DataFrame, options: dict[str, Any]
) -> pd.DataFrame:
    rows = [table.reset_index() for [table] in tables]
    name = options["aggfunc"]
    if labels is not None:
        more = labels[0].dropna()
        more = more[~more[options["index"]].isin(rows[0][options["index"]])]
        values = {label: np.zeros(len(more), "int8") for label in rows[0].columns[2:]}
        nothing = pd.Categorical([None] * len(more), dtype=rows[0][options["columns"]].dtype)
        more = more.assign(**{options["columns"]: nothing}, **values)
        rows[0] = pd.concat([rows[0], more], ignore_index=True) if len(more) else rows[0]
    if name == "mean":
        # A mean of one value is that value.
        counts = rows[1].drop(columns=[options["index"], options["columns"]])
        for label in counts.columns:
            rows[0][label] = rows[0][label] / counts[label].where(counts[label] > 0)
    again = {**options, "aggfunc": "sum" if name == "count" else name}
    table = rows[0].pivot_table(**again)
    if name == "count":
        table = table.astype("int64") if len(table.columns) and not table.isna().any(axis=None) else table
    if len(table.columns) == len(meta.columns):
        return table
    # pandas leaves out columns without values.
    fill = 0 if name in ("sum", "count") else np.nan
    return table.reindex(columns=meta.columns, fill_value=fill)
