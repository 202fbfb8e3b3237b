"""Groups of elements by key, over all partitions.

The function that gives keys is called once for each element. Two ways lead the groups together: tasks that read from all others
(``"tasks"``), and a store (``"disk"``). On the threads of one process that is a `Store`, which keeps what fits into its budget in
memory and writes the rest to files; between processes it is `Files`, a directory that all of them see.
"""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

from weft import config
from weft._engine import memory_limit
from weft._weft import BagShards, bag_gather, bag_group, bag_scatter
from weft.bag._steps import Step, as_key
from weft.sizeof import sizeof
from weft.utils import parse_bytes


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
    """A partition's groups as bytes, by the partition that they go to."""

    __slots__ = ("grouper", "hash", "npartitions")
    grouper: Any
    hash: Callable[[Any], int] | None
    npartitions: int

    def __call__(self, part: Iterable[Any]) -> list[bytes]:
        shards = BagShards(self.npartitions, self.hash)
        for _ in _scattered(as_key(self.grouper), part, shards):
            pass
        return shards.take(_pickled)


def together(splits: list[list[bytes]]) -> list[list[bytes]]:
    """Several partitions' groups as one's, so that fewer tasks read from each other."""
    return [list(filter(None, pieces)) for pieces in zip(*splits)]


def collect(index: int, splits: list[list[Any]]) -> list[tuple[Any, list[Any]]]:
    """The groups of one new partition."""
    pieces: Iterable[bytes] = (split[index] for split in splits)
    if splits and isinstance(splits[0][index], list):
        pieces = chain.from_iterable(pieces)  # type: ignore[arg-type]
    with _without_collecting():
        return bag_gather(pieces, pickle.loads)


#: Elements that are looked at together: few enough to stay in a processor's cache.
BLOCK = 4096


def _scattered(key: Callable[[Any], Any], part: Iterable[Any], shards: Any) -> Iterator[int]:
    """Puts elements into shards; says from time to time how many bytes are in them."""
    elements = iter(part)
    while block := list(islice(elements, BLOCK)):
        yield shards.add(list(map(key, block)), block)


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
                        file.write(_pickled(entries))

    def _by_bucket(self) -> list[list[tuple[int, dict[Any, Any]]]]:
        """What waits, as groups of each partition for each bucket. Nothing waits then."""
        waiting, self._waiting = self._waiting, []
        all_: list[list[tuple[int, dict[Any, Any]]]] = [[] for _ in range(self._npartitions)]
        for index, keys, elements in waiting:
            groups: dict[Any, list[Any]] = {}
            bag_group(keys, elements, groups)
            for held, bucket in zip(all_, bag_scatter(groups, self._npartitions)):
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
        return bag_scatter(groups, self._npartitions)


#: What a task writes at once.
SECTION_BYTES = 2**26

#: Where in a file each bucket begins, and the last one ends.
Section = list[int]


class Files:
    """Groups on their way between processes of this machine: a file for each partition, in one directory.

    What a task has written is said in its result, and nowhere else: a task that runs again writes a file of its own, and what
    another attempt left is never read. The directory vanishes with the object that made it, or with the cluster.
    """

    def __init__(self, directory: str, npartitions: int, owner: bool = False) -> None:
        self.directory = directory
        self.npartitions = npartitions
        if owner:
            weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)

    def __reduce__(self) -> Any:
        return Files, (self.directory, self.npartitions)

    def open(self, index: int) -> Any:
        """A new file for the groups of partition ``index``."""
        try:
            return tempfile.NamedTemporaryFile(
                "wb", prefix=f"{index}-", dir=self.directory, delete=False, buffering=0
            )
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.directory} {_GONE}") from error

    def write(self, shards: Any, file: Any) -> Section:
        """Appends shards, by bucket; nothing is in them then."""
        starts = [file.tell()]
        pieces = shards.take(_pickled)
        for piece in pieces:
            starts.append(starts[-1] + len(piece))
        file.writelines(pieces)
        return starts

    def bucket(self, number: int, done: list[tuple[str, list[Section]]]) -> Iterator[bytes]:
        """The shards of one bucket, in the order of the partitions that they come from."""
        for name, sections in done:
            parts = [(section[number], section[number + 1]) for section in sections]
            parts = [(start, stop) for start, stop in parts if start < stop]
            if not parts:
                continue
            try:
                file = open(os.path.join(self.directory, name), "rb", buffering=0)
            except FileNotFoundError as error:
                raise FileNotFoundError(f"{self.directory} {_GONE}") from error
            with file:
                for start, stop in parts:
                    yield _read(file, start, stop - start)


_GONE = "is gone, which has the groups: the process that made it has ended. Compute again"


def _read(file: Any, start: int, length: int) -> bytes:
    data = os.pread(file.fileno(), length, start)
    while len(data) < length:
        more = os.pread(file.fileno(), length - len(data), start + len(data))
        if not more:
            raise EOFError(f"{file.name} ends within a group")
        data += more
    return data


def _pickled(object: Any) -> bytes:
    try:
        return pickle.dumps(object, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError):
        import cloudpickle

        return cloudpickle.dumps(object, protocol=5)


def _files(npartitions: int) -> Files | None:
    """A directory for groups, if this is a task of a cluster."""
    from weft._weft import current_task

    if current_task() is None:
        return None
    from weft.distributed import get_worker

    directory = tempfile.mkdtemp(prefix="weft-groupby-", dir=get_worker().shared_directory)
    return Files(directory, npartitions, owner=True)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Spares Python looking for cycles among many new objects that are known to have none."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


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

    def __call__(self) -> Store | Files:
        return _files(self.npartitions) or Store(self.npartitions, _budget())


class Put(Step):
    """Puts a partition's groups into the store, some elements at a time."""

    __slots__ = ("grouper", "npartitions", "blocksize")
    grouper: Any
    npartitions: int
    blocksize: int

    def __call__(self, index: int, part: Iterable[Any], store: Store | Files) -> Any:
        key = as_key(self.grouper)
        if isinstance(store, Files):
            return self._to_files(index, part, key, store)
        elements = iter(part)
        while block := list(islice(elements, self.blocksize)):
            # Elements are alike: a few tell the size of all.
            few = block[:: max(1, len(block) // 32)]
            nbytes = sum(map(sizeof, few)) * len(block) // len(few)
            store.add(index, list(map(key, block)), block, nbytes)
        return None

    def _to_files(self, index: int, part: Iterable[Any], key: Any, store: Files) -> Any:
        shards = BagShards(self.npartitions, None)
        sections: list[Section] = []
        with store.open(index) as file:
            for nbytes in _scattered(key, part, shards):
                if nbytes > SECTION_BYTES:
                    sections.append(store.write(shards, file))
            sections.append(store.write(shards, file))
            return os.path.basename(file.name), sections


def get(index: int, done: list[Any], store: Store | Files) -> list[tuple[Any, list[Any]]]:
    """The groups of one new partition, once all partitions have put theirs."""
    if isinstance(store, Files):
        with _without_collecting():
            return bag_gather(store.bucket(index, done), pickle.loads)
    return store.bucket(index)
