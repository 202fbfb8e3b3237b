"""`(((x*2 + 1)**2 - x)/3).mean()` of `arange(100,000,000.0)` in blocks of a million."""

from jobs._arrays import CHUNK, SIDE, digest, lazy, plain, same

TITLE = "Arrays: of a count, which need not exist"


def source(xp):
    if xp.__name__ == "numpy":
        return xp.arange(float(SIDE * SIDE))
    return xp.arange(float(SIDE * SIDE), chunks=CHUNK * CHUNK)


def work(x, xp):
    mean = (((x * 2 + 1) ** 2 - x) / 3).mean()
    return mean.compute() if hasattr(mean, "compute") else mean


SYSTEMS = {
    "weft": lazy("weft", source, work),
    "dask": lazy("dask", source, work),
    "numpy": plain(source, work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
