"""Reading Parquet: in Rust where it has every column's dtype, else through pyarrow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from weft._weft import FrameExpr, ParquetFiles
from weft.base import tokenize
from weft.dataframe import _convert, _meta
from weft.dataframe._collection import host, new_collection
from weft.dataframe.io._conditions import MISSING_FOLDER, Conditions, hive_value
from weft.dataframe.io._parquet_write import to_parquet
from weft.dataframe.io._text import text_as_asked
from weft.utils import natural_sort_key, parse_bytes

_INDEX = "__index_level_0__"


def read_parquet(
    path: Any,
    columns: Any = None,
    filters: Any = None,
    categories: Any = None,
    index: Any = None,
    storage_options: dict[str, Any] | None = None,
    dtype_backend: Any = None,
    calculate_divisions: bool = False,
    ignore_metadata_file: bool = False,
    metadata_task_size: Any = None,
    split_row_groups: Any = "infer",
    blocksize: Any = "default",
    aggregate_files: Any = None,
    parquet_file_extension: Any = (".parq", ".parquet", ".pq"),
    filesystem: Any = "fsspec",
    engine: str | None = None,
    arrow_to_pandas: dict[str, Any] | None = None,
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
        As pyarrow takes them: ``[("x", ">", 1)]``, or a list of such lists of which one must hold. Only rows
        that fit remain; row groups and hive folders without any are not read.
    categories : list or dict, optional
        Columns that become categorical.
    index : str, list or False, optional
        Which columns become the index; by default what the files say.
    calculate_divisions : bool
        Find divisions in the statistics of the index column.
    split_row_groups : 'infer', 'adaptive', bool or int
        Row groups of a partition: so many; one if True; all of a file if False; else as many as
        ``blocksize`` allows.
    dtype_backend : {'numpy_nullable', 'pyarrow'}, optional
        Which kind of dtypes columns get, as in :func:`pandas.read_parquet`.
    filesystem : 'fsspec', 'arrow' or a file system of either
        What opens the files.
    arrow_to_pandas : dict, optional
        Options of :meth:`pyarrow.Table.to_pandas`; pyarrow then reads the files.
    parquet_file_extension : str, tuple of str or None
        Which files of a folder are read.
    metadata_task_size, aggregate_files, ignore_metadata_file
        Accepted for compatibility: footers are read side by side, and small row groups share partitions.
    blocksize : int or str, optional
        Bytes of a partition, unpacked; by default some 4 MiB, more if there would be very many partitions.

    Raises
    ------
    FileNotFoundError
        If there are no files.
    ValueError
        If a column does not exist.
    """
    if engine not in (None, "auto", "pyarrow"):
        raise ValueError(f"engine {engine!r}: pandas 3 reads Parquet with 'pyarrow'")
    if dtype_backend not in (None, "numpy_nullable", "pyarrow"):
        raise ValueError(
            f"dtype_backend {dtype_backend!r} is invalid, only 'numpy_nullable' and 'pyarrow' are allowed."
        )
    paths = [os.fspath(p) for p in path] if isinstance(path, (list, tuple, set)) else os.fspath(path)
    opened, found = _open(paths, filesystem, storage_options)
    files = sorted(_files(opened, found, parquet_file_extension), key=natural_sort_key)
    if not files:
        raise FileNotFoundError(f"no Parquet files in {path}")
    conditions = Conditions(filters)
    roots = [] if isinstance(path, (list, tuple, set)) else found
    hive = [_hive(file, roots) for file in files]
    levels = _levels(hive)
    kept = [i for i, folders in enumerate(hive) if conditions.may_hold(folders)] or [0]
    files, hive = [files[i] for i in kept], [hive[i] for i in kept]
    rows = conditions.beyond(levels)
    if dtype_backend is not None:
        kwargs["dtype_backend"] = dtype_backend
    if arrow_to_pandas:
        kwargs["arrow_to_pandas"] = arrow_to_pandas
    read = _Read(opened, files, hive, levels, columns, filters if rows else None, index, categories, kwargs)
    meta: Any = read.meta()
    series = isinstance(columns, str)
    divisions = _divisions(read, meta) if calculate_divisions else None
    if isinstance(divisions, tuple):
        order, divisions = divisions
        read.files = files = [files[i] for i in order]
        read.hive = [hive[i] for i in order]
    if _is_local(opened) and not ((set(levels) & set(meta.columns)) or categories or kwargs):
        with contextlib.suppress(NotImplementedError):
            split = ("files", 0) if divisions else _split(split_row_groups, blocksize)
            if rows and (rows.columns & set(levels)):
                raise NotImplementedError("conditions of rows and folders at once")
            frame = _native(read, meta, split, rows)
            frame = frame if divisions is None else frame._with_divisions(divisions)
            return text_as_asked(frame[columns] if series else frame)
    if series:
        meta = meta[columns]
    frame = host(
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
    return text_as_asked(frame)


def _open(paths: Any, filesystem: Any, storage_options: dict[str, Any] | None) -> tuple[Any, list[str]]:
    """The file system (of fsspec) and the paths in it, wildcards resolved.

    Raises
    ------
    ValueError
        If there is no such file system, or options are given beside one.
    """
    from fsspec import AbstractFileSystem
    from fsspec.core import expand_paths_if_needed, get_fs_token_paths

    if filesystem in (None, "fsspec", "arrow", "pyarrow"):
        opened, _, found = get_fs_token_paths(paths, mode="rb", storage_options=storage_options)
        return opened, list(found)
    if storage_options:
        raise ValueError(
            f"Cannot specify storage_options when an explicit filesystem object is specified. "
            f"Got: {storage_options}"
        )
    if not isinstance(filesystem, AbstractFileSystem):
        import pyarrow.fs as arrow_fs

        if not isinstance(filesystem, arrow_fs.FileSystem):
            raise ValueError(
                f"filesystem is 'fsspec', 'arrow' or a file system of either, not {filesystem!r}"
            )
        from fsspec.implementations.arrow import ArrowFSWrapper

        filesystem = ArrowFSWrapper(filesystem)
    names = [paths] if isinstance(paths, str) else paths
    stripped = [filesystem._strip_protocol(name) for name in names]
    return filesystem, expand_paths_if_needed(stripped, "rb", 0, filesystem, None)


__all__ = ["read_parquet", "to_parquet"]


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


def _native(read: _Read, meta: pd.DataFrame, split: tuple[str, int], rows: Conditions) -> Any:
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

    wanted = list(meta.columns)
    if rows:
        meta = read.meta(rows.columns)

    def field(label: Any, name: Any, dtype: Any) -> tuple[Any, str, str]:
        known = _convert.dtype_name(dtype)
        known = "str" if known == "string" else known
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
    strings = {label: dtype for label, dtype in meta.dtypes.items() if promoted.get(label) == "str"}
    frame = new_collection(FrameExpr.parquet(source, token), meta.astype(promoted))
    frame = frame.astype(strings) if strings else frame
    if rows:
        frame = frame[rows.mask(frame)]
        frame = frame.reset_index(drop=True) if isinstance(meta.index, pd.RangeIndex) else frame
    return frame if list(frame.columns) == wanted else frame[wanted]


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


def _files(filesystem: Any, found: Sequence[str], suffixes: Any) -> list[str]:
    files: list[str] = []
    for path in found:
        if filesystem.isdir(path):
            root = path.rstrip("/")
            files += [f for f in filesystem.find(path) if _is_data(f[len(root) + 1 :], suffixes)]
        elif filesystem.exists(path):
            files.append(path)
        else:
            raise FileNotFoundError(f"[Errno 2] No such file or directory: {path!r}")
    return files


def _is_data(relative: str, suffixes: Any) -> bool:
    if any(part.startswith(("_", ".")) for part in relative.split("/")):
        return False
    return suffixes is None or relative.endswith(suffixes if isinstance(suffixes, str) else tuple(suffixes))


def _hive(file: str, roots: Sequence[str]) -> dict[str, str]:
    """What the folders below the root say: ``year=2020``."""
    for root in roots:
        if file.startswith(root.rstrip("/") + "/"):
            folders = os.path.relpath(file, root).split("/")[:-1]
            return dict(folder.split("=", 1) for folder in folders if "=" in folder)
    return {}


def _levels(hive: list[dict[str, str]]) -> dict[str, list[Any]]:
    """The values of each hive column, as numbers where all are."""
    levels: dict[str, list[Any]] = {}
    for name in hive[0] if hive else {}:
        texts = {folders.get(name, "") for folders in hive} - {MISSING_FOLDER}
        values = {hive_value(text) for text in texts}
        levels[name] = sorted(values if all(isinstance(value, int) for value in values) else texts)
    return levels


class _Read:
    """File ``i`` as pandas."""

    def __init__(
        self,
        filesystem: Any,
        files: list[str],
        hive: list[dict[str, str]],
        levels: dict[str, list[Any]],
        columns: Any,
        filters: Any,
        index: Any,
        categories: Any,
        options: dict[str, Any],
    ) -> None:
        self.filesystem, self.files, self.hive = filesystem, files, hive
        self.columns, self.filters, self.index = columns, filters, index
        self.categories, self.options = categories, options
        self.levels = levels
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
            value = folders[name]
            value = value if value in levels else hive_value(value)
            frame[name] = pd.Categorical([value] * len(frame), categories=levels)
        for name in self.categories or ():
            frame[name] = frame[name].astype("category")
        if self.columns is None:
            return frame
        return frame[self.columns if isinstance(self.columns, str) else list(self.columns)]

    def meta(self, more: Any = ()) -> pd.DataFrame:
        """What partitions look like, with the columns ``more`` besides those that are wanted."""
        import pyarrow.parquet as pq

        path = self.files[0]
        try:
            with self.filesystem.open(path, "rb") as file:
                schema = pq.read_schema(file)
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as Parquet: {error}") from error
        self.described = described = schema.pandas_metadata or {}
        frame = schema.empty_table().to_pandas(**self._conversion())
        names = (
            [*frame.columns, *[n for n in frame.index.names if n is not None]] if described else schema.names
        )
        self._wanted(list(names))
        given = self.columns
        if given is not None and more:
            wanted = [given] if isinstance(given, str) else list(given)
            self.columns = [*wanted, *(name for name in more if name not in wanted)]
        folders = {name: str(levels[0]) if levels else MISSING_FOLDER for name, levels in self.levels.items()}
        result = self._finish(_with_text_labels(frame, schema), folders)
        self.columns = given
        if isinstance(result, pd.Series):
            result = result.to_frame()
        for label in result.columns if result.columns.is_unique else ():
            dtype = result[label].dtype
            if isinstance(dtype, pd.CategoricalDtype) and label not in self.levels:
                unknown = pd.CategoricalDtype([_meta.UNKNOWN_CATEGORIES], dtype.ordered)
                result[label] = result[label].astype(unknown)
        return _meta.make_meta(result)

    def _conversion(self) -> dict[str, Any]:
        """Options of ``to_pandas``."""
        backend = self.options.get("dtype_backend")
        mapper: Any = _arrow_dtype
        if backend == "pyarrow":
            mapper = pd.ArrowDtype
        elif backend == "numpy_nullable":
            mapper = _NULLABLE.get
        return {"types_mapper": mapper, **(self.options.get("arrow_to_pandas") or {})}

    def __call__(self, partition_info: int) -> Any:
        path = self.files[partition_info]
        wanted = self._wanted_of_file()
        try:
            frame = self._read(path, wanted)
        except (OSError, ValueError) as error:
            raise type(error)(f"{path}: {error}") from error
        return self._finish(frame, self.hive[partition_info])

    def _read(self, path: str, wanted: list[Any] | None) -> pd.DataFrame:
        import pyarrow.dataset as ds
        import pyarrow.fs as arrow_fs

        opened = ds.dataset(
            path,
            schema=None,
            format="parquet",
            filesystem=arrow_fs.PyFileSystem(arrow_fs.FSSpecHandler(self.filesystem)),
        )
        names = opened.schema.names if wanted is None else self._with_labels(wanted, opened.schema)
        table = opened.to_table(columns=names, filter=self._condition(path), use_threads=False)
        return table.to_pandas(**self._conversion())

    def _with_labels(self, wanted: list[Any], schema: Any) -> list[Any]:
        """``wanted`` and the columns in which pandas keeps its index."""
        described = (schema.pandas_metadata or {}).get("index_columns", [])
        labels = [name for name in described if isinstance(name, str) and self.index is None]
        return list(dict.fromkeys([*wanted, *labels]))

    def _condition(self, path: str) -> Any:
        """The filters as an expression of pyarrow, without what the folders of a file decide."""
        if not self.filters:
            return None
        return Conditions(self.filters).of_arrow(self.hive[self.files.index(path)])

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
    if pa.types.is_date(kind) or pa.types.is_decimal(kind):
        return pd.ArrowDtype(kind)
    return None


_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.float32(): pd.Float32Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.string(): pd.StringDtype(),
    pa.large_string(): pd.StringDtype(),
}


def _with_text_labels(frame: pd.DataFrame, schema: Any) -> pd.DataFrame:
    """``frame``, which has no rows: an index of text then comes as one of objects."""
    index = frame.index
    if isinstance(index, pd.MultiIndex) or index.dtype != "O":
        return frame
    described: list[Any] = (schema.pandas_metadata or {}).get("index_columns", [])
    name = described[0] if described else None
    if not isinstance(name, str) or schema.field(name).type not in (pa.string(), pa.large_string()):
        return frame
    return frame.set_axis(index.astype("str"), axis=0)


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
