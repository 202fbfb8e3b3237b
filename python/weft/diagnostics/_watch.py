"""Follow running computations from the side.

A callback for each task would cost more than a small task does. A `Watch` therefore asks for no
task events: it keeps the live ``state`` that the engine hands to ``start_state`` and looks at how
many tasks are finished, from a thread of its own, a few times a second.

Computations that overlap (several threads, or a computation inside a task) are shown as one: their
tasks are added up, and the display ends when the last of them does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from weft.callbacks import Callback

#: The rate is that of the last half minute, so that the time left follows a change of pace.
RATE_SECONDS = 30.0


@dataclass(frozen=True)
class Progress:
    """How far the watched computations are."""

    done: int
    total: int
    elapsed: float
    #: Finished tasks a second, lately; 0 while unknown.
    rate: float = 0.0
    failed: bool = False

    @property
    def fraction(self) -> float:
        return self.done / self.total if self.total else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at the present rate; None while unknown."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


class _Run:
    """One computation that is under way."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.start = perf_counter()
        self.state: Mapping[str, Any] | None = None

    def counts(self) -> tuple[int, int]:
        if not self.state:
            return 0, 0
        done = len(self.state["finished"])
        return done, done + sum(len(self.state[k]) for k in ("ready", "waiting", "running"))


class Watch(Callback):
    """Base of the progress displays: subclasses draw in `_show` and `_end`."""

    def __init__(self, minimum: float = 0, dt: float = 0.1) -> None:
        super().__init__()
        self._minimum = minimum
        self._dt = dt
        self.last_duration: float = 0
        # Taken by the computing threads when a run starts or ends; never by the drawing thread,
        # which reads whole lists and can thus be waited for while the lock is held.
        self._lock = threading.Lock()
        self._runs: list[_Run] = []
        self._past = (0, 0)
        self._failed = False
        self._begin = 0.0
        self._recent: deque[tuple[float, int]] = deque()
        self._stop = threading.Event()
        self._timer: threading.Thread | None = None

    @property
    def _running(self) -> bool:
        return bool(self._runs)

    # What a subclass does.

    def _show(self, progress: Progress) -> None:
        """Draw; called from the drawing thread."""

    def _end(self, progress: Progress) -> None:
        """Draw for the last time; called from the computing thread."""

    # What the engine calls.

    def _start(self, dsk: Any) -> None:
        with self._lock:
            first = not self._runs
            self._runs = [*self._runs, _Run()]
            if first:
                self._begin = self._runs[0].start
                self._past, self._failed = (0, 0), False
                self._recent.clear()
                self._stop = threading.Event()
                self._timer = threading.Thread(
                    target=self._draw_until, args=(self._stop,), name="weft-progress", daemon=True
                )
                self._timer.start()

    def _start_state(self, dsk: Any, state: Mapping[str, Any]) -> None:
        run = self._find(state)
        if run is not None:
            run.state = state

    # The engine then runs at full speed, and `state` only says how many tasks are where.
    _start_state.counts_only = True  # type: ignore[attr-defined]

    def _finish(self, dsk: Any, state: Mapping[str, Any], errored: bool) -> None:
        with self._lock:
            run = self._find(state)
            if run is None:
                return
            self.last_duration = perf_counter() - run.start
            done, total = run.counts()
            self._past = (self._past[0] + done, self._past[1] + total)
            self._failed = self._failed or errored
            self._runs = [r for r in self._runs if r is not run]
            if self._runs:
                return
            self._stop.set()
            if self._timer is not None:
                self._timer.join()
            elapsed = perf_counter() - self._begin
            if elapsed >= self._minimum:
                done, total = self._past
                self._end(Progress(done, total, elapsed, done / elapsed if elapsed else 0.0, self._failed))

    def _find(self, state: Mapping[str, Any] | None) -> _Run | None:
        """The run of `state`; before it is known, the last one that this thread started."""
        runs = self._runs
        for run in runs:
            if run.state is state and state is not None:
                return run
        here = [r for r in runs if r.thread == threading.get_ident()]
        return here[-1] if here else None

    def _draw_until(self, stop: threading.Event) -> None:
        # Nothing is drawn before `dt` has passed: most computations are over by then.
        stop.wait(max(self._dt, self._minimum))
        while not stop.is_set():
            self._show(self._progress())
            stop.wait(self._dt)

    def _progress(self) -> Progress:
        done, total = self._past
        for run in self._runs:
            d, t = run.counts()
            done, total = done + d, total + t
        now = perf_counter()
        recent = self._recent
        recent.append((now, done))
        while len(recent) > 2 and now - recent[0][0] > RATE_SECONDS:
            recent.popleft()
        since, before = recent[0] if now - self._begin > RATE_SECONDS else (self._begin, 0)
        rate = (done - before) / (now - since) if now > since else 0.0
        return Progress(done, total, now - self._begin, rate)
