"""What users have workers do when they start and when they end."""

from __future__ import annotations

import io
import logging
import os
import pickle
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = [
    "Environ",
    "NannyPlugin",
    "PipInstall",
    "SchedulerPlugin",
    "UploadDirectory",
    "UploadFile",
    "WorkerPlugin",
]

logger = logging.getLogger("weft.distributed")

#: The name under which the scheduler keeps plugins for workers that start later.
SHELF = "\0weft-worker-plugins"


class WorkerPlugin:
    """Code that every worker runs when it starts (or when the plugin is registered), and when it ends.

    Subclass it, and give an object to `Client.register_plugin`.

    Examples
    --------
    >>> class Greet(WorkerPlugin):
    ...     name = "greet"
    ...     def setup(self, worker):
    ...         worker.greeting = "hello"
    >>> from weft.distributed import Client
    >>> with Client(n_workers=1, processes=False) as client:
    ...     _ = client.register_plugin(Greet())
    ...     list(client.run(lambda dask_worker: dask_worker.greeting).values())
    ['hello']
    """

    def setup(self, worker: Any) -> Any:
        """Called with the worker before it runs tasks."""

    def teardown(self, worker: Any) -> Any:
        """Called with the worker when it ends, or when the plugin is taken back."""


class NannyPlugin(WorkerPlugin):
    """A plugin for what Dask does in nannies. In weft workers run it, before they run tasks."""


class SchedulerPlugin:
    """What Dask runs in the scheduler. weft's scheduler runs no Python: registering one is refused."""


class UploadFile(WorkerPlugin):
    """Sends a file (a module, an egg, a zip) to all workers, and to those that come later, where it can be imported.

    Parameters
    ----------
    filepath : str
    load : bool
        Whether workers import it at once.
    """

    def __init__(self, filepath: str, load: bool = True):
        self.name = f"upload-file-{os.path.basename(filepath)}"
        self.filename = os.path.basename(filepath)
        self.load = load
        with open(filepath, "rb") as file:
            self.data = file.read()

    def setup(self, worker: Any) -> None:
        """Writes the file."""
        from weft.distributed._worker import save_module

        save_module(self.filename, self.data, worker)


class UploadDirectory(WorkerPlugin):
    """Sends a directory to all workers, and to those that come later.

    Parameters
    ----------
    path : str
    restart_workers : bool
        Whether workers start again when they have it.
    update_path : bool
        Whether modules are looked for in it.
    skip_words : tuple of str
        Files with one of these directories in their path are left out.
    skip : sequence of callable
        Files for whose path one of these returns true are left out.
    """

    def __init__(
        self,
        path: str,
        restart_workers: bool = False,
        update_path: bool = False,
        skip_words: Sequence[str] = (".git", ".github", ".pytest_cache", "tests", "docs"),
        skip: Sequence[Callable[[str], bool]] = (lambda path: os.path.splitext(path)[1] == ".pyc",),
        mode: str = "all",
    ):
        path = os.path.abspath(os.path.expanduser(path))
        self.base = os.path.basename(path)
        self.name = f"upload-directory-{self.base}"
        self.restart = restart_workers
        self.update_path = update_path
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", compression=zipfile.ZIP_DEFLATED) as archive:
            for root, _, files in os.walk(path):
                for name in files:
                    source = os.path.join(root, name)
                    inside = os.path.relpath(source, os.path.dirname(path))
                    if any(test(source) for test in skip) or set(inside.split(os.sep)) & set(skip_words):
                        continue
                    archive.write(source, inside)
        self.data = packed.getvalue()

    def setup(self, worker: Any) -> None:
        """Unpacks it."""
        where = worker.directory()
        with zipfile.ZipFile(io.BytesIO(self.data)) as archive:
            archive.extractall(where)
        if self.update_path:
            place = os.path.join(where, self.base)
            if place not in sys.path:
                sys.path.insert(0, place)


class PipInstall(WorkerPlugin):
    """Installs packages with pip on each worker before it runs tasks.

    Parameters
    ----------
    packages : list of str
    pip_options : list of str, optional
    restart_workers : bool
        Whether workers start again afterwards, so that modules that they have loaded are new.
    """

    def __init__(
        self, packages: list[str], pip_options: list[str] | None = None, restart_workers: bool = False
    ):
        self.packages = list(packages)
        self.pip_options = list(pip_options or [])
        self.restart = restart_workers
        self.name = f"pip-install-{'-'.join(self.packages)}"

    def setup(self, worker: Any) -> None:
        """Runs pip; one worker of a machine at a time."""
        import fcntl
        import tempfile

        lock = os.path.join(tempfile.gettempdir(), f"weft-pip-{os.getuid()}.lock")
        with open(lock, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            done = subprocess.run(
                [sys.executable, "-m", "pip", "install", *self.pip_options, *self.packages],
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"pip install {' '.join(self.packages)} failed:\n{done.stderr}")


class Environ(NannyPlugin):
    """Sets environment variables on each worker before it runs tasks.

    Parameters
    ----------
    environ : dict
    """

    def __init__(self, environ: Mapping[str, Any] | None = None):
        self.environ = {str(k): str(v) for k, v in dict(environ or {}).items()}
        self.name = "environ-" + "-".join(sorted(self.environ))

    def setup(self, worker: Any) -> None:
        """Sets them."""
        os.environ.update(self.environ)


def name_of(plugin: Any, name: str | None) -> str:
    """How a plugin is called."""
    return name or getattr(plugin, "name", None) or f"{type(plugin).__name__}-{uuid.uuid4()}"


class Install:
    """Sets a plugin up on a worker; one of the same name before it is taken back."""

    def __init__(self, name: str, data: bytes):
        self.call = (name, data)

    def __call__(self, dask_worker: Any) -> Any:
        name, data = self.call
        known = dask_worker.plugins.get(name)
        if known is not None and known[1] == data:
            return None
        Remove(name)(dask_worker)
        plugin = pickle.loads(data)
        setup = getattr(plugin, "setup", None)
        result = setup(dask_worker) if setup is not None else None
        dask_worker.plugins[name] = (plugin, data)
        return result


class Remove:
    """Takes a plugin back from a worker."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, dask_worker: Any) -> None:
        plugin, _ = dask_worker.plugins.pop(self.name, (None, None))
        teardown = getattr(plugin, "teardown", None)
        if teardown is not None:
            teardown(dask_worker)


def shelf(core: Any) -> dict[str, bytes]:
    """The plugins that workers are to have, by name."""
    try:
        return dict(core.coordinate("dataset-get", {"name": SHELF})[1])
    except ValueError:
        return {}


def put_on_shelf(core: Any, plugins: dict[str, bytes]) -> None:
    """Leaves plugins for workers that come later."""
    fields = {"name": SHELF, "keys": [], "data": plugins, "overwrite": True}
    core.coordinate("dataset-publish", fields)


def register(client: Any, plugin: Any, name: str | None) -> dict[str, Any]:
    """Sets a plugin up on all workers, and leaves it for those that come later."""
    import cloudpickle

    if isinstance(plugin, type):
        raise TypeError(f"register an object, not the class {plugin.__name__}")
    if isinstance(plugin, SchedulerPlugin):
        raise TypeError(
            f"{type(plugin).__name__} is for a scheduler that runs Python, and weft's does not; worker plugins, "
            "Client.get_events and the dashboard's /metrics see much of what it could"
        )
    called = name_of(plugin, name)
    data = cloudpickle.dumps(plugin)
    put_on_shelf(client._core, {**shelf(client._core), called: data})
    results = client._run_now(Install(called, data))
    if getattr(plugin, "restart", False):
        client._restart_now()
    return results


def unregister(client: Any, name: str) -> dict[str, Any]:
    """Takes a plugin back from all workers."""
    left = shelf(client._core)
    if left.pop(name, None) is None:
        raise ValueError(f"The worker plugin {name} does not exist")
    put_on_shelf(client._core, left)
    return client._run_now(Remove(name))


def install_all(worker: Any, spec: dict[str, Any]) -> None:
    """What a worker does before it runs tasks: it asks the scheduler for plugins."""
    from weft import _weft

    tls = tuple(spec["tls"]) if spec.get("tls") else None
    core = _weft.ClusterClient(spec["scheduler"], spec["token"], f"plugins-{uuid.uuid4()}", 30.0, tls)
    try:
        plugins = shelf(core)
    finally:
        core.close()
    for name, data in plugins.items():
        try:
            Install(name, data)(worker)
        except Exception:
            logger.exception("the plugin %s failed on the worker %s", name, worker.name)


def remove_all(worker: Any) -> None:
    """What a worker does when it ends."""
    for name in list(worker.plugins):
        try:
            Remove(name)(worker)
        except Exception:
            logger.exception("the plugin %s failed on the worker %s", name, worker.name)
