"""What all collections share: `compute`, `persist`, the protocol, and the choice of a scheduler."""

from __future__ import annotations

import dataclasses
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from weft import config, local, threaded
from weft._task_spec import Results
from weft._weft import DelayedCore, Graph, annotating, delayed_graph
from weft.core import flatten as flatten
from weft.dot import visualize_dsk as visualize_dsk
from weft.tokenize import TokenizationError, normalize_token, tokenize

__all__ = [
    "DaskMethodsMixin",
    "TokenizationError",
    "annotate",
    "clone_key",
    "compute",
    "compute_as_if_collection",
    "dont_optimize",
    "get_annotations",
    "get_collection_names",
    "get_name_from_key",
    "get_scheduler",
    "is_dask_collection",
    "named_schedulers",
    "normalize_token",
    "optimization_function",
    "optimize",
    "persist",
    "replace_name_in_key",
    "tokenize",
    "unpack_collections",
    "visualize",
    "wait",
]

_annotations: ContextVar[dict[str, Any] | None] = ContextVar("annotations", default=None)


def get_annotations() -> dict[str, Any]:
    """The annotations in force here.

    Returns
    -------
    dict

    Examples
    --------
    >>> import weft
    >>> with weft.annotate(priority=1):
    ...     weft.get_annotations()
    {'priority': 1}
    """
    return _annotations.get() or {}


@contextmanager
def annotate(**annotations: Any) -> Iterator[None]:
    """Attaches hints for schedulers to the tasks made within the block.

    Parameters
    ----------
    **annotations
        ``priority`` (a number), ``retries`` (0 or more), ``workers`` (an address or several),
        ``allow_other_workers`` (bool), ``resources`` (a dict), or names of your own. A callable
        gets a task's key and returns the hint for it.

    Raises
    ------
    TypeError
        If a hint that schedulers know has a value they cannot use.

    Examples
    --------
    >>> import weft
    >>> with weft.annotate(priority=10):
    ...     weft.get_annotations()
    {'priority': 10}
    """
    checks: dict[str, tuple[Callable[[Any], bool], str]] = {
        "workers": (
            lambda v: callable(v) or isinstance(v, str) or isinstance(v, (list, tuple, set)),
            "a str, or a list, tuple or set of str",
        ),
        "priority": (lambda v: callable(v) or isinstance(v, (int, float)), "a number"),
        "retries": (lambda v: callable(v) or (isinstance(v, int) and v >= 0), "an integer of 0 or more"),
        "resources": (lambda v: callable(v) or isinstance(v, dict), "a dict"),
        "allow_other_workers": (lambda v: callable(v) or isinstance(v, bool), "a bool"),
    }
    for name, value in annotations.items():
        if name in checks and not checks[name][0](value):
            raise TypeError(f"'{name}' annotation must be {checks[name][1]}, got {value!r}")
    if isinstance(annotations.get("workers"), (tuple, str)):
        workers = annotations["workers"]
        annotations["workers"] = [workers] if isinstance(workers, str) else list(workers)
    token = _annotations.set({**get_annotations(), **annotations})
    annotating(True)
    try:
        yield
    finally:
        annotating(False)
        _annotations.reset(token)


def is_dask_collection(x) -> bool:
    """Whether ``x`` implements the collection protocol and has a graph.

    Examples
    --------
    >>> import weft
    >>> weft.is_dask_collection(weft.delayed(1)), weft.is_dask_collection([1])
    (True, False)
    """
    if isinstance(x, DelayedCore):
        return True
    if isinstance(x, type):
        return False
    method = getattr(x, "__dask_graph__", None)
    if not callable(method):
        return False
    # Ours always have a graph, and making it may mean to plan a whole query.
    return type(x).__module__.startswith("weft.") or method() is not None


class _Methods:
    """`DaskMethodsMixin` for classes that bring their own layout."""

    __slots__ = ()

    def visualize(self, filename="mydask", format=None, optimize_graph=False, **kwargs):
        """Draws the graph; see `weft.visualize`."""
        return visualize(self, filename=filename, format=format, optimize_graph=optimize_graph, **kwargs)

    def persist(self, **kwargs):
        """This collection with its results in memory; see `weft.persist`."""
        (result,) = persist(self, traverse=False, **kwargs)
        return result

    def compute(self, **kwargs):
        """The value of this collection; see `weft.compute`."""
        (result,) = compute(self, traverse=False, **kwargs)
        return result

    def __await__(self):
        from weft.utils import import_required

        distributed = import_required(
            "weft.distributed", "async/await on a collection needs a Client, which this version of weft lacks"
        )

        async def ready():
            if distributed.futures_of(self):
                await distributed.wait(self)
            return self

        return ready().__await__()


class DaskMethodsMixin(_Methods):
    """Methods that every collection has."""

    __slots__ = ("__weakref__",)


def compute_as_if_collection(cls, dsk, keys, scheduler=None, get=None, **kwargs):
    """Runs a graph as ``compute`` of a collection of type ``cls`` would.

    Examples
    --------
    >>> from weft.delayed import Delayed
    >>> compute_as_if_collection(Delayed, {"x": 1, "y": (abs, -2)}, ["x", "y"])
    (1, 2)
    """
    schedule = get_scheduler(scheduler=scheduler, cls=cls, get=get)
    return schedule(optimization_function(cls)(dsk, keys, **kwargs), keys, **kwargs)


def dont_optimize(dsk, keys, **kwargs):
    """The graph as it is.

    Examples
    --------
    >>> dont_optimize({"x": 1}, ["x"])
    {'x': 1}
    """
    return dsk


def optimization_function(x):
    """How collections like ``x`` want their graphs optimized.

    Examples
    --------
    >>> import weft
    >>> optimization_function(weft.delayed(1)).__name__
    'optimize'
    """
    return getattr(x, "__dask_optimize__", None) or dont_optimize


def collections_to_dsk(collections, optimize_graph=True, optimizations=(), **kwargs):
    """One graph for several collections, optimized collection type by collection type.

    Examples
    --------
    >>> import weft
    >>> x = weft.delayed(abs)(-1, dask_key_name="x")
    >>> sorted(collections_to_dsk([x]))
    ['x']
    """
    if optimize_graph and len(collections) > 1 and all(isinstance(c, DelayedCore) for c in collections):
        if "delayed_optimize" not in config.config:
            return delayed_graph(list(collections))
    groups: dict = {}
    for collection in collections:
        how = optimization_function(collection) if optimize_graph else dont_optimize
        # Collections that share work beyond equal keys build their graph as one.
        together = getattr(type(collection), "__weft_graph__", None)
        groups.setdefault((how, together), []).append(collection)
    graphs = []
    for (how, together), members in groups.items():
        if all(isinstance(c, DelayedCore) for c in members) and len(members) > 1:
            graph = delayed_graph(list(members))
        elif together is not None:
            graph = together(members)
        else:
            graph = _merged([c.__dask_graph__() for c in members])
        keys = [c.__dask_keys__() for c in members]
        graph = how(graph, keys, **kwargs) if optimize_graph else graph
        for optimization in optimizations:
            graph = optimization(graph, keys)
        graphs.append(graph)
    return _merged(graphs)


def _merged(graphs):
    return graphs[0] if len(graphs) == 1 else Graph.merge(graphs)


def collections_to_expr(collections, optimize_graph=True):
    """One graph for one or several collections."""
    several = isinstance(collections, (list, tuple, set))
    if several and not collections:
        raise ValueError("No collections provided")
    return collections_to_dsk(list(collections) if several else [collections], optimize_graph)


def unpack_collections(*args, traverse=True):
    """The collections in ``args``, and how to put results in their places.

    Parameters
    ----------
    *args
        Any objects. Lists, tuples, sets, dicts, dataclasses, named tuples and iterators are looked into.
    traverse : bool
        False: only ``args`` themselves are looked at.

    Returns
    -------
    collections : list
        Each collection once.
    repack : callable
        Takes one result for each collection; returns ``args`` as a tuple with the results in them.

    Examples
    --------
    >>> import weft
    >>> collections, repack = unpack_collections({"a": weft.delayed(abs)(-1)}, 5)
    >>> len(collections)
    1
    >>> repack(["one"])
    ({'a': 'one'}, 5)
    """
    collections: list = []
    places: dict = {}
    build = _unpack_all(args, collections, places, traverse)

    def repack(results):
        return build(results) if build is not None else args

    return collections, repack


def _unpack(obj, collections, places, traverse):
    """How to rebuild an object: a place among the results, a function of them, or ``None``: it has no collection."""
    if is_dask_collection(obj):
        token = obj.key if isinstance(obj, DelayedCore) else tokenize(obj)
        place = places.setdefault(token, len(collections))
        if place == len(collections):
            collections.append(obj)
        return place
    if not traverse:
        return None
    typ = list if isinstance(obj, Iterator) else type(obj)
    if typ in (list, tuple, set):
        items = list(obj)
        build = _unpack_all(items, collections, places, traverse)
        if build is None:
            # An iterator is used up now, so what it held has to stand for it.
            return (lambda results: items) if isinstance(obj, Iterator) else None
        return lambda results: typ(build(results))
    if typ in (dict, OrderedDict):
        build = _unpack_all([*obj.keys(), *obj.values()], collections, places, traverse)
        if build is None:
            return None

        def rebuild(results):
            parts = build(results)
            half = len(parts) // 2
            return typ(zip(parts[:half], parts[half:]))

        return rebuild
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        values = [getattr(obj, f.name) for f in dataclasses.fields(obj)]
    elif isinstance(obj, tuple) and hasattr(typ, "_fields"):
        values = list(obj)
    else:
        return None
    build = _unpack_all(values, collections, places, traverse)
    return None if build is None else lambda results: typ(*build(results))


def _unpack_all(items, collections, places, traverse):
    builds = [_unpack(item, collections, places, traverse) for item in items]
    if all(b is None for b in builds):
        return None

    def rebuild(results):
        return tuple(
            results[b] if type(b) is int else item if b is None else b(results)
            for b, item in zip(builds, items)
        )

    return rebuild


def optimize(*args, traverse=True, **kwargs):
    """Equivalent collections that share one optimized graph.

    Parameters
    ----------
    *args
        Any objects; collections in them are replaced.
    traverse : bool
        Whether to look for collections inside built-in containers.
    optimizations : list of callables, optional
        More steps, each a function of the graph and the keys.
    **kwargs
        Passed on to the optimization functions.

    Returns
    -------
    tuple
        ``args`` with the new collections.

    Examples
    --------
    >>> import weft
    >>> (x,) = weft.optimize(weft.delayed(sum)([1, 2]))
    >>> x.compute()
    3
    """
    collections, repack = unpack_collections(*args, traverse=traverse)
    if not collections:
        return args
    graph = collections_to_dsk(collections, **kwargs)
    rebuilt = []
    for collection in collections:
        rebuild, state = collection.__dask_postpersist__()
        rebuilt.append(rebuild(graph, *state))
    return repack(rebuilt)


def compute(*args, traverse=True, optimize_graph=True, scheduler=None, get=None, **kwargs):
    """The values of several collections, computed together.

    What the collections share is computed once.

    Parameters
    ----------
    *args
        Any objects. Collections among them, and inside lists, tuples, sets, dicts, dataclasses and
        iterators, are replaced by their values.
    traverse : bool
        False: look for collections among ``args`` only, not inside containers.
    optimize_graph : bool
        False: run the graph as it was written.
    scheduler : str, callable, Executor or Client, optional
        ``"threads"``, ``"sync"``, a function of a graph and keys, or a
        `concurrent.futures.Executor`. Otherwise the setting ``scheduler`` decides, then the collections.
    **kwargs
        Passed on to the scheduler: ``num_workers``, ``pool``.

    Returns
    -------
    tuple
        ``args`` with values in the places of collections.

    Raises
    ------
    Exception
        What the first failing task raised, with its traceback.

    Examples
    --------
    >>> import weft
    >>> x = weft.delayed(sum)([1, 2])
    >>> weft.compute({"x": x, "y": 1}, x + 1)
    ({'x': 3, 'y': 1}, 4)
    """
    collections, repack = unpack_collections(*args, traverse=traverse)
    if not collections:
        return args
    schedule = get_scheduler(scheduler=scheduler, collections=collections, get=get)
    graph = collections_to_dsk(collections, optimize_graph)
    nested = [c.__dask_keys__() for c in collections]
    results = iter(schedule(graph, list(flatten(nested)), **kwargs))
    values = []
    for collection, keys in zip(collections, nested):
        if isinstance(collection, DelayedCore):
            values.append(next(results))
        else:
            finish, state = collection.__dask_postcompute__()
            values.append(finish(_nest(keys, results), *state))
    return repack(values)


def _nest(keys, results):
    """The next results, in tuples where ``keys`` has lists."""
    return tuple(_nest(key, results) if isinstance(key, list) else next(results) for key in keys)


def visualize(
    *args, filename="mydask", traverse=True, optimize_graph=False, maxval=None, engine=None, **kwargs
):
    """Draws the graph of several collections into one picture.

    Parameters
    ----------
    *args
        Collections, graphs, or containers of them.
    filename : str or None
        Where to write, without suffix; ``None`` writes nothing.
    format : {"svg", "png", "pdf", "dot"}, optional
        By default what the suffix of ``filename`` says, else the configured format.
    optimize_graph : bool
        Whether to draw what would run instead of what was written.
    color : {None, "order", ...}, optional
        How tasks are coloured.
    engine : str, optional
        ``"graphviz"`` or ``"cytoscape"`` to draw with those packages.
    **kwargs
        Passed on to `weft.dot`.

    Returns
    -------
    object
        A picture that notebooks show.

    Examples
    --------
    >>> import weft
    >>> picture = weft.visualize(weft.delayed(abs)(-1), filename=None, format="svg")
    """
    from weft import dot

    def is_graph(a):
        # A mapping that holds collections is a container of them.
        return (
            isinstance(a, Mapping)
            and not is_dask_collection(a)
            and not unpack_collections(a, traverse=traverse)[0]
        )

    graphs = [a for a in args if is_graph(a)]
    collections, _ = unpack_collections(
        *[a for a in args if not any(a is g for g in graphs)], traverse=traverse
    )
    # Graphs are drawn whole; of collections, what they need.
    keys = None if graphs else list(flatten(c.__dask_keys__() for c in collections))
    if collections:
        graphs.append(collections_to_dsk(collections, optimize_graph))
    graph = _merged(graphs) if graphs else Graph({})
    if maxval is not None:
        kwargs["maxval"] = maxval
    if engine is not None:
        kwargs["engine"] = engine
    return dot.visualize(graph, keys=keys, filename=filename, **kwargs)


def persist(*args, traverse=True, optimize_graph=True, scheduler=None, **kwargs):
    """The same collections over results instead of tasks.

    Local schedulers block until all is computed; the results stay in this process's memory.

    Parameters
    ----------
    *args
        Any objects; collections in them are replaced.
    traverse, optimize_graph, scheduler, **kwargs
        As in `weft.compute`.

    Returns
    -------
    tuple
        ``args`` with the new collections.

    Examples
    --------
    >>> import weft
    >>> (x,) = weft.persist(weft.delayed(sum)([1, 2]))
    >>> x, x.compute()  # doctest: +SKIP
    (Delayed('sum-...'), 3)
    """
    collections, repack = unpack_collections(*args, traverse=traverse)
    if not collections:
        return args
    schedule = get_scheduler(scheduler=scheduler, collections=collections)
    client = getattr(schedule, "__self__", schedule)
    if callable(getattr(client, "persist", None)):
        return repack(client.persist(collections, optimize_graph=optimize_graph, **kwargs))
    graph = collections_to_dsk(collections, optimize_graph)
    nested = [list(flatten(c.__dask_keys__())) for c in collections]
    results = iter(schedule(graph, list(flatten(nested)), **kwargs))
    rebuilt = []
    for collection, keys in zip(collections, nested):
        rebuild, state = collection.__dask_postpersist__()
        rebuilt.append(rebuild(Results(zip(keys, results)), *state))
    return repack(rebuilt)


def _processes(dsk, keys, **kwargs):
    from weft import multiprocessing

    return multiprocessing.get(dsk, keys, **kwargs)


named_schedulers: dict[str, Callable] = {
    "sync": local.get_sync,
    "synchronous": local.get_sync,
    "single-threaded": local.get_sync,
    "threads": threaded.get,
    "threading": threaded.get,
    "processes": _processes,
    "multiprocessing": _processes,
}

get_err_msg = """
The get= keyword has been removed.

Please use the scheduler= keyword instead with the name of
the desired scheduler like 'threads' or 'sync'

    x.compute(scheduler='threads')
    x.compute(scheduler='sync')

or with a function that takes the graph and keys

    x.compute(scheduler=my_scheduler_function)

or with a Client

    x.compute(scheduler=client)
""".strip()


def get_scheduler(get=None, scheduler=None, collections=None, cls=None):
    """The function that runs graphs: from the argument, the settings, or the collections.

    Parameters
    ----------
    scheduler : str, callable, Executor or Client, optional
    collections : list, optional
        Collections whose ``__dask_scheduler__`` decides where nothing else does.
    cls : type, optional
        A collection type, likewise.

    Returns
    -------
    callable or None
        A function of a graph and (nested) keys.

    Raises
    ------
    TypeError
        If ``get=`` is given, which older versions of Dask accepted.
    ValueError
        If no scheduler has that name, or the collections disagree.

    Examples
    --------
    >>> get_scheduler(scheduler="sync")({"x": (abs, -1)}, "x")
    1
    >>> get_scheduler() is None  # nothing says which
    True
    """
    if get:
        raise TypeError(get_err_msg)
    if scheduler is None:
        scheduler = config.get("scheduler", None) or None
        if scheduler is None and config.get("get", None):
            raise ValueError(get_err_msg)
    if scheduler is not None:
        return _scheduler_function(scheduler)
    current = _cluster_scheduler()
    if current is not None:
        return current
    if cls is not None:
        return cls.__dask_scheduler__
    members = [c for c in collections or () if c is not None]
    if not members:
        return None
    first = members[0].__dask_scheduler__
    if any(c.__dask_scheduler__ != first for c in members):
        # A bag decides by what is to be computed, which may be more than itself.
        own = {threaded.get, *(get for c in members if _decides_itself(get := c.__dask_scheduler__))}
        if len(own) == 2 and all(c.__dask_scheduler__ in own for c in members):
            return next(get for get in own if get is not threaded.get)
        raise ValueError(
            "Compute called on multiple collections with differing default schedulers. Please specify a "
            "`scheduler=` parameter explicitly in compute or globally with `weft.config.set`."
        )
    return first


def _decides_itself(schedule) -> bool:
    """Whether it is the function of bags that chooses between threads and processes."""
    bags = sys.modules.get("weft.bag._where")
    return bags is not None and schedule is bags.get


def _cluster_scheduler():
    """How the current client of a cluster, if there is one, computes graphs."""
    clients = sys.modules.get("weft.distributed._client")
    return clients.current_scheduler() if clients is not None else None


def computes_elsewhere() -> bool:
    """Whether a computation that names no scheduler would run in other processes, whatever is computed.

    Examples
    --------
    >>> import weft
    >>> with weft.config.set(scheduler="processes"):
    ...     computes_elsewhere()
    True
    """
    scheduler = get_scheduler()
    return scheduler is not None and scheduler in (named_schedulers["processes"], _cluster_scheduler())


def computes_on_other_machines() -> bool:
    """Whether a computation that names no scheduler may run on other machines: that of a client of no `LocalCluster`.

    Examples
    --------
    >>> import weft
    >>> with weft.config.set(scheduler="processes"):
    ...     computes_on_other_machines()
    False
    """
    current = _cluster_scheduler()
    if current is None or get_scheduler() != current:
        return False
    from weft.distributed import LocalCluster

    return not isinstance(getattr(current, "__self__", current).cluster, LocalCluster)


def _scheduler_function(scheduler):
    if callable(scheduler):
        return scheduler
    if isinstance(scheduler, str):
        name = scheduler.lower()
        if name in named_schedulers:
            return named_schedulers[name]
        if name in ("dask.distributed", "weft.distributed", "distributed"):
            current = _cluster_scheduler()
            if current is not None:
                return current
            raise RuntimeError(f"Requested {scheduler} scheduler but no Client active.")
        names = ", ".join(sorted(named_schedulers))
        raise ValueError(f"Expected one of [distributed, {names}], got {scheduler!r}")
    if "Client" in type(scheduler).__name__ and hasattr(scheduler, "get"):
        if getattr(scheduler, "asynchronous", False):
            raise RuntimeError(
                "Attempting to use an asynchronous Client in a synchronous context of `compute`"
            )
        return scheduler.get
    if isinstance(scheduler, Executor):
        run = _processes if type(scheduler).__name__ == "ProcessPoolExecutor" else threaded.get
        return partial(run, pool=scheduler)
    raise ValueError(f"Unexpected scheduler: {scheduler!r}")


def wait(x, timeout=None, return_when="ALL_COMPLETED"):
    """Waits until the collections in ``x`` are computed; local results already are.

    Examples
    --------
    >>> import weft
    >>> x = weft.delayed(abs)(-1).persist()
    >>> _ = wait(x)
    >>> x.compute()
    1
    """
    try:
        from weft.distributed import wait as wait_for_futures  # type: ignore[import-not-found]

        return wait_for_futures(x, timeout=timeout, return_when=return_when)
    except (ImportError, ValueError):
        return x


def get_collection_names(collection) -> set[str]:
    """What the keys of a collection start with.

    Raises
    ------
    TypeError
        If ``collection`` is none, or one of its keys is neither a str nor a tuple that starts with one.

    Examples
    --------
    >>> import weft
    >>> get_collection_names(weft.delayed(abs)(-1, dask_key_name="x"))
    {'x'}
    """
    if not is_dask_collection(collection):
        raise TypeError(f"Expected a collection; got {type(collection)}")
    return {get_name_from_key(key) for key in flatten(collection.__dask_keys__())}


def get_name_from_key(key) -> str:
    """The collection's name in a key.

    Examples
    --------
    >>> get_name_from_key(("foo-123", 1, 2))
    'foo-123'
    """
    if isinstance(key, tuple) and key and isinstance(key[0], str):
        return key[0]
    if isinstance(key, str):
        return key
    raise TypeError(f"Expected str or a tuple starting with str; got {key!r}")


def replace_name_in_key(key, rename: Mapping[str, str]):
    """A key with the collection's name replaced, if ``rename`` has it.

    Examples
    --------
    >>> replace_name_in_key(("foo-123", 1), {"foo-123": "bar-456"})
    ('bar-456', 1)
    """
    name = get_name_from_key(key)
    new = rename.get(name, name)
    return (new, *key[1:]) if isinstance(key, tuple) else new


def clone_key(key, seed: Hashable):
    """A new key with the same prefix and indices, which follows from ``key`` and ``seed``.

    Examples
    --------
    >>> clone_key("inc-cbb1eca3bafafbb3e8b2419c4eebb387", 123) == clone_key("inc-cbb1eca3bafafbb3e8b2419c4eebb387", 123)
    True
    """
    from weft.utils import key_split

    name = get_name_from_key(key)
    new = f"{key_split(name)}-{tokenize(name, seed)}"
    return (new, *key[1:]) if isinstance(key, tuple) else new
