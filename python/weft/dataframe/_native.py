"""The door to the expressions in Rust."""

from __future__ import annotations

from typing import Any

import pandas as pd

from weft._weft import FrameExpr, frame_host, frame_memory, lower_many
from weft.dataframe import _convert

__all__ = ["FrameExpr", "Unsupported", "fields_of", "frame_host", "frame_memory", "lower_many"]

#: What a FrameExpr raises when it has no kernel. A KeyError: pandas has found the column in the
#: meta, so it is one that only pandas can hold.
Unsupported = (NotImplementedError, KeyError)


def fields_of(meta: Any) -> tuple[str, list[tuple[Any, str | None]] | None]:
    """The kind (``table``, ``series``, ``unnamed``, ``scalar``) and the fields (label, dtype) of ``meta``.

    A dtype is None if frames cannot hold it; the fields are None if that goes for the labels or the
    whole object.
    """
    if isinstance(meta, (pd.DataFrame, pd.Series)) and not _convert.is_exact_index(meta.index):
        return ("table" if meta.ndim == 2 else "unnamed" if meta.name is None else "series"), None
    if isinstance(meta, pd.DataFrame):
        if not meta.columns.is_unique or any(name is not None for name in meta.columns.names):
            return "table", None
        return "table", _fields(list(meta.columns), list(meta.dtypes))
    if isinstance(meta, pd.Series):
        if meta.name is None:
            return "unnamed", [(0, _convert.dtype_name(meta.dtype))]
        return "series", _fields([meta.name], [meta.dtype])
    return "scalar", None


def _fields(labels: list[Any], dtypes: list[Any]) -> list[tuple[Any, str | None]] | None:
    try:
        return [(_convert.label(name), _convert.dtype_name(dtype)) for name, dtype in zip(labels, dtypes)]
    except _convert.Inexact:
        return None
