"""Arrays over things that can be sliced."""

from __future__ import annotations

import math
import uuid
from itertools import pairwise, product
from typing import Any

import numpy as np

from weft._task_spec import DataNode, Task, TaskRef
from weft._weft import ArrayExpr, Graph
from weft.array import _exprs
from weft.array._chunks import cached_starts, normalize_chunks, slices_from_chunks
from weft.array._host import step
from weft.array.utils import meta_from_array
from weft.base import is_dask_collection, tokenize
from weft.utils import SerializableLock, has_keyword


def getter(a: Any, b: Any, asarray: Any = True, lock: Any = None) -> Any:
    """The part ``b`` of ``a``, under a lock if there is one, as an array in memory."""
    if isinstance(b, tuple) and any(x is None for x in b):
        inner = tuple(x for x in b if x is not None)
        outer = tuple(None if x is None else slice(None) for x in b if not isinstance(x, (int, np.integer)))
        return getter(a, inner, asarray=asarray, lock=lock)[outer]
    if lock:
        lock.acquire()
    try:
        part = a[b]
        # A source without NumPy's protocols gives whatever it likes.
        if asarray is None:
            asarray = not hasattr(part, "__array_function__")
        if asarray:
            part = np.asarray(part)
    finally:
        if lock:
            lock.release()
    return part


def getter_nofancy(a: Any, b: Any, asarray: Any = True, lock: Any = None) -> Any:
    """`getter` for sources that take only slices."""
    return getter(a, b, asarray=asarray, lock=lock)


def getter_inline(a: Any, b: Any, asarray: Any = True, lock: Any = None) -> Any:
    """`getter` for sources that belong into each task."""
    return getter(a, b, asarray=asarray, lock=lock)


def graph_from_arraylike(
    arr: Any,
    chunks: Any,
    shape: Any,
    name: str,
    getitem: Any = getter,
    lock: Any = False,
    asarray: Any = True,
    dtype: Any = None,
    inline_array: bool = False,
) -> Graph:
    """The graph that slices ``arr`` into blocks."""
    chunks = normalize_chunks(chunks, shape, dtype=dtype)
    extra = {}
    if (asarray is not True or lock) and has_keyword(getitem, "asarray") and has_keyword(getitem, "lock"):
        extra = {"asarray": asarray, "lock": lock}
    tasks: dict = {}
    source = arr
    if not inline_array:
        tasks[f"original-{name}"] = DataNode(f"original-{name}", arr)
        source = TaskRef(f"original-{name}")
    for at, part in zip(product(*(range(len(c)) for c in chunks)), slices_from_chunks(chunks)):
        key = (name, *at)
        if inline_array:
            tasks[key] = Task(key, _Inline(getitem, source, part, extra))
        else:
            tasks[key] = Task(key, getitem, source, part, **extra)
    return Graph(tasks)


class _Inline:
    """A call whose first argument is data, even where that looks like a reference."""

    def __init__(self, getitem: Any, source: Any, part: Any, extra: dict):
        self.call = (getitem, source, part, extra)

    def __call__(self) -> Any:
        getitem, source, part, extra = self.call
        return getitem(source, part, **extra)

    def __dask_tokenize__(self) -> Any:
        return self.call


def from_array(
    x: Any,
    chunks: Any = "auto",
    name: Any = None,
    lock: Any = False,
    asarray: Any = None,
    fancy: bool = True,
    getitem: Any = None,
    meta: Any = None,
    inline_array: bool = False,
) -> Any:
    """An array over something that can be sliced: NumPy, HDF5, Zarr, memory maps, ….

    Parameters
    ----------
    x : array-like
        Has ``shape``, ``dtype`` and slicing.
    chunks : int, tuple, str or dict
        See `normalize_chunks`.
    name : str or bool, optional
        What keys start with. False: a name of its own each time, for sources that are slow to hash.
    lock : bool or Lock
        Whether only one task at a time may read ``x``.
    asarray : bool, optional
        Whether to make NumPy arrays of what slicing gives; by default where it lacks NumPy's protocols.
    fancy : bool
        Whether ``x`` can be indexed with lists.
    getitem : callable, optional
        What slices ``x``.
    meta : array, optional
        An empty array like what slicing gives.
    inline_array : bool
        Whether ``x`` is part of each task instead of a task of its own.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``x`` is a lazy array already.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> x = da.from_array(np.arange(6).reshape(2, 3), chunks=(1, 3))
    >>> x.chunks
    ((1, 1), (3,))
    """
    from weft.array.core import Array

    if isinstance(x, Array):
        raise ValueError("Array is already a dask array. Use 'asarray' or 'rechunk' instead.")
    if is_dask_collection(x) and type(x).__module__.startswith("xarray"):
        raise ValueError("xarray objects with lazy data are no source: take their .data")
    if isinstance(x, (list, tuple, memoryview, np.generic, int, float, complex, bool, str)):
        x = np.array(x)
    if is_dask_collection(x) and hasattr(x, "to_dask_array"):
        raise ValueError("a lazy frame is no source: use its to_dask_array()")
    if getattr(x, "dtype", None) is None:
        dtype = np.asarray(x[(slice(0, 1),) * len(x.shape)]).dtype
    else:
        dtype = x.dtype
    if asarray is None:
        asarray = not hasattr(x, "__array_function__")
    # Shards are what is written at once.
    previous = getattr(x, "shards", None) or getattr(x, "chunks", None)
    if not isinstance(previous, tuple):
        previous = None
    chunks = normalize_chunks(chunks, x.shape, dtype=dtype, previous_chunks=previous)
    if name in (None, True):
        name = f"array-{tokenize(x, chunks, lock, asarray, fancy, getitem, inline_array)}"
    elif name is False:
        name = f"array-{uuid.uuid1()}"
    if lock is True:
        lock = SerializableLock()
    plain = type(x) in (np.ndarray, np.ma.MaskedArray)
    single = math.prod(map(len, chunks)) == 1
    if plain and not lock and getitem is None and not inline_array:
        made = meta_from_array(x if meta is None else meta, ndim=len(chunks), dtype=dtype)
        # The array may change later; what an array of one block says must not.
        if type(x) is np.ndarray and _exprs.is_plain(made) and made.dtype == x.dtype:
            whole = x.copy() if single else x
            expr = ArrayExpr.buffer(
                whole, chunks, _exprs.dtype_name(x.dtype), token=str(name), name=str(name), exact=True
            )
            return Array._of(expr, made)
        parts = [x.copy()] if single else [x[part] for part in slices_from_chunks(chunks)]
        return Array._of(_exprs.blocks(parts, name, chunks, made), made)
    if getitem is None:
        getitem = getter if fancy else getter_nofancy
    if meta is None:
        meta = x if not asarray or plain else None
    meta = meta_from_array(meta, ndim=len(chunks), dtype=dtype)
    extra = {} if asarray is True and not lock else {"asarray": asarray, "lock": lock}
    cuts = [list(pairwise(cached_starts(c))) for c in chunks]
    if inline_array:
        source = Source(_Read(getitem, cuts, extra, x), None)
    else:
        original = f"original-{name}"
        graph = Graph({original: DataNode(original, x)})
        shared = ArrayExpr.tasks(graph, original, (), "object", token=original, keys=[original], plain=False)
        source = Source(_Read(getitem, cuts, extra), shared)
    return source.array(chunks, meta, str(name), "array")


class _Read:
    """The block of a source at a position. The source comes as an argument, or belongs to the step.

    ``cuts`` has an entry for each axis of the source: an integer, or ``(start, stop)`` or ``(start, stop, step)`` for
    each position along it.
    """

    def __init__(self, getitem: Any, cuts: list, extra: dict, *source: Any):
        self.getitem, self.cuts, self.extra, self.source = getitem, cuts, extra, source

    def __call__(self, at: tuple, *source: Any) -> Any:
        left = iter(at)
        part = tuple(cut if isinstance(cut, int) else slice(*cut[next(left)]) for cut in self.cuts)
        return self.getitem(*(source or self.source), part, **self.extra)


class Source:
    """Where an array's blocks are read from: what is sliced off at once is not read."""

    def __init__(self, read: _Read, shared: Any):
        self.read, self.shared = read, shared

    def array(self, chunks: tuple, meta: Any, name: str, label: str) -> Any:
        operands = [] if self.shared is None else [(self.shared, ())]
        made = step(self.read, operands, chunks, meta, name, numbered=True, fallback=False, label=label)
        made._source_ = self
        return made

    def sliced(self, plans: Any, chunks: tuple, meta: Any, name: str) -> Any:
        """The array of the blocks that `regrid` describes, if each is a slice of one block; else None."""
        cuts: list = []
        left = iter(plans)
        for old in self.read.cuts:
            if isinstance(old, int):
                cuts.append(old)
                continue
            plan = next(left)
            new: list = []
            for pieces, order in plan:
                if order is not None or len(pieces) != 1:
                    return None
                [(block, part)] = pieces
                start, stop, *steps = old[block]
                by = steps[0] if steps else 1
                inside = range(start, stop, by)
                if isinstance(part, (int, np.integer)):
                    new.append(inside[int(part)])
                elif isinstance(part, slice):
                    wanted = inside[part]
                    if wanted.step < 0:
                        return None
                    new.append((wanted.start, wanted.stop, wanted.step))
                else:
                    return None
            cuts.append(new[0] if isinstance(new[0], int) else new)
        read = self.read
        return Source(_Read(read.getitem, cuts, read.extra, *read.source), self.shared).array(
            chunks, meta, name, name.rsplit("-", 1)[0]
        )


def asarray(
    a: Any,
    allow_unknown_chunksizes: bool = False,
    dtype: Any = None,
    order: Any = None,
    *,
    like: Any = None,
    **kwargs: Any,
) -> Any:
    """Makes a lazy array of anything.

    Parameters
    ----------
    a : array-like
        Lists may hold lazy arrays.
    allow_unknown_chunksizes : bool
        Whether lazy arrays in a list may have unknown chunks.
    dtype : dtype, optional
    order : {"C", "F"}, optional
    like : array, optional
        Its type is made.
    **kwargs
        Passed on to `from_array`.

    Returns
    -------
    Array

    Examples
    --------
    >>> import weft.array as da
    >>> da.asarray([1, 2, 3]).compute()
    array([1, 2, 3])
    """
    return _as_array(a, allow_unknown_chunksizes, dtype, order, like, True, kwargs)


def asanyarray(
    a: Any, dtype: Any = None, order: Any = None, *, like: Any = None, inline_array: bool = False
) -> Any:
    """Like `asarray`, and keeps blocks of other libraries.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> type(da.asanyarray(np.ma.masked_equal([1, 2], 2)).compute()).__name__
    'MaskedArray'
    """
    return _as_array(a, False, dtype, order, like, False, {"inline_array": inline_array})


def _as_array(a: Any, unknown: bool, dtype: Any, order: Any, like: Any, asarray: bool, kwargs: dict) -> Any:
    from weft.array._join import stack
    from weft.array.core import Array, PerformanceWarning  # noqa: F401

    if like is not None:
        if isinstance(like, Array):
            like = None if type(like._meta) is np.ndarray and isinstance(a, Array) else like._meta
    if like is None and isinstance(a, Array):
        return a if dtype is None or a.dtype == np.dtype(dtype) else a.astype(dtype)
    if like is not None and isinstance(a, Array):
        return a.map_blocks(np.asarray, like=like, dtype=dtype or a.dtype)
    if hasattr(a, "to_dask_array"):
        result = a.to_dask_array()
        return result if dtype is None else result.astype(dtype)
    if type(a).__module__.split(".")[0] == "xarray" and hasattr(a, "data"):
        return _as_array(a.data, unknown, dtype, order, None, asarray, kwargs)
    if isinstance(a, (list, tuple)) and any(isinstance(i, Array) for i in _leaves(a)):
        result = _stack_nested(a, stack, unknown)
        return result if dtype is None else result.astype(dtype)
    convert = np.asarray if asarray else np.asanyarray
    if like is not None:
        a = convert(a, dtype=dtype, order=order, like=meta_from_array(like))
    elif not hasattr(a, "shape") or not hasattr(a, "dtype"):
        a = convert(a, dtype=dtype, order=order)
    elif isinstance(a, np.ndarray) and (dtype is not None or order is not None):
        a = convert(a, dtype=dtype, order=order)
    elif dtype is not None and hasattr(a, "astype") and a.dtype != np.dtype(dtype):
        a = a.astype(dtype)
    chunks = kwargs.pop("chunks", a.shape)
    as_numpy = (
        asarray
        if like is None and (not asarray or not hasattr(a, "__array_function__") or isinstance(a, np.ndarray))
        else False
    )
    if asarray and type(a) is not np.ndarray and isinstance(a, np.ndarray) and like is None:
        a = np.asarray(a)
    return from_array(
        a,
        chunks=chunks,
        getitem=getter_inline if type(a) is not np.ndarray else None,
        asarray=as_numpy,
        **kwargs,
    )


def _leaves(a: Any):
    for i in a:
        if isinstance(i, (list, tuple)):
            yield from _leaves(i)
        else:
            yield i


def _stack_nested(a: Any, stack: Any, unknown: bool) -> Any:
    if isinstance(a, (list, tuple)):
        return stack([_stack_nested(i, stack, unknown) for i in a], allow_unknown_chunksizes=unknown)
    return a if hasattr(a, "chunks") and hasattr(a, "dask") else asarray(a)


def from_func(
    func: Any,
    shape: Any,
    dtype: Any = None,
    name: str | None = None,
    args: tuple = (),
    kwargs: dict | None = None,
) -> Any:
    """An array of one block that ``func`` makes."""
    from weft.array.core import Array

    name = name or f"from_func-{tokenize(func, shape, dtype, args, kwargs)}"
    key = (name, *(0,) * len(shape))
    task = Task(key, func, *args, **(kwargs or {}))
    return Array({key: task}, name, tuple((int(n),) for n in shape), dtype=dtype)


def new_da_object(dsk: Any, name: str, chunks: Any, meta: Any = None, dtype: Any = None) -> Any:
    """A collection over blocks of the type of ``meta``."""
    from weft.array.core import Array

    return Array(dsk, name=name, chunks=chunks, meta=meta, dtype=dtype)
