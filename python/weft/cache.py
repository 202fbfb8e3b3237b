"""Opportunistic caching: keep results that were costly to compute and are cheap to keep.

Interactive work computes the same intermediate results again and again. A `Cache` watches the
computations, keeps the results that are worth their bytes, and puts them into later graphs that
contain the same keys.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Hashable, Mapping, MutableMapping
from heapq import heapify, heappop, heappush
from itertools import count
from math import log
from numbers import Number
from timeit import default_timer
from typing import Any

from weft._weft import NativeValue
from weft.callbacks import Callback

__all__ = ["Cache", "ScoredCache"]

#: What an entry costs beside its value: a few numbers and table slots.
OVERHEAD = 4 * (sys.getsizeof(1.23) + sys.getsizeof(()))


class Cache(Callback):
    """Keep results between computations, within a number of bytes.

    Results are kept by what it cost to compute them (together with what they were computed from),
    by their size, and by how often and how lately they were used.

    Parameters
    ----------
    cache : number or cache object
        Bytes to keep; or a cache with ``data``, ``get(key)`` and ``put(key, value, cost, nbytes)``,
        as those of the package cachey.
    *args, **kwargs
        With a number: passed to ``cachey.Cache`` if cachey is installed, else to `ScoredCache`, as
        ``limit=`` (least cost of what is kept) and ``halflife=``.

    Attributes
    ----------
    cache : cachey.Cache or ScoredCache
        What is kept.

    Raises
    ------
    TypeError
        If a cache object is given together with other arguments.

    Examples
    --------
    >>> import weft
    >>> from weft.cache import Cache
    >>> cache = Cache(2e9)  # two gigabytes
    >>> with cache:
    ...     weft.delayed(sum)([1, 2], dask_key_name="total").compute()
    3
    >>> cache.cache.get("total")
    3

    For all computations from now on:

    >>> cache.register()
    >>> cache.unregister()
    """

    def __init__(self, cache: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        if isinstance(cache, Number):
            cache = _cache_class()(cache, *args, **kwargs)
        elif args or kwargs:
            raise TypeError(
                "the arguments beside a cache object have no effect: set them on the object, or give a number of bytes"
            )
        self.cache = cache
        # Caches are plain dictionaries, and several computations may run at once.
        self._lock = threading.Lock()
        self.starttimes: dict[tuple[int, Hashable], float] = {}
        self.durations: dict[tuple[int, Hashable], float] = {}

    def _start(self, dsk: MutableMapping[Any, Any]) -> None:
        with self._lock:
            for key in [key for key in self.cache.data if key in dsk]:
                # `get` and not `data[key]`: a use counts in favour of keeping it.
                dsk[key] = self.cache.get(key)

    def _pretask(self, key: Hashable, dsk: Any, state: Mapping[str, Any]) -> None:
        self.starttimes[id(state), key] = default_timer()

    def _posttask(self, key: Hashable, value: Any, dsk: Any, state: Mapping[str, Any], worker: Any) -> None:
        run = id(state)
        start = self.starttimes.pop((run, key), None)
        if start is None or isinstance(value, NativeValue):  # the latter is only a description
            return
        duration = default_timer() - start
        # To have this result again one needs its inputs again, and they are computed side by side.
        duration += max(
            (self.durations.get((run, k), 0.0) for k in state["dependencies"].get(key, ())), default=0.0
        )
        self.durations[run, key] = duration
        nbytes = _nbytes(value) + OVERHEAD + 4 * sys.getsizeof(key)
        with self._lock:
            self.cache.put(key, value, cost=duration / nbytes / 1e9, nbytes=nbytes)

    def _finish(self, dsk: Any, state: Mapping[str, Any], errored: bool) -> None:
        run = id(state)
        for times in (self.starttimes, self.durations):
            for entry in [entry for entry in list(times) if entry[0] == run]:
                times.pop(entry, None)


def _cache_class() -> Any:
    try:
        import cachey
    except ImportError:
        return ScoredCache
    return cachey.Cache


def _nbytes(value: Any) -> int:
    try:
        import cachey
    except ImportError:
        from weft.sizeof import sizeof

        return int(sizeof(value))
    return int(cachey.nbytes(value))


class ScoredCache:
    """A mapping that keeps the most useful values within a number of bytes.

    The score of a value is its cost (seconds of work for each of its bytes) times its uses, of which
    an old one counts less than a new one: it has half the weight `halflife` uses later.

    Parameters
    ----------
    available_bytes : float
        Bytes to keep.
    limit : float, optional
        Least cost of what is kept.
    halflife : float, optional
        After how many uses of the cache a use counts half.

    Attributes
    ----------
    data : dict
        What is kept, by key.
    nbytes : dict
        The size of each.
    total_bytes : float
        Their sum.

    Examples
    --------
    >>> from weft.cache import ScoredCache
    >>> cache = ScoredCache(100)
    >>> cache.put("cheap", 1, cost=1, nbytes=60)
    >>> cache.put("dear", 2, cost=10, nbytes=60)
    >>> cache.data
    {'dear': 2}
    """

    def __init__(self, available_bytes: float, limit: float = 0, halflife: float = 1000) -> None:
        self.available_bytes = available_bytes
        self.limit = limit
        self.data: dict[Hashable, Any] = {}
        self.nbytes: dict[Hashable, float] = {}
        self.total_bytes: float = 0
        self._scores: dict[Hashable, float] = {}
        self._costs: dict[Hashable, float] = {}
        #: (score, number of the entry, key), least first; only the entry in `_entries` is not outdated.
        self._heap: list[tuple[float, int, Hashable]] = []
        self._entries: dict[Hashable, int] = {}
        self._order = count()
        self._growth = 1 + log(2) / halflife
        self._weight = 1.0

    def put(self, key: Hashable, value: Any, cost: float, nbytes: float) -> None:
        """Keep `value` if it is worth it, and drop what is worth least until all fits."""
        self._forget(key)
        if cost < self.limit or nbytes > self.available_bytes:
            return
        if not self._make_room(nbytes, cost * self._weight):
            return
        self.data[key], self.nbytes[key] = value, nbytes
        self.total_bytes += nbytes
        self._costs[key] = cost
        self._scores[key] = 0.0
        self._use(key)

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The value of `key`, or `default`; it counts as a use."""
        if key not in self.data:
            return default
        self._use(key)
        return self.data[key]

    def clear(self) -> None:
        """Drop everything."""
        for key in list(self.data):
            self._forget(key)

    def _make_room(self, nbytes: float, score: float) -> bool:
        """Drop values that score less than `score` until `nbytes` fit; if they cannot, drop nothing."""
        room = self.available_bytes - self.total_bytes
        victims: list[tuple[float, int, Hashable]] = []
        while room < nbytes and self._heap:
            entry = heappop(self._heap)
            if self._entries.get(entry[2]) != entry[1]:
                continue  # it was used or dropped since
            victims.append(entry)
            if entry[0] >= score:
                break
            room += self.nbytes[entry[2]]
        if room < nbytes:
            for entry in victims:
                heappush(self._heap, entry)
            return False
        for _, _, key in victims:
            self._forget(key)
        return True

    def _use(self, key: Hashable) -> None:
        self._scores[key] += self._costs[key] * self._weight
        self._entries[key] = next(self._order)
        heappush(self._heap, (self._scores[key], self._entries[key], key))
        # Instead of shrinking all old scores, new uses weigh more.
        self._weight *= self._growth
        if self._weight > 1e200:
            self._scores = {k: score / self._weight for k, score in self._scores.items()}
            self._weight = 1.0
            self._heap = []
        if not self._heap or len(self._heap) > 2 * len(self.data) + 100:  # mostly outdated entries
            self._heap = [(score, self._entries[k], k) for k, score in self._scores.items()]
            heapify(self._heap)

    def _forget(self, key: Hashable) -> None:
        if key in self.data:
            del self.data[key], self._scores[key], self._costs[key], self._entries[key]
            self.total_bytes -= self.nbytes.pop(key)
