"""Bags as collections: laziness, one pass for joined steps, sharing, pickles, the groupby store, errors."""

import os
import pickle
import tempfile
import threading

import pytest
import weft
import weft.bag as db
from weft.bag import _shuffle


def inc(x):
    return x + 1


def test_a_million_partitions_are_one_layer_each():
    b = db.range(1_000_000, 1_000_000).map(inc).filter(bool).map(str)
    assert len(b.dask.layers) == 4
    assert b.take(1) == ("1",)


def test_joined_steps_are_one_task_for_each_partition():
    b = db.from_sequence(range(6), npartitions=3).map(inc).filter(bool).map(str)
    optimized = b.__dask_optimize__(b.dask, b.__dask_keys__())
    assert len(b.dask) == 12
    assert sorted(optimized) == sorted(b.__dask_keys__())


def test_an_element_goes_through_all_steps_before_the_next():
    seen = []

    def note(step):
        def call(x):
            seen.append((step, x))
            return x

        return call

    assert db.from_sequence([1, 2], npartitions=1).map(note("a")).map(note("b")).compute(
        scheduler="sync"
    ) == [1, 2]
    assert seen == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_take_reads_no_more_than_it_needs():
    seen = []
    b = db.from_sequence(range(100), npartitions=2).map(lambda x: seen.append(x) or x)
    assert b.map(inc).take(3) == (1, 2, 3)
    assert seen == [0, 1, 2]


def test_what_several_collections_read_is_computed_once():
    seen = []
    b = db.from_sequence(range(4), npartitions=2).map(lambda x: seen.append(x) or x)
    assert weft.compute(b.sum(), b.max(), b.map(inc), scheduler="sync") == (6, 3, [1, 2, 3, 4])
    assert sorted(seen) == [0, 1, 2, 3]


def test_annotated_steps_keep_their_hints():
    b = db.from_sequence(range(4), npartitions=2)
    with weft.annotate(priority=3):
        marked = b.map(inc)
    last = marked.map(inc)
    layers = last.__dask_optimize__(last.dask, last.__dask_keys__()).layers
    assert layers[marked.name].annotations == {"priority": 3}
    assert last.compute() == [2, 3, 4, 5]


def test_partitions_that_are_iterators_can_be_read_twice():
    b = db.from_sequence(range(4), npartitions=2).map_partitions(lambda part: (x for x in part))
    assert weft.compute(b.sum(), b.count(), scheduler="sync") == (6, 4)


def test_nested_iterators_become_lists():
    assert db.from_sequence([3], npartitions=1).map(lambda n: iter(range(n))).compute() == [[0, 1, 2]]


def test_bags_and_items_can_be_pickled():
    b = db.from_sequence(range(10), npartitions=3).map(inc)
    total = b.accumulate(max).repartition(2).sum()
    assert pickle.loads(pickle.dumps(b)).compute() == b.compute()
    assert pickle.loads(pickle.dumps(total)).compute() == total.compute()


def test_graphs_can_be_run_as_plain_mappings():
    from weft.core import get

    b = db.from_sequence(range(10), npartitions=3).map(inc).filter(bool)
    total = b.frequencies()
    graph = total.__dask_optimize__(total.dask, total.__dask_keys__())
    assert sorted(get(dict(graph), (total.name, 0))) == [(x, 1) for x in range(1, 11)]


def test_persisted_bags_go_on():
    b = db.from_sequence(range(10), npartitions=3).map(inc).persist()
    assert b.npartitions == 3
    assert b.map(inc).compute() == list(range(2, 12))


def test_other_collections_are_arguments():
    b = db.from_sequence(range(3))
    ten = weft.delayed(10)
    assert b.map(lambda x, y, z: x + y + z[0], ten, z=[ten]).compute() == [20, 21, 22]
    assert b.map_partitions(lambda part, n, by: [x * n / by for x in part], ten, by=b.max()).compute() == [
        0,
        5,
        10,
    ]
    assert weft.delayed(sorted)(b).compute() == [0, 1, 2]
    assert b.sum().to_delayed().compute() == 3


def test_graphs_with_other_orders_of_keys():
    graph = {("x", 1): [2], "other": 5, ("x", 0): (list, [1, "other"])}
    b = db.Bag(graph, "x", 2)
    assert b.compute() == [1, 5, 2]
    assert b.map(inc).compute() == [2, 6, 3]


def test_unlike_partitions():
    one, two = db.from_sequence([1, 2], npartitions=1), db.from_sequence([1, 2], npartitions=2)
    with pytest.raises(ValueError, match="same number of partitions"):
        one.map(max, two)
    with pytest.raises(ValueError, match="identically partitioned"):
        one.map(max, db.from_sequence([1], npartitions=1)).compute()
    with pytest.raises(ValueError, match="must be a Bag"):
        db.map(inc, 1)
    with pytest.raises(NotImplementedError, match="Multi-bag"):
        one.join(two, inc)


def test_an_exception_in_a_generator_is_the_users_and_the_next_compute_works():
    def rows(part):
        yield from part
        raise ZeroDivisionError("in row 3")

    b = db.from_sequence(range(4), npartitions=2)
    with pytest.raises(ZeroDivisionError, match="in row 3"):
        b.map_partitions(rows).map(inc).compute()
    assert b.map(inc).compute() == [1, 2, 3, 4]


def test_processes():
    bag = db.from_sequence(range(20), npartitions=4)
    assert bag.map(lambda i: (i % 3, os.getpid())).pluck(1).distinct().compute(scheduler="processes") != [
        os.getpid()
    ]
    assert bag.map(str).filter(lambda text: "1" in text).compute(scheduler="processes") == [
        str(i) for i in range(20) if "1" in str(i)
    ]
    with weft.config.set(scheduler="processes"):
        assert sorted(bag.groupby(lambda i: i % 2).map(lambda group: len(group[1])).compute()) == [10, 10]


def test_groupby_beyond_its_memory_goes_through_files(tmp_path):
    values = [(i % 101, "x" * 50) for i in range(5_000)]
    with weft.config.set({"bag.shuffle-memory": 10_000, "temporary_directory": str(tmp_path)}):
        pairs = db.from_sequence(values, npartitions=7).groupby(0, blocksize=100).compute()
    assert sorted(key for key, _ in pairs) == list(range(101))
    assert all(members == [v for v in values if v[0] == key] for key, members in pairs)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("memory", [10, 10_000])
def test_a_store_holds_what_fits_and_removes_its_files(tmp_path, memory):
    a, b = (
        next(key for key in "abcdefgh" if key in _shuffle.bag_scatter({key: []}, 2)[number])
        for number in range(2)
    )
    with weft.config.set({"temporary_directory": str(tmp_path)}):
        store = _shuffle.Store(2, memory=memory)
        store.add(1, [a], [2], 5)
        assert os.listdir(tmp_path) == []
        store.add(0, [a, b], [1, 3], 20)
        assert len(os.listdir(tmp_path)) == (memory == 10)
        store.add(2, [b, a], [5, 4], 1)
        assert store.bucket(0) == [(a, [1, 2, 4])]
        assert store.bucket(1) == [(b, [3, 5])]
        assert store.bucket(1) == [(b, [3, 5])]
        del store
    assert os.listdir(tmp_path) == []


def test_groupby_of_values_that_only_cloudpickle_can_write():
    lock = threading.Lock()
    with weft.config.set({"bag.shuffle-memory": 0}), pytest.raises(TypeError, match="pickle"):
        db.from_sequence([lock]).groupby(lambda x: 1).compute()
    functions = [lambda: 1, lambda: 2]
    with weft.config.set({"bag.shuffle-memory": 0}):
        ((_, members),) = db.from_sequence(functions).groupby(lambda f: 1).compute()
    assert [f() for f in members] == [1, 2]


def test_equal_keys_meet_whatever_their_type():
    pairs = db.from_sequence([1, 1.0, True, "1", b"1"], npartitions=5).groupby(lambda x: x).compute()
    assert sorted(len(members) for _, members in pairs) == [1, 1, 3]


def test_text_files_are_written_and_read(tmp_path):
    lines = [str(i) for i in range(10)]
    for suffix in ("txt", "txt.gz", "txt.bz2", "txt.xz"):
        names = db.from_sequence(lines, npartitions=3).to_textfiles(
            str(tmp_path / f"*.{suffix}"), last_endline=True
        )
        assert [os.path.basename(name) for name in names] == [f"{i}.{suffix}" for i in range(len(names))]
        assert db.read_text(names).str.strip().compute() == lines


def test_from_url_reads_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\nb\n")
    assert db.from_url(path.as_uri()).compute() == [b"a\n", b"b\n"]


def test_no_temporary_files_are_left():
    before = set(os.listdir(tempfile.gettempdir()))
    db.from_sequence(range(1000), npartitions=9).groupby(lambda x: x % 7).compute()
    left = {
        name for name in set(os.listdir(tempfile.gettempdir())) - before if name.startswith("weft-groupby-")
    }
    assert left == set()


@pytest.mark.parametrize(
    "elements, options",
    [
        ([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 3, "b": "z"}], {}),
        ([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], {"columns": ["b"]}),
        ([(1, 2.5), (2, 3.5)], {"columns": ["n", "x"]}),
        ([(1, 2.5), (2, 3.5)], {"meta": {"n": "int64", "x": "float64"}}),
    ],
)
def test_dataframes_are_those_of_the_elements(elements, options):
    import pandas as pd

    frame = db.from_sequence(elements, npartitions=2).to_dataframe(**options).compute()
    columns = options.get("columns") or (list(options["meta"]) if "meta" in options else None)
    expected = pd.DataFrame(elements, columns=columns)
    pd.testing.assert_frame_equal(frame.reset_index(drop=True), expected, check_dtype=False)


def test_dataframes_need_something_to_look_at():
    with pytest.raises(ValueError, match="meta"):
        db.from_sequence([]).to_dataframe()
    with pytest.raises(ValueError, match="both"):
        db.from_sequence([(1,)]).to_dataframe(meta={"a": int}, columns=["a"])
