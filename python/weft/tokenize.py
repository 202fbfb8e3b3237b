"""Tokens: names that depend on values, the same in every process and on every run.

:func:`tokenize` writes builtins in Rust (``crates/weft-python/src/tokenize``) and asks :func:`_describe` about
everything else. A description is made of builtins, of arrays and of whatever can be described in turn: it is walked,
never turned into text, so that neither ``repr`` nor pickle's memo, which differs with object identity, shows in a
token. From the most specific to the most general:

1. a function that was registered with :data:`normalize_token` for the class or a base of it;
2. the method ``__dask_tokenize__``;
3. classes and functions: by their name where they can be imported by it, else by what they are made of;
4. enumerations, dataclasses;
5. what ``__reduce_ex__`` says, as pickle would ask.

Where all fail the object has no deterministic token: a random one, or :class:`TokenizationError`.
"""

from __future__ import annotations

import contextvars
import copyreg
import enum
import sys
import threading
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from weft import config
from weft._dispatch import Dispatch
from weft._weft import _tokenize, _tokenize_override
from weft.hashing import _hash_buffer

__all__ = ["TokenizationError", "normalize_object", "normalize_token", "tokenize"]


class TokenizationError(RuntimeError):
    """An object has no token that would be the same for an equal object in another process.

    Examples
    --------
    >>> import weft
    >>> with weft.config.set({"tokenize.ensure-deterministic": True}):
    ...     weft.tokenize.tokenize(object())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    weft.tokenize.TokenizationError: ...
    """


_ENSURE_DETERMINISTIC: contextvars.ContextVar[bool | None] = contextvars.ContextVar("ensure_deterministic")


def tokenize(*args: object, ensure_deterministic: bool | None = None, **kwargs: object) -> str:
    """A name for values: equal types and values give equal names, in every process.

    Parameters
    ----------
    *args, **kwargs
        The values.
    ensure_deterministic : bool, optional
        Raise where an object has no deterministic token; otherwise such an object gets a random one. The setting
        ``tokenize.ensure-deterministic`` where None.

    Returns
    -------
    str
        32 hexadecimal digits: XXH3-128 of the values. It is no cryptographic digest.

    Raises
    ------
    TokenizationError
        An object has no deterministic token, and that was asked for.

    Examples
    --------
    >>> tokenize([1, {"a": 2}]) == tokenize([1, {"a": 2}])
    True
    >>> tokenize(1) == tokenize(1.0)
    False

    See Also
    --------
    normalize_token : how other types get their tokens
    """
    if ensure_deterministic is None or _ENSURE_DETERMINISTIC.get(None) is not None:
        return _tokenize(args, kwargs)
    token = _ENSURE_DETERMINISTIC.set(ensure_deterministic)
    try:
        return _tokenize(args, kwargs)
    finally:
        _ENSURE_DETERMINISTIC.reset(token)


def _tokenize_deterministic(*args: object, **kwargs: object) -> str:
    return tokenize(*args, ensure_deterministic=True, **kwargs)


def _nondeterministic(message: str) -> str:
    """A random token; or the error, where the caller wants that."""
    strict = _ENSURE_DETERMINISTIC.get(None)
    if strict is None:
        strict = config.get("tokenize.ensure-deterministic", False)
    if strict:
        raise TokenizationError(
            f"{message} Give its class a __dask_tokenize__ method, or register a function for it with "
            "weft.base.normalize_token.register."
        )
    import uuid

    return uuid.uuid4().hex


#: Normalizers that users gave for types that Rust writes by itself.
_overrides: dict[type, Callable] = {}


class TokenDispatch(Dispatch):
    """The normalizers: see :data:`normalize_token`."""

    def __init__(self) -> None:
        super().__init__("normalize_token")
        self._defaults: set[Callable] = set()

    def _default(self, types: Any) -> Callable:
        """Register what only matters when ``normalize_token`` is called by hand; Rust does the same by itself."""

        def wrapper(func: Callable) -> Callable:
            for cls in types if isinstance(types, tuple) else (types,):
                self._lookup[cls] = func
            self._defaults.add(func)
            return func

        return wrapper

    def _set(self, cls: type, func: Callable) -> None:
        if self._lookup.get(cls) in self._defaults and cls is not object:
            _overrides[cls] = func
            _tokenize_override()
        super()._set(cls, func)

    def __dask_tokenize__(self) -> str:
        return "weft.tokenize.normalize_token"

    def __reduce__(self) -> str:  # type: ignore[override]
        return "normalize_token"


#: Describes an object by simpler ones. ``normalize_token.register(type, function)`` adds a type or a list of them,
#: ``normalize_token.register_lazy("module", function)`` a function that registers once the module is in use.
normalize_token = TokenDispatch()


@normalize_token._default((type(None), bool, int, float, complex, str, bytes, slice, type(Ellipsis)))
def _identity(value: object) -> object:
    return value


@normalize_token.register_lazy("datetime")
def _register_datetime() -> None:
    import datetime

    types = (datetime.date, datetime.time, datetime.datetime, datetime.timedelta)
    normalize_token._default(types)(_identity)


@normalize_token.register_lazy("decimal")
def _register_decimal() -> None:
    import decimal

    normalize_token._default(decimal.Decimal)(_identity)


@normalize_token.register_lazy("pathlib")
def _register_pathlib() -> None:
    import pathlib

    normalize_token._default(pathlib.PurePath)(_identity)


@normalize_token.register_lazy("pickle")
def _register_pickle() -> None:
    import pickle

    normalize_token.register(pickle.PickleBuffer, lambda buffer: ("buffer", _hash_buffer(buffer.raw())))


class _Seen(threading.local):
    """Containers that ``normalize_token`` is inside of, in this thread: address to position."""

    def __init__(self) -> None:
        self.positions: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.positions)

    def enter(self, container: object, normalize: Callable[[], tuple]) -> tuple:
        position = self.positions.get(id(container))
        if position is not None:
            return "__seen", position
        self.positions[id(container)] = len(self.positions)
        try:
            return normalize()
        finally:
            del self.positions[id(container)]


_SEEN = _Seen()


def _normalize_seq_func(seq: Iterable[object]) -> tuple:
    """Each item, normalized."""
    return _SEEN.enter(seq, lambda: tuple(map(normalize_token, seq)))


@normalize_token._default((tuple, list))
def normalize_seq(seq: Any) -> tuple:
    return type(seq).__name__, _normalize_seq_func(seq)


@normalize_token._default((dict, types.MappingProxyType))
def normalize_dict(d: Any) -> tuple:
    def items() -> tuple:
        ordered = sorted(d.items(), key=lambda item: _tokenize((item[0],), None))
        return "dict", tuple((normalize_token(k), normalize_token(v)) for k, v in ordered)

    return _SEEN.enter(d, items)


@normalize_token.register(OrderedDict)
def normalize_ordered_dict(d: OrderedDict) -> tuple:
    return type(d), list(d.items())


@normalize_token._default((set, frozenset))
def normalize_set(s: Any) -> tuple:
    return type(s).__name__, tuple(sorted(_tokenize((member,), None) for member in s))


@normalize_token._default(object)
def normalize_object(o: object) -> object:
    """The description of an object without a registered normalizer: its own, or the digest of what it is made of."""
    method = getattr(o, "__dask_tokenize__", None)
    if method is not None and not isinstance(o, type):
        return method()
    return "object", _tokenize((o,), None)


def _describe(o: object) -> object:
    """What an object is made of, for the walk in Rust. Nothing that Rust writes by itself comes here."""
    func = normalize_token.dispatch(type(o))
    if func not in normalize_token._defaults:
        return func(o)
    method = getattr(o, "__dask_tokenize__", None)
    if method is not None and not isinstance(o, type):
        return method()
    if isinstance(o, type):
        return _describe_class(o)
    describe = _BY_TYPE.get(type(o))
    if describe is not None:
        return describe(o)
    if type(o) is object:
        return _describe_bare(o)
    if isinstance(o, enum.Enum):
        return "enum", type(o), o._value_
    fields = getattr(type(o), "__dataclass_fields__", None)
    if fields is not None:
        return "dataclass", type(o), [(name, getattr(o, name)) for name in fields if hasattr(o, name)]
    return _describe_reduced(o)


_bare: dict[int, object] = {}


def _describe_bare(o: object) -> object:
    random = _nondeterministic("object() cannot be deterministically hashed: it has no content.")
    # The same object keeps its token; it is kept alive, as its address may not serve another.
    _bare.setdefault(id(o), (o, random))
    return "object()", _bare[id(o)][1]  # type: ignore[index]


def _describe_reduced(o: object) -> object:
    import cloudpickle

    cls = type(o)
    reducer = copyreg.dispatch_table.get(cls) or cloudpickle.CloudPickler.dispatch_table.get(cls)
    try:
        parts = reducer(o) if reducer is not None else o.__reduce_ex__(5)
        if isinstance(parts, str):
            import pickle

            return "global", pickle.whichmodule(o, parts), parts  # type: ignore[attr-defined]
        func, args, state, items, pairs, setter = (*parts, None, None, None, None)[:6]
        # Items of a dict come in the order of insertion; only an OrderedDict, which has its own normalizer, cares.
        return (
            "reduced",
            func,
            args,
            state,
            None if items is None else list(items),
            None if pairs is None else dict(pairs),
            setter,
        )
    except RecursionError:
        raise
    except Exception as exc:
        return _nondeterministic(
            f"Object {_show(o)} cannot be deterministically hashed: it cannot be pickled ({exc!r})."
        )


def _show(o: object) -> str:
    try:
        return repr(o)
    except Exception:
        return f"of type {type(o)!r}"


# Classes and functions


def _importable(o: object, module: str | None, qualname: str) -> bool:
    """Whether another process finds the object under its name."""
    if module is None or module in ("__main__", "__mp_main__") or "<locals>" in qualname:
        return False
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found is o


def _module_name(o: Any) -> str | None:
    name = getattr(o, "__module__", None)
    return "__main__" if name == "__mp_main__" else name  # a spawned process calls the main module so


# Made by the interpreter for each class, or filled as the class is used.
_NO_CONTENT = frozenset(
    {
        "__dict__",
        "__weakref__",
        "__slotnames__",
        "_abc_impl",
        "__static_attributes__",
        "__annotations_cache__",
    }
)


def _describe_class(cls: type) -> object:
    module, qualname = _module_name(cls), cls.__qualname__
    if _importable(cls, module, qualname):
        return "class", module, qualname
    if isinstance(cls, enum.EnumMeta):
        content: dict[str, Any] = {k: v for k, v in vars(cls).items() if isinstance(v, _MEMBER_FUNCTIONS)}
        members: Any = cls.__members__
        content["__members__"] = {name: member._value_ for name, member in members.items()}
    else:
        content = {k: v for k, v in vars(cls).items() if k not in _NO_CONTENT}
    return "class by content", module, qualname, type(cls), cls.__bases__, content


_MEMBER_FUNCTIONS = (types.FunctionType, property, classmethod, staticmethod)


def _describe_function(f: Any) -> object:
    module, qualname = _module_name(f), f.__qualname__
    if _importable(f, module, qualname):
        return "function", module, qualname
    return (
        "function by content",
        module,
        qualname,
        f.__code__,
        f.__defaults__,
        f.__kwdefaults__,
        f.__closure__,
        {name: f.__globals__[name] for name in _names(f.__code__) if name in f.__globals__},
        f.__dict__,
    )


def _names(code: types.CodeType) -> set[str]:
    """Global names (and attribute names: the two are not told apart) that code uses."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _describe_code(code: types.CodeType) -> object:
    # The line tells apart functions that were defined twice in the same words; the file name would tie the token
    # to a directory, or to one run of a notebook's cell.
    return (
        "code",
        code.co_qualname,
        code.co_firstlineno,
        code.co_code,
        code.co_consts,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags),
        code.co_exceptiontable,
    )


def _describe_cell(cell: types.CellType) -> object:
    try:
        return "cell", cell.cell_contents
    except ValueError:
        return ("empty cell",)


_BY_TYPE: dict[type, Callable[[Any], object]] = {
    types.FunctionType: _describe_function,
    types.CodeType: _describe_code,
    types.CellType: _describe_cell,
    types.MethodType: lambda m: ("method", m.__self__, m.__func__),
    types.ModuleType: lambda m: ("module", m.__name__),
    property: lambda p: ("property", p.fget, p.fset, p.fdel, p.__doc__),
    classmethod: lambda c: ("classmethod", c.__func__),
    staticmethod: lambda c: ("staticmethod", c.__func__),
}


@normalize_token.register_lazy("numpy")
def _register_numpy() -> None:
    from weft._normalizers import register_numpy

    register_numpy(normalize_token)


@normalize_token.register_lazy("pandas")
def _register_pandas() -> None:
    from weft._normalizers import register_pandas

    register_pandas(normalize_token)


@normalize_token.register_lazy("pyarrow")
def _register_pyarrow() -> None:
    from weft._normalizers import register_pyarrow

    register_pyarrow(normalize_token)


@normalize_token.register_lazy("scipy")
def _register_scipy() -> None:
    from weft._normalizers import register_scipy

    register_scipy(normalize_token)


@normalize_token.register_lazy("numba")
def _register_numba() -> None:
    import numba

    @normalize_token.register(numba.core.serialize.ReduceMixin)
    def _(obj: Any) -> tuple:
        return normalize_token((obj._reduce_class(), obj._reduce_states()))
