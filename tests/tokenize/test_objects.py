"""Tokens of objects, functions, classes and other libraries' values, and the ways to say what a token is made of."""

import collections
import dataclasses
import enum
import functools
import operator
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import types
import zoneinfo
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import weft
import weft.utils
from weft.tokenize import TokenizationError, normalize_token, tokenize


@pytest.fixture(autouse=True)
def strict():
    with weft.config.set({"tokenize.ensure-deterministic": True}):
        yield


def distinct(*values):
    tokens = [tokenize(v) for v in values]
    assert len(set(tokens)) == len(tokens)
    assert tokens == [tokenize(v) for v in values]


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


class Names:
    def __init__(self, names):
        self.names = set(names)


@dataclasses.dataclass
class Row:
    a: int
    b: object = None


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Number(int):
    pass


Pair = collections.namedtuple("Pair", "a b")


def module_function(x):
    return x


def test_instances_by_content():
    distinct(Point(1, 2), Point(2, 1), Point(1, [2]), Names("ab"), Names("abc"), Row(1), Row(2), Row(1, 1))
    assert tokenize(Point(1, [2])) == tokenize(Point(1, [2]))
    assert tokenize(Row(1, {"a"})) == tokenize(Row(1, {"a"}))


def test_identity_does_not_show():
    shared, text = [1, 2], "".join(["a", "b"])
    assert tokenize(Point(shared, shared)) == tokenize(Point([1, 2], [1, 2]))
    assert tokenize(Point(text, text)) == tokenize(Point("ab", "".join(["a", "b"])))


def test_subclasses_of_builtins_are_themselves():
    distinct(Number(1), 1, True, Pair(1, 2), (1, 2), Color.RED, Color.BLUE)
    ordered = collections.OrderedDict
    distinct({"a": 1, "b": 2}, ordered(a=1, b=2), ordered(b=2, a=1), collections.Counter(a=1, b=2))
    assert tokenize(collections.Counter("ab")) == tokenize(collections.Counter("ba"))


def test_a_subclass_of_a_builtin_may_say_what_it_is():
    class Tagged(list):
        def __dask_tokenize__(self):
            return "tagged"

    assert tokenize(Tagged([1])) == tokenize(Tagged([2]))


def test_standard_values():
    utc, rome = zoneinfo.ZoneInfo("UTC"), zoneinfo.ZoneInfo("Europe/Rome")
    distinct(utc, rome, Path("a"), Path("b"), operator.add, operator.mul, len, str.join, "x".join, "y".join)
    distinct(range(3), range(0, 6, 2), slice(3), slice(0, 3), types.MappingProxyType({"a": 1}), {"a": 1})
    distinct(functools.partial(max, 1), functools.partial(max, 2), functools.partial(min, 1))
    distinct(memoryview(b"abcd"), memoryview(b"abcd")[::2], memoryview(b"abcd").cast("B", (2, 2)), b"abcd")


def test_functions():
    def add(n):
        return lambda x: x + n

    distinct(
        add(1), add(2), module_function, lambda x: x, lambda x, y=1: x, lambda x, y=2: x, Point, Row, Color
    )
    assert tokenize(add(1)) == tokenize(add(1))
    point = Point(1, 2)
    distinct(point.__init__, Point(1, 3).__init__, Point.__init__)


def test_a_function_that_calls_itself():
    def countdown(n):
        return n and countdown(n - 1)

    assert tokenize(countdown) == tokenize(countdown)


def test_local_classes():
    def make(n):
        class Local:
            size = n

            def method(self):
                return __class__

            @property
            def double(self):
                return 2 * n

        return Local

    distinct(make(1), make(2))
    assert tokenize(make(1)) == tokenize(make(1))
    assert tokenize(make(1)()) == tokenize(make(1)())


MAIN = """
import dataclasses, enum, sys
from weft.tokenize import tokenize
factor = 2
def double(x): return x * factor
class A:
    names = {"p", "q", "r", "s"}
    def f(self): return double(1)
@dataclasses.dataclass
class D:
    x: int = 1
class E(enum.Enum):
    P = 1
    Q = 2
class Holder:
    def __init__(self): self.names = {"a", "b", "c", "d"}
for value in [double, lambda x: x in {"u", "v", "w"}, A, A(), D, D(2), E, E.Q, Holder()]:
    print(tokenize(value, ensure_deterministic=True))
"""


def test_what_main_defines_has_the_same_token_in_another_process(tmp_path):
    tokens = []
    for i, seed in enumerate(["1", "2"]):
        directory = tmp_path / str(i)  # neither the hash seed nor the place counts
        directory.mkdir()
        (directory / "script.py").write_text(MAIN)
        env = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "script.py"], cwd=directory, env=env, capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 0, run.stderr
        tokens.append(run.stdout.split())
    assert tokens[0] == tokens[1]
    assert len(set(tokens[0])) == 9


def test_cycles():
    def loop(n):
        a = [n]
        a.append(a)
        return a

    assert tokenize(loop(1)) == tokenize(loop(1))
    a, b = [], []
    a.append(b)
    b.append(a)
    distinct(loop(1), loop(2), a)
    d = {}
    d["self"] = d
    p = Point(1, None)
    p.y = [p]
    distinct(d, p)


def test_shared_values_cost_once():
    x = [1]
    for _ in range(200):
        x = [x, x]
    tokenize(x)
    nodes = [Point(i, None) for i in range(60)]
    for node in nodes:
        node.y = nodes  # each reaches all
    assert tokenize(nodes) == tokenize(nodes)


def test_too_deep_is_an_error_with_a_remedy():
    x = []
    for _ in range(100_000):
        x = [x]
    with pytest.raises(RecursionError, match="500 levels"):
        tokenize(x)
    while x:  # taken apart by hand: the interpreter would recurse
        x = x[0]


def test_register_wins_over_the_method_and_counts_for_subclasses():
    class Base:
        def __dask_tokenize__(self):
            return id(self)

    class Child(Base):
        pass

    try:
        normalize_token.register(Base, lambda b: "base")
        assert tokenize(Child()) == tokenize(Child())
        normalize_token.register([Child], lambda b: "child")
        distinct(Base(), Child())
    finally:
        normalize_token._lookup.pop(Base, None)
        normalize_token._lookup.pop(Child, None)


def test_register_for_a_builtin():
    code = textwrap.dedent("""
        from weft.tokenize import normalize_token, tokenize
        assert tokenize(1) != tokenize(3)
        normalize_token.register(int, lambda n: ("odd" if n % 2 else "even"))
        assert tokenize([1]) == tokenize([3]) != tokenize([2])
        assert tokenize(True) != tokenize(1)
        import datetime, numpy
        normalize_token.register([datetime.date, numpy.ndarray], lambda x: "mine")
        assert tokenize(datetime.date(1, 1, 1)) == tokenize(datetime.date(2, 2, 2)) == tokenize(numpy.ones(3))
        assert tokenize(numpy.float64(1)) != tokenize(numpy.float64(2))
    """)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_dispatch_is_pickled_by_name():
    assert pickle.loads(pickle.dumps(normalize_token)) is normalize_token
    own = weft.utils.Dispatch("own")
    own.register(object, len)
    assert pickle.loads(pickle.dumps(own))("abc") == 3


def test_register_lazily(tmp_path):
    (tmp_path / "lazy_module.py").write_text("class Thing:\n    pass\n")
    code = textwrap.dedent("""
        from weft.tokenize import normalize_token, tokenize
        calls = []
        @normalize_token.register_lazy("lazy_module")
        def register():
            import lazy_module
            calls.append(1)
            normalize_token.register(lazy_module.Thing, lambda t: "thing")
        tokenize([1, "x"])
        assert not calls
        import lazy_module
        class Child(lazy_module.Thing): pass
        assert tokenize(Child()) == tokenize(lazy_module.Thing())
        assert calls == [1]
    """)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=tmp_path)


def test_no_deterministic_token():
    lock = threading.Lock()
    with pytest.raises(TokenizationError, match="cannot be deterministically hashed.*__dask_tokenize__"):
        tokenize([{"a": lock}])
    with pytest.raises(TokenizationError):
        tokenize(object())
    assert tokenize(lock, ensure_deterministic=False) != tokenize(lock, ensure_deterministic=False)
    with weft.config.set({"tokenize.ensure-deterministic": False}):
        thing = object()
        assert tokenize(thing) == tokenize(thing) != tokenize(object())
        with pytest.raises(TokenizationError):
            tokenize(lock, ensure_deterministic=True)


def test_the_outer_call_decides_what_is_deterministic():
    class Random:
        def __dask_tokenize__(self):
            return tokenize(object(), ensure_deterministic=False)

    with pytest.raises(TokenizationError):
        tokenize(Random(), ensure_deterministic=True)


def test_errors_of_normalizers_reach_the_caller():
    class Broken:
        def __dask_tokenize__(self):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        tokenize([Broken()])


def test_a_normalizer_that_changes_the_container():
    target = {}

    class Sneaky:
        def __dask_tokenize__(self):
            target[len(target)] = 1
            return "sneaky"

    target["s"] = Sneaky()
    tokenize(target)


def test_many_threads():
    value = {"rows": [Row(i, {"x", "y"}) for i in range(50)], "array": np.arange(1 << 16)}
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: tokenize(value), range(64)))) == 1


class Metres(np.ndarray):
    pass


def test_numpy_values():
    unit = np.dtype([("a", "i4"), ("b", "f4")])
    distinct(
        np.dtype("i4"), np.dtype(">i4"), unit, np.dtype([("c", "i4"), ("b", "f4")]), np.int32, np.sin, np.cos
    )
    masked = np.ma.masked_array([1, 2], mask=[True, False])
    distinct(
        masked,
        np.ma.masked_array([1, 2], mask=[False, True]),
        np.array([1, 2]),
        np.array([1, 2]).view(Metres),
    )
    words = np.array(["a", None, 1.5], dtype=object)
    assert tokenize(words) == tokenize(words.copy()) != tokenize(words[::-1])
    strings = np.array(["a" * 50, "b"], dtype=np.dtypes.StringDType())
    assert tokenize(strings) == tokenize(strings.copy()) != tokenize(strings[::-1])
    wide = np.array([1, 2], dtype=np.longdouble)
    assert tokenize(wide) == tokenize(np.array([1, 2], dtype=np.longdouble)) != tokenize(wide[::-1])
    for make in (np.random.default_rng, np.random.RandomState):
        distinct(make(1), make(2))
        one, other = make(1), make(1)
        assert tokenize(one) == tokenize(other)
        one.random()
        assert tokenize(one) != tokenize(other)


def test_memmap_is_its_content(tmp_path):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.arange(5))
    a, b = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "ab")
    assert tokenize(a) == tokenize(b) != tokenize(a[1:])


FRAME = {"i": [1, 2, 3], "f": [1.0, None, 3.0], "s": ["x", None, "z"]}


def test_frames_by_value():
    df = pd.DataFrame(FRAME)
    blocks = pd.DataFrame({"i": [1, 2, 3]}).assign(f=df.f, s=df.s)  # the same in other blocks
    pieces = pd.concat([df.iloc[:1], df.iloc[1:]])  # the same in other chunks
    assert tokenize(df) == tokenize(blocks) == tokenize(pieces.reset_index(drop=True))
    assert tokenize(df.iloc[1:]) == tokenize(df.iloc[1:].copy())
    distinct(
        df,
        df.iloc[:2],
        df.iloc[1:],
        df.rename(columns={"i": "j"}),
        df.set_index("i"),
        df.astype({"i": "f8"}),
        df.i,
    )
    distinct(df.i, df.i.rename("k"), df.i.index, df.i.to_numpy(), df.f, df.s)


@pytest.mark.parametrize(
    "array",
    [
        pd.array([1, None, 3], dtype="Int64"),
        pd.array([True, None, False], dtype="boolean"),
        pd.array(["a", None, "b"], dtype="string"),
        pd.array(["a", "b", "a"], dtype="category"),
        pd.array(["2000", "2001", "2003"], dtype="period[Y]"),
        pd.array(pd.to_datetime(["2000", "2001", None]).tz_localize("CET")),
        pd.arrays.SparseArray([0, 0, 1]),
        pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]),
        pd.array([[1], None, [2, 3]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    ],
    ids=lambda a: str(a.dtype),
)
def test_extension_arrays(array):
    series = pd.Series(array)
    assert tokenize(series) == tokenize(series.copy(deep=True))
    distinct(series, series[:2], series[1:], series[::-1], array, array.dtype)


def test_what_lies_under_a_missing_value_does_not_count():
    one = pd.arrays.IntegerArray(np.array([1, 7]), np.array([False, True]))
    other = pd.arrays.IntegerArray(np.array([1, 8]), np.array([False, True]))
    assert tokenize(one) == tokenize(other)


ARROW = [
    pa.array([1, None, 3, 4]),
    pa.array([1.5, 2.5, None, 3.5]),
    pa.array(["a", None, "", "d"]),
    pa.array([b"a", None, b"", b"d"], pa.large_binary()),
    pa.array(["a", None, "long enough to be outside the view", "d"], pa.string_view()),
    pa.array([True, None, False, True]),
    pa.array([[1], None, [], [2, 3]]),
    pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int8(), 2)),
    pa.array([{"a": 1}, None, {"a": 2}, {"a": None}]),
    pa.array(["a", "b", None, "a"]).dictionary_encode(),
    pa.array([1, None, 3, 4], pa.timestamp("us", "UTC")),
    pa.array([1, None, 3, 4], pa.date32()),
    pa.array([1, None, 3, 4], pa.time32("s")),
    pa.array([1, None, 3, 4], pa.duration("s")),
    pa.array([1, None, 3, 4]).cast(pa.decimal128(24, 2)),
    pa.array([b"ab", None, b"cd", b"ef"], pa.binary(2)),
    pa.array([[("k", 1)], None, [], [("l", 2)]], pa.map_(pa.string(), pa.int64())),
    pa.array([1.5, None, 2.5, 3.5], pa.float16()),
    pa.nulls(4),
]


@pytest.mark.parametrize("array", ARROW, ids=lambda a: str(a.type))
def test_arrow_by_value(array):
    again = pa.array(array.to_pylist(), type=array.type)
    if not pa.types.is_dictionary(array.type):  # a dictionary's order is part of it
        assert tokenize(array[1:]) == tokenize(pa.array(array[1:].to_pylist(), type=array.type))
    assert tokenize(array) == tokenize(again)
    whole = pa.chunked_array([array])
    assert tokenize(whole) == tokenize(pa.chunked_array([array[:1], array[1:]]))
    assert tokenize(pa.table({"x": array})) != tokenize(pa.table({"y": array}))
    if not pa.types.is_null(array.type):
        distinct(array, array[:2], array[2:], pa.array(array.to_pylist()[::-1], type=array.type), whole)
    assert tokenize(array) != tokenize(array[:3])


def test_sparse_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    for form in ("csr", "csc", "coo", "dok", "lil", "bsr"):
        a = sparse.random(10, 8, 0.3, random_state=0).asformat(form)
        b = a.copy()
        assert tokenize(a) == tokenize(b)
        b = b.tolil()
        b[3, 3] = 7
        assert tokenize(a) != tokenize(b.asformat(form))
