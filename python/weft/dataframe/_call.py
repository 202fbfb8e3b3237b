"""A function with its arguments, ready to be called with the partitions of its collections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd


class _Slot:
    """Where the partition of a collection goes."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _Slot, (self.number,)

    def __dask_tokenize__(self) -> Any:
        return _Slot, self.number


#: Where the first value goes.
FIRST = _Slot(0)


class Call:
    """``func(*args, **kwargs)`` whose collections are filled in later.

    Called as ``call(index, *values)``, with one value for each input: its partition, or, if
    ``whole``, the list of all its partitions. If ``listed``, there is one input, and all values are
    partitions of it, which the function gets as one list.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        args: Iterable[Any],
        kwargs: dict[str, Any],
        *,
        meta: Any = None,
        whole: bool = False,
        listed: bool = False,
        numbered: Any = None,
    ) -> None:
        self.func = func
        self.meta = meta
        self.whole = whole
        self.listed = listed
        self.numbered = numbered
        self.counts: list[int] = []
        self.inputs: list[Any] = []
        self.args = [self._slots(arg) for arg in args]
        self.kwargs = {name: self._slots(arg) for name, arg in kwargs.items()}
        self.__name__ = funcname(func)

    @staticmethod
    def collections(values: Iterable[Any]) -> Iterator[Any]:
        """The dataframe collections in ``values``, also inside lists, tuples and dicts."""
        from weft.dataframe._collection import Collection

        for value in values:
            if isinstance(value, Collection):
                yield value
            elif type(value) in (list, tuple):
                yield from Call.collections(value)
            elif type(value) is dict:
                yield from Call.collections(value.values())

    def _slots(self, value: Any) -> Any:
        from weft.dataframe._collection import Collection

        if isinstance(value, Collection):
            self.inputs.append(value.expr)
            self.counts.append(value.npartitions)
            return _Slot(len(self.inputs) - 1)
        if type(value) in (list, tuple):
            return type(value)(self._slots(part) for part in value)
        if type(value) is dict:
            return {key: self._slots(part) for key, part in value.items()}
        return value

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "inputs": []}

    def __call__(self, index: int, *values: Any) -> Any:
        if self.listed:
            values = (list(values),)
        elif self.whole:
            lists, start = [], 0
            for count in self.counts:
                lists.append(list(values[start : start + count]))
                start += count
            values = tuple(lists)
        args = [_fill(arg, values) for arg in self.args]
        kwargs = {name: _fill(arg, values) for name, arg in self.kwargs.items()}
        if self.numbered is not None:
            kwargs["partition_info"] = self.numbered[index]
        result = self.func(*args, **kwargs)
        return result if self.meta is None else enforce(result, self.meta, self.__name__)


def _fill(value: Any, values: tuple[Any, ...]) -> Any:
    if type(value) is _Slot:
        return values[value.number]
    if type(value) in (list, tuple):
        return type(value)(_fill(part, values) for part in value)
    if type(value) is dict:
        return {key: _fill(part, values) for key, part in value.items()}
    return value


def enforce(result: Any, meta: Any, called: str) -> Any:
    """``result`` with the labels that ``meta`` has.

    Raises
    ------
    ValueError
        If it has other columns than ``meta``.
    """
    if isinstance(meta, pd.DataFrame):
        if not isinstance(result, pd.DataFrame):
            return result
        if len(result) == 0 and len(result.columns) == 0:
            return meta
        if result.columns.equals(meta.columns):
            return result
        if set(result.columns) != set(meta.columns) or len(result.columns) != len(meta.columns):
            extra = [label for label in result.columns if label not in meta.columns]
            missing = [label for label in meta.columns if label not in result.columns]
            raise ValueError(
                "The columns in the computed data do not match the columns in the provided metadata"
                f" (returned by `{called}`).\n  Extra:   {extra}\n  Missing: {missing}"
            )
        return result[list(meta.columns)]
    if isinstance(meta, pd.Series):
        if isinstance(result, pd.Series):
            return result if result.name == meta.name else _renamed(result, meta.name)
        if not isinstance(result, (pd.DataFrame, pd.Index)):
            return pd.Series([result], name=meta.name)
    return result


def _renamed(series: Any, name: Any) -> Any:
    return series.rename(name)


def funcname(func: Any) -> str:
    """A short name for a callable."""
    while hasattr(func, "func"):
        func = func.func
    name = getattr(func, "__name__", None) or type(func).__name__
    return "lambda" if name == "<lambda>" else name
