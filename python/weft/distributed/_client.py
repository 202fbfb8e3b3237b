"""Clients: how Python talks to a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from weft import _weft, config
from weft.distributed._actor import Actor
from weft.distributed._errors import failed
from weft.distributed._future import Dispatcher, Future, futures_of
from weft.distributed._plugins import SHELF
from weft.distributed._security import certificates
from weft.utils import funcname, parse_timedelta

__all__ = ["Client", "default_client", "get_client", "worker_client"]


#: Clients by the order in which they became the default: the last that is open counts.
_defaults: list[weakref.ref] = []
_current = threading.local()
_lock = threading.RLock()


def seconds(timeout: Any) -> float | None:
    """A timeout in seconds, from a number, text such as ``"2s"``, or None: none."""
    if timeout is None or timeout == "inf" or timeout is False:
        return None
    if isinstance(timeout, (int, float)):
        return float(timeout)
    return float(parse_timedelta(timeout))


class Client:
    """A connection to a cluster, and its use.

    As long as one is open, it computes all collections.

    Parameters
    ----------
    address : str or cluster, optional
        Where a scheduler listens, or an object such as `LocalCluster`. None: a new `LocalCluster` of this client's own.
    timeout : float or str, optional
        How long connecting may take; by default the setting ``distributed.comm.timeouts.connect``.
    set_as_default : bool
        Whether collections and `get_client` use this client.
    asynchronous : bool
        Methods that wait are coroutines.
    name : str, optional
        What the client is called.
    security : Security, optional
        Tokens and certificates.
    **kwargs
        For `LocalCluster`, if ``address`` is None.

    Raises
    ------
    OSError
        There is no scheduler, or it does not know this client's token.

    Examples
    --------
    >>> from weft.distributed import Client
    >>> with Client(n_workers=1, processes=False) as client:
    ...     client.submit(lambda x: x + 1, 10).result()
    11
    """

    def __init__(
        self,
        address: Any = None,
        loop: Any = None,
        timeout: Any = None,
        set_as_default: bool = True,
        scheduler_file: str | None = None,
        security: Any = None,
        asynchronous: bool = False,
        name: str | None = None,
        heartbeat_interval: Any = None,
        serializers: Any = None,
        deserializers: Any = None,
        extensions: Any = None,
        direct_to_workers: bool | None = None,
        connection_limit: int = 512,
        **kwargs: Any,
    ):
        from weft.distributed import _cluster

        self.asynchronous = asynchronous
        self.cluster: Any = None
        self._owns_cluster = False
        self._pool: ThreadPoolExecutor | None = None
        self.status = "connecting"
        self._dashboard = file_token = ""
        timeout = seconds(timeout) or seconds(config.get("distributed.comm.timeouts.connect", None)) or 30.0
        if scheduler_file is not None:
            import json

            with open(scheduler_file) as file:
                known = json.load(file)
            address, self._dashboard = known["address"], known.get("dashboard", "")
            file_token = known.get("token", "")
        if address is None and config.get("scheduler-address", None):
            address = config.get("scheduler-address")
        if address is None:
            if security is not None:
                kwargs["security"] = security
            self.cluster = _cluster.LocalCluster(**kwargs)
            self._owns_cluster = True
        elif not isinstance(address, str):
            self.cluster = address
        where = self.cluster._client_address if self.cluster is not None else address
        token = (
            self.cluster._token
            if self.cluster is not None
            else file_token or _cluster.token_for(address, security)
        )
        self.id = f"{type(self).__name__}-{name + '-' if name else ''}{uuid.uuid4()}"
        try:
            tls = certificates(security or getattr(self.cluster, "security", None), "client", where)
            self._core = _weft.ClusterClient(where, token, self.id, timeout, tls)
        except BaseException:
            if self._owns_cluster:
                self.cluster.close()
            raise
        self._address = self.cluster.scheduler_address if self.cluster is not None else address
        self._dispatcher = Dispatcher(f"{self.id}-callbacks")
        self.status = "running"
        self._previous: Any = None
        _open.add(self)
        if set_as_default:
            with _lock:
                _defaults.append(weakref.ref(self))

    # -- life -------------------------------------------------------------------------------------

    def close(self, timeout: Any = None) -> Any:
        """Lets go of all futures and closes the connection; the cluster too, if the client has made it."""
        if self.asynchronous and _in_loop():
            return self._run_async(self._close)
        self._close()
        return None

    def _close(self) -> None:
        with _lock:
            if self.status == "closed":
                return
            self.status = "closed"
            _defaults[:] = [ref for ref in _defaults if ref() is not None and ref() is not self]
        self._core.close()
        self._dispatcher.close()
        if self._owns_cluster:
            self.cluster.close()

    def shutdown(self) -> Any:
        """Closes the client and the whole cluster."""
        self._owns_cluster = self.cluster is not None
        return self.close()

    def __enter__(self) -> Client:
        if self.asynchronous:
            raise TypeError("use `async with` with an asynchronous client")
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    async def _opened(self) -> Client:
        return self

    def __await__(self) -> Any:
        return self._opened().__await__()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self._run_async(self._close)

    def __del__(self) -> None:
        if getattr(self, "status", None) == "running":
            with contextlib.suppress(Exception):
                self._core.close()

    @classmethod
    def current(cls, allow_global: bool = True) -> Client:
        """The client of the innermost `as_current` block of this thread, else the default one.

        Raises
        ------
        ValueError
            There is none.
        """
        client = getattr(_current, "client", None)
        if client is not None:
            return client
        if allow_global:
            return default_client()
        raise ValueError("Not running inside the `as_current` context manager")

    @contextlib.contextmanager
    def as_current(self) -> Iterator[Client]:
        """Makes this client the one that `get_client` finds in this thread."""
        before = getattr(_current, "client", None)
        _current.client = self
        try:
            yield self
        finally:
            _current.client = before

    @property
    def scheduler_address(self) -> str:
        """Where the scheduler listens."""
        return self._address

    @property
    def dashboard_link(self) -> str:
        """Where the dashboard is, if the cluster has one."""
        return getattr(self.cluster, "dashboard_link", "") or self._dashboard

    def __repr__(self) -> str:
        if self.status == "closed":
            return f"<{type(self).__name__}: No scheduler connected>"
        try:
            workers = self._core.workers()
        except Exception:
            return f"<{type(self).__name__}: {self._address!r}>"
        threads = sum(worker["nthreads"] for worker in workers)
        text = f"<{type(self).__name__}: {self._address!r} processes={len(workers)} threads={threads}"
        memory = [worker["memory_limit"] for worker in workers]
        if all(memory) and memory:
            from weft.utils import format_bytes

            text += f", memory={format_bytes(sum(memory))}"
        return text + ">"

    def _repr_html_(self) -> str:
        from weft.distributed._html import client_html

        return client_html(self)

    def __reduce__(self) -> Any:
        return get_client, (self._address,)

    # -- waiting ----------------------------------------------------------------------------------

    async def _run_async(self, function: Callable[..., Any], *args: Any) -> Any:
        """A call that blocks, on a thread."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(32, thread_name_prefix="weft-async")
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def sync(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls ``function``; in an asynchronous client, as a coroutine."""
        if self.asynchronous:
            return self._run_async(partial(function, *args, **kwargs))
        result = function(*args, **kwargs)
        if asyncio.iscoroutine(result):
            return asyncio.run(result)
        return result

    def _wait(self, futures: list[Future], timeout: Any = None, first: bool = False) -> None:
        if not self._core.wait([f._hold() for f in futures], seconds(timeout), first):
            raise TimeoutError(f"{len(futures)} futures were not done within {timeout} s")

    async def _wait_async(self, futures: list[Future], timeout: Any = None, first: bool = False) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        left = 1 if first else len(futures)
        lock = threading.Lock()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        def one() -> None:
            nonlocal left
            with lock:
                left -= 1
                last = left == 0
            if last:
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(finish)

        for future in futures:
            self._dispatcher.add(future._hold(), one)
        if futures:
            try:
                await asyncio.wait_for(done, seconds(timeout))
            except TimeoutError:
                raise TimeoutError(f"{len(futures)} futures were not done within {timeout} s") from None

    def _gather_now(self, futures: list[Future], errors: str) -> list:
        """Results of futures that are done."""
        pending = self._core.gather([f._hold() for f in futures])
        # Futures among the results belong to this client.
        with self.as_current():
            arrived = pending.wait()
        return _sorted_out(futures, arrived, errors)

    async def _gather_async(self, futures: list[Future], errors: str) -> list:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        watch, token = self._dispatcher.reserve(lambda: loop.call_soon_threadsafe(done.set))
        pending = self._core.gather([f._hold() for f in futures], watch, token)
        await done.wait()
        with self.as_current():
            arrived = pending.wait()
        return _sorted_out(futures, arrived, errors)

    # -- calls ------------------------------------------------------------------------------------

    def submit(
        self,
        func: Callable[..., Any],
        *args: Any,
        key: Any = None,
        workers: Any = None,
        resources: Mapping[str, float] | None = None,
        retries: int | None = None,
        priority: int = 0,
        fifo_timeout: Any = "100 ms",
        allow_other_workers: bool = False,
        actor: bool = False,
        actors: bool = False,
        pure: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Calls a function on the cluster.

        Parameters
        ----------
        func : callable
        *args, **kwargs
            Its arguments; futures in them stand for their results.
        key : str or tuple, optional
            The task's name. By default it follows from the call (``pure``), so that equal calls are one task.
        workers : str or list of str, optional
            Names or addresses of workers that may run it.
        resources : dict, optional
            Amounts of abstract resources that it needs.
        retries : int, optional
            How often it is tried again after it has raised.
        priority : int
            Greater ones run first.
        allow_other_workers : bool
            Whether ``workers`` is only a wish.
        actor : bool
            The result stays where it was made, and is called there.
        pure : bool
            Whether equal calls give equal results.

        Returns
        -------
        Future

        Raises
        ------
        TypeError
            ``func`` cannot be called.

        Examples
        --------
        >>> client = Client(n_workers=1, processes=False)
        >>> client.submit(pow, 2, 3).result()
        8
        >>> client.close()
        """
        if not callable(func):
            raise TypeError("First input to submit must be a callable function")
        actor = actor or actors
        options = _options(priority, retries, workers, allow_other_workers, resources, actor)
        name = funcname(func)
        if actor:
            from weft.distributed._actor import Make

            func, pure = Make(func), False
        handle = self._core.submit(func, args, kwargs, key, name, pure, options)
        return Future(handle.key, self, handle)

    def map(
        self,
        func: Callable[..., Any],
        *iterables: Iterable[Any],
        key: Any = None,
        workers: Any = None,
        retries: int | None = None,
        resources: Mapping[str, float] | None = None,
        priority: int = 0,
        allow_other_workers: bool = False,
        fifo_timeout: Any = "100 ms",
        actor: bool = False,
        actors: bool = False,
        pure: bool = True,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[Future]:
        """Calls a function for each element of iterables, as the builtin ``map``.

        Parameters
        ----------
        func : callable
        *iterables
            One for each positional argument; the shortest counts.
        key : str or list of str, optional
            A prefix for the names of the tasks, or all of them.
        **kwargs
            Keyword arguments of every call, and the options of `submit`.

        Returns
        -------
        list of Future

        Raises
        ------
        TypeError
            ``func`` cannot be called, or an iterable is a queue.
        """
        if not callable(func):
            raise TypeError("First input to map must be a callable function")
        if any(hasattr(it, "get") and hasattr(it, "put") for it in iterables):
            raise TypeError("map takes no queues of inputs: submit a call for each element instead")
        columns = [it if type(it) is list else list(it) for it in iterables]
        keys = None
        name = funcname(func)
        if isinstance(key, str):
            name = key
        elif key is not None:
            keys = list(key)
            if columns and len(keys) != min(map(len, columns)):
                raise ValueError(f"{len(keys)} keys for {min(map(len, columns))} calls")
        actor = actor or actors
        options = _options(priority, retries, workers, allow_other_workers, resources, actor)
        if actor:
            from weft.distributed._actor import Make

            func, pure = Make(func), False
        handles = self._core.map(func, columns, kwargs, keys, name, pure, options)
        return [Future(handle.key, self, handle) for handle in handles]

    def gather(
        self, futures: Any, errors: str = "raise", direct: bool | None = None, asynchronous: Any = None
    ) -> Any:
        """The results of futures.

        Parameters
        ----------
        futures : Future, or list, tuple, set, dict or iterator of futures (nested)
        errors : {"raise", "skip"}
            What to do about tasks that have failed: raise the first exception, or leave them out of lists.

        Returns
        -------
        object
            The same containers with results in them.
        """
        if errors not in ("raise", "skip"):
            raise ValueError(f"errors must be 'raise' or 'skip', not {errors!r}")
        if isinstance(futures, Iterator):
            return (self.gather(future, errors) for future in futures)
        flat: list[Future] = []
        shape = _flatten(futures, flat)
        if self.asynchronous if asynchronous is None else asynchronous:
            return self._gather_nested_async(flat, shape, errors)
        self._wait_or_raise(flat, errors)
        return _fill(shape, self._gather_now(flat, errors))

    def _wait_or_raise(self, futures: list[Future], errors: str) -> None:
        self._core.wait([f._hold() for f in futures])

    async def _gather_nested_async(self, flat: list[Future], shape: Any, errors: str) -> Any:
        await self._wait_async(flat)
        return _fill(shape, await self._gather_async(flat, errors))

    def scatter(
        self,
        data: Any,
        workers: Any = None,
        broadcast: bool | int = False,
        direct: bool | None = None,
        hash: bool = True,
        timeout: Any = None,
        asynchronous: Any = None,
    ) -> Any:
        """Moves data to the workers.

        Parameters
        ----------
        data : list, dict or object
            Of a list or a dict each element becomes a future.
        workers : str or list of str, optional
            Where to put it.
        broadcast : bool or int
            Whether each worker gets a copy, or how many do.
        hash : bool
            Whether equal data are one task.

        Returns
        -------
        Future, list or dict of Future
        """
        from weft.tokenize import tokenize

        def key(x: Any) -> str:
            return f"{type(x).__name__}-{tokenize(x) if hash else uuid.uuid4().hex}"

        def put() -> Any:
            names: list
            if isinstance(data, dict):
                names, objects = list(data), list(data.values())
            elif isinstance(data, (list, tuple, set, frozenset)) or isinstance(data, Iterator):
                objects = list(data)
                names = [key(x) for x in objects]
            else:
                names, objects = [key(data)], [data]
            options = _options(0, None, workers, False, None, False)
            handles = self._core.scatter(objects, names, options)
            futures = [Future(handle.key, self, handle) for handle in handles]
            if futures:
                self._wait(futures, timeout)
            if broadcast and futures:
                copies = 0 if broadcast is True else int(broadcast)
                self._core.replicate(names, copies, _names(workers))
            if isinstance(data, dict):
                return dict(zip(names, futures))
            if isinstance(data, (list, tuple, set, frozenset)):
                return type(data)(futures)
            return iter(futures) if isinstance(data, Iterator) else futures[0]

        return self.sync(put)

    # -- graphs -----------------------------------------------------------------------------------

    def compute(
        self,
        collections: Any,
        sync: bool = False,
        optimize_graph: bool = True,
        workers: Any = None,
        allow_other_workers: bool = False,
        resources: Mapping[str, float] | None = None,
        retries: int | None = 0,
        priority: int = 0,
        fifo_timeout: Any = "60s",
        actors: Any = None,
        traverse: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Computes collections on the cluster, each to one result.

        Parameters
        ----------
        collections : collection, or list of collections and other objects
        sync : bool
            Wait, and return results instead of futures.

        Returns
        -------
        Future, list of Future, or results
        """
        from weft.base import collections_to_dsk, is_dask_collection
        from weft.delayed import Delayed

        single = not isinstance(collections, (list, tuple, set, frozenset))
        many = [collections] if single else list(collections)
        if traverse:
            many = [_traversed(x) for x in many]
        lazy = [x for x in many if is_dask_collection(x)]
        options = _options(priority, retries, workers, allow_other_workers, resources, False)
        futures: dict[int, Future] = {}
        if lazy:
            graph = collections_to_dsk(lazy, optimize_graph)
            extra: dict = {}
            keys = []
            for x in lazy:
                finalize, state = x.__dask_postcompute__()
                if isinstance(x, Delayed):
                    keys.append(x.key)
                    continue
                key = f"finalize-{_token(x)}"
                from weft._task_spec import Task

                extra[key] = Task(key, _finish, finalize, _references(x.__dask_keys__()), state)
                keys.append(key)
            if extra:
                graph = _weft.Graph.extend(graph, extra)
            for x, future in zip(lazy, self._graph_to_futures(graph, keys, options)):
                futures[id(x)] = future
        results = [futures.get(id(x), x) for x in many]
        if sync:
            return self.gather(results[0] if single else results)
        return results[0] if single else results

    def persist(
        self,
        collections: Any,
        optimize_graph: bool = True,
        workers: Any = None,
        allow_other_workers: bool = False,
        resources: Mapping[str, float] | None = None,
        retries: int | None = None,
        priority: int = 0,
        fifo_timeout: Any = "60s",
        actors: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Starts computing collections and keeps all their parts on the cluster.

        Parameters
        ----------
        collections : collection, or list of collections

        Returns
        -------
        collection or list of collections
            The same, over futures.
        """
        from weft.base import collections_to_dsk
        from weft.core import flatten

        single = not isinstance(collections, (list, tuple, set, frozenset))
        many = [collections] if single else list(collections)
        graph = collections_to_dsk(many, optimize_graph)
        nested = [list(flatten(x.__dask_keys__())) for x in many]
        flat = [key for keys in nested for key in keys]
        options = _options(priority, retries, workers, allow_other_workers, resources, False)
        futures = dict(zip(flat, self._graph_to_futures(graph, flat, options)))
        rebuilt = []
        for x, keys in zip(many, nested):
            rebuild, state = x.__dask_postpersist__()
            rebuilt.append(rebuild({key: futures[key] for key in keys}, *state))
        return rebuilt[0] if single else rebuilt

    def _graph_to_futures(self, graph: Any, keys: list, options: Any = None) -> list[Future]:
        if not isinstance(graph, _weft.Graph):
            graph = _weft.Graph(graph)
        return [Future(handle.key, self, handle) for handle in self._core.compute(graph, keys, options)]

    def get(
        self,
        dsk: Any,
        keys: Any,
        workers: Any = None,
        allow_other_workers: bool = False,
        resources: Mapping[str, float] | None = None,
        sync: bool = True,
        asynchronous: Any = None,
        direct: bool | None = None,
        retries: int | None = None,
        priority: int = 0,
        fifo_timeout: Any = "60s",
        actors: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Computes keys of a graph: what collections call.

        Parameters
        ----------
        dsk : mapping
            Tasks by key.
        keys : key or (nested) list of keys
        sync : bool
            False: return futures.

        Returns
        -------
        object or (nested) list
        """
        options = _options(priority, retries, workers, allow_other_workers, resources, False)
        flat: list = []
        shape = _flatten_keys(keys, flat)
        if sync and not (self.asynchronous and _in_loop()):
            return _fill(shape, self._values(dsk, flat, options))
        futures = self._graph_to_futures(dsk, flat, options)
        return self._gather_nested_async(futures, shape, "raise") if sync else _fill(shape, futures)

    def _values(self, graph: Any, keys: list, options: Any = None) -> list:
        """Values of keys."""
        futures = self._graph_to_futures(graph, keys, options)
        with _joining(self):
            self._core.wait([f._hold() for f in futures])
            return self._gather_now(futures, "raise")

    # -- futures ----------------------------------------------------------------------------------

    def cancel(
        self,
        futures: Any,
        asynchronous: Any = None,
        force: bool = False,
        reason: str | None = None,
        msg: Any = None,
    ) -> Any:
        """Gives up tasks.

        Parameters
        ----------
        futures : future, collection or container of them
        force : bool
            Also if other clients wait for them.
        """
        found = futures_of(futures)
        return self.sync(
            self._core.cancel, [f._hold() for f in found], force, reason or msg or "a client cancelled it"
        )

    def retry(self, futures: Any, asynchronous: Any = None) -> Any:
        """Runs failed tasks again."""
        return self.sync(self._core.retry, [f._hold() for f in futures_of(futures)])

    @property
    def futures(self) -> dict:
        """Futures are counted by the scheduler; this is only for programs that ask."""
        return {}

    # -- functions on workers and questions -----------------------------------------------------------

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        workers: Any = None,
        wait: bool = True,
        nanny: bool = False,
        on_error: str = "raise",
        **kwargs: Any,
    ) -> Any:
        """Calls a function on workers, at once and beside their tasks.

        If it has a parameter ``dask_worker``, it gets the worker.

        Parameters
        ----------
        function : callable
        workers : list of str, optional
            Addresses; by default all.
        on_error : {"raise", "return", "ignore"}

        Returns
        -------
        dict
            Results by address.
        """
        if on_error not in ("raise", "return", "ignore"):
            raise ValueError(f"on_error must be 'raise', 'return' or 'ignore', not {on_error!r}")
        return self.sync(self._run_now, function, args, kwargs, workers, wait, on_error)

    def _run_now(
        self,
        function: Callable[..., Any],
        args: tuple = (),
        kwargs: dict | None = None,
        workers: Any = None,
        wait: bool = True,
        on_error: str = "raise",
    ) -> Any:
        from weft.distributed._worker import Run

        known = {w["address"]: w for w in self._core.workers()}
        by_name = {str(w["name"]): a for a, w in known.items()}
        chosen = list(known) if workers is None else [by_name.get(w, w) for w in _names(workers)]
        call = Run(function, args, kwargs or {})
        pending = {address: self._core.call(address, call) for address in chosen}
        if not wait:
            return None
        results: dict = {}
        for address, reply in pending.items():
            ((ok, value),) = reply.wait()
            if ok:
                results[address] = value
            elif on_error == "raise":
                raise failed(f"the function on {address}", *value)
            elif on_error == "return":
                results[address] = failed(f"the function on {address}", *value)
        return results

    def register_plugin(self, plugin: Any, name: str | None = None, idempotent: bool | None = None) -> Any:
        """Has all workers, and those that come later, run a plugin.

        Parameters
        ----------
        plugin : WorkerPlugin
        name : str, optional
            One of the same name is replaced. By default the plugin's attribute ``name``, or a new one.

        Returns
        -------
        dict
            What ``setup`` returned, by address of the worker.

        Raises
        ------
        TypeError
            It is a class, or a plugin for schedulers: weft's scheduler runs no Python.
        """
        from weft.distributed._plugins import register

        return self.sync(register, self, plugin, name)

    def register_worker_plugin(self, plugin: Any, name: str | None = None, nanny: bool | None = None) -> Any:
        """The older name of `register_plugin`."""
        return self.register_plugin(plugin, name)

    def unregister_worker_plugin(self, name: str, nanny: bool | None = None) -> Any:
        """Takes a plugin back from all workers.

        Raises
        ------
        ValueError
            There is none of this name.
        """
        from weft.distributed._plugins import unregister

        return self.sync(unregister, self, name)

    def who_has(self, futures: Any = None, **kwargs: Any) -> Any:
        """Addresses of the workers that hold each result."""
        keys = [] if futures is None else [f.key for f in futures_of(futures)]
        return self.sync(self._core.who_has, keys)

    def has_what(self, workers: Any = None, **kwargs: Any) -> Any:
        """Keys of the results that each worker holds."""
        return self.sync(self._core.has_what, _names(workers))

    def processing(self, workers: Any = None) -> Any:
        """Keys of the tasks that each worker runs or is about to."""
        return self.sync(self._core.processing, _names(workers))

    def nbytes(self, keys: Any = None, summary: bool = True, **kwargs: Any) -> Any:
        """Sizes of results in bytes, by prefix of their keys (``summary``) or by key."""

        def ask() -> dict:
            sizes = self._core.nbytes(list(keys or []))
            if not summary:
                return sizes
            from weft.utils import key_split

            totals: dict = {}
            for key, size in sizes.items():
                totals[key_split(key)] = totals.get(key_split(key), 0) + size
            return totals

        return self.sync(ask)

    def nthreads(self, workers: Any = None) -> Any:
        """Threads by worker."""
        chosen = _names(workers)

        def ask() -> dict:
            return {
                w["address"]: w["nthreads"]
                for w in self._core.workers()
                if not chosen or w["address"] in chosen or str(w["name"]) in chosen
            }

        return self.sync(ask)

    ncores = nthreads

    def scheduler_info(self, n_workers: int = -1, **kwargs: Any) -> dict:
        """What the scheduler knows about itself and its workers."""
        workers = self._core.workers()
        return {
            "type": "Scheduler",
            "id": self._address,
            "address": self._address,
            "n_workers": len(workers),
            "total_threads": sum(w["nthreads"] for w in workers),
            "total_memory": sum(w["memory_limit"] for w in workers),
            "workers": {w["address"]: {"type": "Worker", "id": w["name"], **w} for w in workers},
        }

    def wait_for_workers(self, n_workers: int, timeout: Any = None) -> Any:
        """Waits until the cluster has so many workers.

        Raises
        ------
        TimeoutError
            It has not in time.
        """

        def ask() -> None:
            import time

            until = None if timeout is None else time.monotonic() + (seconds(timeout) or 0)
            while (n := len(self._core.workers())) < n_workers:
                if until is not None and time.monotonic() > until:
                    raise TimeoutError(f"Only {n}/{n_workers} workers arrived after {timeout}")
                time.sleep(0.005)

        return self.sync(ask)

    def replicate(
        self,
        futures: Any,
        n: int | None = None,
        workers: Any = None,
        branching_factor: int = 2,
        **kwargs: Any,
    ) -> Any:
        """Copies results to ``n`` workers (by default all)."""
        keys = [f.key for f in futures_of(futures)]
        return self.sync(self._core.replicate, keys, n or 0, _names(workers))

    def rebalance(self, futures: Any = None, workers: Any = None, **kwargs: Any) -> Any:
        """Moves results so that workers hold about as much each."""
        keys = [f.key for f in futures_of(futures)] if futures is not None else []
        return self.sync(self._core.rebalance, keys, _names(workers))

    def retire_workers(self, workers: Any = None, close_workers: bool = True, **kwargs: Any) -> Any:
        """Moves what workers hold elsewhere and closes them."""
        return self.sync(self._core.retire_workers, _names(workers), close_workers)

    def story(self, *keys_or_stimuli: Any, on_error: str = "raise") -> Any:
        """What has happened to tasks, step by step."""
        keys = [getattr(k, "key", k) for k in keys_or_stimuli]
        return self.sync(self._core.story, keys)

    def restart(self, timeout: Any = None, wait_for_workers: bool = True) -> Any:
        """Forgets all tasks and starts all workers again."""
        return self.sync(self._restart_now, timeout, wait_for_workers)

    def _restart_now(self, timeout: Any = None, wait_for_workers: bool = True) -> Client:
        before = len(self._core.workers())
        pids = {w["pid"] for w in self._core.workers()}
        self._core.restart()
        if wait_for_workers:
            import time

            until = time.monotonic() + (seconds(timeout) or 30.0)
            while True:
                now = self._core.workers()
                if len(now) >= before and not pids & {w["pid"] for w in now if w["nanny"]}:
                    break
                if time.monotonic() > until:
                    raise TimeoutError("the workers did not come back in time")
                time.sleep(0.005)
        return self

    # -- shared state -----------------------------------------------------------------------------

    def publish_dataset(self, *args: Any, name: Any = None, override: bool = False, **kwargs: Any) -> Any:
        """Gives collections or futures a name under which every client finds them."""
        if name is not None:
            if len(args) != 1:
                raise ValueError("with name= give exactly one object")
            kwargs = {name: args[0]}
        elif args:
            raise ValueError("name the datasets: publish_dataset(name=object)")

        def go() -> None:
            for key, data in kwargs.items():
                fields = {
                    "name": key,
                    "keys": [f.key for f in futures_of(data)],
                    "data": data,
                    "overwrite": override,
                }
                try:
                    self._core.coordinate("dataset-publish", fields)
                except ValueError:
                    raise KeyError(f"Dataset {key} already exists") from None

        return self.sync(go)

    def get_dataset(self, name: Any, default: Any = None, **kwargs: Any) -> Any:
        """What was published under a name.

        Raises
        ------
        KeyError
            Nothing was, and there is no ``default``.
        """

        def go() -> Any:
            try:
                with self.as_current():
                    return self._core.coordinate("dataset-get", {"name": name})[1]
            except ValueError:
                if default is not None:
                    return default
                raise KeyError(f"Dataset '{name}' not found") from None

        return self.sync(go)

    def unpublish_dataset(self, name: Any, **kwargs: Any) -> Any:
        """Takes a name back."""

        def go() -> None:
            try:
                self._core.coordinate("dataset-unpublish", {"name": name})
            except ValueError:
                raise KeyError(f"Dataset '{name}' not found") from None

        return self.sync(go)

    def list_datasets(self, **kwargs: Any) -> Any:
        """Names under which something was published."""
        return self.sync(lambda: tuple(n for n in self._core.coordinate("dataset-list", {}) if n != SHELF))

    def get_executor(self, **kwargs: Any) -> Any:
        """This cluster as a `concurrent.futures.Executor`."""
        from weft.distributed._executor import ClientExecutor

        return ClientExecutor(self, **kwargs)

    def upload_file(self, filename: str, load: bool = True) -> Any:
        """Sends a module (``.py``, ``.zip``, ``.egg``) to all workers, where it can be imported from then on."""
        import os

        from weft.distributed._worker import save_module

        with open(filename, "rb") as file:
            data = file.read()
        return self.run(partial(save_module, os.path.basename(filename), data))

    def get_versions(self, check: bool = False, packages: Any = None) -> Any:
        """Versions of Python and of packages on the client and the workers.

        Raises
        ------
        ValueError
            With ``check``: they differ.
        """
        from weft.distributed._worker import versions

        ask = partial(versions, tuple(packages or ()))

        def compare(workers: dict) -> dict:
            own = ask()
            if check:
                for address, theirs in workers.items():
                    differ = {k: (v, own["packages"].get(k)) for k, v in theirs["packages"].items()}
                    differ = {k: v for k, v in differ.items() if v[0] != v[1]}
                    if differ:
                        raise ValueError(f"Mismatched versions found on {address}: {differ}")
            return {"client": own, "scheduler": own, "workers": workers}

        if self.asynchronous:

            async def later() -> dict:
                return compare(await self.run(ask))

            return later()
        return compare(self.run(ask))


def _options(
    priority: int, retries: int | None, workers: Any, allow_other: bool, resources: Any, actor: bool
) -> tuple | None:
    if not (priority or retries or workers or resources or actor):
        return None
    amounts = [(name, float(amount)) for name, amount in (resources or {}).items()]
    return int(priority), int(retries or 0), _names(workers), bool(allow_other), amounts, bool(actor)


def _names(workers: Any) -> list[str]:
    if workers is None:
        return []
    if isinstance(workers, (str, int)):
        return [str(workers)]
    return [str(worker) for worker in workers]


def _sorted_out(futures: list[Future], arrived: list, errors: str) -> list:
    results = []
    for future, (ok, value) in zip(futures, arrived):
        if ok:
            if isinstance(value, Actor):
                value._future = future
            results.append(value)
            continue
        if errors == "skip":
            results.append(_SKIPPED)
            continue
        raise failed(future.key, *value)
    return results


#: In the place of a result that is to be left out.
_SKIPPED = object()


def _flatten(futures: Any, flat: list) -> Any:
    if isinstance(futures, Future):
        flat.append(futures)
        return len(flat) - 1
    if type(futures) in (list, tuple, set, frozenset):
        return type(futures), [_flatten(f, flat) for f in futures]
    if type(futures) is dict:
        return dict, list(futures), [_flatten(f, flat) for f in futures.values()]
    return None, futures


def _flatten_keys(keys: Any, flat: list) -> Any:
    if isinstance(keys, list):
        return list, [_flatten_keys(key, flat) for key in keys]
    flat.append(keys)
    return len(flat) - 1


def _fill(shape: Any, values: list) -> Any:
    if isinstance(shape, int):
        return values[shape]
    if shape[0] is None:
        return shape[1]
    if shape[0] is dict:
        filled = ((key, _fill(part, values)) for key, part in zip(shape[1], shape[2]))
        return {key: value for key, value in filled if value is not _SKIPPED}
    return shape[0](value for part in shape[1] if (value := _fill(part, values)) is not _SKIPPED)


def _token(x: Any) -> str:
    from weft.tokenize import tokenize

    return tokenize(x)


def _traversed(x: Any) -> Any:
    """A container that holds collections, as one delayed value."""
    from weft.base import is_dask_collection, unpack_collections
    from weft.delayed import delayed

    if is_dask_collection(x) or not isinstance(x, (list, tuple, set, dict)):
        return x
    return delayed(x) if unpack_collections(x)[0] else x


def _references(keys: Any) -> Any:
    from weft._task_spec import List, TaskRef

    if isinstance(keys, list):
        return List(*[_references(key) for key in keys])
    return TaskRef(keys)


def _finish(finalize: Callable[..., Any], parts: Any, state: tuple) -> Any:
    """A collection's result from its parts, on a worker."""
    return finalize(parts, *state)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def _joining(client: Client) -> Iterator[None]:
    """Lets another task take this thread's place while a task waits."""
    seceded = _weft.current_task() is not None
    if seceded:
        from weft.distributed._worker import secede

        secede()
    try:
        yield
    finally:
        if seceded:
            from weft.distributed._worker import rejoin

            rejoin()


def default_client(c: Client | None = None) -> Client:
    """The client that collections use.

    Raises
    ------
    ValueError
        There is none.
    """
    if c is not None:
        return c
    client = _default_or_none()
    if client is None:
        raise ValueError(
            "No clients found\nStart a client and point it to the scheduler address\n"
            "  from weft.distributed import Client\n  client = Client('ip-addr-of-scheduler:8786')"
        )
    return client


def _default_or_none() -> Client | None:
    with _lock:
        for ref in reversed(_defaults):
            client = ref()
            if client is not None and client.status == "running":
                return client
    return None


def current_scheduler() -> Callable[..., Any] | None:
    """How the current client, if there is one, computes graphs."""
    client = getattr(_current, "client", None) or _default_or_none()
    return client.get if client is not None else None


def get_client(address: str | None = None, timeout: Any = None, resolve_address: bool = True) -> Client:
    """The current client; in a task, one of the worker's own for the same cluster.

    Parameters
    ----------
    address : str, optional
        The scheduler's; by default that of the worker or of the default client.

    Raises
    ------
    ValueError
        There is none.
    """
    client = getattr(_current, "client", None)
    if client is not None and address in (None, client.scheduler_address):
        return client
    from weft.distributed import _worker

    if _weft.current_task() is not None or _worker.current is not None:
        return _worker.client_of_task()
    client = _default_or_none()
    if client is not None and address in (None, client.scheduler_address):
        return client
    if address is not None:
        return Client(address, timeout=timeout, set_as_default=False)
    raise ValueError("No global client found and no address provided")


@contextlib.contextmanager
def worker_client(timeout: Any = None, separate_thread: bool = True) -> Iterator[Client]:
    """Within a task: a client for the same cluster. The task leaves its thread to others meanwhile.

    Parameters
    ----------
    separate_thread : bool
        False: the task keeps its place.

    Examples
    --------
    >>> def twice(x):
    ...     with worker_client() as client:
    ...         return client.submit(abs, x).result() * 2
    """
    from weft.distributed._worker import rejoin, secede

    client = get_client()
    if separate_thread:
        secede()
    try:
        with client.as_current():
            yield client
    finally:
        if separate_thread:
            rejoin()


_open: weakref.WeakSet[Client] = weakref.WeakSet()


def _close_all() -> None:
    for client in list(_open):
        with contextlib.suppress(Exception):
            client._close()


threading._register_atexit(_close_all)  # type: ignore[attr-defined]
