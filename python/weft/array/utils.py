"""Helpers for those who build on arrays, and `assert_eq` for tests."""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from typing import Any

import numpy as np

from weft.array.numpy_compat import AxisError
from weft.base import is_dask_collection
from weft.core import flatten

__all__ = [
    "assert_eq",
    "allclose",
    "same_keys",
    "validate_axis",
    "meta_from_array",
    "compute_meta",
    "svd_flip",
]


def meta_from_array(x: Any, ndim: int | None = None, dtype: Any = None) -> Any:
    """An empty array of the type of ``x``.

    Parameters
    ----------
    x : array, type or None
    ndim : int, optional
        Axes of the result; those of ``x`` by default.
    dtype : dtype, optional

    Returns
    -------
    array
        With no elements (or one, if it has no axis).

    Examples
    --------
    >>> import numpy as np
    >>> meta_from_array(np.ones((3, 4)), ndim=1, dtype="i4")
    array([], dtype=int32)
    """
    if hasattr(x, "_meta") and is_dask_collection(x) and hasattr(x._meta, "dtype"):
        x = x._meta
    if x is None or isinstance(x, type) and not isinstance(x, np.dtype) and not hasattr(x, "shape"):
        if isinstance(x, type) and x is not np.ndarray and issubclass(x, np.generic):
            dtype = dtype if dtype is not None else x
        x = np.ndarray
    if isinstance(x, type):
        try:
            x = x(shape=(0,) * (ndim or 0), dtype=dtype)
        except TypeError:
            x = np.empty((0,) * (ndim or 0), dtype=dtype)
    if isinstance(x, (list, tuple)):
        kinds = [type(i) for i in x]
        x = np.asarray(x) if kinds else np.empty((0,))
    if np.isscalar(x) or not hasattr(x, "shape") or not hasattr(x, "dtype") or not isinstance(x.shape, tuple):
        x = np.asarray(x) if not hasattr(x, "dtype") else x
        if not hasattr(x, "shape"):
            return x
    if ndim is None:
        ndim = x.ndim if hasattr(x, "ndim") else len(x.shape)
    try:
        meta = x[tuple(slice(0, 0, None) for _ in x.shape)]
        if ndim < meta.ndim:
            if ndim == 0:
                meta = meta.sum() if _summable(meta) else np.empty((), meta.dtype)
            else:
                meta = meta.reshape((0,) * ndim)
        elif ndim > meta.ndim:
            meta = meta[(Ellipsis, *(None,) * (ndim - meta.ndim))]
            meta = meta[tuple(slice(0, 0, None) for _ in range(ndim))]
        if meta is np.ma.masked:
            meta = np.ma.array(np.empty((0,) * ndim, dtype=dtype or x.dtype), mask=True)
    except Exception:
        meta = np.empty((0,) * ndim, dtype=dtype or getattr(x, "dtype", None))
    if np.isscalar(meta) or isinstance(meta, np.generic):
        meta = np.array(meta)
    if dtype is not None and meta.dtype != dtype:
        try:
            meta = meta.astype(dtype)
        except (ValueError, TypeError, FutureWarning) as error:
            if (
                any(s in str(error) for s in ("invalid literal", "could not convert string to float"))
                and meta.dtype.kind in "SU"
            ):
                meta = np.array([]).astype(dtype)
            else:
                meta = np.empty((0,) * ndim, dtype=dtype)
    return meta


def _summable(x: Any) -> bool:
    return getattr(x.dtype, "kind", "V") in "biufc"


@contextlib.contextmanager
def _quiet():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def compute_meta(func: Any, _dtype: Any, *args: Any, **kwargs: Any) -> Any:
    """What ``func`` makes of empty arrays: the meta of the result, or None if that cannot be said."""
    with _quiet():
        metas = [meta_from_array(a) if is_array(a) else getattr(a, "_meta", a) for a in args]
        named = {k: meta_from_array(v) if is_array(v) else v for k, v in kwargs.items()}
        try:
            if isinstance(func, np.vectorize):
                meta = func(*metas)
            else:
                meta = func(*metas, **named)
        except TypeError as error:
            if any(
                t in str(error)
                for t in ("unexpected keyword argument", "is an invalid keyword", "Did not understand")
            ):
                raise
            return None
        except ValueError as error:
            # NumPy's reductions without identity do not take empty arrays.
            if len(metas) == 1 and "zero-size array to reduction operation" in str(error):
                meta = metas[0]
            else:
                return None
        except Exception:
            return None
        if _dtype is not None and getattr(meta, "dtype", None) != _dtype:
            with contextlib.suppress(AttributeError, TypeError, ValueError):
                meta = meta.astype(_dtype)
        if np.isscalar(meta):
            meta = np.array(meta)
        return meta


def is_array(x: Any) -> bool:
    """Whether something is a lazy or NumPy-like array."""
    return (
        hasattr(x, "shape") and hasattr(x, "dtype") and hasattr(x, "__getitem__") and not isinstance(x, type)
    )


def validate_axis(axis: Any, ndim: int) -> Any:
    """An axis, or a tuple of them, as numbers from 0.

    Raises
    ------
    AxisError
        If there is no such axis.

    Examples
    --------
    >>> validate_axis(-1, 3), validate_axis((0, -2), 3)
    (2, (0, 1))
    """
    if isinstance(axis, (tuple, list)):
        return tuple(validate_axis(a, ndim) for a in axis)
    import operator

    try:
        axis = operator.index(axis)
    except TypeError:
        raise TypeError(f"Axis value must be an integer, got {axis}") from None
    if axis < -ndim or axis >= ndim:
        raise AxisError(f"Axis {axis} is out of bounds for array of dimension {ndim}")
    return axis + ndim if axis < 0 else axis


def allclose(a: Any, b: Any, equal_nan: bool = False, **kwargs: Any) -> bool:
    """Whether two arrays in memory are close; objects are compared for equality."""
    if getattr(a, "dtype", None) != "O":
        if hasattr(a, "todense") or hasattr(b, "todense"):
            a = a.todense() if hasattr(a, "todense") else a
            b = b.todense() if hasattr(b, "todense") else b
        return bool(np.allclose(a, b, equal_nan=equal_nan, **kwargs))
    if equal_nan:
        return a.shape == b.shape and all(_same(x, y) for x, y in zip(a.flat, b.flat))
    return bool((a == b).all())


def _same(a: Any, b: Any) -> bool:
    return (a != a and b != b) or bool(np.all(a == b))


def same_keys(a: Any, b: Any) -> bool:
    """Whether two collections have the same keys."""

    def keys(x):
        return sorted(flatten(x.__dask_keys__()), key=str) if is_dask_collection(x) else sorted(x, key=str)

    return keys(a) == keys(b)


def _computed(
    x: Any, check_shape: bool, check_graph: bool, check_chunks: bool, check_ndim: bool, scheduler: Any
):
    from weft.array.core import Array

    original, meta, computed = x, None, None
    if isinstance(x, Array):
        assert x.dtype is not None
        dtype = x.dtype
        if check_graph:
            _check_graph(x)
        meta = getattr(x, "_meta", None)
        if check_chunks:
            x = _check_chunks(x, check_ndim=check_ndim, scheduler=scheduler)
        computed = x.compute(scheduler=scheduler)
        x = computed
        if hasattr(x, "todense"):
            x = x.todense()
        if not hasattr(x, "dtype"):
            x = np.array(x, dtype="O")
        if check_shape:
            _assert_shapes(original.shape, x.shape)
    else:
        if not hasattr(x, "dtype"):
            x = np.array(x, dtype="O") if not np.isscalar(x) else np.asarray(x)
        if is_dask_collection(x):
            x = x.compute(scheduler=scheduler)
        dtype = getattr(x, "dtype", None)
        if hasattr(x, "todense"):
            x = x.todense()
    return x, dtype, meta, computed


def _check_graph(x: Any) -> None:
    graph = x.__dask_graph__()
    missing = [key for key in flatten(x.__dask_keys__()) if key not in graph]
    assert not missing, f"keys {missing[:3]} are not in the graph"


def _assert_shapes(lazy: tuple, real: tuple) -> None:
    assert len(lazy) == len(real), f"shapes {lazy} and {real} differ"
    assert all(math.isnan(a) or a == b for a, b in zip(lazy, real)), f"shapes {lazy} and {real} differ"


def _check_chunks(x: Any, check_ndim: bool = True, scheduler: Any = None) -> Any:
    x = x.persist(scheduler=scheduler)
    from itertools import product

    blocks = x.to_delayed(optimize_graph=False)
    import weft

    values = weft.compute(*blocks.ravel().tolist(), scheduler=scheduler) if blocks.size else ()
    for index, block in zip(product(*(range(len(c)) for c in x.chunks)), values):
        if not hasattr(block, "dtype"):
            block = np.array(block, dtype="O")
        expected = tuple(c[i] for c, i in zip(x.chunks, index))
        if check_ndim and hasattr(block, "shape"):
            _assert_shapes(expected, block.shape)
        assert block.dtype == x.dtype, f"block {index} has dtype {block.dtype}, the array says {x.dtype}"
    return x


def assert_eq(
    a: Any,
    b: Any,
    check_shape: bool = True,
    check_graph: bool = True,
    check_meta: bool = True,
    check_chunks: bool = True,
    check_ndim: bool = True,
    check_type: bool = True,
    check_dtype: bool = True,
    equal_nan: bool = True,
    scheduler: Any = "sync",
    **kwargs: Any,
) -> bool:
    """Asserts that two arrays, lazy or not, have the same shape, dtype and (nearly) the same values.

    Parameters
    ----------
    a, b : arrays
    check_shape, check_graph, check_meta, check_chunks, check_ndim, check_type, check_dtype : bool
        What to check beside the values: that lazy arrays are what they claim to be.
    equal_nan : bool
        Whether NaN equals NaN.
    scheduler : str or callable
    **kwargs
        Passed on to `numpy.allclose`.

    Raises
    ------
    AssertionError
        If they differ.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> da.assert_eq(da.arange(4, chunks=2) * 2, np.array([0, 2, 4, 6]))
    True
    """
    first, second = a, b
    if isinstance(a, (list, int, float)):
        a = np.array(a)
    if isinstance(b, (list, int, float)):
        b = np.array(b)
    a, adt, a_meta, a_computed = _computed(a, check_shape, check_graph, check_chunks, check_ndim, scheduler)
    b, bdt, b_meta, b_computed = _computed(b, check_shape, check_graph, check_chunks, check_ndim, scheduler)
    if check_type:
        plain_a = np.array(a) if isinstance(a, np.generic) or not hasattr(a, "shape") else a
        plain_b = np.array(b) if isinstance(b, np.generic) or not hasattr(b, "shape") else b
        if isinstance(a, (np.ma.MaskedArray,)) or isinstance(b, (np.ma.MaskedArray,)):
            pass
        elif type(plain_a) is not type(plain_b):
            raise AssertionError(f"a and b have different types (a: {type(a)}, b: {type(b)})")
    if check_dtype and adt is not None and bdt is not None and str(adt) != str(bdt):
        raise AssertionError(f"a and b have different dtypes: (a: {adt}, b: {bdt})")
    if hasattr(a, "shape") or hasattr(b, "shape"):
        assert np.shape(a) == np.shape(b), f"a and b have different shapes: {np.shape(a)}, {np.shape(b)}"
    if check_meta:
        if hasattr(a, "_meta") and hasattr(b, "_meta"):
            assert_eq(a._meta, b._meta)
        for original, meta, computed in ((first, a_meta, a_computed), (second, b_meta, b_computed)):
            if meta is None or not hasattr(original, "_meta"):
                continue
            message = f"compute()-ing {original!r} gives another type than its _meta"
            if check_ndim:
                assert meta.ndim == original.ndim, f"_meta has {meta.ndim} axes, the array {original.ndim}"
            if (
                not (np.isscalar(computed) or isinstance(computed, (np.generic, np.ma.core.MaskedConstant)))
                and check_type
            ):
                if not hasattr(meta, "todense") and type(meta) is not type(computed):
                    assert isinstance(computed, type(meta)) or isinstance(meta, type(computed)), (
                        f"{message}: {type(meta)}, {type(computed)}"
                    )
    message = "found values in 'a' and 'b' which differ by more than the allowed amount"
    try:
        assert allclose(a, b, equal_nan=equal_nan, **kwargs), message
    except TypeError:
        result = a == b
        if isinstance(result, np.ndarray) or hasattr(result, "all"):
            result = bool(np.all(result | ((a != a) & (b != b))) if equal_nan else result.all())
        assert result, message
    return True


def safe_wraps(wrapped: Any, assigned: Any = functools.WRAPPER_ASSIGNMENTS) -> Any:
    """`functools.wraps` for things that may lack a name."""
    if all(hasattr(wrapped, attr) for attr in assigned):
        return functools.wraps(wrapped, assigned=assigned)
    return lambda f: f


def _like_safe(func: Any, da_func: Any, a: Any, like: Any, **kwargs: Any) -> Any:
    from weft.array.core import Array

    meta = meta_from_array(like) if like is not None else None
    if isinstance(meta, Array):
        return da_func(a, **kwargs)
    if isinstance(like, Array):
        a = a.compute(scheduler="sync") if isinstance(a, Array) else a
    if meta is None or type(meta) is np.ndarray or not hasattr(meta, "__array_function__"):
        return func(a, **kwargs)
    try:
        return func(a, like=meta, **kwargs)
    except TypeError:
        return func(a, **kwargs)


def array_safe(a: Any, like: Any, **kwargs: Any) -> Any:
    """`numpy.array` in the type of ``like``."""
    import weft.array as da

    return _like_safe(np.array, da.asarray, a, like, **kwargs)


def asarray_safe(a: Any, like: Any, **kwargs: Any) -> Any:
    """`numpy.asarray` in the type of ``like``."""
    import weft.array as da

    return _like_safe(np.asarray, da.asarray, a, like, **kwargs)


def asanyarray_safe(a: Any, like: Any, **kwargs: Any) -> Any:
    """`numpy.asanyarray` in the type of ``like``."""
    import weft.array as da

    return _like_safe(np.asanyarray, da.asanyarray, a, like, **kwargs)


def arange_safe(*args: Any, like: Any, **kwargs: Any) -> Any:
    """`numpy.arange` in the type of ``like``."""
    meta = None if like is None else meta_from_array(like)
    if meta is None or type(meta) is np.ndarray:
        return np.arange(*args, **kwargs)
    try:
        return np.arange(*args, like=meta, **kwargs)
    except TypeError:
        return np.arange(*args, **kwargs)


def scipy_linalg_safe(func_name: str, *args: Any, **kwargs: Any) -> Any:
    """A function of `scipy.linalg`."""
    from weft.utils import import_required

    linalg = import_required("scipy.linalg", f"{func_name} needs SciPy: pip install scipy")
    return getattr(linalg, func_name)(*args, **kwargs)


def solve_triangular_safe(a: Any, b: Any, lower: bool = False) -> Any:
    """`scipy.linalg.solve_triangular`."""
    return scipy_linalg_safe("solve_triangular", a, b, lower=lower)


def svd_flip(u: Any, v: Any, u_based_decision: bool = False) -> tuple[Any, Any]:
    """Gives singular vectors signs that follow from their content.

    Parameters
    ----------
    u : (m, k) array
    v : (k, n) array
    u_based_decision : bool
        Whether the signs follow from the columns of ``u`` or the rows of ``v``.

    Returns
    -------
    u, v : arrays
        Their product is the same.

    Examples
    --------
    >>> import numpy as np
    >>> u, v = svd_flip(-np.eye(2), -np.eye(2))
    >>> u.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    sums = u.sum(axis=0, keepdims=True) if u_based_decision else v.sum(axis=1, keepdims=True).T
    dtype: Any = sums.dtype.type
    # Neither nothing nor a complex number has a sign of its own.
    real = np.real(sums)
    signs = np.where(real >= 0, dtype(1), dtype(-1)) if not hasattr(sums, "dask") else _signs(sums)
    return u * signs, v * signs.T


def _signs(sums: Any) -> Any:
    import weft.array as da

    dtype: Any = sums.dtype.type
    return da.where(sums.real >= 0, dtype(1), dtype(-1))
