"""The same elements in another shape."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from weft.array._chunks import UNKNOWN_HINT, evenly, is_known
from weft.array._layers import rows
from weft.array.utils import meta_from_array
from weft.base import tokenize

_not_implemented_message = (
    "Dask's reshape only supports operations that merge or split existing dimensions evenly. "
    "For example: x.reshape((2, 3, 4)) of an array of shape (6, 4). Rechunk to one block first, with "
    "x.rechunk(-1), for any other shape."
)


def _groups(old: tuple, new: tuple) -> list[tuple[list[int], list[int]]]:
    """Runs of old and new axes that hold the same elements."""
    groups = []
    i = j = 0
    while i < len(old) or j < len(new):
        left = [i] if i < len(old) else []
        right = [j] if j < len(new) else []
        i, j = i + len(left), j + len(right)
        a = math.prod(old[k] for k in left)
        b = math.prod(new[k] for k in right)
        while a != b:
            if a < b and i < len(old) or j >= len(new):
                left.append(i)
                a *= old[i]
                i += 1
            else:
                right.append(j)
                b *= new[j]
                j += 1
        groups.append((left, right))
    return groups


def reshape_rechunk(old: tuple, new: tuple, old_chunks: tuple) -> tuple[tuple, tuple]:
    """How to cut an array so that its blocks can be reshaped one by one, and the chunks after that.

    Returns
    -------
    before, after : tuples of chunks
    """
    before: list[Any] = [None] * len(old)
    after: list[Any] = [None] * len(new)
    for left, right in _groups(old, new):
        if len(left) == 1 and len(right) == 1 and old[left[0]] == new[right[0]]:
            before[left[0]] = after[right[0]] = old_chunks[left[0]]
            continue
        wide = [k for k in left if old[k] != 1]
        new_wide = [k for k in right if new[k] != 1]
        for k in left:
            before[k] = (old[k],)
        for k in right:
            after[k] = (new[k],)
        if not wide or not new_wide:
            continue
        if len(wide) == 1 and len(new_wide) == 1:
            before[wide[0]] = after[new_wide[0]] = old_chunks[wide[0]]
        elif len(new_wide) == 1:
            # Merging: the first axis may stay cut; a cut of a later one needs all before it in single elements.
            sizes = 1
            cut = next((k for k in reversed(range(len(wide))) if len(old_chunks[wide[k]]) > 1), None)
            cut = (
                0
                if cut is None
                else next(k for k in range(len(wide)) if len(old_chunks[wide[k]]) > 1 or k == cut)
            )
            inner = math.prod(old[k] for k in wide[1:])
            first = old_chunks[wide[0]]
            rest_cut = [k for k in wide[1:] if len(old_chunks[k]) > 1]
            if rest_cut:
                factor = math.prod(math.ceil(old[k] / max(old_chunks[k])) for k in rest_cut)
                first = _smaller(first, factor)
            before[wide[0]] = first
            after[new_wide[0]] = tuple(n * inner for n in first)
            del sizes, cut
        else:
            # Splitting, or both: whole rows of the first new axis.
            inner_new = math.prod(new[k] for k in new_wide[1:])
            inner_old = math.prod(old[k] for k in wide[1:])
            step = math.lcm(inner_new, inner_old)
            unit = step // inner_old
            if len(wide) == 1 and unit > max(old_chunks[wide[0]]):
                # A row of the first new axis is more than a block: rows are cut too.
                pieces = _split_rows([new[k] for k in new_wide], max(old_chunks[wide[0]]))
                for k, piece in zip(new_wide, pieces):
                    after[k] = piece
                before[wide[0]] = tuple(math.prod(p) for p in product(*pieces))
                continue
            old_first = old_chunks[wide[0]]
            sizes_: list[int] = []
            left_over = old[wide[0]]
            target = max(unit, max(old_first) // unit * unit)
            while left_over > 0:
                size = min(target, left_over)
                sizes_.append(size)
                left_over -= size
            if any(n * inner_old % inner_new for n in sizes_):
                sizes_ = [old[wide[0]]]
            before[wide[0]] = tuple(sizes_)
            after[new_wide[0]] = tuple(n * inner_old // inner_new for n in sizes_)
    return tuple(before), tuple(after)


def _split_rows(shape: list[int], target: int) -> list[tuple]:
    """Chunks for new axes of one old one, whose blocks have up to ``target`` elements and lie in its order."""
    pieces: list[tuple] = []
    for k, n in enumerate(shape):
        inner = math.prod(shape[k + 1 :])
        if inner >= target and k + 1 < len(shape):
            pieces.append((1,) * n)
            continue
        pieces.append(tuple(evenly(n, math.ceil(n * inner / max(1, target)))))
        pieces += [(m,) for m in shape[k + 1 :]]
        break
    return pieces


def _smaller(sizes: tuple, factor: int) -> tuple:
    result = []
    for n in sizes:
        size = max(1, n // factor)
        result += [size] * (n // size) + ([n % size] if n % size else [])
    return tuple(result)


def reshape(x: Any, shape: Any, merge_chunks: bool = True, limit: Any = None) -> Any:
    """The elements of an array in another shape, in row-major order.

    Parameters
    ----------
    x : Array
    shape : int or tuple of int
        One of them may be -1.
    merge_chunks : bool
        False: axes that are merged are cut into single elements instead of larger blocks.
    limit : int or str, optional
        Bytes of a block.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the sizes do not fit or are unknown.

    Examples
    --------
    >>> import weft.array as da
    >>> da.arange(6, chunks=3).reshape(2, 3).compute()
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    from weft.array.core import asanyarray

    x = asanyarray(x)
    if isinstance(shape, (int, np.integer, float)):
        shape = (shape,)
    shape = tuple(n if isinstance(n, float) and n != n else int(n) for n in shape)
    known = [n for n in shape if n != -1]
    if len(known) < len(shape):
        if len(shape) - len(known) > 1:
            raise ValueError("can only specify one unknown dimension")
        if any(not is_known(n) for n in x.shape):
            if len(shape) == 1 and x.ndim == 1:
                return x
            if len(shape) == 1 and shape[0] == -1:
                return _ravel_unknown(x)
            if sum(not is_known(n) for n in x.shape) == 1 and x.numblocks.count(1) >= x.ndim - 1:
                pass
            raise ValueError(f"Array chunk size or shape is unknown. shape: {x.shape}{UNKNOWN_HINT}")
        total = math.prod(known)
        missing = x.size // total if total else 0
        shape = tuple(missing if n == -1 else n for n in shape)
    if any(not is_known(n) for n in (*shape, *x.shape)):
        if len(shape) == x.ndim and all(
            not is_known(a) and not is_known(b) or a == b for a, b in zip(shape, x.shape)
        ):
            return x
        raise ValueError(f"Array chunk size or shape is unknown. shape: {x.shape}{UNKNOWN_HINT}")
    if math.prod(shape) != x.size:
        raise ValueError(f"total size of new array must be unchanged: {x.shape} to {shape}")
    if x.shape == shape:
        return x
    meta = meta_from_array(x._meta, len(shape), x.dtype)
    name = f"reshape-{tokenize(x, shape)}"
    if x.npartitions == 1 or 0 in shape:
        x = x.rechunk({i: -1 for i in range(x.ndim)}) if x.npartitions != 1 else x
        chunks = tuple((n,) for n in shape)
        return rows(_Reshape(chunks), x, chunks, meta, name)
    if merge_chunks:
        before, after = reshape_rechunk(x.shape, shape, x.chunks)
    else:
        before, after = _unmerged(x.shape, shape, x.chunks)
    x = x.rechunk(before)
    return rows(_Reshape(after), x, after, meta, name)


def _unmerged(old: tuple, new: tuple, chunks: tuple) -> tuple[tuple, tuple]:
    before: list[Any] = list(chunks)
    after: list[Any] = [None] * len(new)
    for left, right in _groups(old, new):
        wide = [k for k in left if old[k] != 1]
        new_wide = [k for k in right if new[k] != 1]
        if len(wide) > 1 and len(new_wide) == 1:
            for k in left:
                before[k] = chunks[k]
            for k in wide[:-1]:
                before[k] = (1,) * old[k]
            for k in right:
                after[k] = (new[k],)
            rows = math.prod(old[k] for k in wide[:-1])
            after[new_wide[0]] = chunks[wide[-1]] * rows
        else:
            b, a = reshape_rechunk(
                tuple(old[k] for k in left), tuple(new[k] for k in right), tuple(chunks[k] for k in left)
            )
            for k, c in zip(left, b):
                before[k] = c
            for k, c in zip(right, a):
                after[k] = c
    return tuple(before), tuple(after)


class _Reshape:
    """A block in the shape that it has at a position of the result."""

    def __init__(self, chunks: tuple):
        self.chunks = chunks

    def __call__(self, at: tuple, block: Any) -> Any:
        return block.reshape(tuple(c[i] for c, i in zip(self.chunks, at)))


def _raveled(at: tuple, block: Any) -> Any:
    return np.ravel(block)


def _ravel_unknown(x: Any) -> Any:
    name = f"ravel-{tokenize(x)}"
    if x.ndim > 1 and any(n > 1 for n in x.numblocks[1:]):
        raise ValueError(f"Array chunk size or shape is unknown. shape: {x.shape}{UNKNOWN_HINT}")
    chunks = ((np.nan,) * x.numblocks[0],)
    return rows(_raveled, x, chunks, meta_from_array(x._meta, 1, x.dtype), name)


def reshape_blockwise(x: Any, shape: Any, chunks: Any = None) -> Any:
    """Reshapes each block by itself: fast, and elements come in the order of the blocks.

    Parameters
    ----------
    x : Array
    shape : tuple of int
    chunks : tuple, optional
        Of the result; needed where there are more axes than before.

    Returns
    -------
    Array

    Examples
    --------
    >>> import weft.array as da
    >>> x = da.arange(4, chunks=4).reshape(2, 2).rechunk((1, 1))
    >>> da.reshape_blockwise(x, (4,)).compute()
    array([0, 1, 2, 3])
    """
    if shape in [-1, (-1,)]:
        shape = (x.size,)
    if not isinstance(shape, tuple):
        shape = (shape,)
    if any(not is_known(n) for n in x.shape):
        raise ValueError(f"Array chunk size or shape is unknown. shape: {x.shape}{UNKNOWN_HINT}")
    if math.prod(shape) != x.size:
        raise ValueError("total size of new array must be unchanged")
    if len(shape) > x.ndim:
        if chunks is None:
            raise TypeError("Need to specify chunks if expanding dimensions.")
        out = tuple(tuple(c) for c in chunks)
    else:
        if chunks is not None:
            raise ValueError("Setting chunks is not allowed when reducing the number of dimensions.")
        out_list: list[Any] = []
        for left, right in _groups(x.shape, shape):
            if len(left) == len(right) == 1:
                out_list.append(x.chunks[left[0]])
            elif len(right) == 1:
                out_list.append(tuple(math.prod(p) for p in product(*(x.chunks[k] for k in left))))
            else:
                raise NotImplementedError(
                    "reshape_blockwise not implemented for expanding dimensions in between"
                )
        out = tuple(out_list)
    if x.shape == shape:
        return x
    if len(shape) > x.ndim:
        for left, right in _groups(x.shape, shape):
            have = tuple(math.prod(p) for p in product(*(out[k] for k in right)))
            want = tuple(math.prod(p) for p in product(*(x.chunks[k] for k in left)))
            if have != want:
                raise ValueError(
                    f"Chunk sizes do not match for the following chunks: {[out[k] for k in right]} of the result have "
                    f"{have} elements, {[x.chunks[k] for k in left]} of the array {want}"
                )
    name = f"reshape-blockwise-{tokenize(x, shape, chunks)}"
    if x.npartitions != math.prod(map(len, out)):
        raise ValueError(
            f"{x.npartitions} blocks cannot become {math.prod(map(len, out))}: chunks {x.chunks} to {out}"
        )
    return rows(_Reshape(out), x, out, meta_from_array(x._meta, len(shape), x.dtype), name)
