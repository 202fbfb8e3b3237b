"""Quantiles and medians, exact, without all values in one place.

The values of a column move into partitions in order of size; each knows from the lengths of the others which of the
wanted positions it holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _meta, _whole
from weft.dataframe._collection import blockwise, host
from weft.dataframe._group_steps import by_keys
from weft.dataframe._native import Unsupported

#: The column that values become on their way.
_VALUES = "__weft_values__"


def quantile(own: Any, q: Any, numeric_only: bool) -> Any:
    """``quantile`` of pandas: of a Series, or of each column."""
    options = {"numeric_only": numeric_only} if own.ndim == 2 else {}
    return _positions(own, "quantile", (q,), options, list(q) if pd.api.types.is_list_like(q) else [q])


def median(own: Any, numeric_only: bool) -> Any:
    """``median`` of pandas: of a Series, or of each column."""
    options = {"numeric_only": numeric_only} if own.ndim == 2 else {}
    return _positions(own, "median", (), options, [0.5])


def _positions(own: Any, name: str, args: tuple[Any, ...], options: dict[str, Any], qs: list[float]) -> Any:
    sample = _meta.meta_nonempty(own._meta)
    meta = _meta.make_meta(getattr(sample, name)(*args, **options))
    try:
        if own.npartitions == 1 or not qs:
            raise NotImplementedError("one partition is pandas' own business")
        if own.ndim == 1:
            columns, labels = [own], None
        else:
            labels = own._meta.columns
            if options["numeric_only"]:
                labels = own._meta.select_dtypes(["number", "bool"]).columns
            if not labels.is_unique or any(not _ordinary(own._meta[label].dtype) for label in labels):
                raise NotImplementedError("columns of several kinds")
            columns = [own[label] for label in labels]
        found = [_found(column, qs) for column in columns]
    except Unsupported:
        return _whole.whole(own, name, *args, meta=meta, **options)
    return host(
        _results, (found, name, args, qs, labels, meta), {}, meta=meta, npartitions=1, label=name, whole=True
    )


def _ordinary(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def _found(column: Any, qs: Sequence[float]) -> list[Any]:
    """The values at the wanted positions, a dict for each partition, and the lengths of partitions."""
    if not (_ordinary(column._meta.dtype) or getattr(column._meta.dtype, "kind", "") in "mM"):
        raise NotImplementedError("values that Rust does not sort")
    moved, ordered = by_keys(column[column.notna()].to_frame(_VALUES), [_VALUES])
    if not ordered:
        raise NotImplementedError("values that Rust does not sort")
    parts = blockwise(_length, moved, label="quantile-length-chunk", meta=object(), divisions=None)
    lengths = host(_listed, (parts,), {}, meta=object(), npartitions=1, label="quantile-lengths", whole=True)
    picked = host(
        _picked,
        (moved, lengths, list(qs)),
        {},
        meta=object(),
        npartitions=moved.npartitions,
        label="quantile-pick-chunk",
        numbered=list(range(moved.npartitions)),
    )
    return [picked, lengths]


def _length(part: Any) -> int:
    return len(part)


def _listed(parts: list[int]) -> list[int]:
    return parts


def _places(rows: int, q: float) -> tuple[int, int, float]:
    """The positions around a quantile, and how far it is from the first to the second."""
    at = (rows - 1) * q
    return math.floor(at), math.ceil(at), at - math.floor(at)


def _picked(part: Any, lengths: list[int], qs: list[float], partition_info: int) -> dict[int, Any]:
    rows, before = sum(lengths), sum(lengths[:partition_info])
    wanted = {at for q in qs for at in _places(rows, q)[:2]} if rows else set()
    mine = sorted(at - before for at in wanted if before <= at < before + len(part))
    if not mine:
        return {}
    values = part[_VALUES].sort_values(kind="stable")
    return {at + before: values.iloc[at] for at in mine}


def _results(found: list[list[Any]], name: str, args: Any, qs: list[float], labels: Any, meta: Any) -> Any:
    columns = []
    for picked, [lengths] in found:
        values: dict[int, Any] = {}
        for part in picked:
            values |= part
        columns.append([_between(values, sum(lengths), q, name) for q in qs])
    if labels is None:
        if not isinstance(meta, pd.Series):
            return columns[0][0]
        return pd.Series(columns[0], index=qs, name=meta.name, dtype=meta.dtype)
    if meta.ndim == 2:
        return pd.DataFrame({i: column for i, column in enumerate(columns)}, index=qs).set_axis(
            labels, axis=1
        )
    return pd.Series([column[0] for column in columns], index=labels, name=meta.name, dtype=meta.dtype)


def _between(values: dict[int, Any], rows: int, q: float, name: str) -> Any:
    if not rows:
        return np.nan
    low, high, share = _places(rows, q)
    pair = pd.Series([values[low], values[high]])
    # pandas interpolates between two values as between many.
    return pair.quantile(share) if name == "quantile" else pair.median()
