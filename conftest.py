"""What every test gets, and the examples in docstrings."""

import pytest


@pytest.fixture(autouse=True)
def _examples_write_elsewhere(request):
    """Examples may write files: into a directory of their own."""
    if isinstance(request.node, pytest.DoctestItem):
        request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))
