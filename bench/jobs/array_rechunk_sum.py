"""A persisted random array of 10,000 x 10,000 numbers in blocks of 1,000 x 10,000, rechunked to 10,000 x 1,000; of each
new block the square root of the greatest distance down a column."""

from jobs._arrays import CHUNK, SIDE, close, digest, lazy, persisted

TITLE = "Arrays: from blocks of rows to blocks of columns, each of which is looked at"
same = close(1e-2)


def spread(block):
    return abs(block[-1:] - block[:1]).max(keepdims=True)


def work(x, da):
    columns = x.rechunk((SIDE, CHUNK))
    return columns.map_blocks(spread, chunks=((1,), (1,) * columns.numblocks[1])).sum().compute()


SYSTEMS = {
    "weft": lazy("weft", persisted((CHUNK, SIDE)), work),
    "dask": lazy("dask", persisted((CHUNK, SIDE)), work),
}

__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
