"""Profiles as one page of HTML that needs nothing beside itself.

Each ``plot_…`` function turns the records of one profiler into a `Figure`, which is plain data;
`visualize` puts figures on a `Page`, whose script draws them. Figures of one page share the time
axis: they zoom and move together.
"""

from __future__ import annotations

import contextlib
import html
import json
import math
import os
import pathlib
import sys
import warnings
import webbrowser
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from weft.diagnostics._palette import OTHER, get_colors
from weft.diagnostics._text import size

__all__ = [
    "Figure",
    "Page",
    "fix_bounds",
    "get_colors",
    "plot_cache",
    "plot_resources",
    "plot_tasks",
    "unquote",
    "visualize",
]

#: More tasks than this are merged with their neighbours before they are put on the page.
MAX_TASKS = 150_000
#: Times at which the page knows the curves of a cache profile.
MAX_POINTS = 2_000
#: Names that have a colour of their own; the others share one.
MAX_COLOURS = 8

_HERE = pathlib.Path(__file__).parent / "page"


class Figure:
    """One diagram: its kind, its title, and its data as JSON would hold them.

    Attributes
    ----------
    title : str
    width, height : int or None
        In pixels; None fits the page.
    x_range, y_range : tuple of float
        Ends of the axes.
    data : dict
        What the page's script draws.
    """

    def __init__(
        self, kind: str, options: dict[str, Any], defaults: dict[str, Any], data: dict[str, Any]
    ) -> None:
        if "plot_width" in options:
            options["width"] = options.pop("plot_width")
        if "plot_height" in options:
            options["height"] = options.pop("plot_height")
        # These belong to the page here; they are accepted so that calls written for Dask go on working.
        for name in ("tools", "toolbar_location", "sizing_mode", "output_backend"):
            options.pop(name, None)
        known = {
            "title": "Profile Results",
            "width": None,
            "height": None,
            "x_range": (0, 1),
            "y_range": (0, 1),
        }
        for name in options:
            if name not in known:
                raise AttributeError(
                    f"unexpected attribute {name!r} of a profile's figure; possible are "
                    f"{', '.join(sorted([*known, 'label_size', 'palette']))}"
                )
        self.kind = kind
        self.data = data
        self.title: str | None
        self.width: int | None
        self.height: int | None
        self.x_range: tuple[float, float]
        self.y_range: tuple[float, float]
        vars(self).update({**known, **defaults, **options})

    def _payload(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "title": self.title,
            "height": self.height,
            "x": list(self.x_range),
            "y": list(self.y_range),
            **self.data,
        }

    def _repr_html_(self) -> str:
        return Page([self])._repr_html_()


class Page:
    """Figures one below the other, as a page of HTML.

    Attributes
    ----------
    figures : list of Figure
    html : str
        The page: styles, script and data included.
    """

    def __init__(self, figures: Sequence[Figure]) -> None:
        self.figures = list(figures)

    @property
    def html(self) -> str:
        title = next((f.title for f in self.figures if f.title), "Profile Results")
        width = max((f.width or 0 for f in self.figures), default=0)
        payload = {"title": title, "width": width or None, "figures": [f._payload() for f in self.figures]}
        # "<" is escaped so that no key can end the script.
        data = json.dumps(payload, separators=(",", ":"), allow_nan=False, default=str).replace(
            "<", "\\u003c"
        )
        return (
            (_HERE / "page.html")
            .read_text(encoding="utf-8")
            .replace("{{title}}", html.escape(title))
            .replace("{{style}}", (_HERE / "page.css").read_text(encoding="utf-8"))
            .replace("{{script}}", (_HERE / "page.js").read_text(encoding="utf-8"))
            .replace("{{data}}", data)
        )

    def save(self, filename: str | os.PathLike[str]) -> str:
        """Write the page to `filename`; returns its absolute path."""
        path = pathlib.Path(filename).absolute()
        path.write_text(self.html, encoding="utf-8")
        return str(path)

    def _repr_html_(self) -> str:
        height = 260 + sum(f.height or 320 for f in self.figures)
        page = html.escape(self.html, quote=True)
        return (
            f'<iframe srcdoc="{page}" style="width:100%;height:{height}px;border:0" title="Profile"></iframe>'
        )


def visualize(
    profilers: Any,
    filename: str | os.PathLike[str] = "profile.html",
    show: bool = True,
    save: bool | None = None,
    mode: str | None = None,
    **kwargs: Any,
) -> Page:
    """Show the records of profilers on one page.

    The page is a single file: it loads nothing, and can be sent to others or kept. Tasks are shown
    on the threads that ran them, below them the curves of memory and processor, on one time axis:
    turn the wheel to zoom, drag to move, press Escape to see everything again.

    Parameters
    ----------
    profilers : profiler or list of profilers
        `Profiler`, `ResourceProfiler` or `CacheProfiler`; each becomes a figure.
    filename : path, optional
        Where to save the page.
    show : bool, optional
        Open the page in a browser, or show it in the notebook.
    save : bool, optional
        Write `filename`; by default yes, except in a notebook.
    mode : str, optional
        Accepted for Dask's sake; the page always contains all that it needs.
    **kwargs
        ``title``, ``width`` and ``height`` in pixels, ``palette`` (a name that `get_colors` knows),
        ``label_size``.

    Returns
    -------
    Page
        With ``figures``, ``html`` and ``save(filename)``.

    Raises
    ------
    AttributeError
        For an unknown argument.
    OSError
        If `filename` cannot be written.

    Examples
    --------
    >>> import weft
    >>> from weft.diagnostics import Profiler, visualize
    >>> with Profiler() as prof:
    ...     weft.delayed(sum)([1, 2]).compute()
    3
    >>> page = visualize(prof, show=False, save=False, title="One sum")
    >>> page.figures[0].title
    'One sum'
    """
    if "file_path" in kwargs:
        warnings.warn(
            "The file_path keyword argument is deprecated; use filename instead.", FutureWarning, stacklevel=2
        )
        filename = kwargs.pop("file_path")
    many = isinstance(profilers, (list, tuple))
    page = Page([profiler._plot(**dict(kwargs)) for profiler in (profilers if many else [profilers])])
    notebook = _in_notebook()
    path = page.save(filename) if save or (save is None and not notebook) else None
    if show and notebook:
        from IPython.display import display

        display(page)
    elif show and path and _has_browser():
        webbrowser.open(pathlib.Path(path).as_uri())
    return page


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return bool(shell) and type(shell).__name__ == "ZMQInteractiveShell"


def _has_browser() -> bool:
    """Whether a browser would open a window: on a server it would take over the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def plot_tasks(
    results: Sequence[Any],
    dsk: Mapping[Any, Any] | None = None,
    start_time: float | None = None,
    end_time: float | None = None,
    palette: str | Sequence[str] | None = None,
    label_size: int = 60,
    **kwargs: Any,
) -> Figure:
    """The tasks of a `Profiler` on the threads that ran them.

    Parameters
    ----------
    results : sequence of TaskData
    dsk : mapping, optional
        The graph; not needed.
    start_time, end_time : float, optional
        Ends of the time axis; by default those of the results.
    palette : str or sequence of str, optional
        Colours of the functions.
    label_size : int, optional
        Longest label, in characters.
    **kwargs
        ``title``, ``width``, ``height``.

    Returns
    -------
    Figure
    """
    start, end = _span(start_time, end_time, [r[2] for r in results], [r[3] for r in results])
    names = [task_name(r[0], r[1]) for r in results]
    totals: dict[str, float] = {}
    for name, r in zip(names, results):
        totals[name] = totals.get(name, 0.0) + r[3] - r[2]
    order = sorted(totals, key=lambda name: (-totals[name], name))
    number = {name: i for i, name in enumerate(order)}

    busy: dict[Any, float] = {}
    for r in results:
        busy[r[4]] = busy.get(r[4], 0.0) + r[3] - r[2]
    lanes = {worker: i for i, worker in enumerate(sorted(busy, key=lambda w: (-busy[w], str(w))))}

    # (lane, start, duration, name, key, tasks): whole microseconds keep the page small.
    rows: list[tuple[int, int, int, int, str, int]] = sorted(
        (
            lanes[r[4]],
            round((r[2] - start) * 1e6),
            round((r[3] - r[2]) * 1e6),
            number[name],
            _label(r[0], label_size),
            1,
        )
        for name, r in zip(names, results)
    )
    stats = _summary(order, names, results)
    if len(rows) > MAX_TASKS:
        rows = _merge(rows, round((end - start) * 1e6))
    columns = list(zip(*rows)) or [()] * 6
    data = {
        "names": [_shorten(name, label_size) for name in order],
        "colors": _colours(palette, order),
        "lanes": [str(worker) for worker in lanes],
        "lane": columns[0],
        "start": columns[1],
        "duration": columns[2],
        "name": columns[3],
        "key": columns[4],
        "count": columns[5] if any(c > 1 for c in columns[5]) else None,
        "tasks": len(results),
        "summary": stats,
    }
    return Figure("tasks", kwargs, {"x_range": (0.0, end - start), "y_range": (0, max(len(lanes), 1))}, data)


def plot_resources(
    results: Sequence[Any],
    start_time: float | None = None,
    end_time: float | None = None,
    palette: str | Sequence[str] | None = None,
    label_size: int = 60,
    **kwargs: Any,
) -> Figure:
    """Memory and processor of a `ResourceProfiler` over time.

    Parameters
    ----------
    results : sequence of ResourceData
    start_time, end_time : float, optional
        Ends of the time axis; by default those of the results.
    palette : str or sequence of str, optional
        Colours of the two curves.
    label_size : int, optional
        Not used; accepted because the other figures take it.
    **kwargs
        ``title``, ``width``, ``height``.

    Returns
    -------
    Figure
    """
    times = [r[0] for r in results]
    start, end = _span(start_time, end_time, times, times)
    memory = [r[1] for r in results]
    cpu = [r[2] for r in results]
    colours = get_colors(palette, ["cpu", "memory"])
    data = {
        "time": [round(t - start, 6) for t in times],
        "memory": [round(m, 3) for m in memory],
        "cpu": [round(c, 1) for c in cpu],
        "colors": colours,
        "memoryRange": [min(memory, default=0), max(memory, default=100)],
        "cores": os.cpu_count() or 1,
        "peak": size(max(memory) * 1e6) if memory else None,
        "mean": _mean(times, cpu),
    }
    bounds = {
        "x_range": fix_bounds(0.0, end - start, 0 if results else 1),
        "y_range": fix_bounds(0, max(cpu, default=0), 100),
    }
    return Figure("resources", kwargs, bounds, data)


def plot_cache(
    results: Sequence[Any],
    dsk: Mapping[Any, Any] | None,
    start_time: float | None,
    end_time: float | None,
    metric_name: str,
    palette: str | Sequence[str] | None = None,
    label_size: int = 60,
    **kwargs: Any,
) -> Figure:
    """What a `CacheProfiler` saw being kept, over time and by function.

    Parameters
    ----------
    results : sequence of CacheData
    dsk : mapping or None
        The graph; not needed.
    start_time, end_time : float or None
        Ends of the time axis; None takes those of the results.
    metric_name : str
        What the sizes are.
    palette : str or sequence of str, optional
        Colours of the functions.
    label_size : int, optional
        Longest label, in characters.
    **kwargs
        ``title``, ``width``, ``height``.

    Returns
    -------
    Figure
    """
    start, end = _span(start_time, end_time, [r[3] for r in results], [r[4] for r in results])
    names = [task_name(r[0], r[1]) for r in results]
    totals: dict[str, float] = {}
    for name, r in zip(names, results):
        totals[name] = totals.get(name, 0.0) + float(r[2]) * (r[4] - r[3])
    order = sorted(totals, key=lambda name: (-totals[name], name))
    shown = order if len(order) <= MAX_COLOURS else [*order[: MAX_COLOURS - 1], "others"]
    number = {name: min(i, len(shown) - 1) for i, name in enumerate(order)}

    changes: list[tuple[float, int, float]] = []
    for name, r in zip(names, results):
        changes.append((r[3] - start, number[name], float(r[2])))
        changes.append((r[4] - start, number[name], -float(r[2])))
    changes.sort(key=lambda change: change[0])
    times, series = _steps(changes, len(shown), end - start)
    peak = max((sum(level) for level in zip(*series)), default=0.0)
    data = {
        "metric": metric_name,
        "names": [_shorten(name, label_size) for name in shown],
        "colors": [*get_colors(palette, shown[:-1]), OTHER]
        if len(order) > len(shown)
        else get_colors(palette, shown),
        "time": times,
        "series": series,
        "bytes": "bytes" in metric_name.lower() or metric_name in ("sizeof", "getsizeof"),
    }
    return Figure("cache", kwargs, {"x_range": (0.0, end - start), "y_range": (0, peak or 10)}, data)


def fix_bounds(start: float, end: float, min_span: float) -> tuple[float, float]:
    """The ends of an axis that is at least `min_span` long.

    >>> fix_bounds(0, 3, 10), fix_bounds(0, 30, 10)
    ((0, 10), (0, 30))
    """
    return start, max(end, start + min_span)


def unquote(expr: Any) -> Any:
    """The container that a task which only builds a container would build.

    >>> unquote((dict, [["a", 1], ["b", 2]]))
    {'a': 1, 'b': 2}
    """
    if isinstance(expr, tuple) and len(expr) == 2 and isinstance(expr[1], list):
        make, items = expr
        if make in (tuple, list, set):
            return make(unquote(item) for item in items)
        if make is dict and all(isinstance(item, list) for item in items):
            return {unquote(key): unquote(value) for key, value in items}
    return expr


def task_name(key: Hashable, task: Any) -> str:
    """What tasks of the same kind have in common: the function, or the key without its token."""
    if isinstance(task, tuple) and task and callable(task[0]):
        function = task[0]
        while hasattr(function, "func"):  # functools.partial and its like
            function = function.func
        return str(getattr(function, "__name__", None) or type(function).__name__)
    text = str(key[0]) if isinstance(key, tuple) and key else str(key)
    # Tokens are hexadecimal; what stands before them is the name: "read-csv-0123abcd…" is "read-csv".
    words = text.split("-")
    if len(words) > 5 and [len(w) for w in words[-5:]] == [8, 4, 4, 4, 12] and all(map(_is_hex, words[-5:])):
        words = words[:-5]  # a UUID
    words = [words[0], *(w for w in words[1:] if not _is_token(w))]
    if len(words) > 1 and words[-1].isdigit():
        words.pop()
    return "-".join(words)


def _is_hex(word: str) -> bool:
    return bool(word) and all(c in "0123456789abcdef" for c in word)


def _is_token(word: str) -> bool:
    return len(word) >= 8 and _is_hex(word)


def _label(key: Hashable, limit: int) -> str:
    return _shorten(str(key), limit)


def _shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` characters: its middle is what goes."""
    if len(text) <= limit:
        return text
    head = max(limit * 2 // 3, 1)
    return text[:head] + "…" + text[len(text) - max(limit - head - 1, 0) :]


def _span(
    start: float | None, end: float | None, starts: Iterable[float], ends: Iterable[float]
) -> tuple[float, float]:
    """The ends of the time axis; registered profilers have no times of their own."""
    if start is None:
        start = min(starts, default=0.0)
    if end is None:
        end = max(ends, default=start + 1.0)
    return start, max(end, start + 1e-6)


def _colours(palette: str | Sequence[str] | None, names: Sequence[str]) -> list[str]:
    if palette is not None:
        return get_colors(palette, names)
    return [*get_colors(None, names[:MAX_COLOURS]), *[OTHER] * max(0, len(names) - MAX_COLOURS)]


def _summary(order: Sequence[str], names: Sequence[str], results: Sequence[Any]) -> list[list[Any]]:
    """For each name: how many tasks, their seconds in all, and the longest."""
    rows = {name: [0, 0.0, 0.0] for name in order}
    for name, r in zip(names, results):
        row, seconds = rows[name], r[3] - r[2]
        row[0] += 1
        row[1] += seconds
        row[2] = max(row[2], seconds)
    return [[count, round(total, 6), round(longest, 6)] for count, total, longest in rows.values()]


def _merge(
    rows: list[tuple[int, int, int, int, str, int]], span: int
) -> list[tuple[int, int, int, int, str, int]]:
    """Fewer than `MAX_TASKS` rows: neighbours in a lane that are too short to see become one.

    `rows` are in order of lane and start. What is merged is shown as the kind that took longest.
    """
    lanes = rows[-1][0] + 1
    bin_width = max(1, math.ceil(span * lanes / MAX_TASKS * 2))
    merged: list[tuple[int, int, int, int, str, int]] = []
    group: list[tuple[int, int, int, int, str, int]] = []

    def close() -> None:
        if len(group) == 1:
            merged.append(group[0])
        elif group:
            by_name: dict[int, int] = {}
            for row in group:
                by_name[row[3]] = by_name.get(row[3], 0) + max(row[2], 1)
            first, last = group[0], max(row[1] + row[2] for row in group)
            name = max(by_name, key=lambda n: by_name[n])
            merged.append((first[0], first[1], last - first[1], name, "", len(group)))
        group.clear()

    for row in rows:
        if row[2] >= bin_width:
            close()
            merged.append(row)
            continue
        if group and (group[0][0] != row[0] or group[0][1] // bin_width != row[1] // bin_width):
            close()
        group.append(row)
    close()
    return merged


def _steps(
    changes: list[tuple[float, int, float]], count: int, span: float
) -> tuple[list[float], list[list[float]]]:
    """Levels after each change, thinned to `MAX_POINTS` times by keeping the highest of its stretch."""
    times: list[float] = [0.0]
    levels = [[0.0] for _ in range(count)]
    now = [0.0] * count
    stretch = span / MAX_POINTS if len(changes) > MAX_POINTS else 0.0
    i = 0
    while i < len(changes):
        until = changes[i][0] + stretch
        begin, top = changes[i][0], None
        while i < len(changes) and changes[i][0] <= until:
            now[changes[i][1]] += changes[i][2]
            i += 1
            settled = i == len(changes) or changes[i][0] > changes[i - 1][0]
            if settled and (top is None or sum(now) > sum(top)):
                top = list(now)
        times.append(round(begin, 6))
        for level, value in zip(levels, top or now):
            level.append(round(value, 6))
        if stretch:
            times.append(round(changes[i - 1][0], 6))
            for level, value in zip(levels, now):
                level.append(round(value, 6))
    return times, levels


def _mean(times: Sequence[float], values: Sequence[float]) -> str | None:
    """The mean of `values`, each holding since the time before, as a percentage."""
    with contextlib.suppress(ZeroDivisionError):
        area = sum(v * (b - a) for v, a, b in zip(values[1:], times, times[1:]))
        return f"{area / (times[-1] - times[0]):.0f} %" if len(times) > 1 else None
    return None
