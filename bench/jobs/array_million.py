"""`((x + 1) * (x + 1).T).sum()` of `ones` of 1,000 x 1,000 in blocks of one number: the expression, and its graph."""

from jobs._arrays import digest, lazy, same

TITLE = "Arrays: an expression of a million blocks, built and lowered"


def source(da):
    return da


def work(x, da):
    ones = da.ones((1000, 1000), chunks=1)
    total = ((ones + 1) * (ones + 1).T).sum()
    total.__dask_graph__()
    return total.ndim


SYSTEMS = {
    "weft": lazy("weft", source, work),
    "dask": lazy("dask", source, work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
