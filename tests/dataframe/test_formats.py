"""Databases, ORC and HDF5, and what libraries add to collections."""

import pandas as pd
import pytest
import weft.dataframe as dd
from weft.dataframe.utils import assert_eq

FRAME = pd.DataFrame(
    {"name": list("abcdefg"), "x": [1.5, None, 2, 3, 4, 5, 6]}, index=pd.Index(range(0, 14, 2), name="id")
)


@pytest.fixture
def uri(tmp_path):
    pytest.importorskip("sqlalchemy")
    return f"sqlite:///{tmp_path / 'data.db'}"


@pytest.mark.parametrize("parallel", [False, True])
def test_tables_of_databases(uri, parallel):
    dd.from_pandas(FRAME, npartitions=3).to_sql("t", uri, parallel=parallel)
    df = dd.read_sql_table("t", uri, index_col="id", npartitions=3)
    assert df.divisions == (0, 4, 8, 12)
    assert_eq(df, FRAME)
    assert_eq(dd.read_sql_table("t", uri, "id", columns=["x"], divisions=[0, 6, 12]), FRAME[["x"]])
    with pytest.raises(ValueError, match="already exists"):
        dd.from_pandas(FRAME, npartitions=1).to_sql("t", uri)


def test_queries(uri):
    import sqlalchemy as sa

    dd.from_pandas(FRAME, npartitions=2).to_sql("t", uri)
    query = (
        sa.select(sa.column("id"), sa.column("name")).select_from(sa.table("t")).where(sa.column("id") > 3)
    )
    assert_eq(dd.read_sql(query, uri, index_col="id", npartitions=2), FRAME.loc[4:, ["name"]])
    with pytest.raises(ValueError, match=r"sqlalchemy\.select"):
        dd.read_sql_query("select * from t", uri, index_col="id")


@pytest.mark.parametrize("columns", [None, ["x"]])
def test_orc(tmp_path, columns):
    dd.from_pandas(FRAME, npartitions=2).to_orc(tmp_path)
    df = dd.read_orc(tmp_path, columns=columns, index="id")
    assert df.npartitions == 2
    assert_eq(df, FRAME if columns is None else FRAME[columns])


@pytest.mark.parametrize("place", [("all.h5", "/t"), ("part-*.h5", "/t"), ("all.h5", "/t*")], ids=str)
def test_hdf(tmp_path, place):
    pytest.importorskip("tables")
    path, key = str(tmp_path / place[0]), place[1]
    frame = FRAME[["x"]]
    dd.from_pandas(frame, npartitions=3).to_hdf(path, key)
    assert_eq(dd.read_hdf(path, key, chunksize=2), frame, check_divisions=False)


def test_accessors_of_libraries():
    @dd.extensions.register_series_accessor("twice")
    class Twice:
        def __init__(self, series):
            self.series = series

        def sum(self):
            return self.series.sum() * 2

    try:
        assert dd.from_pandas(FRAME, npartitions=2).x.twice.sum().compute() == FRAME.x.sum() * 2
        with pytest.warns(UserWarning, match="overriding"):
            dd.extensions.register_series_accessor("twice")(Twice)
    finally:
        del dd.Series.twice


def test_text_methods_of_pandas():
    s = pd.Series(["a-b", "c", None], index=[3, 1, 2])
    lazy = dd.from_pandas(s, npartitions=2, sort=False)
    assert_eq(lazy.str.split("-", n=1, expand=True), s.str.split("-", n=1, expand=True))
    assert_eq(lazy.str.cat(lazy.str.upper(), sep="."), s.str.cat(s.str.upper(), sep="."))
    assert lazy.str.cat(sep="|").compute() == s.str.cat(sep="|")
    with pytest.raises(NotImplementedError, match="n="):
        lazy.str.split("-", expand=True)


def test_categories_are_found_in_the_data():
    s = dd.from_pandas(pd.Series(list("abca")), npartitions=2).astype("category")
    assert not s.cat.known
    known = s.cat.as_known()
    assert known.cat.known and known.cat.categories.tolist() == ["a", "b", "c"]
    assert known.cat.codes.compute().tolist() == [0, 1, 2, 0]
    with pytest.raises(NotImplementedError, match="as_known"):
        s.cat.codes  # noqa: B018
