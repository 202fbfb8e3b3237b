"""Functions of NumPy, SciPy's tests and NumPy's masked arrays on arrays in blocks, beside the originals."""

import warnings

import numpy as np
import pytest
import weft.array as da
from weft.array import assert_eq

rng = np.random.default_rng(5)
x = rng.normal(size=(4, 30))
d = da.from_array(x, chunks=(2, 8))
counts = rng.integers(0, 4, 30)
importance = rng.uniform(0.1, 2, 30)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("fweights", [None, counts])
@pytest.mark.parametrize("aweights", [None, importance])
@pytest.mark.parametrize("options", [{}, {"bias": True}, {"ddof": 3}, {"ddof": 0}])
def test_cov_with_weights(lazy, fweights, aweights, options):
    given = {"fweights": fweights, "aweights": aweights, **options}
    mine = {
        k: da.from_array(w, chunks=7) if lazy and isinstance(w, np.ndarray) else w for k, w in given.items()
    }
    assert_eq(da.cov(d, **mine), np.cov(x, **given))
    assert_eq(da.cov(d.T, rowvar=False, **mine), np.cov(x.T, rowvar=False, **given))
    assert_eq(da.cov(d[0], d[1:], **mine), np.cov(x[0], x[1:], **given))


@pytest.mark.parametrize(
    "given, error, words",
    [
        ({"fweights": np.ones((2, 2), int)}, RuntimeError, "multidimensional fweights"),
        ({"fweights": np.ones(3, int)}, RuntimeError, "30 and 3"),
        ({"aweights": np.ones(3)}, RuntimeError, "30 and 3"),
        ({"fweights": np.full(30, 0.5)}, TypeError, "integer"),
        ({"fweights": np.full(30, -1)}, ValueError, "negative"),
        ({"aweights": np.full(30, -1.0)}, ValueError, "negative"),
        ({"ddof": 0.5}, ValueError, "integer"),
    ],
)
def test_cov_refuses_weights_that_are_none(given, error, words):
    with pytest.raises(error, match=words):
        da.cov(d, **given).compute()


def test_lu_of_many_blocks_gives_the_matrix_back():
    m = rng.normal(size=(12, 12))
    p, low, up = da.linalg.lu(da.from_array(m, chunks=3))
    assert_eq(p.dot(low).dot(up), m)
    assert_eq(da.tril(low), low.compute())
    assert_eq(
        da.linalg.solve(da.from_array(m, chunks=3), da.from_array(m[0], chunks=3)), np.linalg.solve(m, m[0])
    )
    with pytest.raises(NotImplementedError, match="full_matrices"):
        da.linalg.svd(da.from_array(m, chunks=(3, 12)), full_matrices=True)


def test_masked_running_totals_go_on_behind_masks():
    m = np.ma.masked_greater(np.arange(12.0).reshape(3, 4) % 5, 2)
    e = da.from_array(m, chunks=2)
    for axis in (0, 1):
        for name in ("cumsum", "cumprod"):
            mine, theirs = getattr(e, name)(axis=axis).compute(), getattr(m, name)(axis=axis)
            np.testing.assert_array_equal(mine.mask, theirs.mask)
            np.testing.assert_array_equal(mine.filled(-1), theirs.filled(-1))
    assert_eq(
        da.ma.average(e, weights=np.arange(4.0), axis=1), np.ma.average(m, weights=np.arange(4.0), axis=1)
    )
    assert_eq(da.ma.count(e, axis=0), np.ma.count(m, axis=0))


@pytest.mark.parametrize("name", ["mean", "var", "std", "sum"])
def test_reductions_over_no_axis(name):
    assert_eq(getattr(d, name)(axis=()), getattr(np, name)(x, axis=()))


def test_select_takes_lists_and_arrays():
    conditions, choices = [[True, False, False], [True, True, False]], [[1, 2, 3], [4, 5, 6]]
    expected = np.select([np.array(c) for c in conditions], choices, default=-1)
    assert_eq(da.select(conditions, choices, default=-1), expected)
    lazy = da.from_array(np.array(conditions), chunks=(2, 2))
    assert_eq(da.select(lazy, da.from_array(np.array(choices), chunks=2), default=-1), expected)
    with pytest.raises(TypeError, match="int64"):
        da.select([d[0].astype("i8")], [d[0]])


def test_rolling_by_nothing_is_a_copy():
    one = da.arange(2, 3)
    rolled = da.roll(one, 1)
    rolled[0] = 9
    assert_eq(one, np.array([2]))


def test_flat_positions_of_unknown_many_points():
    points = np.array([[3, 6, 6], [4, 5, 1], [-1, -1, -1]])
    e = da.from_array(points, chunks=2)
    assert_eq(da.ravel_multi_index(e[(e > 0).all(axis=1)], (7, 6)), np.ravel_multi_index(points[:2], (7, 6)))
    with pytest.raises(TypeError, match="only int indices"):
        da.ravel_multi_index((1.0, 2), (5, 10))


def test_outer_products_that_explode_warn():
    with pytest.warns(da.PerformanceWarning, match="factor of"):
        da.tensordot(da.ones((20, 20), chunks=(5, 4)), da.ones((20, 10), chunks=(4, 5)), axes=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        da.tensordot(da.ones((20, 20), chunks=(5, 4)), da.ones((20, 10), chunks=(4, 5)), axes=1)


@pytest.mark.parametrize(
    "name, args, options",
    [
        ("ttest_ind", 2, {}),
        ("ttest_ind", 2, {"equal_var": False}),
        ("ttest_rel", 2, {}),
        ("skewtest", 1, {}),
        ("normaltest", 1, {}),
        ("f_oneway", 2, {}),
        ("power_divergence", 1, {"lambda_": "neyman"}),
    ],
)
def test_statistics_are_lazy_named_tuples(name, args, options):
    scipy_stats = pytest.importorskip("scipy.stats")
    samples = [rng.uniform(1, 2, size=25) for _ in range(args)]
    result = getattr(da.stats, name)(*(da.from_array(s, chunks=6) for s in samples), **options)
    expected = getattr(scipy_stats, name)(*samples, **options)
    statistic, pvalue = result
    np.testing.assert_allclose([statistic.compute(), pvalue.compute()], [expected.statistic, expected.pvalue])
    computed = result.compute()
    np.testing.assert_allclose([computed.statistic, computed.pvalue], [expected.statistic, expected.pvalue])


def test_counts_of_one_element_are_broadcast():
    assert_eq(da.zeros((3, 6), chunks=4) + da.arange(4, 5), np.full((3, 6), 4.0))
    assert_eq(da.zeros((6, 3), chunks=4) * 2 + da.arange(3)[1:2], np.ones((6, 3)))
    assert_eq(da.tril(da.arange(3, chunks=2)), np.tril(np.arange(3)))
