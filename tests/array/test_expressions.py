"""Arrays are expressions: steps fuse, outputs share what they have in common, and all of it pickles."""

import pickle

import numpy as np
import pytest
import weft
import weft.array as da
from weft.array import assert_eq


def test_operators_become_one_native_step():
    x = da.from_array(np.arange(24.0).reshape(4, 6), chunks=(2, 3))
    y = ((x * 2 + 1) ** 2 - x) / 3
    assert "fallback" not in y._expr.explain()
    # One task for each block reads one block of the source.
    assert len(y.dask) == 8
    assert_eq(y, ((np.arange(24.0) * 2 + 1) ** 2 - np.arange(24.0)).reshape(4, 6) / 3)


def test_outputs_share_what_they_have_in_common():
    calls = []

    def seen(block):
        calls.append(1)
        return block

    x = da.from_array(np.arange(6), chunks=3).map_blocks(seen, dtype=int, meta=np.empty(0, int))
    a, b = weft.compute(x + 1, x * 2)
    assert len(calls) == 2
    np.testing.assert_array_equal(a, np.arange(6) + 1)
    np.testing.assert_array_equal(b, np.arange(6) * 2)


@pytest.mark.parametrize("left", ["bool", "int8", "uint8", "int64", "uint64", "float32", "float64"])
@pytest.mark.parametrize("right", [True, 2, 2.5, np.float32(1.5), np.int8(3), np.uint64(7)])
@pytest.mark.parametrize("op", [np.add, np.multiply, np.true_divide, np.less, np.maximum, np.power])
def test_dtypes_are_numpys(left, right, op):
    values = np.array([0, 1, 5, 3]).astype(left)
    x = da.from_array(values, chunks=2)
    assert_eq(op(x, right), op(values, right))


def test_numbers_that_do_not_fit_are_refused_as_by_numpy():
    x = da.from_array(np.array([1, 2], "u1"), chunks=1)
    with pytest.raises(OverflowError):
        x + 300
    assert_eq(x < 300, np.array([True, True]))


def test_arrays_that_are_cut_differently():
    v = np.arange(12.0).reshape(3, 4)
    x, y = da.from_array(v, chunks=(2, 3)), da.from_array(v, chunks=(1, 4))
    assert_eq(x + y, v + v)
    assert_eq(x + v[0], v + v[0])
    assert_eq(da.where(x > 4, x, -1), np.where(v > 4, v, -1))
    assert_eq(da.clip(x, 2, y), np.clip(v, 2, v))
    assert_eq(da.clip(x, None, 3), np.clip(v, None, 3))
    with pytest.raises(ValueError, match="broadcast"):
        x + da.ones(3)


@pytest.mark.parametrize("protocol", [2, 5])
def test_expressions_pickle(protocol):
    v = np.arange(24.0).reshape(4, 6)
    x = da.from_array(v, chunks=(2, 3))
    y = ((x + 1).T * 2)[1:4].sum(axis=0) + da.arange(4, chunks=2)
    z = pickle.loads(pickle.dumps(y, protocol=protocol))
    assert z.name == y.name and z._expr == y._expr and z.chunks == y.chunks
    assert_eq(z, y)
    # Foreign tasks above native layers, too.
    graph = pickle.loads(pickle.dumps(y.map_blocks(np.sort).dask))
    assert len(graph) == len(y.map_blocks(np.sort).dask)


def test_persisted_blocks_are_read_without_python():
    x = (da.ones((4, 4), chunks=2) + 1).persist()
    assert x._expr.lane == "native" and x._expr.plain
    assert_eq(x + 1, np.full((4, 4), 3.0))


def test_single_elements_are_scalars():
    x = da.from_array(np.arange(4.0), chunks=2)
    assert isinstance((x.sum() + 1).compute(), np.float64)


def test_arrays_of_missing_tasks_fail_when_computed():
    x = da.Array({}, "gone", ((2, 2),), dtype="f8")
    assert (x + 1).shape == (4,)
    with pytest.raises(KeyError, match="gone"):
        (x + 1).compute()


def by_hand(graph, key, done):
    """The value of a task whose inputs are computed by calling their functions."""
    if key not in done:
        task = graph[key]
        for read in task.dependencies:
            by_hand(graph, read, done)
        done[key] = task(done)
    return done[key]


def test_tasks_can_be_called_by_others():
    v = np.arange(24.0).reshape(4, 6)
    x = da.from_array(v, chunks=(2, 3))
    y = ((x + 1).T @ x.map_blocks(np.sqrt))[1:4].rechunk(2)
    graph, done = dict(y.dask), {}
    want = ((v + 1).T @ np.sqrt(v))[1:4]
    np.testing.assert_allclose(by_hand(graph, (y.name, 0, 1), done), want[:2, 2:4])
    # Steps between, whose values have no form in Python.
    z = x.sum()
    assert by_hand(dict(z.dask), (z.name,), {}) == v.sum()
    task = pickle.loads(pickle.dumps(x.dask[(x.name, 1, 0)]))
    np.testing.assert_array_equal(task(), v[2:, :3])


def test_random_blocks_are_numpys_streams():
    x = da.random.default_rng(7).normal(size=6, chunks=2)
    seeds = np.random.SeedSequence(7).spawn(3)
    want = np.concatenate([np.random.default_rng(s).normal(size=2) for s in seeds])
    np.testing.assert_array_equal(x.compute(), want)
    rng = da.random.default_rng(7)
    first, second = rng.random(4, chunks=2), rng.random(4, chunks=2)
    assert first.name != second.name and not np.array_equal(first.compute(), second.compute())
    # So many blocks that nothing is made for each until it runs.
    many = da.random.default_rng(7).random((3000, 3000), chunks=1)
    again = da.random.default_rng(7).random((3000, 3000), chunks=1)
    assert many.name == again.name
    np.testing.assert_array_equal(many[17, :3].compute(), again[17, :3].compute())
    assert len(np.unique(many[2, :9].compute())) == 9
    state = da.random.RandomState(3).uniform(size=(100, 100), chunks=1)
    assert len(np.unique(state[5, :5].compute())) == 5


@pytest.mark.parametrize(
    "seed", [0, 7, 2**40 + 3, [1, 2, 3], [2**35, 1, 2, 3, 4, 5], np.random.SeedSequence(3, spawn_key=(4, 5))]
)
@pytest.mark.parametrize("shape", [(1,), (10,), (5, 7), (3, 0)])
def test_native_random_numbers_are_numpys(seed, shape):
    chunks = tuple((2,) * (n // 2) + ((1,) if n % 2 else ()) or (0,) for n in shape)
    fresh = lambda: (
        np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key) if hasattr(seed, "entropy") else seed
    )
    root = fresh() if hasattr(seed, "entropy") else np.random.SeedSequence(seed)
    blocks = list(np.ndindex(*map(len, chunks)))
    generators = [np.random.default_rng(s) for s in root.spawn(2 * len(blocks))]
    rng = da.random.default_rng(fresh())
    x, y = rng.random(shape, chunks=chunks), rng.uniform(-1, high=4, size=shape, chunks=chunks)
    assert x._expr.lane == y._expr.lane == "native" and x.dtype == float
    for i, at in enumerate(blocks):
        size = tuple(c[k] for c, k in zip(chunks, at))
        np.testing.assert_array_equal(x.blocks[at].compute(), generators[i].random(size))
        np.testing.assert_array_equal(
            y.blocks[at].compute(), generators[len(blocks) + i].uniform(-1, 4, size)
        )
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(y)).compute(), y.compute())


@pytest.mark.parametrize("ndim", [1, 2])
def test_blocks_of_other_kinds_take_the_same_ways(ndim):
    v = np.arange(6).astype(object) if ndim == 1 else np.arange(24).reshape(4, 6).astype(object)
    x = da.from_array(v, chunks=2)
    assert_eq(x[1:5], v[1:5])
    assert_eq(x[[3, 0, 1]], v[[3, 0, 1]])
    assert_eq(x[..., ::-2], v[..., ::-2])
    assert_eq(x.rechunk(3), v)
    assert_eq(x[None, ..., 1], v[None, ..., 1])
    assert_eq(da.concatenate([x, x[:3]]), np.concatenate([v, v[:3]]))
    assert_eq(da.stack([x, x], axis=-1), np.stack([v, v], axis=-1))
    assert_eq(x.T, v.T)
    assert_eq(x.reshape(-1), v.reshape(-1))
    assert_eq(x.blocks[1], v[2:4])


def test_names_say_where_arrays_come_from():
    x = da.ones((4, 4), chunks=2, name="mine")
    assert x.name == "mine" and ("mine", 1, 1) in x.dask
    assert (x + 1).name.startswith("add-")
    assert x.sum().name.startswith("sum-")


def test_a_million_blocks_cost_no_more_than_one():
    x = da.random.default_rng(1).random((1000, 1000), chunks=1)
    y = ((x - x.mean(0)) / x.std(0)).rechunk((10, 10))[::7].T
    assert y.numblocks == (100, 15) or y.npartitions > 1000
    assert len(y.map_blocks(np.sqrt).sum().dask.layers) < 20


@pytest.mark.parametrize("num", [1, 2, 7, 50])
@pytest.mark.parametrize("endpoint", [True, False])
def test_counting_gives_numpys_numbers(num, endpoint):
    np.testing.assert_array_equal(
        da.linspace(0.1, 3.7, num, endpoint=endpoint, chunks=3).compute(),
        np.linspace(0.1, 3.7, num, endpoint=endpoint),
    )
    np.testing.assert_array_equal(
        da.arange(1, 1 + num * 0.1, 0.1, chunks=3).compute()[:num], np.arange(1, 1 + num * 0.1, 0.1)[:num]
    )
    np.testing.assert_array_equal(da.arange(5, -num, -2, chunks=3).compute(), np.arange(5, -num, -2))
    for dtype in ("int8", "uint8", "float32"):
        np.testing.assert_array_equal(
            da.arange(num, dtype=dtype, chunks=3).compute(), np.arange(num, dtype=dtype)
        )


class Counted:
    """A source that notes what is read of it."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.read = values, values.shape, values.dtype, []

    def __getitem__(self, index):
        self.read.append(index)
        return self.values[index]


@pytest.mark.parametrize("inline", [True, False])
def test_only_what_a_slice_wants_is_read(inline):
    v = np.arange(60).reshape(6, 10)
    source = Counted(v)
    x = da.from_array(source, chunks=(3, 5), name="counted", inline_array=inline)
    np.testing.assert_array_equal(x[1:5:2, 6].compute(), v[1:5:2, 6])
    assert len(source.read) == 2 and all(column == 6 for _, column in source.read)
    source.read.clear()
    np.testing.assert_array_equal(x[2:][:2, ::3][:, 1:].compute(), v[2:][:2, ::3][:, 1:])
    assert sum(v[part].size for part in source.read) == 6
    np.testing.assert_array_equal(x[::-1, [7, 1]].compute(), v[::-1, [7, 1]])
    np.testing.assert_array_equal(x.compute(), v)
