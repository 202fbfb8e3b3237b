"""Tools for code and tests that work with collections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pandas.testing as tm

from weft import config
from weft.dataframe._call import funcname
from weft.dataframe._meta import UNKNOWN_CATEGORIES, make_meta, meta_nonempty
from weft.utils import is_dataframe_like, is_index_like, is_series_like

__all__ = [
    "UNKNOWN_CATEGORIES",
    "assert_divisions",
    "assert_eq",
    "funcname",
    "get_string_dtype",
    "has_known_categories",
    "is_dataframe_like",
    "is_index_like",
    "is_scalar",
    "is_series_like",
    "make_meta",
    "meta_nonempty",
    "pyarrow_strings_enabled",
    "valid_divisions",
]

is_scalar = pd.api.types.is_scalar


def pyarrow_strings_enabled() -> bool:
    """Whether readers give ``string[pyarrow]``: the setting ``dataframe.convert-string``.

    Unset, text is pandas' ``str``, which has Arrow's layout too, with NaN for what is missing.
    """
    return config.get("dataframe.convert-string", None) is True


def get_string_dtype() -> Any:
    """The dtype of text in frames that weft makes itself: pandas' ``str``, or what the setting asks for."""
    setting = config.get("dataframe.convert-string", None)
    if setting is None:
        return pd.StringDtype("pyarrow", na_value=np.nan)
    return pd.StringDtype("pyarrow") if setting else np.dtype(object)


def has_known_categories(x: Any) -> bool:
    """Whether a categorical (Series, Index, or its meta) knows its categories.

    Raises
    ------
    TypeError
        If it is no categorical.
    """
    dtype = getattr(getattr(x, "_meta", x), "dtype", None)
    if not isinstance(dtype, pd.CategoricalDtype):
        raise TypeError(f"Expected a categorical Series or Index, got {type(x).__name__}")
    return UNKNOWN_CATEGORIES not in dtype.categories


def valid_divisions(divisions: Any) -> bool:
    """Whether these can be divisions: in order, and all but the last two different."""
    if not isinstance(divisions, (tuple, list)):
        return False
    inner = list(divisions)
    if any(pd.isna(label) for label in inner):
        return False
    rising = all(a < b for a, b in zip(inner[:-2], inner[1:-1]))
    return rising and (len(inner) < 2 or inner[-2] <= inner[-1])


def _computed(value: Any, scheduler: Any) -> Any:
    return value.compute(scheduler=scheduler) if hasattr(value, "__dask_graph__") else value


def _sorted(value: Any, by_index: bool = True) -> Any:
    if isinstance(value, pd.Index):
        return value.sort_values()
    try:
        if isinstance(value, pd.DataFrame) and len(value.columns):
            names: list[Any] = [None] * value.index.nlevels
            value = value.rename_axis(index=names)
            value = value.sort_values(by=list(value.columns), kind="stable")
        elif isinstance(value, pd.Series):
            value = value.sort_values(kind="stable")
    except (TypeError, ValueError, KeyError):
        pass
    try:
        return value.sort_index(kind="stable") if by_index else value
    except TypeError:
        return value


def _plain_text(value: Any) -> Any:
    """``value`` with one dtype for text, however it is kept: what matters is what it says."""
    if isinstance(value, pd.DataFrame):
        texts = {
            i: _plain_text(value.iloc[:, i]) for i in range(value.shape[1]) if _holds_text(value.iloc[:, i])
        }
        if texts:
            value = value.copy(deep=False)
            for i, column in texts.items():
                value.isetitem(i, column)
    elif isinstance(value, pd.Series) and _holds_text(value):
        value = value.astype("str")
    elif isinstance(value, pd.MultiIndex):
        return value.set_levels([_plain_text(level) for level in value.levels])
    elif isinstance(value, pd.Index):
        return value.astype("str") if _holds_text(value) else value
    if isinstance(value, (pd.DataFrame, pd.Series)):
        index = _plain_text(value.index)
        if index is not value.index:
            value = value.set_axis(index, axis=0)
    return value


def _holds_text(values: Any) -> bool:
    if isinstance(values.dtype, pd.StringDtype) or str(values.dtype) in (
        "string[pyarrow]",
        "large_string[pyarrow]",
    ):
        return True
    return values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty")


def assert_divisions(collection: Any, scheduler: Any = None) -> None:
    """Checks that each partition lies within its divisions.

    Raises
    ------
    AssertionError
    """
    if not getattr(collection, "known_divisions", False):
        return
    divisions = collection.divisions
    for i in range(collection.npartitions):
        part = collection.partitions[i].compute(scheduler=scheduler)
        index = part if isinstance(part, pd.Index) else part.index
        if not len(index):
            continue
        assert index.min() >= divisions[i], (i, index.min(), divisions)
        if i == collection.npartitions - 1:
            assert index.max() <= divisions[i + 1], (i, index.max(), divisions)
        else:
            assert index.max() < divisions[i + 1], (i, index.max(), divisions)


def assert_eq(
    a: Any,
    b: Any,
    check_names: bool = True,
    check_dtype: bool = True,
    check_divisions: bool = True,
    check_index: bool = True,
    sort_results: bool = True,
    scheduler: Any = "sync",
    **kwargs: Any,
) -> bool:
    """Checks that two objects, lazy or not, hold the same data.

    Parameters
    ----------
    a, b : collection, pandas object or scalar
    check_names, check_dtype, check_divisions, check_index : bool
        What else must agree.
    sort_results : bool
        Compare in sorted order.

    Returns
    -------
    bool
        True.

    Raises
    ------
    AssertionError
        If they differ, or if a collection's meta is not what it computes to.
    """
    if check_divisions:
        for value in (a, b):
            if hasattr(value, "divisions"):
                assert_divisions(value, scheduler=scheduler)
    for value in (a, b):
        _check_meta(value, check_dtype, scheduler)
    a, b = _computed(a, scheduler), _computed(b, scheduler)
    if pyarrow_strings_enabled():
        a, b = _plain_text(a), _plain_text(b)
    names: list[Any] = [getattr(getattr(value, "index", None), "names", None) for value in (a, b)]
    if isinstance(a, (pd.DataFrame, pd.Series)) and sort_results:
        a, b = _sorted(a, check_index), _sorted(b, check_index)
    if not check_index and isinstance(a, (pd.DataFrame, pd.Series)):
        a, b = a.reset_index(drop=True), b.reset_index(drop=True)
    elif check_names and all(found is not None for found in names):
        assert list(names[0]) == list(names[1]), f"index names differ: {list(names[0])} and {list(names[1])}"
    kwargs = {"check_freq": False, **kwargs} if isinstance(a, (pd.DataFrame, pd.Series)) else kwargs
    if isinstance(a, pd.DataFrame):
        tm.assert_frame_equal(a, b, check_names=check_names, check_dtype=check_dtype, **kwargs)
    elif isinstance(a, pd.Series):
        tm.assert_series_equal(a, b, check_names=check_names, check_dtype=check_dtype, **kwargs)
    elif isinstance(a, pd.Index):
        if sort_results:
            a, b = _sorted(a), _sorted(b)
        tm.assert_index_equal(a, b, exact=check_dtype and "equiv", check_names=check_names, **kwargs)
    elif a is b or (pd.api.types.is_scalar(a) and pd.isna(a)):
        assert a is b or pd.isna(b), (a, b)
    else:
        numbers = all(isinstance(value, (int, float, complex, np.number)) for value in (a, b))
        assert np.allclose(a, b) if numbers else a == b, (a, b)
    return True


def _check_meta(value: Any, check_dtype: bool, scheduler: Any) -> None:
    """A collection must compute to what its meta says."""
    if not hasattr(value, "_meta") or not hasattr(value, "compute"):
        return
    meta, result = value._meta, value.compute(scheduler=scheduler)
    if isinstance(meta, (pd.DataFrame, pd.Series, pd.Index)):
        assert isinstance(result, type(meta)) or isinstance(meta, pd.Index), (type(meta), type(result))
    if isinstance(meta, pd.DataFrame):
        tm.assert_index_equal(meta.columns, result.columns)
    if isinstance(meta, pd.Series):
        assert meta.name == result.name or meta.name is result.name, (meta.name, result.name)


def assert_max_deps(graph: Any, n: int, eq: bool = True) -> None:
    """Checks how many tasks the largest task of a graph reads."""
    from weft.core import get_dependencies

    deps = max(len(get_dependencies(graph, key)) for key in graph)
    assert deps == n if eq else deps <= n, (deps, n)
