"""What users do with futures, on real processes."""

from __future__ import annotations

import operator
import os
import pickle
import threading
import traceback

import numpy as np
import pytest
from weft.distributed import (
    CancelledError,
    Client,
    Event,
    Future,
    as_completed,
    fire_and_forget,
    futures_of,
    get_client,
    get_worker,
    rejoin,
    secede,
    wait,
    worker_client,
)


def inc(x):
    return x + 1


def fail(x):
    raise ZeroDivisionError(f"no {x}")


class Odd(Exception):
    """An exception whose arguments are not those of its constructor."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a = a


def test_a_call_and_calls_on_its_result(client):
    x = client.submit(inc, 10)
    y = client.submit(operator.add, x, x)
    assert y.result(60) == 22
    assert x.done() and x.status == "finished" and not x.cancelled()
    assert client.submit(inc, 10).key == x.key
    assert client.submit(inc, 10, pure=False).key != x.key
    assert client.submit(inc, 10, key="mine").key == "mine"


def test_futures_inside_containers_and_keywords_are_their_results(client):
    x = client.submit(inc, 1)

    def take(a, *, b):
        return a, b

    future = client.submit(take, [x, (x, {"k": x})], b={"y": x})
    assert future.result(60) == ([2, (2, {"k": 2})], {"y": 2})


def test_map_and_gather_keep_order_and_shape(client):
    futures = client.map(inc, range(1000))
    assert client.gather(futures) == list(range(1, 1001))
    a, b = futures[:2]
    assert client.gather({"a": a, "b": [b, (a, 3)]}) == {"a": 1, "b": [2, (1, 3)]}
    assert client.gather(client.map(operator.add, [1, 2], [10, 20, 30])) == [11, 22]
    assert [f.key for f in client.map(inc, [1, 2], key=["p", "q"])] == ["p", "q"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**70,
        1.5,
        float("inf"),
        "text",
        "\udc80",
        "é" * 5000,
        b"bytes",
        b"",
        [1],
        {"a": (1, {2})},
    ],
)
def test_values_come_back_as_they_were(client, value):
    assert client.submit(lambda x: x, value, pure=False).result(60) == value
    (scattered,) = client.scatter([value])
    assert scattered.result(60) == value


def test_arrays_travel(client):
    x = np.arange(1_000_000, dtype=float)
    future = client.scatter(x)
    assert client.submit(np.sum, future).result(60) == x.sum()
    back = client.submit(operator.mul, future, 2).result(60)
    np.testing.assert_array_equal(back, x * 2)
    back[0] = 1  # what arrives can be written to


def test_exceptions_keep_type_arguments_and_the_remote_traceback(client):
    future = client.submit(fail, 3)
    with pytest.raises(ZeroDivisionError, match="no 3") as caught:
        future.result(60)
    assert any(frame.name == "fail" for frame in traceback.extract_tb(caught.value.__traceback__))
    assert isinstance(future.exception(60), ZeroDivisionError)
    assert future.traceback(60) is not None
    assert future.status == "error"
    # What reads a failed result fails with the same exception.
    with pytest.raises(ZeroDivisionError, match="no 3"):
        client.submit(inc, future).result(60)


def test_causes_travel_and_odd_exceptions_are_described(client):
    def chain():
        try:
            fail(1)
        except ZeroDivisionError as error:
            raise KeyError("outer") from error

    error = client.submit(chain).exception(60)
    assert isinstance(error, KeyError) and isinstance(error.__cause__, ZeroDivisionError)

    def odd():
        raise Odd(1, 2)

    assert "1 and 2" in str(client.submit(odd).exception(60))


def test_failed_results_can_be_left_out(client):
    futures = [client.submit(inc, 1), client.submit(fail, 9), client.submit(inc, 2)]
    assert client.gather(futures, errors="skip") == [2, 3]
    with pytest.raises(ZeroDivisionError):
        client.gather(futures)


def test_retries_and_retry(client, tmp_path):
    def once(path):
        if not os.path.exists(path):
            open(path, "w").close()
            raise OSError("first time")
        return "done"

    assert client.submit(once, str(tmp_path / "a"), retries=1).result(60) == "done"
    future = client.submit(once, str(tmp_path / "b"))
    assert isinstance(future.exception(60), OSError)
    future.retry()
    assert future.result(60) == "done"


def test_what_cannot_be_pickled_says_so(client):
    with pytest.raises(Exception, match="pickle"):
        client.submit(inc, threading.Lock())
    with pytest.raises(TypeError, match="lock"):
        client.submit(threading.Lock).result(60)
    assert client.submit(inc, 1).result(60) == 2


def test_wait_and_as_completed(client):
    futures = client.map(inc, range(50))
    done, not_done = wait(futures, timeout=60)
    assert done == set(futures) and not not_done
    assert sorted(f.result() for f in as_completed(futures)) == list(range(1, 51))
    pairs = as_completed(client.map(inc, range(5)), with_results=True)
    assert sorted(result for _, result in pairs) == [1, 2, 3, 4, 5]
    event = Event("never-mind")
    blocked = client.submit(lambda: Event("never-mind").wait(), pure=False)
    done, not_done = wait([blocked, futures[0]], timeout=60, return_when="FIRST_COMPLETED")
    assert not_done == {blocked}
    with pytest.raises(TimeoutError):
        blocked.result(timeout=0.01)
    event.set()
    assert blocked.result(60) is True
    stream = as_completed(futures[:1])
    stream.add(client.submit(inc, "a" and 99))
    assert sorted(f.result() for f in stream) == [1, 100]


def test_callbacks(client):
    called = threading.Event()
    seen = []
    future = client.submit(inc, 41)
    future.add_done_callback(lambda f: (seen.append(f), called.set()))
    assert called.wait(60)
    assert seen == [future]


def test_cancel(client):
    gate = Event("gate")
    blocked = client.map(lambda i: Event("gate").wait(), range(2), pure=False)
    waiting = client.submit(inc, 12345)
    client.cancel(waiting)
    assert waiting.cancelled()
    with pytest.raises(CancelledError):
        waiting.result(60)
    gate.set()
    client.gather(blocked)
    assert client.submit(inc, 12345).result(60) == 12346


def test_results_go_when_nobody_wants_them(client):
    future = client.submit(inc, 777)
    wait(future, timeout=60)
    key = future.key
    assert client.who_has([future])[key]
    copy = pickle.loads(pickle.dumps(future))
    with client.as_current():
        assert copy.result(60) == 778
    del future, copy
    # Workers forget in the order in which they are told; ask until they have.
    while any(key in keys for keys in client.has_what().values()):
        pass


def test_fire_and_forget(client, tmp_path):
    event = Event("fired")
    fire_and_forget(client.submit(lambda: Event("fired").set(), pure=False))
    assert event.wait(60)


def test_tasks_submit_tasks(client):
    def fib(n):
        if n < 2:
            return n
        with worker_client() as inner:
            a, b = inner.submit(fib, n - 1), inner.submit(fib, n - 2)
            a, b = inner.gather([a, b])
        return a + b

    assert client.submit(fib, 7).result(120) == 13

    def hand_over():
        return get_client().submit(inc, 5)

    inner = client.submit(hand_over, pure=False).result(60)
    assert isinstance(inner, Future)
    assert inner.result(60) == 6


def test_secede_lets_others_run(client):
    def first():
        secede()
        Event("second").wait()
        rejoin()
        return "first"

    def second():
        Event("second").set()

    address = next(iter(client.nthreads()))
    a = client.submit(first, workers=address, pure=False)
    b = client.submit(second, workers=address, pure=False)
    assert client.gather([a, b]) == ["first", None]
    assert client.submit(inc, 8, workers=address).result(60) == 9


def test_run_calls_functions_on_all_workers(client):
    pids = client.run(os.getpid)
    assert set(pids.values()) == {worker.pid for worker in client.cluster.workers.values()}
    names = client.run(lambda dask_worker: dask_worker.name)
    assert sorted(names.values()) == [0, 1]
    with pytest.raises(ZeroDivisionError):
        client.run(fail, 1)
    assert all(isinstance(e, ZeroDivisionError) for e in client.run(fail, 1, on_error="return").values())


def test_tasks_know_their_worker(client):
    def where():
        worker = get_worker()
        worker.mark = getattr(worker, "mark", 0) + 1
        return worker.address, worker.get_current_task()

    future = client.submit(where, pure=False)
    address, key = future.result(60)
    assert address in client.nthreads() and key == future.key


def test_placement(client):
    for address in client.nthreads():
        future = client.submit(inc, address and 3, workers=[address], pure=False)
        wait(future, timeout=60)
        assert client.who_has([future])[future.key] == (address,)


def test_questions(client):
    assert sum(client.ncores().values()) == 2
    info = client.scheduler_info()
    assert info["n_workers"] == 2 and set(info["workers"]) == set(client.nthreads())
    future = client.submit(bytes, 1000)
    wait(future, timeout=60)
    assert client.nbytes([future.key], summary=False)[future.key] >= 1000
    assert futures_of([future, {"a": future}]) == [future]
    assert "processes=2 threads=2" in repr(client)
    assert client.story(future)


def test_a_closed_client_refuses(client):
    second = Client(client.cluster, set_as_default=False)
    future = second.submit(inc, 1)
    assert future.result(60) == 2
    second.close()
    with pytest.raises((OSError, CancelledError)):
        second.submit(inc, 2)
    assert client.submit(inc, 2).result(60) == 3


def test_another_client_by_address(client):
    with Client(client.scheduler_address, set_as_default=False) as second:
        assert second.submit(inc, 1).result(60) == 2
    with pytest.raises(OSError):
        Client("tcp://127.0.0.1:1", timeout=5)


def test_executor(client):
    with client.get_executor() as executor:
        assert executor.submit(inc, 1).result(60) == 2
        assert list(executor.map(inc, [1, 2, 3])) == [2, 3, 4]
        with pytest.raises(ZeroDivisionError):
            executor.submit(fail, 1).result(60)
