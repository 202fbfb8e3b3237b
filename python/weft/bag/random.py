"""Random elements of bags."""

from __future__ import annotations

import heapq
import math
import random as rnd
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any

from weft.bag.core import Bag

__all__ = ["choices", "sample"]


def sample(population, k, split_every=None):
    """``k`` elements of a bag, each at most once.

    Parameters
    ----------
    population : Bag
    k : int
    split_every : int, optional
        How many partitions' samples are put together at once, 8 by default.

    Returns
    -------
    Bag

    Raises
    ------
    ValueError
        If ``k`` is negative; when computed, if the bag has fewer elements.

    Examples
    --------
    >>> import weft.bag as db
    >>> from weft.bag import random
    >>> len(random.sample(db.from_sequence(range(5), npartitions=2), 3).compute())
    3
    """
    if k < 0:
        raise ValueError("Cannot take a negative number of samples")
    drawn = population.reduction(
        partial(_reservoir, k=k),
        partial(_draw_again, k=k, replace=False),
        out_type=Bag,
        split_every=split_every,
    )
    return drawn.map_partitions(_finish, k)


def choices(population, k=1, split_every=None):
    """``k`` elements of a bag, each as often as it happens to be drawn.

    Parameters
    ----------
    population : Bag
    k : int
    split_every : int, optional
        How many partitions' samples are put together at once, 8 by default.

    Returns
    -------
    Bag

    Examples
    --------
    >>> import weft.bag as db
    >>> from weft.bag import random
    >>> len(random.choices(db.from_sequence(range(5), npartitions=2), 8).compute())
    8
    """
    drawn = population.reduction(
        partial(_reservoirs_of_one, k=k),
        partial(_draw_again, k=k, replace=True),
        out_type=Bag,
        split_every=split_every,
    )
    return drawn.map_partitions(_finish, k)


def _finish(drawn: Any, k: int) -> list[Any]:
    elements = drawn[0]
    if len(elements) < k:
        raise ValueError("Sample larger than population")
    return elements


def _skip(p: float) -> int:
    """How many elements on the next one is that replaces another, each doing so with probability ``p``."""
    # 1 - random() is never 0, whose logarithm there is none of.
    return int(math.log(1.0 - rnd.random()) / math.log1p(-p)) + 1 if 0 < p < 1 else 1 if p >= 1 else 2**62


def _reservoir(population: Iterable[Any], k: int) -> tuple[list[Any], int]:
    """``k`` elements of a stream and its length (Li's algorithm L: only elements that are kept cost a draw)."""
    stream = iter(population)
    kept = list(islice(stream, k))
    length = len(kept)
    if k == 0:
        return kept, sum(1 for _ in stream)
    w = math.exp(math.log(1.0 - rnd.random()) / k)
    following = k - 1 + _skip(w)
    for i, element in enumerate(stream, k):
        if i == following:
            kept[rnd.randrange(k)] = element
            w *= math.exp(math.log(1.0 - rnd.random()) / k)
            following += _skip(w)
        length += 1
    return kept, length


def _reservoirs_of_one(population: Iterable[Any], k: int) -> tuple[list[Any], int]:
    """``k`` independent draws from a stream, and its length."""
    stream = iter(population)
    missing = object()
    first = next(stream, missing)
    if first is missing:
        return [], 0
    kept = [first] * k
    w = [1.0 - rnd.random() for _ in range(k)]
    heap = [(_skip(w[j]), j) for j in range(k)]
    heapq.heapify(heap)
    length = 1
    for i, element in enumerate(stream, 1):
        while heap and heap[0][0] == i:
            _, j = heap[0]
            kept[j] = element
            w[j] *= 1.0 - rnd.random()
            heapq.heapreplace(heap, (i + _skip(w[j]), j))
        length += 1
    return kept, length


def _draw_again(parts: Iterable[tuple[list[Any], int]], k: int, replace: bool) -> tuple[list[Any], int]:
    """A sample of several samples, each of which stands for as many elements as it was drawn from."""
    elements: list[Any] = []
    weights: list[float] = []
    total = 0
    for drawn, length in parts:
        elements += drawn
        weights += [length / len(drawn)] * len(drawn) if drawn else []
        total += length
    if replace:
        return (rnd.choices(elements, weights=weights, k=k) if elements else []), total
    if k > total:
        return elements, total
    # Efraimidis and Spirakis: the largest of random powers are a weighted sample without replacement.
    ranks = [(math.log(1.0 - rnd.random()) / weight, i) for i, weight in enumerate(weights)]
    return [elements[i] for _, i in heapq.nlargest(k, ranks)], total
