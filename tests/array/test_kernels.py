"""Native steps on arrays give NumPy's values and dtypes, whatever the dtype, the layout and the blocks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft._engine import execute
from weft._weft import ArrayExpr, array_lower_many

NUMBERS = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
]
UNARY = """negative positive absolute fabs sign square reciprocal sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan
arcsin arccos arctan sinh cosh tanh floor ceil trunc rint degrees radians isnan isinf isfinite signbit logical_not
invert""".split()
BINARY = """add subtract multiply divide floor_divide remainder power minimum maximum fmin fmax arctan2 hypot copysign
equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor bitwise_and bitwise_or
bitwise_xor""".split()


def flat(keys):
    return [key for part in keys for key in flat(part)] if isinstance(keys, list) else [keys]


def compute(*exprs):
    graph, nested = array_lower_many(list(exprs))
    keys = [flat(k) for k in nested]
    values = dict(zip(sum(keys, []), execute(graph, sum(keys, []))))

    def fill(part):
        return [fill(p) for p in part] if isinstance(part, list) else values[part]

    return [fill(k)[0] if e.ndim == 0 else np.block(fill(k)) for e, k in zip(exprs, nested)]


def sample(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "f":
        special = rng.choice([0.0, -0.0, 1.0, -1.0, 2.5, np.nan, np.inf, -np.inf], shape)
        return np.where(rng.random(shape) < 0.3, special, rng.normal(size=shape) * 5).astype(dtype)
    if kind == "b":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.5, rng.integers(0, 5, shape, dtype=dtype), values)


def cut(x, chunks, token=None):
    return ArrayExpr.buffer(x, chunks, str(x.dtype), token=token or str(x.tobytes()), name="x")


def loop(ufunc, *dtypes):
    """The dtypes that NumPy computes in and gives, or None."""
    try:
        found = ufunc.resolve_dtypes((*dtypes, None))
    except TypeError:
        return None
    return found if len(set(found[:-1])) == 1 else None


def same(got, expected, signs=True):
    assert got.dtype == expected.dtype
    rtol = {"float32": 2e-6, "float64": 1e-14}.get(str(expected.dtype), 0)
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=0)
    if expected.dtype.kind == "f" and signs:
        zero = expected == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one(name, dtype):
    ufunc = getattr(np, name)
    x = sample(dtype, (7, 9))
    found = loop(ufunc, x.dtype)
    if found is None or found[0] == np.float16:
        return
    e = cut(x, ((4, 3), (9,)))
    try:
        native = ArrayExpr.elementwise(name, [e], str(found[0]), str(found[1]))
    except NotImplementedError:
        assert found[0].kind != "f", "floats have all of them"
        return
    with np.errstate(all="ignore"):
        same(compute(native)[0], ufunc(x))


@pytest.mark.parametrize(
    "dtypes",
    [(d, d) for d in NUMBERS]
    + [("int8", "float32"), ("uint8", "int16"), ("bool", "int32"), ("int64", "float32")],
)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two(name, dtypes):
    ufunc = getattr(np, name)
    x, y = sample(dtypes[0], (5, 8)), sample(dtypes[1], (5, 8), seed=1)
    found = loop(ufunc, x.dtype, y.dtype)
    if found is None or found[0] == np.float16:
        return
    try:
        native = ArrayExpr.elementwise(
            name, [cut(x, ((5,), (3, 5))), cut(y, ((5,), (3, 5)))], str(found[0]), str(found[-1])
        )
    except NotImplementedError:
        assert found[0].kind != "f" or name == "divide", "floats have all of them"
        return
    with np.errstate(all="ignore"):
        # Which of two zeros is the smaller depends on the processor, in NumPy too.
        same(compute(native)[0], ufunc(x, y), signs=name not in ("minimum", "maximum", "fmin", "fmax"))


@pytest.mark.parametrize("to", NUMBERS)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_conversions(dtype, to):
    x = sample(dtype, (6, 5))
    if np.dtype(dtype).kind == "f" and np.dtype(to).kind in "iu":
        # What does not fit is not defined, not even between NumPy's own versions.
        x = np.clip(
            np.nan_to_num(x, posinf=9, neginf=0), 0 if np.dtype(to).kind == "u" else -100, 100
        ).astype(dtype)
    [got] = compute(cut(x, ((3, 3), (5,))).astype(to))
    with np.errstate(all="ignore"):
        same(got, x.astype(to))


def test_where_clip_and_powers():
    x, y = sample("float64", (6, 6)), sample("float64", (6, 6), 1)
    c = sample("bool", (6, 1))
    grid = ((2, 4), (6,))
    e, f = cut(x, grid), cut(y, grid)
    where = ArrayExpr.elementwise("where", [cut(c, ((2, 4), (1,))), e, 0.5], "float64", "float64")
    clip = ArrayExpr.elementwise("clip", [f, -1, 2], "float64", "float64")
    powers = [ArrayExpr.elementwise("power", [e, p], "float64", "float64") for p in (2, 0.5, -1, 3, 1)]
    got = compute(where, clip, *powers)
    same(got[0], np.where(c, x, 0.5))
    same(got[1], np.clip(y, -1, 2))
    with np.errstate(all="ignore"):
        for power, value in zip((2, 0.5, -1, 3, 1), got[2:]):
            same(value, x**power)


REDUCTIONS = ["sum", "prod", "min", "max", "any", "all", "mean", "var", "std"]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_reductions(name, dtype, axis):
    x = sample(dtype, (7, 6, 5))
    if np.dtype(dtype).kind == "f":
        x = np.nan_to_num(x, posinf=3, neginf=-2)
    e = cut(x, ((3, 4), (2, 2, 2), (5,)))
    for keepdims in (False, True):
        expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
        try:
            native = e.reduce(name, list(axis), str(expected.dtype), keepdims=keepdims)
        except NotImplementedError:
            assert (
                name in ("mean", "var", "std", "min", "max")
                and dtype == "bool"
                or expected.dtype == np.float16
            )
            return
        [got] = compute(native)
        assert got.dtype == expected.dtype and got.shape == expected.shape
        rtol = 1e-5 if expected.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-9 if expected.dtype.kind == "f" else 0)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("name", ["nansum", "nanprod", "nanmin", "nanmax", "nanmean", "nanvar", "nanstd"])
@pytest.mark.parametrize("axis", [(0,), (1,), (0, 1)])
def test_missing_values_are_left_out(name, axis):
    x = np.where(np.arange(40).reshape(8, 5) % 3 == 0, np.nan, np.arange(40.0).reshape(8, 5) / 7)
    x[:, 2] = np.nan
    [got] = compute(cut(x, ((3, 5), (5,))).reduce(name[3:], list(axis), "float64", skip_nan=True))
    np.testing.assert_allclose(got, getattr(np, name)(x, axis=axis), rtol=1e-13)


def test_nan_and_infinity_stay():
    x = np.array([1.0, np.nan, 2.0, np.inf, -np.inf, 5.0])
    for part in (x, x[3:4], x[[0, 3]], x[3:5]):
        e = cut(part, ((1,) * len(part),))
        for name in ("sum", "min", "max", "mean"):
            with np.errstate(all="ignore"):
                np.testing.assert_array_equal(
                    compute(e.reduce(name, [0], "float64"))[0], getattr(np, name)(part)
                )


def test_sums_are_as_accurate_as_pairwise_ones():
    x = np.full(1_000_003, 0.1)
    x[::2] *= 1e8
    exact = math.fsum(x)
    [got] = compute(cut(x, ((1_000_003,),), "long").reduce("sum", [0], "float64"))
    assert abs(got - exact) <= abs(np.sum(x) - exact) + np.spacing(exact)


def test_variance_of_numbers_far_from_zero():
    x = 1e9 + np.random.default_rng(0).random((4, 5000))
    e = cut(x, ((2, 2), (2500, 2500)))
    got = compute(e.reduce("var", [0, 1], "float64"), e.reduce("var", [0], "float64", ddof=1))
    np.testing.assert_allclose(got[0], x.var(), rtol=1e-6)
    np.testing.assert_allclose(got[1], x.var(0, ddof=1), rtol=0, atol=1e-7)


def test_a_minimum_of_nothing_is_an_error():
    e = cut(np.empty((0, 3)), ((0,), (3,)))
    with pytest.raises(
        ValueError, match="zero-size array to reduction operation minimum which has no identity"
    ):
        compute(e.reduce("min", [0], "float64"))
    assert compute(e.reduce("sum", [0], "float64"))[0].tolist() == [0, 0, 0]


def test_chains_are_one_task_a_block():
    x = np.arange(24.0).reshape(4, 6)
    e = cut(x, ((2, 2), (3, 3)))

    def do(op, *args):
        return ArrayExpr.elementwise(op, list(args), "float64", "float64")

    chain = do("divide", do("subtract", do("square", do("add", do("multiply", e, 2), 1)), e), 3)
    assert len(chain.graph()) == 4 + 4
    mean = chain.reduce("mean", [0, 1], "float64")
    assert len(mean.graph()) == 4 + 4 + 1
    got = compute(chain, mean)
    expected = ((x * 2 + 1) ** 2 - x) / 3
    np.testing.assert_allclose(got[0], expected, rtol=1e-15)
    np.testing.assert_allclose(got[1], expected.mean(), rtol=1e-15)
    assert "native" in mean.explain() and "square" in mean.explain()


def test_transposed_and_broadcast_operands_are_read_where_they_lie():
    x = np.random.default_rng(0).random((130, 130))
    v = np.random.default_rng(1).random(130)
    grid = ((70, 60), (70, 60))
    e, w = cut(x, grid), cut(v, ((70, 60),))
    add = ArrayExpr.elementwise("add", [e, e.transpose([1, 0])], "float64", "float64")
    rows = ArrayExpr.elementwise("multiply", [add, w], "float64", "float64")
    assert len(rows.graph()) == 4 + 2 + 4
    got = compute(rows, rows.reduce("sum", [0], "float64"), e.transpose([1, 0]))
    np.testing.assert_allclose(got[0], (x + x.T) * v)
    np.testing.assert_allclose(got[1], ((x + x.T) * v).sum(0))
    np.testing.assert_array_equal(got[2], x.T)


def test_creation_costs_nothing():
    huge = ((10**9,) * 4, (10**9,))
    ones = ArrayExpr.fill(1, huge, "float64", name="ones")
    part = ones.select([(0, [[(3, (5, 2, 3))]]), (1, [[(0, (0, 1, 2))]])], [], ((3,), (2,)))
    [got] = compute(part)
    np.testing.assert_array_equal(got, np.ones((3, 2)))
    whole = compute(ArrayExpr.fill(1, ((2,), (2,)), "int32"))[0]
    [block] = execute(
        *(lambda g, k: (g, flat(k)))(*array_lower_many([ArrayExpr.fill(1, ((2,), (2,)), "int32")]))
    )
    block[0, 0] = 5
    np.testing.assert_array_equal(block, [[5, 1], [1, 1]])
    np.testing.assert_array_equal(whole, [[1, 1], [1, 1]])
    count = ArrayExpr.iota(3, -2, (4, 3), "int64")
    half = ArrayExpr.iota(0.5, 0.25, (4, 3), "float32")
    got = compute(count, half, ArrayExpr.elementwise("add", [count, 1], "int64", "int64"))
    np.testing.assert_array_equal(got[0], np.arange(3, -11, -2))
    np.testing.assert_array_equal(got[1], np.arange(7, dtype="f4") * 0.25 + 0.5)
    np.testing.assert_array_equal(got[2], np.arange(4, -10, -2))
    with pytest.raises(NotImplementedError, match="300"):
        ArrayExpr.fill(300, ((2,),), "uint8")


def test_blocks_are_put_together_of_pieces():
    x = np.arange(60).reshape(6, 10)
    e = cut(x, ((2, 4), (3, 3, 4)))
    again = e.rechunk(((5, 1), (4, 4, 2)))
    both = ArrayExpr.concatenate([e, e], 0)
    layers = ArrayExpr.stack([e, e], 1)
    row = e.select([(1, [[(0, None)], [(1, None)], [(2, None)]])], [(0, 1, 2)], ((3, 3, 4),))
    picked = e.select(
        [None, (1, [[(2, np.array([3, 0])), (0, (2, -1, 3))]]), (0, [[(0, None)], [(1, None)]])],
        [],
        ((1,), (5,), (2, 4)),
    )
    got = compute(again, both, row, picked)
    np.testing.assert_array_equal(got[0], x)
    np.testing.assert_array_equal(got[1], np.concatenate([x, x]))
    np.testing.assert_array_equal(got[2], x[4])
    np.testing.assert_array_equal(got[3], x[:, [9, 6, 2, 1, 0]].T[None])
    graph, [keys] = array_lower_many([layers])
    assert [b.shape for b in execute(graph, flat(keys))][:2] == [(2, 1, 3), (2, 1, 3)]
    with pytest.raises(ValueError, match="differ in their sum"):
        e.rechunk(((5, 2), (10,)))
    with pytest.raises(ValueError, match="unknown"):
        ArrayExpr.blocks([x[0]], ((float("nan"),),), "int64", token="t", name="x").rechunk(((5, 5),))


def test_blocks_that_break_their_promise():
    made = ArrayExpr.host(lambda: np.arange(3), [], ((3,),), "float64", token="a", name="made")
    np.testing.assert_array_equal(
        compute(ArrayExpr.elementwise("add", [made, 0.5], "float64", "float64"))[0], [0.5, 1.5, 2.5]
    )
    text = ArrayExpr.host(lambda: np.array(["a"]), [], ((1,),), "float64", token="b", name="made")
    with pytest.raises(TypeError, match="float64 was promised"):
        compute(ArrayExpr.elementwise("add", [text, 1], "float64", "float64"))
    long = ArrayExpr.host(lambda: np.arange(4.0), [], ((3,),), "float64", token="c", name="made")
    with pytest.raises(ValueError, match="could not be broadcast together"):
        compute(ArrayExpr.elementwise("add", [long, cut(np.ones(3), ((3,),))], "float64", "float64"))
    with pytest.raises(ValueError, match="do not fit together"):
        ArrayExpr.elementwise("add", [made, cut(np.ones(3), ((1, 2),))], "float64", "float64")


@st.composite
def layouts(draw):
    """An array of some dtype, shape and memory layout, and how it is cut."""
    ndim = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1, 70 if ndim < 3 else 12)) for _ in range(ndim))
    x = sample(draw(st.sampled_from(NUMBERS)), tuple(2 * n for n in shape), draw(st.integers(0, 9)))
    step = tuple(draw(st.sampled_from([1, 2, -1])) for _ in shape)
    x = x[tuple(slice(None, None, s) for s in step)][tuple(slice(n) for n in shape)]
    order = draw(st.permutations(range(ndim)))
    x = x.transpose(order)
    chunks = []
    for n in x.shape:
        at = sorted(draw(st.sets(st.integers(1, n - 1), max_size=2))) if n > 1 else []
        edges = [0, *at, n]
        chunks.append(tuple(b - a for a, b in zip(edges, edges[1:])))
    return x, tuple(chunks)


@given(layouts(), st.data())
def test_any_layout_any_cut(layout, data):
    x, chunks = layout
    e = cut(x, chunks)
    order = data.draw(st.permutations(range(x.ndim)))
    axis = data.draw(st.integers(0, x.ndim - 1))
    moved = e.transpose(list(order))
    truth = ArrayExpr.elementwise(
        "not_equal", [moved, moved.astype("float64").astype(str(x.dtype))], str(x.dtype), "bool"
    )
    doubled = ArrayExpr.elementwise("add", [moved, moved], str(x.dtype), str(x.dtype))
    largest = moved.reduce("max", [axis], str(x.dtype))
    with np.errstate(all="ignore"):
        y = x.transpose(order)
        got = compute(
            doubled,
            largest,
            truth,
            moved.reduce("sum", [axis], "int64", keepdims=True) if x.dtype.kind in "biu" else doubled,
        )
        np.testing.assert_array_equal(got[0], y + y)
        np.testing.assert_array_equal(got[1], y.max(axis))
        np.testing.assert_array_equal(got[2], y != y.astype("f8").astype(x.dtype))
        if x.dtype.kind in "bi":
            np.testing.assert_array_equal(got[3], y.sum(axis, keepdims=True))
