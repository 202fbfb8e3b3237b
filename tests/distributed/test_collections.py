"""A client computes all collections."""

from __future__ import annotations

import pytest
import weft
import weft.array as da
import weft.bag as db
from weft import delayed
from weft.distributed import Future, futures_of, wait


def inc(x):
    return x + 1


@delayed
def pid_of():
    import os

    return os.getpid()


def test_delayed_run_on_workers(client):
    assert pid_of().compute() in {worker.pid for worker in client.cluster.workers.values()}
    total = delayed(sum)([delayed(inc)(i) for i in range(200)])
    assert total.compute() == sum(range(1, 201))
    future = client.compute(total)
    assert isinstance(future, Future) and future.result(60) == sum(range(1, 201))
    a, b, c = client.compute([total, delayed(inc)(1), 7], traverse=False)
    assert (client.gather([a, b]), c) == ([sum(range(1, 201)), 2], 7)


def test_persist_keeps_results_on_workers(client):
    x = client.persist(delayed(inc)(1))
    (future,) = futures_of(x)
    wait(future, timeout=60)
    assert x.compute() == 2
    assert delayed(inc)(x).compute() == 3
    (y,) = weft.persist(delayed(inc)(10))
    assert futures_of(y) and y.compute() == 11


def test_futures_are_arguments_of_delayed(client):
    future = client.submit(inc, 1)
    assert delayed(inc)(future).compute() == 3


def test_bags(client):
    bag = db.from_sequence(range(100), npartitions=7)
    assert bag.map(inc).filter(lambda x: x % 2).sum().compute() == sum(x for x in range(1, 101) if x % 2)
    assert sorted(bag.frequencies().compute())[:2] == [(0, 1), (1, 1)]
    persisted = bag.map(inc).persist()
    assert len(futures_of(persisted)) == 7
    assert persisted.sum().compute() == sum(range(1, 101))


def test_arrays(client):
    x = da.arange(10_000, chunks=1000)
    assert int((x + 1).sum().compute()) == sum(range(1, 10_001))
    y = da.ones((300, 300), chunks=100)
    assert float((y + y.T).sum().compute()) == 180_000.0
    assert (y @ y).compute()[0, 0] == 300.0
    assert float(client.compute(y.mean()).result(60)) == 1.0
    persisted = (y * 2).persist()
    assert len(futures_of(persisted)) == 9
    assert float(persisted.sum().compute()) == 180_000.0


def test_plain_graphs(client):
    dsk = {"x": 1, "y": (inc, "x"), "z": (sum, ["x", "y", 10])}
    assert client.get(dsk, "z") == 13
    assert client.get(dsk, ["z", ["y", "x"]]) == [13, [2, 1]]
    assert client.get(dsk, "y", sync=False).result(60) == 2
    with pytest.raises(KeyError):
        client.get(dsk, "nowhere")


def test_annotations_do_not_hurt_and_threads_can_still_be_asked_for(client):
    with weft.annotate(priority=3):
        x = delayed(inc)(1)
    assert x.compute() == 2
    import os

    assert pid_of().compute(scheduler="threads") == os.getpid()
    assert pid_of().compute(scheduler=client) != os.getpid()


def test_errors_in_graphs(client):
    def fail():
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        delayed(fail)().compute()


def test_published_collections(client):
    x = client.persist(delayed(inc)(5))
    client.publish_dataset(five=x)
    assert client.list_datasets() == ("five",)
    assert client.get_dataset("five").compute() == 6
    with pytest.raises(KeyError):
        client.publish_dataset(five=x)
    client.unpublish_dataset("five")
    with pytest.raises(KeyError):
        client.get_dataset("five")
