"""Hooks for libraries: accessors, and dtypes of their own.

Examples
--------
>>> import pandas as pd, weft.dataframe as dd
>>> @dd.extensions.register_dataframe_accessor("geo")
... class Geo:
...     def __init__(self, df):
...         self.df = df
...     def centre(self):
...         return self.df.x.mean()
>>> float(dd.from_pandas(pd.DataFrame({"x": [1.0, 3.0]}), npartitions=1).geo.centre().compute())
2.0
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from weft.dataframe._meta import make_array_nonempty, make_scalar

__all__ = [
    "make_array_nonempty",
    "make_scalar",
    "register_dataframe_accessor",
    "register_index_accessor",
    "register_series_accessor",
]


class _Accessor:
    """An attribute of a class of collections: the user's class, made of the collection."""

    def __init__(self, name: str, made: Callable[[Any], Any]) -> None:
        self.name, self.made = name, made

    def __get__(self, own: Any, owner: type) -> Any:
        return self.made if own is None else self.made(own)


def _register(name: str, cls: type) -> Callable[[Any], Any]:
    def decorator(accessor: Any) -> Any:
        if hasattr(cls, name):
            warnings.warn(
                f"registration of accessor {accessor!r} under name {name!r} for type {cls!r} is overriding a "
                "preexisting attribute with the same name.",
                UserWarning,
                stacklevel=2,
            )
        setattr(cls, name, _Accessor(name, accessor))
        return accessor

    return decorator


def register_dataframe_accessor(name: str) -> Callable[[Any], Any]:
    """A decorator: ``df.<name>`` is the decorated class, made of ``df``."""
    from weft.dataframe._frame import DataFrame

    return _register(name, DataFrame)


def register_series_accessor(name: str) -> Callable[[Any], Any]:
    """A decorator: ``series.<name>`` is the decorated class, made of ``series``."""
    from weft.dataframe._series import Series

    return _register(name, Series)


def register_index_accessor(name: str) -> Callable[[Any], Any]:
    """A decorator: ``index.<name>`` is the decorated class, made of ``index``."""
    from weft.dataframe._series import Index

    return _register(name, Index)
