"""Expressions know what they look like before anything runs; mistakes are told when they are made."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import weft.dataframe as dd
from weft.dataframe.utils import make_meta, meta_nonempty


@pytest.fixture
def df():
    return dd.from_pandas(
        pd.DataFrame({"a": [1, 2, 3, 4], "b": list("xyzw"), "c": [1.5, np.nan, 3, 4]}), npartitions=2
    )


def test_structure(df):
    assert df.columns.tolist() == ["a", "b", "c"]
    assert df.dtypes.astype(str).tolist() == ["int64", "str", "float64"]
    assert df.npartitions == 2
    assert df.divisions == (0, 2, 3)
    assert df.known_divisions
    assert df.ndim == 2
    assert df.a.ndim == 1
    assert df.a.name == "a"
    assert (df.a / 2).dtype == "float64"
    assert (df.a > 1).dtype == "bool"
    assert isinstance(df, dd.DataFrame)
    assert isinstance(df.a, dd.Series)
    assert isinstance(df.index, dd.Index)
    assert isinstance(df.a.sum(), dd.Scalar)
    assert {"a", "b", "c"} <= set(dir(df))
    assert df._ipython_key_completions_() == ["a", "b", "c"]
    assert "a" in df


def test_repr_shows_the_structure(df):
    text = repr(df)
    assert text.startswith("Weft DataFrame Structure:")
    assert "npartitions=2" in text
    assert "int64" in text
    assert "..." in text
    assert "<table" in df._repr_html_()
    assert "dtype=int64" in repr(df.a.sum())


def test_equal_expressions_have_equal_names(df):
    assert (df.a + 1)._name == (df.a + 1)._name
    assert (df.a + 1)._name != (df.a + 2)._name
    f = lambda part: part
    assert df.map_partitions(f)._name == df.map_partitions(f)._name


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda df: df["zz"], KeyError, "zz"),
        (lambda df: df.zz, AttributeError, "zz"),
        (lambda df: df[["a", "zz"]], KeyError, "zz"),
        (lambda df: df.groupby("zz"), KeyError, "zz"),
        (lambda df: df.groupby("a").zz, AttributeError, "zz"),
        (lambda df: df.groupby("a")["zz"].sum(), KeyError, "zz"),
        (lambda df: df.drop(columns="zz"), KeyError, "zz"),
        (lambda df: df.a.dt, AttributeError, "dt"),
        (lambda df: df.a.str, AttributeError, "str"),
        (lambda df: df.b.str.no_such_method, AttributeError, "no_such_method"),
        (lambda df: df.assign(x=[1, 2, 3, 4]), TypeError, "'x'"),
        (lambda df: bool(df), ValueError, "ambiguous"),
        (lambda df: df.iloc[0], NotImplementedError, "iloc"),
        (lambda df: df.get_partition(2), ValueError, "n must be"),
        (lambda df: df.map_partitions(lambda part: part.zz), ValueError, "Metadata inference failed"),
        (lambda df: df.head(npartitions=3), ValueError, "only 2 partitions"),
        (lambda df: df.dropna(inplace=True), NotImplementedError, "inplace"),
    ],
)
def test_mistakes_are_told_when_they_are_made(df, make, error, message):
    with pytest.raises(error, match=message):
        make(df)


def test_setting_through_loc_is_refused(df):
    with pytest.raises(TypeError, match=r"\.loc"):
        df.loc[0, "a"] = 1


def test_meta_inference_error_names_the_remedy(df):
    with pytest.raises(ValueError, match="meta="):
        df.map_partitions(lambda part: part.no_such_column)


def test_make_meta():
    pd.testing.assert_frame_equal(
        make_meta({"a": "int64", "b": "str"}),
        pd.DataFrame({"a": pd.Series([], dtype="int64"), "b": pd.Series([], dtype="str")}),
    )
    assert make_meta(("x", "f8")).name == "x"
    assert make_meta([("a", "i4")]).dtypes.tolist() == [np.dtype("i4")]
    assert make_meta("f8") == 1.0


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "int8",
        "uint64",
        "float32",
        "datetime64[s]",
        "datetime64[ns, UTC]",
        "timedelta64[ms]",
        "str",
        "string",
        "Int64",
        "boolean",
        "category",
        "object",
        "period[D]",
        "interval[int64]",
    ],
)
def test_meta_nonempty_keeps_the_dtype(dtype):
    series = pd.Series([], dtype=dtype, name="x")
    assert meta_nonempty(series).dtype == series.dtype
    assert len(meta_nonempty(series.to_frame())) == 2


def test_without_pandas_the_extra_is_named():
    code = """
import sys
sys.modules["pandas"] = None
try:
    import weft.dataframe
except ImportError as error:
    assert 'pip install "weft[dataframe]"' in str(error), error
else:
    raise AssertionError("imported")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_functions_of_steps_can_be_pickled():
    from weft.dataframe._call import Call

    call = Call(max, ([1, 5],), {})
    assert pickle.loads(pickle.dumps(call))(0) == 5
