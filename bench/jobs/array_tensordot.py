"""`tensordot(x, x, 1)` of the first 4,000 x 4,000 numbers of a persisted random `x`, summed."""

from jobs._arrays import SIDE, close, digest, lazy, persisted

TITLE = "Arrays: a product of matrices"
same = close(1e-2)


def work(x, da):
    part = x[: SIDE * 2 // 5, : SIDE * 2 // 5]
    return da.tensordot(part, part, 1).sum().compute()


SYSTEMS = {
    "weft": lazy("weft", persisted(), work),
    "dask": lazy("dask", persisted(), work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
