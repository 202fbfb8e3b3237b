"""Conditions on rows as pyarrow's readers take them: ``[[("x", ">", 1), …], …]``."""

from __future__ import annotations

import functools
import operator
from typing import Any

import pandas as pd

#: The folder of rows whose value is missing.
MISSING_FOLDER = "__HIVE_DEFAULT_PARTITION__"

_COMPARE: dict[str, Any] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def hive_value(text: str) -> Any:
    """What the value in the name of a folder is: a number if it looks like one, or None."""
    if text == MISSING_FOLDER:
        return None
    try:
        return int(text)
    except ValueError:
        return text


class Conditions:
    """One of several lists of conditions must hold.

    Parameters
    ----------
    filters : list of tuples, or list of lists of tuples, optional
        ``(column, operator, value)``; the conditions of an inner list hold together.

    Raises
    ------
    ValueError
        If an operator is unknown, or a condition is no such tuple.
    """

    def __init__(self, filters: Any) -> None:
        given = list(filters or ())
        nested = given if all(isinstance(one, list) for one in given) else [given]
        self.lists: list[list[tuple[Any, str, Any]]] = [list(one) for one in nested if one]
        for condition in (c for one in self.lists for c in one):
            if not isinstance(condition, tuple) or len(condition) != 3:
                raise ValueError(f"a filter is a tuple (column, operator, value), not {condition!r}")
            if condition[1] not in _COMPARE and condition[1] not in ("in", "not in", "is", "is not"):
                raise ValueError(f"unknown operator {condition[1]!r} in the filter {condition!r}")

    def __bool__(self) -> bool:
        return bool(self.lists)

    @property
    def columns(self) -> set[Any]:
        """The columns that it looks at."""
        return {column for one in self.lists for column, _, _ in one}

    def may_hold(self, folders: dict[str, str]) -> bool:
        """Whether rows below these hive folders can fit."""
        return not self.lists or any(
            all(_fits(folders[c], how, value) for c, how, value in one if c in folders) for one in self.lists
        )

    def beyond(self, levels: Any) -> Conditions:
        """What is left to ask of rows when files are chosen by their folders."""
        if self.columns <= set(levels):
            return Conditions(None)
        if len(self.lists) == 1:
            return Conditions([[c for c in self.lists[0] if c[0] not in levels]])
        return self

    def mask(self, frame: Any) -> Any:
        """A lazy Series of bools; missing values fit no condition but ``not in``, as for pyarrow."""
        return functools.reduce(
            operator.or_,
            (
                functools.reduce(operator.and_, (_lazily(frame[c[0]], *c[1:]) for c in one))
                for one in self.lists
            ),
        )

    def of_arrow(self, folders: dict[str, str]) -> Any:
        """An expression of pyarrow for the rows of a file below these folders; None if all fit."""
        lists = [
            [c for c in one if c[0] not in folders]
            for one in self.lists
            if all(_fits(folders[c], how, value) for c, how, value in one if c in folders)
        ]
        if not lists:
            import pyarrow.compute as pc

            return pc.scalar(False)
        if not all(lists):
            return None
        return functools.reduce(
            operator.or_, (functools.reduce(operator.and_, (_of_arrow(*c) for c in one)) for one in lists)
        )


def _fits(text: str, how: str, value: Any) -> bool:
    own = hive_value(text)
    if isinstance(value, str) and own is not None:
        own = text  # Compared as what the user takes it for.
    if how in ("in", "not in"):
        several = {str(v) for v in value}
        return (own is not None and str(own) in several) == (how == "in")
    if how in ("is", "is not"):
        return (own is None) == (how == "is")
    try:
        return own is not None and bool(_COMPARE[how](own, value))
    except TypeError:
        return True  # What cannot be compared here is left to the reader.


def _lazily(series: Any, how: str, value: Any) -> Any:
    if how in ("is", "is not"):
        return series.isna() if how == "is" else series.notna()
    if how in ("in", "not in"):
        found = series.isin(list(value))
        return found if how == "in" else ~found  # A missing value is not among them.
    if value is None or pd.isna(value):
        return series.isna() & series.notna()
    found = _COMPARE[how](series, value)
    return found & series.notna() if how == "!=" else found


def _of_arrow(column: Any, how: str, value: Any) -> Any:
    import pyarrow.compute as pc

    field = pc.field(column)
    if how in ("is", "is not"):
        return field.is_null(nan_is_null=True) if how == "is" else ~field.is_null(nan_is_null=True)
    if how in ("in", "not in"):
        found = field.isin(list(value))
        return found if how == "in" else ~found
    return _COMPARE[how](field, value)
