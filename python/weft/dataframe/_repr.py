"""How collections look in a terminal and in a notebook."""

from __future__ import annotations

from typing import Any

import pandas as pd


def _dtype_name(dtype: Any) -> str:
    if isinstance(dtype, pd.CategoricalDtype):
        from weft.dataframe._meta import UNKNOWN_CATEGORIES

        known = UNKNOWN_CATEGORIES not in dtype.categories
        return f"category[{'known' if known else 'unknown'}]"
    return str(dtype)


def structure(collection: Any) -> pd.DataFrame | pd.Series:
    """A table that shows columns, dtypes and divisions, and dots instead of data."""
    meta, divisions, n = collection._meta, collection.divisions, collection.npartitions
    if all(division is None for division in divisions):
        labels = [""] * (n + 1)
    else:
        labels = [str(division) for division in divisions]
    index = pd.Index(labels, name=f"npartitions={n}")
    if n > 8 and not isinstance(meta, pd.DataFrame) or n > 60:
        index = pd.Index([*labels[:4], "...", *labels[-4:]], name=f"npartitions={n}")
    if isinstance(meta, pd.DataFrame):
        dtypes = [_dtype_name(dtype) for dtype in meta.dtypes]
        table = pd.DataFrame([dtypes] + [["..."] * len(dtypes)] * (len(index) - 1), index=index, dtype=object)
        table.columns = meta.columns
        return table
    values = [_dtype_name(meta.dtype)] + ["..."] * (len(index) - 1)
    return pd.Series(values, index=index, dtype=object, name=getattr(meta, "name", None))


def text(collection: Any) -> str:
    kind = type(collection).__name__
    table = structure(collection)
    with pd.option_context("display.max_rows", 60, "display.max_columns", 20, "display.width", 80):
        if isinstance(table, pd.DataFrame) and table.columns.empty:
            body = f"Empty {kind}\nColumns: []\nDivisions: {', '.join(map(str, collection.divisions))}"
        elif isinstance(table, pd.DataFrame):
            body = table.to_string(max_rows=5)
        else:
            body = table.to_string(max_rows=5)
            name = collection._meta.name
            if name is not None:
                body += f"\nName: {name}, dtype: {_dtype_name(collection._meta.dtype)}"
            else:
                body += f"\ndtype: {_dtype_name(collection._meta.dtype)}"
    return f"Weft {kind} Structure:\n{body}\nWeft Name: {collection._name}"


def html(collection: Any) -> str:
    kind = type(collection).__name__
    return (
        f"<div><strong>Weft {kind} Structure:</strong></div>\n{table(collection)}\n"
        f"<div>Weft Name: {collection._name}</div>"
    )


def table(collection: Any, max_rows: int = 5) -> str:
    """The structure as a table of HTML."""
    shown = structure(collection)
    if isinstance(shown, pd.Series):
        shown = shown.to_frame()
    return str(shown.to_html(max_rows=max_rows, notebook=False))
