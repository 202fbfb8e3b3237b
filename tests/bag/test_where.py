"""Where bags are computed when nobody says: in processes, or on the threads of this one."""

from __future__ import annotations

import json
import operator
import os
import subprocess
import sys
import threading

import pytest
import weft
import weft.bag as db
import weft.multiprocessing
from weft.bag._where import pays


@pytest.fixture(scope="module", autouse=True)
def two_processes():
    with weft.config.set(num_workers=2):
        yield
    weft.multiprocessing.close()


def pid(_):
    return os.getpid()


def elsewhere(bag):
    return os.getpid() not in set(bag.compute())


def test_functions_of_python_run_in_processes():
    assert elsewhere(db.range(10, npartitions=4).map(pid))
    assert elsewhere(db.range(10, npartitions=4).map(lambda _: os.getpid()))
    assert elsewhere(db.from_sequence(range(10), npartitions=3).map_partitions(lambda part: map(pid, part)))


def test_one_task_stays_here():
    assert not elsewhere(db.range(10, npartitions=1).map(pid))


def test_whatever_says_where_is_obeyed():
    bag = db.range(10, npartitions=4).map(pid)
    assert set(bag.compute(scheduler="threads")) == {os.getpid()}
    with weft.config.set(scheduler="sync"):
        assert set(bag.compute()) == {os.getpid()}


def test_what_cannot_be_sent_stays_here():
    lock = threading.Lock()

    def locked(x):
        with lock:
            return os.getpid()

    bag = db.range(10, npartitions=4).map(locked)
    assert set(bag.compute()) == {os.getpid()}
    with pytest.raises(TypeError, match="lock"):
        bag.compute(scheduler="processes")


def test_an_error_of_a_task_is_no_reason_to_run_it_again(tmp_path):
    def fail(x):
        with open(tmp_path / str(x), "x"):
            raise TypeError("cannot pickle lock")

    with pytest.raises(TypeError, match="cannot pickle lock"):
        db.range(2, npartitions=2).map(fail).compute()


def test_what_pays(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text('{"n": 1}\n' * 10)
    lines = db.read_text(str(path), blocksize=20)
    assert lines.npartitions > 1
    numbers = db.range(10, npartitions=3)
    here = [
        lines.count(),
        lines.str.lower().str.split().flatten().frequencies(),
        lines.map(json.loads).filter(lambda r: r["n"] > 0).pluck("n").sum(),
        lines.map(json.loads).foldby(lambda r: r["n"], lambda total, r: total + r["n"], 0, operator.add, 0),
        numbers.sum(),
        numbers.map(str).distinct(),
        numbers.topk(2),
    ]
    there = [
        lines.map(lambda line: line.upper() + str(len(line))),
        db.read_text(str(path), blocksize=20, encoding="latin-1").count(),
        numbers.map(lambda x: x + 1).sum(),
        numbers.filter(lambda x: x > 1),
        numbers.fold(lambda x, y: x + y),
        numbers.groupby(lambda x: x % 2),
        numbers.map_partitions(lambda part: [len(list(part))]),
    ]
    assert [pays(bag.__dask_optimize__(bag.dask, bag.__dask_keys__())) for bag in here] == [False] * len(here)
    assert [pays(bag.__dask_optimize__(bag.dask, bag.__dask_keys__())) for bag in there] == [True] * len(
        there
    )


def test_with_other_collections_in_one_compute():
    bag = db.range(10, npartitions=4).map(pid)
    one, pids = weft.compute(weft.delayed(abs)(-1), bag)
    assert one == 1
    assert os.getpid() not in pids


def test_bags_within_bags():
    def inner(n):
        return db.range(n, npartitions=2).map(lambda x: x + 1).sum().compute()

    assert db.from_sequence([3, 4], npartitions=2).map(inner).compute() == [6, 10]


def test_a_module_that_is_written_and_imported_after_processes_started(tmp_path, monkeypatch):
    assert elsewhere(db.range(10, npartitions=4).map(pid))
    monkeypatch.syspath_prepend(str(tmp_path))
    source = tmp_path / "written_later.py"
    source.write_text("def f(x):\n    return x + 1\n")
    import importlib

    import written_later

    assert db.range(2, npartitions=2).map(written_later.f).compute() == [1, 2]
    source.write_text("def f(x):\n    return x + 10\n")
    os.utime(source, (1, 1))
    importlib.reload(written_later)
    assert db.range(2, npartitions=2).map(written_later.f).compute() == [10, 11]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WRITTEN_LATER", "here")
    found = db.range(2, npartitions=2).map(lambda _: (os.getcwd(), os.environ["WRITTEN_LATER"])).compute()
    assert found == [(str(tmp_path), "here")] * 2
    del sys.modules["written_later"]


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_programs_without_a_guard(tmp_path, how):
    program = """
import weft, weft.bag as db
print("main")
def double(x):
    return 2 * x
with weft.config.set(num_workers=2):
    print(db.range(4, npartitions=2).map(double).compute())
"""
    script = tmp_path / "program.py"
    script.write_text(program)
    command = [sys.executable, str(script)] if how == "file" else [sys.executable, "-"]
    given = None if how == "file" else program
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("main\n[0, 2, 4, 6]\n", "")
