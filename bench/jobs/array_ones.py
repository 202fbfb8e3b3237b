"""`(((x*2 + 1)**2 - x)/3).mean()` and `(x + x.T).sum()` of `ones` of 10,000 x 10,000 in blocks of 1,000 x 1,000."""

from jobs._arrays import CHUNK, SIDE, digest, lazy, plain, same

TITLE = "Arrays: of ones, which need not exist"


def source(xp):
    return xp.ones((SIDE, SIDE)) if xp.__name__ == "numpy" else xp.ones((SIDE, SIDE), chunks=(CHUNK, CHUNK))


def work(x, xp):
    both = (((x * 2 + 1) ** 2 - x) / 3).mean(), (x + x.T).sum()
    return sum(part.compute() if hasattr(part, "compute") else part for part in both)


SYSTEMS = {
    "weft": lazy("weft", source, work),
    "dask": lazy("dask", source, work),
    "numpy": plain(source, work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
