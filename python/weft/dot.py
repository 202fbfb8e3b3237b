"""Pictures of graphs.

weft draws them itself, as SVG, PNG, PDF or DOT, with nothing installed beside it. Graphviz and ipycytoscape draw them
if asked to: ``visualize(engine="graphviz")`` or the configuration value ``visualization.engine``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from weft import _weft, config

__all__ = [
    "Drawing",
    "cytoscape_graph",
    "dot_graph",
    "to_graphviz",
    "visualize",
    "visualize_dsk",
    "visualize_layers",
]

_OWN_FORMATS = ("png", "svg", "pdf", "dot")
_FORMATS = (*_OWN_FORMATS, "jpeg", "jpg")

_GRAPHVIZ_MISSING = (
    "Drawing graphs with engine='graphviz' needs the Python package `graphviz` and the system library of that name:\n\n"
    "  python -m pip install graphviz       # and graphviz itself, from your system's packages\n"
    "  conda install python-graphviz        # both\n\n"
    "weft draws pictures itself if no engine is given."
)
_CYTOSCAPE_MISSING = (
    "Drawing graphs with engine='cytoscape' needs the Python package `ipycytoscape`:\n\n"
    "  python -m pip install ipycytoscape\n"
    "  conda install ipycytoscape\n\n"
    "weft draws pictures itself if no engine is given."
)


class Drawing:
    """A picture that notebooks show, where IPython is not there to make one of its own.

    Attributes
    ----------
    data : bytes
        The content of the file.
    format : str
        ``"png"`` or ``"svg"``.
    filename : str or None
        Where it was written.
    """

    def __init__(self, data: bytes, format: str, filename: str | None = None):
        self.data = data
        self.format = format
        self.filename = filename

    def _repr_svg_(self) -> str | None:
        return self.data.decode() if self.format == "svg" else None

    def _repr_png_(self) -> bytes | None:
        return self.data if self.format == "png" else None

    def __repr__(self) -> str:
        place = f" in {self.filename!r}" if self.filename else ""
        return f"<picture: {len(self.data)} bytes of {self.format}{place}>"


def visualize(
    dsk: Mapping,
    keys: Iterable | None = None,
    filename: str | os.PathLike | None = "mydask",
    format: str | None = None,
    *,
    engine: str | None = None,
    **kwargs: Any,
) -> Any:
    """Draws a graph with the engine that is asked for or configured, else with weft's own.

    Parameters
    ----------
    dsk : Mapping
        The graph.
    keys : iterable of keys, optional
        Draw only what these need.
    filename : str, path or None
        Where to write. A known suffix (``.svg``) chooses the format; ``None`` writes nothing.
    format : {"png", "svg", "pdf", "dot"}, optional
        By default what the suffix of ``filename`` says, else ``"png"``.
    engine : {None, "weft", "graphviz", "cytoscape", "ipycytoscape"}, optional
        By default the configuration value ``visualization.engine``, else weft's own.
    **kwargs
        See `dot_graph` and `cytoscape_graph`.

    Returns
    -------
    IPython.display.SVG, IPython.display.Image, Drawing or None
        Something that notebooks show; ``None`` for formats that they cannot.

    Raises
    ------
    ValueError
        The engine, the format or an option is not known.
    RuntimeError
        The engine that was asked for is not installed; the message says how to install it.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = visualize({"x": 1, "y": (abs, "x")}, filename=os.path.join(directory, "graph.svg"))
    ...     os.listdir(directory)
    ['graph.svg']
    """
    engine = engine or config.get("visualization.engine", None)
    if engine in ("cytoscape", "ipycytoscape"):
        return cytoscape_graph(dsk, filename=filename, format=format, keys=keys, **kwargs)
    if engine == "graphviz":
        graph = to_graphviz(dsk, keys=keys, **kwargs)
        return _show(*_target(filename, format, _FORMATS), lambda form: _piped(graph, form))
    if engine not in (None, "weft"):
        raise ValueError(
            f"Visualization engine {engine} not recognized; there are graphviz, cytoscape and weft's own"
        )
    return dot_graph(dsk, filename=filename, format=format, keys=keys, **kwargs)


def visualize_dsk(
    dsk: Mapping,
    filename: str | os.PathLike | None = "mydask",
    traverse: bool = True,
    optimize_graph: bool = False,
    maxval: float | None = None,
    o: Mapping | None = None,
    engine: str | None = None,
    limit: int | None = None,
    **kwargs: Any,
) -> Any:
    """Draws a graph; `visualize` under the name and signature that Dask gives it.

    ``traverse``, ``optimize_graph`` and ``o`` change nothing: the graph is drawn as it is, and colours show weft's
    own order.
    """
    return visualize(dsk, filename=filename, maxval=maxval, engine=engine, limit=limit, **kwargs)


def visualize_layers(
    dsk: Mapping,
    filename: str | os.PathLike | None = "dask-hlg.svg",
    format: str | None = None,
    **kwargs: Any,
) -> Any:
    """Draws one node for all tasks that do the same, whatever their number; see `dot_graph` for the arguments.

    Examples
    --------
    >>> visualize_layers({"x": 1, "y": (abs, "x")}, filename=None, format="dot") is None
    True
    """
    if kwargs.get("color") == "layer_type":
        del kwargs["color"]
    return dot_graph(dsk, filename=filename, format=format, limit=0, **kwargs)


def dot_graph(
    dsk: Mapping, filename: str | os.PathLike | None = "mydask", format: str | None = None, **kwargs: Any
) -> Any:
    """Draws a graph with weft's own engine.

    Calls are circles and results are boxes. Graphs with more tasks than ``limit`` are drawn as groups of tasks that do
    the same, and the picture says so.

    Parameters
    ----------
    dsk : Mapping
        The graph: a weft graph, or any mapping of keys to tasks.
    filename : str, path or None
        Where to write. A known suffix (``.svg``) chooses the format; ``None`` writes nothing.
    format : {"png", "svg", "pdf", "dot"}, optional
        By default what the suffix of ``filename`` says, else ``"png"``.
    keys : iterable of keys, optional
        Draw only what these need.
    rankdir : {"BT", "TB", "LR", "RL"}
        Where the arrows lead: up, down, right or left.
    color : {None, "order", "age", "freed", "memoryincreases", "memorydecreases", "memorypressure", "cpath"}
        What colours show, by the static order of the graph; with ``"order-"`` in front, labels show the order too.
    cmap : str or callable
        The colours: ``"plasma"``, ``"viridis"``, ``"Reds"``, or a colour map of matplotlib, by itself or by name.
    maxval : float, optional
        The value that gets the last colour, by default the largest.
    collapse_outputs : bool
        Leave out the boxes of results.
    verbose : bool
        Label boxes with their keys.
    graph_attr, node_attr, edge_attr : dict, optional
        Attributes as Graphviz names them, for all: ``bgcolor``, ``color``, ``fillcolor``, ``fontcolor``, ``fontsize``,
        ``penwidth``, ``style``.
    data_attributes, function_attributes : dict, optional
        The same and ``label``, ``shape`` for the boxes and circles of single keys.
    limit : int, optional
        Draw at most this many tasks one by one.
    **kwargs
        More attributes of the graph.

    Returns
    -------
    IPython.display.SVG, IPython.display.Image, Drawing or None
        Something that notebooks show; ``None`` for formats that they cannot.

    Raises
    ------
    ValueError
        A format or an option is not known.
    RuntimeError
        Colours need the order of a graph whose tasks wait for each other in a circle.

    Examples
    --------
    >>> from operator import neg
    >>> picture = dot_graph({"a": 1, "b": (neg, "a")}, filename=None, format="svg")
    """
    path, form = _target(filename, format, _OWN_FORMATS)
    request = _request(kwargs)
    return _show(path, form, lambda form: _weft.draw(dsk, form, request))


def _target(
    filename: str | os.PathLike | None, format: str | None, known: tuple[str, ...]
) -> tuple[str | None, str]:
    """The file to write, if any, and its format."""
    path = None if filename is None else os.fspath(filename)
    if format is None and path is not None:
        stem, suffix = os.path.splitext(path)
        if suffix[1:].lower() in _FORMATS:
            path, format = stem, suffix[1:]
    format = (format or "png").lower()
    if format not in known:
        hint = "" if format not in _FORMATS else "; engine='graphviz' draws that one"
        raise ValueError(f"Unknown format {format!r}: pictures are one of {', '.join(known)}{hint}")
    return (None if path is None else f"{path}.{format}"), format


def _show(path: str | None, form: str, draw: Any) -> Any:
    """Writes the picture, and wraps it in what notebooks show."""
    data = draw(form)
    if path is not None:
        with open(path, "wb") as file:
            file.write(data)
    if form in ("pdf", "dot"):
        return None
    try:
        from IPython import display
    except ImportError:
        return Drawing(data, form, path)
    return (
        display.SVG(data=data)
        if form == "svg"
        else display.Image(data=data, format=form.replace("jpg", "jpeg"))
    )


_COLORS = (
    "age",
    "ages",
    "freed",
    "memoryincreases",
    "memorydecreases",
    "memorypressure",
    "critical",
    "cpath",
)


def _request(options: dict[str, Any]) -> dict[str, Any]:
    """All options of a picture in the form that Rust takes; what is not known becomes an attribute of the graph."""
    options = dict(options)
    color = options.pop("color", None)
    if color and color != "order" and color.removeprefix("order-") not in _COLORS:
        raise NotImplementedError(f"Unknown value color={color}; known are order, {', '.join(_COLORS)}")
    keys = options.pop("keys", None)
    request = {
        "rankdir": options.pop("rankdir", None) or "BT",
        "color": color or None,
        "cmap": _color_map(options.pop("cmap", None)),
        "maxval": options.pop("maxval", None),
        "collapse_outputs": bool(options.pop("collapse_outputs", False)),
        "verbose": bool(options.pop("verbose", False)),
        "node_attr": _pairs(options.pop("node_attr", None)),
        "edge_attr": _pairs(options.pop("edge_attr", None)),
        "keys": None if keys is None else list(keys),
        "limit": options.pop("limit", None),
    }
    for name in ("data_attributes", "function_attributes"):
        request[name] = {
            key: _pairs(attributes) for key, attributes in (options.pop(name, None) or {}).items()
        }
    request["graph_attr"] = _pairs({**(options.pop("graph_attr", None) or {}), **options})
    return request


_OWN_COLOR_MAPS = ("plasma", "viridis", "Reds")


def _color_map(cmap: Any) -> list[str]:
    """The name of a colour map that Rust knows, or the colours of one of matplotlib's."""
    if cmap is None:
        return ["plasma"]
    if isinstance(cmap, str) and cmap.lower() in map(str.lower, _OWN_COLOR_MAPS):
        return [cmap]
    if not callable(cmap):
        try:
            import matplotlib
        except ImportError as error:
            known = ", ".join(_OWN_COLOR_MAPS)
            raise ValueError(
                f"cmap={cmap!r} is a colour map of matplotlib, if of anyone (python -m pip install matplotlib); "
                f"weft's own are {known}"
            ) from error
        cmap = matplotlib.colormaps[cmap]
    stops = 33
    colors = [[min(255, int(part * 256)) for part in cmap(i / (stops - 1))[:3]] for i in range(stops)]
    return ["#" + bytes(color).hex() for color in colors]


def _pairs(attributes: Mapping | None) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in (attributes or {}).items()]


# The other engines.

_NO_LIMIT = 2**32


def to_graphviz(
    dsk: Mapping,
    data_attributes: Mapping | None = None,
    function_attributes: Mapping | None = None,
    rankdir: str = "BT",
    graph_attr: Mapping | None = None,
    node_attr: Mapping | None = None,
    edge_attr: Mapping | None = None,
    collapse_outputs: bool = False,
    verbose: bool = False,
    **kwargs: Any,
) -> Any:
    """The picture of a graph as a `graphviz.Digraph`; see `dot_graph` for the arguments.

    Raises
    ------
    RuntimeError
        The package ``graphviz`` is not installed.
    """
    try:
        import graphviz
    except ImportError as error:
        raise RuntimeError(_GRAPHVIZ_MISSING) from error
    options = dict(kwargs, rankdir=rankdir, collapse_outputs=collapse_outputs, verbose=verbose)
    options |= {"data_attributes": data_attributes, "function_attributes": function_attributes}
    options["limit"] = options.get("limit") or _NO_LIMIT
    request = _request(options | {"graph_attr": graph_attr})
    nodes, edges = _weft.elements(dsk, request)
    digraph = graphviz.Digraph(
        graph_attr={**dict(request["graph_attr"]), "rankdir": rankdir},
        node_attr={"fontname": "helvetica", **dict(_pairs(node_attr))},
        edge_attr=dict(_pairs(edge_attr)),
    )
    for name, label, shape, attributes in nodes:
        shape = {"ellipse": attributes.get("shape", "circle"), "box": attributes.get("shape", "box")}.get(
            shape, shape
        )
        digraph.node(_quoted(name), **{**attributes, "label": label, "shape": shape})
    for start, end in edges:
        digraph.edge(_quoted(start), _quoted(end))
    return digraph


def _quoted(name: str) -> str:
    """A node's name without what the package reads as a port."""
    return name.replace(":", "_").replace("\\", "/")


def _piped(graph: Any, form: str) -> bytes:
    import graphviz

    try:
        return graph.source.encode() if form == "dot" else graph.pipe(format=form)
    except graphviz.ExecutableNotFound as error:
        raise RuntimeError(_GRAPHVIZ_MISSING) from error


def _to_cytoscape_json(
    dsk: Mapping,
    data_attributes: Mapping | None = None,
    function_attributes: Mapping | None = None,
    collapse_outputs: bool = False,
    verbose: bool = False,
    **kwargs: Any,
) -> dict[str, list]:
    """The picture of a graph in the JSON of Cytoscape."""
    options = dict(kwargs, collapse_outputs=collapse_outputs, verbose=verbose)
    options |= {"data_attributes": data_attributes, "function_attributes": function_attributes}
    options["limit"] = options.get("limit") or _NO_LIMIT
    nodes, edges = _weft.elements(dsk, _request(options))
    shapes = {"box": "rectangle"}
    return {
        "nodes": [
            {
                "data": {
                    "id": name,
                    "label": label,
                    "shape": shapes.get(shape, shape),
                    "color": "gray",
                    **attributes,
                }
            }
            for name, label, shape, attributes in nodes
        ],
        "edges": [{"data": {"source": start, "target": end}} for start, end in edges],
    }


def cytoscape_graph(
    dsk: Mapping,
    filename: str | os.PathLike | None = "mydask",
    format: str | None = None,
    *,
    rankdir: str = "BT",
    node_sep: float = 10,
    edge_sep: float = 10,
    spacing_factor: float = 1,
    node_style: dict[str, str] | None = None,
    edge_style: dict[str, str] | None = None,
    **kwargs: Any,
) -> Any:
    """Draws a graph as an interactive widget of ipycytoscape.

    Parameters
    ----------
    dsk : Mapping
        The graph.
    filename : str, path or None
        The HTML file to write, if any.
    format : str, optional
        Not used.
    rankdir : {"BT", "TB", "LR", "RL"}
        Where the arrows lead.
    node_sep, edge_sep : float
        Distances of nodes and edges, in pixels.
    spacing_factor : float
        Stretches the layout.
    node_style, edge_style : dict, optional
        More style, as Cytoscape names it.
    **kwargs
        ``color``, ``verbose``, …; see `dot_graph`.

    Returns
    -------
    ipycytoscape.CytoscapeWidget

    Raises
    ------
    RuntimeError
        The package ``ipycytoscape`` is not installed.
    """
    try:
        import ipycytoscape
    except ImportError as error:
        raise RuntimeError(_CYTOSCAPE_MISSING) from error
    widget = ipycytoscape.CytoscapeWidget(layout={"height": "400px"})
    widget.set_layout(
        name="dagre",
        rankDir=rankdir,
        nodeSep=node_sep,
        edgeSep=edge_sep,
        spacingFactor=spacing_factor,
        nodeDimensionsIncludeLabels=True,
    )
    widget.graph.add_graph_from_json(_to_cytoscape_json(dsk, **kwargs), directed=True)
    # As in the pictures that weft draws itself: outlined shapes as wide as their text, thin dark lines.
    node = {
        "shape": "data(shape)",
        "label": "data(label)",
        "width": "label",
        "height": "label",
        "padding": "10px",
        "background-color": "#ffffff",
        "border-width": 2,
        "border-color": "data(color)",
        "color": "#1b1b1f",
        "font-size": "16px",
        "text-valign": "center",
        "text-halign": "center",
    }
    line = "#44474f"
    edge = {
        "curve-style": "bezier",
        "width": 2,
        "line-color": line,
        "target-arrow-color": line,
        "target-arrow-shape": "triangle",
    }
    widget.set_style(
        [
            {"selector": "node", "style": {**node, **(node_style or {})}},
            {"selector": "edge", "style": {**edge, **(edge_style or {})}},
        ]
    )
    widget.max_zoom, widget.min_zoom, widget.wheel_sensitivity = widget.zoom * 2.0, widget.zoom / 10.0, 0.1
    if filename is not None:
        from ipywidgets.embed import embed_minimal_html

        path = os.fspath(filename)
        embed_minimal_html(
            path if path.endswith(".html") else f"{path}.html", views=[widget], title="weft graph"
        )
    return widget


# Labels.

_TOKENS = (
    re.compile("([0-9a-z]{32})"),
    re.compile("([0-9a-z]{8}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{12})"),
)


def label(x: Any, cache: dict[str, int] | None = None) -> str:
    """The text of a key with its token shortened to ``#``, or to a number if a cache of tokens is given.

    Examples
    --------
    >>> label("x-81dc9bdb52d04dc20036dbd8313ed055-hello")
    'x-#-hello'
    """
    text = str(x)
    for pattern in _TOKENS:
        found = pattern.search(text)
        if found is not None:
            token = found.group(1)
            number = "" if cache is None else cache.setdefault(token, len(cache))
            text = text.replace(token, f"#{number}")
    return text


def box_label(key: Any, verbose: bool = False) -> str:
    """The text in the box of a result: which block of its collection it is.

    Examples
    --------
    >>> box_label(("x", 1, 2)), box_label(("x", 3)), box_label("x")
    ('(1, 2)', '3', '')
    """
    if isinstance(key, tuple):
        return str(key[1]) if len(key) == 2 else str(key[1:])
    return str(key) if verbose else ""
