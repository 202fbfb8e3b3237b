"""Each operation of bags beside plain Python and beside Dask, on generated partitions."""

import itertools
import operator
import warnings
from collections import Counter
from functools import reduce

import dask.bag
import pytest
import weft.bag as db
from hypothesis import given, settings
from hypothesis import strategies as st

INTEGERS = st.integers(-5, 5)
PARTS = st.lists(st.lists(INTEGERS, max_size=6), min_size=1, max_size=11)


def bag(parts, package=db):
    """A bag with exactly these partitions, empty ones too."""
    graph = {("given", i): list(part) for i, part in enumerate(parts)}
    return package.Bag(graph, "given", len(parts))


def flat(parts):
    return list(itertools.chain.from_iterable(parts))


def inc(x):
    return x + 1


def is_even(x):
    return x % 2 == 0


def third(x):
    return x % 3


def outcome(make, package, parts):
    """What computing gives, or the type of what it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = make(bag(parts, package), package)
            return result.compute(scheduler="sync") if hasattr(result, "compute") else result
    except Exception as error:
        return type(error)


SAME_AS_DASK = {
    "map": lambda b, _: b.map(inc),
    "map two bags": lambda b, _: b.map(operator.add, b.map(inc)),
    "map keyword bag": lambda b, _: b.map(lambda x, y: x - y, y=b.map(inc)),
    "map constant": lambda b, _: b.map(operator.add, 10),
    "map item": lambda b, _: b.map(operator.add, b.count()),
    "filter": lambda b, _: b.filter(is_even),
    "filter truth": lambda b, _: b.filter(None),
    "remove": lambda b, _: b.remove(is_even),
    "chain": lambda b, _: b.map(inc).filter(is_even).map(str).map(list).flatten(),
    "pluck": lambda b, _: b.map(lambda x: (x, -x)).pluck(1),
    "pluck several": lambda b, _: b.map(lambda x: (x, -x, 0)).pluck([1, 0]),
    "pluck one of a list": lambda b, _: b.map(lambda x: (x, -x, 0)).pluck([1]),
    "pluck default": lambda b, _: b.map(lambda x: {x: x} if x > 0 else {}).pluck(1, default="none"),
    "pluck missing": lambda b, _: b.map(lambda x: {x: x}).pluck(1),
    "starmap": lambda b, _: b.map(lambda x: (x, 2)).starmap(operator.mul),
    "starmap keyword": lambda b, _: b.map(lambda x: (x,)).starmap(lambda x, by: x * by, by=b.count()),
    "map_partitions": lambda b, _: b.map_partitions(lambda part: [len(list(part))]),
    "map_partitions scalar": lambda b, _: b.map_partitions(len),
    "zip": lambda b, package: package.zip(b, b.map(inc)),
    "concat": lambda b, package: package.concat([b, b.map(inc)]),
    "product": lambda b, _: b.product(b.map(inc)),
    "join": lambda b, _: b.join([-1, 2, 2, 7], third),
    "fold": lambda b, _: b.fold(operator.add),
    "fold initial": lambda b, _: b.fold(lambda seen, x: seen | {x}, set.union, initial=set()),
    "sum": lambda b, _: b.sum(),
    "sum by three": lambda b, _: b.sum(split_every=3),
    "max": lambda b, _: b.max(),
    "min": lambda b, _: b.min(),
    "any": lambda b, _: b.any(),
    "all": lambda b, _: b.all(),
    "count": lambda b, _: b.count(),
    "mean": lambda b, _: b.mean(),
    "var": lambda b, _: b.var(),
    "var ddof": lambda b, _: b.var(ddof=1),
    "topk": lambda b, _: b.topk(3),
    "topk key": lambda b, _: b.map(lambda x: (x, abs(x))).topk(3, key=1),
    "topk function": lambda b, _: b.topk(3, key=operator.neg),
    "distinct": lambda b, _: b.distinct(),
    "distinct key": lambda b, _: b.distinct(key=third),
    "frequencies": lambda b, _: b.frequencies(),
    "frequencies sorted": lambda b, _: b.frequencies(sort=True),
    "frequencies unhashable": lambda b, _: b.map(lambda x: [x]).frequencies(),
    "foldby": lambda b, _: b.foldby(third, operator.add),
    "foldby initial": lambda b, _: b.foldby(third, lambda n, x: n + 1, 0, operator.add, 0),
    "foldby item": lambda b, _: b.map(lambda x: (x, 1)).foldby(
        0, lambda a, x: (a[0], a[1] + x[1]), split_every=2
    ),
    "take": lambda b, _: b.take(2),
    "take all": lambda b, _: b.take(7, npartitions=-1),
    "repartition fewer": lambda b, _: b.repartition(2),
    "repartition more": lambda b, _: b.repartition(13),
    "random_sample": lambda b, _: b.random_sample(0.5, random_state=7),
    "unzip": lambda b, _: b.map(lambda x: (x, -x)).unzip(2)[1],
    "str": lambda b, _: b.map(str).str.replace("-", "+").str.zfill(3),
    "str match": lambda b, _: b.map(str).str.match("-*"),
    "failing": lambda b, _: b.map(lambda x: 1 / x),
    "to_delayed": lambda b, package: package.from_delayed(b.map(inc).to_delayed()),
}


@pytest.mark.parametrize("name", SAME_AS_DASK)
@settings(max_examples=25, deadline=None)
@given(parts=PARTS)
def test_same_as_dask(name, parts):
    make = SAME_AS_DASK[name]
    assert outcome(make, db, parts) == outcome(make, dask.bag, parts)


@settings(max_examples=50, deadline=None)
@given(parts=PARTS, initial=st.none() | INTEGERS)
def test_accumulate(parts, initial):
    values = flat(parts)
    if initial is None:
        expected, found = list(itertools.accumulate(values)), bag(parts).accumulate(operator.add)
    else:
        expected = list(itertools.accumulate(values, initial=initial))
        found = bag(parts).accumulate(operator.add, initial=initial)
    assert found.compute() == expected


@pytest.mark.parametrize("shuffle", ["disk", "tasks"])
@settings(max_examples=50, deadline=None)
@given(
    parts=PARTS, npartitions=st.integers(1, 9), key=st.sampled_from([third, str, lambda x: (x, "a"), float])
)
def test_groupby(shuffle, parts, npartitions, key):
    expected = {}
    for value in flat(parts):
        expected.setdefault(key(value), []).append(value)
    result = bag(parts).groupby(key, shuffle=shuffle, npartitions=npartitions)
    pairs = result.compute()
    assert result.npartitions == npartitions
    assert len(pairs) == len(expected)
    assert dict(pairs) == expected


@settings(max_examples=50, deadline=None)
@given(parts=PARTS)
def test_optimizing_changes_nothing(parts):
    def chain(b):
        doubled = b.map(operator.mul, 2)
        return doubled.filter(is_even).map(inc), doubled.sum(), doubled.map(operator.add, doubled.count())

    def values(**kwargs):
        return [x.compute(scheduler="sync", **kwargs) for x in chain(bag(parts + [[1]]))]

    assert values() == values(optimize_graph=False)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(INTEGERS, max_size=300),
    size=st.none() | st.integers(1, 40),
    n=st.none() | st.integers(1, 40),
)
def test_from_sequence_has_dasks_partitions(values, size, n):
    ours = db.from_sequence(values, partition_size=size, npartitions=n)
    theirs = dask.bag.from_sequence(values, partition_size=size, npartitions=n)
    assert ours.npartitions == theirs.npartitions
    assert ours.map_partitions(len).compute() == list(theirs.map_partitions(len).compute(scheduler="sync"))
    assert ours.compute() == values


@settings(max_examples=30, deadline=None)
@given(parts=PARTS, k=st.integers(0, 12))
def test_sample_draws_elements_at_most_once(parts, k):
    from weft.bag import random

    values = flat(parts)
    sampled = random.sample(bag(parts), k)
    if k > len(values):
        with pytest.raises(ValueError, match="Sample larger than population"):
            sampled.compute()
    else:
        drawn = Counter(sampled.compute())
        assert drawn.total() == k
        assert drawn <= Counter(values)


@settings(max_examples=30, deadline=None)
@given(parts=PARTS.filter(flat), k=st.integers(1, 12))
def test_choices_draws_elements(parts, k):
    from weft.bag import random

    drawn = random.choices(bag(parts), k).compute()
    assert len(drawn) == k
    assert set(drawn) <= set(flat(parts))


def test_fold_of_everything_is_reduce():
    assert db.from_sequence(range(100), npartitions=30).fold(max).compute() == reduce(max, range(100))
