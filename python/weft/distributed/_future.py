"""Futures: results that a cluster has or will have."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import weakref
from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import Any

from weft import _weft
from weft.distributed._errors import failed

__all__ = ["Future", "as_completed", "fire_and_forget", "futures_of", "wait"]

logger = logging.getLogger("weft.distributed")

DoneAndNotDoneFutures = namedtuple("DoneAndNotDoneFutures", "done not_done")


class Future:
    """A result that a cluster has, makes, or was asked for.

    Futures come from `Client.submit`, `Client.map`, `Client.scatter`, `Client.compute` and `Client.persist`. The cluster keeps
    the result as long as somebody holds a future for it. As an argument of a task, a future stands for its result.

    Parameters
    ----------
    key : str or tuple
        The name of the task.
    client : Client, optional
        By default the current one.

    Examples
    --------
    >>> from weft.distributed import Client
    >>> with Client(n_workers=1, processes=False) as client:
    ...     future = client.submit(sum, [1, 2])
    ...     client.submit(pow, future, 2).result()
    9
    """

    __slots__ = ("__weakref__", "_client", "_handle", "_key", "_seen")

    def __init__(self, key: Any, client: Any = None, handle: Any = None):
        self._key = key
        self._client = client
        self._handle = handle
        self._seen: BaseException | None = None

    def _hold(self) -> Any:
        """The handle, made when it is first asked for: a future may be unpickled where no client is yet."""
        if self._handle is None:
            if self._client is None:
                from weft.distributed._client import get_client

                self._client = get_client()
            self._handle = self._client._core.future(self._key)
        return self._handle

    @property
    def key(self) -> Any:
        """The name of the task."""
        return self._key

    @property
    def client(self) -> Any:
        """The client that the future belongs to."""
        self._hold()
        return self._client

    @property
    def status(self) -> str:
        """``"pending"``, ``"finished"``, ``"error"`` or ``"cancelled"``."""
        return self._hold().status

    def done(self) -> bool:
        """Whether the task is over, for better or worse."""
        return self.status != "pending"

    def cancelled(self) -> bool:
        """Whether the task was cancelled."""
        return self.status == "cancelled"

    def result(self, timeout: Any = None) -> Any:
        """The result; waits for it.

        Parameters
        ----------
        timeout : float or str, optional
            How long to wait, in seconds or as text such as ``"2s"``.

        Raises
        ------
        TimeoutError
            It is not there in time.
        Exception
            What the task has raised.
        """
        if self.client.asynchronous:
            return self._result_async(timeout)
        self.client._wait([self], timeout)
        return self.client._gather_now([self], "raise")[0]

    async def _result_async(self, timeout: Any = None) -> Any:
        await self.client._wait_async([self], timeout)
        return (await self.client._gather_async([self], "raise"))[0]

    def __await__(self) -> Any:
        return self._result_async().__await__()

    def exception(self, timeout: Any = None) -> Any:
        """What the task has raised, or None; waits until it is over.

        Raises
        ------
        TimeoutError
            It is not over in time.
        CancelledError
            It was cancelled.
        """
        if self.client.asynchronous:
            return self._exception_async(timeout)
        self.client._wait([self], timeout)
        return self._exception_now()

    async def _exception_async(self, timeout: Any = None) -> Any:
        await self.client._wait_async([self], timeout)
        return self._exception_now()

    def _exception_now(self) -> BaseException | None:
        failure = self._hold().failure()
        if failure is None:
            self._seen = None
            return None
        if failure[0] == "cancelled":
            raise failed(self.key, *failure)
        if self._seen is None:
            self._seen = failed(self.key, *failure)
        return self._seen

    def traceback(self, timeout: Any = None) -> Any:
        """Where the task has raised, or None; waits until it is over."""
        if self.client.asynchronous:

            async def later() -> Any:
                error = await self._exception_async(timeout)
                return error and error.__traceback__

            return later()
        error = self.exception(timeout)
        return error and error.__traceback__

    def add_done_callback(self, function: Callable[[Future], Any]) -> None:
        """Calls ``function(self)`` once the task is over, from a thread of the client's."""

        def call() -> None:
            function(self)

        self.client._dispatcher.add(self._hold(), call)

    def cancel(self, reason: str | None = None, msg: str | None = None, force: bool = False) -> Any:
        """Gives the task up, if nobody else waits for it."""
        return self.client.cancel([self], force=force, reason=reason or msg)

    def retry(self) -> Any:
        """Runs a failed task again."""
        return self.client.retry([self])

    def release(self) -> None:
        """Lets go of the result before the future itself goes."""
        self._handle = None

    @property
    def type(self) -> Any:
        """The type of the result; None while it is unknown."""
        return None

    def __reduce__(self) -> Any:
        return _arrived, (self._key,)

    def __weft_tokenize__(self) -> Any:
        return "Future", self._key

    __dask_tokenize__ = __weft_tokenize__

    def __repr__(self) -> str:
        status = self._handle.status if self._handle is not None else "released"
        return f"<Future: {status}, key: {self._key}>"


def _arrived(key: Any) -> Future:
    """A future from another process: held at once where a client is, because whoever sent it may let go."""
    from weft.distributed._client import get_client

    future = Future(key)
    with contextlib.suppress(ValueError, OSError):
        future._client = get_client()
        future._hold()
    return future


class Dispatcher:
    """A thread that calls back when futures are over."""

    def __init__(self, name: str):
        self._watch = _weft.Watch()
        self._callbacks: dict[int, Callable[[], Any]] = {}
        self._tokens = itertools.count(1)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._name = name
        self._closed = False

    def add(self, handle: Any, callback: Callable[[], Any]) -> None:
        """Calls ``callback()`` once the future of ``handle`` is not pending."""
        self._start()
        token = next(self._tokens)
        self._callbacks[token] = callback
        handle.watch(self._watch, token)

    def reserve(self, callback: Callable[[], Any]) -> tuple[Any, int]:
        """A watch and a token of it, on which ``callback()`` is called."""
        self._start()
        token = next(self._tokens)
        self._callbacks[token] = callback
        return self._watch, token

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (tokens := self._watch.pop()) is not None:
            for token in tokens:
                callback = self._callbacks.pop(token, None)
                try:
                    if callback is not None:
                        callback()
                except Exception:
                    logger.exception("a callback of a future has failed")
                del callback

    def close(self) -> None:
        """Ends the thread, after what is due."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._watch.close()
        if thread is not None and thread is not threading.current_thread():
            thread.join()


def futures_of(o: Any, client: Any = None) -> list[Future]:
    """The futures in an object: in containers, and in collections that were persisted.

    Parameters
    ----------
    o : object
        A future, a collection, or a list, tuple, set or dict of those.

    Returns
    -------
    list of Future
        Each once.
    """
    found: dict[Any, Future] = {}
    stack = [o]
    while stack:
        x = stack.pop()
        if isinstance(x, Future):
            found.setdefault(x.key, x)
        elif type(x) in (list, tuple, set, frozenset):
            stack.extend(x)
        elif type(x) is dict:
            stack.extend(x.values())
        elif hasattr(type(x), "__dask_graph__"):
            graph = x.__dask_graph__()
            for key in graph or ():
                value = graph[key]
                value = getattr(value, "value", value)
                if isinstance(value, Future):
                    found.setdefault(value.key, value)
    return list(found.values())


def wait(fs: Any, timeout: Any = None, return_when: str = "ALL_COMPLETED") -> Any:
    """Waits until futures are over.

    Parameters
    ----------
    fs : future, collection, or container of them
    timeout : float or str, optional
    return_when : {"ALL_COMPLETED", "FIRST_COMPLETED"}

    Returns
    -------
    DoneAndNotDoneFutures
        Two sets, ``done`` and ``not_done``.

    Raises
    ------
    TimeoutError
        They are not over in time.
    CancelledError
        One was cancelled.
    """
    if return_when not in ("ALL_COMPLETED", "FIRST_COMPLETED"):
        raise NotImplementedError("Only return_when='ALL_COMPLETED' and 'FIRST_COMPLETED' are supported")
    futures = (
        [fs] if isinstance(fs, Future) else list(fs) if isinstance(fs, (set, frozenset)) else futures_of(fs)
    )
    if not futures:
        return DoneAndNotDoneFutures(set(), set())
    first = return_when == "FIRST_COMPLETED"
    client = futures[0].client

    def sort_out() -> DoneAndNotDoneFutures:
        done = {f for f in futures if f.done()}
        for future in done:
            if future.cancelled():
                raise failed(future.key, *future._hold().failure())
        return DoneAndNotDoneFutures(done, set(futures) - done)

    if client.asynchronous:

        async def later() -> DoneAndNotDoneFutures:
            await client._wait_async(futures, timeout, first)
            return sort_out()

        return later()
    client._wait(futures, timeout, first)
    return sort_out()


def fire_and_forget(obj: Any) -> None:
    """Lets tasks run to their end even when no future for them is left.

    Parameters
    ----------
    obj : future, collection or container of them
    """
    futures = futures_of(obj)
    if futures:
        futures[0].client._core.fire_and_forget([f._hold() for f in futures])


class as_completed:
    """Futures in the order in which they are over, as an iterator.

    More can be added while it runs.

    Parameters
    ----------
    futures : iterable of Future
    with_results : bool
        Give ``(future, result)`` instead of the future.
    raise_errors : bool
        With results: raise what a task has raised; otherwise give (type, exception, traceback) in its place.
    timeout : float or str, optional
        How long the whole may take.

    Examples
    --------
    >>> from weft.distributed import Client, as_completed
    >>> with Client(n_workers=1, processes=False) as client:
    ...     futures = client.map(abs, [-1, -2])
    ...     sorted(future.result() for future in as_completed(futures))
    [1, 2]
    """

    def __init__(
        self,
        futures: Iterable[Future] | None = None,
        loop: Any = None,
        with_results: bool = False,
        raise_errors: bool = True,
        *,
        timeout: Any = None,
    ):
        from weft.distributed._client import seconds

        self.with_results = with_results
        self.raise_errors = raise_errors
        self._watch = _weft.Watch()
        self._waiting: dict[int, Future] = {}
        self._ready: list[Future] = []
        self._tokens = itertools.count(1)
        self._lock = threading.Lock()
        timeout = seconds(timeout)
        import time

        self._deadline = None if timeout is None else time.monotonic() + timeout
        self.update(futures or ())

    def update(self, futures: Iterable[Future]) -> None:
        """Adds futures."""
        for future in futures:
            if not isinstance(future, Future):
                raise TypeError(f"Input must be a future, got {type(future).__name__}")
            token = next(self._tokens)
            with self._lock:
                self._waiting[token] = future
            future._hold().watch(self._watch, token)

    def add(self, future: Future) -> None:
        """Adds a future."""
        self.update([future])

    def count(self) -> int:
        """How many futures have not been given yet."""
        with self._lock:
            return len(self._waiting) + len(self._ready)

    def is_empty(self) -> bool:
        """Whether all have been given."""
        return self.count() == 0

    def has_ready(self) -> bool:
        """Whether one could be given at once."""
        self._take(0.0)
        return bool(self._ready)

    def clear(self) -> None:
        """Drops all that has not been given."""
        with self._lock:
            self._waiting.clear()
            self._ready.clear()

    def _take(self, timeout: float | None) -> None:
        tokens = self._watch.pop(timeout) or ()
        with self._lock:
            self._ready.extend(f for t in tokens if (f := self._waiting.pop(t, None)) is not None)

    def _left(self) -> float | None:
        import time

        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("as_completed timed out")
        return left

    def _with_result(self, future: Future) -> Any:
        if not self.with_results:
            return future
        failure = future._hold().failure()
        if failure is None:
            return future, future.client._gather_now([future], "raise")[0]
        error = failed(future.key, *failure)
        if self.raise_errors:
            raise error
        return future, (type(error), error, error.__traceback__)

    def __iter__(self) -> as_completed:
        return self

    def __next__(self) -> Any:
        while not self._ready:
            if self.is_empty():
                raise StopIteration
            self._take(self._left())
        return self._with_result(self._ready.pop(0))

    def __aiter__(self) -> as_completed:
        return self

    async def __anext__(self) -> Any:
        while not self._ready:
            if self.is_empty():
                raise StopAsyncIteration
            left = self._left()
            pause = 0.05 if left is None else min(left, 0.05)
            await asyncio.get_running_loop().run_in_executor(None, self._take, pause)
        future = self._ready.pop(0)
        if self.with_results and future._hold().failure() is None:
            return future, (await future.client._gather_async([future], "raise"))[0]
        return self._with_result(future)

    def next_batch(self, block: bool = True) -> list:
        """All that are over by now; waits for one if ``block``."""
        batch = []
        if block or self.has_ready():
            batch.append(next(self))
        while self.has_ready():
            batch.append(next(self))
        return batch

    def batches(self) -> Any:
        """Lists of those that were over at the same time."""
        while not self.is_empty():
            yield self.next_batch()


#: Clients whose dispatcher must end before the interpreter does.
dispatchers: weakref.WeakSet[Dispatcher] = weakref.WeakSet()
