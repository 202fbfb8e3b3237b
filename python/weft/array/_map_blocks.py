"""A function on each block."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.array._chunks import cached_starts
from weft.array.utils import compute_meta, meta_from_array
from weft.base import tokenize
from weft.utils import funcname, has_keyword


def map_blocks(
    func: Any,
    *args: Any,
    name: str | None = None,
    token: str | None = None,
    dtype: Any = None,
    chunks: Any = None,
    drop_axis: Any = None,
    new_axis: Any = None,
    enforce_ndim: bool = False,
    meta: Any = None,
    **kwargs: Any,
) -> Any:
    """Applies a function to corresponding blocks of arrays.

    Parameters
    ----------
    func : callable
        Takes blocks. If it has the arguments ``block_id`` or ``block_info``, it gets the position of the
        block, or a dict with positions and shapes of the blocks and arrays.
    *args : arrays or other objects
        Others than arrays are passed on as they are.
    name : str, optional
        What keys start with.
    token : str, optional
        Prefix of a name that is made.
    dtype : dtype, optional
        Of the result; found by calling ``func`` on small arrays where not given.
    chunks : tuple, optional
        Sizes of the resulting blocks, where ``func`` changes them.
    drop_axis : int or iterable, optional
        Axes that ``func`` drops.
    new_axis : int or iterable, optional
        Axes that ``func`` makes; their number in the result.
    enforce_ndim : bool
        Whether to check, as it runs, that blocks have the number of axes that ``meta`` says.
    meta : array, optional
        An empty array like the result.
    **kwargs
        Passed on to ``func``.

    Returns
    -------
    Array

    Raises
    ------
    TypeError, ValueError
        If ``func`` is not callable, or the arguments do not fit.

    Examples
    --------
    >>> import weft.array as da
    >>> da.map_blocks(lambda block: block * 2, da.arange(4, chunks=2)).compute()
    array([0, 2, 4, 6])
    >>> da.map_blocks(lambda block, block_id: block * 0 + block_id[0], da.arange(4, chunks=2)).compute()
    array([0, 0, 1, 1])
    """
    from weft.array.blockwise import blockwise
    from weft.array.core import Array, apply_infer_dtype

    if drop_axis is None:
        drop_axis = []
    if not callable(func):
        raise TypeError(
            f"First argument must be callable function, not {type(func).__name__}\nUsage:   da.map_blocks(function, x)\n   or:   da.map_blocks(function, x, y, z)"
        )
    prefix = token or funcname(func)
    if name is None:
        new_name = f"{prefix}-{tokenize(func, 'map-blocks', args, dtype, chunks, drop_axis, new_axis, kwargs, *((meta,) if meta is not None else ()))}"
    else:
        new_name = name
    if isinstance(drop_axis, (int, np.integer)):
        drop_axis = [drop_axis]
    if isinstance(new_axis, (int, np.integer)):
        new_axis = [new_axis]
    arrays = [a for a in args if isinstance(a, Array)]
    for a in kwargs.values():
        if isinstance(a, Array):
            pass
    pairs = [(a, tuple(range(a.ndim))[::-1]) if isinstance(a, Array) else (a, None) for a in args]
    out_ind: tuple = tuple(range(max(a.ndim for a in arrays)))[::-1] if arrays else ()
    original_kwargs = kwargs
    wants_info = has_keyword(func, "block_info") and "block_info" not in kwargs
    wants_id = has_keyword(func, "block_id") and "block_id" not in kwargs
    probe = dict(kwargs)
    if wants_id:
        probe["block_id"] = (0,) * len(out_ind)
    first_info: Any = None
    if wants_info:
        first_info = {
            i: {
                "shape": a.shape,
                "num-chunks": a.numblocks,
                "array-location": [(0, c[0]) for c in a.chunks],
                "chunk-location": (0,) * a.ndim,
            }
            for i, a in enumerate(args)
            if isinstance(a, Array)
        }
        probe["block_info"] = {
            **first_info,
            None: {
                "shape": (),
                "num-chunks": (),
                "array-location": [],
                "chunk-location": (),
                "chunk-shape": (),
                "dtype": dtype,
            },
        }
    if meta is None and dtype is None and not (wants_info or wants_id):
        meta = compute_meta(func, dtype, *args, **probe)
        if meta is not None and not hasattr(meta, "dtype"):
            meta = None
    elif meta is None and dtype is not None:
        meta = compute_meta(func, dtype, *args, **probe)
        if meta is not None and not hasattr(meta, "dtype"):
            meta = None
    if dtype is None and meta is None:
        try:
            dtype = apply_infer_dtype(func, args, probe, "map_blocks")
        except Exception as error:
            if wants_info or wants_id:
                dtype = None
            raise error

    if new_axis is None and chunks is not None and len(out_ind) - len(drop_axis) < len(chunks):
        new_axis = list(range(len(chunks) - len(out_ind) + len(drop_axis)))
    if drop_axis:
        n = len(out_ind)
        wrong = [d for d in drop_axis if not -n <= d < n]
        if wrong:
            raise ValueError(f"drop_axis {wrong} is out of bounds for arrays of {n} axes")
        drop = {d % n for d in drop_axis}
        out_ind = tuple(x for i, x in enumerate(out_ind) if i not in drop)
    new_axes: dict[Any, Any] = {}
    if new_axis is not None and len(new_axis):
        gap = [ax for n, ax in enumerate(sorted(new_axis)) if ax > len(out_ind) + n]
        if gap:
            raise ValueError(
                f"new_axis {gap} leaves a gap: the result of arrays of {len(out_ind)} axes has "
                f"{len(out_ind) + len(new_axis)}"
            )
        for ax in sorted(new_axis):
            label = len(out_ind) + len(drop_axis)
            while label in out_ind or any(ind is not None and label in ind for _, ind in pairs):
                label += 1
            out_ind = (*out_ind[:ax], label, *out_ind[ax:])
            new_axes[label] = 1
    adjust = None
    if chunks is not None:
        if len(chunks) != len(out_ind):
            raise ValueError(f"Provided chunks have {len(chunks)} dims; expected {len(out_ind)} dims")
        if not out_ind and not chunks:
            adjust = None
        adjust = {i: (tuple(c) if isinstance(c, (tuple, list)) else c) for i, c in zip(out_ind, chunks)}
        for i, c in zip(out_ind, chunks):
            if i in new_axes:
                new_axes[i] = tuple(c) if isinstance(c, (tuple, list)) else c
                adjust.pop(i)
    if enforce_ndim:
        kwargs = {**kwargs, "expected_ndim": len(out_ind), "enforce_ndim_function": func}
        call: Any = apply_and_enforce
    else:
        call = func
    if not arrays and chunks is not None:
        return _from_nothing(func, args, chunks, new_name, dtype, meta, original_kwargs, wants_info, wants_id)
    if (
        dtype is not None
        and meta is not None
        and getattr(meta, "dtype", None) != dtype
        and type(meta) is np.ndarray
    ):
        meta = meta.astype(dtype)
    literals_ok = [part for pair in pairs for part in pair]
    if not (wants_info or wants_id):
        return blockwise(
            call,
            out_ind,
            *literals_ok,
            name=new_name,
            new_axes=new_axes,
            dtype=dtype,
            concatenate=True,
            align_arrays=False,
            adjust_chunks=adjust,
            meta=meta_from_array(meta, len(out_ind), dtype)
            if meta is not None
            else np.empty((0,) * len(out_ind), dtype),
            **kwargs,
        )
    out_meta = (
        meta_from_array(meta, len(out_ind), dtype)
        if meta is not None
        else np.empty((0,) * len(out_ind), dtype)
    )
    informed = _Informed(call, wants_info, wants_id)
    result = blockwise(
        informed,
        out_ind,
        *literals_ok,
        name=new_name,
        new_axes=new_axes,
        dtype=dtype,
        concatenate=True,
        align_arrays=False,
        adjust_chunks=adjust,
        meta=out_meta,
        _numbered=True,
        **kwargs,
    )
    if wants_info:
        informed.place(
            [(i, a.chunks, ind) for i, (a, ind) in enumerate(pairs) if ind is not None],
            out_ind,
            result.chunks,
            result.dtype,
        )
    return result


class _Informed:
    """A function that is told which block it makes."""

    def __init__(self, func: Any, wants_info: bool, wants_id: bool):
        self.func, self.wants_info, self.wants_id = func, wants_info, wants_id
        self.arrays: list = []
        self.labels: tuple = ()
        self.chunks: tuple = ()
        self.dtype: Any = None
        self.starts: dict = {}

    def starts_of(self, chunks: tuple) -> list:
        """Where blocks start, along each axis."""
        for sizes in chunks:
            # By identity: chunks may be a million numbers, and are kept by those who ask.
            if id(sizes) not in self.starts:
                self.starts[id(sizes)] = cached_starts(sizes)
        return [self.starts[id(sizes)] for sizes in chunks]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "starts": {}}

    def place(self, arrays: list, labels: tuple, chunks: tuple, dtype: Any) -> None:
        """What there is to know: the chunks and labels of arguments, and of the result."""
        self.arrays, self.labels, self.chunks, self.dtype = arrays, labels, chunks, dtype

    def __call__(self, at: tuple, *args: Any, **kwargs: Any) -> Any:
        if self.wants_id:
            kwargs["block_id"] = at
        if self.wants_info:
            kwargs["block_info"] = self.info(at)
        return self.func(*args, **kwargs)

    def info(self, at: tuple) -> dict:
        place = dict(zip(self.labels, at))
        info: dict[Any, Any] = {}
        for i, chunks, ind in self.arrays:
            where = tuple(place.get(label, 0) if len(c) > 1 else 0 for label, c in zip(ind, chunks))
            starts = self.starts_of(chunks)
            info[i] = {
                "shape": tuple(s[-1] for s in starts),
                "num-chunks": tuple(len(c) if label in place else 1 for label, c in zip(ind, chunks)),
                "array-location": [
                    (s[j], s[j + 1]) if label in place else (0, s[-1])
                    for s, j, label in zip(starts, where, ind)
                ],
                "chunk-location": where,
            }
        starts = self.starts_of(self.chunks)
        info[None] = {
            "shape": tuple(s[-1] for s in starts),
            "num-chunks": tuple(map(len, self.chunks)),
            "array-location": [(s[j], s[j + 1]) for s, j in zip(starts, at)],
            "chunk-location": at,
            "chunk-shape": tuple(c[j] for c, j in zip(self.chunks, at)),
            "dtype": self.dtype,
        }
        return info


def _from_nothing(
    func: Any,
    args: Any,
    chunks: Any,
    name: str,
    dtype: Any,
    meta: Any,
    kwargs: dict,
    wants_info: bool,
    wants_id: bool,
) -> Any:
    """Blocks of a function that reads no array."""
    from weft.array.blockwise import make_step

    chunks = tuple(tuple(c) if isinstance(c, (tuple, list)) else (c,) for c in chunks)
    meta = (
        meta_from_array(meta, len(chunks), dtype) if meta is not None else np.empty((0,) * len(chunks), dtype)
    )
    informed = _Informed(func, wants_info, wants_id)
    informed.place([], (), chunks, meta.dtype)
    return make_step(informed, (), [(a, None) for a in args], chunks, meta, name, kwargs, True, numbered=True)


def apply_and_enforce(*args: Any, **kwargs: Any) -> Any:
    """Calls a function and checks the number of axes of its result."""
    func, ndim = kwargs.pop("enforce_ndim_function"), kwargs.pop("expected_ndim")
    out = func(*args, **kwargs)
    if getattr(out, "ndim", 0) != ndim:
        got = getattr(out, "ndim", 0)
        raise ValueError(
            f"Dimension mismatch: expected output of {func} to have dims = {ndim}.  Got {got} instead."
        )
    return out
