"""What goes wrong in bags: the message, that nothing is left behind, and that the next compute works."""

import bz2
import gzip
import json
import lzma
import os
import pickle
import subprocess
import sys
import threading

import pytest
import weft
import weft.bag as db

SCHEDULERS = ["threads", "sync"]


@pytest.fixture(autouse=True, params=SCHEDULERS)
def scheduler(request, tmp_path):
    files = set(os.listdir(f"/proc/{os.getpid()}/fd")) if os.path.exists("/proc") else set()
    with weft.config.set(scheduler=request.param):
        yield request.param
        # A clean next compute, whatever happened before.
        (tmp_path / "good.txt").write_text("1\n2\n3\n")
        numbers = db.read_text(str(tmp_path / "good.txt"), blocksize=2).map(int)
        assert numbers.sum().compute() == 6
        assert db.range(10, npartitions=3).groupby(lambda i: i % 2).count().compute() == 2
    if files:
        still = set(os.listdir(f"/proc/{os.getpid()}/fd")) - files
        opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in still if os.path.exists(f"/proc/self/fd/{fd}")]
        assert not [name for name in opened if str(tmp_path) in name]


class Unpicklable:
    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, x):
        with self.lock:
            return x + 1


def test_a_function_that_cannot_be_pickled():
    bag = db.range(4, npartitions=2).map(Unpicklable())
    # Threads need no pickle; whoever pickles the bag is told what cannot be.
    assert bag.compute() == [1, 2, 3, 4]
    with pytest.raises(TypeError, match="cannot pickle '_thread.lock' object"):
        pickle.dumps(bag)


def test_an_exception_in_a_generator():
    def some(part):
        for i, x in enumerate(part):
            if x == 5:
                raise ValueError(f"element {i} is 5")
            yield x

    bag = db.range(8, npartitions=2).map_partitions(some)
    with pytest.raises(ValueError, match="element 1 is 5") as info:
        bag.map(lambda x: x).filter(lambda x: True).compute()
    assert any(entry.name == "some" for entry in info.traceback)
    assert bag.take(4) == (0, 1, 2, 3)


def test_an_exception_that_ends_iteration():
    def ends(part):
        next(part)
        yield next(iter(()))

    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        db.range(8, npartitions=2).map_partitions(lambda part: ends(iter(part))).compute()


@pytest.mark.parametrize(
    ("extension", "compress", "errors"),
    [
        (".gz", gzip.compress, (EOFError,)),
        (".bz2", bz2.compress, (EOFError,)),
        (".xz", lzma.compress, (EOFError,)),
    ],
)
@pytest.mark.parametrize("blocks", [False, True])
def test_a_compressed_file_that_is_cut_short(tmp_path, extension, compress, errors, blocks):
    data = compress(os.urandom(200_000).hex().encode() + b"\n")
    path = tmp_path / f"cut.txt{extension}"
    path.write_bytes(data[: len(data) // 2])
    bag = db.read_text([str(path)] * 2 if blocks else str(path), files_per_partition=2 if blocks else None)
    with pytest.raises(errors, match=f"cut.txt{extension}"):
        bag.count().compute()
    with pytest.raises(errors, match=f"cut.txt{extension}"):
        bag.map(str.upper).compute()


def test_a_file_that_is_not_compressed(tmp_path):
    (tmp_path / "plain.txt.gz").write_text("plain text")
    with pytest.raises(OSError, match=r"plain\.txt\.gz"):
        db.read_text(str(tmp_path / "plain.txt.gz")).compute()


@pytest.mark.parametrize(
    "step",
    [
        lambda bag: bag,
        lambda bag: bag.str.split().flatten().frequencies(),
        lambda bag: bag.map(json.loads).map(lambda r: r["a"]).frequencies(),
        lambda bag: bag.map(json.loads).foldby("a", lambda total, r: total + 1, 0),
        lambda bag: bag.map(json.loads).to_dataframe(meta={"a": "str"}),
        lambda bag: bag.count(),
    ],
    ids=["lines", "words", "field", "fold", "frame", "count"],
)
def test_invalid_utf8(tmp_path, step):
    (tmp_path / "bad.txt").write_bytes(b'{"a": "x"}\n{"a": "\xff"}\n')
    with pytest.raises(UnicodeDecodeError, match=r"bad\.txt"):
        step(db.read_text(str(tmp_path / "bad.txt"))).compute()
    replaced = db.read_text(str(tmp_path / "bad.txt"), errors="replace").map(json.loads).pluck("a")
    assert replaced.compute() == ["x", "\ufffd"]


@pytest.mark.parametrize("blocksize", [None, 10])
def test_a_directory_in_place_of_a_file(tmp_path, blocksize):
    (tmp_path / "directory.txt").mkdir()
    with pytest.raises((IsADirectoryError, ValueError), match=r"directory\.txt"):
        db.read_text(str(tmp_path / "directory.txt"), blocksize=blocksize).compute()


def test_a_file_that_vanished(tmp_path):
    (tmp_path / "there.txt").write_text("a\n")
    bag = db.read_text(str(tmp_path / "there.txt"))
    (tmp_path / "there.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"there\.txt"):
        bag.compute()


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize("blocksize", [None, 1])
def test_no_permission(tmp_path, blocksize):
    path = tmp_path / "secret.txt"
    path.write_text("a\nb\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        # Nobody is refused who is root; a process of somebody else is.
        assert refused_to_another_user(path, blocksize) == "PermissionError: secret.txt named, next compute 6"
        return
    with pytest.raises(PermissionError, match=r"secret\.txt"):
        db.read_text(str(path), blocksize=blocksize).compute()


def refused_to_another_user(path, blocksize):
    """What a child process that has given up its rights says of the file."""
    code = f"""
import os
import weft.bag as db
def total():
    return db.from_sequence([1, 2, 3], npartitions=2).sum().compute(scheduler="sync")
total()  # imports what it needs while it may
os.seteuid(65534)
try:
    db.read_text({str(path)!r}, blocksize={blocksize!r}).compute(scheduler="sync")
    print("no error")
except OSError as error:
    named = "named" if "secret.txt" in str(error) else "not named"
    print(f"{{type(error).__name__}}: secret.txt {{named}}, next compute {{total()}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or done.stderr


def test_writing_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        db.range(4, npartitions=2).map(str).to_textfiles(str(tmp_path / "file" / "*.txt"))


def test_an_error_in_one_of_several_collections():
    good, bad = db.range(4, npartitions=2).sum(), db.range(4, npartitions=2).map(lambda x: 1 / (x - 2)).sum()
    with pytest.raises(ZeroDivisionError):
        weft.compute(good, bad)
    assert weft.compute(good, good) == (6, 6)


def test_keys_that_cannot_be_hashed():
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        db.range(4, npartitions=2).groupby(lambda i: [i]).compute()
