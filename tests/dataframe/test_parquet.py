"""Parquet read in Rust, against pyarrow and pandas."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pandas.testing as tm
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import weft.dataframe as dd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TYPES = {
    "int8": pa.int8(),
    "int64": pa.int64(),
    "uint32": pa.uint32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "text": pa.string(),
    "large": pa.large_string(),
    "date": pa.date32(),
    "decimal": pa.decimal128(15, 2),
    "wide": pa.decimal128(30, 4),
    "ms": pa.timestamp("ms"),
    "us": pa.timestamp("us"),
    "ns": pa.timestamp("ns"),
    "zoned": pa.timestamp("us", tz="Europe/Berlin"),
}
VALUES = {
    "int8": st.integers(-128, 127),
    "int64": st.integers(-(2**53), 2**53),
    "uint32": st.integers(0, 2**32 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "text": st.sampled_from(["", "a", "bb", "Straße", "x" * 100]),
    "large": st.text(alphabet=st.characters(codec="utf-8"), max_size=5),
    "date": st.dates(datetime.date(1900, 1, 1), datetime.date(2200, 1, 1)),
    "decimal": st.decimals(-(10**12), 10**12, places=2),
    "wide": st.decimals(-(10**25), 10**25, places=4),
    **dict.fromkeys(
        ("ms", "us", "ns", "zoned"),
        st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1)).map(
            lambda value: value.replace(microsecond=0)
        ),
    ),
}


def pandas_of(table):
    return table.to_pandas(
        types_mapper=lambda kind: (
            pd.ArrowDtype(kind) if pa.types.is_date(kind) or pa.types.is_decimal(kind) else None
        )
    )


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 30))
    columns = {}
    for name in draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=5, unique=True)):
        values = draw(
            st.lists(st.one_of(st.none(), VALUES[name]) if draw(st.booleans()) else VALUES[name],
                     min_size=rows, max_size=rows)
        )  # fmt: skip
        columns[name] = pa.array(values, TYPES[name])
    return pa.table(columns)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tables(),
    st.sampled_from(["none", "snappy", "zstd", "gzip", "lz4"]),
    st.integers(1, 12),
    st.booleans(),
    st.booleans(),
)
def test_a_file_is_what_pyarrow_reads(tmp_path, table, compression, group, coded, named):
    path = tmp_path / "a.parquet"
    if named:  # As pandas would have written it.
        table = pa.Table.from_pandas(pandas_of(table).astype({}), preserve_index=False, schema=table.schema)
    pq.write_table(table, path, compression=compression, row_group_size=group, use_dictionary=coded)
    df = dd.read_parquet(path, split_row_groups=2)
    assert df.expr.lane == "native", df.explain()
    expected = pandas_of(pq.read_table(path))
    got = df.compute()
    tm.assert_frame_equal(got.reset_index(drop=True), expected.reset_index(drop=True))
    assert list(df.dtypes) == list(expected.dtypes)
    column = table.column_names[-1]
    tm.assert_series_equal(df[column].compute().reset_index(drop=True), expected[column], check_index=False)
    assert len(df) == len(expected)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(6),
        pd.RangeIndex(3, 15, 2),
        pd.Index([5, 3, 9, 9, 1, 0], name="key"),
        pd.Index(list("abcdef")),
        pd.date_range("2020", periods=6, name="day"),
    ],
    ids=repr,
)
def test_row_labels_come_from_the_metadata_of_pandas(tmp_path, index):
    frame = pd.DataFrame({"x": range(6), "y": list("uvwxyz")}, index=index)
    frame.to_parquet(tmp_path / "a.parquet")
    df = dd.read_parquet(tmp_path / "a.parquet")
    tm.assert_frame_equal(df.compute(), pd.read_parquet(tmp_path / "a.parquet"), check_freq=False)
    tm.assert_frame_equal(
        df[df.x > 2][["y"]].compute(), pd.read_parquet(tmp_path / "a.parquet").query("x > 2")[["y"]]
    )


def test_an_index_is_chosen_by_name(tmp_path):
    frame = pd.DataFrame({"x": range(4), "y": list("abcd")})
    frame.to_parquet(tmp_path / "a.parquet")
    df = dd.read_parquet(tmp_path / "a.parquet", index="y")
    assert df.expr.lane == "native"
    tm.assert_frame_equal(df.compute(), frame.set_index("y"))


def test_row_groups_make_partitions(tmp_path):
    pq.write_table(pa.table({"x": np.arange(100)}), tmp_path / "a.parquet", row_group_size=10)
    for split, n in [(True, 10), (3, 4), (False, 1), ("infer", 1)]:
        df = dd.read_parquet(tmp_path / "a.parquet", split_row_groups=split)
        assert df.npartitions == n
        assert df.x.sum().compute() == 4950
    small = dd.read_parquet(tmp_path / "a.parquet", blocksize=200)
    assert 3 < small.npartitions <= 10 and len(small) == 100


def test_row_groups_without_matches_are_not_read(tmp_path):
    path = tmp_path / "a.parquet"
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=i) for i in range(100)]
    table = pa.table({"x": range(100), "s": [f"{i:03}" for i in range(100)], "d": days})
    pq.write_table(table, path, row_group_size=10, compression="none")
    df = dd.read_parquet(path)
    whole = pandas_of(table)
    # The bytes of all groups but the fourth are damaged: reading them would fail or give nonsense.
    metadata = pq.ParquetFile(path).metadata
    data = bytearray(path.read_bytes())
    for group in range(10):
        for column in range(3):
            chunk = metadata.row_group(group).column(column)
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            if group != 3:
                data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(bytes(data))
    for mask in (
        (df.x >= 30) & (df.x < 40),
        df.x.between(31, 35),
        35 == df.x,
        df.s == "033",
        (df.d >= days[30]) & (df.d < days[38]),
    ):
        got = df[mask].compute()
        assert len(got) > 0
        tm.assert_frame_equal(got, whole.loc[got.index])
    with pytest.raises(OSError, match=r"a\.parquet"):
        df[df.x > 5].compute()


def test_integers_with_missing_values_are_floats_from_the_start(tmp_path):
    pq.write_table(pa.table({"x": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": pa.array([5, None], pa.int64())}), tmp_path / "b.parquet")
    df = dd.read_parquet(tmp_path)
    assert df.x.dtype == "float64"
    assert df.x.sum().compute() == 15


def test_files_that_disagree_are_named(tmp_path):
    pq.write_table(pa.table({"x": [1], "y": ["a"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet, column y: expected .*, found columns x"):
        dd.read_parquet(tmp_path)
    pq.write_table(pa.table({"x": ["1"], "y": ["a"]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet, column x: expected Int64, found Utf8"):
        dd.read_parquet(tmp_path)


def test_a_file_cut_short_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": range(1000)}), path)
    df = dd.read_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(OSError, match=r"a\.parquet changed after the reading was planned"):
        df.compute()
    with pytest.raises((OSError, ValueError), match="parquet"):
        dd.read_parquet(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.parquet"):
        df.compute()


def test_what_has_no_exact_form_is_read_by_pyarrow(tmp_path):
    table = pa.table({"x": [1, 2], "lists": [[1], [2, 3]], "flags": pa.array([True, None])})
    pq.write_table(table, tmp_path / "a.parquet")
    df = dd.read_parquet(tmp_path / "a.parquet")
    assert df.expr.lane == "host"
    tm.assert_frame_equal(df.compute(), table.to_pandas())
    part = dd.read_parquet(tmp_path / "a.parquet", columns=["x"])
    assert part.expr.lane == "native"


def test_dates_and_decimals_are_pandas_arrow_dtypes(tmp_path):
    table = pa.table(
        {
            "d": pa.array([datetime.date(2020, 1, 31), None, datetime.date(2021, 3, 1)], pa.date32()),
            "m": pa.array([Decimal("1.25"), Decimal("-2.50"), None], pa.decimal128(15, 2)),
            "k": [1, 1, 2],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    df, frame = dd.read_parquet(tmp_path / "a.parquet"), pandas_of(table)
    day = datetime.date(2020, 6, 1)
    for get in (
        lambda f: f.d < day,
        lambda f: ~(f.d >= day),
        lambda f: (f.d < day) & (f.m > 1),
        lambda f: (f.d < day) | (f.m > Decimal("1.2")),
        lambda f: (f.d < day) ^ (f.k == 1),
        lambda f: f.m == 1.25,
        lambda f: f.m * (1 - f.m),
        lambda f: f.m + f.m * 2,
        lambda f: f.m * 0.5,
        lambda f: f.m.astype("float64"),
        lambda f: f.d.astype("datetime64[s]"),
        lambda f: f.d.dt.year,
        lambda f: f.d.dt.day_of_week,
        lambda f: f.d.isin([datetime.date(2020, 1, 31)]),
        lambda f: f.m.isna(),
        lambda f: f[f.d < day],
        lambda f: f.groupby("k").m.sum(),
        lambda f: f.groupby("k").d.max(),
        lambda f: f.groupby("k").d.count(),
        lambda f: f.groupby("d").k.sum(),
    ):
        lazy = get(df)
        assert "fallback" not in lazy.explain(), lazy.explain()
        expected = get(frame)
        compare = tm.assert_frame_equal if expected.ndim == 2 else tm.assert_series_equal
        compare(lazy.compute(), expected)
    assert df.d.min().compute() == frame.d.min() and df.m.max().compute() == frame.m.max()
