"""What every test gets, and the examples in docstrings."""

import pytest

# Importing these makes `dask` mean weft in the whole process: no test could compare with Dask any more.
collect_ignore = ["python/weft/dropin.py", "python/weft/_run/bootstrap"]


@pytest.fixture(autouse=True)
def _examples_write_elsewhere(request):
    """Examples may write files: into a directory of their own."""
    if isinstance(request.node, pytest.DoctestItem):
        request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))
