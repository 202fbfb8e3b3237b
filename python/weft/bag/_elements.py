"""Steps on each element."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from functools import partial
from random import Random

from weft._weft import DelayedCore, bag_explicit, bag_layer
from weft.bag import _steps
from weft.bag._arguments import _operand, bag_map, map_partitions
from weft.bag._item import _read_key
from weft.bag._partitions import Partitions, bag_class
from weft.bag._random import random_state_data_python
from weft.bag._steps import (
    no_default,
)
from weft.base import tokenize
from weft.utils import (
    funcname,
)


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

    def __init__(self, bag: Partitions) -> None:
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


class Elements(Partitions):
    """Steps on each element, one after the other."""

    str = property(fget=StringAccessor)

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
        if isinstance(other, Partitions):
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
        if not isinstance(other, Partitions):
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

    def flatten(self):
        """The elements of the elements.

        Examples
        --------
        >>> import weft.bag as db
        >>> list(db.from_sequence([[1], [2, 3]]).flatten())
        [1, 2, 3]
        """
        return self._step(f"flatten-{tokenize(self)}", _steps.flatten, label="flatten")

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
        return bag_class()._of(first, self.npartitions)
