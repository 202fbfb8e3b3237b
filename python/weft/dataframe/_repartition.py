"""Other partitions of the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe._collection import concat, host
from weft.utils import parse_bytes


def joined(parts: list[Any]) -> Any:
    """Partitions as one; empty ones have no say in its dtypes."""
    kept = [part for part in parts if len(part)] or parts[:1]
    return concat(kept) if len(kept) > 1 else kept[0]


def merge_runs(own: Any, starts: Sequence[int]) -> Any:
    """Runs of partitions as one partition each; run ``i`` starts at ``starts[i]``."""
    stops = [*starts[1:], own.npartitions]
    lists = [list(range(start, stop)) for start, stop in zip(starts, stops)]
    divisions = [own.divisions[start] for start in starts] + [own.divisions[-1]]
    return host(
        joined,
        (own,),
        {},
        meta=own._meta,
        npartitions=len(lists),
        label="repartition",
        divisions=divisions,
        lists=lists,
    )


def split(own: Any, counts: Sequence[int]) -> Any:
    """Each partition in ``counts[i]`` pieces of about the same length."""
    lists = [[i] for i, n in enumerate(counts) for _ in range(n)]
    pieces = [(j, n) for n in counts for j in range(n)]
    return host(
        _piece,
        (own,),
        {},
        meta=own._meta,
        npartitions=len(lists),
        label="repartition",
        lists=lists,
        numbered=pieces,
    )


def _piece(parts: list[Any], partition_info: tuple[int, int]) -> Any:
    j, n = partition_info
    rows = len(parts[0])
    return parts[0].iloc[rows * j // n : rows * (j + 1) // n]


def by_divisions(own: Any, divisions: Sequence[Any], force: bool = False) -> Any:
    """The rows by their labels in partitions with these divisions.

    Raises
    ------
    ValueError
        If divisions are unknown, unsorted, or leave out rows and ``force`` is not given.
    """
    divisions = list(divisions)
    old = own.divisions
    if list(old) == divisions:
        return own
    if not own.known_divisions:
        raise ValueError(
            "Cannot repartition on divisions with unknown divisions: set_index or repartition(npartitions=…)"
        )
    if len(divisions) < 2:
        raise ValueError(f"New divisions must have at least two elements, got {divisions}")
    if divisions != sorted(divisions):
        raise ValueError("New division must be sorted")
    if len(divisions[:-1]) != len(set(divisions[:-1])):
        raise ValueError("New division must be unique, except for the last element")
    if force:
        if divisions[0] > old[0] or divisions[-1] < old[-1]:
            raise ValueError(
                "left side of the new division must be equal or smaller than old division; right side must be "
                "equal or larger"
            )
    elif divisions[0] != old[0]:
        raise ValueError("left side of old and new divisions are different")
    elif divisions[-1] != old[-1]:
        raise ValueError("right side of old and new divisions are different")
    last, lists, bounds = own.npartitions - 1, [], []
    for i, (low, high) in enumerate(zip(divisions, divisions[1:])):
        closed = i == len(divisions) - 2
        touched = [
            j
            for j in range(own.npartitions)
            if (old[j] <= high if closed else old[j] < high)
            and (old[j + 1] > low or (j == last or old[j + 1] == low) and old[j + 1] >= low)
        ]
        lists.append(touched or [0 if low < old[0] else last])
        bounds.append((low, high, closed))
    return host(
        _between,
        (own,),
        {},
        meta=own._meta,
        npartitions=len(lists),
        label="repartition",
        divisions=divisions,
        lists=lists,
        numbered=bounds,
    )


def _between(parts: list[Any], partition_info: tuple[Any, Any, bool]) -> Any:
    low, high, closed = partition_info
    pieces = []
    for part in parts:
        labels = part if isinstance(part, pd.Index) else part.index
        inside = (labels >= low) & ((labels <= high) if closed else (labels < high))
        pieces.append(part if inside.all() else part[inside])
    return joined(pieces)


def align(collections: Sequence[Any]) -> list[Any]:
    """The collections with the same divisions: all that one of them has.

    Raises
    ------
    ValueError
        If divisions are unknown and the numbers of partitions differ.
    """
    if not all(c.known_divisions for c in collections):
        if len({c.npartitions for c in collections}) == 1:
            return list(collections)
        raise ValueError(
            "Not all divisions are known, can't align partitions. Please use `set_index` to set the index."
        )
    if len({c.divisions for c in collections}) == 1:
        return list(collections)
    divisions = sorted({label for c in collections for label in c.divisions})
    if len(divisions) == 1:
        divisions *= 2
    return [by_divisions(c, divisions, force=True) for c in collections]


def repartition(
    own: Any,
    divisions: Sequence[Any] | None = None,
    npartitions: Any = None,
    partition_size: Any = None,
    freq: Any = None,
    force: bool = False,
) -> Any:
    """See :meth:`weft.dataframe.DataFrame.repartition`."""
    if isinstance(own, (pd.DataFrame, pd.Series)):
        from weft.dataframe.io.io import from_pandas

        own, force = from_pandas(own, npartitions=1), True
    given = [x for x in (divisions, npartitions, partition_size, freq) if x is not None]
    if len(given) != 1:
        raise ValueError(
            "Please provide exactly one of ``npartitions=``, ``freq=``, ``divisions=``, ``partition_size=`` "
            "keyword arguments"
        )
    if divisions is not None:
        return by_divisions(own, divisions, force)
    if npartitions is not None:
        return to_count(own, npartitions(own.npartitions) if callable(npartitions) else int(npartitions))
    if partition_size is not None:
        return to_size(own, partition_size)
    return by_frequency(own, freq)


def to_count(own: Any, n: int) -> Any:
    """``n`` partitions."""
    if n < 1:
        raise ValueError(f"npartitions must be at least 1, got {n}")
    have = own.npartitions
    if n == have:
        return own
    if n < have:
        return merge_runs(own, [i * have // n for i in range(n)])
    index = own._meta.index if not isinstance(own._meta, pd.Index) else own._meta
    if own.known_divisions and (
        isinstance(index, pd.DatetimeIndex) or pd.api.types.is_numeric_dtype(index.dtype)
    ):
        divisions = _interpolated(own.divisions, index, n)
        if divisions is not None:
            return by_divisions(own, divisions)
    counts = [n // have + (i < n % have) for i in range(have)]
    return split(own, counts)


def _interpolated(divisions: Sequence[Any], index: pd.Index, n: int) -> list[Any] | None:
    times = isinstance(index, pd.DatetimeIndex)
    found: list[Any]
    known: Any = pd.DatetimeIndex(list(divisions)) if times else pd.Index(divisions)
    values = np.asarray(known.asi8 if times else known, "f8")
    at = np.interp(np.linspace(0, len(divisions) - 1, n + 1), np.arange(len(divisions)), values)
    if times:
        found = list(pd.DatetimeIndex(at.astype("i8").view(f"M8[{known.unit}]"), tz=known.tz))
    elif pd.api.types.is_integer_dtype(index.dtype):
        found = [int(math.floor(value)) for value in at]
    else:
        found = [float(value) for value in at]
    found[0], found[-1] = divisions[0], divisions[-1]
    return found if len(set(found[:-1])) == len(found) - 1 and found == sorted(found) else None


def to_size(own: Any, size: Any) -> Any:
    """Partitions of about ``size`` bytes: large ones are split, small neighbours joined."""
    limit = parse_bytes(size) if isinstance(size, str) else int(size)
    usage = own.map_partitions(_bytes, meta=pd.Series([], dtype="int64"), enforce_metadata=False)
    sizes: list[Any] = [int(n) for n in usage.compute()]
    counts = [max(1, -(-n // limit)) for n in sizes]
    if max(counts) > 1:
        own = split(own, counts)
        sizes = [n / k for n, k in zip(sizes, counts) for _ in range(k)]
    starts, held = [0], 0.0
    for i, n in enumerate(sizes):
        if held + n > limit and i > starts[-1]:
            starts.append(i)
            held = 0.0
        held += n
    return own if len(starts) == own.npartitions else merge_runs(own, starts)


def _bytes(part: Any) -> pd.Series:
    used = part.memory_usage(deep=True)
    return pd.Series([int(used.sum() if isinstance(used, pd.Series) else used)])


def by_frequency(own: Any, freq: Any) -> Any:
    """Partitions of one period each."""
    if not isinstance(own._meta.index, pd.DatetimeIndex):
        raise TypeError("Can only repartition on frequency for timeseries")
    if not own.known_divisions:
        raise ValueError("Can only repartition on frequency with known divisions: set_index first")
    offset = pd.tseries.frequencies.to_offset(freq)
    start = own.divisions[0].ceil(offset) if isinstance(offset, pd.offsets.Tick) else own.divisions[0]
    inner = [t for t in pd.date_range(start, own.divisions[-1], freq=offset)]
    divisions = sorted({own.divisions[0], *inner, own.divisions[-1]})
    if len(divisions) == 1:
        divisions *= 2
    return by_divisions(own, divisions)


def checked(own: Any) -> Any:
    """``own`` whose partitions fail unless their labels lie within the divisions."""
    if not own.known_divisions:
        raise ValueError("No known divisions to enforce!")
    last = own.npartitions - 1
    bounds = [(i, own.divisions[i], own.divisions[i + 1], i == last) for i in range(own.npartitions)]
    return host(
        _check,
        (own,),
        {},
        meta=own._meta,
        npartitions=own.npartitions,
        label="enforce-divisions",
        divisions=own.divisions,
        numbered=bounds,
    )


def _check(part: Any, partition_info: tuple[int, Any, Any, bool]) -> Any:
    number, low, high, closed = partition_info
    labels = part if isinstance(part, pd.Index) else part.index
    if len(labels):
        first, final = labels.min(), labels.max()
        if first < low or final > high or (final == high and not closed):
            raise RuntimeError(
                f"`enforce_runtime_divisions` failed for partition {number}. Expected a range of [{low}, {high}"
                f"{']' if closed else ')'}, but the real range was [{first}, {final}]."
            )
    return part
