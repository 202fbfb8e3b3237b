"""Rows as blocks of arrays, and blocks as rows."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import weft.array as da
import weft.dataframe as dd
from weft.dataframe.utils import assert_eq

FRAME = pd.DataFrame({"x": range(7), "y": np.arange(7) / 2})


@pytest.fixture
def df():
    return dd.from_pandas(FRAME, npartitions=3)


def test_values_of_frames_are_arrays(df):
    array = df.to_dask_array(lengths=True)
    assert array.shape == (7, 2) and array.chunks[0] == (3, 2, 2)
    np.testing.assert_array_equal(array.compute(), FRAME.to_numpy())
    assert np.isnan(df.values.shape[0])
    assert float(df.y.values.sum().compute()) == FRAME.y.sum()


def test_arrays_are_frames(df):
    x = da.arange(14, chunks=6).reshape(7, 2)
    table = dd.from_dask_array(x, columns=["a", "b"])
    assert_eq(table, pd.DataFrame(np.arange(14).reshape(7, 2), columns=["a", "b"]))
    assert table.known_divisions
    series = dd.from_array(da.ones(5, chunks=2), columns="one")
    assert series.divisions == (0, 2, 4, 4)
    assert_eq(series, pd.Series(np.ones(5), name="one"))


def test_arrays_as_operands_and_columns(df):
    x = da.from_array(np.arange(7), chunks=((3, 2, 2),))
    assert_eq(df.x + x, FRAME.x * 2)
    assert_eq(x - df.x, FRAME.x * 0)
    assert_eq(df.assign(z=x), FRAME.assign(z=np.arange(7)))
    assert_eq(df.loc[x > 3], FRAME.loc[FRAME.x > 3])


def test_functions_that_give_blocks(df):
    result = df.map_partitions(np.asarray)
    assert isinstance(result, da.Array)
    np.testing.assert_array_equal(result.compute(), FRAME.to_numpy())
    assert isinstance(da.sinc(df.x), da.Array)


def test_records(df):
    expected = FRAME.to_records()
    assert (df.to_records(lengths=True).compute() == expected).all()


def test_a_frame_is_a_stream_of_arrow(df):
    assert pa.table(df).to_pandas().equals(FRAME)


def test_shared_delayed_work_is_done_once():
    from weft.delayed import delayed

    calls = []

    def load():
        calls.append(1)
        return FRAME

    whole = delayed(load)()
    df = dd.from_delayed([whole.iloc[:3], whole.iloc[3:]], meta=FRAME)
    assert_eq(df, FRAME)
    assert df.x.sum().compute(scheduler="sync") == 21
    calls.clear()
    df.compute(scheduler="sync")
    assert len(calls) == 1
