"""How much memory an object holds: an estimate that users can extend."""

from __future__ import annotations

import importlib.metadata
import itertools
import logging
import random
import sys
from array import array
from typing import Any

from weft._dispatch import Dispatch

sizeof = Dispatch("sizeof")
sizeof.__doc__ = """Estimate the memory that dropping an object would free.

Register the size of a class of your own with ``sizeof.register(cls)``, or with ``sizeof.register_lazy("package")`` if the
package need not be loaded. Packages may do so through the entry point group ``weft.sizeof`` (or ``dask.sizeof``).

Parameters
----------
o : object

Returns
-------
int
    Bytes. Containers are sampled, so their size is approximate.

Examples
--------
>>> sizeof(b"x" * 1000)
1000
>>> class Tile:
...     pixels = 4096
>>> @sizeof.register(Tile)
... def _(tile):
...     return tile.pixels
>>> sizeof([Tile(), Tile()]) > 8192
True
"""

logger = logging.getLogger(__name__)

_SAMPLES = 10  # items of a container that are looked at
_CELLS = 100  # and of a pandas object
_SERIES = 1200  # what pandas holds beside the values of a column
_INDEX = 400
_TABLE = 1000


@sizeof.register(object)
def _object(o: Any) -> int:
    return sys.getsizeof(o)


@sizeof.register((bytes, bytearray))
def _bytes(o) -> int:
    return len(o)


@sizeof.register(memoryview)
def _memoryview(o: memoryview) -> int:
    return o.nbytes


@sizeof.register(array)
def _array(o: array) -> int:
    return o.itemsize * len(o)


@sizeof.register((list, tuple))
def _sequence(seq) -> int:
    n = len(seq)
    if n <= _SAMPLES:
        return sys.getsizeof(seq) + sum(map(sizeof, seq))
    # A generator of our own: looking at a size must not change what users draw from theirs.
    return sys.getsizeof(seq) + int(n / _SAMPLES * sum(map(sizeof, _random.sample(seq, _SAMPLES))))


@sizeof.register((set, frozenset))
def _set(seq) -> int:
    n = len(seq)
    if n <= _SAMPLES:
        return sys.getsizeof(seq) + sum(map(sizeof, seq))
    return sys.getsizeof(seq) + int(n / _SAMPLES * sum(map(sizeof, itertools.islice(seq, _SAMPLES))))


@sizeof.register(dict)
def _dict(d: dict) -> int:
    empty = sys.getsizeof([])
    return sys.getsizeof(d) + sizeof(list(d.keys())) + sizeof(list(d.values())) - 2 * empty


class SimpleSizeof:
    """A base class for objects that know their size: ``sys.getsizeof`` is taken at its word.

    Must come first among the bases.

    Examples
    --------
    >>> class Answer(SimpleSizeof):
    ...     def __sizeof__(self):
    ...         return 10_000
    >>> 10_000 <= sizeof(Answer()) < 10_100
    True
    """


@sizeof.register(SimpleSizeof)
def _simple(o: SimpleSizeof) -> int:
    return sys.getsizeof(o)


_random = random.Random(0)


@sizeof.register_lazy("numpy")
def _register_numpy() -> None:
    import numpy as np

    @sizeof.register(np.ndarray)
    def _ndarray(x) -> int:
        if 0 in x.strides:
            # What is broadcast is there once.
            return x[tuple(slice(None) if stride else slice(1) for stride in x.strides)].nbytes
        return int(x.nbytes)


@sizeof.register_lazy("cupy")
def _register_cupy() -> None:
    import cupy

    @sizeof.register(cupy.ndarray)
    def _cupy(x) -> int:
        return int(x.nbytes)


@sizeof.register_lazy("numba")
def _register_numba() -> None:
    import numba.cuda

    @sizeof.register(numba.cuda.cudadrv.devicearray.DeviceNDArray)  # type: ignore[attr-defined]
    def _device(x) -> int:
        return int(x.nbytes)


@sizeof.register_lazy("rmm")
def _register_rmm() -> None:
    import rmm

    @sizeof.register(rmm.DeviceBuffer)
    def _rmm(x) -> int:
        return int(x.nbytes)


@sizeof.register_lazy("pandas")
def _register_pandas() -> None:
    import numpy as np
    import pandas as pd

    generator = np.random.default_rng(0)

    def is_object(dtype) -> bool:
        if isinstance(dtype, pd.StringDtype):
            return dtype.storage == "python"
        return dtype == np.dtype(object)

    def cells(*columns) -> int:
        """Size of the Python objects that columns refer to; objects found again and again count once."""
        total = sum(len(column) for column in columns)
        if not total:
            return 0
        sampled: dict[int, Any] = {}
        drawn = 0
        for column in columns:
            if len(column):
                picks = generator.integers(0, len(column), _CELLS)
                sampled.update((id(o), o) for o in np.asarray(column, dtype=object)[picks].tolist())
                drawn += _CELLS
        nbytes = sum(map(sizeof, sampled.values()))
        if len(sampled) * 2 > drawn:
            # Mostly different ones: what was not drawn is different too.
            return int(nbytes * total / drawn)
        # Mostly the same ones: they have all been seen.
        return nbytes

    @sizeof.register(pd.DataFrame)
    def _frame(df) -> int:
        total = sizeof(df.index) + sizeof(df.columns)
        previous = None
        objects = []
        # Blocks, not columns: a column shown twice is stored once.
        seen: set[int] = set()
        for i in range(len(df.columns)):
            column = df.iloc[:, i]
            values = column._values
            if previous is None or column.dtype != previous:
                previous = column.dtype
                total += _SERIES
            if isinstance(values, np.ndarray):
                place = values.__array_interface__["data"][0]
                if place in seen and len(values):
                    continue
                seen.add(place)
            total += column.memory_usage(index=False, deep=False)
            if is_object(column.dtype):
                objects.append(values)
        return max(_SERIES, total + cells(*objects))

    @sizeof.register(pd.Series)
    def _series(s) -> int:
        total = _SERIES + sizeof(s.index) + s.memory_usage(index=False, deep=False)
        return total + cells(s._values) if is_object(s.dtype) else total

    @sizeof.register(pd.Index)
    def _index(i) -> int:
        total = _INDEX + i.memory_usage(deep=False)
        return total + cells(i._values) if is_object(i.dtype) else total

    @sizeof.register(pd.MultiIndex)
    def _multi_index(i) -> int:
        return sum(map(sizeof, i.levels)) + sum(codes.nbytes for codes in i.codes)


@sizeof.register_lazy("scipy")
def _register_scipy() -> None:
    from scipy import sparse

    def _sparse(s) -> int:
        # `dok` is a dict by itself; the others hold their arrays as attributes.
        own = sys.getsizeof(s) if s.format == "dok" else 0
        return own + sum(sizeof(value) for value in vars(s).values())

    sizeof.register(sparse.spmatrix, _sparse)
    sizeof.register(sparse.sparray, _sparse)


@sizeof.register_lazy("pyarrow")
def _register_pyarrow() -> None:
    import pyarrow as pa

    def buffers(column) -> int:
        return sum(buffer.size for chunk in column.iterchunks() for buffer in chunk.buffers() if buffer)

    @sizeof.register(pa.Table)
    def _table(table) -> int:
        return _TABLE + sizeof(table.schema.metadata) + sum(map(buffers, table.itercolumns()))

    @sizeof.register(pa.ChunkedArray)
    def _chunked(data) -> int:
        return _TABLE + buffers(data)


@sizeof.register_lazy("xarray")
def _register_xarray() -> None:
    import xarray as xr

    @sizeof.register(xr.core.utils.Frozen)
    def _frozen(o) -> int:
        return sys.getsizeof(o) + sizeof(o.mapping)

    def _variable(o) -> int:
        return sys.getsizeof(o) + sizeof(o.data)

    sizeof.register((xr.DataArray, xr.Variable), _variable)
    if hasattr(xr, "NamedArray"):
        sizeof.register(xr.NamedArray, _variable)

    @sizeof.register(xr.Dataset)
    def _dataset(o) -> int:
        return sys.getsizeof(o) + sizeof(o.variables)

    @sizeof.register(xr.core.indexes.Indexes)
    def _indexes(o) -> int:
        parts = (o._index_type, o._indexes, o._variables, o._dims)
        return sys.getsizeof(o) + sum(map(sizeof, parts))

    @sizeof.register(xr.core.indexes.PandasIndex)
    def _pandas_index(o) -> int:
        return sys.getsizeof(o) + sum(map(sizeof, (o.index, o.dim, o.coord_dtype)))


def _register_entry_point_plugins() -> None:
    """Let installed packages register the sizes of their classes."""
    for group in ("dask.sizeof", "weft.sizeof"):
        for entry_point in importlib.metadata.entry_points(group=group):
            try:
                entry_point.load()(sizeof)
            except Exception:
                logger.exception("The sizeof entry point %r of %s failed", entry_point.name, entry_point.dist)


_register_entry_point_plugins()
