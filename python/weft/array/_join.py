"""Putting arrays together."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft._weft import ArrayExpr
from weft.array._chunks import UNKNOWN_HINT, broadcast_shapes, is_known, normalize_chunks, same_sizes
from weft.array._exprs import is_plain
from weft.array._host import step
from weft.array.blockwise import unify_chunks
from weft.array.numpy_compat import AxisError
from weft.array.utils import meta_from_array, validate_axis
from weft.base import tokenize


def stack(seq: Any, axis: int = 0, allow_unknown_chunksizes: bool = False) -> Any:
    """Joins arrays along a new axis.

    Parameters
    ----------
    seq : list of arrays
    axis : int
        Where the new axis is in the result.
    allow_unknown_chunksizes : bool
        Whether unknown chunks are taken to be equal.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If there is nothing to join, shapes differ, or they are unknown.

    Examples
    --------
    >>> import weft.array as da
    >>> da.stack([da.arange(2, chunks=2), da.ones(2, chunks=2)], axis=1).compute()
    array([[0., 1.],
           [1., 1.]])
    """
    from weft.array._indexing import expand
    from weft.array.core import Array, asanyarray

    seq = [asanyarray(a) for a in seq]
    if not seq:
        raise ValueError("Need array(s) to stack")
    if not allow_unknown_chunksizes and not all(
        x.shape == seq[0].shape or _equal_shapes(x.shape, seq[0].shape) for x in seq
    ):
        bad = next((i, x.shape) for i, x in enumerate(seq) if not _equal_shapes(x.shape, seq[0].shape))
        raise ValueError(
            f"Stacked arrays must have the same shape. The first array had shape {seq[0].shape}, "
            f"while array {bad[0] + 1} has shape {bad[1]}."
        )
    if len(seq) > 1 and not allow_unknown_chunksizes and any(not is_known(n) for x in seq for n in x.shape):
        if not all(len(x.chunks) == len(seq[0].chunks) for x in seq):
            raise ValueError(f"Stacked arrays have unknown chunks.{UNKNOWN_HINT}")
        raise ValueError(
            "Tried to stack arrays with unknown chunk sizes. If you are sure that they are equal, pass "
            f"allow_unknown_chunksizes=True.{UNKNOWN_HINT}"
        )
    meta = np.stack([meta_from_array(a) for a in seq], axis=axis)
    seq = [x.astype(meta.dtype) for x in seq]
    ndim = meta.ndim - 1
    axis = validate_axis(axis, ndim + 1) if axis < 0 else axis
    if axis > ndim:
        raise ValueError(
            f"Axis must not be greater than number of dimensions\nData has {ndim} dimensions, but got axis={axis}"
        )
    if any(x.chunks != seq[0].chunks for x in seq) and not allow_unknown_chunksizes:
        ind = list(range(ndim))
        _, seq = unify_chunks(*(part for x in seq for part in (x, ind)))
    name = f"stack-{tokenize([x.name for x in seq], axis)}"
    chunks = seq[0].chunks[:axis] + ((1,) * len(seq),) + seq[0].chunks[axis:]
    if all(is_plain(x._meta) and x.dtype == meta.dtype for x in seq):
        try:
            return Array._of(ArrayExpr.stack([x._expr for x in seq], axis), meta)
        except ValueError:
            # Nobody knows yet whether they are cut alike.
            pass
    layers = [expand(x, [axis], f"{name}-{i}") for i, x in enumerate(seq)]
    made = ArrayExpr.concatenate(
        [x._expr.with_chunks((*chunks[:axis], (1,), *chunks[axis + 1 :])) for x in layers], axis
    )
    return Array._of(made, meta)


def _equal_shapes(a: tuple, b: tuple) -> bool:
    return same_sizes(a, b)


def concatenate(seq: Any, axis: Any = 0, allow_unknown_chunksizes: bool = False) -> Any:
    """Joins arrays along an axis that they have.

    Parameters
    ----------
    seq : list of arrays
    axis : int or None
        None: all elements in one axis.
    allow_unknown_chunksizes : bool
        Whether unknown chunks are taken to fit.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If there is nothing to join, shapes do not fit, or they are unknown.

    Examples
    --------
    >>> import weft.array as da
    >>> da.concatenate([da.arange(2, chunks=2), da.arange(3, chunks=3)]).compute()
    array([0, 1, 0, 1, 2])
    """
    from weft.array.core import Array, asanyarray

    if not len(seq):
        raise ValueError("Need array(s) to concatenate")
    seq = [asanyarray(a) for a in seq]
    if axis is None:
        seq = [a.flatten() for a in seq]
        axis = 0
    with_data = [a for a in seq if a.size or not is_known(a.size)]
    dtypes = {a.dtype for a in seq}
    metas = [meta_from_array(a) for a in seq]
    ndims = {a.ndim for a in seq}
    if len(ndims) > 1 or any(a.ndim == 0 for a in seq):
        with_data_ndims = {a.ndim for a in with_data}
        if len(with_data_ndims) > 1 or any(a.ndim == 0 for a in seq) or len(ndims) > 1:
            raise ValueError(f"Not all arrays have the same number of dimensions: {[a.shape for a in seq]}")
    ndim = seq[0].ndim
    axis = validate_axis(axis, ndim) if axis < 0 else axis
    if axis >= ndim:
        raise AxisError(
            f"Axis must be less than the number of dimensions: arrays of shapes {[a.shape for a in seq]} have {ndim}, "
            f"but got axis={axis}"
        )
    first = seq[0]
    for a in seq[1:]:
        for i in range(ndim):
            if i == axis:
                continue
            if is_known(a.shape[i]) and is_known(first.shape[i]) and a.shape[i] != first.shape[i]:
                raise ValueError(f"Shapes do not align: {[x.shape for x in seq]}")
            if not (is_known(a.shape[i]) and is_known(first.shape[i])) and not allow_unknown_chunksizes:
                raise ValueError(
                    f"Tried to concatenate arrays with unknown shapes {[x.shape for x in seq]}. To force concatenation pass "
                    f"allow_unknown_chunksizes=True.{UNKNOWN_HINT}"
                )
    if len(dtypes) > 1:
        try:
            dtype = (
                np.result_type(*metas)
                if all(type(m) is np.ndarray for m in metas)
                else np.concatenate(metas, axis=axis).dtype
            )
        except TypeError:
            dtype = np.concatenate(metas, axis=axis).dtype
        meta_like = np.concatenate(metas, axis=axis)
        seq = [x.astype(dtype) for x in seq]
    else:
        from weft.array.core import _concatenate_chunks

        meta_like = _concatenate_chunks(metas, axis) if len(metas) > 1 else metas[0]
        dtype = seq[0].dtype
        if not dtype.isnative and type(metas[0]) is np.ndarray and len(seq) > 1:
            # NumPy's results have the machine's byte order.
            dtype = np.result_type(*metas)
            seq = [x.astype(dtype) for x in seq]
            meta_like = meta_like.astype(dtype)
    # Arrays without elements add nothing but blocks.
    full = [a for a in seq if not is_known(a.shape[axis]) or a.shape[axis] != 0]
    seq = full or seq[:1]
    if len(seq) == 1:
        return seq[0] if seq[0].dtype == dtype else seq[0].astype(dtype)
    if not allow_unknown_chunksizes or all(
        is_known(n) for a in seq for i, n in enumerate(a.shape) if i != axis
    ):
        labels = [[i if i != axis else -(k + 1) for i in range(ndim)] for k in range(len(seq))]
        _, seq = unify_chunks(*(part for pair in zip(seq, labels) for part in pair), warn=False)
    chunks = (*seq[0].chunks[:axis], sum((a.chunks[axis] for a in seq), ()), *seq[0].chunks[axis + 1 :])
    meta = meta_from_array(meta_like, ndim, dtype)
    alike = [
        x._expr
        if x.chunks == seq[0].chunks
        else x._expr.with_chunks((*chunks[:axis], x.chunks[axis], *chunks[axis + 1 :]))
        for x in seq
    ]
    return Array._of(ArrayExpr.concatenate(alike, axis), meta)


def block(arrays: Any, allow_unknown_chunksizes: bool = False) -> Any:
    """Puts an array together from nested lists of arrays: innermost lists along the last axis.

    Raises
    ------
    TypeError
        If there is a tuple.
    ValueError
        If lists are empty or of different depths.

    Examples
    --------
    >>> import weft.array as da
    >>> da.block([[da.ones((1, 1), chunks=1), da.zeros((1, 2), chunks=1)]]).compute()
    array([[1., 0., 0.]])
    """
    from weft.array.core import asanyarray
    from weft.array.routines import atleast_nd

    def depth_of(item: Any, path: str = "arrays") -> int:
        if type(item) is tuple:
            raise TypeError(
                f"{path} is a tuple. Only lists can be used to arrange blocks, and np.block does not allow "
                "implicit conversion from tuple to ndarray."
            )
        if type(item) is not list:
            return 0
        if not item:
            raise ValueError(f"List depths are mismatched: the list at {path} is empty")
        depths = [depth_of(sub, f"{path}[{i}]") for i, sub in enumerate(item)]
        if len(set(depths)) > 1:
            raise ValueError(
                f"List depths are mismatched. First element was at depth {depths[0] + 1}, but there is an element at another"
            )
        return depths[0] + 1

    depth = depth_of(arrays)

    def convert(item: Any) -> Any:
        return [convert(i) for i in item] if type(item) is list else asanyarray(item)

    def most(item: Any) -> int:
        return max(map(most, item)) if type(item) is list else item.ndim

    arrays = convert(arrays)
    ndim = max(depth, most(arrays))

    def join(item: Any, level: int) -> Any:
        if type(item) is not list:
            return atleast_nd(item, ndim)
        parts = [join(i, level + 1) for i in item]
        return concatenate(
            parts, axis=level - depth + ndim, allow_unknown_chunksizes=allow_unknown_chunksizes
        )

    return join(arrays, 0)


def broadcast_to(x: Any, shape: Any, chunks: Any = None, meta: Any = None) -> Any:
    """The array in a larger shape, its elements repeated.

    Parameters
    ----------
    x : array
    shape : tuple of int
    chunks : tuple, optional
        Of the result, where they do not follow from ``x``.
    meta : array, optional

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import weft.array as da
    >>> da.broadcast_to(da.arange(2, chunks=2), (2, 2)).compute()
    array([[0, 1],
           [0, 1]])
    """
    from weft.array.core import Array, asarray

    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    shape = tuple(int(n) if is_known(n) else n for n in shape)
    x = x if isinstance(x, Array) else asarray(x)
    if meta is None:
        meta = meta_from_array(x)
    if x.shape == shape and (chunks is None or normalize_chunks(chunks, x.shape, dtype=x.dtype) == x.chunks):
        return x
    extra = len(shape) - x.ndim
    if extra < 0 or any(new != old and old != 1 for new, old in zip(shape[extra:], x.shape) if is_known(old)):
        raise ValueError(f"cannot broadcast shape {x.shape} to shape {shape}")
    if chunks is None:
        chunks = tuple((n,) for n in shape[:extra]) + tuple(
            c if old != 1 or not is_known(old) else (new,)
            for c, new, old in zip(x.chunks, shape[extra:], x.shape)
        )
    else:
        chunks = normalize_chunks(chunks, shape, dtype=x.dtype)
        for old, new in zip(x.chunks, chunks[extra:]):
            if old != new and old != (1,):
                raise ValueError(
                    f"cannot broadcast chunks {x.chunks} to chunks {chunks}: new chunks must either be along a new dimension or a dimension of size 1"
                )
    name = f"broadcast_to-{tokenize(x, shape, chunks)}"
    meta = meta_from_array(meta, len(shape), x.dtype)
    rules = tuple(range(extra, len(shape)))
    return step(_Broadcast(chunks), [(x._expr, rules)], chunks, meta, name, numbered=True)


class _Broadcast:
    """A block in the larger shape that the result has at a position."""

    def __init__(self, chunks: tuple):
        self.chunks = chunks

    def __call__(self, at: tuple, block: Any) -> Any:
        return np.broadcast_to(block, tuple(c[i] for c, i in zip(self.chunks, at)), subok=True)


def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    """Arrays in the shape that they have together.

    Returns
    -------
    tuple of Array

    Examples
    --------
    >>> import weft.array as da
    >>> [a.shape for a in da.broadcast_arrays(da.ones((3, 1)), da.ones(2))]
    [(3, 2), (3, 2)]
    """
    from weft.array.core import asanyarray, asarray

    if not args:
        return []
    to_array = asanyarray if subok else asarray
    arrays = [to_array(a) for a in args]
    shape = broadcast_shapes(*(a.shape for a in arrays))
    ind = [list(range(len(shape)))[len(shape) - a.ndim :] for a in arrays]
    chunkss, arrays = unify_chunks(*(part for pair in zip(arrays, ind) for part in pair))
    chunks = tuple(chunkss[i] for i in range(len(shape)))
    return tuple(broadcast_to(a, shape=shape, chunks=chunks) for a in arrays)
