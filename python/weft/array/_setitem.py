"""Writing into arrays: a new array whose blocks are changed where the index says."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from weft._task_spec import Task, TaskRef
from weft.array._chunks import UNKNOWN_HINT, cached_starts, is_known
from weft.array._exprs import listed
from weft.array._host import step
from weft.array._indexing import FULL, normalize_index, replace_ellipsis
from weft.array._layers import nested, new_array
from weft.base import is_dask_collection, tokenize


def setitem(x: Any, key: Any, value: Any) -> Any:
    """What ``x`` is after ``x[key] = value``.

    Raises
    ------
    ValueError
        If the value does not fit.
    NotImplementedError
        For index kinds that cannot be written through.
    """
    from weft.array.core import Array, asanyarray
    from weft.array.routines import where

    if value is np.ma.masked:
        value = np.ma.masked_all((), dtype=x.dtype)
    if (
        not is_dask_collection(value)
        and not np.ma.isMA(value)
        and x.dtype.kind in "iub"
        and np.size(value)
        and np.asarray(value).dtype.kind == "f"
    ):
        if np.isnan(np.asarray(value)).any():
            raise ValueError("cannot convert float NaN to integer")
    if (
        isinstance(key, Array)
        and key.dtype == bool
        and key.ndim == x.ndim
        or (isinstance(key, np.ndarray) and key.dtype == bool and key.ndim == x.ndim and x.ndim > 1)
    ):
        mask = key if isinstance(key, Array) else asanyarray(key)
        if not (all(map(is_known, x.shape)) and all(map(is_known, mask.shape))):
            if mask.numblocks != x.numblocks:
                raise ValueError(f"Arrays chunk sizes are unknown: {x.chunks}, {mask.chunks}.{UNKNOWN_HINT}")
        elif mask.shape != x.shape:
            raise IndexError(
                f"boolean index did not match indexed array: the array has shape {x.shape}, the index {mask.shape}"
            )
        if np.ndim(value) == 0 or (is_dask_collection(value) and value.ndim == 0):
            return _masked(x, mask, value, where)
        value_ = asanyarray(value)
        if value_.ndim == 1 and x.ndim == 1:
            return _fill_mask(x, mask, value_)
        if value_.ndim > mask.ndim or any(a not in (1, b) for a, b in zip(value_.shape[::-1], x.shape[::-1])):
            raise ValueError(
                f"shape mismatch: a value of shape {value_.shape} cannot be written where a mask of shape {mask.shape} is true"
            )
        return _masked(x, mask, value_, where)
    if not isinstance(key, tuple):
        key = (key,)
    if any(k is None for k in key):
        raise NotImplementedError("Item assignment with None (np.newaxis) in the index is not supported")
    key = replace_ellipsis(x.ndim, tuple(np.asarray(k) if isinstance(k, list) else k for k in key))
    if len(key) > x.ndim:
        raise IndexError(
            f"Too many indices for array: the array has {x.ndim} axes, the index {len(key)} parts"
        )
    if any(is_dask_collection(k) for k in key):
        return _lazy_index(x, key, value)
    key = normalize_index(key, x.shape)
    lists = [k for k in key if isinstance(k, np.ndarray)]
    if len(lists) > 1:
        raise NotImplementedError(
            "Item assignment with several lists or arrays in the index is not supported: write x[rows][:, columns] axis by axis, or use a mask"
        )
    if any(k.ndim > 1 for k in lists):
        raise NotImplementedError("Item assignment with an index array of several axes is not supported")
    if not all(map(is_known, x.shape)):
        raise ValueError(f"Arrays chunk sizes are unknown: {x.chunks}.{UNKNOWN_HINT}")
    chosen = [
        np.arange(n)[k] if not isinstance(k, (int, np.integer)) else np.array([k])
        for n, k in zip(x.shape, key)
    ]
    kept = [a for a, k in enumerate(key) if not isinstance(k, (int, np.integer))]
    shape = tuple(len(chosen[a]) for a in kept)
    lazy = isinstance(value, Array)
    if not lazy:
        value = value if np.ma.isMA(value) else np.asanyarray(value)
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value[0]
    if value.ndim > len(shape) or any(
        is_known(a) and a not in (1, b) for a, b in zip(value.shape[::-1], shape[::-1])
    ):
        raise ValueError(
            f"shape mismatch: value array of shape {value.shape} could not be broadcast to indexing result of shape {shape}"
        )
    if any(not is_known(n) for n in value.shape):
        raise ValueError(f"Arrays chunk sizes are unknown: {value.chunks}.{UNKNOWN_HINT}")
    axes = [_Written.of(x.chunks[a], chosen[a], a in kept) for a in range(x.ndim)]
    name = f"setitem-{tokenize(x, key, value)}"
    meta = _meta(x, value)
    offset = len(shape) - value.ndim
    stretched = [value.shape[k] == 1 for k in range(value.ndim)]
    if not lazy:
        return step(
            _WriteConstant(axes, kept, offset, stretched, value),
            [(x._expr, tuple(range(x.ndim)))],
            x.chunks,
            meta,
            name,
            numbered=True,
            label="setitem",
        )
    # The value in the order in which blocks take it, and in one block for each that takes some of it.
    cuts: list[Any] = []
    for k in range(value.ndim):
        axis = axes[kept[k + offset]]
        if stretched[k]:
            cuts.append((1,))
            continue
        if axis.order is not None:
            value = value[(FULL,) * k + (axis.order,)]
        cuts.append(tuple(n for n in axis.counts if n) or value.chunks[k])
    value = value.rechunk(tuple(cuts)) if value.ndim else value
    steps = [math.prod(value.numblocks[k + 1 :]) for k in range(value.ndim)]
    reads: list = []
    for number, at in enumerate(product(*map(range, x.numblocks))):
        own = [(0, number)]
        if all(axes[a].counts[i] for a, i in enumerate(at)):
            places = (
                0 if stretched[k] else axes[kept[k + offset]].ranks[at[kept[k + offset]]]
                for k in range(value.ndim)
            )
            own.append((1, sum(i * n for i, n in zip(places, steps))))
        reads.append(own)
    expr = listed(
        _WriteBlock(axes, kept),
        [x._expr, value._expr],
        reads,
        x.chunks,
        meta,
        name,
        "setitem",
    )
    return Array._of(expr, meta)


class _Written:
    """What is written along an axis: for each block how many positions, which, and which of the value's they take."""

    def __init__(self, starts: list, picks: np.ndarray, order: Any, stops: np.ndarray, is_kept: bool):
        self.starts, self.picks, self.order, self.stops, self.is_kept = starts, picks, order, stops, is_kept
        self.counts: list[int] = np.diff(stops, prepend=0).tolist()
        # Among the blocks that are written to.
        self.ranks: list[int] = (np.cumsum(np.asarray(self.counts) > 0) - 1).tolist()

    @classmethod
    def of(cls, sizes: Any, picks: np.ndarray, is_kept: bool) -> _Written:
        starts = cached_starts(sizes)
        # Empty blocks start where the next one does: the last of those that start there has the elements.
        blocks = np.searchsorted(starts[1:], picks, side="right")
        order = None
        if (blocks[1:] < blocks[:-1]).any():
            order = np.argsort(blocks, kind="stable")
            picks, blocks = picks[order], blocks[order]
        stops = np.searchsorted(blocks, np.arange(len(sizes)), side="right")
        return cls(starts, picks, order, stops, is_kept)

    def local(self, block: int) -> Any:
        """The positions in a block, or the one position."""
        mine = self.picks[self.stops[block] - self.counts[block] : self.stops[block]] - self.starts[block]
        return _slice(mine) if self.is_kept else int(mine[0])

    def source(self, block: int) -> Any:
        """Which of the value's elements a block takes."""
        part = slice(int(self.stops[block] - self.counts[block]), int(self.stops[block]))
        return part if self.order is None else self.order[part]


class _WriteBlock:
    """A block, written to where a block of the value comes with it."""

    def __init__(self, axes: list, kept: list):
        self.axes, self.kept = axes, kept

    def __call__(self, at: tuple, block: Any, *value: Any) -> Any:
        if not value:
            return block
        return write(block, tuple(axis.local(i) for axis, i in zip(self.axes, at)), value[0])


class _WriteConstant:
    """A block, written to with what it takes of a value that is at hand."""

    def __init__(self, axes: list, kept: list, offset: int, stretched: list, value: Any):
        self.axes, self.kept, self.offset, self.stretched, self.value = axes, kept, offset, stretched, value

    def __call__(self, at: tuple, block: Any) -> Any:
        if not all(axis.counts[i] for axis, i in zip(self.axes, at)):
            return block
        piece = self.value
        for k, stretched in enumerate(self.stretched):
            if not stretched:
                axis = self.kept[k + self.offset]
                piece = piece[(slice(None),) * k + (self.axes[axis].source(at[axis]),)]
        return write(block, tuple(axis.local(i) for axis, i in zip(self.axes, at)), piece)


def _meta(x: Any, value: Any) -> Any:
    inner = getattr(value, "_meta", value)
    if np.ma.isMA(inner) and not np.ma.isMA(x._meta):
        return np.ma.array(x._meta)
    return x._meta


def _slice(i: np.ndarray) -> Any:
    if len(i) == 1:
        return slice(int(i[0]), int(i[0]) + 1)
    steps = np.diff(i)
    if len(i) and (steps == steps[0]).all() and steps[0] != 0:
        stop = int(i[-1]) + (1 if steps[0] > 0 else -1)
        return slice(int(i[0]), None if stop < 0 else stop, int(steps[0]))
    return i


def write(block: Any, index: tuple, value: Any) -> Any:
    """A copy of the block with ``value`` written into it."""
    if np.ma.isMA(value) and not np.ma.isMA(block):
        block = np.ma.asanyarray(block)
    # The only block of an array without axes may be a scalar.
    block = np.array(block) if isinstance(block, np.generic) else block.copy()
    if (
        not isinstance(value, np.ndarray)
        and hasattr(value, "__array__")
        and not hasattr(value, "__array_function__")
    ):
        value = np.asarray(value)
    block[index] = value
    return block


def _masked(x: Any, mask: Any, value: Any, where: Any) -> Any:
    from weft.array.core import elemwise

    if np.ma.isMA(getattr(value, "_meta", value)):
        return elemwise(_write_mask, x, mask, value, dtype=x.dtype)
    if not is_dask_collection(value):
        value = np.asarray(value)
        value = value.astype(x.dtype) if value.dtype != x.dtype else value
        if np.ma.isMA(x._meta):
            return elemwise(_write_mask, x, mask, value, dtype=x.dtype)
        return where(mask, value if value.ndim else value[()], x)
    return elemwise(_write_mask, x, mask, value, dtype=x.dtype)


def _write_mask(block: Any, mask: Any, value: Any) -> Any:
    if np.ma.isMA(value) and not np.ma.isMA(block):
        block = np.ma.asanyarray(block)
    block = np.array(block) if isinstance(block, np.generic) else block.copy()
    value = (
        np.ma.array(
            np.broadcast_to(value.data, block.shape),
            mask=np.broadcast_to(np.ma.getmaskarray(value), block.shape),
        )
        if np.ma.isMA(value)
        else np.broadcast_to(value, block.shape)
    )
    block[mask] = value[mask]
    return block


def _fill_mask(x: Any, mask: Any, value: Any) -> Any:
    """Writes the values one after the other where the mask is true."""
    name = f"setitem-{tokenize(x, mask, value)}"
    mask = mask.rechunk(x.chunks)
    value = value.rechunk(-1)
    n = x.numblocks[0]
    tasks = {}
    for i in range(n):
        key = (name, i)
        before = nested(lambda rest: TaskRef((mask.name, rest[0])), [range(i + 1)])
        tasks[key] = Task(key, _fill_block, TaskRef((x.name, i)), before, TaskRef((value.name, 0)))
    return new_array(name, tasks, [x, mask, value], x.chunks, meta=_meta(x, value))


def _fill_block(block: Any, masks: list, value: Any) -> Any:
    *before, mine = masks
    done = sum(int(m.sum()) for m in before)
    count = int(mine.sum())
    block = np.ma.asanyarray(block).copy() if np.ma.isMA(value) else block.copy()
    block[mine] = value if len(value) == 1 else value[done : done + count]
    return block


def _lazy_index(x: Any, key: tuple, value: Any) -> Any:
    from weft.array.core import asanyarray

    lazy = [a for a, k in enumerate(key) if is_dask_collection(k)]
    if len(lazy) > 1 or any(isinstance(k, np.ndarray) for k in key):
        raise NotImplementedError("Item assignment with several arrays in the index is not supported")
    [axis] = lazy
    i = key[axis]
    if i.ndim > 1:
        raise NotImplementedError("Item assignment with a lazy index of several axes is not supported")
    if i.dtype == bool and i.shape[0] != x.shape[axis] and is_known(i.shape[0]):
        raise IndexError(
            f"boolean index did not match indexed array along axis {axis}; size of axis is {x.shape[axis]} but size of corresponding boolean axis is {i.shape[0]}"
        )
    rest = normalize_index(tuple(FULL if a == axis else k for a, k in enumerate(key)), x.shape)
    value = asanyarray(value)
    whole = value.rechunk(-1) if value.ndim else value
    chosen = [
        np.arange(n)[k] if not isinstance(k, (int, np.integer)) else np.array([k])
        for n, k in zip(x.shape, rest)
    ]
    scalar = tuple(
        a for a, k in enumerate(rest) if isinstance(k, (int, np.integer)) or (a == axis and i.ndim == 0)
    )
    starts = [cached_starts(c) for c in x.chunks]
    return step(
        _WriteLazy(chosen, starts, axis, scalar, x.shape[axis]),
        [
            (x._expr, tuple(range(x.ndim))),
            (i._expr, (None,) * i.ndim),
            (whole._expr, (("at", 0),) * whole.ndim),
        ],
        x.chunks,
        _meta(x, value),
        f"setitem-{tokenize(x, rest, i, value, axis)}",
        numbered=True,
        label="setitem",
    )


class _WriteLazy:
    """A block, written to where an index says that is known only now: it comes in all its blocks."""

    def __init__(self, chosen: list, starts: list, axis: int, scalar: tuple, n: int):
        self.chosen, self.starts, self.axis, self.scalar, self.n = chosen, starts, axis, scalar, n

    def __call__(self, at: tuple, block: Any, index: Any, value: Any) -> Any:
        spans = tuple((starts[b], starts[b + 1]) for starts, b in zip(self.starts, at))
        index = np.concatenate(index) if isinstance(index, list) else index
        return _write_lazy(block, tuple(self.chosen), spans, self.axis, index, value, self.scalar, self.n)


def _write_lazy(
    block: Any, chosen: tuple, spans: tuple, axis: int, index: Any, value: Any, scalar: tuple, n: int
) -> Any:
    index = np.atleast_1d(np.asarray(index))
    positions = np.flatnonzero(index) if index.dtype == bool else np.where(index < 0, index + n, index)
    if len(positions) and (positions.min() < 0 or positions.max() >= n):
        raise IndexError(f"an index is out of bounds for axis {axis} with size {n}")
    every = [positions if a == axis else c for a, c in enumerate(chosen)]
    shape = tuple(len(e) for e in every)
    kept = tuple(s for a, s in enumerate(shape) if a not in scalar)
    value = (
        np.broadcast_to(value, kept, subok=True).reshape(shape)
        if not np.ma.isMA(value)
        else np.ma.array(
            np.broadcast_to(value.data, kept).reshape(shape),
            mask=np.broadcast_to(np.ma.getmaskarray(value), kept).reshape(shape),
        )
    )
    mine = [np.flatnonzero((e >= a) & (e < b)) for e, (a, b) in zip(every, spans)]
    if any(not len(m) for m in mine):
        return block
    block = np.ma.asanyarray(block).copy() if np.ma.isMA(value) else block.copy()
    block[np.ix_(*(e[m] - a for e, m, (a, _) in zip(every, mine, spans)))] = value[np.ix_(*mine)]
    return block
