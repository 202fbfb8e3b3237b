"""The native CSV reader beside pandas, on generated files."""

import gzip
import io
import os
import warnings
from datetime import datetime

import fsspec
import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from weft._weft import CsvSource

FIELDS = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.integers(-(2**63), 2**64).map(str),
    st.floats(allow_nan=False).map(repr),
    st.decimals(-1000, 1000, places=2).map(str),
    st.from_regex(r"[+-]?[0-9]{0,20}\.?[0-9]{0,20}(e[+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(
        ["", "NA", "nan", "None", "null", "N/A", " ", "-", "#N/A", "inf", "-Infinity", "1e", ".", "+5", " 7 "]
    ),
    st.sampled_from(["True", "False", "TRUE", "false", "tRue", "yes"]),
    st.text("ab,\"\n\r é'", max_size=5),
)
KINDS = [
    st.integers(-(10**6), 10**6).map(str),
    st.integers(0, 2**64 - 1).map(str),
    st.one_of(st.decimals(-1000, 1000, places=2).map(str), st.just("")),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(["True", "FALSE", "false"]),
    st.text("abc é", max_size=6),
    st.one_of(st.integers(0, 9).map(str), st.sampled_from(["", "NA"])),
    FIELDS,
]


@st.composite
def files(draw):
    width = draw(st.integers(1, 4))
    height = draw(st.integers(1, 12))
    columns = [
        draw(st.lists(draw(st.sampled_from(KINDS)), min_size=height, max_size=height)) for _ in range(width)
    ]
    frame = pd.DataFrame({f"c{i}": column for i, column in enumerate(columns)}, dtype=object)
    quoting = draw(st.sampled_from([0, 1]))
    line = draw(st.sampled_from(["\n", "\r\n"]))
    text = frame.to_csv(index=False, quoting=quoting, lineterminator=line)
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    return text


def write(tmp_path, text):
    path = tmp_path / "file.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def native(path, **options):
    source = CsvSource([path], options)
    parts = [source.read(i)[0].to_pandas() for i in range(source.npartitions)]
    whole = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    return source, whole


def reference(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pd.read_csv(path, **options)


def bits(series):
    values = series.to_numpy()
    return values.view(f"i{values.itemsize}") if values.dtype.kind == "f" else values


def assert_same(found, expected):
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    for name in expected.columns:
        if expected[name].dtype.kind == "f":
            present = expected[name].notna()
            np.testing.assert_array_equal(bits(found[name])[present], bits(expected[name])[present])


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "na_filter": st.booleans(),
        "keep_default_na": st.booleans(),
        "skipinitialspace": st.booleans(),
        "na_values": st.sampled_from([["-"], ["a", "b"], "yes"]),
        "true_values": st.just(["yes"]),
        "skip_blank_lines": st.booleans(),
        "thousands": st.just("'"),
        "decimal": st.just("'"),
        "quoting": st.sampled_from([0, 1]),
    },
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=files(), options=OPTIONS)
def test_values_dtypes_and_gaps_are_those_of_pandas(tmp_path, text, options):
    path = write(tmp_path, text)
    try:
        expected = reference(path, low_memory=False, **options)
    except Exception as error:
        with pytest.raises((type(error), NotImplementedError)):
            native(path, blocksize=None, **options)
        return
    try:
        _, found = native(path, blocksize=None, **options)
    except NotImplementedError:
        # Left to pandas: only what frames cannot hold, an implicit index, and huge integers beside gaps.
        huge = (
            expected.astype(str)
            .map(lambda value: str(value).strip("+- ").isdigit() and len(value) > 18)
            .any(axis=None)
        )
        assert "object" in map(str, expected.dtypes) or not isinstance(expected.index, pd.RangeIndex) or huge
        return
    assert_same(found, expected)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text('ab,"\n\r1. \t', max_size=60))
@example("a,b\n1,2\n\n \n3,4")
@example('a,b\n"1"x,2\n"",""\n')
@example("a\n\n1\n \n2\n")
@example('a,b\n1,"x"y"z\n')
def test_any_text_is_split_as_pandas_splits_it(tmp_path, text):
    # After a blank line that ends in a lone \\r, pandas swallows a separator.
    assume("\r," not in text)
    path = write(tmp_path, text)
    options = {"dtype": str, "na_filter": False}
    try:
        expected = reference(path, **options)
    except Exception as error:
        with pytest.raises((type(error), NotImplementedError)):
            native(path, blocksize=None, **options)
        return
    try:
        _, found = native(path, blocksize=None, **options)
    except NotImplementedError:
        assert not isinstance(expected.index, pd.RangeIndex) or len(expected) == 0
        return
    pd.testing.assert_frame_equal(found, expected, check_index_type=False)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.datetimes(datetime(1000, 1, 1)), min_size=1, max_size=8),
    st.sampled_from(
        [
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S",
            "%Y-%m-%d",
            "%Y/%m/%d",
            "%Y-%m-%d %H:%M",
            "%m/%d/%Y",
            "%m/%d/%Y %H:%M:%S",
            "%Y-%m-%d %H:%M:%S.%f",
            "%Y%m%d",
        ]
    ),
    st.booleans(),
)
def test_dates_are_those_of_pandas(tmp_path, times, layout, gap):
    lines = [time.strftime(layout) + ",1" for time in times] + [",2"] * gap
    path = write(tmp_path, "t,n\n" + "\n".join(lines) + "\n")
    expected = reference(path, parse_dates=["t"])
    try:
        _, found = native(path, parse_dates=["t"], blocksize=None)
    except NotImplementedError:
        assert expected["t"].dtype == "str"
        return
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    "lines",
    [
        ["2018-01-01", "2018-2-3"],
        ["01/02/2018", "1/3/2018"],
        ["2018-01-01 10:00:00", "2018-1-1 1:2:3"],
        ["2018-01-01 10:00:00.5", "2018-01-01 10:00:00.123456"],
        ["2018-01-01 10:00:00.5", "2018-01-01 10:00:00.123456789"],
        ["2018-01-01", "NaT"],
        ["0001-01-01", "9999-12-31"],
    ],
)
def test_dates_written_unevenly(tmp_path, lines):
    path = write(tmp_path, "t\n" + "\n".join(lines) + "\n")
    _, found = native(path, parse_dates=["t"])
    pd.testing.assert_frame_equal(found, reference(path, parse_dates=["t"]))


def test_a_bad_date_late_in_the_file(tmp_path):
    path = write(tmp_path, "t,n\n" + "2018-01-01,1\n" * 1000 + "soon,2\n")
    source = CsvSource([path], {"parse_dates": ["t"], "sample": 100})
    with pytest.raises(ValueError, match="failed to properly parse as dates:\n\n- t\n") as caught:
        source.read(0)
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("a,b\n1,x\n", {"b": "int64"}),
        ("a,b\n1,\n", {"b": "int64"}),
        ("a,b\n1,1.5\n", {"b": "int64"}),
        ("a,b\n1,300\n", {"b": "int8"}),
        ("a,b\n1,x\n", {"b": "float64"}),
        ("a,b\n1,x\n", {"b": "bool"}),
        ("a,b\n1,\n", {"b": "bool"}),
        ("a,b\n1,2\n", {"b": "boolean"}),
        ("a,b\n1,2.5\n", {"b": "Int64"}),
    ],
)
def test_a_value_that_is_not_of_the_given_dtype(tmp_path, text, dtype):
    path = write(tmp_path, text)
    with pytest.raises((ValueError, TypeError)) as expected:
        reference(path, dtype=dtype)
    with pytest.raises(type(expected.value)) as found:
        native(path, dtype=dtype)
    message = str(found.value)
    assert message.startswith(str(expected.value))
    assert path in message and "partition 0" in message and '"b"' in message


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("a,b\n1,2\n3,\n", {"b": "Int64"}),
        ("a,b\n1,2.5\n3,\n", {"b": "Float64"}),
        ("a,b\n1,True\n3,\n", {"b": "boolean"}),
        ("a,b\n1,1\n3,0\n", {"b": "boolean"}),
        ("a,b\n1,1\n3,0\n", {"b": "int8", "a": "float32"}),
        ("a,b\n1,1\n3,0\n", {"b": "uint16", "a": str}),
        ("a,b\n007,1\n,0\n", {"a": str}),
        ("a,b\n1,1\n3,0\n", float),
        ("a,b\n1.0,1\n3,0\n", {"a": "Int64"}),
    ],
)
def test_given_dtypes(tmp_path, text, dtype):
    path = write(tmp_path, text)
    _, found = native(path, dtype=dtype)
    assert_same(found, reference(path, dtype=dtype))


@pytest.mark.parametrize(
    "options",
    [
        {"header": None},
        {"header": None, "names": ["x", "y", "z"]},
        {"names": ["x", "y", "z"], "header": 0},
        {"names": ["x", "y", "z", "more"], "header": None, "skiprows": 1},
        {"header": 1},
        {"skiprows": 1},
        {"usecols": ["b"]},
        {"usecols": [2, 0]},
        {"comment": "#"},
    ],
)
def test_rows_and_columns_chosen(tmp_path, options):
    path = write(
        tmp_path,
        "a,b,c\n1,2,3\n4,5,6 # six\n\n7,8,9\n" if "comment" in options else "a,b,c\n1,2,3\n4,5,6\n\n7,8,9\n",
    )
    _, found = native(path, **options)
    assert_same(found, reference(path, **options))


@pytest.mark.parametrize("text", ["", "\n\n", "a,b\n1,2\n1,2,3\n", 'a,b\n1,"x\n'])
def test_malformed_files_raise_what_pandas_raises(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as expected:
        reference(path)
    with pytest.raises(type(expected.value)) as found:
        native(path, sample=10)
    assert str(found.value).startswith(str(expected.value).strip())
    assert path in str(found.value)


@pytest.mark.parametrize("blocksize", [1, 7, 100, 1000, 10**6, None])
def test_partitions_are_as_many_as_with_dask_and_hold_every_row_once(tmp_path, blocksize):
    frame = pd.DataFrame(
        {"a": np.arange(300), "b": [f"line\n{i}" for i in range(300)], "c": np.arange(300) / 4}
    )
    text = frame.to_csv(index=False)
    path = write(tmp_path, text)
    source, found = native(path, blocksize=blocksize)
    size = len(text.encode())
    assert source.npartitions == (max(size // blocksize, 1) if blocksize else 1)
    assert_same(found, reference(path))


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
def test_compressed_files_are_one_partition_each(tmp_path, suffix):
    frame = pd.DataFrame({"a": np.arange(20_000), "b": np.arange(20_000) * 0.5})
    path = tmp_path / f"file.csv.{suffix}"
    if suffix == "zst":
        with pyarrow.output_stream(str(path), compression="zstd") as stream:
            stream.write(frame.to_csv(index=False).encode())
    else:
        frame.to_csv(path, index=False)
    source, found = native(str(path), blocksize=1000)
    assert source.npartitions == 1
    assert_same(found, frame)
    if suffix == "gz":
        # A file of two members is the text of both.
        path.write_bytes(path.read_bytes() + gzip.compress(b"20000,10000.0\n"))
        _, found = native(str(path))
        assert found.iloc[-1].tolist() == [20_000, 10_000.0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match="is not whole") as caught:
        native(str(path), sample=100)
    assert str(path) in str(caught.value)


def test_a_file_that_vanishes_or_shrinks_after_planning(tmp_path):
    path = write(tmp_path, "a,b\n" + "1,2\n" * 100)
    source = CsvSource([path], {})
    with open(path, "r+b") as file:
        file.truncate(50)
    with pytest.raises(OSError, match="changed after the reading was planned") as caught:
        source.read(0)
    assert path in str(caught.value)
    os.remove(path)
    with pytest.raises(FileNotFoundError, match="when the reading was planned") as caught:
        source.read(0)
    assert path in str(caught.value)


def test_files_with_different_headers_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n")
    with pytest.raises(ValueError, match=r"b\.csv.*a\.csv.*'?y'?.*'?z'?"):
        CsvSource([str(tmp_path / "*.csv")], {})


def test_through_a_file_system_of_fsspec():
    filesystem = fsspec.filesystem("memory")
    frame = pd.DataFrame({"a": np.arange(1000), "b": ["x"] * 1000})
    filesystem.pipe("/weft-io/a.csv", frame.to_csv(index=False).encode())
    try:
        source = CsvSource(["/weft-io/a.csv"], {"blocksize": 1000}, filesystem)
        parts = [source.read(i)[0].to_pandas() for i in range(source.npartitions)]
        assert len(parts) > 1
        assert_same(pd.concat(parts, ignore_index=True), pd.read_csv(io.StringIO(frame.to_csv(index=False))))
    finally:
        filesystem.rm("/weft-io", recursive=True)


def test_an_integer_column_that_meets_a_gap(tmp_path):
    text = "a,b\n" + "1,x\n" * 1000 + ",x\n"
    path = write(tmp_path, text)
    source = CsvSource([path], {"sample": 100})
    assert source.schema == [("a", "int64"), ("b", "str")]
    frame, promotions = source.read(0)
    assert promotions == [("a", "int64", "float64")]
    assert_same(frame.to_pandas(), reference(path))
    source = CsvSource([path], {"sample": 100, "dtype_mismatch": "raise"})
    with pytest.raises(ValueError, match="Mismatched dtypes found") as caught:
        source.read(0)
    assert "| a      | float64 | int64    |" in str(caught.value)
    source = CsvSource([path], {"sample": 100, "assume_missing": True})
    assert source.schema[0] == ("a", "float64")
    assert source.read(0)[1] == []


def test_text_in_a_column_of_numbers(tmp_path):
    text = "a,b\n" + "1,1.5\n" * 1000 + "1,x\n,1\n"
    source = CsvSource([write(tmp_path, text)], {"sample": 100})
    with pytest.raises(ValueError, match="Mismatched dtypes found") as caught:
        source.read(0)
    message = str(caught.value)
    assert "| a      | float64 | int64    |" in message
    assert "| b      | str     | float64  |" in message
    assert "could not convert string to float: 'x'" in message
    assert "The following columns also raised exceptions on conversion" in message
