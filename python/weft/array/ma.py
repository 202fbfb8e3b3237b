"""Masked arrays, as in `numpy.ma`."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft._docs import derived_from
from weft.array.blockwise import blockwise
from weft.array.core import asanyarray, elemwise, map_blocks
from weft.array.creation import empty_like, ones_like, zeros_like  # noqa: F401
from weft.base import normalize_token


@normalize_token.register(np.ma.masked_array)
def _normalize_masked_array(x: Any) -> Any:
    return (normalize_token(x.data), normalize_token(x.mask), normalize_token(x.fill_value))


def _masked_meta(a: Any, dtype: Any = None) -> Any:
    return np.ma.masked_array(np.empty((0,) * a.ndim, dtype or a.dtype))


@derived_from(np.ma)
def filled(a, fill_value=None):
    a = asanyarray(a)
    return a.map_blocks(
        np.ma.filled, fill_value=fill_value, dtype=a.dtype, meta=np.empty((0,) * a.ndim, a.dtype)
    )


def _wrap_masked(f: Any) -> Any:
    def masked(a, value):
        a, value = asanyarray(a), asanyarray(value)
        ainds = tuple(range(a.ndim))[::-1]
        vinds = tuple(range(value.ndim))[::-1]
        oinds = max(ainds, vinds, key=len)
        return blockwise(f, oinds, a, ainds, value, vinds, dtype=a.dtype)

    masked.__name__ = masked.__qualname__ = f.__name__
    return derived_from(np.ma)(masked)


masked_greater = _wrap_masked(np.ma.masked_greater)
masked_greater_equal = _wrap_masked(np.ma.masked_greater_equal)
masked_less = _wrap_masked(np.ma.masked_less)
masked_less_equal = _wrap_masked(np.ma.masked_less_equal)
masked_not_equal = _wrap_masked(np.ma.masked_not_equal)


@derived_from(np.ma)
def masked_equal(a, value):
    a = asanyarray(a)
    if getattr(value, "shape", ()):
        raise ValueError("da.ma.masked_equal doesn't support array `value`s")
    inds = tuple(range(a.ndim))
    return (
        blockwise(np.ma.masked_equal, inds, a, inds, value, (), dtype=a.dtype)
        if hasattr(value, "dask")
        else a.map_blocks(np.ma.masked_equal, value, dtype=a.dtype)
    )


@derived_from(np.ma)
def masked_invalid(a):
    return asanyarray(a).map_blocks(np.ma.masked_invalid)


@derived_from(np.ma)
def masked_inside(x, v1, v2):
    return asanyarray(x).map_blocks(np.ma.masked_inside, v1, v2)


@derived_from(np.ma)
def masked_outside(x, v1, v2):
    return asanyarray(x).map_blocks(np.ma.masked_outside, v1, v2)


@derived_from(np.ma)
def masked_where(condition, a):
    cshape = getattr(condition, "shape", ())
    if cshape and cshape != a.shape:
        raise IndexError(
            f"Inconsistent shape between the condition and the input (got {cshape} and {a.shape})"
        )
    condition, a = asanyarray(condition), asanyarray(a)
    ainds, cinds = tuple(range(a.ndim)), tuple(range(condition.ndim))
    return blockwise(
        np.ma.masked_where, ainds, condition, cinds, a, ainds, dtype=a.dtype, meta=_masked_meta(a)
    )


@derived_from(np.ma)
def masked_values(x, value, rtol=1e-05, atol=1e-08, shrink=True):
    x = asanyarray(x)
    if getattr(value, "shape", ()):
        raise ValueError("da.ma.masked_values doesn't support array `value`s")
    return map_blocks(np.ma.masked_values, x, value, rtol=rtol, atol=atol, shrink=shrink)


@derived_from(np.ma)
def fix_invalid(a, fill_value=None):
    return asanyarray(a).map_blocks(np.ma.fix_invalid, fill_value=fill_value)


@derived_from(np.ma)
def getdata(a):
    a = asanyarray(a)
    return a.map_blocks(np.ma.getdata, meta=np.empty((0,) * a.ndim, a.dtype))


@derived_from(np.ma)
def getmaskarray(a):
    a = asanyarray(a)
    return a.map_blocks(np.ma.getmaskarray, meta=np.empty((0,) * a.ndim, bool))


def _masked_array(data, mask=np.ma.nomask, masked_dtype=None, **kwargs):
    if "chunks" in kwargs:
        del kwargs["chunks"]
    return np.ma.masked_array(data, mask=mask, dtype=masked_dtype, **kwargs)


@derived_from(np.ma)
def masked_array(data, mask=np.ma.nomask, fill_value=None, **kwargs):
    data = asanyarray(data)
    inds = tuple(range(data.ndim))
    arginds = [inds, data, inds]
    if getattr(fill_value, "shape", ()):
        raise ValueError("non-scalar fill_value not supported")
    kwargs["fill_value"] = fill_value
    if mask is not np.ma.nomask:
        mask = asanyarray(mask)
        if mask.size == 1:
            mask = mask.reshape((1,) * data.ndim)
        elif data.shape != mask.shape:
            raise np.ma.MaskError(
                f"Mask and data not compatible: data shape is {data.shape}, and mask shape is {mask.shape}."
            )
        arginds.extend([mask, inds])
    if "dtype" in kwargs:
        kwargs["masked_dtype"] = kwargs["dtype"]
        dtype = kwargs.pop("dtype")
    else:
        dtype = data.dtype
    return blockwise(
        _masked_array, *arginds, dtype=dtype, meta=_masked_meta(data, dtype), token="masked_array", **kwargs
    )


def _set_fill_value(x, fill_value):
    if isinstance(x, np.ma.masked_array):
        x = x.copy()
        np.ma.set_fill_value(x, fill_value=fill_value)
    return x


@derived_from(np.ma)
def set_fill_value(a, fill_value):
    a = asanyarray(a)
    if getattr(fill_value, "shape", ()):
        raise ValueError("da.ma.set_fill_value doesn't support array `value`s")
    fill_value = np.ma.core._check_fill_value(fill_value, a.dtype)
    a._replace(a.map_blocks(_set_fill_value, fill_value))


@derived_from(np.ma)
def average(a, axis=None, weights=None, returned=False, keepdims=False):
    from weft.array.routines import _weights_along
    from weft.array.routines import average as plain

    if weights is not None:
        # What is masked has no weight.
        a = asanyarray(a)
        weights = elemwise(_masked_as, _weights_along(a, asanyarray(weights), axis), a)
    return plain(a, axis=axis, weights=weights, returned=returned, keepdims=keepdims)


def _masked_as(weights, a):
    if not np.ma.isMA(a):
        return weights
    return np.ma.array(np.broadcast_to(weights, a.shape), mask=np.ma.getmaskarray(a))


@derived_from(np.ma)
def count(a, axis=None, keepdims=False):
    from weft.array.reductions import reduction

    return reduction(
        asanyarray(a),
        _count_block,
        np.sum,
        axis=axis,
        keepdims=keepdims,
        dtype=np.intp,
        name="count",
        meta=np.empty(0, np.intp),
    )


def _count_block(x, axis=None, keepdims=False):
    return np.asarray(np.ma.count(np.ma.asanyarray(x), axis=axis, keepdims=keepdims))


@derived_from(np.ma)
def nonzero(a):
    from weft.array.routines import nonzero as plain

    return plain(getdata(a) * (~getmaskarray(a)))


@derived_from(np.ma)
def where(condition, x=None, y=None):
    if (x is None) != (y is None):
        raise ValueError("either both or neither of x and y should be given")
    if x is None:
        return nonzero(condition)
    return elemwise(np.ma.where, condition, x, y)
