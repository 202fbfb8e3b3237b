"""Reading parts of arrays: all that NumPy's indexing knows, axis by axis."""

from __future__ import annotations

import bisect
import math
import warnings
from itertools import product
from typing import Any

import numpy as np

from weft.array._chunks import UNKNOWN_HINT, cached_starts, is_known
from weft.array._exprs import is_plain, listed
from weft.array._host import step
from weft.array._layers import regrid, rows
from weft.array.utils import meta_from_array
from weft.base import is_dask_collection, tokenize


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``."""
    if isinstance(index, str) or (
        isinstance(index, list) and index and all(isinstance(i, str) for i in index)
    ):
        return _field(x, index)
    if not isinstance(index, tuple):
        index = (index,)
    index = tuple(_from_frame(i) for i in index)
    lazy = [i for i in index if is_dask_collection(i)]
    if any(i.dtype.kind not in "iub" for i in lazy):
        kinds = [i.dtype for i in lazy]
        raise IndexError(f"indices must be integers or booleans, got {kinds}")
    if lazy:
        if any(i.dtype.kind in "iu" for i in lazy):
            index = replace_ellipsis(x.ndim, index)
            return _take_lazy_ints(x, index)
        return _take_lazy_bools(x, index)
    index = normalize_index(index, x.shape)
    if all(isinstance(i, slice) and i == slice(None) for i in index):
        return x
    return _take(x, index)


def _from_frame(i: Any) -> Any:
    if is_dask_collection(i) and not hasattr(i, "chunks") and hasattr(i, "to_dask_array"):
        return i.to_dask_array()
    if is_dask_collection(i) and not hasattr(i, "chunks"):
        raise IndexError(f"an index may not be a {type(i).__name__}: give an array")
    return i


def _field(x: Any, index: Any) -> Any:
    import operator

    # Of a field that is an array, the elements of the field are axes.
    dtype = x.dtype[index] if isinstance(index, str) else x._meta[index].dtype
    extra = dtype.shape
    if isinstance(index, str) and extra:
        axes = list(range(x.ndim, x.ndim + len(extra)))
        return x.map_blocks(
            operator.getitem,
            index,
            dtype=dtype.base,
            chunks=x.chunks + tuple((n,) for n in extra),
            new_axis=axes,
            meta=np.empty((0,) * (x.ndim + len(extra)), dtype.base),
        )
    return x.map_blocks(operator.getitem, index, dtype=dtype, meta=x._meta[index])


def replace_ellipsis(ndim: int, index: tuple) -> tuple:
    """The index with full slices in the place of an ellipsis, and at its end where axes are left.

    Examples
    --------
    >>> replace_ellipsis(3, (0, Ellipsis))
    (0, slice(None, None, None), slice(None, None, None))
    """
    used = sum(_axes(i) for i in index if i is not None and i is not Ellipsis)
    dots = [k for k, i in enumerate(index) if i is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    at = dots[0] if dots else len(index)
    fill = (slice(None),) * (ndim - used)
    return (*index[:at], *fill, *index[at + len(dots) :])


def _axes(i: Any) -> int:
    if getattr(i, "dtype", None) == np.dtype(bool) and hasattr(i, "ndim"):
        return i.ndim
    return 1


def normalize_index(index: Any, shape: tuple) -> tuple:
    """An index in its simplest form: numbers from 0, slices without needless parts, integer arrays.

    Raises
    ------
    IndexError
        If it is out of bounds, has too many parts, or is of the wrong kind.

    Examples
    --------
    >>> normalize_index((Ellipsis, -1), (3, 4))
    (slice(None, None, None), 3)
    """
    if not isinstance(index, tuple):
        index = (index,)
    parts: list = []
    for i in index:
        if isinstance(i, (list, range)) or (isinstance(i, np.ndarray) and i.ndim == 0):
            i = np.asanyarray(i)
            if i.ndim == 0:
                i = i.item()
        if isinstance(i, np.ndarray) and i.size == 0 and i.dtype.kind == "f":
            i = i.astype(np.intp)
        if isinstance(i, (bool, np.bool_)):
            raise NotImplementedError("indexing with a single bool is not supported: use x[None] or x[:0]")
        if isinstance(i, np.ndarray) and i.dtype == bool:
            if i.ndim > 1:
                parts.append(i)
                continue
        parts.append(i)
    index = replace_ellipsis(len(shape), tuple(parts))
    result: list = []
    axis = 0
    for i in index:
        if i is None:
            result.append(None)
            continue
        width = _axes(i)
        if axis + width > len(shape):
            raise IndexError(
                f"Too many indices for array: the array has {len(shape)} axes, the index {index} needs more"
            )
        n = shape[axis]
        if isinstance(i, slice):
            result.append(_normal_slice(i, n))
        elif isinstance(i, np.ndarray) or hasattr(i, "dtype") and getattr(i, "ndim", 0) > 0:
            i = np.asarray(i)
            if i.dtype == bool:
                for k, size in enumerate(i.shape):
                    have = shape[axis + k]
                    if not is_known(have):
                        raise ValueError(
                            f"Arrays' chunk sizes are unknown, a boolean index cannot be used.{UNKNOWN_HINT}"
                        )
                    if size != have:
                        raise IndexError(
                            f"boolean index did not match indexed array along axis {axis + k}; size of axis is {have} "
                            f"but size of corresponding boolean axis is {size}"
                        )
                result.append(i if i.ndim > 1 else i.nonzero()[0])
            elif i.dtype.kind in "iu":
                result.append(_checked(i, n, axis))
            else:
                raise IndexError(
                    f"arrays used as indices must be of integer (or boolean) type, got {i.dtype}"
                )
        else:
            import operator

            try:
                k = operator.index(i)
            except TypeError:
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), None and integer or boolean arrays are valid "
                    f"indices, got {i!r}"
                ) from None
            if is_known(n):
                if not -n <= k < n:
                    raise IndexError(f"Index {k} is out of bounds for axis {axis} with size {n}")
                k = k + n if k < 0 else k
            result.append(k)
        axis += width
    return tuple(result)


def _checked(i: np.ndarray, n: Any, axis: int) -> np.ndarray:
    i = i.astype(np.int64) if i.dtype != np.int64 else i
    if i.size and is_known(n):
        low, high = i.min(), i.max()
        if low < -n or high >= n:
            bad = int(low if low < -n else high)
            raise IndexError(f"Index {bad} is out of bounds for axis {axis} with size {n}")
        if low < 0:
            i = np.where(i < 0, i + n, i)
    return i


def _normal_slice(s: slice, n: Any) -> slice:
    import operator

    def number(v):
        return None if v is None else operator.index(v)

    s = slice(number(s.start), number(s.stop), number(s.step))
    if s.step == 0:
        raise ValueError("slice step cannot be zero")
    if not is_known(n):
        if s.start in (None, 0) and s.stop is None and s.step in (None, 1):
            return slice(None)
        return s
    start, stop, step = s.indices(int(n))
    if not len(range(start, stop, step)):
        return slice(0, 0, None)
    if start == 0 and stop >= n and step == 1:
        return slice(None)
    if step > 0:
        return slice(start, max(start, stop), None if step == 1 else step)
    return slice(start, None if stop < 0 else stop, step)


def _take(x: Any, index: tuple) -> Any:
    name = f"getitem-{tokenize(x, index)}"
    kept = tuple(i for i in index if i is not None)
    if any(isinstance(i, np.ndarray) and i.dtype == bool for i in kept):
        return _take_mask(x, index)
    arrays = [k for k, i in enumerate(kept) if isinstance(i, np.ndarray)]
    if any(kept[k].ndim > 1 for k in arrays):
        if len(arrays) > 1:
            raise NotImplementedError(
                "Don't yet support nested fancy indexing: several index arrays, of more than one axis. Use x.vindex"
            )
        return _take_wide(x, index, kept, arrays[0])
    if len(arrays) > 1:
        raise NotImplementedError(
            "Don't yet support nested fancy indexing: use x.vindex to pick points, or index one axis after another"
        )
    plans = []
    chunks: list = []
    for axis, i in enumerate(kept):
        plan, sizes = plan_axis(x.chunks[axis], i, axis)
        plans.append(plan)
        if sizes is not None:
            chunks.append(sizes)
    if all(isinstance(i, slice) and i == slice(None) for i in kept):
        result = x
    else:
        result = regrid(
            x,
            plans,
            tuple(chunks),
            f"{name}-part" if any(i is None for i in index) else name,
            meta_from_array(x._meta, len(chunks), x.dtype),
        )
    if any(i is None for i in index):
        where, axis = [], 0
        for i in index:
            if i is None:
                where.append(axis)
                axis += 1
            elif not isinstance(i, (int, np.integer)):
                axis += 1
        result = expand(result, where, name)
    return result


def expand(x: Any, where: list, name: str) -> Any:
    """The array with new axes of one element, at the places ``where`` of the result."""
    from weft.array.core import Array

    ndim = x.ndim + len(where)
    meta = meta_from_array(x._meta, ndim, x.dtype)
    if is_plain(x._meta):
        return Array._of(x._expr.expand(where), meta)
    index = tuple(None if i in where else slice(None) for i in range(ndim))
    old = iter(x.chunks)
    chunks = tuple((1,) if i in where else next(old) for i in range(ndim))
    rules = tuple(i for i in range(ndim) if i not in where)
    return step(_Indexed(index), [(x._expr, rules)], chunks, meta, name)


class _Indexed:
    """What an index takes of a block."""

    def __init__(self, index: tuple):
        self.index = index

    def __call__(self, block: Any) -> Any:
        if not hasattr(block, "shape"):
            # A single element of an array of objects.
            single = np.empty((), dtype=object)
            single[()] = block
            block = single
        return block[self.index]


FULL = slice(None)


def plan_axis(sizes: tuple, i: Any, axis: int = 0) -> tuple[list, Any]:
    """The pieces of blocks that an index of one axis takes, for `regrid`; and the sizes of the new blocks."""
    if isinstance(i, slice) and i == FULL:
        return [([(k, FULL)], None) for k in range(len(sizes))], sizes
    if any(not is_known(n) for n in sizes):
        if isinstance(i, slice) and len(sizes) == 1 and not isinstance(i, (int, np.integer)):
            return [([(0, i)], None)], (np.nan,)
        raise ValueError(f"Arrays' chunk sizes are unknown along axis {axis}: {sizes}.{UNKNOWN_HINT}")
    starts = cached_starts(sizes)
    if isinstance(i, (int, np.integer)):
        k = bisect.bisect_right(starts, i) - 1
        k = min(k, len(sizes) - 1)
        while sizes[k] == 0:
            k -= 1
        return [([(k, int(i) - starts[k])], None)], None
    if isinstance(i, slice):
        return _plan_slice(sizes, starts, i)
    return plan_take(sizes, starts, i)


def _plan_slice(sizes: tuple, starts: list, s: slice) -> tuple[list, tuple]:
    n = starts[-1]
    wanted = range(*s.indices(n))
    if not len(wanted):
        return [([(0, slice(0, 0))], None)], (0,)
    step = wanted.step
    plan, new = [], []
    blocks = range(len(sizes)) if step > 0 else reversed(range(len(sizes)))
    low, high = (wanted[0], wanted[-1]) if step > 0 else (wanted[-1], wanted[0])
    for k in blocks:
        a, b = starts[k], starts[k + 1]
        if a == b or b <= low or a > high:
            continue
        if step > 0:
            first = max(wanted.start, a + (wanted.start - a) % step if wanted.start < a else wanted.start)
            last = min(b - 1, high)
            if first > last:
                continue
            count = (last - first) // step + 1
            part = slice(first - a, last - a + 1, step if step != 1 else None)
            if first == a and last == b - 1 and step == 1:
                part = FULL
        else:
            top = min(b - 1, wanted.start)
            first = top - ((wanted.start - top) % -step and (-step - (wanted.start - top) % -step))
            last = max(a, low)
            if first < last:
                continue
            count = (first - last) // -step + 1
            stop = first - a + count * step
            part = slice(first - a, stop if stop >= 0 else None, step)
        plan.append(([(k, part)], None))
        new.append(count)
    return plan, tuple(new)


def plan_take(sizes: tuple, starts: list, wanted: np.ndarray, new_sizes: Any = None) -> tuple[list, tuple]:
    """Blocks of about the old size, each of whatever old blocks it needs."""
    if new_sizes is None:
        if not len(wanted):
            return [([(0, slice(0, 0))], None)], (0,)
        size = max(1, starts[-1] // len(sizes))
        new_sizes = [min(size, len(wanted) - k) for k in range(0, len(wanted), size)]
    edges = np.asarray(starts[1:])
    plan: list[Any] = []
    position = 0
    for count in new_sizes:
        part = np.asarray(wanted[position : position + count])
        position += count
        if not count:
            plan.append(([(0, slice(0, 0))], None))
            continue
        blocks = np.searchsorted(edges, part, side="right")
        if (blocks[1:] >= blocks[:-1]).all():
            order, inverse = None, None
            ordered = part
        else:
            order = np.argsort(blocks, kind="stable")
            inverse = np.empty_like(order)
            inverse[order] = np.arange(len(order))
            ordered, blocks = part[order], blocks[order]
        cuts = np.flatnonzero(np.diff(blocks)) + 1
        pieces = [
            (int(b[0]), _as_slice(p - starts[int(b[0])]))
            for b, p in zip(np.split(blocks, cuts), np.split(ordered, cuts))
        ]
        plan.append((pieces, inverse))
    return plan, tuple(int(n) for n in new_sizes)


def _as_slice(i: np.ndarray) -> Any:
    """A slice where the positions are one run."""
    if len(i) and i[-1] - i[0] == len(i) - 1 and (np.diff(i) == 1).all():
        return slice(int(i[0]), int(i[-1]) + 1)
    return i


def _take_wide(x: Any, index: tuple, kept: tuple, axis: int) -> Any:
    """An index array of several axes: taken flat, then folded."""
    i = kept[axis]
    flat = list(index)
    where = next(k for k, part in enumerate(flat) if part is i)
    flat[where] = i.ravel()
    taken = getitem(x, tuple(flat))
    before = sum(1 for part in index[:where] if not isinstance(part, (int, np.integer)))
    return taken.reshape(taken.shape[:before] + i.shape + taken.shape[before + 1 :])


def _take_mask(x: Any, index: tuple) -> Any:
    """A boolean array of several axes."""
    [mask] = [i for i in index if isinstance(i, np.ndarray) and i.dtype == bool]
    where = next(k for k, part in enumerate(index) if part is mask)
    if any(i is None or isinstance(i, np.ndarray) and i is not mask for i in index):
        raise NotImplementedError("a boolean array of several axes goes with slices and integers only")
    axis = where
    shape = x.shape[:axis] + (math.prod(mask.shape),) + x.shape[axis + mask.ndim :]
    folded = x.reshape(shape)
    return getitem(folded, (*index[:where], mask.ravel(), *index[where + 1 :]))


# -- lazy indices ----------------------------------------------------------------------------------


def _take_lazy_bools(x: Any, index: tuple) -> Any:
    import operator

    from weft.array.blockwise import blockwise
    from weft.array.core import elemwise

    rest = tuple(slice(None) if is_dask_collection(i) else i for i in index)
    masks = [i for i in index if is_dask_collection(i)]
    if len(masks) == 1 and masks[0].ndim == x.ndim and len([i for i in index if i is not Ellipsis]) == 1:
        [mask] = masks
        for axis, (a, b) in enumerate(zip(x.shape, mask.shape)):
            if is_known(a) and is_known(b) and a != b:
                raise IndexError(
                    f"boolean index did not match indexed array along axis {axis}; size of axis is {a} but size of corresponding boolean axis is {b}"
                )
        if x.ndim > 1:
            if all(map(is_known, (*x.shape, *mask.shape))):
                x, mask = x.ravel(), mask.ravel()
            else:
                warnings.warn(
                    "When slicing a Dask array of unknown chunks with a boolean mask Dask array, the output array may "
                    "have a different ordering compared to the equivalent NumPy operation. This will raise an error in "
                    "a future release of Dask.",
                    stacklevel=3,
                )
        if x.ndim == 1:
            out = blockwise(
                operator.getitem, "i", x, "i", mask, "i", dtype=x.dtype, meta=x._meta, token="getitem"
            )
            out._chunks = tuple((np.nan,) * len(c) for c in out.chunks)
            return out
        both = elemwise(operator.getitem, x, mask, dtype=x.dtype)
        return rows(
            _same,
            both,
            ((np.nan,) * both.npartitions,),
            meta_from_array(x._meta, 1, x.dtype),
            f"getitem-{tokenize(x, mask)}",
        )
    index = replace_ellipsis(x.ndim, index)
    rest = tuple(slice(None) if is_dask_collection(i) else i for i in index)
    if any(m.ndim > 1 for m in masks):
        raise NotImplementedError("a lazy boolean array of several axes must cover the whole array")
    out = x
    # One mask after the other; axes do not move by that.
    axis = 0
    for i in index:
        if is_dask_collection(i):
            out = _mask_axis(out, i, axis)
        if i is not None:
            axis += 1
    return (
        getitem(out, rest)
        if any(i is None or not (isinstance(i, slice) and i == FULL) for i in rest)
        else out
    )


def _mask_axis(x: Any, mask: Any, axis: int) -> Any:
    from weft.array.blockwise import blockwise

    if is_known(x.shape[axis]) and is_known(mask.shape[0]) and mask.shape[0] != x.shape[axis]:
        raise IndexError(
            f"boolean index did not match indexed array along axis {axis}; size of axis is {x.shape[axis]} "
            f"but size of corresponding boolean axis is {mask.shape[0]}"
        )
    ind = tuple(range(x.ndim))
    out = blockwise(
        _mask_block, ind, x, ind, mask, (axis,), axis=axis, dtype=x.dtype, meta=x._meta, token="getitem"
    )
    out._chunks = tuple((np.nan,) * len(c) if k == axis else c for k, c in enumerate(out.chunks))
    return out


def _mask_block(block: Any, mask: Any, axis: int) -> Any:
    return block[(slice(None),) * axis + (mask,)]


def _take_lazy_ints(x: Any, index: tuple) -> Any:
    lazy = [k for k, i in enumerate(index) if is_dask_collection(i)]
    ints = [k for k in lazy if index[k].dtype != bool]
    if len(ints) > 1 or any(isinstance(i, np.ndarray) for i in index):
        raise NotImplementedError(
            "Slicing with dask.array of ints only permitted when the indexer has zero or one dimensions: several lazy index arrays are not supported, use x.vindex"
        )
    [k] = ints
    i = index[k]
    if i.ndim > 1:
        raise NotImplementedError(
            "Slicing with dask.array of ints only permitted when the indexer has zero or one dimensions"
        )
    rest = tuple(FULL if j == k else part for j, part in enumerate(index))
    axis = sum(1 for part in index[:k] if part is not None)
    out = _take_lazy_axis(x, i if i.ndim else i[None], axis)
    squeeze = i.ndim == 0
    if squeeze:
        rest = tuple(0 if j == k else part for j, part in enumerate(rest))
    return getitem(out, rest)


def _take_lazy_axis(x: Any, i: Any, axis: int) -> Any:
    if not all(map(is_known, x.chunks[axis])):
        raise NotImplementedError(
            f"Slicing an array with unknown chunks with a dask.array of ints is not supported{UNKNOWN_HINT}"
        )
    chunks = (*x.chunks[:axis], i.chunks[0], *x.chunks[axis + 1 :])
    rules = tuple(None if k == axis else k for k in range(x.ndim))
    operands = [
        (x._expr, rules),
        (i._expr, (axis,)),
        (tuple(cached_starts(x.chunks[axis])), None),
        (axis, None),
    ]
    return step(_pick, operands, chunks, x._meta, f"getitem-{tokenize(x, i, axis)}")


def _same(at: tuple, block: Any) -> Any:
    return block


def _pick(blocks: list, i: Any, starts: tuple, axis: int) -> Any:
    """Elements of several blocks by positions along them all."""
    n = starts[-1]
    i = np.asarray(i).astype(np.int64)
    if i.size and (i.min() < -n or i.max() >= n):
        raise IndexError(f"an index is out of bounds for axis {axis} with size {n}: {i.min()} to {i.max()}")
    i = np.where(i < 0, i + n, i)
    pieces, places = [], []
    for block, a, b in zip(blocks, starts, starts[1:]):
        mine = np.flatnonzero((i >= a) & (i < b))
        if len(mine):
            pieces.append(block[(slice(None),) * axis + (i[mine] - a,)])
            places.append(mine)
    if not pieces:
        return blocks[0][(slice(None),) * axis + (slice(0, 0),)]
    from weft.array.core import _concatenate_chunks

    joined = _concatenate_chunks(pieces, axis) if len(pieces) > 1 else pieces[0]
    order = np.empty(len(i), np.int64)
    order[np.concatenate(places)] = np.arange(len(i))
    return joined[(slice(None),) * axis + (order,)]


# -- points ----------------------------------------------------------------------------------------


def vindex(x: Any, key: Any) -> Any:
    """Points: index arrays are broadcast together, and the axis of points comes first.

    Raises
    ------
    IndexError
        If the arrays do not fit or are out of bounds.
    """
    from weft.array.core import Array

    if not isinstance(key, tuple):
        key = (key,)
    if any(k is None for k in key):
        raise IndexError(f"vindex does not support indexing with None (np.newaxis), got {key!r}")
    if any(isinstance(k, Array) for k in key):
        if len(key) == 1 and x.ndim == 1 and x.npartitions == 1:
            return key[0].map_blocks(_points_of, x, dtype=x.dtype, chunks=key[0].chunks)
        if len(key) == 1 or len([k for k in key if not isinstance(k, slice)]) > 1:
            raise IndexError(
                "vindex does not support indexing with dask objects: compute the index first, or use x[index] along one axis"
            )
        key = tuple(k.compute() if isinstance(k, Array) else k for k in key)
    if all(isinstance(k, slice) for k in key):
        if all(k.indices(n) == slice(None).indices(n) for k, n in zip(key, x.shape) if is_known(n)):
            return x
        raise IndexError(
            f"vindex requires at least one non-slice to vectorize over when the slices are not over the entire array (i.e, x[:]). Use normal slicing instead when only using slices. Got: {key}"
        )
    key = tuple(np.asarray(k) if isinstance(k, list) else k for k in key)
    if any(getattr(k, "dtype", None) == np.dtype(bool) for k in key):
        if len(key) == 1 and key[0].ndim == x.ndim and x.ndim > 1:
            key = np.nonzero(key[0])
        elif x.ndim > 1 and len(key) == 1:
            raise IndexError(
                f"vindex takes one boolean array of the shape {x.shape} of the array, or integers; got one of shape {key[0].shape}"
            )
    key = replace_ellipsis(x.ndim, key)
    key = tuple(k.nonzero()[0] if isinstance(k, np.ndarray) and k.dtype == bool else k for k in key)
    # Numbers and slices are as in any index.
    plain = tuple(slice(None) if isinstance(k, np.ndarray) and k.ndim else k for k in key)
    if any(not isinstance(k, slice) or k != slice(None) for k in plain):
        x = getitem(x, plain)
    key = tuple(
        slice(None) if isinstance(k, slice) else k
        for k in key
        if isinstance(k, slice) or isinstance(k, np.ndarray) and k.ndim
    )
    axes = [a for a, k in enumerate(key) if not isinstance(k, slice)]
    if not axes:
        return x
    try:
        arrays = np.broadcast_arrays(*(np.asarray(key[a]) for a in axes))
    except ValueError as error:
        shapes = [np.asarray(key[a]).shape for a in axes]
        raise IndexError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {shapes}"
        ) from error
    flat = []
    for a, points in zip(axes, arrays):
        if points.dtype.kind not in "iu" and points.size:
            raise IndexError(f"vindex takes integers, got {points.dtype}")
        n = x.shape[a]
        if not is_known(n):
            raise ValueError(f"Arrays chunk sizes are unknown: {x.chunks}.{UNKNOWN_HINT}")
        points = points.astype(np.int64)
        if points.size and (points.min() < -n or points.max() >= n):
            raise IndexError(
                f"vindex key has entries out of bounds for indexing along axis {a} of size {n}: {key[a]!r}"
            )
        flat.append(np.where(points < 0, points + n, points).ravel())
    result = _take_points(x, axes, flat, f"vindex-merge-{tokenize(x, key)}")
    shape = arrays[0].shape
    return result if len(shape) == 1 else result.reshape(shape + result.shape[1:])


def _take_points(x: Any, axes: list, points: list, name: str) -> Any:
    """The elements at points of some axes; blocks have as many points as the array's blocks have along these axes."""
    from weft.array.core import Array

    count = len(points[0])
    many = math.prod(max(x.chunks[a]) for a in axes) or 1
    sizes = (many,) * (count // many) + ((count % many,) if count % many or not count else ())
    others = [a for a in range(x.ndim) if a not in axes]
    starts = [np.asarray(cached_starts(x.chunks[a])) for a in axes]
    blocks = [np.searchsorted(s, p, side="right") - 1 for s, p in zip(starts, points)]
    inner = [p - s[b] for s, p, b in zip(starts, points, blocks)]
    # The number of a block in the array, apart from its position along the other axes.
    steps = [math.prod(x.numblocks[a + 1 :]) for a in range(x.ndim)]
    where = sum(b * steps[a] for a, b in zip(axes, blocks))
    parts, needed = [], []
    first = 0
    for n in sizes:
        part = slice(first, first + n)
        # Block by block, and in each in the order of the points.
        order = np.argsort(where[part], kind="stable")
        found, cuts = np.unique(where[part][order], return_index=True)
        parts.append((order, [*cuts[1:].tolist(), n], tuple(i[part][order] for i in inner)))
        needed.append(found.tolist() or [0])
        first += n
    reads = [
        [(0, block + sum(i * steps[a] for a, i in zip(others, at))) for block in wanted]
        for wanted in needed
        for at in product(*(range(x.numblocks[a]) for a in others))
    ]
    meta = meta_from_array(x._meta, 1 + len(others), x.dtype)
    expr = listed(
        _Points(tuple(axes), parts),
        [x._expr],
        reads,
        (sizes, *(x.chunks[a] for a in others)),
        meta,
        name,
        "vindex",
    )
    return Array._of(expr, meta)


def _points_of(index: Any, block: Any) -> Any:
    return block[index]


class _Points:
    """The points of a block: for each source block which of them lie in it, and where."""

    def __init__(self, axes: tuple, parts: list):
        self.axes, self.parts = axes, parts

    def __call__(self, at: tuple, *blocks: Any) -> Any:
        axes = self.axes
        order, stops, inner = self.parts[at[0]]
        result = None
        start = 0
        for block, stop in zip(blocks, stops):
            index: list = [slice(None)] * block.ndim
            for a, i in zip(axes, inner):
                index[a] = i[start:stop]
            part = block[tuple(index)]
            # NumPy puts the points first only if slices lie between the arrays.
            if axes[-1] - axes[0] == len(axes) - 1 and axes[0] > 0:
                part = np.moveaxis(part, axes[0], 0)
            if result is None:
                result = np.empty_like(part, shape=(len(order), *part.shape[1:]))
            result[order[start:stop]] = part
            start = stop
        return result


# -- whole blocks ----------------------------------------------------------------------------------


class BlockView:
    """An array's blocks, indexed like an array of them.

    Examples
    --------
    >>> import weft.array as da
    >>> x = da.ones((4, 4), chunks=2)
    >>> x.blocks.shape, x.blocks[0].shape
    ((2, 2), (2, 4))
    """

    def __init__(self, array: Any):
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.numblocks

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BlockView)
            and self._array is other._array
            or isinstance(other, BlockView)
            and self._array.name == other._array.name
        )

    def __hash__(self) -> int:
        return hash(self._array.name)

    def ravel(self) -> list:
        """All blocks, row by row."""
        return [self[at] for at in np.ndindex(*self.shape)]

    def __getitem__(self, index: Any) -> Any:
        x = self._array
        if not isinstance(index, tuple):
            index = (index,)
        if any(is_dask_collection(i) for i in index):
            raise ValueError("blocks are chosen by numbers: compute the index first")
        if sum(isinstance(i, (np.ndarray, list)) for i in index) > 1:
            raise ValueError("Can only slice with a single list")
        if any(i is None for i in index):
            raise ValueError("Slicing with np.newaxis or None is not supported")
        index = normalize_index(index, x.numblocks)
        index = tuple(slice(i, i + 1) if isinstance(i, (int, np.integer)) else i for i in index)
        from weft.array.core import Array

        chosen = [np.arange(n)[i].tolist() for n, i in zip(x.numblocks, index)]
        if not all(chosen) and x.ndim:
            raise IndexError(f"no block is left of {x.numblocks} by {index}")
        return Array._of(x._expr.some_blocks(chosen), x._meta)


def compute_chunk_sizes(x: Any) -> Any:
    """Computes the shapes of all blocks and sets the chunks, in place."""
    from weft.base import compute

    meta = np.empty((0,) * x.ndim, object)
    ones = tuple((1,) * n for n in x.numblocks)
    name = f"chunk-shapes-{tokenize(x)}"
    shapes_array = step(np.shape, [(x._expr, tuple(range(x.ndim)))], ones, meta, name)
    blocks = shapes_array.to_delayed(optimize_graph=False)
    values = compute(*blocks.ravel().tolist())
    shapes = dict(zip(product(*(range(n) for n in x.numblocks)), values))
    chunks = []
    for axis in range(x.ndim):
        sizes = []
        for k in range(x.numblocks[axis]):
            at = tuple(k if a == axis else 0 for a in range(x.ndim))
            sizes.append(int(shapes[at][axis]))
        chunks.append(tuple(sizes))
    x._chunks = tuple(chunks)
    return x
