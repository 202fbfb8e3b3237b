"""Digests of buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weft._weft import _hash_buffer


def _contiguous(buf: Any) -> Any:
    """The object itself where its memory is one run of bytes, else its bytes in logical order."""
    try:
        view = memoryview(buf)
    except (TypeError, ValueError, BufferError):
        # NumPy's dates have no format in the protocol; Rust asks for none.
        flags = getattr(buf, "flags", None)
        return buf.tobytes() if flags is not None and not flags.c_contiguous else buf
    return buf if view.c_contiguous else view.tobytes()


def hash_buffer(buf: Any, hasher: Callable | None = None) -> bytes:
    """The digest of an object's memory.

    Parameters
    ----------
    buf : object with the buffer protocol
        Read in place where it is contiguous, else copied in logical (C) order first.
    hasher : callable, optional
        Called with the buffer, returns the digest, as ``hashlib.sha1`` or a function that returns bytes. XXH3-128
        where None.

    Returns
    -------
    bytes
        16 bytes unless ``hasher`` is given.

    Raises
    ------
    TypeError
        The object has no buffer.

    Examples
    --------
    >>> hash_buffer(b"abc") == hash_buffer(bytearray(b"abc"))
    True
    """
    buf = _contiguous(buf)
    if hasher is None:
        return _hash_buffer(buf)
    digest = hasher(buf)
    return digest if isinstance(digest, bytes) else digest.digest()


def hash_buffer_hex(buf: Any, hasher: Callable | None = None) -> str:
    """The digest of an object's memory, as hexadecimal digits. See :func:`hash_buffer`.

    Examples
    --------
    >>> len(hash_buffer_hex(b"abc"))
    32
    """
    return hash_buffer(buf, hasher).hex()


def _hashlib(name: str) -> Callable[[Any], bytes]:
    def hasher(buf: Any) -> bytes:
        import hashlib

        return hashlib.new(name, buf, usedforsecurity=False).digest()

    hasher.__name__ = name
    return hasher


#: Functions from a contiguous buffer to its digest, fastest first.
hashers: list[Callable[[Any], bytes]] = [_hash_buffer, _hashlib("sha1"), _hashlib("md5")]
