"""Statistics of collections: reductions, cumulative methods, what occurs how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _meta, _ops, _order_statistics, _reductions, _scan, _summary, _whole
from weft.dataframe._collection import MethodCall, blockwise, host
from weft.dataframe._reductions import again, reduce_tree, reduction

NO_DEFAULT = _meta.NO_DEFAULT


def _reducer(name: str) -> Any:
    def method(
        self: Any,
        axis: Any = 0,
        skipna: bool = True,
        numeric_only: bool = False,
        min_count: int = 0,
        split_every: Any = False,
        **kwargs: Any,
    ) -> Any:
        return reduction(self, name, axis, skipna, numeric_only or False, min_count)

    return _ops._documented(method, pd.DataFrame, name)


def _spread(name: str) -> Any:
    def method(
        self: Any,
        axis: Any = 0,
        skipna: bool = True,
        ddof: int = 1,
        numeric_only: bool = False,
        split_every: Any = False,
        **kwargs: Any,
    ) -> Any:
        return reduction(self, name, axis, skipna, numeric_only or False, ddof=ddof)

    return _ops._documented(method, pd.DataFrame, name)


def _cumulative(name: str) -> Any:
    def method(self: Any, axis: Any = 0, skipna: bool = True, **kwargs: Any) -> Any:
        return _scan.cumulative(self, name, axis, skipna)

    return _ops._documented(method, pd.DataFrame, name)


class Statistics:
    """What sums up the rows of a DataFrame, Series or Index."""

    __slots__ = ()

    _meta: Any
    ndim: Any
    npartitions: Any
    _method: Any

    for _name in ("sum", "prod", "min", "max", "mean", "any", "all"):
        locals()[_name] = _reducer(_name)
    for _name in ("var", "std", "sem"):
        locals()[_name] = _spread(_name)
    for _name in ("cumsum", "cumprod", "cummin", "cummax"):
        locals()[_name] = _cumulative(_name)
    del _name
    product = locals()["prod"]

    def reduction(
        self,
        chunk: Callable[..., Any],
        aggregate: Callable[..., Any] | None = None,
        combine: Callable[..., Any] | None = None,
        meta: Any = NO_DEFAULT,
        token: str | None = None,
        split_every: Any = None,
        chunk_kwargs: dict[str, Any] | None = None,
        aggregate_kwargs: dict[str, Any] | None = None,
        combine_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A reduction of the user's own: ``chunk`` on each partition, ``aggregate`` on the results.

        Parameters
        ----------
        chunk : callable
            Gets a partition; returns a pandas object or a scalar.
        aggregate : callable, optional
            Gets the concatenated results of ``chunk``; by default ``chunk`` again.
        meta : object, optional
            What the result looks like.
        """
        chunk_options = {**kwargs, **(chunk_kwargs or {})}
        final_options = {**kwargs, **(aggregate_kwargs or {})}
        part_meta = _meta.infer_user(_Chunk(chunk), (self,), chunk_options, "chunk")
        if meta is NO_DEFAULT:
            meta = _meta.make_meta((aggregate or chunk)(_meta.meta_nonempty(part_meta), **final_options))
        else:
            meta = _meta.make_meta(meta)
        parts = blockwise(
            _Chunk(chunk), self, meta=part_meta, label="reduction-chunk", divisions=None, **chunk_options
        )
        return host(
            _reductions._Aggregate(aggregate or chunk),
            (parts,),
            final_options,
            meta=meta,
            npartitions=1,
            label=token or "reduction",
            whole=True,
        )

    def nunique_approx(self, split_every: Any = None) -> Any:
        """Number of different rows; exact."""
        return _whole.distinct(self)

    def idxmin(
        self, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, split_every: Any = False
    ) -> Any:
        """The label of the smallest value."""
        return _whole.extreme(self, "idxmin", axis, skipna, numeric_only)

    def idxmax(
        self, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, split_every: Any = False
    ) -> Any:
        """The label of the largest value."""
        return _whole.extreme(self, "idxmax", axis, skipna, numeric_only)

    def skew(
        self,
        axis: Any = 0,
        bias: bool = True,
        nan_policy: str = "propagate",
        numeric_only: bool = False,
        skipna: bool = True,
    ) -> Any:
        """Skewness.

        Parameters
        ----------
        bias : bool
            True (the default, as for Dask): of the values as they are; False: as of a sample, which is
            what pandas gives.
        """
        if axis in (1, "columns"):
            return self._method("skew", axis=1)
        return _whole.powers(self, "skew", skipna, numeric_only, bias=bias)

    def kurtosis(
        self,
        axis: Any = 0,
        fisher: bool = True,
        bias: bool = True,
        nan_policy: str = "propagate",
        numeric_only: bool = False,
        skipna: bool = True,
    ) -> Any:
        """Kurtosis.

        Parameters
        ----------
        fisher : bool
            Excess over that of a normal distribution.
        bias : bool
            True (the default, as for Dask): of the values as they are; False: as of a sample, which is
            what pandas gives.
        """
        if axis in (1, "columns"):
            return self._method("kurtosis", axis=1)
        return _whole.powers(self, "kurtosis", skipna, numeric_only, bias=bias, fisher=fisher)

    kurt = kurtosis

    def quantile(
        self, q: Any = 0.5, axis: Any = 0, numeric_only: bool = False, method: str = "default"
    ) -> Any:
        """Quantiles of each column, exact.

        Parameters
        ----------
        q : float or list of float
        method : str
            Accepted for compatibility: the answer is always exact.
        """
        if axis in (1, "columns"):
            if isinstance(q, list):
                raise ValueError("quantile of rows takes a single q")
            return self._method("quantile", q=q, axis=1, numeric_only=numeric_only)
        if method not in ("default", "dask", "tdigest"):
            raise ValueError(f"Invalid method {method!r}: 'default', 'dask' or 'tdigest'")
        result = _order_statistics.quantile(self, q, numeric_only)
        if result.ndim:
            # One row for each quantile, or for each column.
            labels = (
                list(q)
                if isinstance(q, (list, tuple, np.ndarray))
                else sorted(result_labels(self, numeric_only))
            )
            result._divisions = (labels[0], labels[-1]) if labels else result._divisions
        return result

    def median(self, axis: Any = 0, numeric_only: bool = False, method: str = "default") -> Any:
        """The median of each column, exact."""
        options: dict[str, Any] = {"axis": axis, "numeric_only": numeric_only} if self.ndim == 2 else {}
        if axis in (1, "columns"):
            return self._method("median", **options)
        return _order_statistics.median(self, numeric_only)

    median_approximate = median

    def mode(self, dropna: bool = True, split_every: Any = False, **options: Any) -> Any:
        """The most frequent values."""
        return _summary.mode(self, dropna, **options)

    def describe(
        self,
        split_every: Any = False,
        percentiles: Any = None,
        percentiles_method: str = "default",
        include: Any = None,
        exclude: Any = None,
    ) -> Any:
        """Count, mean, spread and quantiles of each column, exact."""
        return _summary.describe(self, percentiles, include, exclude)

    def drop_duplicates(
        self,
        subset: Any = None,
        split_every: Any = None,
        split_out: Any = None,
        keep: Any = "first",
        ignore_index: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The rows without repetitions."""
        if keep is False:
            raise NotImplementedError("drop_duplicates with keep=False")
        options: dict[str, Any] = {"keep": keep}
        if ignore_index:
            options["ignore_index"] = True
        if subset is not None:
            options["subset"] = subset
        from weft.dataframe._groupby import _cut
        from weft.dataframe._shuffle import by_hash

        if (
            self.ndim == 2
            and not ignore_index
            and split_out not in (None, True, False)
            and int(split_out) > 1
        ):
            parts: Any = self._method("drop_duplicates", **options)
            labels = list(self._meta.columns) if subset is None else subset
            labels = labels if pd.api.types.is_list_like(labels) else [labels]
            moved = by_hash(parts, list(labels), min(self.npartitions, int(split_out)))
            return moved._method("drop_duplicates", **options)
        result = again(self, "drop_duplicates", **options)
        return _cut(result, min(self.npartitions, 1 if split_out in (None, True, False) else int(split_out)))

    def nlargest(self, n: int = 5, columns: Any = None, split_every: Any = None) -> Any:
        """The ``n`` largest."""
        return again(self, "nlargest", n, *([] if columns is None else [columns]))

    def nsmallest(self, n: int = 5, columns: Any = None, split_every: Any = None) -> Any:
        """The ``n`` smallest."""
        return again(self, "nsmallest", n, *([] if columns is None else [columns]))

    def memory_usage(self, deep: bool = False, index: bool = True) -> Any:
        """Bytes that the data takes."""
        options = {"deep": deep, "index": index}
        own: Any = self
        if self.ndim == 2:
            meta = self._meta.memory_usage(**options)
            return reduce_tree(
                own, _memory, _sum_by_label, label="memory_usage", meta=meta, chunk_kwargs=options
            )
        return reduce_tree(
            own,
            _memory_of_series,
            MethodCall("sum"),
            label="memory_usage",
            meta=np.int64(1),
            chunk_kwargs=options,
        )


def result_labels(own: Any, numeric_only: bool) -> list[Any]:
    """The columns that a reduction keeps."""
    meta = own._meta.select_dtypes(["number", "bool"]) if numeric_only else own._meta
    return list(meta.columns)


class _Chunk:
    """The user's chunk function, whose results can be concatenated."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", "chunk")

    def __dask_tokenize__(self) -> Any:
        return "chunk", self.function

    def __call__(self, partition: Any, **kwargs: Any) -> Any:
        result = self.function(partition, **kwargs)
        if isinstance(result, pd.Series) and isinstance(partition, pd.DataFrame):
            return result.to_frame().T
        if not _meta.is_pandas(result):
            return pd.Series([result])
        return result


def _memory(partition: Any, **kwargs: Any) -> Any:
    return partition.memory_usage(**kwargs)


def _memory_of_series(partition: Any, **kwargs: Any) -> Any:
    return pd.Series([partition.memory_usage(**kwargs)])


def _sum_by_label(parts: pd.Series) -> pd.Series:
    return parts.groupby(level=0, sort=False).sum()
