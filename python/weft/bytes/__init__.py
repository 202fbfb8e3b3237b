"""Files as bytes, in blocks that can be cut at delimiters."""

from weft.bytes.core import read_bytes

__all__ = ["read_bytes"]
