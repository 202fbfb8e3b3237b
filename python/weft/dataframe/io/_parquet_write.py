"""Writing Parquet: each file gets its name when it is whole."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from weft.dataframe import _meta
from weft.dataframe._collection import host
from weft.dataframe.io._conditions import MISSING_FOLDER
from weft.dataframe.io._files import whole_file

_COMPRESSIONS = (None, "snappy", "gzip", "brotli", "zstd", "lz4", "none")


def to_parquet(
    df: Any,
    path: Any,
    compression: Any = "snappy",
    write_index: bool = True,
    append: bool = False,
    overwrite: bool = False,
    ignore_divisions: bool = False,
    partition_on: Any = None,
    storage_options: dict[str, Any] | None = None,
    custom_metadata: Mapping[Any, Any] | None = None,
    write_metadata_file: bool | None = None,
    compute: bool = True,
    compute_kwargs: dict[str, Any] | None = None,
    schema: Any = "infer",
    name_function: Any = None,
    filesystem: Any = None,
    engine: str | None = None,
    **kwargs: Any,
) -> Any:
    """Writes each partition as a Parquet file ``part.N.parquet`` in a folder.

    Parameters
    ----------
    path : str
        The folder; made if it does not exist.
    compression : str, dict or None
        As :func:`pyarrow.parquet.write_table` takes it.
    write_index : bool
        Write the index, too.
    append, overwrite : bool
        Add files to those that are there, or put the new ones in the place of the whole folder, which stays
        as it is until all are written; the rows may come from that folder.
    ignore_divisions : bool
        Append although the divisions overlap with those that are there.
    partition_on : list of str, optional
        Write a folder for each value of these columns (hive).
    custom_metadata : dict, optional
        Entries of the files' own metadata.
    write_metadata_file : bool, optional
        Write ``_metadata`` with the footers of all files, and ``_common_metadata``. By default an existing one
        is kept up to date.
    compute : bool
        Write now; otherwise a lazy value that writes when computed.
    schema : pyarrow.Schema, dict, 'infer' or None
        Arrow types of the columns. ``'infer'``: as the dtypes say, so that files agree also where a partition
        holds nothing but missing values; None: as each partition suggests.
    name_function : callable, optional
        The name of file ``i``; names must be in the order of partitions and end in ``.parquet``.
    filesystem : file system of fsspec, optional
        What opens the files.
    **kwargs
        Of :func:`pyarrow.parquet.write_table`.

    Raises
    ------
    ValueError
        If an argument does not fit, or what is appended has other columns or dtypes than what is there.

    Examples
    --------
    >>> import tempfile, pandas as pd, weft.dataframe as dd
    >>> folder = tempfile.mkdtemp()
    >>> dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=2).to_parquet(folder)
    >>> len(dd.read_parquet(folder))
    2
    """
    from fsspec.core import url_to_fs

    if engine not in (None, "auto", "pyarrow"):
        raise ValueError(f"engine {engine!r}: pandas 3 writes Parquet with 'pyarrow'")
    partition_on = [partition_on] if isinstance(partition_on, str) else list(partition_on or ())
    if set(partition_on) - set(df.columns):
        raise ValueError(f"Partitioning on non-existent column. partition_on={partition_on} .")
    if partition_on and len(partition_on) == len(df.columns) and not write_index:
        raise ValueError("No data left to save outside partition columns")
    if append and overwrite:
        raise ValueError("Cannot use both `overwrite=True` and `append=True`!")
    if compression not in _COMPRESSIONS and not isinstance(compression, dict):
        raise ValueError(f"unknown compression {compression!r}")
    if any(not isinstance(label, str) for label in df.columns):
        wrong = [label for label in df.columns if not isinstance(label, str)]
        raise ValueError(f"parquet must have string column names; these are not: {wrong}")
    if filesystem is None:
        filesystem, folder = url_to_fs(os.fspath(path), **(storage_options or {}))
    else:
        folder = filesystem._strip_protocol(os.fspath(path))
    folder = folder.rstrip("/") or folder
    there = filesystem.exists(folder) and filesystem.find(folder)
    if overwrite and there:
        if folder in ("", "/", os.getcwd()):
            raise ValueError(f"overwrite=True would remove {folder!r}: name a folder of its own")
    first = 0
    if append and there:
        first = _appended(df, filesystem, folder, there, write_index, ignore_divisions, partition_on)
    names = _names(name_function, first, df.npartitions)
    target = folder
    if overwrite and there:
        target = f"{os.path.dirname(folder)}/.{os.path.basename(folder)}.{uuid.uuid4().hex[:8]}.partial"
    if write_metadata_file is None:
        write_metadata_file = bool(append and there and any(f.endswith("/_metadata") for f in there))
    options = {"compression": "none" if compression is None else compression, **kwargs}
    types = _types(df._meta, schema, write_index, partition_on)
    write = _Write(filesystem, target, names, types, write_index, partition_on, custom_metadata, options)
    filesystem.makedirs(target, exist_ok=True)
    written = host(
        write,
        (df,),
        {},
        meta=object(),
        npartitions=df.npartitions,
        label="to_parquet",
        numbered=list(range(df.npartitions)),
        fallback=False,
    )
    finish = _Finish(filesystem, target, folder, bool(write_metadata_file), bool(append and there))
    done = host(finish, (written,), {}, meta=None, npartitions=1, label="to_parquet-done", whole=True)
    if not compute:
        return done
    try:
        return done.compute(**(compute_kwargs or {}))
    except BaseException:
        if target != folder:
            with contextlib.suppress(OSError):
                filesystem.rm(target, recursive=True)
        raise


def _names(name_function: Any, first: int, count: int) -> list[str]:
    if name_function is None:
        return [f"part.{i}.parquet" for i in range(first, first + count)]
    if not callable(name_function):
        raise ValueError("``name_function`` must be a callable with one argument.")
    names = [name_function(i) for i in range(first, first + count)]
    if not names[0].endswith(".parquet"):
        raise ValueError("``name_function`` must produce names that end in .parquet.")
    if len(set(names)) < len(names):
        raise ValueError("``name_function`` must produce unique filenames.")
    return names


def _appended(
    df: Any,
    filesystem: Any,
    folder: str,
    there: list[str],
    write_index: bool,
    ignore_divisions: bool,
    partition_on: list[str],
) -> int:
    """The number of the first file to append.

    Raises
    ------
    ValueError
        If the new rows do not fit to those that are there.
    """
    from weft.dataframe.io.parquet import read_parquet

    old = read_parquet(folder, filesystem=filesystem, calculate_divisions=True)
    new = list(df.columns)
    if sorted(old.columns) != sorted(new):
        lacking, more = [c for c in old.columns if c not in new], [c for c in new if c not in old.columns]
        raise ValueError(
            f"Appended columns not the same.\nPrevious: {list(old.columns)} | New: {new}\n"
            f"{folder} has {lacking} besides, the new rows have {more}"
        )
    other = {
        c: (str(old._meta[c].dtype), str(df._meta[c].dtype))
        for c in new
        if c not in partition_on and not _fits(old._meta[c].dtype, df._meta[c].dtype)
    }
    if other:
        shown = ", ".join(f"{c}: {before} there, {after} new" for c, (before, after) in other.items())
        raise ValueError(f"Appended dtypes differ from those in {folder}: {shown}")
    known = write_index and old.known_divisions and df.known_divisions and not ignore_divisions
    if known and old._meta.index.name == df._meta.index.name and df.divisions[0] < old.divisions[-1]:
        raise ValueError(
            "The divisions of the appended dataframe overlap with previously written divisions. If this is "
            "desired, set ``ignore_divisions=True``.\n"
            f"- End of last previously written division: {old.divisions[-1]}\n"
            f"- Start of first new division: {df.divisions[0]}"
        )
    numbers = [re.search(r"part\.(\d+)\.parquet$", name) for name in there]
    return max((int(found[1]) + 1 for found in numbers if found), default=len(numbers))


def _fits(old: Any, new: Any) -> bool:
    text = pd.api.types.is_string_dtype
    return old == new or text(old) and text(new) or isinstance(new, pd.CategoricalDtype)


def _types(meta: pd.DataFrame, schema: Any, write_index: bool, partition_on: list[str]) -> dict[str, Any]:
    """The Arrow types that columns are to have; of others each partition decides."""
    kept = meta.drop(columns=partition_on)
    if isinstance(schema, pa.Schema):
        return {field.name: field.type for field in schema}
    if schema is None:
        return {}
    if schema != "infer" and not isinstance(schema, Mapping):
        raise ValueError(f"schema is a pyarrow.Schema, a dict, 'infer' or None, not {schema!r}")
    try:
        found = pa.Schema.from_pandas(_meta.meta_nonempty(kept), preserve_index=write_index)
    except (pa.ArrowException, TypeError, ValueError):
        return dict(schema) if isinstance(schema, Mapping) else {}
    types = {
        field.name: field.type
        for field in found
        if not (field.name in kept and (kept[field.name].dtype == "O" or pa.types.is_dictionary(field.type)))
    }
    if isinstance(schema, Mapping):
        unknown = set(schema) - set(kept.columns) - set(types)
        if unknown:
            raise ValueError(f"schema names columns that do not exist: {sorted(unknown)}")
        types.update(schema)
    return types


class _Write:
    """Writes partition ``i``; gives the files with their footers."""

    def __init__(
        self,
        filesystem: Any,
        folder: str,
        names: list[str],
        types: dict[str, Any],
        write_index: bool,
        partition_on: list[str],
        metadata: Mapping[Any, Any] | None,
        options: dict[str, Any],
    ) -> None:
        self.filesystem, self.folder, self.names = filesystem, folder, names
        self.types, self.write_index = types, write_index
        self.partition_on, self.options = partition_on, options
        self.metadata = {_bytes(key): _bytes(value) for key, value in (metadata or {}).items()}
        if b"pandas" in self.metadata:
            raise ValueError(
                "User-defined key/value metadata (custom_metadata) can not contain a b'pandas' key"
            )
        self.__name__ = "to_parquet"

    def __dask_tokenize__(self) -> Any:
        return uuid.uuid4().hex  # Writing twice is not writing once.

    def __call__(self, part: pd.DataFrame, partition_info: int) -> list[tuple[str, Any]]:
        name = self.names[partition_info]
        if not self.partition_on:
            return [self._write(part, name)]
        keys = self.partition_on if len(self.partition_on) > 1 else self.partition_on[0]
        written = []
        for values, rows in part.groupby(keys, observed=True, dropna=False):
            labels = values if isinstance(values, tuple) else (values,)
            folders = "/".join(f"{key}={_folder(value)}" for key, value in zip(self.partition_on, labels))
            self.filesystem.makedirs(f"{self.folder}/{folders}", exist_ok=True)
            written.append(self._write(rows.drop(columns=self.partition_on), f"{folders}/{name}"))
        return written

    def _write(self, part: pd.DataFrame, name: str) -> tuple[str, Any]:
        path = f"{self.folder}/{name}"
        footers: list[Any] = []
        try:
            table = self._table(part)
            with whole_file(self.filesystem, path) as file:
                pq.write_table(table, file, metadata_collector=footers, **self.options)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise ValueError(f"{path} cannot be written: {error}") from error
        return name, footers[0]

    def _table(self, part: pd.DataFrame) -> pa.Table:
        table = pa.Table.from_pandas(part, preserve_index=self.write_index)
        fields = [self._field(part, field) for field in table.schema]
        if any(new is not old for new, old in zip(fields, table.schema)):
            planned = pa.schema(fields, table.schema.metadata)
            table = pa.Table.from_pandas(part, schema=planned, preserve_index=self.write_index)
        if self.metadata:
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), **self.metadata})
        return table

    def _field(self, part: pd.DataFrame, field: pa.Field) -> pa.Field:
        kind = self.types.get(field.name)
        if kind is None and pa.types.is_null(field.type) and field.name in part:
            kind = pa.string()  # Text in other partitions, most likely; there is no other hint.
        return field if kind is None or kind == field.type else field.with_type(kind)


class _Finish:
    """When all files are written: ``_metadata``, and the folder in its place."""

    def __init__(self, filesystem: Any, target: str, folder: str, metadata: bool, append: bool) -> None:
        self.filesystem, self.target, self.folder = filesystem, target, folder
        self.metadata, self.append = metadata, append
        self.__name__ = "to_parquet-done"

    def __call__(self, parts: list[list[tuple[str, Any]]]) -> None:
        if self.metadata:
            self._write_metadata([one for part in parts for one in part])
        if self.target != self.folder:
            self.filesystem.rm(self.folder, recursive=True)
            self.filesystem.mv(self.target, self.folder, recursive=True)

    def _write_metadata(self, written: list[tuple[str, Any]]) -> None:
        footers = []
        for name, footer in written:
            footer.set_file_path(name)
            footers.append(footer)
        path = f"{self.target}/_metadata"
        if self.append and self.filesystem.exists(path):
            with self.filesystem.open(path, "rb") as file:
                footers.insert(0, pq.read_metadata(file))
        whole = footers[0]
        for footer in footers[1:]:
            whole.append_row_groups(footer)
        with whole_file(self.filesystem, path) as file:
            whole.write_metadata_file(file)
        with whole_file(self.filesystem, f"{self.target}/_common_metadata") as file:
            pq.write_metadata(whole.schema.to_arrow_schema(), file)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _folder(value: Any) -> str:
    return MISSING_FOLDER if pd.isna(value) else str(value)
