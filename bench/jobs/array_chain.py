"""`(((x*2 + 1)**2 - x)/3).mean()` of a persisted random `x` of 10,000 x 10,000 numbers in blocks of 1,000 x 1,000. `reading`
reads as much memory and does nothing with it."""

from jobs._arrays import close, digest, drawn, lazy, persisted, plain, reading

TITLE = "Arrays: a chain of arithmetic and its mean"
same = close(1e-3)


def work(x, xp):
    mean = (((x * 2 + 1) ** 2 - x) / 3).mean()
    return mean.compute() if hasattr(mean, "compute") else mean


SYSTEMS = {
    "weft": lazy("weft", persisted(), work),
    "dask": lazy("dask", persisted(), work),
    "numpy": plain(drawn, work),
    "reading": reading(),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
