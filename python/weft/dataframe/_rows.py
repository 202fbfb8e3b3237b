"""Rows of collections: the first and last ones, neighbours, partitions, samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _meta, _overlap, _repartition, _scan
from weft.dataframe._collection import MethodCall, blockwise, concat, host, new_collection
from weft.dataframe._native import Unsupported

NO_DEFAULT = _meta.NO_DEFAULT


class Rows:
    """What moves, picks and cuts the rows of a DataFrame, Series or Index."""

    __slots__ = ()

    _meta: Any
    _expr: Any
    divisions: Any
    known_divisions: Any
    npartitions: Any
    partitions: Any
    _method: Any
    _with_divisions: Any

    def head(self, n: int = 5, npartitions: int = 1, compute: bool = True) -> Any:
        """The first rows.

        Parameters
        ----------
        n : int
            How many.
        npartitions : int
            From how many partitions; -1: all.
        compute : bool
            Return pandas; otherwise a lazy collection.

        Raises
        ------
        ValueError
            If there are fewer partitions than ``npartitions``.
        """
        if npartitions <= -1:
            npartitions = self.npartitions
        if npartitions > self.npartitions:
            raise ValueError(f"only {self.npartitions} partitions, head received {npartitions}")
        if n < 0:
            first = self.partitions[:npartitions]
            part = host(_head, (first,), {"n": n}, meta=self._meta, npartitions=1, label="head", whole=True)
        else:
            try:
                part = new_collection(self._expr.head(n, npartitions), self._meta)
            except Unsupported:
                first = self.partitions[:npartitions]
                pieces = first._method("head", n)
                part = host(
                    _head, (pieces,), {"n": n}, meta=self._meta, npartitions=1, label="head", whole=True
                )
        part._divisions = (self.divisions[0], self.divisions[npartitions])
        if not compute:
            return part
        result = part.compute()
        if len(result) < n and npartitions < self.npartitions:
            warnings.warn(
                f"Insufficient elements for `head`. {n} elements requested, only {len(result)} elements "
                "available. Try passing larger `npartitions` to `head`.",
                stacklevel=2,
            )
        return result

    def tail(self, n: int = 5, compute: bool = True) -> Any:
        """The last ``n`` rows of the last partition."""
        if n < 0:
            part = self.partitions[self.npartitions - 1]._method("tail", n)
        else:
            try:
                part = new_collection(self._expr.tail(n), self._meta, self.divisions[-2:])
            except Unsupported:
                part = self.partitions[self.npartitions - 1]._method("tail", n)
        return part.compute() if compute else part

    def map_overlap(
        self,
        func: Callable[..., Any],
        before: Any,
        after: Any,
        *args: Any,
        meta: Any = NO_DEFAULT,
        **kwargs: Any,
    ) -> Any:
        """Applies a function to each partition widened by rows of its neighbours.

        See :func:`weft.dataframe.map_overlap`.
        """
        return _overlap.map_overlap(func, self, before, after, *args, meta=meta, **kwargs)

    def shift(self, periods: int = 1, freq: Any = None, axis: Any = 0) -> Any:
        """Values moved down by ``periods`` rows, across partitions."""
        return _overlap.shift(self, periods, freq, axis)

    def diff(self, periods: int = 1, axis: Any = 0) -> Any:
        """Differences to the row ``periods`` before, across partitions."""
        return _overlap.diff(self, periods, axis)

    def rolling(
        self,
        window: Any,
        min_periods: Any = None,
        center: bool = False,
        win_type: Any = None,
        axis: Any = NO_DEFAULT,
    ) -> Any:
        """Windows over rows: ``df.rolling(3).mean()``.

        Parameters
        ----------
        window : int or str
            Rows, or a span of time of a datetime index.
        min_periods : int, optional
            Fewer rows than this give a missing value.
        center : bool
            The row stands in the middle of its window.
        """
        return _overlap.Rolling(self, window, min_periods, center, win_type, axis)

    def resample(self, rule: Any, closed: str | None = None, label: str | None = None) -> Any:
        """Spans of time: ``df.resample("1h").mean()``; see :class:`weft.dataframe.tseries.resample.Resampler`."""
        from weft.dataframe.tseries.resample import Resampler

        return Resampler(self, rule, closed=closed, label=label)

    def ffill(self, axis: Any = 0, limit: int | None = None) -> Any:
        """Missing values taken from the last row before that has one."""
        return _scan.fill(self, "ffill", axis, limit)

    def bfill(self, axis: Any = 0, limit: int | None = None) -> Any:
        """Missing values taken from the next row that has one."""
        return _scan.fill(self, "bfill", axis, limit)

    def repartition(
        self,
        divisions: Any = None,
        npartitions: Any = None,
        partition_size: Any = None,
        freq: Any = None,
        force: bool = False,
    ) -> Any:
        """The same rows in other partitions.

        Parameters
        ----------
        divisions : sequence, optional
            The new divisions; ``force`` lets them reach beyond the old ones.
        npartitions : int, optional
            How many: neighbours are joined, or partitions split.
        partition_size : int or str, optional
            At most about this many bytes each; reads the data to know its size.
        freq : str, optional
            One period of a datetime index each.

        Raises
        ------
        ValueError
            If not exactly one is given, or divisions do not fit.
        """
        return _repartition.repartition(self, divisions, npartitions, partition_size, freq, force)

    def enforce_runtime_divisions(self) -> Any:
        """The same, failing where a partition holds labels outside its divisions."""
        return _repartition.checked(self)

    def clear_divisions(self) -> Any:
        """The same with unknown divisions."""
        return self._with_divisions(None)

    def to_dask_dataframe(self, *args: Any, **kwargs: Any) -> Any:
        """The collection itself."""
        return self

    def sample(self, n: Any = None, frac: Any = None, replace: bool = False, random_state: Any = None) -> Any:
        """Random rows: a fraction of each partition.

        Raises
        ------
        ValueError
            If a number of rows is asked for.
        """
        if n is not None:
            raise ValueError(
                "sample does not support the number of sampled items parameter, 'n'. Please use the 'frac' "
                "parameter instead."
            )
        if frac is None:
            raise ValueError("frac must not be None")
        states = _random_states(random_state, self.npartitions)
        return host(
            _sample,
            (self, frac, replace),
            {},
            meta=self._meta,
            npartitions=self.npartitions,
            label="sample",
            divisions=self.divisions,
            numbered=states,
        )

    def random_split(self, frac: Any, random_state: Any = None, shuffle: bool = False) -> list[Any]:
        """Several collections that share the rows at random, in these fractions.

        Raises
        ------
        ValueError
            If the fractions do not add up to 1.
        """
        if not np.allclose(sum(frac), 1):
            raise ValueError("frac should sum to 1")
        states = _random_states(random_state, self.npartitions)
        return [
            host(
                _split,
                (self, list(frac), i, shuffle),
                {},
                meta=self._meta,
                npartitions=self.npartitions,
                label="random_split",
                divisions=self.divisions,
                numbered=states,
            )
            for i in range(len(frac))
        ]

    def align(self, other: Any, join: str = "outer", axis: Any = None, fill_value: Any = None) -> Any:
        """Both with the labels of both (``join`` says which)."""
        first, second = _repartition.align([self, other])
        options = {"join": join, "axis": axis, "fill_value": fill_value}
        metas = _meta.meta_nonempty(self._meta).align(_meta.meta_nonempty(other._meta), **options)
        return tuple(
            blockwise(_aligned, first, second, i, label="align", meta=meta.iloc[:0], **options)
            for i, meta in enumerate(metas)
        )

    def memory_usage_per_partition(self, index: bool = True, deep: bool = False) -> Any:
        """Bytes of each partition, as a lazy Series."""
        return blockwise(
            _memory_of_partition,
            self,
            label="memory",
            meta=pd.Series([], dtype="int64"),
            divisions=None,
            index=index,
            deep=deep,
        )

    def to_timestamp(self, freq: Any = None, how: str = "start", copy: Any = None) -> Any:
        """Periods of the index as datetimes."""
        options = {"freq": freq, "how": how}
        divisions = None
        if self.known_divisions:
            divisions = list(pd.PeriodIndex(self.divisions).to_timestamp(**options))
        meta = self._meta.to_timestamp(**options)
        return blockwise(
            MethodCall("to_timestamp"), self, label="to_timestamp", meta=meta, divisions=divisions, **options
        )


def _aligned(first: Any, second: Any, which: int, **options: Any) -> Any:
    return first.align(second, **options)[which]


def _memory_of_partition(part: Any, **options: Any) -> pd.Series:
    used = part.memory_usage(**options)
    return pd.Series([int(used.sum() if isinstance(used, pd.Series) else used)])


def _random_states(random_state: Any, n: int) -> list[Any]:
    """A seed for each partition."""
    if not isinstance(random_state, np.random.RandomState):
        random_state = np.random.RandomState(random_state)
    return [int(seed) for seed in random_state.randint(0, 2**31 - 1, n)]


def _sample(part: Any, frac: float, replace: bool, partition_info: int) -> Any:
    return part.sample(frac=frac, replace=replace, random_state=partition_info) if len(part) else part


def _split(part: Any, frac: list[float], which: int, shuffle: bool, partition_info: int) -> Any:
    random = np.random.RandomState(partition_info)
    place = np.searchsorted(np.cumsum(frac)[:-1], random.uniform(size=len(part)), side="right")
    kept = part[place == which]
    return kept.sample(frac=1, random_state=partition_info) if shuffle and len(kept) else kept


def _head(parts: list[Any], n: int) -> Any:

    kept = [part for part in parts if len(part)] or parts[:1]
    return (concat(kept) if len(kept) > 1 else kept[0]).head(n)
