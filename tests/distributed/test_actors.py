"""Objects that live on workers."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from weft.distributed import Actor, ActorFuture, Client, get_client


class Counter:
    """Counts."""

    kind = "counter"

    def __init__(self, n=0):
        self.n = n

    def add(self, x=1):
        """Adds."""
        self.n += x
        return self.n

    def pid(self):
        return os.getpid()

    def fail(self):
        raise ValueError("on purpose")

    async def slowly(self, x):
        await asyncio.sleep(0)
        return self.add(x)


def test_calls_keep_their_order_and_state(client):
    future = client.submit(Counter, 10, actor=True)
    counter = future.result(60)
    assert isinstance(counter, Actor) and "Counter" in repr(counter)
    calls = [counter.add() for _ in range(50)]
    assert isinstance(calls[0], ActorFuture)
    assert [call.result(60) for call in calls] == list(range(11, 61))
    assert calls[0].done()
    assert counter.n == 60 and counter.kind == "counter"
    assert counter.add.__doc__ == "Adds."
    assert counter.slowly(1).result(60) == 61
    assert "add" in dir(counter) and "n" not in dir(Counter)
    with pytest.raises(ValueError, match="on purpose"):
        counter.fail().result(60)
    with pytest.raises(AttributeError, match="nothing"):
        counter.nothing  # noqa: B018
    # Each is an object of its own.
    assert client.submit(Counter, 10, actor=True).result(60).n == 10


def test_tasks_call_actors_of_other_workers(client):
    counter = client.submit(Counter, actor=True).result(60)

    def use(counter, x):
        return counter.add(x).result()

    client.gather(client.map(use, [counter] * 20, range(20), pure=False))
    assert counter.n == sum(range(20))

    def through_future(counter):
        return counter.add(1).result(), type(get_client()).__name__

    future = client.submit(Counter, actor=True)
    assert client.submit(through_future, future, pure=False).result(60) == (1, "Client")


def test_actors_go_with_their_future(client):
    future = client.submit(Counter, actor=True)
    counter = future.result(60)
    pid = counter.pid().result(60)
    assert pid in client.run(os.getpid).values()
    key = future.key
    del future, counter
    while any(key in keys for keys in client.has_what().values()):
        pass


def test_the_death_of_a_worker_is_the_end_of_its_actors(tools):
    with Client(n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=":0") as client:
        future = client.submit(Counter, actor=True)
        counter = future.result(60)
        os.kill(counter.pid().result(60), signal.SIGKILL)
        with pytest.raises(RuntimeError, match="Worker holding Actor was lost"):
            while True:
                counter.add().result(60)
        # The scheduler waits a moment for the nanny's word on the cause.
        tools.until(lambda: future.status == "error")
        assert client.submit(Counter, 1, actor=True).result(60).add().result(60) == 2


def test_actors_are_awaited():
    async def program():
        async with Client(
            n_workers=1, threads_per_worker=1, processes=False, asynchronous=True, dashboard_address=":0"
        ) as client:
            counter = await client.submit(Counter, 5, actor=True)
            assert await counter.add(1) == 6
            assert await counter.n == 6
            assert await asyncio.gather(*[counter.slowly(1) for _ in range(5)]) == [7, 8, 9, 10, 11]

    asyncio.run(program())
