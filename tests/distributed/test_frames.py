"""Dataframes on workers: the same answers, by the same kernels."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import weft
import weft.array as da
import weft.bag as db
import weft.dataframe as dd
from pandas.testing import assert_frame_equal, assert_series_equal
from weft import delayed
from weft.distributed import Client, futures_of

sys.path.append(str(Path(__file__).parent.parent / "dataframe"))
from test_pickle import KINDS, OTHER, TABLE, check, lazy, other  # noqa: E402


@pytest.mark.parametrize("name", KINDS)
def test_workers_compute_every_kind(client, name):
    collection, expected = KINDS[name]()
    check(name, collection.compute(), expected)


def test_processes_compute_every_kind():
    made = {name: make() for name, make in KINDS.items()}
    results = weft.compute(
        *[collection for collection, _ in made.values()], scheduler="processes", num_workers=2
    )
    for (name, (_, expected)), result in zip(made.items(), results):
        check(name, result, expected)
    from weft import multiprocessing

    multiprocessing.close()


@pytest.fixture
def files(tmp_path):
    rows = 400
    frame = pd.DataFrame(
        {
            "k": np.arange(rows) % 13,
            "x": np.where(np.arange(rows) % 17 == 0, np.nan, np.arange(rows) / 8),
            "s": pd.Series(["left, right", 'quo"te', "plain", None] * (rows // 4), dtype="str"),
        }
    )
    for i in range(4):
        part = frame.iloc[i * 100 : i * 100 + 100]
        part.to_csv(tmp_path / f"{i}.csv", index=False)
        part.to_parquet(tmp_path / f"{i}.parquet", index=False)
    return tmp_path, frame


def test_files_are_read_by_the_workers(client, files):
    directory, frame = files
    csv = dd.read_csv(str(directory / "*.csv"), blocksize=500)
    assert csv.npartitions > 4
    assert_frame_equal(csv.compute().reset_index(drop=True), frame)
    parquet = dd.read_parquet(str(directory))
    assert_frame_equal(parquet.compute().reset_index(drop=True), frame)
    for table in (csv, parquet):
        got = table[table.x > 3].groupby("k").agg({"x": ["sum", "mean"], "s": "count"}).compute()
        assert_frame_equal(got, frame[frame.x > 3].groupby("k").agg({"x": ["sum", "mean"], "s": "count"}))
        joined = table.merge(parquet[["k"]].drop_duplicates().assign(z=1), on="k", how="left")
        assert int(joined.z.sum().compute()) == len(frame)


def test_files_are_written_by_the_workers(client, files, tmp_path):
    directory, frame = files
    table = dd.read_csv(str(directory / "*.csv"))
    table.to_parquet(str(tmp_path / "out"))
    assert_frame_equal(pd.read_parquet(tmp_path / "out").reset_index(drop=True), frame)
    table.to_csv(str(tmp_path / "out-*.csv"), index=False)
    parts = [pd.read_csv(path) for path in sorted(tmp_path.glob("out-*.csv"))]
    assert_frame_equal(pd.concat(parts, ignore_index=True), frame, check_dtype=False)


def test_all_collections_in_one_compute(client):
    frame = lazy(("k", "x"))
    array, bag = da.arange(60, chunks=7), db.from_sequence(range(60), npartitions=5)
    call = delayed(lambda part, total: len(part) + total)(frame.partitions[0], array.sum())
    got = weft.compute(frame.x.sum(), array.max(), bag.sum(), call, frame.groupby("k").x.mean())
    assert got[:4] == (TABLE.x.sum(), 59, sum(range(60)), 15 + sum(range(60)))
    assert_series_equal(got[4], TABLE.groupby("k").x.mean())


def test_frames_of_arrays_bags_and_delayed(client):
    array = da.arange(20, chunks=6).reshape(10, 2)
    got = dd.from_dask_array(array, columns=["p", "q"]).p.sum().compute()
    assert got == np.arange(20).reshape(10, 2)[:, 0].sum()
    rows = [{"a": i, "b": str(i)} for i in range(10)]
    bag = db.from_sequence(rows, npartitions=3)
    assert_frame_equal(
        bag.to_dataframe().compute().reset_index(drop=True), pd.DataFrame(rows), check_dtype=False
    )
    assert_frame_equal(
        lazy(("k", "x"))
        .to_dask_array(lengths=True)
        .compute_chunk_sizes()
        .to_dask_dataframe(columns=["k", "x"])
        .compute(),
        TABLE[["k", "x"]].astype("f8").reset_index(drop=True),
        check_index_type=False,
    )


def test_persisted_frames_stay_on_the_workers(client):
    frame = lazy(("k", "x"))
    kept = client.persist(frame[frame.x > 1])
    assert len(futures_of(kept)) == frame.npartitions
    expected = TABLE[["k", "x"]][TABLE.x > 1]
    assert_frame_equal(kept.compute(), expected)
    # Native steps go on with what is there.
    assert "fallback" not in kept.groupby("k").x.sum().explain()
    assert_series_equal(kept.groupby("k").x.sum().compute(), expected.groupby("k").x.sum())
    assert_frame_equal(
        kept.merge(other(), on="k").compute().sort_values(["k", "x", "y"], ignore_index=True),
        expected.merge(OTHER, on="k").sort_values(["k", "x", "y"], ignore_index=True),
    )


def test_tasks_are_native_on_the_workers(files):
    """Who falls back imports pandas; the workers never do."""
    directory, frame = files

    def has_pandas():
        import sys

        return "pandas" in sys.modules

    with Client(n_workers=2, threads_per_worker=1, memory_limit=0) as client:
        table = dd.read_csv(str(directory / "*.csv"), blocksize=500)
        in_memory = dd.from_pandas(frame[["k", "x"]], npartitions=5)
        table[table.x > 1].groupby("k").x.sum().compute()
        table.merge(in_memory, on="k").compute()
        table.merge(in_memory, on="k", how="outer", npartitions=3).compute()
        in_memory.sort_values("x").compute()
        assert set(client.run(has_pandas).values()) == {False}


def test_partitions_in_memory_go_with_their_tasks(client):
    rows = 200_000
    table = pd.DataFrame({"x": np.arange(rows), "unused": np.arange(rows)})
    frame = dd.from_pandas(table, npartitions=10)
    assert int(frame.x.sum().compute()) == rows * (rows - 1) // 2
    text = dd.from_pandas(pd.DataFrame({"o": [(i,) for i in range(100)]}), npartitions=4)
    assert len(text.compute()) == 100


def test_errors_keep_type_and_message(client, tmp_path):
    with pytest.raises(ValueError, match="here") as caught:
        lazy().map_partitions(fail, meta=lazy()._meta).compute()
    assert caught.value.args == ("here", 7)
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 10_000 + "x,3\n")
    with pytest.raises(Exception) as local:
        dd.read_csv(str(tmp_path / "a.csv"), sample=100, sample_rows=2).sum().compute(scheduler="threads")
    with pytest.raises(type(local.value)) as remote:
        dd.read_csv(str(tmp_path / "a.csv"), sample=100, sample_rows=2).sum().compute()
    assert str(remote.value) == str(local.value)


def fail(part):
    raise ValueError("here", 7)


def test_what_cannot_travel_is_named(client):
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"lambda-\w+ cannot be sent to another process: .*lock"):
        lazy().map_partitions(lambda part: part if lock else part).compute()


def test_a_result_that_cannot_travel_is_named(client):
    def make():
        import threading

        return threading.Lock()

    first, second = sorted(client.scheduler_info()["workers"])[:2]
    made = client.submit(make, workers=[first], pure=False, key="the-lock")
    with pytest.raises(TypeError, match="the result of 'the-lock' cannot be sent to another process: .*lock"):
        client.submit(repr, made, workers=[second], pure=False).result(60)
    # Where it is, it can be used.
    assert "lock" in client.submit(repr, made, workers=[first], pure=False).result(60)


def test_deeply_nested_keys_are_refused(client):
    key = "x"
    for _ in range(200_000):
        key = (key,)
    with pytest.raises(TypeError, match="key"):
        client.submit(abs, -1, key=key)
