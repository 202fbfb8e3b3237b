"""What DataFrame, Series and Index share."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _meta, _ops, _reductions, _repr, _sort
from weft.dataframe._collection import Collection, MethodCall, Property, blockwise
from weft.dataframe._export import Export
from weft.dataframe._indexing import Loc
from weft.dataframe._rows import Rows
from weft.dataframe._statistics import Statistics

NO_DEFAULT = _meta.NO_DEFAULT


class FrameBase(Statistics, Rows, Export, Collection):
    """What has rows and an index."""

    __slots__ = ()

    compute_current_divisions = _sort.compute_current_divisions

    @property
    def index(self) -> Any:
        """The row labels, lazily."""
        return blockwise(Property("index"), self, label="index", meta=self._meta.index)

    @index.setter
    def index(self, value: Any) -> None:
        result = blockwise(
            _set_index, self, value, label="set-index", meta=_set_index(self._meta, value._meta)
        )
        self._expr, self._meta_, self._divisions = result._expr, result._meta_, (None,) * len(self._divisions)

    @property
    def size(self) -> Any:
        """Number of values, as a lazy scalar."""
        rows = _reductions.rows(self)
        return rows if self.ndim == 1 else rows * len(self._meta.columns)

    def __len__(self) -> int:
        known = self._expr.known_rows()
        return int(_reductions.rows(self).compute()) if known is None else known

    @property
    def empty(self) -> bool:
        """Whether there are no rows; computes their number."""
        return len(self) == 0 or self.ndim == 2 and not len(self._meta.columns)

    @property
    def loc(self) -> Loc:
        """Rows by label, columns by name: ``df.loc[rows]``, ``df.loc[rows, columns]``."""
        return Loc(self)

    def __repr__(self) -> str:
        return _repr.text(self)

    def _repr_html_(self) -> str:
        return _repr.html(self)

    def pipe(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """``func(self, …)``, or, for ``(func, name)``, with self as the argument ``name``."""
        if isinstance(func, tuple):
            func, target = func
            if target in kwargs:
                raise ValueError(f"{target} is both the pipe target and a keyword argument")
            kwargs[target] = self
            return func(*args, **kwargs)
        return func(self, *args, **kwargs)

    def astype(self, dtype: Any) -> Any:
        """Another dtype, or for a DataFrame a dict of dtypes by column."""
        meta = _unknown_categories(self._meta.astype(dtype), self._meta, dtype)

        def native() -> Any:
            if isinstance(dtype, Mapping) or self.ndim == 2:
                targets = dtype if isinstance(dtype, Mapping) else dict.fromkeys(self._meta.columns, dtype)
                return self._expr.assign(
                    [(c, self._expr.column(c).astype(_dtype_text(d))) for c, d in targets.items()]
                )
            return self._expr.astype(_dtype_text(dtype))

        return self._native(meta, native, lambda: self._method("astype", dtype, meta=meta))

    def fillna(self, value: Any = None, axis: Any = None) -> Any:
        """Another value for missing ones."""
        value = _ops.lifted(self, value)
        meta = self._meta.fillna(_meta.empty(value))

        def native() -> Any:
            if not (np.isscalar(value) or self.ndim == 2 and isinstance(value, Mapping)):
                raise NotImplementedError("values of another object")
            if self.ndim == 2:
                values = value if isinstance(value, Mapping) else dict.fromkeys(self._meta.columns, value)
                return self._expr.assign(
                    [
                        (c, self._expr.column(c).fillna(v))
                        for c, v in values.items()
                        if c in self._meta.columns
                    ]
                )
            return self._expr.fillna(value)

        return self._native(meta, native, lambda: self._method("fillna", value, meta=meta))

    def isna(self) -> Any:
        """Whether each value is missing."""
        return _ops.unary("isna", MethodCall("isna"), self)

    isnull = isna

    def notna(self) -> Any:
        """Whether each value is there."""
        return _ops.unary("notna", MethodCall("notna"), self)

    notnull = notna

    def apply(self, function: Any, *args: Any, meta: Any = NO_DEFAULT, axis: Any = 0, **kwargs: Any) -> Any:
        """A function of each row (``axis=1``) or of each value of a Series."""
        if self.ndim == 2:
            if axis not in (1, "columns"):
                raise NotImplementedError(
                    "apply(axis=0) needs whole columns; use axis=1, map_partitions or reduction"
                )
            kwargs["axis"] = 1
        kwargs["args"] = args
        return _user_method(self, "apply", meta, function, **kwargs)

    def map(self, func: Any, na_action: Any = None, meta: Any = NO_DEFAULT, **kwargs: Any) -> Any:
        """A function or mapping of each value."""
        return _user_method(self, "map", meta, func, na_action=na_action, **kwargs)


def _user_method(own: Any, name: str, meta: Any, *args: Any, **kwargs: Any) -> Any:
    meta = _user_meta(own, name, meta, args, kwargs)
    return blockwise(MethodCall(name), own, *args, label=name, meta=meta, enforce=True, **kwargs)


def _user_meta(own: Any, name: str, meta: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The ``meta`` of a user's function: the given one, or what it gives for made-up rows, with a warning."""
    if meta is NO_DEFAULT:
        meta = _meta.infer_user(MethodCall(name), (own, *args), kwargs, name)
        warnings.warn(
            "\nYou did not provide metadata, so weft is running your function on a small dataset to guess "
            "output types. It is possible that weft will guess incorrectly.\nTo provide an explicit output "
            f"type or to silence this message, pass meta=, as in {name}(func, meta={_suggest(meta)})",
            stacklevel=4,
        )
        return meta
    return _meta.make_meta(meta, index=getattr(own._meta, "index", None))


def _suggest(meta: Any) -> str:
    if isinstance(meta, pd.DataFrame):
        return str({column: str(dtype) for column, dtype in meta.dtypes.items()})
    return str((getattr(meta, "name", None), str(getattr(meta, "dtype", type(meta).__name__))))


def _unknown_categories(meta: Any, before: Any, dtype: Any) -> Any:
    """``meta``, where a mere ``astype("category")`` leaves the categories to the data."""
    if meta.ndim == 1:
        asked = isinstance(meta.dtype, pd.CategoricalDtype) and getattr(dtype, "categories", None) is None
        fresh = asked and not isinstance(before.dtype, pd.CategoricalDtype)
        return meta.cat.set_categories([_meta.UNKNOWN_CATEGORIES]) if fresh else meta
    for label in meta.columns if meta.columns.is_unique else []:
        wanted = dtype.get(label) if isinstance(dtype, Mapping) else dtype
        column = (
            _unknown_categories(meta[label], before[label], wanted) if wanted is not None else meta[label]
        )
        if column is not meta[label] and column.dtype != meta[label].dtype:
            meta[label] = column
    return meta


def _dtype_text(dtype: Any) -> str:
    name = pd.api.types.pandas_dtype(dtype)
    from weft.dataframe._convert import dtype_name

    text = dtype_name(name)
    if text is None:
        raise NotImplementedError(f"astype({dtype})")
    return text


def _set_index(part: Any, index: Any) -> Any:
    return part.set_axis(index, axis=0)


def array_ufunc(function: Any, method: str, inputs: Any, kwargs: Any) -> Any:
    """A NumPy ufunc on collections."""
    if method != "__call__" or kwargs.get("out"):
        return NotImplemented
    for value in inputs:
        if hasattr(value, "__dask_graph__") and not isinstance(value, Collection):
            return NotImplemented
    own = next(value for value in inputs if isinstance(value, Collection))
    inputs = [_ops.lifted(own, value) for value in inputs]
    return blockwise(function, *inputs, label=function.__name__, **kwargs)
