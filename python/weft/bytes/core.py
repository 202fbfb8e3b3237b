"""Blocks of files as delayed bytes."""

from __future__ import annotations

import copy
import os
from typing import Any

from fsspec.core import OpenFile, get_fs_token_paths
from fsspec.utils import infer_compression, read_block

from weft.base import tokenize
from weft.delayed import delayed
from weft.utils import is_integer, parse_bytes

__all__ = ["cut", "read_block_from_file", "read_bytes"]


def read_bytes(
    urlpath: Any,
    delimiter: bytes | None = None,
    not_zero: bool = False,
    blocksize: Any = "128 MiB",
    sample: Any = "10 kiB",
    compression: str | None = None,
    include_path: bool = False,
    **kwargs: Any,
) -> Any:
    """Delayed blocks of bytes of one or more files.

    Parameters
    ----------
    urlpath : str, path, or list of them
        May have wildcards and a protocol (``s3://``, …), one for all.
    delimiter : bytes, optional
        Blocks begin after a delimiter and end with one.
    not_zero : bool
        Whether the first block begins after the first delimiter: leaves a header out.
    blocksize : int, str or None
        Bytes in a block, about; ``None``: each file is one block.
    sample : int, str or bool
        How many bytes of the first file's head to give, on to the next delimiter; ``False``: none.
    compression : str, optional
        ``"gzip"``, ``"xz"``, …, or ``"infer"``. Compressed files cannot be cut into blocks.
    include_path : bool
        Whether to give the paths too.
    **kwargs
        Options of the file system.

    Returns
    -------
    sample : bytes
    blocks : list of lists of Delayed
        For each file its blocks; empty files have none.
    paths : list of str
        If ``include_path`` is set.

    Raises
    ------
    TypeError
        If ``urlpath`` is no path, or ``blocksize`` no number.
    OSError
        If there are no such files.
    ValueError
        If a file can only be read whole.

    Examples
    --------
    >>> import tempfile, pathlib, weft
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = pathlib.Path(directory, "a.txt")
    ...     _ = path.write_bytes(b"one\\ntwo\\nthree\\n")
    ...     sample, [blocks] = read_bytes(path, delimiter=b"\\n", blocksize=5)
    ...     weft.compute(*blocks)
    (b'one\\ntwo\\n', b'three\\n')
    """
    if not isinstance(urlpath, (str, list, tuple, os.PathLike)):
        raise TypeError("Path should be a string, os.PathLike, list or tuple")
    fs, fs_token, paths = get_fs_token_paths(urlpath, mode="rb", storage_options=kwargs)
    if not paths:
        raise OSError(f"{urlpath} resolved to no files")
    if blocksize is not None:
        blocksize = parse_bytes(blocksize) if isinstance(blocksize, str) else blocksize
        if not is_integer(blocksize):
            raise TypeError("blocksize must be an integer")
        blocksize = int(blocksize)
    read = delayed(read_block_from_file)
    blocks = []
    for path in paths:
        cuts = cut(fs, path, blocksize, compression, not_zero)
        offsets = [offset for offset, _ in cuts]
        token = tokenize(fs_token, delimiter, path, fs.ukey(path), compression, offsets)
        file = OpenFile(fs, path, compression=compression)
        blocks.append(
            [
                read(file, offset, length, delimiter, dask_key_name=f"read-block-{offset}-{token}")
                for offset, length in cuts
            ]
        )
    head = sample
    if sample:
        size = int(parse_bytes("10 kiB" if sample is True else sample))
        with OpenFile(fs, paths[0], compression=compression) as opened:
            head = _head(opened, size, delimiter)
    return (head, blocks, paths) if include_path else (head, blocks)


def cut(
    fs: Any, path: str, blocksize: int | None, compression: str | None, not_zero: bool = False
) -> list[tuple[int, int | None]]:
    """Where the blocks of a file begin, and how long they are (``None``: up to the end)."""
    if blocksize is None:
        return [(0, None)]
    if (infer_compression(path) if compression == "infer" else compression) is not None:
        raise ValueError("Cannot do chunked reads on compressed files. To read, set blocksize=None")
    size = fs.info(path)["size"]
    if size is None:
        raise ValueError(
            "Backing filesystem couldn't determine file size, cannot do chunked reads. To read, set blocksize=None."
        )
    if size == 0:
        return []
    # As many blocks as fit, of the same size: the last one is not a small rest.
    count = max(1, size // blocksize)
    width = size / count if size % blocksize and size > blocksize else blocksize
    offsets, place = [0], 0.0
    while size - place > width * 2 - 1:
        place += width
        offsets.append(int(place))
    ends = [*offsets[1:], size]
    cuts: list[tuple[int, int | None]] = [(start, end - start) for start, end in zip(offsets, ends)]
    if not_zero:
        cuts[0] = (1, ends[0] - 1)
    return cuts


def _head(file: Any, size: int, delimiter: bytes | None) -> bytes:
    """The first bytes of a file, on to the next delimiter."""
    head = file.read(size)
    if delimiter is None:
        return head
    while new := file.read(size):
        if delimiter in new:
            return head + new.split(delimiter, 1)[0] + delimiter
        head += new
    return head


def read_block_from_file(lazy_file: Any, off: int, bs: int | None, delimiter: bytes | None) -> bytes:
    """One block; it begins and ends after a delimiter, if there is one."""
    with copy.copy(lazy_file) as file:
        if off == 0 and bs is None:
            return file.read()
        return read_block(file, off, bs, delimiter)
