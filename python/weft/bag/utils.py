"""Tools for tests of bags."""

from __future__ import annotations

from typing import Any

__all__ = ["assert_eq"]


def assert_eq(a: Any, b: Any, scheduler: Any = "sync") -> None:
    """Checks that two bags, or a bag and a list, have equal elements in the same order."""
    a = a.compute(scheduler=scheduler) if hasattr(a, "compute") else a
    b = b.compute(scheduler=scheduler) if hasattr(b, "compute") else b
    assert a == b, f"{a!r} != {b!r}"
