"""`weft.delayed` as its users see it: rows DL of the walkthroughs."""

import copy
import dataclasses
import functools
import operator
import pickle
import threading
import weakref
from collections import namedtuple

import cloudpickle
import pytest
import weft
from weft import delayed
from weft.delayed import Delayed, DelayedAttr, DelayedLeaf


def inc(x):
    return x + 1


def add(x, y):
    return x + y


@dataclasses.dataclass
class Settings:
    low: object
    high: object = 0


Point = namedtuple("Point", ["x", "y"])


def test_a_call_is_lazy_and_says_its_name():
    ran = []
    lazy = delayed(ran.append)(1)
    assert ran == []
    assert repr(delayed(inc)(1)).startswith("Delayed('inc-")
    lazy.compute()
    assert ran == [1]


def test_decorators_with_and_without_arguments():
    @delayed
    def plain(x):
        """Doc."""
        return x

    @delayed(pure=True, nout=2)
    def pair(x):
        return x, x + 1

    assert plain.__name__ == "plain"
    assert plain.__doc__ == "Doc."
    assert plain.__wrapped__(3) == 3
    a, b = pair(1)
    assert weft.compute(a, b) == (1, 2)
    assert pair(1).key == pair(1).key
    assert plain(1).key != plain(1).key


def test_methods_of_classes_can_be_delayed():
    class Counter:
        step = 10

        @delayed
        def after(self, x):
            return self.step + x

    assert Counter().after(1).compute() == 11


@pytest.mark.parametrize(
    "op",
    [
        operator.add,
        operator.sub,
        operator.mul,
        operator.floordiv,
        operator.truediv,
        operator.mod,
        operator.pow,
    ]
    + [operator.lshift, operator.rshift, operator.and_, operator.or_, operator.xor]
    + [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, divmod],
)
def test_binary_operators_on_either_side(op):
    assert op(delayed(7), 2).compute() == op(7, 2)
    assert op(7, delayed(2)).compute() == op(7, 2)
    assert op(delayed(7), delayed(2)).compute() == op(7, 2)


def test_unary_operators_matmul_and_indexing():
    class Matrix:
        def __matmul__(self, other):
            return ("left", other)

        def __rmatmul__(self, other):
            return ("right", other)

    assert [f(delayed(-3)).compute() for f in (abs, operator.neg, operator.pos, operator.invert)] == [
        3,
        3,
        -3,
        2,
    ]
    assert (delayed(Matrix()) @ 2).compute() == ("left", 2)
    assert (2 @ delayed(Matrix())).compute() == ("right", 2)
    rows = delayed([[1, 2, 3], [4, 5, 6]])
    assert rows[1][delayed(0) : 2].compute() == [4, 5]


def test_operators_are_pure():
    x = delayed(1)
    assert (x + 1).key == (x + 1).key
    assert (x + 1).key != (x + 2).key
    assert x.real.key == x.real.key


def test_attributes_and_methods_chain():
    assert delayed("a b c").split()[0].upper().compute() == "A"
    assert delayed(3 + 4j).imag.compute() == 4
    method = delayed("a,b").split
    assert isinstance(method, DelayedAttr)
    assert method(",", pure=True).key == method(",", pure=True).key
    assert method(",").key != method(",").key
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        delayed("text").nothing().compute()


def test_calling_a_lazy_function():
    assert delayed(lambda: inc)()(4).compute() == 5
    assert delayed([inc])[0](4, dask_key_name="five").key == "five"
    assert delayed(lambda: add)()(1, y=2).compute() == 3


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda x: [x, [x]], [2, [2]]),
        (lambda x: (x, 1), (2, 1)),
        (lambda x: {x, 3}, {2, 3}),
        (lambda x: frozenset({x}), frozenset({2})),
        (lambda x: {"a": x, "b": {"c": [x]}}, {"a": 2, "b": {"c": [2]}}),
        (lambda x: {x: "value"}, {2: "value"}),
        (lambda x: slice(x, None, x), slice(2, None, 2)),
        (lambda x: Settings(x, [x]), Settings(2, [2])),
        (lambda x: Point(x, y=0), Point(2, 0)),
        (lambda x: iter([x, 1]), [2, 1]),
        (lambda x: iter((x, 1)), (2, 1)),
    ],
)
def test_lazy_values_inside_arguments(make, expected):
    """SC-18."""
    result = delayed(lambda a, *, b: (a, b))(make(delayed(inc)(1)), b=make(delayed(inc)(1))).compute()
    assert result == (expected, expected)
    assert type(result[0]) is type(expected)
    assert delayed(make(delayed(inc)(1))).compute() == expected


def test_plain_containers_are_passed_as_they_are():
    items = [1, {"a": (2,)}]
    assert delayed(lambda x: x is items)(items).compute()
    assert delayed(items, traverse=False).compute() is items


def test_traverse_false_does_not_look_inside():
    x = delayed(1)
    (inside,) = delayed([x], traverse=False).compute()
    assert inside is x


def test_dataclasses_that_cannot_be_rebuilt_say_so():
    @dataclasses.dataclass
    class Hidden:
        x: object
        y: object = dataclasses.field(init=False)

        def __post_init__(self):
            self.y = 1

    with pytest.raises(ValueError, match="init=False"):
        delayed(inc)(Hidden(delayed(1)))


def test_names():
    """DL-08."""
    assert delayed(inc)(1, dask_key_name="mine").key == "mine"
    assert delayed(inc)(1, dask_key_name=("mine", 0)).key == ("mine", 0)
    assert delayed([1, 2], name="list").key == "list"
    with pytest.raises(TypeError, match="key"):
        delayed(inc)(1, dask_key_name=object())
    pure = delayed(inc, pure=True)
    assert pure(1).key == pure(1).key != pure(2).key
    assert pure(1, pure=False).key != pure(1).key
    with weft.config.set(delayed_pure=True):
        assert delayed(inc)(1).key == delayed(inc)(1).key
    assert delayed(inc)(1).key != delayed(inc)(1).key


def test_equal_pure_calls_run_once():
    """SC-14."""
    calls = []

    @delayed(pure=True)
    def once(x):
        calls.append(x)
        return x

    assert weft.compute(once(1), once(1) + 1) == (1, 2)
    assert calls == [1]


def test_nout():
    pair = delayed(divmod, nout=2)(7, 2)
    assert len(pair) == 2
    assert weft.compute(*pair) == (3, 1)
    assert list(delayed(tuple, nout=0)()) == []
    with pytest.raises(TypeError, match="unspecified length"):
        iter(delayed(inc)(1))
    with pytest.raises(TypeError, match="unspecified length"):
        len(delayed(inc)(1))
    for wrong in (-1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="nout"):
            delayed(divmod, nout=wrong)


def test_what_a_lazy_value_cannot_do():
    x = delayed(inc)(1)
    with pytest.raises(TypeError, match="Truth"):
        bool(x)
    with pytest.raises(TypeError, match="immutable"):
        x.attribute = 1
    with pytest.raises(TypeError, match="immutable"):
        x[0] = 1
    with pytest.raises(AttributeError):
        x._private  # noqa: B018
    with pytest.raises(TypeError):
        1 in x  # noqa: B015
    with pytest.warns(UserWarning, match="visualize"):
        x.visualise  # noqa: B018


def test_constants_are_shared_and_not_copied():
    """DL-09."""
    table = list(range(100))
    model = delayed(table)
    assert delayed(model) is model
    assert delayed(lambda a, b: a is b is table)(model, model).compute()
    assert len(dict(delayed(add)(model, model).dask)) == 2


def test_functions_of_all_kinds():
    """DL-10, DL-14, DL-20."""
    offset = 5
    assert delayed(lambda x: x + offset)(1).compute() == 6
    assert delayed(functools.partial(add, y=3))(1).compute() == 4
    assert delayed(max)([1, -3], key=lambda x: -x).compute() == -3
    assert delayed(Settings)(1, high=delayed(inc)(1)).high.compute() == 2
    assert delayed(str.upper)("a").compute() == "A"


def test_unpicklable_functions_and_values_run_on_threads():
    lock = threading.Lock()
    assert delayed(lambda x: x is lock)(lock).compute(scheduler="threads")


def test_exceptions_keep_type_message_and_traceback():
    """SC-17."""
    import traceback

    def divide(x):
        return 1 / x

    for scheduler in ("sync", "threads"):
        with pytest.raises(ZeroDivisionError, match="division") as caught:
            delayed(inc)(delayed(divide)(0)).compute(scheduler=scheduler)
        assert "return 1 / x" in "".join(traceback.format_tb(caught.value.__traceback__))


def test_shapes_of_graphs():
    """DL-05, DL-18, DL-19."""
    parts = [delayed(inc)(i) for i in range(8)]
    total = sum(parts)
    assert total.compute() == 36
    while len(parts) > 1:
        parts = [delayed(add)(a, b) for a, b in zip(parts[::2], parts[1::2])]
    assert parts[0].compute() == 36
    assert len(parts[0].dask) == 15
    assert set(dict(parts[0].dask)) == set(parts[0].dask.keys())
    assert parts[0].key in parts[0].dask
    assert "nothing" not in parts[0].dask


def test_a_call_with_many_arguments_and_a_long_chain():
    many = delayed(sum)([delayed(inc)(i) for i in range(20_000)])
    assert many.compute() == sum(range(1, 20_001))
    lazy = delayed(inc)(0)
    for _ in range(100_000):
        lazy = delayed(inc)(lazy)
    assert lazy.compute() == 100_001
    copied = pickle.loads(pickle.dumps(lazy))
    assert copied.key == lazy.key
    del lazy, copied


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_pickling(dumps):
    base = delayed(inc)(1)
    for lazy in [
        base,
        delayed(dict)(base=[base, {"k": base}]),
        base + 1,
        base.real,
        delayed(inc),
        delayed([1, base]),
    ]:
        again = pickle.loads(dumps(lazy))
        assert type(again) is type(lazy)
        assert again.key == lazy.key
        if not isinstance(lazy, DelayedLeaf):
            assert again.compute() == lazy.compute()
    local = delayed(lambda x: x * 3)(base)
    assert pickle.loads(cloudpickle.dumps(local)).compute() == 6
    assert copy.deepcopy(base).compute() == copy.copy(base).compute() == 2


def test_identity():
    x = delayed(inc)(1)
    assert hash(x) == hash(x.key)
    assert weft.base.tokenize(x) == weft.base.tokenize(pickle.loads(pickle.dumps(x)))
    reference = weakref.ref(x)
    assert reference() is x


def test_made_by_hand_from_a_graph():
    x = Delayed("b", {"a": 1, "b": (inc, "a")})
    assert x.compute() == 2
    assert (x + 1).compute() == 3
    with pytest.raises(KeyError, match="missing"):
        Delayed("missing", {"a": 1}).compute()


def test_other_collections_as_arguments():
    from tests.delayed._collection import Pair

    pair = Pair({"p": (inc, 0), "q": (inc, 1)}, ["p", "q"])
    assert delayed(sum)(pair).compute() == 3
    assert delayed(lambda d: d["pair"])({"pair": pair}).compute() == (1, 2)
    assert delayed(pair).compute() == (1, 2)
