"""A persisted random array of 10,000 x 10,000 numbers in blocks of 1,000 x 10,000, rechunked to 10,000 x 1,000 and persisted."""

from jobs._arrays import CHUNK, SIDE, digest, lazy, persisted, same

TITLE = "Arrays: from blocks of rows to blocks of columns"


def work(x, xp):
    return x.rechunk((SIDE, CHUNK)).persist().numblocks[1]


SYSTEMS = {
    "weft": lazy("weft", persisted((CHUNK, SIDE)), work),
    "dask": lazy("dask", persisted((CHUNK, SIDE)), work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
