"""Which operations hold all rows in one task, and that those which no longer do give what pandas gives."""

import numpy as np
import pandas as pd
import pytest
import weft.dataframe as dd
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

pytestmark = pytest.mark.filterwarnings("ignore:`meta` is not specified")

FRAME = pd.DataFrame(
    {
        "k": ["a", "b", "a", "c", "b", "a"],
        "j": [1, 1, 2, 2, 1, 2],
        "x": [1.0, np.nan, 3.0, 4.0, 4.0, 0.5],
        "c": pd.Categorical(list("pqpqpp"), categories=["q", "p", "r"]),
    }
)
#: Operations, and whether they gather. docs/differences.md lists those that do.
OPERATIONS = {
    "sum": (lambda d: d.x.sum(), False),
    "describe": (lambda d: d.describe(), False),
    "describe of text": (lambda d: d.k.describe(), False),
    "describe(include='all')": (lambda d: d.describe(include="all"), True),
    "mode": (lambda d: d.mode(), False),
    "median": (lambda d: d.x.median(), False),
    "quantile": (lambda d: d[["x", "j"]].quantile([0.1, 0.9]), False),
    "cov": (lambda d: d[["x", "j"]].cov(), False),
    "corr": (lambda d: d[["x", "j"]].corr(), False),
    "nunique": (lambda d: d.k.nunique(), False),
    "unique": (lambda d: d.k.unique(), False),
    "value_counts": (lambda d: d.k.value_counts(), False),
    "value_counts of categories": (lambda d: d.c.value_counts(), False),
    "drop_duplicates": (lambda d: d.drop_duplicates(), False),
    "drop_duplicates(split_out=2)": (lambda d: d.drop_duplicates(split_out=2), False),
    "nlargest": (lambda d: d.nlargest(2, "x"), False),
    "idxmax": (lambda d: d.x.idxmax(), False),
    "cumsum": (lambda d: d.x.cumsum(), False),
    "ffill": (lambda d: d.ffill(), False),
    "shift": (lambda d: d.x.shift(1), False),
    "sort_values": (lambda d: d.sort_values("x"), False),
    "merge": (lambda d: d.merge(d, on="k"), False),
    "pivot_table": (lambda d: dd.pivot_table(d, index="j", columns="c", values="x"), False),
    "groupby.sum": (lambda d: d.groupby("k").x.sum(), False),
    "groupby.median": (lambda d: d.groupby("k").x.median(), False),
    "groupby.nunique": (lambda d: d.groupby("k").x.nunique(), False),
    "groupby.apply": (lambda d: d.groupby("k")[["x"]].apply(len, meta=("x", int)), False),
    "groupby.transform": (lambda d: d.groupby("k").x.transform("mean", meta=("x", float)), False),
    "groupby.shift": (lambda d: d.groupby("k").x.shift(1, meta=("x", float)), False),
    "groupby.cumsum": (lambda d: d.groupby("k").x.cumsum(), False),
    "groupby.ffill": (lambda d: d.groupby("k").x.ffill(), False),
    "groupby.rank": (lambda d: d.groupby("k").x.rank(), False),
    "groupby.describe": (lambda d: d.groupby("k").x.describe(), False),
    "groupby.value_counts": (lambda d: d.groupby("k").x.value_counts(), False),
    "groupby.ngroup": (lambda d: d.groupby(["k", "j"]).ngroup(), False),
    "groupby(sort=False).ngroup": (lambda d: d.groupby("k", sort=False).ngroup(), True),
    "groupby(function)": (lambda d: d.groupby(lambda i: i % 2).x.sum(), False),
    "groupby(function).median": (lambda d: d.groupby(lambda i: i % 2).x.median(), False),
    "groupby(as_index=False).sum": (lambda d: d.groupby("k", as_index=False).x.sum(), False),
    "groupby(as_index=False).median": (lambda d: d.groupby("k", as_index=False).x.median(), False),
    "groupby(as_index=False).cumsum": (lambda d: d.groupby("k", as_index=False).x.cumsum(), False),
    "groupby(as_index=False).describe": (lambda d: d.groupby("k", as_index=False).x.describe(), True),
    "groupby(observed=False).cumsum": (lambda d: d.groupby("c", observed=False).x.cumsum(), False),
    "groupby(observed=False).sum": (lambda d: d.groupby("c", observed=False).x.sum(), False),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_gathers_says_so(name):
    operation, gathers = OPERATIONS[name]
    text = operation(dd.from_pandas(FRAME, npartitions=3)).explain()
    assert ("gathers" in text) == gathers, text


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", None]),
        st.integers(-2, 2),
        st.one_of(st.just(float("nan")), st.integers(-4, 4).map(float)),
        st.sampled_from(["p", "q", None]),
    ),
    max_size=25,
)


def frames(rows, cuts):
    """A frame, and the same in partitions, some of them empty."""
    df = pd.DataFrame(rows, columns=["k", "j", "x", "c"])
    df = df.astype({"k": "str", "j": "int64", "x": "float64"})
    df["c"] = pd.Categorical(df.c, categories=["q", "p", "r"])
    ends = [0, *sorted(cut % (len(df) + 1) for cut in cuts), len(df)]
    parts = [df.iloc[a:b] for a, b in zip(ends, ends[1:])]
    lazy = dd.from_map(parts.__getitem__, range(len(parts)), meta=df.iloc[:0])
    return df, lazy


CASES = {
    "describe": lambda d: d[["j", "x"]].describe(),
    "describe-text": lambda d: d[["k"]].describe(),
    "mode-x": lambda d: d.x.mode(),
    "mode-k": lambda d: d.k.mode(dropna=False),
    "mode": lambda d: d[["k", "j", "x"]].mode(),
    "flat-sum": lambda d: d[["k", "j", "x"]].groupby("k", as_index=False).sum(),
    "flat-median": lambda d: d.groupby(["k", "j"], as_index=False, dropna=False).x.median(),
    "flat-size": lambda d: d.groupby("k", as_index=False).size(),
    "function": lambda d: d.groupby(lambda i: i % 3).x.sum(),
    "function-median": lambda d: d.groupby(lambda i: i % 3).x.median(),
    "ngroup": lambda d: d.groupby(["k", "j"]).ngroup(),
    "ngroup-down": lambda d: d.groupby("k", dropna=False).ngroup(ascending=False),
    "observed-median": lambda d: d.groupby("c", observed=False).x.median(),
    "observed-nunique": lambda d: d.groupby("c", observed=False).j.nunique(),
    "observed-cumsum": lambda d: d.groupby("c", observed=False).x.cumsum(),
    "unique": lambda d: d.k.drop_duplicates(),
    "duplicates": lambda d: d[["k", "j"]].drop_duplicates(keep="last"),
}


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=12, deadline=None)
@given(rows=ROWS.filter(bool), cuts=st.lists(st.integers(0, 30), min_size=1, max_size=10))
def test_as_pandas_has_it(case, rows, cuts):
    df, lazy = frames(rows, cuts)
    expected, found = CASES[case](df), CASES[case](lazy).compute()
    if isinstance(expected, pd.Series):
        assert_series_equal(found, expected, check_index_type=False)
    else:
        assert_frame_equal(found, expected, check_index_type=False, check_column_type=False)


@settings(max_examples=12, deadline=None)
@given(
    rows=ROWS,
    cuts=st.lists(st.integers(0, 30), min_size=1, max_size=10),
    aggfunc=st.sampled_from(["mean", "sum", "count", "first", "last"]),
)
def test_pivot_table_as_pandas_has_it(rows, cuts, aggfunc):
    df, lazy = frames(rows, cuts)
    expected = df.pivot_table(index="j", columns="c", values="x", aggfunc=aggfunc, observed=False)
    found = dd.pivot_table(lazy, index="j", columns="c", values="x", aggfunc=aggfunc).compute()
    # Every category has a column; pandas leaves out those without values.
    assert list(found.columns) == ["q", "p", "r"]
    assert_frame_equal(
        found[[c for c in found.columns if c in expected.columns]],
        expected,
        check_column_type=False,
        check_categorical=False,
        check_index_type=False,
        check_dtype=False,
    )


@settings(max_examples=12, deadline=None)
@given(rows=ROWS, cuts=st.lists(st.integers(0, 30), min_size=1, max_size=10), parts=st.integers(2, 9))
def test_a_result_in_several_partitions_is_in_order(rows, cuts, parts):
    df, lazy = frames(rows, cuts)
    for key in ("k", "j"):
        found = lazy.groupby(key).agg({"x": ["sum", "nunique"]}, split_out=parts)
        assert found.npartitions == parts
        expected = df.groupby(key).agg({"x": ["sum", "nunique"]})
        assert_frame_equal(found.compute(), expected, check_index_type=False)
    expected = df.drop_duplicates(["k"]).sort_index()
    found = lazy.drop_duplicates(["k"], split_out=parts).compute()
    assert_frame_equal(found.sort_index(), expected, check_index_type=False)
