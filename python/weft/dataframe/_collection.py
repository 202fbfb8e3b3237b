"""The base of all dataframe collections: an expression in Rust and what pandas says it looks like.

A collection is a handle. Its methods ask pandas for the meta of the result, offer the operation
to Rust, and fall back to pandas on each partition where Rust has no kernel for it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weft import threaded
from weft._task_spec import DataNode, Results
from weft._weft import Graph
from weft.base import DaskMethodsMixin, tokenize
from weft.dataframe import _convert, _meta
from weft.dataframe._call import FIRST, Call, funcname
from weft.dataframe._meta import NO_DEFAULT
from weft.dataframe._native import FrameExpr, Unsupported, fields_of, frame_host, frame_memory, lower_many

_CLASSES: list[tuple[Any, type[Collection]]] = []


def wraps(*kinds: Any) -> Callable[[type], type]:
    """Registers the collection class for results whose meta is of ``kinds``."""

    def register(cls: type) -> type:
        _CLASSES.append((kinds, cls))
        return cls

    return register


def class_of(meta: Any) -> type[Collection]:
    """The class of the collections that ``meta`` describes."""
    for kinds, cls in _CLASSES:
        if isinstance(meta, kinds):
            return cls
    from weft.dataframe._scalar import Scalar

    return Scalar


def new_collection(expr: FrameExpr, meta: Any, divisions: Sequence[Any] | None = None) -> Any:
    """The DataFrame, Series, Index or Scalar (by ``meta``) of an expression."""
    return class_of(meta)(expr, meta, divisions)


class Collection(DaskMethodsMixin):
    """A lazy pandas object in partitions."""

    __slots__ = ("_divisions", "_expr", "_meta_")

    def __init__(self, expr: FrameExpr, meta: Any, divisions: Sequence[Any] | None = None) -> None:
        self._expr = expr
        self._meta_ = meta
        if divisions is None or len(divisions) != expr.npartitions + 1:
            divisions = (None,) * (expr.npartitions + 1)
        self._divisions = tuple(divisions)

    #: Higher than that of DataFrame: pandas leaves its operators with a collection to the collection.
    __pandas_priority__ = 5000

    #: What subclasses add: 0 for a single value.
    ndim: Any = 0

    # -- what it is -------------------------------------------------------------------------------

    @property
    def _meta(self) -> Any:
        return self._meta_

    @property
    def expr(self) -> FrameExpr:
        """The expression in Rust."""
        return self._expr

    @property
    def _name(self) -> str:
        return self._expr.name

    @property
    def npartitions(self) -> int:
        """Number of partitions."""
        return self._expr.npartitions

    @property
    def divisions(self) -> tuple[Any, ...]:
        """The lowest index label of each partition and the highest of the last; None where unknown."""
        return self._divisions

    @property
    def known_divisions(self) -> bool:
        """Whether the divisions are known."""
        return len(self._divisions) > 0 and self._divisions[0] is not None

    def explain(self) -> str:
        """The steps of the computation; each says whether it is native or falls back to pandas.

        Returns
        -------
        str

        Examples
        --------
        >>> import pandas as pd, weft.dataframe as dd
        >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=1)
        >>> "native" in (df.x + 1).explain()
        True
        """
        return self._expr.explain()

    def pprint(self) -> None:
        """Prints :meth:`explain`."""
        print(self.explain())

    def analyze(self, filename: str | None = None, format: str | None = None) -> Any:
        """Computes, and draws the steps that ran with the time, rows and bytes of each.

        Needs no cluster and nothing installed beside weft.

        Parameters
        ----------
        filename : str, optional
            Where to write the picture; by default ``analyze-`` and the collection's name.
        format : {'svg', 'png', 'pdf', 'dot'}, optional

        Returns
        -------
        Something that notebooks show, or None for other formats.

        Examples
        --------
        >>> import pandas as pd, weft.dataframe as dd
        >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=2)
        >>> _ = (df.x + 1).sum().analyze("sums.svg")
        """
        from weft.dataframe._analyze import analyze

        return analyze(self, filename, format)

    # -- the collection protocol ------------------------------------------------------------------

    def __dask_graph__(self) -> Any:
        return self._expr.graph()

    @staticmethod
    def __weft_graph__(collections: Sequence[Collection]) -> Any:
        """The graph of several collections: what they read in common is read in one pass."""
        graph, _ = lower_many([collection._expr for collection in collections])
        return graph

    def __dask_keys__(self) -> list[Any]:
        return [(self._name, i) for i in range(self.npartitions)]

    def __dask_layers__(self) -> tuple[str, ...]:
        return (self._name,)

    def __dask_tokenize__(self) -> str:
        return self._name

    @staticmethod
    def __dask_optimize__(graph: Any, keys: Any, **kwargs: Any) -> Any:
        return graph

    @property
    def __dask_scheduler__(self) -> Any:
        return threaded.get

    def __dask_postcompute__(self) -> tuple[Any, tuple[Any, ...]]:
        return finalize, (self._meta, self._expr)

    def __dask_postpersist__(self) -> tuple[Any, tuple[Any, ...]]:
        return rebuild, (self._expr, self._meta, self._divisions)

    def __reduce__(self) -> Any:
        return new_collection, (self._expr, self._meta, self._divisions)

    def __bool__(self) -> bool:
        raise ValueError(f"The truth value of a {type(self).__name__} is ambiguous. Use a.any() or a.all().")

    def copy(self, deep: bool = False) -> Any:
        """The same collection again; as it is immutable data, nothing is copied.

        Raises
        ------
        ValueError
            If a deep copy is asked for.
        """
        if deep is not False:
            raise ValueError(
                "The `deep` value must be False. This is strictly a shallow copy of the collection"
            )
        return new_collection(self._expr, self._meta, self._divisions)

    def optimize(self, fuse: bool = True) -> Any:
        """The collection itself: expressions are optimized when they run."""
        return self

    # -- building ---------------------------------------------------------------------------------

    def _with_divisions(self, divisions: Sequence[Any] | None) -> Any:
        return new_collection(self._expr, self._meta, divisions)

    def _like(self, expr: FrameExpr, meta: Any) -> Any:
        """A result with the same partitions."""
        # Labels that are computed with are other labels.
        divisions = None if isinstance(self._meta, pd.Index) else self._divisions
        return new_collection(expr, meta, divisions)

    def _elemwise(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A function of elements that NumPy has and pandas does not know, on each partition."""
        from weft.dataframe._arrays import as_array, is_block
        from weft.dataframe._ops import lifted

        args = tuple(lifted(self, arg) for arg in args)
        meta = function(*_meta.empty(args), **_meta.empty(kwargs))
        if not is_block(meta):
            return blockwise(function, *args, label=funcname(function), **kwargs)
        parts = blockwise(function, *args, label=funcname(function), meta=object(), divisions=None, **kwargs)
        return as_array(parts, meta)

    def _native(self, meta: Any, make: Callable[[], FrameExpr], fallback: Callable[[], Any]) -> Any:
        """What ``make`` builds in Rust, or ``fallback()`` if Rust has no kernel for it."""
        try:
            return self._like(make(), meta)
        except Unsupported:
            return fallback()

    def _method(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """The method ``name`` of pandas on each partition."""
        from weft.dataframe import _ops

        if name in _ops.ALIGNING:
            args = tuple(_ops.lifted(self, arg) for arg in args)
            kwargs = {
                key: _ops.lifted(self, value) if key != "meta" else value for key, value in kwargs.items()
            }
        return blockwise(MethodCall(name), self, *args, label=name, **kwargs)

    def map_partitions(
        self,
        func: Callable[..., Any],
        *args: Any,
        meta: Any = NO_DEFAULT,
        enforce_metadata: bool = True,
        transform_divisions: bool = True,
        clear_divisions: bool = False,
        align_dataframes: bool = True,
        parent_meta: Any = None,
        required_columns: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Applies a function to each partition.

        Parameters
        ----------
        func : callable
            Gets a pandas object, then ``args`` and ``kwargs``. If it takes an argument
            ``partition_info``, it gets a dict with the partition's ``number`` and ``division``.
        args, kwargs
            Collections among them are taken partition by partition, scalars whole.
        meta : pandas object, dict, (name, dtype) or dtype, optional
            What the function returns; by default found by running it on two made-up rows.
        enforce_metadata : bool
            Check that what the function returns has the columns that ``meta`` says.
        clear_divisions : bool
            Forget the divisions: the function changes the index.

        Raises
        ------
        ValueError
            If the function fails on the made-up rows and no ``meta`` is given.

        Examples
        --------
        >>> import pandas as pd, weft.dataframe as dd
        >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3]}), npartitions=2)
        >>> df.map_partitions(lambda part: part.x + 1).compute().tolist()
        [2, 3, 4]
        """
        return map_partitions(
            func,
            self,
            *args,
            meta=meta,
            enforce_metadata=enforce_metadata,
            clear_divisions=clear_divisions,
            align_dataframes=align_dataframes,
            **kwargs,
        )

    @property
    def partitions(self) -> Any:
        """Some of the partitions: ``df.partitions[0]``, ``df.partitions[2:5]``, ``df.partitions[[1, 3]]``."""
        return _Partitions(self)

    def get_partition(self, n: int) -> Any:
        """One partition.

        Raises
        ------
        ValueError
            If there is no partition ``n``.
        """
        if not 0 <= n < self.npartitions:
            raise ValueError(f"n must be 0 <= n < {self.npartitions}, got {n}")
        return self.partitions[n]

    def to_delayed(self, optimize_graph: bool = True) -> list[Any]:
        """One delayed object for each partition."""
        from weft.delayed import Delayed

        graph = self.__dask_graph__()
        return [Delayed(key, graph) for key in self.__dask_keys__()]


class _Partitions:
    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def __getitem__(self, key: Any) -> Any:
        c = self._collection
        if isinstance(key, tuple):
            raise NotImplementedError("partitions have one axis")
        numbers = list(range(c.npartitions))
        if isinstance(key, slice):
            which = numbers[key]
        elif isinstance(key, Iterable):
            which = (
                [numbers[i] for i in pd.Series(numbers)[list(key)]]
                if not _bools(key)
                else [i for i, keep in zip(numbers, key) if keep]
            )
        else:
            which = [numbers[key]]
        divisions = [c.divisions[i] for i in which] + [c.divisions[which[-1] + 1] if which else None]
        if which != sorted(set(which)):
            divisions = [None] * len(divisions)
        return new_collection(c._expr.partitions(which), c._meta, divisions)

    def __len__(self) -> int:
        return self._collection.npartitions

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))


def _bools(values: Iterable[Any]) -> bool:
    return all(isinstance(value, bool) for value in values)


def finalize(results: Any, meta: Any, expr: Any = None) -> Any:
    """One pandas object of a collection's partitions."""
    results = list(results)
    if expr is not None:
        tell_promotions(expr)
    if not _meta.is_pandas(meta):
        return results[0] if len(results) == 1 else results
    if results and not _meta.is_pandas(results[0]):
        return _of_values(results, meta)
    parts = [part for part in results if len(part)] or results[:1]
    if not parts:
        return meta
    if len(parts) == 1:
        whole = parts[0]
    elif isinstance(parts[0], pd.Index):
        whole = parts[0].append(parts[1:])
    else:
        whole = concat(parts)
    if (
        isinstance(meta, pd.DataFrame)
        and isinstance(whole, pd.DataFrame)
        and whole.columns.equals(meta.columns)
    ):
        whole.columns = meta.columns
    return whole


def _of_values(results: list[Any], meta: Any) -> Any:
    """Partitions that are no pandas objects: single values are the rows of a Series."""
    if all(pd.api.types.is_scalar(value) for value in results):
        return pd.Series(results, name=getattr(meta, "name", None))
    return results[0] if len(results) == 1 else results


def concat(parts: list[Any], join: Any = "outer") -> Any:
    """pandas' concat, with categories united."""
    if isinstance(parts[0], pd.Index):
        return parts[0].append(parts[1:])
    first = parts[0]
    dtypes = first.dtypes if isinstance(first, pd.DataFrame) else pd.Series([first.dtype])
    if any(isinstance(dtype, pd.CategoricalDtype) for dtype in dtypes):
        from pandas.api.types import union_categoricals

        parts = [part.copy(deep=False) for part in parts]
        if isinstance(first, pd.DataFrame):
            for label in first.columns[[isinstance(dtype, pd.CategoricalDtype) for dtype in dtypes]]:
                united = union_categoricals([part[label] for part in parts], ignore_order=True)
                for part in parts:
                    part[label] = part[label].cat.set_categories(united.categories)
        else:
            united = union_categoricals(parts, ignore_order=True)
            parts = [part.cat.set_categories(united.categories) for part in parts]
    return pd.concat(parts, join=join)


def rebuild(graph: Any, expr: FrameExpr, meta: Any, divisions: Sequence[Any], rename: Any = None) -> Any:
    """The collection over the values that ``persist`` computed, or, over a mere graph, itself."""
    keys = [(expr.name, i) for i in range(expr.npartitions)]
    if not isinstance(graph, Results):
        if type(graph) is dict and keys and all(_is_future(graph.get(key)) for key in keys):
            return held({key: graph[key] for key in keys}, expr.name, "persist", meta, divisions)
        return new_collection(expr, meta, divisions)
    parts = [graph[key] for key in keys]
    tell_promotions(expr)
    try:
        if not _meta.is_pandas(meta) or isinstance(meta, pd.Index):
            raise _convert.Inexact("neither DataFrame nor Series")
        return new_collection(frame_memory("persist", expr.name, parts), meta, divisions)
    except _convert.Inexact:
        return held_parts(parts, expr.name, "persist", meta, divisions)


def _is_future(value: Any) -> bool:
    futures = sys.modules.get("weft.distributed._future")
    return futures is not None and isinstance(value, futures.Future)


def held_parts(parts: Sequence[Any], token: str, label: str, meta: Any, divisions: Sequence[Any]) -> Any:
    """A collection over partitions in memory that have no exact form as frames."""
    keys = [(f"{label}-part-{token}", i) for i in range(len(parts))]
    return held(dict(zip(keys, map(DataNode, keys, parts))), token, label, meta, divisions)


def held(values: dict[Any, Any], token: str, label: str, meta: Any, divisions: Sequence[Any]) -> Any:
    """A collection over values at hand, or over futures of them, by key. Each goes where its task runs, and only there."""
    kind, fields = fields_of(meta)
    expr = frame_host(
        label,
        token,
        None,
        [],
        len(values),
        kind,
        fields,
        whole=False,
        fallback=False,
        writes=False,
        tasks=(Graph(values), list(values)),
    )
    return new_collection(expr, meta, divisions)


# -- steps of Python ------------------------------------------------------------------------------


class MethodCall:
    """A method of pandas, by name."""

    def __init__(self, name: str) -> None:
        self.name = self.__name__ = name

    def __call__(self, partition: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(partition, self.name)(*args, **kwargs)

    def __dask_tokenize__(self) -> Any:
        return MethodCall, self.name

    def __reduce__(self) -> Any:
        return MethodCall, (self.name,)


class NamedCall:
    """``call`` whose result, if it is a Series, has a name that the user gave."""

    def __init__(self, call: Any, name: Any) -> None:
        self.call, self.name = call, name
        self.__name__ = call.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.call(*args, **kwargs)
        return result.rename(self.name) if isinstance(result, pd.Series) else result

    def __dask_tokenize__(self) -> Any:
        return NamedCall, self.call, self.name


class Property:
    """An attribute of pandas, by its dotted path."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.__name__ = path.replace(".", "-")

    def __call__(self, partition: Any, *args: Any, **kwargs: Any) -> Any:
        for name in self.path.split("."):
            partition = getattr(partition, name)
        return partition(*args, **kwargs) if args or kwargs or callable(partition) else partition

    def __dask_tokenize__(self) -> Any:
        return Property, self.path

    def __reduce__(self) -> Any:
        return Property, (self.path,)


def host(
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    *,
    meta: Any,
    npartitions: int,
    label: str,
    whole: bool = False,
    divisions: Sequence[Any] | None = None,
    enforce: bool = False,
    fallback: bool = True,
    numbered: Any = None,
    lists: list[list[int]] | None = None,
    tasks: tuple[Any, list[Any]] | None = None,
) -> Any:
    """A step of Python that makes ``npartitions`` partitions.

    ``whole``: the function gets each collection as the list of all its partitions.
    ``lists``: partition ``i`` gets its one collection as the list of the partitions ``lists[i]``.
    ``numbered``: what the function gets as ``partition_info`` for each partition.
    ``tasks``: a graph (or a collection of another kind) and keys; partition ``i`` gets the value of the
    ``i``-th key as its first argument, and there are no collections among the others.
    """
    found = None
    if tasks is not None:
        graph = tasks[0]
        if hasattr(graph, "__dask_graph__"):
            graph = graph.__dask_graph__()
        found = (graph if isinstance(graph, Graph) else Graph(graph), list(tasks[1]))
        args = (FIRST, *args)
    call = Call(
        func,
        args,
        kwargs,
        meta=meta if enforce else None,
        whole=whole,
        listed=lists is not None,
        numbered=numbered,
    )
    keys = None if found is None else found[1]
    token = tokenize(
        func, args, kwargs, whole, enforce, npartitions, meta if enforce else None, numbered, keys
    )
    kind, fields = fields_of(meta)
    expr = frame_host(
        label,
        token,
        call,
        call.inputs,
        npartitions,
        kind,
        fields,
        whole=whole,
        fallback=fallback,
        writes=enforce,
        lists=lists,
        tasks=found,
    )
    return new_collection(expr, meta, divisions)


def blockwise(
    func: Callable[..., Any],
    *args: Any,
    label: str | None = None,
    meta: Any = NO_DEFAULT,
    divisions: Any = NO_DEFAULT,
    enforce: bool = False,
    **kwargs: Any,
) -> Any:
    """``func`` on each partition of the collections among the arguments: the general fallback."""
    if meta is NO_DEFAULT:
        meta = _meta.infer(func, args, kwargs)
    args, kwargs = align_arguments(args, kwargs)
    npartitions, common = aligned([*args, *kwargs.values()])
    return host(
        func,
        args,
        kwargs,
        meta=meta,
        npartitions=npartitions,
        label=label or funcname(func),
        divisions=_kept(args, meta, common) if divisions is NO_DEFAULT else divisions,
        enforce=enforce,
    )


def _kept(args: Sequence[Any], meta: Any, divisions: Any) -> Any:
    """The divisions of a step, unless it makes labels of labels."""
    computed = isinstance(meta, pd.Index) and any(
        isinstance(arg, Collection) and isinstance(arg._meta, pd.Index) for arg in args
    )
    return None if computed else divisions


def align_arguments(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments, their collections with the same partitions where divisions tell how."""
    from weft.dataframe._repartition import align
    from weft.dataframe._scalar import Scalar

    values = [*args, *kwargs.values()]
    frames = [v for v in Call.collections(values) if not isinstance(v, Scalar)]
    if len({frame.divisions for frame in frames}) < 2 or not all(f.known_divisions for f in frames):
        return args, kwargs
    moved = {id(old): new for old, new in zip(frames, align(frames))}

    def swap(value: Any) -> Any:
        if isinstance(value, Collection):
            return moved.get(id(value), value)
        if type(value) in (list, tuple):
            return type(value)(swap(part) for part in value)
        if type(value) is dict:
            return {key: swap(part) for key, part in value.items()}
        return value

    return [swap(arg) for arg in args], {name: swap(arg) for name, arg in kwargs.items()}


def aligned(values: Iterable[Any]) -> tuple[int, tuple[Any, ...]]:
    """Number and divisions of the partitions of all collections in ``values``.

    Raises
    ------
    ValueError
        If the partitions do not belong together.
    """
    from weft.dataframe._scalar import Scalar

    frames = [v for v in Call.collections(values) if not isinstance(v, Scalar)]
    if not frames:
        return 1, (None, None)
    many = [frame for frame in frames if frame.npartitions > 1] or frames[:1]
    if any(
        f.known_divisions != many[0].known_divisions and f.known_divisions
        for f in frames
        if f.npartitions == 1
    ):
        raise ValueError(
            "Not all divisions are known, can't align partitions. Please use `set_index` to set the index."
        )
    npartitions = many[0].npartitions
    known = [frame.divisions for frame in many if frame.known_divisions]
    if any(frame.npartitions != npartitions for frame in many) or any(d != known[0] for d in known):
        counts = ", ".join(str(frame.npartitions) for frame in frames)
        raise ValueError(
            "Not all divisions are known, can't align partitions. Please use `set_index` to set the index. "
            f"The operands have {counts} partitions."
        )
    return npartitions, known[0] if known else many[0].divisions


def map_partitions(
    func: Callable[..., Any],
    *args: Any,
    meta: Any = NO_DEFAULT,
    enforce_metadata: bool = True,
    transform_divisions: bool = True,
    clear_divisions: bool = False,
    align_dataframes: bool = True,
    parent_meta: Any = None,
    required_columns: Any = None,
    **kwargs: Any,
) -> Any:
    """Applies a function to the partitions of one or several collections.

    See :meth:`weft.dataframe.DataFrame.map_partitions`.
    """
    import inspect

    from weft.dataframe._arrays import as_array, is_block

    name = kwargs.pop("token", None) or funcname(func)
    if align_dataframes:
        args, kwargs = align_arguments(args, kwargs)
    npartitions, divisions = aligned([*args, *kwargs.values()])
    numbered = None
    try:
        wants_info = "partition_info" in inspect.signature(func).parameters
    except (TypeError, ValueError):
        wants_info = False
    extra: dict[str, Any] = {}
    if wants_info and "partition_info" not in kwargs:
        numbered = [{"number": i, "division": divisions[i]} for i in range(npartitions)]
        extra["partition_info"] = {"number": 0, "division": None}
    if meta is NO_DEFAULT or meta is None:
        meta = _meta.infer_user(func, args, {**kwargs, **extra}, name)
        if not _meta.is_pandas(meta) and npartitions > 1 and not hasattr(meta, "_meta"):
            meta = _meta.make_meta((None, _dtype_of(meta))) if _plain(meta) or meta is None else meta
    else:
        index = next((v._meta.index for v in args if hasattr(v, "_meta") and hasattr(v._meta, "index")), None)
        meta = _meta.make_meta(meta, index=index)
    frame = _meta.is_pandas(meta)
    if is_block(meta) and meta.ndim:
        return as_array(
            host(func, args, kwargs, meta=object(), npartitions=npartitions, label=name, numbered=numbered),
            meta,
        )
    return host(
        func,
        args,
        kwargs,
        meta=meta,
        npartitions=npartitions,
        label=name,
        divisions=None if clear_divisions or not frame else divisions,
        enforce=enforce_metadata,
        numbered=numbered,
    )


def _dtype_of(value: Any) -> Any:
    """The dtype of a Series of values such as this."""
    if isinstance(value, np.generic):
        return value.dtype
    return type(value) if isinstance(value, (bool, int, float, str)) else object


def _plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str, type, np.generic))


def finalize_scalar(results: Any, expr: Any = None) -> Any:
    """The value of a scalar collection."""
    [value] = list(results)
    if expr is not None:
        tell_promotions(expr)
    return value


#: Columns and files whose promotion has been told.
_told: set[tuple[Any, str]] = set()


def tell_promotions(expr: FrameExpr) -> None:
    """Warns, once for each column and set of files, of columns that needed another dtype than planned."""
    found: dict[Any, list[Any]] = {}
    for path, partition, label, before, after in expr.take_promotions():
        found.setdefault(label, []).append((path, partition, before, after))
    for label, places in found.items():
        keys = {(label, path) for path, *_ in places}
        if not keys & _told:
            path, partition, before, after = min(places)
            warnings.warn(
                f"Column {label!r} was read as {after}, not {before}: {path} has other values in partition "
                f"{partition} than at its head. The result is what pandas reads. To say what you expect, pass "
                f"dtype={{{label!r}: {after!r}}}, or assume_missing=True for all integer columns.",
                stacklevel=4,
            )
        _told.update(keys)
