"""Collections from data in memory, from functions and from delayed objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weft._weft import Graph
from weft.base import tokenize
from weft.dataframe import _arrays, _meta
from weft.dataframe._call import funcname
from weft.dataframe._collection import held_parts, host, new_collection
from weft.dataframe._convert import Inexact
from weft.dataframe._native import frame_memory
from weft.dataframe.io._text import text_as_asked

NO_DEFAULT = _meta.NO_DEFAULT


def from_pandas(
    data: pd.DataFrame | pd.Series,
    npartitions: int | None = None,
    sort: bool = True,
    chunksize: int | None = None,
) -> Any:
    """A lazy DataFrame or Series over a pandas object.

    Parameters
    ----------
    data : pandas.DataFrame or pandas.Series
        The numbers are shared, not copied.
    npartitions : int, optional
        Number of partitions; fewer if labels repeat so that a cut would separate them.
    sort : bool
        Sort by the index, which makes the divisions known.
    chunksize : int, optional
        Rows of each partition, instead of ``npartitions``.

    Raises
    ------
    TypeError
        If ``data`` is no DataFrame or Series.
    NotImplementedError
        If its index is a MultiIndex.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": range(6)}), npartitions=3)
    >>> df.divisions
    (0, 2, 4, 5)
    """
    if not isinstance(data, (pd.DataFrame, pd.Series)):
        raise TypeError(f"Input must be a pandas DataFrame or Series, not {type(data).__name__}")
    if isinstance(data.index, pd.MultiIndex):
        raise NotImplementedError("from_pandas with a MultiIndex: reset_index() first")
    if npartitions is not None and not isinstance(npartitions, (int, np.integer)):
        raise TypeError("Please provide npartitions as an int, or possibly as None if you specify chunksize.")
    if chunksize is not None and not isinstance(chunksize, (int, np.integer)):
        raise TypeError("Please provide chunksize as an int, or possibly as None if you specify npartitions.")
    if npartitions is not None and chunksize is not None:
        raise ValueError("Exactly one of npartitions and chunksize must be specified.")
    if npartitions is None and chunksize is None:
        npartitions = 1
    missing = sort and len(data) > 0 and bool(np.asarray(data.index.isna()).any())
    if missing:
        raise NotImplementedError(
            "Index in passed data is non-numeric and contains nulls, which sorting does not support.\n"
            "Please set `sort=False`, or replace the missing labels."
        )
    data = text_as_asked(data.copy(deep=False))
    rows = len(data)
    divisions: Sequence[Any]
    if rows and sort:
        if not data.index.is_monotonic_increasing:
            data = data.sort_index(ascending=True)
        divisions, starts = sorted_cuts(data.index, npartitions, chunksize)
    elif rows:
        size = chunksize or -(-rows // npartitions)  # type: ignore[operator]
        starts = [*range(0, rows, int(size)), rows]
        divisions = [None] * len(starts)
    else:
        starts = [0] * ((npartitions or 1) + 1) if npartitions else [0, 0]
        divisions = [None] * len(starts)
    parts = [data.iloc[start:stop] for start, stop in zip(starts, starts[1:])]
    meta = _meta.make_meta(data)
    token = tokenize(data, starts)
    try:
        exact = parts if len(parts) == 1 else [_own_labels(part) for part in parts]
        return new_collection(frame_memory("from_pandas", token, exact), meta, divisions)
    except Inexact:
        return held_parts(parts, token, "from_pandas", meta, divisions)


def from_dict(
    data: Any, npartitions: int, orient: str = "columns", dtype: Any = None, columns: Any = None
) -> Any:
    """A lazy DataFrame of a dict of columns (or, with ``orient="index"``, of rows).

    Examples
    --------
    >>> import weft.dataframe as dd
    >>> dd.from_dict({"x": [1, 2, 3]}, npartitions=2).x.sum().compute().item()
    6
    """
    if any(hasattr(value, "__dask_graph__") for value in data.values()):
        raise NotImplementedError("from_dict doesn't currently support lazy values: compute them first")
    frame = pd.DataFrame.from_dict(data, orient=orient, dtype=dtype, columns=columns)  # type: ignore[call-overload]
    return from_pandas(frame, npartitions)


def from_array(arr: Any, chunksize: int = 50_000, columns: Any = None, meta: Any = None) -> Any:
    """A lazy DataFrame (or Series) of the rows of an array.

    Parameters
    ----------
    arr : array
        A lazy one keeps its blocks; see :func:`from_dask_array`.
    chunksize : int
        Rows of a partition of an array in memory.
    columns : label or list of labels, optional
    meta : optional
        What the result looks like.

    Raises
    ------
    ValueError
        If the array has more than two axes, or the columns do not fit.
    """
    if hasattr(arr, "__dask_graph__"):
        return _arrays.from_dask_array(arr, columns=columns, meta=meta)
    arr = np.asarray(arr)
    found = _arrays._meta_from_array(arr, columns)
    meta = found if meta is None else _meta.make_meta(meta)
    data = _arrays._labelled(arr, pd.RangeIndex(len(arr)), meta)
    return from_pandas(data, chunksize=chunksize)


def _own_labels(part: Any) -> Any:
    """A range that starts elsewhere than at zero as plain labels."""
    if isinstance(part.index, pd.RangeIndex):
        part = part.set_axis(pd.Index(np.asarray(part.index), name=part.index.name), axis=0)
    return part


def sorted_cuts(
    index: pd.Index, npartitions: int | None, chunksize: int | None
) -> tuple[list[Any], list[int]]:
    """Divisions and first rows of partitions of a sorted index; equal labels stay together."""
    rows = len(index)
    if chunksize is not None:
        wanted = list(range(0, rows, int(chunksize)))
    else:
        n = min(int(npartitions or 1), rows) or 1
        wanted = [rows * i // n if rows % n == 0 else -(-rows * i // n) for i in range(n)]
    starts: list[int] = []
    for row in wanted:
        first = int(index.searchsorted(index[row], side="left"))
        if row and first != row:
            first = row if index[row - 1] != index[row] else first
        if not starts or first > starts[-1]:
            starts.append(first)
    divisions = [_item(index[start]) for start in starts] + [_item(index[-1])]
    return divisions, [*starts, rows]


def _item(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


class _Mapped:
    """``func`` on the ``i``-th elements."""

    def __init__(self, func: Any, elements: list[tuple[Any, ...]], args: Any, kwargs: Any) -> None:
        self.func, self.elements, self.args, self.kwargs = func, elements, args, kwargs
        self.__name__ = funcname(func)

    def __dask_tokenize__(self) -> Any:
        return self.func, self.elements, self.args, self.kwargs

    def __call__(self, partition_info: int) -> Any:
        return self.func(*self.elements[partition_info], *self.args, **self.kwargs)


def from_map(
    func: Callable[..., Any],
    *iterables: Iterable[Any],
    args: Sequence[Any] | None = None,
    meta: Any = NO_DEFAULT,
    divisions: Sequence[Any] | None = None,
    label: str | None = None,
    enforce_metadata: bool = False,
    **kwargs: Any,
) -> Any:
    """A collection whose partition ``i`` is ``func`` of the ``i``-th elements.

    Parameters
    ----------
    func : callable
        Returns a pandas object.
    *iterables
        All of one length: the number of partitions.
    meta : optional
        What partitions look like; by default the first one is made to see.
    divisions : sequence, optional
        The divisions, if known.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> dd.from_map(lambda n: pd.DataFrame({"n": [n]}), [1, 2]).n.sum().compute().item()
    3
    """
    if not callable(func):
        raise ValueError("`func` argument must be `callable`")
    columns = [list(iterable) for iterable in iterables]
    for iterable in iterables:
        if not isinstance(iterable, Iterable):
            raise ValueError(f"All elements of `iterables` must be Iterable, got {type(iterable)}")
    lengths = {len(column) for column in columns}
    if not columns:
        raise ValueError("`from_map` requires at least one Iterable input")
    if len(lengths) > 1:
        raise ValueError("All `iterables` must have the same length")
    if lengths == {0}:
        raise ValueError("All `iterables` must have a non-zero length")
    call = _Mapped(func, list(zip(*columns)), tuple(args or ()), kwargs)
    if meta is NO_DEFAULT or meta is None:
        meta = _meta.make_meta(call(0))
    else:
        meta = _meta.make_meta(meta)
    n = lengths.pop()
    _check_divisions(divisions, n)
    result = host(
        call,
        (),
        {},
        meta=meta,
        npartitions=n,
        label=label or funcname(func),
        divisions=divisions,
        enforce=enforce_metadata,
        fallback=False,
        numbered=list(range(n)),
    )
    return text_as_asked(result) if _meta.is_pandas(meta) else result


def from_delayed(
    dfs: Any,
    meta: Any = None,
    divisions: Any = None,
    prefix: str = "from-delayed",
    verify_meta: bool = True,
) -> Any:
    """A collection of delayed pandas objects, each a partition.

    Parameters
    ----------
    dfs : Delayed or sequence of them
    meta : optional
        What partitions look like; by default the first one is computed.
    divisions : tuple, optional
        The divisions, if known.
    """
    from weft.delayed import Delayed, delayed

    if isinstance(dfs, Delayed):
        dfs = [dfs]
    dfs = [df if isinstance(df, Delayed) or hasattr(df, "key") else delayed(df) for df in dfs]
    if not dfs:
        raise TypeError("Must supply at least one delayed object")
    for df in dfs:
        if not isinstance(df, Delayed) and not hasattr(df, "__dask_graph__"):
            raise TypeError(f"Expected Delayed object, got {type(df).__name__}")
    meta = _meta.make_meta(dfs[0].compute() if meta is None else meta)
    if isinstance(divisions, str):
        raise NotImplementedError("divisions='sorted': give the divisions")
    _check_divisions(divisions, len(dfs))
    graphs = [df.__dask_graph__() for df in dfs]
    graph = graphs[0] if all(graph is graphs[0] for graph in graphs) else Graph.merge(graphs)
    result = from_graph(graph, meta, divisions, [df.key for df in dfs], prefix, verify_meta)
    return text_as_asked(result) if _meta.is_pandas(meta) else result


def _check_divisions(divisions: Any, n: int) -> None:
    """Refuses divisions that cannot be those of ``n`` partitions.

    Raises
    ------
    ValueError
    """
    if divisions is None:
        return
    if len(divisions) != n + 1:
        raise ValueError(
            f"divisions should be a tuple of {n + 1} elements for {n} partitions, got {len(divisions)}"
        )
    for i, (a, b) in enumerate(zip(divisions, divisions[1:])):
        if a is not None and b is not None and b < a:
            raise ValueError(f"divisions must be in order: {b!r} at position {i + 1} comes after {a!r}")


def from_graph(
    layer: Any,
    _meta: Any,
    divisions: Any,
    keys: Sequence[Any],
    name_prefix: str,
    verify_meta: bool = False,
) -> Any:
    """A collection whose partitions are the results of tasks in a graph.

    Parameters
    ----------
    layer : mapping
        Keys and tasks.
    _meta : pandas object
        What partitions look like.
    divisions : sequence or None
        The divisions, if known.
    keys : list
        The key of each partition.
    name_prefix : str
        What the collection's keys start with.
    verify_meta : bool
        Check that partitions have the columns that ``_meta`` says.

    Raises
    ------
    KeyError
        If the graph lacks a key.
    """
    return host(
        _given,
        (),
        {},
        meta=_meta,
        npartitions=len(keys),
        label=name_prefix,
        divisions=divisions,
        enforce=verify_meta,
        fallback=False,
        tasks=(layer, list(keys)),
    )


def _given(part: Any) -> Any:
    return part
