"""HDF5 files, by PyTables through pandas.

PyTables is not safe for threads: whatever reads or writes takes one lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import uuid
import weakref
from collections.abc import Callable
from fnmatch import fnmatch
from glob import glob
from typing import Any

import pandas as pd

from weft.dataframe.io._files import write_parts
from weft.dataframe.io.io import from_map
from weft.utils import natural_sort_key

_LOCK = threading.Lock()
_read: Any = pd.read_hdf
_store: Any = pd.HDFStore


def to_hdf(
    df: Any,
    path: Any,
    key: str,
    mode: str = "a",
    append: bool = False,
    scheduler: Any = None,
    name_function: Callable[[int], str] | None = None,
    compute: bool = True,
    lock: Any = None,
    dask_kwargs: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Writes the rows to HDF5 tables.

    Parameters
    ----------
    path, key : str
        The file and the table in it. ``*`` in one of them becomes the partition's number, so that each
        has a file or a table of its own; otherwise partitions are appended in order.
    mode : {'a', 'w', 'r+'}
        ``'w'`` removes what the file held before.
    append : bool
        Append to tables that exist.
    name_function : callable, optional
        The text for ``*``, from the partition's number.
    compute : bool
        Write now; otherwise a lazy scalar that writes when it is computed.
    **kwargs
        Keywords of :meth:`pandas.DataFrame.to_hdf`.

    Returns
    -------
    list of str
        The files.

    Raises
    ------
    ValueError
        If there is more than one ``*``, or for another format or mode.
    """
    path = path.filename if isinstance(path, pd.HDFStore) else os.fspath(path)
    if path.count("*") + key.count("*") > 1:
        raise ValueError("A maximum of one asterisk is accepted in file path and dataset key")
    if kwargs.setdefault("format", "table") not in ("t", "table"):
        raise ValueError("Only the 'table' format of HDF5 can be written in pieces")
    if mode not in ("a", "w", "r+"):
        raise ValueError("Mode must be one of 'a', 'w' or 'r+'")
    name = name_function or _numbers(df.npartitions)
    texts = [name(i) for i in range(df.npartitions)]
    targets = [(path.replace("*", text), key.replace("*", text)) for text in texts]
    separate = "*" in path
    write = _Write(targets, mode, append, separate, kwargs)
    if separate or df.npartitions == 1:
        written = write_parts(df, write, targets, "to_hdf")
    else:
        # One file: partitions in their order, one after the other.
        from weft.delayed import delayed

        before = None
        for i, (part, target) in enumerate(zip(df.to_delayed(), targets)):
            before = delayed(write)(part, target, after=before, last=i == df.npartitions - 1)
        written = before
    if not compute:
        return written
    options = {**(dask_kwargs or {}), **({"scheduler": scheduler} if scheduler else {})}
    try:
        written.compute(**options)
    finally:
        _remove(list(write.partial.values()))
    return [file for file, _ in targets]


def _numbers(n: int) -> Callable[[int], str]:
    width = len(str(n - 1))
    return lambda i: str(i).zfill(width)


class _Write:
    """Writes partitions into files that get their names when they are whole.

    A file that is added to is copied first, so that it stays as it is if anything fails.
    """

    def __init__(self, targets: list[Any], mode: str, append: bool, separate: bool, options: Any) -> None:
        self.mode, self.append = mode, append
        self.separate, self.options = separate, options
        self.one_table = len(set(targets)) == 1
        self.partial = {path: _hidden(path) for path, _ in targets}
        # Where a partition cannot be made, no write is there to clean up.
        weakref.finalize(self, _remove, list(self.partial.values()))

    def __call__(self, part: Any, target: tuple[str, str], after: Any = None, last: bool = True) -> Any:
        path, key = target
        partial = self.partial[path]
        begins = after is None
        append = self.append or self.one_table and not begins
        try:
            with _LOCK:
                if begins and self.mode != "w" and os.path.exists(path):
                    shutil.copyfile(path, partial)
                elif begins and self.mode == "r+":
                    raise FileNotFoundError(f"{path} does not exist; mode='r+' writes into files that do")
                part.to_hdf(
                    partial,
                    key=key,
                    mode="w" if begins and self.mode == "w" else "a",
                    append=append,
                    **self.options,
                )
                if self.separate or last:
                    os.replace(partial, path)
        except BaseException:
            _remove([partial])
            raise
        return True


def _hidden(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{uuid.uuid4().hex[:8]}.partial")


def _remove(paths: list[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.remove(path)


def read_hdf(
    pattern: Any,
    key: str,
    start: int = 0,
    stop: int | None = None,
    columns: Any = None,
    chunksize: int = 1_000_000,
    sorted_index: bool = False,
    lock: Any = True,
    mode: str = "r",
) -> Any:
    """A lazy DataFrame over tables in HDF5 files.

    Parameters
    ----------
    pattern : str or list of str
        Files, or a pattern.
    key : str
        The table, or a pattern.
    start, stop : int
        Which rows of each table.
    columns : list of str, optional
    chunksize : int
        Rows of a partition.
    sorted_index : bool
        The index is in order: divisions are read from the tables.

    Raises
    ------
    FileNotFoundError, OSError
        If there are no files.
    ValueError
        If arguments do not fit the tables.
    """
    paths = (
        [os.fspath(p) for p in pattern] if isinstance(pattern, (list, tuple)) else glob(os.fspath(pattern))
    )
    paths = sorted(paths, key=natural_sort_key)
    if isinstance(pattern, (list, tuple)) and not paths:
        raise ValueError("No files provided")
    missing = [path for path in paths if not os.path.exists(path)]
    if not paths or missing:
        raise FileNotFoundError(f"File(s) not found: {missing or pattern}")
    if chunksize <= 0:
        raise ValueError("Chunksize must be a positive integer")
    if (start != 0 or stop is not None) and len(paths) > 1:
        raise ValueError("When assigning a start or stop, only one file can be read")
    pieces: list[tuple[str, str, int, int]] = []
    divisions: list[Any] = []
    with _LOCK:
        for path in paths:
            _pieces(path, key, start, stop, chunksize, sorted_index, mode, pieces, divisions)
        if not pieces:
            raise ValueError(f"no table in {paths} matches {key!r}")
        first = _read(pieces[0][0], key=pieces[0][1], mode=mode, stop=0)
    meta = first if columns is None else first[columns]
    read = _Read(columns, mode)
    return from_map(
        read, pieces, meta=meta, divisions=tuple(divisions) if sorted_index else None, label="read_hdf"
    )


def _pieces(
    path: str,
    key: str,
    start: int,
    stop: int | None,
    chunksize: int,
    sorted_index: bool,
    mode: str,
    pieces: list[tuple[str, str, int, int]],
    divisions: list[Any],
) -> None:
    """Adds the pieces of one file, and their divisions, to the lists."""
    wanted = key if key.startswith("/") else f"/{key}"
    with _store(path, mode=mode) as store:
        tables = sorted((k for k in store.keys() if fnmatch(k, wanted)), key=natural_sort_key)
        for table in tables:
            storer = store.get_storer(table)
            if storer.format_type != "table":
                raise TypeError(
                    f"{table} in {path} has the fixed format, which cannot be read in pieces: write it with "
                    "format='table'"
                )
            rows = storer.nrows if stop is None else min(stop, storer.nrows)
            if start > rows:
                raise ValueError(f"Start row number ({start}) is above or equal to stop row number ({rows})")
            cuts = list(range(start, rows, chunksize)) or [start]
            pieces += [(path, table, low, min(low + chunksize, rows)) for low in cuts]
            if sorted_index:
                labels = store.select_column(table, "index", start=start, stop=rows)
                del divisions[len(pieces) - len(cuts) :]
                divisions += [labels.iloc[low - start] for low in cuts] + [labels.iloc[-1]]


class _Read:
    def __init__(self, columns: Any, mode: str) -> None:
        self.columns, self.mode = columns, mode
        self.__name__ = "read_hdf"

    def __call__(self, piece: tuple[str, str, int, int]) -> Any:
        path, key, start, stop = piece
        with _LOCK:
            part = _read(path, key=key, mode=self.mode, start=start, stop=stop)
        return part if self.columns is None else part[self.columns]


__all__ = ["read_hdf", "to_hdf"]
