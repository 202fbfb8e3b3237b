"""`x[::7, 3:9000].mean(1)` of a persisted random `x` of 10,000 x 10,000 numbers in blocks of 1,000 x 1,000, then summed."""

from jobs._arrays import SIDE, close, digest, drawn, lazy, persisted, plain

TITLE = "Arrays: part of an array"
same = close(1e-3)


def work(x, xp):
    means = x[::7, 3 : SIDE * 9 // 10].mean(1)
    return (means.compute() if hasattr(means, "compute") else means).sum()


SYSTEMS = {
    "weft": lazy("weft", persisted(), work),
    "dask": lazy("dask", persisted(), work),
    "numpy": plain(drawn, work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
