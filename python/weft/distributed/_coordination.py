"""State that clients and tasks share through the scheduler: locks, events, queues, variables, topics."""

from __future__ import annotations

import contextlib
import time
import uuid
from typing import Any

from weft.distributed._client import get_client, seconds
from weft.distributed._future import Future

__all__ = ["Event", "Lock", "MultiLock", "Pub", "Queue", "Semaphore", "Sub", "Variable"]


class _Shared:
    """Something with a name, reached through a client."""

    def __init__(self, name: Any = None, client: Any = None):
        self.name = name if name is not None else f"{type(self).__name__.lower()}-{uuid.uuid4().hex}"
        self._client = client

    @property
    def client(self) -> Any:
        """The client through which the scheduler is asked."""
        if self._client is None:
            self._client = get_client()
        return self._client

    def _ask(self, op: str, timeout: Any = None, **fields: Any) -> Any:
        def go() -> Any:
            return self.client._core.coordinate(op, fields, seconds(timeout))

        return self.client.sync(go)

    def __reduce__(self) -> Any:
        return type(self), (self.name,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"


class Lock(_Shared):
    """A lock that one holder in the cluster has at a time.

    Parameters
    ----------
    name : str, optional
        Locks of the same name are the same lock.
    client : Client, optional

    Examples
    --------
    >>> from weft.distributed import Client
    >>> with Client(n_workers=1, processes=False), Lock("x") as lock:
    ...     lock.locked()
    True
    """

    def __init__(self, name: Any = None, client: Any = None, scheduler_rpc: Any = None, loop: Any = None):
        super().__init__(name, client)
        self._holder = uuid.uuid4().hex

    def acquire(self, blocking: bool = True, timeout: Any = None) -> Any:
        """Takes the lock; False: not in time."""
        if not blocking:
            if timeout is not None:
                raise ValueError("can't specify a timeout for a non-blocking call")
            timeout = 0
        return self.client.sync(self._acquire, timeout)

    def _acquire(self, timeout: Any) -> bool:
        fields = {"names": [str(self.name)], "at_least": None, "holder": self._holder}
        try:
            self.client._core.coordinate("lock", fields, seconds(timeout))
        except TimeoutError:
            return False
        return True

    def release(self) -> Any:
        """Gives the lock back.

        Raises
        ------
        ValueError
            It is not held.
        """
        return self._ask("unlock", names=[str(self.name)], holder=self._holder)

    def locked(self) -> Any:
        """Whether anybody holds it."""
        return self._ask("is-locked", name=str(self.name))

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.release()

    async def __aenter__(self) -> Lock:
        await self.acquire()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.release()


class MultiLock(_Shared):
    """Several locks, taken together.

    Parameters
    ----------
    names : list of str
    """

    def __init__(self, names: Any = (), client: Any = None):
        super().__init__("multilock", client)
        self.names = [str(name) for name in names]
        self._holder = uuid.uuid4().hex
        self._held: list[str] = []

    def acquire(self, blocking: bool = True, timeout: Any = None, num_locks: int | None = None) -> Any:
        """Takes all locks, or any ``num_locks`` of them; False: not in time."""
        return self.client.sync(self._acquire, timeout if blocking else 0, num_locks)

    def _acquire(self, timeout: Any, num_locks: int | None) -> bool:
        fields = {"names": self.names, "at_least": num_locks, "holder": self._holder}
        try:
            self._held = self.client._core.coordinate("lock", fields, seconds(timeout)) or self.names
        except TimeoutError:
            return False
        return True

    def release(self) -> Any:
        """Gives them back."""
        held, self._held = self._held, []
        return self._ask("unlock", names=held, holder=self._holder)

    def __enter__(self) -> MultiLock:
        self.acquire()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.release()

    async def __aenter__(self) -> MultiLock:
        await self.acquire()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.release()

    def __reduce__(self) -> Any:
        return MultiLock, (self.names,)


class Event(_Shared):
    """A flag that anybody in the cluster can wait for."""

    def wait(self, timeout: Any = None) -> Any:
        """Waits until it is set; False: it was not in time."""

        def go() -> bool:
            try:
                self.client._core.coordinate("event-wait", {"name": str(self.name)}, seconds(timeout))
            except TimeoutError:
                return False
            return True

        return self.client.sync(go)

    def set(self) -> Any:
        """Sets it: all who wait go on."""
        return self._ask("event-set", name=str(self.name))

    def clear(self) -> Any:
        """Takes it back."""
        return self._ask("event-clear", name=str(self.name))

    def is_set(self) -> Any:
        """Whether it is set."""
        return self._ask("event-is-set", name=str(self.name))


class Queue(_Shared):
    """A queue of objects and futures.

    Parameters
    ----------
    name : str, optional
    client : Client, optional
    maxsize : int
        0: no limit.
    """

    def __init__(self, name: Any = None, client: Any = None, maxsize: int = 0):
        super().__init__(name, client)
        self.maxsize = maxsize
        self.client._core.coordinate("queue-open", {"name": str(self.name), "maxsize": maxsize})

    def put(self, value: Any, timeout: Any = None, **kwargs: Any) -> Any:
        """Adds an element; waits while the queue is full.

        Raises
        ------
        TimeoutError
            It is full for too long.
        """
        return self._ask("queue-put", timeout, name=str(self.name), item=value)

    def get(self, timeout: Any = None, batch: Any = False, **kwargs: Any) -> Any:
        """Takes the first element; waits while there is none.

        Parameters
        ----------
        batch : bool or int
            True: all that are there; a number: that many.

        Raises
        ------
        TimeoutError
            There is none in time.
        """

        def go() -> Any:
            name = str(self.name)
            core = self.client._core
            if batch is True:
                n = core.coordinate("queue-len", {"name": name})
                if not n:
                    return []
                return self._items(core.coordinate("queue-get", {"name": name, "batch": n}, 0))
            found: list = []
            while len(found) < (batch or 1):
                found += core.coordinate("queue-get", {"name": name, "batch": None}, seconds(timeout))
            return self._items(found) if batch else self._items(found)[0]

        return self.client.sync(go)

    def _items(self, items: list) -> list:
        return [Future(value, self.client) if is_future else value for is_future, value in items]

    def qsize(self) -> Any:
        """How many elements it has."""
        return self._ask("queue-len", name=str(self.name))

    def close(self) -> Any:
        """Forgets the queue."""
        return self._ask("queue-close", name=str(self.name))

    def __reduce__(self) -> Any:
        return Queue, (self.name, None, self.maxsize)


class Variable(_Shared):
    """A value, or a future, that anybody in the cluster can set and read."""

    def set(self, value: Any, timeout: Any = None, **kwargs: Any) -> Any:
        """Sets the value."""
        return self._ask("variable-set", timeout, name=str(self.name), item=value)

    def get(self, timeout: Any = None, **kwargs: Any) -> Any:
        """The value; waits until there is one.

        Raises
        ------
        TimeoutError
            There is none in time.
        """

        def go() -> Any:
            fields = {"name": str(self.name)}
            ((is_future, value),) = self.client._core.coordinate("variable-get", fields, seconds(timeout))
            return Future(value, self.client) if is_future else value

        return self.client.sync(go)

    def delete(self) -> Any:
        """Forgets the value."""
        return self._ask("variable-delete", name=str(self.name))


class Semaphore(_Shared):
    """So many leases that at most so many holders have at a time.

    Parameters
    ----------
    max_leases : int
    name : str, optional
    client : Client, optional
    """

    def __init__(self, max_leases: int = 1, name: Any = None, client: Any = None, **kwargs: Any):
        super().__init__(name, client)
        if not isinstance(max_leases, int) or max_leases < 1:
            raise ValueError(f"max_leases must be a whole number of at least 1, got {max_leases!r}")
        self.max_leases = max_leases
        self._leases: list[str] = []
        fields = {"name": str(self.name), "leases": max_leases}
        self.client._core.coordinate("semaphore-open", fields)

    def acquire(self, timeout: Any = None) -> Any:
        """Takes a lease; False: not in time."""

        def go() -> bool:
            lease = uuid.uuid4().hex
            fields = {"name": str(self.name), "lease": lease}
            try:
                self.client._core.coordinate("semaphore-acquire", fields, seconds(timeout))
            except TimeoutError:
                return False
            self._leases.append(lease)
            return True

        return self.client.sync(go)

    def release(self) -> Any:
        """Gives a lease back.

        Raises
        ------
        RuntimeError
            None is held.
        """
        if not self._leases:
            raise RuntimeError("Released too often")
        return self._ask("semaphore-release", name=str(self.name), lease=self._leases.pop())

    def get_value(self) -> Any:
        """How many leases are out."""
        return self._ask("semaphore-count", name=str(self.name))

    def close(self) -> Any:
        """Forgets the semaphore."""
        return self._ask("semaphore-close", name=str(self.name))

    def __enter__(self) -> Semaphore:
        self.acquire()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.release()

    async def __aenter__(self) -> Semaphore:
        await self.acquire()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.release()

    def __reduce__(self) -> Any:
        return Semaphore, (self.max_leases, self.name)


class Pub(_Shared):
    """Sends messages to all who subscribe to a topic."""

    def put(self, message: Any) -> Any:
        """Sends a message to whoever subscribes now."""
        return self._ask("publish", topic=str(self.name), message=message)


class Sub(_Shared):
    """Receives the messages of a topic, from now on."""

    def __init__(self, name: Any = None, client: Any = None, **kwargs: Any):
        super().__init__(name, client)
        self._waiting: list = []
        self.client._core.coordinate("subscribe", {"topic": str(self.name)})

    def get(self, timeout: Any = None) -> Any:
        """The next message.

        Raises
        ------
        TimeoutError
            There is none in time.
        """

        def go() -> Any:
            limit = seconds(timeout)
            until = None if limit is None else time.monotonic() + limit
            while not self._waiting:
                self._waiting += self.client._core.topic(str(self.name))
                if not self._waiting:
                    if until is not None and time.monotonic() > until:
                        raise TimeoutError(f"no message on {self.name} in time")
                    time.sleep(0.002)
            return self._waiting.pop(0)

        return self.client.sync(go)

    next = __next__ = get

    def __iter__(self) -> Sub:
        return self

    def close(self) -> None:
        """Receives no more."""
        with contextlib.suppress(Exception):
            self.client._core.coordinate("unsubscribe", {"topic": str(self.name)})
