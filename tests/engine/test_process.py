"""The process around the engine: Ctrl-C, its end, forks. Each in a process of its own."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest


def python(script, *, env=None, interrupt_on=None):
    """Runs a script; sends Ctrl-C when it prints `interrupt_on`. Returns its output and exit code."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
    )
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.strip())
            if interrupt_on and line.strip() == interrupt_on:
                process.send_signal(signal.SIGINT)
        return lines, process.wait(60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("callbacks", [False, True])
def test_ctrl_c_returns_while_tasks_hang_and_the_process_stays_usable(callbacks):
    lines, code = python(
        f"""
        import contextlib, threading, time
        from weft.callbacks import Callback
        from weft.threaded import get
        end = threading.Event()
        both = threading.Barrier(2, action=lambda: print("running"))
        def hang(i):
            both.wait()
            end.wait()
        dsk = {{("x", i): (hang, i) for i in range(2)}} | {{("y", i): (print, "started") for i in range(50)}}
        try:
            with Callback(pretask=lambda *args: None) if {callbacks} else contextlib.nullcontext():
                get(dsk, list(dsk), num_workers=2)
        except KeyboardInterrupt:
            print("interrupted")
        # Both threads hang: these tasks need two others at the same time.
        two = threading.Barrier(2)
        print(sorted(get({{("z", i): (two.wait,) for i in range(2)}}, [("z", 0), ("z", 1)], num_workers=2)))
        end.set()
        """,
        interrupt_on="running",
    )
    assert lines == ["running", "interrupted", "[0, 1]"]
    assert code == 0


def test_ctrl_c_is_noticed_at_once():
    lines, code = python(
        """
        import os, signal, threading, time
        from weft.threaded import get
        end = threading.Event()
        def hang():
            pressed.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
            end.wait()
        pressed = []
        waits = []
        for _ in range(5):
            try:
                get({"x": (hang,)}, "x")
            except KeyboardInterrupt:
                waits.append(time.perf_counter() - pressed.pop())
            end.set()
        print(min(waits) < 0.1 or waits)
        """
    )
    assert lines == ["True"]
    assert code == 0


@pytest.mark.parametrize("scheduler", ["get_sync", "threaded"])
def test_ctrl_c_stops_a_run_of_small_tasks(scheduler):
    lines, code = python(
        f"""
        from weft.local import get_sync
        from weft.threaded import get as threaded
        def spin(i):
            if i == 0:
                print("running")
            for _ in range(10_000):
                pass
        dsk = {{("x", i): (spin, i) for i in range(1_000_000)}}
        try:
            {scheduler}(dsk, list(dsk))
        except KeyboardInterrupt:
            print("interrupted")
        print({scheduler}({{"x": (int, "7")}}, "x"))
        """,
        interrupt_on="running",
    )
    assert lines == ["running", "interrupted", "7"]
    assert code == 0


@pytest.mark.parametrize("ending", ["pass", "sys.exit(0)", "gc.collect()"])
def test_the_interpreter_ends_cleanly_with_idle_threads(ending):
    lines, code = python(
        f"""
        import gc, sys
        from weft.threaded import get
        print(get({{("x", i): (int, i) for i in range(100)}}, ("x", 5), num_workers=8))
        {ending}
        """
    )
    assert (lines, code) == (["5"], 0)


def test_the_interpreter_ends_cleanly_with_busy_threads():
    # As with Dask, a task that is running is waited for.
    lines, code = python(
        """
        import signal, os, threading, time
        from weft.threaded import get
        started = threading.Barrier(3)
        def busy():
            started.wait()
            for _ in range(20):
                time.sleep(0.005)
        def compute():
            try:
                get({("x", i): (busy,) for i in range(2)}, [("x", 0), ("x", 1)], num_workers=2)
            finally:
                print("done")
        threading.Thread(target=compute).start()
        started.wait()
        print("end")
        """
    )
    assert (sorted(lines), code) == (["done", "end"], 0)


def test_computing_at_the_interpreters_end_works():
    lines, code = python(
        """
        import atexit
        from weft.threaded import get
        atexit.register(lambda: print(get({"x": (int, "3")}, "x")))
        print(get({"x": (int, "2")}, "x"))
        """
    )
    assert (lines, code) == (["2", "3"], 0)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@needs_fork
def test_a_forked_child_computes():
    lines, code = python(
        """
        import os, threading
        from weft.threaded import get
        dsk = {("x", i): (int, i) for i in range(100)}
        get(dsk, list(dsk))
        # Others compute while we fork, and hold locks that the child inherits.
        stop = threading.Event()
        def churn():
            while not stop.is_set():
                get(dsk, list(dsk))
        threads = [threading.Thread(target=churn) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            child = os.fork()
            if not child:
                ok = get(dsk, [("x", 5), ("x", 7)], num_workers=2) == (5, 7)
                os._exit(0 if ok else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
        print(get(dsk, ("x", 9)))
        """
    )
    assert (lines, code) == (["9"], 0)


@needs_fork
def test_a_task_forks():
    lines, code = python(
        """
        import multiprocessing, os
        from weft.threaded import get
        def compute(i):
            return get({"x": (int, i)}, "x")
        def fork(i):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                return pool.apply(compute, (i,))
        print(get({("x", i): (fork, i) for i in range(3)}, [("x", i) for i in range(3)]))
        """
    )
    assert (lines, code) == (["(0, 1, 2)"], 0)
