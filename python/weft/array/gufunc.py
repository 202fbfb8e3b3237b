"""Functions of whole axes: NumPy's generalized universal functions."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from weft.array._chunks import is_known, keep_block_size
from weft.array._host import step
from weft.array.blockwise import blockwise, unify_chunks
from weft.array.core import apply_infer_dtype, asarray
from weft.array.utils import compute_meta, meta_from_array
from weft.base import tokenize

_DIM = r"\w+"
_CORE = rf"(?:{_DIM}(?:,{_DIM})*,?)?"
_ARG = rf"\({_CORE}\)"
_INPUTS = rf"(?:{_ARG}(?:,{_ARG})*,?)?"
_SIGNATURE = re.compile(rf"^{_INPUTS}->{_ARG}(?:,{_ARG})*$|^{_INPUTS}->\({_CORE}\)$")


def _parse_gufunc_signature(signature: str) -> tuple[list, Any]:
    """Core axes of the inputs and of the output or outputs.

    Examples
    --------
    >>> _parse_gufunc_signature("(i),(i,j)->(j)")
    ([('i',), ('i', 'j')], ('j',))

    Raises
    ------
    ValueError
        If it is none.
    """
    text = re.sub(r"\s+", "", signature)
    if not _SIGNATURE.match(text):
        raise ValueError(f"Not a valid gufunc signature: {text}")
    left, right = text.split("->")

    def parse(part: str) -> list:
        return [tuple(x for x in core.split(",") if x) for core in re.findall(r"\(([^)]*)\)", part)]

    outputs = parse(right)
    return parse(left), outputs[0] if len(outputs) == 1 and not right.endswith(",") else outputs


def _validate_normalize_axes(
    axes: Any, axis: Any, keepdims: bool, input_coredimss: list, output_coredimss: Any
) -> tuple[list, list]:
    """The axes of each input and output that are core axes."""
    nin = len(input_coredimss)
    nout = 1 if not isinstance(output_coredimss, list) else len(output_coredimss)
    if axes is not None and axis is not None:
        raise ValueError("Only one of `axis` or `axes` keyword arguments should be given")
    if axes and not isinstance(axes, list):
        raise ValueError("`axes` has to be of type list")
    outputs = output_coredimss if nout > 1 or isinstance(output_coredimss, list) else [output_coredimss]
    filtered = [c for c in input_coredimss if c]
    same = all(c == filtered[0] for c in filtered) if filtered else True
    if keepdims and not same:
        raise ValueError("`keepdims` only allowed if all inputs have the same core dimensions")
    if keepdims and any(outputs):
        raise ValueError("`keepdims` only allowed if core outputs have no dimensions")
    if axis is not None:
        if not isinstance(axis, int):
            raise ValueError(f"`axis` argument has to be an integer value, got {type(axis)}")
        if any(len(c) > 1 for c in input_coredimss):
            raise ValueError("`axis` can be used only, if one core dimension is present")
        if not same:
            raise ValueError("`axis` argument can be used only, if all inputs have the same core dimension")
        axes = (
            [(axis,) if c else () for c in input_coredimss] + [(axis,) if c else () for c in outputs]
            if not keepdims
            else [(axis,) if c else () for c in input_coredimss]
        )
        if not keepdims and len(axes) == nin:
            axes += [()] * nout
    if axes is None:
        axes = [tuple(range(-len(c), 0)) for c in [*input_coredimss, *outputs]]
        if keepdims:
            axes = axes[:nin] + [tuple(range(-len(filtered[0]), 0)) if filtered else ()] * nout
    axes = [(a,) if isinstance(a, int) else tuple(a) for a in axes]
    if nin == len(axes) and (not any(outputs)):
        axes = axes + [next((a for a in axes if a), ()) if keepdims else ()] * nout
    if len(axes) != nin + nout:
        raise ValueError("The number of `axes` entries is not equal the number of input and output arguments")
    ins, outs = axes[:nin], axes[nin:]
    if keepdims:
        outs = [next((a for a in ins if a), ()) for _ in outs]
    for idx, (a, c) in enumerate(zip(ins, input_coredimss)):
        if len(a) != len(c):
            raise ValueError(
                f"The number of `axes` entries for argument #{idx} is not equal the number of respective input core dimensions in signature"
            )
    if not keepdims:
        for idx, (a, c) in enumerate(zip(outs, outputs)):
            if len(a) != len(c):
                raise ValueError(
                    f"The number of `axes` entries for argument #{idx} is not equal the number of respective output core dimensions in signature"
                )
    return ins, outs


def apply_gufunc(
    func: Any,
    signature: str,
    *args: Any,
    axes: Any = None,
    axis: Any = None,
    keepdims: bool = False,
    output_dtypes: Any = None,
    output_sizes: Any = None,
    vectorize: Any = None,
    allow_rechunk: bool = False,
    meta: Any = None,
    **kwargs: Any,
) -> Any:
    """Applies a function of whole axes over all others.

    Parameters
    ----------
    func : callable
        Takes arrays whose last axes are those of ``signature``.
    signature : str
        Such as ``"(i),(i)->()"``.
    *args : arrays
    axes : list of tuples, optional
        Where the core axes of inputs and outputs are; at the end by default.
    axis : int, optional
        The one core axis of all.
    keepdims : bool
        Whether core axes stay in the outputs, with one element.
    output_dtypes : dtype or list, optional
        Found by calling ``func`` where not given.
    output_sizes : dict, optional
        Sizes of core axes that only outputs have.
    vectorize : bool, optional
        Whether ``func`` takes core axes only; it is then called in a loop.
    allow_rechunk : bool
        Whether core axes that are cut are joined.
    meta : array or tuple, optional
    **kwargs
        Passed on to ``func``.

    Returns
    -------
    Array or tuple of Array

    Raises
    ------
    ValueError
        If arguments, signature and axes do not fit.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> x = da.ones((4, 3), chunks=(2, 3))
    >>> da.apply_gufunc(lambda x: x.sum(-1), "(i)->()", x, output_dtypes=float).compute()
    array([3., 3., 3., 3.])
    """
    ins, outs = _parse_gufunc_signature(signature)
    several = isinstance(outs, list)
    outputs = outs if several else [outs]
    nout = len(outputs)
    if len(ins) != len(args):
        raise ValueError(
            f"According to `signature`, `func` requires {len(ins)} arguments, but {len(args)} given"
        )
    if meta is not None and output_dtypes is not None:
        raise ValueError("Only one of `meta` and `output_dtypes` should be given (`meta` is preferred).")
    if vectorize is None:
        vectorize = False
    call = np.vectorize(func, signature=signature) if vectorize else func
    if vectorize and output_dtypes is not None:
        types = list(output_dtypes) if isinstance(output_dtypes, (list, tuple)) else [output_dtypes] * nout
        call = np.vectorize(func, signature=signature, otypes=[np.dtype(t) for t in types])
    input_axes, output_axes = _validate_normalize_axes(axes, axis, keepdims, ins, outs)
    arrays = [asarray(a) for a in args]
    moved = []
    for a, ax, core in zip(arrays, input_axes, ins):
        if len(core) > a.ndim:
            raise ValueError(f"an argument of shape {a.shape} lacks the core axes {core}")
        ax = tuple(i % a.ndim for i in ax)
        order = [i for i in range(a.ndim) if i not in ax] + list(ax)
        moved.append(a.transpose(order) if order != list(range(a.ndim)) else a)
    sizes: dict = {}
    loop_max = max((a.ndim - len(c) for a, c in zip(moved, ins)), default=0)
    loops = [f"__loopdim{k}__" for k in range(loop_max)]
    labels = []
    for a, core in zip(moved, ins):
        n = a.ndim - len(core)
        labels.append((*loops[loop_max - n :], *core))
        for label, size in zip(labels[-1], a.shape):
            known = sizes.setdefault(label, size)
            if known != size and is_known(size) and is_known(known):
                if label in core or (known != 1 and size != 1):
                    raise ValueError(
                        f"Dimension `'{label}'` with different lengths in arrays: {known} and {size}"
                    )
                sizes[label] = max(size, known)
    if not allow_rechunk:
        cuts: dict = {}
        for a, of_axes in zip(moved, labels):
            for label, chunks, n in zip(of_axes, a.chunks, a.shape):
                if n != 1 and all(map(is_known, chunks)) and cuts.setdefault(label, chunks) != chunks:
                    if label in loops:
                        raise ValueError(
                            f"Dimension `'{label}'` with different chunksize present: {cuts[label]} and {chunks}"
                        )
    for a, core in zip(moved, ins):
        for label, chunks in zip(core, a.chunks[a.ndim - len(core) :]):
            if len(chunks) > 1 and not allow_rechunk:
                raise ValueError(
                    f"Core dimension `'{label}'` consists of multiple chunks. To fix, rechunk into a single chunk along this dimension "
                    "or set `allow_rechunk=True`, but beware that this may increase memory usage significantly."
                )
    if allow_rechunk:
        moved = [_whole_cores(a, len(c)) if c else a for a, c in zip(moved, ins)]
    chunkss, moved = unify_chunks(*(part for pair in zip(moved, labels) for part in pair), warn=False)
    moved = list(moved)
    sizes.update(output_sizes or {})
    for core in outputs:
        for label in core:
            if label not in sizes:
                raise ValueError(f"output_sizes needs the size of the core axis {label!r}")
    if meta is None:
        if output_dtypes is None:
            found = compute_meta(call, None, *moved, **kwargs)
            if found is None or (several and (not isinstance(found, (tuple, list)) or len(found) != nout)):
                found = None
            if found is None:
                dtypes = apply_infer_dtype(
                    call, moved, kwargs, "apply_gufunc", "output_dtypes", nout if several else None
                )
                metas = [np.empty((0,), t) for t in (dtypes if several else [dtypes])]
            else:
                metas = list(found) if several else [found]
        else:
            types = (
                list(output_dtypes) if isinstance(output_dtypes, (list, tuple)) else [output_dtypes] * nout
            )
            if len(types) != nout:
                raise ValueError(f"output_dtypes has {len(types)} entries for {nout} outputs")
            like = next((a._meta for a in moved if type(a._meta) is not np.ndarray), None)
            metas = [
                np.empty((0,), np.dtype(t)) if like is None else meta_from_array(like, 1, np.dtype(t))
                for t in types
            ]
    else:
        metas = list(meta) if isinstance(meta, (tuple, list)) and several else [meta]
        metas = [
            m if hasattr(m, "dtype") and hasattr(m, "shape") else np.empty((0,), np.dtype(m)) for m in metas
        ]
    flat = [part for pair in zip(moved, labels) for part in pair]
    name = f"apply_gufunc-{tokenize(func, signature, *moved, axes, axis, keepdims, kwargs)}"
    whole = blockwise(
        call,
        loops,
        *flat,
        concatenate=True,
        name=f"{name}-all",
        meta=np.empty((0,) * loop_max, object),
        dtype=object,
        align_arrays=False,
        **kwargs,
    )
    loop_chunks = tuple(chunkss[k] for k in loops)
    results = []
    for i, (core, found, ax) in enumerate(zip(outputs, metas, output_axes)):
        new = f"{name}-{i}"
        chunks = (*loop_chunks, *((sizes[label],) for label in core))
        out = step(
            _output,
            [(whole._expr, tuple(range(len(loop_chunks)))), (i, None), (several, None)],
            chunks,
            meta_from_array(found, len(chunks), found.dtype),
            new,
            fallback=False,
            label="apply_gufunc",
        )
        if keepdims:
            out = out[(Ellipsis, *(None,) * len(ax))]
        if ax:
            n = out.ndim
            where = [a % n for a in ax]
            order = list(range(n - len(ax)))
            for k, a in sorted(zip(range(n - len(ax), n), where), key=lambda p: p[1]):
                order.insert(a, k)
            if order != list(range(n)):
                out = out.transpose(order)
        results.append(out)
    return tuple(results) if several else results[0]


def _whole_cores(a: Any, n: int) -> Any:
    """The array with its last ``n`` axes in one piece each; others are cut smaller for that."""
    loops, cores = range(a.ndim - n), range(a.ndim - n, a.ndim)
    joined = {i: (a.shape[i],) for i in cores}
    if not all(map(is_known, a.shape)) or not all(n for c in a.chunks for n in c):
        return a.rechunk({i: -1 for i in cores})
    new = tuple(joined.get(i, c) for i, c in enumerate(a.chunks))
    largest = math.prod(max(c) for c in a.chunks)
    if new != a.chunks:
        new = keep_block_size(a.chunks, new, {i for i in loops if max(a.chunks[i]) > 1}, largest)
    return a.rechunk(new)


def _output(value: Any, i: int, several: bool) -> Any:
    return value[i] if several else value


class gufunc:
    """A function of whole axes as an object: call it with arrays.

    Parameters
    ----------
    pyfunc : callable
    signature : str
    vectorize, axes, axis, keepdims, output_sizes, output_dtypes, allow_rechunk, meta
        See `apply_gufunc`.

    Examples
    --------
    >>> import weft.array as da
    >>> total = da.gufunc(lambda x: x.sum(-1), signature="(i)->()", output_dtypes=float)
    >>> total(da.ones((2, 3), chunks=3)).compute()
    array([3., 3.])
    """

    def __init__(
        self,
        pyfunc: Any,
        *,
        signature: Any = None,
        vectorize: bool = False,
        axes: Any = None,
        axis: Any = None,
        keepdims: bool = False,
        output_sizes: Any = None,
        output_dtypes: Any = None,
        allow_rechunk: bool = False,
        meta: Any = None,
    ):
        self.pyfunc, self.signature, self.vectorize = pyfunc, signature, vectorize
        self.axes, self.axis, self.keepdims = axes, axis, keepdims
        self.output_sizes, self.output_dtypes = output_sizes, output_dtypes
        self.allow_rechunk, self.meta = allow_rechunk, meta
        self.__doc__ = f"\n        Bound ``weft.array.gufunc``\n        func: ``{getattr(pyfunc, '__name__', 'custom')}``\n        signature: ``'{signature}'``\n\n{pyfunc.__doc__ or ''}"

    def __call__(self, *args: Any, allow_rechunk: bool = False, **kwargs: Any) -> Any:
        return apply_gufunc(
            self.pyfunc,
            self.signature,
            *args,
            vectorize=self.vectorize,
            axes=self.axes,
            axis=self.axis,
            keepdims=self.keepdims,
            output_sizes=self.output_sizes,
            output_dtypes=self.output_dtypes,
            allow_rechunk=self.allow_rechunk or allow_rechunk,
            meta=self.meta,
            **kwargs,
        )


def as_gufunc(signature: Any = None, **kwargs: Any) -> Any:
    """Decorates a function of whole axes; see `gufunc`.

    Examples
    --------
    >>> import weft.array as da
    >>> @da.as_gufunc("(i)->()", output_dtypes=float)
    ... def total(x):
    ...     return x.sum(-1)
    >>> total(da.ones((2, 3), chunks=3)).compute()
    array([3., 3.])
    """
    allowed = {
        "vectorize",
        "axes",
        "axis",
        "keepdims",
        "output_sizes",
        "output_dtypes",
        "allow_rechunk",
        "meta",
    }
    if kwargs.keys() - allowed:
        raise TypeError("Unsupported keyword argument(s) provided")
    return lambda pyfunc: gufunc(pyfunc, signature=signature, **kwargs)
