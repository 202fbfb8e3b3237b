"""Plain graphs: `weft.core`, `weft.optimization`, task specs, layers, bound and cloned collections."""

import pickle
import threading
from operator import add

import pytest
import weft
from hypothesis import given, settings
from hypothesis import strategies as st
from weft import core, delayed
from weft._task_spec import Alias, DataNode, Dict, List, Task, TaskRef, convert_legacy_graph, execute_graph
from weft.graph_manipulation import bind, checkpoint, clone, wait_on
from weft.highlevelgraph import HighLevelGraph
from weft.optimization import SubgraphCallable, cull, functions_of, fuse, inline, inline_functions


def inc(x):
    return x + 1


@st.composite
def graphs(draw):
    """Graphs in tuple notation: each task reads some that stand before it."""
    dsk = {}
    for i in range(draw(st.integers(1, 10))):
        reads = draw(st.lists(st.sampled_from(sorted(dsk) or [0]), max_size=3)) if dsk else []
        kind = draw(st.sampled_from(["call", "nested", "alias", "value", "list"]))
        if kind == "alias" and reads:
            dsk[f"k{i}"] = reads[0]
        elif kind == "nested" and reads:
            dsk[f"k{i}"] = (sum, [(sum, [*reads, 1]), *reads])
        elif kind == "list":
            dsk[f"k{i}"] = (sum, [[*reads, i], []].pop(0))
        elif kind == "value":
            dsk[f"k{i}"] = i
        else:
            dsk[f"k{i}"] = (sum, [*reads, i])
    return dsk


def reference(dsk, key):
    def value(task):
        if type(task) is tuple:
            return task[0](*map(value, task[1:]))
        if isinstance(task, list):
            return [value(item) for item in task]
        return value(dsk[task]) if isinstance(task, str) else task

    return value(dsk[key])


@settings(deadline=None)
@given(graphs())
def test_all_ways_to_run_a_graph_agree(dsk):
    keys = sorted(dsk)
    expected = tuple(reference(dsk, key) for key in keys)
    assert core.get(dsk, keys) == expected
    assert weft.get(dsk, keys) == expected
    assert weft.threaded.get(dsk, keys) == expected
    nodes = convert_legacy_graph(dsk)
    assert weft.get(nodes, keys) == expected
    results = execute_graph(dict(nodes))
    assert tuple(results[key] for key in keys) == expected


@settings(deadline=None)
@given(graphs())
def test_rewrites_keep_results(dsk):
    out = sorted(dsk)[-1]
    expected = reference(dsk, out)
    assert weft.get(cull(dsk, [out])[0], out) == expected
    assert weft.get(inline(dsk), out) == expected
    assert weft.get(fuse(dsk, [out])[0], out) == expected
    assert weft.get(fuse(dsk, [out], rename_keys=False)[0], out) == expected
    order = core.toposort(dsk)
    assert all(
        order.index(read) < order.index(key) for key in dsk for read in core.get_dependencies(dsk, key)
    )


def test_cull_and_inline():
    dsk = {"a": 1, "b": (inc, "a"), "c": (add, "b", "b"), "d": 4}
    culled, dependencies = cull(dsk, "b")
    assert culled == {"a": 1, "b": (inc, "a")}
    assert dependencies == {"b": ["a"], "a": []}
    assert inline_functions(dsk, ["c"], [inc]) == {"a": 1, "c": (add, (inc, "a"), (inc, "a")), "d": 4}
    assert functions_of((add, (inc, 1), [(sum, [1])])) == {add, inc, sum}


def test_subgraph_callable():
    function = SubgraphCallable({"b": (inc, "a"), "c": (add, "b", "x")}, "c", ["a", "x"], name="f")
    assert function(1, 10) == 12
    assert pickle.loads(pickle.dumps(function)) == function
    with pytest.raises(ValueError, match="Expected 2 args"):
        function(1)


def test_looking_into_plain_graphs():
    assert core.istask((inc, 1)) and not core.istask((1, inc)) and not core.istask(())
    assert core.ishashable(1) and not core.ishashable([1])
    assert list(core.flatten([[1, [2]], (3, 4)])) == [1, 2, (3, 4)]
    assert list(core.flatten("text")) == ["text"]
    assert core.reverse_dict({"a": ["b"], "b": []}) == {"a": set(), "b": {"a"}}
    assert core.subs((inc, ["x", (inc, "x")]), "x", 1) == (inc, [1, (inc, 1)])
    assert core.getcycle({"a": (inc, "b"), "b": (inc, "a")}, "a") == ["a", "b", "a"]
    assert core.isdag({"a": 1, "b": (inc, "a")}, "b")
    with pytest.raises(RuntimeError, match="a->b->a"):
        core.toposort({"a": (inc, "b"), "b": (inc, "a")})
    value = [(inc, 1)]
    assert weft.get({"q": core.quote(value)}, "q") == value
    core.validate_key(("a", 1, 2.5, b"c"))
    with pytest.raises(TypeError, match="index=1"):
        core.validate_key(("a", [1]))


def test_task_objects():
    task = Task("k", add, TaskRef("a"), List(TaskRef("b"), 2))
    assert task.dependencies == {"a", "b"}
    assert task({"a": [1], "b": 3}) == [1, 3, 2]
    assert task.substitute({"a": "z"}).dependencies == {"z", "b"}
    with pytest.raises(RuntimeError, match="missing keys"):
        task({"a": 1})
    assert Dict({"x": TaskRef("a")})({"a": 1}) == {"x": 1}
    assert Alias("x", "y")({"y": 3}) == 3
    for node in (task, Dict({"x": TaskRef("a")}), Alias("x", "y"), DataNode("d", [1]), TaskRef("r")):
        assert pickle.loads(pickle.dumps(node)) == node
    dsk = {"a": DataNode("a", [1]), "b": DataNode("b", 3), "k": task, "again": Alias("again", "k")}
    assert weft.get(dsk, "again") == [1, 3, 2]
    fused = Task.fuse(Task("u", inc, TaskRef("in")), Task("v", inc, TaskRef("u")))
    assert (fused.key, fused({"in": 1})) == ("v", 3)


def test_high_level_graphs():
    graph = HighLevelGraph({"x": {"a": 1}, "y": {"b": (inc, "a"), "c": 0}}, {"x": set(), "y": {"x"}})
    graph.validate()
    assert len(graph) == 3 and set(graph) == {"a", "b", "c"} and "b" in graph
    assert graph["b"] == (inc, "a")
    assert graph.to_dict() == dict(graph)
    assert graph.get_all_dependencies() == {"a": set(), "b": {"a"}, "c": set()}
    assert dict(graph.cull({"b"})) == {"a": 1, "b": (inc, "a")}
    assert list(graph.cull_layers(["x"]).layers) == ["x"]
    assert graph.dependents == {"x": {"y"}, "y": set()}
    with pytest.raises(ValueError, match="not in the graph"):
        HighLevelGraph({"y": {"b": 1}}, {"y": {"gone"}}).validate()
    with pytest.raises(ValueError, match="incorrect dependencies"):
        HighLevelGraph({"x": {"a": 1}, "y": {"b": (inc, "a")}}, {"x": set(), "y": set()}).validate()


def test_bind_waits_for_its_parents():
    order = []
    lock = threading.Lock()

    def note(name, *args):
        with lock:
            order.append(name)
        return name

    parents = [delayed(note)(f"parent{i}") for i in range(20)]
    child = delayed(note)("child", delayed(note)("leaf"))
    bound = bind(child, parents, split_every=3)
    assert bound.key != child.key
    assert bound.compute() == "child"
    assert sorted(order[:20]) == sorted(f"parent{i}" for i in range(20))
    assert order[20:] == ["leaf", "child"]


def test_clone_shares_nothing_but_what_is_omitted():
    source = delayed(inc)(1)
    middle = delayed(inc)(source)
    top = delayed(add)(middle, source)
    copied = clone(top)
    assert copied.compute() == top.compute() == 5
    assert not set(copied.dask) & set(top.dask)
    assert clone(top, seed=1).key == clone(top, seed=1).key != clone(top, seed=2).key
    kept = clone(top, omit=source)
    assert kept.compute() == 5
    assert set(kept.dask) & set(top.dask) == {source.key}
    a, [b] = clone(source, [middle])
    assert weft.compute(a, b) == (2, 3)


def test_checkpoint_and_wait_on():
    done = []
    parts = [delayed(done.append)(i) for i in range(30)]
    assert checkpoint(parts).compute() is None
    assert sorted(done) == list(range(30))
    waited = wait_on(*[delayed(inc)(i) for i in range(3)])
    assert weft.compute(*waited) == (1, 2, 3)
    with pytest.raises(ValueError, match="split_every"):
        checkpoint(parts, split_every=1)
