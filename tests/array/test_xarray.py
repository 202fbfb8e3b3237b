"""xarray on weft's arrays; the paths themselves are in `xarray_paths`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("xarray")
pytest.importorskip("zarr")
pytest.importorskip("netCDF4")

HERE = Path(__file__).parent
EVERYTHING = """
    chunk_and_compute arithmetic reductions select_and_reshape groupby resample windows apply_ufunc map_blocks
    zarr_files netcdf_files interpolation_and_fits collections
""".split()
# Where the arrays are weft's and Dask is another, xarray does some things through Dask itself, and others without it not at all.
DIRECT = {
    "beside": "chunk_and_compute arithmetic reductions select_and_reshape groupby resample apply_ufunc".split(),
    "alone": "chunk_and_compute arithmetic groupby resample apply_ufunc map_blocks".split(),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of the paths in each way of bringing xarray and weft together; each in an interpreter of its own."""
    known = {}

    def run(mode):
        if mode not in known:
            command = [
                sys.executable,
                str(HERE / "xarray_paths.py"),
                mode,
                str(tmp_path_factory.mktemp(mode)),
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=110)
            assert done.returncode == 0, done.stderr
            known[mode] = json.loads(done.stdout)
        return known[mode]

    return run


@pytest.mark.parametrize("name", EVERYTHING)
def test_with_dask_meaning_weft(outcomes, name):
    error = outcomes("dropin")[name]
    assert error is None, error


@pytest.mark.parametrize("mode, name", [(mode, name) for mode, names in DIRECT.items() for name in names])
def test_with_wefts_arrays_themselves(outcomes, mode, name):
    error = outcomes(mode)[name]
    assert error is None, error
