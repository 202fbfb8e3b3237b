"""The scheduler that runs tasks in processes of this machine.

It is a `weft.distributed.LocalCluster` that stays warm between computations: processes are started once, functions sent once.
Programs whose main module is run again by the processes they start (``if __name__ == "__main__"``) need no change:
workers never import it, what it defines travels by value.

A pool of the user's (``pool=``, or a `multiprocessing.context` other than the default), and callbacks that hear of each task, need
every task's result in this process: `_pooled` then sends tasks one by one, as functions of their inputs.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from weft import config
from weft._engine import execute
from weft.callbacks import local_callbacks

__all__ = ["get", "get_context"]

_lock = threading.Lock()
#: Graphs whose keys somebody made up are computed one at a time: two might mean different things by one key.
_one_at_a_time = threading.Lock()
#: The client and the number of its workers.
_warm: tuple[Any, int] | None = None
#: What the processes were last told of this one.
_told: Any = None

#: Hashes of text that are the same in all processes, unless the user has chosen them.
_HASH_SEED = "7919"


def get_context() -> Any:
    """The context of the standard library's `multiprocessing` that the setting ``multiprocessing.context`` names."""
    return multiprocessing.get_context(config.get("multiprocessing.context", "spawn"))


def get(
    dsk: Mapping,
    keys: Any,
    num_workers: int | None = None,
    func_loads: Callable | None = None,
    func_dumps: Callable | None = None,
    optimize_graph: bool = True,
    pool: Any = None,
    initializer: Callable[[], Any] | None = None,
    chunksize: int | None = None,
    callbacks: Any = None,
    **ignored: Any,
) -> Any:
    """Compute keys of a graph in processes of this machine.

    Processes are kept for the next computation. In a process that is itself a worker, threads are used.

    Parameters
    ----------
    dsk : mapping
        Tasks by key.
    keys : key or (nested) list of keys
    num_workers : int, optional
        Processes to use. By default the setting ``num_workers``, or one for each usable CPU.
    func_loads, func_dumps : callable, optional
        What reads and writes tasks and results, for a ``pool``. By default the settings ``func_loads`` and ``func_dumps``,
        or cloudpickle.
    pool : concurrent.futures.Executor or multiprocessing.Pool, optional
        Processes to use in place of weft's own. By default the setting ``pool``.
    initializer : callable, optional
        Called in each process before its first task. By default the setting ``multiprocessing.initializer``.
    chunksize, optimize_graph
        Accepted for Dask's sake: small tasks are sent together anyway.

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
    >>> get({"x": 1, "y": (sum, ["x", 2])}, "y")  # doctest: +SKIP
    3
    """
    from weft import _weft
    from weft.local import _flatten, _nest

    if not isinstance(dsk, Mapping) and hasattr(dsk, "__dask_graph__"):
        dsk = dsk.__dask_graph__()
    flat: list = []
    places = _flatten(keys, flat)
    graph = dsk if isinstance(dsk, _weft.Graph) else _weft.Graph(dsk)
    pool = pool or config.get("pool", None)
    initializer = initializer or config.get("multiprocessing.initializer", None)
    num_workers = num_workers or config.get("num_workers", None)
    with local_callbacks(callbacks) as active:
        active = list(active)
        if is_worker():
            values = execute(graph, flat, num_workers=num_workers, callbacks=active)
        elif pool is not None:
            if initializer is not None:
                warnings.warn(
                    "The initializer is ignored, because there is a pool: give it to the pool when that is made",
                    stacklevel=2,
                )
            values = _pooled(graph, flat, pool, active, func_dumps, func_loads)
        elif config.get("multiprocessing.context", "spawn") != "spawn":
            with _own_pool(num_workers, initializer) as pool:
                values = _pooled(graph, flat, pool, active, func_dumps, func_loads)
        else:
            client = _client(num_workers, initializer)
            if active:
                executor = client.get_executor()
                executor._max_workers = num_workers or _cpu_count()
                values = _pooled(graph, flat, executor, active, func_dumps, func_loads)
            else:
                with nullcontext() if graph is dsk else _one_at_a_time:
                    values = _values(client, graph, flat)
    return _nest(places, values)


def is_worker() -> bool:
    """Whether this process is a worker of a cluster, or this thread runs a task of one."""
    from weft._weft import current_task

    worker = sys.modules.get("weft.distributed._worker")
    return worker is not None and (worker.current is not None or current_task() is not None)


#: Of this thread: the number of the last error for which a graph was not sent at all, so that none of its tasks has run.
_unsent = threading.local()


def was_not_sent(error: BaseException) -> bool:
    """Whether an exception of `get` means that the graph cannot be written, and not that a task has failed."""
    return getattr(_unsent, "error", None) == id(error)


def _values(client: Any, graph: Any, keys: list) -> list:
    _unsent.error = None
    try:
        futures = client._graph_to_futures(graph, keys)
    except KeyError:
        raise
    except NotImplementedError:
        # A step that no other process knows.
        return client._values(graph, keys)
    except Exception as error:
        _unsent.error = id(error)
        raise
    try:
        client._core.wait([future._hold() for future in futures])
        return client._gather_now(futures, "raise")
    except KeyboardInterrupt:
        # What runs cannot be stopped otherwise, and would keep the next computation waiting.
        close()
        raise
    finally:
        # Tracebacks hold `futures`, and a failed one would be the result of the next computation of its key.
        for future in futures:
            future.release()


# ---------------------------------------------------------------------------------------------------------------------
# The warm processes


def _client(num_workers: int | None, initializer: Callable[[], Any] | None = None) -> Any:
    """A client of the warm cluster, which is made or changed to have so many workers."""
    global _warm, _told
    from weft.distributed._client import Client
    from weft.distributed._cluster import LocalCluster
    from weft.distributed._errors import LostDataError

    wanted = num_workers or _cpu_count()
    with _lock:
        if _warm is not None and (_warm[0].status != "running" or _warm[0]._core.closed is not None):
            _warm = None
        if _warm is None:
            environment = (
                {}
                if os.environ.get("PYTHONHASHSEED", "random") != "random"
                else {"PYTHONHASHSEED": _HASH_SEED}
            )
            cluster = LocalCluster(
                n_workers=wanted,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=None,
                scheduler_kwargs={"allowed_failures": 0},
                env=environment,
            )
            client = Client(cluster, set_as_default=False)
            client._owns_cluster = True
            _warm, _told = (client, wanted), None
        elif _warm[1] != wanted:
            _warm[0].cluster.scale(wanted)
            _warm[0].cluster._wait_for_processes()
            _warm, _told = (_warm[0], wanted), None
        client = _warm[0]
        here = _here(client, initializer)
        if here != _told:
            answers = client.run(_be_there, *here[1:], on_error="return").values()
            for error in answers:
                # Workers on their way out need not know.
                if error is not None and not isinstance(error, LostDataError):
                    raise error
            _told = here
        return client


def _here(client: Any, initializer: Any) -> Any:
    """What a process that was started now would find."""
    processes = [worker.pid for worker in client.cluster.workers.values()]
    return processes, list(sys.path), os.getcwd(), dict(os.environ), _modules(), initializer


def _modules() -> dict[str, float]:
    """When the modules of the user's that are imported here were last written."""
    found = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or path.startswith(_INSTALLED) or "site-packages" in path:
            continue
        try:
            found[name] = os.stat(path).st_mtime
        except OSError:
            continue
    found.pop("__main__", None)
    return found


_INSTALLED = tuple({sys.prefix, sys.base_prefix, os.path.dirname(__file__), os.path.dirname(os.__file__)})
#: In a worker: the user's modules as they were when they may have been imported, and what has initialized it.
_seen: dict[str, float] = {}
_initialized: Any = None


def _be_there(
    path: list[str],
    directory: str,
    environment: dict[str, str],
    modules: dict[str, float],
    initializer: Callable[[], Any] | None,
) -> None:
    """In a worker: take over what has changed in the process of the user."""
    import importlib

    global _initialized
    sys.path[:] = path
    try:
        os.chdir(directory)
    except OSError:
        pass  # It is gone: relative paths fail, as they do there.
    for name in set(os.environ) - set(environment) - {"PYTHONHASHSEED"}:
        del os.environ[name]
    os.environ.update(environment)
    importlib.invalidate_caches()
    for name, written in modules.items():
        if name in sys.modules and _seen.get(name, written) != written:
            # The next function of it that arrives imports it anew.
            del sys.modules[name]
    _seen.update(modules)
    if initializer is not None and initializer is not _initialized:
        initializer()
        _initialized = initializer


def _cpu_count() -> int:
    from weft.system import CPU_COUNT

    return CPU_COUNT


def close() -> None:
    """Ends the processes; the next computation starts new ones."""
    global _warm
    with _lock:
        if _warm is not None:
            _warm[0]._close()
            _warm = None


# ---------------------------------------------------------------------------------------------------------------------
# Pools of processes


def _pooled(
    graph: Any, keys: list, pool: Any, callbacks: list, dumps: Callable | None, loads: Callable | None
) -> list:
    """Values of keys; each task is run by the pool, given the values that it reads, and its result comes back here."""
    from weft._task_spec import Alias, DataNode, GraphNode, Task, TaskRef
    from weft.optimization import cull

    dumps = dumps or config.get("func_dumps", None) or _dumps
    loads = loads or config.get("func_loads", None) or _loads
    from multiprocessing.pool import Pool

    is_pool = isinstance(pool, Pool)
    if not is_pool and not hasattr(pool, "submit"):
        raise TypeError(f"pool must be an Executor or a Pool of multiprocessing, not {type(pool).__name__}")
    workers = getattr(pool, "_processes" if is_pool else "_max_workers", None) or _cpu_count()
    tasks: dict = {}
    for key, task in cull(graph, keys)[0].items():
        if not isinstance(task, GraphNode) or isinstance(task, (Alias, DataNode)):
            tasks[key] = task
            continue
        reads = sorted(task.dependencies, key=str)
        call = partial(_call_there, pool, is_pool, dumps, loads, task, reads)
        tasks[key] = Task(key, call, *map(TaskRef, reads))
    with config.set(pool=None):
        return execute(tasks, keys, scheduler="threads", num_workers=workers, callbacks=callbacks)


def _call_there(
    pool: Any, is_pool: bool, dumps: Callable, loads: Callable, task: Any, reads: list, *values: Any
) -> Any:
    data = dumps((task, dict(zip(reads, values))))
    if is_pool:
        ok, result = pool.apply(_run_task, (data, dumps, loads))
    else:
        ok, result = pool.submit(_run_task, data, dumps, loads).result()
    if ok:
        return loads(result)
    from weft.distributed._errors import failed

    if result is None:
        raise RuntimeError("a task asked to be run elsewhere, which a pool cannot do")
    raise failed("a task", "raised", result[1], result[0])


def _run_task(data: bytes, dumps: Callable, loads: Callable) -> tuple[bool, Any]:
    """In a process of a pool."""
    try:
        task, values = loads(data)
        return True, dumps(task(values))
    except Exception as error:
        from weft.distributed._errors import dump

        return False, dump(error)


@contextmanager
def _own_pool(num_workers: int | None, initializer: Callable[[], Any] | None) -> Iterator[Any]:
    """Processes for one computation, in the way that the setting ``multiprocessing.context`` asks for."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(
        num_workers or _cpu_count(),
        mp_context=get_context(),
        initializer=partial(initialize_worker_process, initializer),
    ) as pool:
        yield pool


def default_initializer() -> None:
    """Gives NumPy's old random numbers a seed of their own in this process, if NumPy is there."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def initialize_worker_process(user_initializer: Callable[[], Any] | None = None) -> None:
    """What a process of a pool does first."""
    default_initializer()
    if user_initializer is not None:
        user_initializer()


def _dumps(obj: Any, **kwargs: Any) -> bytes:
    import cloudpickle

    return cloudpickle.dumps(obj, **kwargs)


def _loads(data: bytes, **kwargs: Any) -> Any:
    import pickle

    return pickle.loads(data, **kwargs)


class RemoteException(Exception):
    """An exception from another process, with its traceback as text."""

    def __init__(self, exception: BaseException, traceback: str):
        self.exception = exception
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.exception}\n\nTraceback\n---------\n{self.traceback}"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self.exception)})

    def __getattr__(self, name: str) -> Any:
        if name == "exception":
            raise AttributeError(name)
        return getattr(self.exception, name)


def remote_exception(exc: BaseException, tb: str) -> BaseException:
    """The exception as one that shows a traceback, and is caught as what it was.

    Examples
    --------
    >>> isinstance(remote_exception(ValueError("no"), "in f"), ValueError)
    True
    """
    kind = type(exc)
    try:
        return type(kind.__name__, (RemoteException, kind), {"exception_type": kind})(exc, tb)
    except TypeError:
        return exc
