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
