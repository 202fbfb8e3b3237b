"""Locks, events, queues, variables, semaphores and topics between processes."""

from __future__ import annotations

import pytest
from weft.distributed import Event, Lock, MultiLock, Pub, Queue, Semaphore, Sub, Variable


def inc(x):
    return x + 1


def test_locks_exclude(client, tmp_path):
    path = str(tmp_path / "count")
    with open(path, "w") as file:
        file.write("0")

    def add(i, path):
        with Lock("count"):
            with open(path) as file:
                n = int(file.read())
            with open(path, "w") as file:
                file.write(str(n + 1))

    client.gather(client.map(add, range(20), path=path))
    with open(path) as file:
        assert file.read() == "20"
    lock = Lock("held")
    assert lock.acquire() and lock.locked()
    assert not Lock("held").acquire(timeout=0.01)
    assert not Lock("held").acquire(blocking=False)
    lock.release()
    with pytest.raises(ValueError):
        lock.release()
    with MultiLock(["a", "b"]):
        assert Lock("a").locked()
    assert not Lock("a").locked()


def test_events(client):
    event = Event("e")
    assert not event.is_set() and not event.wait(timeout=0.01)
    future = client.submit(lambda: Event("e").wait(), pure=False)
    event.set()
    assert future.result(60) is True and event.is_set()
    event.clear()
    assert not event.is_set()


def test_queues(client):
    queue = Queue("q", maxsize=2)
    future = client.submit(inc, 1)
    queue.put(future)
    queue.put({"any": "thing"})
    with pytest.raises(TimeoutError):
        queue.put(3, timeout=0.01)
    assert queue.qsize() == 2
    assert queue.get().result(60) == 2
    assert queue.get() == {"any": "thing"}
    with pytest.raises(TimeoutError):
        queue.get(timeout=0.01)
    producer = client.submit(lambda: Queue("q").put(5), pure=False)
    assert queue.get(timeout=60) == 5
    producer.result(60)
    queue.put(1)
    queue.put(2)
    assert queue.get(batch=True) == [1, 2]


def test_variables(client):
    variable = Variable("v")
    with pytest.raises(TimeoutError):
        variable.get(timeout=0.01)
    variable.set(10)
    assert client.submit(lambda: Variable("v").get() + 1, pure=False).result(60) == 11
    variable.set(client.submit(inc, 41))
    assert variable.get().result(60) == 42
    variable.delete()
    with pytest.raises(TimeoutError):
        variable.get(timeout=0.01)


def test_semaphores(client):
    semaphore = Semaphore(max_leases=2, name="s")
    assert semaphore.acquire() and semaphore.acquire()
    assert not semaphore.acquire(timeout=0.01)
    assert semaphore.get_value() == 2
    semaphore.release()
    with semaphore:
        assert semaphore.get_value() == 2
    semaphore.release()
    with pytest.raises(RuntimeError):
        semaphore.release()


def test_topics(client):
    sub = Sub("news")
    client.submit(lambda: Pub("news").put({"a": 1}), pure=False).result(60)
    assert sub.get(timeout=60) == {"a": 1}
    with pytest.raises(TimeoutError):
        sub.get(timeout=0.01)
