"""Lines of files: natively read beside Dask's, compressed, in other encodings, and files that cannot be read."""

import gzip
import json
import lzma
import os
import zlib

import dask.bag
import fsspec
import pytest
import weft
import weft.bag as db
from hypothesis import given, settings
from hypothesis import strategies as st
from weft._weft import JsonLoads

SPACES = " \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2028\u2029\u202f\u205f\u3000\u180e\u200b\ufeff"
TEXT = st.text(st.sampled_from("aAbß İΣσ" + SPACES + "\n\r") | st.characters(codec="utf-8"), max_size=60)


def write(path, text):
    path.write_bytes(text.encode())
    return str(path)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("text") / "a.txt"


@settings(max_examples=150, deadline=None)
@given(
    text=TEXT, blocksize=st.none() | st.integers(1, 70), delimiter=st.sampled_from([None, "\n", "\r\n", "a"])
)
def test_lines_are_dasks(path, text, blocksize, delimiter):
    name = write(path, text)
    options = {"blocksize": blocksize, "linedelimiter": delimiter}
    if blocksize is not None and not text:
        with pytest.raises(ValueError, match="No files"):
            db.read_text(name, **options)
        return
    found = db.read_text(name, **options).compute()
    if delimiter in (None, "\n") and blocksize is not None and "\r" in text:
        # Dask takes a carriage return at a block's end for a line break of its own.
        assert "".join(found) == "".join(db.read_text(name, linedelimiter=delimiter).compute())
    elif delimiter == "a" and blocksize is None:
        # Dask gives an empty line after the last delimiter when it reads a file whole, and none in blocks.
        assert "".join(found) == text
    else:
        assert found == dask.bag.read_text(name, **options).compute(scheduler="sync")


CHAINS = {
    "lines": (lambda b: b, lambda lines: lines),
    "strip": (lambda b: b.str.strip(), lambda lines: [x.strip() for x in lines]),
    "lower": (lambda b: b.map(str.lower), lambda lines: [x.lower() for x in lines]),
    "upper strip": (lambda b: b.str.upper().str.lstrip(), lambda lines: [x.upper().lstrip() for x in lines]),
    "upper lower": (lambda b: b.str.upper().str.lower(), lambda lines: [x.upper().lower() for x in lines]),
    "split": (lambda b: b.str.split(), lambda lines: [x.split() for x in lines]),
    "split by": (lambda b: b.str.split("a"), lambda lines: [x.split("a") for x in lines]),
    "words": (lambda b: b.map(str.split).flatten(), lambda lines: [w for x in lines for w in x.split()]),
    "lower words": (
        lambda b: b.str.lower().str.split().flatten().str.upper(),
        lambda lines: [w.upper() for x in lines for w in x.lower().split()],
    ),
    "characters": (lambda b: b.flatten(), lambda lines: [c for x in lines for c in x]),
    "lengths": (lambda b: b.str.rstrip().map(len), lambda lines: [len(x.rstrip()) for x in lines]),
}


@pytest.mark.parametrize("name", CHAINS)
@settings(max_examples=60, deadline=None)
@given(text=TEXT)
def test_steps_on_lines_are_pythons(path, name, text):
    bag, plain = CHAINS[name]
    write(path, text)
    with open(path, encoding="utf-8") as file:
        expected = plain(list(file))
    found = bag(db.read_text(str(path)))
    assert found.compute() == expected
    if all(isinstance(x, str) for x in expected):
        counts = {}
        for x in expected:
            counts[x] = counts.get(x, 0) + 1
        assert found.frequencies().compute() == list(counts.items())
        assert found.distinct().compute() == list(counts)
    assert found.count().compute() == len(expected)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def outcome(function, text):
    try:
        value = function(text)
        return repr(value), value.__class__
    except Exception as error:
        return type(error), str(error)


@settings(max_examples=300, deadline=None)
@given(value=VALUES, ascii=st.booleans(), indent=st.sampled_from([None, 1]))
def test_json_gives_the_same_objects(value, ascii, indent):
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    loads = JsonLoads()
    assert outcome(loads, text) == outcome(json.loads, text)
    assert outcome(loads, text.encode("utf-8", "surrogatepass")) == outcome(
        json.loads, text.encode("utf-8", "surrogatepass")
    )
    for cut in range(0, len(text), 3):
        assert outcome(loads, text[:cut]) == outcome(json.loads, text[:cut])


@pytest.mark.parametrize(
    "text",
    ["01", "-", "1.", "1e", "1e400", "-0", "-0.0", "NaN", "-Infinity", "1" * 30, '"\\ud800"', '"\\ud83d\\ude00"', '"\\u00"',
     '"\\x"', '"a\nb"', "[1,]", '{"a":1,}', '{"a" :  1 , "a": 2}', "{1: 2}", "nul", "", " ", "[1] 2", "\ufeff1", "[" * 300 + "]" * 300,
     '"\\/\\b\\f\\n\\r\\t\\"\\\\"', "tru", "\x0b1", "1E5", "123456789012345678", "9223372036854775808"],
)  # fmt: skip
def test_json_at_the_edges(text):
    assert outcome(JsonLoads(), text) == outcome(json.loads, text)


def test_json_lines(tmp_path):
    rows = [{"name": "é\n" * (i % 3), "n": i, "x": [i / 7, None, True]} for i in range(1000)]
    name = write(tmp_path / "a.json", "".join(json.dumps(row) + "\n" for row in rows))
    b = db.read_text(name, blocksize=5_000).map(json.loads)
    assert b.npartitions > 3
    assert b.compute() == rows
    assert b.filter(lambda row: row["n"] % 2).pluck("n").sum().compute() == sum(range(1, 1000, 2))
    assert b.count().compute() == 1000
    broken = write(tmp_path / "b.json", '{"a": 1}\n{"a": \n')
    with pytest.raises(json.JSONDecodeError, match="Expecting value"):
        db.read_text(broken).map(json.loads).compute()


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zip"])
def test_compressed(tmp_path, suffix):
    lines = [f"line {i} é\n" for i in range(2000)]
    path = str(tmp_path / f"a.txt{suffix}")
    with fsspec.open(path, "wb", compression="infer") as file:
        file.write("".join(lines).encode())
    assert db.read_text(path).compute() == lines
    assert db.read_text([path, path], files_per_partition=2).count().compute() == 4000
    assert db.read_text(path, include_path=True).take(1) == ((lines[0], path),)
    if suffix:
        with pytest.raises(ValueError, match="compressed"):
            db.read_text(path, blocksize=100)


def test_other_encodings_and_error_modes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("é\nß\n".encode("latin-1"))
    assert db.read_text(str(path), encoding="latin-1").compute() == ["é\n", "ß\n"]
    assert db.read_text(str(path), errors="replace").compute() == ["\ufffd\n", "\ufffd\n"]


def test_other_file_systems():
    with fsspec.open("memory://weft-text/a.txt", "wb") as file:
        file.write(b"a b\nc\n")
    b = db.read_text("memory://weft-text/*.txt")
    assert b.str.split().flatten().compute() == ["a", "b", "c"]
    fsspec.filesystem("memory").rm("/weft-text", recursive=True)


def test_no_such_files(tmp_path):
    with pytest.raises(ValueError, match="No files found"):
        db.read_text(str(tmp_path / "*.txt"))
    missing = db.read_text(str(tmp_path / "a.txt"))
    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        missing.compute()
    (tmp_path / "a.txt").write_text("x\n")
    assert missing.compute() == ["x\n"]


@pytest.fixture(params=[{}, {"include_path": True}], ids=["native", "python"])
def options(request):
    return request.param


def test_invalid_utf8_names_file_and_the_next_compute_works(tmp_path, options):
    path = tmp_path / "bad.txt"
    path.write_bytes(b"fine\n\xff\n")
    for b in (db.read_text(str(path), **options), db.read_text(str(path), **options).map(len).frequencies()):
        with pytest.raises(UnicodeDecodeError, match=r"invalid start byte.*bad\.txt"):
            b.compute()
    path.write_bytes(b"fine\n")
    assert db.read_text(str(path), **options).count().compute() == 1


@pytest.mark.parametrize("suffix, compress", [("gz", gzip.compress), ("xz", lzma.compress)])
def test_truncated_files_are_named(tmp_path, options, suffix, compress):
    path = tmp_path / f"short.{suffix}"
    path.write_bytes(compress(os.urandom(100_000).hex().encode())[:-5_000])
    with pytest.raises((EOFError, zlib.error, lzma.LZMAError), match=r"short\."):
        db.read_text(str(path), **options).count().compute()
    path.write_bytes(compress(b"a\n"))
    assert db.read_text(str(path), **options).count().compute() == 1


def test_what_is_no_gzip_is_named(tmp_path, options):
    path = tmp_path / "plain.gz"
    path.write_bytes(b"not compressed\n")
    with pytest.raises(gzip.BadGzipFile, match=r"plain\.gz"):
        db.read_text(str(path), **options).compute()


def test_a_directory_is_named(tmp_path, options):
    (tmp_path / "d.txt").mkdir()
    with pytest.raises(IsADirectoryError, match=r"d\.txt"):
        db.read_text(str(tmp_path / "d.txt"), **options).compute()
    assert db.from_sequence([1]).compute() == [1]


def test_a_file_that_may_not_be_read_is_named(tmp_path, options):
    path = tmp_path / "secret.txt"
    path.write_text("a\n")
    b = db.read_text(str(path), **options)
    expected = b.compute()
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may read everything, this user may not
    try:
        with pytest.raises(PermissionError, match=r"secret\.txt"):
            b.compute()
    finally:
        if root:
            os.seteuid(0)
    path.chmod(0o600)
    assert b.compute() == expected


def test_streams_are_read_once_and_by_whole_collections(tmp_path):
    name = write(tmp_path / "a.txt", "a b\nb\n")
    b = db.read_text(name)
    words = b.str.split().flatten()
    assert weft.compute(b, words, words.frequencies()) == (
        ["a b\n", "b\n"],
        ["a", "b", "b"],
        [("a", 1), ("b", 2)],
    )
    assert words.take(1) == ("a",)
