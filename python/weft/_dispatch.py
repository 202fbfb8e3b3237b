"""Choosing a function by the type of its argument."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Dispatch:
    """A function with one implementation for each type of its first argument.

    The implementation registered for the nearest class in the argument's MRO is called. Libraries that may not be
    loaded register by :meth:`register_lazy`, under the name of their top-level module: the function given there is
    called once, before the first argument from that module is dispatched.

    Examples
    --------
    >>> describe = Dispatch("describe")
    >>> @describe.register(object)
    ... def _(x):
    ...     return "something"
    >>> @describe.register((int, float))
    ... def _(x):
    ...     return "a number"
    >>> describe(1), describe(True), describe("x")
    ('a number', 'a number', 'something')
    """

    __name__: str

    def __init__(self, name: str | None = None):
        self._lookup: dict[type, Callable] = {}
        self._lazy: dict[str, Callable] = {}
        self._inherited: dict[type, Callable] = {}  # what was found in an MRO; emptied by each registration
        self._lock = threading.RLock()  # held while a library registers
        self._loading: set[str] = set()
        if name:
            self.__name__ = name

    def register(self, type: Any, func: Callable | None = None) -> Callable:
        """Register an implementation for a type or a tuple or list of types; usable as a decorator."""

        def wrapper(func: Callable) -> Callable:
            types = type if isinstance(type, (tuple, list)) else (type,)
            for cls in types:
                self._load(cls)  # first the library's own, so that this one replaces it
                self._set(cls, func)
            self._inherited = {}
            return func

        return wrapper(func) if func is not None else wrapper

    def _set(self, cls: type, func: Callable) -> None:
        self._lookup[cls] = func
        if cls is object:  # the general case explains the whole
            self.__doc__ = func.__doc__

    def register_lazy(self, toplevel: str, func: Callable | None = None) -> Callable:
        """Register a function that registers, called when a class of the module ``toplevel`` is first met."""

        def wrapper(func: Callable) -> Callable:
            self._lazy[toplevel] = func
            self._inherited = {}
            return func

        return wrapper(func) if func is not None else wrapper

    def _load(self, cls: type) -> bool:
        """Let the library that a class comes from register; whether it did."""
        toplevel = str(getattr(cls, "__module__", "")).partition(".")[0]
        if toplevel not in self._lazy:
            return False
        with self._lock:
            if toplevel not in self._lazy or toplevel in self._loading:
                return False
            self._loading.add(toplevel)
            try:
                self._lazy[toplevel]()
                # Only now: other threads wait for the lock, where they would go on without the registrations.
                del self._lazy[toplevel]
            finally:
                self._loading.discard(toplevel)
            return True

    def dispatch(self, cls: type) -> Callable:
        """The implementation for a class.

        Raises
        ------
        TypeError
            Neither the class nor any of its bases has one.
        """
        found = self._lookup.get(cls) or self._inherited.get(cls)
        if found is not None:
            return found
        inherited = self._inherited
        for base in cls.__mro__:
            if self._load(base):
                return self.dispatch(cls)
            found = self._lookup.get(base)
            if found is not None:
                inherited[cls] = found
                return found
        raise TypeError(f"No dispatch for {cls}")

    def __call__(self, arg: Any, *args: Any, **kwargs: Any) -> Any:
        return self.dispatch(type(arg))(arg, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.RLock())

    def __repr__(self) -> str:
        return f"<dispatch {getattr(self, '__name__', '')}>"
