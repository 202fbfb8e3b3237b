"""Frames handed to other libraries, shown in notebooks, measured and drawn."""

import warnings

import pandas as pd
import pandas.testing as tm
import polars as pl
import pyarrow as pa
import weft.dataframe as dd

FRAME = pd.DataFrame({"x": [1, 2, 3, 4], "f": [0.5, None, 1.5, 2.5], "s": ["a", None, "ß", "d"]})


def test_the_interchange_protocol():
    frame = dd.from_pandas(FRAME, npartitions=2).__dataframe__()
    assert (frame.num_columns(), frame.num_rows(), frame.num_chunks()) == (3, 4, 2)
    assert list(frame.column_names()) == ["x", "f", "s"]
    column = frame.get_column_by_name("f")
    assert (column.size(), column.null_count, column.num_chunks(), column.offset) == (4, 1, 2, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = [c.dtype for c in FRAME.__dataframe__().get_columns()]
        whole = pd.concat([pd.api.interchange.from_dataframe(part) for part in frame.get_chunks()])
    assert [c.dtype for c in frame.get_columns()] == kinds
    assert frame.get_columns()[0].dtype()[0] == kinds[0][0]
    tm.assert_frame_equal(whole.reset_index(drop=True), FRAME)
    assert list(frame.select_columns([2, 0]).column_names()) == ["s", "x"]


def test_arrow_and_polars_read_frames_a_partition_at_a_time():
    df = dd.from_pandas(FRAME, npartitions=3)
    table = pa.table(df)
    assert table.num_rows == 4
    assert table.column("s").to_pylist() == ["a", None, "ß", "d"]
    assert pl.DataFrame(df).get_column("x").to_list() == [1, 2, 3, 4]


def test_notebooks_show_columns_dtypes_and_divisions():
    df = dd.from_pandas(FRAME, npartitions=2)
    shown = df._repr_html_()
    assert "<table" in shown
    for word in ("npartitions=2", "int64", "float64", "str", "<th>x</th>"):
        assert word in shown
    assert "int64" in df.x._repr_html_()


def test_a_plot_is_that_of_the_values():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    df = dd.from_pandas(FRAME, npartitions=2)
    try:
        lines = df.x.compute().plot().get_lines()
        assert lines[0].get_ydata().tolist() == [1, 2, 3, 4]
    finally:
        plt.close("all")


def test_isinstance_holds_for_every_frame():
    df = dd.from_pandas(FRAME, npartitions=2)
    assert isinstance(df, dd.DataFrame)
    assert isinstance(df[df.x > 1], dd.DataFrame)
    assert isinstance(df.x, dd.Series)
    assert isinstance(df.index, dd.Index)
    assert not isinstance(df, dd.Series)


def test_steps_are_measured_and_drawn(tmp_path):
    df = dd.from_pandas(FRAME, npartitions=2)
    steps = df.map_partitions(lambda part: part.assign(y=1), meta=FRAME.assign(y=1))
    assert steps.analyze(tmp_path / "steps.dot") is None
    text = (tmp_path / "steps.dot").read_text()
    for word in ("2 tasks", "4 rows", "lambda"):
        assert word in text
    df.x.sum().analyze(str(tmp_path / "sum"), format="svg")
    assert "<svg" in (tmp_path / "sum.svg").read_text()
