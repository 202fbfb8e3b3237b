"""``.dt``, ``.str`` and ``.cat``: native where there is a kernel, pandas on each partition otherwise."""

from __future__ import annotations

from typing import Any

import pandas as pd

from weft.dataframe import _meta
from weft.dataframe._collection import Property, blockwise
from weft.dataframe._native import Unsupported


class _Accessor:
    """Every attribute and method of a pandas accessor, by name."""

    _accessor_name = ""

    def __init__(self, series: Any) -> None:
        getattr(_meta.meta_nonempty(series._meta), self._accessor_name)  # Raises as pandas does.
        self._series = series

    def __dir__(self) -> list[str]:
        return sorted(dir(getattr(_meta.meta_nonempty(self._series._meta), self._accessor_name)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        accessor = getattr(_meta.meta_nonempty(self._series._meta), self._accessor_name)
        value = getattr(accessor, name)  # Raises the AttributeError that names it.
        path = f"{self._accessor_name}.{name}"
        if callable(value) and not isinstance(value, pd.Index):

            def method(*args: Any, **kwargs: Any) -> Any:
                return blockwise(Property(path), self._series, *args, label=path.replace(".", "-"), **kwargs)

            method.__name__ = name
            method.__doc__ = value.__doc__
            return method
        return blockwise(Property(path), self._series, label=path.replace(".", "-"))


class DatetimeAccessor(_Accessor):
    """Fields and methods of datetimes and timedeltas.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> s = dd.from_pandas(pd.Series(pd.to_datetime(["2020-02-29 13:00"])), npartitions=1)
    >>> s.dt.hour.compute().tolist()
    [13]
    """

    _accessor_name = "dt"

    def __getattr__(self, name: str) -> Any:
        field = {"weekday": "dayofweek", "day_of_week": "dayofweek", "day_of_year": "dayofyear"}.get(
            name, name
        )
        try:
            expr = self._series.expr.dt(field)
        except (*Unsupported, AttributeError):
            return super().__getattr__(name)
        value = getattr(_meta.meta_nonempty(self._series._meta).dt, name)
        if callable(value):
            return lambda: self._series._like(expr, _meta.make_meta(value()))
        return self._series._like(expr, _meta.make_meta(value))


class StringAccessor(_Accessor):
    """Methods of text."""

    _accessor_name = "str"

    def __getitem__(self, key: Any) -> Any:
        return blockwise(_str_getitem, self._series, key, label="str-getitem")


def _str_getitem(partition: Any, key: Any) -> Any:
    return partition.str[key]


class CategoricalAccessor(_Accessor):
    """Methods of categoricals."""

    _accessor_name = "cat"

    @property
    def known(self) -> bool:
        """Whether the categories are known."""
        return _meta.UNKNOWN_CATEGORIES not in self._series._meta.cat.categories

    @property
    def categories(self) -> Any:
        """The categories.

        Raises
        ------
        NotImplementedError
            If they are not known.
        """
        if not self.known:
            raise NotImplementedError("the categories are not known before the data is read")
        return self._series._meta.cat.categories

    @property
    def ordered(self) -> bool:
        """Whether the categories have an order."""
        return self._series._meta.cat.ordered

    def as_unknown(self) -> Any:
        """The same data, its categories taken for unknown."""
        meta = self._series._meta.cat.set_categories([_meta.UNKNOWN_CATEGORIES])
        return self._series._like(self._series.expr, meta)
