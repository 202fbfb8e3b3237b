"""Chunks: how the axes of an array are cut. A tuple of sizes for each axis; sizes may be NaN (unknown)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate, product
from numbers import Integral, Number
from typing import Any

import numpy as np

from weft import config
from weft._formats import parse_bytes
from weft._weft import array_settle_chunks

NO_CHUNKS = (
    "You must specify a chunks= keyword argument.\nThis specifies the chunksize of your array blocks: "
    "an int or a tuple with one entry for each axis, 'auto', or a size in bytes such as '64 MiB'."
)
UNKNOWN_HINT = (
    "\n\nA possible solution: call `x.compute_chunk_sizes()` first, which computes the sizes of the chunks."
)


def is_known(n: Any) -> bool:
    """Whether a size is a number."""
    return not (isinstance(n, float) and math.isnan(n))


def same_sizes(a: Any, b: Any) -> bool:
    """Whether two axes are cut alike; unknown sizes equal each other."""
    return len(a) == len(b) and all(x == y or not (is_known(x) or is_known(y)) for x, y in zip(a, b))


def blockdims_from_blockshape(shape: Any, chunks: Any) -> tuple[tuple[int, ...], ...]:
    """Cuts each axis into blocks of one size; the last may be smaller.

    Examples
    --------
    >>> blockdims_from_blockshape((10, 10), (4, 3))
    ((4, 4, 2), (3, 3, 3, 1))
    """
    if chunks is None:
        raise TypeError("Must supply chunks= keyword argument")
    if shape is None:
        raise TypeError("Must supply shape= keyword argument")
    if any(not is_known(n) for n in [*shape, *chunks]):
        raise ValueError(f"Array chunk sizes are unknown. shape: {shape}, chunks: {chunks}{UNKNOWN_HINT}")
    if not all(isinstance(n, Integral) for n in chunks):
        raise ValueError("chunks can only contain integers.")
    if not all(isinstance(n, Integral) for n in shape):
        raise ValueError("shape can only contain integers.")
    result: list[tuple[int, ...]] = []
    for n, size in zip(map(int, shape), map(int, chunks)):
        if n == 0:
            result.append((0,))
        elif size <= 0:
            raise ValueError(f"a chunk size must be positive, got {size} for an axis of {n} elements")
        else:
            result.append((size,) * (n // size) + ((n % size,) if n % size else ()))
    return tuple(result)


def normalize_chunks(
    chunks: Any,
    shape: Any = None,
    limit: Any = None,
    dtype: Any = None,
    previous_chunks: Any = None,
) -> tuple[tuple[Any, ...], ...]:
    """Sizes of the blocks along each axis, from any way of saying them.

    Parameters
    ----------
    chunks : int, str, tuple, dict or array
        A size for all axes or one for each: a number of elements, a tuple of sizes, ``-1`` or None for
        the whole axis, ``"auto"``, or a size in bytes such as ``"1 MiB"``. A dict gives some axes.
    shape : tuple of int, optional
    limit : int or str, optional
        Bytes of an automatic chunk; the setting ``array.chunk-size`` by default.
    dtype : dtype, optional
        Needed for automatic chunks.
    previous_chunks : tuple of tuples, optional
        Automatic chunks are multiples or parts of these, where that works.

    Returns
    -------
    tuple of tuples of int

    Raises
    ------
    ValueError
        If chunks and shape do not fit.

    Examples
    --------
    >>> normalize_chunks((2, 2), shape=(5, 6))
    ((2, 2, 1), (2, 2, 2))
    >>> normalize_chunks({0: 2, 1: -1}, shape=(4, 6))
    ((2, 2), (6,))
    >>> normalize_chunks("auto", shape=(20,), limit=40, dtype="u1")
    ((20,),)
    """
    if dtype is not None and not isinstance(dtype, np.dtype):
        dtype = np.dtype(dtype)
    if chunks is None:
        raise ValueError(NO_CHUNKS)
    if shape is not None and not isinstance(shape, tuple):
        shape = tuple(np.asarray(shape).tolist()) if hasattr(shape, "__iter__") else (shape,)
    if isinstance(chunks, np.ndarray):
        chunks = chunks.tolist()
    if isinstance(chunks, list):
        chunks = tuple(chunks)
    if isinstance(chunks, (Number, str)):
        chunks = (chunks,) * (1 if shape is None else len(shape))
    if isinstance(chunks, Mapping):
        if shape is None:
            raise ValueError("chunks given as a dict need a shape")
        chunks = tuple(chunks.get(i, None) for i in range(len(shape)))
    if shape is not None and len(shape) > 0 and chunks == ():
        chunks = ((0,),) * len(shape) if all(n == 0 for n in shape) else chunks
    if shape is not None and len(shape) == 1 and len(chunks) > 1:
        if all(isinstance(c, (Number, str)) for c in chunks):
            chunks = (chunks,)
    if shape is not None and len(chunks) != len(shape):
        if shape == () and all(c == 1 for c in chunks):
            chunks = ()
        else:
            raise ValueError(
                f"Chunks and shape must be of the same length/dimension. Got chunks={chunks}, shape={shape}"
            )
    if shape is not None:
        chunks = tuple(
            n if c is None or (isinstance(c, Integral) and c == -1) else c for c, n in zip(chunks, shape)
        )
        chunks = tuple(
            tuple(n if isinstance(c, Integral) and c == -1 else c for c in axis)
            if isinstance(axis, (tuple, list))
            else axis
            for axis, n in zip(chunks, shape)
        )
    texts = {c for c in chunks if isinstance(c, str) and c != "auto"}
    if texts:
        sizes = {parse_bytes(c) for c in texts}
        if len(sizes) > 1 or (
            limit is not None and sizes != {parse_bytes(limit) if isinstance(limit, str) else limit}
        ):
            raise ValueError(
                f"Only one consistent value of limit or chunk is allowed. Used {sizes} and {limit}"
            )
        [limit] = sizes
        chunks = tuple("auto" if isinstance(c, str) else c for c in chunks)
    if any(isinstance(c, str) and c == "auto" for c in chunks):
        chunks = auto_chunks(chunks, shape, limit, dtype, previous_chunks)
    if shape is not None:
        chunks = tuple(
            blockdims_from_blockshape((n,), (c,))[0]
            if not isinstance(c, (tuple, list, np.ndarray))
            else tuple(c)
            for n, c in zip(shape, chunks)
        )
    for c in chunks:
        if isinstance(c, (tuple, list, np.ndarray)) and len(c) == 0:
            raise ValueError(
                "Empty tuples are not allowed in chunks. Express zero length dimensions with 0(s) in chunks"
            )
    if not any(isinstance(c, (tuple, list)) for c in chunks) and chunks and shape is None:
        raise ValueError(f"chunks {chunks} say nothing without a shape")
    chunks, totals = array_settle_chunks(chunks)
    if shape is not None:
        for total, n in zip(totals, shape):
            if is_known(n) and total is not None and total != n:
                raise ValueError(f"Chunks do not add up to shape. Got chunks={chunks}, shape={shape}")
            if is_known(n) != (total is not None):
                raise ValueError(
                    f"Chunks do not add up to shape. Got chunks={chunks}, shape={shape}: some sizes are unknown"
                )
    return chunks


def auto_chunks(
    chunks: Any, shape: Any, limit: Any, dtype: Any, previous_chunks: Any = None
) -> tuple[Any, ...]:
    """``chunks`` with sizes in the places of ``"auto"``: blocks of about ``limit`` bytes, of equal sides."""
    if previous_chunks is not None:
        previous_chunks = tuple(c if isinstance(c, tuple) else (c,) for c in previous_chunks)
    chunks = list(chunks)
    autos = {i for i, c in enumerate(chunks) if isinstance(c, str) and c == "auto"}
    if not autos:
        return tuple(chunks)
    if limit is None:
        limit = config.get("array.chunk-size")
    if isinstance(limit, str):
        limit = parse_bytes(limit)
    if dtype is None:
        raise TypeError("dtype must be known for auto-chunking")
    if dtype.hasobject:
        raise NotImplementedError(
            "Can not use auto rechunking with object dtype. We are unable to estimate the size in bytes of object data"
        )
    for n in [*shape, *(n for axis in chunks if isinstance(axis, tuple) for n in axis)]:
        if not is_known(n):
            raise ValueError(
                f"Can not perform automatic rechunking with unknown (nan) chunk sizes.{UNKNOWN_HINT}"
            )
    limit = max(1, limit)
    tolerance = config.get("array.chunk-size-tolerance", 1.25)
    largest = math.prod(
        c if isinstance(c, Integral) else max(c) if isinstance(c, tuple) else 1
        for i, c in enumerate(chunks)
        if i not in autos and c
    )
    elements = limit / max(1, dtype.itemsize) / max(1, largest)
    if previous_chunks:
        old = {a: _regular(previous_chunks[a], shape[a]) for a in autos}
        return _near_previous(chunks, shape, autos, old, elements, tolerance)
    while autos:
        side = elements ** (1 / len(autos))
        small = {a for a in autos if shape[a] <= side}
        if not small:
            for a in autos:
                chunks[a] = max(1, int(side))
            break
        for a in small:
            chunks[a] = shape[a]
            elements /= max(1, shape[a])
        autos -= small
    return tuple(chunks)


def _regular(sizes: tuple[int, ...], n: int) -> tuple[int, ...]:
    """A single size of a longer axis, as files say it, is that of all its blocks."""
    if len(sizes) != 1 or not 0 < sizes[0] < n:
        return sizes
    [size] = sizes
    return (size,) * (n // size) + ((n % size,) if n % size else ())


def _near_previous(
    chunks: list, shape: Any, autos: set[int], old: dict[int, tuple], elements: float, tolerance: float
) -> tuple[Any, ...]:
    """Automatic sizes that keep the proportions of ``old``: open axes grow or shrink by one factor."""
    now = {a: float(np.median(old[a])) or 1.0 for a in autos}
    if elements < math.prod(now.values()):
        return _shrunk(chunks, shape, now, old, elements)
    while autos:
        total = elements / math.prod(now[a] for a in autos)
        factor = total ** (1 / len(autos))
        wanted = {a: now[a] * factor for a in autos}
        # Axes that come to an end leave more, or less, to the others.
        ends = {a: shape[a] for a in autos if wanted[a] > shape[a]} or {a: 1 for a in autos if wanted[a] < 1}
        if ends and len(ends) < len(autos):
            for a, size in ends.items():
                chunks[a] = size
                elements /= max(1, size)
            autos = autos - ends.keys()
            continue
        for a, size in wanted.items():
            if size > shape[a]:
                chunks[a] = shape[a]
            elif total < 1 or max(old[a]) > size * tolerance ** (1 / len(autos)):
                chunks[a] = _aligned(size, old[a], shape[a])
            else:
                chunks[a] = _joined(size, old[a])
        break
    return tuple(chunks)


def _shrunk(
    chunks: list, shape: Any, now: dict[int, float], old: dict[int, tuple], elements: float
) -> tuple[Any, ...]:
    """As `_near_previous`, for blocks that are too large: again, until what rounding leaves is used up."""
    left, last = sorted(now), None
    while left:
        excess = elements / math.prod(now.values())
        if excess == last:
            break
        last, share = excess, excess ** (1 / len(left))
        for a in list(left):
            size = now[a] * share
            if size > shape[a]:
                chunks[a] = shape[a]
                elements /= max(1, shape[a])
                del now[a]
                left.remove(a)
                continue
            now[a] = _aligned(size, old[a], shape[a])
            if size < 1:
                left.remove(a)
    for a, n in now.items():
        chunks[a] = int(n)
    return tuple(chunks)


def _aligned(size: float, old: tuple[int, ...], n: int) -> int:
    """A size of at most ``size``; a multiple of the most frequent old one where that is smaller."""
    usual = max(set(old), key=lambda c: (old.count(c), -old.index(c)))
    step = usual if usual > 1 and 2 * old.count(usual) >= len(old) else n
    return max(1, int(size) if size <= step else int(size // step * step))


def _joined(most: float, old: tuple[int, ...]) -> tuple[int, ...]:
    """Neighbours joined up to ``most``."""
    result: list[int] = []
    current = 0
    for n in old:
        if current and current + n > most * (1 + 1e-9):
            result.append(current)
            current = 0
        current += n
    return (*result, current)


def broadcast_shapes(*shapes: Any) -> tuple[Any, ...]:
    """The shape that arrays of ``shapes`` have together; NaN is a size that nobody knows.

    Raises
    ------
    ValueError
        If they do not fit.

    Examples
    --------
    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    if len(shapes) == 1:
        return shapes[0]
    result = []
    for i in range(1, max((len(s) for s in shapes), default=0) + 1):
        sizes = [s[-i] for s in shapes if len(s) >= i]
        unknown = [n for n in sizes if not is_known(n)]
        known = {n for n in sizes if is_known(n) and n != 1}
        if len(known) > 1 or (known and unknown and len(known) > 1):
            raise ValueError(
                "operands could not be broadcast together with shapes " + " ".join(map(str, shapes))
            )
        result.append(unknown[0] if unknown else known.pop() if known else 1)
    return tuple(reversed(result))


def broadcast_chunks(*chunkss: Any) -> tuple[Any, ...]:
    """The chunks that arrays of these chunks have together.

    Raises
    ------
    ValueError
        If an axis is cut in different ways.

    Examples
    --------
    >>> broadcast_chunks(((5, 5),), ((10, 10), (1,)))
    ((10, 10), (5, 5))
    """
    if not chunkss:
        return ()
    if len(chunkss) == 1:
        return chunkss[0]
    result = []
    for i in range(1, max(map(len, chunkss)) + 1):
        axes = [c[-i] for c in chunkss if len(c) >= i]
        wide = [c for c in axes if c != (1,)] or axes[:1]
        if any(not same_sizes(c, wide[0]) for c in wide[1:]):
            raise ValueError(f"Chunks do not align: {axes}")
        result.append(wide[0])
    return tuple(reversed(result))


def common_blockdim(blockdims: Any) -> tuple[Any, ...]:
    """The coarsest cut of an axis that all ``blockdims`` are coarser than or equal to.

    Raises
    ------
    ValueError
        If they are of different lengths, or some are unknown and others are not.

    Examples
    --------
    >>> common_blockdim([(3,), (2, 1)])
    (2, 1)
    >>> common_blockdim([(5, 2), (3, 4)])
    (3, 2, 2)
    """
    dims = list(blockdims)
    if not any(dims):
        return ()
    wide = {d for d in map(tuple, dims) if len(d) > 1}
    if len(wide) == 1:
        [one] = wide
        total = sum(one)
        if is_known(total):
            for d in dims:
                if is_known(sum(d)) and sum(d) not in (total, 1) and len(d) == 1:
                    raise ValueError(f"Chunks do not add up to same value: {set(map(tuple, dims))}")
        return one
    if not wide:
        return max(map(tuple, dims), key=lambda d: d[0] if is_known(d[0]) else -1)
    if any(not is_known(sum(d)) for d in wide):
        first, *rest = wide
        if any(len(d) != len(first) for d in rest):
            raise ValueError(f"Chunks are unknown (nan) and of different numbers: {dims}{UNKNOWN_HINT}")
        if all(same_sizes(first, d) for d in rest):
            return first
        raise ValueError(f"Arrays' chunk sizes ({dims}) are unknown.{UNKNOWN_HINT}")
    if len({sum(d) for d in wide}) > 1:
        raise ValueError(f"Chunks do not add up to same value: {wide}")
    edges = sorted({edge for d in wide for edge in accumulate(d)} | {0})
    sizes = tuple(b - a for a, b in zip(edges, edges[1:]))
    return sizes


def slices_from_chunks(chunks: Any) -> list[tuple[slice, ...]]:
    """The part of the array that each block is, blocks in row-major order.

    Examples
    --------
    >>> slices_from_chunks(((2, 2), (3,)))
    [(slice(0, 2, None), slice(0, 3, None)), (slice(2, 4, None), slice(0, 3, None))]
    """
    axes = []
    for sizes in chunks:
        starts = [0, *accumulate(sizes)]
        axes.append([slice(a, b, None) for a, b in zip(starts, starts[1:])])
    return list(product(*axes))


def plural_int(values: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


def cached_starts(sizes: Any) -> list[Any]:
    """Where each block starts, and where the last one ends."""
    return [0, *accumulate(sizes)]


def keep_block_size(chunks: Any, new: Any, axes: Any, largest: float) -> tuple:
    """``new`` with blocks cut smaller along ``axes`` until none has many more than ``largest`` elements.

    Parameters
    ----------
    chunks : tuple of tuples
        Before other axes were joined: pieces lie within these blocks.
    new : sequence of tuples
        After that.
    axes : iterable of int
        Which axes may be cut; each takes an equal share.
    largest : float
        Elements of a block; ``array.chunk-size-tolerance`` times more are let be.

    Examples
    --------
    >>> keep_block_size(((4, 4), (4, 4)), ((8,), (4, 4)), {1}, 16)
    ((8,), (2, 2, 2, 2))
    """
    tolerance = config.get("array.chunk-size-tolerance", 1.25)
    result = [tuple(c) for c in new]
    left = set(axes)
    while left:
        excess = math.prod(max(c) for c in result) / max(largest, 1)
        if excess <= 1:
            break
        share = excess ** (1 / len(left))
        for axis in sorted(left):
            width = max(result[axis]) / share
            cut: list[int] = []
            for n in chunks[axis]:
                cut += evenly(n, math.ceil(n / width)) if n > tolerance * width else [n]
            if tuple(cut) == result[axis] or max(cut) == 1:
                left.discard(axis)
            result[axis] = tuple(cut)
    return tuple(result)


def evenly(n: int, parts: int) -> list[int]:
    """``n`` in so many parts (but none empty), the larger ones first.

    Examples
    --------
    >>> evenly(8, 3)
    [3, 3, 2]
    """
    parts = max(1, min(parts, n))
    size, rest = divmod(n, parts)
    return [size + 1] * rest + [size] * (parts - rest)
