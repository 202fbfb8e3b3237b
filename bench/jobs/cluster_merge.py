"""Two tables of 4 million rows each (`--rows` says otherwise) in 16 Parquet files, merged by a key that few rows share, and a
sum over the result, on four worker processes of one thread each and, for comparison, on as many threads."""

import importlib
import math

import numpy as np

from jobs._cluster import close, on_running_clusters
from jobs._data import DATA, rows

TITLE = "A merge on a cluster"
ROWS, FILES = rows(4e6), 16
ROOT = DATA / f"merge-{ROWS}"


def prepare():
    import pandas as pd

    done = ROOT / "done"
    if not done.exists():
        for side, column in (("left", "x"), ("right", "y")):
            (ROOT / side).mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng(len(column) + ord(column))
            for i in range(FILES):
                n = ROWS // FILES
                table = {
                    "key": rng.integers(0, ROWS, n),
                    column: rng.random(n),
                    "text": rng.choice(["a", "bb"], n),
                }
                pd.DataFrame(table).to_parquet(ROOT / side / f"{i:02}.parquet", index=False)
        done.touch()


def merged(package):
    def ready():
        dd = importlib.import_module(f"{package}.dataframe")

        def run():
            left, right = (dd.read_parquet(str(ROOT / side / "*.parquet")) for side in ("left", "right"))
            both = left.merge(right, on="key", npartitions=FILES)
            return [float(v) for v in (both.x * both.y).groupby(both.text_x).sum().compute()]

        return run

    return ready


def work(client):
    return merged("weft" if type(client).__module__.startswith("weft") else "dask")()()


SYSTEMS = {**on_running_clusters(work, ("weft", "dask")), "threads": merged("weft")}


def digest(answer):
    close()
    return sorted(answer)


def same(a, b):
    return all(math.isclose(x, y, rel_tol=1e-9) for x, y in zip(a, b, strict=True))
