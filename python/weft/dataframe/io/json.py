"""JSON, by lines or as whole files."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd

from weft.dataframe import _meta
from weft.dataframe.io import _json_lines
from weft.dataframe.io._files import whole_file, write_parts
from weft.dataframe.io.io import from_delayed
from weft.delayed import delayed
from weft.utils import parse_bytes


def read_json(
    url_path: Any,
    orient: str = "records",
    lines: bool | None = None,
    storage_options: dict[str, Any] | None = None,
    blocksize: Any = None,
    sample: Any = 2**20,
    encoding: str = "utf-8",
    errors: str = "strict",
    compression: str | None = "infer",
    meta: Any = None,
    engine: Any = None,
    include_path_column: Any = False,
    path_converter: Any = None,
    **kwargs: Any,
) -> Any:
    """A lazy DataFrame over JSON files, a partition for each file or block of lines.

    Parameters
    ----------
    url_path : str or list of str
    orient, lines : as in :func:`pandas.read_json`
        By default a record on each line.
    blocksize : int or str, optional
        Cut files of lines into blocks of about this many bytes.
    include_path_column : bool or str
        A column with the file's name.

    Raises
    ------
    ValueError
        If arguments do not fit together.
    """
    if lines is None:
        lines = orient == "records"
    if orient != "records" and lines:
        raise ValueError('Line-delimited JSON is only available with orient="records".')
    if blocksize and (orient != "records" or not lines):
        raise ValueError(
            "JSON file chunking only allowed for JSON-lines input (orient='records', lines=True)."
        )
    if isinstance(blocksize, str):
        blocksize = parse_bytes(blocksize)
    column = "path" if include_path_column is True else include_path_column
    reader = engine if callable(engine) else pd.read_json
    if isinstance(engine, str):
        kwargs["engine"] = engine
    from fsspec.core import open_files

    files = open_files(
        [os.fspath(p) for p in url_path] if isinstance(url_path, (list, tuple)) else os.fspath(url_path),
        mode="rb",
        compression=compression,
        **(storage_options or {}),
    )
    if not files:
        raise FileNotFoundError(f"no files match {url_path}")
    names = [file.full_name for file in files]
    if path_converter is not None:
        names = [path_converter(name) for name in names]
    elif column:
        names = [file.path for file in files]
    pieces = []
    for file, name in zip(files, names):
        size = file.fs.size(file.path) if blocksize else None
        bounds = [(0, None)] if not blocksize else _blocks(int(size or 0), int(blocksize))
        pieces += [(file, name, start, stop) for start, stop in bounds]
    read = _Read(reader, orient, lines, encoding, errors, column, sorted(set(names)), kwargs)
    first = read(*pieces[0]) if meta is None else meta
    template = _meta.make_meta(first)
    return from_delayed([delayed(read)(*piece) for piece in pieces], meta=template, verify_meta=False)


def _blocks(size: int, step: int) -> list[tuple[int, int]]:
    return [(start, min(start + step, size)) for start in range(0, max(size, 1), step)]


class _Read:
    def __init__(
        self,
        reader: Any,
        orient: str,
        lines: bool,
        encoding: str,
        errors: str,
        column: Any,
        names: list[str],
        options: dict[str, Any],
    ) -> None:
        self.reader, self.orient, self.lines, self.encoding = reader, orient, lines, encoding
        self.errors, self.column, self.names, self.options = errors, column, names, options
        self.__name__ = "read_json"

    def __call__(self, file: Any, name: str, start: int, stop: int | None) -> pd.DataFrame:
        import io

        # Blocks of one file are read at once, and an open file has one place.
        with type(file)(file.fs, file.path, file.mode, file.compression) as opened:
            data = opened.read() if stop is None else _whole_lines(opened, start, stop)
        frame = None
        if self.lines and self.reader is pd.read_json and not self.options:
            utf8 = self.encoding.lower().replace("_", "-") in ("utf-8", "utf8") and self.errors == "strict"
            frame = _json_lines.read(data) if utf8 else None
        if frame is None:
            text = data.decode(self.encoding, self.errors)
            if not text.strip():
                return pd.DataFrame()
            frame = self.reader(io.StringIO(text), orient=self.orient, lines=self.lines, **self.options)
        if self.column:
            if self.column in frame.columns:
                raise ValueError(
                    f"Files already contain the column name: {self.column}, so the path column cannot use this "
                    "name. Please set `include_path_column` to a unique name."
                )
            frame[self.column] = pd.Categorical([name] * len(frame), categories=self.names)
        return frame


def _whole_lines(opened: Any, start: int, stop: int) -> bytes:
    """The lines that start within the range."""
    opened.seek(max(start - 1, 0))
    if start and opened.read(1) != b"\n":
        opened.readline()
    begin = opened.tell()
    if begin >= stop:
        return b""
    data: bytes = opened.read(stop - begin)
    return data if data.endswith(b"\n") else data + opened.readline()


def to_json(
    df: Any,
    url_path: Any,
    orient: str = "records",
    lines: bool | None = None,
    storage_options: dict[str, Any] | None = None,
    compute: bool = True,
    encoding: str = "utf-8",
    errors: str = "strict",
    compression: str | None = None,
    compute_kwargs: dict[str, Any] | None = None,
    name_function: Any = None,
    **kwargs: Any,
) -> Any:
    """Writes each partition as a JSON file.

    Parameters
    ----------
    url_path : str
        With ``*`` where the number goes, or a folder.

    Returns
    -------
    list of str
        The files, or, without ``compute``, the delayed writes.

    Raises
    ------
    ValueError
        If ``lines`` does not fit ``orient``.
    """
    from fsspec.core import open_files

    if lines is None:
        lines = orient == "records"
    if orient != "records" and lines:
        raise ValueError('Line-delimited JSON is only available with orient="records".')
    if not isinstance(url_path, (list, tuple)):
        url_path = os.fspath(url_path)
        if "*" not in url_path:
            url_path = os.path.join(url_path, "*.part")
    files = open_files(
        url_path, "wt", name_function=name_function, num=df.npartitions, **(storage_options or {})
    )
    filesystem, paths = files[0].fs, [file.path for file in files]
    filesystem.makedirs(os.path.dirname(paths[0]), exist_ok=True)
    opened = {"encoding": encoding, "errors": errors, "compression": compression}
    write = _WriteJson(filesystem, opened, {"orient": orient, "lines": lines, **kwargs})
    if compute:
        written = write_parts(df, write, paths, "to_json").compute(**(compute_kwargs or {}))
        return list(written)
    return [delayed(write)(part, path) for part, path in zip(df.to_delayed(), paths)]


class _WriteJson:
    """Writes a partition; the file gets its name when it is whole."""

    def __init__(self, filesystem: Any, opened: dict[str, Any], options: dict[str, Any]) -> None:
        self.filesystem, self.opened, self.options = filesystem, opened, options
        self.__name__ = "to_json"

    def __call__(self, part: Any, path: str) -> str:
        with whole_file(self.filesystem, path, "wt", **self.opened) as file:
            part.to_json(file, **self.options)
        return path
