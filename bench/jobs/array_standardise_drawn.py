"""`abs((r - r.mean(0))/r.std(0)).mean()`, `r` being 10,000 x 10,000 random numbers in blocks of 1,000 x 1,000, which NumPy draws for
both systems."""

from jobs._arrays import CHUNK, SIDE, close, digest, lazy

TITLE = "Arrays: standardised columns of numbers that are drawn"
same = close(1e-3)


def source(da):
    return da.random.default_rng(0).random((SIDE, SIDE), chunks=(CHUNK, CHUNK))


def work(r, xp):
    return abs((r - r.mean(0)) / r.std(0)).mean().compute()


SYSTEMS = {
    "weft": lazy("weft", source, work),
    "dask": lazy("dask", source, work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
