"""Lines of JSON that become dataframes: as pandas reads them, and as bags of dicts give them."""

import gzip
import io
import json
import warnings

import pandas as pd
import pytest
import weft.bag as db
import weft.dataframe as dd
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.dataframe.io import _json_lines

KINDS = {
    "int": st.integers(-(10**15), 10**15),
    "big": st.integers(-(2**63), 2**64 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False, width=64),
    "whole": st.integers(-1000, 1000).map(float),
    "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "digits": st.sampled_from(["1", "2.5", " 3 ", "nan", "-inf"]),
    "bool": st.booleans(),
    "nested": st.sampled_from([[1, 2.5, "x"], {"a": {"b": []}}, [], {}]),
    "date": st.sampled_from(["2024-01-02", "2024-02-03T04:05:06", "no date"]),
    "null": st.none(),
}
NAMES = ["a", "b c", "é", 'k"q', "1", "date", "x_at", "timestamp", "modified"]


@st.composite
def records(draw, kinds):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    columns = {}
    for name in names:
        values = KINDS[draw(st.sampled_from(sorted(kinds)))]
        if draw(st.integers(0, 5)) == 0:
            values = values | KINDS[draw(st.sampled_from(sorted(kinds)))]
        columns[name] = (values, draw(st.booleans()) and draw(st.booleans()))
    rows = []
    for _ in range(draw(st.integers(1, 8))):
        row = {}
        for name, (values, gaps) in columns.items():
            if not (gaps and draw(st.booleans())):
                row[name] = draw(values)
        rows.append(row)
    return rows


def as_lines(rows, ascii=False):
    return "".join(json.dumps(row, ensure_ascii=ascii) + "\n" for row in rows)


def outcome(call):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(), None
    except Exception as error:
        return None, type(error)


@settings(max_examples=300, deadline=None)
@given(records(KINDS), st.booleans())
def test_what_pandas_reads(rows, ascii):
    data = as_lines(rows, ascii).encode()
    expected, failure = outcome(lambda: pd.read_json(io.BytesIO(data), lines=True))
    found, own_failure = outcome(lambda: _json_lines.read(data))
    if found is None and own_failure is None:
        return  # left to pandas
    assert own_failure == failure
    if failure is None:
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


@settings(max_examples=100, deadline=None)
@given(records(set(KINDS) - {"date"}), st.data())
def test_what_a_bag_of_dicts_gives(tmp_path_factory, rows, data):
    path = tmp_path_factory.mktemp("json") / "rows.json"
    path.write_text(as_lines(rows), encoding="utf-8")
    columns = data.draw(st.none() | st.permutations(sorted(rows[0])) if rows[0] else st.none())
    bag = db.read_text(str(path)).map(json.loads)
    plain = db.from_sequence(rows, npartitions=1)
    expected, failure = outcome(lambda: plain.to_dataframe(columns=columns).compute(scheduler="sync"))
    found, own_failure = outcome(lambda: bag.to_dataframe(columns=columns).compute(scheduler="sync"))
    assert own_failure == failure
    if failure is None:
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_columns_that_are_read_in_rust():
    rows = [{"i": 1, "f": 1.5, "b": True, "s": "x"}, {"i": 2, "f": 2, "b": False, "s": None}]
    frame = _json_lines.read(as_lines(rows).encode())
    assert frame.dtypes.astype(str).to_dict() == {"i": "int64", "f": "float64", "b": "bool", "s": "str"}
    assert frame.s.isna().tolist() == [False, True]


def test_blocks_hold_every_line_once(tmp_path):
    rows = [{"n": i, "name": f"name {i}"} for i in range(1000)]
    (tmp_path / "rows.json").write_text(as_lines(rows))
    with gzip.open(tmp_path / "rows.json.gz", "wt") as file:
        file.write(as_lines(rows))
    for blocksize in (100, 1001, "4kB", 10**6):
        frame = dd.read_json(tmp_path / "rows.json", lines=True, blocksize=blocksize)
        assert frame.n.compute(scheduler="sync").tolist() == list(range(1000))
    frame = dd.read_json(tmp_path / "rows.json.gz", lines=True)
    assert frame.name.compute(scheduler="sync").tolist() == [row["name"] for row in rows]


@pytest.mark.parametrize("text", ['{"a": 1}\n{"a": }\n', '{"a": 1}\n[1]\n', '{"a": 1} {"a": 2}\n'])
def test_what_is_no_line_of_json(tmp_path, text):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(Exception) as expected:
        pd.read_json(tmp_path / "bad.json", lines=True)
    with pytest.raises(type(expected.value)):
        dd.read_json(tmp_path / "bad.json", lines=True).compute(scheduler="sync")
    (tmp_path / "good.json").write_text('{"a": 1}\n')
    good = dd.read_json(tmp_path / "good.json", lines=True)
    assert good.a.sum().compute(scheduler="sync") == 1


def test_a_value_of_another_type_in_a_bag(tmp_path):
    (tmp_path / "rows.json").write_text('{"a": 1}\n{"a": "x"}\n')
    with pytest.raises(ValueError, match="invalid literal for int"):
        db.read_text(str(tmp_path / "rows.json")).map(json.loads).to_dataframe().compute(scheduler="sync")


def test_a_stream_that_was_read_from(tmp_path):
    (tmp_path / "rows.json").write_text('{"a": 1}\n{"a": 2}\n')
    rows = db.read_text(str(tmp_path / "rows.json")).map(json.loads)

    def skip(part):
        next(part)
        return part

    meta = pd.DataFrame({"a": [1]})
    assert rows.map_partitions(skip).to_dataframe(meta=meta).a.compute(scheduler="sync").tolist() == [2]
