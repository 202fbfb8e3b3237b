"""xarray on weft's arrays: the main paths, each a function. `test_xarray` runs this file as a program.

    xarray_paths.py dropin|beside|alone DIRECTORY

``dropin``: ``import dask`` means weft. ``beside``: Dask is installed, and the arrays are weft's. ``alone``: there is no Dask.
Prints a JSON object: the name of each path, and null or the traceback of what went wrong.
"""

import json
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

PATHS = {}


def path(function):
    PATHS[function.__name__] = function
    return function


def example():
    """A year of days on a small map; in memory."""
    import pandas as pd
    import xarray as xr

    rng = np.random.default_rng(3)
    values = rng.normal(size=(365, 6, 8))
    gaps = np.where(rng.random(values.shape) < 0.1, np.nan, values)
    return xr.Dataset(
        {"t2m": (("time", "lat", "lon"), values), "rain": (("time", "lat", "lon"), gaps)},
        coords={
            "time": pd.date_range("2021-01-01", periods=365),
            "lat": np.linspace(-50, 50, 6),
            "lon": np.linspace(0, 350, 8),
            "zone": ("lat", list("aabbcc")),
        },
    )


def chunked():
    ds = example().chunk(time=50, lat=3, lon=4)
    # Groups are found among labels in memory.
    return ds.assign_coords(zone=ds.zone.compute())


def same(lazy, expected):
    """What was computed lazily, on weft's arrays, equals what NumPy gives."""
    import weft.array as da
    import xarray as xr

    variables = lazy.data_vars.values() if isinstance(lazy, xr.Dataset) else [lazy]
    for v in variables:
        assert isinstance(v.data, da.Array), f"{v.name} is {type(v.data)}"
    xr.testing.assert_allclose(lazy.compute(), expected)


@path
def chunk_and_compute(directory):
    ds = chunked()
    assert ds.chunks["time"] == (50,) * 7 + (15,)
    same(ds, example())
    same(ds.chunk(time=-1, lat=1), example())
    same(ds.persist(), example())
    assert dict(ds.unify_chunks().chunks) == dict(ds.chunks)
    loaded = ds.t2m.load()
    assert isinstance(loaded.data, np.ndarray)


@path
def arithmetic(directory):
    ds, mem = chunked(), example()
    same(
        (ds.t2m - ds.t2m.mean("time")) / ds.t2m.std("time"),
        (mem.t2m - mem.t2m.mean("time")) / mem.t2m.std("time"),
    )
    same(ds.rain.fillna(0).where(ds.t2m > 0), mem.rain.fillna(0).where(mem.t2m > 0))
    same(np.exp(ds) * 2 + ds.lat, np.exp(mem) * 2 + mem.lat)
    same(ds.t2m + ds.t2m.isel(time=0, drop=True).data, mem.t2m + mem.t2m.isel(time=0, drop=True).data)
    assert bool((ds.t2m > -9).all())


@path
def reductions(directory):
    ds, mem = chunked(), example()
    for name in ("sum", "mean", "std", "var", "min", "max", "count", "median", "prod"):
        given = {"dim": "lat"} if name == "median" else {"dim": ("time", "lon")}
        lazy = ds.chunk(lat=-1) if name == "median" else ds
        same(getattr(lazy, name)(**given), getattr(mem, name)(**given))
    same(ds.rain.mean(skipna=False), mem.rain.mean(skipna=False))
    same(ds.t2m.argmax("time"), mem.t2m.argmax("time"))
    same(ds.t2m.idxmax("time"), mem.t2m.idxmax("time"))
    same(ds.t2m.chunk(time=-1).quantile([0.1, 0.9], "time"), mem.t2m.quantile([0.1, 0.9], "time"))
    same(ds.t2m.cumsum("time"), mem.t2m.cumsum("time"))
    weights = np.cos(np.deg2rad(mem.lat))
    same(ds.rain.weighted(weights).mean(("lat", "lon")), mem.rain.weighted(weights).mean(("lat", "lon")))


@path
def select_and_reshape(directory):
    import xarray as xr

    ds, mem = chunked(), example()
    same(ds.isel(time=slice(10, 200, 3), lat=[0, 2, 1]), mem.isel(time=slice(10, 200, 3), lat=[0, 2, 1]))
    same(ds.sel(lon=100, method="nearest"), mem.sel(lon=100, method="nearest"))
    same(ds.sel(time="2021-03"), mem.sel(time="2021-03"))
    points = {"lat": xr.DataArray([0, 5, 2], dims="p"), "lon": xr.DataArray([7, 0, 3], dims="p")}
    same(ds.isel(points), mem.isel(points))
    same(ds.transpose("lon", "time", "lat"), mem.transpose("lon", "time", "lat"))
    plain, flat = mem.t2m.drop_vars("zone"), ds.t2m.drop_vars("zone").stack(cell=("lat", "lon"))
    same(flat, plain.stack(cell=("lat", "lon")))
    same(flat.unstack("cell"), plain)
    same(xr.concat([ds, ds], "run"), xr.concat([mem, mem], "run"))
    same(ds.t2m.shift(time=3).roll(lon=2), mem.t2m.shift(time=3).roll(lon=2))
    same(ds.t2m.pad(lat=1, mode="edge"), mem.t2m.pad(lat=1, mode="edge"))
    same(ds.t2m.sortby("lon", ascending=False), mem.t2m.sortby("lon", ascending=False))
    same(ds.t2m.diff("time"), mem.t2m.diff("time"))


@path
def groupby(directory):
    ds, mem = chunked(), example()
    same(ds.groupby("time.month").mean(), mem.groupby("time.month").mean())
    same(ds.t2m.groupby("zone").sum(), mem.t2m.groupby("zone").sum())
    monthly = mem.groupby("time.month").mean()
    same(ds.groupby("time.month") - monthly.chunk(), mem.groupby("time.month") - monthly)
    same(
        ds.t2m.groupby("time.season").map(lambda x: x - x.mean()),
        mem.t2m.groupby("time.season").map(lambda x: x - x.mean()),
    )


@path
def resample(directory):
    ds, mem = chunked(), example()
    same(ds.resample(time="MS").mean(), mem.resample(time="MS").mean())
    same(ds.t2m.resample(time="7D").max(), mem.t2m.resample(time="7D").max())


@path
def windows(directory):
    ds, mem = chunked(), example()
    for name in ("mean", "max", "std"):
        same(getattr(ds.rolling(time=7), name)(), getattr(mem.rolling(time=7), name)())
    same(
        ds.t2m.rolling(time=60, center=True, min_periods=1).sum(),
        mem.t2m.rolling(time=60, center=True, min_periods=1).sum(),
    )
    same(ds.t2m.rolling(time=5).construct("window"), mem.t2m.rolling(time=5).construct("window"))
    blocks = {"time": 73, "lat": 2}
    same(ds.drop_vars("zone").coarsen(blocks).mean(), mem.drop_vars("zone").coarsen(blocks).mean())
    same(ds.rain.ffill("time"), mem.rain.ffill("time"))
    same(ds.rain.bfill("time", limit=2), mem.rain.bfill("time", limit=2))


@path
def apply_ufunc(directory):
    import xarray as xr

    ds, mem = chunked(), example()

    def spread(x):
        return x.max(axis=-1) - x.min(axis=-1)

    given = {"input_core_dims": [["time"]], "output_dtypes": [float]}
    whole = ds.t2m.chunk(time=-1)
    same(xr.apply_ufunc(spread, whole, dask="parallelized", **given), spread_of(mem))
    same(xr.apply_ufunc(np.square, ds.t2m, dask="parallelized"), mem.t2m**2)
    same(xr.apply_ufunc(np.square, ds.t2m, dask="allowed"), mem.t2m**2)
    same(xr.apply_ufunc(spread, whole, dask="parallelized", vectorize=True, **given), spread_of(mem))
    two = xr.apply_ufunc(lambda a, b: a * b, ds.t2m, ds.lat, dask="parallelized", output_dtypes=[float])
    same(two, mem.t2m * mem.lat)
    same(xr.dot(ds.t2m, ds.t2m, dim="time"), xr.dot(mem.t2m, mem.t2m, dim="time"))


def spread_of(mem):
    return mem.t2m.max("time") - mem.t2m.min("time")


@path
def map_blocks(directory):
    import xarray as xr

    ds, mem = chunked(), example()
    ds, mem = ds.drop_vars("zone"), mem.drop_vars("zone")
    same(xr.map_blocks(lambda block: block * 2, ds), mem * 2)
    rows = ds.chunk(lon=-1)
    same(rows.map_blocks(lambda block: block.mean("lon"), template=rows.mean("lon")), mem.mean("lon"))
    same(ds.t2m.map_blocks(lambda block, by: block + by, args=[10]), mem.t2m + 10)


@path
def zarr_files(directory):
    import xarray as xr

    ds, mem = example().chunk(time=73, lat=3, lon=4), example()
    store = directory / "year.zarr"
    ds.to_zarr(store)
    again = xr.open_zarr(store)
    same(again, mem)
    assert again.chunks["time"] == (73,) * 5
    same(xr.open_dataset(store, engine="zarr", chunks={"time": 100}), mem)
    # Appending, writing a region, writing later.
    half = directory / "halves.zarr"
    ds.isel(time=slice(0, 146)).to_zarr(half)
    ds.isel(time=slice(146, None)).to_zarr(half, append_dim="time")
    same(xr.open_zarr(half), mem)
    later = ds.t2m.to_dataset().to_zarr(directory / "later.zarr", compute=False)
    later.compute()
    same(xr.open_zarr(directory / "later.zarr").t2m, mem.t2m)
    (ds * 0).drop_vars(["lat", "lon", "zone"]).isel(time=slice(0, 73)).to_zarr(
        half, region={"time": slice(0, 73)}
    )
    assert float(abs(xr.open_zarr(half).t2m.isel(time=slice(0, 73))).sum()) == 0


@path
def netcdf_files(directory):
    import xarray as xr

    ds, mem = chunked().drop_vars("zone"), example().drop_vars("zone")
    ds.isel(time=slice(0, 200)).to_netcdf(directory / "a.nc")
    write = ds.isel(time=slice(200, None)).to_netcdf(directory / "b.nc", compute=False)
    write.compute()
    with xr.open_dataset(directory / "a.nc", chunks={"time": 64}) as first:
        same(first, mem.isel(time=slice(0, 200)))
    with xr.open_mfdataset(str(directory / "[ab].nc"), chunks={"time": 64}) as both:
        same(both.t2m.groupby("time.month").mean(), mem.t2m.groupby("time.month").mean())
    same(xr.open_mfdataset([directory / "a.nc", directory / "b.nc"], parallel=True), mem)


@path
def interpolation_and_fits(directory):
    ds, mem = chunked(), example()
    same(ds.t2m.interp(lat=[-10.0, 3.0], lon=[11.0]), mem.t2m.interp(lat=[-10.0, 3.0], lon=[11.0]))
    same(ds.t2m.polyfit("time", 1).polyfit_coefficients, mem.t2m.polyfit("time", 1).polyfit_coefficients)
    same(ds.t2m.differentiate("lat"), mem.t2m.differentiate("lat"))
    same(ds.t2m.integrate("lat"), mem.t2m.integrate("lat"))
    same(ds.rain.chunk(time=-1).interpolate_na("time"), mem.rain.interpolate_na("time"))


@path
def collections(directory):
    import pickle

    import weft

    ds, mem = chunked(), example()
    one, total = weft.compute(ds.t2m.mean(), ds)
    np.testing.assert_allclose(one, mem.t2m.mean())
    import xarray as xr

    xr.testing.assert_allclose(total, mem)
    same(pickle.loads(pickle.dumps(ds)), mem)
    assert weft.base.tokenize(ds) == weft.base.tokenize(chunked())
    assert "dask.array" in repr(ds.t2m) or "chunksize" in repr(ds.t2m)
    assert ds.t2m._repr_html_()


def main(mode, directory):
    if mode == "dropin":
        import weft.dropin  # noqa: F401
    elif mode == "alone":
        sys.modules["dask"] = None
    import xarray as xr

    if mode == "beside":
        xr.set_options(chunk_manager="weft")
    # What xarray itself warns of is not this test's.
    warnings.simplefilter("ignore")
    outcome = {}
    for name, function in PATHS.items():
        place = Path(directory, name)
        place.mkdir()
        try:
            function(place)
            outcome[name] = None
        except Exception:
            outcome[name] = traceback.format_exc()
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
