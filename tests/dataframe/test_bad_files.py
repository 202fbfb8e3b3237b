"""Files that do not fit together, or that are damaged: errors name file, column, place, expected and found.
Writers leave whole files or none."""

import os
import pathlib
import re

import numpy as np
import pandas as pd
import pytest
import weft
import weft.dataframe as dd


def says(caught, *words):
    text = f"{caught.value} {getattr(caught.value, '__notes__', '')}"
    for word in words:
        assert re.search(word, text), f"{word!r} is not in: {text}"


@pytest.fixture
def parquet(tmp_path):
    def write(number, frame):
        frame.to_parquet(tmp_path / f"{number}.parquet")

    write(0, pd.DataFrame({"x": [1, 2], "s": ["a", "b"]}))
    return write, tmp_path


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"x": ["p"], "s": ["a"]}, ["column x", "expected Int64", "found Utf8"]),
        ({"x": [1.5], "s": ["a"]}, ["column x", "expected Int64", "found Float64"]),
        ({"s": ["a"]}, ["column x", "expected a column of int64", "found columns s"]),
    ],
)
def test_parquet_files_that_drift(parquet, other, words):
    write, path = parquet
    write(1, pd.DataFrame(other))
    with pytest.raises(ValueError, match=r"1\.parquet") as caught:
        dd.read_parquet(path).compute()
    says(caught, *words)


def test_a_damaged_page_names_the_file_and_the_partition(parquet):
    _, path = parquet
    damaged = bytearray((path / "0.parquet").read_bytes())
    damaged[10:60] = bytes(50)
    (path / "1.parquet").write_bytes(damaged)
    with pytest.raises(OSError, match=r"1\.parquet") as caught:
        dd.read_parquet(path).compute()
    says(caught, "partition 1")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"])
def test_what_is_no_parquet_is_named(parquet, content):
    _, path = parquet
    (path / "1.parquet").write_bytes(content)
    with pytest.raises(OSError, match=r"1\.parquet"):
        dd.read_parquet(path).compute()


def test_csv_files_whose_columns_change_dtype(tmp_path):
    (tmp_path / "0.csv").write_text("x,when\n" + "1,2020-01-01\n" * 5)
    (tmp_path / "1.csv").write_text("x,when\n2,2020-01-01\nmany,2020-01-02\n")
    with pytest.raises(ValueError, match="Mismatched dtypes") as caught:
        dd.read_csv(str(tmp_path / "*.csv")).compute()
    says(caught, r"1\.csv", "x", "int64", "partition 1", "many|object|str")


def test_csv_files_that_lack_a_column_or_order_them_otherwise(tmp_path):
    (tmp_path / "0.csv").write_text("a,b\n1,2\n")
    for header in ("b,a", "a", "a,b,c"):
        (tmp_path / "1.csv").write_text(f"{header}\n1{',1' * header.count(',')}\n")
        with pytest.raises(ValueError, match=r"1\.csv") as caught:
            dd.read_csv(str(tmp_path / "*.csv")).compute()
        says(caught, r"0\.csv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": {"x": "int64"}}, ["x", "int64"]),
        ({"dtype": {"x": "float64"}}, ["x", "float64"]),
        ({"dtype": {"x": "bool"}}, ["x", "bool"]),
        ({"parse_dates": ["nope"]}, ["nope"]),
        ({"usecols": ["nope"]}, ["nope"]),
    ],
)
def test_dtypes_and_columns_that_do_not_fit(options, words, tmp_path):
    (tmp_path / "a.csv").write_text("x\n" + "1\n" * 2000 + "word\n")
    with pytest.raises(ValueError, match=words[0]) as caught:
        dd.read_csv(tmp_path / "a.csv", sample=100, blocksize=1000, **options).compute()
    says(caught, *words)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"x\n" + b"a\n" * 20 + b"\xff\xfe\n")
    with pytest.raises(ValueError, match="utf-8") as caught:
        dd.read_csv(tmp_path / "a.csv").compute()
    says(caught, r"a\.csv", "line 22", 'column "x"', "0xff")


# -- writers --------------------------------------------------------------------------------------

WRITERS = {
    "csv": lambda df, path: df.to_csv(f"{path}/*.csv"),
    "one csv": lambda df, path: df.to_csv(f"{path}/all.csv", single_file=True),
    "json": lambda df, path: df.to_json(f"{path}/*.json"),
    "orc": lambda df, path: df.to_orc(path),
    "parquet": lambda df, path: df.to_parquet(path),
    "hdf": lambda df, path: df.to_hdf(f"{path}/*.h5", "/t"),
    "one hdf": lambda df, path: df.to_hdf(f"{path}/all.h5", "/t"),
    "hdf tables": lambda df, path: df.to_hdf(f"{path}/all.h5", "/t*"),
}


def _needs(form):
    if "hdf" in form:
        pytest.importorskip("tables")


class Stop(BaseException):
    """Not an Exception, as Ctrl-C is."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, Stop])
@pytest.mark.parametrize("form", WRITERS)
def test_a_failure_leaves_no_partial_file(form, error, tmp_path):
    _needs(form)

    def fail(part):
        if 5 in part.index:
            raise error("late")
        return part

    frame = pd.DataFrame({"x": range(6), "s": list("abcdef")})
    df = dd.from_pandas(frame, npartitions=3).map_partitions(fail, meta=frame)
    with weft.config.set(scheduler="sync"), pytest.raises(error):
        WRITERS[form](df, str(tmp_path))
    left = sorted(p.name for p in pathlib.Path(tmp_path).rglob("*") if p.is_file())
    assert not [name for name in left if "partial" in name or name.startswith((".", "all"))], left


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["one hdf", "hdf tables"])
def test_a_failure_leaves_what_was_there(form, tmp_path):
    _needs(form)
    good = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=1)
    good.to_hdf(str(tmp_path / "all.h5"), "/old")
    before = (tmp_path / "all.h5").read_bytes()

    def fail(part):
        if 3 in part.index:
            raise RuntimeError("late")
        return part

    frame = pd.DataFrame({"x": range(4)})
    bad = dd.from_pandas(frame, npartitions=2).map_partitions(fail, meta=frame)
    with pytest.raises(RuntimeError, match="late"):
        WRITERS[form](bad, str(tmp_path))
    assert (tmp_path / "all.h5").read_bytes() == before
    assert os.listdir(tmp_path) == ["all.h5"]
    WRITERS[form](dd.from_pandas(frame, npartitions=2), str(tmp_path))
    assert dd.read_hdf(str(tmp_path / "all.h5"), "/t*").compute().x.tolist() == [0, 1, 2, 3]
    assert dd.read_hdf(str(tmp_path / "all.h5"), "/old").compute().x.tolist() == [1, 2]


# -- integers that meet missing values late -------------------------------------------------------


def test_integers_that_meet_missing_values_late_are_promoted_and_that_is_said_once(tmp_path):
    rng = np.random.default_rng(7)
    for month in range(3):
        rows = 4000 if month < 2 else 2000
        frame = pd.DataFrame(
            {
                "VendorID": rng.integers(1, 3, rows),
                "passenger_count": rng.integers(0, 7, rows),
                "flag": rng.choice(["Y", "N"], rows),
                "amount": np.round(rng.gamma(2, 10, rows), 2),
            }
        ).astype(object)
        frame.loc[rows - 40 :, ["VendorID", "passenger_count", "flag"]] = np.nan
        frame.to_csv(tmp_path / f"{month}.csv", index=False)
    files = sorted(tmp_path.glob("*.csv"))
    expected = pd.concat([pd.read_csv(file) for file in files])
    df = dd.read_csv(str(tmp_path / "*.csv"), blocksize=20_000, sample=2000)
    with pytest.warns(UserWarning, match="was read as float64, not int64") as said:
        got = df.groupby("passenger_count").amount.mean().compute()
    assert len([w for w in said if "passenger_count" in str(w.message)]) == 1
    assert re.search(r"\d\.csv.*partition \d+.*dtype=.*assume_missing", str(said[0].message))
    pd.testing.assert_series_equal(got, expected.groupby("passenger_count").amount.mean())
    with pytest.warns(UserWarning, match="VendorID"):
        whole = df.compute()
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), expected.reset_index(drop=True))
    again = df.groupby("passenger_count").amount.mean().compute()  # Said already: no warning, or this fails.
    pd.testing.assert_series_equal(again, got)
