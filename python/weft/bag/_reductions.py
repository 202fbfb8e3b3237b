"""One answer from all elements."""

from __future__ import annotations

import math
import operator
from functools import partial
from typing import Any

from weft._weft import bag_graph, bag_layer
from weft.bag import _steps, chunk
from weft.bag._item import Item
from weft.bag._partitions import Partitions, bag_class
from weft.bag._steps import (
    chunk_distinct,
    dictitems,
    merge_distinct,
    merge_frequencies,
    no_default,
)
from weft.base import tokenize
from weft.utils import (
    apply,
    funcname,
    takes_multiple_arguments,
)


class Reductions(Partitions):
    """Steps in which partitions are summed up, and the sums combined as a tree."""

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
            _steps.frequencies,
            merge_frequencies,
            out_type=bag_class(),
            split_every=split_every,
            name="frequencies",
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
            out_type=bag_class(),
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
        return self.reduction(part, merge, out_type=bag_class(), name="distinct")

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
        return Item(bag_graph([layer]), name) if out_type is Item else bag_class()._of(layer, 1)

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
        bag = self._tree(layer, split_every, f"foldby-b-{token}", merge, "foldby", bag_class())
        return type(self)(*bag._args)
