"""What xarray calls to work on weft's arrays: its entry point ``weft`` among ``xarray.chunkmanagers``.

Where ``import dask`` means weft (`weft.dropin`), xarray's own way to Dask leads here already and this one stands back.
Without Dask it is the only one, and ``.chunk()`` makes weft's arrays. Beside an installed Dask weft's arrays are known as
such, and ``.chunk(chunked_array_type="weft")`` or ``xarray.set_options(chunk_manager="weft")`` makes them; what xarray
does through Dask itself (`xarray.map_blocks`, windows, writing files) refuses them, and needs `weft.dropin`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from xarray.namedarray.daskmanager import DaskManager
from xarray.namedarray.parallelcompat import ChunkManagerEntrypoint

import weft
import weft.array as da
from weft import config
from weft.array.core import Array
from weft.utils import parse_bytes


def _dask_means_weft() -> bool:
    return getattr(sys.modules.get("dask"), "__weft__", None) is not None


def _leave_weft_alone(recognises: Callable[..., bool]) -> Callable[..., bool]:
    """Dask's manager takes whatever has a graph for its own, and xarray refuses an array that two managers want."""

    @wraps(recognises)
    def is_chunked_array(self: Any, data: Any) -> bool:
        return not isinstance(data, Array) and recognises(self, data)

    return is_chunked_array


class WeftManager(ChunkManagerEntrypoint):
    """Makes and works on `weft.array.Array` for xarray; each method is the function of that name in `weft.array`.

    Examples
    --------
    >>> import weft.array as da, xarray as xr
    >>> x = xr.DataArray(da.ones((4, 6), chunks=2), dims=("t", "x"))
    >>> x.chunk(t=4, chunked_array_type="weft").mean("t").compute().values
    array([1., 1., 1., 1., 1., 1.])
    """

    array_cls = Array
    available = not _dask_means_weft()

    def __init__(self) -> None:
        DaskManager.is_chunked_array = _leave_weft_alone(DaskManager.is_chunked_array)  # type: ignore[method-assign]

    def chunks(self, data: Any) -> Any:
        return data.chunks

    def normalize_chunks(
        self,
        chunks: Any,
        shape: Any = None,
        limit: Any = None,
        dtype: Any = None,
        previous_chunks: Any = None,
    ) -> Any:
        return da.core.normalize_chunks(
            chunks, shape=shape, limit=limit, dtype=dtype, previous_chunks=previous_chunks
        )

    def from_array(self, data: Any, chunks: Any, **kwargs: Any) -> Any:
        if type(data).__name__ == "ImplicitToExplicitIndexingAdapter":
            # What a file holds is read as NumPy arrays.
            kwargs["meta"] = np.ndarray
        return da.from_array(data, _whole_if_empty(chunks, data.shape), **kwargs)

    def rechunk(self, data: Any, chunks: Any, **kwargs: Any) -> Any:
        return data.rechunk(_whole_if_empty(chunks, data.shape), **kwargs)

    def compute(self, *data: Any, **kwargs: Any) -> Any:
        return weft.compute(*data, **kwargs)

    def persist(self, *data: Any, **kwargs: Any) -> Any:
        return weft.persist(*data, **kwargs)

    @property
    def array_api(self) -> Any:
        return da

    def reduction(
        self,
        arr: Any,
        func: Any,
        combine_func: Any = None,
        aggregate_func: Any = None,
        axis: Any = None,
        dtype: Any = None,
        keepdims: bool = False,
    ) -> Any:
        return da.reduction(
            arr,
            chunk=func,
            combine=combine_func,
            aggregate=aggregate_func,
            axis=axis,
            dtype=dtype,
            keepdims=keepdims,
        )

    def scan(
        self, func: Any, binop: Any, ident: Any, arr: Any, axis: Any = None, dtype: Any = None, **kwargs: Any
    ) -> Any:
        return da.reductions.cumreduction(func, binop, ident, arr, axis=axis, dtype=dtype, **kwargs)

    def apply_gufunc(self, func: Any, signature: str, *args: Any, **kwargs: Any) -> Any:
        return da.apply_gufunc(func, signature, *args, **kwargs)

    def map_blocks(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        return da.map_blocks(func, *args, **kwargs)

    def blockwise(self, func: Any, out_ind: Any, *args: Any, **kwargs: Any) -> Any:
        return da.blockwise(func, out_ind, *args, **kwargs)

    def unify_chunks(self, *args: Any, **kwargs: Any) -> Any:
        return da.core.unify_chunks(*args, **kwargs)

    def store(self, sources: Any, targets: Any, **kwargs: Any) -> Any:
        return da.store(sources, targets, **kwargs)

    def shuffle(self, x: Any, indexer: Any, axis: int, chunks: Any) -> Any:
        return da.shuffle(x, indexer, axis, chunks="auto" if chunks is None else chunks)

    def get_auto_chunk_size(self) -> int:
        return parse_bytes(config.get("array.chunk-size"))


def _whole_if_empty(chunks: Any, shape: tuple) -> Any:
    """Nothing can be divided into chunks of the right size."""
    parts = chunks.values() if isinstance(chunks, dict) else chunks if isinstance(chunks, tuple) else ()
    return shape if 0 in shape and any(isinstance(c, str) and c == "auto" for c in parts) else chunks
