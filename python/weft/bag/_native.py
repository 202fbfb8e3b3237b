"""Which steps Rust does, and when."""

from __future__ import annotations

from typing import Any


def lines(read: Any, pieces: Any) -> Any:
    """The lines of a partition as a native stream, if there is one for what was asked."""
    return None
