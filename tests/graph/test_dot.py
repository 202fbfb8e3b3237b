"""Pictures: what they show, and that files of every format are whole."""

import os
import re
import struct
import sys
import xml.etree.ElementTree as ET
import zlib
from operator import add, neg

import pytest
from weft import config
from weft.dot import (
    Drawing,
    box_label,
    cytoscape_graph,
    dot_graph,
    label,
    to_graphviz,
    visualize,
    visualize_dsk,
)

DSK = {"a": 1, "b": 2, "c": (neg, "a"), "d": (neg, "b"), "e": (add, "c", "d"), "f": (sum, ["a", "e"])}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def without_ipython(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)


def draw(dsk, format="svg", **kwargs):
    """The content of a picture."""
    saved = sys.modules.get("IPython")
    sys.modules["IPython"] = None
    try:
        return dot_graph(dsk, filename=None, format=format, **kwargs).data
    finally:
        sys.modules.pop("IPython")
        if saved is not None:
            sys.modules["IPython"] = saved


def svg(dsk, **kwargs):
    root = ET.fromstring(draw(dsk, **kwargs))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    circles = list(root.iter(f"{SVG}ellipse"))
    boxes = [rect for rect in root.iter(f"{SVG}rect") if rect.get("x")]
    return root, texts, circles, boxes


def test_calls_are_circles_and_results_are_boxes():
    _, texts, circles, boxes = svg(DSK)
    assert sorted(texts) == ["c", "d", "e", "f"]
    assert (len(circles), len(boxes)) == (4, 6)


def test_verbose_labels_boxes_too():
    _, texts, _, _ = svg({**DSK, ("x", 1, 2): (neg, "a"), ("y", 3): 4}, verbose=True)
    assert sorted(texts) == sorted([*"abccddeeff", "(1, 2)", "x", "3"])


def test_outputs_can_be_collapsed():
    _, texts, circles, boxes = svg(DSK, collapse_outputs=True)
    assert sorted(texts) == ["c", "d", "e", "f"]
    assert (len(circles), len(boxes)) == (4, 2)


def test_aliases_are_boxes():
    root, _, circles, boxes = svg({"x": 1, "y": "x"})
    assert (len(circles), len(boxes)) == (0, 2)
    assert len([path for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]) == 1


def test_only_what_keys_need_is_drawn():
    _, texts, _, _ = svg(DSK, keys=["d"])
    assert texts == ["d"]


@pytest.mark.parametrize(
    "rankdir, axis, sign", [("BT", "cy", -1), ("TB", "cy", 1), ("LR", "cx", 1), ("RL", "cx", -1)]
)
def test_arrows_lead_where_rankdir_says(rankdir, axis, sign):
    _, texts, circles, _ = svg({"a": 1, "b": (neg, "a"), "c": (neg, "b")}, rankdir=rankdir)
    at = {circle.find(f"{SVG}title").text: float(circle.get(axis)) for circle in circles}
    assert (at["'c'"] - at["'b'"]) * sign > 0


def test_attributes_reach_the_picture():
    root, texts, circles, boxes = svg(
        DSK,
        node_attr={"penwidth": 3, "fillcolor": "lightblue", "fontcolor": "#00ff00"},
        edge_attr={"color": "red"},
        graph_attr={"bgcolor": "black"},
        data_attributes={"a": {"shape": "ellipse"}, "b": {"label": "<two>"}},
        function_attributes={"c": {"label": "negate", "color": "purple", "shape": "diamond"}},
    )
    assert {"negate", "<two>"} <= set(texts)
    assert {circle.get("fill") for circle in circles} == {"#add8e6"}
    assert {box.get("stroke-width") for box in boxes} == {"3"}
    assert (len(circles), len(boxes)) == (4, 5)
    (diamond,) = root.iter(f"{SVG}polygon")
    assert diamond.get("stroke") == "#800080"
    assert {path.get("stroke") for path in root.iter(f"{SVG}path") if path.get("fill") == "none"} == {
        "#ff0000"
    }
    assert next(root.iter(f"{SVG}rect")).get("fill") == "#000000"
    assert {text.get("fill") for text in root.iter(f"{SVG}text")} == {"#00ff00"}


def test_colours_follow_the_order():
    _, texts, circles, _ = svg({"a": 1, "b": (neg, "a"), "c": (neg, "b")}, color="order")
    strokes = {circle.find(f"{SVG}title").text: circle.get("stroke") for circle in circles}
    assert sorted(texts) == ["1", "2"]
    assert strokes["'c'"] == "#f0f921"  # the last of plasma
    assert strokes["'b'"] != strokes["'c'"]


@pytest.mark.parametrize(
    "color", ["age", "freed", "memoryincreases", "memorydecreases", "memorypressure", "cpath"]
)
def test_colours_show_other_measures(color):
    _, texts, circles, _ = svg(DSK, color=color)
    assert all(text.isdigit() for text in texts)
    _, texts, _, _ = svg(DSK, color=f"order-{color}", cmap="viridis")
    assert all(re.fullmatch(r"\d+-\d+", text) for text in texts)


def test_colour_maps_of_matplotlib_by_name_and_by_themselves(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    graph = {"a": 1, "b": (neg, "a"), "c": (neg, "b")}
    by_name = draw(graph, color="order", cmap="Greens")
    assert by_name == draw(graph, color="order", cmap=matplotlib.colormaps["Greens"])
    assert by_name != draw(graph, color="order")
    assert b"#00441b" in by_name  # its last colour
    with pytest.raises(KeyError, match="nonsense"):
        draw(graph, color="order", cmap="nonsense")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match="weft's own are plasma, viridis, Reds"):
        draw(graph, color="order", cmap="Greens")


def test_options_that_are_not_known_are_named():
    with pytest.raises(NotImplementedError, match="color=nonsense"):
        draw(DSK, color="nonsense")
    with pytest.raises(ValueError, match="rankdir is one of BT"):
        draw(DSK, rankdir="up")
    with pytest.raises(ValueError, match="pictures are one of png, svg, pdf, dot; engine='graphviz'"):
        draw(DSK, format="jpeg")


def test_a_cyclic_graph_can_be_seen_but_not_ordered():
    cycle = {"a": (neg, "b"), "b": (neg, "a")}
    assert len(svg(cycle)[2]) == 2
    with pytest.raises(RuntimeError, match="Cycle detected"):
        draw(cycle, color="order")


def test_large_graphs_are_drawn_as_groups_and_say_so():
    graph = {("load-0123abcd", i): (neg, i) for i in range(5000)}
    graph.update(
        {
            ("sum-4567abcd", i): (add, ("load-0123abcd", 2 * i), ("load-0123abcd", 2 * i + 1))
            for i in range(2500)
        }
    )
    _, texts, circles, boxes = svg(graph)
    assert (len(circles), len(boxes)) == (0, 2)
    assert {"load", "5,000 tasks", "sum", "2,500 tasks", "7,500 tasks, shown as 2 groups"} == set(texts)
    assert len(svg(graph, limit=10_000)[2]) == 7500


@pytest.mark.parametrize("format", ["png", "svg", "pdf", "dot"])
def test_an_empty_graph_is_a_picture(format, tmp_path):
    dot_graph({}, tmp_path / "empty", format=format)
    assert (tmp_path / f"empty.{format}").stat().st_size > 0


def test_png_is_whole():
    data = draw(DSK, "png")
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, pixels, size = 8, b"", None
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        pixels += body if kind == b"IDAT" else b""
        at += 12 + length
    assert len(zlib.decompress(pixels)) == size[1] * (1 + 3 * size[0])


def test_pdf_is_whole():
    data = draw_to_file(DSK, "pdf")
    assert data.startswith(b"%PDF-1.4") and data.endswith(b"%%EOF\n")
    table = int(re.search(rb"startxref\n(\d+)\n", data).group(1))
    assert data[table:].startswith(b"xref\n")
    for number, offset in enumerate(re.findall(rb"(\d{10}) 00000 n", data), 1):
        assert data[int(offset) :].startswith(b"%d 0 obj" % number)
    length = int(re.search(rb"/Length (\d+)", data).group(1))
    start = data.index(b"stream\n") + len(b"stream\n")
    content = zlib.decompress(data[start : start + length]).decode()
    assert re.findall(r"\((.*?)\) Tj", content) == ["c", "d", "e", "f"]


def test_dot_is_what_graphviz_reads():
    text = draw_to_file({"a": 1, 'say "x"\\': (neg, "a")}, "dot").decode()
    assert text.startswith("digraph {\n")
    assert '"\'a\'" [label="" shape=box]' in text
    assert text.count("->") == 2
    assert r"say \"x\"" in text


def draw_to_file(dsk, format):
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = os.path.join(folder, f"picture.{format}")
        dot_graph(dsk, path)
        with open(path, "rb") as file:
            return file.read()


@pytest.mark.parametrize(
    "filename, format, target, kind",
    [
        ("mypdf", "svg", "mypdf.svg", "SVG"),
        ("my.pdf", None, "my.pdf", None),
        ("my.pdf", "svg", "my.pdf.svg", "SVG"),
        ("my", None, "my.png", "Image"),
        ("my.pdf.SVG", None, "my.pdf.svg", "SVG"),
        ("my.other", None, "my.other.png", "Image"),
        ("$(touch no)", "dot", "$(touch no).dot", None),
    ],
)
def test_file_names_and_formats(tmp_path, filename, format, target, kind):
    pytest.importorskip("IPython")
    result = dot_graph(DSK, filename=tmp_path / filename, format=format)
    assert [path.name for path in tmp_path.iterdir()] == [target]
    assert (type(result).__name__ if kind else result) == kind


def test_without_a_file_name_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert type(dot_graph(DSK, filename=None)).__name__ in ("Image", "Drawing")
    assert dot_graph(DSK, filename=None, format="pdf") is None
    assert list(tmp_path.iterdir()) == []


def test_notebooks_can_show_pictures_without_ipython(without_ipython, tmp_path):
    picture = dot_graph(DSK, tmp_path / "a.svg")
    assert isinstance(picture, Drawing)
    assert picture._repr_svg_().startswith("<svg") and picture._repr_png_() is None
    assert "a.svg" in repr(picture)
    picture = dot_graph(DSK, None)
    assert picture._repr_png_().startswith(b"\x89PNG") and picture._repr_svg_() is None


def test_default_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    visualize(DSK)
    assert (tmp_path / "mydask.png").exists()


def test_other_engines_are_asked_for_and_missed_by_name(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.setitem(sys.modules, "ipycytoscape", None)
    monkeypatch.chdir(tmp_path)
    for engine, command in [
        ("graphviz", "pip install graphviz"),
        ("cytoscape", "pip install ipycytoscape"),
        ("ipycytoscape", "pip install ipycytoscape"),
    ]:
        with pytest.raises(RuntimeError, match=command):
            visualize(DSK, engine=engine)
        with config.set({"visualization.engine": engine}), pytest.raises(RuntimeError, match=command):
            visualize_dsk(DSK)
    with pytest.raises(ValueError, match="engine nonsense not recognized"):
        visualize(DSK, engine="nonsense")
    assert list(tmp_path.iterdir()) == []


def test_graphviz_gets_the_same_picture():
    pytest.importorskip("graphviz")
    graph = to_graphviz(
        DSK, node_attr={"color": "white"}, rankdir="LR", function_attributes={"c": {"label": "neg"}}
    )
    assert graph.graph_attr["rankdir"] == "LR"
    assert graph.node_attr["color"] == "white"
    nodes = [line for line in graph.body if "[" in line]
    assert len(nodes) == 10 and len(graph.body) - len(nodes) == 10
    assert sum("shape=circle" in line for line in nodes) == 4
    assert any("label=neg " in line for line in nodes)


def test_cytoscape_gets_the_same_picture(monkeypatch, tmp_path):
    ipycytoscape = pytest.importorskip("ipycytoscape")
    widget = cytoscape_graph(DSK, tmp_path / "graph", rankdir="LR", node_style={"background-color": "green"})
    assert isinstance(widget, ipycytoscape.CytoscapeWidget)
    assert widget.cytoscape_layout["rankDir"] == "LR"
    assert (tmp_path / "graph.html").exists()


def test_labels():
    assert label("elemwise-ffcd9aa2231d466b5aa91e8bfa9e9487") == "elemwise-#"
    cache = {}
    assert [label(f"x-{c * 32}", cache) for c in "aba"] == ["x-#0", "x-#1", "x-#0"]
    assert box_label(("x", 1, 2)) == "(1, 2)"
    assert box_label("x") == "" and box_label("x", verbose=True) == "x"
