"""Between arrays and frames: rows of a table as blocks of an array, and blocks as rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from weft._task_spec import Alias, Task, TaskRef
from weft._weft import Graph
from weft.dataframe import _meta
from weft.dataframe._collection import Collection, blockwise, host


def is_array(value: Any) -> bool:
    """Whether ``value`` is a lazy array."""
    return hasattr(value, "__dask_graph__") and hasattr(value, "chunks") and hasattr(value, "dtype")


def is_block(value: Any) -> bool:
    """Whether ``value`` is what a block of an array may be."""
    return hasattr(value, "__array_function__") and hasattr(value, "shape") and not _meta.is_pandas(value)


# -- frames to arrays -----------------------------------------------------------------------------


def as_array(parts: Any, meta: Any, lengths: Sequence[Any] | None = None) -> Any:
    """The array whose blocks along the first axis are the values of a collection's partitions."""
    from weft.array.core import Array

    rows = tuple(lengths) if lengths is not None else (np.nan,) * parts.npartitions
    chunks = (rows, *((int(size),) for size in meta.shape[1:]))
    meta = meta[tuple(slice(0, 0) for _ in meta.shape)]
    graph, name = parts.__dask_graph__(), parts._name
    if meta.ndim > 1:
        rest = (0,) * (meta.ndim - 1)
        name, keys = f"array-{name}", parts.__dask_keys__()
        graph = Graph.extend(
            graph, {(name, i, *rest): Alias((name, i, *rest), k) for i, k in enumerate(keys)}
        )
    return Array(graph, name, chunks, meta=meta, dtype=meta.dtype)


def scalar_array(scalar: Any) -> Any:
    """A lazy scalar as an array without axes."""
    from weft.array.core import Array

    name = f"array-{scalar._name}"
    task = Task((name,), np.asarray, TaskRef((scalar._name, 0)))
    graph = Graph.extend(scalar.__dask_graph__(), {(name,): task})
    return Array(graph, name, (), meta=np.asarray(scalar._meta), dtype=np.asarray(scalar._meta).dtype)


def _values(part: Any) -> Any:
    return part.values


def values(own: Any) -> Any:
    """The values as an array of unknown length."""
    sample = own._meta.values
    if isinstance(sample, pd.api.extensions.ExtensionArray):
        warnings.warn(
            f"arrays have no extension dtypes: the values of dtype {sample.dtype} become those of object dtype",
            UserWarning,
            stacklevel=3,
        )
        parts = blockwise(_object_values, own, label="values", meta=object(), divisions=None)
        return as_array(parts, np.empty(sample.shape, object))
    return as_array(blockwise(_values, own, label="values", meta=object(), divisions=None), sample)


def _object_values(part: Any) -> Any:
    return np.asarray(part.values, dtype=object)


def to_dask_array(own: Any, lengths: Any = None, meta: Any = None, optimize: bool = True) -> Any:
    """The values as a lazy array.

    Parameters
    ----------
    lengths : bool or sequence of int, optional
        True: count the rows of each partition now, so that the array knows its shape. A sequence says
        how many there are. Otherwise the lengths of blocks are unknown.
    meta : array, optional
        What blocks look like.

    Raises
    ------
    ValueError
        If the number of lengths is not that of partitions.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3]}), npartitions=2)
    >>> df.to_dask_array(lengths=True).shape
    (3, 1)
    """
    array = values(own)
    array = _with_lengths(array, own, lengths)
    return array if meta is None else _with_meta(array, meta)


def _with_lengths(array: Any, own: Any, lengths: Any) -> Any:
    from weft.array.core import Array

    if lengths is None or lengths is False:
        return array
    if lengths is True:
        lengths = list(own.map_partitions(len, meta=(None, "int64")).compute())
    if not isinstance(lengths, Sequence):
        raise ValueError(f"Unexpected value for 'lengths' parameter: {lengths!r}")
    if len(lengths) != own.npartitions:
        raise ValueError(
            f"The number of items in 'lengths' does not match the number of partitions. {len(lengths)} != "
            f"{own.npartitions}"
        )
    rows = tuple(int(n) for n in lengths)
    return Array(array.dask, array.name, (rows, *array.chunks[1:]), dtype=array.dtype, meta=array._meta)


def _with_meta(array: Any, meta: Any) -> Any:
    from weft.array.core import Array

    return Array(array.dask, array.name, array.chunks, dtype=getattr(meta, "dtype", meta), meta=meta)


def to_records(own: Any, index: bool = True, lengths: Any = None) -> Any:
    """Rows as a lazy record array; see :func:`to_dask_array` for ``lengths``."""
    sample = own._meta.to_records(index=index)
    parts = blockwise(_records, own, index, label="to_records", meta=object(), divisions=None)
    return _with_lengths(as_array(parts, sample), own, lengths)


def _records(part: Any, index: bool) -> Any:
    return part.to_records(index=index)


# -- arrays to frames -----------------------------------------------------------------------------


def _meta_from_array(x: Any, columns: Any = None, index: Any = None, meta: Any = None) -> Any:
    """What the rows of an array of one or two axes look like as a Series or DataFrame.

    Raises
    ------
    ValueError
        If the array has more axes, or the columns do not fit.
    """
    if x.ndim > 2:
        raise ValueError(
            f"from_array does not input more than 2D array, got array with shape {x.shape!r}: "
            "array must be 1 or 2 dimensional"
        )
    names = getattr(x.dtype, "names", None)
    labels = None if index is None else index[:0]
    if names is not None:
        if columns is None:
            columns = list(names)
        elif np.isscalar(columns):
            raise ValueError("For a struct dtype, columns must be a list.")
        elif not all(column in names for column in columns):
            extra = sorted(set(columns).difference(names))
            raise ValueError(f"dtype {x.dtype} doesn't have fields {extra}")
        dtypes = [x.dtype.fields[column][0] for column in columns]
    elif x.ndim == 1:
        if np.isscalar(columns) or columns is None:
            return pd.Series([], name=columns, dtype=x.dtype, index=labels)
        if len(columns) != 1:
            raise ValueError("For a 1d array, columns must be a scalar or single element list")
        dtypes = [x.dtype]
    else:
        if np.isnan(x.shape[1]):
            raise ValueError("Shape along axis 1 must be known")
        width = int(x.shape[1])
        if columns is None:
            columns = list(range(width))
        elif len(columns) != width:
            raise ValueError(
                "Number of column names must match width of the array. "
                f"Got {len(columns)} names for {width} columns"
            )
        dtypes = [x.dtype] * width
    data = {i: np.array([], dtype=dtype) for i, dtype in enumerate(dtypes)}
    frame = pd.DataFrame(data, index=labels)
    frame.columns = columns if isinstance(columns, pd.Index) else pd.Index(list(columns))
    return frame


def blocks(x: Any) -> Any:
    """A collection whose partitions are the blocks of an array along its first axis, as they are.

    Raises
    ------
    ValueError
        If the array has several blocks along another axis.
    """
    if any(len(sizes) > 1 for sizes in x.chunks[1:]):
        raise ValueError(f"blocks of {x.chunks} do not hold whole rows")
    keys = [key for key in _flat(x.__dask_keys__())]
    return host(
        _block, (), {}, meta=object(), npartitions=len(keys), label="block", tasks=(x, keys), fallback=False
    )


def _flat(keys: Any) -> Any:
    if isinstance(keys, list):
        for key in keys:
            yield from _flat(key)
    else:
        yield keys


def _block(value: Any) -> Any:
    return value


def from_dask_array(x: Any, columns: Any = None, index: Any = None, meta: Any = None) -> Any:
    """A DataFrame or Series whose partitions are the blocks of an array along its first axis.

    Parameters
    ----------
    x : Array
        Of one axis (a Series), or of two, or of records.
    columns : label or list of labels, optional
        A list makes a DataFrame of an array of one axis.
    index : Index, optional
        Row labels with as many partitions as the array has blocks; by default positions.
    meta : optional
        What the result looks like.

    Raises
    ------
    ValueError
        If columns or index do not fit the array.

    Examples
    --------
    >>> import weft.array as da, weft.dataframe as dd
    >>> dd.from_dask_array(da.ones((4, 2), chunks=(2, 2)), columns=["a", "b"]).b.sum().compute().item()
    4.0
    """
    if index is not None and not isinstance(getattr(index, "_meta", None), pd.Index):
        raise ValueError("'index' must be an instance of weft.dataframe.Index")
    if meta is None:
        meta = _meta_from_array(x, columns, None if index is None else index._meta)
    else:
        meta = _meta.make_meta(meta)
    if x.ndim == 2 and len(x.chunks[1]) > 1:
        x = x.rechunk({1: x.shape[1]})
    parts = blocks(x)
    if index is not None:
        if index.npartitions != parts.npartitions:
            raise ValueError(
                "The index and array have different numbers of blocks. "
                f"({index.npartitions} != {parts.npartitions})"
            )
        return blockwise(
            _labelled, parts, index, meta, label="from-array", meta=meta, divisions=index.divisions
        )
    sizes = x.chunks[0]
    if any(np.isnan(size) for size in sizes):
        return blockwise(_labelled, parts, None, meta, label="from-array", meta=meta, divisions=None)
    starts = [0, *(int(n) for n in np.cumsum(sizes))]
    divisions = (*starts[:-1], max(starts[-1] - 1, 0))
    # Blocks without rows at the end begin after the last label.
    divisions = tuple(min(start, divisions[-1]) for start in divisions)
    return host(
        _numbered,
        (parts, meta),
        {},
        meta=meta,
        npartitions=parts.npartitions,
        label="from-array",
        divisions=divisions,
        fallback=False,
        numbered=starts[:-1],
    )


def _numbered(block: Any, meta: Any, partition_info: int) -> Any:
    return _labelled(block, pd.RangeIndex(partition_info, partition_info + len(block)), meta)


def _labelled(block: Any, index: Any, meta: Any) -> Any:
    if meta.ndim == 1:
        return pd.Series(block, index=index, name=meta.name, dtype=meta.dtype)
    if getattr(block.dtype, "names", None):
        return pd.DataFrame({c: block[c] for c in meta.columns}, index=index)
    frame = pd.DataFrame(block, index=index)
    frame.columns = meta.columns
    return frame


def beside(own: Any, array: Any) -> Any:
    """An array as a collection with the rows of ``own``, block by block.

    Raises
    ------
    ValueError
        If the array has another number of blocks than ``own`` has partitions.
    """
    if len(array.chunks[0]) != own.npartitions:
        raise ValueError(
            f"Number of partitions do not match: the array has {len(array.chunks[0])} blocks and the frame "
            f"{own.npartitions} partitions. Use rechunk, or from_dask_array and align by index"
        )
    index = own if isinstance(own._meta, pd.Index) else own.index
    columns = own._meta.columns if own.ndim == 2 and array.ndim == 2 else None
    meta = _meta_from_array(array, columns, index._meta)
    if own.ndim == 1 and array.ndim == 1:
        meta = meta.rename(own._meta.name)  # An operand without a name of its own.
    return from_dask_array(array, index=index, meta=meta)


def as_operand(own: Any, value: Any) -> Any:
    """``value``, a lazy array in the shape of ``own``'s rows."""
    return beside(own, value) if is_array(value) and isinstance(own, Collection) else value
