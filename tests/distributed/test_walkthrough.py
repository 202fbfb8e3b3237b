"""The distributed scheduler by hand: what people do first with a client, as they would type it."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import weft
import weft.dataframe as dd
from weft import delayed
from weft.distributed import Client, as_completed, progress, wait


def square(x):
    return x**2


def test_first_look():
    with Client(n_workers=2, threads_per_worker=1, memory_limit="1GB", dashboard_address=":0") as client:
        text = repr(client)
        assert re.search(r"<Client: 'tcp://127.0.0.1:\d+' processes=2 threads=2, memory=1.86 GiB>", text)
        html = client._repr_html_()
        assert client.dashboard_link in html and "Workers" in html and "Total threads" in html
        assert "workers=2, threads=2, memory=1.86 GiB" in repr(client.cluster)
        future = client.submit(square, 9)
        assert re.match(r"<Future: (pending|finished), .*key: square-", repr(future))
        wait(future, timeout=60)
        assert "finished" in repr(future) and future.result() == 81
        chained = client.submit(square, future)
        assert chained.result(60) == 81**2


def test_large_results_stay_where_they_are(client):
    x = client.submit(np.random.random, (1000, 1000), pure=False)
    shape = client.submit(lambda a: a.shape, x)
    assert shape.result(60) == (1000, 1000)
    assert client.nbytes([x.key], summary=False)[x.key] >= 8_000_000
    futures = client.map(square, range(20))
    assert sorted(f.result() for f in as_completed(futures)) == [i**2 for i in range(20)]
    assert client.gather(futures) == [i**2 for i in range(20)]


def test_data_goes_where_it_is_asked_to_go(client):
    first, second = client.nthreads()
    (there,) = client.scatter([np.arange(1000)], workers=[second])
    assert client.who_has([there])[there.key] == (second,)
    everywhere = client.scatter({"a": 1.5}, broadcast=True)["a"]
    client.replicate([everywhere])
    assert set(client.who_has([everywhere])[everywhere.key]) == {first, second}
    here = client.submit(square, 3, workers=[first], pure=False)
    wait(here, timeout=60)
    assert client.who_has([here])[here.key] == (first,)
    assert client.submit(square, 4, workers=["nowhere"], allow_other_workers=True).result(60) == 16
    lazy = delayed(square, pure=False)(5)
    computed = client.compute(lazy, workers=[second])
    assert computed.result(60) == 25
    assert client.who_has([computed])[computed.key] == (second,)
    kept = client.persist(delayed(square, pure=False)(6), workers=[first])
    assert kept.compute() == 36
    many = client.map(bytes, [1_000_000 + i for i in range(10)], workers=[first])
    wait(many, timeout=60)
    client.rebalance(many)
    assert all(client.has_what(w)[w] for w in (first, second))


def test_blocks_of_a_file_whose_integers_meet_missing_values_late(client, tmp_path):
    lines = ["VendorID,passengers,total"]
    lines += [f"{i % 3},{i % 5},{i / 2}" for i in range(4000)]
    lines += [f",{i % 5},{i / 2}" for i in range(10)]
    path = tmp_path / "trips.csv"
    path.write_text("\n".join(lines) + "\n")
    frame = dd.read_csv(str(path), blocksize=10_000)
    assert frame.npartitions > 3
    assert len(frame.head()) == 5
    assert float(frame["VendorID"].sum().compute()) == sum(i % 3 for i in range(4000))
    assert sorted(frame["VendorID"].unique().compute().dropna()) == [0, 1, 2]
    assert len(frame) == 4010
    kinds = frame.map_partitions(type, meta=(None, object)).compute()
    assert {kind.__name__ for kind in kinds} == {"DataFrame"}


def test_progress_is_shown(client):
    text = io.StringIO()
    progress(client.map(square, range(30), pure=False), file=text)
    assert "30/30 done" in text.getvalue() and text.getvalue().endswith("\n")
    text = io.StringIO()
    progress(client.submit(lambda: 1 / 0), file=text)
    assert "1 without result" in text.getvalue()


def test_a_lazy_multiplication_and_where_its_result_lives(client):
    @delayed
    def multiply(x, y):
        return x * y

    z = multiply(multiply(2, 3), 7)
    assert z.compute() == 42
    (kept,) = weft.persist(z)
    assert kept.compute() == 42
    client.wait_for_workers(2, timeout=60)
    (model,) = client.scatter([{"weights": np.ones(100_000)}], broadcast=True)
    scored = client.map(lambda image, m: float(m["weights"].sum()) + image, range(10), m=model)
    assert client.gather(scored) == [100_000.0 + i for i in range(10)]


@pytest.mark.parametrize(
    "end",
    [
        "client.shutdown()",
        "client.close()",
        "cluster.close(); client.close()",
        "pass",
        "cluster.scale(4); client.shutdown()",
    ],
)
def test_the_end_is_quiet(tmp_path, end):
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from weft.distributed import Client, LocalCluster
            cluster = LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=":0")
            client = Client(cluster)
            futures = client.map(abs, range(100))
            pending = client.submit(sum, futures)
            {end}
            print("the end")
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")
