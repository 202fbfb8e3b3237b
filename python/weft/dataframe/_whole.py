"""Statistics, and methods that pandas runs on all rows of the columns they need, in one partition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _meta
from weft.dataframe._collection import MethodCall, blockwise, host
from weft.dataframe._repartition import joined


class Whole:
    """A method of pandas on all partitions as one."""

    def __init__(self, name: str) -> None:
        self.name = self.__name__ = name

    def __dask_tokenize__(self) -> Any:
        return Whole, self.name

    def __call__(self, parts: list[Any], *args: Any, **kwargs: Any) -> Any:
        args = tuple(joined(arg) if _is_parts(arg) else arg for arg in args)
        return getattr(joined(parts), self.name)(*args, **kwargs)


def _is_parts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_meta.is_pandas(part) for part in value)


def whole(own: Any, name: str, *args: Any, meta: Any = _meta.NO_DEFAULT, **kwargs: Any) -> Any:
    """``name`` of pandas on the whole collection."""
    if meta is _meta.NO_DEFAULT:
        meta = _meta.infer(MethodCall(name), (own, *args), kwargs)
    return host(Whole(name), (own, *args), kwargs, meta=meta, npartitions=1, label=name, whole=True)


# -- skewness and kurtosis ------------------------------------------------------------------------


def powers(own: Any, name: str, skipna: bool, numeric_only: bool, **options: Any) -> Any:
    """``skew`` or ``kurtosis`` from sums of powers of the distances to the mean."""
    asked: dict[str, Any] = {"skipna": skipna}
    if own.ndim == 2:
        asked["numeric_only"] = numeric_only
    meta = getattr(_meta.meta_nonempty(own._meta), name)(**asked)
    if isinstance(meta, pd.Series):
        meta = meta.iloc[:0]
    if own.ndim == 2 and numeric_only:
        own = own[list(own._meta.select_dtypes(["number", "bool"]).columns)]
    mean = own.mean(skipna=skipna)
    parts = blockwise(_powers, own, mean, skipna, label=f"{name}-chunk", meta=None, divisions=None)
    return host(
        _shape,
        (parts, name, own._meta.columns if own.ndim == 2 else None, options),
        {},
        meta=meta,
        npartitions=1,
        label=name,
        whole=True,
    )


def _powers(part: Any, mean: Any, skipna: bool) -> np.ndarray:
    frame = part.to_frame() if part.ndim == 1 else part
    values = frame.to_numpy(dtype="f8", na_value=np.nan)
    centre = np.asarray(mean, "f8").reshape(-1)
    away = values - centre
    total = np.nansum if skipna else np.sum
    count = (~np.isnan(values)).sum(axis=0) if skipna else np.full(values.shape[1], len(values))
    return np.array([count, *(total(away**k, axis=0) for k in (2, 3, 4))], dtype="f8")


def _shape(parts: list[Any], name: str, labels: Any, options: dict[str, bool]) -> Any:
    n, s2, s3, s4 = np.sum(parts, axis=0)
    excess = 0.0 if options.get("fisher", True) else 3.0
    with np.errstate(all="ignore"):
        if options["bias"]:
            value = n**0.5 * s3 / s2**1.5 if name == "skew" else n * s4 / s2**2 - 3 + excess
        elif name == "skew":
            value = np.where(n < 3, np.nan, n * np.sqrt(n - 1) / (n - 2) * s3 / s2**1.5)
            value = np.where((n >= 3) & (s2 == 0), 0.0, value)
        else:
            top = n * (n + 1) * (n - 1) * s4 / ((n - 2) * (n - 3) * s2**2)
            value = np.where(n < 4, np.nan, top - 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))
            value = np.where((n >= 4) & (s2 == 0), 0.0, value) + excess
    return np.float64(value[0]) if labels is None else pd.Series(value, index=labels)


# -- covariance and correlation -------------------------------------------------------------------


def comoments(own: Any, name: str, min_periods: Any, numeric_only: bool) -> Any:
    """``cov`` or ``corr`` of columns, from sums of products of the distances to the means."""
    options = {"min_periods": min_periods, "numeric_only": numeric_only}
    if name == "corr" and min_periods is None:
        del options["min_periods"]
    meta = _meta.make_meta(getattr(_meta.meta_nonempty(own._meta), name)(**options))
    own = own[list(meta.columns)]
    parts = blockwise(_products, own, own.mean(), label=f"{name}-chunk", meta=object(), divisions=None)
    return host(
        _spread_of,
        (parts, name, meta.columns, 1 if min_periods is None else min_periods),
        {},
        meta=meta,
        npartitions=1,
        label=name,
        whole=True,
    )


def _products(part: pd.DataFrame, mean: Any) -> np.ndarray:
    """For each pair of columns, over the rows that have both: their number, the sum of the first's
    distances, of the products, and of the first's squares."""
    values = part.to_numpy(dtype="f8", na_value=np.nan) - np.asarray(mean, "f8").reshape(-1)
    there = (~np.isnan(values)).astype("f8")
    away = np.where(there > 0, values, 0.0)
    return np.array([there.T @ there, away.T @ there, away.T @ away, (away**2).T @ there])


def _spread_of(parts: list[Any], name: str, labels: Any, min_periods: int) -> pd.DataFrame:
    n, sums, products, squares = np.sum(parts, axis=0)
    with np.errstate(all="ignore"):
        joint = products - sums * sums.T / n
        own = squares - sums**2 / n
        if name == "cov":
            matrix = np.where(n > 1, joint / (n - 1), np.nan)
        else:
            scale = np.sqrt(own * own.T)
            matrix = np.where(scale > 0, np.clip(joint / scale, -1.0, 1.0), np.nan)
    return pd.DataFrame(np.where(n >= min_periods, matrix, np.nan), index=labels, columns=labels)


def of_pair(first: Any, second: Any, name: str, min_periods: Any = None) -> Any:
    """``cov`` or ``corr`` of two Series."""
    table = comoments(first.to_frame("a").assign(b=second), name, min_periods, False)
    return blockwise(_off_diagonal, table, meta=np.float64(1), label=name, divisions=None)


def _off_diagonal(matrix: pd.DataFrame) -> Any:
    return matrix.iloc[0, 1]


# -- the place of the extremes --------------------------------------------------------------------


def extreme(own: Any, name: str, axis: Any, skipna: bool, numeric_only: bool) -> Any:
    """``idxmin`` or ``idxmax``: the extreme of each partition, then of those."""
    if axis in (1, "columns"):
        return own._method(name, axis=1, skipna=skipna, numeric_only=numeric_only)
    options = {"skipna": skipna}
    if own.ndim == 2:
        options["numeric_only"] = numeric_only
        if numeric_only:
            own = own[list(own._meta.select_dtypes(["number", "bool"]).columns)]
    meta = getattr(_meta.meta_nonempty(own._meta), name)(skipna=skipna)
    if isinstance(meta, pd.Series):
        meta = meta.iloc[:0]
    parts = blockwise(_candidates, own, name, skipna, label=f"{name}-chunk", meta=None, divisions=None)
    columns = own._meta.columns if own.ndim == 2 else None
    return host(_best, (parts, name, skipna, columns), {}, meta=meta, npartitions=1, label=name, whole=True)


def _candidates(part: Any, name: str, skipna: bool) -> list[pd.Series]:
    columns = [part] if part.ndim == 1 else [part.iloc[:, i] for i in range(part.shape[1])]
    kept = []
    for column in columns:
        if skipna:
            at = column.dropna()
            at = at.iloc[[getattr(at.to_numpy(), "arg" + name[3:])()]] if len(at) else at
        else:
            at = column
        kept.append(at)
    return kept


def _best(parts: list[Any], name: str, skipna: bool, columns: Any) -> Any:
    results = []
    for candidates in zip(*parts):
        full = [candidate for candidate in candidates if len(candidate)] or candidates[:1]
        results.append(getattr(pd.concat(full), name)(skipna=skipna))
    return results[0] if columns is None else pd.Series(results, index=columns)


def monotonic(own: Any, name: str) -> Any:
    """Whether the partitions and the steps between them go one way."""
    edges = blockwise(_edges, own, name, label=f"{name}-chunk", meta=None, divisions=None)
    return host(_joins, (edges, name), {}, meta=np.bool_(True), npartitions=1, label=name, whole=True)


def _edges(part: Any, name: str) -> Any:
    values = part.to_series() if isinstance(part, pd.Index) else part
    return bool(getattr(values, name)), values.iloc[[0, -1]] if len(values) else values


def _joins(parts: list[Any], name: str) -> bool:
    ends = [edge for _, edge in parts if len(edge)]
    return all(ok for ok, _ in parts) and (not ends or bool(getattr(pd.concat(ends), name)))


def distinct(own: Any) -> Any:
    """Number of different rows."""
    unique = (own.to_series() if isinstance(own._meta, pd.Index) else own).drop_duplicates()
    return unique.size if unique.ndim == 1 else unique.shape[0]
