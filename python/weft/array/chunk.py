"""What tasks do with blocks: functions on arrays in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable, Sequence
from functools import wraps
from numbers import Integral
from typing import Any

import numpy as np

from weft.core import flatten


def keepdims_wrapper(a_callable: Any) -> Any:
    """Gives a reduction that lacks it the argument ``keepdims``.

    Examples
    --------
    >>> import numpy as np
    >>> keepdims_wrapper(lambda x, axis=None: np.sum(x, axis))(np.ones((2, 3)), axis=1, keepdims=True).shape
    (2, 1)
    """

    @wraps(a_callable)
    def wrapper(x, axis=None, keepdims=None, *args, **kwargs):
        result = a_callable(x, *args, axis=axis, **kwargs)
        if not keepdims:
            return result
        if axis is None:
            axes: Any = range(x.ndim)
        else:
            axes = axis if isinstance(axis, (Container, Iterable, Sequence)) else [axis]
        axes = {a % x.ndim for a in axes}
        return np.asarray(result)[tuple(None if i in axes else slice(None) for i in range(x.ndim))]

    return wrapper


sum = np.sum
prod = np.prod
min = np.min
max = np.max
mean = np.mean
argmin = keepdims_wrapper(np.argmin)
argmax = keepdims_wrapper(np.argmax)
nanargmin = keepdims_wrapper(np.nanargmin)
nanargmax = keepdims_wrapper(np.nanargmax)
any = np.any
all = np.all
nansum = np.nansum
nanprod = np.nanprod
nancumprod = np.nancumprod
nancumsum = np.nancumsum
nanmin = np.nanmin
nanmax = np.nanmax
nanmean = np.nanmean
var = np.var
std = np.std
nanvar = np.nanvar
nanstd = np.nanstd


def coarsen(reduction: Any, x: Any, axes: dict, trim_excess: bool = False, **kwargs: Any) -> Any:
    """Reduces neighbouring elements to one.

    Parameters
    ----------
    reduction : callable
        Takes an array and ``axis``.
    x : array
    axes : dict
        For each axis, how many elements become one.
    trim_excess : bool
        Whether to drop what does not fill a whole group.

    Raises
    ------
    ValueError
        If an axis does not divide.

    Examples
    --------
    >>> import numpy as np
    >>> coarsen(np.sum, np.arange(6), {0: 2})
    array([1, 5, 9])
    """
    axes = {i: axes.get(i, 1) for i in range(x.ndim)}
    if trim_excess:
        x = x[tuple(slice(0, n - n % axes[i]) for i, n in enumerate(x.shape))]
    for i, n in enumerate(x.shape):
        if n % axes[i]:
            raise ValueError(f"Coarsening factors {axes} do not align with block dimensions {x.shape}")
    shape = tuple(flatten([[n // axes[i], axes[i]] for i, n in enumerate(x.shape)]))
    return reduction(x.reshape(shape), axis=tuple(range(1, 2 * x.ndim, 2)), **kwargs)


def trim(x: Any, axes: Any = None) -> Any:
    """Without ``axes[i]`` elements at both ends of each axis."""
    if isinstance(axes, Integral):
        axes = [axes] * x.ndim
    if isinstance(axes, dict):
        axes = [axes.get(i, 0) for i in range(x.ndim)]
    return x[tuple(slice(n, -n if n else None) for n in axes)]


def topk(a: Any, k: int, axis: int, keepdims: bool) -> Any:
    """The ``k`` largest (or, if negative, smallest) elements, in no order."""
    if abs(k) >= a.shape[axis]:
        return a
    a = np.partition(a, -k, axis=axis)
    k_slice = slice(-k, None) if k > 0 else slice(None, -k)
    return a[tuple(k_slice if i == axis else slice(None) for i in range(a.ndim))]


def topk_aggregate(a: Any, k: int, axis: Any, keepdims: bool) -> Any:
    """The ``k`` largest elements in order, largest first; the smallest first if negative."""
    axis = axis[0] if isinstance(axis, tuple) else axis
    a = topk(a, k, axis, keepdims)
    a = np.sort(a, axis=axis)
    return (
        a if k < 0 else a[tuple(slice(None, None, -1) if i == axis else slice(None) for i in range(a.ndim))]
    )


def argtopk_preprocess(a: Any, idx: Any) -> tuple[Any, Any]:
    """Values with their positions."""
    return a, idx


def argtopk(a_plus_idx: Any, k: int, axis: Any, keepdims: bool) -> tuple[Any, Any]:
    """Values and positions of the ``k`` largest elements, in no order."""
    assert keepdims is True
    axis = axis[0] if isinstance(axis, tuple) else axis
    if isinstance(a_plus_idx, list):
        a_plus_idx = list(flatten(a_plus_idx))
        a = np.concatenate([ai for ai, _ in a_plus_idx], axis)
        idx = np.concatenate([np.broadcast_to(i, ai.shape) for ai, i in a_plus_idx], axis)
    else:
        a, idx = a_plus_idx
        idx = np.broadcast_to(idx, a.shape)
    if abs(k) >= a.shape[axis]:
        return a, idx
    order = np.argpartition(a, -k, axis=axis)
    k_slice = slice(-k, None) if k > 0 else slice(None, -k)
    order = order[tuple(k_slice if i == axis else slice(None) for i in range(a.ndim))]
    return np.take_along_axis(a, order, axis), np.take_along_axis(idx, order, axis)


def argtopk_aggregate(a_plus_idx: Any, k: int, axis: Any, keepdims: bool) -> Any:
    """Positions of the ``k`` largest elements, largest first."""
    assert keepdims is True
    axis = axis[0] if isinstance(axis, tuple) else axis
    a_plus_idx = a_plus_idx if len(a_plus_idx) > 1 else a_plus_idx[0]
    a, idx = argtopk(a_plus_idx, k, axis, keepdims)
    order = np.argsort(a, axis=axis)
    idx = np.take_along_axis(idx, order, axis)
    return (
        idx
        if k < 0
        else idx[tuple(slice(None, None, -1) if i == axis else slice(None) for i in range(idx.ndim))]
    )


def arange(start: Any, stop: Any, step: Any, length: int, dtype: Any, like: Any = None) -> Any:
    """`numpy.arange` of exactly ``length`` elements, whatever rounding says."""
    from weft.array.utils import arange_safe

    return arange_safe(start, stop, step, dtype=dtype, like=like)[:length]


def linspace(start: Any, stop: Any, num: int, endpoint: bool = True, dtype: Any = None) -> Any:
    """`numpy.linspace`, which takes integers of NumPy."""
    return np.linspace(start, stop, num, endpoint=endpoint, dtype=dtype)


def astype(x: Any, astype_dtype: Any = None, **kwargs: Any) -> Any:
    """``x`` in another dtype."""
    return x.astype(astype_dtype, **kwargs)


def view(x: Any, dtype: Any, order: str = "C") -> Any:
    """The bytes of ``x`` as another dtype."""
    if order == "C":
        try:
            x = np.ascontiguousarray(x, like=x)
        except TypeError:
            x = np.ascontiguousarray(x)
        return x.view(dtype)
    return np.asfortranarray(x).T.view(dtype).T


def slice_with_int_dask_array(x: Any, idx: Any, offset: Any, x_size: int, axis: int) -> Any:
    """The elements of block ``x`` that ``idx`` asks for; ``x`` starts at ``offset`` along ``axis``."""
    from weft.array.utils import asarray_safe, meta_from_array

    idx = asarray_safe(idx, like=meta_from_array(x))
    if np.asarray(offset).ndim:
        offset = int(np.asarray(offset).ravel()[0])
    idx = idx.astype(np.int64)
    idx = np.where(idx < 0, idx + x_size, idx) - offset
    # Elements of other blocks are left out.
    idx = idx[(idx >= 0) & (idx < x.shape[axis])]
    return x[tuple(idx if i == axis else slice(None) for i in range(x.ndim))]


def slice_with_int_dask_array_aggregate(idx: Any, chunk_outputs: Any, x_chunks: Any, axis: int) -> Any:
    """Puts what the blocks gave into the order of ``idx``."""
    idx = np.asarray(idx).astype(np.int64)
    idx = np.where(idx < 0, idx + np.sum(x_chunks), idx)
    order = np.empty(idx.shape, np.int64)
    start = position = 0
    for n in x_chunks:
        mine = (idx >= start) & (idx < start + n)
        count = int(mine.sum())
        order[mine] = np.arange(position, position + count)
        start += n
        position += count
    return chunk_outputs[tuple(order if i == axis else slice(None) for i in range(chunk_outputs.ndim))]


def getitem(obj: Any, index: Any) -> Any:
    """``obj[index]``; a small part of a large array is copied, so that the whole can be dropped."""
    try:
        result = obj[index]
    except IndexError as error:
        raise ValueError(
            "Array chunk size or shape is unknown.\n\nA possible solution: call `x.compute_chunk_sizes()` first."
        ) from error
    with contextlib.suppress(Exception):
        if not result.flags.owndata and obj.size >= 2 * result.size:
            result = result.copy()
    return result
