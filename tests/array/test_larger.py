"""Arrays larger than the memory they may use: the answer is right, and the process stays inside."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import weft
import weft.array as da

BUDGET = 60_000_000
#: The tasks at work hold blocks of some megabytes beside the budget, libraries their buffers.
BESIDE = 90_000_000

HEAD = """
import json, sys
import numpy as np, zarr, weft, weft.array as da

def held(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))

place, budget = sys.argv[1], int(sys.argv[2])
weft.config.set({"memory.limit": budget, "temporary-directory": place})
da.to_zarr(da.ones((8, 8), chunks=4) * 2, place + "/warm.zarr")
da.from_zarr(place + "/warm.zarr").rechunk((8, 1)).sum().compute()
before = held("VmRSS:")
"""

TAIL = """
print(json.dumps({"answer": answer, "peak": held("VmHWM:") - before}))
"""

STANDARDISE = """
r = da.random.default_rng(7).normal(3, 2, size=(40_000, 1000), chunks=(500, 1000))
z = (r - r.mean(0)) / r.std(0)
total, squares = weft.compute(z.sum(), (z**2).sum())
answer = [float(total), float(squares)]
# Random numbers are drawn again: nothing is written.
answer.append(weft._weft.store_stats()["spilled"])
"""

RECHUNK = """
side, step = 5120, 128
x = da.arange(side * side, chunks=side * step, dtype="f8").reshape(side, side)
x.rechunk((step, side)).to_zarr(place + "/rows.zarr")
da.from_zarr(place + "/rows.zarr").rechunk((side, step)).to_zarr(place + "/columns.zarr")
back = da.from_zarr(place + "/columns.zarr")
assert back.chunks[0] == (side,)
answer = [float((back[:, i] - x[:, i]).max().compute() - (back[:, i] - x[:, i]).min().compute()) for i in (0, 2000, 5119)]
answer += back[17, :].compute()[[0, 1, -1]].tolist()
"""


def alone(code, place):
    """What a process of its own answers, and the most memory that it took beside what it began with."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HEAD + code + TAIL), str(place), str(BUDGET)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak")
def test_an_array_of_five_budgets_is_standardised(tmp_path):
    seen = alone(STANDARDISE, tmp_path)
    total, squares, written = seen["answer"]
    assert abs(total) < 1 and squares == pytest.approx(40_000_000, rel=1e-6)
    assert written == 0
    assert seen["peak"] < BUDGET + BESIDE


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak")
def test_an_array_of_three_budgets_goes_from_rows_to_columns_through_zarr(tmp_path):
    pytest.importorskip("zarr")
    seen = alone(RECHUNK, tmp_path)
    side = 5120
    assert seen["answer"] == [0, 0, 0, 17.0 * side, 17.0 * side + 1, 18.0 * side - 1]
    assert seen["peak"] < BUDGET + BESIDE


@pytest.mark.parametrize("method", ["tasks", "p2p"])
@pytest.mark.parametrize("chunks", [(60, 7), ((10, 50), (30, 0, 30)), (1, -1)])
def test_methods_of_rechunking_agree(method, chunks):
    x = np.arange(3600).reshape(60, 60)
    made = da.from_array(x, chunks=(9, 60)).map_blocks(np.negative).rechunk(chunks, method=method)
    np.testing.assert_array_equal(made.compute(scheduler="sync"), -x)
    np.testing.assert_array_equal(made[5:40:3, ::-1].compute(), -x[5:40:3, ::-1])


def test_large_computed_arrays_go_through_shards_and_persisted_ones_need_not():
    x = da.random.default_rng(0).random((1000, 2000), chunks=(50, 2000))
    with weft.config.set({"memory.limit": "10MB"}):
        computed = x.rechunk((1000, 100))
        at_hand = x.persist().rechunk((1000, 100))
    assert any(key[0].startswith("shard-") for key in computed.dask if isinstance(key, tuple))
    assert not any("shard-" in str(key) for key in at_hand.dask)
    assert not any("shard-" in str(key) for key in x.rechunk((1000, 100)).dask)
    with weft.config.set({"memory.limit": "10MB"}):
        np.testing.assert_array_equal(computed.compute(), x.compute())
