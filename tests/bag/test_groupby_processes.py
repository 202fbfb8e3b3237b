"""`Bag.groupby` where partitions live in other processes."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections import defaultdict
from decimal import Decimal

import pytest
import weft
import weft.bag as db
import weft.multiprocessing
from hypothesis import given, settings
from hypothesis import strategies as st
from weft._weft import BagShards, bag_gather
from weft.bag import _shuffle


@pytest.fixture(scope="module", autouse=True)
def two_processes():
    with weft.config.set(num_workers=2):
        yield
    weft.multiprocessing.close()


atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
)
elements = st.recursive(
    atoms | st.sampled_from(["shared", ("a", 1)]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.sets(st.integers())
    ),
    max_leaves=6,
)


def grouped(pairs):
    groups = defaultdict(list)
    for key, element in pairs:
        groups[key].append(element)
    return list(groups.items())


@given(st.lists(st.tuples(atoms, elements)), st.integers(1, 4), st.integers(1, 5))
@settings(deadline=None)
def test_shards_hold_what_was_put_into_them(pairs, n, blocksize):
    shards = BagShards(n, None)
    for start in range(0, len(pairs), blocksize):
        block = pairs[start : start + blocksize]
        shards.add([key for key, _ in block], [element for _, element in block])
    found = [bag_gather([part], pickle.loads) for part in shards.take(_shuffle._pickled)]
    expected = dict(grouped(pairs))
    assert {key: members for bucket in found for key, members in bucket} == expected
    assert sum(map(len, found)) == len(expected)
    types = [[type(x) for x in members] for bucket in found for _, members in bucket]
    assert sorted(map(str, types)) == sorted(str([type(x) for x in members]) for members in expected.values())


def test_one_object_in_two_elements_stays_one():
    common = [1]
    shards = BagShards(1, None)
    shards.add(["k", "k", "k"], [common, {"a": common}, "text"])
    [part] = shards.take(_shuffle._pickled)
    [(_, (first, second, text))] = bag_gather([part], pickle.loads)
    assert second["a"] is first
    assert text == "text"


def test_shards_that_fail_are_not_used_again():
    def fail(key):
        raise LookupError(key)

    shards = BagShards(2, fail)
    with pytest.raises(LookupError):
        shards.add(["k"], [1])
    with pytest.raises(ValueError, match="failed"):
        shards.add([], [])


def test_cut_short():
    shards = BagShards(1, None)
    shards.add([1, 2], [("a", 1.5), {"x": b"y"}])
    [part] = shards.take(_shuffle._pickled)
    for length in range(1, len(part)):
        try:
            bag_gather([part[:length]], pickle.loads)
        except ValueError as error:
            assert "damaged" in str(error)


@pytest.mark.parametrize("shuffle", ["disk", "tasks"])
@pytest.mark.parametrize("scheduler", ["processes", "threads", None])
def test_groups_are_the_same_everywhere(shuffle, scheduler):
    def record(i):
        return {"key": str(i % 7), "n": i, "d": Decimal(i) if i % 5 == 0 else None}

    bag = db.range(100, npartitions=5).map(record).groupby(lambda r: r["key"], shuffle=shuffle, npartitions=3)
    assert bag.npartitions == 3
    found = bag.compute(scheduler=scheduler)
    assert dict(found) == dict(grouped((str(i % 7), record(i)) for i in range(100)))


def test_branches_of_tasks(monkeypatch):
    bag = db.range(600, npartitions=600).groupby(lambda x: x % 3, shuffle="tasks", npartitions=500)
    assert dict(bag.compute(scheduler="sync")) == {k: list(range(k, 600, 3)) for k in range(3)}


class Named:
    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return self.name == other.name

    def __hash__(self):
        return hash(self.name)


def test_keys_of_the_users_own_meet_across_processes():
    def key(x):
        return Named("even" if x % 2 == 0 else "odd")

    found = db.range(40, npartitions=8).groupby(key).compute(scheduler="processes")
    assert {key.name: members for key, members in found} == {
        "even": list(range(0, 40, 2)),
        "odd": list(range(1, 40, 2)),
    }


def test_more_sections_than_one(monkeypatch):
    monkeypatch.setattr(_shuffle, "SECTION_BYTES", 64)
    monkeypatch.setattr(_shuffle, "BLOCK", 10)
    with tempfile.TemporaryDirectory() as directory:
        files = _shuffle.Files(directory, 3)
        put = _shuffle.Put(lambda x: x % 5, 3, 2**20)
        done = [put(i, range(100 * i, 100 * i + 100), files) for i in range(2)]
        assert len(done[0][1]) > 1
        groups = dict(sum((_shuffle.get(i, done, files) for i in range(3)), []))
    assert groups == {k: list(range(k, 200, 5)) for k in range(5)}


def test_files_that_are_gone_are_named():
    with tempfile.TemporaryDirectory() as directory:
        files = _shuffle.Files(directory, 2)
        done = [_shuffle.Put(lambda x: x, 2, 100)(0, range(10), files)]
    for attempt in (lambda: _shuffle.get(0, done, files), lambda: files.open(1)):
        with pytest.raises(FileNotFoundError, match="Compute again"):
            attempt()


def test_nothing_stays(monkeypatch):
    client = weft.multiprocessing._client(2)
    directory = client.cluster._directory
    with pytest.raises(ZeroDivisionError):
        db.range(10, npartitions=4).groupby(lambda x: 1 // (x - 5)).compute(scheduler="processes")
    db.range(10, npartitions=4).groupby(lambda x: x % 2).compute(scheduler="processes")
    # Released results are dropped a moment later; the next answers of all workers come after that.
    for _ in range(200):
        client.run(os.getpid)
        if not any(name.startswith("weft-groupby") for name in os.listdir(directory)):
            break
    assert not [name for name in os.listdir(directory) if name.startswith("weft-groupby")]
