"""Frames cross to pandas and back exactly, without copying numbers, and outlive each other."""

import gc
import pickle
import weakref

import numpy as np
import pandas as pd
import pandas.testing as tm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from weft._weft import Frame
from weft.dataframe._convert import Inexact

UNITS = ["s", "ms", "us", "ns"]
NUMBERS = (
    ["bool"]
    + [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    + ["float32", "float64"]
)
NULLABLE = [
    "boolean",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float32",
    "Float64",
]
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "UTC+02:00"]
LABELS = st.one_of(
    st.text(max_size=5), st.integers(-(2**63), 2**63 - 1), st.tuples(st.text(max_size=3), st.integers(0, 3))
)


@st.composite
def arrays(draw, rows):
    family = draw(st.sampled_from(["number", "nullable", "str", "datetime", "zoned", "timedelta"]))
    if family == "number":
        return draw(hnp.arrays(draw(st.sampled_from(NUMBERS)), rows))
    if family == "nullable":
        dtype = draw(st.sampled_from(NULLABLE))
        values = draw(hnp.arrays(dtype.lower().replace("boolean", "bool"), rows))
        array = pd.array(values, dtype=dtype)
        array[draw(hnp.arrays("bool", rows))] = pd.NA
        return array
    if family == "str":
        text = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
        return pd.array(draw(st.lists(text, min_size=rows, max_size=rows)), dtype="str")
    numbers = draw(hnp.arrays("int64", rows, elements=st.integers(-(2**31), 2**31)))
    unit = draw(st.sampled_from(UNITS))
    if family == "timedelta":
        values = numbers.astype(f"timedelta64[{unit}]")
    else:
        values = numbers.astype(f"datetime64[{unit}]")
    values[draw(hnp.arrays("bool", rows))] = "NaT"
    if family == "zoned":
        return pd.DatetimeIndex(values).tz_localize("UTC").tz_convert(draw(st.sampled_from(ZONES))).array
    return values


@st.composite
def indexes(draw, rows):
    kind = draw(st.sampled_from(["range", "column", "multi"]))
    if kind == "range":
        start, step = draw(st.integers(-9, 9)), draw(st.sampled_from([-2, -1, 1, 3]))
        return pd.RangeIndex(start, start + step * rows, step)
    names = st.one_of(st.none(), st.text(max_size=3))
    if kind == "column":
        return pd.Index(draw(arrays(rows)), name=draw(names))
    return pd.MultiIndex.from_arrays(
        [draw(arrays(rows)), draw(arrays(rows))], names=[draw(names), draw(names)]
    )


@st.composite
def frames(draw):
    rows = draw(st.sampled_from([0, 1, 2, 5, 17]))
    labels = draw(st.lists(LABELS, max_size=4, unique=True))
    columns = {i: draw(arrays(rows)) for i in range(len(labels))}
    frame = pd.DataFrame(columns, index=draw(indexes(rows)))
    frame.columns = pd.Index(labels) if labels else pd.RangeIndex(0)
    return frame


@given(frames())
@settings(deadline=None, max_examples=300)
def test_round_trip_is_exact(frame):
    there = Frame.from_pandas(frame)
    assert len(there) == len(frame)
    for writable in (False, True):
        tm.assert_frame_equal(there.to_pandas(writable), frame, check_column_type="equiv")
    again = pickle.loads(pickle.dumps(there))
    tm.assert_frame_equal(again.to_pandas(), frame, check_column_type="equiv")


@given(st.data())
@settings(deadline=None)
def test_round_trip_of_a_series(data):
    rows = data.draw(st.integers(0, 5))
    name = data.draw(st.one_of(st.none(), LABELS))
    series = pd.Series(data.draw(arrays(rows)), index=data.draw(indexes(rows)), name=name)
    tm.assert_series_equal(Frame.from_pandas(series).to_pandas(), series)


@given(st.data())
@settings(deadline=None)
def test_slices_and_strides(data):
    frame = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40), "s": [str(i) for i in range(40)]})
    part = frame.iloc[data.draw(st.slices(40))]
    tm.assert_frame_equal(Frame.from_pandas(part).to_pandas(), part)


def address(series):
    return series.array._ndarray.__array_interface__["data"][0]


@pytest.mark.parametrize("values", [np.arange(1000.0), np.arange(1000), np.arange(1000).astype("M8[us]")])
def test_numbers_are_not_copied(values):
    frame = pd.DataFrame({"x": values}, copy=False)
    there = Frame.from_pandas(frame)
    back = there.to_pandas(writable=False)
    assert address(back["x"]) == address(frame["x"])
    assert address(there.to_pandas(writable=True)["x"]) != address(frame["x"])


def test_writing_into_the_original_leaves_the_frame_alone():
    frame = pd.DataFrame({"x": np.arange(5.0)})
    there = Frame.from_pandas(frame)
    frame.loc[0, "x"] = 99.0
    assert there.to_pandas()["x"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_writing_into_the_result_leaves_the_frame_alone():
    there = Frame.from_pandas(pd.DataFrame({"x": np.arange(5.0), "y": pd.array([1, None, 3, 4, 5])}))
    result = there.to_pandas()
    result.loc[0, "x"] = 99.0
    result.loc[0, "y"] = pd.NA
    assert there.to_pandas()["x"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert there.to_pandas()["y"].isna().tolist() == [False, True, False, False, False]


def test_arrays_live_after_the_frame():
    frame = Frame.from_pandas(
        pd.DataFrame({"x": np.arange(10_000.0), "s": [f"text {i}" for i in range(10_000)]})
    )
    result = frame.to_pandas(writable=False)
    del frame
    gc.collect()
    rubbish = [np.full(10_000, -1.0) for _ in range(20)]
    assert result["x"].sum() == 49_995_000.0
    assert result["s"].iloc[-1] == "text 9999"
    del rubbish


def test_the_original_is_released_with_the_frame():
    class Watched(np.ndarray):
        pass

    values = np.arange(10_000.0).view(Watched)
    watch = weakref.ref(values)
    frame = Frame.from_pandas(pd.DataFrame({"x": pd.Series(values, copy=False)}, copy=False))
    del values
    result = frame.to_pandas(writable=False)
    del frame
    gc.collect()
    assert result["x"].iloc[-1] == 9999.0
    del result
    gc.collect()
    assert watch() is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), "column 'a' has dtype object"),
        (pd.DataFrame({"a": pd.Categorical(["x"])}), "column 'a' has dtype category"),
        (pd.DataFrame({"a": pd.interval_range(0, 2)}), "column 'a' has dtype interval"),
        (pd.DataFrame({"a": pd.period_range("2020", periods=2, freq="D")}), "column 'a' has dtype period"),
        (pd.DataFrame({"a": pd.array(["x"], dtype="string[python]")}), "column 'a' has dtype string"),
        (pd.DataFrame({"a": np.array([1], dtype=">i8")}), "column 'a' has dtype >i8"),
        (pd.DataFrame({"a": [1j]}), "column 'a' has dtype complex128"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "occur more than once"),
        (pd.DataFrame({1.5: [1]}), "label 1.5"),
        (pd.DataFrame({True: [1]}), "label True"),
        (pd.DataFrame({"a": [1]}).rename_axis(columns="n"), "name of their own"),
        (pd.DataFrame({"a": [1]}, index=pd.RangeIndex(1, name="i")), "a range that has a name"),
        (pd.DataFrame({"a": [1]}, index=pd.date_range("2020", periods=1)), "frequency"),
        (pd.DataFrame({"a": [1]}, index=pd.Index([object()])), "the index has dtype object"),
        ([1, 2], "list is not a DataFrame"),
    ],
)
def test_what_has_no_exact_form_is_refused_with_a_reason(data, reason):
    with pytest.raises(Inexact, match=reason):
        Frame.from_pandas(data)
