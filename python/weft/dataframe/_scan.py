"""Results that depend on all rows before: each partition starts from what the earlier ones ended with.

``scan(own, chunk, finish)``: ``chunk`` sums up a partition; ``finish(partition, earlier)`` makes its
result, with ``earlier`` the list of what ``chunk`` gave for the partitions before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from weft.dataframe import _meta
from weft.dataframe._collection import MethodCall, blockwise, host


def scan(
    own: Any,
    chunk: Callable[..., Any],
    finish: Callable[..., Any],
    *,
    meta: Any,
    label: str,
    backwards: bool = False,
    **options: Any,
) -> Any:
    """A scan over the partitions, from the last to the first if ``backwards``."""
    states = blockwise(chunk, own, label=f"{label}-chunk", meta=None, divisions=None, **options)
    everything = host(_same, (states,), {}, meta=None, npartitions=1, label=f"{label}-states", whole=True)
    return host(
        _Finish(finish, backwards),
        (own, everything),
        options,
        meta=meta,
        npartitions=own.npartitions,
        label=label,
        divisions=own.divisions,
        numbered=list(range(own.npartitions)),
    )


def _same(states: list[Any]) -> list[Any]:
    return states


class _Finish:
    def __init__(self, function: Callable[..., Any], backwards: bool) -> None:
        self.function, self.backwards = function, backwards
        self.__name__ = function.__name__

    def __dask_tokenize__(self) -> Any:
        return _Finish, self.function, self.backwards

    def __call__(self, part: Any, states: list[Any], partition_info: int, **options: Any) -> Any:
        here = partition_info
        earlier = states[:here:-1] if self.backwards else states[:here]
        return self.function(part, earlier, **options)


#: How the states of partitions combine, and how a combined state joins what a partition gave.
_TOTALS = {"cumsum": "sum", "cumprod": "prod", "cummin": "min", "cummax": "max"}


def cumulative(own: Any, name: str, axis: Any = 0, skipna: bool = True, **kwargs: Any) -> Any:
    """A cumulative method of pandas over all partitions."""
    if axis in (1, "columns"):
        return own._method(name, axis=1, skipna=skipna)
    meta = _meta.infer(MethodCall(name), (own,), {"skipna": skipna})
    return scan(own, _total, _continued, meta=meta, label=name, name=name, skipna=skipna)


def _total(part: Any, name: str, skipna: bool) -> Any:
    if not len(part):
        return None
    if part.ndim == 1:
        return _last(getattr(part, _TOTALS[name])(skipna=skipna))
    # A column at a time, so that each keeps its dtype.
    return [_last(getattr(part.iloc[:, i], _TOTALS[name])(skipna=skipna)) for i in range(part.shape[1])]


def _last(value: Any) -> Any:
    return value


def _continued(part: Any, earlier: list[Any], name: str, skipna: bool) -> Any:
    states = [state for state in earlier if state is not None]
    if part.ndim == 1:
        return _column(part, states, name, skipna)
    columns = {
        i: _column(part.iloc[:, i], [state[i] for state in states], name, skipna)
        for i in range(part.shape[1])
    }
    result = pd.DataFrame(columns, index=part.index)
    result.columns = part.columns
    return result


def _column(part: pd.Series, states: list[Any], name: str, skipna: bool) -> pd.Series:
    own = getattr(part, name)(skipna=skipna)
    states = [state for state in states if not (skipna and pd.isna(state))]
    if not states:
        return own
    before = pd.Series(states)
    start = getattr(before, _TOTALS[name])(skipna=skipna)
    if pd.isna(start):
        return own.where(pd.Series(False, index=own.index))
    if name == "cumsum":
        return own + start
    if name == "cumprod":
        return own * start
    return own.mask(own > start, start) if name == "cummin" else own.mask(own < start, start)


def fill(own: Any, name: str, axis: Any = 0, limit: int | None = None, **kwargs: Any) -> Any:
    """``ffill`` or ``bfill`` over all partitions."""
    if axis in (1, "columns"):
        return own._method(name, axis=1, limit=limit)
    return scan(
        own,
        _edges,
        _filled,
        meta=getattr(own._meta, name)(limit=limit),
        label=name,
        backwards=name == "bfill",
        name=name,
        limit=limit,
    )


def _edges(part: Any, name: str, limit: int | None) -> Any:
    """What the next partition needs: the last value of each column, or the rows that a limit reaches."""
    if limit is not None:
        return part.tail(limit + 1) if name == "ffill" else part.head(limit + 1)
    filled = getattr(part, name)()
    return filled.tail(1) if name == "ffill" else filled.head(1)


def _filled(part: Any, earlier: list[Any], name: str, limit: int | None) -> Any:
    kept = [state for state in earlier if len(state)]
    if not kept or not len(part):
        return getattr(part, name)(limit=limit)
    if name == "ffill":
        whole = pd.concat([*kept, part])
        return getattr(whole, name)(limit=limit).iloc[len(whole) - len(part) :]
    whole = pd.concat([part, *reversed(kept)])
    return getattr(whole, name)(limit=limit).iloc[: len(part)]
