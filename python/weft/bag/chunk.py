"""Steps of reductions, one partition at a time."""

from __future__ import annotations

from typing import Any

__all__ = [
    "barrier",
    "foldby_combine2",
    "getitem",
    "mean_aggregate",
    "mean_chunk",
    "var_aggregate",
    "var_chunk",
]


def barrier(*args: Any) -> None:
    """Nothing, once all arguments are there."""


def getitem(x: Any, key: Any) -> Any:
    """``x[key]``, as a function whose key can be bound by name."""
    return x[key]


def foldby_combine2(combine: Any, acc: Any, x: Any) -> Any:
    """A total and a pair (kind, total) put together."""
    return combine(acc, x[1])


def groupby_tasks_group_hash(x: Any, hash: Any, grouper: Any) -> tuple[Any, Any]:
    """An element with the hash of its key."""
    return hash(grouper(x)), x


def mean_chunk(seq: Any) -> tuple[float, int]:
    """Sum and count."""
    total, n = 0.0, 0
    for x in seq:
        total += x
        n += 1
    return total, n


def mean_aggregate(parts: Any) -> float:
    """The mean, from sums and counts."""
    totals, counts = zip(*parts)
    return 1.0 * sum(totals) / sum(counts)


def var_chunk(seq: Any) -> tuple[float, float, int]:
    """Sum of squares, sum and count."""
    squares, total, n = 0.0, 0.0, 0
    for x in seq:
        squares += x**2
        total += x
        n += 1
    return squares, total, n


def var_aggregate(x: Any, ddof: int) -> float:
    """The variance, from sums of squares, sums and counts."""
    squares, totals, counts = zip(*x)
    x2, total, n = float(sum(squares)), float(sum(totals)), sum(counts)
    return ((x2 / n) - (total / n) ** 2) * n / (n - ddof)
