"""Arrays into targets and files, and back: `store`, Zarr, HDF5, memory maps, .npy stacks."""

import threading

import numpy as np
import pytest
import weft
import weft.array as da
from weft.array import assert_eq

x = np.arange(24.0).reshape(4, 6)


def lazy():
    return da.from_array(x, chunks=(3, 4))


# -- store -----------------------------------------------------------------------------------------


def test_store_later_writes_when_it_is_computed():
    a, b = np.zeros((4, 6)), np.zeros((4, 6))
    first, second = da.store([lazy(), lazy() + 1], [a, b], compute=False)
    assert not a.any() and not b.any()
    written = weft.compute(first, second)
    assert [w.size for w in written] == [0, 0]
    np.testing.assert_array_equal(a, x)
    np.testing.assert_array_equal(b, x + 1)


@pytest.mark.parametrize("compute", [True, False])
@pytest.mark.parametrize("load_stored", [None, True, False])
def test_store_gives_back_what_it_stored(compute, load_stored):
    out = np.zeros((4, 6))
    stored = da.store(lazy(), out, compute=compute, return_stored=True, load_stored=load_stored)
    assert isinstance(stored, da.Array) and stored.chunks == lazy().chunks
    if not compute:
        assert not out.any()
    if compute or load_stored is not False:
        assert_eq(stored, x, check_graph=False)
    else:
        stored.compute()
    np.testing.assert_array_equal(out, x)


def test_store_into_lazy_targets_and_regions():
    out = np.zeros((8, 6))
    target = weft.delayed(lambda: out)()
    region = weft.delayed((slice(2, 6), slice(None)))
    da.store(lazy(), target, regions=region)
    np.testing.assert_array_equal(out[2:6], x)
    da.store([lazy(), lazy()], [out, out], regions=[(slice(0, 4), slice(None)), (slice(4, 8), slice(None))])
    np.testing.assert_array_equal(out, np.concatenate([x, x]))


class OneAtATime:
    """A target that notices two writers."""

    def __init__(self):
        self.busy, self.most, self.lock = 0, 0, threading.Lock()

    def __setitem__(self, index, value):
        with self.lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        np.linalg.svd(np.ones((60, 60)))
        with self.lock:
            self.busy -= 1


@pytest.mark.parametrize("lock", [True, threading.Lock()])
def test_store_takes_turns_under_a_lock(lock):
    target = OneAtATime()
    da.ones(40, chunks=1).store(target, lock=lock, num_workers=4)
    assert target.most == 1


@pytest.mark.parametrize(
    "sources, targets, options, words",
    [
        ([x], [x], {}, "must be dask array"),
        ([lazy()], [x, x], {}, r"sources \[1\] and targets \[2\]"),
        ([lazy()], [x], {"regions": [None, None]}, r"regions \[2\]"),
    ],
)
def test_store_counts_its_arguments(sources, targets, options, words):
    with pytest.raises(ValueError, match=words):
        da.store(sources, targets, **options)


# -- Zarr ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("component", [None, "deep/down"])
def test_zarr_and_back(tmp_path, zarr_format, component):
    pytest.importorskip("zarr")
    place = tmp_path / "x.zarr"
    assert lazy().to_zarr(place, component=component, zarr_format=zarr_format) is None
    back = da.from_zarr(place, component=component)
    assert back.chunks == lazy().chunks
    assert_eq(back, x)
    assert_eq(da.from_zarr(str(place), component=component, chunks=2), x)
    assert da.from_zarr(place, component=component).name == back.name


def test_zarr_overwrites_only_if_told(tmp_path):
    zarr = pytest.importorskip("zarr")
    place = str(tmp_path / "x.zarr")
    lazy().to_zarr(place)
    with pytest.raises(zarr.errors.ContainsArrayError):
        lazy().to_zarr(place)
    (lazy() + 1).to_zarr(place, mode="w")
    assert_eq(da.from_zarr(place), x + 1)
    (lazy() + 2).to_zarr(place, overwrite=True)
    assert_eq(da.from_zarr(place), x + 2)
    with pytest.raises(ValueError, match="read-only"):
        lazy().to_zarr(place, mode="r")


def test_zarr_later(tmp_path):
    pytest.importorskip("zarr")
    later = lazy().to_zarr(tmp_path / "x.zarr", compute=False)
    assert isinstance(later, da.Array)
    assert not da.from_zarr(tmp_path / "x.zarr").any().compute()
    later.compute()
    assert_eq(da.from_zarr(tmp_path / "x.zarr"), x)
    stored = lazy().to_zarr(tmp_path / "y.zarr", return_stored=True)
    assert_eq(stored, x, check_graph=False)


@pytest.mark.parametrize("shards", [None, (4, 6)])
def test_zarr_regions_never_share_a_chunk(shards):
    """Two tasks that write into one chunk lose what one of them wrote: blocks follow the chunks of the target."""
    zarr = pytest.importorskip("zarr")
    z = zarr.create_array({}, shape=(12, 18), chunks=(2, 3), shards=shards, dtype="f8")
    expected = np.zeros((12, 18))
    expected[1:11, 2:17] = np.arange(150.0).reshape(10, 15)
    part = da.from_array(expected[1:11, 2:17].copy(), chunks=(1, 2))
    writing = part.to_zarr(z, region=(slice(1, 11), slice(2, 17)), compute=False)
    rows, columns = shards or z.chunks
    assert all((1 + end) % rows == 0 for end in np.cumsum(writing.chunks[0])[:-1])
    assert all((2 + end) % columns == 0 for end in np.cumsum(writing.chunks[1])[:-1])
    writing.compute()
    np.testing.assert_array_equal(z[:], expected)
    with pytest.raises(ValueError, match=r"\(10, 15\), the region \(10, 10\)"):
        part.to_zarr(z, region=(slice(0, 10), slice(0, 10)))
    with pytest.raises(ValueError, match=r"\(10, 15\), the Zarr array \(12, 18\)"):
        part.to_zarr(z)


def test_zarr_has_no_uneven_or_unknown_chunks(tmp_path):
    pytest.importorskip("zarr")
    with pytest.warns(UserWarning, match="irregular"):
        da.from_array(x, chunks=((1, 3), 6)).to_zarr(tmp_path / "x.zarr")
    assert da.from_zarr(tmp_path / "x.zarr").chunks == ((3, 1), (6,))
    with pytest.raises(ValueError, match="unknown chunk sizes"):
        lazy()[lazy() > 3].to_zarr(tmp_path / "y.zarr")
    with pytest.raises(ValueError, match="region"):
        lazy().to_zarr(tmp_path / "z.zarr", region=(slice(2),))


def test_automatic_chunks_follow_the_file():
    zarr = pytest.importorskip("zarr")
    z = zarr.create_array({}, shape=(1000, 50), chunks=(101, 50), dtype="f8")
    with weft.config.set({"array.chunk-size": 101 * 50 * 8 * 3}):
        assert da.from_array(z).chunks == ((303, 303, 303, 91), (50,))


# -- HDF5 and memory maps --------------------------------------------------------------------------


@pytest.mark.parametrize("lock", [False, True])
@pytest.mark.parametrize("inline_array", [False, True])
def test_hdf5_and_back(tmp_path, lock, inline_array):
    h5py = pytest.importorskip("h5py")
    place = tmp_path / "x.h5"
    lazy().to_hdf5(str(place), "/a/x", compression="gzip")
    da.to_hdf5(str(place), {"/y": lazy() + 1, "/z": lazy() + 2}, chunks=None)
    with h5py.File(place) as file:
        assert file["/a/x"].chunks == (3, 4)
        back = da.from_array(file["/a/x"], chunks="auto", lock=lock, inline_array=inline_array)
        assert_eq(back + da.from_array(file["/y"], chunks=2, lock=lock), 2 * x + 1)
        assert_eq(back[1:3, ::2], x[1:3, ::2])
        assert_eq(back[[0, 2]], x[[0, 2]])
    with pytest.raises(ValueError, match="dictionary"):
        da.to_hdf5(str(place), lazy())


def test_memory_maps(tmp_path):
    mapped = np.memmap(tmp_path / "x.dat", dtype="f8", mode="w+", shape=(4, 6))
    lazy().store(mapped)
    mapped.flush()
    again = np.memmap(tmp_path / "x.dat", dtype="f8", mode="r", shape=(4, 6))
    assert_eq(da.from_array(again, chunks=2) * 2, x * 2)


@pytest.mark.parametrize("axis", [0, 1])
def test_npy_stacks(tmp_path, axis):
    da.to_npy_stack(str(tmp_path / "stack"), lazy(), axis=axis)
    back = da.from_npy_stack(str(tmp_path / "stack"))
    assert back.chunks[axis] == lazy().chunks[axis] and back.numblocks[1 - axis] == 1
    assert_eq(back, x)
    assert_eq(da.from_npy_stack(str(tmp_path / "stack"), mmap_mode=None), x)


@pytest.mark.parametrize("call", [lambda: da.from_tiledb("x"), lambda: lazy().to_tiledb("x")])
def test_tiledb_says_what_is_missing(monkeypatch, call):
    monkeypatch.setitem(__import__("sys").modules, "tiledb", None)
    with pytest.raises(RuntimeError, match="pip install tiledb"):
        call()
