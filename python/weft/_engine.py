"""Who runs a graph: the caller's thread, the threads of this process, or an executor of the user's.

The engine itself is Rust. It owns no threads: Python makes them here, each calls the engine once and stays. Threads are
not daemons, and leave when the interpreter ends: one that is stopped by force inside Rust would abort the process.
"""

from __future__ import annotations

import atexit
import contextvars
import itertools
import os
import tempfile
import threading
from collections.abc import Hashable, Iterable, Iterator, Mapping, MutableMapping
from functools import partial
from numbers import Integral
from typing import Any

from weft import _weft, config
from weft._formats import parse_bytes
from weft.callbacks import local_callbacks, unpack_callbacks

__all__ = ["execute"]

#: Share of the machine's memory that results may take where no limit is set. The rest is for running tasks.
AUTO_SHARE = 0.6

_thread_numbers = itertools.count()


def execute(
    graph: Mapping,
    keys: Iterable[Hashable],
    *,
    scheduler: str = "threads",
    num_workers: int | None = None,
    pool: Any = None,
    callbacks: Any = None,
    rerun_exceptions_locally: bool | None = None,
) -> list:
    """Compute some keys of a graph.

    Parameters
    ----------
    graph : mapping
        Tasks by key: a graph of weft's, or any mapping that Dask would accept.
    keys : iterable of keys
    scheduler : {"threads", "sync"}
        ``"sync"`` runs all tasks in this thread, one after the other in the static order.
    num_workers : int, optional
        Threads to use. By default the setting ``num_workers``, or one for each usable CPU.
    pool : concurrent.futures.Executor or multiprocessing.pool.ThreadPool, optional
        Threads to use in place of weft's own. By default the setting ``pool``.
    callbacks : list of tuples, optional
        Callbacks to use in place of the active ones.
    rerun_exceptions_locally : bool, optional
        Compute once more in this thread if a task fails, so that a debugger finds it here. By default the setting of
        that name.

    Returns
    -------
    list
        One value for each key.

    Raises
    ------
    KeyError
        A key is not in the graph.
    RuntimeError
        The graph has a cycle.
    Exception
        Whatever the first failing task has raised, with its traceback.

    Examples
    --------
    >>> execute({"x": 1, "y": (sum, ["x", 2])}, ["y", "x"])
    [3, 1]
    """
    keys = list(keys)
    _configure_store()
    how = _choose(scheduler, num_workers, pool)
    with local_callbacks(callbacks) as active:
        try:
            if active:
                return _Observed(graph, keys, how, list(active)).run()
            if not isinstance(graph, _weft.Graph):
                graph = _weft.Graph(graph)
            execution = _weft.Execution(graph, keys, how.concurrency, how.context())
            try:
                how.run(execution)
            except BaseException:
                how.abandon(execution)
                raise
            how.release(execution)
            return execution.results()
        except Exception:
            if rerun_exceptions_locally is None:
                rerun_exceptions_locally = config.get("rerun_exceptions_locally", False)
            if not rerun_exceptions_locally or scheduler == "sync":
                raise
    return execute(graph, keys, scheduler="sync", callbacks=())


# ---------------------------------------------------------------------------------------------------------------------
# Who serves a run


class _Sync:
    """The caller's thread alone."""

    concurrency = 1

    def context(self) -> None:
        return None

    def run(self, execution: Any) -> None:
        execution.serve(threading.current_thread() is threading.main_thread())

    def begin(self, execution: Any) -> None:
        pass

    def step(self, execution: Any) -> None:
        execution.work()

    def release(self, execution: Any) -> None:
        execution.cancel()

    abandon = release


class _Threads:
    """The threads that all computations of this process share."""

    def __init__(self, num_workers: int | None):
        self.concurrency = num_workers or _cpu_count()
        # A task that computes serves that computation with its own thread; the others help if they are idle.
        self.nested = _weft.in_task()

    def context(self) -> contextvars.Context:
        return contextvars.copy_context()

    def begin(self, execution: Any) -> None:
        missing = execution.submit(0 if self.nested else self.concurrency)
        for started in range(missing):
            try:
                _start_thread()
            except BaseException as error:
                execution.not_started(missing - started)
                if isinstance(error, RuntimeError):  # at the limit of threads, or at the interpreter's end
                    break
                raise

    def run(self, execution: Any) -> None:
        self.begin(execution)
        if self.nested or not (_weft.pool_threads()[0] and execution.wait()):
            execution.serve(threading.current_thread() is threading.main_thread())

    def step(self, execution: Any) -> None:
        if self.nested or not _weft.pool_threads()[0]:
            execution.work()
        execution.wait_for_events()

    def release(self, execution: Any) -> None:
        execution.release()

    abandon = release


class _Executor:
    """Threads of the user's: the engine's loop is submitted to them, once for each."""

    def __init__(self, pool: Any, num_workers: int | None):
        self.pool = pool
        workers = getattr(pool, "_max_workers", None) or getattr(pool, "_processes", None)
        self.concurrency = workers or num_workers or _cpu_count()
        self.nested = _weft.in_task()
        # Imported late: they cost a sixth of what `import weft` takes.
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing.pool import Pool, ThreadPool

        self.failure: BaseException | None = None
        # ThreadPool is a Pool; other pools run elsewhere, where our runs do not exist.
        self.threads = isinstance(pool, ThreadPool)
        if isinstance(pool, (Pool, ProcessPoolExecutor)) and not self.threads:
            raise TypeError("pool= must hold threads, as ThreadPoolExecutor and ThreadPool do, not processes")

    def context(self) -> contextvars.Context:
        return contextvars.copy_context()

    def begin(self, execution: Any) -> None:
        for _ in range(min(self.concurrency, len(execution))):
            if self.threads:
                self.pool.apply_async(execution.serve, error_callback=partial(self._failed, execution))
                continue
            future = self.pool.submit(execution.serve)
            if hasattr(future, "add_done_callback"):
                future.add_done_callback(partial(self._done, execution))

    def _done(self, execution: Any, future: Any) -> None:
        if not future.cancelled() and future.exception() is not None:
            self._failed(execution, future.exception())

    def _failed(self, execution: Any, error: BaseException | None) -> None:
        """A thread could not serve the run: without this its caller might wait for ever."""
        self.failure = error
        execution.cancel()

    def run(self, execution: Any) -> None:
        self.begin(execution)
        if self.nested:
            execution.serve()
        while not execution.wait():
            pass
        if self.failure is not None:
            raise self.failure

    def step(self, execution: Any) -> None:
        if self.nested:
            execution.work()
        execution.wait_for_events()
        if self.failure is not None:
            raise self.failure

    def release(self, execution: Any) -> None:
        execution.cancel()

    abandon = release


def _choose(scheduler: str, num_workers: int | None, pool: Any) -> _Sync | _Threads | _Executor:
    if scheduler == "sync":
        return _Sync()
    if scheduler != "threads":
        raise ValueError(f"scheduler must be 'threads' or 'sync', not {scheduler!r}")
    pool = pool or config.get("pool", None)
    num_workers = num_workers or config.get("num_workers", None)
    if num_workers is not None and (not isinstance(num_workers, Integral) or num_workers < 1):
        raise ValueError(f"num_workers must be a whole number of at least 1, not {num_workers!r}")
    return _Executor(pool, num_workers) if pool is not None else _Threads(num_workers)


def _cpu_count() -> int:
    from weft.system import CPU_COUNT

    return CPU_COUNT


def _start_thread() -> None:
    thread = threading.Thread(target=_weft.serve_pool, name=f"weft-{next(_thread_numbers)}", daemon=False)
    # A thread of a computation must not inherit what its first caller happened to have set.
    thread.start()


def _at_exit() -> None:
    """Before the interpreter waits for threads that are not daemons: let ours go."""
    _weft.close_pool()


# What concurrent.futures uses for the same purpose; atexit would come too late.
threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
atexit.register(_weft.close_store)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_weft.after_fork)


# ---------------------------------------------------------------------------------------------------------------------
# The memory budget

_configured: tuple[Any, Any, int] | None = None


def _configure_store() -> None:
    global _configured
    wanted = (config.get("memory.limit", None), config.get("temporary-directory", None), os.getpid())
    if wanted != _configured:
        limit, directory, _ = wanted
        _weft.configure_store(memory_limit(limit), os.fspath(directory or tempfile.gettempdir()))
        _configured = wanted


def memory_limit(limit: Any = None) -> int | None:
    """The setting ``memory.limit`` in bytes.

    Parameters
    ----------
    limit : int, float, str or None
        Bytes, text such as ``"500MB"`` or ``"4 GiB"``, a fraction of the machine's memory up to 1.0, ``"auto"`` or None
        for weft's own choice, 0 for no limit.

    Returns
    -------
    int or None
        None means no limit.

    Raises
    ------
    ValueError
        The text is no number of bytes.

    Examples
    --------
    >>> memory_limit("500MB")
    500000000
    >>> memory_limit(0) is None
    True
    """
    if limit is None or limit == "auto":
        total = available_memory()
        return int(total * AUTO_SHARE) if total else None
    if isinstance(limit, str):
        limit = _from_text(limit)
    if limit < 0:
        raise ValueError(f"memory.limit must not be negative, got {limit}")
    if limit == 0:
        return None
    if isinstance(limit, float) and limit <= 1:
        total = available_memory()
        return int(total * limit) if total else None
    return int(limit)


def _from_text(text: str) -> int | float:
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return number if "." in text and number <= 1 else int(number)
    try:
        # A unit alone is one of it for `parse_bytes`; a limit is a number.
        if any(digit in text for digit in "0123456789"):
            return parse_bytes(text.strip())
        raise ValueError("no number")
    except ValueError:
        raise ValueError(
            f"memory.limit must be a number of bytes such as 500MB, 4GiB or 0.5 (of all memory), got {text!r}"
        ) from None


def available_memory() -> int | None:
    """Memory that this process may use, in bytes: the machine's, or less if its control group has a limit."""
    found = []
    try:
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        pass
    for path in _cgroup_limits():
        try:
            with open(path) as file:
                text = file.read().strip()
        except OSError:
            continue
        if text.isdigit():  # "max": no limit
            found.append(int(text))
    return min(found, default=None)


def _cgroup_limits() -> Iterator[str]:
    yield "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    try:
        with open("/proc/self/cgroup") as file:
            groups = [line.strip().split(":", 2) for line in file]
    except OSError:
        return
    for number, controllers, group in (parts for parts in groups if len(parts) == 3):
        if number == "0":
            # A limit above counts for all groups below.
            parts = [part for part in group.split("/") if part]
            for depth in range(len(parts) + 1):
                yield "/".join(["/sys/fs/cgroup", *parts[:depth], "memory.max"])
        elif "memory" in controllers.split(","):
            yield f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes"


# ---------------------------------------------------------------------------------------------------------------------
# With callbacks


class _Tasks(MutableMapping):
    """The graph as callbacks see it: tasks are made when looked at, and can be replaced by values."""

    def __init__(self, graph: Any):
        self._graph = graph
        self.replaced: dict = {}

    def __getitem__(self, key):
        return self.replaced[key] if key in self.replaced else self._graph[key]

    def __setitem__(self, key, task) -> None:
        self.replaced[key] = task

    def __delitem__(self, key) -> None:
        raise TypeError("tasks cannot be taken out of a graph that is about to run")

    def __contains__(self, key) -> bool:
        return key in self.replaced or key in self._graph

    def __iter__(self):
        yield from self._graph
        yield from (key for key in self.replaced if key not in self._graph)

    def __len__(self) -> int:
        return len(self._graph) + sum(key not in self._graph for key in self.replaced)

    def __repr__(self) -> str:
        return f"<{len(self)} tasks>"


class _Counts(Mapping):
    """The state of a run for callbacks that only ask how many tasks are where: looked up when asked for."""

    def __init__(self, execution: Any):
        self._execution = execution

    def __getitem__(self, name):
        finished, running = self._execution.counts()
        waiting = max(len(self._execution) - finished - running, 0)
        # Only the length of these means anything.
        return range({"finished": finished, "running": running, "waiting": waiting, "ready": 0}[name])

    def __iter__(self):
        return iter(("finished", "running", "waiting", "ready"))

    def __len__(self) -> int:
        return 4


def _only_counts(callback: tuple) -> bool:
    """Whether a callback wants to hear of no task, and of the state only how many tasks are where.

    It says the latter by an attribute ``counts_only`` of its function ``start_state``.
    """
    _, start_state, pretask, posttask, _ = callback
    return not (pretask or posttask) and (not start_state or getattr(start_state, "counts_only", False))


class _Observed:
    """A run with callbacks.

    If they want to hear of each task, tasks are admitted one by one from this thread, with the callbacks around each;
    that is ten times as slow for small tasks. If not, the run is like any other.
    """

    def __init__(self, graph: Mapping, keys: list, how: Any, callbacks: list):
        self.graph = graph if isinstance(graph, _weft.Graph) else _weft.Graph(graph)
        self.keys = keys
        self.how = how
        self.callbacks = callbacks
        self.state: Any = {}
        self.each_task = not all(map(_only_counts, callbacks))

    def run(self) -> list:
        dsk = _Tasks(self.graph)
        started: list = []
        succeeded = False
        try:
            for callback in self.callbacks:
                if callback[0]:
                    callback[0](dsk)
                started.append(callback)
            if dsk.replaced:
                self.graph = _weft.Graph(dict(dsk))
            execution = _weft.Execution(
                self.graph, self.keys, self.how.concurrency, self.how.context(), self.each_task
            )
            try:
                if self.each_task:
                    self._drive(execution, dsk)
                else:
                    self._watch(execution, dsk)
            except BaseException:
                self.how.abandon(execution)
                raise
            # First: what has failed would stay with the threads' pool for ever.
            self.how.release(execution)
            results = execution.results()
            succeeded = True
            return results
        finally:
            for callback in started:
                if callback[4]:
                    callback[4](dsk, self.state, not succeeded)

    def _watch(self, execution: Any, dsk: _Tasks) -> None:
        self.state = _Counts(execution)
        for callback in self.callbacks:
            if callback[1]:
                callback[1](dsk, self.state)
        self.how.run(execution)

    def _drive(self, execution: Any, dsk: _Tasks) -> None:
        _, start_state, pretask, posttask, _ = unpack_callbacks(self.callbacks)
        names, inputs = execution.plan()
        literals = execution.literals()
        state = self.state
        state.update(_start_state(names, inputs, literals))
        for function in start_state:
            function(dsk, state)
        wanted = set(self.keys)
        # A function whose attribute ``ignores_values`` is set spares us making Python objects of native results.
        values = not all(getattr(function, "ignores_values", False) for function in (*pretask, *posttask))
        running = 0

        def catch_up() -> None:
            nonlocal running
            for number, value, thread in execution.events(values):
                if number in literals:
                    continue
                running -= 1
                key = names[number]
                state["cache"][key] = value
                _finish_task(key, state, wanted)
                for function in posttask:
                    function(key, value, dsk, state, thread)

        self.how.begin(execution)
        over = False
        while not over:
            while running < self.how.concurrency:
                number = execution.admit()
                if number is None:
                    break
                # What made it ready has ended meanwhile, and comes first.
                catch_up()
                if number not in literals:
                    key = names[number]
                    del state["ready"][key]
                    state["running"].add(key)
                    for function in pretask:
                        function(key, dsk, state)
                    running += 1
                execution.start(number)
            self.how.step(execution)
            # Asked before the events are taken: what ends the run is among them.
            over = execution.is_over
            catch_up()


def _start_state(names: list, inputs: list, literals: Mapping) -> dict[str, Any]:
    dependencies = {names[i]: {names[j] for j in reads} for i, reads in enumerate(inputs)}
    dependents: dict = {name: set() for name in names}
    waiting: dict = {}
    ready: dict = {}
    for number in reversed(range(len(names))):
        name = names[number]
        missing = set()
        for j in inputs[number]:
            dependents[names[j]].add(name)
            if j not in literals:
                missing.add(names[j])
        if missing:
            waiting[name] = missing
        elif number not in literals:
            ready[name] = None
    return {
        "dependencies": dependencies,
        "dependents": dependents,
        "waiting": waiting,
        "waiting_data": {name: set(readers) for name, readers in dependents.items()},
        "cache": {names[number]: value for number, value in literals.items()},
        "ready": ready,
        "running": set(),
        "finished": set(),
        "released": set(),
    }


def _finish_task(key: Hashable, state: dict, wanted: set) -> None:
    for reader in state["dependents"][key]:
        missing = state["waiting"].get(reader)
        if missing is not None:
            missing.discard(key)
            if not missing:
                del state["waiting"][reader]
                state["ready"][reader] = None
    for read in state["dependencies"][key]:
        readers = state["waiting_data"].get(read)
        if readers is not None:
            readers.discard(key)
            if not readers and read not in wanted:
                del state["waiting_data"][read]
                state["cache"].pop(read, None)
                state["released"].add(read)
    state["running"].discard(key)
    state["finished"].add(key)
