"""The page that shows profiles: what is on it, and that it needs nothing else."""

import json
import re
import sys
from operator import add

import pytest
from weft.diagnostics import CacheProfiler, Profiler, ResourceProfiler, visualize
from weft.diagnostics import profile_visualize as pv
from weft.diagnostics.profile import CacheData, ResourceData, TaskData
from weft.threaded import get

GRAPH = {"a": (add, 1, 1), "b": (add, "a", 1)}


def payload(page):
    """The data as the browser would read it."""
    text = re.search(r'<script id="data" type="application/json">(.*?)</script>', page.html, re.S).group(1)
    return json.loads(text)


def tasks(n, workers=2, seconds=0.001):
    return [
        TaskData(("f" if i % 3 else "g", i), None, 10 + i * seconds, 10 + (i + 0.9) * seconds, i % workers)
        for i in range(n)
    ]


def test_page_needs_nothing_else(tmp_path):
    file = tmp_path / "profile.html"
    with Profiler() as prof, ResourceProfiler(dt=0.01) as resources, CacheProfiler() as cache:
        get(GRAPH, "b")
    page = visualize([prof, resources, cache], filename=file, show=False, title="Three & more")
    text = file.read_text(encoding="utf-8")
    assert text == page.html and text.startswith("<!doctype html>")
    assert not re.search(r"https?:|\bsrc=|<link|@import|url\(|fetch\(|XMLHttp|import\(", text)
    assert "<title>Three &amp; more</title>" in text
    data = payload(page)
    assert [f["kind"] for f in data["figures"]] == ["tasks", "resources", "cache"]
    assert data["figures"][0]["tasks"] == 2


def test_keys_cannot_break_out_of_the_data():
    nasty = "</script><script>alert(1)</script>"
    page = pv.Page([pv.plot_tasks([TaskData(nasty, None, 0.0, 1.0, 1)])])
    assert nasty not in page.html
    assert payload(page)["figures"][0]["key"] == [nasty]


def test_tasks_figure():
    figure = pv.plot_tasks(tasks(9), title="T", width=500, height=300, label_size=10)
    assert (figure.title, figure.width, figure.height) == ("T", 500, 300)
    data = figure.data
    assert data["names"] == ["f", "g"] and len(set(data["colors"])) == 2
    assert len(data["lanes"]) == 2 and data["count"] is None and data["tasks"] == 9
    # In order of lane and start, as the script searches them.
    assert list(zip(data["lane"], data["start"])) == sorted(zip(data["lane"], data["start"]))
    assert data["summary"][0][0] == 6 and data["summary"][0][1] == pytest.approx(6 * 0.0009)


def test_times_start_with_the_profile():
    figure = pv.plot_tasks(tasks(3), None, 9.0, 12.0)
    assert figure.x_range == (0.0, 3.0)
    assert min(figure.data["start"]) == 1_000_000


def test_many_tasks_are_merged(monkeypatch):
    monkeypatch.setattr(pv, "MAX_TASKS", 1000)
    many = [*tasks(50_000), TaskData("long", None, 10.0, 70.0, 0)]
    data = pv.plot_tasks(many).data
    assert len(data["start"]) <= 1100
    assert sum(data["count"]) == data["tasks"] == 50_001
    # What is long enough to see stays what it is.
    alone = [i for i, k in enumerate(data["key"]) if k == "long"]
    assert len(alone) == 1 and data["duration"][alone[0]] == 60_000_000
    assert list(zip(data["lane"], data["start"])) == sorted(zip(data["lane"], data["start"]))


def test_many_names_share_a_colour():
    results = [TaskData(f"name{i:02d}", None, 0.0, 100.0 - i, 1) for i in range(20)]
    colors = pv.plot_tasks(results).data["colors"]
    assert len(set(colors[: pv.MAX_COLOURS])) == pv.MAX_COLOURS
    assert set(colors[pv.MAX_COLOURS :]) == {pv.OTHER}
    assert len(set(pv.plot_tasks(results, palette="Viridis").data["colors"])) == 20


@pytest.mark.parametrize("samples", [[], [(1.0, 0.0, 0.0)], [(1.0, 5.0, 50.0), (2.0, 7.0, 250.0)]])
def test_resources_figure(samples):
    results = [ResourceData(*s) for s in samples]
    figure = pv.plot_resources(results, 0.0, 4.0, title="R")
    assert figure.x_range == (0.0, 4.0)
    assert figure.y_range == (0, max([100, *(r.cpu for r in results)]))
    assert len(payload(pv.Page([figure]))["figures"][0]["time"]) == len(results)


def test_cache_figure_adds_up():
    results = [
        CacheData("f-1", None, 2, 0.0, 2.0),
        CacheData("g-1", None, 3, 1.0, 3.0),
        CacheData("f-2", None, 1, 1.0, 4.0),
    ]
    data = pv.plot_cache(results, None, 0.0, 5.0, "count").data
    level = {name: dict(zip(data["time"], series)) for name, series in zip(data["names"], data["series"])}
    assert [level["f"][t] for t in (0.0, 1.0, 2.0, 3.0, 4.0)] == [2, 3, 1, 1, 0]
    assert [level["g"][t] for t in (0.0, 1.0, 2.0, 3.0, 4.0)] == [0, 3, 3, 0, 0]


def test_cache_figure_is_thinned_and_keeps_the_highest(monkeypatch):
    monkeypatch.setattr(pv, "MAX_POINTS", 50)
    results = [CacheData(f"f-{i}", None, 1, i * 0.01, i * 0.01 + 0.005) for i in range(5000)]
    results.append(CacheData("f-9", None, 100, 25.001, 25.002))
    data = pv.plot_cache(results, None, 0.0, 50.0, "count").data
    assert len(data["time"]) < 250
    assert max(data["series"][0]) >= 100 and data["series"][0][-1] == 0
    assert data["time"] == sorted(data["time"])


@pytest.mark.parametrize("make", [Profiler, ResourceProfiler, CacheProfiler])
def test_empty_profiles_have_a_page(make):
    page = make().visualize(show=False, save=False)
    assert payload(page)["figures"][0]["title"] == "Profile Results"


@pytest.mark.parametrize("make", [Profiler, ResourceProfiler, CacheProfiler])
def test_unknown_argument(make, tmp_path):
    with pytest.raises(AttributeError, match="foo_bar"):
        make().visualize(show=False, filename=tmp_path / "x.html", foo_bar="fake")
    assert not list(tmp_path.iterdir())


def test_arguments_of_dask(tmp_path):
    prof, file = Profiler(), tmp_path / "old.html"
    with pytest.warns(FutureWarning, match="file_path keyword argument is deprecated"):
        prof.visualize(show=False, file_path=file)
    assert "html" in file.read_text(encoding="utf-8")
    figure = prof._plot(plot_width=500, plot_height=300, tools="hover", toolbar_location="above")
    assert (figure.width, figure.height) == (500, 300)


def test_saved_and_opened_only_when_asked(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(pv.webbrowser, "open", opened.append)
    monkeypatch.setattr(pv, "_has_browser", lambda: True)
    monkeypatch.chdir(tmp_path)
    Profiler().visualize(save=False)
    assert opened == [] and not list(tmp_path.iterdir())
    Profiler().visualize()
    assert opened == [(tmp_path / "profile.html").as_uri()]


def test_notebook_shows_the_page_and_saves_nothing(tmp_path, monkeypatch):
    display, shown = pytest.importorskip("IPython.display"), []
    monkeypatch.setattr(display, "display", shown.append)
    monkeypatch.setattr(pv, "_in_notebook", lambda: True)
    monkeypatch.chdir(tmp_path)
    page = Profiler().visualize()
    assert shown == [page] and not list(tmp_path.iterdir())
    assert page._repr_html_().startswith("<iframe srcdoc=")


def test_server_without_a_screen_opens_no_browser(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert not pv._has_browser()


@pytest.mark.parametrize(
    "key, task, name",
    [
        ("x", (add, 1, 2), "add"),
        (("read-csv-0123456789abcdef", 3), None, "read-csv"),
        ("inc-6a3c2d7e-1f0b-4c5d-8e9f-a0b1c2d3e4f5", None, "inc"),
        ("count-e97fccd86c5a5045ac292549001f76b0-combine", None, "count-combine"),
        ("total", None, "total"),
        ("sum-12", None, "sum"),
        ("deadbeef", None, "deadbeef"),
        (7, None, "7"),
    ],
)
def test_task_name(key, task, name):
    assert pv.task_name(key, task) == name


def test_small_helpers():
    assert pv.fix_bounds(2, 5, 10) == (2, 12)
    assert pv.unquote((dict, [["a", [1, 2]], ["b", (tuple, [1])]])) == {"a": [1, 2], "b": (1,)}
    assert pv.unquote([1, 2, 3]) == [1, 2, 3]
    assert pv.unquote((dict, [])) == {}
    colors = pv.get_colors("Blues", [0, 1, 0])
    assert colors[0] == colors[2] != colors[1]
    assert all(re.fullmatch("#[0-9a-f]{6}", c) for c in pv.get_colors("Viridis", range(300)))
    with pytest.raises(ValueError, match="Viridis"):
        pv.get_colors("Nope", [1])
