"""Plugins of workers, files that they get, and clusters that follow their work."""

from __future__ import annotations

import os
import time

import pytest
import weft
import weft.array as da
from weft import delayed
from weft.distributed import (
    Adaptive,
    Client,
    Environ,
    LocalCluster,
    PipInstall,
    SchedulerPlugin,
    UploadDirectory,
    UploadFile,
    WorkerPlugin,
    get_worker,
)


class Mark(WorkerPlugin):
    def __init__(self, path, value):
        self.path, self.value = str(path), value

    def setup(self, worker):
        worker.mark = self.value
        return self.value

    def teardown(self, worker):
        with open(self.path, "a") as file:
            file.write(f"{self.value} left {worker.name}\n")


def mark():
    return get_worker().mark


def test_plugins_come_to_all_workers_and_later_ones(tmp_path, tools):
    path = tmp_path / "left"
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        assert list(client.register_plugin(Mark(path, 1), name="mark").values()) == [1]
        assert client.submit(mark, pure=False).result(60) == 1
        client.register_plugin(Mark(path, 2), name="mark")
        assert path.read_text() == "1 left 0\n"
        cluster.scale(2)
        client.wait_for_workers(2, timeout=60)
        assert set(client.run(lambda dask_worker: dask_worker.mark).values()) == {2}
        assert client.list_datasets() == ()
        client.unregister_worker_plugin("mark")
        assert sorted(path.read_text().splitlines()) == ["1 left 0", "2 left 0", "2 left 1"]
        with pytest.raises(ValueError, match="mark"):
            client.unregister_worker_plugin("mark")
        with pytest.raises(TypeError, match="runs no Python|does not"):
            client.register_plugin(SchedulerPlugin())
        with pytest.raises(TypeError, match="class Mark"):
            client.register_plugin(Mark)
        client.register_plugin(Mark(path, 3))
    # Those that a closed cluster ends are told, too.
    assert "3 left 0" in path.read_text()


def test_files_directories_and_variables(client, tmp_path):
    module = tmp_path / "brought_along.py"
    module.write_text("answer = 42\n")
    client.register_plugin(UploadFile(str(module)))

    def ask():
        import brought_along

        return brought_along.answer

    assert client.submit(ask, pure=False).result(60) == 42
    package = tmp_path / "package_along"
    (package / "tests").mkdir(parents=True)
    (package / "inside_along.py").write_text("answer = 43\n")
    (package / "tests" / "left_out.py").write_text("")
    client.register_plugin(UploadDirectory(str(package), update_path=True))

    def ask_inside():
        import inside_along

        return inside_along.answer, os.listdir(os.path.dirname(inside_along.__file__))

    answer, files = client.submit(ask_inside, pure=False).result(60)
    assert answer == 43 and "tests" not in files
    client.register_plugin(Environ({"WEFT_TEST_VARIABLE": 7}))
    assert set(client.run(os.getenv, "WEFT_TEST_VARIABLE").values()) == {"7"}
    with pytest.raises(RuntimeError, match="pip install"):
        client.register_plugin(PipInstall(["no-such-package-of-weft"], pip_options=["--no-index"]))


def test_annotations_of_collections_reach_the_scheduler(client, tmp_path):
    name = "1"

    def where():
        return str(get_worker().name)

    with weft.annotate(workers=[name]):
        here = [delayed(where, pure=False)() for _ in range(10)]
    assert set(weft.compute(*here)) == {name}
    with weft.annotate(workers=["nobody"], allow_other_workers=True):
        assert delayed(where, pure=False)().compute() in ("0", "1")
    seen = tmp_path / "seen"

    def once():
        if not seen.exists():
            seen.write_text("")
            raise OSError("the first time")
        return 5

    with weft.annotate(retries=1):
        again = delayed(once)()
    assert again.compute() == 5
    with weft.annotate(resources={"GPU": 1}):
        needs = delayed(where, pure=False)()
    future = client.compute(needs)
    with pytest.raises(TimeoutError):
        future.result(timeout=0.2)
    client.cancel(future)
    with weft.annotate(priority=10):
        assert float(da.ones(10, chunks=5).sum().compute()) == 10.0


def test_a_cluster_follows_its_work(tools):
    with (
        LocalCluster(n_workers=0, threads_per_worker=1, memory_limit=0, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        adaptive = cluster.adapt(minimum=0, maximum=3, interval="50ms", wait_count=2, target_duration="100ms")
        assert isinstance(adaptive, Adaptive) and "maximum 3" in repr(adaptive)
        futures = client.map(time.sleep, [0.2] * 20, pure=False)
        tools.until(lambda: len(client.nthreads()) == 3)
        client.gather(futures)
        del futures
        tools.until(lambda: not cluster.workers and not client.nthreads())
        assert ("up", 3) in adaptive.log or adaptive.log[0][0] == "up"
        # It grows again, and a size that is asked for ends it.
        assert client.submit(abs, -1).result(60) == 1
        cluster.scale(2)
        client.wait_for_workers(2, timeout=60)
        assert cluster._adaptive is None
    with pytest.raises(ValueError, match="minimum"):
        Adaptive(cluster, minimum=3, maximum=2)
