"""Actors: objects that live on one worker and are called there, past the scheduler."""

from __future__ import annotations

import asyncio
import inspect
import threading
import uuid
import weakref
from collections.abc import Callable, Generator
from typing import Any

from weft.distributed._errors import failed

__all__ = ["Actor", "ActorFuture", "BaseActorFuture"]

#: Actors of this process by number. The worker's store keeps them, as the results of the tasks that made them.
_here: weakref.WeakValueDictionary[str, Actor] = weakref.WeakValueDictionary()


class Actor:
    """An object on a worker, as others see it.

    Made by ``client.submit(Class, actor=True).result()``. Methods return an `ActorFuture`; attributes are fetched. Calls of
    one client run one after the other, in their order.

    Examples
    --------
    >>> from weft.distributed import Client
    >>> class Counter:
    ...     n = 0
    ...     def add(self, x):
    ...         self.n += x
    ...         return self.n
    >>> with Client(n_workers=1, processes=False) as client:
    ...     counter = client.submit(Counter, actor=True).result()
    ...     first, second = counter.add(1), counter.add(10)
    ...     second.result(), counter.n
    (11, 11)
    """

    def __init__(self, cls: type, address: str, number: str, key: Any):
        self._cls = cls
        self._address = address
        self._number = number
        self.key = key
        #: Keeps the actor alive, on the side of a client.
        self._future: Any = None

    def __reduce__(self) -> Any:
        return _remote, (self._cls, self._address, self._number, self.key)

    def __repr__(self) -> str:
        return f"<Actor: {self._cls.__name__}, key={self.key}>"

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *(name for name in dir(self._cls) if not name.startswith("_"))})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_cls", "_address", "_number", "_future", "_ipython_display_"):
            raise AttributeError(name)
        attribute = getattr(self._cls, name, None)
        if callable(attribute) and not isinstance(attribute, property):

            def method(*args: Any, **kwargs: Any) -> ActorFuture:
                return self._call(name, args, kwargs)

            method.__name__ = name
            method.__doc__ = attribute.__doc__
            return method
        future = self._call(name, None, None)
        client = future._client
        return future if client.asynchronous else future.result()

    def _call(self, name: str, args: Any, kwargs: Any) -> ActorFuture:
        from weft.distributed._client import get_client

        client = self._future._client if self._future is not None else get_client()
        call = ActorCall(self._number, self._cls.__name__, name, args, kwargs)
        return ActorFuture(client._core.call(self._address, call, actor=True), client, f"{self!r}.{name}")


class _Home(Actor):
    """An actor where it lives."""

    def __init__(self, cls: type, address: str, number: str, key: Any, instance: Any):
        super().__init__(cls, address, number, key)
        self._instance = instance


def _remote(cls: type, address: str, number: str, key: Any) -> Actor:
    return Actor(cls, address, number, key)


class Make:
    """What the task of an actor calls."""

    def __init__(self, cls: Callable[..., Any]):
        self.cls = cls
        self.__name__ = getattr(cls, "__name__", "actor")

    def __call__(self, *args: Any, **kwargs: Any) -> Actor:
        from weft.distributed._worker import get_worker

        worker = get_worker()
        instance = self.cls(*args, **kwargs)
        home = _Home(type(instance), worker.address, uuid.uuid4().hex, worker.get_current_task(), instance)
        _here[home._number] = home
        worker.serve_actors()
        return home


class ActorCall:
    """A call on its way to an actor; without arguments (None): an attribute is asked for."""

    def __init__(self, number: str, kind: str, name: str, args: Any, kwargs: Any):
        self.call = (number, kind, name, args, kwargs)

    def __call__(self) -> Any:
        number, kind, name, args, kwargs = self.call
        home = _here.get(number)
        if home is None:
            raise RuntimeError(f"the actor {kind} is gone: nobody holds its future any more")
        attribute = getattr(home._instance, name)  # type: ignore[attr-defined]
        if args is None:
            return attribute
        result = attribute(*args, **kwargs)
        if inspect.isawaitable(result):

            async def wait() -> Any:
                return await result

            return asyncio.run_coroutine_threadsafe(wait(), _event_loop()).result()
        return result


_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.Lock()


def _event_loop() -> asyncio.AbstractEventLoop:
    """Where coroutines of actors in this process run: one loop, so that they can share what belongs to a loop."""
    global _loop
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="weft-actors", daemon=True).start()
        return _loop


class BaseActorFuture:
    """What calls of actors return."""


class ActorFuture(BaseActorFuture):
    """The result of a call to an actor, now or later. Can be awaited."""

    def __init__(self, pending: Any, client: Any, what: str):
        self._pending = pending
        self._client = client
        self._what = what
        self._arrived: tuple[bool, Any] | None = None
        self._lock = threading.Lock()

    def _wait(self, timeout: float | None) -> bool:
        with self._lock:
            if self._arrived is None:
                with self._client.as_current():
                    arrived = self._pending.wait(timeout)
                if arrived is None:
                    return False
                (self._arrived,) = arrived
            return True

    def done(self) -> bool:
        """Whether the result is here."""
        return self._wait(0)

    def result(self, timeout: Any = None) -> Any:
        """What the method returned.

        Raises
        ------
        TimeoutError
            It has not within ``timeout``.
        RuntimeError
            The worker with the actor is lost.
        Exception
            What the method raised.
        """
        from weft.distributed._client import seconds

        if not self._wait(seconds(timeout)):
            raise TimeoutError(f"{self._what} has not returned within {timeout} s")
        assert self._arrived is not None
        ok, value = self._arrived
        if ok:
            return value
        kind, text, _ = value
        if kind != "raised":
            raise RuntimeError(f"Worker holding Actor was lost: {self._what}: {text}")
        raise failed(self._what, *value)

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.to_thread(self.result).__await__()

    def __repr__(self) -> str:
        return f"<ActorFuture: {self._what}>"
