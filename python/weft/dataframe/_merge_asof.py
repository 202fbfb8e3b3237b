"""Joins with the nearest key: each partition of the left side meets what it needs of the right side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from weft.dataframe import _meta
from weft.dataframe._collection import Collection, blockwise, host
from weft.dataframe._repartition import joined
from weft.dataframe._sort import _extents


def merge_asof(
    left: Any,
    right: Any,
    on: Any = None,
    left_on: Any = None,
    right_on: Any = None,
    left_index: bool = False,
    right_index: bool = False,
    by: Any = None,
    left_by: Any = None,
    right_by: Any = None,
    suffixes: Sequence[str | None] = ("_x", "_y"),
    tolerance: Any = None,
    allow_exact_matches: bool = True,
    direction: str = "backward",
) -> Any:
    """Joins two DataFrames in order of a key, each row with the nearest key of the other side.

    Parameters
    ----------
    left, right : DataFrame or pandas.DataFrame
        In order of their keys.
    on, left_on, right_on : label, optional
        The keys.
    left_index, right_index : bool
        The index is the key.
    by, left_by, right_by : label or list of labels, optional
        Columns that must be equal.
    suffixes, tolerance, allow_exact_matches, direction
        As in :func:`pandas.merge_asof`.

    Returns
    -------
    DataFrame
        With the left side's partitions.

    Raises
    ------
    ValueError
        If arguments do not fit together, or a side is not in order.

    Notes
    -----
    Keys that are columns are read once, to see which partitions meet.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> left = dd.from_pandas(pd.DataFrame({"a": [1, 5, 10], "l": list("abc")}), npartitions=2)
    >>> right = pd.DataFrame({"a": [1, 2, 3, 6, 7], "r": [1, 2, 3, 6, 7]})
    >>> dd.merge_asof(left, right, on="a").compute().r.tolist()
    [1, 3, 7]
    """
    options: dict[str, Any] = {
        "suffixes": tuple(suffixes),
        "tolerance": tolerance,
        "allow_exact_matches": allow_exact_matches,
        "direction": direction,
    }
    if on is not None:
        if left_on is not None or right_on is not None:
            raise ValueError("give 'on', or 'left_on' and 'right_on', but not both kinds")
        left_on = right_on = on
    if any(isinstance(key, Collection) for key in (left_on, right_on)):
        raise NotImplementedError("merge_asof by a lazy collection: assign it as a column first")
    if by is not None:
        if left_by is not None or right_by is not None:
            raise ValueError("give 'by', or 'left_by' and 'right_by', but not both kinds")
        left_by = right_by = by
    if (left_by is None) != (right_by is None):
        raise ValueError("Must specify both left_by and right_by if one is specified.")
    options.update(
        left_on=left_on,
        right_on=right_on,
        left_index=left_index,
        right_index=right_index,
        left_by=left_by,
        right_by=right_by,
    )
    if isinstance(left, pd.DataFrame) and isinstance(right, pd.DataFrame):
        return pd.merge_asof(left, right, **options)
    from weft.dataframe.io.io import from_pandas

    left, right = (
        from_pandas(side, npartitions=1, sort=False) if isinstance(side, pd.DataFrame) else side
        for side in (left, right)
    )
    meta = pd.merge_asof(_meta.meta_nonempty(left._meta), _meta.meta_nonempty(right._meta), **options).iloc[
        :0
    ]
    divisions = left.divisions if left_index or right_index else None
    if right.npartitions == 1:
        needed = right
    elif left.npartitions == 1:
        needed = host(
            joined,
            (right,),
            {},
            meta=right._meta,
            npartitions=1,
            label="asof",
            lists=[[*range(right.npartitions)]],
        )
    else:
        needed = _needed(left, right, left_on, right_on, right_by, direction)
    sides = [left.clear_divisions(), needed.clear_divisions()]
    return blockwise(_merged, *sides, label="merge_asof", meta=meta, divisions=divisions, **options)


def _merged(left: Any, right: Any, **options: Any) -> Any:
    result = pd.merge_asof(left, right, **options)
    # pandas forgets the name of an index without labels.
    return result.rename_axis(left.index.name) if options["left_index"] and not len(left) else result


def _ranges(side: Any, key: Any, called: str) -> list[tuple[Any, Any] | None]:
    """The smallest and the largest key of each partition; None where it has none.

    Raises
    ------
    ValueError
        If the keys are not in order.
    """
    if key is None and side.known_divisions:
        return list(zip(side.divisions, side.divisions[1:]))
    what = "The index" if key is None else f"Column {key!r}"
    found: list[tuple[Any, Any] | None] = []
    highest = None
    for number, part in enumerate(_extents(side, key).compute()):
        if not len(part):
            found.append(None)
            continue
        low, high, ordered = part.low.iloc[0], part.high.iloc[0], part.sorted.iloc[0]
        if not ordered or highest is not None and low < highest:
            raise ValueError(
                f"merge_asof input must be sorted! {what} of the {called} side is not in order at "
                f"partition {number}: {low!r} comes after {highest!r}"
            )
        highest = high
        found.append((low, high))
    return found


def _needed(left: Any, right: Any, left_on: Any, right_on: Any, by: Any, direction: str) -> Any:
    """For each partition of ``left`` the rows of ``right`` that it can meet."""
    mine, yours = _ranges(left, left_on, "left"), _ranges(right, right_on, "right")
    full = [j for j, span in enumerate(yours) if span is not None]
    # The nearest row is the nearest partition's, unless there are groups, or divisions that hide empty ones.
    several = by is not None or right_on is None
    bodies: list[list[int]] = []
    earlier: list[list[int]] = []
    later: list[list[int]] = []
    for span in mine:
        if span is None or not full:
            for lists in (bodies, earlier, later):
                lists.append([])
            continue
        low, high = span
        before = [j for j in full if yours[j][1] < low]  # type: ignore[index]
        after = [j for j in full if yours[j][0] > high]  # type: ignore[index]
        bodies.append([j for j in full if j not in before and j not in after])
        earlier.append((before if several else before[-1:]) if direction != "forward" else [])
        later.append((after if several else after[:1]) if direction != "backward" else [])
    edges = blockwise(_edges, right, by, label="asof-edges", meta=object(), divisions=None)
    shared: dict[str, Any] = {"npartitions": left.npartitions}
    body = host(_body, (right, right._meta), {}, meta=right._meta, label="asof", lists=bodies, **shared)
    first = host(_outer_rows, (edges, by, 1), {}, meta=object(), label="asof-before", lists=earlier, **shared)
    final = host(_outer_rows, (edges, by, 0), {}, meta=object(), label="asof-after", lists=later, **shared)
    return blockwise(_around, body, first, final, label="asof-rows", meta=right._meta, divisions=None)


def _edges(part: Any, by: Any) -> tuple[Any, Any]:
    """The first and the last row (of each group) of a partition."""
    if by is None:
        return part.head(1), part.tail(1)
    groups = part.groupby(by, sort=False, dropna=False, observed=True)
    return groups.head(1), groups.tail(1)


def _outer_rows(edges: list[Any], by: Any, which: int) -> Any:
    """Of all edges the first (0) or the last (1) row (of each group)."""
    if not edges:
        return None
    rows = joined([edge[which] for edge in edges])
    groups = rows if by is None else rows.groupby(by, sort=False, dropna=False, observed=True)
    return groups.tail(1) if which else groups.head(1)


def _body(parts: list[Any], meta: Any) -> Any:
    return joined(parts) if parts else meta


def _around(body: Any, before: Any, after: Any) -> Any:
    return joined([part for part in (before, body, after) if part is not None])


__all__ = ["merge_asof"]
