"""The scheduler that runs tasks in processes of this machine.

It is a `weft.distributed.LocalCluster` that stays warm between computations: processes are started once, functions sent once.
Programs whose main module is run again by the processes they start (``if __name__ == "__main__"``) need no change:
workers never import it, what it defines travels by value.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Mapping
from typing import Any

from weft import config
from weft._engine import execute
from weft.callbacks import local_callbacks

__all__ = ["get", "get_context"]

_lock = threading.Lock()
#: The client and the number of its workers.
_warm: tuple[Any, int] | None = None


def get_context() -> Any:
    """The context of the standard library's `multiprocessing` that the setting ``multiprocessing.context`` names."""
    return multiprocessing.get_context(config.get("multiprocessing.context", "spawn"))


def get(
    dsk: Mapping,
    keys: Any,
    num_workers: int | None = None,
    pool: Any = None,
    callbacks: Any = None,
    **ignored: Any,
) -> Any:
    """Compute keys of a graph in processes of this machine.

    Parameters
    ----------
    dsk : mapping
        Tasks by key.
    keys : key or (nested) list of keys
    num_workers : int, optional
        Processes to use. By default the setting ``num_workers``, or one for each usable CPU.

    Returns
    -------
    object or (nested) tuple
        The value of the key, or a tuple for each list.

    Raises
    ------
    KeyError
        A key is not in the graph.
    weft.distributed.KilledWorker
        A process died while it ran a task; names the task and how the process ended. The next computation works.
    Exception
        Whatever the first failing task has raised, with its traceback.

    Examples
    --------
    >>> if __name__ == "__main__":
    ...     get({"x": 1, "y": (sum, ["x", 2])}, "y")  # doctest: +SKIP
    3
    """
    from weft import _weft
    from weft.local import _flatten, _nest

    if not isinstance(dsk, Mapping) and hasattr(dsk, "__dask_graph__"):
        dsk = dsk.__dask_graph__()
    flat: list = []
    places = _flatten(keys, flat)
    graph = dsk if isinstance(dsk, _weft.Graph) else _weft.Graph(dsk)
    with local_callbacks(callbacks) as active:
        if active:
            # Callbacks see each task as it starts, which takes this process.
            values = execute(
                graph, flat, scheduler="threads", num_workers=num_workers, callbacks=list(active)
            )
        else:
            client = _client(num_workers or config.get("num_workers", None))
            values = client._values(graph, flat)
    return _nest(places, values)


def _client(num_workers: int | None) -> Any:
    """A client of the warm cluster, which is made or changed to have so many workers."""
    global _warm
    from weft.distributed._client import Client
    from weft.distributed._cluster import LocalCluster
    from weft.system import CPU_COUNT

    wanted = num_workers or CPU_COUNT
    with _lock:
        if _warm is not None and (_warm[0].status != "running" or _warm[0]._core.closed is not None):
            _warm = None
        if _warm is None:
            cluster = LocalCluster(
                n_workers=wanted,
                threads_per_worker=1,
                memory_limit=0,
                scheduler_kwargs={"allowed_failures": 0},
            )
            client = Client(cluster, set_as_default=False)
            client._owns_cluster = True
            _warm = client, wanted
        elif _warm[1] != wanted:
            _warm[0].cluster.scale(wanted)
            _warm = _warm[0], wanted
        return _warm[0]


def close() -> None:
    """Ends the processes; the next computation starts new ones."""
    global _warm
    with _lock:
        if _warm is not None:
            _warm[0]._close()
            _warm = None
