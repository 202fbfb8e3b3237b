"""Workers: their process, their threads, and what tasks may ask of them."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from weft import _weft
from weft.distributed import _plugins, _preload
from weft.distributed._security import Security

__all__ = ["Worker", "get_worker", "rejoin", "secede"]

#: The worker of this process, if the process is one.
current: Worker | None = None
#: Workers of this process by address: a cluster without processes has several.
_by_address: dict[str, Worker] = {}
_lock = threading.RLock()


class Worker:
    """A worker in this process: holds results and runs tasks.

    Tasks get theirs from `get_worker`. Attributes may be set freely: they live as long as the worker.
    """

    def __init__(self, spec: dict[str, Any]):
        self._spec = spec
        self._server = _weft.WorkerServer(
            spec["scheduler"],
            spec["listen"],
            spec["token"],
            name=str(spec["name"]),
            nthreads=spec["nthreads"],
            memory_limit=spec["memory_limit"],
            spill=spec["local_directory"],
            nanny=spec["nanny"],
            resources=[(name, float(amount)) for name, amount in spec["resources"].items()],
            thresholds=tuple(spec.get("thresholds", (0.6, 0.0, 0.0))),
            reconnect=spec.get("reconnect", 60.0),
            contact=spec.get("contact"),
            tls=tuple(spec["tls"]) if spec.get("tls") else None,
        )
        self.name = spec["name"]
        self.address = self._server.address
        self.local_directory = spec["local_directory"]
        self._threads: list[threading.Thread] = []
        self._client: Any = None
        self._numbers = 0
        self._actors = False
        self._directory: str | None = None
        #: Why the worker has asked to go.
        self.leaving: str | None = None
        #: Plugins by name, with the bytes they came as.
        self.plugins: dict[str, Any] = {}
        with _lock:
            _by_address[self.address] = self
        _plugins.install_all(self, spec)
        # Calls of clients wait for the threads below, so they find what was set up.
        self._teardown = _preload.load(spec.get("preload") or [], spec.get("preload_argv") or [], self)
        for _ in range(spec["nthreads"]):
            self.add_thread()
        for kind in ("results", "calls"):
            self._start(self._server.serve_errands, f"weft-worker-{kind}")

    def add_thread(self) -> None:
        """Starts one more thread for tasks."""
        self._numbers += 1
        self._start(self._server.serve, f"weft-worker-{self.name}-{self._numbers}")

    def serve_actors(self) -> None:
        """Makes sure that there is a thread for calls to actors: one, so that calls keep their order."""
        with _lock:
            if not self._actors:
                self._actors = True
                self._start(self._server.serve_actors, f"weft-worker-{self.name}-actors")

    def _start(self, target: Callable[[], Any], name: str) -> None:
        # A task that hangs must not keep the process alive.
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()]
        self._threads.append(thread)
        thread.start()

    @property
    def nthreads(self) -> int:
        """Tasks that run at the same time."""
        return self._server.nthreads

    @property
    def id(self) -> str:
        """The worker's name."""
        return str(self.name)

    @property
    def worker_address(self) -> str:
        """Where peers fetch results."""
        return self.address

    @property
    def client(self) -> Any:
        """A client for the worker's cluster, made when it is first asked for."""
        with _lock:
            if self._client is None or self._client.status != "running":
                from weft.distributed._client import Client

                self._client = Client.__new__(Client)
                _connect(self._client, self._spec)
            return self._client

    @property
    def shared_directory(self) -> str:
        """A directory that all workers of this machine and cluster see, and that vanishes with the cluster."""
        cleanup = self._spec.get("cleanup")
        return cleanup[0] if cleanup else self.local_directory

    def get_current_task(self) -> Any:
        """The key of the task that this thread runs.

        Raises
        ------
        ValueError
            It runs none.
        """
        found = _weft.current_task()
        if found is None:
            raise ValueError("No task is running on this thread")
        return found[0]

    def directory(self) -> str:
        """A directory of this worker's own, for files of users; it goes with the worker."""
        with _lock:
            if self._directory is None:
                # Below what goes with the cluster or the nanny, however this process ends.
                base = self._spec["cleanup"][0] if self._spec["cleanup"] else self.local_directory
                os.makedirs(base, exist_ok=True)
                self._directory = tempfile.mkdtemp(prefix="weft-uploads-", dir=base)
            return self._directory

    def leave(self, reason: str) -> None:
        """Hands results over to other workers and goes."""
        self.leaving = self.leaving or reason
        self._server.leave(reason)

    def close(self, reason: str = "closed") -> None:
        """Stops; tasks that run are waited for a moment."""
        with _lock:
            _by_address.pop(self.address, None)
            client, self._client = self._client, None
        self._teardown()
        _plugins.remove_all(self)
        if client is not None:
            client._close()
        self._server.close(reason)
        until = time.monotonic() + 0.5
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(until - time.monotonic(), 0))
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def __repr__(self) -> str:
        return f"<Worker {self.address!r}, name: {self.name}, threads: {self.nthreads}>"


class _SpecSecurity(Security):
    """The certificates of a worker, for its own client."""

    def __init__(self, pem: Any):
        authorities, cert, key = pem
        super().__init__(
            require_encryption=False, tls_ca_file=authorities, tls_client_cert=cert, tls_client_key=key
        )


def _connect(client: Any, spec: dict[str, Any]) -> None:
    from weft.distributed._client import Client

    class _Cluster:
        """What `Client` needs to know of the cluster that this worker belongs to."""

        scheduler_address = spec["public"]
        dashboard_link = spec.get("dashboard", "")
        _client_address = spec["scheduler"]
        _token = spec["token"]
        security = _SpecSecurity(spec.get("tls")) if spec.get("tls") else None

    Client.__init__(client, _Cluster(), set_as_default=False, name="worker")


def get_worker() -> Worker:
    """The worker that runs the current task.

    Raises
    ------
    ValueError
        This thread runs no task.
    """
    found = _weft.current_task()
    if found is not None:
        return _by_address[found[1]]
    called = getattr(_running, "worker", None) or current
    if called is None:
        raise ValueError("No worker found")
    return called


def client_of_task() -> Any:
    """A client for the cluster of the current task's worker."""
    return get_worker().client


def secede() -> None:
    """Lets the current task leave its thread's place: another task may run while it waits.

    Raises
    ------
    ValueError
        This thread runs no task.
    """
    left = _weft.secede_task()
    if left is None:
        raise ValueError("secede() works only inside a task of a cluster")
    if left:
        get_worker().add_thread()


def rejoin() -> None:
    """Waits for a place among the worker's threads again, after `secede`."""
    if not _weft.rejoin_task():
        raise ValueError("rejoin() works only inside a task of a cluster")


_running = threading.local()


class Run:
    """A call by `Client.run`, on its way to workers."""

    def __init__(self, function: Callable[..., Any], args: tuple, kwargs: dict):
        self.call = (function, args, kwargs)

    def __call__(self) -> Any:
        function, args, kwargs = self.call
        worker = current
        if worker is None:
            worker = next(iter(_by_address.values()), None)
        _running.worker = worker
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            parameters = {}  # type: ignore[assignment]
        for name in ("dask_worker", "weft_worker"):
            if name in parameters:
                kwargs = {**kwargs, name: worker}
        try:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):
                import asyncio

                async def wait() -> Any:
                    return await result

                result = asyncio.run(wait())
            return result
        finally:
            _running.worker = None


def save_module(name: str, data: bytes, worker: Worker | None = None) -> None:
    """Writes a file where modules are looked for, and imports it anew."""
    import importlib

    directory = (worker or get_worker()).directory()
    path = os.path.join(directory, name)
    with open(path, "wb") as file:
        file.write(data)
    base, extension = os.path.splitext(name)
    where = path if extension in (".zip", ".egg") else directory
    if where not in sys.path:
        sys.path.insert(0, where)
    importlib.invalidate_caches()
    if extension == ".py":
        if base in sys.modules:
            importlib.reload(sys.modules[base])
        else:
            importlib.import_module(base)


def versions(packages: tuple[str, ...]) -> dict[str, Any]:
    """Versions of Python, weft and packages here."""
    import platform
    from importlib import metadata

    found: dict[str, Any] = {"python": platform.python_version()}
    for name in ("weft", "cloudpickle", "numpy", "pandas", "pyarrow", *packages):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return {"host": {"OS": platform.system(), "machine": platform.machine()}, "packages": found}


def main() -> None:
    """The process of a worker: what it is to be comes in an environment variable."""
    spec = json.loads(os.environ.pop("WEFT_WORKER_SPEC"))
    # Ctrl-C is for the process that started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Until there is a worker, being told to leave is being told to end.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    serve(spec, exit_with_input=True)


def serve(spec: dict[str, Any], exit_with_input: bool = False) -> None:
    """Is a worker until it is told to go, and ends the process."""
    global current
    if spec.get("sys.path"):
        sys.path[:] = spec["sys.path"]
    try:
        worker = _started(spec)
    except OSError as error:
        if exit_with_input and isinstance(error, ConnectionAbortedError):
            # Told to go before it was a worker: the cluster was closed while this process started.
            os._exit(0)
        here = spec["scheduler"].removeprefix("unix://")
        gone = here != spec["scheduler"] and not os.path.exists(here)
        if gone or any(not os.path.exists(path) for path in spec["cleanup"]):
            # The cluster was closed while this process started: its socket was there before.
            os._exit(0)
        sys.exit(f"this worker cannot reach its scheduler: {error}")
    current = worker
    if exit_with_input:
        worker._server.exit_with_input(spec["cleanup"])
    signal.signal(signal.SIGTERM, lambda *_: worker.leave("SIGTERM"))
    lifetime = spec.get("lifetime")
    if lifetime:
        timer = threading.Timer(lifetime, worker.leave, ["lifetime"])
        timer.daemon = True
        timer.start()
    reason = worker._server.wait_closed()
    worker.close(reason)
    sys.stdout.flush()
    sys.stderr.flush()
    again = reason == "restart" or (worker.leaving == "lifetime" and spec.get("lifetime_restart"))
    # Threads of tasks that hang, and whatever they hold, end here.
    os._exit(RESTART if again else 0)


def _started(spec: dict[str, Any]) -> Worker:
    """A worker whose scheduler may come later than itself, if its spec gives it time."""
    patience = spec.get("connect")
    until = time.monotonic() + (patience or 0)
    pause = 0.05
    while True:
        try:
            return Worker(spec)
        except OSError as error:
            refused = "token" in str(error) or "certificate" in str(error)
            if refused or patience is None or time.monotonic() > until:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 1.0)


#: Exit code of a worker that is to be started again.
RESTART = 75
