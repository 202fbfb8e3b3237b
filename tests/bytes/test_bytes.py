"""Blocks of bytes beside Dask's."""

import dask
import dask.bytes
import pytest
import weft
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.bytes import read_bytes
from weft.bytes.utils import compress


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("bytes") / "a.bin"


@settings(max_examples=100, deadline=None)
@given(
    data=st.binary(max_size=80) | st.text("ab\n", max_size=80).map(str.encode),
    blocksize=st.none() | st.integers(1, 90),
    delimiter=st.sampled_from([None, b"\n", b"ab"]),
    sample=st.sampled_from([False, True, 5, "7 B"]),
    not_zero=st.booleans(),
)
def test_same_as_dask(path, data, blocksize, delimiter, sample, not_zero):
    path.write_bytes(data)
    options = {"delimiter": delimiter, "blocksize": blocksize, "sample": sample, "not_zero": not_zero}
    head, blocks = read_bytes(path, **options)
    expected_head, expected = dask.bytes.read_bytes(path, **options)
    assert head == expected_head
    assert [list(weft.compute(*of_file)) for of_file in blocks] == [
        list(dask.compute(*of_file, scheduler="sync")) for of_file in expected
    ]


def test_paths_and_many_files(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.txt").write_bytes(b"x" * i)
    _, blocks, paths = read_bytes(str(tmp_path / "*.txt"), blocksize=1, include_path=True, sample=False)
    assert [len(of_file) for of_file in blocks] == [0, 1, 2]
    assert paths == [str(tmp_path / f"{i}.txt") for i in range(3)]


def test_equal_blocks_have_equal_keys_until_the_file_changes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    keys = [read_bytes(path)[1][0][0].key for _ in range(2)]
    assert keys[0] == keys[1]
    path.write_bytes(b"another")
    assert read_bytes(path)[1][0][0].key != keys[0]


def test_bad_arguments(tmp_path):
    (tmp_path / "a.gz").write_bytes(compress["gzip"](b"a"))
    with pytest.raises(TypeError, match="Path should be"):
        read_bytes(7)
    with pytest.raises(TypeError, match="integer"):
        read_bytes(tmp_path / "a.gz", blocksize=1.5)
    with pytest.raises(ValueError, match="compressed"):
        read_bytes(tmp_path / "a.gz", blocksize=1, compression="infer")
    with pytest.raises(OSError, match="no files"):
        read_bytes(str(tmp_path / "*.csv"))
    _, ((block,),) = read_bytes(tmp_path / "a.gz", blocksize=None, compression="infer")
    assert block.compute() == b"a"
