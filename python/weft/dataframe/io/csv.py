"""Reading and writing CSV.

The reader in Rust does what it can do exactly as pandas; for other keywords pandas reads the bytes
of each partition (``explain()`` says which).
"""

from __future__ import annotations

import functools
import inspect
import io
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from fsspec.core import OpenFile

from weft import config
from weft._weft import CsvSource, FrameExpr
from weft.base import tokenize
from weft.dataframe import _meta
from weft.dataframe._collection import host, new_collection
from weft.dataframe.io._files import whole_file, write_parts
from weft.dataframe.io._text import text_as_asked
from weft.delayed import delayed
from weft.utils import parse_bytes

_COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}


def read_csv(
    urlpath: Any,
    blocksize: Any = "default",
    lineterminator: str | None = None,
    compression: str | None = "infer",
    sample: Any = 256000,
    sample_rows: int = 10,
    enforce: bool = False,
    assume_missing: bool = False,
    storage_options: dict[str, Any] | None = None,
    include_path_column: bool | str = False,
    **kwargs: Any,
) -> Any:
    """Reads CSV files into a lazy DataFrame.

    Parameters
    ----------
    urlpath : str, path or list of them
        Files, globs, or URLs of any file system that fsspec knows.
    blocksize : str, int, float or None
        Bytes of a partition; None: one partition for each file.
    compression : str or None
        ``"infer"``: by the file's suffix. Compressed files are one partition each.
    sample : int or False
        Bytes at the head of the first file from which dtypes are inferred.
    assume_missing : bool
        Read integer columns without a ``dtype`` as floats.
    storage_options : dict, optional
        Options of the file system.
    include_path_column : bool or str
        Add a column with the path of each row's file.
    **kwargs
        Keywords of :func:`pandas.read_csv`.

    Returns
    -------
    DataFrame

    Raises
    ------
    OSError
        If no file matches.
    ValueError
        For keywords that make no sense for a lazy reader (``index_col``, ``nrows``, ``chunksize``).

    Notes
    -----
    An integer column that meets a missing value late becomes a float column, as pandas would have
    read it, and a warning says so once. ``weft.config.set({"dataframe.csv.dtype-mismatch": "raise"})``
    makes it an error.

    Examples
    --------
    >>> import tempfile, pathlib, weft.dataframe as dd
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.csv"
    >>> _ = path.write_text("x,y\\n1,a\\n2,b\\n")
    >>> int(dd.read_csv(path).x.sum().compute())
    3
    """
    return _read(pd.read_csv, "read_csv", {}, locals())


def _variant(reader: Callable[..., Any], defaults: dict[str, Any] | None, doc: str) -> Callable[..., Any]:
    """:func:`read_csv` with another reader of pandas for what Rust does not read."""
    signature = inspect.signature(read_csv)

    def read(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        return _read(reader, read.__name__, defaults, dict(given.arguments))

    read.__name__ = read.__qualname__ = reader.__name__
    read.__signature__ = signature  # type: ignore[attr-defined]
    read.__doc__ = doc
    return read


read_table = _variant(
    pd.read_table, {"sep": "\t"}, "Reads files of columns that tabs separate; otherwise as :func:`read_csv`."
)
read_fwf = _variant(
    pd.read_fwf, None, "Reads files of columns of fixed width; otherwise as :func:`read_csv`."
)


def _read(
    reader: Callable[..., Any], name: str, defaults: dict[str, Any] | None, given: dict[str, Any]
) -> Any:
    keywords = given.pop("kwargs")
    _refuse(name, keywords)
    lineterminator = given["lineterminator"]
    if lineterminator is not None and len(lineterminator) == 1:
        keywords["lineterminator"] = lineterminator
    filesystem, paths, local = _resolve(given["urlpath"], given["storage_options"])
    compression = given["compression"]
    if compression == "infer":
        compression = _COMPRESSED.get(os.path.splitext(paths[0])[1].lower())
    blocksize = given["blocksize"]
    if blocksize == "default":
        blocksize = default_blocksize()
    elif isinstance(blocksize, str):
        blocksize = parse_bytes(blocksize)
    if blocksize and compression:
        warnings.warn(
            f"{compression}-compressed files cannot be cut into blocks: each file is one partition.\n"
            "Say blocksize=None to silence this warning.",
            stacklevel=3,
        )
        blocksize = None
    blocksize = int(blocksize) if blocksize else None
    options = {
        **(defaults or {}),
        **keywords,
        "blocksize": blocksize,
        "compression": compression,
        "assume_missing": given["assume_missing"],
        "dtype_mismatch": config.get("dataframe.csv.dtype-mismatch", "promote"),
        "sample_rows": given["sample_rows"],
    }
    if given["sample"] is not False:
        options["sample"] = int(given["sample"])
    token = tokenize(name, paths, _versions(filesystem, paths), options, given["include_path_column"])
    if defaults is not None:
        try:
            if given["include_path_column"] or given["enforce"]:
                raise NotImplementedError("the path column is categorical")
            source = CsvSource(paths, options, None if local else filesystem)
            meta = pd.DataFrame({i: pd.Series([], dtype=d) for i, (_, d) in enumerate(source.schema)})
            meta.columns = pd.Index([label for label, _ in source.schema])
            return text_as_asked(new_collection(FrameExpr.csv(source, token), meta))
        except NotImplementedError:
            pass
    if filesystem is None:
        from fsspec.implementations.local import LocalFileSystem

        filesystem = LocalFileSystem()
    frame = _read_with_pandas(reader, name, filesystem, paths, compression, blocksize, keywords, given, token)
    return text_as_asked(frame)


def _refuse(name: str, keywords: dict[str, Any]) -> None:
    index_col = keywords.get("index_col")
    if "index" in keywords or not (index_col is None or index_col is False):
        raise ValueError(
            "Keywords 'index' and 'index_col' not supported, except for 'index_col=False'. "
            f"Use dd.{name}(...).set_index('my-index') instead"
        )
    for keyword in ("iterator", "chunksize"):
        if keyword in keywords:
            raise ValueError(f"{keyword} not supported for dd.{name}")
    if keywords.get("nrows"):
        raise ValueError(
            f"The 'nrows' keyword is not supported by `dd.{name}`. To achieve the same behavior, it's "
            f"recommended to use `dd.{name}(...).head(n=nrows)`"
        )
    if isinstance(keywords.get("header"), list):
        raise TypeError(f"List of header rows not supported for dd.{name}")


def _resolve(urlpath: Any, storage_options: dict[str, Any] | None) -> tuple[Any, list[str], bool]:
    """The file system, the files in order, and whether they are on this machine."""
    if isinstance(urlpath, (list, tuple, set)):
        urlpath = [os.fspath(path) for path in urlpath]
    else:
        urlpath = os.fspath(urlpath)
    if isinstance(urlpath, list) and not urlpath:
        raise ValueError("empty urlpath sequence")
    if not storage_options and (plain := _plain_paths(urlpath)) is not None:
        return None, plain, True
    from fsspec.core import get_fs_token_paths
    from fsspec.implementations.local import LocalFileSystem

    filesystem, _, paths = get_fs_token_paths(urlpath, mode="rb", storage_options=storage_options)
    if not paths:
        raise OSError(f"{urlpath} resolved to no files")
    if isinstance(urlpath, str):
        paths = sorted(paths)
    local = type(filesystem) is LocalFileSystem
    for path in paths:
        if not filesystem.exists(path):
            raise FileNotFoundError(f"[Errno 2] No such file or directory: '{path}'")
    return filesystem, paths, local


def _plain_paths(urlpath: Any) -> list[str] | None:
    """The files of local names, without loading fsspec; None where it must decide."""
    import glob

    names = urlpath if isinstance(urlpath, list) else [urlpath]
    if any("://" in name or "::" in name or name.startswith("~") or "**" in name for name in names):
        return None
    paths = []
    for name in names:
        name = os.path.abspath(name)
        paths += sorted(glob.glob(name)) if glob.has_magic(name) else [name]
    return paths if paths and all(os.path.isfile(path) for path in paths) else None


def _versions(filesystem: Any, paths: Sequence[str]) -> list[Any]:
    if filesystem is None:
        return [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in map(os.stat, paths)]
    try:
        return [filesystem.ukey(path) for path in paths]
    except (AttributeError, NotImplementedError):
        return list(paths)


def default_blocksize() -> int:
    """64 MB, or less where little memory is shared by many cores."""
    cores = os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 2**25
    return min(int(memory // cores / 10), 64_000_000)


# -- pandas on each block -------------------------------------------------------------------------


class _Block:
    """The bytes of one partition, read by pandas."""

    def __init__(
        self,
        reader: Any,
        filesystem: Any,
        blocks: list[Any],
        keywords: dict[str, Any],
        meta: Any,
        compression: Any,
        path_column: Any,
        labels: list[Any],
        token: str,
        dtypes: dict[Any, Any],
        enforce: bool,
    ) -> None:
        self.reader, self.filesystem, self.blocks = reader, filesystem, blocks
        self.keywords, self.meta, self.compression = keywords, meta, compression
        self.path_column, self.labels = path_column, labels
        self.token, self.dtypes, self.enforce = token, dtypes, enforce
        self.__name__ = "read_csv"

    def __dask_tokenize__(self) -> Any:
        return self.token

    def __call__(self, partition_info: int) -> Any:
        path, start, stop, header = self.blocks[partition_info]
        keywords = dict(self.keywords)
        try:
            with self.filesystem.open(path, "rb", compression=self.compression) as file:
                file.seek(start)
                data = file.read() if stop is None else file.read(stop - start)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{path} does not exist any more: {error}") from error
        if start:
            data = header + data
            keywords.pop("skiprows", None)
            if isinstance(keywords.get("header"), int):
                keywords["header"] = 0
        try:
            frame = self.reader(io.BytesIO(data), **keywords) if data.strip() else self.meta.iloc[:0]
        except pd.errors.EmptyDataError:
            frame = self.meta.iloc[:0]
        if self.path_column and self.path_column not in frame.columns:
            label = self.labels[self.paths.index(path)]
            categories = list(dict.fromkeys(self.labels))
            frame[self.path_column] = _categorical([categories.index(label)] * len(frame), categories)
        if self.enforce and list(frame.columns) != list(self.meta.columns):
            raise ValueError(
                f"Columns do not match: {path} has {list(frame.columns)}, expected {list(self.meta.columns)}"
            )
        return self._coerce(frame, path, partition_info)

    @property
    def paths(self) -> list[str]:
        return list(dict.fromkeys(block[0] for block in self.blocks))

    def _coerce(self, frame: pd.DataFrame, path: str, number: int) -> pd.DataFrame:
        """The dtypes of the meta, where the data allow it."""
        changes = {}
        for column, dtype in self.meta.dtypes.items():
            if column in frame.columns and frame[column].dtype != dtype:
                have = frame[column].dtype
                if isinstance(have, pd.CategoricalDtype) and isinstance(dtype, pd.CategoricalDtype):
                    continue  # The categories of the block.
                if have.kind == "f" and getattr(dtype, "kind", "") in "iu":
                    continue  # Missing values: promoted, as pandas would have read the whole.
                changes[column] = dtype
        for column, dtype in changes.items():
            try:
                frame[column] = frame[column].astype(dtype)
            except (TypeError, ValueError) as error:
                if column in self.dtypes:
                    raise ValueError(f"{path}, partition {number}, column {column!r}: {error}") from error
        return frame


def _categorical(codes: list[int], categories: Any) -> Any:
    return pd.Categorical.from_codes(codes, categories=categories)


def _read_with_pandas(
    reader: Any,
    name: str,
    filesystem: Any,
    paths: list[str],
    compression: str | None,
    blocksize: int | None,
    keywords: dict[str, Any],
    given: dict[str, Any],
    token: str,
) -> Any:
    path_column = given["include_path_column"]
    path_column = "path" if path_column is True else path_column or None
    end = (given["lineterminator"] or "\n").encode(keywords.get("encoding", "utf-8").replace("-sig", ""))
    sample_bytes = given["sample"]
    with filesystem.open(paths[0], "rb", compression=compression) as file:
        if sample_bytes is False or blocksize is None and keywords.get("skipfooter"):
            head = file.read()
        else:
            head = file.read(int(sample_bytes))
            rest = b"" if head.endswith(end) else _line(file, end)
            head += rest
    names = keywords.get("names")
    header = keywords.get("header", "infer" if names is None else None)
    keywords = {**keywords, "header": header}
    if name == "read_fwf" and header == "infer":
        pass
    skip = keywords.get("skiprows")
    first = skip if isinstance(skip, int) else 0
    if skip is not None and not isinstance(skip, int):
        first = min(set(range(len(set(skip)) + 1)) - set(skip))
    if isinstance(header, int):
        first += header
    need = first + (1 if header is None else 2)
    lines = head.split(end, need)
    if sample_bytes is not False and len(lines) - (not lines[-1]) < need and len(head) >= int(sample_bytes):
        raise ValueError(
            "Sample is not large enough to include at least one row of data. Please increase the number of bytes "
            "in `sample` in the call to `read_csv`/`read_table`"
        )
    header_bytes = b"" if header is None else lines[first] + end
    sample_keywords = {key: value for key, value in keywords.items() if key != "skipfooter"}
    frame = reader(io.BytesIO(head), nrows=given["sample_rows"], **sample_keywords)
    if path_column and path_column in frame.columns:
        raise ValueError(
            f"Files already contain the column name: {path_column}, so the path column cannot use this name. "
            "Please set `include_path_column` to a unique name."
        )
    dtypes = keywords.get("dtype") or {}
    if given["assume_missing"] and isinstance(dtypes, dict):
        for column in frame.columns:
            if pd.api.types.is_integer_dtype(frame[column].dtype) and column not in dtypes:
                frame[column] = frame[column].astype(float)
    meta = frame.iloc[:0]
    if path_column:
        meta = meta.copy()
        converter = (keywords.get("converters") or {}).get(path_column)
        labels = [converter(path) for path in paths] if converter else paths
        meta[path_column] = pd.Categorical([], categories=list(dict.fromkeys(labels)))
    else:
        labels = paths
    for column, dtype in dtypes.items() if isinstance(dtypes, dict) else ():
        if isinstance(dtype, str) and dtype == "category" and column in meta.columns:
            # Each block finds its own: all of them are known when all is read.
            meta[column] = meta[column].cat.set_categories([_meta.UNKNOWN_CATEGORIES])
    blocks = []
    for path in paths:
        for start, stop in _cuts(filesystem, path, blocksize, end):
            blocks.append((path, start, stop, header_bytes))
    call = _Block(
        reader,
        filesystem,
        blocks,
        keywords,
        meta,
        compression,
        path_column,
        labels,
        token,
        dtypes if isinstance(dtypes, dict) else {},
        given["enforce"],
    )
    return host(
        call,
        (),
        {},
        meta=meta,
        npartitions=len(blocks),
        label=name,
        numbered=list(range(len(blocks))),
    )


def _line(file: Any, end: bytes) -> bytes:
    """The bytes up to and with the next ``end``."""
    found = b""
    while True:
        more = file.read(1 << 16)
        found += more
        place = found.find(end)
        if place >= 0:
            return found[: place + len(end)]
        if not more:
            return found


def _cuts(filesystem: Any, path: str, blocksize: int | None, end: bytes) -> list[tuple[int, int | None]]:
    """Where partitions of a file begin and end, at line breaks."""
    if blocksize is None:
        return [(0, None)]
    size = filesystem.info(path)["size"]
    if size <= blocksize:
        return [(0, None)]
    count = size // blocksize
    step = size / count if size % blocksize and count > 1 else blocksize
    offsets = [
        round(step * i)
        for i in range(1, int(count if size % blocksize and count > 1 else -(-size // blocksize)))
    ]
    starts = [0]
    with filesystem.open(path, "rb") as file:
        for offset in offsets:
            file.seek(offset)
            start = offset + len(_line(file, end))
            if starts[-1] < start < size:
                starts.append(start)
    return list(zip(starts, [*starts[1:], None]))


# -- writing --------------------------------------------------------------------------------------


def to_csv(
    df: Any,
    filename: Any,
    single_file: bool = False,
    encoding: str = "utf-8",
    mode: str = "wt",
    name_function: Callable[[int], str] | None = None,
    compression: str | None = None,
    compute: bool = True,
    scheduler: Any = None,
    storage_options: dict[str, Any] | None = None,
    header_first_partition_only: bool | None = None,
    compute_kwargs: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Writes a CSV file for each partition.

    A file gets its name when it is whole: a failed write leaves none.

    Parameters
    ----------
    filename : str or path
        With ``*``, which becomes the partition's number; otherwise a folder.
    single_file : bool
        One file with all rows instead.
    mode : str
        ``"a"`` appends to files that exist, ``"x"`` refuses them.
    name_function : callable, optional
        The text for ``*``, from the partition's number.
    compute : bool
        Write now; otherwise give lazy writes.
    header_first_partition_only : bool, optional
        The header stands in the first file alone; in a single file it does anyway.
    **kwargs
        Keywords of :meth:`pandas.DataFrame.to_csv`.

    Returns
    -------
    list of str
        The paths; without ``compute`` a list of one lazy write of them all.

    Raises
    ------
    ValueError
        If arguments do not fit together.
    FileExistsError
        If a file exists and ``mode`` is ``"x"``.

    Examples
    --------
    >>> import tempfile, pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=2)
    >>> [path[-6:] for path in df.to_csv(tempfile.mkdtemp() + "/*.csv")]
    ['/0.csv', '/1.csv']
    """
    from fsspec.core import open_files, url_to_fs

    filename = os.fspath(filename)
    if single_file and name_function is not None:
        raise ValueError("name_function is not supported under the single file mode")
    if header_first_partition_only is None:
        header_first_partition_only = single_file
    elif single_file and not header_first_partition_only:
        raise ValueError("header_first_partition_only cannot be False in the single file mode.")
    if scheduler is not None:
        compute_kwargs = {"scheduler": scheduler, **(compute_kwargs or {})}
    options = {"encoding": encoding, "compression": compression, "newline": ""}
    if single_file:
        filesystem, path = url_to_fs(filename, **(storage_options or {}))
        paths = [path]
    else:
        if "*" not in filename and not filename.endswith(".csv"):
            filename = filename.rstrip("/") + "/*.part"
        files = open_files(
            filename, mode="wt", num=df.npartitions, name_function=name_function, **(storage_options or {})
        )
        filesystem, paths = files[0].fs, [file.path for file in files]
    filesystem.makedirs(os.path.dirname(paths[0]), exist_ok=True)
    if "x" in mode:
        taken = [path for path in paths if filesystem.exists(path)]
        if taken:
            raise FileExistsError(f"{taken[0]} exists, and mode='x' does not write over files")
    header = kwargs.pop("header", True)
    heads = [header if i == 0 or not header_first_partition_only else False for i in range(df.npartitions)]
    if single_file:
        # The partitions are computed one after the other: the file needs them in order.
        write_all = functools.partial(
            _write_in_turn, df, paths[0], filesystem, mode, heads, options, kwargs, compute_kwargs
        )
        return write_all() if compute else [delayed(write_all)()]
    write = _WriteCsv(filesystem, mode, options, kwargs)
    written = write_parts(df, write, list(zip(paths, heads)), "to_csv")
    if not compute:
        return [delayed(_paths)(written)]
    return _paths(written.compute(**(compute_kwargs or {})))


def _paths(targets: list[tuple[str, Any]]) -> list[str]:
    return [path for path, _ in targets]


class _WriteCsv:
    """Writes a partition to ``(path, header)``."""

    def __init__(self, filesystem: Any, mode: str, options: dict[str, Any], kwargs: dict[str, Any]) -> None:
        self.filesystem, self.mode, self.options, self.kwargs = filesystem, mode, options, kwargs

    def __call__(self, part: Any, target: tuple[str, Any]) -> None:
        path, header = target
        with _opened(self.filesystem, path, self.mode, self.options) as file:
            part.to_csv(file, header=header, **self.kwargs)


def _opened(filesystem: Any, path: str, mode: str, options: dict[str, Any]) -> Any:
    """A file that appears when it is whole, or, to append, the file itself."""
    if "a" in mode:
        return OpenFile(filesystem, path, "at", **options)
    return whole_file(filesystem, path, "wt", **options)


def _write_in_turn(
    df: Any,
    path: str,
    filesystem: Any,
    mode: str,
    heads: list[Any],
    options: dict[str, Any],
    kwargs: dict[str, Any],
    compute_kwargs: dict[str, Any] | None,
) -> list[str]:
    with _opened(filesystem, path, mode, options) as file:
        for i, header in enumerate(heads):
            df.partitions[i].compute(**(compute_kwargs or {})).to_csv(file, header=header, **kwargs)
    return [path]


__all__ = ["read_csv", "read_fwf", "read_table", "to_csv", "_meta"]
