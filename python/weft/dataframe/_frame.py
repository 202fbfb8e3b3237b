"""Lazy DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _arrays, _convert, _merge, _meta, _ops, _reductions, _shuffle, _sort, _whole
from weft.dataframe._base import FrameBase, array_ufunc
from weft.dataframe._collection import (
    Collection,
    blockwise,
    host,
    map_partitions,
    new_collection,
    wraps,
)
from weft.dataframe._indexing import ILoc
from weft.dataframe._native import Unsupported
from weft.dataframe._reductions import reduction
from weft.dataframe._scalar import Scalar
from weft.dataframe._series import Index, Series, _getitem


@wraps(pd.DataFrame)
@_ops.add_operators
class DataFrame(FrameBase):
    """A lazy pandas DataFrame in partitions.

    Made by readers as :func:`weft.dataframe.read_csv` or by :func:`weft.dataframe.from_pandas`.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3], "y": list("aba")}), npartitions=2)
    >>> df.groupby("y").x.sum().compute().to_dict()
    {'a': 4, 'b': 2}
    """

    __slots__ = ()

    ndim = 2
    merge = _merge.merge
    join = _merge.join
    shuffle = _shuffle.shuffle
    sort_values = _sort.sort_values
    set_index = _sort.set_index

    @property
    def columns(self) -> pd.Index:
        """The column labels."""
        return self._meta.columns

    @columns.setter
    def columns(self, labels: Any) -> None:
        renamed = self._relabel(labels)
        self._expr, self._meta_ = renamed._expr, renamed._meta_

    def _relabel(self, labels: Any) -> Any:
        meta = self._meta.copy()
        meta.columns = labels
        return self._native(
            meta,
            lambda: self._expr.rename(list(meta.columns)),
            lambda: self._method("set_axis", meta.columns, axis=1, meta=meta),
        )

    @property
    def dtypes(self) -> pd.Series:
        """The dtype of each column."""
        return self._meta.dtypes

    @property
    def shape(self) -> tuple[Any, int]:
        """The lazy number of rows, and the number of columns."""
        return _reductions.rows(self), len(self._meta.columns)

    @property
    def axes(self) -> list[Any]:
        return [self.index, self.columns]

    @property
    def iloc(self) -> ILoc:
        """Columns by position: ``df.iloc[:, columns]``."""
        return ILoc(self)

    @classmethod
    def from_dict(
        cls,
        data: Any,
        *,
        npartitions: int = 1,
        orient: str = "columns",
        dtype: Any = None,
        columns: Any = None,
    ) -> Any:
        """See :func:`weft.dataframe.from_dict`."""
        from weft.dataframe.io.io import from_dict

        return from_dict(data, npartitions, orient, dtype, columns)

    def keys(self) -> pd.Index:
        """The column labels."""
        return self.columns

    def __contains__(self, label: Any) -> bool:
        return label in self._meta.columns

    def __iter__(self) -> Any:
        return iter(self._meta)

    def items(self) -> Any:
        """Pairs of label and lazy Series."""
        for i, label in enumerate(self.columns):
            yield label, self.iloc[:, i]

    def __dir__(self) -> list[str]:
        names = [c for c in self.columns if isinstance(c, str) and c.isidentifier()]
        return sorted({*super().__dir__(), *names})

    def _ipython_key_completions_(self) -> list[Any]:
        return self.columns.tolist()

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._meta.columns:
            return self[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name) or name in Collection.__slots__:
            object.__setattr__(self, name, value)
        elif name in self._meta.columns:
            self[name] = value
        else:
            raise AttributeError(f"no column {name!r}; new columns are made by df[{name!r}] = …")

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Collection):
            if isinstance(key, DataFrame):
                return self.where(key)
            meta = self._meta
            if key._meta.dtype not in (bool, "boolean", object, "bool[pyarrow]"):
                raise NotImplementedError(
                    f"a lazy Series of {key._meta.dtype} as key: only boolean Series select rows"
                )
            return self._native(
                meta,
                lambda: self._expr.filter(key.expr),
                lambda: blockwise(_getitem, self, key, label="getitem", meta=meta),
            )
        if callable(key):
            return self[key(self)]
        if isinstance(key, slice):
            return self.loc[key]
        if isinstance(key, (np.ndarray, pd.Index, pd.Series)):
            key = list(key)
        meta = self._meta[key]  # Raises the KeyError that pandas raises.
        if isinstance(key, list):
            if key and all(isinstance(k, (bool, np.bool_)) for k in key):
                raise NotImplementedError("a list of booleans as key: use a lazy boolean Series")
            return self._native(
                meta,
                lambda: self._expr.project(key),
                lambda: blockwise(_getitem, self, key, label="getitem", meta=meta),
            )
        if isinstance(meta, pd.Series) and meta.name == key:
            return self._native(
                meta,
                lambda: self._expr.column(key),
                lambda: blockwise(_getitem, self, key, label="getitem", meta=meta),
            )
        return blockwise(_getitem, self, key, label="getitem", meta=meta)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, (list, np.ndarray, pd.Index)):
            if isinstance(value, DataFrame):
                pairs = {k: value[c] for k, c in zip(key, value.columns)}
            else:
                pairs = dict.fromkeys(key, value)
            result = self.assign(**{}, **_text_keys(pairs)) if _all_text(pairs) else _assign(self, pairs)
        elif isinstance(key, Collection):
            result = (
                blockwise(_set_rows, self, key, value, label="setitem")
                if key.ndim == 1
                else self.mask(key, value)
            )
        else:
            result = _assign(self, {key: value})
        self._expr, self._meta_, self._divisions = result._expr, result._meta_, result._divisions

    def __delitem__(self, key: Any) -> None:
        result = self.drop(columns=[key])
        self._expr, self._meta_ = result._expr, result._meta_

    def assign(self, **kwargs: Any) -> Any:
        """Adds or replaces columns; values are Series, scalars, or functions of the frame so far."""
        result = self
        for name, value in kwargs.items():
            result = _assign(
                result,
                {name: value(result) if callable(value) and not isinstance(value, Collection) else value},
            )
        return result

    def drop(self, labels: Any = None, axis: Any = 0, columns: Any = None, errors: str = "raise") -> Any:
        """Without some columns."""
        if columns is None and axis in (1, "columns"):
            columns = labels
        elif columns is None:
            raise NotImplementedError(
                "Drop currently only works for axis=1 or when columns is not None: drop(columns=…)"
            )
        meta = self._meta.drop(columns=columns, errors=errors)
        return self._native(
            meta,
            lambda: self._expr.project(list(meta.columns)),
            lambda: self._method("drop", columns=columns, errors=errors, meta=meta),
        )

    def rename(self, index: Any = None, columns: Any = None) -> Any:
        """Other labels: a dict or function of the columns."""
        if index is not None:
            raise ValueError("Cannot rename index.")
        return self._relabel(self._meta.rename(columns=columns).columns)

    def pop(self, item: Any) -> Any:
        """Takes a column out."""
        series = self[item]
        del self[item]
        return series

    def where(self, cond: Any, other: Any = np.nan) -> Any:
        """Own values where ``cond`` holds, else ``other``."""
        _ops.refuse_rows(cond)
        return self._method("where", cond, other)

    def mask(self, cond: Any, other: Any = np.nan) -> Any:
        """``other`` where ``cond`` holds, else own values."""
        _ops.refuse_rows(cond)
        return self._method("mask", cond, other)

    def isin(self, values: Any) -> Any:
        """Whether each value is one of ``values``."""
        return self._method("isin", values)

    def count(self, axis: Any = 0, numeric_only: bool = False, split_every: Any = False) -> Any:
        """Number of values that are not missing."""
        return reduction(self, "count", axis, numeric_only=numeric_only)

    def nunique(self, axis: Any = 0, dropna: bool = True, split_every: Any = False) -> Any:
        """Number of different values of each column."""
        if axis in (1, "columns"):
            return self._method("nunique", axis=1, dropna=dropna)
        counts = [_reductions.nunique(self.iloc[:, i], dropna) for i in range(len(self.columns))]
        meta = self._meta.nunique().iloc[:0]
        return host(_as_series, (counts, self.columns), {}, meta=meta, npartitions=1, label="nunique")

    def cov(self, min_periods: Any = None, numeric_only: bool = False, split_every: Any = False) -> Any:
        """Covariances of columns."""
        return _whole.comoments(self, "cov", min_periods, numeric_only)

    def corr(
        self,
        method: str = "pearson",
        min_periods: Any = None,
        numeric_only: bool = False,
        split_every: Any = False,
    ) -> Any:
        """Correlations of columns."""
        if method != "pearson":
            raise NotImplementedError("Only Pearson correlation has been implemented")
        return _whole.comoments(self, "corr", min_periods, numeric_only)

    def combine(self, other: Any, func: Any, fill_value: Any = None, overwrite: bool = True) -> Any:
        """A function of columns of two DataFrames."""
        return self._method("combine", other, func, fill_value=fill_value, overwrite=overwrite)

    @property
    def nbytes(self) -> Any:
        raise NotImplementedError("nbytes is not implemented on DataFrame")

    def squeeze(self, axis: Any = None) -> Any:
        """The only column as a Series, or the DataFrame itself."""
        if axis in (0, "index"):
            raise NotImplementedError(f"{type(self)} does not support squeeze along axis 0")
        if axis not in (None, 1, "columns"):
            raise ValueError(f"No axis {axis} for object type {type(self)}")
        return self[self.columns[0]] if len(self.columns) == 1 else self

    def itertuples(self, index: bool = True, name: str | None = "Pandas") -> Any:
        """Rows as named tuples, a partition at a time."""
        for i in range(self.npartitions):
            yield from self.partitions[i].compute().itertuples(index=index, name=name)

    def iterrows(self) -> Any:
        """Pairs of label and row, a partition at a time."""
        for i in range(self.npartitions):
            yield from self.partitions[i].compute().iterrows()

    def pivot_table(self, index: Any, columns: Any, values: Any = None, aggfunc: str = "mean") -> Any:
        """A table of one column's values by two others; see :func:`weft.dataframe.pivot_table`."""
        from weft.dataframe._reshape import pivot_table

        return pivot_table(self, index, columns, values, aggfunc)

    def categorize(self, columns: Any = None, index: Any = None, split_every: Any = None) -> Any:
        """Columns of text as categoricals whose categories are known; reads the data."""
        from weft.dataframe._reshape import categorize

        return categorize(self, columns, index)

    def groupby(
        self,
        by: Any,
        group_keys: bool = True,
        sort: Any = None,
        observed: Any = None,
        dropna: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Groups of rows.

        Parameters
        ----------
        by : label, Series, list of them or callable
            What rows of a group have in common.
        sort : bool, optional
            Order groups by their keys (the default).
        observed, dropna : bool, optional
            As in pandas.

        Raises
        ------
        KeyError
            If a column does not exist.
        """
        from weft.dataframe._groupby import DataFrameGroupBy

        return DataFrameGroupBy(
            self, by, group_keys=group_keys, sort=sort, observed=observed, dropna=dropna, **kwargs
        )

    def reset_index(self, drop: bool = False) -> Any:
        """The index as a column; each partition counts from zero."""
        meta = self._meta.reset_index(drop=drop)
        count = 0 if drop else self._meta.index.nlevels
        levels = [(label, _convert.dtype_name(meta[label].dtype)) for label in meta.columns[:count]]
        try:
            if not meta.columns.is_unique or any(dtype is None for _, dtype in levels):
                raise NotImplementedError("labels that only pandas can hold")
            return new_collection(self._expr.reset_index(levels), meta)
        except Unsupported:
            return self._method("reset_index", drop=drop, divisions=None)

    def select_dtypes(self, include: Any = None, exclude: Any = None) -> Any:
        """The columns of some dtypes."""
        return self[list(self._meta.select_dtypes(include=include, exclude=exclude).columns)]

    def info(self, buf: Any = None, verbose: bool = False, memory_usage: bool = False) -> None:
        """Prints the columns."""
        import sys

        out = buf or sys.stdout
        out.write(f"{type(self)}\nColumns: {len(self.columns)} entries")
        if len(self.columns):
            out.write(f", {self.columns[0]} to {self.columns[-1]}")
        counts = ", ".join(f"{dtype}({n})" for dtype, n in self.dtypes.astype(str).value_counts().items())
        out.write(f"\ndtypes: {counts}")

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        """The DataFrame interchange protocol; partitions are its chunks, made when somebody reads them."""
        from weft.dataframe._interchange import InterchangeFrame

        return InterchangeFrame(self, nan_as_null, allow_copy)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The rows as a stream of Arrow, a partition at a time: what ``pyarrow.table(df)`` reads, and others."""
        import pyarrow as pa

        schema = pa.Table.from_pandas(_meta.meta_nonempty(self._meta), preserve_index=False).schema
        schema = schema.remove_metadata()
        reader = pa.RecordBatchReader.from_batches(schema, self._arrow_batches(schema))
        return reader.__arrow_c_stream__(requested_schema)

    def _arrow_batches(self, schema: Any) -> Any:
        import pyarrow as pa

        for i in range(self.npartitions):
            part = self.partitions[i].compute()
            yield from pa.Table.from_pandas(part, schema=schema, preserve_index=False).to_batches()

    def __array_ufunc__(self, function: Any, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        return array_ufunc(function, method, inputs, kwargs)


def _all_text(pairs: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) for key in pairs)


def _text_keys(pairs: Mapping[Any, Any]) -> dict[str, Any]:
    return dict(pairs)


def _as_series(values: list[Any], labels: Any) -> pd.Series:
    return pd.Series(values, index=labels)


def _assign(own: DataFrame, pairs: Mapping[Any, Any]) -> DataFrame:
    for label, value in pairs.items():
        if _arrays.is_array(value) and value.ndim != 1:
            raise ValueError(
                f"Array assignment only supports 1-D arrays, got {value.ndim} axes for {label!r}"
            )
    pairs = {label: _ops.lifted(own, value, column=True) for label, value in pairs.items()}
    for label, value in pairs.items():
        if not (isinstance(value, Collection) or np.isscalar(value) or value is None or _is_scalar(value)):
            if isinstance(value, (pd.Series, pd.Index, np.ndarray, list)) or callable(value):
                raise TypeError(
                    f"Column assignment doesn't support type {type(value).__module__}.{type(value).__name__}:"
                    f" {label!r} must be a lazy Series or a scalar"
                )
        if isinstance(value, DataFrame):
            raise ValueError(f"Cannot set a DataFrame with multiple columns to the single column {label}")
    meta = _set_columns(_meta.meta_nonempty(own._meta), _meta.sample(pairs)).iloc[:0]
    try:
        columns = []
        for label, value in pairs.items():
            if isinstance(value, Series):
                columns.append((label, value.expr))
            elif type(value) in (bool, int, float, str) and own._meta.shape[1]:
                columns.append((label, own.expr.filled(value)))
            else:
                raise NotImplementedError("other scalars are assigned by pandas")
        return own._like(own._expr.assign(columns), meta)
    except Unsupported:
        return blockwise(_set_columns, own, pairs, label="assign", meta=meta)


def _is_scalar(value: Any) -> bool:
    return pd.api.types.is_scalar(value)


def _set_rows(part: pd.DataFrame, chosen: Any, value: Any) -> pd.DataFrame:
    part = part.copy()
    part[chosen] = value
    return part


def _set_columns(partition: pd.DataFrame, pairs: Mapping[Any, Any]) -> pd.DataFrame:
    result = partition.copy(deep=False)
    for label, value in pairs.items():
        result[label] = value
    return result


_ops.add_partitionwise(DataFrame, pd.DataFrame, _ops.PARTITIONWISE + _ops.PARTITIONWISE_FRAME)

__all__ = ["DataFrame", "FrameBase", "Index", "Scalar", "Series", "map_partitions"]
