"""Text as the setting ``dataframe.convert-string`` asks for: on, readers give pandas' ``string[pyarrow]``."""

from __future__ import annotations

from typing import Any

import pandas as pd

from weft import config
from weft.dataframe._collection import blockwise

_STRING = pd.StringDtype("pyarrow")


def converts() -> bool:
    """Whether readers change text: only where the setting says so, otherwise it stays as pandas has it."""
    return config.get("dataframe.convert-string", None) is True


def _is_other_text(dtype: Any) -> bool:
    return dtype == "O" or isinstance(dtype, pd.StringDtype) and dtype != _STRING


def text_as_asked(data: Any) -> Any:
    """A collection or pandas object, its text as the setting asks for.

    Examples
    --------
    >>> import pandas as pd, weft
    >>> from weft.dataframe.io._text import text_as_asked
    >>> with weft.config.set({"dataframe.convert-string": True}):
    ...     str(text_as_asked(pd.Series(["a"])).dtype)
    'string'
    """
    if not converts():
        return data
    if not hasattr(data, "_meta"):
        return _converted(data)
    meta = data._meta
    if meta.ndim == 2 and meta.columns.is_unique and not _is_other_text(meta.index.dtype):
        found = [label for label, dtype in meta.dtypes.items() if _is_other_text(dtype)]
        return data.astype(dict.fromkeys(found, _STRING)) if found else data
    changed = _converted(meta)
    if changed is meta:
        return data
    return blockwise(_converted, data, label="convert-string", meta=changed)


def _converted(data: Any) -> Any:
    if isinstance(data, pd.Index):
        return data.astype(_STRING) if _is_other_text(data.dtype) else data
    if isinstance(data, pd.Series):
        found = data.astype(_STRING) if _is_other_text(data.dtype) else data
    else:
        found = data
        for i, dtype in enumerate(data.dtypes):
            if _is_other_text(dtype):
                found = found.copy(deep=False) if found is data else found
                found.isetitem(i, data.iloc[:, i].astype(_STRING))
    index = data.index
    if isinstance(index, pd.MultiIndex) or not _is_other_text(index.dtype):
        return found
    return found.set_axis(index.astype(_STRING), axis=0)
