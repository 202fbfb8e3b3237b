"""Bags of lines of text files."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fsspec.core import OpenFile, get_fs_token_paths
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import read_block

from weft._weft import bag_layer
from weft.bag import _native
from weft.bag._steps import Step
from weft.bag.core import SYSTEM_ENCODING, Bag
from weft.base import tokenize
from weft.bytes.core import cut
from weft.utils import parse_bytes

__all__ = ["attach_path", "decode", "file_to_blocks", "read_text"]

#: Delimiters that `io.TextIOWrapper` knows itself.
LINE_ENDS = (None, "", "\n", "\r", "\r\n")


def read_text(
    urlpath,
    blocksize=None,
    compression="infer",
    encoding=SYSTEM_ENCODING,
    errors="strict",
    linedelimiter=None,
    collection=True,
    storage_options=None,
    files_per_partition=None,
    include_path=False,
):
    """A bag of the lines of text files.

    Parameters
    ----------
    urlpath : str, path, or list of them
        May have wildcards and a protocol (``s3://``, …), one for all.
    blocksize : int or str, optional
        Cut files into partitions of about so many bytes. By default a file is a partition, and is read as a stream.
    compression : str, optional
        ``"gzip"``, ``"xz"``, …; by default what the extension says.
    encoding : str
    errors : str
        What to do about bytes that are no text, as for `open`.
    linedelimiter : str, optional
        What ends a line. By default all three usual line breaks do, and become ``"\\n"``.
    collection : bool
        False: give a list of delayed lists.
    storage_options : dict, optional
        Options of the file system.
    files_per_partition : int, optional
        Put so many files into a partition.
    include_path : bool
        Whether elements are pairs of line and path.

    Returns
    -------
    Bag or list of Delayed

    Raises
    ------
    ValueError
        If there are no files, or both ``blocksize`` and ``files_per_partition`` are given. Reading raises
        `UnicodeDecodeError`, `EOFError` (a compressed file that is cut short) and `OSError`, which name the file.

    Examples
    --------
    >>> import tempfile, pathlib, weft.bag as db
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = pathlib.Path(directory, "a.txt").write_text("one\\ntwo\\nthree\\n")
    ...     db.read_text(directory + "/*.txt").map(str.strip).compute()
    ['one', 'two', 'three']
    """
    if blocksize is not None and files_per_partition is not None:
        raise ValueError("Only one of blocksize or files_per_partition can be set")
    if isinstance(blocksize, str):
        blocksize = parse_bytes(blocksize)
    fs, fs_token, paths = get_fs_token_paths(urlpath, mode="rb", storage_options=storage_options)
    if not paths:
        raise ValueError("No files found", urlpath)
    pieces: list[list[tuple[str, int, int | None]]]
    if blocksize is not None:
        pieces = [
            [(path, offset, length)]
            for path in paths
            for offset, length in cut(fs, path, int(blocksize), compression)
        ]
    else:
        step = files_per_partition or 1
        pieces = [[(path, 0, None) for path in paths[i : i + step]] for i in range(0, len(paths), step)]
    if not pieces:
        raise ValueError("No files found", urlpath)
    read = ReadText(fs, pieces, compression, encoding, errors, linedelimiter, include_path)
    versions = [_version(fs, path) for path in paths]
    token = tokenize(fs_token, versions, pieces, compression, encoding, errors, linedelimiter, include_path)
    layer = bag_layer(f"read-text-{token}", len(pieces), read, ["index"], label="read-text")
    bag = Bag._of(layer, len(pieces))
    return bag if collection else bag.to_delayed()


def _version(fs: Any, path: str) -> Any:
    """What changes when the file does. A file that is not there yet is missed when it is read."""
    try:
        return fs.ukey(path)
    except (OSError, NotImplementedError):
        return path


class ReadText(Step):
    """The lines of the pieces of files that make partition ``i``."""

    __slots__ = ("fs", "pieces", "compression", "encoding", "errors", "delimiter", "include_path")
    fs: Any
    pieces: list[list[tuple[str, int, int | None]]]
    compression: str | None
    encoding: str
    errors: str
    delimiter: str | None
    include_path: bool

    def __call__(self, index: int) -> Iterator[Any]:
        native = _native.lines(self, self.pieces[index])
        return self._lines(self.pieces[index]) if native is None else native

    def _lines(self, pieces: list[tuple[str, int, int | None]]) -> Iterator[Any]:
        for path, offset, length in pieces:
            with naming(path):
                lines = self._whole(path) if length is None else self._block(path, offset, length)
                for line in lines:
                    yield (line, path) if self.include_path else line

    def _whole(self, path: str) -> Iterator[str]:
        newline = self.delimiter if self.delimiter in LINE_ENDS else ""
        with OpenFile(self.fs, path, "rt", self.compression, self.encoding, self.errors, newline) as file:
            if self.delimiter in LINE_ENDS:
                yield from file
            else:
                yield from cut_text(file.read(), self.delimiter)

    def _block(self, path: str, offset: int, length: int) -> Iterator[str]:
        end = (self.delimiter or "\n").encode()
        with OpenFile(self.fs, path, "rb") as file:
            block = read_block(file, offset, length, end)
        yield from decode(block, self.encoding, self.errors, self.delimiter)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Has errors in the content of a file say which file it is."""
    try:
        yield
    except UnicodeDecodeError as error:
        if path in error.reason:
            raise
        raise UnicodeDecodeError(
            error.encoding, error.object, error.start, error.end, f"{error.reason} (in {path})"
        ) from error
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        if path in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error
    except OSError as error:
        if error.filename is not None or path in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


def read_through(path: str) -> None:
    """Reads a compressed local file for the exception that this raises."""
    with naming(path), OpenFile(LocalFileSystem(), path, compression="infer") as file:
        while file.read(2**20):
            pass


def cut_text(text: str, delimiter: Any) -> Iterator[str]:
    """Text in pieces that end with the delimiter, except for the last if it has none."""
    parts = text.split(delimiter)
    last = parts.pop()
    for part in parts:
        yield part + delimiter
    if last:
        yield last


def file_to_blocks(include_path, lazy_file, delimiter=None):
    """The lines of a file that `fsspec` opens."""
    with lazy_file as file:
        lines = file if delimiter is None else cut_text(file.read(), delimiter)
        for line in lines:
            yield (line, lazy_file.path) if include_path else line


def attach_path(block, path):
    """Pairs of an element and the path."""
    return ((element, path) for element in block)


def decode(block, encoding, errors, line_delimiter):
    """A block of bytes as a list of lines."""
    text = block.decode(encoding, errors)
    if line_delimiter in LINE_ENDS:
        return list(io.StringIO(text, newline=line_delimiter))
    return list(cut_text(text, line_delimiter))
