"""Frames of Rust and objects of pandas, taken apart and put together.

The other half of ``crates/weft-python/src/arrow.rs``: that file moves bytes, this one knows what a
column is in pandas' words. A column crosses the border as ``(dtype name, values, mask)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas import arrays as pandas_arrays

# The stubs hide the constructors that do not copy.
_arrays: Any = pandas_arrays

#: The label of a column without a name.
UNNAMED = 0

_NUMBERS = frozenset(
    np.dtype(name)
    for name in (
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64"
        " datetime64[s] datetime64[ms] datetime64[us] datetime64[ns]"
        " timedelta64[s] timedelta64[ms] timedelta64[us] timedelta64[ns]"
    ).split()
)
_TEXT = pd.StringDtype(na_value=np.nan)
_STRING = pd.StringDtype("pyarrow")
_ARROW = frozenset([pa.bool_(), pa.int64(), pa.float64(), pa.date32()])
_MASKED = tuple(
    type(pd.api.types.pandas_dtype(name))
    for name in "boolean Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64 Float32 Float64".split()
)


class Inexact(TypeError):
    """A pandas object has no exact form as a frame; it stays a pandas object."""


# -- from Rust ------------------------------------------------------------------------------------


def assemble(kind: str, rows: int, columns: list[tuple[Any, Any]], index: Any) -> Any:
    """A DataFrame, Series or scalar (by ``kind``) of columns ``(label, (dtype, values, mask))`` and an index.

    The index is ``(start, step)`` for a range, else a list of columns like the others.
    """
    if kind == "scalar":
        return pd.Series(_array(1, *columns[0][1]), copy=False).iloc[0]
    if isinstance(index, tuple):
        start, step = index
        labels: pd.Index = pd.RangeIndex(start, start + step * rows, step)
    elif len(index) == 1:
        name, column = index[0]
        labels = pd.Index(_array(rows, *column), name=name, copy=False)
    else:
        labels = pd.MultiIndex.from_arrays(
            [_array(rows, *column) for _, column in index], names=[name for name, _ in index]
        )
    if kind != "table":
        [(label, column)] = columns
        return pd.Series(
            _array(rows, *column), index=labels, name=label if kind == "series" else None, copy=False
        )
    arrays = {i: _array(rows, *column) for i, (_, column) in enumerate(columns)}
    frame = pd.DataFrame(arrays, index=labels, copy=False)
    frame.columns = _labels([label for label, _ in columns])
    return frame


def _labels(labels: list[Any]) -> pd.Index:
    return pd.Index(labels) if labels else pd.RangeIndex(0)


def _array(rows: int, dtype: str, values: Any, mask: Any) -> Any:
    if dtype.endswith("[pyarrow]"):
        return _arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values)]))
    if dtype == "str":
        return _arrays.ArrowStringArray(pa.chunked_array([pa.array(values)]), dtype=_TEXT)
    if dtype == "string":
        return _arrays.ArrowStringArray(pa.chunked_array([pa.array(values)]), dtype=_STRING)
    if mask is not None:
        numbers = _numbers(rows, dtype.lower().replace("boolean", "bool"), values)
        missing = _numbers(rows, "bool", mask)
        kind = {"b": _arrays.BooleanArray, "f": _arrays.FloatingArray}.get(
            numbers.dtype.kind, _arrays.IntegerArray
        )
        return kind(numbers, missing)
    if ", " in dtype:
        zoned: Any = pd.api.types.pandas_dtype(dtype)
        return _arrays.DatetimeArray._simple_new(
            _numbers(rows, f"datetime64[{zoned.unit}]", values), dtype=zoned
        )
    return _numbers(rows, dtype, values)


def _numbers(rows: int, dtype: str, memory: Any) -> np.ndarray:
    return np.frombuffer(memory, dtype) if rows else np.empty(0, dtype)


# -- to Rust --------------------------------------------------------------------------------------


def dissect(data: pd.DataFrame | pd.Series) -> tuple[str, int, list[Any], Any]:
    """The kind, rows, columns and index of a pandas object, as :func:`assemble` takes them.

    Each column comes with the pandas object that owns its memory: holding it makes pandas copy
    before it writes, so that the memory may be shared.

    Raises
    ------
    Inexact
        If a part has no exact form: object columns, categoricals, repeated labels and the like.
    """
    if type(data) is pd.Series:
        kind = "unnamed" if data.name is None else "series"
        columns = [_column(UNNAMED if data.name is None else label(data.name), data.copy(deep=False))]
    elif type(data) is pd.DataFrame:
        kind = "table"
        if not data.columns.is_unique:
            repeated = list(data.columns[data.columns.duplicated()])
            raise Inexact(f"columns {repeated} occur more than once")
        if any(name is not None for name in data.columns.names):
            raise Inexact(f"the columns have a name of their own: {data.columns.names}")
        columns = [_column(label(name), data.iloc[:, i]) for i, name in enumerate(data.columns)]
    else:
        raise Inexact(f"{type(data).__name__} is not a DataFrame or Series of pandas")
    return kind, len(data), columns, _index(data.index)


def as_promised(data: Any, dtypes: Sequence[str | None]) -> Any:
    """``data`` with the dtypes that its meta promised where it has object columns instead.

    Empty partitions and columns that are missing throughout often come without their dtype, and
    partitions may have an index whose frequency or range the meta does not know.
    """
    index: Any = getattr(data, "index", None)
    if isinstance(index, pd.RangeIndex) and index.name is not None:
        data = data.set_axis(pd.Index(np.asarray(index), name=index.name), axis=0)
    elif getattr(index, "freq", None) is not None and not isinstance(index.dtype, pd.PeriodDtype):
        plain = index.copy()
        plain.freq = None
        data = data.set_axis(plain, axis=0)
    if isinstance(data, pd.DataFrame) and len(dtypes) == data.shape[1]:
        wrong = {
            i: dtype
            for i, (have, dtype) in enumerate(zip(data.dtypes, dtypes))
            if have.kind == "O" and dtype is not None and str(have) != dtype
        }
        if wrong:
            data = data.copy(deep=False)
            for i, dtype in wrong.items():
                data.isetitem(i, data.iloc[:, i].astype(_dtype(dtype)))
    elif isinstance(data, pd.Series) and data.dtype == object and dtypes[0] is not None:
        data = data.astype(_dtype(dtypes[0]))
    return data


def _dtype(name: str) -> Any:
    """The dtype of a name; pandas itself does not read those of Arrow's decimals."""
    if name.startswith("decimal128("):
        precision, scale = name[len("decimal128(") : name.index(")")].split(",")
        return pd.ArrowDtype(pa.decimal128(int(precision), int(scale)))
    return name


def label(name: Any) -> Any:
    """The name itself, if a frame can hold it as a label."""
    if isinstance(name, tuple):
        return tuple(label(part) for part in name)
    if isinstance(name, str):
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            # Half of a surrogate pair: Python keeps it in text, UTF-8 has no form for it.
            raise Inexact(f"the label {ascii(name)} is not valid unicode")
        return str(name)
    if isinstance(name, (int, np.integer)) and not isinstance(name, (bool, np.bool_)):
        if -(2**63) <= name < 2**63:
            return int(name)
    raise Inexact(f"the label {name!r} is neither text nor an integer nor a tuple of them")


def dtype_name(dtype: Any) -> str | None:
    """The name of a dtype that frames can hold; None for others."""
    if isinstance(dtype, np.dtype):
        return dtype.name if dtype in _NUMBERS else None
    if isinstance(dtype, pd.DatetimeTZDtype):
        return str(dtype) if pd.api.types.pandas_dtype(str(dtype)) == dtype else None
    if isinstance(dtype, pd.ArrowDtype):
        kind = dtype.pyarrow_dtype
        return str(dtype) if kind in _ARROW or pa.types.is_decimal128(kind) else None
    if dtype == _TEXT and dtype.na_value is np.nan:
        return "str"
    if isinstance(dtype, pd.StringDtype):
        return "string" if dtype == _STRING and dtype.storage == "pyarrow" else None
    return dtype.name if isinstance(dtype, _MASKED) else None


def is_exact_index(index: pd.Index) -> bool:
    """Whether a frame can hold an index like this one."""
    if isinstance(index, pd.RangeIndex):
        return True
    levels = list(index.levels) if isinstance(index, pd.MultiIndex) else [index]
    if getattr(index, "freq", None) is not None:
        return False
    try:
        for name in index.names:
            if name is not None:
                label(name)
    except Inexact:
        return False
    return all(dtype_name(level.dtype) is not None for level in levels)


def _index(index: pd.Index) -> Any:
    if type(index) is pd.RangeIndex and index.name is None:
        return index.start, index.step
    if isinstance(index, pd.RangeIndex):
        raise Inexact(f"the index is a range that has a name: {index.name!r}")
    if isinstance(index, pd.MultiIndex):
        levels: Sequence[pd.Index] = [index.get_level_values(i) for i in range(index.nlevels)]
    else:
        levels = [index]
    result = []
    for level in levels:
        if getattr(level, "freq", None) is not None and not isinstance(index, pd.MultiIndex):
            raise Inexact("the index has a frequency")
        name = None if level.name is None else label(level.name)
        result.append((name, _column(UNNAMED, level)))
    return result


def _column(name: Any, data: pd.Series | pd.Index) -> tuple[Any, str, Any, Any, Any]:
    array: Any = data.array
    dtype = dtype_name(data.dtype)
    if dtype is None:
        called = "the index" if isinstance(data, pd.Index) else f"column {name!r}"
        raise Inexact(f"{called} has dtype {data.dtype}")
    if dtype in ("str", "string"):
        return name, dtype, _text(array), None, data
    if isinstance(data.dtype, pd.ArrowDtype):
        return name, dtype, _one_chunk(array.__arrow_array__()), None, data
    if isinstance(data.dtype, np.dtype):
        return name, dtype, _bytes(np.asarray(array)), None, data
    if isinstance(data.dtype, pd.DatetimeTZDtype):
        return name, dtype, _bytes(array._ndarray), None, data
    return name, dtype, _bytes(array._data), _bytes(array._mask), data


def _text(array: Any) -> pa.Array:
    text = array.__arrow_array__() if array.dtype.storage == "pyarrow" else pa.array(array, pa.large_string())
    return _one_chunk(text).cast(pa.large_string())


def _one_chunk(values: Any) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        kind = values.type
        values = values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], kind)
    return values


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view("u1")
