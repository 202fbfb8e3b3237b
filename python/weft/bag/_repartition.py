"""The same elements in other partitions."""

from __future__ import annotations

import itertools

from weft._weft import bag_explicit
from weft.bag import _steps
from weft.bag._partitions import Partitions, bag_class
from weft.bag._steps import (
    finish as reify,
)
from weft.base import tokenize
from weft.utils import (
    iter_chunks,
)


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


def _split_partitions(bag: Partitions, nsplits: list[int], new_name: str) -> Partitions:
    if len(nsplits) != bag.npartitions:
        raise ValueError(f"nsplits should have len={bag.npartitions}")
    table = [(piece, n) for n in nsplits for piece in range(n)]
    reads = [[(0, i)] for i, n in enumerate(nsplits) for _ in range(n)]
    layer = bag_explicit(
        new_name, [bag._view], reads, _steps.Piece(table), label="repartition", lazy=False, indexed=True
    )
    return bag_class()._of(layer, len(reads))


def _repartition_from_boundaries(bag: Partitions, boundaries: list[int], new_name: str) -> Partitions:
    if boundaries[0] > 0:
        boundaries.insert(0, 0)
    if boundaries[-1] < bag.npartitions:
        boundaries.append(bag.npartitions)
    reads = [[(0, i) for i in range(start, stop)] for start, stop in itertools.pairwise(boundaries)]
    layer = bag_explicit(new_name, [bag._view], reads, _steps.concatenate, label="repartition")
    return bag_class()._of(layer, len(reads))
