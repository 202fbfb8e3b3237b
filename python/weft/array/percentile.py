"""Percentiles of one axis, approximately, without bringing it together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from weft.array._host import step
from weft.base import tokenize


def _percentiles_of(block: Any, q: Any, method: str) -> tuple[Any, int]:
    if not len(block):
        return None, 0
    kind = block.dtype.kind
    exact: Any = np.percentile
    if kind in "mM":
        return exact(block.view("i8"), q, method=_discrete(method)).astype(block.dtype), len(block)
    return exact(block, q, method=method), len(block)


def _discrete(method: str) -> str:
    return "nearest" if method == "linear" else method


def percentile(
    a: Any, q: Any, method: str = "linear", internal_method: str = "default", **kwargs: Any
) -> Any:
    """Percentiles of an array of one axis: exact in each block, merged by their weights.

    Parameters
    ----------
    a : Array
        Of one axis.
    q : number or array
        From 0 to 100.
    method : str
        See `numpy.percentile`.
    internal_method : {"default", "dask", "tdigest"}
        ``"tdigest"`` needs the package crick.

    Returns
    -------
    Array
        Of one axis.

    Raises
    ------
    NotImplementedError
        If there are more axes.

    Examples
    --------
    >>> import weft.array as da
    >>> da.percentile(da.arange(101, chunks=101), [0, 50, 100]).compute()
    array([  0.,  50., 100.])
    """
    if kwargs.get("interpolation"):
        method = kwargs.pop("interpolation")
    if a.ndim != 1:
        raise NotImplementedError(
            "Percentiles only implemented for 1-d arrays: use da.quantile along an axis"
        )
    if internal_method not in ("default", "dask", "tdigest"):
        raise ValueError(
            f"Available `internal_method` options are {('default', 'dask', 'tdigest')}; got {internal_method!r}"
        )
    if method not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise ValueError(
            f"unknown method {method!r}: use 'linear', 'lower', 'higher', 'midpoint' or 'nearest'"
        )
    if a.dtype.kind not in "biufcmM" and method == "linear":
        # Between texts there is nothing.
        method = "nearest"
    q_ = np.array([q]) if np.ndim(q) == 0 else np.asarray(q)
    dtype = a.dtype
    if dtype.kind in "iub":
        dtype = (np.array([], dtype=dtype) / 0.5).dtype
    if internal_method == "tdigest" and dtype.kind in "iuf":
        from weft.utils import import_required

        import_required(
            "crick", "crick is a required dependency for using the t-digest method: pip install crick"
        )
        name = f"percentile-tdigest-{tokenize(a, q_, method)}"
        ones = ((1,) * a.numblocks[0],)
        parts = step(_digest, [(a._expr, (0,))], ones, np.empty((0,), object), f"{name}-chunk")
        return step(
            _digested, [(q_, None), (parts._expr, (None,))], ((len(q_),),), np.empty((0,), dtype), name
        )
    # Ends are needed even where nobody asked for them.
    wanted = np.unique(np.concatenate([[0], q_, [100]])) if len(q_) else np.array([0.0, 100.0])
    name = f"percentile-{tokenize(a, q_, method)}"
    parts = step(
        _percentiles_of,
        [(a._expr, (0,)), (wanted, None), (method, None)],
        ((1,) * a.numblocks[0],),
        np.empty((0,), object),
        f"{name}-chunk",
    )
    return step(
        _merged,
        [(q_, None), (wanted, None), (parts._expr, (None,)), (method, None), (dtype, None)],
        ((len(q_),),),
        np.empty((0,), dtype),
        name,
    )


def _merged(q: Any, calculated: Any, parts: list, method: str, dtype: Any) -> Any:
    values = [p for p, n in parts if n]
    counts = [n for _, n in parts if n]
    if not values:
        raise ValueError("No non-trivial arrays found")
    return merge_percentiles(q, [calculated] * len(values), values, method, counts).astype(dtype)


def merge_percentiles(
    finalq: Any, qs: Any, vals: Any, method: str = "lower", Ns: Any = None, raise_on_nan: bool = True
) -> Any:
    """Percentiles of a whole, from those of parts.

    Parameters
    ----------
    finalq : array
        What is asked for.
    qs, vals : lists of arrays
        For each part its percentages and their values.
    method : str
    Ns : list of int
        Sizes of the parts.

    Returns
    -------
    array

    Examples
    --------
    >>> merge_percentiles([50], [[0, 50, 100]], [[1, 2, 3]], Ns=[3])
    array([2])
    """
    if isinstance(finalq, Iterator):
        finalq = list(finalq)
    finalq = np.asarray(finalq)
    qs, vals = [np.asarray(list(x)) for x in qs], [np.asarray(v) for v in vals]
    if Ns is None:
        vals, Ns = zip(*vals)
    kept = [(q, v, n) for q, v, n in zip(qs, vals, Ns) if n]
    if not kept:
        raise ValueError("No non-trivial arrays found")
    if len(kept) == 1 and np.array_equal(kept[0][0], finalq):
        return kept[0][1]
    # Each value stands for the share of its part that lies between it and the value before.
    values = np.concatenate([v for _, v, _ in kept])
    counts = np.concatenate([np.diff(q, prepend=0) * n for q, _, n in kept])
    order = np.argsort(values, kind="stable")
    values, counts = values[order], counts[order]
    reached = np.cumsum(counts)
    wanted = finalq * (reached[-1] / 100 if reached[-1] else 1)
    if method == "linear" and values.dtype.kind in "biuf":
        return np.interp(wanted, reached, values)
    left = np.searchsorted(reached, wanted, side="left")
    right = np.searchsorted(reached, wanted, side="right") - 1
    np.minimum(left, len(values) - 1, out=left)
    np.maximum(right, 0, out=right)
    lower, upper = np.minimum(left, right), np.maximum(left, right)
    if method == "lower":
        return values[lower]
    if method == "higher":
        return values[upper]
    if method == "midpoint" and values.dtype.kind in "biuf":
        return 0.5 * (values[lower] + values[upper])
    nearer = np.abs(reached[lower] - wanted) > np.abs(reached[upper] - wanted)
    return np.where(nearer, values[upper], values[lower])


def _digest(block: Any) -> Any:
    from crick import TDigest  # type: ignore[import-not-found]

    digest = TDigest()
    digest.update(block)
    return digest


def _digested(q: Any, digests: list) -> Any:
    from crick import TDigest

    whole = TDigest()
    whole.merge(*digests)
    return np.array(whole.quantile(q / 100.0))


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: Any = None,
) -> Any:
    """Percentiles along an axis, without NaN; see `numpy.nanpercentile`.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> da.nanpercentile(da.from_array(np.array([1.0, np.nan, 3.0]), chunks=2), 50, axis=0).compute()
    np.float64(2.0)
    """
    from weft.array.reductions import nanquantile

    return nanquantile(
        a,
        np.true_divide(q, 100),
        axis=axis,
        out=out,
        method=interpolation or method,
        keepdims=keepdims,
        weights=weights,
    )
