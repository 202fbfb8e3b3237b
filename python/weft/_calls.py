"""Calling functions: arguments, names, methods and items as functions."""

from __future__ import annotations

import builtins
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from weft._dispatch import Dispatch as Dispatch
from weft._docs import _derived_from as _derived_from
from weft._docs import derived_from as derived_from
from weft._docs import extra_titles as extra_titles
from weft._docs import get_named_args as get_named_args
from weft._docs import ignore_warning as ignore_warning
from weft._docs import skip_doctest as skip_doctest
from weft._docs import unsupported_arguments as unsupported_arguments
from weft._formats import asciitable as asciitable
from weft._formats import byte_sizes as byte_sizes
from weft._formats import format_bytes as format_bytes
from weft._formats import format_time as format_time
from weft._formats import format_time_ago as format_time_ago
from weft._formats import key_split as key_split
from weft._formats import key_split_group as key_split_group
from weft._formats import maybe_pluralize as maybe_pluralize
from weft._formats import memory_repr as memory_repr
from weft._formats import natural_sort_key as natural_sort_key
from weft._formats import parse_bytes as parse_bytes
from weft._formats import parse_timedelta as parse_timedelta
from weft._formats import timedelta_sizes as timedelta_sizes
from weft._formats import typename as typename


def apply(func: Callable, args: Iterable, kwargs: Mapping | None = None) -> Any:
    """``func(*args, **kwargs)``.

    Examples
    --------
    >>> apply(max, [1, 2], {"key": lambda x: -x})
    1
    """
    return func(*args, **kwargs) if kwargs else func(*args)


def partial_by_order(*args: Any, function: Callable, other: Iterable[tuple[int, Any]], **kwargs: Any) -> Any:
    """Call a function after putting more arguments at given positions.

    Examples
    --------
    >>> partial_by_order(5, function=divmod, other=[(0, 17)])
    (3, 2)
    """
    arguments = list(args)
    for position, argument in other:
        arguments.insert(position, argument)
    return function(*arguments, **kwargs)


_method_cache: dict[str, methodcaller] = {}


class methodcaller:
    """A call of a method by name; the object and the arguments come with the call.

    There is one instance for each name, so that equal calls are the same object.

    Examples
    --------
    >>> methodcaller("split")("a b", " ")
    ['a', 'b']
    """

    __slots__ = ("method",)
    method: str

    def __new__(cls, method: str) -> methodcaller:
        found = _method_cache.get(method)
        if found is None:
            found = object.__new__(cls)
            found.method = method
            found = _method_cache.setdefault(method, found)
        return found

    @property
    def func(self) -> str:
        return self.method

    def __call__(self, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(obj, self.method)(*args, **kwargs)

    def __reduce__(self) -> tuple:
        return methodcaller, (self.method,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.method}>"


class MethodCache:
    """``M.name`` is ``methodcaller("name")``.

    Examples
    --------
    >>> M.count([1, 3, 3], 3)
    2
    """

    def __getattr__(self, name: str) -> methodcaller:
        return methodcaller(name)

    def __dir__(self) -> list[str]:
        return list(_method_cache)


M = MethodCache()


class itemgetter:
    """Like ``operator.itemgetter``, with equality.

    Examples
    --------
    >>> itemgetter(1)("abc"), itemgetter(1) == itemgetter(1)
    ('b', True)
    """

    __slots__ = ("index",)

    def __init__(self, index: Any):
        self.index = index

    def __call__(self, x: Any) -> Any:
        return x[self.index]

    def __reduce__(self) -> tuple:
        return itemgetter, (self.index,)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.index == other.index  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((itemgetter, self.index))


def getargspec(func: Callable) -> inspect.FullArgSpec:
    """The parameters of a function, also of a partial, a wrapped function or a class."""
    while isinstance(func, functools.partial):
        func = func.func
    func = getattr(func, "__wrapped__", func)
    return inspect.getfullargspec(func.__init__ if isinstance(func, type) else func)  # type: ignore[misc]


_SEVERAL = {compile, delattr, divmod, filter, getattr, hasattr, isinstance, issubclass, map, pow, setattr}


_BUILTINS = {f for f in vars(builtins).values() if callable(f)}


def takes_multiple_arguments(func: Callable, varargs: bool = True) -> bool:
    """Whether a function needs, or by ``*args`` may take, more than one argument.

    Examples
    --------
    >>> takes_multiple_arguments(lambda x, y: x), takes_multiple_arguments(lambda x, y=1: x)
    (True, False)
    """
    try:
        if func in _SEVERAL:
            return True
        if func in _BUILTINS:
            return False
    except TypeError:
        pass  # not hashable, so no builtin
    try:
        spec = getargspec(func)
    except Exception:
        return False
    if varargs and spec.varargs:
        return True
    bound = isinstance(func, type) and spec.args[:1] == ["self"]
    return len(spec.args) - len(spec.defaults or ()) - bound > 1


def has_keyword(func: Callable, keyword: str) -> bool:
    """Whether a function has a parameter of that name.

    Examples
    --------
    >>> has_keyword(lambda x: x, "x"), has_keyword(lambda x: x, "y")
    (True, False)
    """
    try:
        return keyword in inspect.signature(func).parameters
    except (TypeError, ValueError):
        return False


def funcname(func: Any) -> str:
    """A short name of a callable.

    Examples
    --------
    >>> funcname(len), funcname(lambda x: x), funcname(functools.partial(len)), funcname(M.sum)
    ('len', 'lambda', 'len', 'sum')
    """
    while isinstance(func, functools.partial):
        func = func.func
    if isinstance(func, methodcaller):
        return func.method[:50]
    module = getattr(func, "__module__", None) or ""
    kind = getattr(type(func), "__name__", "")
    if "toolz" in module and kind == "curry":
        return func.func_name[:50]
    if "multipledispatch" in module and kind == "Dispatcher":
        return func.name[:50]
    if "numpy" in module and kind == "vectorize":
        return ("vectorize_" + funcname(func.pyfunc))[:50]
    name = getattr(func, "__name__", None)
    if name is None:
        return str(func)[:50]
    return "lambda" if name == "<lambda>" else name[:50]
