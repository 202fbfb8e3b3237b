"""Parquet: read in Rust where it has every column's dtype, else through pyarrow."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from weft._weft import FrameExpr, ParquetFiles
from weft.base import tokenize
from weft.dataframe import _convert, _meta
from weft.dataframe._collection import host, new_collection
from weft.utils import natural_sort_key, parse_bytes

_INDEX = "__index_level_0__"


def read_parquet(
    path: Any,
    columns: Any = None,
    filters: Any = None,
    categories: Any = None,
    index: Any = None,
    storage_options: dict[str, Any] | None = None,
    engine: str = "auto",
    calculate_divisions: bool = False,
    ignore_metadata_file: bool = False,
    split_row_groups: Any = "infer",
    blocksize: Any = "default",
    **kwargs: Any,
) -> Any:
    """A lazy DataFrame over Parquet files, a partition for some row groups of a file.

    Parameters
    ----------
    path : str or list of str
        A folder, a glob, or files; hive folders (``year=2020/``) become columns.
    columns : list or str, optional
        Only these; a single name gives a Series.
    filters : list, optional
        As pyarrow takes them: ``[("x", ">", 1)]``; row groups without such rows are not read.
    index : str, list or False, optional
        Which columns become the index; by default what the files say.
    calculate_divisions : bool
        Find divisions in the statistics of the index column.
    split_row_groups : 'infer', 'adaptive', bool or int
        Row groups of a partition: so many; one if True; all of a file if False; else as many as
        ``blocksize`` allows.
    blocksize : int or str, optional
        Bytes of a partition, unpacked; by default some 4 MiB, more if there would be very many partitions.

    Raises
    ------
    FileNotFoundError
        If there are no files.
    ValueError
        If a column does not exist.
    """
    from fsspec.core import get_fs_token_paths

    if engine not in ("auto", "pyarrow"):
        raise ValueError(f"engine {engine!r}: pandas 3 reads Parquet with 'pyarrow'")
    paths = [os.fspath(p) for p in path] if isinstance(path, (list, tuple, set)) else os.fspath(path)
    filesystem, _, found = get_fs_token_paths(paths, mode="rb", storage_options=storage_options)
    files = sorted(_files(filesystem, found), key=natural_sort_key)
    if not files:
        raise FileNotFoundError(f"no Parquet files in {path}")
    roots = [] if isinstance(path, (list, tuple, set)) else found
    hive = [_hive(file, roots) for file in files]
    read = _Read(filesystem, files, hive, columns, filters, index, categories, kwargs)
    meta: Any = read.meta()
    series = isinstance(columns, str)
    divisions = _divisions(read, meta) if calculate_divisions else None
    if isinstance(divisions, tuple):
        order, divisions = divisions
        read.files = files = [files[i] for i in order]
        read.hive = [hive[i] for i in order]
    if _is_local(filesystem) and not (any(hive) or filters or categories or kwargs):
        with contextlib.suppress(NotImplementedError):
            split = ("files", 0) if divisions else None
            frame = _native(read, meta, split or _split(split_row_groups, blocksize))
            frame = frame if divisions is None else frame._with_divisions(divisions)
            return frame[columns] if series else frame
    if series:
        meta = meta[columns]
    return host(
        read,
        (),
        {},
        meta=meta,
        npartitions=len(files),
        label="read_parquet",
        divisions=divisions,
        fallback=False,
        numbered=list(range(len(files))),
    )


def _is_local(filesystem: Any) -> bool:
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


#: Bytes of a partition, unpacked, unless there are very many of them.
_PARTITION = 4 * 2**20
_PARTITIONS = 200


def _split(split_row_groups: Any, blocksize: Any) -> tuple[str, int]:
    """How row groups become partitions; 0 bytes: as the size of the data suggests."""
    if split_row_groups is True:
        return "groups", 1
    if split_row_groups is False:
        return "files", 0
    if isinstance(split_row_groups, int):
        return "groups", split_row_groups
    if split_row_groups not in ("infer", "adaptive"):
        raise ValueError(
            f"split_row_groups is a bool, a number, 'infer' or 'adaptive', not {split_row_groups!r}"
        )
    if blocksize is None or blocksize == "default":
        return "bytes", 0
    return "bytes", parse_bytes(blocksize)


def _native(read: _Read, meta: pd.DataFrame, split: tuple[str, int]) -> Any:
    """The DataFrame that Rust reads.

    Raises
    ------
    NotImplementedError
        If the files hold what it has no exact form for.
    """
    found = ParquetFiles(read.files)
    missing = {name: count for name, _, count in found.columns}
    if not meta.columns.is_unique:
        raise NotImplementedError("columns of one name")

    def field(label: Any, name: Any, dtype: Any) -> tuple[Any, str, str]:
        known = _convert.dtype_name(dtype)
        if known is None or name not in missing:
            raise NotImplementedError(f"column {label!r} of {dtype}")
        if known == "bool" and missing[name] != 0:
            raise NotImplementedError("bools of which some may be missing")
        if dtype.kind in "iu" and isinstance(dtype, np.dtype) and missing[name]:
            known = "float64"
        return label, name, known

    fields = [field(label, label, dtype) for label, dtype in meta.dtypes.items()]
    index = _native_index(read, meta.index, field)
    if split == ("bytes", 0):
        split = "bytes", max(_PARTITION, min(found.nbytes // _PARTITIONS, 16 * _PARTITION))
    source = found.plan(fields, index, split)
    promoted = {label: dtype for label, _, dtype in fields if dtype != _convert.dtype_name(meta[label].dtype)}
    token = tokenize(read.files, read.versions)
    return new_collection(FrameExpr.parquet(source, token), meta.astype(promoted))


def _native_index(read: _Read, index: pd.Index, field: Any) -> Any:
    """``(start, step)`` of a range, or the columns that hold the labels."""
    if isinstance(index, pd.MultiIndex):
        raise NotImplementedError("several levels")
    described = read.described.get("index_columns", []) if read.index is None else []
    if isinstance(index, pd.RangeIndex):
        if index.name is not None:
            raise NotImplementedError("a range with a name")
        [first] = [*described[:1]] or [None]
        return (first["start"], first["step"]) if isinstance(first, dict) else (0, 1)
    if read.index is False:
        raise NotImplementedError("labels as columns")
    name = read.index if read.index is not None else described[0]
    if isinstance(name, list):
        [name] = name
    return [(index.name, field(name, name, index.dtype))]


def _files(filesystem: Any, found: Sequence[str]) -> list[str]:
    files: list[str] = []
    for path in found:
        if filesystem.isdir(path):
            files += [f for f in filesystem.find(path) if _is_data(os.path.relpath(f, path))]
        elif filesystem.exists(path):
            files.append(path)
        else:
            raise FileNotFoundError(f"[Errno 2] No such file or directory: {path!r}")
    return files


def _is_data(relative: str) -> bool:
    return not any(part.startswith(("_", ".")) for part in relative.split("/")) and relative.endswith(
        (".parquet", ".parq", ".pq")
    )


def _hive(file: str, roots: Sequence[str]) -> dict[str, str]:
    """What the folders below the root say: ``year=2020``."""
    for root in roots:
        if file.startswith(root.rstrip("/") + "/"):
            folders = os.path.relpath(file, root).split("/")[:-1]
            return dict(folder.split("=", 1) for folder in folders if "=" in folder)
    return {}


class _Read:
    """File ``i`` as pandas."""

    def __init__(
        self,
        filesystem: Any,
        files: list[str],
        hive: list[dict[str, str]],
        columns: Any,
        filters: Any,
        index: Any,
        categories: Any,
        options: dict[str, Any],
    ) -> None:
        self.filesystem, self.files, self.hive = filesystem, files, hive
        self.columns, self.filters, self.index = columns, filters, index
        self.categories, self.options = categories, options
        self.levels = {
            name: sorted({folders.get(name, "") for folders in hive}) for name in (hive[0] if hive else {})
        }
        self.described: dict[str, Any] = {}
        self.versions = [_version(filesystem, file) for file in files]
        self.__name__ = "read_parquet"

    def __dask_tokenize__(self) -> Any:
        return tokenize(self.files, self.versions, self.columns, self.filters, self.index, self.categories)

    def _wanted(self, names: list[Any]) -> list[Any] | None:
        if self.columns is None:
            return None
        wanted = [self.columns] if isinstance(self.columns, str) else list(self.columns)
        missing = [c for c in wanted if c not in names and c not in self.levels]
        if missing:
            raise ValueError(f"The following columns were not found in {self.files[0]}: {missing}")
        return wanted

    def _finish(self, frame: pd.DataFrame, folders: dict[str, str]) -> Any:
        if self.index is False and not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()
        elif self.index not in (None, False):
            names = [self.index] if isinstance(self.index, str) else list(self.index)
            if list(frame.index.names) != names:
                frame = frame if frame.index.name is None else frame.reset_index()
                frame = frame.set_index(names if len(names) > 1 else names[0])
        for name, levels in self.levels.items():
            frame[name] = pd.Categorical([folders[name]] * len(frame), categories=levels)
        for name in self.categories or ():
            frame[name] = frame[name].astype("category")
        if self.columns is None:
            return frame
        return frame[self.columns if isinstance(self.columns, str) else list(self.columns)]

    def meta(self) -> pd.DataFrame:
        import pyarrow.parquet as pq

        with self.filesystem.open(self.files[0], "rb") as file:
            schema = pq.read_schema(file)
        self.described = described = schema.pandas_metadata or {}
        table = schema.empty_table()
        frame = table.to_pandas(types_mapper=_arrow_dtype)
        names = (
            [*frame.columns, *[n for n in frame.index.names if n is not None]] if described else schema.names
        )
        self._wanted(list(names))
        result = self._finish(frame, {name: levels[0] for name, levels in self.levels.items()})
        if isinstance(result, pd.Series):
            result = result.to_frame()
        return _meta.make_meta(result)

    def __call__(self, partition_info: int) -> Any:
        path = self.files[partition_info]
        wanted = self._wanted_of_file()
        try:
            with self.filesystem.open(path, "rb") as file:
                frame = self._read(file, wanted)
        except (OSError, ValueError) as error:
            raise type(error)(f"{path}: {error}") from error
        return self._finish(frame, self.hive[partition_info])

    def _read(self, file: Any, wanted: list[Any] | None) -> pd.DataFrame:
        if self.options:
            return pd.read_parquet(
                file, engine="pyarrow", columns=wanted, filters=self.filters, **self.options
            )
        import pyarrow.parquet as pq

        return pq.read_table(file, columns=wanted, filters=self.filters).to_pandas(types_mapper=_arrow_dtype)

    def _wanted_of_file(self) -> list[Any] | None:
        if self.columns is None:
            return None
        columns = [self.columns] if isinstance(self.columns, str) else list(self.columns)
        index = (
            [] if self.index in (None, False) else [self.index] if isinstance(self.index, str) else self.index
        )
        return list(dict.fromkeys([c for c in [*columns, *index] if c not in self.levels]))


def _arrow_dtype(kind: Any) -> Any:
    """Dates and decimals stay Arrow's: as Python objects they would be slow, and have no dtype."""
    import pyarrow as pa

    if pa.types.is_date(kind) or pa.types.is_decimal(kind):
        return pd.ArrowDtype(kind)
    return None


def _version(filesystem: Any, file: str) -> Any:
    with contextlib.suppress(AttributeError, NotImplementedError):
        return filesystem.ukey(file)
    return file


def _divisions(read: _Read, meta: Any) -> Any:
    """The order of the files and the divisions, from statistics of the index; None if they do not tell."""
    import pyarrow.parquet as pq

    name = meta.index.name if meta.index.name is not None else _INDEX
    bounds = []
    for path in read.files:
        with read.filesystem.open(path, "rb") as file:
            found = pq.ParquetFile(file).metadata
        if name not in found.schema.names:
            return None
        column = found.schema.names.index(name)
        low, high = [], []
        for group in range(found.num_row_groups):
            statistics = found.row_group(group).column(column).statistics
            if statistics is None or not statistics.has_min_max:
                return None
            low.append(statistics.min)
            high.append(statistics.max)
        if not low:
            return None
        bounds.append((min(low), max(high)))
    order = sorted(range(len(bounds)), key=lambda i: bounds[i])
    ordered = [bounds[i] for i in order]
    if any(a[1] >= b[0] for a, b in zip(ordered, ordered[1:])):
        return None
    labels = [low for low, _ in ordered] + [ordered[-1][1]]
    if isinstance(meta.index, pd.DatetimeIndex):
        labels = [pd.Timestamp(label) for label in labels]
    return order, labels


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
    custom_metadata: Any = None,
    write_metadata_file: Any = None,
    compute: bool = True,
    compute_kwargs: dict[str, Any] | None = None,
    schema: Any = "infer",
    name_function: Any = None,
    engine: str = "auto",
    **kwargs: Any,
) -> Any:
    """Writes each partition as a Parquet file ``part.N.parquet`` in a folder.

    Parameters
    ----------
    path : str
        The folder; made if it does not exist.
    write_index : bool
        Write the index, too.
    append, overwrite : bool
        Add files to those that are there, or remove the folder first.
    partition_on : list of str, optional
        Write a folder for each value of these columns (hive).
    name_function : callable, optional
        The name of file ``i``.
    compute : bool
        Write now; otherwise a lazy value that writes when computed.

    Raises
    ------
    ValueError
        If an argument does not fit.
    """
    from fsspec.core import url_to_fs

    if partition_on is not None:
        partition_on = [partition_on] if isinstance(partition_on, str) else list(partition_on)
        if set(partition_on) - set(df.columns):
            raise ValueError(f"Partitioning on non-existent column. partition_on={partition_on} .")
    if append and overwrite:
        raise ValueError("Cannot use both `overwrite=True` and `append=True`!")
    if compression not in (None, "snappy", "gzip", "brotli", "zstd", "lz4", "none") and not isinstance(
        compression, dict
    ):
        raise ValueError(f"unknown compression {compression!r}")
    filesystem, folder = url_to_fs(os.fspath(path), **(storage_options or {}))
    if overwrite and filesystem.exists(folder):
        if folder.rstrip("/") in ("", "/", os.getcwd()):
            raise ValueError(f"overwrite=True would remove {folder!r}: name a folder of its own")
        if _reads_from(df, folder):
            raise ValueError("Cannot overwrite a path that you are reading from in the same task graph.")
        filesystem.rm(folder, recursive=True)
    filesystem.makedirs(folder, exist_ok=True)
    first = 0
    if append:
        first = sum(1 for f in filesystem.find(folder) if f.endswith(".parquet"))
    names = [
        f"part.{i}.parquet" if name_function is None else name_function(i)
        for i in range(first, first + df.npartitions)
    ]
    written = host(
        _Write(filesystem, folder, names, compression, write_index, partition_on, kwargs),
        (df,),
        {},
        meta=None,
        npartitions=df.npartitions,
        label="to_parquet",
        numbered=list(range(df.npartitions)),
    )
    done = host(_nothing, (written,), {}, meta=None, npartitions=1, label="to_parquet-done", whole=True)
    return done.compute(**(compute_kwargs or {})) if compute else done


def _reads_from(df: Any, folder: str) -> bool:
    return False if not hasattr(df, "expr") else f"read_parquet {folder}" in df.explain()


def _nothing(parts: list[Any]) -> None:
    return None


class _Write:
    """Writes partition ``i``; the file gets its name when it is whole."""

    def __init__(
        self,
        filesystem: Any,
        folder: str,
        names: list[str],
        compression: Any,
        write_index: bool,
        partition_on: list[str] | None,
        options: dict[str, Any],
    ) -> None:
        self.filesystem, self.folder, self.names = filesystem, folder, names
        self.compression, self.write_index = compression, write_index
        self.partition_on, self.options = partition_on, options
        self.__name__ = "to_parquet"

    def __dask_tokenize__(self) -> Any:
        import uuid

        return uuid.uuid4().hex  # Writing twice is not writing once.

    def __call__(self, part: pd.DataFrame, partition_info: int) -> str:
        name = self.names[partition_info]
        if not self.partition_on:
            self._write(part, f"{self.folder}/{name}")
            return name
        keys = self.partition_on if len(self.partition_on) > 1 else self.partition_on[0]
        for values, rows in part.groupby(keys, observed=True, dropna=False):
            labels = values if isinstance(values, tuple) else (values,)
            folders = "/".join(f"{key}={_folder(value)}" for key, value in zip(self.partition_on, labels))
            self.filesystem.makedirs(f"{self.folder}/{folders}", exist_ok=True)
            self._write(rows.drop(columns=self.partition_on), f"{self.folder}/{folders}/{name}")
        return name

    def _write(self, part: pd.DataFrame, target: str) -> None:
        partial = f"{os.path.dirname(target)}/.{os.path.basename(target)}.partial"
        try:
            with self.filesystem.open(partial, "wb") as file:
                part.to_parquet(
                    file,
                    engine="pyarrow",
                    compression=None if self.compression == "none" else self.compression,
                    index=self.write_index,
                    **self.options,
                )
            self.filesystem.mv(partial, target)
        except BaseException:
            with contextlib.suppress(OSError):
                self.filesystem.rm(partial)
            raise


def _folder(value: Any) -> str:
    missing = isinstance(value, float) and math.isnan(value) or value is None
    return "__HIVE_DEFAULT_PARTITION__" if missing else str(value)
