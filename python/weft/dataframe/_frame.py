"""What DataFrame, Series and Index share, and each of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import (
    _merge,
    _meta,
    _ops,
    _overlap,
    _reductions,
    _repartition,
    _repr,
    _scan,
    _shuffle,
    _sort,
    _whole,
)
from weft.dataframe._accessors import CategoricalAccessor, DatetimeAccessor, StringAccessor
from weft.dataframe._collection import (
    Collection,
    MethodCall,
    Property,
    blockwise,
    host,
    map_partitions,
    new_collection,
    wraps,
)
from weft.dataframe._indexing import ILoc, Loc
from weft.dataframe._native import Unsupported
from weft.dataframe._reductions import again, reduce_tree, reduction
from weft.dataframe._scalar import Scalar

NO_DEFAULT = _meta.NO_DEFAULT


def _reducer(name: str) -> Any:
    def method(
        self: Any,
        axis: Any = 0,
        skipna: bool = True,
        numeric_only: bool = False,
        min_count: int = 0,
        split_every: Any = False,
        **kwargs: Any,
    ) -> Any:
        return reduction(self, name, axis, skipna, numeric_only or False, min_count)

    return _ops._documented(method, pd.DataFrame, name)


def _spread(name: str) -> Any:
    def method(
        self: Any,
        axis: Any = 0,
        skipna: bool = True,
        ddof: int = 1,
        numeric_only: bool = False,
        split_every: Any = False,
        **kwargs: Any,
    ) -> Any:
        return reduction(self, name, axis, skipna, numeric_only or False, ddof=ddof)

    return _ops._documented(method, pd.DataFrame, name)


def _cumulative(name: str) -> Any:
    def method(self: Any, axis: Any = 0, skipna: bool = True, **kwargs: Any) -> Any:
        return _scan.cumulative(self, name, axis, skipna)

    return _ops._documented(method, pd.DataFrame, name)


class FrameBase(Collection):
    """What has rows and an index."""

    __slots__ = ()

    compute_current_divisions = _sort.compute_current_divisions

    for _name in ("sum", "prod", "min", "max", "mean", "any", "all"):
        locals()[_name] = _reducer(_name)
    for _name in ("var", "std", "sem"):
        locals()[_name] = _spread(_name)
    for _name in ("cumsum", "cumprod", "cummin", "cummax"):
        locals()[_name] = _cumulative(_name)
    del _name
    product = locals()["prod"]

    # -- structure --------------------------------------------------------------------------------

    @property
    def index(self) -> Any:
        """The row labels, lazily."""
        return blockwise(Property("index"), self, label="index", meta=self._meta.index)

    @index.setter
    def index(self, value: Any) -> None:
        result = blockwise(
            _set_index, self, value, label="set-index", meta=_set_index(self._meta, value._meta)
        )
        self._expr, self._meta_, self._divisions = result._expr, result._meta_, (None,) * len(self._divisions)

    @property
    def size(self) -> Any:
        """Number of values, as a lazy scalar."""
        rows = _reductions.rows(self)
        return rows if self.ndim == 1 else rows * len(self._meta.columns)

    def __len__(self) -> int:
        known = self._expr.known_rows()
        return int(_reductions.rows(self).compute()) if known is None else known

    @property
    def empty(self) -> bool:
        """Whether there are no rows; computes their number."""
        return len(self) == 0 or self.ndim == 2 and not len(self._meta.columns)

    @property
    def loc(self) -> Loc:
        """Rows by label, columns by name: ``df.loc[rows]``, ``df.loc[rows, columns]``."""
        return Loc(self)

    @property
    def values(self) -> Any:
        raise NotImplementedError("values: a lazy array needs weft.array; use .compute().values")

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

    def __repr__(self) -> str:
        return _repr.text(self)

    def _repr_html_(self) -> str:
        return _repr.html(self)

    # -- whole-frame methods ----------------------------------------------------------------------

    def pipe(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """``func(self, …)``, or, for ``(func, name)``, with self as the argument ``name``."""
        if isinstance(func, tuple):
            func, target = func
            if target in kwargs:
                raise ValueError(f"{target} is both the pipe target and a keyword argument")
            kwargs[target] = self
            return func(*args, **kwargs)
        return func(self, *args, **kwargs)

    def reduction(
        self,
        chunk: Callable[..., Any],
        aggregate: Callable[..., Any] | None = None,
        combine: Callable[..., Any] | None = None,
        meta: Any = NO_DEFAULT,
        token: str | None = None,
        split_every: Any = None,
        chunk_kwargs: dict[str, Any] | None = None,
        aggregate_kwargs: dict[str, Any] | None = None,
        combine_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A reduction of the user's own: ``chunk`` on each partition, ``aggregate`` on the results.

        Parameters
        ----------
        chunk : callable
            Gets a partition; returns a pandas object or a scalar.
        aggregate : callable, optional
            Gets the concatenated results of ``chunk``; by default ``chunk`` again.
        meta : object, optional
            What the result looks like.
        """
        chunk_options = {**kwargs, **(chunk_kwargs or {})}
        final_options = {**kwargs, **(aggregate_kwargs or {})}
        part_meta = _meta.infer_user(_Chunk(chunk), (self,), chunk_options, "chunk")
        if meta is NO_DEFAULT:
            meta = _meta.make_meta((aggregate or chunk)(_meta.meta_nonempty(part_meta), **final_options))
        else:
            meta = _meta.make_meta(meta)
        parts = blockwise(
            _Chunk(chunk), self, meta=part_meta, label="reduction-chunk", divisions=None, **chunk_options
        )
        return host(
            _reductions._Aggregate(aggregate or chunk),
            (parts,),
            final_options,
            meta=meta,
            npartitions=1,
            label=token or "reduction",
            whole=True,
        )

    # -- rows of neighbours -----------------------------------------------------------------------

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

    def ffill(self, axis: Any = 0, limit: int | None = None) -> Any:
        """Missing values taken from the last row before that has one."""
        return _scan.fill(self, "ffill", axis, limit)

    def bfill(self, axis: Any = 0, limit: int | None = None) -> Any:
        """Missing values taken from the next row that has one."""
        return _scan.fill(self, "bfill", axis, limit)

    # -- partitions -------------------------------------------------------------------------------

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

    def to_bag(self, index: bool = False, format: str = "tuple") -> Any:
        """A bag of rows (or of values)."""
        from weft.bag.core import Bag

        if format not in ("tuple", "dict", "frame"):
            raise ValueError("format must be 'tuple', 'dict' or 'frame'")
        if format == "frame":
            return Bag(self.__dask_graph__(), self._name, self.npartitions)
        parts = blockwise(_rows, self, index, format, label="to_bag", meta=None, divisions=None)
        return Bag(parts.__dask_graph__(), parts._name, parts.npartitions)

    def to_parquet(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Writes Parquet files; see :func:`weft.dataframe.to_parquet`."""
        from weft.dataframe.io.parquet import to_parquet

        return to_parquet(self, path, *args, **kwargs)

    def to_json(self, filename: Any, *args: Any, **kwargs: Any) -> Any:
        """Writes JSON files; see :func:`weft.dataframe.to_json`."""
        from weft.dataframe.io.json import to_json

        return to_json(self, filename, *args, **kwargs)

    def to_string(self, max_rows: int = 5) -> str:
        """The structure as text."""
        return repr(self)

    def nunique_approx(self, split_every: Any = None) -> Any:
        """Number of different rows; exact."""
        return _whole.distinct(self)

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

    # -- statistics -------------------------------------------------------------------------------

    def idxmin(
        self, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, split_every: Any = False
    ) -> Any:
        """The label of the smallest value."""
        return _whole.extreme(self, "idxmin", axis, skipna, numeric_only)

    def idxmax(
        self, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, split_every: Any = False
    ) -> Any:
        """The label of the largest value."""
        return _whole.extreme(self, "idxmax", axis, skipna, numeric_only)

    def skew(
        self,
        axis: Any = 0,
        bias: bool = True,
        nan_policy: str = "propagate",
        numeric_only: bool = False,
        skipna: bool = True,
    ) -> Any:
        """Unbiased skewness."""
        if axis in (1, "columns"):
            return self._method("skew", axis=1)
        return _whole.powers(self, "skew", skipna, numeric_only)

    def kurtosis(
        self,
        axis: Any = 0,
        fisher: bool = True,
        bias: bool = True,
        nan_policy: str = "propagate",
        numeric_only: bool = False,
        skipna: bool = True,
    ) -> Any:
        """Unbiased excess kurtosis."""
        if axis in (1, "columns"):
            return self._method("kurtosis", axis=1)
        return _whole.powers(self, "kurtosis", skipna, numeric_only)

    kurt = kurtosis

    def quantile(
        self, q: Any = 0.5, axis: Any = 0, numeric_only: bool = False, method: str = "default"
    ) -> Any:
        """Quantiles of each column, exact.

        Parameters
        ----------
        q : float or list of float
        method : str
            Accepted for compatibility: the answer is always exact.
        """
        if axis in (1, "columns"):
            if isinstance(q, list):
                raise ValueError("quantile of rows takes a single q")
            return self._method("quantile", q=q, axis=1, numeric_only=numeric_only)
        if method not in ("default", "dask", "tdigest"):
            raise ValueError(f"Invalid method {method!r}: 'default', 'dask' or 'tdigest'")
        options = {"numeric_only": numeric_only} if self.ndim == 2 else {}
        return _whole.whole(self, "quantile", q, **options)

    def median(self, axis: Any = 0, numeric_only: bool = False, method: str = "default") -> Any:
        """The median of each column, exact."""
        options: dict[str, Any] = {"axis": axis, "numeric_only": numeric_only} if self.ndim == 2 else {}
        if axis in (1, "columns"):
            return self._method("median", **options)
        return _whole.whole(self, "median", **options)

    median_approximate = median

    def mode(self, dropna: bool = True, split_every: Any = False, **options: Any) -> Any:
        """The most frequent values."""
        return _whole.whole(self, "mode", dropna=dropna, **options)

    def describe(
        self,
        split_every: Any = False,
        percentiles: Any = None,
        percentiles_method: str = "default",
        include: Any = None,
        exclude: Any = None,
    ) -> Any:
        """Count, mean, spread and quantiles of each column, exact."""
        options = {"percentiles": percentiles}
        if self.ndim == 2:
            options.update(include=include, exclude=exclude)
        return _whole.whole(self, "describe", **options)

    def drop_duplicates(
        self,
        subset: Any = None,
        split_every: Any = None,
        split_out: Any = None,
        keep: Any = "first",
        ignore_index: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The rows without repetitions."""
        if keep is False:
            raise NotImplementedError("drop_duplicates with keep=False")
        options: dict[str, Any] = {"keep": keep, "ignore_index": ignore_index}
        if subset is not None:
            options["subset"] = subset
        from weft.dataframe._groupby import _cut

        result = again(self, "drop_duplicates", **options)
        return _cut(result, min(self.npartitions, 1 if split_out in (None, True, False) else int(split_out)))

    def nlargest(self, n: int = 5, columns: Any = None, split_every: Any = None) -> Any:
        """The ``n`` largest."""
        return again(self, "nlargest", n, *([] if columns is None else [columns]))

    def nsmallest(self, n: int = 5, columns: Any = None, split_every: Any = None) -> Any:
        """The ``n`` smallest."""
        return again(self, "nsmallest", n, *([] if columns is None else [columns]))

    def memory_usage(self, deep: bool = False, index: bool = True) -> Any:
        """Bytes that the data takes."""
        options = {"deep": deep, "index": index}
        if self.ndim == 2:
            meta = self._meta.memory_usage(**options)
            return reduce_tree(
                self, _memory, _sum_by_label, label="memory_usage", meta=meta, chunk_kwargs=options
            )
        return reduce_tree(
            self,
            _memory_of_series,
            MethodCall("sum"),
            label="memory_usage",
            meta=np.int64(1),
            chunk_kwargs=options,
        )

    def astype(self, dtype: Any) -> Any:
        """Another dtype, or for a DataFrame a dict of dtypes by column."""
        meta = _unknown_categories(self._meta.astype(dtype), self._meta, dtype)

        def native() -> Any:
            if isinstance(dtype, Mapping) or self.ndim == 2:
                targets = dtype if isinstance(dtype, Mapping) else dict.fromkeys(self._meta.columns, dtype)
                return self._expr.assign(
                    [(c, self._expr.column(c).astype(_dtype_text(d))) for c, d in targets.items()]
                )
            return self._expr.astype(_dtype_text(dtype))

        return self._native(meta, native, lambda: self._method("astype", dtype, meta=meta))

    def fillna(self, value: Any = None, axis: Any = None) -> Any:
        """Another value for missing ones."""
        value = _ops.lifted(self, value)
        meta = self._meta.fillna(_meta.empty(value))

        def native() -> Any:
            if not (np.isscalar(value) or self.ndim == 2 and isinstance(value, Mapping)):
                raise NotImplementedError("values of another object")
            if self.ndim == 2:
                values = value if isinstance(value, Mapping) else dict.fromkeys(self._meta.columns, value)
                return self._expr.assign(
                    [
                        (c, self._expr.column(c).fillna(v))
                        for c, v in values.items()
                        if c in self._meta.columns
                    ]
                )
            return self._expr.fillna(value)

        return self._native(meta, native, lambda: self._method("fillna", value, meta=meta))

    def isna(self) -> Any:
        """Whether each value is missing."""
        return _ops.unary("isna", MethodCall("isna"), self)

    isnull = isna

    def notna(self) -> Any:
        """Whether each value is there."""
        return _ops.unary("notna", MethodCall("notna"), self)

    notnull = notna

    def apply(self, function: Any, *args: Any, meta: Any = NO_DEFAULT, axis: Any = 0, **kwargs: Any) -> Any:
        """A function of each row (``axis=1``) or of each value of a Series."""
        if self.ndim == 2:
            if axis not in (1, "columns"):
                raise NotImplementedError(
                    "apply(axis=0) needs whole columns; use axis=1, map_partitions or reduction"
                )
            kwargs["axis"] = 1
        kwargs["args"] = args
        return _user_method(self, "apply", meta, function, **kwargs)

    def map(self, func: Any, na_action: Any = None, meta: Any = NO_DEFAULT, **kwargs: Any) -> Any:
        """A function or mapping of each value."""
        return _user_method(self, "map", meta, func, na_action=na_action, **kwargs)


class _Chunk:
    """The user's chunk function, whose results can be concatenated."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", "chunk")

    def __dask_tokenize__(self) -> Any:
        return "chunk", self.function

    def __call__(self, partition: Any, **kwargs: Any) -> Any:
        result = self.function(partition, **kwargs)
        if isinstance(result, pd.Series) and isinstance(partition, pd.DataFrame):
            return result.to_frame().T
        if not _meta.is_pandas(result):
            return pd.Series([result])
        return result


def _user_method(own: Any, name: str, meta: Any, *args: Any, **kwargs: Any) -> Any:
    call = MethodCall(name)
    if meta is NO_DEFAULT:
        meta = _meta.infer_user(call, (own, *args), kwargs, name)
        warnings.warn(
            "\nYou did not provide metadata, so weft is running your function on a small dataset to guess "
            "output types. It is possible that weft will guess incorrectly.\nTo provide an explicit output "
            f"type or to silence this message, pass meta=, as in {name}(func, meta={_suggest(meta)})",
            stacklevel=3,
        )
    else:
        meta = _meta.make_meta(meta, index=own._meta.index)
    return blockwise(call, own, *args, label=name, meta=meta, enforce=True, **kwargs)


def _suggest(meta: Any) -> str:
    if isinstance(meta, pd.DataFrame):
        return str({column: str(dtype) for column, dtype in meta.dtypes.items()})
    return str((getattr(meta, "name", None), str(getattr(meta, "dtype", type(meta).__name__))))


def _unknown_categories(meta: Any, before: Any, dtype: Any) -> Any:
    """``meta``, where a mere ``astype("category")`` leaves the categories to the data."""
    if meta.ndim == 1:
        asked = isinstance(meta.dtype, pd.CategoricalDtype) and getattr(dtype, "categories", None) is None
        fresh = asked and not isinstance(before.dtype, pd.CategoricalDtype)
        return meta.cat.set_categories([_meta.UNKNOWN_CATEGORIES]) if fresh else meta
    for label in meta.columns if meta.columns.is_unique else []:
        wanted = dtype.get(label) if isinstance(dtype, Mapping) else dtype
        column = (
            _unknown_categories(meta[label], before[label], wanted) if wanted is not None else meta[label]
        )
        if column is not meta[label] and column.dtype != meta[label].dtype:
            meta[label] = column
    return meta


def _dtype_text(dtype: Any) -> str:
    name = pd.api.types.pandas_dtype(dtype)
    from weft.dataframe._convert import dtype_name

    text = dtype_name(name)
    if text is None:
        raise NotImplementedError(f"astype({dtype})")
    return text


def _index_edge(part: Any, n: int, last: bool) -> Any:
    return part[max(len(part) - n, 0) :] if last else part[:n]


def _set_index(part: Any, index: Any) -> Any:
    return part.set_axis(index, axis=0)


def _aligned(first: Any, second: Any, which: int, **options: Any) -> Any:
    return first.align(second, **options)[which]


def _memory_of_partition(part: Any, **options: Any) -> pd.Series:
    used = part.memory_usage(**options)
    return pd.Series([int(used.sum() if isinstance(used, pd.Series) else used)])


def _rows(part: Any, index: bool, form: str) -> list[Any]:
    if isinstance(part, pd.DataFrame):
        if form == "dict":
            return (part.reset_index() if index else part).to_dict(orient="records")
        return (
            list(map(tuple, part.itertuples(index)))
            if index
            else list(part.itertuples(index=False, name=None))
        )
    if isinstance(part, pd.Series):
        if form == "dict":
            return part.to_frame().to_dict(orient="records")
        return list(part.items()) if index else list(part)
    return list(part)


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
    from weft.dataframe._collection import concat

    kept = [part for part in parts if len(part)] or parts[:1]
    return (concat(kept) if len(kept) > 1 else kept[0]).head(n)


def _memory(partition: Any, **kwargs: Any) -> Any:
    return partition.memory_usage(**kwargs)


def _memory_of_series(partition: Any, **kwargs: Any) -> Any:
    return pd.Series([partition.memory_usage(**kwargs)])


def _sum_by_label(parts: pd.Series) -> pd.Series:
    return parts.groupby(level=0, sort=False).sum()


@wraps(pd.Series)
@_ops.add_operators
class Series(FrameBase):
    """A lazy pandas Series in partitions.

    Made by selecting a column, by operations, or by :func:`weft.dataframe.from_pandas`.
    """

    __slots__ = ()

    ndim = 1
    dt = property(DatetimeAccessor, doc="Fields and methods of datetimes and timedeltas.")
    str = property(StringAccessor, doc="Methods of text.")
    cat = property(CategoricalAccessor, doc="Methods of categoricals.")

    @property
    def name(self) -> Any:
        """The name."""
        return self._meta.name

    @name.setter
    def name(self, name: Any) -> None:
        renamed = self.rename(name)
        self._expr, self._meta_ = renamed._expr, renamed._meta_

    @property
    def dtype(self) -> Any:
        """The dtype."""
        return self._meta.dtype

    @property
    def dtypes(self) -> Any:
        return self._meta.dtype

    @property
    def axes(self) -> list[Any]:
        return [self.index]

    @property
    def shape(self) -> tuple[Any]:
        """The lazy number of rows."""
        return (self.size,)

    @property
    def is_monotonic_increasing(self) -> Any:
        """Whether values never fall, as a lazy scalar."""
        return _whole.monotonic(self, "is_monotonic_increasing")

    @property
    def is_monotonic_decreasing(self) -> Any:
        """Whether values never rise, as a lazy scalar."""
        return _whole.monotonic(self, "is_monotonic_decreasing")

    def squeeze(self) -> Any:
        """The Series itself."""
        return self

    def nlargest(self, n: int = 5, split_every: Any = None) -> Any:  # type: ignore[override]
        """The ``n`` largest values."""
        return again(self, "nlargest", n)

    def nsmallest(self, n: int = 5, split_every: Any = None) -> Any:  # type: ignore[override]
        """The ``n`` smallest values."""
        return again(self, "nsmallest", n)

    @property
    def nbytes(self) -> Any:
        """Bytes of the values, as a lazy scalar."""
        return blockwise_sum(self, Property("nbytes"))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Collection):
            meta = self._meta
            return self._native(
                meta,
                lambda: self._expr.filter(key.expr),
                lambda: blockwise(_getitem, self, key, label="getitem", meta=meta),
            )
        if callable(key):
            return self[key(self)]
        raise NotImplementedError(
            f"Series[{key!r}]: a lazy Series takes boolean Series; use .loc for labels and .head for positions"
        )

    def __dir__(self) -> Iterable[Any]:
        return sorted(set(super().__dir__()))

    def __iter__(self) -> Any:
        for i in range(self.npartitions):
            yield from self.partitions[i].compute()

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.compute(), dtype)

    def __array_ufunc__(self, function: Any, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        return array_ufunc(function, method, inputs, kwargs)

    def rename(self, index: Any = None, sorted_index: bool = False) -> Any:
        """Another name, or, for a function or dict, other labels."""
        meta = self._meta.rename(index)
        if callable(index) or isinstance(index, Mapping):
            return self._method("rename", index, meta=meta, divisions=None)
        return self._native(
            meta, lambda: self._expr.rename_series(index), lambda: self._method("rename", index, meta=meta)
        )

    def to_frame(self, name: Any = NO_DEFAULT) -> Any:
        """A DataFrame of one column."""
        args = () if name is NO_DEFAULT else (name,)
        meta = self._meta.to_frame(*args)
        return self._native(
            meta,
            lambda: self._expr.to_frame(meta.columns[0]),
            lambda: self._method("to_frame", *args, meta=meta),
        )

    def between(self, left: Any, right: Any, inclusive: Any = "both") -> Any:
        """Whether each value lies between two others."""
        meta = self._meta.between(_meta.empty(left), _meta.empty(right), inclusive=inclusive)
        return self._native(
            meta,
            lambda: self._expr.between(*_ops.same_expr([left, right]), inclusive),
            lambda: self._method("between", left, right, inclusive=inclusive, meta=meta),
        )

    def isin(self, values: Any) -> Any:
        """Whether each value is one of ``values``."""
        meta = self._meta.isin(_meta.empty(values) if isinstance(values, Collection) else values)
        if isinstance(values, Collection):
            raise NotImplementedError("Passing a collection to isin; compute it first")
        values = list(values)
        return self._native(
            meta, lambda: self._expr.isin(values), lambda: self._method("isin", values, meta=meta)
        )

    def clip(self, lower: Any = None, upper: Any = None, axis: Any = None, **kwargs: Any) -> Any:
        """Values within bounds."""
        lower, upper = _ops.lifted(self, lower), _ops.lifted(self, upper)
        meta = self._meta.clip(_meta.empty(lower), _meta.empty(upper), **kwargs)
        if not all(value is None or np.isscalar(value) for value in (lower, upper)):
            return self._method("clip", lower, upper, meta=meta, **kwargs)
        return self._native(
            meta,
            lambda: self._expr.clip(lower, upper),
            lambda: self._method("clip", lower, upper, meta=meta, **kwargs),
        )

    def round(self, decimals: int = 0) -> Any:
        """Values rounded to a number of decimals."""
        meta = self._meta.round(decimals)
        return self._native(
            meta, lambda: self._expr.round(decimals), lambda: self._method("round", decimals, meta=meta)
        )

    def where(self, cond: Any, other: Any = np.nan) -> Any:
        """Own values where ``cond`` holds, else ``other``."""
        return _choose(self, "where", cond, other)

    def mask(self, cond: Any, other: Any = np.nan) -> Any:
        """``other`` where ``cond`` holds, else own values."""
        return _choose(self, "mask", cond, other)

    def count(self, split_every: Any = False) -> Any:
        """Number of values that are not missing."""
        return reduction(self, "count")

    def nunique(self, split_every: Any = None, dropna: bool = True) -> Any:
        """Number of different values."""
        return _reductions.nunique(self, dropna)

    def unique(self, split_every: Any = None, split_out: Any = True, shuffle_method: Any = None) -> Any:
        """The different values, as a Series."""
        meta = pd.Series(self._meta.unique(), dtype=self._meta.dtype, name=self._meta.name)
        return reduce_tree(self, _reductions._unique, _unique_series, label="unique", meta=meta)

    def value_counts(
        self,
        sort: Any = None,
        ascending: bool = False,
        dropna: bool = True,
        normalize: bool = False,
        split_every: Any = None,
        split_out: Any = None,
    ) -> Any:
        """How often each value occurs."""
        return _reductions.value_counts(self, sort is not False, ascending, dropna, normalize)

    def cov(self, other: Any, min_periods: Any = None, split_every: Any = False) -> Any:
        """Covariance with another Series."""
        return self._with_other("cov", other, min_periods=min_periods)

    def corr(
        self, other: Any, method: Any = "pearson", min_periods: Any = None, split_every: Any = False
    ) -> Any:
        """Correlation with another Series."""
        if method != "pearson":
            raise NotImplementedError("Only Pearson correlation has been implemented")
        return self._with_other("corr", other, min_periods=min_periods)

    def _with_other(self, name: Any, other: Any, **options: Any) -> Any:
        if not isinstance(other, Series):
            raise TypeError("other must be a lazy Series")
        return _whole.whole(self, name, other, **options)

    def autocorr(self, lag: int = 1, split_every: Any = False) -> Any:
        """Correlation with itself ``lag`` rows before."""
        if not isinstance(lag, (int, np.integer)):
            raise TypeError("lag must be an integer")
        return _whole.whole(self, "autocorr", lag)

    def dot(self, other: Any, meta: Any = NO_DEFAULT) -> Any:
        """The dot product with another Series."""
        return (self * other).sum()

    def combine(self, other: Any, func: Any, fill_value: Any = None) -> Any:
        """A function of values of two Series."""
        return self._method("combine", other, func, fill_value=fill_value)

    def groupby(self, by: Any, **kwargs: Any) -> Any:
        """Groups of rows; see :meth:`DataFrame.groupby`."""
        from weft.dataframe._groupby import SeriesGroupBy

        return SeriesGroupBy(self, by, **kwargs)


def blockwise_sum(own: Any, function: Any) -> Any:
    parts = blockwise(function, own, meta=np.int64(1), divisions=None)
    return host(_reductions._total, (parts,), {}, meta=np.int64(1), npartitions=1, label="sum", whole=True)


def _unique_series(parts: pd.Series) -> pd.Series:
    return pd.Series(parts.unique(), dtype=parts.dtype, name=parts.name)


def _choose(own: Any, name: str, cond: Any, other: Any) -> Any:
    meta = getattr(own._meta, name)(_meta.empty(cond), _meta.empty(other))
    try:
        if other is np.nan or isinstance(other, Series) or np.isscalar(other):
            arguments = [cond.expr] + ([] if other is np.nan else _ops.same_expr([other]))
            return own._like(getattr(own._expr, name)(*arguments), meta)
    except (*Unsupported, AttributeError):
        pass
    return own._method(name, cond, other, meta=meta)


def _getitem(partition: Any, key: Any) -> Any:
    return partition[key]


def array_ufunc(function: Any, method: str, inputs: Any, kwargs: Any) -> Any:
    """A NumPy ufunc on collections."""
    if method != "__call__" or kwargs.get("out"):
        return NotImplemented
    for value in inputs:
        if hasattr(value, "__dask_graph__") and not isinstance(value, Collection):
            return NotImplemented
    own = next(value for value in inputs if isinstance(value, Collection))
    inputs = [_ops.lifted(own, value) for value in inputs]
    return blockwise(function, *inputs, label=function.__name__, **kwargs)


@wraps(pd.Index)
@_ops.add_operators
class Index(Series):
    """A lazy pandas Index in partitions."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def index(self) -> Any:
        raise AttributeError("'Index' object has no attribute 'index'")

    def _edge(self, n: int, last: bool, compute: bool) -> Any:
        part = self.partitions[self.npartitions - 1 if last else 0]
        part = blockwise(_index_edge, part, n, last, label="tail" if last else "head", meta=self._meta)
        return part.compute() if compute else part

    def head(self, n: int = 5, npartitions: int = 1, compute: bool = True) -> Any:
        """The first labels of the first partition."""
        return self._edge(n, False, compute)

    def tail(self, n: int = 5, compute: bool = True) -> Any:
        """The last labels of the last partition."""
        return self._edge(n, True, compute)

    def to_frame(self, index: bool = True, name: Any = NO_DEFAULT) -> Any:  # type: ignore[override]
        """A DataFrame of one column."""
        return self._method("to_frame", index=index, name=name)

    def to_series(self, index: Any = None, name: Any = None) -> Any:
        """A Series of the labels."""
        return self._method("to_series", name=name)

    def count(self, split_every: Any = False) -> Any:
        """Number of labels that are not missing."""
        return self.to_series().count()

    def nunique(self, split_every: Any = None, dropna: bool = True) -> Any:
        """Number of different labels."""
        return self.to_series().nunique(dropna=dropna)

    def min(self, axis: Any = 0, skipna: bool = True, **kwargs: Any) -> Any:
        """The smallest label."""
        return self.to_series().min(skipna=skipna)

    def max(self, axis: Any = 0, skipna: bool = True, **kwargs: Any) -> Any:
        """The largest label."""
        return self.to_series().max(skipna=skipna)


@wraps(pd.DataFrame)
@_ops.add_operators
class DataFrame(FrameBase):
    """A lazy pandas DataFrame in partitions.

    Made by readers as :func:`weft.dataframe.read_csv` or by :func:`weft.dataframe.from_pandas`.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3], "y": list("aba")}), npartitions=2)
    >>> df.groupby("y").x.sum().compute().to_dict()
    {'a': 4, 'b': 2}
    """

    __slots__ = ()

    ndim = 2
    merge = _merge.merge_method
    join = _merge.join
    shuffle = _shuffle.shuffle
    sort_values = _sort.sort_values
    set_index = _sort.set_index

    @property
    def columns(self) -> pd.Index:
        """The column labels."""
        return self._meta.columns

    @columns.setter
    def columns(self, labels: Any) -> None:
        renamed = self._relabel(labels)
        self._expr, self._meta_ = renamed._expr, renamed._meta_

    def _relabel(self, labels: Any) -> Any:
        meta = self._meta.copy()
        meta.columns = labels
        return self._native(
            meta,
            lambda: self._expr.rename(list(meta.columns)),
            lambda: self._method("set_axis", meta.columns, axis=1, meta=meta),
        )

    @property
    def dtypes(self) -> pd.Series:
        """The dtype of each column."""
        return self._meta.dtypes

    @property
    def shape(self) -> tuple[Any, int]:
        """The lazy number of rows, and the number of columns."""
        return _reductions.rows(self), len(self._meta.columns)

    @property
    def axes(self) -> list[Any]:
        return [self.index, self.columns]

    @property
    def iloc(self) -> ILoc:
        """Columns by position: ``df.iloc[:, columns]``."""
        return ILoc(self)

    @classmethod
    def from_dict(
        cls,
        data: Any,
        *,
        npartitions: int = 1,
        orient: str = "columns",
        dtype: Any = None,
        columns: Any = None,
    ) -> Any:
        """See :func:`weft.dataframe.from_dict`."""
        from weft.dataframe.io.io import from_dict

        return from_dict(data, npartitions, orient, dtype, columns)

    def keys(self) -> pd.Index:
        """The column labels."""
        return self.columns

    def __contains__(self, label: Any) -> bool:
        return label in self._meta.columns

    def __iter__(self) -> Any:
        return iter(self._meta)

    def items(self) -> Any:
        """Pairs of label and lazy Series."""
        for i, label in enumerate(self.columns):
            yield label, self.iloc[:, i]

    def __dir__(self) -> list[str]:
        names = [c for c in self.columns if isinstance(c, str) and c.isidentifier()]
        return sorted({*super().__dir__(), *names})

    def _ipython_key_completions_(self) -> list[Any]:
        return self.columns.tolist()

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._meta.columns:
            return self[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name) or name in Collection.__slots__:
            object.__setattr__(self, name, value)
        elif name in self._meta.columns:
            self[name] = value
        else:
            raise AttributeError(f"no column {name!r}; new columns are made by df[{name!r}] = …")

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Collection):
            if isinstance(key, DataFrame):
                return self.where(key)
            meta = self._meta
            if key._meta.dtype not in (bool, "boolean", object, "bool[pyarrow]"):
                raise NotImplementedError(
                    f"a lazy Series of {key._meta.dtype} as key: only boolean Series select rows"
                )
            return self._native(
                meta,
                lambda: self._expr.filter(key.expr),
                lambda: blockwise(_getitem, self, key, label="getitem", meta=meta),
            )
        if callable(key):
            return self[key(self)]
        if isinstance(key, slice):
            return self.loc[key]
        if isinstance(key, (np.ndarray, pd.Index, pd.Series)):
            key = list(key)
        meta = self._meta[key]  # Raises the KeyError that pandas raises.
        if isinstance(key, list):
            if key and all(isinstance(k, (bool, np.bool_)) for k in key):
                raise NotImplementedError("a list of booleans as key: use a lazy boolean Series")
            return self._native(
                meta,
                lambda: self._expr.project(key),
                lambda: blockwise(_getitem, self, key, label="getitem", meta=meta),
            )
        if isinstance(meta, pd.Series) and meta.name == key:
            return self._native(
                meta,
                lambda: self._expr.column(key),
                lambda: blockwise(_getitem, self, key, label="getitem", meta=meta),
            )
        return blockwise(_getitem, self, key, label="getitem", meta=meta)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, (list, np.ndarray, pd.Index)):
            if isinstance(value, DataFrame):
                pairs = {k: value[c] for k, c in zip(key, value.columns)}
            else:
                pairs = dict.fromkeys(key, value)
            result = self.assign(**{}, **_text_keys(pairs)) if _all_text(pairs) else _assign(self, pairs)
        elif isinstance(key, Collection):
            if isinstance(key, Series):
                raise NotImplementedError("df[mask] = …: use df.where or df.mask")
            result = self.mask(key, value)
        else:
            result = _assign(self, {key: value})
        self._expr, self._meta_, self._divisions = result._expr, result._meta_, result._divisions

    def __delitem__(self, key: Any) -> None:
        result = self.drop(columns=[key])
        self._expr, self._meta_ = result._expr, result._meta_

    def assign(self, **kwargs: Any) -> Any:
        """Adds or replaces columns; values are Series, scalars, or functions of the frame so far."""
        result = self
        for name, value in kwargs.items():
            result = _assign(
                result,
                {name: value(result) if callable(value) and not isinstance(value, Collection) else value},
            )
        return result

    def drop(self, labels: Any = None, axis: Any = 0, columns: Any = None, errors: str = "raise") -> Any:
        """Without some columns."""
        if columns is None and axis in (1, "columns"):
            columns = labels
        elif columns is None:
            raise NotImplementedError(
                "Drop currently only works for axis=1 or when columns is not None: drop(columns=…)"
            )
        meta = self._meta.drop(columns=columns, errors=errors)
        return self._native(
            meta,
            lambda: self._expr.project(list(meta.columns)),
            lambda: self._method("drop", columns=columns, errors=errors, meta=meta),
        )

    def rename(self, index: Any = None, columns: Any = None) -> Any:
        """Other labels: a dict or function of the columns."""
        if index is not None:
            raise ValueError("Cannot rename index.")
        return self._relabel(self._meta.rename(columns=columns).columns)

    def pop(self, item: Any) -> Any:
        """Takes a column out."""
        series = self[item]
        del self[item]
        return series

    def where(self, cond: Any, other: Any = np.nan) -> Any:
        """Own values where ``cond`` holds, else ``other``."""
        return self._method("where", cond, other)

    def mask(self, cond: Any, other: Any = np.nan) -> Any:
        """``other`` where ``cond`` holds, else own values."""
        return self._method("mask", cond, other)

    def isin(self, values: Any) -> Any:
        """Whether each value is one of ``values``."""
        return self._method("isin", values)

    def count(self, axis: Any = 0, numeric_only: bool = False, split_every: Any = False) -> Any:
        """Number of values that are not missing."""
        return reduction(self, "count", axis, numeric_only=numeric_only)

    def nunique(self, axis: Any = 0, dropna: bool = True, split_every: Any = False) -> Any:
        """Number of different values of each column."""
        if axis in (1, "columns"):
            return self._method("nunique", axis=1, dropna=dropna)
        counts = [_reductions.nunique(self.iloc[:, i], dropna) for i in range(len(self.columns))]
        meta = self._meta.nunique().iloc[:0]
        return host(_as_series, (counts, self.columns), {}, meta=meta, npartitions=1, label="nunique")

    def cov(self, min_periods: Any = None, numeric_only: bool = False, split_every: Any = False) -> Any:
        """Covariances of columns."""
        return _whole.whole(self, "cov", min_periods=min_periods, numeric_only=numeric_only)

    def corr(
        self,
        method: str = "pearson",
        min_periods: Any = None,
        numeric_only: bool = False,
        split_every: Any = False,
    ) -> Any:
        """Correlations of columns."""
        if method != "pearson":
            raise NotImplementedError("Only Pearson correlation has been implemented")
        return _whole.whole(self, "corr", min_periods=min_periods, numeric_only=numeric_only)

    def combine(self, other: Any, func: Any, fill_value: Any = None, overwrite: bool = True) -> Any:
        """A function of columns of two DataFrames."""
        return self._method("combine", other, func, fill_value=fill_value, overwrite=overwrite)

    @property
    def nbytes(self) -> Any:
        raise NotImplementedError("nbytes is not implemented on DataFrame")

    def squeeze(self, axis: Any = None) -> Any:
        """The only column as a Series, or the DataFrame itself."""
        if axis in (0, "index"):
            raise NotImplementedError(f"{type(self)} does not support squeeze along axis 0")
        if axis not in (None, 1, "columns"):
            raise ValueError(f"No axis {axis} for object type {type(self)}")
        return self[self.columns[0]] if len(self.columns) == 1 else self

    def itertuples(self, index: bool = True, name: str | None = "Pandas") -> Any:
        """Rows as named tuples, a partition at a time."""
        for i in range(self.npartitions):
            yield from self.partitions[i].compute().itertuples(index=index, name=name)

    def iterrows(self) -> Any:
        """Pairs of label and row, a partition at a time."""
        for i in range(self.npartitions):
            yield from self.partitions[i].compute().iterrows()

    def pivot_table(self, index: Any, columns: Any, values: Any = None, aggfunc: str = "mean") -> Any:
        """A table of one column's values by two others; see :func:`weft.dataframe.pivot_table`."""
        from weft.dataframe._reshape import pivot_table

        return pivot_table(self, index, columns, values, aggfunc)

    def categorize(self, columns: Any = None, index: Any = None, split_every: Any = None) -> Any:
        """Columns of text as categoricals whose categories are known; reads the data."""
        from weft.dataframe._reshape import categorize

        return categorize(self, columns)

    def groupby(
        self,
        by: Any,
        group_keys: bool = True,
        sort: Any = None,
        observed: Any = None,
        dropna: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Groups of rows.

        Parameters
        ----------
        by : label, Series, list of them or callable
            What rows of a group have in common.
        sort : bool, optional
            Order groups by their keys (the default).
        observed, dropna : bool, optional
            As in pandas.

        Raises
        ------
        KeyError
            If a column does not exist.
        """
        from weft.dataframe._groupby import DataFrameGroupBy

        return DataFrameGroupBy(
            self, by, group_keys=group_keys, sort=sort, observed=observed, dropna=dropna, **kwargs
        )

    def reset_index(self, drop: bool = False) -> Any:
        """The index as a column; each partition counts from zero."""
        return self._method("reset_index", drop=drop, divisions=None)

    def select_dtypes(self, include: Any = None, exclude: Any = None) -> Any:
        """The columns of some dtypes."""
        return self[list(self._meta.select_dtypes(include=include, exclude=exclude).columns)]

    def to_csv(self, filename: Any, **kwargs: Any) -> Any:
        """Writes CSV files; see :func:`weft.dataframe.to_csv`."""
        from weft.dataframe.io.csv import to_csv

        return to_csv(self, filename, **kwargs)

    def info(self, buf: Any = None, verbose: bool = False, memory_usage: bool = False) -> None:
        """Prints the columns."""
        import sys

        out = buf or sys.stdout
        out.write(f"{type(self)}\nColumns: {len(self.columns)} entries")
        if len(self.columns):
            out.write(f", {self.columns[0]} to {self.columns[-1]}")
        counts = ", ".join(f"{dtype}({n})" for dtype, n in self.dtypes.astype(str).value_counts().items())
        out.write(f"\ndtypes: {counts}")

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.compute(), dtype)

    def __array_ufunc__(self, function: Any, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        return array_ufunc(function, method, inputs, kwargs)


def _all_text(pairs: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) for key in pairs)


def _text_keys(pairs: Mapping[Any, Any]) -> dict[str, Any]:
    return dict(pairs)


def _as_series(values: list[Any], labels: Any) -> pd.Series:
    return pd.Series(values, index=labels)


def _assign(own: DataFrame, pairs: Mapping[Any, Any]) -> DataFrame:
    pairs = {label: _ops.lifted(own, value, column=True) for label, value in pairs.items()}
    for label, value in pairs.items():
        if not (isinstance(value, Collection) or np.isscalar(value) or value is None or _is_scalar(value)):
            if isinstance(value, (pd.Series, pd.Index, np.ndarray, list)) or callable(value):
                raise TypeError(
                    f"Column assignment doesn't support type {type(value).__module__}.{type(value).__name__}:"
                    f" {label!r} must be a lazy Series or a scalar"
                )
        if isinstance(value, DataFrame):
            raise ValueError(f"Cannot set a DataFrame with multiple columns to the single column {label}")
    meta = _set_columns(_meta.meta_nonempty(own._meta), _meta.sample(pairs)).iloc[:0]
    try:
        columns = []
        for label, value in pairs.items():
            if not isinstance(value, Series):
                raise NotImplementedError("scalars are assigned by pandas")
            columns.append((label, value.expr))
        return own._like(own._expr.assign(columns), meta)
    except Unsupported:
        return blockwise(_set_columns, own, pairs, label="assign", meta=meta)


def _is_scalar(value: Any) -> bool:
    return pd.api.types.is_scalar(value)


def _set_columns(partition: pd.DataFrame, pairs: Mapping[Any, Any]) -> pd.DataFrame:
    result = partition.copy(deep=False)
    for label, value in pairs.items():
        result[label] = value
    return result


_ops.add_partitionwise(DataFrame, pd.DataFrame, _ops.PARTITIONWISE + _ops.PARTITIONWISE_FRAME)
_ops.add_partitionwise(Series, pd.Series, _ops.PARTITIONWISE + _ops.PARTITIONWISE_SERIES)

__all__ = ["DataFrame", "FrameBase", "Index", "Scalar", "Series", "map_partitions"]
