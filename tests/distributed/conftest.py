"""Clusters for tests, and the check that none leaves anything behind."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
from weft.distributed import Client


def alive(pid: int) -> bool:
    """Whether a process exists and runs."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(condition) -> None:
    """Waits for something that other processes bring about."""
    give_up = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


@pytest.fixture(scope="session")
def tools():
    return SimpleNamespace(alive=alive, until=until)


@pytest.fixture(scope="module")
def client():
    """A client of two worker processes of one thread each, shared by the tests of a module."""
    with Client(n_workers=2, threads_per_worker=1, memory_limit=0) as client:
        directory = client.cluster._directory
        pids = {worker.pid for worker in client.cluster.workers.values()}
        yield client
    assert not os.path.exists(directory)
    assert not any(alive(pid) for pid in pids)


@pytest.fixture(scope="module")
def local():
    """A client of two workers that are threads of this process."""
    with Client(n_workers=2, threads_per_worker=1, processes=False, memory_limit=0) as client:
        yield client
