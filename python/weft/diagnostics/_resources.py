"""A thread that samples how much memory and processor time this process and its children use."""

from __future__ import annotations

import os
import threading
import time
from timeit import default_timer
from typing import NamedTuple, Protocol

#: Looking for new child processes walks the process table: once a second is enough.
CHILDREN_SECONDS = 1.0


class Sample(NamedTuple):
    time: float
    megabytes: float
    cpu_percent: float


class _Meter(Protocol):
    def read(self) -> tuple[float, float]:
        """Resident bytes now, and processor seconds so far."""
        ...


class Sampler(threading.Thread):
    """Samples every `dt` seconds from `start` to `stop`; always once at both ends.

    A thread and not a process: it starts in microseconds, cannot outlive the computation, and works
    where a process may not fork. The processor's share is the difference of two readings of a clock
    that the system keeps, so a sample that comes late is still right.
    """

    def __init__(self, dt: float) -> None:
        super().__init__(name="weft-resources", daemon=True)
        self._dt = max(dt, 1e-3)
        self._done = threading.Event()
        self._meter = _meter()
        self._samples: list[Sample] = []
        self._error: Exception | None = None

    def start(self) -> None:
        _, self._cpu = self._meter.read()
        self._time = default_timer()
        self._samples.append(Sample(self._time, self._meter.read()[0] / 1e6, 0.0))
        super().start()

    def stop(self) -> list[Sample]:
        """Ends the thread; the samples in order of time."""
        self._done.set()
        self.join()
        self._sample()
        return self._samples

    def run(self) -> None:
        while not self._done.wait(self._dt):
            self._sample()

    def _sample(self) -> None:
        memory, cpu = self._meter.read()
        now = default_timer()
        if now > self._time:
            # A child that ended takes its processor time with it: never below zero.
            percent = 100 * max(0.0, cpu - self._cpu) / (now - self._time)
            self._samples.append(Sample(now, memory / 1e6, percent))
            self._time, self._cpu = now, cpu


def _meter() -> _Meter:
    try:
        import psutil
    except ImportError:
        if os.path.exists("/proc/self/statm"):
            return _ProcMeter()
        raise ImportError(
            'ResourceProfiler needs psutil on this system: python -m pip install "weft[diagnostics]"'
        ) from None
    return _PsutilMeter(psutil)


class _PsutilMeter:
    def __init__(self, psutil) -> None:
        self._psutil = psutil
        self._self = psutil.Process()
        self._children: list = []
        self._looked = float("-inf")

    def read(self) -> tuple[float, float]:
        now = default_timer()
        if now - self._looked > CHILDREN_SECONDS:
            self._looked = now
            self._children = self._self.children(recursive=True)
        # This process's own clock is finer than the ticks in which the system counts for others.
        memory, cpu = float(self._self.memory_info().rss), time.process_time()
        for process in self._children:
            try:
                with process.oneshot():
                    resident, times = process.memory_info().rss, process.cpu_times()
            except self._psutil.Error:  # it ended, or is not ours to look at
                continue
            memory += resident
            cpu += times.user + times.system
        return memory, cpu


class _ProcMeter:
    """For Linux without psutil."""

    def __init__(self) -> None:
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._tick = os.sysconf("SC_CLK_TCK")
        self._children: list[int] = []
        self._looked = float("-inf")

    def read(self) -> tuple[float, float]:
        now = default_timer()
        if now - self._looked > CHILDREN_SECONDS:
            self._looked = now
            self._children = self._descendants(os.getpid())
        with open("/proc/self/statm") as file:
            memory, cpu = float(file.read().split()[1]) * self._page, time.process_time()
        for pid in self._children:
            try:
                with open(f"/proc/{pid}/stat") as file:
                    # The name may contain spaces and brackets: what follows the last one is regular.
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            cpu += (int(fields[11]) + int(fields[12])) / self._tick
            memory += int(fields[21]) * self._page
        return memory, cpu

    def _descendants(self, pid: int) -> list[int]:
        found: list[int] = []
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children") as file:
                    for child in file.read().split():
                        found += [int(child), *self._descendants(int(child))]
        except OSError:
            pass  # it ended meanwhile, or this kernel does not tell
        return found
