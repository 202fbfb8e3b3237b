"""Laziness that can be seen, and the profilers of Python itself."""

import cProfile
import pstats

import weft
from weft.diagnostics import CacheProfiler, Profiler, ProgressBar, ResourceProfiler


def slow_square(x):
    return sum(x for _ in range(x))


def test_building_runs_nothing_and_computing_runs_all():
    calls = []
    parts = [weft.delayed(calls.append)(i) for i in range(100)]
    total = weft.delayed(len)(parts)
    assert calls == []
    assert total.compute() == 100 and sorted(calls) == list(range(100))


def test_python_profiler_sees_the_users_functions():
    total = weft.delayed(sum)([weft.delayed(slow_square)(i) for i in range(10)])
    profile = cProfile.Profile()
    with profile:
        assert total.compute(scheduler="sync") == 285
    calls = {name: stats[0] for (_, _, name), stats in pstats.Stats(profile).stats.items()}
    assert calls["slow_square"] == 10


def test_all_at_once(capsys):
    total = weft.delayed(sum)([weft.delayed(slow_square)(i) for i in range(10)])
    with ProgressBar(), Profiler() as tasks, ResourceProfiler(dt=0.01) as resources, CacheProfiler() as kept:
        assert total.compute() == 285
    assert len(tasks.results) == len(kept.results) == 11 and resources.results
    assert capsys.readouterr().out.count("100% Completed") == 1


def test_profile_of_a_frame(tmp_path):
    import weft.dataframe as dd

    (tmp_path / "a.csv").write_text("k,v\n" + "".join(f"{i % 3},{i}\n" for i in range(300)))
    df = dd.read_csv(tmp_path / "a.csv", blocksize=500)
    with Profiler() as prof, CacheProfiler() as kept:
        found = df.groupby("k").v.sum().compute()
    assert found.to_dict() == {k: sum(range(k, 300, 3)) for k in range(3)}
    assert len(prof.results) == len(kept.results) >= df.npartitions
    assert prof.visualize(show=False, save=False).figures[0].data["tasks"] == len(prof.results)
