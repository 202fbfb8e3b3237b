"""Selections go down to where elements come from, and the answers stay NumPy's."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from weft._engine import execute
from weft._weft import ArrayExpr, array_lower_many


def flat(keys):
    return [key for part in keys for key in flat(part)] if isinstance(keys, list) else [keys]


def compute(*exprs):
    graph, nested = array_lower_many(list(exprs))
    keys = [flat(k) for k in nested]
    values = dict(zip(sum(keys, []), execute(graph, sum(keys, []))))

    def fill(part):
        return [fill(p) for p in part] if isinstance(part, list) else values[part]

    return [fill(k)[0] if e.ndim == 0 else np.block(fill(k)) for e, k in zip(exprs, nested)]


def buffer(x, chunks):
    return ArrayExpr.buffer(x, chunks, str(x.dtype), token=str(x.tobytes()), name="x")


def add(a, b):
    return ArrayExpr.elementwise("add", [a, b], "float64", "float64")


def pieces(chunks, start, stop, step):
    """The pieces and sizes of a slice with a positive step along an axis, one piece a block."""
    blocks, sizes, at = [], [], 0
    for number, n in enumerate(chunks):
        first = start if start >= at else start + -(-(at - start) // step) * step
        count = len(range(first, min(stop, at + n), step))
        if count:
            blocks.append([(number, (first - at, step, count))])
            sizes.append(count)
        at += n
    return blocks, tuple(sizes)


def cut(e, *slices):
    """A slice of an expression, as the face asks for it."""
    axes, chunks = [], []
    for axis, (s, own) in enumerate(zip(slices, e.chunks)):
        blocks, sizes = pieces(own, *s.indices(sum(own)))
        axes.append((axis, blocks))
        chunks.append(sizes)
    return e.select(axes, [], tuple(chunks))


def names(e):
    """What the steps that are left are called."""
    return {str(key[0] if isinstance(key, tuple) else key).split("-")[0] for key in e.graph()}


def test_what_nobody_looks_at_is_not_made():
    made = []

    def block(position):
        made.append(position)
        return np.full((4, 4), float(position[0]))

    e = ArrayExpr.host(
        block, [], ((4,) * 5, (4,) * 3), "float64", token="t", name="made", numbered=True, fallback=False
    )
    doubled = add(e.transpose([1, 0]), 1.0)
    part = cut(doubled.reduce("sum", [0], "float64"), slice(5, 7))
    np.testing.assert_array_equal(compute(part)[0], [24.0, 24.0])
    assert sorted(made) == [(1, 0), (1, 1), (1, 2)]


def test_parts_of_counts_are_counts():
    e = ArrayExpr.iota(0.1, 0.3, (7, 7, 3), "float64")
    for s in (slice(3, 16, 5), slice(0, 17, 1), slice(8, 9, 1), slice(6, 15, 2)):
        part = cut(e, s)
        np.testing.assert_array_equal(compute(part)[0], (0.1 + 0.3 * np.arange(17))[s])
        assert all("arange" in key[0] or "getitem" in key[0] or "rename" in key[0] for key in part.graph())
    backwards = e.select([(0, [[(2, (2, -1, 3)), (1, (6, -1, 7))]])], [], ((10,),))
    np.testing.assert_array_equal(compute(backwards)[0], (0.1 + 0.3 * np.arange(17))[:6:-1])
    huge = ArrayExpr.fill(2.0, ((10**9,) * 3, (10**9,)), "float64")
    np.testing.assert_array_equal(
        compute(cut(add(huge, huge.transpose([0, 1])), slice(5, 8), slice(0, 10, 5)))[0], np.full((3, 2), 4.0)
    )


def test_reductions_read_through_rechunks():
    x = np.random.default_rng(0).random((12, 8))
    e = buffer(x, ((3,) * 4, (8,)))
    total = e.rechunk(((12,), (2,) * 4)).reduce("sum", [0, 1], "float64")
    rows = e.rechunk(((3,) * 4, (2,) * 4)).reduce("sum", [1], "float64")
    other = e.rechunk(((12,), (2,) * 4)).reduce("sum", [0], "float64")
    got = compute(total, rows, other)
    np.testing.assert_allclose(got[0], x.sum())
    np.testing.assert_allclose(got[1], x.sum(1))
    np.testing.assert_allclose(got[2], x.sum(0))
    assert "rechunk" not in names(total) | names(rows)
    assert "rechunk" in names(other)


def test_means_and_variances_share_a_pass():
    x = np.random.default_rng(1).random((20, 6)) + 100
    e = buffer(x, ((5,) * 4, (6,)))
    mean = e.reduce("mean", [0], "float64", keepdims=True)
    std = e.reduce("std", [0], "float64", keepdims=True)
    graph, _ = array_lower_many([mean, std])
    # Four blocks, four partial results, two answers.
    assert len(graph) == 10
    var = e.reduce("var", [0], "float64", ddof=1)
    got = compute(mean, std, var, e.reduce("mean", [0], "float64"))
    np.testing.assert_allclose(got[0], x.mean(0, keepdims=True), rtol=1e-15)
    np.testing.assert_allclose(got[1], x.std(0, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(got[2], x.var(0, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(got[3], x.mean(0), rtol=1e-15)
    one = buffer(x, ((20,), (6,)))
    got = compute(one.reduce("mean", [0, 1], "float64"), one.reduce("var", [0, 1], "float64"))
    np.testing.assert_allclose(got, [x.mean(), x.var()], rtol=1e-12)


def test_an_output_that_is_another_array_is_made_once():
    made = []
    e = ArrayExpr.host(
        lambda: made.append(1) or np.eye(3),
        [],
        ((3,), (3,)),
        "float64",
        token="t",
        name="made",
        fallback=False,
    )
    again = e.transpose([1, 0]).transpose([1, 0])
    got = compute(e, again)
    assert made == [1]
    np.testing.assert_array_equal(got[0], got[1])


@st.composite
def chunks_of(draw, n):
    edges = sorted({0, n, *draw(st.lists(st.integers(0, n), max_size=3))})
    return tuple(b - a for a, b in zip(edges, edges[1:]))


def grown(draw, e, x):
    """One more step on an expression and on NumPy's array."""
    kind = draw(
        st.sampled_from(["slice", "list", "turn", "add", "sum", "rechunk", "int", "new", "self", "stack"])
    )
    if kind == "turn":
        order = draw(st.permutations(range(x.ndim)))
        return e.transpose(list(order)), x.transpose(order)
    if kind == "add":
        return add(e, 1.5), x + 1.5
    if kind == "self":
        return add(e, ArrayExpr.elementwise("multiply", [e, 2.0], "float64", "float64")), x + x * 2
    if x.ndim == 0 or 0 in x.shape:
        return e, x
    axis = draw(st.integers(0, x.ndim - 1))
    n = x.shape[axis]
    keep = [(i, [[(b, None)] for b in range(len(c))]) for i, c in enumerate(e.chunks)]
    chunks = list(e.chunks)
    if kind == "sum":
        return e.reduce("sum", [axis], "float64"), x.sum(axis)
    if kind == "rechunk":
        new = list(e.chunks)
        new[axis] = draw(chunks_of(n))
        return e.rechunk(tuple(new)), x
    if kind == "stack":
        return ArrayExpr.concatenate([e, e], axis), np.concatenate([x, x], axis)
    if kind == "new":
        return e.select([None, *keep], [], ((1,), *chunks)), x[None]
    edges = np.cumsum([0, *chunks[axis]])
    if kind == "int":
        i = draw(st.integers(0, n - 1))
        block = int(np.searchsorted(edges, i, side="right") - 1)
        axes = [k for k in keep if k[0] != axis]
        del chunks[axis]
        return e.select(axes, [(axis, block, i - int(edges[block]))], tuple(chunks)), np.take(x, i, axis)
    index = (slice(None),) * axis
    if kind == "slice":
        start = draw(st.integers(0, n - 1))
        stop = draw(st.integers(start + 1, n))
        step = draw(st.integers(1, 4))
        blocks, sizes = pieces(chunks[axis], start, stop, step)
        keep[axis], chunks[axis] = (axis, blocks), sizes
        return e.select(keep, [], tuple(chunks)), x[(*index, slice(start, stop, step))]
    wanted = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6))
    runs = []
    for i in wanted:
        block = int(np.searchsorted(edges, i, side="right") - 1)
        runs.append((block, np.array([i - int(edges[block])])))
    keep[axis], chunks[axis] = (axis, [runs]), (len(wanted),)
    return e.select(keep, [], tuple(chunks)), x[(*index, wanted)]


@given(st.data())
def test_any_tree_of_steps(data):
    shape = tuple(data.draw(st.integers(1, 7)) for _ in range(data.draw(st.integers(1, 3))))
    x = np.arange(np.prod(shape), dtype="f8").reshape(shape)
    source = data.draw(st.sampled_from(["buffer", "fill", "iota"]))
    chunks = tuple(data.draw(chunks_of(n)) for n in shape)
    if source == "fill":
        e, x = ArrayExpr.fill(3.0, chunks, "float64"), np.full(shape, 3.0)
    elif source == "iota":
        chunks, x = chunks[:1], 0.5 + 0.25 * np.arange(shape[0])
        e = ArrayExpr.iota(0.5, 0.25, chunks[0], "float64")
    else:
        e = buffer(x, chunks)
    e, x = add(e, 0.5), x + 0.5
    steps = [(e, x)]
    for _ in range(data.draw(st.integers(1, 6))):
        e, x = grown(data.draw, e, x)
        assert e.shape == x.shape
        steps.append((e, x))
    kept = [steps[-1], data.draw(st.sampled_from(steps))]
    for (expr, expected), got in zip(kept, compute(*(e for e, _ in kept))):
        np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=1e-12)
        graph, [keys] = array_lower_many([expr])
        shapes = [np.shape(block) for block in execute(graph, flat(keys))]
        assert shapes == list(itertools.product(*expr.chunks))
