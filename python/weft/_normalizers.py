"""Descriptions of the values of NumPy, pandas, Arrow and SciPy, for tokens.

Equal values get equal descriptions whatever their layout: strides, blocks of a frame, chunks and offsets of an Arrow
array, and what lies under a missing value do not count. Buffers are hashed where they are.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

from weft._weft import _BufferHasher, _hash_buffer


def register_numpy(normalize_token: Any) -> None:
    import numpy as np

    from weft.tokenize import _nondeterministic

    def hashed(x: Any) -> Any:
        """The bytes of an array in C order."""
        if x.flags.c_contiguous:
            return _hash_buffer(x)
        hasher = _BufferHasher()
        # A buffer of a few MB in place of a copy of the whole.
        pieces = np.nditer(
            x, flags=["external_loop", "buffered", "zerosize_ok"], order="C", buffersize=1 << 18
        )
        for piece in pieces:
            hasher.update(np.ascontiguousarray(piece))
        return bytes.fromhex(hasher.hexdigest())

    def content(x: Any) -> Any:
        dtype = x.dtype
        if dtype.hasobject or dtype.kind == "T":  # pointers
            return x.ravel().tolist()
        if dtype.char in "gG" and np.finfo(dtype).nmant == 63:  # x87: ten bytes of sixteen count
            return hashed(np.ascontiguousarray(x).view("u1").reshape(-1, np.dtype("g").itemsize)[:, :10])
        return hashed(x)

    @normalize_token.register(np.ndarray)
    def _(x: Any) -> tuple:
        if type(x) is np.ndarray:
            return "ndarray", x.dtype, x.shape, content(x)
        # A subclass may carry a unit or the like. Where a memmap comes from is not part of its value.
        extra = None if isinstance(x, np.memmap) else getattr(x, "__dict__", None)
        plain = x.view(np.ndarray)
        return "ndarray", type(x), extra, plain.dtype, plain.shape, content(plain)

    @normalize_token.register(np.ma.MaskedArray)
    def _(x: Any) -> tuple:
        return "masked", type(x), np.ma.getdata(x), np.ma.getmaskarray(x), x.fill_value

    @normalize_token.register([np.generic, np.str_, np.bytes_])
    def _(x: Any) -> tuple:
        return "scalar", type(x), x.dtype, content(np.asarray(x))

    @normalize_token.register(np.dtype)
    def _(dtype: Any) -> tuple:
        simple = dtype.names is None and dtype.subdtype is None and dtype.metadata is None
        if simple and dtype.kind in "biufcmMOSUV":
            return "dtype", dtype.str
        return "dtype", dtype.str, dtype.__reduce__()

    @normalize_token.register(np.ufunc)
    def _(func: Any) -> tuple:
        name = func.__name__
        for module in ("numpy", "scipy.special", *list(sys.modules)):
            if getattr(sys.modules.get(module), name, None) is func and module != "__main__":
                return "ufunc", module, name
        return "ufunc", _nondeterministic(
            f"Cannot tokenize numpy ufunc {func!r}: it has no name that another process could find. Use "
            "weft.array.ufunc.frompyfunc instead of numpy.frompyfunc."
        )

    @normalize_token.register(np.random.RandomState)
    def _(state: Any) -> tuple:
        return type(state), state.get_state(legacy=False)


def register_pandas(normalize_token: Any) -> None:
    import numpy as np
    import pandas as pd

    @normalize_token.register(pd.RangeIndex)
    def _(index: Any) -> tuple:
        return type(index), index.start, index.stop, index.step, index.dtype, index.name

    @normalize_token.register(pd.Index)
    def _(index: Any) -> tuple:
        return type(index), index.name, getattr(index, "freqstr", None), index.array

    @normalize_token.register(pd.MultiIndex)
    def _(index: Any) -> tuple:
        return type(index), list(index.names), list(index.levels), list(index.codes)

    @normalize_token.register(pd.Series)
    def _(series: Any) -> list:
        return [type(series), series.name, series.dtype, series.array, series.index, series.attrs or None]

    @normalize_token.register(pd.DataFrame)
    def _(df: Any) -> list:
        # By column: which columns share a block depends on how the frame was made.
        return [type(df), df.columns, df.index, list(df._iter_column_arrays()), df.attrs or None]

    @normalize_token.register(pd.Categorical)
    def _(array: Any) -> tuple:
        return type(array), array.codes, array.dtype

    @normalize_token.register([pd.arrays.PeriodArray, pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray])
    def _(array: Any) -> tuple:
        return type(array), array.asi8, array.dtype

    @normalize_token.register(pd.arrays.IntervalArray)
    def _(array: Any) -> tuple:
        return type(array), array.left, array.right, array.closed

    @normalize_token.register(pd.arrays.SparseArray)
    def _(array: Any) -> tuple:
        index = array.sp_index.to_int_index()
        return type(array), array.dtype, len(array), array.sp_values, index.indices

    @normalize_token.register(pd.arrays.ArrowExtensionArray)
    def _(array: Any) -> tuple:
        return type(array), array.dtype, array._pa_array

    @normalize_token.register(pd.arrays.NumpyExtensionArray)
    def _(array: Any) -> tuple:
        return type(array), array.dtype, array.to_numpy()

    @normalize_token.register([pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray])
    def _(array: Any) -> tuple:
        data, mask = array._data, array._mask
        if mask.any():
            data = np.where(mask, data.dtype.type(0), data)
        return type(array), array.dtype, mask, data

    @normalize_token.register(pd.api.extensions.ExtensionArray)
    def _(array: Any) -> tuple:
        return type(array), array.dtype, np.asarray(array)

    @normalize_token.register(pd.CategoricalDtype)
    def _(dtype: Any) -> tuple:
        return type(dtype), dtype.categories, dtype.ordered

    @normalize_token.register(pd.SparseDtype)
    def _(dtype: Any) -> tuple:
        return type(dtype), dtype.subtype, dtype.fill_value

    @normalize_token.register(pd.StringDtype)
    def _(dtype: Any) -> tuple:
        return type(dtype), dtype.name, dtype.storage, dtype.na_value

    @normalize_token.register(pd.api.extensions.ExtensionDtype)
    def _(dtype: Any) -> tuple:
        return type(dtype), dtype.name

    @normalize_token.register([type(pd.NA), type(pd.NaT)])
    def _(missing: Any) -> Any:
        return missing

    @normalize_token.register(pd.offsets.BaseOffset)
    def _(offset: Any) -> tuple:
        return type(offset), offset.freqstr, offset.normalize


def register_pyarrow(normalize_token: Any) -> None:
    import pyarrow as pa

    @normalize_token.register(pa.DataType)
    def _(dtype: Any) -> tuple:
        if isinstance(dtype, pa.BaseExtensionType):
            return "arrow type", dtype.__reduce__()
        return "arrow type", str(dtype)

    @normalize_token.register(pa.Field)
    def _(field: Any) -> tuple:
        return "arrow field", field.name, field.type, field.nullable, field.metadata

    @normalize_token.register(pa.Schema)
    def _(schema: Any) -> tuple:
        return "arrow schema", list(schema), schema.metadata

    @normalize_token.register([pa.Table, pa.RecordBatch])
    def _(table: Any) -> tuple:
        return type(table), table.schema, table.columns

    @normalize_token.register(pa.ChunkedArray)
    def _(array: Any) -> tuple:
        return "arrow chunked", array.type, _arrow_content(_one_chunk(array), pa)

    @normalize_token.register(pa.Array)
    def _(array: Any) -> tuple:
        return "arrow array", array.type, _arrow_content(array, pa)

    @normalize_token.register(pa.Scalar)
    def _(scalar: Any) -> tuple:
        return "arrow scalar", scalar.type, scalar.as_py()

    @normalize_token.register(pa.Buffer)
    def _(buffer: Any) -> tuple:
        return "arrow buffer", _hash_buffer(buffer)


def _one_chunk(array: Any) -> Any:
    import pyarrow as pa

    if array.num_chunks == 1:
        return array.chunk(0)
    return pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)


def _arrow_content(array: Any, pa: Any) -> tuple:
    """Length, which values are missing, and the values: not what lies outside a slice or under a null."""
    kind = array.type
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _arrow_content(array.storage, pa)
    if types.is_null(kind):
        return (len(array),)
    if types.is_dictionary(kind):
        return "dictionary", _arrow_content(array.indices, pa), _arrow_content(array.dictionary, pa)

    valid = None
    if array.null_count:
        valid = _fixed_width(array.is_valid().cast(pa.uint8()), 1)
    if types.is_struct(kind):
        return len(array), valid, [_arrow_content(child, pa) for child in array.flatten()]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        import pyarrow.compute as pc

        lengths = pc.list_value_length(array).cast(pa.int64())
        return len(array), valid, _fixed_width(_filled(lengths, pa), 8), _arrow_content(array.flatten(), pa)

    if types.is_string(kind) or types.is_binary(kind):
        width = 4
    elif types.is_large_string(kind) or types.is_large_binary(kind):
        width = 8
    elif types.is_string_view(kind) or types.is_binary_view(kind):
        wide = pa.large_string() if types.is_string_view(kind) else pa.large_binary()
        return _arrow_content(array.cast(wide), pa)
    elif types.is_boolean(kind):
        return len(array), valid, _fixed_width(_filled(array, pa).cast(pa.uint8()), 1)
    elif types.is_primitive(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind):
        return len(array), valid, _fixed_width(_filled(array, pa), kind.bit_width // 8)
    else:
        return len(array), array.to_pylist()
    return len(array), valid, *_variable_width(_filled(array, pa), width)


def _filled(array: Any, pa: Any) -> Any:
    """The array with every null's value set to zeros."""
    if not array.null_count:
        return array
    kind = array.type
    if pa.types.is_fixed_size_binary(kind):
        zero = pa.scalar(bytes(kind.byte_width), type=kind)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        zero = pa.scalar("", type=kind)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        zero = pa.scalar(b"", type=kind)
    elif pa.types.is_boolean(kind):
        zero = pa.scalar(False)
    elif pa.types.is_decimal(kind):
        zero = pa.scalar(Decimal(0), type=kind)
    else:
        integer = pa.int32() if pa.types.is_temporal(kind) and kind.bit_width == 32 else pa.int64()
        zero = pa.scalar(0, type=integer).cast(kind)
    return array.fill_null(zero)


def _fixed_width(array: Any, width: int) -> bytes:
    buffer = array.buffers()[1]
    if buffer is None:
        return b""
    return _hash_buffer(buffer.slice(array.offset * width, len(array) * width))


def _variable_width(array: Any, width: int) -> tuple[bytes, bytes]:
    import numpy as np

    _, offsets, data = array.buffers()
    if not len(array) or offsets is None:
        return b"", b""
    ends = np.frombuffer(offsets, dtype=f"i{width}")[array.offset : array.offset + len(array) + 1]
    first, last = int(ends[0]), int(ends[-1])
    text = b"" if data is None else data.slice(first, last - first)
    return _hash_buffer(ends - ends[0] if first else ends), _hash_buffer(text)


def register_scipy(normalize_token: Any) -> None:
    from scipy import sparse

    # Filled as the matrix is used.
    caches = {"_has_canonical_format", "_has_sorted_indices", "has_canonical_format", "maxprint"}

    def normalize(x: Any) -> tuple:
        return type(x), {k: v for k, v in vars(x).items() if k not in caches}

    for base in (sparse.sparray, sparse.spmatrix):
        normalize_token.register(base, normalize)
