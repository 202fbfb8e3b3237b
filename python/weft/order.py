"""The static order of a graph's tasks, and what it costs.

Schedulers run what is ready; when several tasks are, the order says which one first, so that results can be let go
early. The algorithm is in Rust (``weft-graph``); this module shows it under the names that Dask uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from weft import _weft

__all__ = ["Order", "OrderInfo", "diagnostics", "order"]


class Order(NamedTuple):
    """The place of a task, and how many tasks the longest chain through it has."""

    priority: int
    critical_path: float | int


class OrderInfo(NamedTuple):
    """What happens around a task when tasks run one at a time, in order."""

    order: int
    age: int
    num_data_when_run: int
    num_data_when_released: int
    num_dependencies_freed: int


def order(
    dsk: Mapping, dependencies: Mapping[Any, Iterable] | None = None, *, return_stats: bool = False
) -> dict[Any, Any]:
    """The place of each task in an order that lets results go early.

    Parameters
    ----------
    dsk : Mapping
        A graph: keys with their tasks.
    dependencies : Mapping, optional
        For each key, the keys that it reads, where the caller knows them already. Keys outside the graph are left out.
    return_stats : bool
        Whether to give an `Order` for each key instead of its place.

    Returns
    -------
    dict
        Keys with their places, from 0 on; lower runs first.

    Raises
    ------
    RuntimeError
        Tasks wait for each other in a circle; the message names them.

    Examples
    --------
    >>> from operator import add, neg
    >>> order({"a": 1, "b": (neg, "a"), "c": (add, "a", "b")})
    {'a': 0, 'b': 1, 'c': 2}
    """
    if dependencies is None and not return_stats:
        places = _weft.order_graph(dsk)
        # In the order of the graph, as users who look at it expect.
        return {key: places[key] for key in dsk}
    keys = list(dsk)
    numbers = _numbers(keys, _dependencies(dsk) if dependencies is None else dependencies)
    places = _weft.order_dependencies(numbers, [str(key) for key in keys])
    if not return_stats:
        return dict(zip(keys, places))
    return {
        key: Order(place, length)
        for key, place, length in zip(keys, places, _longest_chains(numbers, places))
    }


def diagnostics(
    dsk: Mapping, o: Mapping[Any, int] | None = None, dependencies: Mapping[Any, Iterable] | None = None
) -> tuple[dict[Any, OrderInfo], list[int]]:
    """How many results are held, and for how long, if tasks run one at a time.

    Parameters
    ----------
    dsk : Mapping
        A graph.
    o : Mapping, optional
        The place of each key, by default that of `order`. Places may have gaps.
    dependencies : Mapping, optional
        For each key, the keys that it reads.

    Returns
    -------
    info : dict
        An `OrderInfo` for each key.
    pressure : list of int
        How many results are held before each step. Results that no task reads do not count.

    Raises
    ------
    ValueError
        The order runs a task before one that it depends on.

    Examples
    --------
    >>> from operator import neg
    >>> info, pressure = diagnostics({"a": 1, "b": (neg, "a")})
    >>> info["a"].age, pressure
    (1, [0, 1])
    """
    if dependencies is None:
        dependencies = _dependencies(dsk)
    if o is None:
        o = order(dsk, dependencies)
    keys = list(dsk)
    steps = sorted(range(len(keys)), key=lambda i: o[keys[i]])
    places = [0] * len(keys)
    for step, i in enumerate(steps):
        places[i] = step
    when_run, when_released, age, freed = _weft.pressure_of(_numbers(keys, dependencies), places)
    info = {
        key: OrderInfo(o[key], *measures) for key, *measures in zip(keys, age, when_run, when_released, freed)
    }
    return info, [when_run[i] for i in steps]


def _dependencies(dsk: Mapping) -> dict[Any, Any]:
    graph = _weft.Graph(dsk)
    return {key: graph.dependencies_of(key) for key in dsk}


def _numbers(keys: list, dependencies: Mapping[Any, Iterable]) -> list[list[int]]:
    """For each key, the positions of the keys that it reads."""
    at = {key: i for i, key in enumerate(keys)}
    return [[at[d] for d in dependencies.get(key, ()) if d in at] for key in keys]


def _longest_chains(numbers: list[list[int]], places: list[int]) -> list[int]:
    """For each task, how many tasks the longest chain through it has."""
    steps = sorted(range(len(places)), key=places.__getitem__)
    above = [1] * len(places)
    for i in steps:
        above[i] += max((above[d] for d in numbers[i]), default=0)
    below = [0] * len(places)
    for i in reversed(steps):
        for d in numbers[i]:
            below[d] = max(below[d], below[i] + 1)
    return [a + b for a, b in zip(above, below)]
