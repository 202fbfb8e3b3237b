"""Every native step against pandas, on frames of all dtypes and kinds of index.

The steps are the constructors of expressions that Python can reach, listed from the extension itself: one
without a case here (or in ``test_kernels.py``, which has those that are one operation of many) fails.
"""

import datetime
import os
import zoneinfo

import numpy as np
import pandas as pd
import pandas.testing as tm
import pyarrow as pa
import pytest
import weft._weft
import weft.dataframe as dd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from weft._weft import FrameExpr

CASES = int(os.environ.get("WEFT_PROPERTY_CASES", "6"))
SETTINGS = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

WHEN = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2050, 1, 1))
WORDS = st.sampled_from(["", "a", "b", "ab", "ß", "Ä", "日本", "🧵", "a b"])
SPECIAL = st.sampled_from([0.0, -0.0, 1.5, -2.25, float("inf"), -float("inf"), float("nan")])


def _arrow(kind):
    return lambda values: pd.arrays.ArrowExtensionArray(pa.array(values, kind))


def _numpy(dtype):
    return lambda values: np.array(values, dtype=dtype)


def _pandas(dtype):
    return lambda values: pd.array(values, dtype=dtype)


#: Name, values, how they become a column.
COLUMNS = {
    "i": (st.integers(-5, 5), _numpy("int64")),
    "n": (st.integers(-128, 127), _numpy("int8")),
    "u": (st.integers(0, 3), _numpy("uint16")),
    "f": (SPECIAL, _numpy("float64")),
    "g": (SPECIAL, _numpy("float32")),
    "b": (st.booleans(), _numpy("bool")),
    "s": (st.none() | WORDS, _pandas("str")),
    "q": (st.none() | WORDS, _pandas("string")),
    "t": (st.just(pd.NaT) | WHEN, _pandas("datetime64[us]")),
    "z": (
        st.just(pd.NaT) | WHEN,
        lambda v: pd.Series(_pandas("datetime64[ns]")(v)).dt.tz_localize("UTC").dt.tz_convert(BERLIN).array,
    ),
    "e": (
        st.just(pd.NaT) | st.timedeltas(datetime.timedelta(-9), datetime.timedelta(9)),
        _pandas("timedelta64[us]"),
    ),
    "y": (st.none() | st.integers(-3, 3), _pandas("Int64")),
    "w": (st.none() | st.booleans(), _pandas("boolean")),
    "h": (st.none() | st.sampled_from([0.5, -1.0]), _pandas("Float64")),
    "a": (st.none() | st.integers(-3, 3), _arrow(pa.int64())),
    "d": (st.none() | st.dates(datetime.date(1990, 1, 1), datetime.date(1990, 1, 9)), _arrow(pa.date32())),
    "m": (st.none() | st.decimals(-99, 99, places=2), _arrow(pa.decimal128(9, 2))),
    "c": (
        st.none() | st.sampled_from(["x", "y"]),
        lambda v: pd.Categorical(v, categories=["x", "y", "unused"]),
    ),
    "o": (st.none() | WORDS, _numpy("object")),
}
INDEXES = {
    "range": lambda rows: pd.RangeIndex(rows),
    "backwards": lambda rows: pd.Index(np.arange(rows)[::-1] * 2, name="label"),
    "repeated": lambda rows: pd.Index(np.arange(rows) // 3, name="i2"),
    "floats": lambda rows: pd.Index(np.arange(rows) / 2),
    "text": lambda rows: pd.Index([f"k{i % 4}" for i in range(rows)], dtype="str"),
    "times": lambda rows: pd.DatetimeIndex(
        pd.date_range("2020-01-01", periods=rows, unit="us", tz="UTC"), freq=None
    ),
}


@st.composite
def frames(draw, columns=tuple(COLUMNS)):
    """A frame of some columns (always ``i``) and cuts: partitions are empty, of one row, or longer."""
    rows = draw(st.integers(0, 14))
    chosen = [
        "i",
        *sorted(draw(st.sets(st.sampled_from([c for c in columns if c != "i"]), min_size=1, max_size=4))),
    ]
    data = {}
    for name in chosen:
        values, make = COLUMNS[name]
        data[name] = make(draw(st.lists(values, min_size=rows, max_size=rows)))
    frame = pd.DataFrame(data, index=INDEXES[draw(st.sampled_from(sorted(INDEXES)))](rows))
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=3)))
    return frame, [0, *cuts, rows]


def lazy(frame, cuts):
    parts = [frame.iloc[a:b] for a, b in zip(cuts, cuts[1:])]
    return dd.from_map(lambda i: parts[i], range(len(parts)), meta=frame.iloc[:0])


def outcome(call):
    try:
        return call(), None
    except Exception as error:
        return None, error


def check(case, frame, cuts, **options):
    """``case`` of the lazy frame gives what it gives of the frame itself, or fails as it does."""
    expected, error = outcome(lambda: case(frame))
    got, failed = outcome(lambda: case(lazy(frame, cuts)).compute())
    if error is not None:
        assert failed is not None, (error, got)
        return
    assert failed is None, failed
    if isinstance(expected, pd.DataFrame):
        tm.assert_frame_equal(got, expected, check_index_type="equiv" if len(expected) else False, **options)
    else:
        tm.assert_series_equal(got, expected, check_index_type="equiv" if len(expected) else False, **options)


def last(frame):
    return frame.columns[-1]


def _shuffled(frame, cuts):
    key = last(frame)
    parts = [part.compute() for part in lazy(frame, cuts).shuffle(key, npartitions=3).partitions]
    whole = pd.concat(parts)
    assert sorted(map(repr, whole.itertuples())) == sorted(map(repr, frame.itertuples()))
    assert whole.dtypes.tolist() == frame.dtypes.tolist()
    seen = [set(part[key].astype(object).map(lambda v: "missing" if pd.isna(v) else v)) for part in parts]
    assert sum(map(len, seen)) == len(set().union(*seen)), "a key is in two partitions"


def _same_rows(frame, cuts, ascending, position):
    key = last(frame)
    options = {"ascending": ascending, "na_position": position}
    expected, error = outcome(lambda: frame.sort_values(key, kind="stable", **options))
    got, failed = outcome(lambda: lazy(frame, cuts).sort_values(key, **options).compute())
    if error is not None or isinstance(failed, (TypeError, NotImplementedError)):
        assert failed is not None
        return
    assert failed is None, failed
    tm.assert_frame_equal(got, expected, check_index_type="equiv" if len(frame) else False)


def _indexed(frame, cuts):
    key = last(frame)
    if frame[key].isna().any() or len(frame) == 0 or frame[key].dtype == object:
        return
    expected, error = outcome(lambda: frame.set_index(key).sort_index(kind="stable"))
    if error is not None:
        return
    got = lazy(frame, cuts).set_index(key)
    assert not got.known_divisions or list(got.divisions) == sorted(got.divisions)
    tm.assert_frame_equal(got.compute(), expected, check_index_type=False)


def _reset(frame, cuts):
    for drop in (True, False):
        expected = pd.concat(
            [frame.iloc[a:b].reset_index(drop=drop) for a, b in zip(cuts, cuts[1:]) if b > a]
            or [frame.reset_index(drop=drop)]
        )
        got = lazy(frame, cuts).reset_index(drop=drop).compute()
        tm.assert_frame_equal(got, expected, check_index_type="equiv" if len(frame) else False)


def _ends(frame, cuts):
    got = lazy(frame, cuts).head(3, npartitions=-1, compute=False).compute()
    tm.assert_frame_equal(got, frame.head(3), check_index_type="equiv" if len(got) else False)


def _tail(frame, cuts):
    end = frame.iloc[cuts[-2] :]
    got = lazy(frame, cuts).tail(2)
    tm.assert_frame_equal(got, end.tail(2), check_index_type="equiv" if len(got) else False)


def _some(frame, cuts):
    got = lazy(frame, cuts).partitions[-1:].compute()
    tm.assert_frame_equal(got, frame.iloc[cuts[-2] :], check_index_type="equiv" if len(got) else False)


def _counted(frame, cuts):
    for key in frame.columns:
        expected = frame[key].value_counts()
        got = lazy(frame, cuts)[key].value_counts().compute()
        assert got.dtype == expected.dtype
        assert {str(k): v for k, v in got.items() if v} == {str(k): v for k, v in expected.items() if v}


def _length(frame, cuts):
    assert len(lazy(frame, cuts)) == len(frame)
    assert len(lazy(frame, cuts)[lazy(frame, cuts).i > 0]) == (frame.i > 0).sum()


def _joined(frame, cuts):
    key = last(frame)
    other = frame[[key, "i"]].rename(columns={"i": "j"})
    for how in ("inner", "left", "outer"):
        expected, error = outcome(lambda how=how: frame.merge(other, on=key, how=how))
        if error is not None:
            continue
        got = lazy(frame, cuts).merge(lazy(other, cuts), on=key, how=how).compute()
        assert sorted(map(repr, got.itertuples(index=False))) == sorted(
            map(repr, expected.itertuples(index=False))
        )


def _chosen(method):
    def run(frame, cuts):
        check(lambda f: getattr(f.i, method)(f.i > 0, 7), frame, cuts)
        # Whether integers make room for missing values shows in rows, of which there are none in an empty frame.
        if len(frame):
            check(lambda f: getattr(f[last(f)], method)(f.i > 0), frame, cuts)

    return run


def _many(*cases):
    def run(frame, cuts):
        for case in cases:
            check(case, frame, cuts)

    return run


STEPS = {
    "project": _many(lambda f: f[["i"]], lambda f: f[[last(f), "i"]]),
    "column": _many(lambda f: f[last(f)], lambda f: f.i),
    "assign": _many(
        lambda f: f.assign(new=f.i * 2), lambda f: f.assign(new=1), lambda f: f.assign(i=f[last(f)])
    ),
    "rename": _many(lambda f: f.rename(columns={"i": "ii"})),
    "rename_series": _many(lambda f: f.i.rename("other"), lambda f: f[last(f)].rename(3)),
    "to_frame": _many(lambda f: f.i.to_frame(), lambda f: f[last(f)].to_frame("x")),
    "table": _many(lambda f: f.isna(), lambda f: f[["i"]] + 1),
    "filter": _many(lambda f: f[f.i > 0], lambda f: f[last(f)][f.i > 0], lambda f: f[f[last(f)].isna()]),
    "fillna": _many(lambda f: f.fillna({"i": 0}), lambda f: f.i.fillna(1)),
    "astype": _many(
        lambda f: f.astype({"i": "float64"}), lambda f: f[last(f)].astype("str"), lambda f: f.i.astype("int8")
    ),
    "isin": _many(lambda f: f.i.isin([1, 2]), lambda f: f[last(f)].isin([])),
    "round": _many(lambda f: f.i.round(), lambda f: f[last(f)].round(1)),
    "between": _many(lambda f: f.i.between(-1, 2), lambda f: f.i.between(-1, 2, inclusive="left")),
    "clip": _many(lambda f: f.i.clip(-1, 2), lambda f: f[last(f)].clip(upper=1)),
    "where": _chosen("where"),
    "mask": _chosen("mask"),
    "concat": _many(lambda f: pd.concat([f, f]) if isinstance(f, pd.DataFrame) else dd.concat([f, f])),
    "reset_index": _reset,
    "head": _ends,
    "tail": _tail,
    "partitions": _some,
    "value_counts": _counted,
    "len": _length,
    "frame_memory": lambda frame, cuts: tm.assert_frame_equal(
        dd.from_pandas(frame, npartitions=2, sort=False).compute(), frame
    ),
    "frame_host": _many(lambda f: f.map_partitions(lambda p: p) if hasattr(f, "dask") else f),
    "frame_sort": lambda frame, cuts: [
        _same_rows(frame, cuts, up, at) for up, at in ((True, "last"), (False, "first"), (True, "first"))
    ],
    "frame_set_index": _indexed,
    "frame_shuffle": _shuffled,
    "frame_join": _joined,
}
#: Steps with tests of their own: one operation of many by name, readers, and halves of the steps above.
ELSEWHERE = {
    "unary binary dt text reduce groupby frame_kernels": "test_kernels.py",
    "csv": "test_read_csv.py",
    "parquet": "test_parquet.py",
    "frame_boundaries frame_scatter frame_range": "test_sort.py",
    "filled": "test_group_rows.py",
    "frame_from_portable frame_layers_from_portable": "test_pickle.py",
}
#: What tells of an expression and makes none.
ABOUT = (
    "estimated_rows explain graph keys kind known_rows lane name npartitions schema space take_promotions"
).split()


def test_every_step_has_a_case():
    found = {name for name in dir(FrameExpr) if not name.startswith("__")} - set(ABOUT)
    found |= {name for name in dir(weft._weft) if name.startswith("frame_")}
    known = set(STEPS) | {name for names in ELSEWHERE for name in names.split()}
    assert found - known == set()
    assert set(STEPS) - found == set()
    here = os.path.dirname(__file__)
    assert all(os.path.exists(os.path.join(here, name)) for name in ELSEWHERE.values())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STEPS)
@SETTINGS
@given(frames())
def test_a_step_is_what_pandas_does(name, made):
    STEPS[name](*made)
