"""Nannies: who starts workers' processes, watches them, says why they died and starts them again."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from weft import _weft, config

__all__ = ["Nanny"]

logger = logging.getLogger("weft.distributed")

#: A worker that dies so often in a row is not started again.
MAX_RESTARTS = 100

#: One thread for each task is what a cluster counts on.
ONE_THREAD_EACH = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Nanny:
    """A worker's process, watched by a thread that starts it again when it dies.

    Parameters
    ----------
    name : object
        The worker's.
    spec : callable
        Returns what `weft.distributed._worker.Worker` is told, anew for each process.
    report : callable
        Is told how a process has ended: nanny, pid, cause, and whether it was to be expected.
    env : dict, optional
        Changes to the environment of the process.
    alive : callable, optional
        Whether what the worker is for still exists.
    """

    def __init__(
        self,
        name: Any,
        spec: Callable[[], dict[str, Any]],
        report: Callable[[str, int, str, bool], Any],
        env: dict[str, str] | None = None,
        alive: Callable[[], bool] = lambda: True,
    ):
        self.name = name
        self.closing = False
        #: Set once no process is to come any more.
        self.done = threading.Event()
        self._spec = spec
        self._report = report
        self._env = dict(env or {})
        self._alive = alive
        self._restarts = 0
        self._cause = ""
        self._lock = threading.Lock()
        self._spawn()
        self._thread = threading.Thread(target=self._watch, name=f"weft-nanny-{name}", daemon=True)
        self._thread.start()

    def _spawn(self) -> None:
        spec = self._spec()
        self._id = spec["nanny"]
        environment = {name: os.environ.get(name, "1") for name in ONE_THREAD_EACH}
        environment |= {
            str(k): str(v) for k, v in (config.get("distributed.nanny.environ", None) or {}).items()
        }
        # What this process was told by its settings, its workers are told too.
        environment["WEFT_INTERNAL_INHERIT_CONFIG"] = config.serialize(_plain(config.config))
        environment |= {**self._env, "WEFT_WORKER_SPEC": json.dumps(spec)}
        arguments = [
            "-c",
            f"import sys; sys.path[:] = {sys.path!r}\nfrom weft.distributed._worker import main; main()",
        ]
        terminate = config.get("distributed.worker.memory.terminate", 0.95)
        self.process = _weft.Nanny(
            sys.executable,
            arguments,
            list(environment.items()),
            memory_limit=spec["memory_limit"],
            terminate=float(terminate or 0.0),
            stopped=_stopped_timeout(),
        )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    def check(self) -> None:
        """Raises if the process ends again and again."""
        if self._restarts > 2:
            raise RuntimeError(f"worker {self.name} cannot be started: its process {self._cause}")

    def _watch(self) -> None:
        try:
            while self._watch_one():
                pass
        finally:
            self.done.set()

    def _watch_one(self) -> bool:
        """Until a process has ended; whether there is another."""
        from weft.distributed._worker import RESTART

        process = self.process
        cause, clean = process.wait()
        restart = cause.startswith(f"exited with code {RESTART}")
        expected = clean or restart or self.closing
        # A scheduler that is gone does not care.
        with contextlib.suppress(OSError):
            self._report(self._id, process.pid, f"its process {cause}", expected)
        with self._lock:
            again = not self.closing and not clean and self._alive()
            self._restarts += not restart
            self._cause = cause
            if not again or self._restarts > MAX_RESTARTS:
                return False
            if not restart:
                logger.warning("worker %s (pid %s) %s; starting it again", self.name, process.pid, cause)
            try:
                self._spawn()
            except Exception:
                logger.exception("worker %s could not be started again", self.name)
                return False
        return True

    def retire(self) -> None:
        """Lets the worker hand over and go."""
        with self._lock:
            self.closing = True
            process = self.process
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)

    def close(self, patience: float = 1.0) -> None:
        """Ends the process; one that does not end by itself within ``patience`` seconds, and then when it is let go, is
        killed."""
        with self._lock:
            self.closing = True
            process = self.process
        if process.wait(patience) is None:
            process.let_go()
            if process.wait(1.0) is None:
                process.kill()
                process.wait()
        if self._thread is not threading.current_thread():
            self._thread.join()


def _plain(settings: Any) -> Any:
    """Settings without those that mean something in this process only: functions, executors."""
    if isinstance(settings, dict):
        kept = {str(name): _plain(value) for name, value in settings.items()}
        return {name: value for name, value in kept.items() if value is not _LEFT_OUT}
    if isinstance(settings, (list, tuple)):
        return [value for item in settings if (value := _plain(item)) is not _LEFT_OUT]
    return settings if settings is None or isinstance(settings, (str, int, float, bool)) else _LEFT_OUT


_LEFT_OUT = object()


def _stopped_timeout() -> float:
    from weft.distributed._client import seconds

    return seconds(config.get("distributed.nanny.stopped-timeout", "10s")) or 0.0
