"""What threads give, processes and clusters give too: kernels, their partial results and blocks at hand travel."""

import numpy as np
import pytest
import weft
import weft.array as da
from weft.distributed import Client


def build():
    """Arrays whose tasks have something to send each other, by name."""
    rng = np.random.default_rng(0)
    holes = rng.normal(size=(12, 30))
    holes[3, 4] = np.nan
    x = da.from_array(holes, chunks=(5, 7))
    y = da.from_array(rng.integers(0, 50, (12, 30)), chunks=(5, 7))
    z = da.from_array(rng.normal(size=40), chunks=6)
    made = {}
    for axis in (None, 0, 1):
        for name in ("sum", "prod", "mean", "var", "std", "min", "max", "any", "all", "argmin", "argmax"):
            made[f"{name} {axis}"] = getattr(x, name)(axis=axis)
            made[f"{name} {axis} of integers"] = getattr(y, name)(axis=axis)
        for name in ("sum", "prod", "mean", "var", "std", "min", "max", "argmin", "argmax"):
            made[f"nan{name} {axis}"] = getattr(da, f"nan{name}")(x, axis=axis)
        made[f"moment {axis}"] = x.moment(3, axis=axis)
    for name in ("cumsum", "cumprod", "nancumsum", "nancumprod"):
        for method in ("sequential", "blelloch"):
            for axis in (0, 1):
                made[f"{name} {axis} {method}"] = getattr(da, name)(x, axis=axis, method=method)
    written = y.copy()
    written[2:5, ::3] = 7
    made |= {
        "topk": da.topk(z, 5),
        "argtopk": da.argtopk(z, -5),
        "count_nonzero": da.count_nonzero(y, axis=0),
        "median": da.nanmedian(x, axis=1),
        "percentile": da.percentile(z, [20, 50]),
        "unique": da.unique(y),
        "histogram": da.histogram(y, bins=5, range=(0, 50))[0],
        "cov": da.cov(y),
        "tensordot": da.tensordot(y, y, axes=((1,), (1,))),
        "qr": da.linalg.qr(z.reshape(20, 2).rechunk((5, 2)))[1],
        "complex": (x + 1j).sum(axis=0),
        "masked": da.ma.filled(da.ma.masked_greater(y, 20).sum(axis=0), -1),
        "points": y.vindex[[1, 2, 7], [3, 10, 29]],
        "diagonal": da.diagonal(y),
        "written": written,
        "divmod": da.divmod(y, 3)[1],
        "dates": da.from_array(np.arange(20).astype("M8[D]"), chunks=3).max().astype("i8"),
        "random": da.random.default_rng(3).normal(size=(10, 10), chunks=3).mean(axis=0),
        "overlap": da.overlap.overlap(y, 1, "reflect").sum(axis=0),
        "reshape": y.reshape(30, 12),
        "rechunk": y.rechunk((12, 2)),
        "concatenate": da.concatenate([y, y]).sum(axis=1),
    }
    return made


@pytest.fixture(scope="module")
def expected():
    made = build()
    # One by one: nothing is shared between them.
    return {name: x.compute(scheduler="sync") for name, x in made.items()}


@pytest.fixture(scope="module")
def client():
    with Client(n_workers=2, threads_per_worker=1, memory_limit=0, set_as_default=False) as client:
        yield client


def compare(results, expected):
    for (name, value), result in zip(expected.items(), results, strict=True):
        assert np.asarray(result).dtype == np.asarray(value).dtype, name
        np.testing.assert_allclose(result, value, rtol=1e-12, atol=1e-12, err_msg=name)


def test_arrays_one_by_one_on_processes(expected):
    results = [x.compute(scheduler="processes", num_workers=2) for x in build().values()]
    compare(results, expected)


def test_arrays_all_together_on_processes(expected):
    compare(weft.compute(*build().values(), scheduler="processes", num_workers=2), expected)


def test_arrays_all_together_on_a_cluster(client, expected):
    compare(client.gather(client.compute(list(build().values()))), expected)


def test_arrays_one_by_one_on_a_cluster(client, expected):
    compare([client.compute(x).result() for x in build().values()], expected)


def test_what_the_same_names_share_is_not_mixed_up(client):
    """A mean alone, and the same mean beside a deviation: two ways to make one block."""
    x = da.from_array(np.random.default_rng(1).normal(size=(40, 6)), chunks=(7, 3))
    scaled = ((x - x.mean(axis=0)) / x.std(axis=0)).sum(axis=1)
    alone, beside, both = client.gather(client.compute([x.mean(axis=0), scaled, x.std(axis=0)]))
    np.testing.assert_allclose(alone, x.compute().mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(both, x.compute().std(axis=0), atol=1e-12)
    np.testing.assert_allclose(beside, scaled.compute(scheduler="sync"), atol=1e-9)


def test_each_worker_gets_its_own_blocks_of_a_large_array(client):
    x = np.random.default_rng(2).normal(size=(400, 500))
    lazy = da.from_array(x, chunks=100)
    assert client.compute((lazy + 1).sum()).result() == pytest.approx(x.sum() + x.size)
    persisted = client.persist(lazy)
    total = client.compute(persisted.sum(axis=0)).result()
    np.testing.assert_allclose(total, x.sum(axis=0))
