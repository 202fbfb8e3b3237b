"""One function on corresponding blocks of several arrays."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np

from weft.array._chunks import common_blockdim, is_known
from weft.array._host import Call, operand, step
from weft.array.utils import compute_meta, meta_from_array
from weft.base import is_dask_collection, tokenize
from weft.delayed import unpack_collections
from weft.utils import funcname


def lazy_literal(value: Any, inputs: list) -> Any:
    """``value`` for a task's arguments; collections in it are added to ``inputs`` and computed first."""
    if (
        isinstance(value, (str, bytes, Number, np.ndarray, np.dtype, type(None), slice))
        or callable(value)
        and not is_dask_collection(value)
    ):
        return value
    task, collections = unpack_collections(value)
    if not collections:
        return value
    inputs.extend(collections)
    return task


def blockwise(
    func: Any,
    out_ind: Any,
    *args: Any,
    name: str | None = None,
    token: str | None = None,
    dtype: Any = None,
    adjust_chunks: Mapping | None = None,
    new_axes: Mapping | None = None,
    align_arrays: bool = True,
    concatenate: bool | None = None,
    meta: Any = None,
    _numbered: bool = False,
    **kwargs: Any,
) -> Any:
    """Applies a function to blocks, matched by labels of axes as in Einstein's notation.

    Parameters
    ----------
    func : callable
        Takes blocks.
    out_ind : iterable
        Labels of the axes of the result, such as ``"ij"`` or ``(0, 1)``.
    *args : pairs of array and labels
        ``x, "ij", y, "jk"``; the labels None mark an argument that is passed on as it is.
    name : str, optional
        What keys start with.
    token : str, optional
        Prefix of a name that is made.
    dtype : dtype, optional
    adjust_chunks : dict, optional
        Labels to the sizes of blocks after ``func``: a size, a tuple of sizes, or a function of the old size.
    new_axes : dict, optional
        New labels to their sizes.
    align_arrays : bool
        Whether to cut the arrays alike first.
    concatenate : bool, optional
        Whether blocks along labels that are not in ``out_ind`` come as one array instead of a list.
    meta : array, optional
        An empty array like the result.
    **kwargs
        Passed on to ``func``.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If labels are repeated or blocks do not match.

    Examples
    --------
    >>> import operator, weft.array as da
    >>> x, y = da.ones(4, chunks=2), da.ones(3, chunks=3)
    >>> da.blockwise(lambda a, b: a[:, None] + b, "ij", x, "i", y, "j", dtype="f8").compute().shape
    (4, 3)
    """
    from weft.array.core import Array, asanyarray

    out_ind = tuple(out_ind)
    if len(set(out_ind)) != len(out_ind):
        repeated = [i for i in set(out_ind) if out_ind.count(i) > 1]
        raise ValueError(f"Repeated elements not allowed in output index: {repeated} in {out_ind}")
    new_axes = dict(new_axes or {})
    labels = {i for ind in args[1::2] if ind is not None for i in ind}
    if new_axes and (set(new_axes) & labels):
        raise ValueError(
            f"new_axes {sorted(map(str, set(new_axes) & labels))} are axes of the inputs already"
        )
    missing = set(out_ind) - labels - set(new_axes)
    if missing:
        raise ValueError(
            f"Output axes {sorted(map(str, missing))} are neither axes of an input nor in new_axes"
        )
    pairs: list[Any] = []
    for a, ind in zip(args[::2], args[1::2]):
        if ind is None:
            pairs.append((a, None))
        else:
            a = a if isinstance(a, Array) else asanyarray(a)
            ind = tuple(ind)
            if len(ind) != a.ndim:
                raise ValueError(f"{len(ind)} labels {ind} for an array of shape {a.shape}")
            pairs.append((a, ind))
    if align_arrays:
        chunkss, arrays = unify_chunks(*(part for pair in pairs for part in pair))
        pairs = [(a, ind) for a, (_, ind) in zip(arrays, pairs)]
    else:
        chunkss = {}
        for a, ind in pairs:
            for i, sizes in zip(ind or (), a.chunks if ind is not None else ()):
                if i not in chunkss or (len(sizes) > 1 and len(chunkss[i]) == 1):
                    chunkss[i] = sizes
                elif len(sizes) not in (1, len(chunkss[i])):
                    raise ValueError(
                        f"arrays are not aligned along axis {i!r}: chunks {sizes} and {chunkss[i]}, "
                        f"{len(sizes)} and {len(chunkss[i])} blocks"
                    )
    for i, size in new_axes.items():
        chunkss[i] = tuple(size) if isinstance(size, (tuple, list)) else (size,)

    if name is None:
        name = f"{token or funcname(func).strip('_')}-{tokenize(func, 'blockwise', out_ind, [(a, i) for a, i in pairs], adjust_chunks, new_axes, concatenate, dtype, kwargs)}"
    chunks = tuple(chunkss[i] for i in out_ind)
    if adjust_chunks:
        adjusted = []
        for i, sizes in zip(out_ind, chunks):
            change = adjust_chunks.get(i)
            if change is None:
                adjusted.append(sizes)
            elif callable(change):
                adjusted.append(tuple(map(change, sizes)))
            elif isinstance(change, (tuple, list)):
                if len(change) != len(sizes):
                    raise ValueError(
                        f"Dimension {out_ind.index(i)} has {len(sizes)} blocks, adjust_chunks "
                        f"specified with {len(change)} blocks: {change} for chunks {sizes}"
                    )
                adjusted.append(tuple(change))
            elif isinstance(change, Number):
                adjusted.append((change,) * len(sizes))
            else:
                raise NotImplementedError("adjust_chunks values must be callable, int, or tuple")
        chunks = tuple(adjusted)
    if meta is None:
        meta = compute_meta(func, dtype, *(a for a, _ in pairs), **kwargs)
    if meta is None and dtype is None:
        raise ValueError("You must specify the meta or dtype of the array")
    meta = meta_from_array(meta, ndim=len(chunks), dtype=dtype)
    return make_step(func, out_ind, pairs, chunks, meta, name, kwargs, concatenate, _numbered)


def make_step(
    func: Any,
    out_ind: tuple,
    pairs: list,
    chunks: Any,
    meta: Any,
    name: str,
    kwargs: dict,
    concatenate: Any,
    numbered: bool = False,
) -> Any:
    """The rule of `blockwise`, for arrays that are cut alike."""
    place = {label: axis for axis, label in enumerate(out_ind)}
    operands: list = []
    joined = []
    for a, ind in pairs:
        if ind is None:
            operands.append(operand(a, lazy_literal, f"{name}-argument-{len(operands)}"))
            continue
        rules = tuple(place.get(i) for i in ind)
        contracted = [axis for axis, rule in enumerate(rules) if rule is None]
        if contracted and concatenate:
            joined.append((len(operands) + numbered, contracted))
        operands.append((a._expr, rules))
    late = {key: operand(v, lazy_literal, f"{name}-argument-{key}") for key, v in kwargs.items()}
    named = [key for key, (_, rules) in late.items() if rules is not None]
    operands += [late[key] for key in named]
    known = {key: v for key, (v, rules) in late.items() if rules is None}
    call = Call(func, known, named, joined) if named or known or joined else func
    return step(
        call,
        operands,
        chunks,
        meta,
        name,
        numbered=numbered,
        fallback=_is_library(func),
        label=funcname(func),
    )


def _is_library(func: Any) -> bool:
    """Whether a function stands for one of NumPy's, and is not the user's own."""
    func = getattr(func, "func", func)
    module = getattr(func, "__module__", None) or type(func).__module__
    return module.split(".")[0] in ("numpy", "weft", "_operator", "functools")


#: An older name.
atop = blockwise


def concatenate_axes(arrays: Any, axes: Any) -> Any:
    """Joins nested lists of arrays along ``axes``, outermost first.

    Examples
    --------
    >>> import numpy as np
    >>> concatenate_axes([np.ones((2, 1)), np.ones((2, 2))], [1]).shape
    (2, 3)
    """
    if not axes:
        return arrays
    from weft.array.core import _concatenate_chunks

    return _concatenate_chunks([concatenate_axes(a, axes[1:]) for a in arrays], axes[0])


def unify_chunks(*args: Any, **kwargs: Any) -> tuple[dict, list]:
    """Cuts arrays alike along the axes that they share.

    Parameters
    ----------
    *args : pairs of array and labels

    Returns
    -------
    chunks : dict
        From labels to sizes.
    arrays : list

    Examples
    --------
    >>> import weft.array as da
    >>> chunks, (x, y) = da.core.unify_chunks(da.ones(4, chunks=2), "i", da.ones(4, chunks=3), "i")
    >>> chunks["i"]
    (2, 1, 1)
    """
    from weft.array.core import Array, PerformanceWarning, asanyarray

    if not args:
        return {}, []
    warn = kwargs.get("warn", True)
    pairs = [
        (a if ind is None or isinstance(a, Array) else asanyarray(a), None if ind is None else tuple(ind))
        for a, ind in zip(args[::2], args[1::2])
    ]
    dims: dict = {}
    for a, ind in pairs:
        if ind is None:
            continue
        for i, sizes, n in zip(ind, a.chunks, a.shape):
            dims.setdefault(i, []).append((tuple(sizes), n))
    chunkss = {}
    for i, found in dims.items():
        wide = [c for c, n in found if n != 1] or [found[0][0]]
        first = wide[0]
        chunkss[i] = first if all(c == first for c in wide) else common_blockdim(wide)
    arrays = []
    before = max((math.prod(a.numblocks) for a, ind in pairs if ind is not None), default=0)
    after = math.prod(map(len, chunkss.values()))
    if warn and before and after > before * 10:
        warnings.warn(
            f"Increasing number of chunks by factor of {int(after / before)}",
            PerformanceWarning,
            stacklevel=3,
        )
    for a, ind in pairs:
        if ind is None:
            arrays.append(a)
            continue
        want = tuple(
            chunkss[i] if n != 1 or not is_known(n) else (1,) if chunkss[i] != (1,) * len(chunkss[i]) else c
            for i, n, c in zip(ind, a.shape, a.chunks)
        )
        same = all(w == c or not all(map(is_known, c)) for w, c in zip(want, a.chunks))
        arrays.append(a if same else a.rechunk(want))
    return chunkss, arrays
