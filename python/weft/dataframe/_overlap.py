"""Steps that see rows of the neighbouring partitions: windows, shifts, differences."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from weft.dataframe import _meta, _ops
from weft.dataframe._call import enforce, funcname
from weft.dataframe._collection import Collection, MethodCall, align_arguments, concat, host
from weft.dataframe._meta import NO_DEFAULT


class Widened(NamedTuple):
    """A partition between rows of its neighbours."""

    data: Any
    before: int
    after: int


def map_overlap(
    func: Callable[..., Any],
    df: Any,
    before: Any,
    after: Any,
    *args: Any,
    meta: Any = NO_DEFAULT,
    enforce_metadata: bool = True,
    transform_divisions: bool = True,
    align_dataframes: bool = True,
    **kwargs: Any,
) -> Any:
    """Applies a function to each partition together with rows of its neighbours.

    Parameters
    ----------
    func : callable
        Gets the widened partition, then ``args`` and ``kwargs``; returns as many rows, of which those
        of the neighbours are cut off again.
    before, after : int or timedelta
        How many rows, or which span of a datetime index, of the partitions before and after.

    Raises
    ------
    NotImplementedError
        When it runs, if a neighbour has fewer rows than asked for.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 4, 8]}), npartitions=2)
    >>> dd.map_overlap(lambda part: part.diff(), df, 1, 0).x.compute().tolist()
    [nan, 1.0, 2.0, 4.0]
    """
    before, after = _span(before), _span(after)
    if not isinstance(df, Collection):
        from weft.dataframe.io.io import from_pandas

        df = from_pandas(df, npartitions=1)
    _check(df, before)
    _check(df, after)
    operands, kwargs = ([df, *args], kwargs)
    operands = [_lazy(value) for value in operands]
    if align_dataframes:
        operands, kwargs = align_arguments(operands, kwargs)
        operands = list(operands)
    df = operands[0]
    name = kwargs.pop("token", None) or funcname(func)
    if meta is NO_DEFAULT:
        meta = _meta.infer_user(func, operands, kwargs, name)
    else:
        meta = _meta.make_meta(meta, index=df._meta.index)
    widened = [_widen(value, before, after) if _has_rows(value) else value for value in operands]
    named = {
        key: _widen(value, before, after) if _has_rows(value) else value for key, value in kwargs.items()
    }
    return host(
        _trimmed,
        (func, meta if enforce_metadata else None, *widened),
        named,
        meta=meta,
        npartitions=df.npartitions,
        label=name,
        divisions=None if isinstance(getattr(meta, "index", None), pd.MultiIndex) else df.divisions,
    )


def _lazy(value: Any) -> Any:
    if isinstance(value, (pd.DataFrame, pd.Series)):
        from weft.dataframe.io.io import from_pandas

        return from_pandas(value, npartitions=1)
    return value


def _has_rows(value: Any) -> bool:
    return isinstance(value, Collection) and _meta.is_pandas(value._meta)


def _span(value: Any) -> Any:
    if isinstance(value, str):
        value = pd.Timedelta(value)
    if isinstance(value, (datetime.timedelta, np.timedelta64)):
        return pd.Timedelta(value)
    if not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError("before and after must be positive integers or timedeltas")
    return int(value)


def _check(df: Any, span: Any) -> None:
    if isinstance(span, pd.Timedelta) and not isinstance(df._meta.index, pd.DatetimeIndex):
        raise TypeError("Must have a `DatetimeIndex` when using string offset for `before` and `after`")


def _widen(df: Any, before: Any, after: Any) -> Any:
    """A collection whose partitions are :class:`Widened`."""
    n = df.npartitions
    lists, places = [], []
    for i in range(n):
        first, last = _reach(df, i, before, after)
        lists.append(list(range(first, last + 1)))
        places.append((i - first, i == 0, i == n - 1))
    return host(
        _combined,
        (df, before, after),
        {},
        meta=None,
        npartitions=n,
        label="overlap",
        lists=lists,
        numbered=places,
    )


def _reach(df: Any, i: int, before: Any, after: Any) -> tuple[int, int]:
    """The first and last partition whose rows partition ``i`` may need."""
    first = last = i
    if isinstance(before, pd.Timedelta) and df.known_divisions:
        while first > 0 and df.divisions[first] >= df.divisions[i] - before:
            first -= 1
    elif before:
        first = max(i - 1, 0)
    if isinstance(after, pd.Timedelta) and df.known_divisions:
        while last < df.npartitions - 1 and df.divisions[last + 1] <= df.divisions[i + 1] + after:
            last += 1
    elif after:
        last = min(i + 1, df.npartitions - 1)
    return first, last


def _combined(parts: list[Any], before: Any, after: Any, partition_info: tuple[int, bool, bool]) -> Widened:
    at, is_first, is_last = partition_info
    own = parts[at]
    head = _edge(parts[:at], own, before, True, is_first)
    tail = _edge(parts[at + 1 :], own, after, False, is_last)
    pieces = [piece for piece in (*head, own, *tail) if len(piece)] or [own]
    data = concat(pieces) if len(pieces) > 1 else pieces[0]
    return Widened(data, sum(map(len, head)), sum(map(len, tail)))


def _edge(parts: list[Any], own: Any, span: Any, leading: bool, at_end: bool) -> list[Any]:
    if not span if isinstance(span, int) else at_end:
        return []
    if isinstance(span, pd.Timedelta):
        if not len(own):
            return []
        if leading:
            return [part[part.index > own.index[0] - span] for part in parts]
        return [part[part.index < own.index[-1] + span] for part in parts]
    if at_end:
        return []
    [part] = parts
    if len(part) < span:
        raise NotImplementedError(
            f"Partition size is less than overlapping window size: {len(part)} rows, and {span} are needed. "
            "Try using ``df.repartition`` to increase the partition size."
        )
    return [part.tail(span) if leading else part.head(span)]


def _trimmed(func: Any, meta: Any, *args: Any, **kwargs: Any) -> Any:
    widened = args[0]
    result = func(*map(_data, args), **{key: _data(value) for key, value in kwargs.items()})
    if _meta.is_pandas(result) and len(widened.data):
        times = len(result) // len(widened.data)  # Some give several rows for each.
        result = result.iloc[widened.before * times : len(result) - widened.after * times]
    return result if meta is None else enforce(result, meta, funcname(func))


def _data(value: Any) -> Any:
    return value.data if type(value) is Widened else value


def shift(own: Any, periods: int = 1, freq: Any = None, axis: Any = 0) -> Any:
    """See :meth:`weft.dataframe.DataFrame.shift`."""
    if not isinstance(periods, (int, np.integer)):
        raise TypeError("periods must be an integer")
    if axis in (1, "columns"):
        return own._method("shift", periods=periods, freq=freq, axis=1)
    if freq is not None:
        return own._method("shift", periods, freq=freq, divisions=None)
    before, after = (int(periods), 0) if periods > 0 else (0, -int(periods))
    return map_overlap(MethodCall("shift"), own, before, after, periods, token="shift")


def diff(own: Any, periods: int = 1, axis: Any = 0) -> Any:
    """See :meth:`weft.dataframe.DataFrame.diff`."""
    if not isinstance(periods, (int, np.integer)):
        raise TypeError("periods must be an integer")
    if axis in (1, "columns"):
        return own._method("diff", periods=periods, axis=1)
    before, after = (int(periods), 0) if periods > 0 else (0, -int(periods))
    return map_overlap(MethodCall("diff"), own, before, after, periods, token="diff")


class Rolling:
    """Windows over rows: ``df.rolling(window)``; its methods are those of pandas."""

    def __init__(
        self,
        own: Any,
        window: Any,
        min_periods: Any = None,
        center: bool = False,
        win_type: Any = None,
        axis: Any = NO_DEFAULT,
    ) -> None:
        if isinstance(window, (int, np.integer)):
            if window < 0:
                raise ValueError("window must be >= 0")
        elif not isinstance(own._meta.index, pd.DatetimeIndex):
            raise ValueError("window must be an integer")
        if min_periods is not None and not isinstance(min_periods, (int, np.integer)):
            raise ValueError("min_periods must be an integer")
        self.obj = own
        self.window, self.min_periods, self.center, self.win_type = window, min_periods, center, win_type
        self._options = {"window": window, "min_periods": min_periods, "center": center, "win_type": win_type}
        _meta.meta_nonempty(own._meta).rolling(**self._options)  # Raises what pandas raises.

    def __repr__(self) -> str:
        said = ",".join(f"{name}={value}" for name, value in self._options.items() if value is not None)
        return f"Rolling [{said}]"

    def __getitem__(self, key: Any) -> Any:
        return Rolling(self.obj[key], **self._options)

    def _spans(self) -> tuple[Any, Any]:
        if not isinstance(self.window, (int, np.integer)):
            span = pd.Timedelta(pd.tseries.frequencies.to_offset(self.window))
            return (span, span) if self.center else (span, 0)
        if self.center:
            return int(self.window) // 2, int(self.window) - int(self.window) // 2 - 1
        return max(int(self.window) - 1, 0), 0

    def _apply(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = _Windows(self._options, name)
        if name == "cov" and self.obj.ndim == 1 and args:
            raise NotImplementedError("rolling.cov with another Series")
        return map_overlap(call, self.obj, *self._spans(), *args, token=f"rolling-{name}", **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if not hasattr(pd.api.typing.Rolling, name):
            return self[name]

        return functools.partial(self._apply_named, name)

    def _apply_named(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return self._apply(name, args, kwargs)


def _window_method(name: str) -> Any:
    def method(self: Rolling, *args: Any, **kwargs: Any) -> Any:
        return self._apply(name, args, kwargs)

    return _ops._documented(method, pd.api.typing.Rolling, name)


for _name in "agg apply corr count cov kurt max mean median min quantile sem skew std sum var".split():
    setattr(Rolling, _name, _window_method(_name))
Rolling.aggregate = Rolling.agg  # type: ignore[attr-defined]


class _Windows:
    """A method of the windows over a partition."""

    def __init__(self, options: dict[str, Any], name: str) -> None:
        self.options, self.name = options, name
        self.__name__ = f"rolling-{name}"

    def __dask_tokenize__(self) -> Any:
        return _Windows, self.options, self.name

    def __call__(self, part: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(part.rolling(**self.options), self.name)(*args, **kwargs)
