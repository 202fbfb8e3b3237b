"""`abs((r - r.mean(0))/r.std(0)).mean()`, `r` being 10,000 x 10,000 random numbers that are persisted, in blocks of 1,000 x 1,000."""

from jobs._arrays import close, digest, lazy, persisted

TITLE = "Arrays: standardised columns"
same = close(1e-3)


def work(r, xp):
    mean = abs((r - r.mean(0)) / r.std(0)).mean()
    return mean.compute() if hasattr(mean, "compute") else mean


SYSTEMS = {
    "weft": lazy("weft", persisted(), work),
    "dask": lazy("dask", persisted(), work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
