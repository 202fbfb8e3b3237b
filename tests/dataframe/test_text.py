"""Text: letters beyond ASCII, and ``string[pyarrow]`` where the setting asks for it."""

import unicodedata

import pandas as pd
import pandas.testing as tm
import pyarrow.parquet as pq
import pytest
import weft
import weft.dataframe as dd
from weft.delayed import delayed


@pytest.mark.parametrize("method", ["upper", "lower", "capitalize", "strip", "lstrip", "rstrip"])
def test_every_letter_as_pandas_has_it(method):
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    text = pd.Series(letters, dtype="str")
    expected = getattr(text.str, method)()
    got = getattr(dd.from_pandas(text, npartitions=1).str, method)()
    assert "native" in got.explain().splitlines()[0]
    got = got.compute()
    # Letters that are newer than this Python's tables come and go with the versions of the libraries.
    known = [
        all(unicodedata.category(c) != "Cn" for c in letter + mine + theirs)
        for letter, mine, theirs in zip(letters, got, expected)
    ]
    tm.assert_series_equal(got[known], expected[known])
    assert sum(known) > 280_000


def test_words_of_several_letters():
    text = pd.Series(["ΑΣ ΟΔΟΣ", "straße", "ǆ ŉ ﬃ", "İı", None, ""], dtype="str")
    df = dd.from_pandas(text, npartitions=2)
    for method in ("upper", "lower", "capitalize"):
        tm.assert_series_equal(getattr(df.str, method)().compute(), getattr(text.str, method)())


@pytest.fixture
def files(tmp_path):
    frame = pd.DataFrame({"s": ["a", None, "ß"], "x": [1, 2, 3]}, index=pd.Index(["i", "j", "k"], name="ix"))
    frame.to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    return frame, tmp_path


READERS = {
    "from_pandas": lambda frame, path: dd.from_pandas(frame, npartitions=2),
    "from_map": lambda frame, path: dd.from_map(lambda _: frame, [0]),
    "from_delayed": lambda frame, path: dd.from_delayed([delayed(frame)]),
    "from_dict": lambda frame, path: dd.from_dict({"s": ["a", None], "x": [1, 2]}, npartitions=1),
    "read_csv": lambda frame, path: dd.read_csv(path / "a.csv"),
    "read_parquet": lambda frame, path: dd.read_parquet(path / "a.parquet"),
    "read_csv by pandas": lambda frame, path: dd.read_csv(path / "a.csv", skipfooter=0, engine="python"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("setting", [None, True, False])
def test_the_setting_convert_string(reader, setting, files):
    frame, path = files
    with weft.config.set({"dataframe.convert-string": setting}):
        df = READERS[reader](frame, path)
        got = df.compute()
    wanted = pd.StringDtype("pyarrow") if setting else pd.Series(["a"]).dtype
    assert got.s.dtype == wanted
    assert df._meta.s.dtype == wanted
    assert got.x.dtype == "int64"
    if got.index.name == "ix":
        assert got.index.dtype == df._meta.index.dtype == wanted
    assert got.s.iloc[0] == "a"
    assert pd.isna(got.s.iloc[1])


def test_object_columns_are_text_where_asked_for():
    frame = pd.DataFrame({"o": pd.Series(["a", 1, None], dtype=object)})
    assert dd.from_pandas(frame, npartitions=1).o.dtype == object
    with weft.config.set({"dataframe.convert-string": True}):
        got = dd.from_pandas(frame, npartitions=1).compute()
    tm.assert_frame_equal(got, frame.astype("string"))


def test_columns_of_string_stay_native(tmp_path):
    frame = pd.DataFrame({"s": pd.array(["b", None, "a", "a"], dtype="string"), "x": range(4)})
    df = dd.from_pandas(frame, npartitions=2)
    kept = df[df.x > 0]
    assert "fallback" not in kept.explain()
    tm.assert_frame_equal(kept.compute(), frame[frame.x > 0])
    tm.assert_series_equal((df.s == "a").compute(), frame.s == "a")
    tm.assert_series_equal(df.s.str.upper().compute(), frame.s.str.upper())
    tm.assert_series_equal(df.s.value_counts().compute().sort_index(), frame.s.value_counts().sort_index())
    tm.assert_frame_equal(df.groupby("s").x.sum().to_frame().compute(), frame.groupby("s").x.sum().to_frame())
    got = df.merge(df, on="s").compute()
    assert sorted(got.x_x) == sorted(frame.merge(frame, on="s").x_x)
    df.to_parquet(tmp_path)
    back = dd.read_parquet(tmp_path)
    tm.assert_frame_equal(back.compute(), frame)
    assert pq.read_table(tmp_path).num_rows == 4
