"""Between bags, delayed values, arrays and dataframes, in every direction, and together in one compute."""

import json
import threading

import numpy as np
import pandas as pd
import pytest
import weft
import weft.array as da
import weft.bag as db
import weft.dataframe as dd

RECORDS = [{"name": name, "n": i} for i, name in enumerate("abcdef")]


class Calls:
    """Counts how often something was made."""

    def __init__(self):
        self.lock = threading.Lock()
        self.n = 0

    def __call__(self, *args):
        with self.lock:
            self.n += 1
        return args[0] if args else None


def as_array(part):
    return np.array(list(part))


def bag():
    return db.from_sequence(RECORDS, npartitions=3)


def frame():
    return dd.from_pandas(pd.DataFrame(RECORDS), npartitions=3)


def test_bag_and_delayed():
    parts = bag().to_delayed()
    assert [len(part) for part in weft.compute(*parts)] == [2, 2, 2]
    again = db.from_delayed([weft.delayed(list)(part) for part in parts])
    assert again.compute() == RECORDS
    total = bag().pluck("n").sum().to_delayed()
    assert (total + 1).compute() == 16
    assert db.Item.from_delayed(weft.delayed(sum)([1, 2])).apply(str).compute() == "3"
    assert bag().map(lambda r, extra: r["n"] + extra, extra=weft.delayed(10)).compute() == list(range(10, 16))


def test_bag_and_frame():
    made = bag().to_dataframe()
    pd.testing.assert_frame_equal(
        made.compute().reset_index(drop=True), pd.DataFrame(RECORDS), check_dtype=False
    )
    assert sorted(frame().to_bag(format="dict").compute(), key=lambda r: r["n"]) == RECORDS
    assert frame().n.to_bag().sum().compute() == 15
    assert made.to_bag(format="dict").to_dataframe().n.sum().compute() == 15


def test_frame_and_delayed():
    parts = frame().to_delayed()
    assert dd.from_delayed(parts, meta=frame()._meta).n.sum().compute() == 15
    assert db.from_delayed([part.to_dict("records") for part in parts]).compute() == RECORDS


def test_array_and_the_others():
    x = da.from_array(np.arange(6.0), chunks=2)
    assert [block.sum() for block in weft.compute(*x.to_delayed())] == [1, 5, 9]
    assert db.from_delayed([block.tolist() for block in x.to_delayed()]).sum().compute() == 15
    blocks = [
        da.from_delayed(part, shape=(2,), dtype=float)
        for part in bag().pluck("n").map_partitions(as_array).to_delayed()
    ]
    assert da.concatenate(blocks).sum().compute() == 15
    assert x.to_dask_dataframe().sum().compute() == 15
    assert frame().n.to_dask_array(lengths=True).sum().compute() == 15
    assert (
        frame().n.to_dask_array(lengths=True).map_blocks(lambda b: b * 2).to_dask_dataframe().sum().compute()
        == 30
    )


def test_one_compute_for_all_shares_what_they_share():
    calls = Calls()
    source = weft.delayed(calls, pure=True)(RECORDS)
    shared = db.from_delayed([source]).map(lambda r: r["n"])
    array = da.from_delayed(
        weft.delayed(np.array)(weft.delayed(list)(shared.to_delayed()[0])), shape=(6,), dtype=int
    )
    results = weft.compute(shared.sum(), array.max(), source, {"nested": [shared.max()]}, frame().n.sum())
    assert results == (15, 5, RECORDS, {"nested": [5]}, 15)
    assert calls.n == 1


def test_persist_of_several():
    b, x, f = weft.persist(bag(), da.ones(4, chunks=2), frame())
    assert (b.count().compute(), x.sum().compute(), len(f)) == (6, 4.0, 6)


def test_graphs_that_are_not_optimized():
    lazy = (da.ones(4, chunks=2).sum(), weft.delayed(1) + 1, frame().n.sum(), bag().count())
    assert weft.compute(*lazy, optimize_graph=False) == (4.0, 2, 15, 6)


def test_optimize_keeps_the_answers():
    lazy = weft.optimize(bag().pluck("n").map(lambda n: n + 1), da.ones(4, chunks=2) + 1, weft.delayed(1) + 1)
    assert weft.compute(*lazy)[0] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("scheduler", ["threads", "sync"])
def test_text_to_everything(tmp_path, scheduler):
    (tmp_path / "x.json").write_text("".join(json.dumps(r) + "\n" for r in RECORDS))
    text = db.read_text(str(tmp_path / "x.json"), blocksize=40)
    rows = text.map(json.loads)
    answers = weft.compute(
        text.count(),
        rows.pluck("n").sum(),
        rows.to_dataframe().n.max(),
        weft.delayed(len)(rows.to_delayed()[0]),
        scheduler=scheduler,
    )
    assert answers[:3] == (6, 15, 5)
    assert answers[3] >= 1
