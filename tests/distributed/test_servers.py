"""``weft scheduler`` and ``weft worker`` as processes: started, used, killed, told to go."""

from __future__ import annotations

import json
import os
import signal

import pytest
from weft.distributed import Client, KilledWorker, wait


def inc(x):
    return x + 1


def die(how):
    os.kill(os.getpid(), how)


def leave(code):
    os._exit(code)


def pids_of(client):
    return {w["pid"] for w in client.scheduler_info()["workers"].values()}


@pytest.fixture
def cluster(start, tmp_path):
    """A scheduler and a nanny with two workers, and where they can be found."""
    where = str(tmp_path / "scheduler.json")
    scheduler = start("scheduler", "--port", 0, "--scheduler-file", where, "--dashboard-address", ":0")
    workers = start(
        "worker", "--scheduler-file", where, "--nworkers", 2, "--nthreads", 1, "--name", "w",
        "--memory-limit", "1GB", "--resources", "GPU=2", "--local-directory", tmp_path / "spill",
    )  # fmt: skip
    with Client(scheduler_file=wait_for_file(scheduler, where)) as client:
        client.wait_for_workers(2, timeout=60)
        yield client, scheduler, workers, where


def wait_for_file(scheduler, where):
    scheduler.wait_for("Scheduler at")
    return where


def test_a_cluster_by_hand(cluster, tools):
    client, scheduler, workers, where = cluster
    assert client.gather(client.map(inc, range(100))) == list(range(1, 101))
    infos = client.scheduler_info()["workers"].values()
    assert {w["name"] for w in infos} == {"w-0", "w-1"}
    assert {(w["nthreads"], w["memory_limit"]) for w in infos} == {(1, 10**9)}
    assert client.submit(inc, 1, resources={"GPU": 1}, pure=False).result(60) == 2
    assert oct(os.stat(where).st_mode & 0o777) == "0o600"
    with open(where) as file:
        known = json.load(file)
    assert client.dashboard_link == known["dashboard"]
    # The token is left for other processes of this user, too.
    with Client(known["address"], set_as_default=False) as second:
        assert second.submit(inc, 2).result(60) == 3
    # Told to go, the workers hand over and leave; the scheduler removes its files.
    pids = pids_of(client)
    assert workers.end(signal.SIGTERM) == 0, workers.text
    assert not any(tools.alive(pid) for pid in pids)
    tools.until(lambda: not client.nthreads())
    client.close()
    assert scheduler.end(signal.SIGINT) == 0, scheduler.text
    assert not os.path.exists(where)
    assert "Traceback" not in scheduler.text + workers.text


def test_ctrl_c_leaves_nothing(cluster, tools):
    client, scheduler, workers, _ = cluster
    pids = pids_of(client)
    client.submit(__import__("time").sleep, 3600)
    assert workers.end(signal.SIGINT) == 0
    assert not any(tools.alive(pid) for pid in pids)
    assert "Traceback" not in workers.text


def test_a_killed_nanny_takes_its_workers_along(cluster, tools):
    client, _, workers, _ = cluster
    pids = pids_of(client)
    workers.end(signal.SIGKILL)
    tools.until(lambda: not any(tools.alive(pid) for pid in pids))
    tools.until(lambda: not client.nthreads())


def test_a_worker_that_dies_is_replaced_and_the_cause_named(cluster, tools):
    client, _, workers, _ = cluster
    before = pids_of(client)
    with pytest.raises(KilledWorker, match=r"die-.*SIGSEGV.*of memory"):
        client.submit(die, signal.SIGSEGV).result(120)
    with pytest.raises(KilledWorker, match=r"leave-.*exited with code 7"):
        client.submit(leave, 7).result(120)
    tools.until(lambda: len(client.nthreads()) == 2)
    assert not before & pids_of(client)
    assert client.submit(inc, 1).result(60) == 2
    assert "SIGSEGV" in workers.text


def test_a_worker_retires_and_its_results_stay(cluster, tools):
    client, _, _, _ = cluster
    futures = client.map(inc, range(50))
    wait(futures, timeout=60)
    victim = min(pids_of(client))
    os.kill(victim, signal.SIGTERM)
    tools.until(lambda: victim not in pids_of(client))
    assert client.gather(futures) == list(range(1, 51))


def test_preload_and_lifetime(start, tmp_path, tools):
    where = str(tmp_path / "scheduler.json")
    preload = tmp_path / "mine.py"
    preload.write_text(
        "import sys\n"
        "def dask_setup(server):\n    server.mark = 41\n    print('set up', type(server).__name__, file=sys.stderr)\n"
        "def dask_teardown(server):\n    print('torn down', type(server).__name__, file=sys.stderr)\n"
    )
    scheduler = start(
        "scheduler", "--port", 0, "--scheduler-file", where, "--no-dashboard", "--preload", preload
    )
    scheduler.wait_for("set up Scheduler")
    worker = start("worker", "--scheduler-file", where, "--nthreads", 1, "--preload", preload)
    with Client(scheduler_file=wait_for_file(scheduler, where)) as client:
        client.wait_for_workers(1, timeout=60)
        assert client.dashboard_link == ""
        assert list(client.run(lambda dask_worker: dask_worker.mark).values()) == [41]
        short = start("worker", "--scheduler-file", where, "--nthreads", 1, "--lifetime", "1s", "--no-nanny")
        client.wait_for_workers(2, timeout=60)
        tools.until(lambda: len(client.nthreads()) == 1)
        assert short.process.wait(60) == 0
    worker.end()
    assert "torn down Worker" in worker.text
    scheduler.end()
    assert "torn down Scheduler" in scheduler.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scheduler", "--host", "0.0.0.0", "--port", 0], "must not be let in"),
        (["worker"], "name the scheduler"),
        (["worker", "127.0.0.1:1", "--nworkers", "2", "--no-nanny"], "nanny"),
        (["worker", "127.0.0.1:1", "--resources", "GPU"], "GPU=2"),
        (["scheduler", "--interface", "nowhere0"], "no network interface"),
    ],
)
def test_arguments_that_make_no_sense(start, arguments, message):
    process = start(*arguments)
    assert process.process.wait(60) != 0
    process.end()
    assert message in process.text


def test_an_idle_scheduler_ends(start):
    scheduler = start("scheduler", "--port", 0, "--no-dashboard", "--idle-timeout", "300ms")
    assert scheduler.process.wait(60) == 0


def test_a_worker_without_a_scheduler_gives_up_in_time(start):
    worker = start("worker", "tcp://127.0.0.1:1", "--death-timeout", "200ms", "--no-nanny")
    assert worker.process.wait(60) == 1
    worker.end()
    assert "cannot reach its scheduler" in worker.text
