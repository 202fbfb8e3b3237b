"""Reading CSV: what pandas reads, in any blocks; what was promoted is said; errors name the place."""

import gzip
import io
import os
import pathlib
import warnings

import dask.dataframe as real_dd
import numpy as np
import pandas as pd
import pandas.testing as tm
import pytest
import weft
import weft.dataframe as dd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def read(path, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dd.read_csv(path, **kwargs).compute().reset_index(drop=True)


CELLS = st.one_of(
    st.integers(-99, 99).map(str),
    st.floats(-5, 5).map(lambda x: f"{x:.3f}"),
    st.sampled_from(["", "NA", "nan", "text", "é,ü", 'say "hi"', "two\nlines", "  spaced ", "2020-02-29"]),
)


@given(
    st.lists(st.tuples(st.integers(0, 9), CELLS, st.sampled_from(["a", "b", ""])), min_size=1, max_size=15),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([None, 40, 100, "1MB"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_read_what_pandas_reads(tmp_path, rows, end, blocksize, blank):
    frame = pd.DataFrame(rows, columns=["n", "mixed", "s"])
    text = frame.to_csv(index=False, lineterminator=end)
    if blank:
        head, body = text.split(end, 1)
        text = head + end + end + body
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode())
    expected = pd.read_csv(io.BytesIO(text.encode()))
    embedded = any("\n" in row[1] for row in rows)
    result = read(path, blocksize=None if embedded else blocksize, dtype={"mixed": "str"})
    expected["mixed"] = pd.read_csv(io.BytesIO(text.encode()), dtype={"mixed": "str"})["mixed"]
    tm.assert_frame_equal(result, expected, check_dtype=False)


@pytest.fixture
def files(tmp_path):
    """Three files of a month each; in the last rows of each, integers are missing."""
    for month in range(1, 4):
        rng = np.random.default_rng(month)
        n = 2000
        frame = pd.DataFrame(
            {
                "vendor": rng.integers(1, 3, n).astype(object),
                "pickup": pd.date_range(f"2020-{month:02d}-01", periods=n, freq="min").strftime(
                    "%Y-%m-%d %H:%M:%S"
                ),
                "distance": rng.gamma(2, 2, n).round(2),
                "flag": rng.choice(["N", "Y"], n),
            }
        )
        frame.loc[n - 20 :, ["vendor", "flag"]] = np.nan
        frame.to_csv(tmp_path / f"trips-{month}.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("blocksize", "count"),
    [(None, 3), ("1MB", 3), (20e3, None), (20_000, None), ("20kB", None), ("default", 3)],
)
def test_partitions_are_those_of_dask(files, blocksize, count):
    pattern = str(files / "trips-*.csv")
    df = dd.read_csv(pattern, blocksize=blocksize)
    assert df.npartitions == (count or real_dd.read_csv(pattern, blocksize=blocksize).npartitions)
    assert not df.known_divisions


def test_paths_of_all_kinds(files):
    paths = sorted(files.glob("*.csv"))
    expected = pd.concat(map(pd.read_csv, paths), ignore_index=True)
    for given_paths in (str(files / "*.csv"), paths, [str(path) for path in paths], files / "*.csv"):
        tm.assert_frame_equal(read(given_paths), expected)
    tm.assert_frame_equal(read(pathlib.Path(paths[0])), pd.read_csv(paths[0]))


def test_a_late_missing_integer_is_promoted_and_said_once(files):
    df = dd.read_csv(str(files / "*.csv"), blocksize=20_000, sample=5_000)
    assert df.dtypes["vendor"] == "int64"
    with pytest.warns(UserWarning, match="'vendor'") as caught:
        result = df.compute()
    assert len(caught) == 1
    message = str(caught[0].message)
    for part in ("trips-", "partition", "float64", "dtype=", "assume_missing=True"):
        assert part in message
    assert result["vendor"].dtype == "float64"
    assert result["vendor"].isna().sum() == 60
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert df["vendor"].count().compute() == 5940


def test_persist_says_the_promotion_once_for_all_that_follows(files):
    df = dd.read_csv(str(files / "*.csv"), blocksize=20_000, sample=5_000)
    with pytest.warns(UserWarning, match="'vendor'") as caught:
        kept = df.persist()
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kept.compute()["vendor"].isna().sum() == 60
        assert len(kept.head(3)) == 3
        assert len(df.compute()) == 6000


def test_remedies_silence_the_promotion(files):
    pattern = str(files / "*.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a = dd.read_csv(pattern, sample=5_000, assume_missing=True).vendor.sum().compute()
        b = dd.read_csv(pattern, sample=5_000, dtype={"vendor": "float64"}).vendor.sum().compute()
    assert a == b


def test_mismatch_can_be_an_error(files):
    with weft.config.set({"dataframe.csv.dtype-mismatch": "raise"}):
        df = dd.read_csv(str(files / "*.csv"), blocksize=20_000, sample=5_000)
        with pytest.raises(ValueError, match="Mismatched dtypes found") as caught:
            df.compute(scheduler="sync")
    text = str(caught.value)
    for part in (
        "| Column",
        "Found",
        "Expected",
        "vendor",
        "float64",
        "int64",
        "dtype=",
        "assume_missing=True",
    ):
        assert part in text


def test_the_whole_job(files):
    """Filter, assign, group and count, in one compute, as pandas does it."""
    df = dd.read_csv(str(files / "*.csv"), blocksize=30_000, parse_dates=["pickup"], assume_missing=True)
    pdf = pd.concat(
        [pd.read_csv(path, parse_dates=["pickup"]) for path in sorted(files.glob("*.csv"))], ignore_index=True
    )

    def job(d):
        d = d[d.distance > 1]
        d = d.assign(hour=d.pickup.dt.hour, double=d.distance * 2)
        return (
            d.groupby("hour").agg({"distance": ["mean", "count"], "double": "sum"}),
            d.groupby("vendor").distance.mean(),
            d.flag.value_counts(),
            d.distance.max(),
        )

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = weft.compute(*job(df))
    for a, b in zip(got, job(pdf)):
        if isinstance(b, pd.DataFrame):
            tm.assert_frame_equal(a, b)
        elif isinstance(b, pd.Series):
            tm.assert_series_equal(a, b)
        else:
            assert a == b
    assert "fallback" not in job(df)[0].explain()


def test_keywords_of_pandas(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1;x;NULL\n2;y;3,5\n")
    keywords = {"sep": ";", "header": None, "names": ["a", "b", "c"], "na_values": ["NULL"], "decimal": ","}
    tm.assert_frame_equal(read(path, **keywords), pd.read_csv(path, **keywords))
    tm.assert_frame_equal(
        read(path, usecols=["c", "a"], **keywords), pd.read_csv(path, usecols=["c", "a"], **keywords)
    )
    converters = {"converters": {"b": str.upper}}
    tm.assert_frame_equal(read(path, **keywords, **converters), pd.read_csv(path, **keywords, **converters))
    assert "fallback" in dd.read_csv(path, **keywords, **converters).explain()


def test_read_table(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\n1\tx\n")
    tm.assert_frame_equal(dd.read_table(path).compute(), pd.read_table(path))


def test_compressed_files_are_read_whole(tmp_path):
    frame = pd.DataFrame({"a": range(1000)})
    path = tmp_path / "a.csv.gz"
    frame.to_csv(path, index=False)
    tm.assert_frame_equal(dd.read_csv(path, blocksize=None).compute(), frame)
    with pytest.warns(UserWarning, match="gzip"):
        df = dd.read_csv(path, blocksize="1kB")
    assert df.npartitions == 1


def test_a_cut_gzip_file_is_named(tmp_path):
    path = tmp_path / "cut.csv.gz"
    text = "a\n" + "\n".join(str(i * 7919 % 1000) for i in range(200_000))
    path.write_bytes(gzip.compress(text.encode())[:-2000])
    with pytest.raises((OSError, EOFError), match="cut.csv.gz"):
        dd.read_csv(path, blocksize=None).compute()


def test_a_file_that_vanishes_is_named(files):
    df = dd.read_csv(str(files / "*.csv"))
    os.remove(files / "trips-2.csv")
    with pytest.raises(FileNotFoundError, match="trips-2.csv"):
        df.compute()


def test_a_wrong_dtype_names_file_and_column(files):
    df = dd.read_csv(str(files / "*.csv"), dtype={"flag": "int64"})
    with pytest.raises(ValueError, match="flag") as caught:
        df.compute()
    assert "trips-" in str(caught.value)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"index_col": 0}, ValueError),
        ({"nrows": 5}, ValueError),
        ({"chunksize": 5}, ValueError),
        ({"iterator": True}, ValueError),
        ({"header": [0, 1]}, TypeError),
        ({"usecols": ["zz"]}, ValueError),
    ],
)
def test_keywords_that_make_no_sense(files, keywords, error):
    with pytest.raises(error):
        dd.read_csv(str(files / "*.csv"), **keywords)


def test_no_files():
    with pytest.raises(OSError, match="resolved to no files"):
        dd.read_csv("/no/such/folder/*.csv")
    with pytest.raises(FileNotFoundError):
        dd.read_csv("/no/such/file.csv")


def test_path_column(files):
    df = dd.read_csv(str(files / "*.csv"), include_path_column=True)
    result = df.compute()
    assert sorted(map(os.path.basename, result["path"].cat.categories)) == [
        "trips-1.csv",
        "trips-2.csv",
        "trips-3.csv",
    ]
    assert (result["path"].value_counts() == 2000).all()


def test_to_csv_round_trip(tmp_path):
    frame = pd.DataFrame({"a": range(10), "s": list("abcdefghij")})
    df = dd.from_pandas(frame, npartitions=3)
    paths = df.to_csv(tmp_path / "out-*.csv", index=False)
    assert [os.path.basename(path) for path in paths] == ["out-0.csv", "out-1.csv", "out-2.csv"]
    tm.assert_frame_equal(read(tmp_path / "out-*.csv"), frame)
    [single] = df.to_csv(tmp_path / "single.csv", single_file=True, index=False)
    tm.assert_frame_equal(pd.read_csv(single), frame)
    assert sorted(os.listdir(tmp_path)) == ["out-0.csv", "out-1.csv", "out-2.csv", "single.csv"]


def test_files_of_a_pattern_come_in_the_order_of_their_names(tmp_path):
    for name in ["x", "x1", "x2", "x10"]:
        (tmp_path / f"{name}.csv").write_text(f"a\n{name}\n")
    pattern = str(tmp_path / "x*.csv")
    got = dd.read_csv(pattern).a.compute().tolist()
    assert got == real_dd.read_csv(pattern).a.compute().tolist() == ["x", "x1", "x10", "x2"]
    listed = [str(tmp_path / f"{name}.csv") for name in ["x2", "x10", "x"]]
    assert dd.read_csv(listed).a.compute().tolist() == ["x2", "x10", "x"]
