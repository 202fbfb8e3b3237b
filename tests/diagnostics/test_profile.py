"""What the profilers record."""

import subprocess
import sys
import threading
from operator import add, mul
from timeit import default_timer

import pytest
from weft.callbacks import Callback
from weft.diagnostics import CacheProfiler, Profiler, ResourceProfiler
from weft.diagnostics._resources import Sampler, _ProcMeter, _PsutilMeter
from weft.threaded import get

GRAPH = {"a": 1, "b": 2, "c": (add, "a", "b"), "d": (mul, "a", "b"), "e": (mul, "c", "d")}


def sampling_threads():
    return [t for t in threading.enumerate() if t.name == "weft-resources"]


def test_profiler_records_each_task():
    with Profiler() as prof:
        inside = default_timer()
        assert get(GRAPH, "e") == 6
    assert prof.start_time < inside < prof.end_time
    assert sorted(r.key for r in prof.results) == ["c", "d", "e"]
    for r in prof.results:
        assert inside <= r.start_time <= r.end_time <= prof.end_time
        assert r.task is not None and len(r) == 5
    assert [r.start_time for r in prof.results] == sorted(r.start_time for r in prof.results)
    prof.clear()
    assert prof.results == [] and prof.start_time is None


def test_times_surround_the_work():
    spans = {}

    def work(name):
        spans[name] = default_timer()

    with Profiler() as prof:
        get({"x": (work, "n"), "y": (work, "m"), "z": (add, 1, 2)}, ["x", "y", "z"])
    found = {r.key: r for r in prof.results}
    assert found["x"].start_time <= spans["n"] <= found["x"].end_time
    assert found["y"].start_time <= spans["m"] <= found["y"].end_time


def test_profiler_after_an_error_has_what_finished():
    dsk = {"x": (add, 1, 1), "y": (add, "x", 2), "z": (lambda v: v // 0, "y")}
    with pytest.raises(ZeroDivisionError), Profiler() as prof:
        get(dsk, "z")
    assert sorted(r.key for r in prof.results) == ["x", "y"]


def test_registered_profiler_adds_up():
    prof = Profiler()
    prof.register()
    try:
        get(GRAPH, "e")
        n = len(prof.results)
        get(GRAPH, "e")
    finally:
        prof.unregister()
    assert n == 3 and len(prof.results) == 6
    assert not Callback.active
    assert prof.visualize(show=False, save=False).figures[0].data["tasks"] == 6


def test_computations_with_the_same_keys_at_once():
    # Driven by hand: two computations that interleave.
    prof = Profiler()
    one, two = {"n": 1}, {"n": 2}
    for state in (one, two):
        prof._start(GRAPH)
        prof._start_state(GRAPH, state)
        prof._pretask("c", GRAPH, state)
    for state in (two, one):
        prof._posttask("c", 3, GRAPH, state, 7)
        prof._finish(GRAPH, state, False)
    assert [(r.key, r.worker_id) for r in prof.results] == [("c", 7), ("c", 7)]


def test_resource_profiler_samples_the_block():
    with ResourceProfiler(dt=0.01) as prof:
        inside = default_timer()
        get(GRAPH, "e")
        assert prof._is_running() and prof.results == []
    assert not prof._is_running() and not sampling_threads()
    assert prof.start_time < inside < prof.end_time
    assert len(prof.results) >= 2
    assert all(r.mem > 1 and r.cpu >= 0 for r in prof.results)
    assert [r.time for r in prof.results] == sorted(r.time for r in prof.results)
    prof.close()
    prof.close()
    with prof:
        pass
    assert prof.results


def test_registered_resource_profiler_samples_computations_only():
    prof = ResourceProfiler(dt=0.01)
    prof.register()
    try:
        get(GRAPH, "e")
        assert not prof._is_running()
        n = len(prof.results)
        assert n > 0
        get(GRAPH, "e")
        assert len(prof.results) > n
    finally:
        prof.unregister()
    assert not sampling_threads()


def test_resource_profiler_ends_after_an_error():
    with pytest.raises(ZeroDivisionError), ResourceProfiler(dt=0.01) as prof:
        get({"x": (lambda: 1 // 0,)}, "x")
    assert not prof._is_running() and not sampling_threads()


def test_sampler_sees_processor_time():
    sampler = Sampler(dt=100)
    sampler.start()
    assert sum(i * i for i in range(300_000)) > 0
    assert sampler.stop()[-1].cpu_percent > 0


def test_without_psutil_the_same_is_read_from_proc():
    psutil = pytest.importorskip("psutil")
    if not psutil.LINUX:
        pytest.skip("/proc is Linux's")
    memory, cpu = _ProcMeter().read()
    resident = psutil.Process().memory_info().rss
    assert resident / 2 < memory < resident * 2
    assert cpu > 0


def test_children_count():
    psutil = pytest.importorskip("psutil")
    code = "data = bytearray(80_000_000); print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline().strip() == b"ready"
        own = psutil.Process().memory_info().rss
        meters = [_PsutilMeter(psutil), *([_ProcMeter()] if psutil.LINUX else [])]
        found = [meter.read()[0] for meter in meters]
        child.communicate(b"\n")
    assert all(memory > own + 40_000_000 for memory in found)


def test_cache_profiler_follows_what_is_kept():
    with CacheProfiler() as prof:
        get(GRAPH, "e")
    kept = {r.key: r for r in prof.results}
    assert set(kept) == {"c", "d", "e"}
    assert all(r.metric == 1 and r.cache_time <= r.free_time for r in prof.results)
    # c and d are let go when e has been made of them.
    assert max(kept["c"].free_time, kept["d"].free_time) <= kept["e"].free_time
    assert kept["c"].free_time == kept["e"].cache_time
    prof.clear()
    assert prof.results == []


def test_cache_profiler_metric():
    seen = []

    def nbytes(value):
        seen.append(value)
        return len(seen)

    with CacheProfiler(nbytes) as prof:
        get(GRAPH, "e")
    assert sorted(r.metric for r in prof.results) == [1, 2, 3]
    assert sorted(seen) == [2, 3, 6]
    assert prof._metric_name == "nbytes"
    assert CacheProfiler(metric=nbytes, metric_name="foo")._metric_name == "foo"
    assert CacheProfiler()._metric_name == "count"
