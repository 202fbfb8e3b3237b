"""The scheduler that runs everything in the caller's thread, and what the local schedulers share."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from weft import config
from weft._engine import execute

__all__ = ["get_async", "get_sync"]


def get_sync(dsk: Mapping, keys: Any, **kwargs: Any) -> Any:
    """Compute keys of a graph in this thread, one task after the other, in the static order.

    Debuggers, profilers and ``print`` see tasks as if they were called here, because they are.

    Parameters
    ----------
    dsk : mapping
        Tasks by key.
    keys : key or (nested) list of keys
    **kwargs
        ``cache`` (values by key, used and filled), ``callbacks``; what other schedulers take is ignored.

    Returns
    -------
    object or (nested) tuple
        The value of the key, or a tuple for each list.

    Raises
    ------
    KeyError
        A key is not in the graph.
    RuntimeError
        The graph has a cycle.

    Examples
    --------
    >>> get_sync({"x": 1, "y": (sum, ["x", 2])}, [["y"], "x"])
    ((3,), 1)
    """
    return get(dsk, keys, scheduler="sync", **kwargs)


def get_async(submit: Any, num_workers: int, dsk: Mapping, result: Any, **kwargs: Any) -> Any:
    """Compute keys of a graph on threads that a ``submit`` function reaches.

    Parameters
    ----------
    submit : callable
        As the method ``submit`` of a :class:`concurrent.futures.Executor` whose workers are threads.
    num_workers : int
        How many of its threads to use.
    dsk : mapping
        Tasks by key.
    result : key or (nested) list of keys
    **kwargs
        As in :func:`get_sync`.

    Returns
    -------
    object or (nested) tuple

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     get_async(pool.submit, 2, {"x": (sum, [1, 2])}, "x")
    3
    """
    return get(dsk, result, pool=_Submit(submit, num_workers), **kwargs)


class _Submit:
    """A ``submit`` function in an executor's place."""

    def __init__(self, submit: Any, num_workers: int):
        self.submit = submit
        self._max_workers = num_workers


def get(
    dsk: Mapping,
    keys: Any,
    cache: MutableMapping | None = None,
    scheduler: str = "threads",
    num_workers: int | None = None,
    pool: Any = None,
    callbacks: Any = None,
    rerun_exceptions_locally: bool | None = None,
    **ignored: Any,
) -> Any:
    """Compute nested keys of a graph; what :func:`get_sync` and :func:`weft.threaded.get` share.

    Examples
    --------
    >>> get({"x": 1, "y": (abs, -2)}, ["x", ["y"]], num_workers=2)
    (1, (2,))
    """
    if not isinstance(dsk, Mapping) and hasattr(dsk, "__dask_graph__"):
        dsk = dsk.__dask_graph__()
    flat: list = []
    rebuild = _flatten(keys, flat)
    if cache is None:
        cache = config.get("cache", None)
    if cache is not None:
        dsk = _with_values(dsk, cache)
    values = execute(
        dsk,
        flat,
        scheduler=scheduler,
        num_workers=num_workers,
        pool=pool,
        callbacks=callbacks,
        rerun_exceptions_locally=rerun_exceptions_locally,
    )
    if cache is not None:
        cache.update(zip(flat, values))
    return _nest(rebuild, values)


def _flatten(keys: Any, flat: list) -> Any:
    """The keys in ``flat``, each once; returns their places there in the shape of ``keys``."""
    seen: dict = {}

    def place(key: Any) -> Any:
        if isinstance(key, list):
            return [place(part) for part in key]
        if key not in seen:
            seen[key] = len(flat)
            flat.append(key)
        return seen[key]

    return place(keys)


def _nest(places: Any, values: list) -> Any:
    if isinstance(places, list):
        return tuple(_nest(place, values) for place in places)
    return values[places]


def _with_values(dsk: Mapping, values: Mapping) -> dict:
    from weft._task_spec import DataNode

    return {**dsk, **{key: DataNode(key, value) for key, value in values.items()}}
