"""Groups of rows: specs in pandas' words, native where all their parts have kernels."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from weft.dataframe import _meta
from weft.dataframe._aggregation import _Custom, _has_custom, _name_of
from weft.dataframe._collection import Collection, MethodCall, NamedCall, blockwise, host, new_collection
from weft.dataframe._group_steps import (
    COMBINE,
    FREE,
    KEEP_ROWS,
    RollingGroupBy,
    _group,
    _group_all,
    _pick,
    _regroup,
    in_place,
    numbered_rows,
    numbers,
    together,
)
from weft.dataframe._native import Unsupported
from weft.dataframe._reductions import may_be_many
from weft.dataframe._repartition import joined, to_count
from weft.dataframe._shuffle import _sortable

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
        self.by = list(by) if isinstance(by, list) else [by]
        if isinstance(by, tuple) and not (own.ndim == 2 and by in own.columns):
            self.by = list(by)
        if any(isinstance(key, Collection) for key in self.by):
            own, self.by = _same_partitions(own, self.by)
        # A column of the grouped frame itself is grouped by its name, as pandas knows it by identity.
        self.by = [_by_label(own, key) for key in self.by]
        self.by = [_of_labels(own, key) if _is_function(key) else key for key in self.by]
        for key in self.by:
            if isinstance(key, (pd.Series, np.ndarray, pd.Index)):
                raise TypeError(f"groupby by {type(key).__name__}: keys are labels, functions or lazy Series")
        self.obj = own
        self.group_keys = group_keys
        self.sort = sort
        self.observed = observed
        self.dropna = dropna
        self.as_index = as_index
        self._slice = slice
        self._options = {
            name: value
            for name, value in (("sort", sort), ("observed", observed), ("dropna", dropna))
            if value is not None
        }
        self._options["group_keys"] = group_keys
        if not as_index:
            self._options["as_index"] = False
        self._check()

    def __repr__(self) -> str:
        return f"<weft.dataframe.{type(self).__name__} of {self.obj._name}>"

    def _by_meta(self) -> Any:
        keys = [_meta.sample(key) for key in self.by]
        return keys if len(keys) > 1 else keys[0]

    def _grouped_meta(self) -> Any:
        grouped = _meta.meta_nonempty(self.obj._meta).groupby(self._by_meta(), **self._options)
        return grouped if self._slice is None else grouped[self._slice]

    def _meta_of(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What a method of pandas' groups gives, without rows; a scalar as it is."""

        def answer() -> Any:
            found = getattr(self._grouped_meta(), name)(*args, **kwargs)
            return found.iloc[:0] if isinstance(found, (pd.DataFrame, pd.Series)) else found

        how = _meta.frozen([self.by, self._options, self._slice, args, kwargs])
        labels = not any(isinstance(key, Collection) for key in self.by) or None
        return _meta.remembered(("groupby", name, _meta.signature(self.obj._meta), how, labels), answer)

    def _check(self) -> None:
        """Raises the ``KeyError`` that pandas raises."""
        meta = self.obj._meta
        plain = meta.ndim == 2 and all(isinstance(key, str) and key in meta.columns for key in self.by)
        picked = self._slice if isinstance(self._slice, list) else [self._slice]
        if plain and (self._slice is None or all(isinstance(c, str) and c in meta.columns for c in picked)):
            return
        self._grouped_meta()

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

    def _build(self, aggs: list[_Agg], meta: Any, kind: str, parts: int = 1) -> Any:
        """The native expression, in ``parts`` partitions.

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
        if not self.as_index:
            raise NotImplementedError("as_index=False")

        def native(split_out: int) -> Any:
            expr = self.obj.expr.groupby(
                keys,
                entries,
                dropna=self.dropna is not False,
                sort=self.sort is not False,
                kind=kind,
                split_out=split_out,
            )
            return new_collection(expr, meta)

        if parts > 1:
            with contextlib.suppress(NotImplementedError):
                return native(parts)
        return _cut(native(1), parts)

    # -- what users call --------------------------------------------------------------------------

    def _reduce(
        self,
        name: str,
        pandas_options: dict[str, Any],
        native: dict[str, Any] | None = None,
        ask: dict[str, Any] | None = None,
    ) -> Any:
        """An aggregation by name; ``ask`` holds what says how to compute it, not what."""
        split_out = self._parts(ask or {}, name)
        meta = self._meta_of(name, **pandas_options)
        plain = {k: v for k, v in pandas_options.items() if k not in ("numeric_only", "ddof")}
        try:
            if any(value is not True for value in plain.values() if value):
                raise NotImplementedError(f"{name} with {plain}")
            if isinstance(meta, pd.Series):
                label = meta.name
                kind = "unnamed" if label is None else "series"
                aggs = [_Agg(0 if label is None else label, self._column(), name, native)]
            else:
                kind = "table"
                aggs = [_Agg(c, c, name, native) for c in meta.columns]
            return self._build(aggs, meta, kind, split_out)
        except Unsupported:
            return _cut(self._fallback(MethodCall(name), (), pandas_options, meta), split_out)

    def _parts(self, ask: dict[str, Any], name: str) -> int:
        """The number of partitions of the result: what was asked for, or else what its groups may need that are in order
        all the same."""
        parts = _split_out(ask, name, self.sort)
        if ask.get("split_out") is not None or len(self.by) > 1 or not self.as_index:
            return parts
        key = self.by[0]
        dtype = (
            key._meta.dtype if isinstance(key, Collection) else self.obj._meta.get(key, self.obj._meta).dtype
        )
        if not may_be_many(self.obj, 32) or self.obj.expr.estimated_rows() is None:
            return parts
        return self.obj.npartitions if self.sort is False or _sortable(dtype) else parts

    def _column(self) -> Any:
        return self.obj._meta.name if self.obj.ndim == 1 else self._slice

    def sum(self, numeric_only: bool = False, min_count: Any = None, **ask: Any) -> Any:
        """The sum of each group."""
        return self._reduce("sum", _given(numeric_only=numeric_only, min_count=min_count), ask=ask)

    def prod(self, numeric_only: bool = False, min_count: Any = None, **ask: Any) -> Any:
        """The product of each group."""
        return self._reduce("prod", _given(numeric_only=numeric_only, min_count=min_count), ask=ask)

    def first(self, numeric_only: bool = False, sort: Any = None, **ask: Any) -> Any:
        """The first value of each group that is not missing."""
        return self._sorting(sort)._reduce("first", _given(numeric_only=numeric_only), ask=ask)

    def last(self, numeric_only: bool = False, sort: Any = None, **ask: Any) -> Any:
        """The last value of each group that is not missing."""
        return self._sorting(sort)._reduce("last", _given(numeric_only=numeric_only), ask=ask)

    def _sorting(self, sort: Any) -> Any:
        return self if sort is None else self._with(sort=sort)

    def any(self, skipna: bool = True, **ask: Any) -> Any:
        """Whether any value of each group is true."""
        return self._reduce("any", {} if skipna else {"skipna": False}, ask=ask)

    def all(self, skipna: bool = True, **ask: Any) -> Any:
        """Whether all values of each group are true."""
        return self._reduce("all", {} if skipna else {"skipna": False}, ask=ask)

    def count(self, **ask: Any) -> Any:
        """Number of values of each group that are not missing."""
        return self._reduce("count", {}, ask=ask)

    def var(self, ddof: int = 1, numeric_only: bool = False, **ask: Any) -> Any:
        """The variance of each group."""
        return self._reduce("var", _given(ddof=ddof, numeric_only=numeric_only), {"ddof": ddof}, ask=ask)

    def std(self, ddof: int = 1, numeric_only: bool = False, **ask: Any) -> Any:
        """The standard deviation of each group."""
        return self._reduce("std", _given(ddof=ddof, numeric_only=numeric_only), {"ddof": ddof}, ask=ask)

    def median(self, numeric_only: bool = False, **ask: Any) -> Any:
        """The median of each group."""
        return self._reduce("median", _given(numeric_only=numeric_only), ask=ask)

    def size(self, **ask: Any) -> Any:
        """Number of rows of each group."""
        split_out = self._parts(ask, "size")
        meta = self._meta_of("size")
        try:
            if isinstance(meta, pd.DataFrame):
                raise NotImplementedError("as_index=False")
            kind = "unnamed" if meta.name is None else "series"
            aggs = [_Agg(0 if meta.name is None else meta.name, None, "size", None)]
            return self._build(aggs, meta, kind, split_out)
        except Unsupported:
            return _cut(self._fallback(MethodCall("size"), (), {}, meta), split_out)

    def aggregate(
        self, arg: Any = None, split_every: Any = None, split_out: Any = None, **kwargs: Any
    ) -> Any:
        """Several aggregations at once.

        Parameters
        ----------
        arg : str, list, dict, Aggregation, optional
            One name; a list of names; for each column a name or a list of them.
        **kwargs
            Named aggregations: ``new_column=("column", "func")``.
        """
        ask = {"split_every": split_every, "split_out": split_out}
        if "shuffle_method" in kwargs:
            ask["shuffle_method"] = kwargs.pop("shuffle_method")
        parts = self._parts(ask, "agg")
        if arg == "size":
            return self.size(**ask)
        if _has_custom(arg) or _has_custom(list(kwargs.values())):
            return _cut(self._custom(arg, kwargs), parts)
        meta = self._meta_of("agg", *([] if arg is None else [arg]), **kwargs)
        try:
            aggs = self._spec(arg, kwargs, meta)
            kind = (
                "table"
                if isinstance(meta, pd.DataFrame)
                else "series"
                if meta.name is not None
                else "unnamed"
            )
            return self._build(aggs, meta, kind, parts)
        except Unsupported:
            args = () if arg is None else (arg,)
            return _cut(self._fallback(MethodCall("agg"), args, kwargs, meta), parts)

    agg = aggregate

    def _spec(self, arg: Any, named: dict[str, Any], meta: Any) -> list[_Agg]:
        raise NotImplementedError

    def _custom(self, arg: Any, named: dict[str, Any]) -> Any:
        """Aggregations of which some are :class:`Aggregation`."""
        return self._infer(_Custom(arg, named), (), {}, gather=True)

    def apply(self, func: Callable[..., Any], *args: Any, meta: Any = NO_DEFAULT, **kwargs: Any) -> Any:
        """A function of each group."""
        return self._user("apply", (func, *args), kwargs, meta)

    def transform(self, func: Any, *args: Any, meta: Any = NO_DEFAULT, **kwargs: Any) -> Any:
        """A function of each group that keeps its rows."""
        return self._user("transform", (func, *args), kwargs, meta)

    def shift(
        self,
        periods: Any = 1,
        freq: Any = NO_DEFAULT,
        axis: Any = NO_DEFAULT,
        fill_value: Any = NO_DEFAULT,
        meta: Any = NO_DEFAULT,
        **ask: Any,
    ) -> Any:
        """Values of earlier (or, if ``periods`` is negative, later) rows of the group."""
        options = {"freq": freq, "fill_value": fill_value}
        options = {name: value for name, value in options.items() if value is not NO_DEFAULT}
        return self._user("shift", (periods,), options, meta)

    def _user(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], meta: Any) -> Any:
        if meta is not NO_DEFAULT:
            index = self.obj._meta.index if name in ("transform", "shift") else None
            meta = _meta.make_meta(meta, index=index)
            call: Any = MethodCall(name)
            if isinstance(meta, pd.Series):
                call = NamedCall(call, meta.name)
            return self._fallback(call, args, kwargs, meta)
        warnings.warn(
            f"`meta` is not specified, inferred from partial data: weft ran groupby.{name} on two made-up rows. "
            "If the result is not what you expect, pass meta=, such as meta={'x': 'f8', 'y': 'f8'} for a "
            "DataFrame or meta=('x', 'f8') for a Series.",
            stacklevel=3,
        )
        return self._infer(MethodCall(name), args, kwargs)

    def _infer(self, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any], gather: bool = False) -> Any:
        """``call(grouped)`` of pandas, its meta found on sample rows."""
        try:
            found = call(self._grouped_meta(), *_meta.sample(args), **_meta.sample(kwargs))
        except (KeyError, AttributeError, TypeError, NotImplementedError, ValueError) as error:
            if isinstance(call, MethodCall) and call.name in ("apply", "transform", "agg"):
                raise ValueError(
                    f"Metadata inference failed in `groupby.{call.__name__}`: {error!r} on two made-up rows. "
                    "Pass meta= to say what the result looks like."
                ) from error
            raise
        meta = found.iloc[:0] if isinstance(found, (pd.DataFrame, pd.Series)) else found
        return self._fallback(call, args, kwargs, meta, gather=gather)

    def get_group(self, name: Any) -> Any:
        """The rows of one group."""
        own = self.obj if self._slice is None else self.obj[self._slice]
        key = self.by[0]
        if len(self.by) != 1 or isinstance(key, Collection) and key.ndim != 1 or callable(key):
            return self._infer(MethodCall("get_group"), (name,), {})
        wanted = name[0] if isinstance(name, tuple) and len(name) == 1 else name
        values = key if isinstance(key, Collection) else self.obj[key] if self.obj.ndim == 2 else None
        if values is None:
            return self._infer(MethodCall("get_group"), (name,), {})
        return own[values == wanted]

    def rolling(
        self, window: Any, min_periods: Any = None, center: bool = False, win_type: Any = None, axis: Any = 0
    ) -> Any:
        """Windows over the rows of each group."""
        if axis not in (0, "index", "rows"):
            raise NotImplementedError("groupby.rolling over columns")
        return RollingGroupBy(
            self, {"window": window, "min_periods": min_periods, "center": center, "win_type": win_type}
        )

    def compute(self, **kwargs: Any) -> Any:
        """Refused: groups are not data yet.

        Raises
        ------
        NotImplementedError
            Always; it names what to call.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not allow compute method."
            "Please chain it with an aggregation method (like ``.mean()``) or get a "
            "specific group using ``.get_group()`` before calling ``compute()``"
        )

    def __iter__(self) -> Any:
        raise NotImplementedError(
            "Iteration of groups would read all data: use apply, or get_group for one group"
        )

    def _with(self, **changes: Any) -> Any:
        options = {
            "group_keys": self.group_keys,
            "sort": self.sort,
            "observed": self.observed,
            "dropna": self.dropna,
            "as_index": self.as_index,
            "slice": self._slice,
            **changes,
        }
        return type(self)(self.obj, self.by, **options)

    # -- pandas -----------------------------------------------------------------------------------

    def _fallback(
        self, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any], meta: Any, gather: bool = False
    ) -> Any:
        """``call`` of pandas' groups: reduced partition by partition where an aggregation is its own
        combination, else with the rows of a group brought together; if they cannot move, all in one partition."""
        name = call.__name__
        if not self.as_index:
            flat = self._flat(call, args, kwargs, meta, gather)
            if flat is not None:
                return flat
        columns = self._needed()
        labels = [None if isinstance(key, Collection) else key for key in self.by]
        series = [key for key in self.by if isinstance(key, Collection)]
        combine = COMBINE.get(name) if isinstance(call, MethodCall) and self.as_index else None
        if combine is not None and not kwargs.get("min_count") and kwargs.get("skipna", True):
            parts = blockwise(
                _group,
                self.obj,
                series,
                labels,
                columns,
                self._slice,
                self._options,
                call,
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
        try:
            if name in KEEP_ROWS and isinstance(call, MethodCall) and "freq" not in kwargs:
                return in_place(self, call, args, kwargs, meta)
            if name == "ngroup" and isinstance(call, MethodCall):
                return numbers(self, kwargs.get("ascending", *args[:1] or (True,)), meta)
            if name != "get_group":
                return together(self, call, args, kwargs, meta, gather)
        except Unsupported:
            pass
        parts = blockwise(
            _pick, self.obj, series, labels, columns, label="groupby-pick", meta=None, divisions=None
        )
        return host(
            _group_all,
            (parts, self._slice, self._options, call, args, kwargs, len(series)),
            {"labels": labels, "gather": gather},
            meta=meta,
            npartitions=1,
            label=f"groupby-{name}",
            whole=True,
        )

    def _flat(self, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any], meta: Any, gather: bool) -> Any:
        """A result with ``as_index=False`` from the one with the keys as index; None if pandas makes it otherwise."""
        own, name = self._with(as_index=True), call.__name__
        if isinstance(call, MethodCall) and name in KEEP_ROWS:
            return own._fallback(call, args, kwargs, meta)
        if name in FREE or not isinstance(meta, pd.DataFrame):
            return None
        options = {"name": "size"} if name == "size" else {}
        try:
            wanted = call(self._grouped_meta(), *_meta.sample(args), **_meta.sample(kwargs))
            found = call(own._grouped_meta(), *_meta.sample(args), **_meta.sample(kwargs))
            if not found.reset_index(**options).equals(wanted):
                return None
        except (KeyError, AttributeError, TypeError, NotImplementedError, ValueError):
            return None
        if isinstance(call, MethodCall):
            result = getattr(own, name)(*args, **kwargs)
        else:
            result = own._infer(call, args, kwargs, gather=gather)
        return numbered_rows(result, options, meta)

    def _needed(self) -> list[Any] | None:
        if self.obj.ndim == 1 or self._slice is None:
            return None
        picked = self._slice if isinstance(self._slice, list) else [self._slice]
        # Other names are levels of the index.
        keys = [key for key in self.by if not isinstance(key, Collection) and not callable(key)]
        return list(dict.fromkeys([*(key for key in keys if key in self.obj.columns), *picked]))


def _key_meta(grouped: _GroupBy, key: Any) -> Any:
    if isinstance(key, Collection):
        return key._meta
    return grouped.obj._meta[key]


def _by_label(own: Any, key: Any) -> Any:
    name = key._meta.name if isinstance(key, Collection) and key._meta is not None and key.ndim == 1 else None
    if name is None or own.ndim != 2 or name not in own.columns:
        return key
    return name if own[name]._name == key._name else key


def _is_function(key: Any) -> bool:
    return callable(key) and not isinstance(key, Collection)


def _of_labels(own: Any, function: Callable[..., Any]) -> Any:
    """What a function makes of the index, as a lazy Series."""
    return blockwise(_called, own, function, label="groupby-key")


def _called(part: Any, function: Callable[..., Any]) -> pd.Series:
    return pd.Series(part.index.map(function), index=part.index)


def _same_partitions(own: Any, keys: list[Any]) -> tuple[Any, list[Any]]:
    """The grouped object and its keys with the same partitions."""
    from weft.dataframe._repartition import align

    lazy = [key for key in keys if isinstance(key, Collection)]
    if any(key.npartitions != own.npartitions or key.divisions != own.divisions for key in lazy):
        if not own.known_divisions or not all(key.known_divisions for key in lazy):
            raise NotImplementedError(
                "The grouped object and index of the groupby must have the same divisions, and one of them "
                "has unknown divisions."
            )
        own, *moved = align([own, *lazy])
        keys = [moved.pop(0) if isinstance(key, Collection) else key for key in keys]
    return own, keys


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


#: What callers may say about how an aggregation runs.
_ASK = frozenset({"split_every", "split_out", "shuffle_method", "engine", "engine_kwargs"})


def _split_out(ask: dict[str, Any], name: str, sort: Any) -> int:
    """The number of partitions that the result is to have; 0: as many as come.

    Raises
    ------
    TypeError
        If an argument is unknown.
    """
    for key in ask:
        if key not in _ASK:
            raise TypeError(f"{name}() got an unexpected keyword argument {key!r}")
    wanted = ask.get("split_out")
    if wanted is True:
        return 0
    return 1 if wanted is None or wanted is False else int(wanted)


def _cut(result: Any, parts: int) -> Any:
    """``result`` in ``parts`` partitions; 0: in as many as it has."""
    if parts == 0 or parts == result.npartitions:
        return result
    if parts == 1:
        everything = [list(range(result.npartitions))]
        return host(joined, (result,), {}, meta=result._meta, npartitions=1, label="joined", lists=everything)
    if result.npartitions > 1:
        return to_count(result, parts)
    return host(
        _piece,
        (result,),
        {"parts": parts},
        meta=result._meta,
        npartitions=parts,
        label="split-out",
        numbered=list(range(parts)),
    )


def _piece(whole: Any, parts: int, partition_info: int) -> Any:
    rows = len(whole)
    return whole.iloc[rows * partition_info // parts : rows * (partition_info + 1) // parts]


def _add_reductions(cls: Any) -> None:
    """Aggregations that take only ``numeric_only``."""
    for name in ("mean", "min", "max"):

        def method(self: Any, numeric_only: bool = False, _name: str = name, **ask: Any) -> Any:
            return self._reduce(_name, {"numeric_only": numeric_only}, ask=ask)

        setattr(cls, name, _documented(method, name))
    for name in WHOLE:

        def whole(self: Any, *args: Any, _name: str = name, **kwargs: Any) -> Any:
            ask = {key: kwargs.pop(key) for key in list(kwargs) if key in _ASK}
            parts = 0 if _name in KEEP_ROWS else _split_out(ask, _name, self.sort)
            return _cut(self._infer(MethodCall(_name), args, kwargs), parts)

        setattr(cls, name, _documented(whole, name))


def _documented(method: Any, name: str) -> Any:
    method.__name__ = name
    method.__doc__ = getattr(getattr(pd.api.typing.DataFrameGroupBy, name, None), "__doc__", None)
    return method


class DataFrameGroupBy(_GroupBy):
    """Groups of the rows of a DataFrame: ``df.groupby(by)``."""

    def __getitem__(self, key: Any) -> Any:
        options = {
            "group_keys": self.group_keys,
            "sort": self.sort,
            "observed": self.observed,
            "dropna": self.dropna,
            "as_index": self.as_index,
        }
        many = isinstance(key, (list, tuple, pd.Index)) and not (
            isinstance(key, tuple) and key in self.obj.columns
        )
        try:
            if many:
                return DataFrameGroupBy(self.obj, self.by, slice=list(key), **options)
            return SeriesGroupBy(self.obj, self.by, slice=key, **options)
        except KeyError as error:
            plural = "s" if many else ""
            missing = error.args[0] if error.args else key
            raise KeyError(f"Column{plural} not found: {missing}") from None

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
            return [_named(label, spec) for label, spec in named.items()]
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


def _named(label: Any, spec: Any) -> _Agg:
    """A named aggregation: a pair, or a :class:`pandas.NamedAgg`, which may hold arguments too."""
    if any(spec[2:]):
        raise NotImplementedError("arguments of a named aggregation")
    return _Agg(label, spec[0], spec[1], None)


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

    def nunique(self, **ask: Any) -> Any:
        """Number of different values of each group."""
        return self._reduce("nunique", {}, ask=ask)

    def unique(self, **ask: Any) -> Any:
        """The different values of each group, as arrays."""
        return _cut(self._infer(MethodCall("unique"), (), {}), _split_out(ask, "unique", self.sort))


#: Methods that pandas runs on the rows of all partitions.
WHOLE = (
    "bfill corr cov cumcount cummax cummin cumprod cumsum describe diff ffill head idxmax idxmin"
    " ngroup nlargest nsmallest nunique pct_change quantile rank sem skew tail value_counts"
).split()

_add_reductions(_GroupBy)
