"""Groups of rows: specs in pandas' words, native where all their parts have kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from weft.dataframe import _meta
from weft.dataframe._collection import Collection, aligned, blockwise, host, new_collection
from weft.dataframe._native import Unsupported

NO_DEFAULT = _meta.NO_DEFAULT

#: Functions that pandas itself takes for the aggregation of that name.
_KNOWN = {
    sum: "sum",
    min: "min",
    max: "max",
    any: "any",
    all: "all",
    len: "size",
    np.sum: "sum",
    np.mean: "mean",
    np.min: "min",
    np.max: "max",
    np.prod: "prod",
    np.any: "any",
    np.all: "all",
}


class _Agg(NamedTuple):
    """One column of the result."""

    label: Any
    column: Any
    func: Any
    options: dict[str, Any] | None


class _GroupBy:
    def __init__(
        self,
        own: Any,
        by: Any,
        *,
        group_keys: bool = True,
        sort: Any = None,
        observed: Any = None,
        dropna: Any = None,
        as_index: bool = True,
        slice: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise TypeError(f"groupby() got an unexpected keyword argument {next(iter(kwargs))!r}")
        if as_index is not True:
            raise NotImplementedError("groupby(as_index=False): use .reset_index() on the result")
        self.obj = own
        self.by = list(by) if isinstance(by, list) else [by]
        for key in self.by:
            if isinstance(key, Collection):
                if key.npartitions != own.npartitions:
                    raise NotImplementedError(
                        "The grouped object and index of the groupby must have the same partitions: "
                        f"{own.npartitions} and {key.npartitions}"
                    )
            elif isinstance(key, (pd.Series, np.ndarray, pd.Index)):
                raise TypeError(f"groupby by {type(key).__name__}: keys are labels, functions or lazy Series")
        self.group_keys = group_keys
        self.sort = sort
        self.observed = observed
        self.dropna = dropna
        self._slice = slice
        self._options = {
            name: value
            for name, value in (("sort", sort), ("observed", observed), ("dropna", dropna))
            if value is not None
        }
        self._options["group_keys"] = group_keys
        self._grouped_meta()  # Raises the KeyError that pandas raises.

    def __repr__(self) -> str:
        return f"<weft.dataframe.{type(self).__name__} of {self.obj._name}>"

    def _by_meta(self) -> Any:
        keys = [_meta.sample(key) for key in self.by]
        return keys if len(keys) > 1 else keys[0]

    def _grouped_meta(self) -> Any:
        grouped = _meta.meta_nonempty(self.obj._meta).groupby(self._by_meta(), **self._options)
        return grouped if self._slice is None else grouped[self._slice]

    # -- native -----------------------------------------------------------------------------------

    def _keys(self) -> list[tuple[Any, Any]]:
        keys = []
        for key in self.by:
            if isinstance(key, Collection):
                if key.ndim != 1:
                    raise NotImplementedError("a DataFrame as key")
                keys.append((key._meta.name, key.expr))
            elif callable(key) or self.obj.ndim == 1:
                raise NotImplementedError("keys made of the index")
            else:
                keys.append((key, self.obj.expr.column(key)))
        return keys

    def _input(self, column: Any) -> Any:
        return self.obj.expr if self.obj.ndim == 1 else self.obj.expr.column(column)

    def _build(self, aggs: list[_Agg], meta: Any, kind: str) -> Any:
        """The native expression.

        Raises
        ------
        NotImplementedError
            If a part has no kernel.
        """
        entries = []
        for agg in aggs:
            func = agg.func if isinstance(agg.func, str) else _KNOWN.get(agg.func)
            if func is None:
                raise NotImplementedError(f"aggregation {agg.func!r}")
            source = None if func == "size" else self._input(agg.column)
            entries.append((agg.label, func, source, agg.options))
        keys = self._keys()
        if any(
            isinstance(getattr(_key_meta(self, key), "dtype", None), pd.CategoricalDtype) for key in self.by
        ):
            raise NotImplementedError("categorical keys")
        expr = self.obj.expr.groupby(
            keys,
            entries,
            dropna=self.dropna is not False,
            sort=self.sort is not False,
            kind=kind,
        )
        return new_collection(expr, meta)

    # -- what users call --------------------------------------------------------------------------

    def _reduce(self, name: str, pandas_options: dict[str, Any], native: dict[str, Any] | None = None) -> Any:
        meta = getattr(self._grouped_meta(), name)(**pandas_options)
        if isinstance(meta, (pd.DataFrame, pd.Series)):
            meta = meta.iloc[:0]
        plain = {k: v for k, v in pandas_options.items() if k not in ("numeric_only", "ddof")}
        try:
            if any(plain.values()):
                raise NotImplementedError(f"{name} with {plain}")
            if isinstance(meta, pd.Series):
                label = meta.name
                kind = "unnamed" if label is None else "series"
                aggs = [_Agg(0 if label is None else label, self._column(), name, native)]
            else:
                kind = "table"
                aggs = [_Agg(c, c, name, native) for c in meta.columns]
            return self._build(aggs, meta, kind)
        except Unsupported:
            return self._fallback(name, (), pandas_options, meta)

    def _column(self) -> Any:
        return self.obj._meta.name if self.obj.ndim == 1 else self._slice

    def sum(self, numeric_only: bool = False, min_count: Any = None, **kwargs: Any) -> Any:
        """The sum of each group."""
        options: dict[str, Any] = {"numeric_only": numeric_only}
        if min_count:
            options["min_count"] = min_count
        return self._reduce("sum", options)

    def prod(self, numeric_only: bool = False, min_count: Any = None, **kwargs: Any) -> Any:
        """The product of each group."""
        options: dict[str, Any] = {"numeric_only": numeric_only}
        if min_count:
            options["min_count"] = min_count
        return self._reduce("prod", options)

    def mean(self, numeric_only: bool = False, **kwargs: Any) -> Any:
        """The mean of each group."""
        return self._reduce("mean", {"numeric_only": numeric_only})

    def min(self, numeric_only: bool = False, **kwargs: Any) -> Any:
        """The smallest value of each group."""
        return self._reduce("min", {"numeric_only": numeric_only})

    def max(self, numeric_only: bool = False, **kwargs: Any) -> Any:
        """The largest value of each group."""
        return self._reduce("max", {"numeric_only": numeric_only})

    def first(self, numeric_only: bool = False, **kwargs: Any) -> Any:
        """The first value of each group that is not missing."""
        return self._reduce("first", {"numeric_only": numeric_only})

    def last(self, numeric_only: bool = False, **kwargs: Any) -> Any:
        """The last value of each group that is not missing."""
        return self._reduce("last", {"numeric_only": numeric_only})

    def any(self, **kwargs: Any) -> Any:
        """Whether any value of each group is true."""
        return self._reduce("any", {})

    def all(self, **kwargs: Any) -> Any:
        """Whether all values of each group are true."""
        return self._reduce("all", {})

    def count(self, **kwargs: Any) -> Any:
        """Number of values of each group that are not missing."""
        return self._reduce("count", {})

    def var(self, ddof: int = 1, numeric_only: bool = False, **kwargs: Any) -> Any:
        """The variance of each group."""
        return self._reduce("var", {"ddof": ddof, "numeric_only": numeric_only}, {"ddof": ddof})

    def std(self, ddof: int = 1, numeric_only: bool = False, **kwargs: Any) -> Any:
        """The standard deviation of each group."""
        return self._reduce("std", {"ddof": ddof, "numeric_only": numeric_only}, {"ddof": ddof})

    def size(self, **kwargs: Any) -> Any:
        """Number of rows of each group."""
        meta = self._grouped_meta().size().iloc[:0]
        try:
            kind = "unnamed" if meta.name is None else "series"
            return self._build([_Agg(0 if meta.name is None else meta.name, None, "size", None)], meta, kind)
        except Unsupported:
            return self._fallback("size", (), {}, meta)

    def aggregate(
        self, arg: Any = None, split_every: Any = None, split_out: Any = None, **kwargs: Any
    ) -> Any:
        """Several aggregations at once.

        Parameters
        ----------
        arg : str, list, dict, optional
            One name; a list of names; for each column a name or a list of them.
        **kwargs
            Named aggregations: ``new_column=("column", "func")``.
        """
        kwargs.pop("shuffle_method", None)
        meta = self._grouped_meta().agg(*([] if arg is None else [arg]), **kwargs)
        meta = meta.iloc[:0]
        try:
            aggs = self._spec(arg, kwargs, meta)
            kind = (
                "table"
                if isinstance(meta, pd.DataFrame)
                else "series"
                if meta.name is not None
                else "unnamed"
            )
            return self._build(aggs, meta, kind)
        except Unsupported:
            return self._fallback("agg", () if arg is None else (arg,), kwargs, meta)

    agg = aggregate

    def _spec(self, arg: Any, named: dict[str, Any], meta: Any) -> list[_Agg]:
        raise NotImplementedError

    def apply(self, func: Callable[..., Any], *args: Any, meta: Any = NO_DEFAULT, **kwargs: Any) -> Any:
        """A function of each group."""
        if meta is NO_DEFAULT:
            meta = _meta.infer_user(
                lambda sample: self._grouped_meta().apply(func, *args, **kwargs), (0,), {}, "groupby.apply"
            )
        else:
            meta = _meta.make_meta(meta)
        return self._fallback("apply", (func, *args), kwargs, meta)

    # -- pandas -----------------------------------------------------------------------------------

    def _fallback(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], meta: Any) -> Any:
        """pandas on what the groups need, in one partition; partitions are reduced first where the
        aggregation is its own combination."""
        aligned([self.obj, *self.by])
        columns = self._needed()
        labels = [None if isinstance(key, Collection) else key for key in self.by]
        series = [key for key in self.by if isinstance(key, Collection)]
        combine = {
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
        }.get(name)
        if combine is not None and not kwargs.get("min_count"):
            parts = blockwise(
                _group,
                self.obj,
                series,
                labels,
                columns,
                self._slice,
                self._options,
                name,
                args,
                kwargs,
                label=f"groupby-{name}-chunk",
                meta=meta,
                divisions=None,
            )
            return host(
                _regroup,
                (parts, len(self.by), self._options, combine, meta),
                {},
                meta=meta,
                npartitions=1,
                label=f"groupby-{name}",
                whole=True,
            )
        parts = blockwise(
            _pick, self.obj, series, labels, columns, label="groupby-pick", meta=None, divisions=None
        )
        return host(
            _group_all,
            (
                parts,
                self._slice,
                self._options,
                name,
                args,
                kwargs,
                [key._meta.name for key in series],
                self.obj.ndim,
            ),
            {"labels": labels},
            meta=meta,
            npartitions=1,
            label=f"groupby-{name}",
            whole=True,
        )

    def _needed(self) -> list[Any] | None:
        if self.obj.ndim == 1 or self._slice is None:
            return None
        picked = self._slice if isinstance(self._slice, list) else [self._slice]
        keys = [key for key in self.by if not isinstance(key, Collection) and not callable(key)]
        return list(dict.fromkeys([*keys, *picked]))


def _key_meta(grouped: _GroupBy, key: Any) -> Any:
    if isinstance(key, Collection):
        return key._meta
    return grouped.obj._meta[key]


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
    name: str,
    args: Any,
    kwargs: Any,
) -> Any:
    if columns is not None:
        partition = partition[columns]
    grouped = partition.groupby(_by(labels, series), **options)
    if picked is not None:
        grouped = grouped[picked]
    return getattr(grouped, name)(*args, **kwargs)


def _regroup(parts: list[Any], levels: int, options: dict[str, Any], name: str, meta: Any) -> Any:
    from weft.dataframe._collection import concat

    whole = concat([part for part in parts if len(part)] or parts[:1])
    options = {key: value for key, value in options.items() if key != "group_keys"}
    grouped = whole.groupby(level=list(range(levels)) if levels > 1 else 0, **options)
    result = getattr(grouped, name)()
    if isinstance(result, pd.Series):
        return result.astype(meta.dtype) if result.dtype != meta.dtype else result
    wrong = {c: d for c, d in meta.dtypes.items() if result[c].dtype != d and d.kind != "O"}
    return result.astype(wrong) if wrong else result


def _pick(partition: Any, series: list[Any], labels: list[Any], columns: Any) -> Any:
    if columns is not None:
        partition = partition[columns]
    return partition, list(series)


def _group_all(
    parts: list[Any],
    picked: Any,
    options: dict[str, Any],
    name: str,
    args: Any,
    kwargs: Any,
    names: list[Any],
    ndim: int,
    labels: list[Any],
) -> Any:
    from weft.dataframe._collection import concat

    whole = concat([part for part, _ in parts])
    series = [concat([keys[i] for _, keys in parts]) for i in range(len(names))]
    # Rows are matched by position: labels may repeat between partitions.
    index = whole.index
    whole = whole.set_axis(pd.RangeIndex(len(whole)), axis=0)
    series = [key.set_axis(whole.index) for key in series]
    if any(callable(label) for label in labels if label is not None):
        labels = list(labels)
        keys = [
            pd.Series(index.map(label), index=whole.index) if callable(label) else None for label in labels
        ]
        by: Any = [
            k if k is not None else (series.pop(0) if lab is None else lab) for k, lab in zip(keys, labels)
        ]
        by = by if len(by) > 1 else by[0]
    else:
        by = _by(labels, series)
    grouped = whole.groupby(by, **options)
    if picked is not None:
        grouped = grouped[picked]
    return getattr(grouped, name)(*args, **kwargs)


class DataFrameGroupBy(_GroupBy):
    """Groups of the rows of a DataFrame: ``df.groupby(by)``."""

    def __getitem__(self, key: Any) -> Any:
        options = {
            "group_keys": self.group_keys,
            "sort": self.sort,
            "observed": self.observed,
            "dropna": self.dropna,
        }
        if isinstance(key, (list, tuple)) and not (isinstance(key, tuple) and key in self.obj.columns):
            return DataFrameGroupBy(self.obj, self.by, slice=list(key), **options)
        return SeriesGroupBy(self.obj, self.by, slice=key, **options)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.obj.columns:
            return self[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        names = [c for c in self.obj.columns if isinstance(c, str) and c.isidentifier()]
        return sorted({*super().__dir__(), *names})

    def _values(self) -> list[Any]:
        if self._slice is not None:
            return list(self._slice)
        keys = [key for key in self.by if not isinstance(key, Collection) and not callable(key)]
        return [c for c in self.obj.columns if c not in keys]

    def _spec(self, arg: Any, named: dict[str, Any], meta: Any) -> list[_Agg]:
        if arg is None:
            return [_Agg(label, column, func, None) for label, (column, func) in named.items()]
        if isinstance(arg, str) or callable(arg):
            return [_Agg(column, column, arg, None) for column in self._values()]
        if isinstance(arg, (list, tuple)):
            arg = {column: list(arg) for column in self._values()}
        if not isinstance(arg, Mapping):
            raise NotImplementedError(f"agg({arg!r})")
        nested = any(isinstance(funcs, (list, tuple)) for funcs in arg.values())
        aggs = []
        for column, funcs in arg.items():
            for func in funcs if isinstance(funcs, (list, tuple)) else [funcs]:
                label = (column, _name_of(func)) if nested else column
                aggs.append(_Agg(label, column, func, None))
        return aggs


class SeriesGroupBy(_GroupBy):
    """Groups of the values of a Series: ``df.groupby(by)["column"]``."""

    def _spec(self, arg: Any, named: dict[str, Any], meta: Any) -> list[_Agg]:
        column = self._column()
        if arg is None:
            return [_Agg(label, column, func, None) for label, func in named.items()]
        if isinstance(arg, str) or callable(arg):
            return [_Agg(0 if meta.name is None else meta.name, column, arg, None)]
        if isinstance(arg, (list, tuple)):
            return [_Agg(_name_of(func), column, func, None) for func in arg]
        raise NotImplementedError(f"agg({arg!r})")

    def nunique(self, split_every: Any = None, split_out: Any = None) -> Any:
        """Number of different values of each group."""
        return self._reduce("nunique", {})

    def value_counts(self, **kwargs: Any) -> Any:
        """How often each value occurs in each group."""
        meta = self._grouped_meta().value_counts(**kwargs).iloc[:0]
        return self._fallback("value_counts", (), kwargs, meta)


def _name_of(func: Any) -> Any:
    return func if isinstance(func, str) else getattr(func, "__name__", str(func))
