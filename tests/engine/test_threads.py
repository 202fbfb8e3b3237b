"""Threads: how many, whose, and what they see."""

import contextvars
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import Pool, ThreadPool

import pytest
import weft
from weft import _weft
from weft.local import get_sync
from weft.system import CPU_COUNT
from weft.threaded import get


def inc(x):
    return x + 1


def together(n, **kwargs):
    """Computes n tasks that wait for each other; hangs unless all run at the same time."""
    barrier = threading.Barrier(n)
    dsk = {("x", i): (barrier.wait,) for i in range(n)}
    return sorted(get(dsk, list(dsk), **kwargs)) == list(range(n))


def test_as_many_at_once_as_asked_for():
    assert together(CPU_COUNT)
    assert together(3 * CPU_COUNT, num_workers=3 * CPU_COUNT)
    with weft.config.set(num_workers=7):
        assert together(7)


def test_and_no_more():
    lock = threading.Lock()
    now, most = 0, 0

    def task():
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        # Long enough for others to come if they may: they would have to pass by here.
        for _ in range(1000):
            pass
        with lock:
            now -= 1

    dsk = {("x", i): (task,) for i in range(200)}
    get(dsk, list(dsk), num_workers=2)
    assert most <= 2


@pytest.mark.parametrize("pool_type", [ThreadPool, ThreadPoolExecutor])
@pytest.mark.parametrize("how", ["argument", "setting"])
def test_tasks_run_on_the_users_threads(pool_type, how):
    names = set()
    barrier = threading.Barrier(3)

    def task():
        barrier.wait()
        names.add(threading.get_ident())

    dsk = {("x", i): (task,) for i in range(9)}
    with pool_type(3) as pool:
        if how == "argument":
            get(dsk, list(dsk), pool=pool)
        else:
            with weft.config.set(pool=pool):
                get(dsk, list(dsk))
    assert len(names) == 3
    assert threading.get_ident() not in names


@pytest.mark.parametrize("pool_type", [ThreadPool, ThreadPoolExecutor])
def test_a_computation_inside_a_task_on_the_users_only_thread(pool_type):
    def outer(x):
        return get({"y": (inc, x)}, "y") + 1

    with pool_type(1) as pool, weft.config.set(pool=pool):
        assert get({"x": (outer, 1)}, "x") == 3


@pytest.mark.parametrize("make", [lambda: Pool(1), lambda: ProcessPoolExecutor(1)], ids=["Pool", "Executor"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_processes_are_no_threads(make):
    with make() as pool, pytest.raises(TypeError, match="threads"):
        get({"x": (inc, 1)}, "x", pool=pool)


@pytest.mark.parametrize("inner", [get, get_sync], ids=["threads", "sync"])
@pytest.mark.parametrize("num_workers", [1, 2, None])
def test_nested_computations_do_not_deadlock(inner, num_workers):
    def nested(depth):
        if not depth:
            return 1
        dsk = {("x", i): (nested, depth - 1) for i in range(3)}
        return sum(inner(dsk, list(dsk)))

    dsk = {("x", i): (nested, 3) for i in range(4)}
    assert get(dsk, list(dsk), num_workers=num_workers) == (27,) * 4


def test_an_error_inside_a_nested_computation_goes_up():
    def nested():
        return get({"x": (lambda: 1 / 0,)}, "x")

    with pytest.raises(ZeroDivisionError):
        get({"x": (nested,)}, "x")


def test_many_threads_compute_at_once():
    results = {}

    def caller(n):
        for _ in range(20):
            dsk = {("x", i): (inc, i) for i in range(50)}
            dsk["sum"] = (sum, list(dsk))
            results.setdefault(n, set()).add(get(dsk, "sum", num_workers=2))

    callers = [threading.Thread(target=caller, args=(n,)) for n in range(16)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert results == {n: {50 * 51 // 2} for n in range(16)}


def test_one_callers_long_tasks_do_not_hold_up_another():
    release = threading.Event()
    started = threading.Barrier(CPU_COUNT + 1)

    def long():
        started.wait()
        release.wait()

    dsk = {("x", i): (long,) for i in range(CPU_COUNT)}
    caller = threading.Thread(target=get, args=(dsk, list(dsk)))
    caller.start()
    started.wait()
    assert get({"x": (inc, 1)}, "x") == 2
    release.set()
    caller.join()


def test_threads_are_kept_but_not_hoarded():
    together(4 * CPU_COUNT, num_workers=4 * CPU_COUNT)
    before = threading.active_count()
    for _ in range(50):
        get({("x", i): (inc, i) for i in range(10)}, ("x", 0))
    assert threading.active_count() <= before
    # Those beyond the usual number leave by themselves, once their last task has ended.
    while _weft.pool_threads()[0] - _weft.pool_threads()[1] > CPU_COUNT:
        get({"x": (inc, 1)}, "x")


variable = contextvars.ContextVar("variable", default="unset")


def test_tasks_see_the_callers_context():
    assert get({"x": (variable.get,)}, "x") == "unset"
    token = variable.set("caller's")
    try:
        assert get({"x": (variable.get,)}, "x") == "caller's"
        with ThreadPoolExecutor(1) as pool:
            assert get({"x": (variable.get,)}, "x", pool=pool) == "caller's"
    finally:
        variable.reset(token)


def test_what_a_task_sets_is_its_own():
    def task(i):
        before = variable.get()
        variable.set(i)
        return before

    dsk = {("x", i): (task, i) for i in range(20)}
    assert set(get(dsk, list(dsk), num_workers=1)) == {"unset"}
    assert variable.get() == "unset"


def test_a_nested_computation_sees_its_tasks_context():
    def nested():
        variable.set("task's")
        return get({"y": (variable.get,)}, "y")

    assert get({"x": (nested,)}, "x") == "task's"
