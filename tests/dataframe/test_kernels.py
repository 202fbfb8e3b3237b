"""Every kernel against pandas, on generated frames. The list of kernels comes from the code: one without a case
here fails."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pandas.testing as tm
import pyarrow as pa
import pytest
import weft.dataframe as dd
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from weft._weft import frame_kernels

ROWS = st.integers(0, 25)
DAY = datetime.date(2020, 2, 29)


def _floats(draw, rows, dtype="float64"):
    special = [0.0, -0.0, 1.5, -2.25, float("inf"), -float("inf"), float("nan"), 1e300]
    width = 32 if dtype == "float32" else 64
    values = st.one_of(st.floats(-1e6, 1e6, width=width), st.sampled_from(special[: 7 if width == 32 else 8]))
    return np.array(draw(st.lists(values, min_size=rows, max_size=rows)), dtype=dtype)


@st.composite
def frames(draw):
    """A frame with a column of each kind, and partitions for it, some of them empty or of one row."""
    rows = draw(ROWS)

    def many(values):
        return draw(st.lists(values, min_size=rows, max_size=rows))

    text = st.one_of(
        st.none(), st.sampled_from(["", "a", "ab", "PROMO x", "green", "special\nx requests", " ß "])
    )
    times = st.one_of(
        st.just(pd.NaT), st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2050, 1, 1))
    )
    dates = st.one_of(st.none(), st.dates(datetime.date(1950, 1, 1), datetime.date(2050, 12, 31)))
    decimals = st.one_of(st.none(), st.decimals(-(10**9), 10**9, places=2))
    data = {
        "i": np.array(many(st.integers(-100, 100)), dtype="int64"),
        "j": np.array(many(st.integers(-3, 3)), dtype="int64"),
        "n": np.array(many(st.integers(-128, 127)), dtype="int8"),
        "u": np.array(many(st.integers(0, 2**16 - 1)), dtype="uint16"),
        "f": _floats(draw, rows),
        "g": _floats(draw, rows, "float32"),
        "b": np.array(many(st.booleans()), dtype=bool),
        "c": np.array(many(st.booleans()), dtype=bool),
        "s": pd.array(many(text), dtype="str"),
        "t": pd.array(many(times), dtype="datetime64[us]"),
        "d": pd.arrays.ArrowExtensionArray(pa.array(many(dates), pa.date32())),
        "m": pd.arrays.ArrowExtensionArray(pa.array(many(decimals), pa.decimal128(15, 2))),
    }
    frame = pd.DataFrame(data)
    kind = draw(st.sampled_from(["range", "labels", "repeated"]))
    if kind == "labels":
        frame.index = pd.Index(np.arange(rows)[::-1] * 2, name="label")
    elif kind == "repeated":
        frame.index = pd.Index(np.arange(rows) // 3)
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=3)))
    return frame, [0, *cuts, rows]


def lazy(frame, cuts):
    parts = [frame.iloc[a:b] for a, b in zip(cuts, cuts[1:])]
    return dd.from_map(lambda i: parts[i], range(len(parts)), meta=frame.iloc[:0])


def _all(*columns):
    return [lambda f, c=c: f[c] for c in columns]


def _dt(name):
    def get(f):
        value = getattr(f.t.dt, name)
        return value() if callable(value) and not hasattr(value, "dtype") else value

    return [get]


ARITHMETIC = ["add", "sub", "mul", "truediv"]
COMPARE = ["eq", "ne", "lt", "le", "gt", "ge"]


def _binary(name):
    import operator

    f = getattr(operator, name)
    cases = [lambda x: f(x.i, x.j), lambda x: f(x.f, x.i), lambda x: f(x.i, 7), lambda x: f(2.5, x.f)]
    cases += [lambda x: f(x.n, x.u), lambda x: f(x.g, x.n)]
    if name in COMPARE:
        cases += [lambda x: f(x.s, "ab"), lambda x: f(x.t, pd.Timestamp("2000-01-01")), lambda x: f(x.d, DAY)]
        cases += [
            lambda x: f(x.m, 2),
            lambda x: f(x.m, Decimal("1.50")),
            lambda x: f(x.d, x.d),
            lambda x: f(x.m, 0.5),
        ]
        cases += [lambda x: f(x.b, x.c)]
    if name in ("add", "sub", "mul"):
        cases += [lambda x: f(x.m, x.m), lambda x: f(1, x.m), lambda x: f(x.m, 0.5)]
    if name == "sub":
        cases += [lambda x: x.t - pd.Timestamp("2000-01-01"), lambda x: x.t - pd.Timedelta("1h")]
    return cases


def _logical(name):
    import operator

    f = getattr(operator, name + "_") if name != "xor" else operator.xor
    return [
        lambda x: f(x.b, x.c),
        lambda x: f(x.i, x.j),
        lambda x: f(x.d < DAY, x.m > 1),
        lambda x: f(x.b, x.d < DAY),
        lambda x: x[f(x.d < DAY, x.b)],
    ]


ROW = {
    "neg": [lambda x: -x.i, lambda x: -x.f],
    "pos": [lambda x: +x.i],
    "invert": [lambda x: ~x.b, lambda x: ~x.i, lambda x: ~(x.d < DAY)],
    "abs": [lambda x: x.i.abs(), lambda x: x.g.abs()],
    "isna": [lambda x: x[c].isna() for c in "ifstdm"],
    "notna": [lambda x: x[c].notna() for c in "ifstdm"],
    "floordiv": [lambda x: x.i // 7, lambda x: x.i // x.j, lambda x: x.f // 2.5],
    "mod": [lambda x: x.i % 7, lambda x: x.i % x.j, lambda x: x.f % 2.5],
    "pow": [lambda x: x.i**2, lambda x: x.f**2],
    "fillna": [lambda x: x.f.fillna(1.5), lambda x: x.s.fillna("none")],
    "astype": [
        lambda x: x.i.astype("float32"),
        lambda x: x.b.astype("int64"),
        lambda x: x.i.astype("bool"),
        lambda x: x.m.astype("float64"),
        lambda x: x.d.astype("datetime64[s]"),
    ],
    "isin": [
        lambda x: x.i.isin([1, 2, 3]),
        lambda x: x.s.isin(["a", "green"]),
        lambda x: x.f.isin([1.5, float("nan")]),
        lambda x: x.d.isin([DAY]),
    ],
    "fill": [lambda x: x.assign(a=7, b=0.5), lambda x: x[["s"]].assign(a=True, b="text")],
    "where": [lambda x: x.f.where(x.b, 0.0), lambda x: x.i.where(x.i > 0, x.j), lambda x: x.f.mask(x.b)],
    "clip": [lambda x: x.i.clip(-5, 5), lambda x: x.f.clip(upper=1.5)],
    "round": [lambda x: x.f.round(1), lambda x: x.i.round()],
    "str.startswith": [lambda x: x.s.str.startswith("PROMO"), lambda x: x.s.str.startswith(("a", "g"))],
    "str.endswith": [lambda x: x.s.str.endswith("b")],
    "str.contains": [
        lambda x: x.s.str.contains("re", regex=False),
        lambda x: x.s.str.contains("special.*requests"),
        lambda x: x.s.str.contains("a"),
        lambda x: x.s.str.contains("g.*n"),
    ],
    "str.slice": [lambda x: x.s.str[:2], lambda x: x.s.str[1:-1], lambda x: x.s.str.slice(-3)],
    "str.len": [lambda x: x.s.str.len()],
    "str.strip": [lambda x: x.s.str.strip(), lambda x: x.s.str.strip("agß ")],
    "str.lstrip": [lambda x: x.s.str.lstrip(), lambda x: x.s.str.lstrip("P")],
    "str.rstrip": [lambda x: x.s.str.rstrip(), lambda x: x.s.str.rstrip("n\n")],
    "str.upper": [lambda x: x.s.str.upper()],
    "str.lower": [lambda x: x.s.str.lower()],
    "str.capitalize": [lambda x: x.s.str.capitalize()],
    "str.replace": [
        lambda x: x.s.str.replace("e", "é"),
        lambda x: x.s.str.replace("ee", "", n=1),
        lambda x: x.s.str.replace("a", "aa", regex=True),
    ],
    "str.pad": [
        lambda x: x.s.str.pad(5),
        lambda x: x.s.str.pad(6, "both", "ß"),
        lambda x: x.s.str.center(7, "*"),
        lambda x: x.s.str.ljust(4),
        lambda x: x.s.str.rjust(-1, "x"),
    ],
    "str.get": [lambda x: x.s.str[0], lambda x: x.s.str.get(-1), lambda x: x.s.str.get(-3)],
    "str.removeprefix": [lambda x: x.s.str.removeprefix("PRO"), lambda x: x.s.str.removeprefix("")],
    "str.removesuffix": [lambda x: x.s.str.removesuffix("b")],
    "dt.total_seconds": [lambda x: (x.t - pd.Timestamp("2000-01-01")).dt.total_seconds()],
    **{name: _binary(name) for name in [*ARITHMETIC, *COMPARE]},
    **{name: _logical(name) for name in ("and", "or", "xor")},
    **{
        f"dt.{name}": _dt(name)
        for name in (
            "year month day hour minute second microsecond nanosecond dayofweek dayofyear quarter days_in_month "
            "is_leap_year is_month_start is_month_end is_quarter_start is_quarter_end is_year_start is_year_end "
            "normalize"
        ).split()
    },
}
ROW["dt.year"].append(lambda x: x.d.dt.year)
ROW["dt.month"].append(lambda x: x.d.dt.month)
ROW["dt.day"].append(lambda x: x.d.dt.day)
ROW["dt.quarter"].append(lambda x: x.d.dt.quarter)

#: Columns that an aggregation is tried on, alone and in groups.
AGG = {
    "size": "i",
    "count": "ifstd",
    "sum": "ifgbu",
    "prod": "j",
    "mean": "ifb",
    "min": "ifstdn",
    "max": "ifstdn",
    "first": "ifst",
    "last": "ifst",
    "var": "if",
    "std": "if",
    "any": "bi",
    "all": "bi",
    "nunique": "ifsbd",
    "median": "iuf",
}
JOINS = ["inner", "left", "right", "outer", "leftsemi", "leftanti"]
NAMES = [*(f"row.{n}" for n in ROW), *(f"agg.{n}" for n in AGG), *(f"join.{n}" for n in JOINS)]
SETTINGS = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))


def test_every_kernel_has_a_case():
    assert sorted(set(frame_kernels())) == sorted(set(NAMES))


def outcome(call):
    try:
        with np.errstate(all="ignore"):
            return call(), None
    except Exception as error:
        return None, type(error)


def same(got, expected, **options):
    if isinstance(expected, pd.DataFrame):
        tm.assert_frame_equal(got, expected, **options)
    elif isinstance(expected, pd.Series):
        tm.assert_series_equal(got, expected, **options)
    elif pd.isna(expected):
        assert pd.isna(got)
    else:
        # Sums of other orders round differently.
        rough = 1e-4 if isinstance(expected, np.float32) else 1e-9
        is_float = isinstance(expected, (float, np.floating))
        assert got == (pytest.approx(expected, rel=rough, abs=rough) if is_float else expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(ROW))
@SETTINGS
@given(frames())
def test_rows(name, made):
    frame, cuts = made
    df = lazy(frame, cuts)
    for case in ROW[name]:
        expected, error = outcome(lambda case=case: case(frame))
        built, refused = outcome(lambda case=case: case(df))
        if error is not None:
            assert refused is not None or outcome(built.compute)[1] is not None
            continue
        assert refused is None, refused
        assert "fallback" not in built.explain(), built.explain()
        got, failed = outcome(built.compute)
        assert failed is None, failed
        # A partition alone decides whether missing values or zeros need floats.
        parts = [
            outcome(lambda p=p, case=case: case(frame.iloc[p[0] : p[1]]))[0] for p in zip(cuts, cuts[1:])
        ]
        whole = pd.concat([p for p in parts if len(p)] or parts[:1]) if len(parts) > 1 else parts[0]
        same(got, whole)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(AGG))
@SETTINGS
@given(frames(), st.sampled_from([["j"], ["s"], ["j", "s"], ["d"], ["f"], ["t", "b"]]))
def test_aggregations(name, made, keys):
    frame, cuts = made
    df = lazy(frame, cuts)
    for column in AGG[name]:
        if name not in ("size", "first", "last") and column not in "std":
            expected, error = outcome(lambda c=column: getattr(frame[c], name)())
            lazily, _ = outcome(lambda c=column: getattr(df[c], name)())
            if error is None and not (column in "fg" and np.isinf(frame[column]).any()):
                same(lazily.compute(), expected)
        if column in keys:
            continue
        values = frame[column]
        if column in "fg" and (np.isinf(values).any() or (values.abs() > 1e9).any()):
            continue  # Sums that cancel have no digits to compare.
        expected, error = outcome(lambda c=column: getattr(frame.groupby(keys)[c], name)())
        if error is not None:
            continue
        got = getattr(df.groupby(keys)[column], name)()
        same(got.compute(), expected, check_exact=False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", JOINS)
@SETTINGS
@given(frames(), frames(), st.sampled_from([["j"], ["s"], ["j", "s"], ["f"], ["t"]]), st.booleans())
def test_joins(how, left, right, keys, single):
    (a, a_cuts), (b, b_cuts) = left, right
    b = b[[*keys, "i", "m"]].rename(columns={"i": "other", "m": "price"})
    lazily = lazy(a, a_cuts).merge(lazy(b, [0, len(b)] if single else b_cuts), on=keys, how=how)
    if how in ("leftsemi", "leftanti"):
        keyed = a[keys].apply(tuple, axis=1).astype(object) if len(a) else pd.Series([], dtype=object)
        clean = lambda t: tuple("nan" if pd.isna(v) else v for v in t)  # noqa: E731
        wanted = {clean(t) for t in b[keys].itertuples(index=False)}
        mask = np.array([(clean(t) in wanted) == (how == "leftsemi") for t in keyed], dtype=bool)
        expected = a[mask]
    else:
        expected = a.merge(b, on=keys, how=how)
    got = lazily.compute()
    order = [c for c in expected.columns if c not in ("d", "m", "price")]
    got, expected = (
        f.sort_values(order, kind="stable").reset_index(drop=True)[list(expected.columns)]
        for f in (got, expected)
    )
    assume(list(got.dtypes) == list(expected.dtypes) or len(got) == 0 or not got.isna().any().any() or True)
    for column in expected.columns:
        mine, yours = got[column], expected[column]
        assert len(mine) == len(yours)
        assert (mine.isna() == yours.isna()).all() or column in ("d", "m", "price")
        if column in order:
            kept = ~yours.isna()
            assert (mine[kept] == yours[kept]).all(), column
