"""Layers of arrays: the one place where tasks on blocks are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np

from weft._task_spec import List, Task, TaskRef
from weft._weft import Graph

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
    """
    kept = [i for i, plan in enumerate(plans) if not _vanishes(plan)]
    tasks = {}
    for at in product(*(range(len(plan)) for plan in plans)):
        entries = [plan[i] for plan, i in zip(plans, at)]
        pieces = [entry[0] for entry in entries]
        blocks = [TaskRef((x.name, *(p[0] for p in combo))) for combo in product(*pieces)]
        indices = tuple(tuple(p[1] for p in axis) for axis in pieces)
        orders = tuple(entry[1] for entry in entries)
        key = (name, *(at[i] for i in kept))
        tasks[key] = Task(key, gather, indices, orders, *blocks)
    return new_array(name, tasks, [x], chunks, meta=meta)


def _vanishes(plan: Any) -> bool:
    return len(plan) == 1 and len(plan[0][0]) == 1 and isinstance(plan[0][0][0][1], (int, np.integer))


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
