"""Functions of JSON objects that Rust runs on their text: they give what Python gives."""

import json
import math
import operator

import pytest
import weft.bag as db
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.bag._programs import program

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.sampled_from(["x", "", "a\\b", 'q"']),
    st.lists(st.integers(0, 2), max_size=2),
    st.fixed_dictionaries({"b": st.integers(-3, 3) | st.text(max_size=2)}),
)
RECORDS = st.lists(
    st.fixed_dictionaries({"a": VALUES}, optional={"k": st.sampled_from("xyz"), "é": VALUES}), max_size=8
)

FUNCTIONS = {
    "field": lambda r: r["a"],
    "unicode": lambda r: r["é"],
    "not": lambda r: not r["a"],
    "greater": lambda r: r["a"] > 1,
    "less": lambda r: 2.5 <= r["a"],
    "equal": lambda r: r["a"] == "x",
    "unequal": lambda r: r["a"] != 3,
    "none": lambda r: r["a"] == None,  # noqa: E711
    "nested": lambda r: r["a"]["b"] == 1,
    "sum": lambda r: r["a"] + 2 * r["a"],
    "difference": lambda r: r["a"] - 0.5,
    "getter": operator.itemgetter("a"),
    "constant": lambda r: 1,
    "negated": lambda r: not (r["a"] * 3 > 4),
}


def outcome(call):
    try:
        return call(), None
    except Exception as error:
        return None, (type(error), str(error))


def same(a, b):
    return repr(a) == repr(b)


def lines(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("programs") / "records.json"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return db.read_text(str(path)).map(json.loads)


@settings(max_examples=150, deadline=None)
@given(RECORDS, st.sampled_from(sorted(FUNCTIONS)), st.sampled_from(sorted(FUNCTIONS)))
def test_steps(tmp_path_factory, records, first, second):
    keep, make = FUNCTIONS[first], FUNCTIONS[second]
    assert program(keep, "element") is not None
    bag = lines(tmp_path_factory, records)
    plain = [json.loads(json.dumps(r)) for r in records]

    for lazy, expected in [
        (bag.filter(keep), lambda: list(filter(keep, plain))),
        (bag.remove(keep), lambda: [r for r in plain if not keep(r)]),
        (bag.map(make), lambda: list(map(make, plain))),
        (bag.filter(keep).map(make), lambda: [make(r) for r in plain if keep(r)]),
        (bag.pluck("a").frequencies(), lambda: list(counted(r["a"] for r in plain).items())),
        (bag.filter(keep).count(), lambda: sum(1 for r in plain if keep(r))),
        (bag.map(make).count(), lambda: len([make(r) for r in plain])),
    ]:
        want, failure = outcome(expected)
        got, own = outcome(lambda: lazy.compute(scheduler="sync"))  # noqa: B023
        assert own == failure
        assert same(got, want)


def counted(values):
    counts = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


@settings(max_examples=150, deadline=None)
@given(RECORDS, st.sampled_from([0, 0.0, 1, 2**60]), st.sampled_from(["k", "a"]))
def test_folds(tmp_path_factory, records, initial, key):
    def add(total, record):
        return total + record["a"]

    plain = [json.loads(json.dumps(r)) for r in records]

    def expected():
        totals = {}
        for record in plain:
            kind = record[key]
            totals[kind] = add(totals.get(kind, initial), record)
        return list(totals.items())

    want, failure = outcome(expected)
    bag = lines(tmp_path_factory, records)
    got, own = outcome(lambda: bag.foldby(key, add, initial).compute(scheduler="sync"))
    assert (own and own[0]) == (failure and failure[0])
    if failure is None:
        # The sum of one partition is combined with nothing else.
        assert same(got, want) or all(math.isclose(a[1], b[1]) for a, b in zip(got, want, strict=True))


LIMIT = 3


@pytest.mark.parametrize(
    "func",
    [
        lambda r: r,
        lambda r: len(r["a"]),
        lambda r: r["a"] in (1, 2),
        lambda r: r["a"] and r["b"],
        lambda r: r["a"][0],
        lambda r: r["a"] > LIMIT,
        lambda r: (r["a"], r["b"]),
        lambda r, s=1: r["a"],
        lambda *r: r["a"],
        lambda r: [x for x in r["a"]],
        lambda r: r["a"] / 2,
        lambda r: r + 1,
        lambda r: (yield r["a"]),
        operator.itemgetter("a", "b"),
        operator.itemgetter(0),
        str.lower,
    ],
)
def test_functions_without_a_program(func):
    assert program(func, "element") is None


def test_a_closure_has_no_program():
    limit = 3
    assert program(lambda r: r["a"] > limit, "element") is None


def test_what_is_no_object_raises_as_python_does(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1}\n{"a": [1,,2]}\n')
    bag = db.read_text(str(tmp_path / "x.json")).map(json.loads)
    for lazy in (bag.filter(lambda r: r["a"] == 1), bag.pluck("a"), bag.foldby("a", lambda t, r: t + 1, 0)):
        with pytest.raises(json.JSONDecodeError, match="Expecting value"):
            lazy.compute(scheduler="sync")
    (tmp_path / "y.json").write_text('{"a": 1}\n[1]\n')
    with pytest.raises(TypeError, match="list indices"):
        db.read_text(str(tmp_path / "y.json")).map(json.loads).pluck("a").compute(scheduler="sync")


def test_the_last_of_equal_keys_counts(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1, "a": 2}\n{"a": 1, "\\u0061": 3}\n')
    bag = db.read_text(str(tmp_path / "x.json")).map(json.loads)
    assert bag.pluck("a").compute(scheduler="sync") == [2, 3]
