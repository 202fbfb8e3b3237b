"""Aggregations of the user's own, and specifications that have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


class Aggregation:
    """An aggregation of the user's own, in steps that work on partitions.

    Parameters
    ----------
    name : str
        Its name: the column's, where several aggregations are asked for.
    chunk : callable
        Gets the grouped Series of one partition; returns a Series, or a tuple of them.
    agg : callable
        Gets what ``chunk`` returned for all partitions, grouped again (an argument for each Series).
    finalize : callable, optional
        Makes the result of what ``agg`` returned.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"k": [1, 1, 2], "x": [1, 2, 3]}), npartitions=2)
    >>> total = dd.Aggregation("total", lambda g: g.sum(), lambda g: g.sum())
    >>> df.groupby("k").x.agg(total).compute().tolist()
    [3, 3]
    """

    def __init__(self, name: str, chunk: Any, agg: Any, finalize: Any = None) -> None:
        self.__name__ = name
        self.chunk, self.agg, self.finalize = chunk, agg, finalize

    def __dask_tokenize__(self) -> Any:
        return Aggregation, self.__name__, self.chunk, self.agg, self.finalize


def _has_custom(spec: Any) -> bool:
    if isinstance(spec, Mapping):
        spec = list(spec.values())
    if isinstance(spec, (list, tuple)):
        return any(_has_custom(part) for part in spec)
    return isinstance(spec, Aggregation)


class _Custom:
    """A specification that has :class:`Aggregation` in it, on the groups of pandas."""

    def __init__(self, arg: Any, named: dict[str, Any]) -> None:
        self.arg, self.named = arg, named
        self.__name__ = "agg"

    def __dask_tokenize__(self) -> Any:
        return _Custom, self.arg, self.named

    def __call__(self, grouped: Any) -> Any:
        return self.gather([grouped], grouped)

    def gather(self, parts: list[Any], whole: Any) -> Any:
        """The result from the groups of each partition and those of all rows."""
        columns: dict[Any, pd.Series]
        arg = self.arg
        series = isinstance(whole, pd.api.typing.SeriesGroupBy)
        if arg is None:
            pairs = {
                label: (spec if isinstance(spec, tuple) else (None, spec))
                for label, spec in self.named.items()
            }
            columns = {
                label: self._one(parts, whole, column, func) for label, (column, func) in pairs.items()
            }
            return pd.DataFrame(columns)
        if series:
            if not isinstance(arg, (list, tuple)):
                return self._one(parts, whole, None, arg)
            return pd.DataFrame({_name_of(func): self._one(parts, whole, None, func) for func in arg})
        if not isinstance(arg, Mapping):
            keys = set(whole.grouper.names if hasattr(whole, "grouper") else whole._grouper.names)
            chosen = whole._selected_obj.columns
            arg = {column: arg for column in chosen if column not in keys}
        nested = any(isinstance(funcs, (list, tuple)) for funcs in arg.values())
        columns = {}
        for column, funcs in arg.items():
            for func in funcs if isinstance(funcs, (list, tuple)) else [funcs]:
                label = (column, _name_of(func)) if nested else column
                columns[label] = self._one(parts, whole, column, func)
        return pd.DataFrame(columns)

    def _one(self, parts: list[Any], whole: Any, column: Any, func: Any) -> pd.Series:
        pick = lambda groups: groups if column is None else groups[column]
        if not isinstance(func, Aggregation):
            return pick(whole).agg(func)
        names = whole._grouper.names
        levels = list(range(len(names))) if len(names) > 1 else 0
        chunks = [func.chunk(pick(part)) for part in parts]
        chunks = [chunk if isinstance(chunk, tuple) else (chunk,) for chunk in chunks]
        merged = [
            pd.concat([chunk[i] for chunk in chunks]).groupby(
                level=levels, sort=whole.sort, dropna=whole.dropna
            )
            for i in range(len(chunks[0]))
        ]
        result = func.agg(*merged)
        if func.finalize is not None:
            result = func.finalize(*result) if isinstance(result, tuple) else func.finalize(result)
        return result


def _name_of(func: Any) -> Any:
    return func if isinstance(func, str) else getattr(func, "__name__", str(func))
