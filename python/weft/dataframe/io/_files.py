"""Files that appear whole or not at all, and steps that write a file for each partition."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import Any

from fsspec.core import OpenFile

from weft.dataframe._collection import host


@contextlib.contextmanager
def whole_file(filesystem: Any, path: str, mode: str = "wb", **options: Any) -> Iterator[Any]:
    """A file open for writing that gets its name when it is whole.

    It is written beside its place under a hidden name; if writing fails, nothing is left.

    Parameters
    ----------
    options
        ``compression``, ``encoding``, ``errors`` and ``newline`` of :class:`fsspec.core.OpenFile`.
    """
    folder, name = os.path.split(path)
    partial = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}.partial" if folder else f".{name}.partial"
    try:
        with OpenFile(filesystem, partial, mode, **options) as file:
            yield file
        filesystem.mv(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            filesystem.rm(partial)
        raise


class WritePart:
    """``write(partition, target i)`` for partition ``i``; gives the target."""

    def __init__(self, write: Any, targets: list[Any], label: str) -> None:
        self.write, self.targets = write, targets
        self.__name__ = label

    def __dask_tokenize__(self) -> Any:
        return uuid.uuid4().hex  # Writing twice is not writing once.

    def __call__(self, part: Any, partition_info: int) -> Any:
        self.write(part, self.targets[partition_info])
        return self.targets[partition_info]


def write_parts(df: Any, write: Any, targets: list[Any], label: str) -> Any:
    """A lazy scalar whose value is the list of ``targets``, once ``write`` has written a partition to each."""
    written = host(
        WritePart(write, targets, label),
        (df,),
        {},
        meta=object(),
        npartitions=df.npartitions,
        label=label,
        numbered=list(range(df.npartitions)),
        fallback=False,
    )
    return host(
        _all, (written,), {}, meta=object(), npartitions=1, label=f"{label}-done", whole=True, fallback=False
    )


def _all(targets: list[Any]) -> list[Any]:
    return targets
