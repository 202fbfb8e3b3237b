# ruff: noqa: F401, I001
"""Lazy NumPy: arrays in blocks.

Examples
--------
>>> import weft.array as da
>>> x = da.ones((1000, 1000), chunks=(100, 1000))
>>> float((x + x.T).sum().compute())
2000000.0
"""

try:
    import numpy as _numpy
except ImportError as _error:
    raise ImportError(f'weft.array needs NumPy ({_error}): pip install "weft[array]"') from _error
if int(_numpy.__version__.split(".")[0]) < 2:
    raise ImportError(
        f'weft.array needs NumPy 2 or newer, found {_numpy.__version__}: pip install "weft[array]"'
    )

from typing import Any as _Any

from weft.array import backends, core, fft, image, lib, linalg, ma, overlap, random, stats, utils
from weft.array import ufunc as _ufunc
from weft.array._shuffle import shuffle
from weft.array.chunk_types import register_chunk_type
from weft.array.tiledb_io import from_tiledb, to_tiledb
from weft.array.core import (
    Array,
    PerformanceWarning,
    asanyarray,
    asarray,
    atop,
    block,
    blockwise,
    broadcast_to,
    concatenate,
    from_array,
    from_delayed,
    from_npy_stack,
    from_zarr,
    map_blocks,
    stack,
    store,
    to_hdf5,
    to_npy_stack,
    to_zarr,
    unify_chunks,
)
from weft.array._join import broadcast_arrays
from weft.array.creation import (
    arange,
    diag,
    diagonal,
    empty_like,
    eye,
    fromfunction,
    full_like,
    indices,
    linspace,
    meshgrid,
    ones_like,
    pad,
    repeat,
    tile,
    tri,
    zeros_like,
)
from weft.array.einsumfuncs import einsum
from weft.array.gufunc import apply_gufunc, as_gufunc, gufunc
from weft.array.overlap import map_overlap
from weft.array.percentile import nanpercentile, percentile
from weft.array.rechunk import rechunk
from weft.array.reductions import (
    all,
    any,
    argmax,
    argmin,
    argtopk,
    cumprod,
    cumsum,
    max,
    mean,
    median,
    min,
    moment,
    nanargmax,
    nanargmin,
    nancumprod,
    nancumsum,
    nanmax,
    nanmean,
    nanmedian,
    nanmin,
    nanprod,
    nanquantile,
    nanstd,
    nansum,
    nanvar,
    prod,
    push,
    quantile,
    reduction,
    std,
    sum,
    topk,
    trace,
    var,
)
from weft.array.reshape import reshape, reshape_blockwise
from weft.array.routines import (
    allclose,
    append,
    apply_along_axis,
    apply_over_axes,
    argwhere,
    around,
    array,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    average,
    bincount,
    choose,
    coarsen,
    compress,
    corrcoef,
    count_nonzero,
    cov,
    delete,
    diff,
    digitize,
    dot,
    dstack,
    ediff1d,
    expand_dims,
    extract,
    flatnonzero,
    flip,
    fliplr,
    flipud,
    gradient,
    histogram,
    histogram2d,
    histogramdd,
    hstack,
    insert,
    isclose,
    iscomplexobj,
    isin,
    isnull,
    matmul,
    moveaxis,
    ndim,
    nonzero,
    notnull,
    outer,
    piecewise,
    ptp,
    ravel,
    ravel_multi_index,
    result_type,
    roll,
    rollaxis,
    rot90,
    round,
    searchsorted,
    select,
    shape,
    squeeze,
    swapaxes,
    take,
    tensordot,
    transpose,
    tril,
    tril_indices,
    tril_indices_from,
    triu,
    triu_indices,
    triu_indices_from,
    union1d,
    unique,
    unravel_index,
    vdot,
    vstack,
    where,
)
from weft.array.ufunc import angle, clip, divmod, frexp, frompyfunc, modf
from weft.array.utils import assert_eq
from weft.array.wrap import empty, full, ones, zeros
from weft.base import compute
from numpy import (
    bool_,
    complex64,
    complex128,
    e,
    euler_gamma,
    float32,
    float64,
    inf,
    int8,
    int16,
    int32,
    int64,
    nan,
    newaxis,
    pi,
    uint8,
    uint16,
    uint32,
    uint64,
)  # noqa: F401

for _name in [
    *_ufunc._UFUNCS,
    "isneginf",
    "isposinf",
    "iscomplex",
    "isreal",
    "real",
    "imag",
    "fix",
    "i0",
    "sinc",
    "nan_to_num",
    "abs",
]:
    if _name in vars(_ufunc):
        globals()[_name] = vars(_ufunc)[_name]
del _name


def __getattr__(name: str) -> _Any:
    if hasattr(_numpy, name):
        raise AttributeError(
            f"module 'weft.array' has no attribute {name!r}: apply numpy.{name} to blocks with da.map_blocks, "
            "or to the computed array"
        )
    raise AttributeError(f"module 'weft.array' has no attribute {name!r}")
