"""Blocks that share their edges with their neighbours."""

from __future__ import annotations

import math
import warnings
from numbers import Integral
from typing import Any

import numpy as np

from weft._docs import derived_from
from weft.array._chunks import is_known, keep_block_size
from weft.array._join import concatenate
from weft.array._layers import regrid
from weft.array._map_blocks import map_blocks
from weft.array.blockwise import unify_chunks
from weft.array.creation import empty_like, full_like
from weft.array.numpy_compat import AxisError
from weft.base import tokenize

__all__ = [
    "add_dummy_padding",
    "coerce_boundary",
    "coerce_depth",
    "constant",
    "map_overlap",
    "nearest",
    "overlap",
    "periodic",
    "reflect",
    "sliding_window_view",
    "trim_internal",
    "trim_overlap",
    "boundaries",
    "ensure_minimum_chunksize",
]


def _part(x: Any, axis: int, part: slice) -> Any:
    return x[(slice(None),) * axis + (part,)]


def periodic(x: Any, axis: int, depth: int) -> Any:
    """The array with its other end at each end of an axis."""
    return concatenate([_part(x, axis, slice(-depth, None)), x, _part(x, axis, slice(0, depth))], axis=axis)


def reflect(x: Any, axis: int, depth: int) -> Any:
    """The array with its mirror image at each end of an axis."""
    left = _part(x, axis, slice(depth - 1, None, -1)) if depth > 1 else _part(x, axis, slice(0, 1))
    right = _part(x, axis, slice(-1, -depth - 1, -1)) if depth > 1 else _part(x, axis, slice(-1, None))
    left, right = _remove_overlap_boundaries(left, right, axis, depth)
    return concatenate([left, x, right], axis=axis)


def _remove_overlap_boundaries(left: Any, right: Any, axis: int, depth: int) -> tuple[Any, Any]:
    return left.rechunk({axis: depth}), right.rechunk({axis: depth})


def nearest(x: Any, axis: int, depth: int) -> Any:
    """The array with its first and last element repeated at the ends of an axis."""
    left = concatenate([_part(x, axis, slice(0, 1))] * depth, axis=axis)
    right = concatenate([_part(x, axis, slice(-1, None))] * depth, axis=axis)
    left, right = _remove_overlap_boundaries(left, right, axis, depth)
    return concatenate([left, x, right], axis=axis)


def constant(x: Any, axis: int, depth: int, value: Any) -> Any:
    """The array with a constant at the ends of an axis."""
    chunks = list(x.chunks)
    chunks[axis] = (depth,)
    c = full_like(x, value, shape=tuple(map(sum, chunks)), chunks=tuple(chunks), dtype=x.dtype)
    return concatenate([c, x, c], axis=axis)


def boundaries(x: Any, depth: Any = None, kind: Any = None) -> Any:
    """The array with its ends as ``kind`` says, before it is overlapped."""
    if not isinstance(kind, dict):
        kind = dict.fromkeys(range(x.ndim), kind)
    if not isinstance(depth, dict):
        depth = dict.fromkeys(range(x.ndim), depth)
    for axis in range(x.ndim):
        d = depth.get(axis, 0)
        if d == 0:
            continue
        this = kind.get(axis, "none")
        if isinstance(this, str) and this == "none" or this is None:
            continue
        if isinstance(this, str) and this == "periodic":
            x = periodic(x, axis, d)
        elif isinstance(this, str) and this == "reflect":
            x = reflect(x, axis, d)
        elif isinstance(this, str) and this == "nearest":
            x = nearest(x, axis, d)
        elif isinstance(this, str):
            raise ValueError(
                f"unknown boundary {this!r}: use 'none', 'periodic', 'reflect', 'nearest' or a number"
            )
        else:
            x = constant(x, axis, d, this)
    return x


def coerce_depth(ndim: int, depth: Any) -> dict:
    """Depths for each axis.

    Examples
    --------
    >>> coerce_depth(2, 1)
    {0: 1, 1: 1}
    """
    default = 0
    if depth is None:
        depth = default
    if isinstance(depth, Integral):
        depth = (depth,) * ndim
    if isinstance(depth, (tuple, list)):
        depth = dict(zip(range(ndim), depth))
    if isinstance(depth, dict):
        depth = {ax % ndim if ndim else ax: d for ax, d in depth.items()}
        depth = {ax: depth.get(ax, default) for ax in range(ndim)}
        depth = {
            ax: tuple(int(i) for i in d) if isinstance(d, (tuple, list)) else int(d)
            for ax, d in depth.items()
        }
    for d in depth.values():
        if any(i < 0 for i in (d if isinstance(d, tuple) else (d,))):
            raise ValueError("depth must not be negative")
    return depth


def coerce_boundary(ndim: int, boundary: Any) -> dict:
    """Boundaries for each axis."""
    default = "none"
    if boundary is None:
        boundary = default
    if not isinstance(boundary, (tuple, list, dict)):
        boundary = (boundary,) * ndim
    if isinstance(boundary, (tuple, list)):
        boundary = dict(zip(range(ndim), boundary))
    return {ax: boundary.get(ax, default) for ax in range(ndim)}


def _sides(d: Any) -> tuple[int, int]:
    return d if isinstance(d, tuple) else (d, d)


def overlap_internal(x: Any, axes: dict) -> Any:
    """Each block with ``axes[axis]`` elements of its neighbours."""
    plans: list = []
    chunks = []
    for axis, sizes in enumerate(x.chunks):
        left, right = _sides(axes.get(axis, 0))
        plan, new = [], []
        last = len(sizes) - 1
        for k, n in enumerate(sizes):
            pieces: list = []
            total = n
            if left and k > 0:
                pieces.append((k - 1, slice(-left, None)))
                total += left
            pieces.append((k, slice(None)))
            if right and k < last:
                pieces.append((k + 1, slice(0, right)))
                total += right
            plan.append((pieces, None))
            new.append(total)
        plans.append(plan)
        chunks.append(tuple(new))
    return regrid(x, plans, tuple(chunks), f"overlap-{tokenize(x, axes)}", x._meta)


def ensure_minimum_chunksize(size: int, chunks: tuple) -> tuple:
    """Chunks joined until none is smaller than ``size``.

    Examples
    --------
    >>> ensure_minimum_chunksize(10, (20, 20, 1))
    (20, 11, 10)
    """
    if size <= min(chunks):
        return chunks
    output = []
    new = 0
    for c in chunks:
        if c < size:
            if new > size + (size - c):
                output.append(new - (size - c))
                new = size
            else:
                new += c
        if new >= size:
            output.append(new)
            new = 0
        if c >= size:
            new += c
    if new >= size:
        output.append(new)
    elif len(output) >= 1:
        output[-1] += new
    else:
        raise ValueError(f"The overlapping depth {size} is larger than your array {sum(chunks)}.")
    return tuple(output)


def _get_overlap_rechunked_chunks(x: Any, depth: dict) -> tuple:
    sizes = [max(_sides(depth.get(i, 0))) for i in range(x.ndim)]
    return tuple(
        ensure_minimum_chunksize(n, c) if n and all(map(is_known, c)) else c for n, c in zip(sizes, x.chunks)
    )


def overlap(x: Any, depth: Any, boundary: Any, *, allow_rechunk: bool = True) -> Any:
    """Shares elements between neighbouring blocks.

    Parameters
    ----------
    x : Array
    depth : int, tuple or dict
        How many, along each axis; a pair where the sides differ.
    boundary : str, number, tuple or dict
        What is beyond the ends: "none", "periodic", "reflect", "nearest" or a number.
    allow_rechunk : bool
        Whether to join blocks that are smaller than ``depth``.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If blocks are smaller than the depth and may not be joined.

    Examples
    --------
    >>> import weft.array as da
    >>> da.overlap.overlap(da.arange(4, chunks=2), 1, "none").chunks
    ((3, 3),)
    """
    depth2, boundary2 = coerce_depth(x.ndim, depth), coerce_boundary(x.ndim, boundary)
    if allow_rechunk:
        x1 = x.rechunk(_get_overlap_rechunked_chunks(x, depth2))
    else:
        for axis, d in depth2.items():
            if max(_sides(d)) > min(x.chunks[axis]):
                raise ValueError(
                    f"The overlapping depth {d} is larger than the smallest chunk size {min(x.chunks[axis])} for dimension {axis}."
                )
        x1 = x
    for axis, d in depth2.items():
        if isinstance(d, tuple) and boundary2.get(axis) not in ("none", None):
            raise NotImplementedError(
                "Asymmetric overlap is currently only implemented for boundary_kind 'none'"
            )
    x2 = boundaries(x1, depth2, boundary2)
    x3 = overlap_internal(x2, depth2)
    trim = {
        axis: 0
        if boundary2.get(axis, "none") in ("none", None)
        and isinstance(boundary2.get(axis, "none"), (str, type(None)))
        else d
        for axis, d in depth2.items()
    }
    return drop_ends(x3, trim)


def drop_ends(x: Any, depth: dict) -> Any:
    """Drops the blocks that boundaries added at the ends."""
    index = []
    for axis in range(x.ndim):
        index.append(slice(1, x.numblocks[axis] - 1) if depth.get(axis, 0) else slice(None))
    if all(i == slice(None) for i in index):
        return x
    return x.blocks[tuple(index)]


def trim_overlap(x: Any, depth: Any, boundary: Any = None) -> Any:
    """Takes the shared elements off again; the inverse of `overlap`."""
    return trim_internal(x, coerce_depth(x.ndim, depth), coerce_boundary(x.ndim, boundary))


def trim_internal(x: Any, axes: dict, boundary: Any = None) -> Any:
    """Takes elements off both sides of each block; of the first and last only where something is beyond them."""
    boundary = coerce_boundary(x.ndim, boundary)
    chunks = []
    for axis, sizes in enumerate(x.chunks):
        left, right = _sides(axes.get(axis, 0))
        none = isinstance(boundary.get(axis), str) and boundary.get(axis) == "none"
        last = len(sizes) - 1
        chunks.append(
            tuple(
                n - (0 if none and k == 0 else left) - (0 if none and k == last else right)
                for k, n in enumerate(sizes)
            )
        )
    return map_blocks(
        _trim,
        x,
        axes=axes,
        boundary=boundary,
        chunks=tuple(chunks),
        dtype=x.dtype,
        meta=x._meta,
        numblocks=x.numblocks,
    )


def _trim(x: Any, axes: dict, boundary: dict, numblocks: tuple, block_id: Any = None) -> Any:
    index = []
    for axis, at in enumerate(block_id):
        left, right = _sides(axes.get(axis, 0))
        none = isinstance(boundary.get(axis), str) and boundary.get(axis) == "none"
        a = 0 if none and at == 0 else left
        b = 0 if none and at == numblocks[axis] - 1 else right
        index.append(slice(a, -b if b else None))
    return x[tuple(index)]


def add_dummy_padding(x: Any, depth: dict, boundary: dict) -> Any:
    """Elements without meaning at the ends that have no boundary."""
    for k, v in boundary.items():
        d = depth.get(k, 0)
        if isinstance(v, str) and v == "none" and d > 0:
            shape = list(x.shape)
            shape[k] = d
            chunks = list(x.chunks)
            chunks[k] = (d,)
            padding = empty_like(x, shape=tuple(shape), chunks=tuple(chunks), dtype=x.dtype)
            x = concatenate([padding, x, padding], axis=k)
    return x


def map_overlap(
    func: Any,
    *args: Any,
    depth: Any = None,
    boundary: Any = None,
    trim: bool = True,
    align_arrays: bool = True,
    allow_rechunk: bool = True,
    **kwargs: Any,
) -> Any:
    """Applies a function to blocks that share elements with their neighbours.

    Parameters
    ----------
    func : callable
        Takes blocks.
    *args : Arrays
    depth : int, tuple, dict or list of them
        How many elements are shared along each axis; a list has one entry for each array.
    boundary : str, number, tuple, dict or list of them
        What is beyond the ends: "none", "periodic", "reflect", "nearest" or a number.
    trim : bool
        Whether to take the shared elements off the result.
    align_arrays : bool
        Whether to cut the arrays alike first.
    allow_rechunk : bool
        Whether to join blocks that are smaller than ``depth``.
    **kwargs
        For `map_blocks` and ``func``.

    Returns
    -------
    Array

    Raises
    ------
    TypeError, ValueError
        If the arguments do not fit.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> x = da.from_array(np.array([1, 1, 2, 3, 3, 3, 2, 1, 1]), chunks=5)
    >>> da.map_overlap(lambda x: x - np.roll(x, 1), x, depth=1, boundary=0).compute()
    array([ 1,  0,  1,  1,  0,  0, -1, -1,  0])
    """
    from weft.array.core import Array

    if isinstance(func, Array) and args and callable(args[0]):
        warnings.warn(
            "The use of map_overlap(array, func, **kwargs) is deprecated since dask 2.17.0 and will be an error in a future release. Please use the syntax map_overlap(func, array0,[ array1, ...,] **kwargs) instead.",
            FutureWarning,
            stacklevel=2,
        )
        old = dict(zip(("depth", "boundary", "trim"), args[1:]))
        depth = old.get("depth", depth)
        boundary = old.get("boundary", boundary)
        trim = old.get("trim", trim)
        func, args = args[0], (func,)
    if not callable(func):
        raise TypeError(
            f"First argument must be callable function, not {type(func).__name__}\nUsage:   da.map_overlap(function, x)\n   or:   da.map_overlap(function, x, y, z)"
        )
    if not all(isinstance(x, Array) for x in args):
        raise TypeError(
            f"All variadic arguments must be arrays, not {[type(x).__name__ for x in args]}\nUsage:   da.map_overlap(function, x)\n   or:   da.map_overlap(function, x, y, z)"
        )

    def for_each(value: Any, fn: Any) -> list:
        if not isinstance(value, list):
            value = [value] * len(args)
        return [fn(x.ndim, v) for x, v in zip(args, value)]

    depths = for_each(depth, coerce_depth)
    bounds = for_each(boundary, coerce_boundary)
    arrays = list(args)
    if align_arrays:
        inds = [list(reversed(range(x.ndim))) for x in arrays]
        _, arrays = unify_chunks(*(part for pair in zip(arrays, inds) for part in pair), warn=False)
    for i, x in enumerate(arrays):
        for j in range(x.ndim):
            if isinstance(depths[i][j], tuple) and bounds[i][j] != "none":
                raise NotImplementedError(
                    "Asymmetric overlap is currently only implemented for boundary_kind 'none'"
                )
    arrays = [
        overlap(x, depth=d, boundary=b, allow_rechunk=allow_rechunk)
        for x, d, b in zip(arrays, depths, bounds)
    ]
    if not align_arrays:
        grids = [x.numblocks for x in arrays if x.ndim == max(y.ndim for y in arrays)]
        if any(grid != grids[0] for grid in grids):
            raise ValueError(
                f"arrays have different numbers of blocks, {grids}: rechunk them alike, or pass align_arrays=True"
            )
    result = map_blocks(func, *arrays, **kwargs)
    if not trim:
        return result
    # The array with most axes decides what is taken off.
    i = sorted(enumerate(arrays), key=lambda v: (v[1].ndim, -v[0]))[-1][0]
    d, b = depths[i], bounds[i]
    drop = kwargs.get("drop_axis")
    if drop is not None:
        drop = [drop] if isinstance(drop, Integral) else list(drop)
        ndim = result.ndim + len(drop)
        drop = [a % ndim for a in drop]
        kept = [ax for ax in range(ndim) if ax not in drop]
        d = {n: d[ax] for n, ax in enumerate(kept)}
        b = {n: b[ax] for n, ax in enumerate(kept)}
    new = kwargs.get("new_axis")
    if new is not None:
        new = [new] if isinstance(new, Integral) else list(new)
        ndim = result.ndim
        new = [a % ndim for a in new]
        d2, b2 = {}, {}
        before = iter(range(ndim - len(new)))
        for ax in range(ndim):
            if ax in new:
                d2[ax], b2[ax] = 0, "none"
            else:
                k = next(before)
                d2[ax], b2[ax] = d.get(k, 0), b.get(k, "none")
        d, b = d2, b2
    return trim_internal(result, d, b)


@derived_from(np.lib.stride_tricks)
def sliding_window_view(x, window_shape, axis=None, automatic_rechunk=True):
    window_shape = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    window = np.array(window_shape)
    if np.any(window <= 0):
        raise ValueError("window_shape must be positive")
    if axis is None:
        axis = tuple(range(x.ndim))
        if len(window_shape) != len(axis):
            raise ValueError(
                f"Since axis is None, must provide window_shape for all dimensions of `x`; got {len(window_shape)} window_shape elements and `x.ndim` is {x.ndim}."
            )
    else:
        axis = (axis,) if isinstance(axis, Integral) else tuple(axis)
        for a in axis:
            if not -x.ndim <= a < x.ndim:
                raise AxisError(f"axis {a} is out of bounds for array of dimension {x.ndim}")
        axis = tuple(a % x.ndim for a in axis)
        if len(window_shape) != len(axis):
            raise ValueError(
                f"Must provide matching length window_shape and axis; got {len(window_shape)} window_shape elements and {len(axis)} axes elements."
            )
    depths = [0] * x.ndim
    for ax, size in zip(axis, window_shape):
        depths[ax] += size - 1
    safe = tuple(ensure_minimum_chunksize(d + 1, c) if d else c for d, c in zip(depths, x.chunks))
    if automatic_rechunk:
        # What windows add to blocks is taken off along the other axes.
        largest = math.prod(max(c) for c in x.chunks) if x.ndim else 1
        others = {a for a, d in enumerate(depths) if not d}
        safe = keep_block_size(x.chunks, (*safe, *((n,) for n in window_shape)), others, largest)[: x.ndim]
    x = x.rechunk(safe)
    new = tuple(c[:-1] + (c[-1] - d,) for d, c in zip(depths, x.chunks)) + tuple((n,) for n in window_shape)
    kwargs = {
        "depth": tuple((0, d) for d in depths),
        "boundary": "none",
        "meta": np.empty((0,) * (x.ndim + len(axis)), x.dtype),
        "new_axis": range(x.ndim, x.ndim + len(axis)),
        "chunks": new,
        "trim": False,
        "align_arrays": False,
        "window_shape": window_shape,
        "axis": axis,
    }
    return map_overlap(_windows, x, **kwargs)


def _windows(x: Any, window_shape: Any, axis: Any) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, window_shape, axis=axis)
