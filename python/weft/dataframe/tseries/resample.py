"""Aggregation by spans of time.

Every span lies in one partition: partitions are cut anew at the borders of spans first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _meta, _ops
from weft.dataframe._collection import host
from weft.dataframe._repartition import by_divisions

#: What spans without rows give, unless it is a missing value.
_FILL = {"count": 0, "nunique": 0, "size": 0, "sum": 0, "prod": 1}


class Resampler:
    """Spans of time: ``df.resample("1h")``. Its methods aggregate the rows of each.

    Parameters
    ----------
    obj : DataFrame or Series
        With a datetime index and known divisions.
    rule : str or offset
        The length of a span.
    closed, label : {'left', 'right'}, optional
        Which border belongs to a span, and which one names it.

    Raises
    ------
    ValueError
        If divisions are not known.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> s = pd.Series(range(4), index=pd.date_range("2000-01-01", periods=4, freq="30min"))
    >>> dd.from_pandas(s, npartitions=2).resample("1h").sum().compute().tolist()
    [1, 5]
    """

    def __init__(self, obj: Any, rule: Any, columns: Any = None, **kwargs: Any) -> None:
        if not obj.known_divisions:
            raise ValueError(
                "Can only resample dataframes with known divisions: use set_index, or read the data with "
                "divisions"
            )
        self.obj, self.rule, self.columns = obj, rule, columns
        self.kwargs = {name: value for name, value in kwargs.items() if value is not None}
        self._spans(_meta.meta_nonempty(obj._meta))  # Raises what pandas raises.

    def _spans(self, part: Any) -> Any:
        return _spans(part, self.rule, self.kwargs, self.columns)

    def __getitem__(self, key: Any) -> Any:
        return Resampler(self.obj, self.rule, columns=key, **self.kwargs)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and self.obj.ndim == 2 and name in self.obj.columns:
            return self[name]
        raise AttributeError(f"'Resampler' object has no attribute {name!r}")

    def _aggregate(self, how: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        meta = getattr(self._spans(_meta.meta_nonempty(self.obj._meta)), how)(*args, **kwargs)
        divisions = self.obj.divisions
        edges = pd.Series(0, index=pd.DatetimeIndex([divisions[0], divisions[-1]]).as_unit(self._unit()))
        left: Any = edges.resample(self.rule, **{**self.kwargs, "label": "left"}).count().index
        labels = edges.resample(self.rule, **self.kwargs).count().index
        # The spans that hold the inner divisions begin a partition. A span closed on the right
        # begins just after its left border.
        step = pd.Timedelta(1, self._unit()) if self._closed_right() else pd.Timedelta(0)
        cuts, starts = [divisions[0]], [0]
        for inner in divisions[1:-1]:
            span = int((left + step).searchsorted(inner, side="right")) - 1
            if span > starts[-1]:
                starts.append(span)
                cuts.append(left[span] + step)
        cuts.append(divisions[-1])
        moved = (
            by_divisions(self.obj, cuts, force=True) if len(cuts) > 2 else self.obj.repartition(npartitions=1)
        )
        ends = [*starts[1:], len(labels)]
        names = [labels[a:b].rename(meta.index.name) for a, b in zip(starts, ends)]
        fill = _fill(how if how != "agg" else args[0] if args else None, meta)
        return host(
            _resampled,
            (moved, self.rule, self.kwargs, self.columns, how, args, kwargs, fill, divisions[0]),
            {},
            meta=_meta.make_meta(meta),
            npartitions=len(starts),
            label=f"resample-{how}",
            divisions=(*(name[0] for name in names), labels[-1]),
            numbered=names,
        )

    def _unit(self) -> Any:
        return self.obj._meta.index.unit

    def _closed_right(self) -> bool:
        return pd.Grouper(freq=self.rule, **self.kwargs).closed == "right"

    def agg(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """One aggregation or several: names, functions, lists of them, or a dict by column."""
        return self._aggregate("agg", (func, *args), kwargs)

    aggregate = agg


def _spans(part: Any, rule: Any, kwargs: dict[str, Any], columns: Any) -> Any:
    spans = part.resample(rule, **kwargs)
    return spans if columns is None else spans[columns]


def _fill(func: Any, meta: Any) -> Any:
    """The value of spans without rows: one, or one for each column."""
    if isinstance(func, str):
        return _FILL.get(func, np.nan)
    if isinstance(meta, pd.DataFrame) and isinstance(func, (list, tuple, dict)):
        named: list[Any] = [label[-1] if isinstance(label, tuple) else label for label in meta.columns]
        if isinstance(func, dict) and meta.columns.nlevels == 1:
            named = [func.get(label) for label in meta.columns]
        return [_FILL.get(name, np.nan) if isinstance(name, str) else np.nan for name in named]
    return np.nan


def _resampled(
    part: Any,
    rule: Any,
    spans: dict[str, Any],
    columns: Any,
    how: str,
    args: Any,
    kwargs: Any,
    fill: Any,
    origin: Any,
    partition_info: pd.DatetimeIndex,
) -> Any:
    labels = partition_info
    if isinstance(pd.tseries.frequencies.to_offset(rule), pd.offsets.Tick):
        # Spans are counted from the first day of all data, not of this partition.
        spans = {"origin": origin.normalize(), **spans}
    result = getattr(_spans(part, rule, spans, columns), how)(*args, **kwargs)
    if not result.index.isin(labels).all():
        raise ValueError(
            f"Index is not contained within new index. The spans of {rule!r} depend on where data begins: use "
            "a frequency whose borders are fixed, or a single partition"
        )
    if len(result) == len(labels):
        return result
    if not isinstance(fill, list):
        return result.reindex(labels, fill_value=fill)
    missing = ~labels.isin(result.index)
    result = result.reindex(labels)
    for i, value in enumerate(fill):
        if value == value:
            column = result.iloc[:, i].mask(missing, value)
            result.isetitem(i, column.astype("int64") if value == 0 and column.notna().all() else column)
    return result


def _method(name: str) -> Callable[..., Any]:
    def method(self: Resampler, *args: Any, **kwargs: Any) -> Any:
        return self._aggregate(name, args, kwargs)

    return _ops._documented(method, pd.api.typing.Resampler, name)


for _name in "count first last max mean median min nunique ohlc prod quantile sem size std sum var".split():
    setattr(Resampler, _name, _method(_name))

__all__ = ["Resampler"]
