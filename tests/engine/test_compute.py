"""What the local schedulers compute, and what they raise."""

import threading
import traceback
from operator import add

import pytest
import weft
from weft.local import get_async, get_sync
from weft.threaded import get

SCHEDULERS = pytest.mark.parametrize("get", [get, get_sync], ids=["threads", "sync"])


def inc(x):
    return x + 1


@SCHEDULERS
def test_keys_of_any_nesting(get):
    dsk = {"x": 1, "y": 2, "z": (inc, "x"), ("w", 0): (add, "z", "y")}
    assert get(dsk, "z") == 2
    assert get(dsk, ("w", 0)) == 4
    assert get(dsk, ["z", "y"]) == (2, 2)
    assert get(dsk, [["z"], [[("w", 0), "z"]], "x"]) == ((2,), ((4, 2),), 1)
    assert get(dsk, []) == ()


@SCHEDULERS
def test_an_unknown_key_is_named(get):
    with pytest.raises(KeyError, match="badkey"):
        get({"x": 1}, ["x", "badkey"])


@SCHEDULERS
def test_a_cycle_is_named(get):
    with pytest.raises(RuntimeError, match=r"(?i)cycle.*'a' -> 'b' -> 'a'|cycle.*'b' -> 'a' -> 'b'"):
        get({"a": (inc, "b"), "b": (inc, "a"), "c": (inc, "b")}, "c")


@SCHEDULERS
def test_long_chains_need_no_stack(get):
    dsk = {f"x{i + 1}": (inc, f"x{i}") for i in range(20_000)}
    dsk["x0"] = 0
    assert get(dsk, "x20000") == 20_000


class Odd(Exception):
    def __init__(self, left, right):
        self.left, self.right = left, right


@SCHEDULERS
def test_the_original_exception_arrives_with_the_users_frames(get):
    cause = KeyError("cause")
    original = Odd(1, 2)

    def helper():
        raise original from cause

    def user_function():
        helper()

    with pytest.raises(Odd) as info:
        get({"x": (user_function,), "y": (inc, "x")}, "y")
    assert info.value is original
    assert info.value.__cause__ is cause
    names = [frame.name for frame in traceback.extract_tb(info.value.__traceback__)]
    assert names[0] == "test_the_original_exception_arrives_with_the_users_frames"
    assert names[-2:] == ["user_function", "helper"]


@SCHEDULERS
def test_a_failing_task_stops_the_run(get):
    ran = []

    def fail():
        raise ValueError("no")

    dsk = {"a": (fail,)} | {("x", i): (ran.append, i, "a") for i in range(100)}
    dsk["end"] = [("x", i) for i in range(100)]
    with pytest.raises(ValueError, match="no"):
        get(dsk, "end")
    assert ran == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
@SCHEDULERS
def test_exceptions_that_are_no_errors_arrive_too(get, error):
    def fail():
        raise error

    with pytest.raises(error):
        get({"x": (fail,)}, "x")
    assert get({"x": (inc, 1)}, "x") == 2


def test_sync_runs_here_and_in_order():
    seen = []

    def note(i):
        seen.append((i, threading.get_ident()))

    dsk = {("x", i): (note, i) for i in range(20)}
    get_sync(dsk, list(dsk))
    assert {thread for _, thread in seen} == {threading.get_ident()}
    first = [i for i, _ in seen]
    seen.clear()
    get_sync(dsk, list(dsk))
    assert [i for i, _ in seen] == first


def test_threads_are_others():
    assert get({"x": (threading.get_ident,)}, "x") != threading.get_ident()


def test_a_failed_run_can_be_repeated_here():
    threads = []

    def fail():
        threads.append(threading.get_ident())
        raise ValueError("no")

    with pytest.raises(ValueError):
        get({"x": (fail,)}, "x", rerun_exceptions_locally=True)
    assert len(threads) == 2
    assert threads[0] != threading.get_ident() == threads[1]


def test_a_submit_function_is_enough():
    def submit(function, *args):
        thread = threading.Thread(target=function, args=args)
        thread.start()

    assert get_async(submit, 2, {"x": 1, "y": (inc, "x")}, ["y", "x"]) == (2, 1)


@pytest.mark.parametrize("num_workers", [0, -1])
def test_there_is_at_least_one_worker(num_workers):
    with weft.config.set(num_workers=-1), pytest.raises(ValueError, match="at least 1"):
        get({"x": (inc, 1)}, "x", num_workers=num_workers)


def test_a_number_of_workers_that_is_none_is_named():
    with weft.config.set(num_workers="two"), pytest.raises(ValueError, match="whole number .* not 'two'"):
        weft.threaded.get({"x": (inc, 1)}, "x")


@SCHEDULERS
def test_a_cache_is_used_and_filled(get):
    cache = {"a": 10}
    assert get({"b": (inc, "a"), "c": (inc, "b")}, "c", cache=cache) == 12
    assert cache["c"] == 12
