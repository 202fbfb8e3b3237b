"""Reductions: a function on each block, then on groups of what that gave, in a tree."""

from __future__ import annotations

import builtins
import math
import operator
import warnings
from functools import partial
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np

from weft import config
from weft._docs import derived_from
from weft._task_spec import Alias, Task, TaskRef
from weft.array import _native, chunk
from weft.array._chunks import UNKNOWN_HINT, cached_starts, is_known
from weft.array._exprs import NUMBERS, is_plain
from weft.array._host import step
from weft.array._layers import new_array
from weft.array.backends import divide_lookup, nannumel_lookup, numel_lookup
from weft.array.blockwise import blockwise
from weft.array.utils import meta_from_array, validate_axis
from weft.base import tokenize
from weft.utils import funcname, has_keyword


def divide(a: Any, b: Any, dtype: Any = None) -> Any:
    """``a / b`` in the way of the blocks' library."""
    key = lambda x: getattr(x, "__array_priority__", float("-inf"))
    f = divide_lookup.dispatch(
        type(builtins.max(a, b, key=key) if hasattr(a, "shape") or hasattr(b, "shape") else a)
    )
    return f(a, b, dtype=dtype)


def handle_out(out: Any, result: Any) -> Any:
    from weft.array.core import handle_out as handle

    return handle(out, result)


def numel(x: Any, **kwargs: Any) -> Any:
    """How many elements a reduction goes over."""
    return numel_lookup(x, **kwargs)


def nannumel(x: Any, **kwargs: Any) -> Any:
    """How many elements that are not NaN a reduction goes over."""
    return nannumel_lookup(x, **kwargs)


def _asarray(a: Any) -> Any:
    from weft.array.core import asanyarray

    return asanyarray(a)


def reduction(
    x: Any,
    chunk: Any,
    aggregate: Any,
    axis: Any = None,
    keepdims: bool = False,
    dtype: Any = None,
    split_every: Any = None,
    combine: Any = None,
    name: Any = None,
    out: Any = None,
    concatenate: bool = True,
    output_size: Any = 1,
    meta: Any = None,
    weights: Any = None,
) -> Any:
    """A reduction in a tree.

    Parameters
    ----------
    x : Array
    chunk : callable
        ``chunk(block, axis, keepdims)``, on each block.
    aggregate : callable
        ``aggregate(blocks, axis, keepdims)``, on what the last step gave.
    axis : int or tuple of int, optional
        All by default.
    keepdims : bool
        Whether reduced axes stay, with one element.
    dtype : dtype
        Of the result.
    split_every : int or dict, optional
        How many blocks a step takes; the setting ``split_every``, else 4, by default.
    combine : callable, optional
        Like ``aggregate``, in the steps before; ``aggregate`` by default.
    name : str, optional
        Prefix of keys.
    out : Array, optional
        Is made to be the result.
    concatenate : bool
        Whether steps get one array instead of nested lists.
    output_size : int
        Size of reduced axes if they stay.
    meta : array, optional
    weights : array, optional
        Passed on to ``chunk``, block by block.

    Returns
    -------
    Array

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> da.reduction(da.arange(5, chunks=2), np.sum, np.sum, dtype=int).compute()
    np.int64(10)
    """
    from weft.array.core import broadcast_to

    if axis is None:
        axis = tuple(range(x.ndim))
    if isinstance(axis, (Integral, np.integer)):
        axis = (axis,)
    axis = validate_axis(tuple(axis), x.ndim)
    if len(set(axis)) != len(axis):
        raise ValueError("duplicate value in 'axis'")
    if dtype is None:
        raise ValueError("Must specify dtype")
    if has_keyword(chunk, "dtype"):
        chunk = partial(chunk, dtype=dtype)
    if has_keyword(aggregate, "dtype"):
        aggregate = partial(aggregate, dtype=dtype)
    if combine is not None and has_keyword(combine, "dtype"):
        combine = partial(combine, dtype=dtype)
    ind = tuple(range(x.ndim))
    args: tuple = (x, ind)
    if weights is not None:
        weights = _asarray(weights)
        try:
            weights = broadcast_to(weights, x.shape)
        except ValueError as error:
            raise ValueError(
                f"Weights with shape {weights.shape} are not broadcastable to x with shape {x.shape}"
            ) from error
        args += (weights, ind)
        if not has_keyword(chunk, "weights"):
            chunk = chunk
        call = _with_weights
        step = partial(call, chunk=chunk, axis=axis)
    else:
        step = partial(chunk, axis=axis, keepdims=True)
    label = name or funcname(aggregate)
    tmp = blockwise(
        step,
        ind,
        *args,
        token=f"{label}-chunk" if not name else f"{name}-chunk",
        dtype=dtype or float,
        meta=np.empty((0,) * x.ndim, dtype or float),
    )
    tmp._chunks = tuple((output_size,) * len(c) if i in axis else c for i, c in enumerate(tmp.chunks))
    if meta is None and hasattr(x, "_meta"):
        meta = _reduced_meta(x, chunk, aggregate, combine, axis, keepdims, dtype, concatenate)
    result = _tree_reduce(
        tmp,
        aggregate,
        axis,
        keepdims,
        dtype,
        split_every,
        combine,
        name=label,
        concatenate=concatenate,
        reduced_meta=meta,
    )
    if keepdims and output_size != 1:
        result._chunks = tuple((output_size,) if i in axis else c for i, c in enumerate(tmp.chunks))
    return handle_out(out, result)


def _with_weights(block: Any, weights: Any, chunk: Any, axis: Any) -> Any:
    return chunk(block, weights=weights, axis=axis, keepdims=True)


def _reduced_meta(
    x: Any, chunk: Any, aggregate: Any, combine: Any, axis: Any, keepdims: bool, dtype: Any, concatenate: bool
) -> Any:
    """The meta of the result: the type of the blocks, the dtype that is asked for."""
    ndim = x.ndim if keepdims else x.ndim - len(axis)
    base = x._meta
    if type(base) is np.ndarray:
        return np.empty((0,) * ndim, dtype)
    return meta_from_array(base, ndim, dtype)


def _split_every(split_every: Any, axis: tuple) -> dict:
    split_every = split_every or config.get("split_every", 4)
    if isinstance(split_every, dict):
        return {k: split_every.get(k, 2) for k in axis}
    if isinstance(split_every, Integral):
        n = builtins.max(int(split_every ** (1 / (len(axis) or 1))), 2)
        return dict.fromkeys(axis, n)
    raise ValueError("split_every must be a int or a dict")


def _tree_reduce(
    x: Any,
    aggregate: Any,
    axis: Any,
    keepdims: bool,
    dtype: Any,
    split_every: Any = None,
    combine: Any = None,
    name: Any = None,
    concatenate: bool = True,
    reduced_meta: Any = None,
) -> Any:
    """The steps of a reduction after the first."""
    every = _split_every(split_every, axis)
    depth = 1
    for i, n in enumerate(x.numblocks):
        if i in every and every[i] != 1 and n > 1:
            depth = builtins.max(depth, math.ceil(round(math.log(n, every[i]), 9)))
    func: Any = partial(combine or aggregate, axis=axis, keepdims=True)
    if concatenate:
        func = _Joined(func, sorted(axis))
    for _ in range(depth - 1):
        x = partial_reduce(
            func,
            x,
            every,
            True,
            dtype=dtype,
            name=f"{name or funcname(combine or aggregate)}-partial",
            reduced_meta=reduced_meta,
        )
    func = partial(aggregate, axis=axis, keepdims=keepdims)
    if concatenate:
        func = _Joined(func, sorted(axis))
    return partial_reduce(
        func,
        x,
        every,
        keepdims=keepdims,
        dtype=dtype,
        name=f"{name or funcname(aggregate)}-aggregate",
        reduced_meta=reduced_meta,
    )


class _Joined:
    """A step that gets its blocks as one array."""

    def __init__(self, func: Any, axes: list):
        self.func, self.axes = func, axes

    def __call__(self, blocks: Any) -> Any:
        from weft.array.blockwise import concatenate_axes

        return self.func(concatenate_axes(blocks, self.axes) if isinstance(blocks, list) else blocks)

    def __dask_tokenize__(self) -> Any:
        return (self.func, self.axes)


def partial_reduce(
    func: Any,
    x: Any,
    split_every: dict,
    keepdims: bool = False,
    dtype: Any = None,
    name: Any = None,
    reduced_meta: Any = None,
) -> Any:
    """One step of a reduction: ``func`` on groups of neighbouring blocks.

    Parameters
    ----------
    func : callable
        Takes nested lists of blocks, or one block.
    x : Array
    split_every : dict
        For each reduced axis, how many blocks a group has.
    keepdims : bool
    dtype : dtype
    name : str, optional
    reduced_meta : array, optional
    """
    label = f"{name or funcname(func)}-{tokenize(func, x, split_every, keepdims, dtype)}"
    out_axes = [a for a in range(x.ndim) if keepdims or a not in split_every]
    rules: list = []
    sizes = {}
    for a, n in enumerate(x.numblocks):
        if a not in split_every:
            rules.append(out_axes.index(a))
            continue
        size = split_every[a]
        sizes[a] = (1,) * -(-n // size) if keepdims else ()
        rules.append(("group", out_axes.index(a), size) if keepdims else None)
    chunks = tuple(sizes[a] if a in sizes else x.chunks[a] for a in out_axes)
    if reduced_meta is not None:
        meta = (
            meta_from_array(reduced_meta, len(out_axes), dtype)
            if not isinstance(reduced_meta, tuple)
            else np.empty((0,) * len(out_axes), dtype)
        )
    else:
        meta = meta_from_array(x._meta, len(out_axes), dtype)
    return step(_Grouped(func, len(split_every)), [(x._expr, tuple(rules))], chunks, meta, label)


class _Grouped:
    """A step on nested lists of blocks; it gets a block as such where its group has no other."""

    def __init__(self, func: Any, depth: int):
        self.func, self.depth = func, depth

    def __call__(self, blocks: Any) -> Any:
        one = blocks
        for _ in builtins.range(self.depth):
            if len(one) != 1:
                return self.func(blocks)
            one = one[0]
        return self.func(one)


# -- sums and the like -----------------------------------------------------------------------------


def _dtype_of(func: Any, a: Any, dtype: Any) -> Any:
    if dtype is not None:
        return np.dtype(dtype)
    return getattr(func(np.ones((1,), dtype=a.dtype)), "dtype", np.dtype(object))


@derived_from(np)
def sum(a, axis=None, dtype=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    made = _native.reduce(a, "sum", axis, keepdims, _dtype_of(np.sum, a, dtype), split_every)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        chunk.sum,
        chunk.sum,
        axis=axis,
        keepdims=keepdims,
        dtype=_dtype_of(np.sum, a, dtype),
        split_every=split_every,
        out=out,
        name="sum",
    )


@derived_from(np)
def prod(a, axis=None, dtype=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    made = _native.reduce(a, "prod", axis, keepdims, _dtype_of(np.prod, a, dtype), split_every)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        chunk.prod,
        chunk.prod,
        axis=axis,
        keepdims=keepdims,
        dtype=_dtype_of(np.prod, a, dtype),
        split_every=split_every,
        out=out,
        name="prod",
    )


def _no_data(x: Any, axis: Any) -> None:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    if builtins.any(x.shape[a] == 0 for a in axes):
        raise ValueError("zero-size array to reduction operation which has no identity")


def _extreme(func: Any, name: str) -> tuple[Any, Any]:
    def chunk_(x, axis=None, keepdims=None):
        # Blocks without elements have no extreme: others decide.
        return (
            np.array([], dtype=x.dtype).reshape(
                [0 if a in _axes(axis, x.ndim) else n for a, n in enumerate(x.shape)]
            )
            if x.size == 0 and builtins.any(x.shape[a] == 0 for a in _axes(axis, x.ndim))
            else func(x, axis=axis, keepdims=keepdims)
        )

    def aggregate(x, axis=None, keepdims=None):
        return chunk_(x, axis=axis, keepdims=keepdims) if keepdims else func(x, axis=axis, keepdims=keepdims)

    chunk_.__name__ = f"chunk_{name}"
    aggregate.__name__ = name
    return chunk_, aggregate


def _axes(axis: Any, ndim: int) -> Any:
    return range(ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)


chunk_min, _min_aggregate = _extreme(np.min, "min")
chunk_max, _max_aggregate = _extreme(np.max, "max")


@derived_from(np)
def min(a, axis=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    _no_data(a, axis)
    made = _native.reduce(a, "min", axis, keepdims, a.dtype, split_every)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        chunk_min,
        _min_aggregate,
        axis=axis,
        keepdims=keepdims,
        dtype=a.dtype,
        split_every=split_every,
        out=out,
        combine=chunk_min,
        name="min",
    )


@derived_from(np)
def max(a, axis=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    _no_data(a, axis)
    made = _native.reduce(a, "max", axis, keepdims, a.dtype, split_every)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        chunk_max,
        _max_aggregate,
        axis=axis,
        keepdims=keepdims,
        dtype=a.dtype,
        split_every=split_every,
        out=out,
        combine=chunk_max,
        name="max",
    )


@derived_from(np)
def any(a, axis=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    made = _native.reduce(a, "any", axis, keepdims, np.dtype(bool), split_every)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        chunk.any,
        chunk.any,
        axis=axis,
        keepdims=keepdims,
        dtype="bool",
        split_every=split_every,
        out=out,
        name="any",
    )


@derived_from(np)
def all(a, axis=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    made = _native.reduce(a, "all", axis, keepdims, np.dtype(bool), split_every)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        chunk.all,
        chunk.all,
        axis=axis,
        keepdims=keepdims,
        dtype="bool",
        split_every=split_every,
        out=out,
        name="all",
    )


@derived_from(np)
def nansum(a, axis=None, dtype=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    made = _native.reduce(
        a, "sum", axis, keepdims, _dtype_of(chunk.nansum, a, dtype), split_every, skip_nan=True
    )
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        chunk.nansum,
        chunk.sum,
        axis=axis,
        keepdims=keepdims,
        dtype=_dtype_of(chunk.nansum, a, dtype),
        split_every=split_every,
        out=out,
        name="nansum",
    )


@derived_from(np)
def nanprod(a, axis=None, dtype=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    made = _native.reduce(
        a, "prod", axis, keepdims, _dtype_of(chunk.nansum, a, dtype), split_every, skip_nan=True
    )
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        chunk.nanprod,
        chunk.prod,
        axis=axis,
        keepdims=keepdims,
        dtype=_dtype_of(chunk.nansum, a, dtype),
        split_every=split_every,
        out=out,
        name="nanprod",
    )


def _nan_extreme(func: Any, x: Any, axis: Any, keepdims: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return func(x, axis=axis, keepdims=keepdims)


def _nan_skip(func: Any) -> Any:
    def skip(x, axis=None, keepdims=None):
        if x.size == 0:
            return x
        return _nan_extreme(func, x, axis, keepdims)

    skip.__name__ = f"{func.__name__}_skip"
    return skip


_nanmin_skip, _nanmax_skip = _nan_skip(np.nanmin), _nan_skip(np.nanmax)


def _nan_last(func: Any) -> Any:
    def last(x, axis=None, keepdims=None):
        return func(x, axis=axis, keepdims=keepdims)

    last.__name__ = func.__name__
    return last


@derived_from(np)
def nanmin(a, axis=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    _no_data(a, axis)
    made = _native.reduce(a, "min", axis, keepdims, a.dtype, split_every, skip_nan=True)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        _nanmin_skip,
        _nan_last(np.nanmin),
        axis=axis,
        keepdims=keepdims,
        dtype=a.dtype,
        split_every=split_every,
        out=out,
        combine=_nanmin_skip,
        name="nanmin",
    )


@derived_from(np)
def nanmax(a, axis=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    _no_data(a, axis)
    made = _native.reduce(a, "max", axis, keepdims, a.dtype, split_every, skip_nan=True)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        _nanmax_skip,
        _nan_last(np.nanmax),
        axis=axis,
        keepdims=keepdims,
        dtype=a.dtype,
        split_every=split_every,
        out=out,
        combine=_nanmax_skip,
        name="nanmax",
    )


# -- means and moments: blocks give sums and counts ------------------------------------------------


def _pair(pairs: Any, key: str, axis: Any) -> Any:
    """One entry of each of nested lists of dicts, as one array."""
    from weft.array.blockwise import concatenate_axes

    if not len(axis) and not isinstance(pairs, list):
        return pairs[key]
    if not isinstance(pairs, list):
        pairs = [pairs]

    def pick(p):
        return [pick(i) for i in p] if isinstance(p, list) else p[key]

    return concatenate_axes(pick(pairs), sorted(axis)) if isinstance(pairs, list) and len(pairs) else pairs


def _nest(pairs: Any, axis: Any) -> Any:
    for _ in builtins.range(len(axis) - _list_depth(pairs)):
        pairs = [pairs]
    return pairs


def _list_depth(x: Any) -> int:
    n = 0
    while isinstance(x, list):
        x, n = x[0], n + 1
    return n


def mean_chunk(
    x: Any,
    sum: Any = chunk.sum,
    numel: Any = numel,
    dtype: Any = "f8",
    computing_meta: bool = False,
    **kwargs: Any,
) -> Any:
    """A block's sum and count."""
    n = numel(x, dtype=dtype if np.dtype(dtype).kind not in "mMO" else "f8", **kwargs)
    return {
        "n": n,
        "total": sum(x, dtype=dtype, **kwargs) if np.dtype(dtype).kind not in "mM" else sum(x, **kwargs),
    }


def mean_combine(
    pairs: Any, sum: Any = chunk.sum, numel: Any = numel, dtype: Any = "f8", axis: Any = None, **kwargs: Any
) -> Any:
    """The sum and count of several blocks."""
    pairs = _nest(pairs, axis)
    n, total = _pair(pairs, "n", axis), _pair(pairs, "total", axis)
    return {"n": n.sum(axis=axis, **kwargs), "total": total.sum(axis=axis, **kwargs)}


def mean_agg(pairs: Any, dtype: Any = "f8", axis: Any = None, **kwargs: Any) -> Any:
    """The mean, from sums and counts."""
    both = mean_combine(pairs, dtype=dtype, axis=axis, **kwargs)
    if np.dtype(dtype).kind in "mM":
        return np.asarray(both["total"] / both["n"]).astype(dtype)[()]
    with np.errstate(divide="ignore", invalid="ignore"):
        return divide(both["total"], both["n"], dtype=dtype)


@derived_from(np)
def mean(a, axis=None, dtype=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    if dtype is not None:
        dt = np.dtype(dtype)
    elif a.dtype == object:
        dt = np.dtype(object)
    else:
        dt = getattr(np.mean(np.zeros(shape=(1,), dtype=a.dtype)), "dtype", np.dtype(object))
    made = _native.reduce(a, "mean", axis, keepdims, dt, split_every)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        mean_chunk,
        mean_agg,
        axis=axis,
        keepdims=keepdims,
        dtype=dt,
        split_every=split_every,
        combine=mean_combine,
        out=out,
        concatenate=False,
        name="mean",
    )


@derived_from(np)
def nanmean(a, axis=None, dtype=None, keepdims=False, split_every=None, out=None):
    a = _asarray(a)
    dt = (
        np.dtype(dtype)
        if dtype is not None
        else getattr(np.mean(np.ones(shape=(1,), dtype=a.dtype)), "dtype", np.dtype(object))
    )
    made = _native.reduce(a, "mean", axis, keepdims, dt, split_every, skip_nan=True)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        partial(mean_chunk, sum=chunk.nansum, numel=nannumel),
        mean_agg,
        axis=axis,
        keepdims=keepdims,
        dtype=dt,
        split_every=split_every,
        out=out,
        concatenate=False,
        combine=mean_combine,
        name="nanmean",
    )


def moment_chunk(
    A: Any,
    order: int = 2,
    sum: Any = chunk.sum,
    numel: Any = numel,
    dtype: Any = "f8",
    implicit_complex_dtype: bool = False,
    axis: Any = None,
    **kwargs: Any,
) -> Any:
    """A block's count, sum, and sums of powers of the distances to its mean."""
    n = numel(A, axis=axis, **kwargs)
    n = n.astype("f8") if hasattr(n, "astype") else float(n)
    A_ = (
        A.astype(dtype)
        if not implicit_complex_dtype and np.dtype(dtype).kind in "fc" and A.dtype.kind != "c"
        else A
    )
    total = sum(A_, axis=axis, **kwargs)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = total / n
    d = A - u
    if np.issubdtype(A.dtype, np.complexfloating):
        d = np.abs(d)
    powers = [sum(d**i, axis=axis, **kwargs) for i in builtins.range(2, order + 1)]
    M = np.stack(powers, axis=-1)
    return {"total": total, "n": n, "M": M}


def _merge_moments(data: Any, order: int, axis: Any, kwargs: dict) -> tuple[Any, Any, Any, Any]:
    """Counts, sums and powers of all, from those of parts: distances to the mean of all by the binomial theorem."""
    data = _nest(data, axis)
    totals, ns = _pair(data, "total", axis), _pair(data, "n", axis)
    Ms = _pair(data, "M", axis)
    keep = {**kwargs, "keepdims": True}
    n = ns.sum(axis=axis, **keep)
    total = totals.sum(axis=axis, **keep)
    with np.errstate(divide="ignore", invalid="ignore"):
        mu = total / n
        inner = totals / ns - mu
        # A part without elements has no mean, and adds nothing.
        inner = np.where(ns == 0, 0, inner) if not np.ma.isMA(inner) else inner
    if inner.dtype.kind == "c":
        inner_abs = np.abs(inner)
    else:
        inner_abs = inner
    M = []
    for o in builtins.range(2, order + 1):
        value = Ms[..., o - 2].sum(axis=axis, **keep) + (ns * inner_abs**o).sum(axis=axis, **keep)
        for k in builtins.range(1, o - 1):
            value = value + math.comb(o, k) * (Ms[..., o - k - 2] * inner_abs**k).sum(axis=axis, **keep)
        M.append(value)
    return total, n, np.stack(M, axis=-1), mu


def moment_combine(
    data: Any,
    order: int = 2,
    ddof: int = 0,
    dtype: Any = "f8",
    sum: Any = np.sum,
    axis: Any = None,
    **kwargs: Any,
) -> Any:
    """The moments of several blocks."""
    total, n, M, _ = _merge_moments(data, order, axis, kwargs)
    return {"total": total, "n": n, "M": M}


def moment_agg(
    data: Any,
    order: int = 2,
    ddof: int = 0,
    dtype: Any = "f8",
    sum: Any = np.sum,
    axis: Any = None,
    **kwargs: Any,
) -> Any:
    """The moment, from those of blocks."""
    keepdims = kwargs.get("keepdims", False)
    _, n, M, _ = _merge_moments(data, order, axis, kwargs)
    value = M[..., order - 2]
    denominator = n - ddof
    with np.errstate(divide="ignore", invalid="ignore"):
        denominator = (
            np.where(denominator < 0, np.nan, denominator) if not np.ma.isMA(denominator) else denominator
        )
        result = divide(value, denominator, dtype=dtype)
    if not keepdims:
        result = result.reshape([s for i, s in enumerate(result.shape) if i not in axis])
    return result[()] if isinstance(result, np.ndarray) and result.ndim == 0 else result


def moment(
    a: Any,
    order: int,
    axis: Any = None,
    dtype: Any = None,
    keepdims: bool = False,
    ddof: int = 0,
    split_every: Any = None,
    out: Any = None,
) -> Any:
    """The central moment of an order.

    Parameters
    ----------
    a : array
    order : int
        2 is the variance.
    axis : int or tuple of int, optional
    dtype : dtype, optional
    keepdims : bool
    ddof : int
        What is taken from the count.
    split_every : int or dict, optional
    out : Array, optional

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``order`` is no integer, or negative.

    Examples
    --------
    >>> import weft.array as da
    >>> float(da.moment(da.arange(4, chunks=2), 2).compute())
    1.25
    """
    a = _asarray(a)
    if not isinstance(order, Integral) or order < 0:
        raise ValueError("Order must be an integer >= 0")
    if order < 2:
        reduced = a.sum(axis=axis, keepdims=keepdims)
        from weft.array.creation import ones, zeros

        if order == 0:
            return ones(reduced.shape, chunks=reduced.chunks, dtype="f8", meta=None)
        return zeros(reduced.shape, chunks=reduced.chunks, dtype="f8", meta=None)
    dt = (
        np.dtype(dtype)
        if dtype is not None
        else getattr(np.var(np.ones(shape=(1,), dtype=a.dtype)), "dtype", np.dtype(object))
    )
    return reduction(
        a,
        partial(moment_chunk, order=order),
        partial(moment_agg, order=order, ddof=ddof),
        axis=axis,
        keepdims=keepdims,
        dtype=dt,
        split_every=split_every,
        out=out,
        concatenate=False,
        combine=partial(moment_combine, order=order),
        name="moment",
    )


def _var_dtype(a: Any, dtype: Any) -> tuple[Any, bool]:
    if dtype is not None:
        return np.dtype(dtype), False
    return getattr(np.var(np.ones(shape=(1,), dtype=a.dtype)), "dtype", np.dtype(object)), a.dtype.kind == "c"


@derived_from(np)
def var(a, axis=None, dtype=None, keepdims=False, ddof=0, split_every=None, out=None):
    a = _asarray(a)
    dt, implicit = _var_dtype(a, dtype)
    made = _native.reduce(a, "var", axis, keepdims, dt, split_every, ddof=ddof)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        partial(moment_chunk, implicit_complex_dtype=implicit),
        partial(moment_agg, ddof=ddof),
        axis=axis,
        keepdims=keepdims,
        dtype=dt,
        split_every=split_every,
        combine=moment_combine,
        name="var",
        out=out,
        concatenate=False,
    )


@derived_from(np)
def nanvar(a, axis=None, dtype=None, keepdims=False, ddof=0, split_every=None, out=None):
    a = _asarray(a)
    dt, implicit = _var_dtype(a, dtype)
    made = _native.reduce(a, "var", axis, keepdims, dt, split_every, skip_nan=True, ddof=ddof)
    if made is not None:
        return handle_out(out, made)
    return reduction(
        a,
        partial(moment_chunk, sum=chunk.nansum, numel=nannumel, implicit_complex_dtype=implicit),
        partial(moment_agg, sum=np.nansum, ddof=ddof),
        axis=axis,
        keepdims=keepdims,
        dtype=dt,
        split_every=split_every,
        combine=partial(moment_combine, sum=np.nansum),
        name="nanvar",
        out=out,
        concatenate=False,
    )


def _sqrt(a: Any) -> Any:
    return np.sqrt(a)


def safe_sqrt(a: Any) -> Any:
    """`numpy.sqrt` that keeps masks."""
    return np.ma.sqrt(a) if np.ma.isMA(a) else np.sqrt(a)


@derived_from(np)
def std(a, axis=None, dtype=None, keepdims=False, ddof=0, split_every=None, out=None):
    a = _asarray(a)
    made = _native.reduce(a, "std", axis, keepdims, _var_dtype(a, dtype)[0], split_every, ddof=ddof)
    if made is not None:
        return handle_out(out, made)
    result = _root(
        var(a, axis=axis, dtype=dtype, keepdims=keepdims, ddof=ddof, split_every=split_every), dtype
    )
    return handle_out(out, result)


@derived_from(np)
def nanstd(a, axis=None, dtype=None, keepdims=False, ddof=0, split_every=None, out=None):
    a = _asarray(a)
    made = _native.reduce(
        a, "std", axis, keepdims, _var_dtype(a, dtype)[0], split_every, skip_nan=True, ddof=ddof
    )
    if made is not None:
        return handle_out(out, made)
    result = _root(
        nanvar(a, axis=axis, dtype=dtype, keepdims=keepdims, ddof=ddof, split_every=split_every), dtype
    )
    return handle_out(out, result)


def _root(variance: Any, dtype: Any) -> Any:
    # The root of integers is a float, whatever was asked for, as in NumPy.
    root = np.sqrt(np.ones((), variance.dtype)).dtype
    result = variance.map_blocks(safe_sqrt, dtype=root)
    if dtype is not None and np.dtype(dtype).kind in "fc" and result.dtype != np.dtype(dtype):
        return result.astype(dtype)
    return result


# -- positions of extremes -------------------------------------------------------------------------


def _arg_chunk(func: Any, argfunc: Any, x: Any, axis: Any, offset: Any) -> Any:
    """A block's extremes, and where they are in the whole array."""
    axes = None if len(axis) == x.ndim and isinstance(offset[0], tuple) else axis
    if axes is None:
        whole, starts = offset
        flat = argfunc(x.reshape(-1) if not np.ma.isMA(x) else x.ravel(), axis=0)
        at = np.unravel_index(int(flat), x.shape)
        position = np.ravel_multi_index(tuple(int(i) + s for i, s in zip(at, starts)), whole) if whole else 0
        shape = (1,) * x.ndim
        value = x.reshape(-1)[int(flat)]
        vals = (np.ma.array(value) if np.ma.isMA(x) else np.asarray(value)).reshape(shape)
        return {"vals": vals, "arg": np.full(shape, position, dtype=np.intp)}
    a = axis[0]
    arg = np.expand_dims(argfunc(x, axis=a), a)
    vals = np.take_along_axis(x, arg, a) if not np.ma.isMA(x) else func(x, axis=a, keepdims=True)
    return {"vals": vals, "arg": np.asarray(arg) + offset[0]}


def _nan_arg(argfunc: Any) -> Any:
    return argfunc


def _safe_nanarg(low: bool) -> Any:
    """Position of the extreme that is not NaN; of a NaN where there is nothing else."""

    def find(x, axis):
        fill = np.inf if low else -np.inf
        if x.dtype.kind in "fc":
            x = np.where(np.isnan(x), fill, x)
        return (np.argmin if low else np.argmax)(x, axis=axis)

    return find


def _arg_combine(argfunc: Any, data: Any, axis: tuple) -> tuple[Any, Any]:
    data = _nest(data, axis)
    vals, arg = _pair(data, "vals", axis), _pair(data, "arg", axis)
    if len(axis) == 1:
        a = axis[0]
        best = np.expand_dims(argfunc(vals, axis=a), a)
        return np.take_along_axis(vals, best, a) if not np.ma.isMA(vals) else np.ma.array(
            np.take_along_axis(vals.data, best, a), mask=np.take_along_axis(np.ma.getmaskarray(vals), best, a)
        ), np.take_along_axis(arg, best, a)
    flat_vals, flat_arg = vals.reshape(-1), arg.reshape(-1)
    # Equal extremes: the first in the order of the whole array.
    order = np.argsort(flat_arg, kind="stable")
    best = order[int(argfunc(flat_vals[order], axis=0))]
    shape = (1,) * vals.ndim
    return flat_vals[best : best + 1].reshape(shape), flat_arg[best : best + 1].reshape(shape)


class _ArgChunk:
    """`_arg_chunk` of the block at a position."""

    def __init__(self, func: Any, argfunc: Any, axes: tuple, ravel: bool, chunks: tuple):
        self.func, self.argfunc, self.axes, self.ravel = func, argfunc, axes, ravel
        self.starts = [cached_starts(c) if ravel or i in axes else [] for i, c in enumerate(chunks)]
        self.shape = tuple(s[-1] if s else 0 for s in self.starts)

    def __call__(self, at: tuple, block: Any) -> Any:
        offset: Any
        if self.ravel:
            offset = (self.shape, tuple(s[i] for s, i in zip(self.starts, at)))
        else:
            a = self.axes[0]
            offset = (self.starts[a][at[a]],)
        return _arg_chunk(self.func, self.argfunc, block, self.axes, offset)


class _ArgStep:
    def __init__(self, argfunc: Any, axis: tuple, last: bool, check_nan: bool, keepdims: bool):
        self.argfunc, self.axis, self.last, self.check_nan, self.keepdims = (
            argfunc,
            axis,
            last,
            check_nan,
            keepdims,
        )

    def __call__(self, data: Any) -> Any:
        vals, arg = _arg_combine(self.argfunc, data, self.axis)
        if not self.last:
            return {"vals": vals, "arg": arg}
        if self.check_nan and vals.dtype.kind in "fc" and np.isnan(vals).any():
            raise ValueError("All NaN slice encountered")
        if self.keepdims:
            return arg
        arg = arg.reshape([n for i, n in enumerate(arg.shape) if i not in self.axis])
        return arg[()] if arg.ndim == 0 else arg

    def __dask_tokenize__(self) -> Any:
        return (self.argfunc, self.axis, self.last, self.check_nan, self.keepdims)


def arg_reduction(
    x: Any,
    func: Any,
    argfunc: Any,
    axis: Any = None,
    keepdims: bool = False,
    split_every: Any = None,
    out: Any = None,
    check_nan: bool = False,
    name: str = "arg",
) -> Any:
    """Where a function's extremes are.

    Parameters
    ----------
    x : Array
    func, argfunc : callable
        The extreme, and its position.
    axis : int, optional
        None: the position in the flat array.
    """
    if axis is None:
        axes = tuple(range(x.ndim))
        ravel = True
    elif isinstance(axis, Integral):
        axes = (validate_axis(axis, x.ndim),)
        ravel = False
    else:
        raise TypeError(f"axis must be either `None` or int, got '{axis}'")
    for ax in axes:
        if x.numblocks[ax] > 1 and not builtins.all(map(is_known, x.chunks[ax])):
            raise ValueError(
                f"Arg-reductions do not work with arrays of unknown chunksizes: {x.chunks}.{UNKNOWN_HINT}"
            )
    if axis is None:
        if builtins.any(n == 0 for n in x.shape):
            raise ValueError(f"attempt to get {name} of an empty sequence")
    elif x.shape[axes[0]] == 0:
        raise ValueError(f"attempt to get {name} of an empty sequence")
    if is_plain(x._meta) and name in _PLACES:
        try:
            return handle_out(out, _array(x._expr.arg(name, None if ravel else axes[0], keepdims=keepdims)))
        except NotImplementedError:
            pass
    token = tokenize(x, axes, func, argfunc, check_nan, ravel)
    label = f"{name}-chunk-{token}"
    chunks = tuple((1,) * len(c) if i in axes else c for i, c in enumerate(x.chunks))
    tmp = step(
        _ArgChunk(func, argfunc, axes, ravel, x.chunks),
        [(x._expr, tuple(range(x.ndim)))],
        chunks,
        np.empty((0,) * x.ndim, object),
        label,
        numbered=True,
    )
    every = _split_every(split_every, axes)
    depth = 1
    for i, n in enumerate(x.numblocks):
        if i in every and n > 1:
            depth = builtins.max(depth, math.ceil(round(math.log(n, every[i]), 9)))
    for _ in range(depth - 1):
        tmp = partial_reduce(
            _ArgStep(argfunc, axes, False, False, True),
            tmp,
            every,
            True,
            dtype=np.intp,
            name=f"{name}-partial",
            reduced_meta=np.empty((0,) * x.ndim, np.intp),
        )
    result = partial_reduce(
        _ArgStep(argfunc, axes, True, check_nan, keepdims),
        tmp,
        every,
        keepdims,
        dtype=np.intp,
        name=f"{name}-aggregate",
        reduced_meta=np.empty((0,) * x.ndim, np.intp),
    )
    return handle_out(out, result)


@derived_from(np)
def argmin(a, axis=None, keepdims=False, split_every=None, out=None):
    return arg_reduction(_asarray(a), np.min, np.argmin, axis, keepdims, split_every, out, name="argmin")


@derived_from(np)
def argmax(a, axis=None, keepdims=False, split_every=None, out=None):
    return arg_reduction(_asarray(a), np.max, np.argmax, axis, keepdims, split_every, out, name="argmax")


_nanargmin_find, _nanargmax_find = _safe_nanarg(True), _safe_nanarg(False)


@derived_from(np)
def nanargmin(a, axis=None, keepdims=False, split_every=None, out=None):
    return arg_reduction(
        _asarray(a),
        np.min,
        _nanargmin_find,
        axis,
        keepdims,
        split_every,
        out,
        check_nan=True,
        name="nanargmin",
    )


@derived_from(np)
def nanargmax(a, axis=None, keepdims=False, split_every=None, out=None):
    return arg_reduction(
        _asarray(a),
        np.max,
        _nanargmax_find,
        axis,
        keepdims,
        split_every,
        out,
        check_nan=True,
        name="nanargmax",
    )


# -- cumulative ------------------------------------------------------------------------------------


def cumreduction(
    func: Any,
    binop: Any,
    ident: Any,
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    method: str = "sequential",
    preop: Any = None,
) -> Any:
    """A cumulative function, block after block.

    Parameters
    ----------
    func : callable
        The function along an axis of a block, such as `numpy.cumsum`.
    binop : callable
        Puts what came before and a block's result together, such as `operator.add`.
    ident : number
        What ``binop`` does nothing with.
    x : Array
    axis : int, optional
        None: over the flat array.
    dtype : dtype, optional
    out : Array, optional
    method : {"sequential", "blelloch"}
        ``"blelloch"`` goes through the blocks in a tree.
    preop : callable, optional
        The function of a whole block; for ``"blelloch"``.

    Returns
    -------
    Array
    """
    if method == "blelloch" and preop is None:
        raise TypeError('cumreduction with "blelloch" method required `preop=` argument')
    if method not in ("sequential", "blelloch"):
        raise ValueError(
            f'Invalid method for cumreduction.  Expected "sequential" or "blelloch".  Got: {method!r}'
        )
    if axis is None:
        if x.ndim > 1:
            x = x.flatten().rechunk(chunks=x.npartitions)
        axis = 0
    if dtype is None:
        dtype = getattr(func(np.ones((0,), dtype=x.dtype)), "dtype", object)
    if not isinstance(axis, Integral):
        raise TypeError(f"axis must be an integer, got {axis!r}")
    axis = validate_axis(axis, x.ndim)
    running = _RUNNING.get(func)
    if running and is_plain(x._meta) and x.dtype in NUMBERS and np.dtype(dtype) in NUMBERS:
        try:
            expr = x._expr.scan(
                running, axis, NUMBERS[np.dtype(dtype)], skip_nan=func.__name__.startswith("nan")
            )
            return handle_out(out, _array(expr))
        except NotImplementedError:
            pass
    m = x.map_blocks(_cumulated, func, axis, dtype, dtype=dtype, meta=meta_from_array(x._meta, x.ndim, dtype))
    label = f"{func.__name__}-{tokenize(func, axis, binop, ident, x, dtype, method)}"
    n = x.numblocks[axis]
    tasks: dict = {}
    others = list(product(*(range(1) if i == axis else range(k) for i, k in enumerate(x.numblocks))))
    for at in others:
        where = lambda i, at=at: (*at[:axis], i, *at[axis + 1 :])
        tasks[(label, *where(0))] = Alias((label, *where(0)), (m.name, *where(0)))
        before: Any = None
        for i in builtins.range(1, n):
            last = f"{label}-extra"
            source = TaskRef((m.name, *where(i - 1)))
            key = (last, *where(i))
            if before is None:
                tasks[key] = Task(key, _last, source, axis, ident, dtype)
            else:
                tasks[key] = Task(key, _then, binop, before, source, axis, ident, dtype)
            before = TaskRef(key)
            tasks[(label, *where(i))] = Task((label, *where(i)), binop, before, TaskRef((m.name, *where(i))))
    result = new_array(label, tasks, [m], x.chunks, meta=m._meta)
    return handle_out(out, result)


#: Functions that have kernels.
_PLACES = ("argmin", "argmax", "nanargmin", "nanargmax")
_RUNNING: dict[Any, str] = {
    np.cumsum: "cumsum",
    np.nancumsum: "cumsum",
    np.cumprod: "cumprod",
    np.nancumprod: "cumprod",
}


def _array(expr: Any) -> Any:
    from weft.array.core import Array

    return Array._of(expr, np.empty((0,) * expr.ndim, expr.dtype))


def _cumulated(block: Any, func: Any, axis: int, dtype: Any) -> Any:
    return func(block, axis=axis, dtype=dtype)


def _last(block: Any, axis: int, ident: Any, dtype: Any) -> Any:
    part = block[(slice(None),) * axis + (slice(-1, None),)]
    if part.shape[axis] == 0:
        shape = tuple(1 if i == axis else n for i, n in enumerate(block.shape))
        return np.full(shape, ident, dtype=dtype)
    return part


def _then(binop: Any, before: Any, block: Any, axis: int, ident: Any, dtype: Any) -> Any:
    return binop(before, _last(block, axis, ident, dtype))


# Under the masks of cumulated blocks is what has come together so far.


def _cumsum_merge(a: Any, b: Any) -> Any:
    if np.ma.isMA(a) or np.ma.isMA(b):
        return np.ma.array(np.ma.getdata(a) + np.ma.getdata(b), mask=np.ma.getmaskarray(b))
    return a + b


def _cumprod_merge(a: Any, b: Any) -> Any:
    if np.ma.isMA(a) or np.ma.isMA(b):
        return np.ma.array(np.ma.getdata(a) * np.ma.getdata(b), mask=np.ma.getmaskarray(b))
    return a * b


def _cumulative(func: Any, merge: Any, ident: int, preop: Any) -> Any:
    def cumulative(x, axis=None, dtype=None, out=None, *, method="sequential"):
        return cumreduction(func, merge, ident, _asarray(x), axis, dtype, out=out, method=method, preop=preop)

    cumulative.__name__ = cumulative.__qualname__ = func.__name__
    return derived_from(np)(cumulative)


cumsum = _cumulative(np.cumsum, _cumsum_merge, 0, np.sum)
cumprod = _cumulative(np.cumprod, _cumprod_merge, 1, np.prod)
nancumsum = _cumulative(np.nancumsum, operator.add, 0, np.nansum)
nancumprod = _cumulative(np.nancumprod, operator.mul, 1, np.nanprod)


# -- largest elements ------------------------------------------------------------------------------


def topk(a: Any, k: int, axis: int = -1, split_every: Any = None) -> Any:
    """The ``k`` largest elements along an axis, largest first; the smallest if negative.

    Examples
    --------
    >>> import weft.array as da
    >>> da.topk(da.arange(5, chunks=2), 2).compute()
    array([4, 3])
    """
    a = _asarray(a)
    axis = validate_axis(axis, a.ndim)
    return _topk(a, k, axis, split_every)


def _topk(a: Any, k: int, axis: int, split_every: Any) -> Any:
    pick = lambda block, axis, keepdims: chunk.topk(
        block, k, axis[0] if isinstance(axis, tuple) else axis, keepdims
    )
    size = builtins.min(abs(k), a.shape[axis]) if is_known(a.shape[axis]) else abs(k)
    return reduction(
        a,
        pick,
        partial(chunk.topk_aggregate, k=k),
        axis=axis,
        keepdims=True,
        dtype=a.dtype,
        split_every=split_every,
        combine=pick,
        output_size=size,
        name=f"topk-{tokenize(k)}",
    )


def argtopk(a: Any, k: int, axis: int = -1, split_every: Any = None) -> Any:
    """Positions of the ``k`` largest elements along an axis, largest first; of the smallest if negative.

    Examples
    --------
    >>> import weft.array as da
    >>> da.argtopk(da.arange(5, chunks=2), 2).compute()
    array([4, 3])
    """
    from weft.array.creation import arange

    a = _asarray(a)
    axis = validate_axis(axis, a.ndim)
    index = arange(a.shape[axis], chunks=(a.chunks[axis],), dtype=np.intp)
    index = index[tuple(slice(None) if i == axis else np.newaxis for i in range(a.ndim))]
    ind = tuple(range(a.ndim))
    pairs = blockwise(
        chunk.argtopk_preprocess,
        ind,
        a,
        ind,
        index,
        ind,
        dtype=object,
        align_arrays=False,
        meta=np.empty((0,) * a.ndim, object),
        token="argtopk-pairs",
    )
    size = builtins.min(abs(k), a.shape[axis]) if is_known(a.shape[axis]) else abs(k)
    return reduction(
        pairs,
        partial(chunk.argtopk, k=k),
        partial(chunk.argtopk_aggregate, k=k),
        axis=axis,
        keepdims=True,
        dtype=np.intp,
        split_every=split_every,
        combine=partial(chunk.argtopk, k=k),
        concatenate=False,
        output_size=size,
        name="argtopk",
        meta=np.empty((0,) * a.ndim, np.intp),
    )


@derived_from(np)
def trace(a, offset=0, axis1=0, axis2=1, dtype=None):
    from weft.array.creation import diagonal

    return diagonal(a, offset=offset, axis1=axis1, axis2=axis2).sum(-1, dtype=dtype)


def _whole_axes(a: Any, axis: Any, what: str) -> tuple[Any, Any]:
    if axis is None:
        raise NotImplementedError(
            f"The da.{what} function only works along an axis or a subset of axes.  The full algorithm is difficult to do in parallel"
        )
    axes = tuple(axis) if hasattr(axis, "__iter__") else (axis,)
    axes = validate_axis(axes, a.ndim)
    a = a.rechunk({i: -1 if i in axes else c for i, c in zip(range(a.ndim), a.chunks)})
    return a, axes


def _medianlike(a: Any, axis: Any, keepdims: bool, out: Any, func: Any, what: str) -> Any:
    a = _asarray(a)
    a, axes = _whole_axes(a, axis, what)
    dtype = func(np.ones((1,), a.dtype)).dtype
    ax = axes if len(axes) > 1 else axes[0]
    result = a.map_blocks(
        func,
        axis=ax,
        keepdims=keepdims,
        dtype=dtype,
        drop_axis=list(axes) if not keepdims else None,
        chunks=[(1,) if i in axes else c for i, c in enumerate(a.chunks)] if keepdims else None,
        meta=meta_from_array(a._meta, a.ndim if keepdims else a.ndim - len(axes), dtype),
    )
    return handle_out(out, result)


@derived_from(np)
def median(a, axis=None, keepdims=False, out=None):
    return _medianlike(a, axis, keepdims, out, np.median, "median")


@derived_from(np)
def nanmedian(a, axis=None, keepdims=False, out=None):
    return _medianlike(a, axis, keepdims, out, np.nanmedian, "nanmedian")


def _quantile(
    a: Any, q: Any, axis: Any, out: Any, method: str, keepdims: bool, weights: Any, func: Any, what: str
) -> Any:
    a = _asarray(a)
    if axis is None and a.ndim == 1:
        axis = 0
    a, axes = _whole_axes(a, axis, what)
    q_ = np.asarray(q)
    dtype = func(np.ones((1,), a.dtype), q_.ravel()[:1] if q_.size else 0.5).dtype
    ax = axes if len(axes) > 1 else axes[0]
    kept = [(1,) if i in axes else c for i, c in enumerate(a.chunks) if keepdims or i not in axes]
    chunks = tuple([(n,) for n in q_.shape] + kept)
    arrays = [a]
    if weights is not None:
        arrays.append(_weights_like(_asarray(weights), a, axes))
        dtype = func(
            np.ones((1,), a.dtype), q_.ravel()[:1] if q_.size else 0.5, weights=np.ones(1), method=method
        ).dtype
    from weft.array.core import map_blocks

    result = map_blocks(
        partial(_quantile_block, func),
        *arrays,
        q=q,
        method=method,
        axis=ax,
        keepdims=keepdims,
        dtype=dtype,
        drop_axis=list(axes) if not keepdims else None,
        new_axis=list(range(q_.ndim)) if q_.ndim else None,
        chunks=chunks,
        meta=np.empty((0,) * len(chunks), dtype),
    )
    return handle_out(out, result)


def _quantile_block(func: Any, block: Any, weights: Any = None, **kwargs: Any) -> Any:
    return func(block, **kwargs) if weights is None else func(block, weights=weights, **kwargs)


def _weights_like(weights: Any, a: Any, axes: tuple) -> Any:
    """Weights of the shape and chunks of ``a``; of one axis, they go along the reduced one."""
    from weft.array.core import broadcast_to

    if weights.shape != a.shape:
        if weights.ndim != len(axes):
            raise ValueError(
                f"weights of shape {weights.shape} fit neither the array of shape {a.shape} nor its axes {axes}"
            )
        weights = weights[tuple(slice(None) if i in axes else None for i in range(a.ndim))]
    return broadcast_to(weights, a.shape).rechunk(a.chunks)


@derived_from(np)
def quantile(
    a,
    q,
    axis=None,
    out=None,
    overwrite_input=False,
    method="linear",
    keepdims=False,
    *,
    weights=None,
    interpolation=None,
):
    return _quantile(a, q, axis, out, interpolation or method, keepdims, weights, np.quantile, "quantile")


@derived_from(np)
def nanquantile(
    a,
    q,
    axis=None,
    out=None,
    overwrite_input=False,
    method="linear",
    keepdims=False,
    *,
    weights=None,
    interpolation=None,
):
    return _quantile(
        a, q, axis, out, interpolation or method, keepdims, weights, np.nanquantile, "nanquantile"
    )


def push(array: Any, n: Any, axis: Any) -> Any:
    """Fills NaN with the last value before, along an axis; at most ``n`` in a row.

    Parameters
    ----------
    array : Array
    n : int or None
    axis : int

    Returns
    -------
    Array

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> da.push(da.from_array(np.array([1.0, np.nan, np.nan]), chunks=1), None, 0).compute()
    array([1., 1., 1.])
    """
    from weft.array.creation import arange
    from weft.array.routines import isnan_, where

    if n is not None and 0 < n < array.shape[axis] - 1:
        positions = arange(array.shape[axis], chunks=(array.chunks[axis],)).astype(float)
        positions = positions[
            tuple(slice(None) if i == validate_axis(axis, array.ndim) else None for i in range(array.ndim))
        ]
        valid = where(~isnan_(array), positions, np.nan)
        last = push(valid, None, axis)
        return where((positions - last) <= n, push(array, None, axis), np.nan)
    return cumreduction(_push, _push_merge, np.nan, array, axis=axis, dtype=array.dtype)


def _push(array: Any, axis: int = 0, dtype: Any = None) -> Any:
    missing = np.isnan(array)
    where = np.where(
        ~missing,
        np.arange(array.shape[axis]).reshape(
            [-1 if i == axis % array.ndim else 1 for i in range(array.ndim)]
        ),
        0,
    )
    where = np.maximum.accumulate(where, axis=axis)
    return np.take_along_axis(array, where, axis) if array.size else array


def _push_merge(before: Any, block: Any) -> Any:
    return np.where(np.isnan(block), before, block)
