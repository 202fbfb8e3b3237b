"""Methods that a configuration value may take over."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from weft import config

__all__ = ["GlobalMethod", "globalmethod"]


def globalmethod(default: Callable | None = None, key: str | None = None, falsey: Callable | None = None):
    """Let the configuration replace a method.

    Parameters
    ----------
    default : callable
        What the method is when the configuration says nothing.
    key : str
        The configuration key that is looked up, each time the method is.
    falsey : callable, optional
        What the method is when the configured value is false; without it, the default.

    Returns
    -------
    GlobalMethod
        A descriptor; without `default`, a decorator that makes one.

    Examples
    --------
    >>> import weft
    >>> class Table:
    ...     @globalmethod(key="table-optimize", falsey=lambda: "as it is")
    ...     def optimize():
    ...         return "optimized"
    >>> Table().optimize()
    'optimized'
    >>> with weft.config.set({"table-optimize": False}):
    ...     Table().optimize()
    'as it is'
    """
    if default is None:
        return functools.partial(globalmethod, key=key, falsey=falsey)
    return GlobalMethod(default, key, falsey)


class GlobalMethod:
    """The descriptor behind `globalmethod`."""

    def __init__(self, default: Callable, key: str | None, falsey: Callable | None = None):
        self._default = default
        self._key = key
        self._falsey = falsey

    def __get__(self, instance: Any, owner: type | None = None) -> Callable:
        unset = object()
        value: Any = config.get(self._key, unset) if self._key is not None else unset
        if value is unset:
            return self._default
        if value:
            return value
        return self._falsey if self._falsey is not None else self._default
