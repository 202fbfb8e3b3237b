"""Fourier transforms along axes that are not cut."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.array.core import asarray
from weft.array.creation import linspace
from weft.array.routines import roll
from weft.array.utils import validate_axis


def fft_wrap(fft_func: Any, kind: Any = None, dtype: Any = None, allow_fftpack: bool = False) -> Any:
    """A lazy version of a function of `numpy.fft` or `scipy.fft`.

    Parameters
    ----------
    fft_func : callable
        The function.
    kind : str, optional
        Its name, where it has another.
    dtype : dtype, optional
        Of its results; found by calling it where not given.
    allow_fftpack : bool
        Whether functions of `scipy.fftpack` are taken.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If the kind is not known.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> parallel = da.fft.fft_wrap(np.fft.fft)
    >>> parallel(da.ones(4, chunks=4)).compute().real
    array([4., 0., 0., 0.])
    """
    if "fftpack" in fft_func.__module__ and not allow_fftpack:
        warnings.warn(
            "scipy.fftpack does not match NumPy's API and is considered legacy: use scipy.fft, or pass allow_fftpack=True. "
            "Its functions will not be taken in the future.",
            FutureWarning,
            stacklevel=2,
        )
    name = kind or fft_func.__name__
    stem = name.rstrip("2n")
    if stem.endswith("fft") is False or stem not in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
        raise ValueError(f"Given unknown `kind` {name}.")
    many = name != stem

    def func(a, s=None, axes=None, norm=None):
        a = asarray(a)
        if axes is None:
            if name.endswith("2"):
                axes_ = (-2, -1)
            elif name.endswith("n"):
                if s is not None:
                    warnings.warn(
                        "`axes` should not be `None` if `s` is not `None` (NumPy 2.0 has deprecated it)",
                        DeprecationWarning,
                        stacklevel=2,
                    )
                axes_ = tuple(range(a.ndim)) if s is None else tuple(range(len(s)))
            else:
                axes_ = (-1,)
        else:
            axes_ = tuple(axes) if isinstance(axes, Sequence) or hasattr(axes, "__iter__") else (axes,)
            if len(set(axes_)) < len(axes_):
                raise ValueError(f"Duplicate axes not allowed: {axes_}")
        validate_axis(tuple(axes_), a.ndim)
        if s is not None and len(s) != len(axes_):
            raise ValueError("Shape and axes have different lengths.")
        out_dtype = dtype
        if out_dtype is None:
            sample = np.ones(a.ndim * (8,), dtype=a.dtype)
            try:
                out_dtype = (fft_func(sample, axes=axes_) if many else fft_func(sample)).dtype
            except TypeError:
                out_dtype = fft_func(sample).dtype
        for ax in axes_:
            if len(a.chunks[ax]) > 1:
                raise ValueError(
                    f"Dask array only supports taking an FFT along an axis that \nhas a single chunk. An FFT operation was tried on axis {ax} "
                    f"which has chunks {a.chunks[ax]}. To change the array's chunks use dask.Array.rechunk."
                )
        chunks = list(a.chunks)
        sizes = [a.shape[ax] for ax in axes_] if s is None else list(s)
        if s is None and stem in ("irfft", "hfft"):
            sizes[-1] = 2 * (sizes[-1] - 1)
        for ax, n in zip(axes_, sizes):
            chunks[ax] = (n,)
        if stem in ("rfft", "ihfft"):
            chunks[axes_[-1]] = (sizes[-1] // 2 + 1,)
        given = None if s is None and stem not in ("irfft", "hfft") else tuple(sizes)
        extra = {} if norm is None else {"norm": norm}
        if many:
            return a.map_blocks(
                fft_func,
                s=None if s is None else given,
                axes=axes_,
                dtype=out_dtype,
                chunks=tuple(chunks),
                meta=np.empty((0,) * a.ndim, out_dtype),
                **extra,
            )
        return a.map_blocks(
            fft_func,
            n=None if s is None else given[0],
            axis=axes_[0],
            dtype=out_dtype,
            chunks=tuple(chunks),
            meta=np.empty((0,) * a.ndim, out_dtype),
            **extra,
        )

    if many:
        result = func
    else:

        def result(a, n=None, axis=None, norm=None):  # type: ignore[misc]
            return func(a, None if n is None else (n,), None if axis is None else (axis,), norm)

    where = "numpy" if fft_func.__module__.startswith("numpy") else fft_func.__module__
    result.__name__ = result.__qualname__ = name
    # NumPy's examples show NumPy's results: they are text here, not examples that are run.
    theirs = (inspect.getdoc(fft_func) or "").replace(">>> ", "In: ")
    result.__doc__ = (
        f"Lazy version of `{where}.fft.{fft_func.__name__}`: the axes must not be cut.\n\n{theirs}"
    )
    return result


fft = fft_wrap(np.fft.fft)
fft2 = fft_wrap(np.fft.fft2)
fftn = fft_wrap(np.fft.fftn)
ifft = fft_wrap(np.fft.ifft)
ifft2 = fft_wrap(np.fft.ifft2)
ifftn = fft_wrap(np.fft.ifftn)
rfft = fft_wrap(np.fft.rfft)
rfft2 = fft_wrap(np.fft.rfft2)
rfftn = fft_wrap(np.fft.rfftn)
irfft = fft_wrap(np.fft.irfft)
irfft2 = fft_wrap(np.fft.irfft2)
irfftn = fft_wrap(np.fft.irfftn)
hfft = fft_wrap(np.fft.hfft)
ihfft = fft_wrap(np.fft.ihfft)


def fftfreq(n: int, d: float = 1.0, chunks: Any = "auto") -> Any:
    """The frequencies of a transform of ``n`` samples at a distance ``d``; see `numpy.fft.fftfreq`.

    Examples
    --------
    >>> import weft.array as da
    >>> da.fft.fftfreq(4).compute()
    array([ 0.  ,  0.25, -0.5 , -0.25])
    """
    n, d = int(n), float(d)
    r = linspace(0, 1, n, endpoint=False, chunks=chunks)
    return r.map_blocks(_freq, n=n, d=d, dtype=float)


def _freq(r: Any, n: int, d: float) -> Any:
    k = np.rint(r * n)
    half = (n - 1) // 2 + 1
    return np.where(k < half, k, k - n) / (n * d)


def rfftfreq(n: int, d: float = 1.0, chunks: Any = "auto") -> Any:
    """The frequencies of a real transform; see `numpy.fft.rfftfreq`.

    Examples
    --------
    >>> import weft.array as da
    >>> da.fft.rfftfreq(4).compute()
    array([0.  , 0.25, 0.5 ])
    """
    n, d = int(n), float(d)
    from weft.array.creation import arange

    return arange(n // 2 + 1, dtype=float, chunks=chunks) / (n * d)


def _shift_helper(x: Any, axes: Any, inverse: bool) -> Any:
    if axes is None:
        axes = list(range(x.ndim))
    elif not isinstance(axes, Sequence):
        axes = (axes,)
    for i in axes:
        n = x.shape[i]
        x = roll(x, -(n // 2) if inverse else n // 2, i).rechunk(x.chunks)
    return x


def fftshift(x: Any, axes: Any = None) -> Any:
    """Moves the frequency 0 into the middle; see `numpy.fft.fftshift`."""
    return _shift_helper(x, axes, inverse=False)


def ifftshift(x: Any, axes: Any = None) -> Any:
    """The inverse of `fftshift`; see `numpy.fft.ifftshift`."""
    return _shift_helper(x, axes, inverse=True)
