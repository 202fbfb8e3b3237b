"""Progress in tqdm bars: weft's hook, and tqdm's own callback for Dask."""

import io
import sys
from operator import add

import pytest
from weft.diagnostics import TqdmCallback
from weft.threaded import get

GRAPH = {"a": (add, 1, 2), "b": (add, "a", 2), "c": (add, "b", 2)}


class Bar:
    made: list = []

    def __init__(self, total=None, **options):
        self.total, self.options, self.n, self.closed = total, options, 0, False
        Bar.made.append(self)

    def update(self, n=1):
        assert n >= 0
        self.n += n

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def no_bars():
    Bar.made.clear()


def test_each_computation_has_a_bar():
    with TqdmCallback(desc="sums", tqdm_class=Bar, leave=False):
        assert get(GRAPH, "c") == 7
        assert get({k: GRAPH[k] for k in "ab"}, "b") == 5
    assert [(b.n, b.total, b.closed) for b in Bar.made] == [(3, 3, True), (2, 2, True)]
    assert Bar.made[0].options == {"desc": "sums", "unit": "task", "leave": False}


def test_bar_is_closed_after_an_error():
    with pytest.raises(ZeroDivisionError):
        with TqdmCallback(tqdm_class=Bar):
            get({"a": (add, 1, 1), "b": (lambda x: 1 // 0, "a")}, "b")
    (bar,) = Bar.made
    assert bar.closed and bar.n < bar.total


def test_with_tqdm_itself():
    pytest.importorskip("tqdm")
    out = io.StringIO()
    with TqdmCallback(desc="sums", file=out):
        get(GRAPH, "c")
    assert "sums: 100%" in out.getvalue() and "3/3" in out.getvalue()


def test_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="pip install tqdm"):
        TqdmCallback()


def test_callback_that_tqdm_brings_for_dask(monkeypatch):
    pytest.importorskip("tqdm")
    import weft.callbacks

    monkeypatch.setitem(sys.modules, "dask", weft)
    monkeypatch.setitem(sys.modules, "dask.callbacks", weft.callbacks)
    monkeypatch.delitem(sys.modules, "tqdm.dask", raising=False)
    from tqdm.dask import TqdmCallback as Theirs

    monkeypatch.delitem(sys.modules, "tqdm.dask")
    with Theirs(tqdm_class=Bar, desc="theirs"):
        assert get(GRAPH, "c") == 7
    (bar,) = Bar.made
    assert (bar.total, bar.n, bar.closed, bar.options) == (3, 3, True, {"desc": "theirs"})
