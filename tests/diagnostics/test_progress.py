"""The progress bar: what it writes where, and that it ends with the computation."""

import io
import sys
import threading
from operator import add, mul

import pytest
from weft.callbacks import Callback
from weft.diagnostics import ProgressBar, progress
from weft.diagnostics._watch import Progress
from weft.threaded import get

GRAPH = {"a": 1, "b": 2, "c": (add, "a", "b"), "d": (mul, "a", "b"), "e": (mul, "c", "d")}


class Terminal(io.StringIO):
    """A terminal, as far as the bar can tell; sets an event once it has shown a text."""

    def __init__(self, columns=80, awaited=None):
        super().__init__()
        self.columns, self.awaited, self.seen = columns, awaited, threading.Event()

    def isatty(self):
        return True

    def write(self, text):
        super().write(text)
        if self.awaited and self.awaited in text:
            self.seen.set()
        return len(text)

    @property
    def lines(self):
        return self.getvalue().split("\r")


@pytest.fixture
def sized(monkeypatch):
    """Terminals say how wide they are."""
    monkeypatch.setattr(progress._Terminal, "_columns", lambda self: self.file.columns)


def progress_threads():
    return [t for t in threading.enumerate() if t.name == "weft-progress"]


@pytest.mark.parametrize("width", [40, 20])
def test_pipe_gets_one_whole_line(capsys, width):
    with ProgressBar(width=width):
        assert get(GRAPH, "e") == 6
    out, err = capsys.readouterr()
    bar, percent, time = (part.strip() for part in out.split("|"))
    assert bar == "[" + "#" * width + "]"
    assert percent == "100% Completed" and time
    assert out.endswith("\n") and out.count("\n") == 1
    assert "\r" not in out and "\x1b" not in out and err == ""


def test_terminal_shows_the_bar_while_tasks_run():
    out = Terminal(awaited="50%")

    def wait(_):
        assert out.seen.wait(60)

    with ProgressBar(dt=0.01, out=out):
        get({"a": (add, 1, 1), "b": (wait, "a")}, "b")
    assert any("50% Completed" in line for line in out.lines)
    assert "100% Completed" in out.lines[-1] and out.lines[-1].endswith("\n")
    assert out.getvalue().count("\n") == 1 and "\x1b" not in out.getvalue()


@pytest.mark.parametrize("columns", [120, 80, 60, 40, 30])
def test_bar_fits_the_terminal(sized, columns):
    out = Terminal(columns)
    display = progress._Terminal(out, 40)
    display.show(Progress(300, 1000, elapsed=20.0, rate=1234.0))
    display.end(Progress(1000, 1000, elapsed=99.0))
    for line in out.lines[1:]:
        assert len(line.rstrip()) < columns and "%" in line


def test_a_shorter_line_wipes_the_longer_one_before(sized):
    out = Terminal(120)
    display = progress._Terminal(out, 10)
    display.show(Progress(300, 1000, elapsed=20.0, rate=1234.0))
    display.end(Progress(1000, 1000, elapsed=99.0))
    _, first, last = out.lines
    assert "left" in first and "tasks/s" in first
    assert len(last.rstrip("\n")) >= len(first)


def test_time_left_follows_the_rate():
    assert Progress(25, 100, elapsed=5.0, rate=5.0).left == 15.0
    assert Progress(0, 100, elapsed=5.0).left is None
    assert "15.0 s left" in progress._details(Progress(25, 100, elapsed=5.0, rate=5.0))


def test_short_computations_show_nothing(capsys):
    with ProgressBar(minimum=1000) as bar:
        get(GRAPH, "e")
    assert capsys.readouterr() == ("", "")
    assert isinstance(bar.last_duration, float) and bar.last_duration > 0


def test_graph_without_tasks(capsys):
    with ProgressBar():
        assert get({"x": 1}, "x") == 1
    assert capsys.readouterr().out.count("100% Completed") == 1


def test_error_ends_the_bar_and_says_so(capsys):
    with pytest.raises(ZeroDivisionError):
        with ProgressBar() as bar:
            get({"a": (lambda: 1 // 0,)}, "a")
    out = capsys.readouterr().out
    assert "failed" in out and "100%" not in out and out.endswith("\n")
    assert not bar._running and not bar._timer.is_alive() and not progress_threads()


def test_register(capsys):
    bar = ProgressBar()
    bar.register()
    try:
        get(GRAPH, "e")
        get(GRAPH, "e")
    finally:
        bar.unregister()
    assert not Callback.active
    get(GRAPH, "e")
    assert capsys.readouterr().out.count("100% Completed") == 2


def test_computation_inside_a_task_has_no_bar_of_its_own(capsys):
    with ProgressBar():
        assert get({"x": (lambda: get(GRAPH, "e") + 1,)}, "x") == 7
    assert capsys.readouterr().out.count("100% Completed") == 1
    assert not progress_threads()


def test_overlapping_computations_share_one_bar():
    # Driven by hand: both have begun before one ends.
    out = Terminal()
    bar = ProgressBar(out=out)
    states = [{"finished": set(range(n)), "ready": [], "waiting": {}, "running": set()} for n in (3, 5)]
    for state in states:
        bar._start({})
        bar._start_state({}, state)
    states[0]["running"].add("late")
    shown = bar._progress()
    assert (shown.done, shown.total) == (8, 9)
    states[0]["running"].clear()
    bar._finish({}, states[0], False)
    assert bar._running and "100%" not in out.getvalue()
    bar._finish({}, states[1], False)
    assert not bar._running and out.getvalue().count("100% Completed") == 1


def test_many_threads_at_once(capsys):
    bar = ProgressBar()
    barrier, results = threading.Barrier(4), []

    def work():
        barrier.wait(60)
        results.append(get(GRAPH, "e"))

    with bar:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert results == [6] * 4
    assert not bar._running and not progress_threads()
    assert all(line.startswith("[") and line.endswith("s") for line in capsys.readouterr().out.splitlines())


def test_file_closed_meanwhile_is_no_error():
    out = Terminal()
    with ProgressBar(out=out):
        out.close()
        assert get(GRAPH, "e") == 6


def test_no_console(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with ProgressBar():
        assert get(GRAPH, "e") == 6


def test_stdout_is_looked_up_when_the_computation_starts(monkeypatch):
    bar, out = ProgressBar(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    with bar:
        get(GRAPH, "e")
    assert "100% Completed" in out.getvalue()


def test_log_lines_are_whole_and_seldom():
    out = io.StringIO()
    log = progress._Log(out, 10)
    for elapsed in range(1, 40):
        log.show(Progress(elapsed, 40, elapsed=float(elapsed), rate=1.0))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3 and all("left" in line for line in lines)


def test_notebook_updates_one_display(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown, updates, drawn = [], [], threading.Event()

    class Handle:
        def update(self, data, raw):
            updates.append(data)

    def show(data, raw, display_id):
        shown.append(data)
        drawn.set()
        return Handle()

    monkeypatch.setattr(display, "display", show)
    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    with ProgressBar(dt=0.01):
        get({"a": (drawn.wait, 60)}, "a")
    assert len(shown) == 1 and updates
    assert "100%" in updates[-1]["text/html"] and "1 of 1 tasks" in updates[-1]["text/html"]
    assert "100% Completed" in updates[-1]["text/plain"]
