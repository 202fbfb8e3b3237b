"""Public helpers, and their examples."""

import datetime
import doctest
import functools
import math
import os
import pickle
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import weft.utils as wu
from hypothesis import given
from hypothesis import strategies as st
from weft import _dispatch, _docs, _formats, backends, config, hashing, system, tokenize


@pytest.mark.parametrize(
    "module", [wu, _dispatch, _docs, _formats, config, hashing, tokenize], ids=lambda m: m.__name__
)
def test_examples(module):
    assert doctest.testmod(module).failed == 0


@given(st.integers(0, 2**59))
def test_bytes_read_back(n):
    text = wu.format_bytes(n)
    assert len(text) <= 10
    assert math.isclose(wu.parse_bytes(text), n, rel_tol=0.01, abs_tol=1)


@given(st.floats(0, 1e6), st.sampled_from(list(wu.timedelta_sizes)))
def test_seconds_with_any_unit(n, unit):
    text = f"{n:f} {unit}"
    assert math.isclose(wu.parse_timedelta(text), float(f"{n:f}") * wu.timedelta_sizes[unit], rel_tol=1e-12)


def test_units_that_do_not_exist():
    with pytest.raises(ValueError, match="'foos' as a byte unit"):
        wu.parse_bytes("5 foos")
    with pytest.raises(ValueError, match="as a number"):
        wu.parse_bytes("x.5 MB")
    with pytest.raises(KeyError, match="Invalid time unit: foo"):
        wu.parse_timedelta("1 foo")
    with pytest.raises(ValueError, match="Missing time unit"):
        wu.parse_timedelta("1", default=False)
    assert wu.parse_timedelta(datetime.timedelta(minutes=2)) == 120


@given(st.lists(st.integers(0, 20)), st.integers(20, 50))
def test_iter_chunks_keeps_all_and_fills_each(sizes, limit):
    chunks = list(wu.iter_chunks(sizes, limit))
    assert [size for chunk in chunks for size in chunk] == sizes
    assert all(chunk and sum(chunk) <= limit for chunk in chunks)
    assert all(sum(a) + b[0] > limit for a, b in zip(chunks, chunks[1:]))


def test_dispatch_follows_later_registrations():
    class Base:
        pass

    class Child(Base):
        pass

    what = wu.Dispatch("what")
    with pytest.raises(TypeError, match="No dispatch"):
        what(1)
    what.register(object, lambda x: "object")
    assert what(Child()) == "object"
    what.register([Base, int], lambda x: "base")
    assert what(Child()) == what(1) == "base"
    what.register(Child)(lambda x: "child")
    assert what(Child()) == "child"


def test_files_are_gone_afterwards():
    with wu.tmpfile("txt") as name, wu.tmpdir() as directory:
        assert name.endswith(".txt") and not os.path.exists(name)
        os.mkdir(name)
    assert not os.path.exists(name) and not os.path.exists(directory)
    here = os.getcwd()
    with wu.filetexts({"a.txt": "1", "b/c.txt": "2"}) as names:
        assert [Path(n).read_text() for n in names] == ["1", "2"]
        assert os.getcwd() != here
    assert os.getcwd() == here
    with pytest.raises(ZeroDivisionError), wu.filetext("x") as name:
        raise ZeroDivisionError
    assert not os.path.exists(name)


def test_locks_of_one_token_are_one():
    a = wu.SerializableLock("t")
    b = pickle.loads(pickle.dumps(a))
    with a:
        assert b.locked() and not b.acquire(blocking=False)
    assert not b.locked() and wu.SerializableLock().token != wu.SerializableLock().token
    barrier, made = threading.Barrier(8), []

    def make():
        barrier.wait()
        made.append(wu.SerializableLock("together"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len({id(lock.lock) for lock in made}) == 1


def test_duck_types():
    df = pd.DataFrame({"a": [1]})
    rows = [
        (np.ones(2), wu.is_arraylike),
        (df, wu.is_dataframe_like),
        (df.a, wu.is_series_like),
        (df.index, wu.is_index_like),
        (namedtuple("P", "a")(1), wu.is_namedtuple_instance),
    ]
    for i, (value, _) in enumerate(rows[1:4], 1):
        assert [check(value) for _, check in rows[1:4]] == [i == k for k in (1, 2, 3)]
    for value, check in rows:
        assert check(value) and not check(5) and not check("cat")


def test_method_callers_are_shared_and_pickle():
    assert wu.M.sum is wu.methodcaller("sum") is pickle.loads(pickle.dumps(wu.M.sum))
    assert pickle.loads(pickle.dumps(wu.itemgetter(1))) == wu.itemgetter(1) != wu.itemgetter(2)


def test_derived_docstrings():
    class Theirs:
        def f(self, a, b):
            """Adds.

            Parameters
            ----------
            a : int
            b : int

            >>> 1 + 1
            """

    @wu.derived_from(Theirs)
    def f(self, a):
        pass

    assert "copied from" in f.__doc__ and "b : int  (Not supported in weft)" in f.__doc__
    assert "a : int\n" in f.__doc__ and ">>> 1 + 1  # doctest: +SKIP" in f.__doc__

    @wu.derived_from(Theirs, version="9")
    def g(self):
        pass

    with pytest.raises(NotImplementedError, match="Base package doesn't support 'g'.*9 or later"):
        g(None)


def test_shorten_traceback_keeps_the_ends():
    def fail():
        raise ValueError

    def middle():
        fail()

    with config.set({"admin.traceback.shorten": [r"test_utils\.py"]}):
        with pytest.raises(ValueError) as caught, wu.shorten_traceback():
            middle()
    frames = []
    tb = caught.value.__traceback__
    while tb:
        frames.append(tb.tb_frame.f_code.co_name)
        tb = tb.tb_next
    assert (
        frames[0] == "test_shorten_traceback_keeps_the_ends"
        and frames[-1] == "fail"
        and "middle" not in frames
    )


def test_names():
    assert wu.funcname(functools.partial(functools.partial(np.sum))) == "sum"
    assert wu.key_split("<module.submodule.myclass object at 0xdaf372>") == "myclass"
    assert wu.key_split("_(x)") == wu.key_split("('x-2', 1)") == wu.key_split(b"x-1") == "x"


def test_random_state_data_seeds():
    one, other = wu.random_state_data(2, 1)
    assert one.shape == (624,) and one.dtype == np.uint32 and (one != other).any()
    assert (wu.random_state_data(2, 1)[0] == one).all()


def test_cgroup_quotas(tmp_path):
    def write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    own = tmp_path / "own"
    write(own, "0::/a/b\n")
    root = tmp_path / "v2"
    write(root / "a/b/cpu.max", "max 100000\n")
    assert system._quota(str(root), str(own)) is None
    write(root / "a/cpu.max", "150000 100000\n")  # the group above is the tighter one
    assert system._quota(str(root), str(own)) == 1.5
    root = tmp_path / "v1"
    write(root / "cpu,cpuacct/cpu.cfs_quota_us", "-1")
    write(root / "cpu,cpuacct/cpu.cfs_period_us", "100000")
    assert system._quota(str(root), str(own)) is None
    write(root / "cpu,cpuacct/cpu.cfs_quota_us", "300000")
    assert system._quota(str(root), str(own)) == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_cpu_count_respects_affinity():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import weft.system as s; print(s.CPU_COUNT)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert out.stdout.strip() == "1"


def test_hash_buffer():
    x = np.arange(6).astype("M8[D]").reshape(2, 3)
    assert (
        hashing.hash_buffer(x.T) == hashing.hash_buffer(np.ascontiguousarray(x.T)) != hashing.hash_buffer(x)
    )
    assert {len(hashing.hash_buffer_hex(b"x", hasher)) for hasher in hashing.hashers} == {32, 40}
    with pytest.raises(TypeError):
        hashing.hash_buffer(object())


def test_creation_dispatch():
    class Entry(backends.WeftBackendEntrypoint):
        def ones(self):
            return "numpy ones"

    class Other(Entry):
        def ones(self):
            raise TypeError("broken")

    dispatch = backends.CreationDispatch("array", "numpy", backends.WeftBackendEntrypoint, "array_creation")
    dispatch.register_backend("numpy", Entry())
    dispatch.register_backend("other", Other())
    assert dispatch.backend == "numpy" and dispatch.ones() == "numpy ones"

    @dispatch.register_inplace("numpy")
    def zeros():
        return "numpy zeros"

    assert zeros() == "numpy zeros"
    ones = dispatch.register_inplace("numpy", "ones")(lambda: "new ones")
    with config.set({"array.backend": "other"}), pytest.raises(TypeError, match="broken") as caught:
        ones()
    assert "other backend of weft.array" in caught.value.__notes__[0]
    with config.set({"array.backend": "nobody"}), pytest.raises(ValueError, match="nobody"):
        dispatch.ones()
    with pytest.raises(ValueError, match="only supports"):
        dispatch.register_backend("bad", object())
