"""Arrays larger than the memory they may use: how long, and how much memory at most.

    python bench/larger/arrays.py [--size 30GB] [--rechunk 12GB] [--budget 2GB] [--directory /tmp] [--peer]

``standardise``: a random array, each column less its mean and over its deviation, reduced to a few numbers that are checked
against what they must be. ``rechunk``: a Zarr array in rows, written as one in columns, and read back. Each runs in a process of its
own, with the setting ``memory.limit`` at the budget; its peak resident memory is what the system says of that process (the interpreter
with its libraries takes some 100 MB of it). ``--peer`` runs the same on Dask's threads, which know no budget.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

COLUMNS = 1000


def parse_bytes(text):
    units = {"GB": 10**9, "MB": 10**6, "GiB": 2**30, "MiB": 2**20}
    for unit, factor in units.items():
        if text.endswith(unit):
            return int(float(text[: -len(unit)]) * factor)
    return int(text)


def library(name):
    if name == "dask":
        import dask.array as da

        return da
    import weft.array as da

    return da


def standardise(da, size, budget, directory):
    rows = size // (8 * COLUMNS)
    chunk = min(rows, max(1, 2**25 // (8 * COLUMNS)))
    r = da.random.default_rng(7).normal(3, 2, size=(rows, COLUMNS), chunks=(chunk, COLUMNS))
    z = (r - r.mean(0)) / r.std(0)
    total, squares, largest = (float(v) for v in compute(da, z.sum(), (z**2).sum(), abs(z).max()))
    count = rows * COLUMNS
    assert abs(total) < 1e-6 * count and abs(squares / count - 1) < 1e-6 and 4 < largest < 9, (
        total,
        squares,
        largest,
    )
    return rows * COLUMNS * 8


def rechunk(da, size, budget, directory):
    import numpy as np

    side = int((size / 8) ** 0.5) // 256 * 256
    step = max(1, 2**25 // (8 * side))
    x = da.arange(side * side, chunks=side * step, dtype="f8").reshape(side, side)
    rows, columns = str(directory / "rows.zarr"), str(directory / "columns.zarr")
    x.rechunk((step, side)).to_zarr(rows)
    da.from_zarr(rows).rechunk((side, step)).to_zarr(columns)
    back = da.from_zarr(columns)
    assert back.chunks[0] == (side,)
    for i in (0, side // 3, side - 1):
        np.testing.assert_array_equal(back[i, :].compute(), np.arange(i * side, (i + 1) * side, dtype="f8"))
    return side * side * 8


def compute(da, *values):
    if da.__name__.startswith("dask"):
        import dask

        return dask.compute(*values)
    import weft

    return weft.compute(*values)


class Watch(threading.Thread):
    """The most that spilling takes on disk."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.directory, self.most, self.done = directory, 0, threading.Event()

    def run(self):
        while not self.done.wait(0.5):
            self.most = max(self.most, sum(size_of(f) for f in files(self.directory)))


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:  # Read back since it was listed.
        return 0


def files(directory):
    for root, _, names in os.walk(directory):
        for name in names:
            path = Path(root, name)
            yield path


def child(job, name, size, budget, directory):
    da = library(name)
    spill = Path(directory, "spill")
    spill.mkdir()
    if name == "weft":
        import weft

        weft.config.set({"memory.limit": budget, "temporary-directory": str(spill)})
    watch = Watch(spill)
    watch.start()
    start = time.perf_counter()
    done = {"standardise": standardise, "rechunk": rechunk}[job](da, size, budget, Path(directory))
    seconds = time.perf_counter() - start
    watch.done.set()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"bytes": done, "seconds": seconds, "peak": peak, "spilled": watch.most}))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="30GB", type=parse_bytes)
    parser.add_argument("--rechunk", default="12GB", type=parse_bytes)
    parser.add_argument("--budget", default="2GB", type=parse_bytes)
    parser.add_argument("--directory", default=None)
    parser.add_argument("--job", action="append", choices=["standardise", "rechunk"])
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--child", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--library", default="weft", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.library, given.size, given.budget, given.directory)
        return
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, budget {given.budget / 1e9:.2f} GB")
    for job in given.job or ["standardise", "rechunk"]:
        size = given.size if job == "standardise" else given.rechunk
        for name in ["weft", "dask"] if given.peer else ["weft"]:
            place = tempfile.mkdtemp(prefix="weft-larger-", dir=given.directory)
            try:
                command = [sys.executable, __file__, "--child", job, "--library", name, "--directory", place]
                command += ["--size", str(size), "--budget", str(given.budget)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            finally:
                shutil.rmtree(place, ignore_errors=True)
            if done.returncode:
                print(f"{job:12} {name:5} ended with {done.returncode}")
                continue
            seen = json.loads(done.stdout)
            print(
                f"{job:12} {name:5} {seen['bytes'] / 1e9:6.2f} GB in {seen['seconds']:6.1f} s, "
                f"peak memory {seen['peak'] / 1e9:5.2f} GB, spilled at most {seen['spilled'] / 1e9:5.2f} GB"
            )


if __name__ == "__main__":
    main()
