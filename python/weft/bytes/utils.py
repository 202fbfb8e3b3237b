"""Compression of bytes in memory, by the names that fsspec uses."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable

__all__ = ["compress", "zip_compress"]


def zip_compress(data: bytes) -> bytes:
    """A zip archive with one file of these bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, mode="w") as archive:
        archive.writestr("myfile", data)
    return out.getvalue()


#: For each format, what compresses bytes.
compress: dict[str | None, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    None: lambda data: data,
    "xz": lzma.compress,
    "zip": zip_compress,
}
