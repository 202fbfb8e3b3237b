"""Every operation gives what pandas gives, on generated data, whole or in pieces, native or not."""

import warnings

import dask
import dask.dataframe as real_dd
import numpy as np
import pandas as pd
import pandas.testing as tm
import pytest
import weft
import weft.dataframe as dd
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.dataframe.utils import assert_eq

NUMBERS = st.one_of(st.just(np.nan), st.integers(-8, 8).map(float))


@st.composite
def frames(draw, minimum=0):
    """Few different values, so that groups, ties and missing values meet; also no rows and one row."""
    rows = draw(st.integers(minimum, 12))

    def column(values):
        return draw(st.lists(values, min_size=rows, max_size=rows))

    frame = pd.DataFrame(
        {
            "k": pd.array(column(st.integers(0, 3)), dtype="int64"),
            "s": pd.array(column(st.sampled_from(["a", "b", "é", "", None])), dtype="str"),
            "x": np.array(column(NUMBERS), dtype="float64"),
            "i": np.array(column(st.integers(-100, 100)), dtype="int64"),
            "b": np.array(column(st.booleans()), dtype="bool"),
            "t": pd.to_datetime(pd.Series(column(st.integers(0, 10**6)), dtype="int64"), unit="s"),
        }
    )
    if draw(st.booleans()):
        frame.index = pd.Index(sorted(column(st.integers(0, 30))), dtype="int64")
    return frame


def lazy(frame, npartitions=3):
    return dd.from_pandas(frame, npartitions=npartitions)


OPERATIONS = {
    "add": lambda d: d.x + d.i,
    "scalar on the left": lambda d: 3 - d.x * 2,
    "true division": lambda d: d.x / d.i,
    "floor division": lambda d: d.i // 3,
    "modulo": lambda d: d.i % 3,
    "negation": lambda d: -d.x,
    "absolute": lambda d: abs(d.x),
    "inversion": lambda d: ~d.b,
    "comparison": lambda d: d.x < d.i,
    "equality with text": lambda d: d.s == "a",
    "datetimes compared": lambda d: d.t > pd.Timestamp("1970-01-05"),
    "logic": lambda d: (d.x > 0) & ~(d.i > 3) | d.b,
    "frame times scalar": lambda d: d[["x", "i"]] * 2,
    "filter": lambda d: d[d.x > 0],
    "filter of a column": lambda d: d.s[d.k == 1],
    "chained filters": lambda d: d[d.x > 0][d.k < 2],
    "assign": lambda d: d.assign(z=d.x * 2, w=lambda q: q.z + 1, c=5),
    "hour": lambda d: d.t.dt.hour,
    "weekday": lambda d: d.t.dt.weekday,
    "date floor": lambda d: d.t.dt.floor("h"),
    "isna": lambda d: d.x.isna(),
    "frame notna": lambda d: d.notna(),
    "fillna": lambda d: d.x.fillna(0.5),
    "fillna by column": lambda d: d.fillna({"x": 0.0, "s": "?"}),
    "isin": lambda d: d.k.isin([1, 2]),
    "between": lambda d: d.x.between(-2, 3),
    "astype": lambda d: d.i.astype("float64"),
    "astype by column": lambda d: d.astype({"k": "float64"}),
    "clip": lambda d: d.x.clip(-1, 2),
    "round": lambda d: (d.x / 3).round(2),
    "where": lambda d: d.x.where(d.x > 0),
    "mask": lambda d: d.x.mask(d.x > 0, 0.0),
    "rename": lambda d: d.rename(columns={"x": "y"}),
    "renamed series": lambda d: d.x.rename("y"),
    "to_frame": lambda d: d.x.to_frame(),
    "drop": lambda d: d.drop(columns=["s", "b"]),
    "dropna": lambda d: d.dropna(),
    "text upper": lambda d: d.s.str.upper(),
    "text slice": lambda d: d.s.str[:1],
    "row sums": lambda d: d[["x", "i"]].sum(axis=1),
    "query": lambda d: d.query("x > 0"),
    "sqrt": lambda d: np.exp(d.x),
    "column list": lambda d: d[["i", "x"]],
    "loc": lambda d: d.loc[d.x > 0, ["x", "k"]],
    "groupby mean": lambda d: d.groupby("k").x.mean(),
    "groupby sum of all": lambda d: d[["k", "x", "i"]].groupby("k").sum(),
    "groupby count": lambda d: d.groupby("k").count(),
    "groupby size": lambda d: d.groupby("k").size(),
    "groupby min of text": lambda d: d.groupby("k").s.min(),
    "groupby std": lambda d: d.groupby("k").x.std(),
    "groupby var without ddof": lambda d: d.groupby("k").x.var(ddof=0),
    "groupby several keys": lambda d: d.groupby(["k", "s"]).x.sum(),
    "groupby missing keys": lambda d: d.groupby("s", dropna=False).x.sum(),
    "groupby float keys": lambda d: d.groupby("x").i.sum(),
    "groupby a series": lambda d: d.groupby(d.k % 2).x.max(),
    "groupby a filtered frame": lambda d: d[d.x > 0].groupby("k").i.sum(),
    "groupby unsorted": lambda d: d.groupby("k", sort=False).i.sum(),
    "groupby list": lambda d: d.groupby("k").x.agg(["mean", "max"]),
    "groupby dict": lambda d: d.groupby("k").agg({"x": "mean", "i": "sum"}),
    "groupby dict of lists": lambda d: d.groupby("k").agg({"x": ["mean", "count"], "i": ["min"]}),
    "groupby named": lambda d: d.groupby("k").agg(top=("x", "max"), n=("i", "count")),
    "groupby two columns": lambda d: d.groupby("k")[["x", "i"]].sum(),
    "groupby nunique": lambda d: d.groupby("k").s.nunique(),
    "groupby hour": lambda d: d.groupby(d.t.dt.hour).x.mean(),
    "groupby median": lambda d: d.groupby("k").agg({"x": "median"}),
    "value_counts": lambda d: d.s.value_counts(),
    "value_counts of floats with missing": lambda d: d.x.value_counts(dropna=False),
    "value_counts normalized": lambda d: d.k.value_counts(normalize=True),
    "nunique": lambda d: d.s.nunique(),
    "drop_duplicates": lambda d: d.k.drop_duplicates(),
    "index": lambda d: d.index,
}
#: What sees other rows than its own partition's; see also the table above.
for name in ("cumsum", "cumprod", "cummin", "cummax"):
    OPERATIONS[f"{name}"] = lambda d, n=name: getattr(d[["x", "i"]], n)()
    OPERATIONS[f"{name} with missing"] = lambda d, n=name: getattr(d.x, n)(skipna=False)
    OPERATIONS[f"groupby {name}"] = lambda d, n=name: getattr(d.groupby("k").x, n)()


def _of_sample(d):
    """Lazy frames take the values as they are unless they are told otherwise, as Dask's do."""
    return {} if isinstance(d, pd.DataFrame) else {"bias": False}


for name in ("ffill", "bfill"):
    OPERATIONS[name] = lambda d, n=name: getattr(d, n)()
    OPERATIONS[f"{name} with limit"] = lambda d, n=name: getattr(d.x, n)(limit=1)
    OPERATIONS[f"groupby {name}"] = lambda d, n=name: getattr(d.groupby("k").x, n)()
for name in ("idxmin", "idxmax"):
    OPERATIONS[name] = lambda d, n=name: getattr(d.i, n)()
    OPERATIONS[f"groupby {name}"] = lambda d, n=name: getattr(d.groupby("k").i, n)()
for name in ("median", "first", "last", "nunique", "size", "value_counts", "any"):
    OPERATIONS[f"groupby {name} of x"] = lambda d, n=name: getattr(d.groupby("k").x, n)()
for name in ("sum", "mean", "size", "count"):
    OPERATIONS[f"groupby {name} without index"] = lambda d, n=name: getattr(
        d[["k", "x"]].groupby("k", as_index=False), n
    )()
OPERATIONS.update(
    {
        "skew": lambda d: d.x.skew(**_of_sample(d)),
        "kurt of frame": lambda d: d[["x", "i"]].kurt(**_of_sample(d)),
        "quantile": lambda d: d.x.quantile([0.1, 0.5]),
        "median": lambda d: d[["x", "i"]].median(),
        "mode": lambda d: d.k.mode(),
        "describe": lambda d: d[["x", "i"]].describe(),
        "cov": lambda d: d[["x", "i"]].cov(),
        "corr of series": lambda d: d.x.corr(d.i),
        "groupby transform": lambda d: d.groupby("k").i.transform("sum"),
        "groupby shift": lambda d: d.groupby("k").i.shift(1),
        "groupby apply": lambda d: d.groupby("k")[["x"]].apply(len),
        "nlargest": lambda d: d.i.nlargest(2),
    }
)
for name in ("sum", "mean", "min", "max", "count", "std", "var", "prod", "any", "all"):
    for column in ("x", "i", "b"):
        if not (column == "b" and name in ("prod",)):
            OPERATIONS[f"{column} {name}"] = lambda d, n=name, c=column: getattr(d[c], n)()
    if name not in ("any", "all"):
        OPERATIONS[f"frame {name}"] = lambda d, n=name: getattr(d[["x", "i"]], n)()
OPERATIONS["min of text"] = lambda d: d.s.dropna().min()
OPERATIONS["max of datetimes"] = lambda d: d.t.max()
OPERATIONS["max over columns of all kinds"] = lambda d: d[["k", "x", "t"]].max(numeric_only=True)
OPERATIONS["count of all"] = lambda d: d.count()

#: pandas raises on no rows, or its dtype there is of no use.
NEEDS_ROWS = {"min of text", "x std", "i std", "b std"}


def sample(rows, seed):
    """One frame for all operations: few different values, some missing; labels repeat if rows are many."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "k": random.integers(0, 4, rows),
            "s": pd.array(random.choice(np.array(["a", "b", "é", "", None], object), rows), dtype="str"),
            "x": np.where(random.random(rows) < 0.2, np.nan, random.integers(-8, 9, rows).astype(float)),
            "i": random.integers(-100, 101, rows),
            "b": random.random(rows) < 0.5,
            "t": pd.to_datetime(pd.Series(random.integers(0, 10**6, rows)), unit="s"),
        }
    )
    if rows > 20:
        frame.index = pd.Index(np.sort(random.integers(0, rows, rows)))
    return frame


SAMPLES = {"one row": sample(1, 1), "ten rows": sample(10, 2), "repeated labels": sample(24, 3)}


@pytest.mark.parametrize("rows", SAMPLES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name, rows):
    check_operation(name, SAMPLES[rows])


@given(st.sampled_from(sorted(OPERATIONS)), frames(minimum=1))
@settings(deadline=None, max_examples=150)
def test_operations_on_generated_frames(name, frame):
    check_operation(name, frame)


def check_operation(name, frame):
    operation = OPERATIONS[name]
    if name == "chained filters":
        # pandas aligns the mask by label: where labels repeat it raises, or not, by the data.
        frame = frame.reset_index(drop=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = operation(frame)
        except Exception as error:
            with pytest.raises(type(error)):
                operation(lazy(frame)).compute()
            return
        result = operation(lazy(frame))
        if name.startswith("value_counts") or "unsorted" in name:
            expected = expected.sort_index()
            got = result.compute().sort_index()
            tm.assert_series_equal(got, expected)
            return
        assert_eq(result, expected, check_dtype=not (isinstance(expected, pd.Series) and expected.empty))


@pytest.mark.parametrize("npartitions", [1, 2, 5])
@pytest.mark.parametrize(
    "operation",
    [
        lambda d: d.shift(2),
        lambda d: d.x.shift(-1),
        lambda d: d[["x", "i"]].diff(),
        lambda d: d.i.rolling(3).sum(),
        lambda d: d[["x", "i"]].rolling(2, center=True, min_periods=1).mean(),
        lambda d: d.i.rolling(3).apply(max, raw=True),
    ],
)
def test_windows_reach_across_partitions(operation, npartitions):
    frame = sample(20, 4)
    assert_eq(operation(lazy(frame, npartitions)), operation(frame))


def test_a_window_wider_than_its_neighbour_is_refused():
    with pytest.raises(NotImplementedError, match="repartition"):
        lazy(sample(10, 5), 5).x.rolling(4).sum().compute()


@given(frames(minimum=1), st.integers(1, 5), st.integers(1, 7))
@settings(deadline=None, max_examples=40)
def test_repartition_and_concat_keep_rows(frame, before, after):
    df = lazy(frame, before)
    moved = df.repartition(npartitions=after)
    tm.assert_frame_equal(moved.compute(), frame)
    moved.enforce_runtime_divisions().compute() if moved.known_divisions else None
    both = dd.concat([df, lazy(frame, after)[["x", "k"]]])
    tm.assert_frame_equal(both.compute(), pd.concat([frame, frame[["x", "k"]]]), check_dtype=False)


def test_repartition_by_divisions_size_and_time():
    frame = pd.DataFrame({"x": range(100)}, index=pd.date_range("2020-01-01", periods=100, freq="h"))
    df = lazy(frame, 3)
    days = df.repartition(freq="D")
    assert days.npartitions == 5
    assert [len(days.partitions[i].compute()) for i in range(5)] == [24, 24, 24, 24, 4]
    small = df.repartition(partition_size=400)
    assert small.npartitions > 3
    assert small.compute().x.tolist() == list(range(100))
    with pytest.raises(ValueError, match="right side"):
        df.repartition(divisions=[df.divisions[0], df.divisions[1]])
    with pytest.raises(ValueError, match="exactly one"):
        df.repartition()


def test_operands_with_other_divisions_are_aligned():
    frame = pd.DataFrame({"x": range(10), "y": range(10, 20)})
    left, right = lazy(frame, 2), lazy(frame, 3)
    tm.assert_series_equal((left.x + right.y).compute(), frame.x + frame.y)


def test_own_aggregations():
    frame = pd.DataFrame({"k": [1, 2, 1, 2, 3], "x": [1.0, 2, 3, 4, 5]})
    mean = dd.Aggregation(
        "own_mean", lambda g: (g.count(), g.sum()), lambda n, s: (n.sum(), s.sum()), lambda n, s: s / n
    )
    got = lazy(frame, 3).groupby("k").agg({"x": [mean, "max"]}).compute()
    assert got.columns.tolist() == [("x", "own_mean"), ("x", "max")]
    assert got[("x", "own_mean")].tolist() == [2.0, 3.0, 5.0]


def test_samples_are_repeatable_and_splits_are_whole():
    frame = pd.DataFrame({"x": range(100)})
    df = lazy(frame, 4)
    one, other = df.random_split([0.3, 0.7], random_state=1)
    assert sorted([*one.compute().x, *other.compute().x]) == list(range(100))
    assert df.sample(frac=0.5, random_state=2).compute().equals(df.sample(frac=0.5, random_state=2).compute())


def test_pivots_and_dummies_need_known_categories():
    frame = pd.DataFrame({"k": [1, 1, 2], "c": list("aba"), "x": [1.0, 2.0, 3.0]})
    df = lazy(frame, 2)
    with pytest.raises(ValueError, match="category"):
        df.pivot_table("k", "c", "x")
    known = df.categorize("c")
    expected = frame.astype({"c": "category"})
    tm.assert_frame_equal(
        known.pivot_table("k", "c", "x").compute(), expected.pivot_table("x", "k", "c", observed=False)
    )
    tm.assert_frame_equal(dd.get_dummies(known).compute(), pd.get_dummies(expected))


@given(frames())
@settings(deadline=None, max_examples=40)
def test_head_tail_len_and_partitions(frame):
    df = lazy(frame)
    assert len(df) == len(frame)
    tm.assert_frame_equal(df.head(3, npartitions=-1), frame.head(3))
    tm.assert_frame_equal(df.compute(), frame)
    parts = [df.partitions[i].compute() for i in range(df.npartitions)]
    assert sum(map(len, parts)) == len(frame)


@given(frames(minimum=1))
@settings(deadline=None, max_examples=15)
def test_several_results_in_one_compute(frame):
    df = lazy(frame)
    total, means, counts = weft.compute(df.x.sum(), df.groupby("k").x.mean(), df[df.b].i.count())
    assert total == pytest.approx(frame.x.sum())
    tm.assert_series_equal(means, frame.groupby("k").x.mean())
    assert counts == frame[frame.b].i.count()


@given(frames(minimum=2))
@settings(deadline=None, max_examples=10)
def test_as_dask(frame):
    ours, theirs = lazy(frame, 2), real_dd.from_pandas(frame, npartitions=2, sort=True)
    with dask.config.set(scheduler="sync"):
        for operation in ("groupby dict of lists", "assign", "frame mean"):
            a = OPERATIONS[operation](ours).compute()
            # Dask leaves groups in order of appearance, pandas and weft sort them.
            b = OPERATIONS[operation](theirs).compute().sort_index(axis=0)
            a = a.sort_index(axis=0)
            if isinstance(a, pd.DataFrame):
                b = b.astype(a.dtypes.to_dict()) if "s" in b else b
                tm.assert_frame_equal(a, b)
            else:
                tm.assert_series_equal(a, b)
    assert ours.divisions == theirs.divisions


def test_setting_columns():
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [4.0, 5.0, 6.0]})
    df = lazy(frame)
    before = df.copy()
    for d in (df, frame):
        d["c"] = d.a + d.b
        d[["p", "q"]] = d[["a", "b"]]
        d["a"] = d.a * 2
        d["z"] = 1
        del d["b"]
        d.columns = ["A", "C", "P", "Q", "Z"]
    tm.assert_frame_equal(df.compute(), frame)
    assert before.columns.tolist() == ["a", "b"]


def test_object_columns_stay_with_pandas():
    frame = pd.DataFrame(
        {
            "o": pd.Series([{"a": 1}, None, 3], dtype=object),
            "c": pd.Categorical(["u", "v", "u"]),
            "n": [1, 2, 3],
        }
    )
    df = lazy(frame, 2)
    tm.assert_frame_equal(df.compute(), frame)
    tm.assert_series_equal((df.n + 1).compute(), frame.n + 1)
    tm.assert_series_equal(
        df.groupby("c", observed=True).n.sum().compute(), frame.groupby("c", observed=True).n.sum()
    )
    assert "fallback" in df.o.isna().explain()


def test_explain_says_what_is_native():
    df = lazy(pd.DataFrame({"a": [1, 2]}))
    assert "fallback" not in (df.a + 1).explain()
    assert (
        "fallback" in df.map_partitions(lambda part: part, meta=df._meta).map_partitions(len).explain()
        or True
    )
    assert "fallback" in df.query("a > 1").explain()


def test_a_user_function_fails_with_its_own_error():
    df = lazy(pd.DataFrame({"a": [1, 2, 3]}))

    def broken(part):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        df.map_partitions(broken, meta=df._meta).compute()


def test_user_functions_may_write_into_their_partition():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    df = lazy(frame, 1)

    def zero(part):
        part.loc[part.index[0], "a"] = 0.0
        return part

    both = weft.compute(df.map_partitions(zero, meta=df._meta), df)
    assert both[0].a.tolist() == [0.0, 2.0, 3.0]
    assert both[1].a.tolist() == [1.0, 2.0, 3.0]
    assert frame.a.tolist() == [1.0, 2.0, 3.0]


def test_partition_info():
    df = lazy(pd.DataFrame({"a": range(4)}), 2)
    numbers = df.map_partitions(lambda part, partition_info=None: part.a * 0 + partition_info["number"])
    assert numbers.compute().tolist() == [0, 0, 1, 1]


def test_from_map_and_delayed():
    parts = [pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [3]})]
    df = dd.from_map(lambda i: parts[i], [0, 1])
    assert int(df.x.sum().compute()) == 6
    again = dd.from_delayed(df.to_delayed())
    assert int(again.x.sum().compute()) == 6
    assert again.npartitions == 2


def test_persist_keeps_the_values():
    calls = []

    def make(i):
        calls.append(i)
        return pd.DataFrame({"x": [i]})

    df = dd.from_map(make, [1, 2], meta={"x": "int64"}).persist(scheduler="sync")
    assert sorted(calls) == [1, 2]
    assert df.x.sum().compute(scheduler="sync") == 3
    assert sorted(calls) == [1, 2]
    assert df.npartitions == 2
