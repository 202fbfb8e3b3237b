"""`compute`, `persist`, `optimize`, annotations, schedulers and the collection protocol."""

import dataclasses
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import pytest
import weft
from weft import delayed
from weft.base import (
    DaskMethodsMixin,
    clone_key,
    collections_to_dsk,
    get_collection_names,
    get_name_from_key,
    get_scheduler,
    replace_name_in_key,
    unpack_collections,
)
from weft.delayed import Delayed
from weft.highlevelgraph import HighLevelGraph


def inc(x):
    return x + 1


@dataclasses.dataclass
class Record:
    value: object


class Pair(DaskMethodsMixin):
    __dask_scheduler__ = staticmethod(weft.threaded.get)

    def __init__(self, dsk, keys):
        self._dsk, self._keys = dsk, keys

    def __dask_graph__(self):
        return self._dsk

    def __dask_keys__(self):
        return self._keys

    def __dask_layers__(self):
        return tuple(get_collection_names(self))

    def __dask_tokenize__(self):
        return tuple(self._keys)

    def __dask_postcompute__(self):
        return tuple, ()

    def __dask_postpersist__(self):
        return self._rebuild, ()

    def _rebuild(self, dsk, rename=None):
        return Pair(dsk, [replace_name_in_key(key, rename or {}) for key in self._keys])


def test_compute_looks_into_containers():
    """DL-12."""
    x = delayed(inc)(1)
    shapes = [[x, (x, {x.compute(): x})], {"a": x, "b": [1, x]}, OrderedDict(a=x), Record([x]), 3, "text"]
    assert weft.compute(*shapes) == (
        [2, (2, {2: 2})],
        {"a": 2, "b": [1, 2]},
        OrderedDict(a=2),
        Record([2]),
        3,
        "text",
    )
    assert weft.compute(iter([x, 1])) == ([2, 1],)
    assert weft.compute(iter([1, 2]), x) == ([1, 2], 2)
    assert weft.compute([x], traverse=False) == ([x],)
    assert weft.compute() == ()
    assert weft.compute(1, [2]) == (1, [2])
    untouched = [1]
    assert weft.compute(untouched, x)[0] is untouched


def test_outputs_share_intermediates():
    """SC-12."""
    calls = []
    source = delayed(lambda: calls.append(1) or 5)()
    assert weft.compute(source + 1, source + 2) == (6, 7)
    assert calls == [1]


def test_unpack_collections_names_each_collection_once():
    x, y = delayed(1), delayed(2)
    collections, repack = unpack_collections([x, y], {"x": x})
    assert [c.key for c in collections] == [x.key, y.key]
    assert repack([10, 20]) == ([10, 20], {"x": 10})


def test_persist_runs_once():
    """DL-13."""
    calls = []
    lazy = delayed(lambda: calls.append(1) or [1, 2])()
    (kept,) = weft.persist(lazy)
    assert kept.key == lazy.key
    assert kept.compute() is kept.compute()
    assert (kept + [3]).compute() == [1, 2, 3]
    assert calls == [1]
    assert weft.compute(lazy, kept)[1] == [1, 2]


def test_persisted_values_are_values_whatever_they_look_like():
    odd = [(inc, 1), "text", ("text", 0), [("x",)]]
    for value in odd:
        kept = delayed(lambda v=value: v)(dask_key_name="text").persist()
        assert kept.compute() == value


def test_optimize_gives_equivalent_collections():
    x, y = delayed(inc)(1), delayed(inc)(2)
    new_x, rest = weft.optimize(x, [y, 3])
    assert (new_x.compute(), rest[0].compute(), rest[1]) == (2, 3, 3)
    assert weft.optimize(1, 2) == (1, 2)
    with weft.config.set(delayed_optimize=lambda dsk, keys, **kwargs: {keys[0][0]: 100}):
        assert x.compute() == 100
        assert x.compute(optimize_graph=False) == 2


def test_schedulers_by_name():
    """SC-05, SC-06."""
    x = delayed(inc)(1)
    for name in ("threads", "threading", "sync", "synchronous", "single-threaded", "Threads"):
        assert x.compute(scheduler=name) == 2
        with weft.config.set(scheduler=name):
            assert x.compute() == 2
            assert get_scheduler() is get_scheduler(scheduler=name)
    assert get_scheduler() is None
    assert get_scheduler(collections=[x]) is weft.threaded.get
    with pytest.raises(ValueError, match="threads"):
        x.compute(scheduler="no-such")
    with pytest.raises(ValueError, match="Unexpected scheduler"):
        x.compute(scheduler=3)
    with pytest.raises(RuntimeError, match="no Client"):
        x.compute(scheduler="distributed")
    assert get_scheduler(scheduler="processes") is get_scheduler(scheduler="multiprocessing")


def test_schedulers_by_function_and_pool():
    """SC-16."""
    x = delayed(inc)(1)
    seen = []

    def mine(dsk, keys, **kwargs):
        seen.append((len(dsk), keys, kwargs))
        return weft.get(dsk, keys)

    assert x.compute(scheduler=mine, extra=1) == 2
    assert seen == [(1, [x.key], {"extra": 1})]
    with ThreadPoolExecutor(2) as pool:
        assert x.compute(scheduler=pool) == 2
        assert x.compute(pool=pool) == 2
    assert x.compute(num_workers=1) == 2


def test_a_function_written_for_plain_dicts_can_run_our_graphs():
    def naive(dsk, keys, **kwargs):
        results = {}

        def run(key):
            if key not in results:
                task = dsk[key]
                results[key] = task({k: run(k) for k in task.dependencies})
            return results[key]

        return [run(key) for key in keys]

    total = delayed(sum)([delayed(inc)(i) for i in range(5)])
    assert total.compute(scheduler=naive) == 15


def test_get_keyword_is_refused_with_help():
    """SC-07."""
    for call in (lambda: delayed(1).compute(get=weft.get), lambda: weft.compute(delayed(1), get=weft.get)):
        with pytest.raises(TypeError, match="scheduler="):
            call()
    with weft.config.set(get=weft.get), pytest.raises(ValueError, match="scheduler="):
        delayed(1).compute()


def test_graphs_as_dicts():
    """SC-01, SC-03."""
    dsk = {
        "a": 1,
        "b": (inc, "a"),
        "c": [(inc, "b"), "a", {"x": "a"}],
        ("t", 0): (sum, ["a", "b"]),
        "alias": ("t", 0),
    }
    for get in (weft.get, weft.threaded.get):
        assert get(dsk, "b") == 2
        assert get(dsk, ["b", [("t", 0), "alias"]]) == (2, (3, 3))
        assert get(dsk, "c") == [3, 1, {"x": "a"}]
        with pytest.raises(KeyError, match="nothing"):
            get(dsk, "nothing")
    assert dsk["b"] == (inc, "a")


@pytest.mark.parametrize("key", ["s", b"bytes", 1, 2.5, ("t", 0), ("t", ("u", 1.5), b"v")])
def test_keys_of_all_kinds(key):
    assert weft.get({key: (inc, 41)}, key) == 42
    assert weft.get({key: 1}, [key]) == (1,)


@pytest.mark.parametrize("key", [None, object(), frozenset(), ("t", None)])
def test_keys_that_cannot_be(key):
    with pytest.raises(TypeError, match="key"):
        weft.get({key: 1}, [key])


def test_cycles_are_named():
    with pytest.raises(RuntimeError, match="'a' -> 'b' -> 'a'|'b' -> 'a' -> 'b'"):
        weft.get({"a": (inc, "b"), "b": (inc, "a"), "c": 1}, "a")
    assert weft.get({"a": (inc, "b"), "b": (inc, "a"), "c": 1}, "c") == 1


def test_foreign_collections():
    pair = Pair({"p": (inc, 0), "q": (inc, "p")}, ["p", "q"])
    assert weft.is_dask_collection(pair)
    assert pair.compute() == (1, 2)
    assert weft.compute(pair, delayed(inc)(1), [pair]) == ((1, 2), 2, [(1, 2)])
    assert pair.persist().compute() == (1, 2)
    assert weft.optimize(pair)[0].compute() == (1, 2)
    nested = Pair(
        {("n", i, j): i + j for i in range(2) for j in range(2)},
        [[("n", i, j) for j in range(2)] for i in range(2)],
    )
    assert nested.compute() == ((0, 1), (1, 2))


def test_our_graphs_inside_foreign_ones():
    x = delayed(inc)(1)
    layer = {"top": (inc, x.key), "side": (sum, ["top", x.key])}
    graph = HighLevelGraph.from_collections("top", layer, dependencies=[x])
    assert Pair(graph, ["top", "side"]).compute() == (3, 5)
    assert Delayed("top", graph).compute() == 3
    plain = {**x.dask, "top": (inc, x.key)}
    assert weft.get(plain, "top") == 3
    merged = HighLevelGraph.merge(x.dask, {"other": (inc, x.key)})
    assert weft.get(merged, ["other"]) == (3,)


def test_no_collections():
    class Empty(DaskMethodsMixin):
        def __dask_graph__(self):
            return None

    assert not weft.is_dask_collection(Empty())
    assert not weft.is_dask_collection(Pair)
    assert not weft.is_dask_collection([delayed(1)])
    assert weft.compute(1, Empty)[1] is Empty


def test_collections_with_different_schedulers_need_a_choice():
    class Other(Pair):
        __dask_scheduler__ = staticmethod(weft.get)

    a, b = Pair({"a": 1}, ["a"]), Other({"b": 2}, ["b"])
    with pytest.raises(ValueError, match="differing default schedulers"):
        weft.compute(a, b)
    assert weft.compute(a, b, scheduler="sync") == ((1,), (2,))


def test_annotations():
    assert weft.get_annotations() == {}
    with weft.annotate(priority=1):
        with weft.annotate(retries=3, custom="yes"):
            x = delayed(inc)(1)
            assert weft.get_annotations() == {"priority": 1, "retries": 3, "custom": "yes"}
        y = delayed(inc)(x)
    z = delayed(inc)(y)
    layers = z.dask.layers
    assert layers[x.key].annotations == {"priority": 1, "retries": 3, "custom": "yes"}
    assert layers[y.key].annotations == {"priority": 1}
    assert layers[z.key].annotations is None
    for wrong in (
        {"priority": "high"},
        {"retries": -1},
        {"workers": 3},
        {"resources": 1},
        {"allow_other_workers": 1},
    ):
        with pytest.raises(TypeError, match=next(iter(wrong))), weft.annotate(**wrong):
            pass


def test_names_in_keys():
    assert get_name_from_key(("x-1", 0)) == get_name_from_key("x-1") == "x-1"
    assert replace_name_in_key(("x", 1), {"x": "y"}) == ("y", 1)
    assert replace_name_in_key("z", {"x": "y"}) == "z"
    assert clone_key(("inc-1", 2), 0)[1] == 2
    assert clone_key("inc-1", 0) == clone_key("inc-1", 0) != clone_key("inc-1", 1)
    for function in (
        get_name_from_key,
        lambda key: replace_name_in_key(key, {}),
        lambda key: clone_key(key, 0),
    ):
        with pytest.raises(TypeError):
            function(1)


def test_graphs_can_be_looked_at():
    """SC-13."""
    x = delayed(inc)(1)
    y = delayed(inc)(x)
    graph = y.__dask_graph__()
    assert graph.dependencies == {x.key: set(), y.key: {x.key}}
    assert graph.dependents == {x.key: {y.key}, y.key: set()}
    assert graph.get_all_dependencies() == {x.key: set(), y.key: {x.key}}
    assert list(graph) == [x.key, y.key]
    assert graph[y.key].dependencies == {x.key}
    assert graph[y.key]({x.key: 5}) == 6
    assert graph.get("none") is None
    assert y.__dask_layers__() == (y.key,)
    assert set(collections_to_dsk([x, y])) == {x.key, y.key}
