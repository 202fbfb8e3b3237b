"""Arrays as users meet them: protocols, errors, files, randomness."""

import pickle

import numpy as np
import pytest
import weft
import weft.array as da
from weft.array import assert_eq


def test_collection_protocol():
    x = da.arange(6, chunks=3) + 1
    assert weft.is_dask_collection(x)
    assert x.__dask_keys__() == [(x.name, 0), (x.name, 1)]
    (persisted,) = weft.persist(x)
    assert persisted.name == x.name
    assert_eq(persisted, np.arange(6) + 1)
    assert_eq(pickle.loads(pickle.dumps(x)), np.arange(6) + 1)
    assert weft.base.tokenize(x) == weft.base.tokenize(da.arange(6, chunks=3) + 1)


def test_numpy_functions_stay_lazy():
    x = da.ones((4, 4), chunks=2)
    assert isinstance(np.sin(x), da.Array)
    assert isinstance(np.sum(x), da.Array)
    assert isinstance(np.concatenate([x, x]), da.Array)
    assert_eq(np.sin(x), np.sin(np.ones((4, 4))))
    with pytest.warns(FutureWarning, match="not implemented"):
        assert np.partition(x, 1).shape == (4, 4)


def test_lazy_booleans_have_unknown_chunks_until_they_are_computed():
    x = da.arange(10, chunks=5)
    y = x[x > 6]
    assert np.isnan(y.shape[0])
    with pytest.raises(ValueError, match="unknown"):
        len(y)
    y.compute_chunk_sizes()
    assert y.chunks == ((0, 3),)
    assert_eq(y, np.array([7, 8, 9]))


@pytest.mark.parametrize(
    "act, error, words",
    [
        (lambda x: x[10], IndexError, "out of bounds"),
        (lambda x: x[0, 0, 0], IndexError, "Too many"),
        (lambda x: x + da.ones(3), ValueError, "broadcast"),
        (lambda x: x.reshape(5), ValueError, "total size"),
        (lambda x: x.sum(axis=2), ValueError, "out of bounds"),
        (lambda x: x.rechunk((3, (1, 1))), ValueError, "add up"),
        (lambda x: da.concatenate([x, da.ones((2, 9))]), ValueError, "align"),
    ],
)
def test_errors_say_what_does_not_fit(act, error, words):
    with pytest.raises(error, match=words):
        act(da.ones((4, 6), chunks=2))


def test_missing_names_say_what_to_use():
    with pytest.raises(AttributeError, match="map_blocks"):
        getattr(da, "kaiser")  # noqa: B009


def test_block_info_tells_where_a_block_is():
    seen = da.map_blocks(
        lambda x, block_info: x * 0 + block_info[0]["array-location"][0][0], da.arange(6, chunks=2), dtype=int
    )
    assert_eq(seen, np.array([0, 0, 2, 2, 4, 4]))


def test_random_arrays_follow_from_seed_and_chunks():
    def draw(chunks):
        return da.random.default_rng(7).normal(size=(6, 4), chunks=chunks)

    assert_eq(draw(2), draw(2))
    assert not (draw(2) == draw(3)).all().compute()
    x = da.random.RandomState(3).uniform(2, 5, size=1000, chunks=100).compute()
    assert x.min() >= 2 and x.max() < 5


def test_store_writes_into_the_region(tmp_path):
    x = da.arange(6, chunks=4)
    out = np.zeros(10, dtype=int)
    da.store(x, out, regions=(slice(2, 8),))
    np.testing.assert_array_equal(out, [0, 0, 0, 1, 2, 3, 4, 5, 0, 0])
    da.to_npy_stack(str(tmp_path / "stack"), x)
    assert_eq(da.from_npy_stack(str(tmp_path / "stack")), np.arange(6))


def test_linear_algebra():
    rng = np.random.default_rng(0)
    m = rng.normal(size=(12, 4))
    x = da.from_array(m, chunks=(3, 4))
    q, r = da.linalg.qr(x)
    assert_eq(q.dot(r), m)
    u, s, v = da.linalg.svd(x)
    assert_eq(s, np.linalg.svd(m)[1])
    assert_eq((u * s).dot(v), m)


def test_masked_arrays_keep_their_masks():
    x = np.ma.masked_greater(np.arange(6.0), 3)
    d = da.from_array(x, chunks=4)
    assert float(d.sum().compute()) == x.sum()
    assert_eq(da.ma.filled(d, -1), x.filled(-1))


def test_html_shows_the_blocks():
    page = da.ones((10, 10), chunks=5)._repr_html_()
    assert "<svg" in page and "(10, 10)" in page and "float64" in page


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "hfft"])
@pytest.mark.parametrize("norm", [None, "ortho"])
def test_transforms_along_whole_axes(name, norm):
    m = np.random.default_rng(0).normal(size=(4, 10))
    x = da.from_array(m, chunks=(2, 10))
    assert_eq(getattr(da.fft, name)(x, norm=norm), getattr(np.fft, name)(m, norm=norm))
    with pytest.raises(ValueError, match="single chunk"):
        getattr(da.fft, name)(x.T)


def test_statistics_agree_with_scipy():
    scipy_stats = pytest.importorskip("scipy.stats")
    a = np.random.default_rng(0).normal(size=40)
    x = da.from_array(a, chunks=9)
    for name in ("skewtest", "kurtosistest", "normaltest"):
        mine, theirs = getattr(da.stats, name)(x), getattr(scipy_stats, name)(a)
        np.testing.assert_allclose(mine.compute(), [theirs.statistic, theirs.pvalue])
        np.testing.assert_allclose([v.compute() for v in mine], [theirs.statistic, theirs.pvalue])


@pytest.mark.parametrize("weights", [False, True])
def test_quantiles_with_lazy_weights(weights):
    rng = np.random.default_rng(0)
    m, w = rng.normal(size=(6, 8)), rng.uniform(0.5, 2, size=8)
    x = da.from_array(m, chunks=(4, 3))
    given = {"weights": w} if weights else {}
    lazy = {"weights": da.from_array(w, chunks=5)} if weights else {}
    expected = np.quantile(m, [0.2, 0.7], axis=1, method="inverted_cdf", **given)
    assert_eq(da.quantile(x, [0.2, 0.7], axis=1, method="inverted_cdf", **lazy), expected)


def test_lazy_indices_out_of_bounds_raise():
    with pytest.raises(IndexError, match="out of bounds"):
        da.arange(5, chunks=2)[da.from_array(np.array([7, 1]), chunks=2)].compute()
    assert_eq(da.arange(5, chunks=2)[-6::-1], np.arange(5)[-6::-1])


def test_graphs_of_arrays_are_graphs_of_layers():
    from weft.highlevelgraph import HighLevelGraph

    x = da.ones((4, 4), chunks=2)
    y = (x + x.T).cumsum(axis=0)
    graph = y.__dask_graph__()
    assert isinstance(graph, HighLevelGraph)
    merged = HighLevelGraph.merge(graph, (x * 2).persist(scheduler="sync").__dask_graph__())
    assert_eq(da.Array(merged, y.name, y.chunks, y.dtype), y.compute())
    assert_eq(da.Array(graph.cull_layers(y.__dask_layers__()), y.name, y.chunks, y.dtype), y.compute())
    with pytest.raises(KeyError, match="nothing"):
        graph.cull_layers(["nothing"])
