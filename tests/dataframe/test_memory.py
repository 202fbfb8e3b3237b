"""Work on data that is larger than memory may be: it goes through disk and stays within bounds."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

#: Megabytes: of the data, of the budget, and of what a process may grow beyond what it needs anyway. What running
#: tasks work on is not the store's: the groups of four partitions take more than their rows.
DATA, BUDGET = 480, 80
ALLOWED = {"groupby": 450, "sort_values": 330, "set_index": 330, "merge": 330}

JOB = """
import json, os, resource, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
import weft, weft.dataframe as dd

folder, job, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
weft.config.set({"memory.limit": sys.argv[4]})


def resident():
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmHWM"].split()[0]) * 1024


def forget():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


df = dd.read_parquet(folder + "/a.parquet", split_row_groups=1)
dd.read_parquet(folder + "/a.parquet").partitions[0].compute()  # What every process needs.
forget()
before = resident()
if job == "groupby":
    groups = df.groupby("key").agg({"x": "sum", "y": "mean"}, split_out=16)
    answer = [int(groups.x.sum().compute()), len(groups)]
elif job == "sort_values":
    ordered = df.sort_values("x")
    first = ordered.partitions[0].compute().x
    answer = [int(len(ordered)), bool(first.is_monotonic_increasing), int(first.iloc[0])]
elif job == "set_index":
    ordered = df.set_index("x")
    heads = ordered.map_partitions(lambda part: part.index.is_monotonic_increasing, meta=("x", bool))
    answer = [int(ordered.key.sum().compute()), bool(all(heads.compute()))]
elif job == "merge":
    other = dd.read_parquet(folder + "/b.parquet", split_row_groups=1)
    joined = df.merge(other, on="key", broadcast=False)
    answer = [int(joined.z.sum().compute())]
print(json.dumps({"answer": answer, "grown": resident() - before}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path_factory.mktemp("large")
    rows = DATA * 10**6 // 32
    rng = np.random.default_rng(0)
    # As many groups as half the rows, and everything in no order.
    x = rng.permutation(rows)
    key = rng.integers(0, rows // 2, rows)
    table = pa.table({"key": key, "x": x, "y": rng.random(rows), "z": np.ones(rows, "int64")})
    pq.write_table(table, path / "a.parquet", row_group_size=rows // 24, compression="none")
    other = pa.table({"key": np.arange(rows // 2), "z": np.full(rows // 2, 2)}).take(
        pa.array(rng.permutation(rows // 2))
    )
    pq.write_table(other.rename_columns(["key", "other"]), path / "b.parquet", row_group_size=rows // 24)
    yield path, rows, len(np.unique(key)), int(key.sum())
    for file in path.iterdir():
        file.unlink()


@pytest.mark.skipif(not pathlib.Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize("job", ["groupby", "sort_values", "set_index", "merge"])
def test_the_budget_bounds_what_is_resident(folder, job):
    path, rows, groups, keys = folder
    command = [sys.executable, "-W", "ignore", "-c", JOB, str(path), job, str(rows), f"{BUDGET}MB"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = {
        "groupby": [rows * (rows - 1) // 2, groups],
        "sort_values": [rows, True, 0],
        "set_index": [keys, True],
        "merge": [rows],
    }
    assert found["answer"] == expected[job]
    assert found["grown"] < ALLOWED[job] * 10**6, f"{job} grew by {found['grown'] / 1e6:.0f} MB"
