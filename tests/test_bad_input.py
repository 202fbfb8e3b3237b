"""What users see when something is wrong: each message names the thing, what was expected, and what to do."""

import gzip
import operator
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
import weft
from weft import delayed

dd = pytest.importorskip("weft.dataframe")


@pytest.fixture
def trips(tmp_path):
    path = tmp_path / "trips.csv"
    path.write_text("zone,fare\n" + "".join(f"{i % 5},{i}.5\n" for i in range(1000)))
    return path


def test_truncated_gzip_names_the_file(tmp_path):
    path = tmp_path / "cut.csv.gz"
    whole = gzip.compress(
        b"zone,fare\n" + b"".join(b"%d,%d.25\n" % (i % 7, i * i % 9973) for i in range(200_000))
    )
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((OSError, EOFError, ValueError), match=r"cut\.csv\.gz") as caught:
        dd.read_csv(str(path), blocksize=None).fare.sum().compute()
    assert "gzip" in str(caught.value)


def test_file_that_vanishes_between_planning_and_reading(trips):
    total = dd.read_csv(str(trips)).fare.sum()
    trips.unlink()
    with pytest.raises(FileNotFoundError, match=r"trips\.csv"):
        total.compute()


def test_file_that_shrinks_between_planning_and_reading(trips):
    total = dd.read_csv(str(trips), blocksize=2000).fare.sum()
    trips.write_text("zone,fare\n1,2.5\n")
    with pytest.raises((OSError, ValueError), match=r"trips\.csv"):
        total.compute()


def test_no_file_matches(tmp_path):
    with pytest.raises(OSError, match="nothing-like-this"):
        dd.read_csv(str(tmp_path / "nothing-like-this*.csv"))


def test_column_that_does_not_exist_is_named_at_once(trips):
    df = dd.read_csv(str(trips))
    with pytest.raises(KeyError, match="fair"):
        df["fair"]
    with pytest.raises(AttributeError, match="fair"):
        df.fair  # noqa: B018
    with pytest.raises(KeyError, match="fair"):
        df.groupby("fair").zone.sum()
    with pytest.raises(ValueError, match="fair"):
        dd.read_csv(str(trips), usecols=["fair"])


def test_wrong_dtype_given_names_file_and_column(tmp_path):
    path = tmp_path / "text.csv"
    path.write_text("a,b\n1,x\n2,y\n")
    with pytest.raises(ValueError, match=r"(?s)text\.csv.*'?b'?|'?b'?.*text\.csv"):
        dd.read_csv(str(path), dtype={"b": "int64"}).b.sum().compute()


def test_file_without_a_column_of_the_first_names_both(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"2\.csv"):
        dd.read_csv(str(tmp_path / "*.csv")).b.sum().compute()


def test_cyclic_graph_names_the_cycle():
    graph = {"a": (operator.add, "b", 1), "b": (operator.add, "c", 1), "c": (operator.add, "a", 1)}
    with pytest.raises(RuntimeError, match="[Cc]ycle") as caught:
        weft.get(graph, "a")
    assert all(f"'{key}'" in str(caught.value) or f"{key} ->" in str(caught.value) for key in "abc")


def test_missing_key_is_named():
    with pytest.raises(KeyError, match="nowhere"):
        weft.get({"a": 1}, "nowhere")


def test_function_that_cannot_be_pickled_works_on_threads():
    lock = threading.Lock()

    def under_lock(x):
        with lock:
            return x + 1

    assert delayed(under_lock)(1).compute(scheduler="threads") == 2


def test_exception_in_one_of_10_000_tasks():
    ran = []

    def check(i):
        ran.append(i)
        if i == 4321:
            raise ValueError(f"bad record {i}")
        return i

    with pytest.raises(ValueError, match="bad record 4321") as caught:
        weft.compute(*[delayed(check)(i) for i in range(10_000)], scheduler="threads")
    frames = [entry.name for entry in caught.traceback]
    assert frames[-1] == "check"
    # The next computation is not affected.
    assert weft.compute(*[delayed(abs)(-i) for i in range(100)]) == tuple(range(100))


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_returns_at_once_and_the_process_goes_on():
    code = textwrap.dedent(
        """
        import threading, time
        import weft
        from weft import delayed

        started = threading.Event()

        def stuck():
            started.set()
            time.sleep(30)

        threading.Thread(target=lambda: (started.wait(), print("started", flush=True)), daemon=True).start()
        try:
            weft.compute(*[delayed(stuck)() for _ in range(64)], scheduler="threads")
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        print(sum(weft.compute(*[delayed(abs)(-i) for i in range(100)], scheduler="threads")), flush=True)
        import os; os._exit(0)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        # Far below the 30 s of the task that is running: Ctrl-C does not wait for it.
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert out == "interrupted\n4950\n", err
