"""Lazy Series and Index."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _convert, _meta, _ops, _reductions, _whole
from weft.dataframe._accessors import AccessorProperty, CategoricalAccessor, DatetimeAccessor, StringAccessor
from weft.dataframe._base import FrameBase, _user_meta, _user_method, array_ufunc
from weft.dataframe._collection import (
    Collection,
    MethodCall,
    Property,
    blockwise,
    host,
    new_collection,
    wraps,
)
from weft.dataframe._native import Unsupported
from weft.dataframe._reductions import again, reduce_tree, reduction
from weft.dataframe._repartition import joined

NO_DEFAULT = _meta.NO_DEFAULT


@wraps(pd.Series)
@_ops.add_operators
class Series(FrameBase):
    """A lazy pandas Series in partitions.

    Made by selecting a column, by operations, or by :func:`weft.dataframe.from_pandas`.
    """

    __slots__ = ()

    ndim = 1
    dt = AccessorProperty(DatetimeAccessor)
    str = AccessorProperty(StringAccessor)
    cat = AccessorProperty(CategoricalAccessor)

    @property
    def name(self) -> Any:
        """The name."""
        return self._meta.name

    @name.setter
    def name(self, name: Any) -> None:
        renamed = self.rename(name)
        self._expr, self._meta_ = renamed._expr, renamed._meta_

    @property
    def dtype(self) -> Any:
        """The dtype."""
        return self._meta.dtype

    @property
    def dtypes(self) -> Any:
        return self._meta.dtype

    @property
    def axes(self) -> list[Any]:
        return [self.index]

    @property
    def shape(self) -> tuple[Any]:
        """The lazy number of rows."""
        return (self.size,)

    @property
    def is_monotonic_increasing(self) -> Any:
        """Whether values never fall, as a lazy scalar."""
        return _whole.monotonic(self, "is_monotonic_increasing")

    @property
    def is_monotonic_decreasing(self) -> Any:
        """Whether values never rise, as a lazy scalar."""
        return _whole.monotonic(self, "is_monotonic_decreasing")

    def squeeze(self) -> Any:
        """The Series itself."""
        return self

    def nlargest(self, n: int = 5, split_every: Any = None) -> Any:  # type: ignore[override]
        """The ``n`` largest values."""
        return again(self, "nlargest", n)

    def nsmallest(self, n: int = 5, split_every: Any = None) -> Any:  # type: ignore[override]
        """The ``n`` smallest values."""
        return again(self, "nsmallest", n)

    @property
    def nbytes(self) -> Any:
        """Bytes of the values, as a lazy scalar."""
        return blockwise_sum(self, Property("nbytes"))

    def map(  # type: ignore[override]
        self, arg: Any, na_action: Any = None, meta: Any = NO_DEFAULT, **kwargs: Any
    ) -> Any:
        """A function or mapping of each value.

        Parameters
        ----------
        arg : callable, dict or Series
            A lazy Series is needed whole by every partition.
        na_action : {None, 'ignore'}
            ``'ignore'``: missing values stay as they are.
        meta : optional
            What the result looks like.
        """
        if isinstance(arg, Series):
            found = _user_meta(self, "map", meta, (arg._meta,), {"na_action": na_action})
            whole = host(joined, (arg,), {}, meta=object(), npartitions=1, label="map-values", whole=True)
            return blockwise(MethodCall("map"), self, whole, label="map", meta=found, na_action=na_action)
        return _user_method(self, "map", meta, arg, na_action=na_action, **kwargs)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Collection):
            meta = self._meta
            return self._native(
                meta,
                lambda: self._expr.filter(key.expr),
                lambda: blockwise(_getitem, self, key, label="getitem", meta=meta),
            )
        if callable(key):
            return self[key(self)]
        raise NotImplementedError(
            f"Series[{key!r}]: a lazy Series takes boolean Series; use .loc for labels and .head for positions"
        )

    def __dir__(self) -> Iterable[Any]:
        sample = _meta.meta_nonempty(self._meta)
        absent = {name for name in ("cat", "dt", "str") if not hasattr(sample, name)}
        return sorted(set(super().__dir__()) - absent)

    def __iter__(self) -> Any:
        for i in range(self.npartitions):
            yield from self.partitions[i].compute()

    def __array_ufunc__(self, function: Any, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        return array_ufunc(function, method, inputs, kwargs)

    def rename(self, index: Any = None, sorted_index: bool = False) -> Any:
        """Another name, or, for a function or dict, other labels."""
        meta = self._meta.rename(index)
        if callable(index) or isinstance(index, Mapping):
            return self._method("rename", index, meta=meta, divisions=None)
        return self._native(
            meta, lambda: self._expr.rename_series(index), lambda: self._method("rename", index, meta=meta)
        )

    def to_frame(self, name: Any = NO_DEFAULT) -> Any:
        """A DataFrame of one column."""
        args = () if name is NO_DEFAULT else (name,)
        meta = self._meta.to_frame(*args)
        return self._native(
            meta,
            lambda: self._expr.to_frame(meta.columns[0]),
            lambda: self._method("to_frame", *args, meta=meta),
        )

    def reset_index(self, drop: bool = False, **kwargs: Any) -> Any:
        """The index as a column beside the values, or with ``drop`` no longer; each partition counts from zero."""
        if kwargs:
            _ops.refuse_inplace("reset_index", kwargs)
            return self._method("reset_index", drop=drop, divisions=None, **kwargs)
        meta = self._meta.reset_index(drop=drop)
        levels = (
            [] if drop else [(label, _convert.dtype_name(meta[label].dtype)) for label in meta.columns[:-1]]
        )
        try:
            if not drop and not meta.columns.is_unique or any(dtype is None for _, dtype in levels):
                raise NotImplementedError("labels that only pandas can hold")
            own = self._expr if drop or self._meta.name is not None else self._expr.to_frame(0)
            return new_collection(own.reset_index(levels), meta)
        except Unsupported:
            return self._method("reset_index", drop=drop, divisions=None)

    def between(self, left: Any, right: Any, inclusive: Any = "both") -> Any:
        """Whether each value lies between two others."""
        meta = self._meta.between(_meta.empty(left), _meta.empty(right), inclusive=inclusive)
        return self._native(
            meta,
            lambda: self._expr.between(*_ops.same_expr([left, right]), inclusive),
            lambda: self._method("between", left, right, inclusive=inclusive, meta=meta),
        )

    def isin(self, values: Any) -> Any:
        """Whether each value is one of ``values``."""
        if isinstance(values, Collection):
            raise NotImplementedError("Passing a collection to isin; compute it first")
        meta = self._meta.isin([])
        values = computed_values(values)
        return self._native(
            meta, lambda: self._expr.isin(values), lambda: self._method("isin", values, meta=meta)
        )

    def clip(self, lower: Any = None, upper: Any = None, axis: Any = None, **kwargs: Any) -> Any:
        """Values within bounds."""
        lower, upper = _ops.lifted(self, lower), _ops.lifted(self, upper)
        meta = self._meta.clip(_meta.empty(lower), _meta.empty(upper), **kwargs)
        if not all(value is None or np.isscalar(value) for value in (lower, upper)):
            return self._method("clip", lower, upper, meta=meta, **kwargs)
        return self._native(
            meta,
            lambda: self._expr.clip(lower, upper),
            lambda: self._method("clip", lower, upper, meta=meta, **kwargs),
        )

    def round(self, decimals: int = 0) -> Any:
        """Values rounded to a number of decimals."""
        meta = self._meta.round(decimals)
        return self._native(
            meta, lambda: self._expr.round(decimals), lambda: self._method("round", decimals, meta=meta)
        )

    def where(self, cond: Any, other: Any = np.nan) -> Any:
        """Own values where ``cond`` holds, else ``other``."""
        return _choose(self, "where", cond, other)

    def mask(self, cond: Any, other: Any = np.nan) -> Any:
        """``other`` where ``cond`` holds, else own values."""
        return _choose(self, "mask", cond, other)

    def count(self, split_every: Any = False) -> Any:
        """Number of values that are not missing."""
        return reduction(self, "count")

    def nunique(self, split_every: Any = None, dropna: bool = True) -> Any:
        """Number of different values."""
        return _reductions.nunique(self, dropna)

    def unique(self, split_every: Any = None, split_out: Any = True, shuffle_method: Any = None) -> Any:
        """The different values, as a Series."""
        meta = pd.Series(self._meta.unique(), dtype=self._meta.dtype, name=self._meta.name)
        return reduce_tree(
            self,
            _reductions._unique,
            _unique_series,
            label="unique",
            meta=meta,
            combine=_reductions._unique,
        )

    def value_counts(
        self,
        sort: Any = None,
        ascending: bool = False,
        dropna: bool = True,
        normalize: bool = False,
        split_every: Any = None,
        split_out: Any = None,
    ) -> Any:
        """How often each value occurs."""
        return _reductions.value_counts(self, sort is not False, ascending, dropna, normalize)

    def cov(self, other: Any, min_periods: Any = None, split_every: Any = False) -> Any:
        """Covariance with another Series."""
        return self._with_other("cov", other, min_periods)

    def corr(
        self, other: Any, method: Any = "pearson", min_periods: Any = None, split_every: Any = False
    ) -> Any:
        """Correlation with another Series."""
        if method != "pearson":
            raise NotImplementedError("Only Pearson correlation has been implemented")
        return self._with_other("corr", other, min_periods)

    def _with_other(self, name: Any, other: Any, min_periods: Any) -> Any:
        if not isinstance(other, Series):
            raise TypeError("other must be a lazy Series")
        return _whole.of_pair(self, other, name, min_periods)

    def autocorr(self, lag: int = 1, split_every: Any = False) -> Any:
        """Correlation with itself ``lag`` rows before."""
        if not isinstance(lag, (int, np.integer)):
            raise TypeError("lag must be an integer")
        return _whole.of_pair(self, self.shift(lag), "corr")

    def dot(self, other: Any, meta: Any = NO_DEFAULT) -> Any:
        """The dot product with another Series, or with each column of a DataFrame."""
        if not isinstance(other, FrameBase):
            raise TypeError(
                f"The second operand must be a lazy Series or DataFrame, not {type(other).__name__}"
            )
        parts = blockwise(_dot, self, other, label="dot-chunk", meta=object(), divisions=None)
        found = _meta.infer(_dot, (self, other), {}) if meta is NO_DEFAULT else _meta.make_meta(meta)
        return host(_dot_total, (parts, found), {}, meta=found, npartitions=1, label="dot", whole=True)

    def combine(self, other: Any, func: Any, fill_value: Any = None) -> Any:
        """A function of values of two Series."""
        return self._method("combine", other, func, fill_value=fill_value)

    def groupby(self, by: Any, **kwargs: Any) -> Any:
        """Groups of rows; see :meth:`DataFrame.groupby`."""
        from weft.dataframe._groupby import SeriesGroupBy

        return SeriesGroupBy(self, by, **kwargs)


@wraps(pd.Index)
@_ops.add_operators
class Index(Series):
    """A lazy pandas Index in partitions."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def index(self) -> Any:
        raise AttributeError("'Index' object has no attribute 'index'")

    def __getattr__(self, name: str) -> Any:
        # What labels of this kind have besides: the fields of datetimes, the methods of categories.
        if not name.startswith("_") and hasattr(type(self._meta), name):
            value = getattr(_meta.meta_nonempty(self._meta), name)
            if not callable(value) or isinstance(value, pd.Index):
                return blockwise(Property(name), self, label=name)
            return functools.partial(self._method, name)
        raise AttributeError(f"'Index' object has no attribute {name!r}")

    def __dir__(self) -> Iterable[Any]:
        return sorted({*super().__dir__(), *(n for n in dir(type(self._meta)) if not n.startswith("_"))})

    def map(  # type: ignore[override]
        self,
        arg: Any,
        na_action: Any = None,
        meta: Any = NO_DEFAULT,
        is_monotonic: bool = False,
        **kwargs: Any,
    ) -> Any:
        """A function or mapping of each label; see :meth:`Series.map`.

        Parameters
        ----------
        is_monotonic : bool
            The function keeps the order of labels, so that divisions can be mapped too.
        """
        result = super().map(arg, na_action, meta, **kwargs)
        if is_monotonic and self.known_divisions:
            divisions = pd.Index(self.divisions, dtype=self._meta.dtype).map(arg, na_action)
            result = result._with_divisions(tuple(divisions))
        return result

    def _edge(self, n: int, last: bool, compute: bool) -> Any:
        part = self.partitions[self.npartitions - 1 if last else 0]
        part = blockwise(_index_edge, part, n, last, label="tail" if last else "head", meta=self._meta)
        return part.compute() if compute else part

    def head(self, n: int = 5, npartitions: int = 1, compute: bool = True) -> Any:
        """The first labels of the first partition."""
        return self._edge(n, False, compute)

    def tail(self, n: int = 5, compute: bool = True) -> Any:
        """The last labels of the last partition."""
        return self._edge(n, True, compute)

    def to_frame(self, index: bool = True, name: Any = NO_DEFAULT) -> Any:  # type: ignore[override]
        """A DataFrame of one column."""
        return self._method("to_frame", index=index, name=name)

    def to_series(self, index: Any = None, name: Any = None) -> Any:
        """A Series of the labels."""
        return self._method("to_series", name=name)

    def count(self, split_every: Any = False) -> Any:
        """Number of labels that are not missing."""
        return self.to_series().count()

    def nunique(self, split_every: Any = None, dropna: bool = True) -> Any:
        """Number of different labels."""
        return self.to_series().nunique(dropna=dropna)

    def any(self, **kwargs: Any) -> Any:
        """Whether any label is true."""
        return self.to_series().any()

    def all(self, **kwargs: Any) -> Any:
        """Whether all labels are true."""
        return self.to_series().all()

    def min(self, axis: Any = 0, skipna: bool = True, **kwargs: Any) -> Any:
        """The smallest label."""
        return self.to_series().min(skipna=skipna)

    def max(self, axis: Any = 0, skipna: bool = True, **kwargs: Any) -> Any:
        """The largest label."""
        return self.to_series().max(skipna=skipna)


def computed_values(values: Any) -> list[Any]:
    """A list of values, of which delayed ones are computed.

    Raises
    ------
    TypeError
        If ``values`` is a single value.
    """
    if pd.api.types.is_scalar(values):
        pd.Series([]).isin(values)  # Raises what pandas raises.
    found = list(values)
    if any(hasattr(value, "__dask_graph__") for value in found):
        from weft.base import compute

        found = list(compute(*found))
    return found


def _dot(series: Any, other: Any) -> Any:
    return series.dot(other)


def _dot_total(parts: list[Any], meta: Any) -> Any:
    total: Any = sum(parts[1:], start=parts[0])
    if not isinstance(meta, pd.Series):
        return total
    name: Any = meta.name
    return total.rename(name) if isinstance(total, pd.Series) else pd.Series([total], name=name)


def blockwise_sum(own: Any, function: Any) -> Any:
    parts = blockwise(function, own, meta=np.int64(1), divisions=None)
    return host(_reductions._total, (parts,), {}, meta=np.int64(1), npartitions=1, label="sum", whole=True)


def _unique_series(parts: pd.Series) -> pd.Series:
    return pd.Series(parts.unique(), dtype=parts.dtype, name=parts.name)


def _choose(own: Any, name: str, cond: Any, other: Any) -> Any:
    _ops.refuse_rows(cond)
    meta = getattr(own._meta, name)(_meta.empty(cond), _meta.empty(other))
    try:
        if other is np.nan or isinstance(other, Series) or np.isscalar(other):
            arguments = [cond.expr] + ([] if other is np.nan else _ops.same_expr([other]))
            return own._like(getattr(own._expr, name)(*arguments), meta)
    except (*Unsupported, AttributeError):
        pass
    return own._method(name, cond, other, meta=meta)


def _getitem(partition: Any, key: Any) -> Any:
    return partition[key]


def _index_edge(part: Any, n: int, last: bool) -> Any:
    return part[max(len(part) - n, 0) :] if last else part[:n]


_ops.add_partitionwise(Series, pd.Series, _ops.PARTITIONWISE + _ops.PARTITIONWISE_SERIES)

__all__ = ["Index", "Series"]
