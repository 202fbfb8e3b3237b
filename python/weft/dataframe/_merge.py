"""Joins: ``merge`` and ``join``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd

from weft import config
from weft._engine import memory_limit
from weft._weft import frame_join
from weft.dataframe import _convert, _meta
from weft.dataframe._collection import Collection, blockwise, new_collection
from weft.dataframe._native import Unsupported
from weft.dataframe._shuffle import Key, by_divisions, by_hash, check_method, exact, key_dtype

HOWS = ("left", "right", "outer", "inner", "leftsemi", "leftanti")


def merge(
    left: Any,
    right: Any,
    how: str = "inner",
    on: Any = None,
    left_on: Any = None,
    right_on: Any = None,
    left_index: bool = False,
    right_index: bool = False,
    suffixes: Sequence[str | None] = ("_x", "_y"),
    indicator: bool | str = False,
    shuffle_method: str | None = None,
    npartitions: int | None = None,
    broadcast: bool | float | None = None,
) -> Any:
    """Joins two DataFrames, at least one of them lazy, by columns or by their indexes.

    Parameters
    ----------
    left, right : DataFrame or pandas.DataFrame
    how : {'inner', 'left', 'right', 'outer', 'leftsemi', 'leftanti'}
        Which rows to keep; the last two keep the rows of ``left`` that have a match, or none.
    on, left_on, right_on : label or list of labels, optional
        The keys; by default the columns that both have. A label may be the index's name.
    left_index, right_index : bool
        The index is the key.
    suffixes : pair of str
        For columns that both have and that are no keys.
    indicator : bool or str
        Add a column that says where a row comes from.
    shuffle_method : str, optional
        Accepted for compatibility.
    npartitions : int, optional
        Number of partitions of the result, if rows have to be moved.
    broadcast : bool or float, optional
        True: give every partition of the larger side all of the smaller. A number makes that more or
        less likely (0.5 by default).

    Returns
    -------
    DataFrame
        In each partition, rows are in the order that pandas gives them. Divisions are known if both
        indexes are keys and their divisions are known.

    Raises
    ------
    KeyError
        If a key does not exist.
    ValueError
        If ``how`` is unknown, or if keys have dtypes that never are equal.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> left = dd.from_pandas(pd.DataFrame({"k": [1, 2, 3], "x": [1.0, 2.0, 3.0]}), npartitions=2)
    >>> dd.merge(left, pd.DataFrame({"k": [2, 3], "y": [5, 6]}), on="k").compute().y.tolist()
    [5, 6]
    """
    for keys in (on, left_on, right_on):
        if isinstance(keys, Collection):
            raise NotImplementedError("merge by a lazy collection: assign it as a column first")
    if how not in HOWS:
        raise ValueError(f"weft.dataframe.merge does not support how='{how}'. Options are: {HOWS}.")
    check_method(shuffle_method)
    if not (on or left_on or right_on or left_index or right_index):
        on = [c for c in left.columns if c in right.columns]
        if not on:
            left_index = right_index = True
    if on and not left_on and not right_on:
        left_on = right_on = on
    left_on, right_on = _plain(left_on, left), _plain(right_on, right)
    left, right, left_on, right_on, left_index, right_index = _lazy(
        left, right, left_on, right_on, left_index, right_index
    )
    if right.ndim != 2 or left.ndim != 2:
        raise TypeError("merge takes DataFrames; use to_frame() on a Series")
    if how in ("leftsemi", "leftanti"):
        wanted = _listed(right_on)
        if right_index or any(label not in right._meta.columns for label in wanted):
            raise NotImplementedError(f"how={how!r} works on columns of the right side, not on its index")
        right = right[list(dict.fromkeys(wanted))]
    join = _Join(left, right, how, left_on, right_on, left_index, right_index, suffixes, indicator)
    return join.result(npartitions, broadcast)


def _plain(keys: Any, side: Any) -> Any:
    """Several keys as a list; a tuple that is a column's label is one key."""
    if isinstance(keys, tuple) and keys in side.columns:
        return keys
    return list(keys) if pd.api.types.is_list_like(keys) else keys


def _listed(keys: Any) -> list[Any]:
    if keys is None:
        return []
    return keys if isinstance(keys, list) else [keys]


def _lazy(left: Any, right: Any, left_on: Any, right_on: Any, left_index: bool, right_index: bool) -> Any:
    from weft.dataframe.io.io import from_pandas

    if not isinstance(left, Collection):
        if right_index and left_on is not None:  # So that both join by index.
            left, left_on, left_index = left.set_index(left[left_on]), None, True
        left = from_pandas(left, npartitions=1, sort=False)
    if not isinstance(right, Collection):
        if left_index and right_on is not None:
            right, right_on, right_index = right.set_index(right[right_on]), None, True
        right = from_pandas(right, npartitions=1, sort=False)
    return left, right, left_on, right_on, left_index, right_index


class _Join:
    """A join, and the ways to do it."""

    def __init__(
        self,
        left: Any,
        right: Any,
        how: str,
        left_on: Any,
        right_on: Any,
        left_index: bool,
        right_index: bool,
        suffixes: Sequence[str | None],
        indicator: bool | str,
    ) -> None:
        self.left, self.right, self.how = left, right, how
        self.settings = {
            "how": how,
            "left_on": left_on,
            "right_on": right_on,
            "left_index": left_index,
            "right_index": right_index,
            "suffixes": tuple(suffixes),
            "indicator": indicator,
        }
        self.left_keys = _keys(left, left_on, left_index, "left")
        self.right_keys = _keys(right, right_on, right_index, "right")

        def merged() -> Any:
            samples = _meta.meta_nonempty(left._meta), _meta.meta_nonempty(right._meta)
            return _meta.make_meta(_merge_parts(*samples, **self.settings))

        sides = _meta.signature(left._meta), _meta.signature(right._meta)
        self.meta = _meta.remembered(("merge", *sides, _meta.frozen(self.settings)), merged)
        if len(self.left_keys) == len(self.right_keys):
            self._warn_of_dtypes()

    def _warn_of_dtypes(self) -> None:
        for a, b in zip(self.left_keys, self.right_keys):
            if a is None or b is None:
                continue
            mine, yours = key_dtype(self.left, a), key_dtype(self.right, b)
            if mine.kind + yours.kind in ("if", "fi"):
                warnings.warn(
                    "Merging dataframes with merge column data type mismatches: "
                    f"({a!r}, {b!r}) has dtypes {mine} and {yours}.\n"
                    "Cast dtypes explicitly to avoid unexpected results.",
                    stacklevel=5,
                )

    # -- where rows meet --------------------------------------------------------------------------

    def result(self, npartitions: int | None, broadcast: bool | float | None) -> Any:
        left, right, how = self.left, self.right, self.how
        most = max(left.npartitions, right.npartitions)
        left_by_index, right_by_index = (
            self._by_index(left, self.left_keys),
            self._by_index(right, self.right_keys),
        )
        if (
            most == 1
            or left.npartitions == 1
            and how in ("right", "inner")
            or right.npartitions == 1
            and how in ("left", "inner", "leftsemi", "leftanti")
        ):
            return self._meet(left, right, self._single_divisions(left_by_index, right_by_index))
        if left_by_index and right_by_index and left.known_divisions and right.known_divisions:
            divisions = sorted({*left.divisions, *right.divisions})
            if len(divisions) == 1:
                divisions = divisions * 2
            return self._meet(
                _cut(left, divisions, self.left_keys), _cut(right, divisions, self.right_keys), divisions
            )
        side = self._broadcast_side(broadcast)
        if side is not None:
            small, keys = (left, self.left_keys) if side == "left" else (right, self.right_keys)
            one = by_hash(small, keys, 1)
            return self._meet(*((one, right) if small is left else (left, one)), None)
        n = int(npartitions or most)
        native, dtypes = self._native_keys()
        keep_left, keep_right = (
            None in keys or self._keeps_index() for keys in (self.left_keys, self.right_keys)
        )
        moved = [
            by_hash(side, keys, n, dtypes=dtypes, native=native, keep_index=keep)
            for side, keys, keep in [(left, self.left_keys, keep_left), (right, self.right_keys, keep_right)]
        ]
        return self._meet(moved[0], moved[1], None)

    @staticmethod
    def _by_index(side: Any, keys: list[Key]) -> bool:
        return keys == [None]

    def _keeps_index(self) -> bool:
        """Whether the result's labels come from the index of a side."""
        return None in self.left_keys or None in self.right_keys

    def _single_divisions(self, left_by_index: bool, right_by_index: bool) -> Any:
        """Divisions of a join in which one side has one partition."""
        left, right, how = self.left, self.right, self.how
        if left_by_index and left.npartitions == 1 and how in ("right", "inner"):
            return right.divisions
        if right_by_index and right.npartitions == 1 and how in ("inner", "left", "leftsemi", "leftanti"):
            return left.divisions
        if left_by_index and right_by_index and left.known_divisions and right.known_divisions:
            both = [*left.divisions, *right.divisions]
            return min(both), max(both)
        return None

    def _broadcast_side(self, broadcast: bool | float | None) -> str | None:
        """The side that every partition of the other is to meet as a whole, if there is one."""
        left, right = self.left, self.right
        allowed = {"left": ("inner", "right"), "right": ("inner", "left", "leftsemi", "leftanti")}
        if broadcast is False:
            return None
        if broadcast is None and self._native_keys()[0]:
            # Looked up in Rust, whatever is small enough to be held once.
            sizes: dict[str, Any] = {"left": _size(left), "right": _size(right)}
            if None not in sizes.values():
                # The order of the left side's rows is cheaper to keep.
                order = ["right", "left"] if sizes["left"] > sizes["right"] / 8 else ["left", "right"]
                limit = _broadcast_limit()
                for side in order:
                    if self.how in allowed[side] and sizes[side] <= limit:
                        return side
        side = "left" if left.npartitions < right.npartitions else "right"
        if self.how not in allowed[side]:
            return None
        if broadcast is True:
            return side
        low, high = sorted([left.npartitions, right.npartitions])
        few = low < math.log2(high) * (broadcast if isinstance(broadcast, float) else 0.5)
        return side if few else None

    def _native_keys(self) -> tuple[bool, list[str | None]]:
        """Whether Rust may move both sides, and as what it hashes the keys."""
        dtypes: list[str | None] = []
        try:
            exact(self.left)
            exact(self.right)
        except Unsupported:
            return False, [None] * len(self.left_keys)
        if not all(_movable(side) for side in (self.left, self.right)):
            return False, [None] * len(self.left_keys)
        for a, b in zip(self.left_keys, self.right_keys):
            mine = _convert.dtype_name(key_dtype(self.left, a))
            yours = _convert.dtype_name(key_dtype(self.right, b))
            if mine is None or yours is None:
                return False, [None] * len(self.left_keys)
            if mine == yours or _is_number(mine) and _is_number(yours):
                dtypes.append(None)
            elif mine.startswith("datetime64") and yours.startswith("datetime64") and "," not in mine + yours:
                units = ["s", "ms", "us", "ns"]
                finest = max(mine[11:-1], yours[11:-1], key=units.index)
                dtypes.append(f"datetime64[{finest}]")
            else:
                return False, [None] * len(self.left_keys)
        return True, dtypes

    # -- what happens where they meet -------------------------------------------------------------

    def _meet(self, left: Any, right: Any, divisions: Any) -> Any:
        """Joins partitions that belong together."""
        try:
            return new_collection(self._kernel(left, right), self.meta, divisions)
        except Unsupported:
            # Partition i meets partition i, whatever each side knows of its divisions.
            parts = [side.clear_divisions() for side in (left, right)]
            return blockwise(
                _merge_parts, *parts, label="merge", meta=self.meta, divisions=divisions, **self.settings
            )

    def _kernel(self, left: Any, right: Any) -> Any:
        exact(left)
        exact(right)
        by_index = self.left_keys == [None] and self.right_keys == [None]
        if not by_index and self._keeps_index():
            raise NotImplementedError("an index joined to a column")
        if by_index and self.how in ("leftsemi", "leftanti"):
            raise NotImplementedError("a semi join by index")
        if self.settings["indicator"]:
            raise NotImplementedError("a categorical column")
        if by_index and not self.meta.index.nlevels == 1:
            raise NotImplementedError("several levels")
        if not self.meta.columns.is_unique:
            raise NotImplementedError("columns of one name")
        for a, b in zip(self.left_keys, self.right_keys):
            mine, yours = (
                _convert.dtype_name(key_dtype(left, a)),
                _convert.dtype_name(key_dtype(right, b)),
            )
            if (
                mine is None
                or mine != yours
                or mine not in _PLAIN
                and not mine.startswith(("datetime", "timed"))
            ):
                raise NotImplementedError("keys of other dtypes")
        shared = {
            a: i for i, (a, b) in enumerate(zip(self.left_keys, self.right_keys)) if a == b and a is not None
        }
        sources: list[tuple[Any, Any]] = [(shared.get(c, "left"), c) for c in left._meta.columns]
        if self.how not in ("leftsemi", "leftanti"):
            sources += [("right", c) for c in right._meta.columns if c not in shared]
        if len(sources) != len(self.meta.columns):
            raise NotImplementedError("columns that are not one side's")
        columns = [(label, side, c) for label, (side, c) in zip(self.meta.columns, sources)]
        index = (self.meta.index.name,) if by_index else None
        expr = frame_join(left.expr, right.expr, self.how, self.left_keys, self.right_keys, columns, index)
        for (_, dtype), promised in zip(expr.schema, self.meta.dtypes):
            if dtype != _convert.dtype_name(promised):
                raise NotImplementedError("pandas gives another dtype")
        return expr


#: Keys that a kernel joins as pandas does.
_PLAIN = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "str",
}  # fmt: skip


def _size(df: Any) -> float | None:
    """Bytes of a table, by a guess at its rows and as if few of many columns were used."""
    rows = df.expr.estimated_rows()
    if rows is None:
        return None
    most, expected = rows
    width = 8 + min(64, sum(24 if dtype == "str" else 8 for _, dtype in df.expr.schema))
    # The guess may be wrong, but not by any factor.
    return max(expected, most / 8) * width


def _broadcast_limit() -> int:
    """Bytes of the largest table that is looked up as a whole: part of the memory there may be."""
    limit = memory_limit(config.get("memory.limit", None))
    return 2**28 if limit is None else min(2**28, limit // 8)


def _is_number(name: str) -> bool:
    return name.lower().startswith(("int", "uint", "float", "bool"))


def _movable(df: Any) -> bool:
    """Whether no column is one that only pandas can hold."""
    return all(dtype is not None for _, dtype in df.expr.schema)


def _keys(side: Any, on: Any, index: bool, called: str) -> list[Key]:
    if index or on is None:
        return [None]
    keys: list[Key] = []
    for label in _listed(on):
        if label in side._meta.columns:
            keys.append(label)
        elif label is not None and label == side._meta.index.name:
            keys.append(None)
        else:
            raise KeyError(label)
    return keys


def _cut(df: Any, divisions: Sequence[Any], keys: list[Key]) -> Any:
    if list(df.divisions) == list(divisions):
        return df
    return new_collection(by_divisions(df, None, divisions).expr, df._meta, divisions)


def _merge_parts(left: Any, right: Any, **settings: Any) -> Any:
    how = settings.pop("how")
    left, right = _same_categories(left, right, settings)
    if how not in ("leftsemi", "leftanti"):
        return left.merge(right, how=how, **settings)
    settings.pop("indicator")
    keys = right.drop_duplicates()
    if how == "leftanti":
        return left.merge(keys, how="left_anti", **settings)[list(left.columns)]
    right_on = _listed(settings["right_on"])
    names = dict(zip(right_on, _listed(settings["left_on"])))
    return left.merge(keys.rename(columns=names), how="inner", on=list(names.values()))


def _same_categories(left: Any, right: Any, settings: Any) -> tuple[Any, Any]:
    """Key columns that are categorical on both sides, with the same categories."""
    if settings["left_index"] or settings["right_index"]:
        return left, right
    for a, b in zip(_listed(settings["left_on"]), _listed(settings["right_on"])):
        if a not in left.columns or b not in right.columns:
            continue
        mine, yours = left[a].dtype, right[b].dtype
        if (
            isinstance(mine, pd.CategoricalDtype)
            and isinstance(yours, pd.CategoricalDtype)
            and mine != yours
            and not (mine.ordered or yours.ordered)
        ):
            from pandas.api.types import union_categoricals

            categories = union_categoricals([left[a], right[b]], ignore_order=True).categories
            left = left.assign(**{a: left[a].cat.set_categories(categories)})
            right = right.assign(**{b: right[b].cat.set_categories(categories)})
    return left, right


def join(
    self: Any,
    other: Any,
    on: Any = None,
    how: str = "left",
    lsuffix: str = "",
    rsuffix: str = "",
    shuffle_method: str | None = None,
    npartitions: int | None = None,
) -> Any:
    """Joins with the index of another DataFrame.

    Parameters
    ----------
    other : DataFrame, Series or list of DataFrames
    on : label or list of labels, optional
        Own columns that meet the other's index; by default the own index.
    how : {'left', 'right', 'outer', 'inner'}
    lsuffix, rsuffix : str
        For columns that both have.

    Raises
    ------
    ValueError
        If columns overlap and there is no suffix, or if a list is joined other than left or outer.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> left = dd.from_pandas(pd.DataFrame({"x": [1, 2]}, index=[0, 1]), npartitions=1)
    >>> left.join(pd.DataFrame({"y": [5, 6]}, index=[1, 0])).compute().y.tolist()
    [6, 5]
    """
    from weft.dataframe.io.io import from_pandas

    if isinstance(other, list):
        if how not in ("outer", "left"):
            raise ValueError("merge_multi only supports left or outer joins")
        result = self
        for one in other:
            if not isinstance(one, (Collection, pd.DataFrame, pd.Series)):
                raise ValueError("other must be DataFrame or list of DataFrames")
            result = join(result, one, how=how)
        return result
    if isinstance(other, (pd.DataFrame, pd.Series)):
        other = from_pandas(other, npartitions=1)
    if not isinstance(other, Collection):
        raise ValueError("other must be DataFrame or list of DataFrames")
    table: Any = other
    if table.ndim == 1:
        table = table.to_frame()
    return merge(
        self,
        table,
        how=how,
        left_index=on is None,
        right_index=True,
        left_on=on,
        suffixes=(lsuffix, rsuffix),
        shuffle_method=shuffle_method,
        npartitions=npartitions,
    )
