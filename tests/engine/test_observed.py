"""Callbacks around tasks."""

import gc
import threading
import weakref
from operator import add

import pytest
import weft
from weft.callbacks import Callback, add_callbacks
from weft.local import get_sync
from weft.threaded import get

SCHEDULERS = pytest.mark.parametrize("get", [get, get_sync], ids=["threads", "sync"])


def inc(x):
    return x + 1


class Story(Callback):
    def __init__(self):
        self.story = []
        self.threads = set()

    def _note(self, *what):
        self.story.append(what)
        self.threads.add(threading.get_ident())

    def _start(self, dsk):
        self._note("start", len(dsk))

    def _start_state(self, dsk, state):
        self._note("state", sorted(state["ready"]), dict(state["cache"]), sorted(state["waiting"]))

    def _pretask(self, key, dsk, state):
        assert key in state["running"] and key in dsk
        self._note("pre", key)

    def _posttask(self, key, value, dsk, state, worker):
        assert key in state["finished"] and isinstance(worker, int)
        self._note("post", key, value)

    def _finish(self, dsk, state, errored):
        self._note("finish", errored)


@SCHEDULERS
def test_the_story_of_a_run(get):
    with Story() as story:
        assert get({"x": 1, "y": (inc, "x"), "z": (add, "y", 10)}, "z") == 12
    assert story.story == [
        ("start", 3),
        ("state", ["y"], {"x": 1}, ["z"]),
        ("pre", "y"),
        ("post", "y", 2),
        ("pre", "z"),
        ("post", "z", 12),
        ("finish", False),
    ]
    assert story.threads == {threading.get_ident()}


@SCHEDULERS
def test_each_task_comes_once_and_after_what_it_reads(get):
    dsk = {("x", i): (inc, i) for i in range(200)}
    dsk |= {("y", i): (add, ("x", i), ("x", (i * 7) % 200)) for i in range(200)}
    dsk["sum"] = (sum, [("y", i) for i in range(200)])
    finished = []

    def before(key, dsk, state):
        assert state["dependencies"][key] <= set(finished)

    def after(key, value, dsk, state, worker):
        finished.append(key)
        assert len(state["running"]) + len(state["ready"]) + len(state["waiting"]) + len(finished) == 401

    states = []
    with Callback(pretask=before, posttask=after, finish=lambda dsk, state, errored: states.append(state)):
        get(dsk, "sum")
    assert len(finished) == len(set(finished)) == 401
    assert set(states[0]["cache"]) == {"sum"}
    assert states[0]["released"] == set(dsk) - {"sum"}


@SCHEDULERS
def test_finish_comes_after_an_error_too(get):
    with Story() as story, pytest.raises(ZeroDivisionError):
        get({"x": (lambda: 1 / 0,)}, "x")
    assert story.story[-1] == ("finish", True)
    assert not Callback.active


@SCHEDULERS
def test_an_error_in_a_callback_is_raised(get):
    def broken(*args):
        raise ValueError("broken")

    for name in ("start", "start_state", "pretask", "posttask"):
        with Story() as story, Callback(**{name: broken}), pytest.raises(ValueError, match="broken"):
            get({"x": (inc, 1), "y": (inc, "x")}, "y")
        assert name == "start" or story.story[-1] == ("finish", True)


@SCHEDULERS
def test_start_may_replace_tasks_by_values(get):
    def start(dsk):
        dsk["y"] = weft._task_spec.DataNode("y", 100)

    pytest.importorskip("weft._task_spec")
    with Callback(start=start), Story() as story:
        assert get({"x": (inc, 1), "y": (inc, "x"), "z": (inc, "y")}, "z") == 101
    assert [what for what in story.story if what[0] == "pre"] == [("pre", "z")]


@SCHEDULERS
def test_nested_computations_are_not_observed(get):
    def nested():
        assert not Callback.active
        return get({"inner": (inc, 1)}, "inner")

    with Story() as story:
        assert get({"outer": (nested,)}, "outer") == 2
    assert [what[1] for what in story.story if what[0] == "pre"] == ["outer"]


def test_active_while_inside():
    callback = Callback(start=print)
    with add_callbacks(callback, (None,) * 5):
        assert Callback.active == {callback._callback, (None,) * 5}
    assert not Callback.active
    callback.register()
    assert Callback.active == {callback._callback}
    callback.unregister()
    with pytest.raises(KeyError):
        callback.unregister()
    with pytest.raises(TypeError, match="Callback"):
        add_callbacks("no callback")


def test_tasks_run_side_by_side_while_observed():
    barrier = threading.Barrier(3)
    dsk = {("x", i): (barrier.wait,) for i in range(3)}
    with Story() as story:
        get(dsk, list(dsk), num_workers=3)
    assert len(story.story) == 9


@SCHEDULERS
def test_a_run_that_fails_while_observed_is_let_go(get):
    class Fails:
        def __call__(self):
            raise ZeroDivisionError

    task = Fails()
    gone = weakref.ref(task)
    with Story() as story, pytest.raises(ZeroDivisionError):
        get({"x": (task,)}, "x")
    del task, story
    # The thread that ran it lets go of it after the caller has heard of the end.
    while gone() is not None:
        gc.collect()
