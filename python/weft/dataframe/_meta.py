"""What results look like: pandas itself, run on an empty or a two-row sample."""

from __future__ import annotations

import datetime
import functools
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from weft._dispatch import Dispatch

NO_DEFAULT = pd.api.extensions.no_default


def is_pandas(value: Any) -> bool:
    return isinstance(value, (pd.DataFrame, pd.Series, pd.Index))


def make_meta(x: Any, index: pd.Index | None = None, parent_meta: Any = None) -> Any:
    """An empty pandas object (or a sample scalar) with the structure that ``x`` describes.

    Parameters
    ----------
    x : pandas object, dict, iterable of (name, dtype), (name, dtype) pair, dtype or scalar
        A dict or an iterable of pairs describes a DataFrame, one pair a Series.
    index : pandas.Index, optional
        The index of the result.
    parent_meta : object, optional
        Accepted for compatibility.

    Examples
    --------
    >>> from weft.dataframe.utils import make_meta
    >>> make_meta({"a": "int64", "b": "float64"}).dtypes.tolist()
    [dtype('int64'), dtype('float64')]
    """
    if hasattr(x, "_meta"):
        return x._meta
    if is_pandas(x):
        return x.iloc[:0].copy() if not isinstance(x, pd.Index) else x[:0]
    if index is not None:
        index = make_meta(index)
    if isinstance(x, Mapping):
        return pd.DataFrame({name: _empty(name, dtype, index) for name, dtype in x.items()}, index=index)
    if isinstance(x, tuple) and len(x) == 2:
        return _empty(x[0], x[1], index)
    if isinstance(x, (list, tuple)):
        if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in x):
            raise ValueError(f"Expected iterable of tuples of (name, dtype), got {x}")
        columns = [name for name, _ in x]
        data = {i: _empty(name, dtype, index) for i, (name, dtype) in enumerate(x)}
        frame = pd.DataFrame(data, index=index)
        frame.columns = pd.Index(columns)
        return frame
    if not hasattr(x, "dtype") and x is not None:
        try:  # A dtype, or a word for one, describes a scalar.
            dtype = pd.api.types.pandas_dtype(x)
            return sample_of(dtype)[0]
        except TypeError:
            pass
    if x is None or np.isscalar(x) or isinstance(x, (pd.Timestamp, pd.Timedelta, pd.Period, np.generic)):
        return x
    for known in (make_meta_dispatch, make_scalar):
        try:
            return known(x)
        except TypeError:
            continue
    raise TypeError(f"Don't know how to create metadata from {x}")


def _empty(name: Any, dtype: Any, index: pd.Index | None) -> pd.Series:
    if isinstance(dtype, str) and dtype == "category":
        dtype = pd.CategoricalDtype([UNKNOWN_CATEGORIES])
    return pd.Series([], dtype=dtype, name=name, index=index)


#: The category of categoricals whose categories nobody knows yet.
UNKNOWN_CATEGORIES = "__UNKNOWN_CATEGORIES__"


#: For objects of other libraries: what they look like without rows.
make_meta_dispatch = Dispatch("make_meta")
#: For scalars of other libraries: one on which most functions work.
make_scalar = Dispatch("make_scalar")
#: For extension dtypes of other libraries: an array of two values.
make_array_nonempty = Dispatch("make_array_nonempty")


def sample_of(dtype: Any) -> Any:
    """Two values of ``dtype``, of a kind on which most functions work."""
    try:
        return make_array_nonempty(dtype)
    except TypeError:
        return _sample_of(dtype)


@functools.lru_cache(maxsize=256)
def _sample_of(dtype: Any) -> Any:
    if isinstance(dtype, pd.CategoricalDtype):
        categories = dtype.categories
        if len(categories) == 0:
            return pd.Categorical([None, None], dtype=dtype)
        return pd.Categorical([categories[0], categories[-1]], dtype=dtype)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return pd.array([pd.Timestamp(1, tz=dtype.tz), pd.Timestamp(1, tz=dtype.tz)]).astype(dtype)
    if isinstance(dtype, pd.PeriodDtype):
        return pd.period_range("1970-01-01", periods=2, freq=dtype.freq).array
    if isinstance(dtype, pd.IntervalDtype):
        return pd.interval_range(0, 2).array
    if isinstance(dtype, pd.SparseDtype):
        return pd.array(sample_of(dtype.subtype), dtype=dtype)
    if isinstance(dtype, np.dtype):
        if dtype.kind in "iufc":
            return np.ones(2, dtype)
        if dtype.kind == "b":
            return np.array([True, False])
        if dtype.kind in "mM":
            return np.array([1, 1], dtype)
        if dtype.kind == "O":
            return np.array(["foo", "foo"], dtype=object)
        return np.zeros(2, dtype)
    for values in (["foo", "foo"], [1, 1], [True, False], [pd.Timestamp("1970-01-01")] * 2, [None, None]):
        try:
            return pd.array(values, dtype=dtype)
        except (TypeError, ValueError, NotImplementedError):
            continue
    raise TypeError(f"no sample values of dtype {dtype}")


#: What pandas answered, by question: see :func:`remembered`.
_ANSWERS: dict[Any, Any] = {}
_MOST_ANSWERS = 4096


def signature(meta: Any) -> Any:
    """What tells one empty pandas object from another: equal signatures, equal results of pandas' functions.

    None if it is no plain DataFrame or Series, or has something beside labels and dtypes.
    """
    kind = type(meta)
    if kind is pd.DataFrame:
        columns, dtypes = meta.columns, tuple(meta.dtypes)
    elif kind is pd.Series:
        columns, dtypes = pd.Index([meta.name], dtype=object), (meta.dtype,)
    else:
        return None
    index = meta.index
    if meta.attrs or type(columns) is not pd.Index or type(index) not in (pd.Index, pd.RangeIndex):
        return None
    labels = columns.tolist()
    return (
        kind,
        *(tuple(labels), tuple(map(type, labels)), tuple(columns.names), columns.dtype),
        *(dtypes, type(index), index.name, index.dtype),
    )


def remembered(question: Any, answer: Callable[[], Any]) -> Any:
    """``answer()``, which pandas gives, or what it gave before to the same question.

    ``question`` must say all that the answer depends on; None in it, or what cannot be hashed, is asked anew.
    What comes back is a copy that shares its data, which pandas copies before it writes.
    """
    if None in question:
        return answer()
    try:
        found = _ANSWERS.get(question)
    except TypeError:
        return answer()
    if found is None:
        found = answer()
        if type(found) not in (pd.DataFrame, pd.Series):
            return found
        if len(_ANSWERS) >= _MOST_ANSWERS:
            _ANSWERS.clear()
        _ANSWERS[question] = found
    return found.copy(deep=False)


def frozen(value: Any) -> Any:
    """``value`` with its lists and dicts as tuples, for :func:`remembered`."""
    if isinstance(value, (list, tuple)):
        return (type(value), *map(frozen, value))
    if type(value) is dict:
        return (dict, *((frozen(key), frozen(part)) for key, part in value.items()))
    return (type(value), value)


def meta_nonempty(x: Any) -> Any:
    """Two rows with the structure of ``x``: functions that fail on empty data work on it.

    Examples
    --------
    >>> import pandas as pd
    >>> from weft.dataframe.utils import meta_nonempty
    >>> len(meta_nonempty(pd.DataFrame({"a": [1]})))
    2
    """
    if hasattr(x, "_meta"):
        x = x._meta
    return remembered(("nonempty", signature(x)), lambda: _nonempty(x))


def _nonempty(x: Any) -> Any:
    if isinstance(x, pd.DataFrame):
        # pandas would take an object array of text for text; a Series keeps its dtype.
        data = {
            i: pd.Series(sample_of(dtype), dtype=dtype) if dtype.kind == "O" else sample_of(dtype)
            for i, dtype in enumerate(x.dtypes)
        }
        frame = pd.DataFrame(data, index=pd.RangeIndex(2))
        frame.index = _index_sample(x.index)
        frame.columns = x.columns
        frame.attrs = x.attrs
        return frame
    if isinstance(x, pd.Series):
        series = pd.Series(sample_of(x.dtype), name=x.name, dtype=x.dtype)
        series.index = _index_sample(x.index)
        return series
    if isinstance(x, pd.Index):
        return _index_sample(x)
    return x


def _index_sample(index: pd.Index) -> pd.Index:
    if isinstance(index, pd.RangeIndex):
        return pd.RangeIndex(2, name=index.name)
    if isinstance(index, pd.MultiIndex):
        levels = [_index_sample(level) for level in index.levels]
        return pd.MultiIndex.from_arrays(
            [level if len(level) == 2 else level.repeat(2)[:2] for level in levels], names=index.names
        )
    if isinstance(index, pd.DatetimeIndex):
        sample = pd.date_range("1970-01-01", periods=2, freq=index.freq or "D", tz=index.tz, name=index.name)
        return sample.as_unit(index.unit)
    if isinstance(index, pd.TimedeltaIndex):
        return pd.TimedeltaIndex(["1D", "2D"]).rename(index.name).as_unit(index.unit)
    values = sample_of(index.dtype)
    if isinstance(index.dtype, np.dtype) and index.dtype.kind in "iuf":
        values = np.arange(2, dtype=index.dtype)  # Labels that differ.
    elif index.dtype == object or isinstance(index.dtype, pd.StringDtype):
        values = pd.Index(["a", "b"], dtype=index.dtype)
    return pd.Index(values, name=index.name, dtype=index.dtype)


def sample(value: Any) -> Any:
    """The two-row sample of a collection; other values as they are, also inside containers."""
    if hasattr(value, "_meta"):
        return meta_nonempty(value._meta)
    if type(value) in (list, tuple):
        return type(value)(sample(part) for part in value)
    if type(value) is dict:
        return {key: sample(part) for key, part in value.items()}
    return value


def empty(value: Any) -> Any:
    """The empty sample of a collection; other values as they are, also inside containers."""
    if hasattr(value, "_meta"):
        return value._meta
    if type(value) in (list, tuple):
        return type(value)(empty(part) for part in value)
    if type(value) is dict:
        return {key: empty(part) for key, part in value.items()}
    return value


def infer_of(function: Callable[..., Any], *args: Any) -> Any:
    """:func:`infer` of a function without effects, remembered if the arguments are collections and plain scalars."""

    def question(value: Any) -> Any:
        if hasattr(value, "_meta"):
            return signature(value._meta)
        return (type(value), value) if isinstance(value, _PLAIN) else None

    return remembered(("infer", function, *map(question, args)), lambda: infer(function, args, {}))


_PLAIN = (bool, int, float, str, datetime.date, datetime.timedelta, np.number)


def infer(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The meta of ``function``'s result: on two sample rows, emptied again."""
    result = function(*sample(args), **sample(kwargs))
    return make_meta(result) if is_pandas(result) else result


def infer_user(function: Callable[..., Any], args: Any, kwargs: Any, called: str) -> Any:
    """:func:`infer` for a function of the user's, with an error that tells what to do.

    Raises
    ------
    ValueError
        If the function fails on the sample.
    """
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # Samples divide by zero.
            return infer(function, args, kwargs)
    except Exception as error:
        frames = "".join(traceback.format_tb(error.__traceback__)[2:])
        raise ValueError(
            f"Metadata inference failed in `{called}`.\n\n"
            "weft ran your function on two made-up rows to learn what it returns, and it failed there.\n"
            "If it works on your data, say what it returns with meta=: an empty DataFrame or Series,\n"
            "a dict {column: dtype}, or a pair (name, dtype).\n\n"
            f"Original error is below:\n------------------------\n{error!r}\n\n"
            f"Traceback:\n---------\n{frames}"
        ) from error


def missing_column(meta: pd.DataFrame, labels: list[Any]) -> None:
    """Raises the ``KeyError`` that pandas raises if ``labels`` are not columns of ``meta``."""
    meta[labels]


def as_frame(part: Any) -> pd.DataFrame:
    """A Series as a DataFrame of one column; a DataFrame as it is."""
    return part.to_frame() if part.ndim == 1 else part
