"""Random expressions on arrays against the same on NumPy."""

import numpy as np
import weft.array as da
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from weft.array import assert_eq

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def arrays(draw, max_ndim=3, min_side=1):
    shape = tuple(draw(st.lists(st.integers(min_side, 7), min_size=1, max_size=max_ndim)))
    chunks = tuple(draw(cut(n)) for n in shape)
    dtype = draw(st.sampled_from(["i8", "i4", "f8", "u1", "?"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = rng.integers(0, 20, shape).astype(dtype)
    return x, da.from_array(x, chunks=chunks)


def cut(n):
    return st.lists(st.integers(1, max(1, n)), min_size=1, max_size=6).map(lambda sizes: fit(sizes, n))


def fit(sizes, n):
    result, left = [], n
    for size in sizes:
        if left > size:
            result.append(size)
            left -= size
    return (*result, left)


@st.composite
def index(draw, n):
    kind = draw(st.sampled_from(["int", "slice", "slice"]))
    if kind == "int":
        return draw(st.integers(-n, n - 1))
    bound = st.none() | st.integers(-n - 1, n + 1)
    return slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, -1, -3])))


@few
@given(arrays(), st.data())
def test_slices(pair, data):
    x, d = pair
    where = tuple(data.draw(index(n)) for n in x.shape)
    assert_eq(d[where], x[where])


@few
@given(arrays(), st.data())
def test_taking_by_lists(pair, data):
    x, d = pair
    axis = data.draw(st.integers(0, x.ndim - 1))
    n = x.shape[axis]
    wanted = data.draw(st.lists(st.integers(-n, n - 1), max_size=10))
    where = (slice(None),) * axis + (np.asarray(wanted, dtype=int),)
    assert_eq(d[where], x[where])


@few
@given(arrays(), st.data())
def test_rechunk_keeps_the_elements(pair, data):
    x, d = pair
    chunks = tuple(data.draw(cut(n)) for n in x.shape)
    again = d.rechunk(chunks)
    assert again.chunks == chunks
    assert_eq(again, x)


@few
@given(
    arrays(),
    st.sampled_from(["sum", "prod", "min", "max", "mean", "var", "std", "any", "all", "argmin", "argmax"]),
    st.data(),
)
def test_reductions(pair, name, data):
    x, d = pair
    if name == "prod":
        x, d = x.astype(bool), d.astype(bool)
    axis = data.draw(st.none() | st.integers(0, x.ndim - 1))
    keepdims = data.draw(st.booleans())
    split_every = data.draw(st.sampled_from([None, 2, 3]))
    assert_eq(
        getattr(d, name)(axis=axis, keepdims=keepdims, split_every=split_every),
        getattr(np, name)(x, axis=axis, keepdims=keepdims),
    )


@few
@given(arrays(), st.sampled_from(["cumsum", "cumprod"]), st.data())
def test_cumulative(pair, name, data):
    x, d = pair
    x, d = x.astype("i8") % 2, d.astype("i8") % 2
    axis = data.draw(st.integers(0, x.ndim - 1))
    assert_eq(getattr(d, name)(axis=axis), getattr(np, name)(x, axis=axis))


@few
@given(arrays(max_ndim=2), arrays(max_ndim=1))
def test_elementwise_with_broadcasting(left, right):
    x, d = left
    y, e = right
    y, e = y[:1], e[:1]
    assert_eq(d * 2 + e, x * 2 + y)
    assert_eq(d > e, x > y)
    assert_eq(da.where(d > 3, d, e), np.where(x > 3, x, y))


@few
@given(arrays(), st.data())
def test_reshape_and_transpose(pair, data):
    x, d = pair
    assert_eq(d.ravel(), x.ravel())
    assert_eq(d.T.reshape(-1), x.T.reshape(-1))
    order = data.draw(st.permutations(range(x.ndim)))
    assert_eq(d.transpose(order), x.transpose(order))
    flat = d.reshape(-1)
    assert_eq(flat.reshape(x.shape), x)


@few
@given(arrays(), st.data())
def test_writing(pair, data):
    x, d = pair
    x, d = x.copy(), d.copy()
    where = tuple(data.draw(index(n)) for n in x.shape)
    value = data.draw(st.integers(0, 1))
    x[where] = value
    d[where] = value
    assert_eq(d, x)


@few
@given(arrays(), st.data())
def test_joining(pair, data):
    x, d = pair
    axis = data.draw(st.integers(0, x.ndim - 1))
    assert_eq(da.concatenate([d, d[::-1]], axis=axis), np.concatenate([x, x[::-1]], axis=axis))
    assert_eq(da.stack([d, d], axis=axis), np.stack([x, x], axis=axis))


@few
@given(
    arrays(max_ndim=2, min_side=2), st.integers(1, 2), st.sampled_from(["reflect", "periodic", "nearest", 0])
)
def test_overlap_and_trim_give_the_array_back(pair, depth, boundary):
    x, d = pair
    shared = da.overlap.overlap(d, depth, boundary)
    assert_eq(da.overlap.trim_overlap(shared, depth, boundary), x)
