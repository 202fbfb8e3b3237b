"""Shuffles, sorts and indexes: the same rows as in pandas, in the order and the partitions promised."""

import numpy as np
import pandas as pd
import pandas.testing as tm
import pytest
import weft.dataframe as dd
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.dataframe.utils import assert_divisions

VALUES = {
    "int64": st.one_of(st.integers(-3, 3), st.sampled_from([2**63 - 1, -(2**63)])),
    "uint64": st.one_of(st.integers(0, 3), st.just(2**64 - 1)),
    "int8": st.integers(-128, 127),
    "bool": st.booleans(),
    "float64": st.sampled_from([np.nan, -0.0, 0.0, 1.5, -1.5, np.inf, -np.inf]),
    "float32": st.sampled_from([np.nan, 0.0, 1.5, -1.5]),
    "str": st.sampled_from(["a", "b", "é", "", "ab", None]),
    "datetime64[us]": st.sampled_from([pd.NaT, pd.Timestamp("1969-01-01"), pd.Timestamp("2021-02-03 04:05")]),
    "timedelta64[ns]": st.sampled_from([pd.NaT, pd.Timedelta("1D"), pd.Timedelta("-3s")]),
    "category": st.sampled_from(["x", "y", None]),
    "Int64": st.sampled_from([1, 2, None]),
}


@st.composite
def tables(draw, keys=1, dtypes=tuple(VALUES), missing=True):
    rows = draw(st.integers(0, 12))
    data = {}
    for i in range(keys):
        dtype = draw(st.sampled_from(dtypes))
        values = VALUES[dtype] if missing else VALUES[dtype].filter(lambda value: not pd.isna(value))
        values = draw(st.lists(values, min_size=rows, max_size=rows))
        if dtype == "category":
            data[f"k{i}"] = pd.Categorical(values, categories=["x", "y"], ordered=True)
        else:
            data[f"k{i}"] = pd.Series(values, dtype=dtype).array
    data["row"] = np.arange(rows, dtype="int64")
    frame = pd.DataFrame(data)
    if draw(st.booleans()):
        frame.index = pd.Index(draw(st.permutations(range(rows))), dtype="int64", name="i")
    return frame


def lazy(frame, npartitions):
    return dd.from_pandas(frame, npartitions=npartitions, sort=False)


@settings(max_examples=80, deadline=None)
@given(frame=tables(keys=2), n=st.integers(1, 4), m=st.integers(1, 4))
def test_shuffle_keeps_rows_and_brings_equal_keys_together(frame, n, m):
    shuffled = lazy(frame, n).shuffle(["k0", "k1"], npartitions=m)
    assert shuffled.npartitions == m
    parts = [shuffled.partitions[i].compute() for i in range(m)]
    for part in parts:  # Rows that stay together stay in order.
        assert part.groupby(["k0", "k1"], dropna=False, observed=True).row.is_monotonic_increasing.all()
    whole = pd.concat(parts)
    tm.assert_frame_equal(whole.sort_values("row"), frame, check_index_type=False, check_categorical=False)
    seen = [{tuple(map(str, key)) for key in zip(part.k0, part.k1)} for part in parts]
    assert sum(map(len, seen)) == len(set().union(*seen))


def test_shuffle_by_index_and_series():
    frame = pd.DataFrame({"x": range(20)}, index=pd.Index([1, 2, 3, 4] * 5, name="i"))
    df = lazy(frame, 3)
    for shuffled in (
        df.shuffle(on_index=True),
        df.shuffle("i"),
        df.shuffle(df.index),
        df.shuffle(df.x % 4, npartitions=2),
    ):
        tm.assert_frame_equal(shuffled.compute().sort_values("x"), frame)
    parts = [set(df.shuffle("i").partitions[i].compute().index) for i in range(3)]
    assert sum(map(len, parts)) == 4
    assert (
        df.shuffle("x", ignore_index=True)
        .partitions[0]
        .compute()
        .index.equals(pd.RangeIndex(len(df.shuffle("x").partitions[0])))
    )


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_sort_values(data):
    keys = data.draw(st.integers(1, 2))
    frame = data.draw(tables(keys=keys))
    if keys > 1:  # pandas takes infinities for missing values where there are several keys.
        frame = frame.replace([np.inf, -np.inf], 7.5)
    by = [f"k{i}" for i in range(keys)]
    ascending = [data.draw(st.booleans()) for _ in by]
    position = data.draw(st.sampled_from(["first", "last"]))
    n, m = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([None, 1, 3]))
    result = lazy(frame, n).sort_values(by, ascending=ascending, na_position=position, npartitions=m)
    expected = frame.sort_values(by, ascending=ascending, na_position=position, kind="stable")
    tm.assert_frame_equal(result.compute(), expected, check_index_type=False)


@pytest.mark.parametrize("rows, n", [(10_000, 7), (20_000, 3)])
def test_sorted_partitions_have_about_the_same_size(rows, n):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.exponential(size=rows)})
    df = lazy(frame, n).sort_values("x")
    sizes = [len(df.partitions[i]) for i in range(n)]
    assert max(sizes) < 1.5 * rows / n


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_set_index(data):
    frame = data.draw(tables(missing=False))
    n, m = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([None, 1, 3]))
    drop = data.draw(st.booleans())
    result = lazy(frame, n).set_index("k0", npartitions=m, drop=drop)
    # pandas makes a range of some columns of integers.
    expected = frame.sort_values("k0", kind="stable").set_index("k0", drop=drop)
    got = result.compute()
    assert got.index.dtype == frame.k0.dtype
    tm.assert_frame_equal(got, expected, check_index_type=False)
    assert_divisions(result, scheduler="sync")
    if len(frame) > n > 1 and m != 1:
        assert result.known_divisions


@settings(max_examples=40, deadline=None)
@given(frame=tables(dtypes=("int8", "float32"), missing=False), n=st.integers(1, 3))
def test_set_index_with_divisions(frame, n):
    divisions = [-200, -1, 1, 200] if frame.k0.dtype == "int8" else [-np.inf, 0.0, np.inf]
    result = lazy(frame, n).set_index("k0", divisions=divisions)
    assert result.divisions == tuple(divisions)
    expected = frame.sort_values("k0", kind="stable").set_index("k0")
    got = result.compute()
    assert got.index.dtype == frame.k0.dtype
    tm.assert_frame_equal(got, expected, check_index_type=False)
    assert_divisions(result, scheduler="sync")


def test_set_index_of_a_series_and_of_sorted_data():
    frame = pd.DataFrame({"x": range(12), "k": [0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 4, 5]})
    df = lazy(frame, 3)
    named = df.set_index((df.x * -1).rename("minus"))
    tm.assert_frame_equal(named.compute(), frame.set_index((-frame.x).rename("minus")).sort_index())
    sorted_ = df.set_index("k", sorted=True)
    tm.assert_frame_equal(sorted_.compute(), frame.set_index("k"))
    assert_divisions(sorted_, scheduler="sync")
    given_ = df.set_index("x", sorted=True, divisions=[0, 4, 8, 11])
    assert given_.divisions == (0, 4, 8, 11)
    tm.assert_frame_equal(given_.compute(), frame.set_index("x"))
    unsorted = df.set_index("x", sort=False)
    assert not unsorted.known_divisions
    tm.assert_frame_equal(unsorted.compute(), frame.set_index("x"))


def test_bad_input():
    df = lazy(pd.DataFrame({"x": [3, 1, 2, 0], "y": list("abcd")}), 2)
    with pytest.raises(KeyError, match="nope"):
        df.set_index("nope")
    with pytest.raises(KeyError, match="nope"):
        df.sort_values("nope")
    with pytest.raises(KeyError, match="nope"):
        df.shuffle("nope")
    with pytest.raises(TypeError, match="Must shuffle on either columns or the index"):
        df.shuffle()
    with pytest.raises(ValueError, match="must be sorted: 1 at position 1 comes after 2"):
        df.set_index("x", divisions=[2, 1, 3])
    with pytest.raises(ValueError, match="unique"):
        df.set_index("x", divisions=[0, 1, 1, 3])
    with pytest.raises(ValueError, match="Partition 0 is not sorted by 'x'"):
        df.set_index("x", sorted=True)
    with pytest.raises(ValueError, match="same length as the existing"):
        df.set_index("x", sorted=True, divisions=[0, 3])
    with pytest.raises(ValueError, match="outside its divisions"):
        df.set_index("x", sorted=True, divisions=[0, 2, 3]).compute()
    with pytest.raises(ValueError, match="npartitions"):
        df.set_index("x", sorted=True, npartitions=2)
    with pytest.raises(ValueError, match="na_position"):
        df.sort_values("x", na_position="middle")
    with pytest.raises(ValueError, match="Length of ascending"):
        df.sort_values("x", ascending=[True, False])
    with pytest.raises(NotImplementedError, match="multi-index"):
        df.set_index(["x", "y"])
