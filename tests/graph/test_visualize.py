"""`visualize` on collections, lists of them and raw graphs, through every door."""

import xml.etree.ElementTree as ET
from operator import neg

import pytest
import weft
from weft import delayed
from weft.base import visualize_dsk

SVG = "{http://www.w3.org/2000/svg}"


def calls(path):
    """The labels of the circles in an SVG file."""
    root = ET.parse(path).getroot()
    boxes = {(rect.get("x"), rect.get("y")) for rect in root.iter(f"{SVG}rect") if rect.get("x")}
    assert boxes
    return sorted(text.text for text in root.iter(f"{SVG}text"))


@delayed
def inc(x):
    return x + 1


@delayed
def add(x, y):
    return x + y


def test_a_delayed_object_draws_what_it_needs(tmp_path):
    a, b = inc(1), inc(2)
    total = add(a, b)
    total.visualize(tmp_path / "total.svg")
    assert calls(tmp_path / "total.svg") == ["add", "inc", "inc"]
    a.visualize(tmp_path / "a.svg", rankdir="LR")
    assert calls(tmp_path / "a.svg") == ["inc"]


def test_several_collections_and_lists_of_them_make_one_picture(tmp_path):
    a, b = inc(1), inc(2)
    for name, args in {
        "some": (a, b),
        "list": ([a, b],),
        "dict": ({"a": a, "b": [b]},),
        "mixed": (a, [b], 3),
    }.items():
        weft.visualize(*args, filename=tmp_path / f"{name}.svg")
        assert calls(tmp_path / f"{name}.svg") == ["inc", "inc"], name


def test_raw_graphs_are_drawn_whole(tmp_path):
    dsk = {"a": 1, "negative": (neg, "a"), "more": (neg, "negative")}
    weft.visualize(dsk, filename=tmp_path / "raw.svg")
    visualize_dsk(dsk, filename=str(tmp_path / "dsk.svg"))
    assert calls(tmp_path / "raw.svg") == calls(tmp_path / "dsk.svg") == ["more", "negative"]


def test_a_pure_call_made_twice_is_one_circle(tmp_path):
    first, second = (delayed(neg, pure=True)(1) for _ in range(2))
    weft.visualize(first, second, filename=tmp_path / "pure.svg")
    assert calls(tmp_path / "pure.svg") == ["neg"]


@pytest.mark.parametrize("optimize_graph", [True, False])
def test_options_pass_through(tmp_path, optimize_graph):
    total = add(inc(1), inc(2))
    total.visualize(
        filename=tmp_path / "options",
        format="svg",
        optimize_graph=optimize_graph,
        color="order",
        maxval=10,
        verbose=True,
    )
    assert {"0", "1", "2"} <= set(calls(tmp_path / "options.svg"))


def test_a_large_tree_is_drawn_as_groups(tmp_path):
    level = [inc(i) for i in range(2048)]
    while len(level) > 1:
        level = [add(a, b) for a, b in zip(level[::2], level[1::2])]
    level[0].visualize(tmp_path / "tree.svg")
    texts = calls(tmp_path / "tree.svg")
    assert "4,095 tasks, shown as 12 groups" in texts
    assert {"2,048 tasks", "1,024 tasks", "1 task"} <= set(texts)


def test_a_graph_shows_its_layers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    total = add(inc(1), inc(2))
    total.dask.visualize(filename=tmp_path / "layers.svg")
    assert {"inc", "2 tasks", "add", "1 task"} <= set(calls(tmp_path / "layers.svg"))
    total.dask.visualize(filename="here", format="png")
    assert (tmp_path / "here.png").exists()
    total.dask.visualize()
    assert "add" in calls(tmp_path / "dask-hlg.svg")
