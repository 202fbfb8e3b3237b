"""ORC files, by pyarrow."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd

from weft.dataframe import _meta
from weft.dataframe.io._files import whole_file, write_parts
from weft.dataframe.io.io import from_map


def read_orc(
    path: Any,
    engine: Any = "pyarrow",
    columns: Any = None,
    index: Any = None,
    split_stripes: Any = 1,
    aggregate_files: Any = None,
    storage_options: dict[str, Any] | None = None,
) -> Any:
    """A lazy DataFrame over ORC files.

    Parameters
    ----------
    path : str or list of str
        Files, a pattern, or a folder.
    columns : list of str, optional
        Which columns to read.
    index : str, optional
        A column that becomes the index.
    split_stripes : int or bool
        How many stripes make a partition; False: a file is one.
    aggregate_files : bool
        Let a partition hold stripes of several files.

    Raises
    ------
    FileNotFoundError
        If there are no files.
    ValueError
        If a column does not exist.
    """
    from fsspec.core import get_fs_token_paths
    from pyarrow import orc

    if isinstance(path, (list, tuple)):
        path = [os.fspath(one) for one in path]
    else:
        path = os.fspath(path)
    filesystem, _, paths = get_fs_token_paths(path, mode="rb", storage_options=storage_options)
    if len(paths) == 1 and filesystem.isdir(paths[0]):
        paths = sorted(p for p in filesystem.find(paths[0]) if not os.path.basename(p).startswith(("_", ".")))
    if not paths:
        raise FileNotFoundError(f"no ORC files in {path}")
    stripes, schema = [], None
    for one in paths:
        with filesystem.open(one, "rb") as file:
            reader = _open(orc, file, one)
            if schema is None:
                schema = reader.schema
            elif schema != reader.schema:
                raise ValueError(
                    f"Incompatible schemas while parsing ORC files: {one} has {reader.schema}, "
                    f"{paths[0]} has {schema}"
                )
            stripes.append(reader.nstripes)
    assert schema is not None
    labels = [index] if isinstance(index, str) else list(index or [])
    if columns is not None:
        missing = set(columns) - set(schema.names)
        if missing:
            raise ValueError(
                f"Requested columns {sorted(missing)} not in schema {schema.names} of {paths[0]}"
            )
    wanted = None if columns is None else [*columns, *(name for name in labels if name not in columns)]
    meta = schema.empty_table().select(wanted or schema.names).to_pandas()
    meta = meta.set_index(labels if len(labels) > 1 else labels[0]) if labels else meta
    read = _Read(filesystem, wanted, labels)
    return from_map(
        read, _pieces(paths, stripes, split_stripes, aggregate_files), meta=meta, label="read_orc"
    )


def _open(orc: Any, file: Any, path: str) -> Any:
    try:
        return orc.ORCFile(file)
    except Exception as error:
        raise ValueError(f"{path} is no whole ORC file: {error}") from error


def _pieces(paths: list[str], stripes: list[int], split: Any, aggregate: Any) -> list[list[tuple[str, Any]]]:
    """For each partition its files, each with the stripes to read (None: all)."""
    if not split:
        return [[(path, None)] for path in paths]
    size = int(split)
    if not aggregate:
        return [
            [(path, list(range(start, min(start + size, count))))]
            for path, count in zip(paths, stripes)
            for start in range(0, max(count, 1), size)
        ]
    every = [(path, i) for path, count in zip(paths, stripes) for i in range(count)]
    pieces = []
    for start in range(0, len(every), size):
        found: dict[str, list[int]] = {}
        for path, i in every[start : start + size]:
            found.setdefault(path, []).append(i)
        pieces.append(list(found.items()))
    return pieces


class _Read:
    def __init__(self, filesystem: Any, columns: Any, index: list[str]) -> None:
        self.filesystem, self.columns, self.index = filesystem, columns, index
        self.__name__ = "read_orc"

    def __call__(self, piece: list[tuple[str, Any]]) -> pd.DataFrame:
        import pyarrow as pa
        from pyarrow import orc

        tables = []
        for path, stripes in piece:
            with self.filesystem.open(path, "rb") as file:
                reader = _open(orc, file, path)
                if stripes is None:
                    tables.append(reader.read(columns=self.columns))
                else:
                    batches = [reader.read_stripe(i, columns=self.columns) for i in stripes]
                    names = self.columns or reader.schema.names
                    empty = reader.schema.empty_table().select(names)
                    tables.append(pa.Table.from_batches(batches) if batches else empty)
        frame = pa.concat_tables(tables).to_pandas()
        if self.columns:
            frame = frame[self.columns]
        return frame.set_index(self.index if len(self.index) > 1 else self.index[0]) if self.index else frame


def to_orc(
    df: Any,
    path: Any,
    engine: Any = "pyarrow",
    write_index: bool = True,
    storage_options: dict[str, Any] | None = None,
    compute: bool = True,
    compute_kwargs: dict[str, Any] | None = None,
) -> Any:
    """Writes each partition as an ORC file into a folder; a file gets its name when it is whole.

    Returns
    -------
    None, or, without ``compute``, a lazy scalar that writes when it is computed.
    """
    from fsspec.core import url_to_fs

    filesystem, folder = url_to_fs(os.fspath(path), **(storage_options or {}))
    filesystem.makedirs(folder, exist_ok=True)
    targets = [f"{folder}/part.{i}.orc" for i in range(df.npartitions)]
    written = write_parts(df, _Write(filesystem, write_index), targets, "to-orc")
    if not compute:
        return written
    written.compute(**(compute_kwargs or {}))
    return None


class _Write:
    def __init__(self, filesystem: Any, write_index: bool) -> None:
        self.filesystem, self.write_index = filesystem, write_index

    def __call__(self, part: Any, target: str) -> None:
        import pyarrow as pa
        from pyarrow import orc

        part = _meta.as_frame(part)
        table = pa.Table.from_pandas(part.reset_index() if self.write_index else part, preserve_index=False)
        with whole_file(self.filesystem, target) as file:
            orc.write_table(table.replace_schema_metadata(), file)


__all__ = ["read_orc", "to_orc"]
