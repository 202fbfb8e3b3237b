"""``weft scheduler`` and ``weft worker``: the cluster's processes, started by hand or by another program."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from functools import partial
from typing import Any

import click

from weft import _weft, config
from weft.distributed._client import seconds
from weft.distributed._cluster import (
    _memory_limit,
    _publish_token,
    dashboard_link,
    dashboard_place,
    nprocesses_nthreads,
    scheduler_settings,
    tell_port,
    thresholds,
    token_for,
)
from weft.distributed._nanny import Nanny
from weft.distributed._preload import load
from weft.distributed._security import Security
from weft.system import CPU_COUNT

__all__ = ["scheduler", "worker"]

#: How long a worker that was told to go may hand over what it holds.
RETIRE_WITHIN_S = 30.0


def interface_address(name: str) -> str:
    """The IPv4 address of a network interface such as ``eth0``.

    Raises
    ------
    ValueError
        There is no such interface, or it has no address.
    """
    import psutil

    found = psutil.net_if_addrs()
    if name not in found:
        raise ValueError(f"there is no network interface {name!r}; there are {', '.join(sorted(found))}")
    for address in found[name]:
        if address.family == socket.AF_INET:
            return address.address
    raise ValueError(f"the network interface {name!r} has no IPv4 address")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _split(address: str, default_port: int) -> tuple[str, int]:
    host, _, port = address.split("://")[-1].rpartition(":")
    if not host:
        return port, default_port
    return host.strip("[]"), int(port)


def _read_token(path: str | None) -> str:
    if path is None:
        return str(config.get("distributed.comm.token", None) or "")
    with open(path) as file:
        token = file.read().strip()
    if not token:
        raise click.ClickException(f"the token file {path} is empty")
    return token


def _write_private(path: str, text: str) -> None:
    """A file that only this user can read: it holds the cluster's token."""
    part = f"{path}.part-{os.getpid()}"
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    os.replace(part, path)


class _Signals:
    """SIGTERM and SIGINT as something to wait for."""

    def __init__(self) -> None:
        self.received = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._take)

    def _take(self, number: int, frame: Any) -> None:
        self.received = number

    def wait(self, until: Any = None) -> int:
        """Until a signal has come, or ``until()`` is true."""
        while not self.received and not (until is not None and until()):
            # A signal ends the pause.
            time.sleep(0.1)
        return self.received


class Scheduler:
    """A scheduler of this process, as preloaded modules see it."""

    def __init__(self, server: Any, address: str, shown: Any):
        self._server = server
        self.address = address
        self.dashboard_link = dashboard_link(shown)
        self.id = f"Scheduler-{secrets.token_hex(4)}"


def _logging() -> None:
    logger = logging.getLogger("weft.distributed")
    if not logger.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


_tls = [
    click.option(
        "--tls-ca-file",
        type=click.Path(exists=True, dir_okay=False),
        help="Certificates of authorities, PEM.",
    ),
    click.option(
        "--tls-cert", type=click.Path(exists=True, dir_okay=False), help="This server's certificate, PEM."
    ),
    click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its private key, PEM."),
]


def _with(options: list[Any]) -> Any:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.command(context_settings={"ignore_unknown_options": False})
@click.option("--host", help="Address to listen on; by default only this machine reaches the scheduler.")
@click.option("--port", type=int, default=None, help="By default 8786; 0: any free one.")
@click.option("--interface", help="Network interface to listen on, such as eth0.")
@click.option(
    "--protocol", type=click.Choice(["tcp", "tls"]), default=None, help="By default tls with certificates."
)
@_with(_tls)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False),
    help="A secret that workers and clients must know.",
)
@click.option("--dashboard-address", default=":8787", show_default=True, help="Where the dashboard listens.")
@click.option("--dashboard/--no-dashboard", default=True, show_default=True)
@click.option("--show/--no-show", default=False, help="Open the dashboard in a browser.")
@click.option(
    "--scheduler-file", type=click.Path(), help="Written once the scheduler listens; for workers and clients."
)
@click.option("--pid-file", type=click.Path())
@click.option(
    "--idle-timeout", default=None, help="End after so long without a client and without work, such as 1h."
)
@click.option("--preload", multiple=True, help="Module or file to load before listening.")
@click.argument("preload_argv", nargs=-1, type=click.UNPROCESSED)
def scheduler(
    host: str | None,
    port: int | None,
    interface: str | None,
    protocol: str | None,
    tls_ca_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    token_file: str | None,
    dashboard_address: str,
    dashboard: bool,
    show: bool,
    scheduler_file: str | None,
    pid_file: str | None,
    idle_timeout: str | None,
    preload: tuple[str, ...],
    preload_argv: tuple[str, ...],
) -> None:
    """Run a scheduler.

    Workers and clients must know its token. Without --token-file a new one is made; processes of this user on this
    machine find it by themselves, others in the scheduler file.
    """
    _logging()
    if interface:
        host = interface_address(interface)
    if host and "://" in host:
        protocol, _, host = host.partition("://")
    if host and ":" in host and port is None and host.count(":") == 1:
        host, port = _split(host, 8786)
    host = host or "127.0.0.1"
    security = _security("scheduler", tls_ca_file, tls_cert, tls_key)
    token = _read_token(token_file)
    if not is_loopback(host) and not token and security is None and scheduler_file is None:
        raise click.ClickException(
            f"a scheduler on {host} can be reached by others, who must not be let in: give it a token "
            "(--token-file, the same for workers and clients), certificates (--tls-ca-file, --tls-cert, --tls-key), "
            "or a --scheduler-file, in which it leaves a new token for those who can read it"
        )
    token = token or secrets.token_hex(32)
    scheme = protocol or ("tls" if security else "tcp")
    settings = scheduler_settings()
    settings["dashboard"] = dashboard_place(dashboard_address, host) if dashboard else None
    settings["tls"] = security.pem("scheduler") if security and scheme == "tls" else None
    signals = _Signals()
    try:
        server = _weft.SchedulerServer(
            [f"{scheme}://{host}:{8786 if port is None else port}"], token, **settings
        )
    except OSError as error:
        raise click.ClickException(str(error)) from None
    (address,) = server.addresses
    written: list[str] = []
    published = _publish_token(address, token)
    if published is not None:
        written.append(published)
    me = Scheduler(server, address, server.dashboard)
    try:
        tell_port(server.dashboard, settings["dashboard"])
        if scheduler_file:
            contents = {
                "type": "Scheduler",
                "id": me.id,
                "address": address,
                "token": token,
                "dashboard": me.dashboard_link,
                "pid": os.getpid(),
            }
            _write_private(scheduler_file, json.dumps(contents, indent=2))
            written.append(scheduler_file)
        if pid_file:
            with open(pid_file, "w") as file:
                file.write(str(os.getpid()))
            written.append(pid_file)
        preloads = list(preload) or list(config.get("distributed.scheduler.preload", None) or [])
        teardown = load(preloads, preload_argv, me)
        print(f"Scheduler at: {address}", file=sys.stderr, flush=True)
        if me.dashboard_link:
            print(f"Dashboard at: {me.dashboard_link}", file=sys.stderr, flush=True)
        if show and me.dashboard_link:
            import webbrowser

            webbrowser.open(me.dashboard_link)
        signals.wait(_Idle(server, idle_timeout))
        teardown()
    finally:
        server.close()
        for path in written:
            with contextlib.suppress(OSError):
                os.remove(path)
    for warning in server.warnings():
        print(warning, file=sys.stderr)


class _Idle:
    """Whether a scheduler has had nothing to do for too long; the time without clients counts."""

    def __init__(self, server: Any, timeout: str | None):
        self._server = server
        self._timeout = seconds(timeout or config.get("distributed.scheduler.idle-timeout", None))
        self._since: float | None = None

    def __call__(self) -> bool:
        if self._timeout is None:
            return False
        if self._server.is_busy():
            self._since = None
            return False
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return now - self._since > self._timeout


@click.command()
@click.argument("scheduler", required=False)
@click.option("--scheduler-file", type=click.Path(), help="The file that the scheduler has written.")
@click.option("--nthreads", type=int, default=0, help="Threads of each worker; by default all CPUs are used.")
@click.option("--nworkers", default=None, help="Worker processes: a number, or auto. By default 1.")
@click.option("--name", default=None, help="The worker's name; of several, what their names begin with.")
@click.option(
    "--memory-limit",
    default="auto",
    show_default=True,
    help="Of each worker: 4GB, 0.5 (of all), auto, 0: none.",
)
@click.option("--resources", default="", help='Abstract resources, such as "GPU=2 MEM=10e9".')
@click.option("--local-directory", default=None, help="Where results go that memory has no room for.")
@click.option("--host", help="Address to listen on; by default that by which the scheduler is reached.")
@click.option(
    "--worker-port", "--port", default="0", help="Port to listen on, or a range 3000:3026. By default any."
)
@click.option("--interface", help="Network interface to listen on, such as eth0.")
@click.option(
    "--contact-address",
    default=None,
    help="Where others find the worker, if it is elsewhere than it listens.",
)
@click.option(
    "--nanny/--no-nanny", default=True, show_default=True, help="Whether a process watches the worker's."
)
@click.option(
    "--death-timeout", default=None, help="End if there has been no scheduler for so long, such as 60s."
)
@click.option("--lifetime", default=None, help="Hand over and go after so long, such as 1h.")
@click.option("--lifetime-stagger", default="0 seconds", show_default=True, help="… more or less.")
@click.option("--lifetime-restart/--no-lifetime-restart", default=False, help="Start again after that.")
@click.option("--pid-file", type=click.Path())
@_with(_tls)
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False), help="The cluster's secret.")
@click.option("--preload", multiple=True, help="Module or file to load before tasks run.")
@click.argument("preload_argv", nargs=-1, type=click.UNPROCESSED)
def worker(
    scheduler: str | None,
    scheduler_file: str | None,
    nthreads: int,
    nworkers: str | None,
    name: str | None,
    memory_limit: str,
    resources: str,
    local_directory: str | None,
    host: str | None,
    worker_port: str,
    interface: str | None,
    contact_address: str | None,
    nanny: bool,
    death_timeout: str | None,
    lifetime: str | None,
    lifetime_stagger: str,
    lifetime_restart: bool,
    pid_file: str | None,
    tls_ca_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    token_file: str | None,
    preload: tuple[str, ...],
    preload_argv: tuple[str, ...],
) -> None:
    """Run workers for the scheduler at SCHEDULER, such as tcp://10.0.0.1:8786."""
    _logging()
    token = _read_token(token_file)
    patience = seconds(death_timeout or config.get("distributed.worker.death-timeout", None))
    if scheduler_file:
        known = _wait_for_file(scheduler_file, patience)
        scheduler, token = known["address"], token or known.get("token", "")
    scheduler = scheduler or config.get("scheduler-address", None)
    if not scheduler:
        raise click.UsageError("name the scheduler: weft worker tcp://10.0.0.1:8786, or --scheduler-file")
    if "://" not in scheduler:
        scheduler = f"{'tls' if tls_ca_file else 'tcp'}://{scheduler}"
    target = _split(scheduler, 8786)
    scheduler = f"{scheduler.split('://')[0]}://{target[0]}:{target[1]}"
    security = _security("worker", tls_ca_file, tls_cert, tls_key)
    if scheduler.startswith("tls://") and security is None:
        raise click.UsageError(f"{scheduler} needs certificates: --tls-ca-file, --tls-cert, --tls-key")
    pem = security.pem("worker") if security is not None and scheduler.startswith("tls://") else None
    token = token or token_for(scheduler, security)
    if interface:
        host = interface_address(interface)
    host = host or _own_address(*target)
    count, threads = _shape(nworkers, nthreads)
    if count > 1 and not nanny:
        raise click.UsageError(
            "several workers have a process each, which a nanny starts: leave --no-nanny out"
        )
    resource = _resources(resources) or dict(config.get("distributed.worker.resources", None) or {})
    scheme = "tls" if pem else "tcp"
    ports = _ports(worker_port)
    base: dict[str, Any] = {
        "scheduler": scheduler,
        "public": scheduler,
        "token": token,
        "nthreads": threads,
        "memory_limit": _memory_limit(_number(memory_limit), count) or 0,
        "local_directory": os.fspath(
            local_directory or config.get("temporary-directory", None) or tempfile.gettempdir()
        ),
        "resources": resource,
        "cleanup": [],
        "sys.path": sys.path,
        "thresholds": thresholds(),
        "preload": list(preload) or list(config.get("distributed.worker.preload", None) or []),
        "preload_argv": list(preload_argv),
        "lifetime_restart": lifetime_restart,
        "reconnect": patience if patience is not None else 300.0,
        "connect": patience if patience is not None else 1e9,
        "tls": pem,
    }
    base |= {"contact": f"{scheme}://{contact_address.split('://')[-1]}" if contact_address else None}
    duration = seconds(lifetime or config.get("distributed.worker.lifetime.duration", None))
    stagger = seconds(lifetime_stagger) or 0.0
    nanny_id = f"nanny-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"

    def spec(number: int) -> dict[str, Any]:
        called = name if name is not None and count == 1 else f"{name}-{number}" if name else None
        port = ports[number % len(ports)] if ports else 0
        life = None if duration is None else max(duration + random.uniform(-stagger, stagger), 0.0)
        return base | {
            "name": called or f"{socket.gethostname()}-{os.getpid()}-{number}",
            "listen": f"{scheme}://{host}:{port}",
            "nanny": nanny_id if nanny else "",
            "lifetime": life,
        }

    if pid_file:
        with open(pid_file, "w") as file:
            file.write(str(os.getpid()))
    scratch = None
    if nanny:
        os.makedirs(base["local_directory"], exist_ok=True)
        scratch = tempfile.mkdtemp(prefix="weft-worker-", dir=base["local_directory"])
        base["cleanup"] = [scratch]
    try:
        if nanny:
            _watch([partial(spec, i) for i in range(count)], scheduler, token, pem)
        else:
            from weft.distributed._worker import serve

            signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
            serve(spec(0))
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        if pid_file:
            with contextlib.suppress(OSError):
                os.remove(pid_file)


def _watch(specs: list[Any], scheduler: str, token: str, pem: Any) -> None:
    """Has a nanny for each worker until a signal comes, or no worker is left."""
    signals = _Signals()
    tell = partial(_report, scheduler, token, pem)
    nannies = [Nanny(spec()["name"], spec, tell) for spec in specs]
    print(f"Started {len(nannies)} workers for {scheduler}", file=sys.stderr, flush=True)
    try:
        number = signals.wait(lambda: all(nanny.done.is_set() for nanny in nannies))
        if number == signal.SIGTERM:
            signals.received = 0
            for nanny in nannies:
                nanny.retire()
            until = time.monotonic() + RETIRE_WITHIN_S
            # A second signal means at once.
            signals.wait(lambda: time.monotonic() > until or all(nanny.done.is_set() for nanny in nannies))
    finally:
        threads = [threading.Thread(target=nanny.close, args=(0.0,)) for nanny in nannies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _report(scheduler: str, token: str, pem: Any, nanny: str, pid: int, cause: str, expected: bool) -> None:
    _weft.report_exit(scheduler, token, nanny, (pid, cause, expected), pem)


def _wait_for_file(path: str, patience: float | None) -> dict[str, Any]:
    """What the scheduler has left in its file; waits for it."""
    until = time.monotonic() + (patience if patience is not None else 1e9)
    while True:
        with contextlib.suppress(OSError, ValueError):
            with open(path) as file:
                return json.load(file)
        if time.monotonic() > until:
            raise click.ClickException(f"there is no scheduler file {path}")
        time.sleep(0.05)


def _own_address(host: str, port: int) -> str:
    """The address of this machine by which a server elsewhere is reached."""
    if is_loopback(host):
        return "127.0.0.1"
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        return probe.getsockname()[0]
    return "127.0.0.1"


def _shape(nworkers: str | None, nthreads: int) -> tuple[int, int]:
    """Processes, and threads in each."""
    if nworkers == "auto":
        if nthreads:
            raise click.UsageError("--nworkers auto chooses the threads too: leave --nthreads out")
        return nprocesses_nthreads()
    try:
        count = int(nworkers or 1)
    except ValueError:
        raise click.UsageError(f"--nworkers is a number or auto, not {nworkers!r}") from None
    if count < 0:
        count = max(1, CPU_COUNT + 1 + count)
    return count, nthreads or max(1, CPU_COUNT // count)


def _resources(text: str) -> dict[str, float]:
    found = {}
    for pair in text.replace(",", " ").split():
        name, equals, amount = pair.partition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            equals = ""
        if not equals:
            raise click.UsageError(f'--resources are pairs such as "GPU=2 MEM=10e9", not {pair!r}')
    return found


def _ports(text: str) -> list[int]:
    first, _, last = text.partition(":")
    return list(range(int(first), int(last) + 1)) if last else [int(first)]


def _number(text: str) -> Any:
    with contextlib.suppress(ValueError):
        number = float(text)
        return number if number < 1 or "." in text else int(number)
    return text


def _security(role: str, ca: str | None, cert: str | None, key: str | None) -> Security | None:
    """The certificates of the command line, else those of the settings; None: there are none."""
    given: dict[str, Any] = {"tls_ca_file": ca, f"tls_{role}_cert": cert, f"tls_{role}_key": key}
    security = Security(**given)
    try:
        return security if security.pem(role) is not None else None
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
