"""Layers of arrays: the one place where tasks on blocks are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np

from weft._task_spec import List
from weft._weft import ArrayExpr, Graph
from weft.array._chunks import is_known
from weft.array._exprs import dtype_name, is_plain

#: One piece of a block: the number of the block it comes from, and what of it.
Piece = tuple[int, Any]


def new_array(
    name: str, tasks: dict, inputs: Iterable[Any], chunks: Any, *, meta: Any = None, dtype: Any = None
) -> Any:
    """An array of ``tasks``, which read the arrays ``inputs``."""
    from weft.array.core import Array

    graphs = [x.__dask_graph__() for x in inputs]
    graph = Graph.extend(graphs[0] if len(graphs) == 1 else Graph.merge(graphs), tasks)
    return Array(graph, name, chunks, dtype=dtype, meta=meta)


def positions(numblocks: Sequence[int]) -> Iterable[tuple[int, ...]]:
    """The positions of all blocks, row by row."""
    return product(*(range(n) for n in numblocks))


def nested(ref: Any, axes: Sequence[Sequence[int]]) -> Any:
    """References to blocks as nested lists: ``ref(position)`` for all positions in ``axes``."""
    if not axes:
        return ref(())
    return List(*(nested(lambda rest, i=i: ref((i, *rest)), axes[1:]) for i in axes[0]))


def regrid(x: Any, plans: Sequence[Any], chunks: Any, name: str, meta: Any) -> Any:
    """An array whose blocks are put together of pieces of blocks of ``x``.

    Parameters
    ----------
    x : Array
    plans : list
        For each axis of ``x`` a list: for each new block along it ``(pieces, order)``. The pieces lie one after
        the other; ``order``, unless None, are positions along the axis to take of that. An axis that is
        to vanish has one new block of one piece, whose index is an integer.
    chunks : tuple of tuples
        Of the result.
    name : str
        Identifies the step where Python does it.
    """
    from weft.array.core import Array

    if x._source_ is not None:
        made = x._source_.sliced(plans, chunks, meta, name)
        if made is not None:
            return made
    if is_plain(x._meta) and meta.dtype == x.dtype:
        expr = _native_regrid(x, plans, chunks, name.rsplit("-", 1)[0])
        if expr is not None:
            return Array._of(expr, meta)
    kept = [not _vanishes(plan) for plan in plans]
    expr = ArrayExpr.host_pieces(
        _Gather(plans, kept),
        x._expr,
        [[[piece[0] for piece in pieces] for pieces, _ in plan] for plan in plans],
        kept,
        chunks,
        dtype_name(meta.dtype),
        token=name,
        name=name,
        plain=is_plain(meta),
        label=name.rsplit("-", 1)[0],
    )
    return Array._of(expr, meta)


def _native_regrid(x: Any, plans: Sequence[Any], chunks: Any, word: str) -> Any:
    """The same as an expression without Python, unless blocks of unknown sizes are cut."""
    axes: list = []
    fixed = []
    ordered = False
    for axis, (plan, sizes) in enumerate(zip(plans, x.chunks)):
        if _vanishes(plan):
            [(block, at)] = plan[0][0]
            fixed.append((axis, int(block), int(at)))
            continue
        blocks = []
        for pieces, order in plan:
            ordered = ordered or order is not None
            runs = []
            for block, part in pieces:
                cut = _pick(part, sizes[block])
                if cut is _UNKNOWN:
                    return None
                runs.append((int(block), cut))
            blocks.append(runs)
        axes.append((axis, blocks))
    try:
        expr = x._expr.select(axes, fixed, chunks, name=word)
        if ordered:
            # Then within each block.
            kept = [plan for plan in plans if not _vanishes(plan)]
            axes = [
                (
                    i,
                    [
                        [(k, None if order is None else np.asarray(order).tolist())]
                        for k, (_, order) in enumerate(plan)
                    ],
                )
                for i, plan in enumerate(kept)
            ]
            expr = expr.select(axes, [], chunks, name=word)
        return expr
    except NotImplementedError:
        return None


_UNKNOWN: Any = object()


def _pick(part: Any, size: Any) -> Any:
    """What of a block is taken, as `ArrayExpr.select` wants it."""
    if isinstance(part, slice):
        if part == slice(None):
            return None
        if not is_known(size):
            return _UNKNOWN
        wanted = range(*part.indices(int(size)))
        if wanted.step == 1 and len(wanted) == size:
            return None
        return (wanted.start if len(wanted) else 0, wanted.step, len(wanted))
    return np.asarray(part).tolist()


class _Gather:
    """`gather` for the block at a position."""

    def __init__(self, plans: Sequence[Any], kept: list):
        self.plans, self.kept = plans, kept

    def __call__(self, at: tuple, *blocks: Any) -> Any:
        left = iter(at)
        entries = [plan[next(left) if kept else 0] for plan, kept in zip(self.plans, self.kept)]
        indices = tuple(tuple(piece[1] for piece in pieces) for pieces, _ in entries)
        return gather(indices, tuple(order for _, order in entries), *blocks)


def _vanishes(plan: Any) -> bool:
    return len(plan) == 1 and len(plan[0][0]) == 1 and isinstance(plan[0][0][0][1], (int, np.integer))


def rows(function: Any, x: Any, chunks: Any, meta: Any, name: str) -> Any:
    """An array of ``function(position, block)``, where blocks are counted row by row in both arrays."""
    from weft.array.core import Array

    expr = ArrayExpr.host_rows(
        function,
        x._expr,
        chunks,
        dtype_name(meta.dtype),
        token=name,
        name=name,
        plain=is_plain(meta),
        label=name.rsplit("-", 1)[0],
    )
    return Array._of(expr, meta)


def gather(indices: Any, orders: Any, *blocks: Any) -> Any:
    """Puts pieces of blocks together; see `regrid`."""
    from weft.array.core import concatenate3

    if len(blocks) == 1:
        index = tuple(axis[0] for axis in indices)
        result = _index(blocks[0], index)
    else:
        parts = [_index(block, index) for block, index in zip(blocks, product(*indices))]
        counts = [len(axis) for axis in indices if not isinstance(axis[0], (int, np.integer))]
        result = concatenate3(_nest(parts, counts))
    axis = 0
    for index, order in zip(indices, orders):
        if isinstance(index[0], (int, np.integer)):
            continue
        if order is not None:
            result = result[(slice(None),) * axis + (order,)]
        axis += 1
    return result


def _index(block: Any, index: tuple) -> Any:
    """Indexes axis by axis: several arrays in one index would mean something else."""
    arrays = [i for i, part in enumerate(index) if isinstance(part, np.ndarray)]
    if not all(isinstance(part, slice) and part == slice(None) for part in index):
        if not arrays:
            part = block[index]
            if (
                getattr(part, "base", None) is not None
                and part.base is not None
                and isinstance(block, np.ndarray)
            ):
                # A small view must not keep a large block alive.
                part = part.copy() if part.size * 2 <= block.size else part
            return part
        for i in arrays:
            block = block[(slice(None),) * i + (index[i],)]
        block = block[tuple(slice(None) if i in arrays else part for i, part in enumerate(index))]
    return block


def _nest(parts: list, counts: list) -> Any:
    for n in reversed(counts[1:]):
        parts = [parts[i : i + n] for i in range(0, len(parts), n)]
    return parts
