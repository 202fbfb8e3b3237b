"""`linalg.svd_compressed(x, 10, seed=0)` of a persisted random `x` of 10,000 x 10,000 numbers; the singular values."""

from jobs._arrays import close, digest, lazy, persisted

TITLE = "Arrays: a compressed singular value decomposition"
same = close(1e-2)


def work(x, da):
    _, values, _ = da.linalg.svd_compressed(x, 10, seed=0)
    return values[0].compute()


SYSTEMS = {
    "weft": lazy("weft", persisted(), work),
    "dask": lazy("dask", persisted(), work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
