"""Bags: collections of Python objects in partitions."""

from __future__ import annotations

import io
import itertools
import math
import operator
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, wraps
from random import Random
from typing import Any

from fsspec.core import open_files

from weft import threaded
from weft._weft import DelayedCore, Graph, bag_base, bag_explicit, bag_find, bag_graph, bag_layer, fuse_bags
from weft.bag import _native, _shuffle, _steps, chunk
from weft.bag._steps import (
    chunk_distinct,
    dictitems,
    empty_safe_aggregate,
    empty_safe_apply,
    merge_distinct,
    merge_frequencies,
    no_default,
    no_result,
    random_sample,
    safe_take,
    split,
)
from weft.bag._steps import finish as reify
from weft.base import DaskMethodsMixin, dont_optimize, replace_name_in_key, tokenize
from weft.context import globalmethod
from weft.core import flatten
from weft.delayed import Delayed, delayed, unpack_collections
from weft.utils import (
    apply,
    ensure_bytes,
    ensure_unicode,
    funcname,
    iter_chunks,
    takes_multiple_arguments,
)

__all__ = [
    "Bag",
    "Item",
    "StringAccessor",
    "bag_map",
    "bag_range",
    "bag_zip",
    "chunk_distinct",
    "concat",
    "dictitems",
    "empty_safe_aggregate",
    "empty_safe_apply",
    "finalize",
    "finalize_item",
    "from_delayed",
    "from_sequence",
    "from_url",
    "groupby_disk",
    "groupby_tasks",
    "map_partitions",
    "merge_distinct",
    "merge_frequencies",
    "no_result",
    "optimize",
    "random_sample",
    "random_state_data_python",
    "reify",
    "repartition_npartitions",
    "repartition_size",
    "safe_take",
    "split",
    "to_dataframe",
    "to_textfiles",
    "total_mem_usage",
]

#: The encoding of files where none is given.
SYSTEM_ENCODING = "utf-8"

DEFAULT_GET = threaded.get


def optimize(dsk, keys, fuse_keys=None, **kwargs):
    """Joins the steps that only hand partitions on: one task, and one pass, for each partition."""
    return fuse_bags(dsk, [*flatten(keys), *(fuse_keys or ())])


def finalize(results):
    """The partitions of a bag as one list."""
    if not results:
        return results
    if isinstance(results, Iterator):
        results = list(results)
    if isinstance(results[0], Iterable) and not isinstance(results[0], str):
        return list(itertools.chain.from_iterable(results))
    return list(results)


def finalize_item(results):
    """The only value."""
    return results[0]


def _operand(value: Any) -> tuple[str, Any]:
    """How a task gets an argument: ("constant", it), ("bag", what to read) or ("value", what to read)."""
    if isinstance(value, Bag):
        return "bag", (value._view, "same")
    if isinstance(value, Item):
        return "value", value._read
    if type(value) in (int, float, str, bool, bytes, type(None)):
        return "constant", value
    if not isinstance(value, DelayedCore):
        _, collections = unpack_collections(value)
        if not collections:
            return "constant", value
        value = delayed(value)
    return "value", _read_key(value.__dask_graph__(), value.key)


def _read_key(graph: Any, key: Any) -> tuple[Any, str, int]:
    layers, found = bag_find(graph, [key])
    return layers[0], "at", found[0][1]


def _operands(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[str], list[Any], list[Any]]:
    """For arguments and keywords: their kinds, what is constant, what tasks read."""
    kinds: list[str] = []
    constants: list[Any] = []
    reads: list[Any] = []
    for value in itertools.chain(args, kwargs.values()):
        kind, operand = _operand(value)
        kinds.append(kind)
        (constants if kind == "constant" else reads).append(operand)
    return kinds, constants, reads


def _bags(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Bag], int, type[Bag]]:
    """The bags among arguments, how many partitions they have, and the class of what becomes of them."""
    bags = [value for value in itertools.chain(args, kwargs.values()) if isinstance(value, Bag)]
    if not bags:
        raise ValueError("At least one argument must be a Bag.")
    if len({bag.npartitions for bag in bags}) > 1:
        raise ValueError("All bags must have the same number of partitions.")
    classes = {type(bag) for bag in bags}
    return bags, bags[0].npartitions, classes.pop() if len(classes) == 1 else Bag


class StringAccessor:
    """The methods of `str`, on each element of a bag.

    Examples
    --------
    >>> import weft.bag as db
    >>> b = db.from_sequence(["Alice Smith", "Bob Jones", "Charlie Smith"])
    >>> list(b.str.lower())
    ['alice smith', 'bob jones', 'charlie smith']
    >>> list(b.str.match("*Smith"))
    ['Alice Smith', 'Charlie Smith']
    >>> list(b.str.split(" "))
    [['Alice', 'Smith'], ['Bob', 'Jones'], ['Charlie', 'Smith']]
    """

    def __init__(self, bag: Bag) -> None:
        self._bag = bag

    def __dir__(self):
        return sorted({*dir(type(self)), *dir(str)})

    def _strmap(self, key, *args, **kwargs):
        return self._bag.map(operator.methodcaller(key, *args, **kwargs))

    def __getattr__(self, key):
        method = getattr(str, key, None)
        if key.startswith("__") or method is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")

        def on_elements(*args, **kwargs):
            return self._strmap(key, *args, **kwargs)

        on_elements.__doc__ = method.__doc__
        return on_elements

    def match(self, pattern):
        """Elements that match a pattern with ``*``, ``?`` and ``[…]``, as in `fnmatch.fnmatch`.

        Examples
        --------
        >>> import weft.bag as db
        >>> list(db.from_sequence(["Alice Smith", "Bob Jones"]).str.match("*Smith"))
        ['Alice Smith']
        """
        from fnmatch import fnmatch

        return self._bag.filter(partial(fnmatch, pat=pattern))


class Item(DaskMethodsMixin):
    """One value that will be computed: what reductions of a bag give.

    Parameters
    ----------
    dsk : mapping
        A graph.
    key : str or tuple
        The value's key in it.
    layer : str, optional
        The layer that has the key, if it is called otherwise.
    """

    def __init__(self, dsk, key, layer=None):
        self.dask = dsk
        self.key = key
        self.name = key
        self._layer = layer or key
        layers = getattr(dsk, "layers", None)
        if layers is not None and not isinstance(dsk, Graph) and self._layer not in layers:
            raise ValueError(f"Layer {self._layer} not in the HighLevelGraph's layers: {list(layers)}")

    def __dask_graph__(self):
        return self.dask

    def __dask_keys__(self):
        return [self.key]

    def __dask_layers__(self):
        return (self._layer,)

    def __dask_tokenize__(self):
        return self.key

    __dask_optimize__ = globalmethod(optimize, key="bag_optimize", falsey=dont_optimize)
    __dask_scheduler__ = staticmethod(DEFAULT_GET)

    def __dask_postcompute__(self):
        return finalize_item, ()

    def __dask_postpersist__(self):
        return self._rebuild, ()

    def _rebuild(self, dsk, *, rename=None):
        key = replace_name_in_key(self.key, rename) if rename else self.key
        return Item(dsk, key)

    @property
    def _read(self) -> Any:
        return _read_key(self.dask, self.key)

    @staticmethod
    def from_delayed(value):
        """An item from a delayed value.

        Examples
        --------
        >>> import weft, weft.bag as db
        >>> db.Item.from_delayed(weft.delayed(sum)([1, 2])).compute()
        3
        """
        if not isinstance(value, Delayed) and hasattr(value, "key"):
            value = delayed(value)
        if not isinstance(value, Delayed):
            raise TypeError(f"Item.from_delayed needs a delayed value, got {type(value).__name__}")
        return Item(value.dask, value.key, layer=value.__dask_layers__()[0])

    @property
    def _args(self):
        return (self.dask, self.key)

    def __getstate__(self):
        return self._args

    def __setstate__(self, state):
        self.__init__(*state)

    def apply(self, func):
        """A function of this value, lazily.

        Examples
        --------
        >>> import weft.bag as db
        >>> db.from_sequence([1, 2, 3]).sum().apply(str).compute()
        '6'
        """
        name = f"{funcname(func)}-{tokenize(self, func, 'apply')}"
        layer = bag_layer(name, None, func, [self._read], label=funcname(func), lazy=False)
        return Item(bag_graph([layer]), name)

    __int__ = __float__ = __complex__ = __bool__ = DaskMethodsMixin.compute

    def to_delayed(self, optimize_graph=True):
        """The value as `weft.delayed` value.

        Parameters
        ----------
        optimize_graph : bool
            Whether to optimize the graph first.
        """
        graph = self.__dask_graph__()
        if optimize_graph:
            graph = self.__dask_optimize__(graph, self.__dask_keys__())
        return Delayed(self.key, graph)


class Bag(DaskMethodsMixin):
    """A collection of Python objects in partitions, in no order that counts.

    Steps are lazy. Those that follow each other on a partition run as one task, in which each element goes
    through all of them before the next one is read.

    Parameters
    ----------
    dsk : mapping
        A graph with the keys ``(name, 0)``, ``(name, 1)``, …
    name : str
    npartitions : int

    Examples
    --------
    >>> import weft.bag as db
    >>> b = db.from_sequence(range(5))
    >>> list(b.filter(lambda x: x % 2 == 0).map(lambda x: x * 10))
    [0, 20, 40]

    From a graph:

    >>> graph = {("x", 0): (range, 5), ("x", 1): (range, 5)}
    >>> int(db.Bag(graph, "x", npartitions=2).fold(lambda x, y: x + y))
    20
    """

    def __init__(self, dsk, name, npartitions):
        self.dask = Graph(dsk) if type(dsk) is dict else dsk
        self.name = name
        self.npartitions = npartitions
        self._base = None

    @classmethod
    def _of(cls, layer: Any, npartitions: int) -> Bag:
        bag = cls(bag_graph([layer]), layer.name, npartitions)
        bag._base = layer
        return bag

    @property
    def _view(self) -> Any:
        """The layer whose task ``i`` is partition ``i``."""
        if self._base is None:
            self._base = bag_base(self.dask, self.name, self.npartitions)
        return self._base

    def _step(
        self,
        name: Any,
        func: Callable[..., Any],
        *reads: Any,
        label: Any,
        lazy: bool = True,
        indexed: bool = False,
    ) -> Bag:
        """A bag whose partitions are a function of this one's and of what else is read."""
        inputs = [*(["index"] if indexed else []), (self._view, "same"), *reads]
        return type(self)._of(
            bag_layer(name, self.npartitions, func, inputs, label=label, lazy=lazy), self.npartitions
        )

    def __dask_graph__(self):
        return self.dask

    def __dask_keys__(self):
        return [(self.name, i) for i in range(self.npartitions)]

    def __dask_layers__(self):
        return (self.name,)

    def __dask_tokenize__(self):
        return self.name

    __dask_optimize__ = globalmethod(optimize, key="bag_optimize", falsey=dont_optimize)
    __dask_scheduler__ = staticmethod(DEFAULT_GET)

    def __dask_postcompute__(self):
        return finalize, ()

    def __dask_postpersist__(self):
        return self._rebuild, ()

    def _rebuild(self, dsk, *, rename=None):
        name = rename.get(self.name, self.name) if rename else self.name
        return type(self)(dsk, name, self.npartitions)

    def __str__(self):
        from weft.utils import key_split

        return f"weft.bag<{key_split(self.name)}, npartitions={self.npartitions}>"

    __repr__ = __str__

    str = property(fget=StringAccessor)

    @property
    def _args(self):
        return (self.dask, self.name, self.npartitions)

    def __getstate__(self):
        return self._args

    def __setstate__(self, state):
        self.__init__(*state)

    def __iter__(self):
        return iter(self.compute())

    def map(self, func, *args, **kwargs):
        """A function of each element, and of elements of other bags.

        Parameters
        ----------
        func : callable
        *args, **kwargs : Bag, Item, Delayed or object
            More arguments, after the element. Bags are gone through in step and must have partitions of
            the same lengths; other values are the same for all elements.

        Returns
        -------
        Bag

        Raises
        ------
        ValueError
            If bags have different numbers of partitions; when computed, if partitions have different lengths.

        Examples
        --------
        >>> import weft.bag as db
        >>> from operator import add
        >>> b = db.from_sequence(range(5), npartitions=2)
        >>> b.map(add, 10).compute()
        [10, 11, 12, 13, 14]
        >>> b.map(add, b).compute()
        [0, 2, 4, 6, 8]
        >>> b.map(lambda x, y=0: x + y, y=b.max()).compute()
        [4, 5, 6, 7, 8]
        """
        return bag_map(func, self, *args, **kwargs)

    def starmap(self, func, **kwargs):
        """A function of the items of each element.

        Parameters
        ----------
        func : callable
        **kwargs : Item, Delayed or object
            Keywords that are the same for all elements.

        Examples
        --------
        >>> import weft.bag as db
        >>> from operator import add
        >>> db.from_sequence([(1, 2), (3, 4)]).starmap(add).compute()
        [3, 7]
        """
        label = funcname(func)
        name = f"{label}-{tokenize(self, func, 'starmap', **kwargs)}"
        if not kwargs:
            return self._step(name, _steps.Starmap(func), label=label)
        kind, operand = _operand(kwargs)
        if kind == "constant":
            return self._step(name, _steps.Starmap(partial(func, **kwargs)), label=label)
        return self._step(name, _steps.Starmap(func), operand, label=label)

    def filter(self, predicate):
        """Elements for which a predicate holds.

        Examples
        --------
        >>> import weft.bag as db
        >>> list(db.from_sequence(range(5)).filter(lambda x: x % 2 == 0))
        [0, 2, 4]
        """
        name = f"filter-{funcname(predicate)}-{tokenize(self, predicate)}"
        return self._step(name, _steps.Filter(predicate), label="filter")

    def remove(self, predicate):
        """Elements for which a predicate does not hold.

        Examples
        --------
        >>> import weft.bag as db
        >>> list(db.from_sequence(range(5)).remove(lambda x: x % 2 == 0))
        [1, 3]
        """
        name = f"remove-{funcname(predicate)}-{tokenize(self, predicate)}"
        return self._step(name, _steps.Remove(predicate), label="remove")

    def random_sample(self, prob, random_state=None):
        """Each element with some probability.

        Parameters
        ----------
        prob : float
            From 0 to 1.
        random_state : int or random.Random, optional
            Makes the choice repeatable.

        Raises
        ------
        ValueError
            If ``prob`` is no probability.

        Examples
        --------
        >>> import weft.bag as db
        >>> b = db.from_sequence(range(10)).random_sample(0.5, 43)
        >>> b.compute() == b.compute()
        True
        """
        if not 0 <= prob <= 1:
            raise ValueError("prob must be a number in the interval [0, 1]")
        if not isinstance(random_state, Random):
            random_state = Random(random_state)
        name = f"random-sample-{tokenize(self, prob, random_state.getstate())}"
        states = random_state_data_python(self.npartitions, random_state)
        return self._step(name, _steps.Sample(states, prob), label="random-sample", indexed=True)

    def map_partitions(self, func, *args, **kwargs):
        """A function of each partition; see `weft.bag.map_partitions`.

        Examples
        --------
        >>> import weft.bag as db
        >>> b = db.from_sequence(range(1, 101), npartitions=10)
        >>> b.map_partitions(lambda part, by: [x / by for x in part], by=b.max()).take(2)
        (0.01, 0.02)
        """
        return map_partitions(func, self, *args, **kwargs)

    def pluck(self, key, default=no_default):
        """One item of each element.

        Parameters
        ----------
        key : object or list
            What elements are indexed with; a list gives tuples.
        default : optional
            What to give for elements without such an item.

        Examples
        --------
        >>> import weft.bag as db
        >>> b = db.from_sequence([{"name": "Alice", "credits": [1, 2]}, {"name": "Bob", "credits": [10]}])
        >>> list(b.pluck("name"))
        ['Alice', 'Bob']
        >>> list(b.pluck("credits").pluck(1, default=None))
        [2, None]
        """
        name = f"pluck-{tokenize(self, key, default)}"
        return self._step(name, _steps.Pluck(key, default), label="pluck")

    def unzip(self, n):
        """``n`` bags of the items of tuples.

        Examples
        --------
        >>> import weft.bag as db
        >>> first, second = db.from_sequence([(1, "a"), (2, "b")]).unzip(2)
        >>> second.compute()
        ['a', 'b']
        """
        return tuple(self.pluck(i) for i in range(n))

    def to_avro(
        self,
        filename,
        schema,
        name_function=None,
        storage_options=None,
        codec="null",
        sync_interval=16000,
        metadata=None,
        compute=True,
        **kwargs,
    ):
        """Writes records to Avro files, one for each partition; see `weft.bag.avro.to_avro`."""
        from weft.bag.avro import to_avro

        return to_avro(
            self,
            filename,
            schema,
            name_function,
            storage_options,
            codec,
            sync_interval,
            metadata,
            compute,
            **kwargs,
        )

    def fold(self, binop, combine=None, initial=no_default, split_every=None, out_type=Item):
        """A reduction by a binary operator, partition by partition and then of their results.

        Parameters
        ----------
        binop : callable
            Takes a total and an element.
        combine : callable, optional
            Takes two totals; by default ``binop``.
        initial : optional
            The total before the first element of a partition.
        split_every : int or False, optional
            How many results are combined at once, 8 by default.
        out_type : {Bag, Item}

        Examples
        --------
        >>> import weft.bag as db
        >>> b = db.from_sequence(range(5))
        >>> b.fold(lambda x, y: x + y).compute()
        10
        >>> b.fold(lambda seen, x: seen | {x}, set.union, initial=set()).compute()
        {0, 1, 2, 3, 4}
        """
        return self.reduction(
            _steps.Reduce(binop, initial),
            _steps.Reduce(combine or binop, no_default),
            split_every=split_every,
            out_type=out_type,
            name="fold",
        )

    def frequencies(self, split_every=None, sort=False):
        """How often each element occurs, as pairs.

        Parameters
        ----------
        split_every : int or False, optional
        sort : bool
            Whether the most frequent come first.

        Examples
        --------
        >>> import weft.bag as db
        >>> dict(db.from_sequence(["Alice", "Bob", "Alice"]).frequencies())
        {'Alice': 2, 'Bob': 1}
        """
        result = self.reduction(
            _steps.frequencies, merge_frequencies, out_type=Bag, split_every=split_every, name="frequencies"
        ).map_partitions(dictitems)
        if sort:
            result = result.map_partitions(sorted, key=operator.itemgetter(1), reverse=True)
        return result

    def topk(self, k, key=None, split_every=None):
        """The ``k`` largest elements, largest first.

        Parameters
        ----------
        k : int
        key : callable or object, optional
            Largest by what: a function of elements (of their items, if it takes several arguments), or an item.

        Examples
        --------
        >>> import weft.bag as db
        >>> b = db.from_sequence([10, 3, 5, 7, 11, 4])
        >>> list(b.topk(2))
        [11, 10]
        >>> list(b.topk(2, lambda x: -x))
        [3, 4]
        """
        if not key and key != 0:
            key = None
        elif callable(key) and takes_multiple_arguments(key):
            key = partial(apply, key)
        return self.reduction(
            _steps.TopK(k, key),
            _steps.TopKOfAll(k, key),
            out_type=Bag,
            split_every=split_every,
            name="topk",
        )

    def distinct(self, key=None):
        """The first element of each kind.

        Parameters
        ----------
        key : callable or str, optional
            What makes elements alike: a function of them, or an item.

        Examples
        --------
        >>> import weft.bag as db
        >>> sorted(db.from_sequence(["Alice", "Bob", "Alice"]).distinct())
        ['Alice', 'Bob']
        >>> db.from_sequence([{"a": 1, "b": 1}, {"a": 1, "b": 2}]).distinct(key="a").compute()
        [{'a': 1, 'b': 1}]
        """
        part = chunk_distinct if key is None else partial(chunk_distinct, key=key)
        merge = merge_distinct if key is None else partial(merge_distinct, key=key)
        return self.reduction(part, merge, out_type=Bag, name="distinct")

    def reduction(self, perpartition, aggregate, split_every=None, out_type=Item, name=None):
        """A function of each partition, and of lists of their results until one is left.

        Parameters
        ----------
        perpartition : callable
            Takes an iterable of elements.
        aggregate : callable
            Takes an iterable of results. Empty partitions have none.
        split_every : int or False, optional
            How many results are aggregated at once, 8 by default; ``False``: all of them.
        out_type : {Bag, Item}
            What the last result is: the value of an item, or the one partition of a bag.
        name : str, optional

        Examples
        --------
        >>> import weft.bag as db
        >>> db.from_sequence(range(10)).reduction(sum, sum).compute()
        45
        """
        if split_every is None:
            split_every = 8
        if split_every is False:
            split_every = self.npartitions
        if split_every < 2 < self.npartitions:
            raise ValueError(f"split_every must be at least 2 for results to become fewer, got {split_every}")
        token = tokenize(self, perpartition, aggregate, split_every)
        first, last = name or funcname(perpartition), name or funcname(aggregate)
        part = _steps.Partial(perpartition, self.npartitions == 1)
        layer = self._step(f"{first}-part-{token}", part, label=first)._view
        return self._tree(
            layer,
            split_every,
            f"{last}-aggregate-{token}",
            partial(_steps.Aggregate, aggregate),
            last,
            out_type,
        )

    def _tree(self, layer: Any, split_every: int, name: Any, step: Any, label: Any, out_type: Any) -> Any:
        """Brings results together, ``split_every`` at a time; ``step(whether it is the last)`` is what does it."""
        n, depth = self.npartitions, 0
        while n > split_every:
            n = math.ceil(n / split_every)
            layer = bag_layer(
                f"{name}{depth}", n, step(False), [(layer, "group", split_every)], label=label, lazy=True
            )
            depth += 1
        shape = None if out_type is Item else 1
        layer = bag_layer(name, shape, step(True), [(layer, "all")], label=label, lazy=True)
        return Item(bag_graph([layer]), name) if out_type is Item else Bag._of(layer, 1)

    def sum(self, split_every=None):
        """The sum of all elements."""
        return self.reduction(sum, sum, split_every=split_every)

    def max(self, split_every=None):
        """The largest element."""
        return self.reduction(max, max, split_every=split_every)

    def min(self, split_every=None):
        """The smallest element."""
        return self.reduction(min, min, split_every=split_every)

    def any(self, split_every=None):
        """Whether any element is true.

        Examples
        --------
        >>> import weft.bag as db
        >>> bool(db.from_sequence([0, 1]).any())
        True
        """
        return self.reduction(any, any, split_every=split_every)

    def all(self, split_every=None):
        """Whether all elements are true.

        Examples
        --------
        >>> import weft.bag as db
        >>> bool(db.from_sequence([0, 1]).all())
        False
        """
        return self.reduction(all, all, split_every=split_every)

    def count(self, split_every=None):
        """The number of elements.

        Examples
        --------
        >>> import weft.bag as db
        >>> int(db.from_sequence(range(3)).count())
        3
        """
        return self.reduction(_steps.count, sum, split_every=split_every)

    def mean(self):
        """The arithmetic mean."""
        return self.reduction(chunk.mean_chunk, chunk.mean_aggregate, split_every=False)

    def var(self, ddof=0):
        """The variance."""
        return self.reduction(chunk.var_chunk, partial(chunk.var_aggregate, ddof=ddof), split_every=False)

    def std(self, ddof=0):
        """The standard deviation."""
        return self.var(ddof=ddof).apply(math.sqrt)

    def join(self, other, on_self, on_other=None):
        """Pairs of elements of another sequence and of this bag that have equal keys.

        Parameters
        ----------
        other : iterable, Delayed, or Bag of one partition
        on_self : callable or object
            The key of an element of this bag: a function, or an item.
        on_other : callable or object, optional
            The key of an element of ``other``, by default ``on_self``.

        Returns
        -------
        Bag
            Of pairs (element of ``other``, element of this bag).

        Raises
        ------
        NotImplementedError
            If ``other`` is a bag of several partitions.
        TypeError
            If ``other`` is none of those.

        Examples
        --------
        >>> import weft.bag as db
        >>> people = db.from_sequence(["Alice", "Bob", "Charlie"])
        >>> list(people.join(["Apple", "Apricot", "Banana"], lambda x: x[0]))
        [('Apple', 'Alice'), ('Apricot', 'Alice'), ('Banana', 'Bob')]
        """
        name = f"join-{tokenize(self, other, on_self, on_other)}"
        on_other = on_self if on_other is None else on_other
        if isinstance(other, Bag):
            if other.npartitions != 1:
                raise NotImplementedError(
                    "Multi-bag joins are not implemented. We recommend a dataframe if appropriate"
                )
            return self._step(
                name, _steps.Join(on_other, on_self, None), (other._view, "at", 0), label="join"
            )
        if isinstance(other, DelayedCore):
            read = _read_key(other.__dask_graph__(), other.key)
            return self._step(name, _steps.Join(on_other, on_self, None), read, label="join")
        if not isinstance(other, Iterable):
            raise TypeError(
                "Joined argument must be single-partition Bag, delayed object, or Iterable, got "
                f"{type(other).__name__}"
            )
        if isinstance(other, Iterator):
            other = list(other)
        return self._step(name, _steps.Join(on_other, on_self, other), label="join")

    def product(self, other):
        """All pairs of an element of this bag and one of another.

        Examples
        --------
        >>> import weft.bag as db
        >>> db.from_sequence([1, 2]).product(db.from_sequence("a")).compute()
        [(1, 'a'), (2, 'a')]
        """
        if not isinstance(other, Bag):
            raise TypeError(f"product needs a Bag, got {type(other).__name__}")
        n, m = self.npartitions, other.npartitions
        reads = [[(0, i), (1, j)] for i in range(n) for j in range(m)]
        layer = bag_explicit(
            f"product-{tokenize(self, other)}",
            [self._view, other._view],
            reads,
            _steps.product,
            label="product",
            spread=True,
        )
        return type(self)._of(layer, n * m)

    def foldby(
        self, key, binop, initial=no_default, combine=None, combine_initial=no_default, split_every=None
    ):
        """A fold of the elements of each kind: grouping and reduction in one, without moving elements.

        Parameters
        ----------
        key : callable or object
            The kind of an element: a function, or an item.
        binop : callable
            Takes a total and an element.
        initial : optional
            The total before the first element of a kind in a partition (if callable: makes it); without it
            the first element is the first total.
        combine : callable, optional
            Takes two totals; by default ``binop``.
        combine_initial : optional
            The total before the first total.
        split_every : int or False, optional
            How many partitions' totals are combined at once, 8 by default.

        Returns
        -------
        Bag
            Of pairs (kind, total), in one partition.

        Examples
        --------
        >>> import weft.bag as db
        >>> from operator import add
        >>> b = db.from_sequence(range(10))
        >>> dict(b.foldby(lambda x: x % 2 == 0, add))
        {True: 20, False: 25}
        """
        if split_every is None:
            split_every = 8
        if split_every is False:
            split_every = self.npartitions
        if split_every < 2 < self.npartitions:
            raise ValueError(f"split_every must be at least 2 for totals to become fewer, got {split_every}")
        token = tokenize(self, key, binop, initial, combine, combine_initial)
        layer = self._step(
            f"foldby-a-{token}", _steps.ReduceBy(key, binop, initial), label="foldby", lazy=False
        )._view
        merge = partial(_steps.MergeReduced, combine or binop, combine_initial)
        bag = self._tree(layer, split_every, f"foldby-b-{token}", merge, "foldby", Bag)
        return type(self)(*bag._args)

    def take(self, k, npartitions=1, compute=True, warn=True):
        """The first ``k`` elements.

        Parameters
        ----------
        k : int
        npartitions : int
            From how many partitions; -1 for all.
        compute : bool
            False: give a bag.
        warn : bool
            Whether to warn if there are fewer.

        Raises
        ------
        ValueError
            If there are not so many partitions.

        Examples
        --------
        >>> import weft.bag as db
        >>> db.from_sequence(range(1_000)).take(3)
        (0, 1, 2)
        """
        if npartitions <= -1:
            npartitions = self.npartitions
        if npartitions > self.npartitions:
            raise ValueError(f"only {self.npartitions} partitions, take received {npartitions}")
        token = tokenize(self, k, npartitions)
        name = f"take-{token}"
        if npartitions > 1:
            part = bag_layer(
                f"take-partial-{token}",
                npartitions,
                _steps.Take(k, False),
                [(self._view, "same")],
                label="take",
                lazy=False,
            )
            layer = bag_layer(name, 1, _steps.TakeOfAll(k, warn), [(part, "all")], label="take", lazy=False)
        else:
            layer = bag_layer(
                name, 1, _steps.Take(k, warn), [(self._view, "at", 0)], label="take", lazy=False
            )
        bag = Bag._of(layer, 1)
        return tuple(bag.compute()) if compute else bag

    def flatten(self):
        """The elements of the elements.

        Examples
        --------
        >>> import weft.bag as db
        >>> list(db.from_sequence([[1], [2, 3]]).flatten())
        [1, 2, 3]
        """
        return self._step(f"flatten-{tokenize(self)}", _steps.flatten, label="flatten")

    def groupby(
        self,
        grouper,
        method=None,
        npartitions=None,
        blocksize=2**20,
        max_branch=None,
        shuffle=None,
    ):
        """Pairs of a key and the list of all elements that have it.

        All elements move between partitions: where a reduction of groups is wanted, `foldby` is faster.

        Parameters
        ----------
        grouper : callable or object
            The key of an element: a function, or an item.
        npartitions : int, optional
            Partitions of the result, by default as many as this bag has.
        blocksize : int
            Elements that are grouped at once (for ``"disk"``).
        max_branch : int, optional
            How many partitions' groups are put together before tasks read from each other (for ``"tasks"``).
        shuffle : {"disk", "tasks"}, optional
            ``"disk"``, the default: groups wait in memory up to the setting ``bag.shuffle-memory`` (256 MiB), beyond
            that in files. ``"tasks"``: they are results of tasks.

        Returns
        -------
        Bag
            Of pairs (key, list of elements).

        Examples
        --------
        >>> import weft.bag as db
        >>> dict(db.from_sequence(range(10)).groupby(lambda x: x % 2 == 0))[True]
        [0, 2, 4, 6, 8]
        """
        if method is not None:
            raise Exception("The method= keyword has been moved to shuffle=")
        from weft import config

        shuffle = shuffle or config.get("dataframe.shuffle.method", None) or "disk"
        if shuffle == "disk":
            return groupby_disk(self, grouper, npartitions=npartitions, blocksize=blocksize)
        if shuffle in ("tasks", "p2p"):
            return groupby_tasks(self, grouper, max_branch=max_branch, npartitions=npartitions)
        raise NotImplementedError("Shuffle must be 'disk' or 'tasks'")

    def to_dataframe(self, meta=None, columns=None, optimize_graph=True):
        """A dataframe of tuples, dicts or scalars.

        Parameters
        ----------
        meta : pandas.DataFrame, dict or iterable, optional
            Names and dtypes of the columns. By default the first element is computed and looked at.
        columns : sequence, optional
            Names of the columns, or for dicts which columns in which order.
        optimize_graph : bool

        Returns
        -------
        weft.dataframe.DataFrame
            The index counts from 0 in each partition.

        Raises
        ------
        ValueError
            If both ``meta`` and ``columns`` are given, or there is no first element.

        Examples
        --------
        >>> import weft.bag as db
        >>> b = db.from_sequence([{"name": "Alice", "n": 1}, {"name": "Bob", "n": 2}], npartitions=2)
        >>> b.to_dataframe().n.sum().compute().item()
        3
        """
        import pandas as pd

        import weft.dataframe as dd
        from weft.dataframe.utils import make_meta

        if meta is None:
            head = self.take(1, warn=False)
            if len(head) == 0:
                raise ValueError(
                    "`Bag.to_dataframe` failed to properly infer metadata: the first partition is empty. Please pass "
                    "in metadata via the `meta` keyword"
                )
            meta = pd.DataFrame(list(head), columns=columns)
        elif columns is not None:
            raise ValueError("Can't specify both `meta` and `columns`")
        else:
            meta = make_meta(meta, parent_meta=pd.DataFrame())
        frames = self.map_partitions(to_dataframe, list(meta.columns), meta.dtypes.to_dict())
        return dd.from_delayed(
            frames.to_delayed(optimize_graph), meta=meta, prefix="from-bag", verify_meta=False
        )

    def to_delayed(self, optimize_graph=True):
        """The partitions as a list of `weft.delayed` values.

        Parameters
        ----------
        optimize_graph : bool
            Whether to optimize the graph first.
        """
        keys = self.__dask_keys__()
        graph = self.__dask_graph__()
        if optimize_graph:
            graph = self.__dask_optimize__(graph, keys)
        return [Delayed(key, graph) for key in keys]

    def repartition(self, npartitions=None, partition_size=None):
        """The same elements in other partitions.

        Parameters
        ----------
        npartitions : int, optional
        partition_size : int or str, optional
            The most bytes that a partition may hold. All partitions are computed to measure them.

        Raises
        ------
        ValueError
            Unless exactly one of them is given.

        Examples
        --------
        >>> import weft.bag as db
        >>> db.from_sequence(range(10), npartitions=5).repartition(2).npartitions
        2
        """
        if (npartitions is None) == (partition_size is None):
            raise ValueError(
                "Please provide exactly one ``npartitions`` or ``partition_size`` keyword arguments"
            )
        if npartitions is not None:
            return repartition_npartitions(self, npartitions)
        return repartition_size(self, partition_size)

    def accumulate(self, binop, initial=no_default):
        """Running totals, in the order of the partitions.

        Parameters
        ----------
        binop : callable
            Takes a total and an element.
        initial : optional
            A total before the first element, which comes first in the result.

        Examples
        --------
        >>> import weft.bag as db
        >>> from operator import add
        >>> db.from_sequence([1, 2, 3, 4, 5], npartitions=2).accumulate(add, initial=-1).compute()
        [-1, 0, 2, 5, 9, 14]
        """
        token, label = tokenize(self, binop, initial), funcname(binop)
        own = 2**32 - 1  # the layer itself
        reads = [[(0, 0)], *([(0, i), (own, i - 1)] for i in range(1, self.npartitions))]
        layer = bag_explicit(
            f"{label}-part-{token}",
            [self._view],
            reads,
            _steps.Accumulate(binop, initial),
            label=label,
            lazy=False,
            indexed=True,
        )
        first = bag_layer(
            f"{label}-first-{token}",
            self.npartitions,
            operator.itemgetter(0),
            [(layer, "same")],
            label=label,
            lazy=False,
        )
        return Bag._of(first, self.npartitions)

    def to_textfiles(
        self,
        path,
        name_function=None,
        compression="infer",
        encoding=SYSTEM_ENCODING,
        compute=True,
        storage_options=None,
        last_endline=False,
        **kwargs,
    ):
        return to_textfiles(
            self,
            path,
            name_function,
            compression,
            encoding,
            compute,
            storage_options=storage_options,
            last_endline=last_endline,
            **kwargs,
        )


class WriteText(_steps.Step):
    """Writes a partition to file ``i``."""

    __slots__ = ("files", "last_endline")
    files: list[Any]
    last_endline: bool

    def __call__(self, index: int, part: Iterable[Any]) -> None:
        with self.files[index] as file:
            text = isinstance(file, io.TextIOWrapper)
            end: Any = "\n" if text else b"\n"
            ensure: Any = ensure_unicode if text else ensure_bytes
            lines = map(ensure, part)
            first = next(lines, None)
            if first is not None:
                file.write(first)
            for line in lines:
                file.write(end)
                file.write(line)
            if self.last_endline:
                file.write(end)


def to_textfiles(
    b,
    path,
    name_function=None,
    compression="infer",
    encoding=SYSTEM_ENCODING,
    compute=True,
    storage_options=None,
    last_endline=False,
    **kwargs,
):
    """Writes text to files: one for each partition, one line for each element.

    Parameters
    ----------
    b : Bag
        Of str, or of bytes if ``encoding`` is ``None``.
    path : str or list of str
        A name in which ``*`` stands for the partition's number, or a name for each partition.
    name_function : callable, optional
        Gives what to put for ``*``, from the partition's number.
    compression : str, optional
        By default what the names' extensions say.
    encoding : str or None
    compute : bool
        False: give a list of delayed values that write the files.
    storage_options : dict, optional
        Options of the file system.
    last_endline : bool
        Whether a line break follows the last line.
    **kwargs
        Passed on to ``compute``.

    Returns
    -------
    list
        The files' names, or delayed values.

    Examples
    --------
    >>> import tempfile, weft.bag as db
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     names = db.from_sequence(["a", "b"], npartitions=2).to_textfiles(directory + "/*.txt.gz")
    ...     db.read_text(names).map(str.upper).compute()
    ['A', 'B']
    """
    files = open_files(
        path,
        compression=compression,
        mode="wb" if encoding is None else "wt",
        encoding=encoding,
        name_function=name_function,
        num=b.npartitions,
        **(storage_options or {}),
    )
    name = f"to-textfiles-{uuid.uuid4().hex}"
    out = b._step(name, WriteText(list(files), last_endline), label="to-textfiles", lazy=False, indexed=True)
    if compute:
        out.compute(**kwargs)
        return [file.path for file in files]
    return out.to_delayed()


Bag.to_textfiles = wraps(to_textfiles)(Bag.to_textfiles)  # type: ignore[method-assign]


def from_sequence(seq, partition_size=None, npartitions=None):
    """A bag of the elements of a sequence, which should be small: data is better loaded by tasks.

    Parameters
    ----------
    seq : iterable
    partition_size : int, optional
        Elements in each partition.
    npartitions : int, optional
        How many partitions, about.

    Examples
    --------
    >>> import weft.bag as db
    >>> db.from_sequence(["Alice", "Bob", "Chuck"], partition_size=2).npartitions
    2
    """
    seq = list(seq)
    if partition_size is None and npartitions:
        size = len(seq) / npartitions
        partition_size = math.ceil(size) if len(seq) <= 100 else max(1, int(size))
    if partition_size is None:
        partition_size = 1 if len(seq) <= 100 else max(1, math.ceil(math.sqrt(len(seq)) / 10))
    parts = [seq[i : i + partition_size] for i in range(0, len(seq), partition_size)] if seq else [[]]
    name = f"from_sequence-{tokenize(seq, partition_size)}"
    layer = bag_layer(name, len(parts), _steps.Parts(parts), ["index"], label="from-sequence", lazy=False)
    return Bag._of(layer, len(parts))


def from_url(urls):
    """A bag of the lines, as bytes, of what addresses lead to: one partition for each.

    Parameters
    ----------
    urls : str or list of str

    Examples
    --------
    >>> import weft.bag as db
    >>> db.from_url(["https://example.com/a", "https://example.com/b"]).npartitions
    2
    """
    urls = [urls] if isinstance(urls, str) else list(urls)
    layer = bag_layer(
        f"from_url-{uuid.uuid4().hex}", len(urls), _steps.Url(urls), ["index"], label="from-url", lazy=False
    )
    return Bag._of(layer, len(urls))


def concat(bags):
    """One bag with the partitions of several.

    Examples
    --------
    >>> import weft.bag as db
    >>> db.concat([db.from_sequence([1, 2]), db.from_sequence([3])]).compute()
    [1, 2, 3]
    """
    bags = list(bags)
    reads = [[(number, i)] for number, bag in enumerate(bags) for i in range(bag.npartitions)]
    views = [bag._view for bag in bags]
    layer = bag_explicit(
        f"concat-{tokenize(*bags)}", views, reads, _steps.same, label="concat", lazy=False, spread=True
    )
    return Bag._of(layer, len(reads))


def from_delayed(values):
    """A bag whose partitions are delayed values.

    Parameters
    ----------
    values : Delayed or list of Delayed
        Each the value of an iterable.

    Examples
    --------
    >>> import weft, weft.bag as db
    >>> db.from_delayed([weft.delayed(range)(3), weft.delayed(range)(2)]).compute()
    [0, 1, 2, 0, 1]
    """
    values = [values] if isinstance(values, Delayed) else list(values)
    values = [v if isinstance(v, Delayed) or not hasattr(v, "key") else delayed(v) for v in values]
    for value in values:
        if not isinstance(value, Delayed):
            raise TypeError(f"from_delayed needs delayed values, got {type(value).__name__}")
    views, reads, known = [], [], {}
    for value in values:
        layers, ((_, task),) = bag_find(value.__dask_graph__(), [value.key])
        layer = layers[0]
        number = known.setdefault((layer.name, id(value.__dask_graph__())), len(views))
        if number == len(views):
            views.append(layer)
        reads.append([(number, task)])
    name = f"bag-from-delayed-{tokenize(*values)}"
    layer = bag_explicit(name, views, reads, _steps.same, label="from-delayed", spread=True)
    return Bag._of(layer, len(values))


def bag_range(n, npartitions):
    """The numbers from zero up to ``n``.

    Examples
    --------
    >>> import weft.bag as db
    >>> list(db.range(5, npartitions=2))
    [0, 1, 2, 3, 4]
    """
    size = n // npartitions
    name = f"range-{n}-npartitions-{npartitions}"
    layer = bag_layer(
        name, npartitions, _steps.Range(n, size, npartitions), ["index"], label="range", lazy=False
    )
    return Bag._of(layer, npartitions)


def bag_zip(*bags):
    """Tuples of elements of several bags, partition by partition.

    Bags must have the same number of partitions. Where one has the longer partition, what is more is dropped.

    Examples
    --------
    >>> import weft.bag as db
    >>> evens = db.from_sequence(range(0, 10, 2), partition_size=4)
    >>> odds = db.from_sequence(range(1, 10, 2), partition_size=4)
    >>> list(db.zip(evens, odds))
    [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    """
    _, npartitions, _ = _bags(bags, {})
    reads = [(bag._view, "same") for bag in bags]
    return Bag._of(bag_layer(f"zip-{tokenize(*bags)}", npartitions, zip, reads, label="zip"), npartitions)


def bag_map(func, *args, **kwargs):
    """A function of elements of one or more bags.

    Parameters
    ----------
    func : callable
    *args, **kwargs : Bag, Item, Delayed or object
        Bags are gone through in step and must have partitions of the same lengths; other values are the same
        for all elements.

    Raises
    ------
    ValueError
        If there is no bag, or bags have different numbers of partitions; when computed, if partitions have
        different lengths.

    Examples
    --------
    >>> import weft.bag as db
    >>> b = db.from_sequence(range(5), npartitions=2)
    >>> db.map(divmod, b, 2).compute()
    [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    """
    bags, npartitions, cls = _bags(args, kwargs)
    label = funcname(func)
    name = f"{label}-{tokenize(func, 'map', *args, **kwargs)}"
    if len(args) == 1 and not kwargs:
        return bags[0]._step(name, _steps.Map(func), label=label)
    kinds, constants, reads = _operands(args, kwargs)
    step = _steps.MapMany(func, kinds, list(kwargs), constants)
    return cls._of(bag_layer(name, npartitions, step, reads, label=label), npartitions)


def map_partitions(func, *args, **kwargs):
    """A function of partitions of one or more bags.

    Parameters
    ----------
    func : callable
        Takes iterables of elements, and gives one. It may give an iterator.
    *args, **kwargs : Bag, Item, Delayed or object
        Bags must have the same number of partitions.
    token : str, optional
        What the result's name starts with.

    Raises
    ------
    ValueError
        If there is no bag, or bags have different numbers of partitions.

    Examples
    --------
    >>> import weft.bag as db
    >>> b = db.from_sequence(range(4), npartitions=2)
    >>> db.map_partitions(lambda part: [sum(part)], b).compute()
    [1, 5]
    """
    label = kwargs.pop("token", None) or funcname(func)
    name = f"{label}-{tokenize(func, 'map-partitions', *args, **kwargs)}"
    bags, npartitions, cls = _bags(args, kwargs)
    if len(args) == 1 and not kwargs:
        return bags[0]._step(name, func, label=label)
    kinds, constants, reads = _operands(args, kwargs)
    step = _steps.Apply(func, kinds, list(kwargs), constants)
    return cls._of(bag_layer(name, npartitions, step, reads, label=label), npartitions)


def groupby_tasks(b, grouper, hash=_shuffle.bucket_hash, max_branch=32, npartitions=None):
    """`Bag.groupby` by tasks that read from all others."""
    n = npartitions or b.npartitions
    token = tokenize(b, grouper, hash, n)
    split_step = _shuffle.Split(grouper, hash, n)
    layer = b._step(f"shuffle-split-{token}", split_step, label="shuffle-split", lazy=False)._view
    if b.npartitions * n > 2**18:
        branch = max_branch or 32
        layer = bag_layer(
            f"shuffle-group-{token}",
            math.ceil(b.npartitions / branch),
            _shuffle.together,
            [(layer, "group", branch)],
            label="shuffle-group",
            lazy=False,
        )
    reads = ["index", (layer, "all")]
    layer = bag_layer(f"shuffle-{token}", n, _shuffle.collect, reads, label="shuffle", lazy=False)
    return type(b)._of(layer, n)


def groupby_disk(b, grouper, npartitions=None, blocksize=2**20):
    """`Bag.groupby` through a store that is bounded in memory."""
    n = npartitions or b.npartitions
    token = tokenize(b, grouper, n, blocksize)
    store = bag_layer(
        f"groupby-store-{token}", None, _shuffle.OpenStore(n), [], label="groupby-store", lazy=False
    )
    put = _shuffle.Put(grouper, n, blocksize)
    name = f"groupby-part-{funcname(grouper)}-{token}"
    layer = b._step(name, put, (store, "at", 0), label="groupby-part", lazy=False, indexed=True)._view
    done = bag_layer(f"groupby-barrier-{token}", None, list, [(layer, "all")], label="barrier", lazy=False)
    reads = ["index", (done, "at", 0), (store, "at", 0)]
    layer = bag_layer(f"groupby-collect-{token}", n, _shuffle.get, reads, label="groupby-collect", lazy=False)
    return type(b)._of(layer, n)


def to_dataframe(seq, columns, dtypes):
    """A partition as a pandas dataframe."""
    import pandas as pd

    native = _native.frame(seq, columns, dtypes)
    if native is not None:
        return native
    seq = reify(seq)
    return pd.DataFrame(seq if isinstance(seq, list) else list(seq), columns=list(columns)).astype(dtypes)


def random_state_data_python(n, random_state=None):
    """``n`` states for `random.Random.setstate`, from one seed.

    Parameters
    ----------
    n : int
    random_state : int or random.Random, optional
    """
    maximum = 1 << 32
    try:
        import numpy as np
    except ImportError:
        if not isinstance(random_state, Random):
            random_state = Random(random_state)
        return [(3, (*(random_state.randrange(maximum) for _ in range(624)), 624), None) for _ in range(n)]
    if isinstance(random_state, Random):
        random_state = random_state.randint(0, maximum)
    words = np.frombuffer(np.random.default_rng(random_state).bytes(624 * n * 4), dtype=np.uint32)
    return [(3, (*row, 624), None) for row in words.reshape((n, -1)).tolist()]


def total_mem_usage(partition):
    """About how many bytes a partition takes."""
    from weft.sizeof import sizeof

    return sizeof(reify(partition))


def repartition_npartitions(bag, npartitions):
    """`Bag.repartition` to a number of partitions."""
    if npartitions == bag.npartitions:
        return bag
    name = f"repartition-{npartitions}-{tokenize(bag, npartitions)}"
    if bag.npartitions > npartitions:
        ratio = bag.npartitions / npartitions
        return _repartition_from_boundaries(bag, [int(i * ratio) for i in range(npartitions + 1)], name)
    div, mod = divmod(npartitions, bag.npartitions)
    nsplits = [div] * bag.npartitions
    nsplits[-1] += mod
    return _split_partitions(bag, nsplits, name)


def repartition_size(bag, size):
    """`Bag.repartition` to a size in bytes."""
    from weft.utils import parse_bytes

    size = int(parse_bytes(size) if isinstance(size, str) else size)
    usages = bag.map_partitions(total_mem_usage).compute()
    nsplits = [1 + usage // size for usage in usages]
    if any(n > 1 for n in nsplits):
        bag = _split_partitions(bag, nsplits, f"repartition-split-{tokenize(bag, size)}")
        usages = [usage / n for n, usage in zip(nsplits, usages) for _ in range(n)]
    lengths = [len(chunk) for chunk in iter_chunks(usages, size)]
    return _repartition_from_boundaries(
        bag, list(itertools.accumulate(lengths)), f"repartition-{tokenize(bag, size)}"
    )


def _split_partitions(bag: Bag, nsplits: list[int], new_name: str) -> Bag:
    if len(nsplits) != bag.npartitions:
        raise ValueError(f"nsplits should have len={bag.npartitions}")
    table = [(piece, n) for n in nsplits for piece in range(n)]
    reads = [[(0, i)] for i, n in enumerate(nsplits) for _ in range(n)]
    layer = bag_explicit(
        new_name, [bag._view], reads, _steps.Piece(table), label="repartition", lazy=False, indexed=True
    )
    return Bag._of(layer, len(reads))


def _repartition_from_boundaries(bag: Bag, boundaries: list[int], new_name: str) -> Bag:
    if boundaries[0] > 0:
        boundaries.insert(0, 0)
    if boundaries[-1] < bag.npartitions:
        boundaries.append(bag.npartitions)
    reads = [[(0, i) for i in range(start, stop)] for start, stop in itertools.pairwise(boundaries)]
    layer = bag_explicit(new_name, [bag._view], reads, _steps.concatenate, label="repartition")
    return Bag._of(layer, len(reads))
