"""What the tasks of bags call: small picklable callables that take partitions and give them on as iterators.

A partition is a list, or an iterator where steps are joined. Whatever a task gives in the end went through
`finish`, and can be read any number of times.
"""

from __future__ import annotations

import collections
import functools
import heapq
import itertools
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from random import Random
from typing import Any

from weft._weft import bag_group
from weft.bag import _native
from weft.typing import no_default
from weft.utils import is_empty


class _NoResult:
    """What an empty partition contributes to a reduction."""

    __slots__ = ()

    def __reduce__(self) -> str:
        return "no_result"

    def __repr__(self) -> str:
        return "no_result"


no_result = _NoResult()


def finish(result: Any) -> Any:
    """A result that can be read again: iterators become lists, also those within a list."""
    if isinstance(result, Iterator):
        result = list(result)
    if type(result) in (list, tuple) and result and isinstance(result[0], Iterator):
        result = list(map(list, result))
    return result


class Step:
    """Base of the callables below: equal if made of the same things."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, *parts: Any) -> None:
        for name, part in zip(self._fields(), parts, strict=True):
            setattr(self, name, part)

    @classmethod
    def _fields(cls) -> list[str]:
        return [name for base in reversed(cls.__mro__) for name in getattr(base, "__slots__", ())]

    def _parts(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._fields())

    def __reduce__(self) -> Any:
        return type(self), self._parts()

    def __dask_tokenize__(self) -> Any:
        return type(self).__qualname__, self._parts()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._parts() == other._parts()  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]

    @property
    def __name__(self) -> str:
        return type(self).__qualname__.lower()


def getter(index: Any) -> Callable[[Any], Any]:
    """A function that gets an item, or for a list of them a tuple of items."""
    if not isinstance(index, list):
        return operator.itemgetter(index)
    if len(index) == 1:
        only = index[0]
        return lambda element: (element[only],)
    return operator.itemgetter(*index) if index else lambda element: ()


def as_key(key: Any) -> Callable[[Any], Any]:
    """A key function: itself, or what gets that item."""
    return key if callable(key) else getter(key)


class Parts(Step):
    """Partition ``i`` of a sequence that is in memory."""

    __slots__ = ("parts",)
    parts: list[list[Any]]

    def __call__(self, index: int) -> list[Any]:
        return list(self.parts[index])


class Range(Step):
    """Partition ``i`` of the numbers below ``n``; the last one has the rest."""

    __slots__ = ("n", "size", "npartitions")
    n: int
    size: int
    npartitions: int

    def __call__(self, index: int) -> range:
        start = index * self.size
        return range(start, self.n if index == self.npartitions - 1 else start + self.size)


class Url(Step):
    """The lines of address ``i``."""

    __slots__ = ("urls",)
    urls: list[str]

    def __call__(self, index: int) -> list[bytes]:
        from urllib.request import urlopen

        with urlopen(self.urls[index]) as response:
            return list(response)


class Map(Step):
    """A function of each element."""

    __slots__ = ("func",)
    func: Callable[[Any], Any]

    def __call__(self, part: Iterable[Any]) -> Iterator[Any]:
        native = _native.map_native(self.func, part)
        return map(self.func, part) if native is None else native


class MapMany(Step):
    """A function of elements of several bags and of values that are the same for all.

    ``kinds`` says for each argument, then for each keyword in ``names``, what it is: ``"bag"`` and ``"value"`` take
    the next of what the task reads; ``"constant"`` takes the next of ``constants``.
    """

    __slots__ = ("func", "kinds", "names", "constants")
    func: Callable[..., Any]
    kinds: list[str]
    names: list[str]
    constants: list[Any]

    def __call__(self, *read: Any) -> Iterator[Any]:
        reads, constants = iter(read), iter(self.constants)
        values = [next(constants if kind == "constant" else reads) for kind in self.kinds]
        nargs = len(self.kinds) - len(self.names)
        func = self.func
        fixed = {
            name: value
            for name, kind, value in zip(self.names, self.kinds[nargs:], values[nargs:])
            if kind != "bag"
        }
        if fixed:
            func = functools.partial(func, **fixed)
        columns = [
            iter(value) if kind == "bag" else itertools.repeat(value)
            for kind, value in zip(self.kinds[:nargs], values)
        ]
        named = [name for name, kind in zip(self.names, self.kinds[nargs:]) if kind == "bag"]
        columns += [iter(value) for kind, value in zip(self.kinds[nargs:], values[nargs:]) if kind == "bag"]
        if self.kinds.count("bag") == 1 and not named:
            return map(func, *columns)
        return _in_step(func, columns, named)


def _in_step(func: Callable[..., Any], columns: list[Iterator[Any]], named: list[str]) -> Iterator[Any]:
    nargs = len(columns) - len(named)
    missing = object()
    while True:
        values = [next(column, missing) for column in columns]
        if any(value is missing for value in values):
            if any(
                value is not missing and not isinstance(column, itertools.repeat)
                for value, column in zip(values, columns)
            ):
                raise ValueError(
                    "map called with multiple bags that aren't identically partitioned. Please ensure that all bag "
                    "arguments have the same partition lengths"
                )
            return
        yield func(*values[:nargs], **dict(zip(named, values[nargs:])))


class Starmap(Step):
    """A function of each element's items, with keywords if the task reads them."""

    __slots__ = ("func",)
    func: Callable[..., Any]

    def __call__(self, part: Iterable[Any], kwargs: dict[str, Any] | None = None) -> Iterator[Any]:
        return itertools.starmap(functools.partial(self.func, **kwargs) if kwargs else self.func, part)


class Filter(Step):
    """Elements for which the predicate holds."""

    __slots__ = ("predicate",)
    predicate: Callable[[Any], Any] | None

    def __call__(self, part: Iterable[Any]) -> Iterator[Any]:
        native = _native.keep(part, self.predicate, True)
        return filter(self.predicate, part) if native is None else native


class Remove(Step):
    """Elements for which the predicate does not hold."""

    __slots__ = ("predicate",)
    predicate: Callable[[Any], Any] | None

    def __call__(self, part: Iterable[Any]) -> Iterator[Any]:
        native = _native.keep(part, self.predicate, False)
        return itertools.filterfalse(self.predicate, part) if native is None else native


class Pluck(Step):
    """One item, or several, of each element."""

    __slots__ = ("key", "default")
    key: Any
    default: Any

    def __call__(self, part: Iterable[Any]) -> Iterator[Any]:
        key, default = self.key, self.default
        if default is no_default:
            native = _native.pluck(part, key)
            return map(getter(key), part) if native is None else native
        if isinstance(key, list):
            return (tuple(item_or(element, item, default) for item in key) for element in part)
        return (item_or(element, key, default) for element in part)


def item_or(element: Any, key: Any, default: Any) -> Any:
    """``element[key]``, or the default."""
    try:
        return element[key]
    except (KeyError, IndexError, TypeError):
        return default


def flatten(part: Iterable[Any]) -> Iterator[Any]:
    """The elements of the elements."""
    native = _native.flatten(part)
    return itertools.chain.from_iterable(part) if native is None else native


def concatenate(parts: list[Any]) -> Iterator[Any]:
    """The elements of several partitions."""
    return itertools.chain.from_iterable(parts)


def same(part: Any) -> Any:
    """The partition itself."""
    return part


def product(left: Any, right: Any) -> Iterator[Any]:
    """All pairs."""
    return itertools.product(left, right)


class Sample(Step):
    """Each element with some probability, by a random stream for each partition."""

    __slots__ = ("states", "probability")
    states: list[Any]
    probability: float

    def __call__(self, index: int, part: Iterable[Any]) -> Iterator[Any]:
        return random_sample(part, self.states[index], self.probability)


def random_sample(x: Iterable[Any], state_data: Any, prob: float) -> Iterator[Any]:
    """Elements of ``x``, each with probability ``prob``, by the random state given."""
    random = Random()
    random.setstate(state_data)
    draw = random.random
    return (element for element in x if draw() < prob)


class Apply(Step):
    """A function of whole partitions and of other values; ``kinds``, ``names`` and ``constants`` as in `MapMany`."""

    __slots__ = ("func", "kinds", "names", "constants")
    func: Callable[..., Any]
    kinds: list[str]
    names: list[str]
    constants: list[Any]

    def __call__(self, *read: Any) -> Any:
        reads, constants = iter(read), iter(self.constants)
        values = [next(constants if kind == "constant" else reads) for kind in self.kinds]
        nargs = len(self.kinds) - len(self.names)
        return self.func(*values[:nargs], **dict(zip(self.names, values[nargs:])))


class Reduce(Step):
    """`functools.reduce` with one of the operators of a fold."""

    __slots__ = ("binop", "initial")
    binop: Callable[[Any, Any], Any]
    initial: Any

    def __call__(self, part: Iterable[Any]) -> Any:
        if self.initial is no_default:
            return functools.reduce(self.binop, part)
        return functools.reduce(self.binop, part, self.initial)


def empty_safe_apply(func: Callable[[Any], Any], part: Any, is_last: bool) -> Any:
    """``func(part)``; `no_result` for an empty one, unless no other will come."""
    if _native.is_stream(part) and ((empty := part.is_empty()) is not None or func in (count, frequencies)):
        return no_result if not is_last and empty else func(part)
    if isinstance(part, Iterator):
        missing = object()
        first = next(part, missing)
        if first is missing:
            return func(iter(())) if is_last else no_result
        return func(itertools.chain((first,), part))
    if not is_last and is_empty(part):
        return no_result
    return func(part)


def empty_safe_aggregate(func: Callable[[Any], Any], parts: Iterable[Any], is_last: bool) -> Any:
    """``func`` of those parts that have a result."""
    return empty_safe_apply(func, (part for part in parts if part is not no_result), is_last)


class Partial(Step):
    """The first step of a reduction."""

    __slots__ = ("func", "is_last")
    func: Callable[[Any], Any]
    is_last: bool

    def __call__(self, part: Any) -> Any:
        return empty_safe_apply(self.func, part, self.is_last)


class Aggregate(Step):
    """A later step of a reduction."""

    __slots__ = ("func", "is_last")
    func: Callable[[Any], Any]
    is_last: bool

    def __call__(self, parts: list[Any]) -> Any:
        return empty_safe_aggregate(self.func, parts, self.is_last)


def count(part: Iterable[Any]) -> int:
    """How many elements."""
    if isinstance(part, Sized):
        return len(part)
    if (native := _native.count(part)) is not None:
        return native
    return sum(1 for _ in part)


def frequencies(part: Iterable[Any]) -> dict[Any, int]:
    """How often each element occurs."""
    if (native := _native.frequencies(part)) is not None:
        return native
    # `Counter` counts in C if it is filled with an iterable that is no mapping.
    return dict(collections.Counter(iter(part)))


def merge_frequencies(seqs: Iterable[dict[Any, int]]) -> dict[Any, int]:
    """The sum of several counts."""
    total: dict[Any, int] = {}
    for counts in seqs:
        if not total:
            total = dict(counts)
            continue
        get = total.get
        for key, n in counts.items():
            total[key] = get(key, 0) + n
    return total


def dictitems(d: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """The pairs of a dict."""
    return list(d.items())


class TopK(Step):
    """The largest elements, by some key, largest first."""

    __slots__ = ("k", "key")
    k: int
    key: Any

    def __call__(self, part: Iterable[Any]) -> tuple[Any, ...]:
        key = as_key(self.key) if self.key is not None else None
        return tuple(heapq.nlargest(self.k, part, key=key))


class TopKOfAll(TopK):
    """The largest elements of several such lists."""

    __slots__ = ()

    def __call__(self, parts: Iterable[Any]) -> tuple[Any, ...]:
        return super().__call__(itertools.chain.from_iterable(parts))


def chunk_distinct(seq: Iterable[Any], key: Any = None) -> list[Any]:
    """The first element of each kind."""
    if key is None:
        counts = _native.frequencies(seq)
        return list(dict.fromkeys(seq) if counts is None else counts)
    key = key if callable(key) else operator.itemgetter(key)
    seen = set()
    first = []
    for element in seq:
        kind = key(element)
        if kind not in seen:
            seen.add(kind)
            first.append(element)
    return first


def merge_distinct(seqs: Iterable[Any], key: Any = None) -> list[Any]:
    """The first element of each kind in several lists."""
    return chunk_distinct(itertools.chain.from_iterable(seqs), key=key)


def group(key: Callable[[Any], Any], part: Iterable[Any]) -> dict[Any, list[Any]]:
    """Elements by what ``key`` gives for them."""
    elements = part if type(part) is list else list(part)
    groups: dict[Any, list[Any]] = {}
    bag_group(list(map(key, elements)), elements, groups)
    return groups


class ReduceBy(Step):
    """A fold of the elements of each kind."""

    __slots__ = ("key", "binop", "initial")
    key: Any
    binop: Callable[[Any, Any], Any]
    initial: Any

    def __call__(self, part: Iterable[Any]) -> dict[Any, Any]:
        native = _native.foldby(part, self.key, self.binop, self.initial)
        if native is not None:
            return native
        key, binop, initial = as_key(self.key), self.binop, self.initial
        totals: dict[Any, Any] = {}
        missing = object()
        get = totals.get
        if initial is no_default:
            for element in part:
                kind = key(element)
                total = get(kind, missing)
                totals[kind] = element if total is missing else binop(total, element)
            return totals
        make = initial if callable(initial) else None
        for element in part:
            kind = key(element)
            total = get(kind, missing)
            if total is missing:
                total = make() if make is not None else initial
            totals[kind] = binop(total, element)
        return totals


class MergeReduced(Step):
    """The totals of several partitions put together."""

    __slots__ = ("combine", "initial", "is_last")
    combine: Callable[[Any, Any], Any]
    initial: Any
    is_last: bool

    def __call__(self, parts: list[dict[Any, Any]]) -> Any:
        combine, initial = self.combine, self.initial
        totals: dict[Any, Any] = {}
        for part in parts:
            for kind, value in part.items():
                if kind in totals:
                    totals[kind] = combine(totals[kind], value)
                elif initial is no_default:
                    totals[kind] = value
                else:
                    totals[kind] = combine(initial() if callable(initial) else initial, value)
        return dictitems(totals) if self.is_last else totals


class Join(Step):
    """Pairs of elements of another sequence and of the partition whose keys are equal."""

    __slots__ = ("on_other", "on_self", "other")
    on_other: Any
    on_self: Any
    other: Any

    def __call__(self, part: Iterable[Any], other: Any = None) -> Iterator[Any]:
        groups = group(as_key(self.on_other), self.other if other is None else other)
        key = as_key(self.on_self)
        return ((match, element) for element in part for match in groups.get(key(element), ()))


def safe_take(n: int, b: Iterable[Any], warn: bool = True) -> list[Any]:
    """The first ``n`` elements; warns if there are fewer."""
    first = list(itertools.islice(b, n))
    if len(first) != n and warn:
        warnings.warn(
            f"Insufficient elements for `take`. {n} elements requested, only {len(first)} elements available. Try "
            "passing larger `npartitions` to `take`.",
            stacklevel=2,
        )
    return first


class Take(Step):
    """The first elements of a partition."""

    __slots__ = ("n", "warn")
    n: int
    warn: bool

    def __call__(self, part: Iterable[Any]) -> list[Any]:
        return safe_take(self.n, part, self.warn)


class TakeOfAll(Take):
    """The first elements of several partitions."""

    __slots__ = ()

    def __call__(self, parts: Iterable[Any]) -> list[Any]:
        return safe_take(self.n, itertools.chain.from_iterable(parts), self.warn)


class Accumulate(Step):
    """Running totals of a partition, and the one to go on with."""

    __slots__ = ("binop", "initial")
    binop: Callable[[Any, Any], Any]
    initial: Any

    def __call__(self, index: int, read: list[Any]) -> tuple[list[Any], Any]:
        part = iter(read[0])
        first = index == 0
        total = self.initial if first else read[1][1]
        totals = []
        if total is not no_default and first:
            totals.append(total)
        for element in part:
            total = element if total is no_default else self.binop(total, element)
            totals.append(total)
        return totals, total


def split(seq: Any, n: int) -> list[Any]:
    """A sequence cut into ``n`` runs of about the same length."""
    if not isinstance(seq, (list, tuple)):
        seq = list(seq)
    size = len(seq) / n
    cuts = [int(size * i) for i in range(n)] + [len(seq)]
    return [seq[start:stop] for start, stop in itertools.pairwise(cuts)]


class Piece(Step):
    """One of several pieces of a partition; ``table`` says which of how many for each new partition."""

    __slots__ = ("table",)
    table: list[tuple[int, int]]

    def __call__(self, index: int, parts: list[Any]) -> Any:
        piece, pieces = self.table[index]
        return parts[0] if pieces == 1 else split(parts[0], pieces)[piece]
