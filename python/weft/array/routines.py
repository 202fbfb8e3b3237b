"""Functions of `numpy` by their names."""

from __future__ import annotations

import builtins
import math
import operator
import warnings
from collections.abc import Iterable
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np

from weft._docs import derived_from
from weft._task_spec import List, Task, TaskRef
from weft.array import _native, chunk
from weft.array._chunks import cached_starts, is_known
from weft.array._host import step
from weft.array._join import broadcast_arrays, broadcast_to, concatenate, stack
from weft.array._layers import new_array
from weft.array._map_blocks import map_blocks
from weft.array._source import asanyarray, asarray
from weft.array.blockwise import blockwise
from weft.array.creation import diag, empty, tri
from weft.array.utils import meta_from_array, validate_axis
from weft.base import is_dask_collection, tokenize
from weft.delayed import Delayed, unpack_collections
from weft.utils import funcname, is_arraylike


@derived_from(np)
def array(x, dtype=None, ndmin=None, *, like=None):
    x = asarray(x, like=like)
    while ndmin is not None and x.ndim < ndmin:
        x = x[None, :] if x.ndim else x[None]
    if dtype is not None and x.dtype != dtype:
        x = x.astype(dtype)
    return x


@derived_from(np)
def result_type(*args):
    args = [
        a.dtype if is_scalar_for_elemwise(a) and hasattr(a, "dtype") and not isinstance(a, type) else a
        for a in args
    ]
    return np.result_type(
        *(a._meta if hasattr(a, "_meta") and a.ndim else a.dtype if hasattr(a, "_meta") else a for a in args)
    )


def is_scalar_for_elemwise(a: Any) -> bool:
    from weft.array.core import is_scalar_for_elemwise as check

    return check(a)


def isnan_(x: Any) -> Any:
    from weft.array import ufunc as table

    return table.isnan(x)


def atleast_nd(x: Any, ndim: int) -> Any:
    """The array with axes of one element in front, up to ``ndim``."""
    diff = builtins.max(ndim - x.ndim, 0)
    return x if not diff else x[(None,) * diff + (Ellipsis,)]


def _atleast(convert: Any, arys: Any) -> Any:
    found = [convert(asanyarray(x)) for x in arys]
    return found[0] if len(found) == 1 else tuple(found)


@derived_from(np)
def atleast_3d(*arys):
    def convert(x):
        if x.ndim == 0:
            return x[None, None, None]
        if x.ndim == 1:
            return x[None, :, None]
        return x[:, :, None] if x.ndim == 2 else x

    return _atleast(convert, arys)


@derived_from(np)
def atleast_2d(*arys):
    return _atleast(lambda x: atleast_nd(x, 2), arys)


@derived_from(np)
def atleast_1d(*arys):
    return _atleast(lambda x: atleast_nd(x, 1), arys)


@derived_from(np)
def vstack(tup, allow_unknown_chunksizes=False):
    if hasattr(tup, "dask"):
        raise NotImplementedError("``vstack`` expects a sequence of arrays as the first argument")
    return concatenate(
        [atleast_2d(x) for x in tup], axis=0, allow_unknown_chunksizes=allow_unknown_chunksizes
    )


@derived_from(np)
def hstack(tup, allow_unknown_chunksizes=False):
    if hasattr(tup, "dask"):
        raise NotImplementedError("``hstack`` expects a sequence of arrays as the first argument")
    tup = [atleast_1d(x) for x in tup]
    axis = 0 if builtins.all(x.ndim == 1 for x in tup) else 1
    return concatenate(tup, axis=axis, allow_unknown_chunksizes=allow_unknown_chunksizes)


@derived_from(np)
def dstack(tup, allow_unknown_chunksizes=False):
    if hasattr(tup, "dask"):
        raise NotImplementedError("``dstack`` expects a sequence of arrays as the first argument")
    return concatenate(
        [atleast_3d(x) for x in tup], axis=2, allow_unknown_chunksizes=allow_unknown_chunksizes
    )


@derived_from(np)
def swapaxes(a, axis1, axis2):
    axis1, axis2 = validate_axis(axis1, a.ndim), validate_axis(axis2, a.ndim)
    if axis1 == axis2:
        return a
    ind = list(range(a.ndim))
    ind[axis1], ind[axis2] = axis2, axis1
    return transpose(a, ind)


@derived_from(np)
def transpose(a, axes=None):
    a = asarray(a) if not hasattr(a, "dask") else a
    if axes:
        if len(axes) != a.ndim:
            raise ValueError(f"axes don't match array: {tuple(axes)} for an array of shape {a.shape}")
        axes = tuple(validate_axis(d, a.ndim) for d in axes)
    else:
        axes = tuple(range(a.ndim))[::-1]
    if axes == tuple(range(a.ndim)):
        return a
    made = _native.transpose(a, axes)
    if made is not None:
        return made
    return blockwise(
        np.transpose, axes, a, tuple(range(a.ndim)), dtype=a.dtype, axes=axes, meta=a._meta.transpose(axes)
    )


@derived_from(np)
def flip(m, axis=None):
    m = asanyarray(m)
    axes = range(m.ndim) if axis is None else axis if isinstance(axis, Iterable) else (axis,)
    index = [slice(None)] * m.ndim
    for ax in axes:
        try:
            index[ax] = slice(None, None, -1)
        except IndexError as e:
            raise ValueError(f"`axis` of {ax!s} invalid for {m.ndim!s}-D array") from e
    return m[tuple(index)]


@derived_from(np)
def flipud(m):
    return flip(m, 0)


@derived_from(np)
def fliplr(m):
    return flip(m, 1)


@derived_from(np)
def rot90(m, k=1, axes=(0, 1)):
    axes = tuple(axes)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    m = asanyarray(m)
    if axes[0] == axes[1] or np.absolute(axes[0] - axes[1]) == m.ndim:
        raise ValueError("Axes must be different.")
    if axes[0] >= m.ndim or axes[0] < -m.ndim or axes[1] >= m.ndim or axes[1] < -m.ndim:
        raise ValueError(f"Axes={axes} out of range for array of ndim={m.ndim}.")
    k %= 4
    if k == 0:
        return m[:]
    if k == 2:
        return flip(flip(m, axes[0]), axes[1])
    order = list(range(m.ndim))
    order[axes[0]], order[axes[1]] = order[axes[1]], order[axes[0]]
    return flip(transpose(m, order), axes[1]) if k == 3 else transpose(flip(m, axes[1]), order)


@derived_from(np)
def moveaxis(a, source, destination):
    from numpy.lib.array_utils import normalize_axis_tuple

    source = normalize_axis_tuple(source, a.ndim, "source")
    destination = normalize_axis_tuple(destination, a.ndim, "destination")
    if len(source) != len(destination):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [n for n in range(a.ndim) if n not in source]
    for dest, src in sorted(zip(destination, source)):
        order.insert(dest, src)
    return a.transpose(order)


@derived_from(np)
def rollaxis(a, axis, start=0):
    n = a.ndim
    axis = validate_axis(axis, n)
    if start < 0:
        start += n
    if not 0 <= start < n + 1:
        raise ValueError(f"`start` arg requires {-n} <= start < {n + 1}, but {start} was passed in")
    if axis < start:
        start -= 1
    if axis == start:
        return a[...]
    axes = list(range(n))
    axes.remove(axis)
    axes.insert(start, axis)
    return a.transpose(axes)


@derived_from(np)
def expand_dims(a, axis):
    if not isinstance(axis, (tuple, list)):
        axis = (axis,)
    ndim = len(axis) + a.ndim
    axis = validate_axis(tuple(axis), ndim)
    if len(set(axis)) != len(axis):
        raise ValueError("repeated axis")
    return a[tuple(None if i in axis else slice(None) for i in range(ndim))]


@derived_from(np)
def squeeze(a, axis=None):
    if axis is None:
        axis = tuple(i for i, d in enumerate(a.shape) if d == 1)
    elif not isinstance(axis, tuple):
        axis = (axis,)
    axis = validate_axis(axis, a.ndim)
    if builtins.any(a.shape[i] != 1 for i in axis):
        raise ValueError(f"cannot squeeze axis with size other than one: axes {axis} of shape {a.shape}")
    if not axis:
        return a
    result = a[tuple(0 if i in axis else slice(None) for i in range(a.ndim))]
    # An integer index takes an element out of a block; squeezing leaves an array.
    return result if result.ndim else result.map_blocks(np.asanyarray, dtype=a.dtype, meta=result._meta)


@derived_from(np)
def ravel(array_like):
    return asanyarray(array_like).reshape((-1,))


@derived_from(np)
def shape(array):
    return array.shape


@derived_from(np)
def ndim(array):
    return array.ndim


@derived_from(np)
def ptp(a, axis=None):
    return a.max(axis=axis) - a.min(axis=axis)


@derived_from(np)
def diff(a, n=1, axis=-1, prepend=None, append=None):
    a = asarray(a)
    n = int(n)
    axis = validate_axis(axis, a.ndim)
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    parts = []
    for extra in (prepend, a, append):
        if extra is None:
            continue
        if extra is not a:
            extra = asarray(extra)
            if extra.ndim == 0:
                extra = broadcast_to(extra, tuple(1 if i == axis else s for i, s in enumerate(a.shape)))
        parts.append(extra)
    if len(parts) > 1:
        a = concatenate(parts, axis)
    first = tuple(slice(1, None) if i == axis else slice(None) for i in range(a.ndim))
    last = tuple(slice(None, -1) if i == axis else slice(None) for i in range(a.ndim))
    r = a
    for _ in range(n):
        r = r[first] != r[last] if r.dtype == bool else r[first] - r[last]
    return r


@derived_from(np)
def ediff1d(ary, to_end=None, to_begin=None):
    ary = asarray(ary)
    flat = ary.flatten()
    r = flat[1:] - flat[:-1]
    parts = [r]
    if to_begin is not None:
        parts.insert(0, asarray(to_begin).flatten())
    if to_end is not None:
        parts.append(asarray(to_end).flatten())
    return concatenate(parts) if len(parts) > 1 else r


def _gradient_kernel(x, block_id, coord, axis, array_locs, grad_kwargs):
    at = block_id[axis]
    if array_locs is not None:
        coord = coord[array_locs[0][at] : array_locs[1][at]]
    return np.gradient(x, coord, axis=axis, **grad_kwargs)


@derived_from(np)
def gradient(f, *varargs, axis=None, **kwargs):
    from weft.array.overlap import map_overlap

    f = asarray(f)
    kwargs["edge_order"] = math.ceil(kwargs.get("edge_order", 1))
    if kwargs["edge_order"] > 2:
        raise ValueError("edge_order must be less than or equal to 2.")
    drop = False
    if axis is None:
        axis = tuple(range(f.ndim))
    elif isinstance(axis, Integral):
        drop = True
        axis = (axis,)
    axis = validate_axis(tuple(axis), f.ndim)
    if len(axis) != len(set(axis)):
        raise ValueError("duplicate axes not allowed")
    axis = tuple(ax % f.ndim for ax in axis)
    if not varargs:
        varargs = (1,)
    if len(varargs) == 1:
        varargs = len(axis) * varargs
    if len(varargs) != len(axis):
        raise TypeError("Spacing must either be a single scalar, or a scalar / 1d-array per axis")
    if np.issubdtype(f.dtype, np.integer) or f.dtype == bool:
        f = f.astype(float)
    elif f.dtype.kind not in "fcmM":
        f = f.astype(float)
    results = []
    for i, ax in enumerate(axis):
        for c in f.chunks[ax]:
            if np.min(c) < kwargs["edge_order"] + 1:
                raise ValueError(
                    f"Chunk size must be larger than edge_order + 1. Minimum chunk for axis {ax} is {np.min(c)}. Rechunk to proceed."
                )
        spacing = varargs[i]
        if np.isscalar(spacing) or np.ndim(spacing) == 0:
            array_locs = None
        else:
            spacing = np.asarray(spacing)
            ends = np.cumsum(f.chunks[ax])
            starts = np.concatenate([[0], ends[:-1]])
            starts, ends = starts.copy(), ends.copy()
            starts[1:] -= 1
            ends[:-1] += 1
            array_locs = (starts, ends)
        results.append(
            map_overlap(
                _gradient_kernel,
                f,
                dtype=f.dtype,
                depth={j: 1 if j == ax else 0 for j in range(f.ndim)},
                boundary="none",
                coord=spacing,
                axis=ax,
                array_locs=array_locs,
                grad_kwargs=kwargs,
            )
        )
    return (
        results[0]
        if drop or len(results) == 1 and drop
        else results
        if len(results) > 1
        else results[0]
        if f.ndim == 1
        else results
    )


# -- products --------------------------------------------------------------------------------------


def _tensordot(a, b, axes, is_sparse=False):
    from weft.array.backends import tensordot_lookup

    x = builtins.max([a, b], key=lambda x: getattr(x, "__array_priority__", 0))
    result = tensordot_lookup.dispatch(type(x))(a, b, axes=axes)
    if not is_sparse and isinstance(axes[0], (tuple, list)):
        for ax in sorted(axes[0]):
            result = (
                np.expand_dims(result, ax)
                if not np.ma.isMA(result)
                else np.ma.expand_dims(result, ax)
                if hasattr(np.ma, "expand_dims")
                else result.reshape(result.shape[:ax] + (1,) + result.shape[ax:])
            )
    return result


@derived_from(np)
def tensordot(lhs, rhs, axes=2):
    from weft.array.core import PerformanceWarning

    lhs = lhs if hasattr(lhs, "dask") else asarray(lhs)
    rhs = rhs if hasattr(rhs, "dask") else asarray(rhs)
    if isinstance(axes, Iterable):
        left_axes, right_axes = axes
    else:
        left_axes = tuple(range(lhs.ndim - axes, lhs.ndim))
        right_axes = tuple(range(0, axes))
    left_axes = (left_axes,) if isinstance(left_axes, Integral) else tuple(left_axes)
    right_axes = (right_axes,) if isinstance(right_axes, Integral) else tuple(right_axes)
    left_axes = tuple(validate_axis(a, lhs.ndim) for a in left_axes)
    right_axes = tuple(validate_axis(a, rhs.ndim) for a in right_axes)
    if len(left_axes) != len(right_axes) or builtins.any(
        is_known(lhs.shape[a]) and is_known(rhs.shape[b]) and lhs.shape[a] != rhs.shape[b]
        for a, b in zip(left_axes, right_axes)
    ):
        raise ValueError(
            f"shape-mismatch for sum: {lhs.shape} and {rhs.shape} along {left_axes} and {right_axes}"
        )
    before = builtins.max(lhs.npartitions, rhs.npartitions)
    summed = math.prod(lhs.numblocks[a] for a in left_axes)
    after = lhs.npartitions // summed * (rhs.npartitions // math.prod(rhs.numblocks[b] for b in right_axes))
    if after >= before * 10:
        warnings.warn(
            f"Increasing number of chunks by factor of {after // before}", PerformanceWarning, stacklevel=2
        )
    dtype = np.promote_types(lhs.dtype, rhs.dtype)
    left = list(range(lhs.ndim))
    right = list(range(lhs.ndim, lhs.ndim + rhs.ndim))
    out = left + right
    for a, b in zip(left_axes, right_axes):
        out.remove(right[b])
        right[b] = left[a]
    kept = [i for i in out if i not in {left[a] for a in left_axes}]
    meta = _tensordot_meta(lhs, rhs, len(kept), dtype)
    if builtins.all(lhs.numblocks[a] == 1 for a in left_axes):
        # Each product of blocks is whole.
        if not left_axes or builtins.all(rhs.numblocks[b] == 1 for b in right_axes):
            return blockwise(
                _tensordot_whole,
                kept,
                lhs,
                left,
                rhs,
                right,
                dtype=dtype,
                concatenate=True,
                axes=(left_axes, right_axes),
                meta=meta,
                token="tensordot",
            )
    if len(left_axes) == 1 and _fits_in_rows(lhs, rhs, left_axes[0], after):
        return blockwise(
            _tensordot_row,
            kept,
            lhs,
            left,
            rhs,
            right,
            dtype=dtype,
            axes=(left_axes, right_axes),
            token="tensordot",
            meta=meta,
        )
    parts = blockwise(
        _tensordot_partial,
        [*kept, *(left[a] for a in left_axes)],
        lhs,
        left,
        rhs,
        right,
        dtype=dtype,
        adjust_chunks={left[a]: 1 for a in left_axes},
        axes=(left_axes, right_axes),
        token="tensordot",
        meta=meta_from_array(meta, len(kept) + len(left_axes), dtype),
    )
    n = len(kept)
    return parts.sum(axis=tuple(range(n, n + len(left_axes))), dtype=dtype) if left_axes else parts


def _tensordot_meta(lhs, rhs, ndim, dtype):
    if type(lhs._meta) is np.ndarray and type(rhs._meta) is np.ndarray:
        return np.empty((0,) * ndim, dtype)
    leader = builtins.max([lhs._meta, rhs._meta], key=lambda x: getattr(x, "__array_priority__", 0))
    return meta_from_array(leader, ndim, dtype)


def _tensordot_whole(a, b, axes):
    return _dot_of(a, b, axes)


def _dot_of(a, b, axes):
    from weft.array.backends import tensordot_lookup

    x = builtins.max([a, b], key=lambda x: getattr(x, "__array_priority__", 0))
    return tensordot_lookup.dispatch(type(x))(a, b, axes=axes)


def _fits_in_rows(lhs, rhs, axis, blocks):
    """Whether a task may read a whole row and column of blocks: enough such tasks, of not too many bytes."""
    from weft.system import CPU_COUNT

    if blocks < CPU_COUNT or not builtins.all(is_known(n) for n in (*lhs.shape, *rhs.shape)):
        return False
    largest = math.prod(lhs.chunksize) * lhs.dtype.itemsize + math.prod(rhs.chunksize) * rhs.dtype.itemsize
    # Sums of masked blocks are not what adding them gives.
    numbers = type(lhs._meta) is np.ndarray and type(rhs._meta) is np.ndarray and not lhs.dtype.hasobject
    return numbers and lhs.numblocks[axis] * largest <= 2**28


def _tensordot_row(row, column, axes):
    """The sum of the products of blocks that belong together."""
    total = None
    for a, b in zip(row, column):
        product = _dot_of(a, b, axes)
        total = product if total is None else total + product
    return total


def _tensordot_partial(a, b, axes):
    result = _dot_of(a, b, axes)
    return (
        result[(Ellipsis, *(None,) * len(axes[0]))]
        if not hasattr(result, "todense")
        else result.reshape(result.shape + (1,) * len(axes[0]))
    )


@derived_from(np)
def dot(a, b):
    a, b = asanyarray(a), asanyarray(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 2 if b.ndim > 1 else 0,)))


@derived_from(np)
def vdot(a, b):
    return dot(asanyarray(a).conj().ravel(), asanyarray(b).ravel())


@derived_from(np)
def matmul(a, b):
    a, b = asanyarray(a), asanyarray(b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError("`matmul` does not support scalars.")
    a_1d, b_1d = a.ndim == 1, b.ndim == 1
    if a_1d:
        a = a[np.newaxis, :]
    if b_1d:
        b = b[:, np.newaxis]
    if a.ndim < b.ndim:
        a = a[(b.ndim - a.ndim) * (np.newaxis,)]
    elif a.ndim > b.ndim:
        b = b[(a.ndim - b.ndim) * (np.newaxis,)]
    if is_known(a.shape[-1]) and is_known(b.shape[-2]) and a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"matmul: shapes {a.shape} and {b.shape} do not match: {a.shape[-1]} and {b.shape[-2]}"
        )
    if builtins.all(map(is_known, (*a.shape, *b.shape))):
        try:
            np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ValueError(
                f"matmul: shapes {a.shape} and {b.shape} cannot be broadcast together: {a.shape[:-2]} and {b.shape[:-2]}"
            ) from None
    n = a.ndim
    lead = list(range(n - 2))
    i, j, k = n, n + 1, n + 2
    dtype = (
        np.matmul(np.ones((1, 1), a.dtype), np.ones((1, 1), b.dtype)).dtype
        if a.dtype != object and b.dtype != object
        else np.dtype(object)
    )
    meta = _tensordot_meta(a, b, n, dtype)
    if a.numblocks[-1] == 1 and b.numblocks[-2] == 1:
        out = blockwise(
            np.matmul,
            [*lead, i, k],
            a,
            [*lead, i, j],
            b,
            [*lead, j, k],
            dtype=dtype,
            concatenate=True,
            meta=meta,
            token="matmul",
        )
    else:
        parts = blockwise(
            _matmul_partial,
            [*lead, i, k, j],
            a,
            [*lead, i, j],
            b,
            [*lead, j, k],
            adjust_chunks={j: 1},
            dtype=dtype,
            meta=meta_from_array(meta, n + 1, dtype),
            token="matmul",
        )
        out = parts.sum(axis=-1, dtype=dtype) if not dtype.hasobject else parts.sum(axis=-1)
    if a_1d:
        out = out.squeeze(-2) if not b_1d else out[..., 0, :]
    if b_1d:
        out = out.squeeze(-1)
    return out


def _matmul_partial(a, b):
    return np.matmul(a, b)[..., np.newaxis]


@derived_from(np)
def outer(a, b):
    a, b = asarray(a).flatten(), asarray(b).flatten()
    dtype = np.outer(a.dtype.type(), b.dtype.type()).dtype
    return blockwise(np.outer, "ij", a, "i", b, "j", dtype=dtype)


# -- along axes ------------------------------------------------------------------------------------


def _inner_apply_along_axis(arr, func1d, func1d_axis, func1d_args, func1d_kwargs):
    return np.apply_along_axis(func1d, func1d_axis, arr, *func1d_args, **func1d_kwargs)


@derived_from(np)
def apply_along_axis(func1d, axis, arr, *args, dtype=None, shape=None, **kwargs):
    arr = asarray(arr)
    axis = len(arr.shape[:axis]) if axis >= 0 else validate_axis(axis, arr.ndim)
    axis = validate_axis(axis, arr.ndim)
    if shape is None or dtype is None:
        test = np.asarray(func1d(np.ones((1,), dtype=arr.dtype), *args, **kwargs))
        shape = test.shape if shape is None else shape
        dtype = test.dtype if dtype is None else dtype
    arr = arr.rechunk({axis: -1})
    result = arr.map_blocks(
        _inner_apply_along_axis,
        name=f"{funcname(func1d)}-along-axis-{tokenize(func1d, axis, arr, args, kwargs)}",
        dtype=dtype,
        chunks=(arr.chunks[:axis] + tuple((n,) for n in shape) + arr.chunks[axis + 1 :]),
        drop_axis=axis,
        new_axis=list(range(axis, axis + len(shape), 1)),
        func1d=func1d,
        func1d_axis=axis,
        func1d_args=args,
        func1d_kwargs=kwargs,
        meta=np.empty((0,) * (arr.ndim - 1 + len(shape)), dtype),
    )
    return result


@derived_from(np)
def apply_over_axes(func, a, axes):
    a = asarray(a)
    try:
        axes = tuple(axes)
    except TypeError:
        axes = (axes,)
    sl = a.ndim * (slice(None),)
    result = a
    for i in axes:
        result = apply_along_axis(func, i, result, 0)
        if result.ndim == a.ndim - 1:
            result = result[sl[:i] + (None,)]
        elif result.ndim != a.ndim:
            raise ValueError("func must either preserve dimensionality of the input or reduce it by one.")
    return result


@derived_from(np)
def roll(array, shift, axis=None):
    result = array
    if axis is None:
        result = ravel(result)
        if not isinstance(shift, Integral):
            raise TypeError("Expect `shift` to be an instance of Integral when `axis` is None.")
        shift, axis = (shift,), (0,)
    else:
        shift = tuple(shift) if hasattr(shift, "__iter__") else (shift,)
        axis = tuple(axis) if hasattr(axis, "__iter__") else (axis,)
        if len(shift) != len(axis):
            raise ValueError("Must have the same number of shifts as axes.")
    for i, s in zip(validate_axis(axis, result.ndim), shift):
        if result.shape[i] == 0:
            continue
        s = -s % result.shape[i]
        if not s:
            continue
        i = validate_axis(i, result.ndim)
        before = (slice(None),) * i
        result = concatenate([result[(*before, slice(s, None))], result[(*before, slice(s))]], axis=i)
    result = result.reshape(array.shape)
    # Writing into what was rolled by nothing must not show in the array itself.
    return result.copy() if result is array and hasattr(array, "dask") else result


@derived_from(np)
def take(a, indices, axis=0):
    axis = validate_axis(axis, a.ndim)
    if isinstance(a, np.ndarray) and hasattr(indices, "dask"):
        a = asarray(a)
    if isinstance(indices, list):
        indices = np.asarray(indices)
    return a[(slice(None),) * axis + (indices,)]


@derived_from(np)
def compress(condition, a, axis=None):
    if not is_arraylike(condition):
        condition = np.asarray(condition)
    if condition.ndim != 1:
        raise ValueError(f"Condition must be one dimensional, got shape {condition.shape}")
    condition = condition.astype(bool)
    if axis is None:
        a = asarray(a).ravel()
        axis = 0
    a = asarray(a)
    axis = validate_axis(axis, a.ndim)
    if is_known(condition.shape[0]) and is_known(a.shape[axis]):
        beyond = condition[a.shape[axis] :]
        if isinstance(beyond, np.ndarray) and beyond.any():
            raise IndexError(
                f"condition of {condition.shape[0]} elements takes elements beyond the {a.shape[axis]} of axis {axis} "
                f"of shape {a.shape}"
            )
        n = builtins.min(condition.shape[0], a.shape[axis])
        condition = condition[:n]
        a = a[(slice(None),) * axis + (slice(None, n),)]
    return a[(slice(None),) * axis + (condition,)]


@derived_from(np)
def extract(condition, arr):
    condition = asarray(condition).astype(bool)
    return compress(condition.ravel(), asarray(arr).ravel())


@derived_from(np)
def delete(arr, obj, axis):
    axis = validate_axis(axis, arr.ndim)
    keep = np.ones(arr.shape[axis], dtype=bool)
    if isinstance(obj, slice):
        keep[obj] = False
    else:
        keep[np.asarray(obj)] = False
    return (
        arr[(slice(None),) * axis + (np.flatnonzero(keep),)]
        if keep.any()
        else arr[(slice(None),) * axis + (slice(0, 0),)]
    )


@derived_from(np)
def insert(arr, obj, values, axis):
    if isinstance(obj, slice):
        obj = np.arange(*obj.indices(arr.shape[validate_axis(axis, arr.ndim)]))
    obj = np.asarray(obj)
    single = obj.ndim == 0
    axis = validate_axis(axis, arr.ndim)
    if single:
        obj = obj[None]
    n = arr.shape[axis]
    if (obj < -n).any() or (obj > n).any():
        raise IndexError(f"index {obj.tolist()} is out of bounds for axis {axis} with size {n}")
    obj = np.where(obj < 0, obj + n, obj)
    order = np.argsort(obj, kind="mergesort")
    if (np.diff(obj) < 0).any():
        raise NotImplementedError("da.insert only implemented for monotonic ``obj`` argument")
    _ = order
    cuts = np.unique(obj)
    pieces = []
    edges = [0, *cuts.tolist(), n]
    values_ = values if hasattr(values, "dask") else np.asarray(values)
    counts = np.bincount(obj, minlength=n + 1)[cuts]
    whole = tuple(len(obj) if i == axis else s for i, s in enumerate(arr.shape))
    if values_.ndim == 0:
        values_ = broadcast_to(asarray(values_), whole)
    else:
        if single and values_.ndim < arr.ndim:
            values_ = (
                np.expand_dims(values_, axis) if not hasattr(values_, "dask") else expand_dims(values_, axis)
            )
        values_ = broadcast_to(
            asarray(values_), tuple(len(obj) if i == axis else s for i, s in enumerate(arr.shape))
        )
    values_ = values_.astype(arr.dtype)
    start = 0
    for i, (a, b) in enumerate(zip(edges, edges[1:])):
        pieces.append(arr[(slice(None),) * axis + (slice(a, b),)])
        if i < len(cuts):
            pieces.append(values_[(slice(None),) * axis + (slice(start, start + int(counts[i])),)])
            start += int(counts[i])
    pieces = [p for p in pieces if p.shape[axis]]
    return concatenate(pieces, axis=axis)


@derived_from(np)
def append(arr, values, axis=None):
    arr = asanyarray(arr)
    if axis is None:
        if arr.ndim != 1:
            arr = arr.ravel()
        values = ravel(asanyarray(values))
        axis = arr.ndim - 1
    values = asanyarray(values)
    axis = validate_axis(axis, arr.ndim)
    if values.ndim != arr.ndim:
        raise ValueError(
            f"all the input arrays must have same number of dimensions, but arr has shape {arr.shape} and "
            f"values has shape {values.shape}"
        )
    return concatenate((arr, values), axis=axis)


# -- choosing --------------------------------------------------------------------------------------


@derived_from(np)
def where(condition, x=None, y=None):
    from weft.array.core import elemwise

    if (x is None) != (y is None):
        raise ValueError("either both or neither of x and y should be given")
    if x is None and y is None:
        return nonzero(condition)
    if np.isscalar(condition):
        dtype = np.result_type(
            *(
                v._meta if hasattr(v, "_meta") and v.ndim else v.dtype if hasattr(v, "dtype") else v
                for v in (x, y)
            )
        )
        x, y = asarray(x), asarray(y)
        shape = np.broadcast_shapes(x.shape, y.shape)
        out = x if condition else y
        return broadcast_to(out, shape).astype(dtype)
    return elemwise(np.where, condition, x, y)


def _isnonzero(v: Any) -> Any:
    try:
        np.zeros([], dtype=v.dtype).astype(bool)
    except ValueError:
        return v.map_blocks(_isnonzero_vec, dtype=bool)
    return v.astype(bool)


def _isnonzero_vec(v: Any) -> Any:
    return np.vectorize(lambda x: bool(np.count_nonzero(x)), otypes=[bool])(v)


def isnonzero(a: Any) -> Any:
    """Where elements are not 0."""
    return _isnonzero(a)


@derived_from(np)
def count_nonzero(a, axis=None):
    return _isnonzero(asarray(a)).astype(np.intp).sum(axis=axis)


@derived_from(np)
def argwhere(a):
    from weft.array.creation import indices as make

    a = asarray(a)
    nz = _isnonzero(a).flatten()
    ind = make(a.shape, dtype=np.intp, chunks=a.chunks)
    if ind.ndim > 1:
        ind = stack([ind[i].ravel() for i in range(len(ind))], axis=1)
    return compress(nz, ind, axis=0)


@derived_from(np)
def flatnonzero(a):
    return argwhere(asarray(a).ravel())[:, 0]


@derived_from(np)
def nonzero(a):
    ind = argwhere(a)
    if ind.ndim > 1:
        return tuple(ind[:, i] for i in range(ind.shape[1]))
    return (ind,)


@derived_from(np)
def choose(a, choices):
    from weft.array.core import elemwise

    dtype = np.result_type(*(getattr(c, "dtype", c) for c in choices))
    return elemwise(_choose, a, *choices, dtype=dtype)


def _choose(a, *choices):
    return np.choose(a, choices)


@derived_from(np)
def select(condlist, choicelist, default=0):
    from weft.array.core import elemwise

    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not len(condlist):
        raise ValueError("select with an empty condition list is not possible")
    conditions, choices = [asarray(c) for c in condlist], [asarray(c) for c in choicelist]
    try:
        dtype = result_type(*choices, default)
    except TypeError as e:
        raise TypeError(
            f"Choicelist elements do not have a common dtype. The original error message was: {e}"
        ) from None
    for i, cond in enumerate(conditions):
        if cond.dtype != bool:
            raise TypeError(f"invalid entry {i} in condlist: should be boolean ndarray, not {cond.dtype}")
    return elemwise(_select, default, *conditions, *choices, dtype=dtype, count=len(conditions))


def _select(default, *args, count):
    shape = np.broadcast_shapes(*(np.shape(a) for a in args))
    return np.select(
        [np.broadcast_to(a, shape) for a in args[:count]],
        [np.broadcast_to(a, shape) for a in args[count:]],
        default=default,
    )


@derived_from(np)
def piecewise(x, condlist, funclist, *args, **kw):
    return (
        map_blocks(
            partial(_piecewise, n=len(condlist)),
            x,
            *condlist,
            name="piecewise-" + tokenize(x, condlist, funclist, args, kw),
            dtype=x.dtype,
            funclist=funclist,
            func_args=args,
            func_kw=kw,
        )
        if builtins.any(hasattr(c, "dask") for c in condlist)
        else map_blocks(
            _piecewise_plain,
            x,
            condlist=condlist,
            dtype=x.dtype,
            funclist=funclist,
            func_args=args,
            func_kw=kw,
        )
    )


def _piecewise(x, *condlist, n, funclist, func_args, func_kw):
    return np.piecewise(x, list(condlist), funclist, *func_args, **func_kw)


def _piecewise_plain(x, condlist, funclist, func_args, func_kw):
    return np.piecewise(x, list(condlist), funclist, *func_args, **func_kw)


@derived_from(np)
def around(x, decimals=0):
    return map_blocks(partial(np.around, decimals=decimals), x, dtype=x.dtype)


def round(a, decimals=0):
    """Values rounded to ``decimals`` digits; see `numpy.round`."""
    return asarray(a).map_blocks(
        np.round, decimals=decimals, dtype=np.round(np.ones((1,), a.dtype), decimals).dtype
    )


@derived_from(np)
def isclose(arr1, arr2, rtol=1e-5, atol=1e-8, equal_nan=False):
    from weft.array.core import elemwise

    return elemwise(partial(np.isclose, rtol=rtol, atol=atol, equal_nan=equal_nan), arr1, arr2, dtype="bool")


@derived_from(np)
def allclose(arr1, arr2, rtol=1e-5, atol=1e-8, equal_nan=False):
    return isclose(arr1, arr2, rtol=rtol, atol=atol, equal_nan=equal_nan).all()


def isnull(values: Any) -> Any:
    """Where values are missing; see `pandas.isnull`.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> da.isnull(da.from_array(np.array([1.0, np.nan]), chunks=2)).compute()
    array([False,  True])
    """
    from weft.array.core import elemwise

    return elemwise(_isnull, values, dtype="bool")


def _isnull(values: Any) -> Any:
    import pandas as pd

    return np.asarray(pd.isnull(values))


def notnull(values: Any) -> Any:
    """Where values are not missing; see `pandas.notnull`."""
    return ~isnull(values)


@derived_from(np)
def iscomplexobj(x):
    return issubclass(x.dtype.type, np.complexfloating)


@derived_from(np)
def isin(element, test_elements, assume_unique=False, invert=False):
    element, test = asarray(element), asarray(test_elements)
    axes = tuple(range(element.ndim))
    result = blockwise(
        _isin_kernel,
        (*axes, element.ndim),
        element,
        axes,
        test.ravel(),
        (element.ndim,),
        assume_unique=assume_unique,
        adjust_chunks={element.ndim: 1},
        dtype=bool,
        meta=np.empty((0,) * (element.ndim + 1), bool),
        token="isin",
    )
    result = result.any(axis=element.ndim)
    return ~result if invert else result


def _isin_kernel(element, test_elements, assume_unique=False):
    return np.isin(element, test_elements, assume_unique=assume_unique)[..., np.newaxis]


# -- statistics ------------------------------------------------------------------------------------


@derived_from(np)
def average(a, axis=None, weights=None, returned=False, keepdims=False):
    a = asanyarray(a)
    if weights is None:
        avg = a.mean(axis, keepdims=keepdims)
        scl = avg.dtype.type(a.size / avg.size)
    else:
        wgt = _weights_along(a, asanyarray(weights), axis)
        if issubclass(a.dtype.type, (np.integer, np.bool_)):
            dtype = np.result_type(a.dtype, wgt.dtype, "f8")
        else:
            dtype = np.result_type(a.dtype, wgt.dtype)
        scl = wgt.sum(axis=axis, dtype=dtype, keepdims=keepdims)
        avg = (a * wgt).sum(axis, dtype=dtype, keepdims=keepdims) / scl
    if returned:
        if not hasattr(scl, "dask") or scl.shape != avg.shape:
            scl = broadcast_to(asanyarray(scl), avg.shape)
        return avg, scl
    return avg


def _weights_along(a, weights, axis):
    """Weights in an array's shape, or in one that is broadcast to it."""
    if a.shape == weights.shape:
        return weights
    if axis is None:
        raise TypeError(
            f"Axis must be specified when shapes of a and weights differ: they are {a.shape} and {weights.shape}."
        )
    if weights.ndim != 1:
        raise TypeError(
            f"1D weights expected when shapes of a and weights differ: they are {a.shape} and {weights.shape}."
        )
    if weights.shape[0] != a.shape[axis]:
        raise ValueError(
            f"Length of weights not compatible with specified axis: {weights.shape[0]} weights for axis {axis} "
            f"of shape {a.shape}."
        )
    return broadcast_to(weights, (a.ndim - 1) * (1,) + weights.shape).swapaxes(-1, axis)


@derived_from(np)
def cov(m, y=None, rowvar=1, bias=0, ddof=None, fweights=None, aweights=None):
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    m = asarray(m)
    if m.ndim > 2 or (y is not None and np.ndim(y) > 2):
        raise ValueError(f"m and y have at most 2 dimensions; m has shape {m.shape}")
    dtype = result_type(m, np.float64) if y is None else result_type(m, asarray(y), np.float64)
    X = array(m, ndmin=2, dtype=dtype)
    if not rowvar and m.ndim != 1:
        X = X.T
    ddof = (0 if bias else 1) if ddof is None else ddof
    if y is not None:
        y = array(asarray(y), ndmin=2, dtype=dtype)
        if not rowvar and y.shape[0] != 1:
            y = y.T
        X = concatenate((X, y), 0)
    N = X.shape[1]
    counts, importance = _frequencies(fweights, N), _importance(aweights, N)
    weights = counts if importance is None else importance if counts is None else counts * importance
    if weights is None:
        fact = float(N - ddof)
        if fact <= 0:
            warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
            fact = 0.0
        X = X - X.mean(axis=1, keepdims=True)
        return (dot(X, X.T.conj()) / fact).squeeze()
    total = weights.sum()
    lost = 0 if ddof == 0 else ddof if importance is None else ddof * (weights * importance).sum() / total
    X = X - (X * weights).sum(axis=1, keepdims=True) / total
    free = (total - lost).map_blocks(_degrees_of_freedom, dtype=float)
    return (dot(X, (X * weights).T.conj()) / free).squeeze()


def _degrees_of_freedom(free):
    if free <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        return np.zeros_like(free, dtype=float)[()]
    return np.asarray(free, dtype=float)[()]


def _frequencies(fweights, n):
    if fweights is None:
        return None
    fweights = asarray(fweights)
    if fweights.dtype.kind not in "iub":
        whole = fweights.map_blocks(_whole_numbers, dtype=float)
        fweights = whole
    return _weights(fweights.astype(float), n, "fweights")


def _whole_numbers(weights):
    if not np.all(weights == np.around(weights)):
        raise TypeError("fweights must be integer")
    return weights.astype(float)


def _importance(aweights, n):
    return None if aweights is None else _weights(asarray(aweights).astype(float), n, "aweights")


def _weights(weights, n, name):
    if weights.ndim > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}: they have shape {weights.shape}")
    if weights.shape[0] != n:
        raise RuntimeError(f"incompatible numbers of samples and {name}: {n} and {weights.shape[0]}")
    return weights.map_blocks(partial(_not_negative, name=name), dtype=float)


def _not_negative(weights, name):
    if np.any(weights < 0):
        raise ValueError(f"{name} cannot be negative")
    return weights


@derived_from(np)
def corrcoef(x, y=None, rowvar=1):
    from weft.array.ufunc import sqrt  # type: ignore[attr-defined]

    c = cov(x, y, rowvar)
    if c.shape == ():
        return c / c
    d = diag(c).reshape((c.shape[0], 1))
    sqr = sqrt(d)
    return (c / sqr) / sqr.T


@derived_from(np)
def bincount(x, weights=None, minlength=0, split_every=None):
    if x.ndim != 1:
        raise ValueError(f"Input array must be one dimensional, got shape {x.shape}. Try using x.ravel()")
    if weights is not None and weights.chunks != x.chunks:
        raise ValueError(
            f"Chunks of input array x and weights must match: they are {x.chunks} and {weights.chunks}."
        )
    token = tokenize(x, weights, minlength)
    args = [x, "i"]
    dtype = np.bincount([]).dtype
    if weights is not None:
        dtype = np.bincount([1], weights=np.ones(1, weights.dtype)).dtype
        args += [weights, "i"]
    if minlength:
        size: Any = minlength
        out = ((minlength,),)
    else:
        size, out = np.nan, ((np.nan,),)
    _ = out
    counts = blockwise(
        _bincount_block,
        "ij",
        *args,
        new_axes={"j": size},
        adjust_chunks={"i": 1},
        dtype=dtype,
        minlength=minlength,
        meta=np.empty((0, 0), dtype),
        name=f"bincount-{token}",
    )
    from weft.array.reductions import _tree_reduce

    result = _tree_reduce(
        counts,
        _bincount_agg,
        (0,),
        False,
        dtype,
        split_every,
        name="bincount",
        concatenate=False,
        reduced_meta=np.empty((0,), dtype),
    )
    result._chunks = ((size,),) if minlength else ((np.nan,),)
    return result


def _bincount_block(x, weights=None, minlength=0):
    return np.bincount(x, weights=weights, minlength=minlength)[None, :]


def _bincount_agg(parts, axis=None, keepdims=False, **kwargs):
    parts = parts if isinstance(parts, list) else [parts]
    n = builtins.max(p.shape[1] for p in parts)
    out = np.zeros((1, n), dtype=parts[0].dtype)
    for p in parts:
        out[:, : p.shape[1]] += p.sum(axis=0, keepdims=True)
    return out if keepdims else out[0]


@derived_from(np)
def digitize(a, bins, right=False):
    bins = np.asarray(bins) if not hasattr(bins, "dask") else bins
    dtype = np.digitize(
        np.asarray([0], dtype=a.dtype if a.dtype.kind in "biuf" else float), np.asarray([0.0]), right=right
    ).dtype
    return a.map_blocks(np.digitize, dtype=dtype, bins=bins, right=right)


@derived_from(np)
def searchsorted(a, v, side="left", sorter=None):
    if a.ndim != 1:
        raise ValueError(f"Input array a must be one dimensional, got shape {a.shape}")
    if sorter is not None:
        raise NotImplementedError("da.searchsorted with a sorter argument is not supported")
    v = asarray(v)
    dtype = np.searchsorted(np.empty((0,), a.dtype), np.zeros((1,), v.dtype)).dtype
    starts = cached_starts(a.chunks[0])[:-1]
    offsets = asarray(np.asarray(starts, dtype=dtype)).rechunk(1)
    axes = list(range(v.ndim))
    found = blockwise(
        _searchsorted_block,
        [*axes, v.ndim],
        a,
        [v.ndim],
        v,
        axes,
        offsets,
        [v.ndim],
        side=side,
        adjust_chunks={v.ndim: 1},
        dtype=dtype,
        align_arrays=False,
        meta=np.empty((0,) * (v.ndim + 1), dtype),
        token="searchsorted",
    )
    found = found.max(axis=v.ndim)
    found[found == -1] = 0
    return found


def _searchsorted_block(x, y, offset, side):
    found = np.searchsorted(x, y, side=side)
    # At the start of a block nothing is known: the block before decides.
    found = np.where(found == 0, -1, found + offset[0])
    return found[..., np.newaxis]


# -- histograms ------------------------------------------------------------------------------------


def _linspace_of(bins_range: Any, n: int) -> Any:
    return np.linspace(bins_range[0], bins_range[1], n + 1)


@derived_from(np)
def histogram(a, bins=None, range=None, normed=False, weights=None, density=None):
    from weft.array.core import Array

    a = asarray(a) if not hasattr(a, "dask") else a
    lazy_bins = is_dask_collection(bins)
    lazy_range = is_dask_collection(range) or (
        np.iterable(range)
        and not is_dask_collection(range)
        and builtins.any(is_dask_collection(r) for r in range)
    )
    if isinstance(bins, Array):
        scalar_bins = bins.ndim == 0
    elif isinstance(bins, Delayed):
        scalar_bins = bins._length is None or bins._length == 1
    else:
        scalar_bins = np.ndim(bins) == 0
    if bins is None or (scalar_bins and range is None):
        raise ValueError(
            "dask.array.histogram requires either specifying bins as an iterable or specifying both a range and the number of bins"
        )
    if weights is not None and weights.chunks != a.chunks:
        raise ValueError(
            f"Input array and weights must have the same chunked structure: they are {a.chunks} and {weights.chunks}"
        )
    if normed is not False:
        raise ValueError(
            "The normed= keyword argument has been deprecated. Please use density instead. See the numpy.histogram docstring for more information."
        )
    if density and scalar_bins and lazy_bins:
        raise NotImplementedError(
            "When `density` is True, `bins` cannot be a scalar Dask object. It must be a concrete number or a (possibly-delayed) array/sequence of bin edges."
        )
    for argname, val in [("bins", bins), ("range", range), ("weights", weights)]:
        if (
            not isinstance(bins, (Array, np.ndarray))
            and is_dask_collection(bins)
            and not isinstance(bins, (Array, Delayed))
        ):
            raise TypeError(
                f"Dask types besides Array and Delayed are not supported for `histogram`. For argument `{argname}`, got: {val!r}"
            )
    if range is not None:
        try:
            if not np.iterable(range):
                raise TypeError
            if len(range) != 2:
                raise ValueError(f"range must be a sequence or array of length 2, but got {len(range)} items")
            if isinstance(range, (Array, np.ndarray)) and range.shape != (2,):
                raise ValueError(
                    f"range must be a 1-dimensional array of two items, but got an array of shape {range.shape}"
                )
        except TypeError:
            raise TypeError(f"Expected a sequence or array for range, not {range}") from None
    token = tokenize(a, bins, range, weights, density)
    inputs: list = []
    if scalar_bins:
        if lazy_bins or lazy_range:
            n_task, deps = unpack_collections(bins)
            r_task, deps2 = unpack_collections(list(range) if not is_dask_collection(range) else range)
            inputs += [*deps, *deps2]
            name = f"histogram-edges-{token}"
            edges = new_array(
                name,
                {(name, 0): Task((name, 0), _edges_of, n_task, r_task)},
                inputs,
                ((np.nan,) if lazy_bins else (bins + 1,),),
                dtype=float,
            )
        else:
            edges = (
                asarray(
                    np.linspace(
                        float(range[0]) if not hasattr(range[0], "dtype") else range[0],
                        range[1],
                        int(bins) + 1,
                    )
                )
                if builtins.bool(np.isscalar(bins) or np.ndim(bins) == 0)
                else bins
            )
    else:
        if not isinstance(bins, (Array, np.ndarray, Delayed)):
            edges_task, deps = unpack_collections(list(bins))
            if deps:
                name = f"histogram-edges-{token}"
                edges = new_array(
                    name,
                    {(name, 0): Task((name, 0), np.asarray, edges_task)},
                    deps,
                    ((len(bins),),),
                    dtype=float,
                )
            else:
                edges = asarray(np.asarray(bins))
        elif isinstance(bins, Delayed):
            name = f"histogram-edges-{token}"
            edges = new_array(
                name,
                {(name, 0): Task((name, 0), np.asarray, TaskRef(bins.key))},
                [bins],
                ((bins._length or np.nan,),),
                dtype=float,
            )
        else:
            edges = asarray(bins).rechunk(-1)
    if edges.ndim != 1:
        raise ValueError(f"bins must be a 1-dimensional array or sequence, got shape {edges.shape}")
    n = edges.shape[0] - 1
    dtype = np.histogram([])[0].dtype if weights is None else weights.dtype
    # The counts of each block lie along an axis of their own, behind one axis for each of the array.
    along = tuple(builtins.range(a.ndim))
    parts = step(
        _Histogram(a.ndim),
        [
            (a._expr, along),
            (edges._expr, (("at", 0),)),
            (None, None) if weights is None else (weights._expr, along),
        ],
        (*((1,) * k for k in a.numblocks), (n,)),
        np.empty((0,) * (a.ndim + 1), dtype),
        f"histogram-{token}",
    )
    counts = parts.sum(axis=along)
    out_edges = (
        bins
        if isinstance(bins, Array) and not scalar_bins
        else edges
        if lazy_bins or lazy_range or hasattr(bins, "dask")
        else np.asarray(bins)
        if not scalar_bins
        and not builtins.any(is_dask_collection(b) for b in np.ravel(np.asarray(bins, dtype=object)))
        else edges
    )
    if scalar_bins and not lazy_bins and not lazy_range:
        out_edges = edges.compute()
    if density:
        db = (
            asarray(np.diff(out_edges).astype(float))
            if isinstance(out_edges, np.ndarray)
            else diff(edges).astype(float)
        )
        return counts / db / counts.sum(), out_edges
    return counts, out_edges


def _edges_of(n, range):
    n = np.asarray(n)
    if n.ndim:
        n = n.ravel()[0]
    return np.linspace(range[0], range[1], int(n) + 1)


class _Histogram:
    """The counts of a block, as the last of ``ndim + 1`` axes."""

    def __init__(self, ndim):
        self.ndim = ndim

    def __call__(self, x, edges, weights=None):
        return np.histogram(x, edges, weights=weights)[0][(np.newaxis,) * self.ndim]


@derived_from(np)
def histogram2d(x, y, bins=10, range=None, normed=None, weights=None, density=None):
    counts, edges = histogramdd(
        (x, y), bins=bins, range=range, normed=normed, weights=weights, density=density
    )
    return counts, edges[0], edges[1]


@derived_from(np)
def histogramdd(sample, bins, range=None, normed=None, weights=None, density=None):
    from weft.array.core import Array

    if normed is None and density is None:
        density = False
    elif normed is not None and density is not None:
        raise TypeError("Cannot specify both 'normed' and 'density'")
    elif density is None:
        density = normed
    dc_bins = (
        is_dask_collection(bins)
        or isinstance(bins, (list, tuple))
        and builtins.any(is_dask_collection(b) for b in bins)
    )
    dc_range = builtins.any(is_dask_collection(r) for r in range) if range is not None else False
    if dc_bins or dc_range:
        raise NotImplementedError("Passing dask collections to bins=... or range=... is not supported.")
    if hasattr(sample, "ndim") and sample.ndim != 2:
        raise ValueError(
            "Single array input to histogramdd should be columnar: (samples, dimensions), "
            f"not of shape {sample.shape}"
        )
    separate = not hasattr(sample, "ndim")
    if separate:
        columns = list(sample)
        D = len(columns)
        for c in columns:
            if c.ndim != 1 or c.chunks != columns[0].chunks:
                raise ValueError("All coordinate arrays must be chunked identically.")
        n_chunks = columns[0].chunks[0]
    else:
        D = sample.shape[1]
        if sample.shape_chunks if hasattr(sample, "shape_chunks") else sample.numblocks[1] > 1:
            raise ValueError(
                f"Input array can only be chunked along the 0th axis. Its chunks are {sample.chunks}: rechunk it with {{1: -1}}"
            )
        n_chunks = sample.chunks[0]
    if weights is not None and weights.chunks[0] != n_chunks:
        raise ValueError(
            "Input arrays and weights must have the same shape and chunk structure."
            if separate
            else "Input array and weights must have the same shape and chunk structure along the first dimension."
        )
    if isinstance(bins, (list, tuple)) and len(bins) != D:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample.")
    if range is not None:
        if len(range) != D:
            raise ValueError("range argument requires one entry, a min max pair, per dimension.")
        if not builtins.all(len(r) == 2 for r in range):
            raise ValueError("range argument should be a sequence of pairs")
    if not isinstance(bins, (list, tuple)):
        bins = (
            (bins,) * D
            if np.ndim(bins) == 0
            or len(np.atleast_1d(bins)) != D
            or D == 1
            or np.ndim(bins) == 1
            and not isinstance(bins, np.ndarray)
            else tuple(np.asarray(bins))
        )
    edges = []
    for i, b in enumerate(bins):
        if np.ndim(b) == 0:
            if range is None:
                raise ValueError("bins given as numbers need a range")
            edges.append(np.linspace(range[i][0], range[i][1], int(b) + 1))
        else:
            edges.append(np.asarray(b))
    token = tokenize(sample, bins, range, weights, density)
    name = f"histogramdd-{token}"
    tasks = {}
    for i in builtins.range(len(n_chunks)):
        key = (name, i, *(0,) * D)
        refs = List(*(TaskRef((c.name, i)) for c in columns)) if separate else TaskRef((sample.name, i, 0))
        tasks[key] = Task(
            key, _histdd_block, refs, edges, None if weights is None else TaskRef((weights.name, i))
        )
    inputs = [*(columns if separate else [sample]), *([] if weights is None else [weights])]
    parts = new_array(
        name, tasks, inputs, ((1,) * len(n_chunks), *((len(e) - 1,) for e in edges)), dtype=float
    )
    counts = parts.sum(axis=0)
    if density:
        widths = np.ix_(*(np.diff(e) for e in edges))
        volume = math.prod(()) if not widths else widths[0]
        for w in widths[1:]:
            volume = volume * w
        counts = counts / asarray(volume) / counts.sum()
    _ = Array
    return counts, [asarray(e) for e in edges]


def _histdd_block(sample, edges, weights=None):
    return np.histogramdd(
        sample if not isinstance(sample, list) else tuple(sample), bins=edges, weights=weights
    )[0][np.newaxis]


# -- sets ------------------------------------------------------------------------------------------


@derived_from(np)
def unique(ar, return_index=False, return_inverse=False, return_counts=False):
    ar = asanyarray(ar)
    shape_before = ar.shape
    if not (return_index or return_inverse or return_counts):
        # Blocks first, then all that is left of them.
        flat = ar.ravel()
        token = tokenize(ar)
        chunks = ((np.nan,) * flat.numblocks[0],)
        parts = step(np.unique, [(flat._expr, (0,))], chunks, flat._meta, f"unique-{token}")
        whole = [(parts._expr, (None,))]
        return step(_unique_all, whole, ((np.nan,),), flat._meta, f"unique-aggregate-{token}")
    flat = ar.ravel()
    name = f"unique-{tokenize(ar, 1)}"
    starts = cached_starts(flat.chunks[0])
    tasks = {}
    for i in range(flat.numblocks[0]):
        tasks[(name, i)] = Task((name, i), _unique_block, TaskRef((flat.name, i)), starts[i])
    parts = new_array(name, tasks, [flat], ((np.nan,) * len(tasks),), dtype=object)
    merged = f"unique-merge-{tokenize(ar, 1)}"
    task = Task((merged, 0), _unique_merge, List(*(TaskRef((name, i)) for i in range(len(tasks)))))
    both = new_array(merged, {(merged, 0): task}, [parts], ((np.nan,),), dtype=object)

    def pick(which, dtype):
        key = f"unique-{which}-{tokenize(ar)}"
        t = Task((key, 0), operator.itemgetter(which), TaskRef((merged, 0)))
        return new_array(key, {(key, 0): t}, [both], ((np.nan,),), meta=np.empty((0,), dtype))

    result = [pick(0, ar.dtype)]
    if return_index:
        result.append(pick(1, np.intp))
    if return_inverse:
        values = pick(0, ar.dtype)
        key = f"unique-inverse-{tokenize(ar)}"
        inv = {
            (key, i): Task((key, i), _inverse, TaskRef((flat.name, i)), TaskRef((values.name, 0)))
            for i in range(flat.numblocks[0])
        }
        result.append(
            new_array(key, inv, [flat, values], flat.chunks, meta=np.empty((0,), np.intp)).reshape(
                shape_before
            )
        )
    if return_counts:
        result.append(pick(2, np.intp))
    return tuple(result) if len(result) > 1 else result[0]


def _unique_all(parts):
    return np.unique(np.concatenate(parts))


def _unique_block(x, start):
    values, index, counts = np.unique(x, return_index=True, return_counts=True)
    return values, index + start, counts


def _unique_merge(parts):
    values = np.concatenate([p[0] for p in parts])
    index = np.concatenate([p[1] for p in parts])
    counts = np.concatenate([p[2] for p in parts])
    unique_values, inverse = np.unique(values, return_inverse=True)
    first = np.full(len(unique_values), np.iinfo(np.intp).max, dtype=np.intp)
    np.minimum.at(first, inverse, index)
    total = np.zeros(len(unique_values), dtype=np.intp)
    np.add.at(total, inverse, counts)
    return unique_values, first, total


def _inverse(x, values):
    return np.searchsorted(values, x).astype(np.intp)


@derived_from(np)
def union1d(ar1, ar2):
    return unique(concatenate((asarray(ar1).ravel(), asarray(ar2).ravel())))


# -- triangles -------------------------------------------------------------------------------------


def _matrix_of(m):
    m = asarray(m) if not hasattr(m, "dask") else m
    # NumPy takes one axis for the rows of a square matrix.
    return m if m.ndim != 1 else broadcast_to(m, m.shape * 2, chunks=m.chunks * 2)


@derived_from(np)
def tril(m, k=0):
    m = _matrix_of(m)
    mask = tri(*m.shape[-2:], k=k, dtype=bool, chunks=m.chunks[-2:], like=None)
    return where(
        mask,
        m,
        np.zeros_like(m._meta, shape=(1,) * 0)
        if type(m._meta) is not np.ndarray
        else np.zeros((), m.dtype)[()],
    )


@derived_from(np)
def triu(m, k=0):
    m = _matrix_of(m)
    mask = tri(*m.shape[-2:], k=k - 1, dtype=bool, chunks=m.chunks[-2:], like=None)
    return where(
        mask,
        np.zeros_like(m._meta, shape=()) if type(m._meta) is not np.ndarray else np.zeros((), m.dtype)[()],
        m,
    )


@derived_from(np)
def tril_indices(n, k=0, m=None, chunks="auto"):
    return nonzero(tri(n, m, k=k, dtype=bool, chunks=chunks))


@derived_from(np)
def tril_indices_from(arr, k=0):
    if arr.ndim != 2:
        raise ValueError("input array must be 2-d")
    return tril_indices(arr.shape[-2], k=k, m=arr.shape[-1], chunks=arr.chunks)


@derived_from(np)
def triu_indices(n, k=0, m=None, chunks="auto"):
    return nonzero(~tri(n, m, k=k - 1, dtype=bool, chunks=chunks))


@derived_from(np)
def triu_indices_from(arr, k=0):
    if arr.ndim != 2:
        raise ValueError("input array must be 2-d")
    return triu_indices(arr.shape[-2], k=k, m=arr.shape[-1], chunks=arr.chunks)


@derived_from(np)
def unravel_index(indices, shape, order="C"):
    indices = asarray(indices)
    if shape and indices.size:
        n = len(shape)
        out = indices.map_blocks(
            _unravel,
            shape,
            order,
            dtype=np.intp,
            chunks=((n,), *indices.chunks),
            new_axis=0,
            meta=np.empty((0,) * (indices.ndim + 1), np.intp),
        )
        return tuple(out[i] for i in range(n))
    return tuple(empty((0,), dtype=np.intp, chunks=1) for _ in shape)


def _unravel(x, shape, order):
    return np.stack(np.unravel_index(x, shape, order=order))


@derived_from(np)
def ravel_multi_index(multi_index, dims, mode="raise", order="C"):
    if np.isscalar(dims):
        dims = (dims,)
    if is_dask_collection(dims) or builtins.any(is_dask_collection(d) for d in dims):
        raise NotImplementedError(f"Dask types are not supported in the `dims` argument: {dims!r}")
    if hasattr(multi_index, "dask"):
        if multi_index.dtype.kind not in "iu":
            raise TypeError(f"only int indices permitted, got {multi_index.dtype}")
        # The rows are counted in the blocks: nobody may know how many there are before.
        every = tuple(range(multi_index.ndim))
        return blockwise(
            _ravel_multi_rows,
            every[1:],
            multi_index,
            every,
            concatenate=True,
            dims=tuple(dims),
            mode=mode,
            order=order,
            dtype=np.intp,
            meta=np.empty((0,) * (multi_index.ndim - 1), np.intp),
        )
    if is_arraylike(multi_index):
        arrays = [asarray(m) for m in multi_index]
    else:
        arrays = list(broadcast_arrays(*multi_index))
    for a in arrays:
        if a.dtype.kind not in "iu":
            raise TypeError(f"only int indices permitted, got {a.dtype}")
    if len(arrays) != len(dims):
        raise ValueError(f"parameter multi_index must be a sequence of length {len(dims)}")
    from weft.array.core import elemwise

    return elemwise(_ravel_multi, *arrays, dims=tuple(dims), mode=mode, order=order, dtype=np.intp)


def _ravel_multi_rows(rows, dims, mode, order):
    return np.ravel_multi_index(tuple(rows), dims, mode=mode, order=order)


def _ravel_multi(*arrays, dims, mode, order):
    return np.ravel_multi_index(arrays, dims, mode=mode, order=order)


# -- coarsening ------------------------------------------------------------------------------------


def aligned_coarsen_chunks(chunks: Any, multiple: int) -> tuple:
    """Chunks of about the old sizes that are multiples of ``multiple``, but for what is left over at the end.

    Examples
    --------
    >>> aligned_coarsen_chunks((20, 10, 15), 10)
    (20, 10, 10, 5)
    """
    over = np.asarray(chunks) % multiple
    excess = int(over.sum())
    sizes = np.asarray(chunks) - over
    target = int(np.max(chunks)) or multiple
    while excess >= multiple:
        order = np.argsort(-over, kind="stable")
        grown = False
        for k in order:
            if excess < multiple:
                break
            if sizes[k] + multiple <= builtins.max(target, multiple) and over[k]:
                sizes[k] += multiple
                excess -= multiple
                over[k] = 0
                grown = True
        if not grown:
            sizes = np.append(sizes, excess - excess % multiple)
            over = np.append(over, 0)
            excess %= multiple
    result = [int(n) for n in sizes if n]
    if excess:
        result.append(excess)
    return tuple(result)


def coarsen(reduction: Any, x: Any, axes: dict, trim_excess: bool = False, **kwargs: Any) -> Any:
    """Reduces neighbouring elements to one.

    Parameters
    ----------
    reduction : callable
        Such as `numpy.sum`.
    x : Array
    axes : dict
        For each axis, how many elements become one.
    trim_excess : bool
        Whether to drop what does not fill a whole group.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If an axis does not divide.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> da.coarsen(np.sum, da.arange(6, chunks=2), {0: 2}).compute()
    array([1, 5, 9])
    """
    if not trim_excess and builtins.any(x.shape[i] % div for i, div in axes.items()):
        raise ValueError(f"Coarsening factors {axes} do not align with array shape {x.shape}.")
    if reduction.__module__.startswith("weft."):
        reduction = getattr(np, reduction.__name__)
    new = {}
    for i, div in axes.items():
        aligned = aligned_coarsen_chunks(x.chunks[i], div)
        if aligned != x.chunks[i]:
            new[i] = aligned
    if new:
        x = x.rechunk(new)
    chunks = tuple(tuple(int(n // axes.get(i, 1)) for n in c) for i, c in enumerate(x.chunks))
    # A block that is smaller than a group is nothing but excess.
    meta = reduction(np.ones((1,) * x.ndim, dtype=x.dtype), axis=tuple(range(x.ndim)), **kwargs)
    result = x.map_blocks(
        partial(chunk.coarsen, reduction, axes=axes, trim_excess=trim_excess, **kwargs),
        chunks=chunks,
        dtype=np.asarray(meta).dtype,
        name=f"coarsen-{tokenize(reduction, x, axes, trim_excess, kwargs)}",
        meta=meta_from_array(x._meta, x.ndim, np.asarray(meta).dtype),
    )
    if trim_excess and builtins.any(0 in c for c in result.chunks) and builtins.all(result.shape):
        result = result.rechunk(tuple(tuple(n for n in c if n) for c in result.chunks))
    return result
