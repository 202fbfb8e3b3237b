"""``scheduler="processes"``: warm worker processes on this machine."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import traceback

import pytest
import weft
import weft.bag as db
import weft.multiprocessing
from weft import delayed
from weft.distributed import KilledWorker


@pytest.fixture(scope="module", autouse=True)
def two_processes():
    with weft.config.set(num_workers=2):
        yield
    weft.multiprocessing.close()


def inc(x):
    return x + 1


def fail():
    raise LookupError("not here")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_tasks_run_elsewhere_and_processes_stay():
    pids = [delayed(os.getpid, pure=False)() for _ in range(20)]
    first = set(weft.compute(*pids, scheduler="processes"))
    again = set(weft.compute(*pids, scheduler="processes"))
    assert os.getpid() not in first | again
    assert len(first | again) <= 2


def test_values_and_shapes():
    dsk = {"x": 1, "y": (inc, "x"), "z": (sum, ["x", "y"])}
    assert weft.multiprocessing.get(dsk, "z") == 3
    assert weft.multiprocessing.get(dsk, [["y"], "x"]) == ((2,), 1)
    assert db.range(100, npartitions=4).map(inc).sum().compute(scheduler="processes") == 5050
    with pytest.raises(KeyError):
        weft.multiprocessing.get(dsk, "nowhere")


def test_functions_of_this_file_and_closures_travel():
    k = 10
    assert delayed(lambda x: x + k)(1).compute(scheduler="processes") == 11


def test_errors_have_the_remote_traceback():
    with pytest.raises(LookupError, match="not here") as caught:
        delayed(fail)().compute(scheduler="processes")
    assert any(frame.name == "fail" for frame in traceback.extract_tb(caught.value.__traceback__))


def test_a_killed_process_is_an_error_that_names_the_task():
    with pytest.raises(KilledWorker, match=r"die.*SIGKILL"):
        delayed(die)().compute(scheduler="processes")
    assert delayed(inc)(1).compute(scheduler="processes") == 2


def test_what_cannot_be_pickled():
    import threading

    with pytest.raises(TypeError, match="lock"):
        delayed(threading.Lock)().compute(scheduler="processes")
    with pytest.raises(TypeError, match="lock"):
        delayed(inc)(threading.Lock()).compute(scheduler="processes")
    assert delayed(inc)(1).compute(scheduler="processes") == 2


@pytest.mark.parametrize("guard", [True, False])
def test_programs_with_and_without_a_guard(tmp_path, guard):
    body = "print(delayed(double)(21).compute(scheduler='processes', num_workers=1))"
    head = "if __name__ == '__main__':\n    " if guard else ""
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            """
            from weft import delayed
            print("main")
            def double(x):
                return 2 * x
            """
        )
        + head
        + body
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    # Once: workers do not import the program.
    assert (done.stdout, done.stderr) == ("main\n42\n", "")


def test_a_failed_key_is_computed_anew(tmp_path):
    path = tmp_path / "later"

    def read():
        return path.read_text()

    for _ in range(2):
        with pytest.raises(FileNotFoundError) as caught:
            weft.multiprocessing.get({"x": (read,)}, "x")
    path.write_text("here")
    assert weft.multiprocessing.get({"x": (read,)}, "x") == "here"
    assert weft.multiprocessing.get({"x": (inc, 1)}, "x") == 2
    # What failed is held until here.
    assert caught.value.errno == 2


def test_results_are_made_anew_each_time(tmp_path):
    def mark():
        runs = len(os.listdir(tmp_path))
        (tmp_path / str(runs)).touch()
        return runs

    marked = delayed(mark)(dask_key_name="mark")
    assert [marked.compute(scheduler="processes") for _ in range(5)] == list(range(5))


@pytest.mark.parametrize("how", ["scheduler", "pool", "setting", "multiprocessing", "context"])
def test_pools_of_processes(how):
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    x = weft.delayed(sum)([delayed(inc)(i) for i in range(4)])
    pids = [delayed(os.getpid, pure=False)() for _ in range(4)]
    context = multiprocessing.get_context("forkserver")
    if how == "context":
        with weft.config.set({"multiprocessing.context": "forkserver"}):
            assert x.compute(scheduler="processes") == 10
            assert os.getpid() not in weft.compute(*pids, scheduler="processes")
            with pytest.raises(LookupError, match="not here"):
                delayed(fail)().compute(scheduler="processes")
        return
    if how == "multiprocessing":
        with context.Pool(2) as pool:
            assert x.compute(scheduler="processes", pool=pool) == 10
            with pytest.raises(LookupError, match="not here"):
                delayed(fail)().compute(scheduler="processes", pool=pool)
        return
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        if how == "setting":
            with weft.config.set(pool=pool):
                assert x.compute(scheduler="processes") == 10
                assert db.range(4, npartitions=2).map(inc).sum().compute() == 10
            return
        how = {"scheduler": pool} if how == "scheduler" else {"scheduler": "processes", "pool": pool}
        assert x.compute(**how) == 10
        assert os.getpid() not in weft.compute(*pids, **how)
        with pytest.raises(LookupError, match="not here"):
            delayed(fail)().compute(**how)
        assert x.compute(**how) == 10


def test_callbacks_hear_of_tasks_in_processes():
    from weft.callbacks import Callback
    from weft.diagnostics import Profiler, ProgressBar

    heard = []
    bag = db.range(6, npartitions=3).map(inc)
    with (
        Callback(posttask=lambda key, value, dsk, state, worker: heard.append((key, value))),
        Profiler() as seen,
    ):
        assert bag.compute(scheduler="processes") == list(range(1, 7))
    assert dict(heard) == {(bag.name, i): [2 * i + 1, 2 * i + 2] for i in range(3)}
    assert len(seen.results) == 3
    pids = delayed(os.getpid, pure=False)()
    with ProgressBar(out=io.StringIO()):
        assert pids.compute(scheduler="processes") != os.getpid()


def initialize():
    os.environ["INITIALIZED"] = "yes"


def test_initializer():
    look = delayed(lambda: os.environ.get("INITIALIZED"), pure=False)()
    with weft.config.set({"multiprocessing.initializer": initialize}):
        assert look.compute(scheduler="processes") == "yes"
    assert look.compute(scheduler="processes") is None
