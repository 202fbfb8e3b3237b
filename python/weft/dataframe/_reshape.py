"""Tables in another shape: pivots, dummies, categories."""

from __future__ import annotations

from typing import Any

import pandas as pd

from weft.dataframe import _meta, _summary
from weft.dataframe._collection import Collection, blockwise


def get_dummies(
    data: Any,
    prefix: Any = None,
    prefix_sep: str = "_",
    dummy_na: bool = False,
    columns: Any = None,
    sparse: bool = False,
    drop_first: bool = False,
    dtype: Any = bool,
    **kwargs: Any,
) -> Any:
    """A column of flags for each category.

    Raises
    ------
    NotImplementedError
        If a column is no categorical, or its categories are not known.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> s = dd.from_pandas(pd.Series(["a", "b"], dtype="category"), npartitions=1)
    >>> dd.get_dummies(s).columns.tolist()
    ['a', 'b']
    """
    options = {
        "prefix": prefix,
        "prefix_sep": prefix_sep,
        "dummy_na": dummy_na,
        "columns": columns,
        "sparse": sparse,
        "drop_first": drop_first,
        "dtype": dtype,
    }
    if isinstance(data, (pd.Series, pd.DataFrame)):
        return pd.get_dummies(data, **options, **kwargs)
    if not isinstance(data, Collection):
        raise TypeError(f"get_dummies takes DataFrames and Series, not {type(data).__name__}")
    meta = data._meta
    if meta.ndim == 1:
        chosen = [meta]
    elif columns is None:
        chosen = [meta[c] for c in meta.columns if meta[c].dtype.kind == "O" or _is_category(meta[c])]
    else:
        chosen = [meta[c] for c in columns]
    for column in chosen:
        if not _is_category(column):
            raise NotImplementedError(
                "`get_dummies` with non-categorical dtypes is not supported: use df.categorize() beforehand "
                f"(column {column.name!r} is {column.dtype})"
            )
        if _meta.UNKNOWN_CATEGORIES in column.cat.categories:
            raise NotImplementedError(
                f"`get_dummies` with unknown categories is not supported (column {column.name!r}): use "
                "`column.cat.as_known()` beforehand"
            )
    return blockwise(pd.get_dummies, data, label="get_dummies", **options, **kwargs)


def _is_category(column: Any) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype)


def pivot_table(df: Any, index: Any, columns: Any, values: Any = None, aggfunc: str = "mean") -> Any:
    """A table: a row for each value of ``index``, a column for each category of ``columns``.

    Parameters
    ----------
    index, columns, values : label
        ``columns`` must be a categorical with known categories.
    aggfunc : {'mean', 'sum', 'count', 'first', 'last'}

    Raises
    ------
    ValueError
        If an argument does not fit.
    """
    if not pd.api.types.is_scalar(index) or index not in df._meta.columns:
        raise ValueError("'index' must be the name of an existing column")
    if not pd.api.types.is_scalar(columns) or columns not in df._meta.columns:
        raise ValueError("'columns' must be the name of an existing column")
    if not _is_category(df._meta[columns]):
        raise ValueError("'columns' must be category dtype")
    if _meta.UNKNOWN_CATEGORIES in df._meta[columns].cat.categories:
        raise ValueError("'columns' categories must be known")
    wanted = values if isinstance(values, list) else [values]
    if any(not pd.api.types.is_scalar(v) or v not in df._meta.columns for v in wanted):
        raise ValueError("'values' must refer to an existing column or columns")
    if aggfunc not in ("mean", "sum", "count", "first", "last"):
        raise ValueError("aggfunc must be either 'mean', 'sum', 'count', 'first', 'last'")
    options = {"index": index, "columns": columns, "values": values, "aggfunc": aggfunc, "observed": False}
    needed = df[list(dict.fromkeys([index, columns, *wanted]))]
    # A row for each category, so that each has its column.
    dtype = needed._meta[columns].dtype
    sample = _meta.meta_nonempty(needed._meta).iloc[[0] * max(len(dtype.categories), 1)]
    sample = sample.assign(**{columns: pd.Categorical(dtype.categories, dtype=dtype)})
    meta = sample.pivot_table(**options).iloc[:0]
    return _summary.pivot_table(needed, meta, options)


def melt(
    frame: Any,
    id_vars: Any = None,
    value_vars: Any = None,
    var_name: Any = None,
    value_name: Any = "value",
    col_level: Any = None,
) -> Any:
    """Columns turned into rows, partition by partition."""
    return frame.melt(
        id_vars=id_vars, value_vars=value_vars, var_name=var_name, value_name=value_name, col_level=col_level
    )


def categorize(df: Any, columns: Any = None, index: Any = None) -> Any:
    """``df`` with categoricals whose categories are known: those that the data has."""
    if columns is None:
        columns = [c for c in df._meta.columns if _is_text(df._meta[c].dtype) or _unknown(df._meta[c])]
    elif pd.api.types.is_scalar(columns):
        columns = [columns]
    columns = [c for c in columns if not _is_category(df._meta[c]) or _unknown(df._meta[c])]
    labels = df._meta.index
    if index is not False and isinstance(labels, pd.CategoricalIndex):
        index = _unknown(labels)
    elif index is None:
        index = _is_text(labels.dtype)
    if not columns and not index:
        return df
    found = known_dtype([*(df[c] for c in columns), *([df.index] if index else [])])
    dtypes = dict(zip(columns, found))
    label = found[-1] if index else None
    meta = _as_categories(df._meta, dtypes, label)
    return blockwise(_as_categories, df, dtypes, label, label="categorize", meta=meta)


def known_dtype(series: list[Any], **kwargs: Any) -> list[pd.CategoricalDtype]:
    """For each collection the categorical dtype of the values that it holds; computes."""
    from weft.base import compute

    parts = [s.to_series() if isinstance(s._meta, pd.Index) else s for s in series]
    dtypes = []
    for values in compute(*[part.drop_duplicates() for part in parts], **kwargs):
        if _is_category(values):
            ordered, values = values.cat.ordered, values.cat.remove_unused_categories()
            dtypes.append(pd.CategoricalDtype(values.cat.categories, ordered))
        else:
            dtypes.append(pd.CategoricalDtype(pd.Index(values.dropna()).sort_values().rename(None)))
    return dtypes


def _is_text(dtype: Any) -> bool:
    return getattr(dtype, "kind", "") == "O" and not isinstance(dtype, pd.CategoricalDtype)


def _unknown(column: Any) -> bool:
    return _is_category(column) and _meta.UNKNOWN_CATEGORIES in column.dtype.categories


def _as_categories(part: Any, dtypes: Any, index: Any = None) -> Any:
    part = part.copy(deep=False)
    for label, dtype in dtypes.items():
        column = part[label]
        part[label] = (
            column.cat.set_categories(dtype.categories) if _is_category(column) else column.astype(dtype)
        )
    if index is not None:
        labels = part.index
        part.index = labels.set_categories(index.categories) if _is_category(labels) else labels.astype(index)
    return part


__all__ = ["categorize", "get_dummies", "melt", "pivot_table"]
