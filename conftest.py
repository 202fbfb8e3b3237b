"""What every test gets, and the examples in docstrings."""

import signal

import pytest

# Who starts the tests in the background (a CI service, nohup) may make them ignore Ctrl-C, and their children with them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Importing these makes `dask` mean weft in the whole process: no test could compare with Dask any more.
collect_ignore = ["python/weft/dropin.py", "python/weft/_run/bootstrap"]


@pytest.fixture(autouse=True)
def _examples_write_elsewhere(request):
    """Examples may write files: into a directory of their own."""
    if isinstance(request.node, pytest.DoctestItem):
        request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))
