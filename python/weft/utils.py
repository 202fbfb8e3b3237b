"""Helpers that libraries on top of weft import: names, files, duck typing, calls, locks.

Functions and their arguments are in ``_calls``, temporary files in ``_files``, duck typing in ``_kinds``, texts with units and
keys in ``_formats``, derived docstrings in ``_docs``, dispatch in ``_dispatch``; all their names are here too.
"""

from __future__ import annotations

import functools
import gc
import itertools
import re
import sys
import threading
import types
import uuid
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ContextDecorator, contextmanager, suppress
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from weft import config
from weft._calls import _BUILTINS as _BUILTINS
from weft._calls import _SEVERAL as _SEVERAL
from weft._calls import M as M
from weft._calls import MethodCache as MethodCache
from weft._calls import _method_cache as _method_cache
from weft._calls import apply as apply
from weft._calls import funcname as funcname
from weft._calls import getargspec as getargspec
from weft._calls import has_keyword as has_keyword
from weft._calls import itemgetter as itemgetter
from weft._calls import methodcaller as methodcaller
from weft._calls import partial_by_order as partial_by_order
from weft._calls import takes_multiple_arguments as takes_multiple_arguments
from weft._dispatch import Dispatch as Dispatch
from weft._docs import _derived_from as _derived_from
from weft._docs import derived_from as derived_from
from weft._docs import extra_titles as extra_titles
from weft._docs import get_named_args as get_named_args
from weft._docs import ignore_warning as ignore_warning
from weft._docs import skip_doctest as skip_doctest
from weft._docs import unsupported_arguments as unsupported_arguments
from weft._files import _here as _here
from weft._files import _remove as _remove
from weft._files import changed_cwd as changed_cwd
from weft._files import ensure_not_exists as ensure_not_exists
from weft._files import filetext as filetext
from weft._files import filetexts as filetexts
from weft._files import tmp_cwd as tmp_cwd
from weft._files import tmp_text as tmp_text
from weft._files import tmpdir as tmpdir
from weft._files import tmpfile as tmpfile
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
from weft._kinds import get_meta_library as get_meta_library
from weft._kinds import import_required as import_required
from weft._kinds import is_arraylike as is_arraylike
from weft._kinds import is_cupy_type as is_cupy_type
from weft._kinds import is_dataframe_like as is_dataframe_like
from weft._kinds import is_empty as is_empty
from weft._kinds import is_index_like as is_index_like
from weft._kinds import is_integer as is_integer
from weft._kinds import is_namedtuple_instance as is_namedtuple_instance
from weft._kinds import is_series_like as is_series_like

system_encoding = sys.getdefaultencoding()
if system_encoding == "ascii":
    system_encoding = "utf-8"


# Sequences and mappings


def deepmap(func: Callable, *seqs: Any) -> Any:
    """Apply a function to the items of nested lists.

    Examples
    --------
    >>> deepmap(lambda x: x + 1, [[1, 2], [3]])
    [[2, 3], [4]]
    """
    if isinstance(seqs[0], (list, Iterator)):
        return [deepmap(func, *items) for items in zip(*seqs)]
    return func(*seqs)


def homogeneous_deepmap(func: Callable, seq: Any) -> Any:
    """:func:`deepmap` for lists that nest equally deep everywhere."""
    if not isinstance(seq, (list, tuple)):
        return func(seq)
    depth = ndimlist(seq)
    return ndeepmap(depth, func, seq)


def ndeepmap(n: int, func: Callable, seq: Any) -> Any:
    """Apply a function ``n`` levels deep.

    Examples
    --------
    >>> ndeepmap(2, lambda x: x + 1, [[1], [2, 3]])
    [[2], [3, 4]]
    """
    if n > 1:
        return [ndeepmap(n - 1, func, item) for item in seq]
    if n == 1:
        return [func(item) for item in seq]
    return func(seq[0] if isinstance(seq, list) else seq)


def ndimlist(seq: Any) -> int:
    """How deep lists nest, along their first items.

    Examples
    --------
    >>> ndimlist([[1, 2], [3]]), ndimlist([]), ndimlist(1)
    (2, 1, 0)
    """
    depth = 0
    while isinstance(seq, (list, tuple)):
        depth += 1
        if not seq:
            break
        seq = seq[0]
    return depth


def concrete(seq: Any) -> Any:
    """Turn nested iterators into lists.

    Examples
    --------
    >>> concrete(map(iter, [[1], [2]]))
    [[1], [2]]
    """
    if isinstance(seq, Iterator):
        seq = list(seq)
    if isinstance(seq, (tuple, list)):
        seq = list(map(concrete, seq))
    return seq


def iter_chunks(sizes: Iterable[float], max_size: float) -> Iterator[list[float]]:
    """Cut a sequence of sizes into lists that sum to at most ``max_size``.

    Examples
    --------
    >>> list(iter_chunks([10, 10, 1, 20], 20))
    [[10, 10], [1], [20]]
    """
    chunk: list[float] = []
    total: float = 0
    for size in sizes:
        assert size <= max_size, f"size {size} is above max_size {max_size}"
        if chunk and total + size > max_size:
            yield chunk
            chunk, total = [], 0
        chunk.append(size)
        total += size
    if chunk:
        yield chunk


def insert(tup: Sequence, loc: int, val: Any) -> tuple:
    """A tuple with one item replaced.

    Examples
    --------
    >>> insert(("a", "b"), 0, "x")
    ('x', 'b')
    """
    changed = list(tup)
    changed[loc] = val
    return tuple(changed)


def digit(n: int, k: int, base: int) -> int:
    """The ``k``-th digit of a number, from the right.

    Examples
    --------
    >>> digit(1234, 0, 10), digit(1234, 3, 10)
    (4, 1)
    """
    return n // base**k % base


def unzip(ls: Iterable, nout: int) -> list:
    """The columns of a sequence of rows; ``nout`` empty ones where there are no rows."""
    return list(zip(*ls)) or [()] * nout


def stringify(obj: Any, exclusive: Iterable | None = None) -> Any:
    """An object as text; with ``exclusive``, only the values in it that are listed there.

    Examples
    --------
    >>> stringify(("a", 0))
    "('a', 0)"
    >>> stringify({"k": ("a", 0), "l": 1}, exclusive={("a", 0)})
    {'k': "('a', 0)", 'l': 1}
    """
    kind = type(obj)
    if kind is str or kind is bytes:
        return obj
    if exclusive is None:
        return str(obj)
    if kind is list:
        return [stringify(item, exclusive) for item in obj]
    if kind is dict:
        return {key: stringify(value, exclusive) for key, value in obj.items()}
    try:
        if obj in exclusive:  # type: ignore[operator]
            return str(obj)
    except TypeError:
        pass  # not hashable
    return tuple(stringify(item, exclusive) for item in obj) if kind is tuple else obj


def ensure_dict(d: Mapping, *, copy: bool = False) -> dict:
    """A mapping as a dict; the same object where it is one and ``copy`` is false."""
    if type(d) is dict:
        return d.copy() if copy else d
    layers = getattr(d, "layers", None)
    if not isinstance(layers, Mapping):
        return dict(d)
    # A graph in layers: one layer can stand under several names.
    merged: dict = {}
    for layer in {id(layer): layer for layer in layers.values()}.values():
        merged.update(layer)
    return merged


def ensure_set(s: AbstractSet, *, copy: bool = False) -> set:
    """A set-like object as a set; the same object where it is one and ``copy`` is false."""
    if type(s) is set:
        return s.copy() if copy else s
    return set(s)


def ensure_bytes(s: Any) -> bytes:
    """Text or a buffer as bytes.

    Examples
    --------
    >>> ensure_bytes("123"), ensure_bytes(bytearray(b"123"))
    (b'123', b'123')
    """
    if isinstance(s, bytes):
        return s
    if hasattr(s, "encode"):
        return s.encode()
    try:
        return bytes(s)
    except Exception as e:
        raise TypeError(f"Object {s} is neither a bytes object nor can be encoded to bytes") from e


def ensure_unicode(s: Any) -> str:
    """Bytes or a buffer as text.

    Examples
    --------
    >>> ensure_unicode(b"123"), ensure_unicode("123")
    ('123', '123')
    """
    if isinstance(s, str):
        return s
    try:
        return s.decode() if hasattr(s, "decode") else bytes(memoryview(s)).decode()
    except Exception as e:
        raise TypeError(f"Object {s} is neither a str object nor can be decoded to str") from e


# Objects


class IndexCallable:
    """Calls a function by ``[]``.

    Examples
    --------
    >>> IndexCallable(lambda x: x + 1)[2]
    3
    """

    __slots__ = ("fn",)

    def __init__(self, fn: Callable):
        self.fn = fn

    def __getitem__(self, key: Any) -> Any:
        return self.fn(key)


class cached_property(functools.cached_property):
    """A ``functools.cached_property`` that cannot be assigned to."""

    def __set__(self, instance: Any, val: Any) -> None:
        raise AttributeError("Can't set attribute")


class OperatorMethodMixin:
    """Methods for operators, made by two factories that a class gives."""

    __slots__ = ()

    @classmethod
    def _bind_operator(cls, op: Callable) -> None:
        name = {"inv": "invert"}.get(op.__name__, op.__name__.rstrip("_"))
        if name in ("abs", "invert", "neg", "pos"):
            setattr(cls, f"__{name}__", cls._get_unary_operator(op))
            return
        setattr(cls, f"__{name}__", cls._get_binary_operator(op))
        if name not in ("eq", "gt", "ge", "lt", "le", "ne", "getitem"):
            setattr(cls, f"__r{name}__", cls._get_binary_operator(op, inv=True))

    @classmethod
    def _get_unary_operator(cls, op: Callable) -> Callable:
        raise NotImplementedError

    @classmethod
    def _get_binary_operator(cls, op: Callable, inv: bool = False) -> Callable:
        raise NotImplementedError


class SerializableLock:
    """A lock that can be pickled: within a process, equal tokens mean the same lock.

    It does not exclude other processes.

    Parameters
    ----------
    token : hashable, optional
        The lock's name; a new one where None.

    Examples
    --------
    >>> import pickle
    >>> lock = SerializableLock()
    >>> pickle.loads(pickle.dumps(lock)).lock is lock.lock
    True
    """

    _locks: ClassVar[WeakValueDictionary[Hashable, Any]] = WeakValueDictionary()
    _guard: ClassVar[Any] = threading.Lock()
    token: Hashable
    lock: Any

    def __init__(self, token: Hashable | None = None):
        self.token = token or str(uuid.uuid4())
        with SerializableLock._guard:
            self.lock = SerializableLock._locks.setdefault(self.token, threading.Lock())

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        return self.lock.acquire(*args, **kwargs)

    def release(self) -> None:
        self.lock.release()

    def locked(self) -> bool:
        return self.lock.locked()

    def __enter__(self) -> None:
        self.lock.__enter__()

    def __exit__(self, *args: Any) -> None:
        self.lock.__exit__(*args)

    def __getstate__(self) -> Hashable:
        return self.token

    def __setstate__(self, token: Hashable) -> None:
        self.__init__(token)  # type: ignore[misc]

    def __dask_tokenize__(self) -> tuple:
        return "SerializableLock", self.token

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.token}>"


def get_scheduler_lock(collection: Any = None, scheduler: Any = None) -> Any:
    """A lock that holds among the tasks of the scheduler that would run a collection."""
    from weft.base import get_scheduler

    get = get_scheduler(collections=[collection], scheduler=scheduler)
    multiprocessing = sys.modules.get("weft.multiprocessing")
    if multiprocessing is not None and get == multiprocessing.get:
        return multiprocessing.get_context().Manager().Lock()
    return SerializableLock()


class disable_gc(ContextDecorator):
    """Switch the garbage collector off for a while, as a context or a decorator."""

    def __init__(self, collect: bool = False):
        self.collect = collect
        self._was_enabled = gc.isenabled()

    def __enter__(self) -> disable_gc:
        gc.disable()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        if self._was_enabled:
            gc.enable()
        if self.collect:
            gc.collect()


class shorten_traceback:
    """Leave frames that match the setting ``admin.traceback.shorten`` out of an error's traceback.

    The first and the last frame stay.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        if exc_val is not None and exc_tb is not None:
            exc_val.__traceback__ = self.shorten(exc_tb)

    @staticmethod
    def shorten(exc_tb: types.TracebackType) -> types.TracebackType:
        patterns = config.get("admin.traceback.shorten", None)
        if not patterns:
            return exc_tb
        hidden = re.compile(".*(" + "|".join(patterns) + ")")
        kept, frame = exc_tb, exc_tb.tb_next
        while frame is not None:
            if frame.tb_next is None or not hidden.match(frame.tb_frame.f_code.co_filename):
                kept.tb_next = frame
                kept = frame
            frame = frame.tb_next
        return exc_tb


@contextmanager
def ignoring(*exceptions: type[BaseException]) -> Iterator[None]:
    """Pass over errors of these types."""
    with suppress(*exceptions):
        yield


# Numbers


def random_state_data(n: int, random_state: Any = None) -> list:
    """Seeds for ``n`` independent ``numpy.random.RandomState``.

    Parameters
    ----------
    n : int
        How many.
    random_state : int or RandomState, optional
        What they are drawn from.

    Returns
    -------
    list of numpy.ndarray
        Each of 624 uint32, shape (624,).
    """
    import numpy as np

    if not all(hasattr(random_state, name) for name in ("normal", "beta", "bytes", "uniform")):
        random_state = np.random.RandomState(random_state)
    return list(np.frombuffer(random_state.bytes(624 * 4 * n), dtype="<u4").reshape(n, 624))


def pseudorandom(n: int, p: Sequence[float], random_state: Any = None) -> Any:
    """Indices into ``p``, drawn with the probabilities that it lists.

    Returns
    -------
    numpy.ndarray
        Shape (n,), dtype int8.
    """
    import numpy as np

    edges = np.cumsum([0, *p])
    assert np.allclose(1, edges[-1]), "the probabilities must sum to 1"
    assert len(p) < 128, "at most 127 probabilities"
    if not isinstance(random_state, np.random.RandomState):
        random_state = np.random.RandomState(random_state)
    index = np.searchsorted(edges, random_state.random_sample(n), side="right") - 1
    return np.minimum(index, len(p) - 1).astype("i1")


def cached_max(seq: tuple) -> Any:
    """The largest item of a tuple."""
    return max(seq)


def cached_cumsum(seq: Iterable, initial_zero: bool = False) -> tuple:
    """Cumulative sums, with a leading 0 if asked for.

    Examples
    --------
    >>> cached_cumsum((1, 2, 3)), cached_cumsum((1, 2), initial_zero=True)
    ((1, 3, 6), (0, 1, 3))
    """
    return tuple(itertools.accumulate(seq, initial=0 if initial_zero else None))


# Deprecation


def _deprecated(
    *,
    version: str | None = None,
    after_version: str | None = None,
    message: str | None = None,
    use_instead: str | None = None,
    category: type[Warning] = FutureWarning,
) -> Callable:
    """A decorator for functions that will go."""

    def decorator(func: Callable) -> Callable:
        text = message
        if text is None:
            text = f"{func.__name__} "
            if version is not None:
                text += f"has been deprecated in version {version} "
            elif after_version is not None:
                text += f"is deprecated after version {after_version} "
            else:
                text += "is deprecated "
            text += "and will be removed in a future release"
            if use_instead is not None:
                text += f", please use {use_instead} instead"

        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            warnings.warn(text, category, stacklevel=2)
            return func(*args, **kwargs)

        return wrapper

    return decorator


def get_default_shuffle_method() -> str:
    """How rows are exchanged unless said otherwise: the setting ``dataframe.shuffle.method``, else "tasks"."""
    return config.get("dataframe.shuffle.method", None) or "tasks"


def show_versions() -> None:
    """Print the versions of Python, weft and the libraries that weft works with, as JSON."""
    import json
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {"Python": platform.python_version(), "Platform": platform.system()}
    for name in ("weft", "numpy", "pandas", "cloudpickle", "fsspec", "pyarrow", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    print(json.dumps(found, indent=2))
