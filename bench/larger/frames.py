"""Frames larger than the memory they may use: how long, and how much memory at most.

    python bench/larger/frames.py [--scale 1] [--budget 2GB] [--job sort_values] [--directory /tmp] [--peer]

With ``--scale 1``: ``groupby`` has 100 million rows and 50 million groups, ``merge`` joins two frames of 8 GB, ``sort_values`` and
``set_index`` order 16 GB each. Partitions are made when they are read, and held by nobody; the scale and the budget shrink them alike.
Answers are checked against what they must be. Each job runs in a process of its own, with the setting ``memory.limit`` at the budget;
its peak resident memory is what the system says of that process. What an interpreter with its libraries takes is said beside it.
``--peer`` runs the same on Dask's threads, which know no budget.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from arrays import Watch, parse_bytes

#: Rows of 32 bytes: a key that occurs in no order, its place, and two numbers.
ROW = 32
#: Bytes of a partition, for a budget of 2 GB.
PART = 64 * 10**6


class Rows:
    """Rows ``start`` to ``stop`` of a table whose keys are ``multiplier * row % modulus``."""

    def __init__(self, rows, part, modulus, other="x"):
        self.rows, self.part, self.modulus, self.other = rows, part, modulus, other

    def __call__(self, number):
        start = number * self.part
        row = np.arange(start, min(start + self.part, self.rows))
        key = scattered(row, self.modulus)
        return pd.DataFrame({"key": key, self.other: row, "y": key * 0.5, "z": row % 7 + 0.25})

    def frame(self, dd):
        count = -(-self.rows // self.part)
        return dd.from_map(self, range(count), meta=self(0).iloc[:0], label="rows")


def scattered(row, modulus):
    """Each number below ``modulus``, which is no multiple of a prime, once in so many rows."""
    return row % modulus * 1_000_003 % modulus


def some_modulus(rows):
    return rows + 1 if rows % 1_000_003 == 0 else rows


def groupby(dd, scale, part):
    rows = int(100e6 * scale)
    groups = rows // 2
    # 24 bytes of these are read.
    df = Rows(2 * groups, part, groups).frame(dd)
    result = df.groupby("key").agg({"x": "sum", "y": "mean", "z": "count"}, **many(dd, df))
    found = result.map_partitions(
        summary_of_groups, meta=pd.DataFrame(columns=["n", "x", "y", "z"], dtype="f8")
    )
    n, x, y, z = found.compute().sum()
    assert (n, x, z) == (groups, float(2 * groups * (2 * groups - 1) // 2), 2.0 * groups), (n, x, z, groups)
    assert abs(y - 0.25 * groups * (groups - 1)) < 1e-9 * y, (y, groups)
    return 2 * groups * ROW


def many(dd, df):
    """How a result in several partitions is asked for: nobody knows beforehand how many groups there are."""
    return {"split_out": df.npartitions}


def summary_of_groups(part):
    table = {"n": len(part), "x": float(part.x.sum()), "y": part.y.sum(), "z": float(part.z.sum())}
    return pd.DataFrame([table], dtype="f8")


def merge(dd, scale, part):
    rows = int(8e9 * scale) // ROW
    modulus = some_modulus(rows)
    left, right = Rows(rows, part, modulus).frame(dd), Rows(rows, part, modulus, "w").frame(dd)
    # The other side in another order: row i of it has the key of row i of the first only by the key.
    right = right.assign(key=(right.key + 17) % modulus)
    joined = left.merge(right[["key", "w", "z"]], on="key", how="inner", suffixes=("", "_r"))
    found = joined.map_partitions(
        summary_of_join, meta=pd.DataFrame(columns=["n", "x", "w", "bad"], dtype="f8")
    )
    n, x, w, bad = found.compute().sum()
    total = float(rows * (rows - 1) // 2)
    assert (n, x, w, bad) == (rows, total, total, 0), (n, x, w, bad, rows, total)
    return 2 * rows * ROW


def summary_of_join(part):
    wrong = int((part.key != part.y * 2).sum())
    table = {"n": len(part), "x": float(part.x.sum()), "w": float(part.w.sum()), "bad": wrong}
    return pd.DataFrame([table], dtype="f8")


def sort_values(dd, scale, part):
    rows = int(16e9 * scale) // ROW
    df = Rows(rows, part, some_modulus(rows)).frame(dd)
    check_order(df.sort_values("key", ignore_index=True), rows)
    return rows * ROW


def set_index(dd, scale, part):
    rows = int(16e9 * scale) // ROW
    df = Rows(rows, part, some_modulus(rows)).frame(dd)
    result = df.set_index("key")
    assert result.known_divisions and result.divisions[0] == 0, result.divisions
    check_order(result, rows)
    return rows * ROW


def check_order(df, rows):
    columns = ["n", "first", "last", "rising", "x", "bad"]
    found = df.map_partitions(summary_of_order, meta=pd.DataFrame(columns=columns, dtype="f8")).compute()
    assert (found.n.sum(), found.bad.sum(), found.rising.all()) == (rows, 0, True), found.sum()
    assert found.x.sum() == float(rows * (rows - 1) // 2)
    found = found[found.n > 0]
    assert (found["first"].to_numpy()[1:] > found["last"].to_numpy()[:-1]).all()


def summary_of_order(part):
    keys = part.key if "key" in part.columns else part.index.to_series()
    ends = [keys.iloc[0], keys.iloc[-1]] if len(keys) else [0, 0]
    rising = bool(keys.is_monotonic_increasing and keys.is_unique)
    bad = int((keys.to_numpy() != part.y.to_numpy() * 2).sum())
    row = [len(part), *ends, rising, float(part.x.sum()), bad]
    return pd.DataFrame([row], columns=["n", "first", "last", "rising", "x", "bad"], dtype="f8")


JOBS = {"groupby": groupby, "merge": merge, "sort_values": sort_values, "set_index": set_index}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(job, name, scale, budget, directory):
    spill = Path(directory, "spill")
    spill.mkdir()
    if name == "weft":
        import weft
        import weft.dataframe as dd

        weft.config.set({"memory.limit": budget, "temporary-directory": str(spill)})
    else:
        import dask
        import dask.dataframe as dd

        dask.config.set({"temporary-directory": str(spill)})
    # What every process of this kind needs.
    dd.from_pandas(Rows(10, 10, 7)(0), npartitions=2).groupby("key").sum().compute()
    alone = peak()
    watch = Watch(spill)
    watch.start()
    start = time.perf_counter()
    done = JOBS[job](dd, scale, int(PART * budget / 2e9) // ROW)
    seconds = time.perf_counter() - start
    watch.done.set()
    seen = {"bytes": done, "seconds": seconds, "peak": peak(), "alone": alone, "spilled": watch.most}
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({**seen, "cpu": used.ru_utime + used.ru_stime}))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", default=1.0, type=float)
    parser.add_argument("--budget", default="2GB", type=parse_bytes)
    parser.add_argument("--directory", default=None)
    parser.add_argument("--job", action="append", choices=list(JOBS))
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--child", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--library", default="weft", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.library, given.scale, given.budget, given.directory)
        return
    print(
        f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, budget {given.budget / 1e9:.2f} GB",
        flush=True,
    )
    for job in given.job or JOBS:
        for name in ["weft", "dask"] if given.peer else ["weft"]:
            place = tempfile.mkdtemp(prefix="weft-larger-", dir=given.directory)
            try:
                command = [sys.executable, __file__, "--child", job, "--library", name, "--directory", place]
                command += ["--scale", str(given.scale), "--budget", str(given.budget)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            finally:
                shutil.rmtree(place, ignore_errors=True)
            if done.returncode:
                print(f"{job:12} {name:5} ended with {done.returncode}", flush=True)
                continue
            seen = json.loads(done.stdout)
            print(
                f"{job:12} {name:5} {seen['bytes'] / 1e9:6.2f} GB in {seen['seconds']:6.1f} s "
                f"({seen['cpu']:.0f} s of CPU), peak memory {seen['peak'] / 1e9:5.2f} GB "
                f"({seen['alone'] / 1e9:.2f} before), spilled at most {seen['spilled'] / 1e9:5.2f} GB",
                flush=True,
            )


if __name__ == "__main__":
    main()
