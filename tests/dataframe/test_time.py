"""Spans of time, and joins with the nearest time."""

import numpy as np
import pandas as pd
import pytest
import weft.dataframe as dd


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    index = pd.date_range("2000-01-01", periods=400, freq="37min")
    frame = pd.DataFrame({"x": rng.normal(size=400), "n": rng.integers(0, 9, 400)}, index=index)
    return frame.drop(frame.index[100:180])  # Spans without rows.


@pytest.fixture(scope="module")
def lazy(frame):
    return dd.from_pandas(frame, npartitions=5)


@pytest.mark.parametrize("rule", ["1h", "7h", "1D", "2D", "ME"])
@pytest.mark.parametrize("options", [{}, {"closed": "right"}, {"label": "right"}], ids=str)
@pytest.mark.parametrize("name", ["sum", "count", "mean", "first", "nunique", "prod", "size", "ohlc"])
def test_resample(frame, lazy, rule, options, name):
    got = getattr(lazy.resample(rule, **options).x, name)()
    expected = getattr(frame.resample(rule, **options).x, name)()
    check = pd.testing.assert_frame_equal if expected.ndim == 2 else pd.testing.assert_series_equal
    check(got.compute(), expected, check_freq=False)


def test_resample_with_several_aggregations(frame, lazy):
    spec = {"x": "mean", "n": ["sum", "max"]}
    expected = frame.resample("5h").agg(spec)
    pd.testing.assert_frame_equal(lazy.resample("5h").agg(spec).compute(), expected, check_freq=False)


def test_resample_needs_divisions(lazy):
    with pytest.raises(ValueError, match="known divisions"):
        lazy.clear_divisions().resample("1h")


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("by", [None, "g"])
def test_merge_asof(direction, by):
    rng = np.random.default_rng(5)
    left = pd.DataFrame(
        {"t": np.sort(rng.integers(0, 300, 60)), "g": rng.choice(list("ab"), 60), "l": range(60)}
    )
    right = pd.DataFrame(
        {"t": np.sort(rng.integers(0, 300, 40)), "g": rng.choice(list("ab"), 40), "r": range(40)}
    )
    if by is None:
        right = right.drop(columns="g")
    options = {"on": "t", "by": by, "direction": direction, "allow_exact_matches": True}
    expected = pd.merge_asof(left, right, **options)
    for i, j in [(1, 3), (4, 1), (4, 3)]:
        got = dd.merge_asof(
            dd.from_pandas(left, npartitions=i), dd.from_pandas(right, npartitions=j), **options
        )
        pd.testing.assert_frame_equal(got.compute().reset_index(drop=True), expected)


def test_merge_asof_by_index(frame, lazy):
    right = frame[["x"]].iloc[::7].rename(columns={"x": "r"}).shift(freq="1min")
    expected = pd.merge_asof(frame, right, left_index=True, right_index=True)
    got = dd.merge_asof(lazy, dd.from_pandas(right, npartitions=3), left_index=True, right_index=True)
    assert got.divisions == lazy.divisions
    pd.testing.assert_frame_equal(got.compute(), expected, check_freq=False)
