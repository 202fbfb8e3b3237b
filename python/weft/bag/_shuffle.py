"""Groups of elements by key, over all partitions.

The function that gives keys is called once for each element. Two ways lead the groups together: tasks that read from all others
(``"tasks"``), and a `Store` that keeps what fits into its budget in memory and writes the rest to files (``"disk"``).
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import tempfile
import threading
import weakref
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from weft import config
from weft._engine import memory_limit
from weft._weft import bag_group
from weft.bag._steps import Step, as_key, group
from weft.sizeof import sizeof
from weft.utils import parse_bytes


def bucket_hash(key: Any) -> int:
    """A number that equal keys share. For text, numbers and tuples of them it is the same in every process."""
    kind = type(key)
    if kind is str:
        return zlib.crc32(key.encode("utf-8", "surrogatepass"))
    if kind is bytes:
        return zlib.crc32(key)
    if key is None:
        return 0x9E3779B9
    if kind is tuple:
        total = len(key)
        for item in key:
            total = (total * 1000003) ^ bucket_hash(item)
        return total & 0x7FFFFFFFFFFFFFFF
    # Python's hashes of numbers are the same everywhere. Other objects know best what they equal.
    return hash(key)


def _buckets(
    groups: dict[Any, list[Any]], npartitions: int, hash: Callable[[Any], int]
) -> list[dict[Any, Any]]:
    buckets: list[dict[Any, Any]] = [{} for _ in range(npartitions)]
    for key, members in groups.items():
        # The remainder alone would send numbers in steps of the number of buckets to one of them.
        number = hash(key)
        buckets[(number ^ (number >> 15)) % npartitions][key] = members
    return buckets


def _merge(buckets: Iterable[dict[Any, list[Any]]]) -> list[tuple[Any, list[Any]]]:
    groups: dict[Any, list[Any]] = {}
    for bucket in buckets:
        for key, members in bucket.items():
            known = groups.get(key)
            if known is None:
                groups[key] = list(members)
            else:
                known.extend(members)
    return list(groups.items())


class Split(Step):
    """A partition's groups, by the partition that they go to."""

    __slots__ = ("grouper", "hash", "npartitions")
    grouper: Any
    hash: Callable[[Any], int]
    npartitions: int

    def __call__(self, part: Iterable[Any]) -> list[dict[Any, Any]]:
        return _buckets(group(as_key(self.grouper), part), self.npartitions, self.hash)


def together(splits: list[list[dict[Any, Any]]]) -> list[dict[Any, Any]]:
    """Several partitions' groups as one's, so that fewer tasks read from each other."""
    return [dict(_merge(buckets)) for buckets in zip(*splits)]


def collect(index: int, splits: list[list[dict[Any, Any]]]) -> list[tuple[Any, list[Any]]]:
    """The groups of one new partition."""
    return _merge(split[index] for split in splits)


class Store:
    """Elements on their way into groups: in memory up to a budget, beyond that in files, by bucket.

    Of one computation; threads may add at the same time. Elements wait as they came, with their keys, and are
    grouped all at once when the first bucket is asked for: nothing is merged twice. The files vanish with the store.
    """

    def __init__(self, npartitions: int, memory: int) -> None:
        self._lock = threading.Lock()
        self._npartitions = npartitions
        self._memory = memory
        self._held = 0
        self._waiting: list[tuple[int, list[Any], list[Any]]] = []
        self._groups: list[dict[Any, list[Any]]] | None = None
        self._rest: list[list[tuple[int, dict[Any, Any]]]] | None = None
        self._directory: str | None = None

    def add(self, index: int, keys: list[Any], elements: list[Any], nbytes: int) -> None:
        """Takes elements of partition ``index``, with the key of each."""
        with self._lock:
            self._waiting.append((index, keys, elements))
            self._held += nbytes
            if self._held <= self._memory:
                return
            full = self._by_bucket()
            self._held = 0
            if self._directory is None:
                directory = config.get("temporary_directory", None)
                self._directory = tempfile.mkdtemp(prefix="weft-groupby-", dir=directory)
                weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
            for number, entries in enumerate(full):
                if entries:
                    with open(os.path.join(self._directory, str(number)), "ab") as file:
                        _dump(entries, file)

    def _by_bucket(self) -> list[list[tuple[int, dict[Any, Any]]]]:
        """What waits, as groups of each partition for each bucket. Nothing waits then."""
        waiting, self._waiting = self._waiting, []
        all_: list[list[tuple[int, dict[Any, Any]]]] = [[] for _ in range(self._npartitions)]
        for index, keys, elements in waiting:
            groups: dict[Any, list[Any]] = {}
            bag_group(keys, elements, groups)
            for held, bucket in zip(all_, _buckets(groups, self._npartitions, bucket_hash)):
                if bucket:
                    held.append((index, bucket))
        return all_

    def bucket(self, number: int) -> list[tuple[Any, list[Any]]]:
        """The groups of one bucket, elements in the order of the partitions that they come from."""
        if self._directory is None:
            with self._lock:
                if self._groups is None:
                    self._groups = self._all_groups()
            return list(self._groups[number].items())
        with self._lock:
            if self._rest is None:
                self._rest = self._by_bucket()
        found = list(self._rest[number])
        path = os.path.join(self._directory, str(number))
        if os.path.exists(path):
            with open(path, "rb") as file:
                while file.peek(1):
                    found += pickle.load(file)
        found.sort(key=lambda entry: entry[0])
        return _merge(bucket for _, bucket in found)

    def _all_groups(self) -> list[dict[Any, list[Any]]]:
        waiting, self._waiting = self._waiting, []
        waiting.sort(key=lambda entry: entry[0])
        groups: dict[Any, list[Any]] = {}
        for _, keys, elements in waiting:
            bag_group(keys, elements, groups)
        return _buckets(groups, self._npartitions, bucket_hash)


def _dump(entries: Any, file: Any) -> None:
    try:
        data = pickle.dumps(entries, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError):
        import cloudpickle

        data = cloudpickle.dumps(entries, protocol=5)
    file.write(data)


def _budget() -> int:
    """What a store may hold in memory: the setting ``bag.shuffle-memory``."""
    setting = config.get("bag.shuffle-memory")
    if setting != "auto":
        return parse_bytes(setting)
    limit = memory_limit()
    return sys.maxsize if limit is None else limit // 4


class OpenStore(Step):
    """Makes the store of one computation."""

    __slots__ = ("npartitions",)
    npartitions: int

    def __call__(self) -> Store:
        return Store(self.npartitions, _budget())


class Put(Step):
    """Puts a partition's groups into the store, some elements at a time."""

    __slots__ = ("grouper", "npartitions", "blocksize")
    grouper: Any
    npartitions: int
    blocksize: int

    def __call__(self, index: int, part: Iterable[Any], store: Store) -> None:
        from itertools import islice

        elements = iter(part)
        key = as_key(self.grouper)
        while block := list(islice(elements, self.blocksize)):
            # Elements are alike: a few tell the size of all.
            few = block[:: max(1, len(block) // 32)]
            nbytes = sum(map(sizeof, few)) * len(block) // len(few)
            store.add(index, list(map(key, block)), block, nbytes)


def get(index: int, _done: list[None], store: Store) -> list[tuple[Any, list[Any]]]:
    """The groups of one new partition, once all partitions have put theirs."""
    return store.bucket(index)
