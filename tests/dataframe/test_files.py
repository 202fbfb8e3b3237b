"""Parquet and JSON: what is written is read again, whole or in part."""

import os

import pandas as pd
import pandas.testing as tm
import pytest
import weft.dataframe as dd


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"x": [1, 2, 3, 4], "s": list("abca"), "y": [1.0, 2.0, None, 4.0]},
        index=pd.Index([10, 20, 30, 40], name="i"),
    )


def test_parquet_keeps_dtypes_index_and_divisions(frame, tmp_path):
    dd.from_pandas(frame, npartitions=2).to_parquet(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["part.0.parquet", "part.1.parquet"]
    tm.assert_frame_equal(pd.read_parquet(tmp_path), frame)
    df = dd.read_parquet(tmp_path, calculate_divisions=True)
    assert df.divisions == (10, 30, 40)
    tm.assert_frame_equal(df.compute(), frame)
    tm.assert_frame_equal(dd.read_parquet(tmp_path, columns=["y"]).compute(), frame[["y"]])
    tm.assert_series_equal(dd.read_parquet(tmp_path, columns="x").compute(), frame.x)
    chosen = dd.read_parquet(tmp_path, filters=[("x", ">", 2)])
    tm.assert_frame_equal(chosen.compute(), frame[frame.x > 2])


def test_parquet_in_folders_by_value(frame, tmp_path):
    dd.from_pandas(frame, npartitions=2).to_parquet(tmp_path, partition_on="s")
    got = dd.read_parquet(tmp_path).compute().sort_index()
    assert got.s.astype(str).tolist() == frame.s.tolist()
    assert got.x.tolist() == frame.x.tolist()


def test_parquet_appends_and_overwrites(frame, tmp_path):
    df = dd.from_pandas(frame, npartitions=2)
    df.to_parquet(tmp_path / "a")
    with pytest.raises(ValueError, match="divisions of the appended dataframe overlap"):
        df.to_parquet(tmp_path / "a", append=True)
    df.to_parquet(tmp_path / "a", append=True, ignore_divisions=True)
    assert len(dd.read_parquet(tmp_path / "a")) == 8
    df.to_parquet(tmp_path / "a", overwrite=True)
    assert len(dd.read_parquet(tmp_path / "a")) == 4


def test_parquet_mistakes(frame, tmp_path):
    df = dd.from_pandas(frame, npartitions=1)
    with pytest.raises(FileNotFoundError):
        dd.read_parquet(tmp_path / "none")
    df.to_parquet(tmp_path / "a")
    with pytest.raises(ValueError, match="zz"):
        dd.read_parquet(tmp_path / "a", columns=["zz"])
    with pytest.raises(ValueError, match="non-existent"):
        df.to_parquet(tmp_path / "b", partition_on=["zz"])
    path = tmp_path / "a" / "part.0.parquet"
    whole = dd.read_parquet(tmp_path / "a")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Exception, match=r"part\.0\.parquet"):
        whole.compute()


def test_a_failed_write_leaves_no_file(tmp_path):
    df = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=1)
    broken = df.map_partitions(lambda part: part.assign(x=[object(), object()]), meta={"x": "object"})
    with pytest.raises(Exception, match="object"):
        broken.to_parquet(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("orient", ["records", "split", "columns"])
def test_json_round_trip(frame, tmp_path, orient):
    frame = frame.reset_index(drop=True)
    dd.from_pandas(frame, npartitions=2).to_json(tmp_path / "*.json", orient=orient)
    got = dd.read_json(tmp_path / "*.json", orient=orient).compute()
    tm.assert_frame_equal(got.reset_index(drop=True), frame)


@pytest.mark.parametrize("blocksize", [1, 17, 40, 10**6])
def test_json_lines_in_blocks(frame, tmp_path, blocksize):
    frame = frame.reset_index(drop=True)
    dd.from_pandas(frame, npartitions=1).to_json(tmp_path / "*.json")
    got = dd.read_json(tmp_path / "*.json", blocksize=blocksize, meta=frame.iloc[:0]).compute()
    assert got.x.tolist() == [1, 2, 3, 4]
