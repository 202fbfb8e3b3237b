"""Every kernel there is gives what NumPy gives, for every type that NumPy has a loop for."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft._engine import execute
from weft._weft import ArrayExpr, array_kernels, array_lower_many

FUNCTIONS, REDUCTIONS = array_kernels()
NUMBERS = ["bool", *(f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)), "float32", "float64"]
#: Not ufuncs of NumPy.
OTHERS = {"where", "clip", "astype"}
#: NumPy computes these by other means than the system's mathematics; a few units in the last place.
LOOSE = """exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh
power arctan2 hypot cbrt logaddexp logaddexp2""".split()


def flat(keys):
    return [key for part in keys for key in flat(part)] if isinstance(keys, list) else [keys]


def compute(*exprs):
    graph, nested = array_lower_many(list(exprs))
    keys = [flat(k) for k in nested]
    values = dict(zip(sum(keys, []), execute(graph, sum(keys, []))))

    def fill(part):
        return [fill(p) for p in part] if isinstance(part, list) else values[part]

    return [fill(k)[0] if e.ndim == 0 else np.block(fill(k)) for e, k in zip(exprs, nested)]


def sample(dtype, shape, seed):
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "f":
        special = rng.choice([0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, np.nan, np.inf, -np.inf], shape)
        wide = rng.normal(size=shape) * 10.0 ** rng.integers(-3, 3, shape)
        return np.where(rng.random(shape) < 0.4, special, wide).astype(dtype)
    if kind == "b":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    small = rng.integers(max(info.min, -9), 10, shape, dtype=dtype)
    edges = rng.choice(np.array([info.min, info.max, 0, 1, max(info.min, -1)], dtype), shape)
    pick = rng.random(shape)
    return np.where(pick < 0.5, small, np.where(pick < 0.7, edges, values))


def buffer(x, chunks):
    return ArrayExpr.buffer(x, chunks, str(x.dtype), token=f"{x.dtype}{x.tobytes()!r}", name="x")


def same(got, expected, rtol, signs=True):
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=0)
    if expected.dtype.kind == "f" and signs:
        zero = expected == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("name, arity", [f for f in FUNCTIONS if f[0] not in OTHERS])
def test_every_function(name, arity):
    """Also of operands that lie apart, and of ones that have a row or a single number."""
    ufunc, tried = getattr(np, name), 0
    assert ufunc.nin == arity
    for dtype in NUMBERS:
        try:
            *_, loop, gives = ufunc.resolve_dtypes((*[np.dtype(dtype)] * arity, None))
        except TypeError:
            continue
        if loop == np.float16 or gives == np.float16:
            continue
        operands = [sample(dtype, (2 * 41, 9), seed)[::2] for seed in range(arity)]
        variants = [operands, [x[:, ::-1] for x in operands], [np.asfortranarray(x) for x in operands]]
        if arity == 2:
            variants += [[operands[0], operands[1][:1]], [operands[0], operands[1][3, 4].item()]]
            variants += [[operands[0].T.copy().T, operands[1]]]
        for values in variants:
            arrays = [np.asarray(v, dtype) for v in values]
            shapes = [tuple((20, 21) if n == 41 else (n,) for n in x.shape) for x in arrays]
            args = [buffer(x, c) if x.ndim else x.item() for x, c in zip(arrays, shapes)]
            try:
                native = ArrayExpr.elementwise(name, args, str(loop), str(gives))
            except NotImplementedError:
                # NumPy refuses negative exponents of integers: only it can tell.
                # What becomes of their reciprocals of zero is not defined.
                assert loop.kind != "f" and name in ("power", "reciprocal"), (name, dtype)
                continue
            with np.errstate(all="ignore"):
                expected = ufunc(*arrays)
            rtol = 0
            if loop.kind == "f" and name in LOOSE:
                rtol = 4 * float(np.finfo(loop).eps)
            elif loop.kind == "f" and name in (
                "floor_divide",
                "remainder",
                "reciprocal",
                "degrees",
                "radians",
            ):
                rtol = 2 * float(np.finfo(loop).eps)
            # Which of two zeros is the smaller depends on the processor, in NumPy too.
            same(compute(native)[0], expected, rtol, name not in ("minimum", "maximum", "fmin", "fmax"))
            tried += 1
    assert tried


@pytest.mark.parametrize("dtype", [d for d in NUMBERS if np.dtype(d).kind in "iu"])
def test_powers_of_integers(dtype):
    x = sample(dtype, (50,), 1)
    for exponent in (0, 1, 2, 3, 7, 40):
        native = ArrayExpr.elementwise("power", [buffer(x, ((30, 20),)), exponent], dtype, dtype)
        np.testing.assert_array_equal(compute(native)[0], x ** np.array(exponent, dtype))
    if np.dtype(dtype).kind == "i":
        with pytest.raises(NotImplementedError, match="negative"):
            ArrayExpr.elementwise("power", [buffer(x, ((50,),)), -1], dtype, dtype)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_every_reduction(name, dtype):
    rng = np.random.default_rng(3)
    x = sample(dtype, (23, 34, 5), 2)
    if np.dtype(dtype).kind == "f":
        x = np.nan_to_num(rng.choice([0.0, 1.5, -2.25, 3.0], x.shape)).astype(dtype)
        if name == "prod":
            x = (1 + rng.random(x.shape) * 1e-3).astype(dtype)
    e = buffer(x, ((10, 13), (34,), (2, 3)))
    with np.errstate(all="ignore"):
        for axes in ((0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2)):
            expected = np.asarray(getattr(np, name)(x, axis=axes))
            if expected.dtype == np.float16:
                continue
            try:
                native = e.reduce(name, list(axes), str(expected.dtype))
            except NotImplementedError:
                assert dtype == "bool" and name in ("mean", "var", "std", "min", "max"), (name, dtype)
                continue
            rtol = 1e-5 if expected.dtype == np.float32 else 1e-12
            # Large numbers of both signs leave little of their sum.
            atol = 1e-13 * float(np.abs(x.astype("f8")).max()) if expected.dtype.kind == "f" else 0
            np.testing.assert_allclose(compute(native)[0], expected, rtol=rtol, atol=atol)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("name", ["sum", "prod", "min", "max", "mean", "var", "std"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_reduction_without_missing_values(name, dtype):
    rng = np.random.default_rng(4)
    x = (1 + rng.random((3000, 7)) / 100).astype(dtype)
    x[rng.random(x.shape) < 0.3] = np.nan
    x[:, 2] = np.nan
    e = buffer(x, ((1000, 2000), (4, 3)))
    for axes in ((0,), (1,), (0, 1)):
        got = compute(e.reduce(name, list(axes), dtype, skip_nan=True))[0]
        expected = getattr(np, f"nan{name}")(x.astype("f8"), axis=axes)
        np.testing.assert_allclose(got, expected.astype(dtype), rtol=2e-5 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("skip_nan", [False, True])
def test_reductions_of_one_number_everywhere(name, skip_nan):
    for value, dtype in ((2.5, "float64"), (np.nan, "float64"), (3, "int64"), (0, "uint8"), (-2, "int8")):
        x = np.full((6, 5), value, dtype)
        function = getattr(np, f"nan{name}" if skip_nan and hasattr(np, f"nan{name}") else name)
        if np.isnan(value) and skip_nan and name in ("any", "all", "count_nonzero"):
            continue
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = np.asarray(function(x, axis=0))
        e = ArrayExpr.fill(value, ((4, 2), (5,)), dtype)
        native = e.reduce(name, [0], str(expected.dtype), skip_nan=skip_nan)
        np.testing.assert_allclose(compute(native)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("name", ["argmin", "argmax", "nanargmin", "nanargmax"])
def test_places_of_extremes(name, dtype):
    x = sample(dtype, (12, 2100, 3), 5)
    if name.startswith("nan"):
        x[:, 0] = x[0] = 1
        # NumPy takes NaN for infinite.
        x[np.isinf(x)] = 2
    e = buffer(x, ((5, 7), (1000, 1100), (1, 2)))
    for axis in (None, 0, 1, 2):
        for keepdims in (False, True):
            got = compute(e.arg(name, axis, keepdims=keepdims))[0]
            expected = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keepdims))
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)


def test_places_where_there_is_nothing():
    empty = buffer(np.empty((0, 2)), ((0,), (2,)))
    with pytest.raises(ValueError, match="attempt to get argmin of an empty sequence"):
        compute(empty.arg("argmin", 0))
    missing = buffer(np.array([[np.nan, 1.0], [np.nan, 2.0]]), ((1, 1), (2,)))
    with pytest.raises(ValueError, match="All-NaN slice encountered"):
        compute(missing.arg("nanargmax", 0))
    unknown = ArrayExpr.blocks([np.ones(2)], ((math.nan,),), "float64", token="t", name="x")
    with pytest.raises(NotImplementedError, match="unknown extents"):
        unknown.arg("argmin", 0)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_running_sums_and_products(name, dtype):
    x = sample(dtype, (9, 14, 4), 6)
    if np.dtype(dtype).kind == "f":
        x = np.nan_to_num(x, posinf=2, neginf=-1).clip(-3, 3)
    e = buffer(x, ((4, 3, 2), (7, 7), (4,)))
    for axis in range(3):
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(x, axis=axis)
        got = compute(e.scan(name, axis, str(expected.dtype)))[0]
        assert got.dtype == expected.dtype
        rtol, atol = {"f": (2e-4, 1e-4) if dtype == "float32" else (1e-11, 1e-12)}.get(
            expected.dtype.kind, (0, 0)
        )
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)
        if np.dtype(dtype).kind == "f":
            y = np.where(x > 1, np.nan, x)
            got = compute(buffer(y, e.chunks).scan(name, axis, dtype, skip_nan=True))[0]
            np.testing.assert_allclose(got, getattr(np, f"nan{name}")(y, axis=axis), rtol=rtol, atol=atol)


@given(st.data())
def test_chains_of_arithmetic(data):
    """Instructions that share a loop round as they do alone."""
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    x = sample(dtype, (700,), data.draw(st.integers(0, 5)))
    y = sample(dtype, (700,), 9)
    values = [(buffer(x, ((300, 400),)), x), (buffer(y, ((300, 400),)), y)]
    for _ in range(data.draw(st.integers(1, 8))):
        name = data.draw(st.sampled_from(["add", "subtract", "multiply", "divide", "square", "negative"]))
        a, b = (data.draw(st.sampled_from(values)) for _ in range(2))
        if data.draw(st.booleans()):
            c = np.dtype(dtype).type(data.draw(st.sampled_from([0.5, 3.0, -2.0, 0.0])))
            b = (c.item(), c)
            if data.draw(st.booleans()):
                a, b = b, a
        args = [(a, b) if name not in ("square", "negative") else (max(a, b, key=lambda v: np.ndim(v[1])),)][
            0
        ]
        native = ArrayExpr.elementwise(name, [v[0] for v in args], dtype, dtype)
        with np.errstate(all="ignore"):
            values.append((native, getattr(np, name)(*(v[1] for v in args))))
    for (_, expected), got in zip(values[2:], compute(*(v[0] for v in values[2:]))):
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(
            np.signbit(got)[~np.isnan(expected)], np.signbit(expected)[~np.isnan(expected)]
        )


@pytest.mark.parametrize("dtype", NUMBERS)
def test_transposed_operands_of_every_size(dtype):
    for shape in ((130, 70), (64, 64), (3, 200), (67, 5), (8, 8, 90)):
        x = sample(dtype, shape, 7)
        order = list(range(len(shape)))[::-1]
        other = np.ascontiguousarray(x.transpose(order))
        e = ArrayExpr.elementwise(
            "equal",
            [
                buffer(x, tuple((n,) for n in shape)),
                buffer(other, tuple((n,) for n in other.shape)).transpose(order),
            ],
            dtype,
            "bool",
        )
        np.testing.assert_array_equal(compute(e)[0], x == x)
