"""Parquet folders: filters, hive folders, metadata files, append, overwrite, dtypes that files must share."""

import os

import numpy as np
import pandas as pd
import pandas.testing as tm
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import weft
import weft.dataframe as dd

FRAME = pd.DataFrame(
    {
        "x": range(12),
        "f": [0.5, np.nan, 2.5] * 4,
        "s": ["a", None, "b", "ß"] * 3,
        "k": [2019, 2020, 2021] * 4,
    }
)


def folder(tmp_path, frame=FRAME, npartitions=3, **options):
    dd.from_pandas(frame, npartitions=npartitions).to_parquet(tmp_path / "data", **options)
    return str(tmp_path / "data")


FILTERS = [
    [("x", ">", 4)],
    [("x", ">", 4), ("k", "==", 2020)],
    [[("x", "<", 2)], [("s", "=", "b"), ("f", ">=", 1)]],
    [("s", "!=", "a")],
    [("s", "in", ["a", "b"])],
    [("s", "not in", ["a"])],
    [("f", "<", 1.0)],
    [("x", ">", 100)],
]


@pytest.mark.parametrize("conditions", FILTERS, ids=str)
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("columns", [None, ["s"], "f"])
def test_filters_choose_rows_as_pandas_does(conditions, labels, columns, tmp_path):
    path = folder(tmp_path, write_index=labels, npartitions=2)
    wanted = [columns] if isinstance(columns, str) else columns
    files = sorted(os.listdir(path))
    expected = pd.concat(
        [pd.read_parquet(f"{path}/{name}", columns=wanted, filters=conditions) for name in files]
    )
    got = dd.read_parquet(path, columns=columns, filters=conditions)
    assert "native" in got.explain()
    got = got.compute().to_frame() if isinstance(columns, str) else got.compute()
    tm.assert_frame_equal(got, expected, check_index_type=len(expected) > 0)
    by_arrow = dd.read_parquet(
        path, columns=columns, filters=conditions, arrow_to_pandas={"ignore_metadata": False}
    )
    by_arrow = by_arrow.compute().to_frame() if isinstance(columns, str) else by_arrow.compute()
    tm.assert_frame_equal(
        by_arrow, expected, check_index_type=len(expected) > 0, check_dtype=len(expected) > 0
    )


def test_row_groups_that_no_filter_fits_are_not_read(tmp_path):
    path = folder(tmp_path, npartitions=1, row_group_size=3)
    file = f"{path}/part.0.parquet"
    place = pq.read_metadata(file).row_group(0).column(0).data_page_offset
    with open(file, "r+b") as out:
        out.seek(place)
        out.write(b"\xff" * 8)
    with pytest.raises(OSError, match=r"part\.0\.parquet"):
        dd.read_parquet(path).compute()
    got = dd.read_parquet(path, filters=[("x", ">=", 3)], split_row_groups=True).compute()
    assert got.x.tolist() == list(range(3, 12))


def test_an_unknown_operator_or_a_bad_filter_is_named(tmp_path):
    path = folder(tmp_path)
    with pytest.raises(ValueError, match="~="):
        dd.read_parquet(path, filters=[("x", "~=", 1)])
    with pytest.raises(ValueError, match="column, operator, value"):
        dd.read_parquet(path, filters=["x > 1"])


def test_hive_folders_become_columns_and_are_chosen_by_filters(tmp_path):
    path = folder(tmp_path, partition_on=["k", "s"], write_index=False)
    assert os.path.isdir(f"{path}/k=2019/s=a")
    assert os.path.isdir(f"{path}/k=2020/s=__HIVE_DEFAULT_PARTITION__")
    got = dd.read_parquet(path)
    assert got._meta.k.dtype.categories.tolist() == [2019, 2020, 2021]
    whole = got.compute().sort_values("x").reset_index(drop=True)
    assert whole.k.astype("int64").tolist() == FRAME.k.tolist()
    assert whole.s.astype("str").fillna("-").tolist() == FRAME.s.fillna("-").tolist()
    one = dd.read_parquet(path, filters=[("k", "==", 2020), ("s", "in", ["ß"])])
    assert one.npartitions < got.npartitions
    assert one.compute().x.tolist() == FRAME.x[(FRAME.k == 2020) & (FRAME.s == "ß")].tolist()
    both = dd.read_parquet(path, filters=[[("k", "==", 2019), ("x", ">", 3)], [("k", ">", 2020)]]).compute()
    fits = (FRAME.k == 2019) & (FRAME.x > 3) | (FRAME.k > 2020)
    assert sorted(both.x) == FRAME.x[fits].tolist()
    native = dd.read_parquet(path, columns=["x"], filters=[("k", "==", 2019)])
    assert sorted(native.compute().x) == FRAME.x[FRAME.k == 2019].tolist()


def test_a_partition_without_values_has_the_type_of_the_others(tmp_path):
    frame = pd.DataFrame(
        {"i": pd.array([1, 2, None, None], "Int64"), "o": pd.Series(["a", "b", None, None], dtype=object)}
    )
    path = folder(tmp_path, frame, 2, write_index=False)
    schemas = [pq.read_schema(f"{path}/part.{i}.parquet") for i in range(2)]
    assert schemas[0].types == schemas[1].types
    got = dd.read_parquet(path).compute()
    assert got.i.sum() == 3
    assert got.o.tolist()[:2] == ["a", "b"]


def test_types_that_are_asked_for(tmp_path):
    path = folder(tmp_path, schema={"x": pa.int16(), "f": pa.float32()}, write_index=False)
    found = pq.read_schema(f"{path}/part.1.parquet")
    assert (found.field("x").type, found.field("f").type) == (pa.int16(), pa.float32())
    with pytest.raises(ValueError, match="nope"):
        folder(tmp_path, schema={"nope": pa.int8()})
    with pytest.raises(ValueError, match=r"part\.0\.parquet.*"):
        folder(tmp_path, schema={"s": pa.int8()})


def test_metadata_of_the_users_own(tmp_path):
    path = folder(tmp_path, custom_metadata={"made by": "a test"})
    assert pq.read_schema(f"{path}/part.0.parquet").metadata[b"made by"] == b"a test"
    with pytest.raises(ValueError, match="pandas"):
        folder(tmp_path, custom_metadata={"pandas": "x"})


def test_a_metadata_file_covers_all_files_and_is_kept_up_to_date(tmp_path):
    path = folder(tmp_path, write_metadata_file=True)
    found = pq.read_metadata(f"{path}/_metadata")
    assert (found.num_rows, found.num_row_groups) == (12, 3)
    more = FRAME.set_axis(FRAME.index + 100)
    dd.from_pandas(more, npartitions=2).to_parquet(path, append=True)
    found = pq.read_metadata(f"{path}/_metadata")
    assert (found.num_rows, found.num_row_groups) == (24, 5)
    assert found.row_group(4).column(0).file_path == "part.4.parquet"
    assert pq.read_schema(f"{path}/_common_metadata").names[:2] == ["x", "f"]
    tm.assert_frame_equal(dd.read_parquet(path).compute(), pd.concat([FRAME, more]))


def test_appending_what_does_not_fit_is_refused(tmp_path):
    path = folder(tmp_path)
    before = sorted(os.listdir(path))
    later = FRAME.set_axis(FRAME.index + 100)
    with pytest.raises(ValueError, match=r"columns not the same.*\n.*'k'"):
        dd.from_pandas(later.drop(columns="k"), npartitions=1).to_parquet(path, append=True)
    with pytest.raises(ValueError, match="x: int64 there, float64 new"):
        dd.from_pandas(later.astype({"x": "float64"}), npartitions=1).to_parquet(path, append=True)
    with pytest.raises(ValueError, match="overlap.*\n.*11\n.*5"):
        dd.from_pandas(FRAME.set_axis(FRAME.index + 5), npartitions=1).to_parquet(path, append=True)
    assert sorted(os.listdir(path)) == before
    dd.from_pandas(FRAME, npartitions=1).to_parquet(path, append=True, ignore_divisions=True)
    assert len(dd.read_parquet(path)) == 24


def test_overwriting_replaces_the_folder_when_all_is_written(tmp_path):
    path = folder(tmp_path)
    df = dd.read_parquet(path)
    df[df.x > 5].to_parquet(path, overwrite=True)
    got = dd.read_parquet(path).compute()
    assert got.x.tolist() == list(range(6, 12))
    assert os.listdir(tmp_path) == ["data"]

    def fail(part):
        raise RuntimeError("no such luck")

    with pytest.raises(RuntimeError, match="luck"):
        df2 = dd.read_parquet(path).map_partitions(fail, meta=got)
        df2.to_parquet(path, overwrite=True)
    tm.assert_frame_equal(dd.read_parquet(path).compute(), got)
    assert os.listdir(tmp_path) == ["data"]


def test_arguments_that_make_no_sense(tmp_path):
    df = dd.from_pandas(FRAME, npartitions=2)
    for options, words in [
        ({"partition_on": ["nope"]}, "nope"),
        ({"append": True, "overwrite": True}, "overwrite"),
        ({"compression": "gunzip"}, "gunzip"),
        ({"name_function": lambda i: "same.parquet"}, "unique"),
        ({"name_function": lambda i: f"{i}.txt"}, "parquet"),
        ({"name_function": "x"}, "callable"),
        ({"engine": "fastparquet"}, "fastparquet"),
    ]:
        with pytest.raises(ValueError, match=words):
            df.to_parquet(tmp_path / "none", **options)
    with pytest.raises(ValueError, match="string column names"):
        df.rename(columns={"x": 1}).to_parquet(tmp_path / "none")
    with pytest.raises(ValueError, match="dtype_backend"):
        dd.read_parquet(folder(tmp_path), dtype_backend="polars")
    with pytest.raises(ValueError, match="file system"):
        dd.read_parquet(folder(tmp_path), filesystem=3)


@pytest.mark.parametrize("backend", ["pyarrow", "numpy_nullable"])
def test_backends_of_dtypes(backend, tmp_path):
    path = folder(tmp_path, write_index=False)
    expected = pd.read_parquet(path, dtype_backend=backend)
    got = dd.read_parquet(path, dtype_backend=backend)
    assert got._meta.dtypes.tolist() == expected.dtypes.tolist()
    tm.assert_frame_equal(got.compute().reset_index(drop=True), expected)


def test_file_systems(tmp_path):
    import fsspec
    import pyarrow.fs as arrow_fs

    path = folder(tmp_path)
    for filesystem in ("arrow", fsspec.filesystem("file"), arrow_fs.LocalFileSystem()):
        tm.assert_frame_equal(dd.read_parquet(path, filesystem=filesystem).compute(), FRAME)
    memory = fsspec.filesystem("memory")
    try:
        dd.from_pandas(FRAME, npartitions=2).to_parquet("memory://weft-test/data")
        tm.assert_frame_equal(dd.read_parquet("memory://weft-test/data").compute(), FRAME)
        got = dd.read_parquet("memory://weft-test/data", filters=[("x", ">", 8)]).compute()
        assert got.x.tolist() == [9, 10, 11]
        dd.from_pandas(FRAME[:4], npartitions=1).to_parquet("memory://weft-test/data", overwrite=True)
        assert len(dd.read_parquet("memory://weft-test/data")) == 4
        assert [name for name in memory.find("/weft-test") if "partial" in name] == []
    finally:
        memory.rm("/weft-test", recursive=True)


def test_zip_files(tmp_path):
    import zipfile

    path = folder(tmp_path)
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in os.listdir(path):
            archive.write(f"{path}/{name}", f"data/{name}")
        archive.write(tmp_path / "a.csv", "a.csv")
    tm.assert_frame_equal(dd.read_parquet(f"zip://data::{tmp_path}/all.zip").compute(), FRAME)
    got = dd.read_csv(f"zip://a.csv::{tmp_path}/all.zip", blocksize=None).compute()
    tm.assert_frame_equal(got, FRAME)


def test_a_write_that_is_stopped_leaves_no_partial_file(tmp_path):
    def stop(part):
        if part.x.max() == 11:
            raise KeyboardInterrupt
        return part

    df = dd.from_pandas(FRAME, npartitions=3).map_partitions(stop, meta=FRAME)
    with weft.config.set(scheduler="sync"), pytest.raises(KeyboardInterrupt):
        df.to_parquet(tmp_path / "data")
    assert not [name for name in os.listdir(tmp_path / "data") if name.startswith(".")]
