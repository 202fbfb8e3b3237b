"""The same array in other blocks."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from weft import config
from weft._engine import memory_limit
from weft._formats import parse_bytes
from weft._weft import (
    array_count_pieces,
    array_divide_chunks,
    array_join_chunks,
    array_merge_chunks,
    array_plan_rechunk,
    array_split_chunks,
)
from weft.array._chunks import UNKNOWN_HINT, blockdims_from_blockshape, is_known, normalize_chunks, same_sizes
from weft.array._exprs import is_plain
from weft.array._layers import regrid
from weft.array.utils import validate_axis
from weft.base import computes_elsewhere, tokenize

#: Pieces of so many bytes are not worth a step in between, however many there are.
PIECE = 16 << 10
#: Arrays of so many bytes fit into any memory.
SMALL = 4 << 20


def rechunk(
    x: Any,
    chunks: Any = "auto",
    threshold: Any = None,
    block_size_limit: Any = None,
    balance: bool = False,
    method: Any = None,
) -> Any:
    """Cuts an array in another way.

    Parameters
    ----------
    x : Array
    chunks : int, tuple, dict or str
        The new blocks; see `normalize_chunks`. A dict changes some axes.
    threshold : int, optional
        How many times more pieces than blocks, old and new, one step may move before there is a step in between; the
        setting ``array.rechunk.threshold`` by default, and then only where pieces are small.
    block_size_limit : int, optional
        Bytes of automatic chunks, and of blocks between steps.
    balance : bool
        Whether to make blocks of nearly equal size.
    method : {"tasks", "p2p"}, optional
        ``"p2p"`` cuts each old block at once into the parts that go to different new ones, which may then wait on disk
        or go to other workers; ``"tasks"`` makes a new block directly of the old ones, all of which wait for that. By
        default (also the setting ``array.rechunk.method``) whichever fits: parts on a cluster, and for an array that is
        computed and larger than half the setting ``memory.limit``.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the chunks do not fit, or sizes are unknown where they matter.

    Examples
    --------
    >>> import weft.array as da
    >>> da.ones((4, 4), chunks=(1, 4)).rechunk((4, 1)).chunks
    ((4,), (1, 1, 1, 1))
    """
    method = method or config.get("array.rechunk.method", None)
    if method not in (None, "tasks", "p2p"):
        raise NotImplementedError(f"unknown method of rechunking {method!r}: use 'tasks' or 'p2p'")
    if x.ndim > 0 and all(n == 0 for n in x.shape):
        return x
    if isinstance(chunks, Mapping):
        given = {validate_axis(a, x.ndim): c for a, c in chunks.items()}
        chunks = tuple(
            given[a] if a in given and given[a] is not None else x.chunks[a] for a in range(x.ndim)
        )
    elif isinstance(chunks, (tuple, list)):
        chunks = (
            tuple(old if new is None else new for new, old in zip(chunks, x.chunks))
            if len(chunks) == x.ndim
            else tuple(chunks)
        )
    if not isinstance(chunks, str) and isinstance(chunks, tuple) and len(chunks) == x.ndim:
        chunks = tuple(
            old
            if isinstance(new, tuple)
            and same_sizes(new, old)
            or (not all(map(is_known, old)) and new in (-1, None) and len(old) == 1)
            else new
            for new, old in zip(chunks, x.chunks)
        )
    unknown = [a for a, c in enumerate(x.chunks) if not all(map(is_known, c))]
    if unknown and isinstance(chunks, (tuple, list)):
        for a in unknown:
            if not (isinstance(chunks[a], tuple) and same_sizes(chunks[a], x.chunks[a])):
                raise ValueError(
                    "Chunks must be unchanging along dimensions with unknown sizes: Arrays chunk sizes are unknown, "
                    f"axis {a} has {x.chunks[a]} and cannot become {chunks[a]}.{UNKNOWN_HINT}"
                )
        known = [a for a in range(x.ndim) if a not in unknown]
        part = (
            normalize_chunks(
                tuple(chunks[a] for a in known),
                tuple(x.shape[a] for a in known),
                limit=block_size_limit,
                dtype=x.dtype,
                previous_chunks=tuple(x.chunks[a] for a in known),
            )
            if known
            else ()
        )
        new = list(x.chunks)
        for a, c in zip(known, part):
            new[a] = c
        chunks = tuple(new)
    else:
        if unknown:
            raise ValueError(f"Arrays chunk sizes are unknown: {x.chunks}.{UNKNOWN_HINT}")
        chunks = normalize_chunks(
            chunks, x.shape, limit=block_size_limit, dtype=x.dtype, previous_chunks=x.chunks
        )
    if balance:
        chunks = tuple(_balanced(c) for c in chunks)
    if len(chunks) != x.ndim:
        raise ValueError("Provided chunks are not consistent with shape")
    if all(same_sizes(a, b) for a, b in zip(chunks, x.chunks)):
        return x
    if is_plain(x._meta) and not unknown:
        from weft.array.core import Array

        bounds, limit = _bounds(threshold, block_size_limit)
        piece = sys.maxsize if threshold else PIECE
        shards = method == "p2p" or (method is None and computes_elsewhere())
        if not shards and method is None and x.nbytes > SMALL:
            memory = memory_limit(config.get("memory.limit", None)) or sys.maxsize
            if x.nbytes > memory // 2:
                shards = True
                limit = min(limit, memory // 16)
        expr = x._expr.rechunk_in_steps(chunks, x.dtype.itemsize, bounds, limit, piece, shards)
        return Array._of(expr, x._meta)
    plans = [_plan(old, new) for old, new in zip(x.chunks, chunks)]
    return regrid(x, plans, chunks, f"rechunk-merge-{tokenize(x, chunks)}", x._meta)


def _bounds(threshold: Any, limit: Any) -> tuple[int, int]:
    """Of a plan: the growth of the graph, and the bytes of a block."""
    threshold = threshold or config.get("array.rechunk.threshold")
    limit = limit or config.get("array.chunk-size")
    return int(threshold), parse_bytes(limit) if isinstance(limit, str) else int(limit)


def _plan(old: tuple, new: tuple) -> list:
    if same_sizes(old, new):
        return [([(k, slice(None))], None) for k in range(len(old))]
    return [([(k, _whole(s, old[k])) for k, s in pieces], None) for pieces in old_to_new((old,), (new,))[0]]


def _whole(s: slice, n: Any) -> slice:
    return slice(None) if s.start == 0 and s.stop == n else s


def old_to_new(old_chunks: Any, new_chunks: Any) -> list:
    """For each axis and each new block, the parts of old blocks that it consists of.

    Examples
    --------
    >>> old_to_new(((3, 3),), ((2, 4),))
    [[[(0, slice(0, 2, None))], [(0, slice(2, 3, None)), (1, slice(0, 3, None))]]]

    Raises
    ------
    ValueError
        If unknown sizes change.
    """
    result = []
    for old, new in zip(old_chunks, new_chunks):
        if not all(map(is_known, (*old, *new))):
            if not same_sizes(old, new):
                raise ValueError(
                    f"Chunks must be unchanging along dimensions with missing values.{UNKNOWN_HINT}"
                )
            result.append([[(k, slice(0, n if is_known(n) else None, None))] for k, n in enumerate(old)])
            continue
        edges = [0, *accumulate(old)]
        axis = []
        start = block = 0
        for n in new:
            stop = start + n
            pieces = []
            if n == 0:
                block_ = min(block, len(old) - 1)
                pieces.append((block_, slice(0, 0, None)))
            k = block
            while k < len(old) and edges[k] < stop:
                a, b = max(start, edges[k]), min(stop, edges[k + 1])
                if a < b:
                    pieces.append((k, slice(a - edges[k], b - edges[k], None)))
                if edges[k + 1] > stop:
                    break
                k += 1
            block = min(k, len(old) - 1)
            while block > 0 and edges[block] > stop:
                block -= 1
            axis.append(pieces)
            start = stop
        result.append(axis)
    return result


def intersect_chunks(old_chunks: Any, new_chunks: Any) -> Any:
    """For each new block, row by row, the parts of old blocks that it consists of.

    Returns
    -------
    iterator
        Of tuples of tuples ``((block number, slice), …)`` with one pair for each axis.
    """
    from itertools import product

    for combo in product(*old_to_new(old_chunks, new_chunks)):
        yield tuple(product(*combo))


def _balanced(sizes: tuple) -> tuple:
    """As many blocks (or one less, if a small one is left over) of sizes that differ as little as possible."""
    if len(set(sizes)) == 1 or not all(map(is_known, sizes)):
        return sizes
    n, count = sum(sizes), len(sizes) - (2 * min(sizes) <= max(sizes))
    # Sizes up to half as small or large as the usual one are tried.
    usual = int(np.median(sizes))
    tried = range(max(1, usual - usual // 2), usual + usual // 2 + 1)
    cuts = (blockdims_from_blockshape((n,), (size,))[0] for size in tried if -(-n // size) == count)
    best = min(cuts, key=lambda cut: max(cut) - min(cut), default=None)
    if best is not None:
        return best
    warnings.warn(
        f"chunk size balancing not possible with given chunks: {n} elements do not come in {count} blocks of one size "
        "and a smaller last one. Try increasing the chunk size.",
        UserWarning,
        stacklevel=4,
    )
    return sizes


def estimate_graph_size(old_chunks: Any, new_chunks: Any) -> int:
    """How many pieces going from the old to the new chunks takes."""
    return array_count_pieces(old_chunks, new_chunks)


def cumdims_label(chunks: Any, const: Any) -> list:
    """Edges of blocks, each with a label."""
    return [[(const, 0), *((const, edge) for edge in accumulate(axis))] for axis in chunks]


def divide_to_width(desired_chunks: tuple, max_width: int) -> tuple:
    """Cuts that are nowhere wider than ``max_width``.

    Examples
    --------
    >>> divide_to_width((5, 2), 3)
    (2, 3, 2)
    """
    return tuple(array_divide_chunks(desired_chunks, int(max_width)))


def merge_to_number(desired_chunks: tuple, max_number: int) -> tuple:
    """Joins the smallest neighbours until at most ``max_number`` are left.

    Examples
    --------
    >>> merge_to_number((1, 1, 5), 2)
    (2, 5)
    """
    return tuple(array_merge_chunks(desired_chunks, int(max_number)))


def find_merge_rechunk(old_chunks: Any, new_chunks: Any, block_size_limit: int) -> tuple[tuple, bool]:
    """Blocks joined towards the new ones, where none grows beyond ``block_size_limit`` elements.

    Returns
    -------
    chunks : tuple of tuples
    at_limit : bool
        Whether a block would have grown beyond.
    """
    chunks, at_limit = array_join_chunks(old_chunks, new_chunks, int(block_size_limit))
    return tuple(map(tuple, chunks)), at_limit


def find_split_rechunk(old_chunks: Any, new_chunks: Any, graph_size_limit: float) -> tuple:
    """Blocks split towards the new ones, while a step to these moves at most ``graph_size_limit`` pieces."""
    return tuple(map(tuple, array_split_chunks(old_chunks, new_chunks, int(graph_size_limit))))


def plan_rechunk(
    old_chunks: Any, new_chunks: Any, itemsize: int, threshold: Any = None, block_size_limit: Any = None
) -> list:
    """The steps that rechunking takes: the chunks after each.

    Parameters
    ----------
    old_chunks, new_chunks : tuple of tuples
    itemsize : int
        Bytes of an element.
    threshold : int, optional
        How many times more pieces than blocks one step may move.
    block_size_limit : int or str, optional
        Bytes of blocks between steps.

    Returns
    -------
    list of tuples of tuples
        The last are ``new_chunks``.

    Examples
    --------
    >>> plan_rechunk(((2, 2), (4,)), ((4,), (2, 2)), 8)
    [((4,), (2, 2))]
    """
    if not all(is_known(n) for axis in (*old_chunks, *new_chunks) for n in axis):
        return [new_chunks]
    steps = array_plan_rechunk(
        old_chunks, new_chunks, max(1, itemsize), *_bounds(threshold, block_size_limit)
    )
    return [tuple(map(tuple, step)) for step in steps]
