"""Bags: collections of Python objects in partitions."""

from __future__ import annotations

import math
import uuid

from weft._weft import bag_explicit, bag_find, bag_layer
from weft.bag import _steps
from weft.bag._arguments import bag_map, bag_zip, map_partitions
from weft.bag._elements import Elements, StringAccessor
from weft.bag._grouping import Grouping, groupby_disk, groupby_tasks
from weft.bag._item import Item, finalize, finalize_item, optimize
from weft.bag._output import SYSTEM_ENCODING, Output, to_dataframe, to_textfiles
from weft.bag._random import random_state_data_python
from weft.bag._reductions import Reductions
from weft.bag._repartition import repartition_npartitions, repartition_size, total_mem_usage
from weft.bag._steps import (
    chunk_distinct,
    dictitems,
    empty_safe_aggregate,
    empty_safe_apply,
    merge_distinct,
    merge_frequencies,
    no_result,
    random_sample,
    safe_take,
    split,
)
from weft.bag._steps import (
    finish as reify,
)
from weft.base import tokenize
from weft.delayed import Delayed, delayed

__all__ = [
    "Bag",
    "Item",
    "SYSTEM_ENCODING",
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


class Bag(Elements, Reductions, Grouping, Output):
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
