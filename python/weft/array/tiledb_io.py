"""Arrays from and to TileDB, where its package is installed."""

from __future__ import annotations

from typing import Any

from weft.utils import import_required


def _tiledb() -> Any:
    return import_required("tiledb", "TileDB arrays need the package tiledb: pip install tiledb")


def from_tiledb(
    uri: Any, attribute: Any = None, chunks: Any = None, storage_options: Any = None, **kwargs: Any
) -> Any:
    """An array over a dense TileDB array.

    Parameters
    ----------
    uri : str or tiledb.DenseArray
    attribute : str, optional
        Which attribute; needed where there are several.
    chunks : tuple, optional
        By default the tiles of the TileDB array.
    storage_options : dict, optional
        Configuration of TileDB's context.
    **kwargs
        Passed on to `tiledb.open`.

    Returns
    -------
    Array

    Raises
    ------
    RuntimeError
        If tiledb is not installed.
    ValueError
        If the array is sparse, or has several attributes and none is named.
    """
    tiledb = _tiledb()
    from weft.array._source import from_array

    if isinstance(uri, tiledb.Array):
        source = uri
    else:
        source = tiledb.open(uri, attr=attribute, ctx=tiledb.Ctx(storage_options or {}), **kwargs)
    if source.schema.sparse:
        raise ValueError("Sparse TileDB arrays are not supported: open a dense one")
    if not attribute and source.schema.nattr > 1:
        names = [source.schema.attr(i).name for i in range(source.schema.nattr)]
        raise ValueError(f"the TileDB array has the attributes {names}: choose one with attribute=")
    if chunks is None:
        domain = source.schema.domain
        chunks = tuple(int(domain.dim(i).tile) for i in range(domain.ndim))
    return from_array(source, chunks, name=f"tiledb-{uri}")


def to_tiledb(
    darray: Any,
    uri: Any,
    compute: bool = True,
    return_stored: bool = False,
    storage_options: Any = None,
    key: Any = None,
    **kwargs: Any,
) -> Any:
    """Writes a dense TileDB array, with a tile for each block.

    Parameters
    ----------
    darray : Array
        Its chunks are all alike along an axis, but for the last.
    uri : str or tiledb.Array
    compute, return_stored : bool
        See `store`.
    storage_options : dict, optional
        Configuration of TileDB's context.
    key : str, optional
        Of an encrypted array.
    **kwargs
        Passed on to `tiledb.DenseArray` when it is opened to write.

    Returns
    -------
    None, or Array
        See `store`.

    Raises
    ------
    RuntimeError
        If tiledb is not installed.
    ValueError
        If chunk sizes are unknown or uneven.
    """
    tiledb = _tiledb()
    from weft.array._chunks import UNKNOWN_HINT, is_known
    from weft.array._zarr import _check_regular_chunks

    if not all(is_known(n) for n in darray.shape):
        raise ValueError(
            f"Saving a dask array with unknown chunk sizes is not currently supported by TileDB.{UNKNOWN_HINT}"
        )
    if not _check_regular_chunks(darray.chunks):
        raise ValueError(
            f"Attempt to save array to TileDB with irregular chunking, {darray.chunks}: please call `arr.rechunk(...)` first."
        )
    if isinstance(uri, tiledb.Array):
        return darray.store(uri, lock=False, compute=compute, return_stored=return_stored)
    context = tiledb.Ctx(storage_options or {})
    axes = [
        tiledb.Dim(name=f"dim_{i}", domain=(0, n - 1), tile=c[0], dtype="uint64", ctx=context)
        for i, (n, c) in enumerate(zip(darray.shape, darray.chunks))
    ]
    schema = tiledb.ArraySchema(
        domain=tiledb.Domain(*axes, ctx=context),
        attrs=[tiledb.Attr(dtype=darray.dtype, ctx=context)],
        ctx=context,
    )
    tiledb.DenseArray.create(uri, schema, key=key, ctx=context)
    target = tiledb.open(uri, mode="w", key=key, ctx=context, **kwargs)
    return darray.store(target, lock=False, compute=compute, return_stored=return_stored)
