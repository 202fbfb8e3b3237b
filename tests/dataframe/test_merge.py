"""Joins give what pandas gives, however the sides are cut, in Rust or by pandas on partitions."""

import numpy as np
import pandas as pd
import pandas.testing as tm
import pytest
import weft.dataframe as dd
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore:Merging dataframes with merge column data type")

#: Keys by dtype: few different ones, so that they repeat, with missing ones where there are any.
KEYS = {
    "int64": st.integers(-2, 3),
    "uint8": st.integers(0, 3),
    "bool": st.booleans(),
    "float64": st.sampled_from([np.nan, 0.0, 1.0, 2.5]),
    "float32": st.sampled_from([np.nan, 0.0, 1.0, 2.5]),
    "str": st.sampled_from(["a", "b", "é", "", None]),
    "datetime64[us]": st.sampled_from([pd.NaT, pd.Timestamp("2020-01-01"), pd.Timestamp("2021-02-03 04:05")]),
    "datetime64[ns, UTC]": st.sampled_from([pd.NaT, pd.Timestamp("2020-01-01", tz="UTC")]),
    "timedelta64[ns]": st.sampled_from([pd.NaT, pd.Timedelta("1D"), pd.Timedelta("-3s")]),
    "category": st.sampled_from(["x", "y", None]),
    "object": st.sampled_from([1, "a", None]),
    "Int64": st.sampled_from([1, 2, None]),
}
NATIVE = [name for name in KEYS if name not in ("category", "object", "Int64")]


def column(draw, dtype, rows):
    values = draw(st.lists(KEYS[dtype], min_size=rows, max_size=rows))
    if dtype == "category":
        return pd.Categorical(values, categories=["x", "y"])
    return pd.Series(values, dtype=dtype).array


@st.composite
def sides(draw, dtypes, keys=1):
    """Two tables whose keys have the same dtypes, and other columns of every kind."""
    chosen = [draw(st.sampled_from(dtypes)) for _ in range(keys)]
    tables = []
    for name in "xy":
        rows = draw(st.integers(0, 8))
        table = {f"k{i}": column(draw, dtype, rows) for i, dtype in enumerate(chosen)}
        table[name] = np.arange(rows, dtype="int64")
        table["both"] = column(draw, "float64", rows)
        table[f"s{name}"] = column(draw, "str", rows)
        table[f"t{name}"] = column(draw, "datetime64[us]", rows)
        tables.append(pd.DataFrame(table))
    return tables[0], tables[1], list(table)[:keys]


def lazy(frame, npartitions):
    return dd.from_pandas(frame, npartitions=npartitions, sort=False)


def ordered(frame):
    """Rows in an order that does not depend on how they were cut, text and missing values included."""
    order = frame.assign(**{c: frame[c].astype(str) for c in frame.columns}).sort_values(list(frame.columns))
    return frame.loc[order.index] if frame.index.is_unique else frame.iloc[np.argsort(order.index)]


def assert_same_rows(got, expected):
    got, expected = got.reset_index(drop=True), expected.reset_index(drop=True)
    # Which missing value an object column gets depends on where it meets others.
    for frame in (got, expected):
        for label in [
            c for c in frame.columns if isinstance(frame[c].dtype, np.dtype) and frame[c].dtype.kind == "O"
        ]:
            frame[label] = frame[label].fillna("missing")
    tm.assert_index_equal(got.columns, expected.columns)
    tm.assert_frame_equal(
        ordered(got).reset_index(drop=True), ordered(expected).reset_index(drop=True), check_dtype=False
    )


HOWS = ["inner", "left", "right", "outer"]


@pytest.mark.parametrize("how", HOWS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_partition_is_pandas_to_the_last_bit(how, data):
    """Order, dtypes and index included: the kernel is pandas' merge."""
    a, b, keys = data.draw(sides(NATIVE, keys=data.draw(st.integers(1, 2))))
    result = lazy(a, 1).merge(lazy(b, 1), how=how, on=keys)
    assert result.expr.lane == "native"
    tm.assert_frame_equal(result.compute(), a.merge(b, how=how, on=keys))


@pytest.mark.parametrize("how", HOWS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_different_names_and_one_partition(how, data):
    a, b, keys = data.draw(sides(["int64", "str", "float64"]))
    b = b.rename(columns={"k0": "q"})
    result = lazy(a, 1).merge(lazy(b, 1), how=how, left_on="k0", right_on="q", suffixes=("_l", None))
    assert result.expr.lane == "native"
    tm.assert_frame_equal(
        result.compute(), a.merge(b, how=how, left_on="k0", right_on="q", suffixes=("_l", None))
    )


@pytest.mark.parametrize("how", HOWS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_shuffled(how, data):
    a, b, keys = data.draw(sides(list(KEYS), keys=data.draw(st.integers(1, 2))))
    n, m = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    result = lazy(a, n).merge(lazy(b, m), how=how, on=keys)
    assert_same_rows(result.compute(), a.merge(b, how=how, on=keys))


@pytest.mark.parametrize("how", HOWS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_by_index(how, data):
    a, b, keys = data.draw(sides(["int64", "str"]))
    a, b = a.dropna(subset="k0").set_index("k0"), b.dropna(subset="k0").set_index("k0")
    n, m, known = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)), data.draw(st.booleans())
    left, right = (dd.from_pandas(f, npartitions=k, sort=known) for f, k in ((a, n), (b, m)))
    result = left.merge(right, how=how, left_index=True, right_index=True)
    expected = a.merge(b, how=how, left_index=True, right_index=True)
    got = result.compute()
    assert got.index.name == expected.index.name
    assert_same_rows(got.reset_index(), expected.reset_index())


@pytest.mark.parametrize("how", ["inner", "left", "right", "outer"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_index_with_column(how, data):
    a, b, keys = data.draw(sides(["int64"]))
    b = b.set_index("k0")
    n, m = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    result = lazy(a, n).merge(lazy(b, m), how=how, left_on="k0", right_index=True)
    assert_same_rows(result.compute(), a.merge(b, how=how, left_on="k0", right_index=True))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_semi_and_anti(data):
    a, b, keys = data.draw(sides(["int64", "str", "float64", "category"]))
    n, m = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    marks = a.merge(b[keys].drop_duplicates(), how="left", on=keys, indicator=True)._merge.to_numpy()
    for how, wanted in [("leftsemi", "both"), ("leftanti", "left_only")]:
        assert_same_rows(lazy(a, n).merge(lazy(b, m), how=how, on=keys).compute(), a[marks == wanted])


@pytest.mark.filterwarnings("ignore:You are merging on int and float columns")
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_equal_numbers_of_other_dtypes_meet(data):
    a = pd.DataFrame({"k": data.draw(st.lists(st.integers(0, 4), max_size=8))}, dtype="int32").assign(x=1)
    b = pd.DataFrame({"k": data.draw(st.lists(KEYS["float64"], max_size=8))}, dtype="float64").assign(y=2)
    result = lazy(a, 2).merge(lazy(b, 3), on="k", how="inner")
    assert_same_rows(result.compute(), a.merge(b, on="k", how="inner"))


def test_indicator_and_suffixes():
    a = pd.DataFrame({"k": [1, 2, 3], "v": [1, 2, 3]})
    b = pd.DataFrame({"k": [2, 3, 4], "v": [5, 6, 7]})
    result = (
        lazy(a, 2).merge(lazy(b, 2), on="k", how="outer", indicator=True, suffixes=("_a", "_b")).compute()
    )
    expected = a.merge(b, on="k", how="outer", indicator=True, suffixes=("_a", "_b"))
    tm.assert_frame_equal(result.sort_values("k").reset_index(drop=True), expected)


def test_known_divisions_are_aligned_and_kept():
    a = dd.from_pandas(pd.DataFrame({"x": range(12)}), npartitions=3)
    b = dd.from_pandas(pd.DataFrame({"y": range(12)}, index=range(6, 18)), npartitions=4)
    joined = a.join(b)
    assert joined.divisions == tuple(sorted({*a.divisions, *b.divisions}))
    assert "shuffle by hash" not in joined.explain()


def test_a_single_partition_is_broadcast():
    a = lazy(pd.DataFrame({"k": range(12), "x": 1}), 4)
    b = lazy(pd.DataFrame({"k": range(12), "y": 1}), 1)
    assert "shuffle" not in a.merge(b, on="k", how="left").explain()
    assert "shuffle" in a.merge(b, on="k", how="outer").explain()
    assert len(a.merge(b, on="k", how="outer")) == 12


def test_pandas_on_either_side():
    a, b = pd.DataFrame({"k": [1, 2], "x": [3, 4]}), pd.DataFrame({"k": [2, 2], "y": [5, 6]})
    for result in (dd.merge(lazy(a, 2), b, on="k"), dd.merge(a, lazy(b, 2), on="k")):
        assert_same_rows(result.compute(), a.merge(b, on="k"))


def test_bad_input():
    a = lazy(pd.DataFrame({"k": [1, 2], "x": [3, 4]}), 2)
    b = lazy(pd.DataFrame({"k": ["1", "2"], "y": [5, 6]}), 2)
    with pytest.raises(ValueError, match="int64 and str columns for key 'k'"):
        a.merge(b, on="k")
    with pytest.raises(KeyError, match="nope"):
        a.merge(b, on="nope")
    with pytest.raises(KeyError, match="nope"):
        a.merge(b, left_on="k", right_on="nope")
    with pytest.raises(ValueError, match="how='sideways'"):
        a.merge(b, how="sideways")
    with pytest.raises(ValueError, match="overlap"):
        a.join(a)
