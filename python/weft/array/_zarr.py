"""Arrays from and to Zarr."""

from __future__ import annotations

import os
import warnings
from itertools import accumulate
from typing import Any

from weft.array._chunks import UNKNOWN_HINT, is_known
from weft.base import tokenize
from weft.utils import import_required


def _zarr() -> Any:
    return import_required("zarr", "Zarr arrays need the package zarr: pip install zarr")


def get_mapper(url: str, storage_options: Any = None, read_only: bool = False) -> Any:
    """A Zarr store for a location that fsspec knows; other locations as they are."""
    zarr = _zarr()
    if storage_options is None and "://" not in url:
        return url
    if hasattr(zarr.storage, "FsspecStore"):
        return zarr.storage.FsspecStore.from_url(url, storage_options=storage_options, read_only=read_only)
    import fsspec

    return fsspec.get_mapper(url, **(storage_options or {}))


def from_zarr(
    url: Any,
    component: Any = None,
    storage_options: Any = None,
    chunks: Any = None,
    name: Any = None,
    inline_array: bool = False,
    **kwargs: Any,
) -> Any:
    """An array over a Zarr array.

    Parameters
    ----------
    url : str, path, store or zarr.Array
    component : str, optional
        Path of the array in its group.
    storage_options : dict, optional
        For fsspec.
    chunks : tuple, optional
        By default the shards of the Zarr array, or its chunks if it has no shards.
    name : str, optional
    inline_array : bool
        See `from_array`.
    **kwargs
        Passed on to `zarr.open_array`.

    Returns
    -------
    Array

    Examples
    --------
    >>> import weft.array as da, zarr
    >>> da.from_zarr(zarr.ones((4, 6), chunks=(2, 6))).chunks
    ((2, 2), (6,))
    """
    zarr = _zarr()
    from weft.array._source import from_array

    if isinstance(url, zarr.Array):
        z = url
    else:
        where = (
            get_mapper(os.fspath(url), storage_options, True) if isinstance(url, (str, os.PathLike)) else url
        )
        options = {"mode": "r", **kwargs}
        z = zarr.open_array(store=where, **({"path": component} if component else {}), **options)
    if chunks is None:
        chunks = write_grain(z)
    if name is None:
        name = f"from-zarr-{tokenize(z, chunks, kwargs)}"
    return from_array(z, chunks, name=name, inline_array=inline_array)


def write_grain(z: Any) -> tuple:
    """What a Zarr array can be written in without reading: its shards, or its chunks if it has none."""
    return getattr(z, "shards", None) or z.chunks


def to_zarr(
    arr: Any,
    url: Any,
    component: Any = None,
    storage_options: Any = None,
    region: Any = None,
    compute: bool = True,
    return_stored: bool = False,
    mode: str = "a",
    **zarr_array_kwargs: Any,
) -> Any:
    """Writes a Zarr array.

    Blocks are cut along the chunks (or shards) of the Zarr array first, so that no two tasks write into the same one.

    Parameters
    ----------
    arr : Array
    url : str, path, store or zarr.Array
        A Zarr array is written into, whole or in part; elsewhere a new one is made.
    component : str, optional
        Path of the array in its group.
    storage_options : dict, optional
        For fsspec.
    region : tuple of slices, optional
        The part of an existing Zarr array to write.
    compute, return_stored : bool
        See `store`.
    mode : {"a", "w", "w-"}
        ``"w"`` overwrites an array that is there; otherwise it is an error.
    **zarr_array_kwargs
        Passed on to `zarr.create_array`: ``zarr_format``, ``shards``, ``compressors``, ``overwrite``, ….

    Returns
    -------
    None, or Array
        See `store`.

    Raises
    ------
    ValueError
        If chunk sizes are unknown, if ``region`` is given for a new array, or if shapes do not fit.

    Examples
    --------
    >>> import weft.array as da, zarr
    >>> z = zarr.zeros(4, chunks=2)
    >>> da.to_zarr(da.ones(2, chunks=1), z, region=(slice(1, 3),))
    >>> z[:]
    array([0., 1., 1., 0.])
    """
    zarr = _zarr()
    if not all(is_known(n) for n in arr.shape):
        raise ValueError(
            f"Saving a dask array with unknown chunk sizes is not currently supported by Zarr: chunks={arr.chunks}.{UNKNOWN_HINT}"
        )
    if isinstance(url, zarr.Array):
        return _write_into(arr, url, region, compute, return_stored)
    if region is not None:
        raise ValueError("Cannot use `region` keyword when url is not a `zarr.Array`.")
    options = dict(zarr_array_kwargs)
    if component is not None and "name" in options:
        raise ValueError("Cannot specify both 'component' and 'name': they are the same path")
    if mode == "r":
        raise ValueError("Cannot use mode `r` (read-only) when writing to zarr.")
    if not _check_regular_chunks(arr.chunks):
        warnings.warn(
            f"The array uses irregular chunk sizes, {arr.chunks}, which Zarr does not have. It is rechunked to the "
            "largest along each axis; rechunk it yourself to choose others.",
            UserWarning,
            stacklevel=2,
        )
        arr = arr.rechunk(tuple(map(max, arr.chunks)))
    where = get_mapper(os.fspath(url), storage_options) if isinstance(url, (str, os.PathLike)) else url
    if mode == "w":
        options["overwrite"] = True
    # Zarr takes no empty chunks.
    given = {"shape": arr.shape, "chunks": tuple(max(1, c[0]) for c in arr.chunks), "dtype": arr.dtype}
    given.update(options)
    name = component or given.pop("name", None)
    if hasattr(zarr, "create_array"):
        z = zarr.create_array(store=where, **({"name": name} if name else {}), **given)
    else:
        z = zarr.create(store=where, **({"path": name} if name else {}), **given)
    return _write_into(arr, z, None, compute, return_stored)


def _write_into(arr: Any, z: Any, region: Any, compute: bool, return_stored: bool) -> Any:
    offsets = [0] * arr.ndim
    ordinary = True
    if region is None:
        if tuple(z.shape) != arr.shape:
            raise ValueError(
                f"the array has shape {arr.shape}, the Zarr array {tuple(z.shape)}: they must be the same"
            )
    else:
        region = region if isinstance(region, tuple) else (region,)
        whole = (*region, *(slice(None),) * (z.ndim - len(region)))
        ordinary = arr.ndim == z.ndim and all(
            isinstance(r, slice) and r.indices(n)[2] == 1 for r, n in zip(whole, z.shape)
        )
        if ordinary:
            spans = [r.indices(n)[:2] for r, n in zip(whole, z.shape)]
            shape = tuple(max(0, stop - start) for start, stop in spans)
            if shape != arr.shape:
                raise ValueError(
                    f"the array has shape {arr.shape}, the region {shape}: they must be the same"
                )
            offsets = [start for start, _ in spans]
    if ordinary:
        grain = write_grain(z)
        arr = arr.rechunk(tuple(_along(c, offset, g) for c, offset, g in zip(arr.chunks, offsets, grain)))
    # Where an index skips or drops axes, blocks may meet in a chunk of the target.
    regions = None if region is None else [region]
    return arr.store(z, lock=not ordinary, regions=regions, compute=compute, return_stored=return_stored)


def _along(sizes: tuple, offset: int, grain: int) -> tuple:
    """Block sizes near ``sizes`` that begin and end, but for the ends, at multiples of ``grain`` from ``-offset``.

    Examples
    --------
    >>> _along((3, 3, 3), 0, 2), _along((3, 3, 3), 1, 4), _along((1, 1, 1, 1), 0, 4)
    ((2, 4, 3), (3, 6), (4,))
    """
    total = sum(sizes)
    cuts = {(offset + end) // grain * grain - offset for end in accumulate(sizes[:-1])}
    inner = sorted(cut for cut in cuts if 0 < cut < total)
    return tuple(b - a for a, b in zip([0, *inner], [*inner, total]))


def _check_regular_chunks(chunkset: Any) -> bool:
    """Whether all chunks of each axis are alike, but for a smaller last one.

    Examples
    --------
    >>> _check_regular_chunks(((5, 5, 3),)), _check_regular_chunks(((5, 3, 5),))
    (True, False)
    """
    return all(len(set(c[:-1])) <= 1 and (len(c) < 2 or c[-1] <= c[0]) for c in chunkset)
