"""Groupby methods that need whole groups, over several partitions, beside pandas."""

import warnings

import numpy as np
import pandas as pd
import pytest
import weft.dataframe as dd
from hypothesis import given, settings
from hypothesis import strategies as st

IN_PLACE = ["cumsum", "cummax", "shift", "diff", "ffill", "rank", "head", "tail", "pct_change"]
BY_GROUP = ["median", "quantile", "sem", "skew", "idxmax", "nunique", "describe"]


def same(lazy, expected):
    got = lazy.compute()
    check = pd.testing.assert_frame_equal if expected.ndim == 2 else pd.testing.assert_series_equal
    check(got, expected)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(7)
    n = 60
    frame = pd.DataFrame(
        {
            "k": rng.integers(0, 5, n).astype(float),
            "s": rng.choice(list("abc"), n),
            "o": pd.Series(rng.choice(list("xyz"), n), dtype=object),
            "c": pd.Categorical(rng.choice(list("zyx"), n)),
            "x": rng.normal(size=n),
            "y": rng.integers(0, 9, n),
        }
    )
    frame.loc[[3, 17], "k"] = np.nan
    frame.loc[[5, 30], "x"] = np.nan
    # Labels that repeat and are in no order.
    return frame.set_axis(pd.Index(rng.permutation(n) // 2, name="label"))


@pytest.fixture(scope="module")
def lazy(frame):
    return dd.from_pandas(frame, npartitions=4, sort=False)


@pytest.mark.parametrize("by", ["k", ["k", "s"], "o", "c"], ids=str)
@pytest.mark.parametrize("columns", ["x", ["x", "y"]], ids=str)
@pytest.mark.parametrize("name", IN_PLACE + BY_GROUP)
@pytest.mark.filterwarnings("ignore:.*meta.* is not specified")
def test_method(frame, lazy, by, columns, name):
    same(getattr(lazy.groupby(by)[columns], name)(), getattr(frame.groupby(by)[columns], name)())


def test_rows_keep_their_partitions():
    df = dd.from_pandas(pd.DataFrame({"k": [1, 2, 1, 2], "x": range(4)}), npartitions=2)
    result = df.groupby("k").x.cumsum()
    assert result.divisions == df.divisions
    df["total"] = result
    assert df.total.compute().tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize(
    "key", [lambda d: d.y % 3, lambda d: [d.s, d.y > 4]], ids=["computed", "two of them"]
)
def test_keys_that_are_no_columns(frame, lazy, key):
    same(lazy.groupby(key(lazy)).x.median(), frame.groupby(key(frame)).x.median())
    same(lazy.groupby(key(lazy)).x.cumsum(), frame.groupby(key(frame)).x.cumsum())


def test_groups_of_a_series(frame, lazy):
    same(lazy.x.groupby(lazy.s).median(), frame.x.groupby(frame.s).median())
    same(lazy.x.groupby(lazy.s).cumsum(), frame.x.groupby(frame.s).cumsum())


def test_functions_of_users(frame, lazy):
    def centred(values):
        return values - values.mean()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(lazy.groupby("s").x.transform(centred), frame.groupby("s").x.transform(centred))
        spread = lazy.groupby("s").x.apply(lambda v: v.max() - v.min())
    assert spread.npartitions == lazy.npartitions
    same(spread, frame.groupby("s").x.apply(lambda v: v.max() - v.min()))


def test_missing_keys_as_a_group(frame, lazy):
    same(lazy.groupby("k", dropna=False).x.median(), frame.groupby("k", dropna=False).x.median())
    same(lazy.groupby("k", dropna=False).x.cumsum(), frame.groupby("k", dropna=False).x.cumsum())


@pytest.mark.filterwarnings("ignore:.*meta.* is not specified")
@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(-9, 9))), min_size=1, max_size=25
    ),
    npartitions=st.integers(1, 5),
    name=st.sampled_from(IN_PLACE + ["median", "nunique"]),
)
def test_generated_groups(rows, npartitions, name):
    frame = pd.DataFrame({"k": [k for k, _ in rows], "x": np.array([x for _, x in rows], dtype=float)})
    lazy = dd.from_pandas(frame, npartitions=npartitions)
    same(getattr(lazy.groupby("k").x, name)(), getattr(frame.groupby("k").x, name)())


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.integers(-99, 99)), min_size=1, max_size=40),
    npartitions=st.integers(1, 5),
    q=st.one_of(st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=3)),
)
def test_quantiles_are_exact(values, npartitions, q):
    frame = pd.DataFrame({"x": np.array(values, dtype=float), "i": range(len(values))})
    lazy = dd.from_pandas(frame, npartitions=npartitions)
    same(lazy.quantile(q), frame.quantile(q))
    same(lazy.median(), frame.median())
    if frame.x.count() > 1:
        same(lazy[["x", "i"]].cov(), frame[["x", "i"]].cov())


def test_missing_among_categories_of_numbers():
    frame = pd.DataFrame({"c": pd.Categorical([1, None, 2, 1], categories=[1, 2, 3]), "x": [1.0, 2, 3, 4]})
    same(
        dd.from_pandas(frame, npartitions=2).groupby("c", observed=True).x.var(),
        frame.groupby("c", observed=True).x.var(),
    )
