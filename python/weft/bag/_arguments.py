"""Functions of elements and partitions of several bags and of other values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from weft._weft import DelayedCore, bag_layer
from weft.bag import _steps
from weft.bag._item import Item, _read_key
from weft.bag._partitions import Partitions, bag_class
from weft.base import tokenize
from weft.delayed import delayed, unpack_collections
from weft.utils import (
    funcname,
)


def _operand(value: Any) -> tuple[str, Any]:
    """How a task gets an argument: ("constant", it), ("bag", what to read) or ("value", what to read)."""
    if isinstance(value, Partitions):
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


def _bags(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Partitions], int, type[Partitions]]:
    """The bags among arguments, how many partitions they have, and the class of what becomes of them."""
    bags = [value for value in itertools.chain(args, kwargs.values()) if isinstance(value, Partitions)]
    if not bags:
        raise ValueError("At least one argument must be a Bag.")
    if len({bag.npartitions for bag in bags}) > 1:
        raise ValueError("All bags must have the same number of partitions.")
    classes = {type(bag) for bag in bags}
    return bags, bags[0].npartitions, classes.pop() if len(classes) == 1 else bag_class()


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
    return bag_class()._of(
        bag_layer(f"zip-{tokenize(*bags)}", npartitions, zip, reads, label="zip"), npartitions
    )
