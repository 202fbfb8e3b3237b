"""What happens to the graphs of arrays before they run."""

from __future__ import annotations

from typing import Any

from weft._weft import Graph
from weft.core import flatten


def optimize(dsk: Any, keys: Any, **kwargs: Any) -> Any:
    """The part of a graph that ``keys`` need.

    The engine fuses and orders what it runs; nothing else is left to do here.
    """
    if isinstance(dsk, Graph):
        return dsk
    graph = Graph(dsk)
    return graph.cull(list(flatten(keys)) if isinstance(keys, (list, set, tuple)) else [keys])


def normalize_slice(s: slice) -> slice:
    """A slice with numbers for None where they are known.

    Raises
    ------
    NotImplementedError
        For negative numbers.

    Examples
    --------
    >>> normalize_slice(slice(None, 5))
    slice(0, 5, 1)
    """
    start, stop, step = s.start, s.stop, s.step
    start = 0 if start is None else start
    step = 1 if step is None else step
    if start < 0 or step < 0 or (stop is not None and stop < 0):
        raise NotImplementedError
    return slice(start, stop, step)


def fuse_slice(a: Any, b: Any) -> Any:
    """One index that does what ``a`` and then ``b`` do.

    Raises
    ------
    NotImplementedError
        Where there is none.

    Examples
    --------
    >>> fuse_slice(slice(1000, 2000), slice(10, 15))
    slice(1010, 1015, None)
    >>> fuse_slice(slice(0, 10, 2), 3)
    6
    """
    if a is None and isinstance(b, slice) and b == slice(None, None):
        return None
    if isinstance(a, slice) and a == slice(None, None):
        return b
    if isinstance(b, slice) and b == slice(None, None):
        return a
    if isinstance(a, slice) and isinstance(b, int):
        a = normalize_slice(a)
        if b < 0:
            raise NotImplementedError
        return a.start + b * a.step
    if isinstance(a, slice) and isinstance(b, slice):
        a, b = normalize_slice(a), normalize_slice(b)
        start = a.start + a.step * b.start
        stop = None if b.stop is None else a.start + a.step * b.stop
        if a.stop is not None:
            stop = a.stop if stop is None else min(a.stop, stop)
        step = a.step * b.step
        return slice(start, stop, None if step == 1 else step)
    if isinstance(b, list):
        return [fuse_slice(a, i) for i in b]
    if isinstance(a, list) and isinstance(b, (int, slice)):
        return a[b]
    if isinstance(a, tuple) and not isinstance(b, tuple):
        b = (b,)
    if isinstance(a, tuple) and isinstance(b, tuple):
        if any(isinstance(i, list) for i in a) and any(isinstance(i, list) for i in b):
            raise NotImplementedError("Can't handle multiple list indexing")
        rest, result = list(b), []
        for i in a:
            if isinstance(i, int) or not rest:
                result.append(i)
                continue
            while rest[0] is None:
                result.append(rest.pop(0))
            result.append(fuse_slice(i, rest.pop(0)))
        return tuple(result + rest)
    raise NotImplementedError
