"""Made-up data: the same for the same seed, whatever part of it is asked for."""

import sys

import pandas as pd
import pytest
import weft
import weft.dataframe as dd
from weft.dataframe.io.demo import (
    ColumnSpec,
    DatasetSpec,
    DatetimeIndexSpec,
    RangeIndexSpec,
    make_timeseries,
    with_spec,
)

MONTH = {"end": "2000-01-04", "freq": "1h"}


def test_timeseries():
    df = weft.datasets.timeseries(**MONTH, seed=1)
    assert isinstance(df, dd.DataFrame)
    assert df.npartitions == 3
    assert df.divisions == tuple(pd.date_range("2000-01-01", "2000-01-04"))
    pdf = df.compute()
    assert len(pdf) == 72 and pdf.index.name == "timestamp"
    assert pdf.index.is_monotonic_increasing and pdf.index.is_unique
    assert pdf.index[-1] < pd.Timestamp("2000-01-04")
    assert {k: str(v) for k, v in pdf.dtypes.items()} == {
        "name": "str",
        "id": "int64",
        "x": "float64",
        "y": "float64",
    }
    assert pdf.x.between(-1, 1).all() and pdf.id.between(800, 1200).all()
    pd.testing.assert_series_equal(df.dtypes, pdf.dtypes)


def test_seed_and_parts():
    a, b = (weft.datasets.timeseries(**MONTH, seed=3) for _ in range(2))
    assert a._name == b._name
    pdf = a.compute()
    pd.testing.assert_frame_equal(pdf, b.compute())
    pd.testing.assert_frame_equal(a[["x"]].compute(), pdf[["x"]])
    pd.testing.assert_frame_equal(a.get_partition(1).compute(), pdf.loc["2000-01-02"])
    other = weft.datasets.timeseries(**MONTH, seed=4)
    assert other._name != a._name and not other.compute().x.equals(pdf.x)
    # A column does not depend on the others.
    alone = weft.datasets.timeseries(**MONTH, seed=3, dtypes={"x": float})
    pd.testing.assert_series_equal(alone.x.compute(), pdf.x)


def test_without_seed():
    df, other = (weft.datasets.timeseries(**MONTH) for _ in range(2))
    pd.testing.assert_frame_equal(df.head(), df.head())
    assert not df.x.compute().equals(other.x.compute())


def test_arguments_of_columns():
    df = make_timeseries(
        "2000", "2001", {"A_B": int, "C": "category"}, "1D", "6ME", seed=1, A_B_lam=5
    ).compute()
    assert 3 < df.A_B.mean() < 7
    assert df.C.dtype == "category" and df.C.nunique() == 26


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"dtypes": {"when": "datetime64[ns]"}}, "'when'.*datetime64"),
        ({"start": "2001", "end": "2000"}, "end must be after start"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        weft.datasets.timeseries(**kwargs)


def test_with_spec():
    spec = DatasetSpec(
        npartitions=3,
        nrecords=10,
        index_spec=RangeIndexSpec(step=2),
        column_specs=[
            ColumnSpec(dtype=int, number=2),
            ColumnSpec(dtype=int),
            ColumnSpec(prefix="r", dtype="int32", low=5, high=7, random=True),
            ColumnSpec(prefix="c", dtype="category", nunique=10),
            ColumnSpec(prefix="s", dtype=str, length=15, random=True),
        ],
    )
    df = with_spec(spec, seed=42)
    assert list(df.columns) == ["int1", "int2", "int3", "r1", "c1", "s1"] and df.npartitions == 3
    pdf = df.compute()
    assert list(pdf.index) == list(range(0, 20, 2))
    assert pdf.r1.dtype == "int32" and set(pdf.r1) <= {5, 6}
    assert list(pdf.c1.cat.categories) == [f"{i:02d}" for i in range(1, 11)]
    assert set(pdf.s1.str.len()) == {15}
    hours = DatasetSpec(
        nrecords=30, index_spec=DatetimeIndexSpec(start="2023-01-02", freq="1h", partition_freq="1D")
    )
    pdf = with_spec(hours, seed=1).compute()
    assert len(pdf) == 30 and pdf.index.dtype.kind == "M" and list(pdf.columns) == ["i1", "f1", "c1", "s1"]


def test_make_people_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "mimesis", None)
    with pytest.raises(ImportError, match="python -m pip install mimesis"):
        weft.datasets.make_people()


def test_make_people():
    pytest.importorskip("mimesis")
    people = weft.datasets.make_people(npartitions=3, records_per_partition=4, seed=7)
    assert people.count().compute(scheduler="sync") == 12
    first = people.take(2)
    assert set(first[0]) == {"age", "name", "occupation", "telephone", "address", "credit-card"}
    again = weft.datasets.make_people(npartitions=3, records_per_partition=4, seed=7)
    assert again.compute(scheduler="sync") == people.compute(scheduler="sync")
    other = weft.datasets.make_people(npartitions=3, records_per_partition=4, seed=8)
    assert other.take(2) != first
