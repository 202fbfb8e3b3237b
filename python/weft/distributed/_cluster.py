"""Clusters on this machine."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import weakref
from typing import Any

from weft import _weft, config
from weft.system import CPU_COUNT

__all__ = ["LocalCluster"]

logger = logging.getLogger("weft.distributed")

#: A worker that dies so often in a row is not started again.
_MAX_RESTARTS = 100


def nprocesses_nthreads(n: int | None = None) -> tuple[int, int]:
    """How many processes, and threads in each, use ``n`` CPUs well: processes where the GIL would be in the way.

    Examples
    --------
    >>> nprocesses_nthreads(4), nprocesses_nthreads(32)
    ((4, 1), (8, 4))
    """
    n = n or CPU_COUNT
    if n <= 4:
        processes = n
    else:
        processes = min(f for f in range(1, n + 1) if n % f == 0 and f >= math.sqrt(n))
    return processes, max(1, n // processes)


class LocalCluster:
    """A scheduler in this process, and workers in processes of their own (or in this one).

    Parameters
    ----------
    n_workers : int, optional
        By default as many as use all CPUs.
    threads_per_worker : int, optional
    processes : bool
        False: workers are threads of this process, and nothing is copied between it and them but results.
    host : str
        Where the scheduler listens; by default only this machine reaches it.
    scheduler_port : int
        0: any free port.
    memory_limit : str, int or None
        For each worker: bytes, text such as ``"2 GiB"``, a fraction of the machine's memory, ``"auto"`` (a fair share), or
        None or 0 (no limit).
    name : str, optional
    resources : dict, optional
        Abstract resources of each worker.
    local_directory : str, optional
        Where results go that memory has no room for.
    asynchronous : bool
        ``async with`` and ``await`` work.

    Raises
    ------
    TypeError
        An argument is unknown.

    Examples
    --------
    >>> with LocalCluster(n_workers=1, processes=False) as cluster:
    ...     len(cluster.workers)
    1
    """

    def __init__(
        self,
        name: str | None = None,
        n_workers: int | None = None,
        threads_per_worker: int | None = None,
        processes: bool | None = None,
        loop: Any = None,
        start: Any = None,
        host: str | None = None,
        ip: Any = None,
        scheduler_port: int = 0,
        silence_logs: Any = None,
        dashboard_address: Any = ":8787",
        worker_dashboard_address: Any = None,
        diagnostics_port: Any = None,
        services: Any = None,
        worker_services: Any = None,
        service_kwargs: Any = None,
        asynchronous: bool = False,
        security: Any = None,
        protocol: str | None = None,
        blocked_handlers: Any = None,
        interface: str | None = None,
        worker_class: Any = None,
        scheduler_kwargs: Any = None,
        scheduler_sync_interval: Any = 1,
        memory_limit: Any = "auto",
        resources: dict[str, float] | None = None,
        local_directory: str | None = None,
        env: dict[str, str] | None = None,
        **kwargs: Any,
    ):
        if kwargs:
            names = ", ".join(sorted(kwargs))
            raise TypeError(f"LocalCluster got arguments that it does not know: {names}")
        if threads_per_worker == 0:
            threads_per_worker = None
        self.processes = processes if processes is not None else True
        if n_workers is None and threads_per_worker is None:
            if self.processes:
                n_workers, threads_per_worker = nprocesses_nthreads()
            else:
                n_workers, threads_per_worker = 1, CPU_COUNT
        elif n_workers is None:
            n_workers = max(1, CPU_COUNT // (threads_per_worker or 1)) if self.processes else 1
        elif threads_per_worker is None:
            threads_per_worker = max(1, CPU_COUNT // n_workers) if n_workers else 1
        self.name = name or f"LocalCluster-{secrets.token_hex(4)}"
        self.asynchronous = asynchronous
        self.status = "running"
        self.threads_per_worker: int = threads_per_worker or 1
        self.memory_limit = _memory_limit(memory_limit, max(n_workers, 1))
        self._resources = dict(resources or {})
        self._env = dict(env or {})
        self._token = secrets.token_hex(32)
        self._lock = threading.RLock()
        self._directory = tempfile.mkdtemp(prefix="weft-cluster-")
        self._local_directory = os.fspath(
            local_directory or config.get("temporary-directory", None) or tempfile.gettempdir()
        )
        self._number = 0
        #: By name: a `_Process`, or a `Worker` of this process.
        self.workers: dict[Any, Any] = {}
        self._token_file: str | None = None
        tcp = f"tcp://{host or '127.0.0.1'}:{scheduler_port or 0}"
        listen = ["inproc://", f"unix://{self._directory}/scheduler", tcp]
        try:
            settings = {**_scheduler_settings(), **(scheduler_kwargs or {})}
            self._server = _weft.SchedulerServer(listen, self._token, **settings)
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        self._client_address, self._worker_address, self.scheduler_address = self._server.addresses
        self._token_file = _publish_token(self.scheduler_address, self._token)
        _open.add(self)
        try:
            self.scale(n_workers)
            if self.processes:
                self._wait_for_processes()
        except BaseException:
            self.close()
            raise

    # -- workers ----------------------------------------------------------------------------------

    def _spec(self, name: Any) -> dict[str, Any]:
        return {
            "name": name,
            "scheduler": self._worker_address if self.processes else self._client_address,
            "public": self.scheduler_address,
            "listen": f"unix://{self._directory}/{name}-{secrets.token_hex(4)}"
            if self.processes
            else "inproc://",
            "token": self._token,
            "nthreads": self.threads_per_worker,
            "memory_limit": self.memory_limit or 0,
            "local_directory": self._local_directory,
            "nanny": "local" if self.processes else "",
            "resources": self._resources,
            "cleanup": [self._directory],
            "sys.path": sys.path,
        }

    def _add_worker(self) -> None:
        name = self._number
        self._number += 1
        if self.processes:
            self.workers[name] = _Process(self, name)
        else:
            from weft.distributed._worker import Worker

            self.workers[name] = Worker(self._spec(name))

    def scale(self, n: int | None = None, jobs: int = 0, memory: Any = None, cores: int | None = None) -> Any:
        """Makes the cluster have ``n`` workers.

        Parameters
        ----------
        n : int
        """
        if n is None:
            n = jobs or (math.ceil(cores / self.threads_per_worker) if cores else 0)
        with self._lock:
            while len(self.workers) < n:
                self._add_worker()
            surplus = [self.workers.pop(name) for name in list(self.workers)[n:]]
        for worker in surplus:
            if self.processes:
                worker.retire()
            else:
                worker.close("the cluster was made smaller")
        return _Done() if self.asynchronous else None

    def _wait_for_processes(self) -> None:
        """Until all workers are there. One that cannot start is an error and not a wait for ever."""
        with _quiet_client(self) as client:
            while len(client._core.workers()) < len(self.workers):
                for worker in list(self.workers.values()):
                    worker.check()
                time.sleep(0.002)

    # -- life -------------------------------------------------------------------------------------

    def close(self, timeout: Any = None) -> Any:
        """Ends the workers and the scheduler, and leaves nothing behind."""
        with self._lock:
            if self.status == "closed":
                return _Done() if self.asynchronous else None
            self.status = "closed"
            workers = list(self.workers.values())
            self.workers = {}
        if self.processes:
            for worker in workers:
                worker.closing = True
        self._server.close()
        for worker in workers:
            worker.close("the cluster was closed")
        if self._token_file is not None:
            with contextlib.suppress(OSError):
                os.remove(self._token_file)
        shutil.rmtree(self._directory, ignore_errors=True)
        return _Done() if self.asynchronous else None

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    async def __aenter__(self) -> LocalCluster:
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self.close()

    def __await__(self) -> Any:
        async def ready() -> LocalCluster:
            return self

        return ready().__await__()

    def __del__(self) -> None:
        if getattr(self, "status", None) == "running":
            with contextlib.suppress(Exception):
                self.close()

    def get_client(self) -> Any:
        """A client for this cluster."""
        from weft.distributed._client import Client

        return Client(self, asynchronous=self.asynchronous)

    @property
    def dashboard_link(self) -> str:
        """Where the dashboard is; empty: there is none."""
        return ""

    @property
    def scheduler_info(self) -> dict:
        """What the scheduler knows about its workers."""
        with _quiet_client(self) as client:
            return client.scheduler_info()

    def __repr__(self) -> str:
        threads = len(self.workers) * self.threads_per_worker
        return f"{type(self).__name__}({self.name}, {self.scheduler_address!r}, workers={len(self.workers)}, threads={threads})"


class _Process:
    """A worker's process, watched by a thread that starts it again when it dies."""

    def __init__(self, cluster: LocalCluster, name: Any):
        self.name = name
        self.closing = False
        self._cluster = weakref.ref(cluster)
        self._scheduler = cluster._server
        self._restarts = 0
        self._cause = ""
        self._lock = threading.Lock()
        self._spawn(cluster)
        self._thread = threading.Thread(target=self._watch, name=f"weft-nanny-{name}", daemon=True)
        self._thread.start()

    def _spawn(self, cluster: LocalCluster) -> None:
        environment = {
            **cluster._env,
            "WEFT_WORKER_SPEC": json.dumps(cluster._spec(self.name)),
            # One thread for each task is what the cluster counts on.
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
            "MKL_NUM_THREADS": os.environ.get("MKL_NUM_THREADS", "1"),
            "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1"),
        }
        arguments = [
            "-c",
            f"import sys; sys.path[:] = {sys.path!r}\nfrom weft.distributed._worker import main; main()",
        ]
        self.process = _weft.Nanny(sys.executable, arguments, list(environment.items()))

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    def check(self) -> None:
        """Raises if the process ends again and again."""
        if self._restarts > 2:
            raise RuntimeError(f"worker {self.name} cannot be started: its process {self._cause}")

    def _watch(self) -> None:
        from weft.distributed._worker import RESTART

        while True:
            process = self.process
            cause, clean = process.wait()
            restart = cause == f"exited with code {RESTART}"
            expected = clean or restart or self.closing
            self._scheduler.worker_exited(process.pid, f"its process {cause}", expected)
            cluster = self._cluster()
            with self._lock:
                if cluster is None:
                    return
                again = not self.closing and not clean and cluster.status == "running"
                self._restarts += not restart
                self._cause = cause
                if not again or self._restarts > _MAX_RESTARTS:
                    return
                if not restart:
                    logger.warning("worker %s (pid %s) %s; starting it again", self.name, process.pid, cause)
                try:
                    self._spawn(cluster)
                except Exception:
                    logger.exception("worker %s could not be started again", self.name)
                    return
            del cluster

    def retire(self) -> None:
        """Lets the worker hand over and go."""
        import signal

        with self._lock:
            self.closing = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)

    def close(self, reason: str) -> None:
        """Ends the process; one that does not end by itself is killed."""
        with self._lock:
            self.closing = True
            process = self.process
        if process.wait(1.0) is None:
            process.let_go()
            if process.wait(1.0) is None:
                process.kill()
                process.wait()
        if self._thread is not threading.current_thread():
            self._thread.join()


class _Done:
    """An awaitable that is done."""

    def __await__(self) -> Any:
        return iter(())


@contextlib.contextmanager
def _quiet_client(cluster: LocalCluster) -> Any:
    from weft.distributed._client import Client

    client = Client(cluster, set_as_default=False)
    try:
        yield client
    finally:
        client._close()


def _scheduler_settings() -> dict[str, Any]:
    saturation = config.get("distributed.scheduler.worker-saturation", None)
    failures = config.get("distributed.scheduler.allowed-failures", None)
    settings: dict[str, Any] = {}
    if saturation is not None:
        settings["worker_saturation"] = float(saturation)
    if failures is not None:
        settings["allowed_failures"] = int(failures)
    stealing = config.get("distributed.scheduler.work-stealing", None)
    if stealing is not None:
        settings["work_stealing"] = bool(stealing)
    return settings


def _memory_limit(limit: Any, workers: int) -> int | None:
    from weft._engine import available_memory, memory_limit

    if limit is None or limit == 0:
        return None
    if limit == "auto":
        total = available_memory()
        return total // workers if total else None
    return memory_limit(limit)


# ---------------------------------------------------------------------------------------------------------------------
# Tokens: who may talk to a cluster on this machine


def _token_path(address: str) -> str:
    port = address.rsplit(":", 1)[-1]
    return os.path.join(tempfile.gettempdir(), f"weft-{os.getuid()}", f"token-{port}")


def _publish_token(address: str, token: str) -> str | None:
    """Leaves the token where other processes of this user, and nobody else, find it."""
    path = _token_path(address)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if os.stat(os.path.dirname(path)).st_uid != os.getuid():
            return None
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(file, "w") as out:
            out.write(token)
        return path
    except OSError as error:
        logger.warning("clients of other processes need the token, which cannot be left for them: %s", error)
        return None


def token_for(address: str, security: Any = None) -> str:
    """The token for a scheduler: from ``security``, the settings, or left here by a cluster of this user's."""
    token = getattr(security, "token", None) or config.get("distributed.comm.token", None)
    if token:
        return str(token)
    path = config.get("distributed.comm.token-file", None) or _token_path(address)
    try:
        with open(os.fspath(path)) as file:
            return file.read().strip()
    except OSError:
        return ""


_open: weakref.WeakSet[LocalCluster] = weakref.WeakSet()


def _close_all() -> None:
    for cluster in list(_open):
        with contextlib.suppress(Exception):
            cluster.close()


# Before the interpreter waits for its threads.
threading._register_atexit(_close_all)  # type: ignore[attr-defined]
