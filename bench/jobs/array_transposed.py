"""`(x + x.T).sum()` of a persisted random `x` of 10,000 x 10,000 numbers in blocks of 1,000 x 1,000, which reads all of it twice.
`reading` reads it once."""

from jobs._arrays import close, digest, drawn, lazy, persisted, plain, reading

TITLE = "Arrays: an array and its transpose"
same = close(1e-3)


def work(x, xp):
    total = (x + x.T).sum()
    return total.compute() if hasattr(total, "compute") else total


SYSTEMS = {
    "weft": lazy("weft", persisted(), work),
    "dask": lazy("dask", persisted(), work),
    "numpy": plain(drawn, work),
    "reading": reading(),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
