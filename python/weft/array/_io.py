"""Arrays from and to files, and into anything that can be sliced."""

from __future__ import annotations

import os
import pickle
import threading
import uuid
from itertools import product
from typing import Any

import numpy as np

from weft._task_spec import Task, TaskRef
from weft._weft import Graph
from weft.array._chunks import slices_from_chunks
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
    """Writes a block into its place.

    Gives the target or, with ``load_stored``, what is then there; without ``return_stored`` nothing: an empty array.
    """
    if region is not None:
        from weft.array.optimization import fuse_slice

        index = fuse_slice(region, index)
    if lock:
        lock.acquire()
    try:
        if x is not None and getattr(x, "size", 1) != 0:
            out[index] = x if hasattr(x, "__array_function__") else np.asanyarray(x)
        if not return_stored:
            return np.empty((0,) * getattr(x, "ndim", 1), getattr(x, "dtype", None))
        return out[index] if load_stored else out
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
        False: return lazy arrays that write when they are computed, and are then empty or, with ``return_stored``,
        what was written.
    return_stored : bool
        Whether to return arrays over what was written.
    load_stored : bool, optional
        Whether these hold the data in memory. By default if not ``compute``.
    **kwargs
        Passed on to the scheduler.

    Returns
    -------
    None, or Array or tuple of Array
        None if all is written and nothing to be returned; one array for a single source.

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
    from weft.base import compute as base_compute
    from weft.base import persist
    from weft.delayed import Delayed

    if isinstance(sources, Array):
        sources, targets = [sources], [targets]
    if not isinstance(targets, (list, tuple)):
        targets = [targets]
    if any(not isinstance(s, Array) for s in sources):
        raise ValueError("All sources must be dask array objects")
    if len(sources) != len(targets):
        raise ValueError(f"Different number of sources [{len(sources)}] and targets [{len(targets)}]")
    if isinstance(regions, (tuple, Delayed)) or regions is None:
        regions = [regions] * len(sources)
    regions = list(regions)
    if len(regions) != len(sources):
        raise ValueError(
            f"Different number of sources [{len(sources)}] and targets [{len(targets)}] than regions [{len(regions)}]"
        )
    if load_stored is None:
        load_stored = return_stored and not compute
    if lock is True:
        from weft.utils import get_scheduler_lock

        lock = get_scheduler_lock(collection=Array, scheduler=kwargs.get("scheduler"))
    stored = []
    for s, t, r in zip(sources, targets, regions):
        # Each call writes anew: what is in a target now says nothing of what this call did.
        name = f"store-map-{uuid.uuid4().hex}"
        inputs: list = [s, *(x for x in (t, r) if isinstance(x, Delayed))]
        target, region = (TaskRef(x.key) if isinstance(x, Delayed) else x for x in (t, r))
        tasks = {}
        for at, part in zip(product(*(range(n) for n in s.numblocks)), slices_from_chunks(s.chunks)):
            key = (name, *at)
            source = TaskRef((s.name, *at))
            tasks[key] = Task(
                key, load_store_chunk, source, target, part, region, lock, return_stored, load_stored
            )
        stored.append(new_array(name, tasks, inputs, s.chunks, meta=s._meta))
    if not compute:
        return stored[0] if len(stored) == 1 else tuple(stored)
    if not return_stored:
        base_compute(*stored, **kwargs)
        return None
    kept = persist(*stored, **kwargs)
    if not load_stored:
        kept = [_loaded(w, r, lock) for w, r in zip(kept, regions)]
    return kept[0] if len(kept) == 1 else tuple(kept)


def _loaded(stored: Any, region: Any, lock: Any) -> Any:
    """The array that reads from the targets which the blocks of ``stored`` are."""
    from weft.delayed import Delayed

    lazy = isinstance(region, Delayed)
    name = f"load-{stored.name}"
    tasks = {}
    blocks = product(*(range(n) for n in stored.numblocks))
    for at, part in zip(blocks, slices_from_chunks(stored.chunks)):
        key = (name, *at)
        where = TaskRef(region.key) if lazy else region
        tasks[key] = Task(key, load_chunk, TaskRef((stored.name, *at)), part, lock, where)
    return new_array(name, tasks, [stored, region] if lazy else [stored], stored.chunks, meta=stored._meta)


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


# -- HDF5 ---------------------------------------------------------------------------------------


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
