"""`((x + 1) * (x + 1).T).sum()` on a grid of 600 x 600 chunks, summed in a tree: more than a million tasks.
weft's graph program (`crates/weft-graph/examples/graph_million.rs`, the whole process) builds the layers, expands
them, orders the tasks and draws a picture of the whole; Dask builds its graph of the same expression and orders it."""

import pathlib
import re
import subprocess

TITLE = "A graph of a million tasks, built and ordered"
ROUNDS = 1  # Dask takes minutes
ROOT = pathlib.Path(__file__).parents[2]
BLOCKS = 600


def prepare():
    build = ["cargo", "build", "--quiet", "--release", "-p", "weft-graph", "--example", "graph_million"]
    subprocess.run(build, cwd=ROOT, check=True)


def weft():
    program = ROOT / "target" / "release" / "examples" / "graph_million"

    def run():
        done = subprocess.run([program, str(BLOCKS)], check=True, capture_output=True, text=True)
        return int(re.match(r"(\d+) tasks", done.stdout)[1])

    return run


def dask():
    import dask.array as da
    from dask.order import order

    def run():
        x = da.ones((BLOCKS, BLOCKS), chunks=1)
        total = ((x + 1) * (x + 1).T).sum(split_every={0: 4, 1: 4})
        graph = dict(total.__dask_graph__())
        return len(order(graph))

    return run


SYSTEMS = {"weft": weft, "dask": dask}


def digest(answer):
    return answer


def same(a, b):
    """The two cut the expression into tasks differently; both graphs must be of the size in the title."""
    return min(a, b) > 1_000_000


__all__ = ["ROUNDS", "SYSTEMS", "TITLE", "digest", "prepare", "same"]
