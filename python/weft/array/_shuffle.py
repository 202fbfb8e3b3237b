"""Elements along an axis in another order, in groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weft import config
from weft.array._chunks import is_known
from weft.array._indexing import cached_starts, plan_take
from weft.array._layers import regrid
from weft.array.utils import validate_axis
from weft.base import tokenize


def shuffle(x: Any, indexer: list, axis: int, chunks: Any = "auto") -> Any:
    """Reorders elements along an axis so that each group of them lies in one block.

    Parameters
    ----------
    x : Array
    indexer : list of lists of int
        The positions of each group's elements.
    axis : int
    chunks : "auto"
        Other axes are cut smaller where groups make blocks larger.

    Returns
    -------
    Array

    Raises
    ------
    ValueError, IndexError
        If the indexer is no list of lists of positions, or the axis has unknown chunks.

    Examples
    --------
    >>> import weft.array as da
    >>> da.shuffle(da.arange(4, chunks=2), [[0, 2], [1, 3]], axis=0).compute()
    array([0, 2, 1, 3])
    """
    axis = validate_axis(axis, x.ndim)
    if not all(map(is_known, x.chunks[axis])):
        raise ValueError(f"Shuffling only allowed with known chunk sizes. Axis {axis} has {x.chunks[axis]}")
    if not isinstance(indexer, list) or not all(isinstance(group, list) for group in indexer):
        raise ValueError("indexer must be a list of lists of positional indices")
    n = x.shape[axis]
    most = max((max(group) for group in indexer if group), default=-1)
    if most >= n:
        raise IndexError(f"Indexer contains out of bounds index. Dimension only has {n} elements.")
    x = _rechunk_other_dimensions(x, max(map(len, indexer)), axis, chunks)
    tolerance = config.get("array.chunk-size-tolerance")
    limit = int(sum(x.chunks[axis]) / len(x.chunks[axis]) * tolerance)
    sizes: list[int] = []
    current = 0
    for group in indexer:
        # Groups that fit share a block.
        if current and current + len(group) > limit:
            sizes.append(current)
            current = 0
        current += len(group)
    if current:
        sizes.append(current)
    wanted = np.asarray([i for group in indexer for i in group], dtype=np.int64)
    plans = [[([(k, slice(None))], None) for k in range(m)] for m in x.numblocks]
    plans[axis], new = plan_take(x.chunks[axis], cached_starts(x.chunks[axis]), wanted, sizes)
    out = (*x.chunks[:axis], new, *x.chunks[axis + 1 :])
    return regrid(x, plans, out, f"shuffle-{tokenize(x, indexer, axis, chunks)}", x._meta)


def _rechunk_other_dimensions(x: Any, longest_group: int, axis: int, chunks: Any) -> Any:
    """Other axes cut smaller, so that blocks do not grow by the longest group."""
    if chunks != "auto":
        raise ValueError(f"chunks must be 'auto', got {chunks!r}")
    largest = max(x.chunks[axis])
    if longest_group <= largest or x.ndim == 1:
        return x
    factor = longest_group / largest
    others = [a for a in range(x.ndim) if a != axis and all(map(is_known, x.chunks[a]))]
    if not others:
        return x
    new: dict[int, Any] = {}
    for a in sorted(others, key=lambda a: -max(x.chunks[a])):
        share = factor ** (1 / (len(others) - len(new)))
        size = max(1, math.ceil(max(x.chunks[a]) / share))
        factor /= max(x.chunks[a]) / size
        new[a] = size
    return x.rechunk({a: tuple(p for c in x.chunks[a] for p in _cut(c, s)) for a, s in new.items()})


def _cut(n: int, size: int) -> list[int]:
    return [size] * (n // size) + ([n % size] if n % size else [])
