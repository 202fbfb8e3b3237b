"""Clusters on this machine."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import warnings
import weakref
from functools import partial
from typing import Any

from weft import _weft, config
from weft.distributed._nanny import Nanny
from weft.distributed._security import Security, certificates
from weft.system import CPU_COUNT
from weft.utils import format_bytes

__all__ = ["LocalCluster"]

logger = logging.getLogger("weft.distributed")


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
        self._dashboard = dashboard_place(dashboard_address, host)
        self._lock = threading.RLock()
        self._directory = tempfile.mkdtemp(prefix="weft-cluster-")
        self._local_directory = os.fspath(
            local_directory or config.get("temporary-directory", None) or tempfile.gettempdir()
        )
        self._number = 0
        self._adaptive: Any = None
        #: By name: a `_Process`, or a `Worker` of this process.
        self.workers: dict[Any, Any] = {}
        self._token_file: str | None = None
        if security is True:
            security = Security.temporary()
        self.security = security or Security()
        pem = self.security.pem("scheduler")
        secure = protocol in ("tls", "tls://") or (protocol is None and pem is not None)
        tcp = f"{'tls' if secure else 'tcp'}://{host or '127.0.0.1'}:{scheduler_port or 0}"
        listen = ["inproc://", f"unix://{self._directory}/scheduler", tcp]
        try:
            settings = {
                **scheduler_settings(),
                "dashboard": self._dashboard,
                "tls": certificates(self.security, "scheduler", tcp),
                **(scheduler_kwargs or {}),
            }
            self._server = _weft.SchedulerServer(listen, self._token, **settings)
            self._tell_port()
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
            "dashboard": self.dashboard_link,
            "thresholds": thresholds(self.processes),
            # The cluster's end is the end of the worker: there is nothing to look for.
            "reconnect": 10.0,
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
            here = weakref.ref(self)
            self.workers[name] = Nanny(
                name,
                partial(_spec_of, here, name),
                self._server.worker_exited,
                self._env,
                partial(_runs, here),
            )
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
        if self._adaptive is not None and self._adaptive._thread is not threading.current_thread():
            self._adaptive.stop()
            self._adaptive = None
        with self._lock:
            while len(self.workers) < n:
                self._add_worker()
            surplus = list(self.workers)[n:]
        self._retire(surplus)
        return _Done() if self.asynchronous else None

    def _retire(self, names: list) -> None:
        """Lets workers hand over and go."""
        with self._lock:
            going = [worker for name in names if (worker := self.workers.pop(name, None)) is not None]
        for worker in going:
            if self.processes:
                worker.retire()
            else:
                worker.close("the cluster was made smaller")

    def adapt(self, minimum: int | None = None, maximum: float | None = None, **kwargs: Any) -> Any:
        """Has the cluster grow with its work and shrink without it.

        Parameters
        ----------
        minimum, maximum : int
            Workers to have at least and at most.
        **kwargs
            Of `Adaptive`.

        Returns
        -------
        Adaptive
        """
        from weft.distributed._adaptive import Adaptive

        if self._adaptive is not None:
            self._adaptive.stop()
        self._adaptive = Adaptive(self, minimum=minimum, maximum=maximum, **kwargs)
        return self._adaptive

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
        if self._adaptive is not None:
            self._adaptive.stop()
        if self.processes:
            for worker in workers:
                worker.closing = True
        self._server.close()
        for worker in workers:
            if self.processes:
                worker.close()
            else:
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
        return dashboard_link(self._server.dashboard)

    def _tell_port(self) -> None:
        tell_port(self._server.dashboard, self._dashboard)

    def get_logs(self, cluster: bool = True, scheduler: bool = True, workers: Any = True) -> dict[str, str]:
        """What the scheduler and the workers have to say, by where it comes from.

        Parameters
        ----------
        cluster, scheduler, workers : bool
            Whose lines to return.

        Returns
        -------
        dict of str
        """
        return {"Scheduler": "\n".join(self._server.warnings())} if scheduler else {}

    @property
    def scheduler_info(self) -> dict:
        """What the scheduler knows about its workers."""
        with _quiet_client(self) as client:
            return client.scheduler_info()

    def __repr__(self) -> str:
        threads = len(self.workers) * self.threads_per_worker
        text = f"{type(self).__name__}({self.name}, {self.scheduler_address!r}, workers={len(self.workers)}, threads={threads}"
        if self.memory_limit:
            text += f", memory={format_bytes(len(self.workers) * self.memory_limit)}"
        return text + ")"

    def _repr_html_(self) -> str:
        from weft.distributed._html import cluster_html

        return cluster_html(self)


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


def _spec_of(cluster: weakref.ref[LocalCluster], name: Any) -> dict[str, Any]:
    here = cluster()
    if here is None:
        raise RuntimeError("the cluster of this worker is gone")
    return here._spec(name)


def _runs(cluster: weakref.ref[LocalCluster]) -> bool:
    here = cluster()
    return here is not None and here.status == "running"


def scheduler_settings() -> dict[str, Any]:
    """What the settings say about schedulers."""
    from weft.distributed._client import seconds

    settings: dict[str, Any] = {}
    for name, kind in (("worker-saturation", float), ("allowed-failures", int), ("work-stealing", bool)):
        value = config.get(f"distributed.scheduler.{name}", None)
        if value is not None:
            settings[name.replace("-", "_")] = kind(value)
    settings["worker_ttl"] = seconds(config.get("distributed.scheduler.worker-ttl", "5 minutes"))
    return settings


def thresholds(processes: bool = True) -> tuple[float, float, float]:
    """Parts of a worker's memory limit at which results go to disk (of results, of the process) and it pauses."""
    found = [
        float(config.get(f"distributed.worker.memory.{name}", default) or 0.0)
        for name, default in (("target", 0.6), ("spill", 0.7), ("pause", 0.8))
    ]
    # The memory of a process that is not the worker's alone says nothing about the worker.
    return (found[0], found[1], found[2]) if processes else (found[0], 0.0, 0.0)


def dashboard_place(address: Any, host: str | None = None) -> tuple[str, int] | None:
    """Host and port for a dashboard, from ``":8787"``, ``"0.0.0.0:80"``, 8787, or None: there is to be none.

    Without a host it is the scheduler's, or this machine alone.
    """
    if address is None or address is False:
        return None
    text = str(address).split("://")[-1].rstrip("/")
    where, _, port = text.rpartition(":")
    try:
        return where.strip("[]") or host or "127.0.0.1", int(port)
    except ValueError:
        raise ValueError(f"dashboard_address must end in a port, such as ':8787', not {address!r}") from None


def tell_port(shown: tuple[str, int, bool] | None, wanted: tuple[str, int] | None) -> None:
    """Says so if the dashboard did not get its port."""
    if shown and wanted and wanted[1] and not shown[2]:
        warnings.warn(
            f"Port {wanted[1]} is already in use. Perhaps you already have a cluster running?\n"
            f"Hosting the dashboard on port {shown[1]} instead",
            stacklevel=4,
        )


def dashboard_link(shown: tuple[str, int, bool] | None) -> str:
    """The address for browsers, by the setting ``distributed.dashboard.link``."""
    if shown is None:
        return ""
    host, port, _ = shown
    host = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host
    template = config.get("distributed.dashboard.link", None) or "{scheme}://{host}:{port}/status"
    values = {**os.environ, "scheme": "http", "host": host, "port": port}
    return template.format(**values)


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
