"""Arrays from and to files, and into anything that can be sliced."""

from __future__ import annotations

import os
import pickle
import threading
from itertools import product
from typing import Any

import numpy as np

from weft._task_spec import List, Task, TaskRef
from weft._weft import Graph
from weft.array._chunks import UNKNOWN_HINT, is_known, normalize_chunks, slices_from_chunks
from weft.array._layers import new_array
from weft.base import tokenize
from weft.utils import import_required


def from_delayed(value: Any, shape: Any, dtype: Any = None, meta: Any = None, name: str | None = None) -> Any:
    """An array of one block that a delayed object makes.

    Parameters
    ----------
    value : Delayed
    shape : tuple of int
    dtype : dtype
    meta : array, optional
    name : str, optional

    Returns
    -------
    Array

    Examples
    --------
    >>> import numpy as np, weft, weft.array as da
    >>> da.from_delayed(weft.delayed(np.ones)(3), (3,), dtype=float).compute()
    array([1., 1., 1.])
    """
    from weft._task_spec import Alias
    from weft.array.core import Array
    from weft.delayed import Delayed, delayed

    if not isinstance(value, Delayed):
        value = delayed(value)
    name = name or f"from-value-{tokenize(value, shape, dtype, meta)}"
    key = (name, *(0,) * len(shape))
    graph = Graph.extend(value.__dask_graph__(), {key: Alias(key, value.key)})
    return Array(graph, name, tuple((n,) for n in shape), dtype=dtype, meta=meta)


# -- storing ---------------------------------------------------------------------------------------


def store_chunk(x: Any, out: Any, index: Any, region: Any, lock: Any, return_stored: bool) -> Any:
    """Writes a block into its place."""
    return load_store_chunk(x, out, index, region, lock, return_stored, load_stored=False)


def load_store_chunk(
    x: Any, out: Any, index: Any, region: Any, lock: Any, return_stored: bool, load_stored: bool
) -> Any:
    """Writes a block into its place, and gives the target or what is then there."""
    if region is not None:
        from weft.array.optimization import fuse_slice

        index = fuse_slice(region, index)
    if lock:
        lock.acquire()
    try:
        if x is not None and getattr(x, "size", 1) != 0:
            if isinstance(x, np.ndarray) and type(x) is np.ndarray or not isinstance(x, np.ndarray):
                out[index] = np.asanyarray(x) if not hasattr(x, "__array_function__") else x
            else:
                out[index] = x
        if return_stored and load_stored:
            return out[index]
        return out if return_stored and not load_stored else None
    finally:
        if lock:
            lock.release()


def load_chunk(out: Any, index: Any, lock: Any, region: Any = None) -> Any:
    """Reads a block from its place."""
    return load_store_chunk(None, out, index, region, lock, True, True)


def insert_to_ooc(
    keys: Any,
    chunks: Any,
    out: Any,
    name: str,
    *,
    lock: Any = True,
    region: Any = None,
    return_stored: bool = False,
    load_stored: bool = False,
) -> dict:
    """Tasks that write blocks."""
    if lock is True:
        lock = threading.Lock()
    return {
        (name, *key[1:]): Task(
            (name, *key[1:]),
            load_store_chunk,
            TaskRef(key),
            out,
            part,
            region,
            lock,
            return_stored,
            load_stored,
        )
        for key, part in zip(keys, slices_from_chunks(chunks))
    }


def retrieve_from_ooc(keys: Any, dsk_pre: Any, dsk_post: Any) -> dict:
    """Tasks that read blocks back."""
    return {(f"load-{k[0]}", *k[1:]): Task((f"load-{k[0]}", *k[1:]), load_chunk, TaskRef(k)) for k in keys}


def store(
    sources: Any,
    targets: Any,
    lock: Any = True,
    regions: Any = None,
    compute: bool = True,
    return_stored: bool = False,
    load_stored: Any = None,
    **kwargs: Any,
) -> Any:
    """Writes arrays, block by block, into things that take slices.

    Parameters
    ----------
    sources : Array or list of Array
    targets : array-like, Delayed or list
        Have ``__setitem__``.
    lock : bool or Lock
        Whether only one task at a time writes.
    regions : tuple of slices or list of them, optional
        Parts of the targets to write into.
    compute : bool
        False: return a delayed object (or lazy arrays) instead of writing now.
    return_stored : bool
        Whether to return arrays over what was written.
    load_stored : bool, optional
        Whether these hold the data in memory.
    **kwargs
        Passed on to the scheduler.

    Returns
    -------
    None, Delayed, or Array or tuple of Array

    Raises
    ------
    ValueError
        If there are not as many targets and regions as sources.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> out = np.zeros(3)
    >>> da.store(da.ones(3, chunks=2), out)
    >>> out
    array([1., 1., 1.])
    """
    from weft.array.core import Array
    from weft.base import persist
    from weft.delayed import Delayed, delayed

    if isinstance(sources, Array):
        sources, targets = [sources], [targets]
    if not isinstance(targets, (list, tuple)):
        targets = [targets]
    if any(not isinstance(s, Array) for s in sources):
        raise ValueError("All sources must be dask array objects")
    if len(sources) != len(targets):
        raise ValueError(f"Different number of sources [{len(sources)}] and targets [{len(targets)}]")
    if isinstance(regions, tuple) or regions is None:
        regions = [regions] * len(sources)
    regions = list(regions)
    if len(regions) != len(sources):
        raise ValueError(
            f"Different number of sources [{len(sources)}] and targets [{len(targets)}] than regions [{len(regions)}]"
        )
    if load_stored is None:
        load_stored = return_stored and not compute
    if load_stored and not return_stored and compute:
        pass
    if lock is True:
        from weft.utils import get_scheduler_lock

        lock = get_scheduler_lock(collection=Array, scheduler=kwargs.get("scheduler"))
    stored = []
    for s, t, r in zip(sources, targets, regions):
        name = (
            f"store-map-{tokenize(s, t if isinstance(t, Delayed) else id(t), r, return_stored, load_stored)}"
        )
        inputs: list = [s]
        target = t
        if isinstance(t, Delayed):
            inputs.append(t)
            target = TaskRef(t.key)
        region: Any = r
        if isinstance(r, Delayed):
            inputs.append(r)
            region = TaskRef(r.key)
        tasks = {}
        for at, part in zip(product(*(range(n) for n in s.numblocks)), slices_from_chunks(s.chunks)):
            key = (name, *at)
            tasks[key] = Task(
                key,
                load_store_chunk,
                TaskRef((s.name, *at)),
                target,
                part,
                region,
                lock,
                return_stored,
                load_stored and return_stored,
            )
        stored.append(new_array(name, tasks, inputs, s.chunks, meta=s._meta))
    if return_stored:
        if compute:
            stored = list(persist(*stored, **kwargs))
        if load_stored:
            results = stored
        else:
            results = []
            for s, w, r in zip(sources, stored, regions):
                name = f"load-{w.name}"
                tasks = {}
                for at, part in zip(product(*(range(n) for n in s.numblocks)), slices_from_chunks(s.chunks)):
                    key = (name, *at)
                    region = TaskRef(r.key) if isinstance(r, Delayed) else r
                    tasks[key] = Task(key, load_chunk, TaskRef((w.name, *at)), part, lock, region)
                results.append(
                    new_array(
                        name, tasks, [w, *([r] if isinstance(r, Delayed) else [])], s.chunks, meta=s._meta
                    )
                )
        return tuple(results)
    graphs = [w.__dask_graph__() for w in stored]
    keys = [k for w in stored for k in _flat(w.__dask_keys__())]
    name = f"store-{tokenize(*(w.name for w in stored))}"
    graph = Graph.extend(Graph.merge(graphs), {name: Task(name, _done, List(*(TaskRef(k) for k in keys)))})
    result = Delayed(name, graph)
    _ = delayed
    if compute:
        from weft.base import get_scheduler

        if kwargs.get("scheduler") is None:
            kwargs.pop("scheduler", None)
        _ = get_scheduler
        _threaded = Array.__dask_scheduler__
        return _run(result, _threaded, kwargs)
    return result


def _run(result: Any, default: Any, kwargs: dict) -> None:
    result.compute(**kwargs)


def _done(parts: list) -> None:
    return None


def _flat(keys: Any):
    for k in keys:
        if isinstance(k, list):
            yield from _flat(k)
        else:
            yield k


# -- .npy stacks -----------------------------------------------------------------------------------


def to_npy_stack(dirname: str, x: Any, axis: int = 0) -> None:
    """Writes a directory of .npy files, one for each block along an axis.

    Parameters
    ----------
    dirname : str
        Made if it is not there.
    x : Array
    axis : int
    """
    from weft.array.core import Array
    from weft.base import compute_as_if_collection

    x = x.rechunk({i: -1 for i in range(x.ndim) if i != axis})
    os.makedirs(dirname, exist_ok=True)
    with open(os.path.join(dirname, "info"), "wb") as file:
        pickle.dump({"chunks": x.chunks, "dtype": x.dtype, "axis": axis}, file)
    name = f"to-npy-stack-{tokenize(x, dirname)}"
    keys = list(_flat(x.__dask_keys__()))
    tasks = {
        (name, i): Task((name, i), np.save, os.path.join(dirname, f"{i}.npy"), TaskRef(key))
        for i, key in enumerate(keys)
    }
    compute_as_if_collection(Array, Graph.extend(x.__dask_graph__(), tasks), list(tasks))


def from_npy_stack(dirname: str, mmap_mode: Any = "r") -> Any:
    """An array over a directory that `to_npy_stack` wrote.

    Parameters
    ----------
    dirname : str
    mmap_mode : {None, "r"}
        ``"r"`` maps the files into memory.

    Returns
    -------
    Array
    """
    from weft.array.core import Array

    with open(os.path.join(dirname, "info"), "rb") as file:
        info = pickle.load(file)
    chunks, dtype, axis = info["chunks"], info["dtype"], info["axis"]
    name = f"from-npy-stack-{tokenize(dirname)}"
    tasks = {}
    for i, at in enumerate(product(*(range(len(c)) for c in chunks))):
        key = (name, *at)
        tasks[key] = Task(key, np.load, os.path.join(dirname, f"{i}.npy"), mmap_mode=mmap_mode)
    _ = axis
    return Array(tasks, name, chunks, dtype)


# -- Zarr and HDF5 ---------------------------------------------------------------------------------


def get_mapper(url: str, storage_options: Any = None, read_only: bool = False) -> Any:
    """A Zarr store for a location that fsspec knows."""
    zarr = import_required("zarr", "Zarr arrays need the package zarr: pip install zarr")
    if hasattr(zarr, "storage") and hasattr(zarr.storage, "FsspecStore"):
        if "://" not in url:
            return zarr.storage.LocalStore(url, read_only=read_only)
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
        Those of the Zarr array by default.
    name : str, optional
    inline_array : bool
        See `from_array`.
    **kwargs
        Passed on to `zarr.open_array`.

    Returns
    -------
    Array
    """
    zarr = import_required("zarr", "from_zarr needs the package zarr: pip install zarr")
    from weft.array._source import from_array

    if isinstance(url, zarr.Array):
        z = url
    else:
        if isinstance(url, (str, os.PathLike)):
            source: Any = os.fspath(url)
            if storage_options:
                source = get_mapper(source, storage_options, read_only=True)
        else:
            source = url
        z = (
            zarr.open_array(store=source, path=component, mode="r", **kwargs)
            if component
            else zarr.open_array(store=source, mode="r", **kwargs)
        )
    chunks = chunks if chunks is not None else (getattr(z, "shards", None) or z.chunks)
    if name is None:
        name = f"from-zarr-{tokenize(z, chunks, kwargs)}"
    return from_array(z, chunks, name=name, inline_array=inline_array)


def to_zarr(
    arr: Any,
    url: Any,
    component: Any = None,
    storage_options: Any = None,
    region: Any = None,
    compute: bool = True,
    return_stored: bool = False,
    zarr_format: Any = None,
    zarr_read_kwargs: Any = None,
    zarr_array_kwargs: Any = None,
    **kwargs: Any,
) -> Any:
    """Writes a Zarr array.

    Parameters
    ----------
    arr : Array
        Its chunks are all alike along an axis, but for the last.
    url : str, path, store or zarr.Array
    component : str, optional
    storage_options : dict, optional
    region : tuple of slices, optional
        A part of an existing Zarr array to write.
    compute, return_stored : bool
        See `store`.
    **kwargs
        Passed on to `zarr.create_array`.

    Raises
    ------
    ValueError
        If chunks are unknown or uneven.
    """
    zarr = import_required("zarr", "to_zarr needs the package zarr: pip install zarr")
    if any(not is_known(n) for n in arr.shape):
        raise ValueError(
            f"Saving a dask array with unknown chunk sizes is not currently supported with Zarr.{UNKNOWN_HINT}"
        )
    options = {**(zarr_array_kwargs or {}), **kwargs}
    overwrite = options.pop("overwrite", False)
    if isinstance(url, zarr.Array):
        z = url
        if region is None:
            arr = arr.rechunk(z.chunks) if arr.chunks != normalize_chunks(z.chunks, arr.shape) else arr
            regions: Any = None
        else:
            regions = [region]
        return arr.store(z, lock=False, regions=regions, compute=compute, return_stored=return_stored)
    if region is not None:
        raise ValueError("Cannot use `region` keyword when url is not a `zarr.Array`.")
    if not _check_regular_chunks(arr.chunks):
        raise ValueError(
            "Attempt to save array to zarr with irregular chunking, please call `arr.rechunk(...)` first."
        )
    target = get_mapper(os.fspath(url), storage_options) if isinstance(url, (str, os.PathLike)) else url
    chunks = tuple(c[0] for c in arr.chunks)
    if zarr_format is not None:
        options["zarr_format"] = zarr_format
    create = getattr(zarr, "create_array", None)
    if create is not None:
        z = create(
            store=target,
            name=component,
            shape=arr.shape,
            chunks=tuple(max(1, c) for c in chunks),
            dtype=arr.dtype,
            overwrite=overwrite,
            **options,
        )
    else:
        z = zarr.create(
            shape=arr.shape,
            chunks=chunks,
            dtype=arr.dtype,
            store=target,
            path=component,
            overwrite=overwrite,
            **options,
        )
    return arr.store(z, lock=False, compute=compute, return_stored=return_stored)


def _check_regular_chunks(chunkset: Any) -> bool:
    """Whether all chunks of each axis are alike, but for a smaller last one.

    Examples
    --------
    >>> _check_regular_chunks(((5, 5, 3),)), _check_regular_chunks(((5, 3, 5),))
    (True, False)
    """
    return all(len(set(c[:-1])) <= 1 and (len(c) < 2 or c[-1] <= c[0]) for c in chunkset)


def to_hdf5(filename: Any, *args: Any, chunks: Any = True, **kwargs: Any) -> None:
    """Writes arrays as datasets of an HDF5 file.

    Parameters
    ----------
    filename : str
    *args : path and Array, or a dict of them
    chunks : bool, tuple or None
        Chunks of the datasets; True: those of the arrays.
    **kwargs
        Passed on to `h5py.File.require_dataset`.
    """
    h5py = import_required("h5py", "to_hdf5 needs the package h5py: pip install h5py")
    from weft.array.core import Array

    if len(args) == 1 and isinstance(args[0], dict):
        data = args[0]
    elif len(args) == 2 and isinstance(args[0], str) and isinstance(args[1], Array):
        data = {args[0]: args[1]}
    else:
        raise ValueError("Please provide {'/data/path': array} dictionary")
    with h5py.File(filename, mode="a") as file:
        targets = [
            file.require_dataset(
                path,
                shape=x.shape,
                dtype=x.dtype,
                chunks=tuple(c[0] for c in x.chunks) if chunks is True else chunks,
                **kwargs,
            )
            for path, x in data.items()
        ]
        store(list(data.values()), targets)
