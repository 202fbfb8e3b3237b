"""Clusters for tests, and the check that none leaves anything behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
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


class Process:
    """A server and what it says."""

    def __init__(self, *arguments, **env):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "weft", *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )
        self.lines = []
        self.said = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self.said:
                self.lines.append(line)
                self.said.notify_all()

    @property
    def text(self):
        return "".join(self.lines)

    def wait_for(self, text):
        with self.said:
            assert self.said.wait_for(lambda: text in self.text, timeout=60), self.text

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(60)
        self.process.stderr.close()
        return code


@pytest.fixture
def start():
    """Starts servers, and ends those that a test leaves."""
    with contextlib.ExitStack() as stack:

        def go(*arguments, **env):
            process = Process(*arguments, **env)
            stack.callback(process.end)
            return process

        yield go
