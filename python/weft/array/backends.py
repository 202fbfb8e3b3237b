"""Functions that differ between the libraries behind blocks, and the choice of that library for new arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weft._dispatch import Dispatch
from weft.array.numpy_compat import percentile as _percentile
from weft.backends import CreationDispatch, WeftBackendEntrypoint

concatenate_lookup = Dispatch("concatenate")
tensordot_lookup = Dispatch("tensordot")
einsum_lookup = Dispatch("einsum")
empty_lookup = Dispatch("empty")
divide_lookup = Dispatch("divide")
percentile_lookup = Dispatch("percentile")
numel_lookup = Dispatch("numel")
nannumel_lookup = Dispatch("nannumel")
to_numpy_dispatch = Dispatch("to_numpy")
to_cupy_dispatch = Dispatch("to_cupy")


def _divide(x1: Any, x2: Any, out: Any = None, dtype: Any = None) -> Any:
    """``x1 / x2`` in the dtype that a mean has."""
    if (
        dtype is None
        or np.dtype(dtype).kind not in "fc"
        or not np.can_cast(np.result_type(x1, x2), dtype, "same_kind")
    ):
        x = np.true_divide(x1, x2)
        return x if dtype is None else x.astype(dtype)
    return np.true_divide(x1, x2, out=out, dtype=dtype)


def _numel(x: Any, coerce: Any = None, **kwargs: Any) -> Any:
    """How many elements a reduction goes over."""
    axis, keepdims, dtype = kwargs.get("axis"), kwargs.get("keepdims", False), kwargs.get("dtype", np.float64)
    shape = x.shape
    if axis is None:
        n = math.prod(shape)
        return np.full((1,) * len(shape), n, dtype=dtype) if keepdims else np.asarray(n, dtype=dtype)[()]
    axes = tuple(a % len(shape) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    n = math.prod(shape[a] for a in axes)
    result = tuple(1 if i in axes else s for i, s in enumerate(shape) if keepdims or i not in axes)
    return np.full(result, n, dtype=dtype)


def _nannumel(x: Any, **kwargs: Any) -> Any:
    """How many elements that are not NaN a reduction goes over."""
    return np.sum(~np.isnan(x), **kwargs)


def _masked_numel(x: Any, **kwargs: Any) -> Any:
    return np.sum(np.ones_like(x), **kwargs)


def _masked_concatenate(arrays: Any, axis: int = 0) -> Any:
    """Keeps fill values where all agree."""
    result = np.ma.concatenate(arrays, axis=axis)
    fills = [a.fill_value for a in arrays if hasattr(a, "fill_value")]
    if fills and all(_equal(f, fills[0]) for f in fills):
        result.fill_value = fills[0]
    return result


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b or (a != a and b != b))
    except ValueError:
        return False


def _masked_tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if not np.iterable(axes):
        axes = (list(range(-axes, 0)), list(range(axes)))
    first, second = ([x] if not np.iterable(x) else list(x) for x in axes)
    first = [x % a.ndim for x in first]
    second = [x % b.ndim for x in second]
    if [a.shape[i] for i in first] != [b.shape[i] for i in second]:
        raise ValueError("shape-mismatch for sum")
    keep_a = [i for i in range(a.ndim) if i not in first]
    keep_b = [i for i in range(b.ndim) if i not in second]
    n = math.prod(a.shape[i] for i in first)
    left = np.ma.transpose(a, keep_a + first).reshape((-1, n))
    right = np.ma.transpose(b, second + keep_b).reshape((n, -1))
    return np.ma.dot(left, right).reshape([a.shape[i] for i in keep_a] + [b.shape[i] for i in keep_b])


concatenate_lookup.register((object, np.ndarray), np.concatenate)
concatenate_lookup.register(np.ma.masked_array, _masked_concatenate)
tensordot_lookup.register((object, np.ndarray), np.tensordot)
tensordot_lookup.register(np.ma.masked_array, _masked_tensordot)
einsum_lookup.register((object, np.ndarray), np.einsum)
empty_lookup.register((object, np.ndarray), np.empty)
empty_lookup.register(np.ma.masked_array, np.ma.empty)
divide_lookup.register((object, np.ndarray), _divide)
divide_lookup.register(
    np.ma.masked_array,
    lambda x1, x2, out=None, dtype=None: (
        np.ma.divide(x1, x2).astype(dtype) if dtype is not None else np.ma.divide(x1, x2)
    ),
)
percentile_lookup.register(np.ndarray, _percentile)
numel_lookup.register((object, np.ndarray), _numel)
numel_lookup.register(np.ma.masked_array, _masked_numel)
nannumel_lookup.register((object, np.ndarray), _nannumel)
nannumel_lookup.register(np.ma.masked_array, lambda x, **kwargs: np.sum(~np.isnan(x), **kwargs))
to_numpy_dispatch.register(np.ndarray, lambda data, **kwargs: data)


@tensordot_lookup.register_lazy("sparse")
@concatenate_lookup.register_lazy("sparse")
@nannumel_lookup.register_lazy("sparse")
@numel_lookup.register_lazy("sparse")
def _register_sparse() -> None:
    import sparse  # type: ignore[import-not-found]

    concatenate_lookup.register(sparse.COO, sparse.concatenate)
    tensordot_lookup.register(sparse.COO, sparse.tensordot)
    numel_lookup.register(sparse.COO, _numel)
    nannumel_lookup.register(sparse.COO, lambda x, **kwargs: _nan_count(x, **kwargs))


def _nan_count(x: Any, **kwargs: Any) -> Any:
    return (~np.isnan(x)).sum(**kwargs)


@tensordot_lookup.register_lazy("scipy")
@concatenate_lookup.register_lazy("scipy")
def _register_scipy() -> None:
    import scipy.sparse

    def _concatenate(arrays: Any, axis: int = 0) -> Any:
        if axis not in (0, 1):
            raise ValueError(f"Can only concatenate scipy sparse matrices for axis in {{0, 1}}.  Got {axis}")
        return (scipy.sparse.vstack if axis == 0 else scipy.sparse.hstack)(arrays)

    concatenate_lookup.register(scipy.sparse.spmatrix, _concatenate)
    if hasattr(scipy.sparse, "sparray"):
        concatenate_lookup.register(scipy.sparse.sparray, _concatenate)

    def _dot(a: Any, b: Any, axes: Any = None) -> Any:
        first, second = axes if np.iterable(axes) else ((1,), (0,))
        first = first if np.iterable(first) else (first,)
        second = second if np.iterable(second) else (second,)
        if tuple(first) == (1,) and tuple(second) == (0,):
            return a @ b
        if tuple(first) == (0,) and tuple(second) == (0,):
            return a.T @ b
        if tuple(first) == (0,) and tuple(second) == (1,):
            return a.T @ b.T
        if tuple(first) == (1,) and tuple(second) == (1,):
            return a @ b.T
        raise ValueError(f"tensordot of sparse matrices along axes {axes} is not supported")

    tensordot_lookup.register(scipy.sparse.spmatrix, _dot)
    if hasattr(scipy.sparse, "sparray"):
        tensordot_lookup.register(scipy.sparse.sparray, _dot)


class ArrayBackendEntrypoint(WeftBackendEntrypoint):
    """Base of array backends. A method makes a collection; ``RandomState`` and ``default_bit_generator`` are the
    library's random generators.
    """

    @property
    def RandomState(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no RandomState")

    @property
    def default_bit_generator(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no default_bit_generator")


class NumpyBackendEntrypoint(ArrayBackendEntrypoint):
    """NumPy."""

    @classmethod
    def to_backend_dispatch(cls) -> Any:
        return to_numpy_dispatch

    @classmethod
    def to_backend(cls, data: Any, **kwargs: Any) -> Any:
        if isinstance(data._meta, np.ndarray):
            return data
        return data.map_blocks(to_numpy_dispatch, meta=np.empty((0,) * data.ndim, data.dtype), **kwargs)

    @property
    def RandomState(self) -> Any:
        return np.random.RandomState

    @property
    def default_bit_generator(self) -> Any:
        return np.random.PCG64


array_creation_dispatch: CreationDispatch = CreationDispatch(
    module_name="array",
    default="numpy",
    entrypoint_class=ArrayBackendEntrypoint,
    name="array_creation_dispatch",
)
array_creation_dispatch.register_backend("numpy", NumpyBackendEntrypoint())
