"""Clusters start, shrink, lose workers and go without leaving anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from weft.distributed import Client, KilledWorker, LocalCluster, get_client, wait


def inc(x):
    return x + 1


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("processes", [True, False])
def test_close_leaves_nothing(processes, tools):
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=processes, memory_limit=0)
    client = Client(cluster)
    assert client.gather(client.map(inc, range(10))) == list(range(1, 11))
    pids = [w["pid"] for w in client.scheduler_info()["workers"].values()]
    directory = cluster._directory
    assert os.path.exists(directory) and os.path.exists(cluster._token_file)
    client.close()
    assert client.status == "closed"
    cluster.close()
    cluster.close()
    assert not os.path.exists(directory) and not os.path.exists(cluster._token_file)
    if processes:
        assert not any(tools.alive(pid) for pid in pids)
    with pytest.raises(ValueError):
        get_client()


def test_workers_of_this_process_share_it(local):
    assert set(local.run(os.getpid).values()) == {os.getpid()}
    assert local.gather(local.map(inc, range(100))) == list(range(1, 101))


def test_a_dead_worker_is_replaced_and_its_results_made_again(tools):
    with Client(n_workers=2, threads_per_worker=1, memory_limit=0) as client:
        futures = client.map(inc, range(100))
        wait(futures, timeout=60)
        before = set(client.run(os.getpid).values())
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        assert client.gather(futures) == list(range(1, 101))
        total = client.submit(sum, futures)
        assert total.result(60) == sum(range(1, 101))
        tools.until(lambda: len(client.nthreads()) == 2)
        tools.until(lambda: victim not in {w["pid"] for w in client.scheduler_info()["workers"].values()})


def test_a_task_that_kills_is_given_up_and_says_how_it_died():
    settings = {"allowed_failures": 1}
    with Client(n_workers=2, threads_per_worker=1, memory_limit=0, scheduler_kwargs=settings) as client:
        future = client.submit(die)
        with pytest.raises(KilledWorker, match=r"die-.*SIGKILL"):
            future.result(60)
        assert client.submit(inc, 1).result(60) == 2


def test_scale(client, tools):
    cluster = client.cluster
    cluster.scale(3)
    client.wait_for_workers(3, timeout=60)
    futures = client.map(inc, range(30))
    wait(futures, timeout=60)
    cluster.scale(2)
    tools.until(lambda: len(client.nthreads()) == 2)
    # What the third had is still there: it handed over before it went.
    assert client.gather(futures) == list(range(1, 31))


def test_restart(client):
    before = set(client.run(os.getpid).values())
    client.restart()
    after = set(client.run(os.getpid).values())
    assert len(after) == 2 and not before & after
    assert client.submit(inc, 1).result(60) == 2


def test_async():
    async def program():
        async with Client(n_workers=1, threads_per_worker=1, memory_limit=0, asynchronous=True) as client:
            future = client.submit(inc, 1)
            assert await future == 2
            assert await client.gather(client.map(inc, range(10))) == list(range(1, 11))
            assert await client.submit(inc, future).result() == 3
            (scattered,) = await client.scatter([5])
            assert await scattered == 5
            failing = client.submit(lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await failing
            assert isinstance(await failing.exception(), ZeroDivisionError)
            assert len(await client.nthreads()) == 1
            many = client.map(inc, range(100))
            assert sum(await asyncio.gather(*many)) == sum(range(1, 101))
            await wait(many)

    asyncio.run(program())


SCRIPT = """
import os, signal, sys, time
from weft.distributed import Client

class Local:
    def __init__(self, x):
        self.x = x

def double(local):
    return Local(local.x * 2)

client = Client(n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=":0")
assert client.submit(double, Local(4)).result(60).x == 8
print(client.cluster._directory, *client.run(os.getpid).values(), flush=True)
if sys.argv[1] == "forget":
    sys.exit(0)
client.submit(time.sleep, 3600)
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
client.submit(time.sleep, 3601).result()
"""


@pytest.mark.parametrize("how", ["forget", "kill", "interrupt"])
def test_the_end_of_a_program_is_the_end_of_its_cluster(tmp_path, how, tools):
    script = tmp_path / "program.py"
    # Without a guard for __main__: workers do not import it.
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(script), how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        directory, *pids = line.split()
        if how == "interrupt":
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    tools.until(lambda: not any(tools.alive(int(pid)) for pid in pids))
    tools.until(lambda: not os.path.exists(directory))
    if how == "forget":
        assert (process.returncode, err) == (0, "")
    if how == "interrupt":
        assert err.strip().endswith("KeyboardInterrupt")


def test_results_spill_beyond_the_limit(tmp_path):
    import numpy as np

    limit = 256 << 20
    with Client(
        n_workers=1, threads_per_worker=1, memory_limit=limit, local_directory=str(tmp_path)
    ) as client:
        futures = client.map(lambda i: np.full(4 << 20, i, dtype=float), range(10), pure=False)
        wait(futures, timeout=120)
        sums = client.map(lambda x: float(x[0]), futures)
        assert client.gather(sums) == [float(i) for i in range(10)]
    assert os.listdir(tmp_path) == []


def test_arguments_that_mean_nothing_are_refused():
    with pytest.raises(TypeError, match="n_wokers"):
        LocalCluster(n_wokers=2)


def test_strangers_are_refused(client):
    import socket

    from weft import _weft

    with pytest.raises(OSError, match="token"):
        _weft.ClusterClient(client.scheduler_address, "wrong", "stranger", 10.0)
    host, port = client.scheduler_address.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n" + b"x" * 100)
        # Hung up on, in one way or the other.
        with contextlib.suppress(ConnectionResetError):
            while stranger.recv(100):
                pass
    assert client.submit(inc, 1).result(60) == 2


def test_workers_have_the_settings_of_who_started_them():
    import weft

    with (
        weft.config.set({"array.chunk-size": "3MiB", "test-of-mine": [1, {"a": None}], "here-only": print}),
        Client(n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address=None) as client,
    ):
        settings = client.submit(lambda: [weft.config.get(n) for n in ("array.chunk-size", "test-of-mine")])
        assert settings.result(60) == ["3MiB", [1, {"a": None}]]
