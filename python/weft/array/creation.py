"""Arrays made of nothing, or of the shape of another."""

from __future__ import annotations

import math
from functools import partial
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np

from weft.array import _native, chunk
from weft.array._chunks import cached_starts, is_known, normalize_chunks
from weft.array._host import step as make_step
from weft.array._join import broadcast_arrays, broadcast_to, concatenate, stack
from weft.array.blockwise import blockwise
from weft.array.numpy_compat import NUMPY_GE_200, AxisError
from weft.array.utils import meta_from_array, validate_axis
from weft.array.wrap import empty, full, ones, zeros
from weft.base import tokenize


def to_backend(x: Any, backend: str | None = None, **kwargs: Any) -> Any:
    """The array with blocks of another library.

    Parameters
    ----------
    x : Array
    backend : str, optional
        The setting ``array.backend`` by default.
    """
    from weft.array.backends import array_creation_dispatch

    name = backend or array_creation_dispatch.backend
    return array_creation_dispatch.dispatch(name).to_backend(x, **kwargs)


def _like_shape(a: Any, chunks: Any, shape: Any) -> tuple[Any, Any]:
    if shape is None:
        return a.shape, chunks if chunks is not None else a.chunks
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    return shape, "auto" if chunks is None else chunks


def _like(make: Any, what: str, name_of: str) -> Any:
    def like(a, dtype=None, order="C", chunks=None, name=None, shape=None):
        from weft.array.core import asarray

        a = asarray(a)
        shape, chunks = _like_shape(a, chunks, shape)
        if any(not is_known(n) for n in shape):
            if shape is a.shape:
                np_like = getattr(np, name_of)
                return a.map_blocks(partial(np_like, dtype=dtype or a.dtype), dtype=dtype or a.dtype)
        plain = type(a._meta) is np.ndarray
        return make(
            shape,
            dtype=dtype or a.dtype,
            order=order,
            chunks=chunks,
            name=name,
            **({} if plain else {"meta": a._meta}),
        )

    like.__name__ = like.__qualname__ = name_of
    like.__doc__ = f"""An array of {what} of the shape and type of another.

    Parameters
    ----------
    a : array
    dtype : dtype, optional
        That of ``a`` by default.
    order : {{"C", "F"}}
    chunks : tuple, optional
        Those of ``a`` by default.
    name : str, optional
    shape : tuple of int, optional
        That of ``a`` by default.

    Returns
    -------
    Array

    Examples
    --------
    >>> import weft.array as da
    >>> da.{name_of}(da.arange(3, chunks=2)).chunks
    ((2, 1),)
    """
    return like


ones_like = _like(ones, "ones", "ones_like")
zeros_like = _like(zeros, "zeros", "zeros_like")
empty_like = _like(empty, "arbitrary values", "empty_like")


def full_like(
    a: Any,
    fill_value: Any,
    order: str = "C",
    dtype: Any = None,
    chunks: Any = None,
    name: Any = None,
    shape: Any = None,
) -> Any:
    """An array of one value of the shape and type of another.

    Examples
    --------
    >>> import weft.array as da
    >>> da.full_like(da.arange(3, chunks=2), 7).compute()
    array([7, 7, 7])
    """
    from weft.array.core import asarray

    a = asarray(a)
    shape, chunks = _like_shape(a, chunks, shape)
    if any(not is_known(n) for n in shape) and shape is a.shape:
        return a.map_blocks(
            partial(np.full_like, fill_value=fill_value, dtype=dtype or a.dtype), dtype=dtype or a.dtype
        )
    plain = type(a._meta) is np.ndarray
    return full(
        shape,
        fill_value,
        dtype=dtype or a.dtype,
        order=order,
        chunks=chunks,
        name=name,
        **({} if plain else {"meta": a._meta}),
    )


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    chunks: Any = "auto",
    dtype: Any = None,
) -> Any:
    """Numbers at equal distances between two bounds.

    Parameters
    ----------
    start, stop : float
    num : int
        How many.
    endpoint : bool
        Whether ``stop`` is the last.
    retstep : bool
        Whether to return the distance as well.
    chunks : int or tuple
    dtype : dtype, optional

    Returns
    -------
    Array, or Array and float

    Examples
    --------
    >>> import weft.array as da
    >>> da.linspace(0, 1, 3, chunks=2).compute()
    array([0. , 0.5, 1. ])
    """

    num = int(num)
    if dtype is None:
        dtype = np.linspace(0, 1, 1).dtype
    chunks = normalize_chunks(chunks, (num,), dtype=dtype)
    span = stop - start
    div = (num - 1) if endpoint else num
    step = float(span) / (div if div else 1)
    name = f"linspace-{tokenize(start, stop, num, endpoint, chunks, dtype)}"
    whole = _Linspace(start, stop, step, num, endpoint, chunks[0], dtype)
    result = make_step(whole, [], chunks, np.empty(0, dtype), name, numbered=True)
    return (result, step) if retstep else result


class _Linspace:
    """The block of `linspace` at a position, by NumPy's own formula: the last number is exactly ``stop``."""

    def __init__(self, start: Any, stop: Any, step: Any, num: int, endpoint: bool, sizes: tuple, dtype: Any):
        self.start, self.stop, self.step, self.num, self.endpoint = start, stop, step, num, endpoint
        self.starts, self.dtype = cached_starts(sizes), dtype

    def __call__(self, at: tuple) -> Any:
        first, last = self.starts[at[0]], self.starts[at[0] + 1]
        numbers = np.arange(first, last, dtype=np.result_type(self.start, self.stop, float(self.num)))
        numbers = numbers * self.step + self.start
        if self.endpoint and last == self.num > 1:
            numbers[-1] = self.stop
        if np.dtype(self.dtype).kind in "iu":
            numbers = np.floor(numbers)
        return numbers.astype(self.dtype, copy=False)


def arange(
    start: Any = None,
    stop: Any = None,
    step: Any = 1,
    *,
    chunks: Any = "auto",
    like: Any = None,
    dtype: Any = None,
    **kwargs: Any,
) -> Any:
    """Numbers at a distance of ``step``.

    Parameters
    ----------
    start, stop, step : int or float
        Only one number given is ``stop``.
    chunks : int or tuple
    like : array, optional
        Blocks are of its type.
    dtype : dtype, optional

    Returns
    -------
    Array

    Examples
    --------
    >>> import weft.array as da
    >>> da.arange(2, 8, 2, chunks=2).compute()
    array([2, 4, 6])
    """

    if start is None:
        raise TypeError("arange() requires stop to be specified.")
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ZeroDivisionError("step must not be 0")
    num = int(max(np.ceil((stop - start) / step), 0))
    meta = meta_from_array(like) if like is not None else None
    if dtype is None:
        one = np.arange(type(start)(start), stop, step if num else 1)[:0] if num < 1000 else None
        dtype = one.dtype if one is not None else np.arange(start, start + step * 2, step)[:1].dtype
        if num >= 1000:
            dtype = np.result_type(
                dtype, np.asarray(stop).dtype if not isinstance(stop, int) or abs(stop) > 2**62 else dtype
            )
    dtype = np.dtype(dtype)
    chunks = normalize_chunks(chunks, (num,), dtype=dtype)
    if kwargs:
        raise TypeError(f"Unexpected keyword argument(s): {','.join(kwargs)}")
    if meta is None:
        made = _native.arange(start, step, num, chunks, dtype)
        if made is not None:
            return made
    name = f"arange-{tokenize(start, stop, step, chunks, dtype, type(meta))}"
    block = _Arange(start, step, chunks[0], dtype, meta)
    if meta is None:
        meta = np.empty(0, dtype)
    return make_step(block, [], chunks, meta_from_array(meta, 1, dtype), name, numbered=True)


class _Arange:
    """The block of `arange` at a position."""

    def __init__(self, start: Any, step: Any, sizes: tuple, dtype: Any, like: Any):
        self.start, self.step, self.sizes, self.dtype, self.like = start, step, sizes, dtype, like
        self.starts = cached_starts(sizes)

    def __call__(self, at: tuple) -> Any:
        done, n = self.starts[at[0]], self.sizes[at[0]]
        first, last = self.start + done * self.step, self.start + (done + n) * self.step
        return chunk.arange(first, last, self.step, n, self.dtype, like=self.like)


def meshgrid(*xi: Any, sparse: bool = False, indexing: str = "xy", **kwargs: Any) -> Any:
    """Coordinates of a grid, from the coordinates along its axes.

    Parameters
    ----------
    *xi : 1-d arrays
    sparse : bool
        Whether results keep axes of one element.
    indexing : {"xy", "ij"}
        Whether the first two axes are exchanged.

    Returns
    -------
    tuple of Array

    Examples
    --------
    >>> import weft.array as da
    >>> [a.shape for a in da.meshgrid(da.arange(2), da.arange(3))]
    [(3, 2), (3, 2)]
    """
    from weft.array.core import asarray

    if "copy" in kwargs:
        raise NotImplementedError("`copy` not supported")
    if kwargs:
        raise TypeError(f"unsupported keyword argument(s) provided: {sorted(kwargs)}")
    if indexing not in ("ij", "xy"):
        raise ValueError("`indexing` must be `'ij'` or `'xy'`")
    arrays = [asarray(x).flatten() for x in xi]
    if indexing == "xy" and len(arrays) > 1:
        arrays[0], arrays[1] = arrays[1], arrays[0]
    grid = [
        a[tuple(slice(None) if i == j else None for j in range(len(arrays)))] for i, a in enumerate(arrays)
    ]
    if not sparse:
        grid = list(broadcast_arrays(*grid))
    if indexing == "xy" and len(arrays) > 1:
        grid[0], grid[1] = grid[1], grid[0]
    return tuple(grid) if NUMPY_GE_200 else list(grid)


def indices(dimensions: Any, dtype: Any = int, chunks: Any = "auto") -> Any:
    """The position of each element of a grid.

    Returns
    -------
    Array
        Of shape ``(len(dimensions), *dimensions)``.

    Examples
    --------
    >>> import weft.array as da
    >>> da.indices((2, 2), chunks=2)[1].compute()
    array([[0, 1],
           [0, 1]])
    """
    dimensions = tuple(dimensions)
    dtype = np.dtype(dtype)
    chunks = normalize_chunks(chunks, dimensions, dtype=dtype)
    if len(dimensions) != len(chunks):
        raise ValueError("Need same number of chunks as dimensions.")
    axes = [arange(n, dtype=dtype, chunks=(c,)) for n, c in zip(dimensions, chunks)]
    grid = meshgrid(*axes, indexing="ij") if axes else []
    if grid:
        return stack(grid)
    return empty((len(dimensions), *dimensions), dtype=dtype, chunks=(1,))


def eye(N: int, chunks: Any = "auto", M: Any = None, k: int = 0, dtype: Any = float) -> Any:
    """Ones on a diagonal, zeros elsewhere.

    Parameters
    ----------
    N : int
        Rows.
    chunks : int or str
        Size of the (square) blocks.
    M : int, optional
        Columns; ``N`` by default.
    k : int
        Number of the diagonal.
    dtype : dtype

    Returns
    -------
    Array
        Of shape ``(N, M)``.

    Examples
    --------
    >>> import weft.array as da
    >>> da.eye(2, chunks=1).compute()
    array([[1., 0.],
           [0., 1.]])
    """

    M = N if M is None else M
    dtype = np.dtype(dtype)
    if not isinstance(chunks, (int, str)):
        raise ValueError("chunks must be an int or string")
    if chunks == "auto":
        both = normalize_chunks("auto", (N, M), dtype=dtype)
        chunks = both[0][0]
    rows, columns = normalize_chunks(chunks, (N, M), dtype=dtype)
    name = f"eye-{tokenize(N, chunks, M, k, dtype)}"
    meta = np.empty((0, 0), dtype)
    return make_step(_Eye(rows, columns, k, dtype), [], (rows, columns), meta, name, numbered=True)


class _Eye:
    """The block of `eye` at a position."""

    def __init__(self, rows: tuple, columns: tuple, k: int, dtype: Any):
        self.chunks, self.k, self.dtype = (rows, columns), k, dtype
        self.starts = (cached_starts(rows), cached_starts(columns))

    def __call__(self, at: tuple) -> Any:
        n, m = (sizes[i] for sizes, i in zip(self.chunks, at))
        first, second = (starts[i] for starts, i in zip(self.starts, at))
        shift = self.k + first - second
        return np.eye(n, m, shift, self.dtype) if -n < shift < m else np.zeros((n, m), self.dtype)


def diag(v: Any, k: int = 0) -> Any:
    """A matrix with a diagonal, or the diagonal of a matrix.

    Raises
    ------
    TypeError, ValueError
        If ``v`` is no array of one or two axes.

    Examples
    --------
    >>> import weft.array as da
    >>> da.diag(da.arange(2, chunks=1)).compute()
    array([[0, 0],
           [0, 1]])
    """
    from weft.array.core import Array, asarray

    if not isinstance(v, (np.ndarray, Array)) and not hasattr(v, "__array_function__"):
        raise TypeError(f"v must be a dask array or numpy array, got {type(v)}")
    v = asarray(v) if not isinstance(v, Array) else v
    if v.ndim not in (1, 2):
        raise ValueError(f"Array must be 1d or 2d only, got shape {v.shape}")
    if v.ndim == 2:
        return diagonal(v, k)
    if k > 0:
        return pad(diag(v), [[0, k], [k, 0]], mode="constant")
    if k < 0:
        return pad(diag(v), [[-k, 0], [0, -k]], mode="constant")
    name = f"diag-{tokenize(v, k)}"
    [sizes] = v.chunks
    meta = np.diag(v._meta) if type(v._meta) is np.ndarray else meta_from_array(v._meta, 2)
    return make_step(_Diag(sizes, meta), [(v._expr, (0,))], (sizes, sizes), meta, name, numbered=True)


class _Diag:
    """The block of `diag` at a position, from the piece of the diagonal in its row."""

    def __init__(self, sizes: tuple, meta: Any):
        self.sizes, self.meta = sizes, meta

    def __call__(self, at: tuple, piece: Any) -> Any:
        i, j = at
        return np.diag(piece) if i == j else np.zeros_like(self.meta, shape=(self.sizes[i], self.sizes[j]))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal along two axes; it becomes the last axis.

    Raises
    ------
    AxisError, ValueError
        If there are no two such axes.

    Examples
    --------
    >>> import weft.array as da
    >>> da.diagonal(da.arange(4, chunks=2).reshape(2, 2)).compute()
    array([0, 3])
    """
    from weft.array._exprs import listed
    from weft.array.core import Array, asarray

    a = asarray(a)
    if a.ndim < 2:
        raise ValueError(f"diag requires an array of at least two dimensions, got shape {a.shape}")
    for axis, name in ((axis1, "axis1"), (axis2, "axis2")):
        if not -a.ndim <= axis < a.ndim:
            raise AxisError(f"{name}={axis} is out of bounds for array of dimension {a.ndim}")
    axis1, axis2 = axis1 % a.ndim, axis2 % a.ndim
    if axis1 == axis2:
        raise ValueError("axis1 and axis2 cannot be the same")
    if axis1 > axis2:
        axis1, axis2, offset = axis2, axis1, -offset
    rest = [i for i in range(a.ndim) if i not in (axis1, axis2)]
    parts = _diagonal_parts(cached_starts(a.chunks[axis1]), cached_starts(a.chunks[axis2]), offset)
    sizes = tuple(p[3] for p in parts)
    grid = tuple(a.numblocks[k] for k in rest)
    steps = [math.prod(a.numblocks[k + 1 :]) for k in range(a.ndim)]
    inner = [i * steps[axis1] + j * steps[axis2] for i, j, _, _ in parts]
    outer = [sum(b * steps[k] for k, b in zip(rest, at)) for at in product(*map(range, grid))]
    meta = meta_from_array(a._meta, a.ndim - 1, a.dtype)
    name = f"diagonal-{tokenize(a, offset, axis1, axis2)}"
    expr = listed(
        _Diagonal([(shift, n) for _, _, shift, n in parts], axis1, axis2),
        [a._expr],
        [[(0, first + block)] for first in outer for block in inner],
        (*(a.chunks[k] for k in rest), sizes),
        meta,
        name,
        "diagonal",
    )
    return Array._of(expr, meta)


def _diagonal_parts(rows: Any, columns: Any, offset: int) -> list[tuple[int, int, int, int]]:
    """The blocks on a diagonal, given where blocks start: row and column of the block, the offset in it, how many."""
    parts = []
    i, j = 0, 0
    # From corner to corner: whichever block ends first is left.
    while i < len(rows) - 1 and j < len(columns) - 1:
        low = max(rows[i], columns[j] - offset)
        high = min(rows[i + 1], columns[j + 1] - offset)
        if low < high:
            parts.append((i, j, offset + rows[i] - columns[j], high - low))
        if rows[i + 1] <= columns[j + 1] - offset:
            i += 1
        else:
            j += 1
    # Nothing is on it: no element of the first block.
    return parts or [(0, 0, 0, 0)]


class _Diagonal:
    """The diagonal of a block, of which only the first elements count where blocks hold none of it."""

    def __init__(self, parts: list, axis1: int, axis2: int):
        self.parts, self.axis1, self.axis2 = parts, axis1, axis2

    def __call__(self, at: tuple, block: Any) -> Any:
        shift, n = self.parts[at[-1]]
        found = np.diagonal(block, shift, self.axis1, self.axis2)
        return found if found.shape[-1] == n else found[..., :n]


def tri(
    N: int, M: Any = None, k: int = 0, dtype: Any = float, chunks: Any = "auto", *, like: Any = None
) -> Any:
    """Ones on and below a diagonal, zeros elsewhere.

    Examples
    --------
    >>> import weft.array as da
    >>> da.tri(2, chunks=2).compute()
    array([[1., 0.],
           [1., 1.]])
    """
    M = N if M is None else M
    chunks = normalize_chunks(chunks, shape=(N, M), dtype=dtype)
    rows = arange(N, chunks=(chunks[0],), dtype=_least(0, N), like=like)
    columns = arange(-k, M - k, chunks=(chunks[1],), dtype=_least(-k, M - k), like=like)
    return (rows[:, None] >= columns).astype(dtype)


def _least(low: int, high: int) -> Any:
    return np.result_type(np.min_scalar_type(min(low, -1)), np.min_scalar_type(max(high, 1)), np.int8)


def fromfunction(func: Any, chunks: Any = "auto", shape: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """An array of what a function makes of the positions of the elements.

    Examples
    --------
    >>> import weft.array as da
    >>> da.fromfunction(lambda i, j: i + j, shape=(2, 2), chunks=2, dtype="i8").compute()
    array([[0, 1],
           [1, 2]])
    """
    dtype = dtype or float
    chunks = normalize_chunks(chunks, shape, dtype=dtype)
    axes = [arange(n, dtype=dtype, chunks=(c,)) for n, c in zip(shape, chunks)]
    ind = tuple(range(len(shape)))
    return blockwise(
        partial(_on_positions, function=func),
        ind,
        *(part for i, a in enumerate(axes) for part in (a, (i,))),
        dtype=dtype,
        token="fromfunction",
        meta=np.empty((0,) * len(shape), dtype),
        **kwargs,
    )


def _on_positions(*axes: Any, function: Any, **kwargs: Any) -> Any:
    return function(*np.meshgrid(*axes, indexing="ij"), **kwargs)


def repeat(a: Any, repeats: int, axis: Any = None) -> Any:
    """Each element several times, one after the other.

    Raises
    ------
    NotImplementedError
        If ``repeats`` is no integer, or ``axis`` is None for more than one axis.

    Examples
    --------
    >>> import weft.array as da
    >>> da.repeat(da.arange(2, chunks=1), 2).compute()
    array([0, 0, 1, 1])
    """
    if axis is None:
        if a.ndim != 1:
            raise NotImplementedError("Must supply an integer axis value")
        axis = 0
    if not isinstance(repeats, Integral):
        raise NotImplementedError("Only integer valued repeats supported")
    if repeats < 0:
        raise ValueError(f"repeats may not be negative, got {repeats}")
    axis = validate_axis(axis, a.ndim)
    if repeats == 0:
        return a[tuple(slice(None) if d != axis else slice(0) for d in range(a.ndim))]
    if repeats == 1:
        return a
    chunks = tuple(tuple(n * repeats for n in c) if i == axis else c for i, c in enumerate(a.chunks))
    return a.map_blocks(np.repeat, repeats, axis=axis, chunks=chunks, dtype=a.dtype, meta=a._meta)


def tile(A: Any, reps: Any) -> Any:
    """The whole array several times along each axis.

    Examples
    --------
    >>> import weft.array as da
    >>> da.tile(da.arange(2, chunks=2), 2).compute()
    array([0, 1, 0, 1])
    """
    from weft.array.core import asarray

    A = asarray(A)
    try:
        tup = tuple(reps)
    except TypeError:
        tup = (reps,)
    if any(i < 0 for i in tup):
        raise ValueError("Negative `reps` are not allowed.")
    if all(i == 1 for i in tup) and A.ndim >= len(tup):
        return A
    from weft.array.routines import atleast_nd

    ndim = max(A.ndim, len(tup))
    tup = (1,) * (ndim - len(tup)) + tup
    A = atleast_nd(A, ndim)
    for axis, n in enumerate(tup):
        if n == 0:
            A = A[tuple(slice(0, 0) if i == axis else slice(None) for i in range(ndim))]
        elif n > 1:
            A = concatenate([A] * n, axis=axis)
    return A


# -- padding ---------------------------------------------------------------------------------------


def _pairs(value: Any, ndim: int, default: Any = None) -> tuple:
    """``((before, after), …)`` for each axis."""
    if value is None:
        value = default
    if isinstance(value, dict):
        value = [value.get(i, value.get(i - ndim, (0, 0))) for i in range(ndim)]
    if np.ndim(value) == 0 if not _ragged(value) else False:
        return ((value, value),) * ndim
    value = list(value)
    if np.ndim(value[0]) == 0 and not isinstance(value[0], (tuple, list)):
        if len(value) == 1:
            return ((value[0], value[0]),) * ndim
        if len(value) == 2:
            return (tuple(value),) * ndim
        raise ValueError(f"expected a number, a pair or pairs for {ndim} axes, got {value}")
    pairs = [tuple(v) if len(tuple(v)) == 2 else (v[0], v[0]) for v in value]
    if len(pairs) == 1:
        pairs = pairs * ndim
    if len(pairs) != ndim:
        raise ValueError(f"expected pairs for {ndim} axes, got {value}")
    return tuple(pairs)


def _ragged(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and any(isinstance(v, (tuple, list)) for v in value)


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """The array with more elements at its edges.

    Parameters
    ----------
    array : array
    pad_width : int, pair or pairs
        How many before and after, along each axis.
    mode : str or callable
        As in `numpy.pad`: constant, edge, linear_ramp, empty, maximum, minimum, mean, reflect, symmetric, wrap, or a
        function.
    **kwargs
        ``constant_values``, ``end_values``, ``stat_length`` or ``reflect_type``; for a function, its own.

    Returns
    -------
    Array

    Raises
    ------
    ValueError, NotImplementedError
        For arguments that ``mode`` does not have, or unknown modes.

    Examples
    --------
    >>> import weft.array as da
    >>> da.pad(da.ones(2, chunks=1), 1).compute()
    array([0., 1., 1., 0.])
    """
    from weft.array.core import asarray

    array = asarray(array)
    width = tuple(tuple(int(n) for n in p) for p in _pairs(pad_width, array.ndim))
    if any(n < 0 for p in width for n in p):
        raise ValueError("index can't contain negative values")
    if callable(mode):
        return _pad_function(array, width, mode, **kwargs)
    allowed: dict[str, list[str]] = {
        "empty": [],
        "edge": [],
        "wrap": [],
        "constant": ["constant_values"],
        "linear_ramp": ["end_values"],
        "maximum": ["stat_length"],
        "mean": ["stat_length"],
        "median": ["stat_length"],
        "minimum": ["stat_length"],
        "reflect": ["reflect_type"],
        "symmetric": ["reflect_type"],
    }
    if mode not in allowed:
        raise ValueError(f"mode '{mode}' is not supported")
    odd = set(kwargs) - set(allowed[mode])
    if odd:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {odd}")
    if mode in ("maximum", "mean", "median", "minimum"):
        length = kwargs.get("stat_length")
        if length is not None and any(n < 1 for p in _pairs(length, array.ndim) for n in p):
            raise ValueError("stat_length must be positive")
        if mode == "median":
            raise NotImplementedError(
                "`pad` does not support `mode` of `median`: pad with a function, or compute the medians first"
            )
        return _pad_stats(array, width, mode, length)
    if mode in ("reflect", "symmetric", "wrap"):
        if kwargs.get("reflect_type", "even") == "odd":
            raise NotImplementedError("`pad` does not support `reflect_type` of `odd`")
        if kwargs.get("reflect_type", "even") not in ("even", "odd"):
            raise ValueError("unsupported value for reflect_type, must be one of (`even`, `odd`)")
        result = array
        for axis, (before, after) in enumerate(width):
            result = _pad_positions(result, axis, before, after, mode)
        return result
    return _pad_edge(array, width, mode, kwargs.get("constant_values", kwargs.get("end_values", 0)))


def _pad_positions(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    if not before and not after:
        return x
    n = x.shape[axis]
    where = np.pad(np.arange(n), (before, after), mode=mode)  # type: ignore[call-overload]

    def part(i: np.ndarray) -> Any:
        return x[(slice(None),) * axis + (i,)]

    pieces = []
    if before:
        pieces.append(part(where[:before]))
    pieces.append(x)
    if after:
        pieces.append(part(where[before + n :]))
    return concatenate(pieces, axis=axis)


def _pad_edge(array: Any, width: tuple, mode: str, values: Any) -> Any:
    values = _pairs(values, array.ndim) if not hasattr(values, "dask") else ((values, values),) * array.ndim
    result = array
    for axis, ((before, after), (first, last)) in enumerate(zip(width, values)):
        pieces: list[Any] = []
        for n, value, end in ((before, first, 0), (after, last, 1)):
            if not n:
                pieces.append(None)
                continue
            shape = result.shape[:axis] + (n,) + result.shape[axis + 1 :]
            # Of what is the same everywhere blocks may be as long as those of the array.
            longest = max(result.chunks[axis]) if mode != "linear_ramp" and result.chunks[axis] else n
            longest = longest or n
            sizes = (longest,) * (n // longest) + ((n % longest,) if n % longest else ())
            chunks = result.chunks[:axis] + (sizes,) + result.chunks[axis + 1 :]
            if mode == "constant":
                if hasattr(value, "dask"):
                    piece = broadcast_to(value.astype(array.dtype), shape, chunks)
                else:
                    like = {} if type(array._meta) is np.ndarray else {"meta": array._meta}
                    piece = full(
                        shape,
                        np.asarray(value).astype(array.dtype)[()],
                        chunks=chunks,
                        dtype=array.dtype,
                        **like,
                    )
            elif mode == "empty":
                piece = empty(shape, chunks=chunks, dtype=array.dtype)
            else:
                edge = result[
                    tuple(
                        (slice(0, 1) if end == 0 else slice(-1, None)) if i == axis else slice(None)
                        for i in range(result.ndim)
                    )
                ]
                if mode == "edge":
                    piece = broadcast_to(edge, shape, chunks)
                else:
                    piece = edge.map_blocks(
                        _ramp, n, value, end, axis, dtype=array.dtype, chunks=chunks, meta=array._meta
                    )
            pieces.append(piece)
        parts = [p for p in (pieces[0], result, pieces[1]) if p is not None]
        if len(parts) > 1:
            result = concatenate(parts, axis=axis)
    return result


def _ramp(edge: Any, n: int, value: Any, end: int, axis: int) -> Any:
    width = [(0, 0)] * edge.ndim
    width[axis] = (n, 0) if end == 0 else (0, n)
    padded = np.pad(edge, width, mode="linear_ramp", end_values=value)
    return padded[
        tuple(
            (slice(0, n) if end == 0 else slice(-n, None)) if i == axis else slice(None)
            for i in range(edge.ndim)
        )
    ]


def _pad_stats(array: Any, width: tuple, mode: str, stat_length: Any) -> Any:
    lengths = (
        _pairs(stat_length, array.ndim) if stat_length is not None else tuple((n, n) for n in array.shape)
    )
    result = array
    function = {"maximum": "max", "minimum": "min", "mean": "mean"}[mode]
    for axis, ((before, after), (first, last)) in enumerate(zip(width, lengths)):
        pieces = [result]
        for n, length, end in ((before, first, 0), (after, last, 1)):
            if not n:
                continue
            length = min(length, result.shape[axis])
            part = slice(0, length) if end == 0 else slice(result.shape[axis] - length, None)
            piece = getattr(result[(slice(None),) * axis + (part,)], function)(axis=axis, keepdims=True)
            if mode == "mean" and array.dtype.kind in "iu":
                from weft.array.routines import round

                piece = round(piece)
            piece = piece.astype(array.dtype)
            shape = result.shape[:axis] + (n,) + result.shape[axis + 1 :]
            piece = broadcast_to(piece, shape, result.chunks[:axis] + ((n,),) + result.chunks[axis + 1 :])
            pieces = [piece, *pieces] if end == 0 else [*pieces, piece]
        result = concatenate(pieces, axis=axis) if len(pieces) > 1 else result
    return result


def _pad_function(array: Any, width: tuple, function: Any, **kwargs: Any) -> Any:
    from weft.array.routines import apply_along_axis

    result = _pad_edge(array, width, "empty", 0)
    for axis in range(array.ndim):
        before, after = width[axis]
        result = result.rechunk({axis: -1})
        result = apply_along_axis(
            _called,
            axis,
            result,
            function,
            width[axis],
            axis,
            kwargs,
            dtype=array.dtype,
            shape=(result.shape[axis],),
        )
    return result


def _called(vector: Any, function: Any, width: tuple, axis: int, kwargs: dict) -> Any:
    vector = vector.copy()
    changed = function(vector, width, axis, kwargs)
    return vector if changed is None else changed
