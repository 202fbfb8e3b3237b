"""Arrays of one value."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.array import _native
from weft.array._chunks import normalize_chunks
from weft.array._host import Sized, step
from weft.array.utils import meta_from_array
from weft.base import tokenize
from weft.utils import funcname


def _shape(shape: Any) -> tuple:
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    if not isinstance(shape, (tuple, list)):
        shape = (shape,)
    return tuple(n if isinstance(n, float) and n != n else int(n) for n in shape)


def wrapped(
    func: Any,
    shape: Any,
    args: tuple = (),
    *,
    dtype: Any,
    chunks: Any,
    name: Any,
    meta: Any = None,
    kwargs: dict | None = None,
) -> Any:
    """An array whose blocks are ``func(shape of the block, *args, dtype=…, **kwargs)``."""
    from weft.array.core import Array

    kwargs = dict(kwargs or {})
    shape = _shape(shape)
    dtype = np.dtype(dtype)
    chunks = normalize_chunks(chunks, shape, dtype=dtype)
    prefix = funcname(func)
    if meta is None and shape and not kwargs:
        made = _native.fill(func, args, chunks, dtype, prefix)
        if made is not None:
            return made if name is None else Array._of(made._expr.rename(name), made._meta)
    if name is None:
        name = (
            f"{prefix}_like-{tokenize(func, shape, chunks, dtype, args, kwargs, meta)}"
            if meta is not None
            else f"{prefix}-{tokenize(func, shape, chunks, dtype, args, kwargs)}"
        )
    meta = (
        meta_from_array(meta, len(chunks), dtype) if meta is not None else np.empty((0,) * len(shape), dtype)
    )
    sized = Sized(func, chunks, args, {"dtype": dtype, **kwargs})
    return step(sized, [], chunks, meta, name, numbered=True, label=prefix)


def _split(kwargs: dict) -> tuple[Any, Any, Any, Any]:
    return (
        kwargs.pop("dtype", None),
        kwargs.pop("chunks", "auto"),
        kwargs.pop("name", None),
        kwargs.pop("meta", None),
    )


def _constant(func: Any, doc: str) -> Any:
    def make(shape, dtype=None, chunks="auto", name=None, order=None, meta=None, **kwargs):
        import weft.array.backends as backends

        like = kwargs.pop("like", None)
        order = {"order": order} if order is not None else {}
        if like is not None or meta is not None:
            from weft.array.utils import meta_from_array

            base = meta_from_array(like if like is not None else meta)
            make_like = getattr(np, f"{func.__name__}_like")
            dtype = np.dtype(dtype if dtype is not None else float)
            return wrapped(
                _like,
                shape,
                (base, make_like),
                dtype=dtype,
                chunks=chunks,
                name=name,
                meta=base,
                kwargs={**order, **kwargs},
            )
        if isinstance(shape, (tuple, list)) and any(hasattr(n, "dask") for n in shape):
            raise TypeError(
                f"Dask array input not supported. Please use tuple, list, or a 1D numpy array instead: shape={shape}"
            )
        if hasattr(shape, "dask"):
            raise TypeError(
                "Dask array input not supported. Please use tuple, list, or a 1D numpy array instead."
            )
        backend = backends.array_creation_dispatch
        if backend.backend != "numpy" and hasattr(backend, func.__name__):
            return getattr(backend, func.__name__)(
                shape, dtype=dtype, chunks=chunks, name=name, **order, **kwargs
            )
        return wrapped(
            func,
            shape,
            dtype=dtype if dtype is not None else float,
            chunks=chunks,
            name=name,
            kwargs={**order, **kwargs},
        )

    make.__name__ = make.__qualname__ = func.__name__
    make.__doc__ = f"""An array of {doc}.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : dtype, optional
    chunks : int, tuple or str
        See `weft.array.core.normalize_chunks`.
    name : str, optional
        What keys start with.
    order : {{"C", "F"}}, optional
    meta : array, optional
        Blocks are of its type.

    Returns
    -------
    Array

    Examples
    --------
    >>> import weft.array as da
    >>> da.{func.__name__}((2, 3), chunks=2).chunks
    ((2,), (2, 1))
    """
    return make


def _like(shape: tuple, base: Any, make: Any, dtype: Any = None, **kwargs: Any) -> Any:
    return make(base, shape=shape, dtype=dtype, **kwargs)


ones = _constant(np.ones, "ones")
zeros = _constant(np.zeros, "zeros")
empty = _constant(np.empty, "arbitrary values")


def full(
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    chunks: Any = "auto",
    name: Any = None,
    order: Any = None,
    meta: Any = None,
    **kwargs: Any,
) -> Any:
    """An array of one value.

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : scalar
    dtype : dtype, optional
        That of ``fill_value`` by default.
    chunks : int, tuple or str
    name : str, optional
    order : {"C", "F"}, optional
    meta : array, optional
        Blocks are of its type.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``fill_value`` is no scalar.

    Examples
    --------
    >>> import weft.array as da
    >>> da.full(3, 7, chunks=2).compute()
    array([7, 7, 7])
    """
    if np.ndim(fill_value) != 0:
        raise ValueError(f"fill_value must be scalar. Received {type(fill_value).__name__} instead.")
    if dtype is None:
        dtype = fill_value.dtype if hasattr(fill_value, "dtype") else np.asarray(fill_value).dtype
    extra = {**({"order": order} if order is not None else {}), **kwargs}
    like = extra.pop("like", None)
    if like is not None or meta is not None:
        from weft.array.utils import meta_from_array

        base = meta_from_array(like if like is not None else meta)
        return wrapped(
            _full_like,
            shape,
            (base, fill_value),
            dtype=dtype,
            chunks=chunks,
            name=name,
            meta=base,
            kwargs=extra,
        )
    return wrapped(np.full, shape, (fill_value,), dtype=dtype, chunks=chunks, name=name, kwargs=extra)


def _full_like(shape: tuple, base: Any, fill_value: Any, dtype: Any = None, **kwargs: Any) -> Any:
    return np.full_like(base, fill_value, shape=shape, dtype=dtype, **kwargs)


_like.__name__ = "empty"
_full_like.__name__ = "full"
