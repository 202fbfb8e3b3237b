"""Functions of pandas that take a whole object, on each partition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe._arrays import is_array
from weft.dataframe._collection import Collection, blockwise


def to_datetime(arg: Any, meta: Any = None, **kwargs: Any) -> Any:
    """Datetimes of text or numbers; see :func:`pandas.to_datetime`."""
    if not isinstance(arg, Collection):
        return pd.to_datetime(arg, **kwargs)
    if meta is None:
        sample = pd.to_datetime(["2000-01-01"], utc=bool(kwargs.get("utc")))
        if arg._meta.ndim == 1 and not isinstance(arg._meta, pd.Index):
            meta = pd.Series(sample, name=arg._meta.name, index=None).iloc[:0].set_axis(arg._meta.index[:0])
            number = pd.api.types.is_numeric_dtype(arg._meta.dtype)
            if number or isinstance(arg._meta.dtype, (pd.DatetimeTZDtype,)) or arg._meta.dtype.kind == "M":
                meta = pd.to_datetime(arg._meta, **kwargs)
        elif isinstance(arg._meta, pd.Index):
            meta = sample[:0].rename(arg._meta.name)
        else:
            meta = pd.Series(sample[:0], index=arg._meta.index[:0])
    return blockwise(pd.to_datetime, arg, label="to_datetime", meta=meta, **kwargs)


def to_timedelta(arg: Any, unit: Any = None, errors: Any = "raise") -> Any:
    """Timedeltas of text or numbers; see :func:`pandas.to_timedelta`."""
    if not isinstance(arg, Collection):
        return pd.to_timedelta(arg, unit=unit, errors=errors)
    if not pd.api.types.is_numeric_dtype(arg._meta.dtype):
        meta = pd.Series(pd.to_timedelta(["1h"])[:0], name=arg._meta.name, index=arg._meta.index[:0])
        return blockwise(pd.to_timedelta, arg, label="to_timedelta", meta=meta, unit=unit, errors=errors)
    return blockwise(pd.to_timedelta, arg, label="to_timedelta", unit=unit, errors=errors)


def to_numeric(arg: Any, errors: Any = "raise", downcast: Any = None, meta: Any = None) -> Any:
    """Numbers of text; see :func:`pandas.to_numeric`.

    Raises
    ------
    TypeError
        If ``arg`` is no Series.
    """
    if errors not in ("raise", "coerce"):
        raise ValueError("invalid error value specified")
    if pd.api.types.is_scalar(arg):
        if meta is not None:
            raise KeyError("``meta`` is not allowed when input is a scalar")
        from weft.delayed import delayed

        return delayed(pd.to_numeric, pure=True)(arg, errors=errors, downcast=downcast)
    if is_array(arg) and arg.ndim == 1:
        dtype: Any = (
            getattr(meta, "dtype", meta) if meta is not None else _numeric(arg, errors, downcast).dtype
        )
        return arg.map_blocks(
            pd.to_numeric, dtype=dtype, meta=np.array([], dtype), errors=errors, downcast=downcast
        )
    if not isinstance(arg, Collection) or arg.ndim != 1:
        raise TypeError("arg must be a list, tuple, lazy array or lazy Series")
    if meta is None:
        meta = _numeric(arg, errors, downcast).rename(arg._meta.name)
    return blockwise(pd.to_numeric, arg, label="to_numeric", meta=meta, errors=errors, downcast=downcast)


def _numeric(arg: Any, errors: Any, downcast: Any) -> Any:
    """What numbers of text look like, by what pandas makes of whole ones."""
    if pd.api.types.is_numeric_dtype(arg.dtype):
        return pd.to_numeric(pd.Series([], dtype=arg.dtype), errors=errors, downcast=downcast)
    return pd.to_numeric(pd.Series([], dtype="float64" if errors == "coerce" else "int64"), downcast=downcast)


def isna(arg: Any) -> Any:
    """Which values are missing."""
    return arg.isna() if hasattr(arg, "__dask_graph__") else pd.isna(arg)
