"""Native frame expressions against pandas, on generated frames split into partitions."""

import operator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal
from weft._engine import execute
from weft._weft import frame_host, lower_many
from weft.base import tokenize

FLOATS = [0.0, -0.0, 1.0, 1.5, -2.5, 3.25, np.nan, np.inf, -np.inf, 1e300, 0.1]
TEXTS = ["", "a", "b", "ab", "é", None]
TIMES = ["1969-12-31 23:59:59.5", "2000-02-29", "2018-04-01 12:34:56", "2020-12-31 23:59:59", None]


@st.composite
def tables(draw, min_rows=0, max_rows=12):
    n = draw(st.integers(min_rows, max_rows))

    def column(values):
        return draw(st.lists(st.sampled_from(values), min_size=n, max_size=n))

    return pd.DataFrame(
        {
            "i": np.array(column([0, 1, 2, 3, -3, 7, 2**40, -1]), dtype="int64"),
            "j": np.array(column([1, 2, -3, 5, 0]), dtype="int64"),
            "h": np.array(column([0, 1, 23, 5]), dtype="int32"),
            "u": np.array(column([0, 1, 255]), dtype="uint8"),
            "x": np.array(column(FLOATS), dtype="float64"),
            "y": np.array(column(FLOATS), dtype="float64"),
            "f": np.array(column([0.5, -1.25, np.nan, 3.0]), dtype="float32"),
            "b": np.array(column([True, False]), dtype="bool"),
            "c": np.array(column([True, False]), dtype="bool"),
            "s": pd.Series(column(TEXTS), dtype="str"),
            "t": pd.Series(pd.to_datetime(column(TIMES), format="ISO8601"), dtype="datetime64[us]"),
            "d": pd.Series(pd.to_datetime(column(TIMES), format="ISO8601"), dtype="datetime64[us]"),
        }
    )


def expression(table, cuts):
    """The table in partitions, brought in by a host step."""
    edges = [0, *sorted(cut % (len(table) + 1) for cut in cuts), len(table)]
    parts = [table.iloc[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    fields = [(label, str(dtype)) for label, dtype in table.dtypes.items()]
    return frame_host(
        "table",
        tokenize(parts),
        lambda i: parts[i],
        [],
        len(parts),
        "table",
        fields,
        whole=False,
        fallback=False,
        writes=False,
    )


def compute(*exprs):
    graph, keys = lower_many(list(exprs))
    flat = [key for group in keys for key in group]
    values = iter(execute(graph, flat, scheduler="sync"))
    results = []
    for group in keys:
        parts = [next(values) for _ in group]
        if len(parts) > 1:
            # As the face does: empty partitions have no say in a dtype.
            full = [part for part in parts if len(part)] or parts[:1]
            parts = [pd.concat(full)]
        results.append(parts[0])
    return results


def check(expr, expected):
    [got] = compute(expr)
    if isinstance(expected, pd.DataFrame):
        assert_frame_equal(got, expected, check_dtype=len(expected) > 0)
    elif isinstance(expected, pd.Series):
        assert_series_equal(got, expected, check_dtype=len(expected) > 0)
    elif pd.isna(expected):
        assert pd.isna(got)
    else:
        assert got == pytest.approx(expected, rel=1e-12)
        assert type(got) is type(expected) or isinstance(expected, (int, float))


cuts = st.lists(st.integers(0, 12), max_size=3)

ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
COMPARISON = ["eq", "ne", "lt", "le", "gt", "ge"]
PAIRS = [
    ("i", "j"),
    ("x", "y"),
    ("i", "x"),
    ("x", "i"),
    ("h", "u"),
    ("h", "x"),
    ("f", "x"),
    ("f", "u"),
    ("b", "i"),
    ("i", "b"),
    ("u", "f"),
    ("h", "i"),
    ("b", "x"),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(deadline=None, max_examples=12)
@given(table=tables(), cuts=cuts)
@pytest.mark.parametrize("op", ARITHMETIC)
def test_arithmetic_of_columns_is_that_of_pandas(op, table, cuts):
    source = expression(table, cuts)
    for left, right in PAIRS:
        try:
            expr = source.column(left).binary(op, source.column(right))
        except NotImplementedError:
            continue
        try:
            expected = getattr(operator, op)(table[left], table[right])
        except ValueError as error:
            with pytest.raises(ValueError, match=str(error)):
                compute(expr)
            continue
        [got] = compute(expr)
        # Where a partition alone has no zero divisor, its dtype is an integer's: values agree.
        assert_series_equal(got, expected, check_dtype=False, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(deadline=None, max_examples=12)
@given(
    table=tables(),
    cuts=cuts,
    value=st.sampled_from([0, 1, 2, -3, 2.5, 0.0, -1.5, True, np.float64(2), np.int64(3)]),
)
@pytest.mark.parametrize("op", ARITHMETIC + COMPARISON)
def test_operations_with_values_are_those_of_pandas(op, table, cuts, value):
    source = expression(table, cuts)
    for label in ["i", "h", "u", "x", "f", "b"]:
        for reverse in [False, True]:
            try:
                expr = source.column(label).binary(op, value, reverse=reverse)
            except NotImplementedError:
                continue
            left, right = (value, table[label]) if reverse else (table[label], value)
            try:
                expected = getattr(operator, op)(left, right)
            except ValueError as error:
                with pytest.raises(ValueError, match=str(error)):
                    compute(expr)
                continue
            [got] = compute(expr)
            varies = op in ("floordiv", "mod") and reverse
            assert_series_equal(got, expected, check_dtype=len(table) > 0 and not varies, rtol=1e-12)


@settings(deadline=None, max_examples=12)
@given(table=tables(), cuts=cuts)
@pytest.mark.parametrize("op", COMPARISON)
def test_comparisons_are_those_of_pandas(op, table, cuts):
    source = expression(table, cuts)
    for left, right in [*PAIRS, ("s", "s"), ("t", "d"), ("b", "c")]:
        expr = source.column(left).binary(op, source.column(right))
        check(expr, getattr(operator, op)(table[left], table[right]))
    check(source.column("s").binary(op, "a"), getattr(operator, op)(table.s, "a"))
    moment = pd.Timestamp("2018-04-01")
    check(source.column("t").binary(op, moment), getattr(operator, op)(table.t, moment))


@settings(deadline=None, max_examples=12)
@given(table=tables(), cuts=cuts)
def test_row_by_row_operations_are_those_of_pandas(table, cuts):
    source = expression(table, cuts)
    column = source.column
    check(column("b").binary("and", column("c")), table.b & table.c)
    check(column("b").binary("or", column("c")), table.b | table.c)
    check(column("b").binary("xor", column("c")), table.b ^ table.c)
    check(column("t").binary("sub", column("d")), table.t - table.d)
    for label in table:
        check(column(label).unary("isna"), table[label].isna())
        check(column(label).unary("notna"), table[label].notna())
    for label in ["i", "h", "u", "x", "f"]:
        check(column(label).unary("neg"), -table[label])
        check(column(label).unary("abs"), table[label].abs())
        check(column(label).clip(1, 3), table[label].clip(1, 3))
        check(column(label).isin([1, 3]), table[label].isin([1, 3]))
        check(column(label).between(0, 3, "left"), table[label].between(0, 3, "left"))
        check(column(label).where(column("b")), table[label].where(table.b))
        check(column(label).round(1), table[label].round(1))
    check(column("b").unary("invert"), ~table.b)
    check(column("x").fillna(7), table.x.fillna(7))
    check(column("s").fillna("zz"), table.s.fillna("zz"))
    check(column("x").where(column("b"), 2.0), table.x.where(table.b, 2.0))
    check(column("x").mask(column("b"), 2.0), table.x.mask(table.b, 2.0))
    check(column("s").isin(["a", "é"]), table.s.isin(["a", "é"]))
    check(column("i").astype("float64"), table.i.astype("float64"))
    check(column("h").astype("int64"), table.h.astype("int64"))


@settings(deadline=None, max_examples=12)
@given(table=tables(min_rows=1), cuts=cuts)
def test_datetime_fields_are_those_of_pandas(table, cuts):
    source = expression(table, cuts)
    fields = [
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "microsecond",
        "nanosecond",
        "day_of_week",
        "day_of_year",
        "quarter",
        "days_in_month",
        "is_leap_year",
        "is_month_start",
        "is_month_end",
        "is_quarter_start",
        "is_quarter_end",
        "is_year_start",
        "is_year_end",
    ]
    for field in fields:
        [got] = compute(source.column("t").dt(field))
        assert_series_equal(got, getattr(table.t.dt, field), check_dtype=not cuts)
    check(source.column("t").dt("normalize"), table.t.dt.normalize())


@settings(deadline=None, max_examples=12)
@given(table=tables(), cuts=cuts)
def test_filters_assignments_and_projections_keep_rows_and_index(table, cuts):
    source = expression(table, cuts)
    kept = source.filter(source.column("x").binary("gt", 0))
    expected = table[table.x > 0]
    check(kept, expected)
    more = kept.assign([("i", kept.column("i").binary("add", 1)), ("z", kept.column("s"))])
    check(more, expected.assign(i=expected.i + 1, z=expected.s))
    check(more.project(["z", "i"]), expected.assign(i=expected.i + 1, z=expected.s)[["z", "i"]])
    again = more.filter(more.column("i").binary("gt", 2))
    expected = expected.assign(i=expected.i + 1, z=expected.s)
    check(again, expected[expected.i > 2])


REDUCTIONS = ["sum", "prod", "mean", "min", "max", "count", "var", "std", "any", "all", "nunique", "size"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(deadline=None, max_examples=12)
@given(table=tables(), cuts=cuts)
@pytest.mark.parametrize("func", REDUCTIONS)
def test_reductions_are_those_of_pandas(func, table, cuts):
    table = table.replace({"x": {1e300: 1e3, np.inf: 5.0, -np.inf: -5.0}})
    source = expression(table, cuts)
    for label in table:
        try:
            expr = source.column(label).reduce(func)
        except NotImplementedError:
            continue
        expected = len(table) if func == "size" else getattr(table[label], func)()
        [got] = compute(expr)
        if pd.isna(expected):
            assert pd.isna(got)
        elif isinstance(expected, (float, np.floating)):
            rtol = 1e-5 if label == "f" else 1e-12
            assert got == pytest.approx(expected, rel=rtol, abs=1e-9)
        else:
            assert got == expected


@settings(deadline=None, max_examples=12)
@given(table=tables(), cuts=cuts, dropna=st.booleans(), sort=st.booleans())
@pytest.mark.parametrize("keys", [["h"], ["s"], ["t"], ["x"], ["b"], ["s", "h"], ["b", "t", "s"]])
def test_groupby_is_that_of_pandas(keys, table, cuts, dropna, sort):
    table = table.replace(
        {"x": {1e300: 1e3, np.inf: 5.0, -np.inf: -5.0}, "y": {1e300: 1e3, np.inf: 5.0, -np.inf: -5.0}}
    )
    source = expression(table, cuts)
    grouped = table.groupby(keys, dropna=dropna, sort=sort)
    key_exprs = [(key, source.column(key)) for key in keys]
    options = {"dropna": dropna, "sort": sort}
    check(
        source.groupby(key_exprs, [("size", "size", None, None)], kind="unnamed", **options), grouped.size()
    )
    for label in ["i", "y", "b", "s", "t", "f"]:
        for func in [
            "sum",
            "mean",
            "min",
            "max",
            "count",
            "first",
            "last",
            "var",
            "std",
            "any",
            "all",
            "nunique",
        ]:
            if label in keys:
                continue
            try:
                expr = source.groupby(
                    key_exprs, [(label, func, source.column(label), None)], kind="series", **options
                )
            except NotImplementedError:
                continue
            expected = getattr(grouped[label], func)()
            [got] = compute(expr)
            rtol = 1e-5 if label == "f" else 1e-10
            assert_series_equal(got, expected, check_dtype=len(expected) > 0, rtol=rtol, atol=1e-9)


@settings(deadline=None, max_examples=12)
@given(
    table=tables(),
    cuts=cuts,
    options=st.fixed_dictionaries(
        {name: st.booleans() for name in ["sort", "ascending", "dropna", "normalize"]}
    ),
)
@pytest.mark.parametrize("label", ["i", "x", "s", "t", "b"])
def test_value_counts_are_those_of_pandas(label, table, cuts, options):
    source = expression(table, cuts)
    check(source.column(label).value_counts(**options), table[label].value_counts(**options))


@settings(deadline=None, max_examples=12)
@given(table=tables(), cuts=cuts, n=st.integers(0, 7))
def test_head_and_tail_look_at_the_partitions_they_name(table, cuts, n):
    source = expression(table, cuts)
    check(source.head(n, -1), table.head(n))
    edges = [0, *sorted(cut % (len(table) + 1) for cut in cuts), len(table)]
    check(source.head(n, 1), table.iloc[: edges[1]].head(n))
    check(source.tail(n), table.iloc[edges[-2] :].tail(n))


@settings(deadline=None, max_examples=12)
@given(table=tables(min_rows=1), cuts=cuts)
def test_outputs_of_one_lowering_share_their_pass(table, cuts):
    source = expression(table, cuts)
    kept = source.filter(source.column("j").binary("gt", 0))
    expected = table[table.j > 0]
    total = source.column("i").reduce("sum")
    sizes = kept.groupby([("h", kept.column("h"))], [("size", "size", None, None)], kind="unnamed")
    above = source.column("i").binary("sub", total)
    got = compute(kept, total, sizes, above)
    assert_frame_equal(got[0], expected)
    assert got[1] == table.i.sum()
    assert_series_equal(got[2], expected.groupby("h").size())
    assert_series_equal(got[3], table.i - table.i.sum())


def test_what_has_no_kernel_is_refused_when_it_is_built():
    source = expression(pd.DataFrame({"s": ["a"], "b": [True], "n": [1]}), [])
    with pytest.raises(NotImplementedError, match="str"):
        source.column("s").reduce("mean")
    with pytest.raises(NotImplementedError, match="bool"):
        source.column("b").binary("add", source.column("b"))
    with pytest.raises(KeyError, match="nope"):
        source.column("nope")


def test_equal_expressions_have_one_name():
    source = expression(pd.DataFrame({"n": [1, 2, 3]}), [])
    one, other = source.column("n").binary("add", 1), source.column("n").binary("add", 1)
    assert one == other and one.name == other.name and hash(one) == hash(other)
    assert one != source.column("n").binary("add", 2)
    assert one != source.column("n").binary("add", 1.0)


def test_explain_marks_native_and_host_steps():
    source = expression(pd.DataFrame({"n": [1, 2, 3]}), [])
    text = source.filter(source.column("n").binary("gt", 1)).explain()
    assert text.splitlines() == ["filter (n > 1) [native, 1 partition]", "  table [host, 1 partition]"]
