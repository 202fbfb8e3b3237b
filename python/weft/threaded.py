"""The scheduler that runs tasks on the threads of this process."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from weft import local

__all__ = ["get"]


def get(
    dsk: Mapping,
    keys: Any,
    cache: MutableMapping | None = None,
    num_workers: int | None = None,
    pool: Any = None,
    **kwargs: Any,
) -> Any:
    """Compute keys of a graph on threads.

    Threads are kept between calls and shared by all computations of the process. Tasks see the context variables of
    the caller. Results wait in memory up to the setting ``memory.limit``, beyond that on disk.

    Parameters
    ----------
    dsk : mapping
        Tasks by key.
    keys : key or (nested) list of keys
    cache : dict-like, optional
        Values by key: used in place of tasks, and filled with the results.
    num_workers : int, optional
        Tasks that run at the same time. By default the setting ``num_workers``, or one for each usable CPU.
    pool : concurrent.futures.Executor or multiprocessing.pool.ThreadPool, optional
        Threads to use in place of weft's own. By default the setting ``pool``.

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
    Exception
        Whatever the first failing task has raised.

    Examples
    --------
    >>> inc = lambda x: x + 1
    >>> dsk = {"x": 1, "y": (inc, "x"), "z": (inc, (inc, "y"))}
    >>> get(dsk, "z")
    4
    >>> get(dsk, ["z", "y"])
    (4, 2)
    """
    return local.get(dsk, keys, cache=cache, num_workers=num_workers, pool=pool, **kwargs)
