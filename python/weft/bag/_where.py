"""Where bags are computed if nobody says: in processes if that pays, else on the threads of this process.

Python functions of elements hold the GIL, so that threads take turns at them: such bags go to processes, as in Dask. What Rust
or C does to elements that are here already (counting them, splitting lines, looking at fields of JSON) would wait longer for its data
to travel than it takes. So threads compute a graph

- none of whose tasks calls a function of the user's, other than those that Rust or C runs (`_cheap`);
- that has a single task with such a function, for which one process is as good as another;
- that cannot be sent to another process: it holds a lock, a connection, an open file;
- within a task, or in a process that is itself a worker.
"""

from __future__ import annotations

import functools
import json
import logging
import operator
import types
from collections.abc import Mapping
from typing import Any

from weft import config, threaded
from weft._weft import bag_calls, in_task

logger = logging.getLogger("weft.bag")


def get(dsk: Mapping, keys: Any, num_workers: int | None = None, pool: Any = None, **kwargs: Any) -> Any:
    """Compute keys of a graph of bags in processes or on threads; takes what `weft.multiprocessing.get` does.

    Examples
    --------
    >>> get({"x": 1, "y": (abs, -2)}, ["x", "y"])
    (1, 2)
    """
    from weft import multiprocessing

    pool = pool or config.get("pool", None)
    if pool is not None:
        run = multiprocessing.get if _is_of_processes(pool) else threaded.get
        return run(dsk, keys, num_workers=num_workers, pool=pool, **kwargs)
    if in_task() or multiprocessing.is_worker() or not pays(dsk):
        return threaded.get(dsk, keys, num_workers=num_workers, **kwargs)
    try:
        return multiprocessing.get(dsk, keys, num_workers=num_workers, **kwargs)
    except Exception as error:
        if not multiprocessing.was_not_sent(error):
            raise
        logger.info("a bag is computed on threads, because it cannot be sent to processes: %s", error)
    return threaded.get(dsk, keys, num_workers=num_workers, **kwargs)


def _is_of_processes(pool: Any) -> bool:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing.pool import Pool, ThreadPool

    return isinstance(pool, (Pool, ProcessPoolExecutor)) and not isinstance(pool, ThreadPool)


def pays(dsk: Mapping) -> bool:
    """Whether several tasks of a graph call functions that take turns on threads.

    Examples
    --------
    >>> import json
    >>> import weft.bag as db
    >>> pays(db.from_sequence(["1", "2"], npartitions=2).map(json.loads).dask)
    True
    >>> pays(db.range(10, npartitions=2).sum().dask)
    False
    """
    busy = 0
    for tasks, calls in bag_calls(dsk):
        if calls is not None and not _all_cheap(calls):
            busy += tasks
    return busy > 1


def _all_cheap(calls: list[Any]) -> bool:
    from weft.bag import _native, _programs, _steps
    from weft.bag.text import ReadText

    native = False
    for step in calls:
        kind = type(step)
        if kind is ReadText:
            if not _native.readable(step):
                return False
            native = True
            continue
        if kind is _steps.Map and native and _knows(step.func):
            continue
        if kind in (_steps.Filter, _steps.Remove) and native and _programs.program(step.predicate, "element"):
            continue
        if kind is _steps.ReduceBy and native:
            key = step.key if not callable(step.key) else _programs.program(step.key, "element")
            if key is not None and _programs.program(step.binop, "total", "element") is not None:
                native = False
                continue
        if not all(map(cheap, _functions(step))):
            return False
    return True


def _knows(func: Any) -> bool:
    """Whether Rust knows what the function does to lines."""
    from weft.bag import _programs

    return func is json.loads or cheap(func) or _programs.program(func, "element") is not None


def _functions(step: Any) -> list[Any]:
    """The functions of the user's that a step calls."""
    from weft.bag._steps import Step

    if not isinstance(step, Step):
        return [step]
    found = []
    for part in step._parts():
        if isinstance(part, Step):
            found += _functions(part)
        elif callable(part):
            found.append(part)
    return found


def cheap(func: Any) -> bool:
    """Whether a function takes about as long as sending its argument would: those of weft's own, and simple ones in C."""
    if isinstance(func, functools.partial):
        return cheap(func.func) and all(map(cheap, filter(callable, (*func.args, *func.keywords.values()))))
    if type(func) in (operator.itemgetter, operator.attrgetter, operator.methodcaller):
        return True
    if type(func) is type(str.lower):
        return True
    if isinstance(func, type):
        return func.__module__ == "builtins"
    if isinstance(func, types.BuiltinFunctionType):
        return getattr(func, "__module__", None) in _SIMPLE
    return str(getattr(func, "__module__", "")).startswith("weft.bag.")


_SIMPLE = ("builtins", "_operator", "operator", "math", "itertools", "_functools")
