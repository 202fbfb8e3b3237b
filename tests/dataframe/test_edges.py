"""Where frames meet pandas: indexes without an exact form, lengths, warnings, sharing."""

import warnings

import numpy as np
import pandas as pd
import pandas.testing as tm
import pytest
import weft
import weft.dataframe as dd


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2020-01-01", periods=4, freq="D"),
        pd.timedelta_range("1h", periods=4, freq="h"),
        pd.RangeIndex(4, name="n"),
        pd.Index([0.5, 1.5, 2.5, 3.5]),
        pd.period_range("2020-01", periods=4, freq="M"),
        pd.CategoricalIndex(list("aabb")),
        pd.Index([1, "a", (2,), None], dtype=object),
    ],
    ids=lambda index: type(index).__name__ + "-" + str(index.dtype),
)
@pytest.mark.parametrize("told", [True, False])
def test_columns_of_partitions_made_in_python_whatever_their_index(index, told):
    whole = pd.DataFrame({"x": [1, 2, 3, 4], "y": [1.0, 2.0, 3.0, np.nan]}, index=index)
    parts = [whole.iloc[:2], whole.iloc[2:]]
    options = {"meta": whole.iloc[:0]} if told else {}
    df = dd.from_map(lambda i: parts[i], [0, 1], **options)
    tm.assert_series_equal((df.x + 1).compute(), whole.x + 1, check_freq=False, check_index_type=False)
    tm.assert_frame_equal(df[df.x > 1].compute(), whole[whole.x > 1], check_freq=False)


def test_missing_time_keys_keep_their_place():
    frame = pd.DataFrame({"t": pd.to_datetime(["2020-01-01", None, "2019-01-01"]), "x": [1, 2, 3]})
    df = dd.from_pandas(frame, npartitions=1)
    for keys in (["t"], ["t", "x"]):
        expected = frame.groupby(keys, dropna=False, sort=False).size()
        tm.assert_series_equal(df.groupby(keys, dropna=False, sort=False).size().compute(), expected)


def test_length_comes_from_what_the_source_knows():
    frame = pd.DataFrame({"x": range(10)})
    df = dd.from_pandas(frame, npartitions=3)
    for collection, rows in [
        (df, 10),
        (df.x + 1, 10),
        (df.assign(y=df.x), 10),
        (df.partitions[1:], 6),
    ]:
        assert collection.expr.known_rows() == rows == len(collection)
    assert df[df.x > 3].expr.known_rows() is None
    assert len(df[df.x > 3]) == 6


def test_weekday_warns_as_pandas_does():
    times = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02"]))
    with warnings.catch_warnings(record=True) as expected:
        warnings.simplefilter("always")
        days = times.dt.weekday
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        lazy = dd.from_pandas(times, npartitions=1).dt.weekday
    assert [(w.category, str(w.message)) for w in seen] == [(w.category, str(w.message)) for w in expected]
    tm.assert_series_equal(lazy.compute(), days)


def test_several_collections_share_one_reading():
    calls = []

    def part(i):
        calls.append(i)
        return pd.DataFrame({"x": [i, i + 1], "y": [1.0, 2.0]})

    df = dd.from_map(part, [0, 10], meta={"x": "int64", "y": "float64"})
    total, frame, column = weft.compute(df.x.sum(), df[df.y > 1], df.x * 2, scheduler="sync")
    assert (total, frame.x.tolist(), column.tolist()) == (22, [1, 11], [0, 2, 20, 22])
    assert sorted(calls) == [0, 10]


def test_a_reduction_of_columns_is_a_row_for_each():
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0], "y": [1, 2, 3]})
    df = dd.from_pandas(frame, npartitions=2)
    for got, expected in [
        (df - df.mean(), frame - frame.mean()),
        (df.max() / df, frame.max() / frame),
    ]:
        assert list(got.columns) == ["x", "y"]
        tm.assert_frame_equal(got.compute(), expected)


def test_label_that_is_not_valid_unicode():
    labels = pd.Index(["\ud83d"], dtype=object)
    frame = pd.DataFrame([[1.0], [2.0], [4.0]], columns=labels)
    df = dd.from_pandas(frame, npartitions=2)
    pd.testing.assert_frame_equal(df.compute(), frame)
    assert (df + 1).sum().compute().tolist() == [10.0]


def test_pandas_operands_are_matched_by_label():
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0, 4.0], "y": [1, 2, 3, 4]})
    other = pd.DataFrame({"x": [10.0, 20.0, 30.0, 40.0]})
    df = dd.from_pandas(frame, npartitions=2)
    for operation in [
        lambda d: d.x + other.x,
        lambda d: other.x - d.x,
        lambda d: d.combine_first(other),
        lambda d: d.assign(z=other.x),
        lambda d: d.x.fillna(other.x),
        lambda d: d.x.clip(other.x - 8, other.x),
    ]:
        got, expected = operation(df).compute(), operation(frame)
        compare = tm.assert_frame_equal if expected.ndim == 2 else tm.assert_series_equal
        compare(got, expected)
    with pytest.raises(ValueError, match="divisions"):
        (df.clear_divisions().x + dd.from_pandas(other.x, npartitions=1)).compute()


def test_categories_are_unknown_until_the_data_is_read():
    df = dd.from_pandas(pd.DataFrame({"s": list("abca")}), npartitions=2)
    assert not df.s.astype("category").cat.known
    assert not df.astype({"s": "category"}).s.cat.known
    assert df.s.astype("category").compute().tolist() == list("abca")


def test_the_name_that_meta_gives_is_the_name_of_what_groups_return():
    frame = pd.DataFrame({"k": [1, 1, 2], "x": [1, 2, 3]})
    got = dd.from_pandas(frame, npartitions=2).groupby("k").apply(len, meta=("rows", "int64")).compute()
    assert got.name == "rows"
    assert got.to_dict() == {1: 2, 2: 1}


def test_delayed_values_of_isin_are_computed():
    from weft.delayed import delayed

    df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3]}), npartitions=2)
    assert df.x.isin([delayed(1), delayed(3)]).compute().tolist() == [True, False, True]
    with pytest.raises(TypeError, match="list-like"):
        df.x.isin("x")
