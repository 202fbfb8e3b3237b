"""Input that is not what it should be: the error says where and what, and nothing half written is left."""

import contextlib
import re

import numpy as np
import pandas as pd
import pytest
import weft
import weft.dataframe as dd
from weft.delayed import delayed


@contextlib.contextmanager
def says(error, *words):
    """An error whose text has all these words."""
    with pytest.raises(error) as caught:
        yield
    text = f"{caught.value} {getattr(caught.value, '__notes__', '')}"
    for word in words:
        assert re.search(word, text), f"{word!r} is not in: {text}"


def write(path, text):
    path.write_text(text)
    return str(path)


# -- CSV ------------------------------------------------------------------------------------------


def test_a_ragged_row_names_file_and_line(tmp_path):
    path = write(tmp_path / "ragged.csv", "a,b\n1,2\n3,4,5\n6,7\n")
    with says(Exception, "ragged.csv", "line 3|row 3", "2", "3"):
        dd.read_csv(path).compute()


def test_a_ragged_row_beyond_the_sample(tmp_path):
    rows = "".join(f"{i},{i}\n" for i in range(2000))
    path = write(tmp_path / "late.csv", f"a,b\n{rows}1,2,3\n")
    with says(Exception, "late.csv", "2002"):
        dd.read_csv(path, sample=256, blocksize=4000).compute()


def test_text_among_numbers_names_file_column_and_block(tmp_path):
    rows = "".join(f"{i}\n" for i in range(2000))
    path = write(tmp_path / "words.csv", f"amount\n{rows}oops\n")
    with says(Exception, "words.csv", "amount", "partition|block", "int64"):
        dd.read_csv(path, sample=256, blocksize=4000).compute()


def test_a_bad_date_names_file_and_column(tmp_path):
    rows = "2020-01-01\n" * 2000
    path = write(tmp_path / "dates.csv", f"day\n{rows}2020-13-45\n")
    with says(Exception, "dates.csv", "day"):
        dd.read_csv(path, sample=256, parse_dates=["day"], blocksize=4000).compute()


def test_another_header_names_both_files(tmp_path):
    write(tmp_path / "1.csv", "a,b\n1,2\n")
    write(tmp_path / "2.csv", "a,c\n1,2\n")
    with says(ValueError, "1.csv", "2.csv", "b", "c"):
        dd.read_csv(str(tmp_path / "*.csv")).compute()


# -- other files ----------------------------------------------------------------------------------


@pytest.fixture
def frame():
    return pd.DataFrame({"x": [1, 2, 3, 4], "s": list("abcd")})


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_an_orc_file_cut_short_is_named(frame, tmp_path):
    dd.from_pandas(frame, npartitions=2).to_orc(tmp_path / "data")
    cut(tmp_path / "data" / "part.1.orc")
    with says(ValueError, "part.1.orc"):
        dd.read_orc(tmp_path / "data").compute()


def test_orc_files_that_disagree_are_named(frame, tmp_path):
    dd.from_pandas(frame, npartitions=1).to_orc(tmp_path / "a", write_index=False)
    dd.from_pandas(frame[["s"]], npartitions=1).to_orc(tmp_path / "b", write_index=False)
    with says(ValueError, "b/part.0.orc", "a/part.0.orc"):
        dd.read_orc([str(tmp_path / "a" / "part.0.orc"), str(tmp_path / "b" / "part.0.orc")])


def test_a_column_that_no_file_has_is_named(frame, tmp_path):
    dd.from_pandas(frame, npartitions=1).to_orc(tmp_path)
    with says(ValueError, "nope", "part.0.orc"):
        dd.read_orc(tmp_path, columns=["x", "nope"])


def test_a_parquet_file_cut_short_is_named(frame, tmp_path):
    dd.from_pandas(frame, npartitions=2).to_parquet(tmp_path / "data")
    cut(tmp_path / "data" / "part.1.parquet")
    with says(Exception, "part.1.parquet"):
        dd.read_parquet(tmp_path / "data").compute()


def test_a_table_and_a_database_that_do_not_exist(tmp_path):
    pytest.importorskip("sqlalchemy")
    with says(Exception, "nope"):
        dd.read_sql_table("nope", f"sqlite:///{tmp_path / 'empty.db'}", index_col="id")
    with says(TypeError, "con"):
        dd.read_sql_table("nope", object(), index_col="id")


# -- writing --------------------------------------------------------------------------------------


class Unwritable:
    """A value that no format can hold."""

    def __str__(self):
        raise RuntimeError("cannot be written")

    __repr__ = __str__


WRITERS = {
    "csv": lambda df, path: df.to_csv(f"{path}/*.csv"),
    "one csv": lambda df, path: df.to_csv(f"{path}/all.csv", single_file=True),
    "json": lambda df, path: df.to_json(f"{path}/*.json", default_handler=str),
    "orc": lambda df, path: df.to_orc(path),
}


@pytest.mark.parametrize("form", WRITERS)
def test_a_failed_write_leaves_no_file_of_its_own(form, tmp_path):
    frame = pd.DataFrame({"x": ["fine", "fine", "fine", Unwritable()]}, dtype=object)
    df = dd.from_pandas(frame, npartitions=2)
    # One task at a time, so that no other is still writing when the error is raised.
    with (
        weft.config.set(scheduler="sync"),
        pytest.raises(Exception, match="cannot be written|convert|Unwritable"),
    ):
        WRITERS[form](df, str(tmp_path))
    left = [path.name for path in tmp_path.iterdir()]
    # Whole files of other partitions may be there; no hidden partial one, and not the one that failed.
    assert not [name for name in left if "partial" in name or "1" in name or "all" in name], left


def test_files_that_exist_are_refused_or_replaced_whole(tmp_path):
    df = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=1)
    path = str(tmp_path / "all.csv")
    df.to_csv(path, single_file=True, index=False)
    with says(FileExistsError, "all.csv"):
        df.to_csv(path, single_file=True, mode="x")
    df.to_csv(path, single_file=True, index=False, mode="a", header=False)
    assert pd.read_csv(path).x.tolist() == [1, 2, 1, 2]


# -- divisions and indexes ------------------------------------------------------------------------


def test_divisions_out_of_order_are_refused():
    parts = [delayed(pd.DataFrame)({"x": [i]}, index=[i]) for i in range(2)]
    meta = pd.DataFrame({"x": [1]})
    with says(ValueError, "3", "5", "order"):
        dd.from_delayed(parts, meta=meta, divisions=(5, 3, 9))
    with says(ValueError, "3 elements"):
        dd.from_delayed(parts, meta=meta, divisions=(5, 9))
    with says(ValueError, "3", "5", "order"):
        dd.from_map(lambda i: pd.DataFrame({"x": [i]}), [0, 1], meta=meta, divisions=(5, 3, 9))


def test_labels_outside_their_divisions_are_found():
    frames = [pd.DataFrame({"x": [1]}, index=[7]), pd.DataFrame({"x": [2]}, index=[8])]
    df = dd.from_map(lambda i: frames[i], [0, 1], meta=frames[0], divisions=(0, 5, 9))
    with says(RuntimeError, "partition 0", "7", "5"):
        df.enforce_runtime_divisions().compute()


def test_unsorted_rows_given_as_sorted_name_column_and_partition():
    df = dd.from_pandas(pd.DataFrame({"k": [3, 1, 2, 0], "x": range(4)}), npartitions=2)
    with says(ValueError, "'k'", "Partition 0"):
        df.set_index("k", sorted=True).compute()


def test_merge_asof_of_unsorted_keys_names_column_and_side():
    left = dd.from_pandas(pd.DataFrame({"t": [5, 1, 3, 2], "l": range(4)}), npartitions=2)
    right = dd.from_pandas(pd.DataFrame({"t": [1, 2, 3, 4], "r": range(4)}), npartitions=2)
    with says(ValueError, "sorted", "'t'", "left", "partition"):
        dd.merge_asof(left, right, on="t").compute()


def test_partitions_that_do_not_belong_together_are_counted():
    a = dd.from_pandas(pd.Series(range(9), name="x"), npartitions=3).clear_divisions()
    b = dd.from_pandas(pd.Series(range(9), name="x"), npartitions=2).clear_divisions()
    with says(ValueError, "3", "2", "divisions"):
        a + b


def test_a_list_as_condition_is_refused():
    df = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=2)
    with says(ValueError, "aligned"):
        df.where([[True], [False]])


# -- arrays ---------------------------------------------------------------------------------------


def test_arrays_that_do_not_fit_rows():
    import weft.array as da

    df = dd.from_pandas(pd.DataFrame({"x": range(6)}), npartitions=2)
    with says(ValueError, "3 blocks", "2 partitions"):
        df.assign(y=da.from_array(np.arange(6), chunks=2))
    with says(ValueError, "1-D", "2 axes", "'y'"):
        df.assign(y=da.ones((6, 2), chunks=(3, 2)))
    with says(ValueError, "2 names", "3 columns"):
        dd.from_dask_array(da.ones((6, 3), chunks=(3, 3)), columns=["a", "b"])
    with says(ValueError, "4 != 2"):
        df.to_dask_array(lengths=[1, 2, 3, 4])


# -- functions of users ---------------------------------------------------------------------------


def test_other_columns_than_promised_are_listed():
    df = dd.from_pandas(pd.DataFrame({"x": range(4)}), npartitions=2)
    with says(ValueError, "Extra.*z", "Missing.*y", "grow"):

        def grow(part):
            return part.assign(z=1)

        df.map_partitions(grow, meta={"x": "int64", "y": "int64"}).compute()
