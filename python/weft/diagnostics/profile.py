"""Record what tasks, processor and memory did during a computation."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Hashable, Mapping
from timeit import default_timer
from typing import Any, NamedTuple

from weft.callbacks import Callback
from weft.diagnostics._resources import Sampler

__all__ = ["CacheProfiler", "Profiler", "ResourceProfiler"]


class TaskData(NamedTuple):
    """One task that ran. The times are those of `timeit.default_timer`, in seconds."""

    key: Hashable
    task: Any
    start_time: float
    end_time: float
    worker_id: Any


class ResourceData(NamedTuple):
    """What the process used at a time: memory in units of 1e6 bytes, processor in % of one core."""

    time: float
    mem: float
    cpu: float


class CacheData(NamedTuple):
    """One result, and from when to when it was kept."""

    key: Hashable
    task: Any
    metric: Any
    cache_time: float
    free_time: float


class _Recorder(Callback):
    """What the profilers share: the span of time, `clear`, and the page."""

    results: list[Any]
    start_time: float | None
    end_time: float | None

    def __init__(self) -> None:
        super().__init__()
        self.clear()

    def __enter__(self):
        self.clear()
        self.start_time = default_timer()
        return super().__enter__()

    def __exit__(self, *args):
        self.end_time = default_timer()
        return super().__exit__(*args)

    def clear(self) -> None:
        """Forget the results."""
        self.results = []
        self.start_time = None
        self.end_time = None

    def visualize(self, **kwargs: Any):
        """Show the results on a page of their own.

        See Also
        --------
        weft.diagnostics.visualize : says which arguments there are.
        """
        from weft.diagnostics.profile_visualize import visualize

        return visualize(self, **kwargs)


class Profiler(_Recorder):
    """Record when and where each task ran.

    Attributes
    ----------
    results : list of TaskData
        ``(key, task, start_time, end_time, worker_id)`` for each task that finished; there once the
        computation is over.

    Examples
    --------
    >>> import weft
    >>> from weft.diagnostics import Profiler
    >>> with Profiler() as prof:
    ...     weft.delayed(sum)([1, 2], dask_key_name="total").compute()
    3
    >>> [task.key for task in prof.results]
    ['total']

    For all computations from now on; forget old results yourself then:

    >>> prof.register()
    >>> prof.clear()
    >>> prof.unregister()
    """

    results: list[TaskData]

    def clear(self) -> None:
        """Forget the results."""
        super().clear()
        self._graphs: tuple[Mapping[Any, Any], ...] = ()
        # By computation, as several may run at once and share keys.
        self._started: dict[int, dict[Hashable, float]] = {}
        self._ended: dict[int, list[tuple[Hashable, float, float, Any]]] = {}

    @property
    def _dsk(self) -> Mapping[Any, Any]:
        return ChainMap(*self._graphs)  # type: ignore[arg-type]  # only read

    def _start(self, dsk: Mapping[Any, Any]) -> None:
        self._graphs = (dsk, *self._graphs)

    def _start_state(self, dsk: Any, state: Mapping[str, Any]) -> None:
        self._started[id(state)] = {}
        self._ended[id(state)] = []

    def _pretask(self, key: Hashable, dsk: Any, state: Mapping[str, Any]) -> None:
        self._started[id(state)][key] = default_timer()

    def _posttask(self, key: Hashable, value: Any, dsk: Any, state: Mapping[str, Any], worker: Any) -> None:
        end = default_timer()
        run = id(state)
        start = self._started[run].pop(key, None)
        if start is not None:
            self._ended[run].append((key, start, end, worker))

    # Native results then need not be turned into Python objects.
    _pretask.ignores_values = True  # type: ignore[attr-defined]
    _posttask.ignores_values = True  # type: ignore[attr-defined]

    def _finish(self, dsk: Mapping[Any, Any], state: Mapping[str, Any], failed: bool) -> None:
        self._started.pop(id(state), None)
        ended = self._ended.pop(id(state), [])
        ended.sort(key=lambda task: task[1])
        # Tasks are looked up now: doing so while they run would slow them down.
        self.results += [TaskData(key, dsk.get(key), start, end, worker) for key, start, end, worker in ended]

    def _plot(self, **kwargs: Any):
        from weft.diagnostics.profile_visualize import plot_tasks

        return plot_tasks(self.results, self._dsk, self.start_time, self.end_time, **kwargs)


class ResourceProfiler(_Recorder):
    """Record how much memory and processor time this process and its children use.

    As a context manager it records from entry to exit; registered, while computations run. The
    samples are taken by a thread that ends with them.

    Parameters
    ----------
    dt : float, optional
        Seconds between samples.

    Attributes
    ----------
    results : list of ResourceData
        ``(time, mem, cpu)``: memory in units of 1e6 bytes, processor in % of one core, since the
        sample before.

    Raises
    ------
    ImportError
        When entered, on systems without ``/proc`` where psutil is not installed.

    Examples
    --------
    >>> import weft
    >>> from weft.diagnostics import ResourceProfiler
    >>> with ResourceProfiler(dt=0.25) as prof:
    ...     weft.delayed(sum)([1, 2]).compute()
    3
    >>> prof.results[0].mem > 0
    True
    """

    results: list[ResourceData]

    def __init__(self, dt: float = 1) -> None:
        self._dt = dt
        self._entered = False
        self._computing = 0
        self._sampler: Sampler | None = None
        super().__init__()

    def _is_running(self) -> bool:
        return self._sampler is not None and self._sampler.is_alive()

    def _start_collect(self) -> None:
        if self._sampler is None:
            self._sampler = Sampler(self._dt)
            self._sampler.start()

    def _stop_collect(self) -> None:
        sampler, self._sampler = self._sampler, None
        if sampler is not None:
            self.results.extend(ResourceData(*sample) for sample in sampler.stop())

    def __enter__(self):
        self.close()
        self.clear()
        self._entered = True
        self.start_time = default_timer()
        self._start_collect()
        return Callback.__enter__(self)

    def __exit__(self, *args):
        self._entered = False
        self._stop_collect()
        return super().__exit__(*args)

    def _start(self, dsk: Any) -> None:
        self._computing += 1
        self._start_collect()

    def _finish(self, dsk: Any, state: Any, failed: bool) -> None:
        self._computing -= 1
        if not self._entered and not self._computing:
            self._stop_collect()

    def close(self) -> None:
        """Stop the sampling thread; harmless if there is none."""
        self._stop_collect()

    def _plot(self, **kwargs: Any):
        from weft.diagnostics.profile_visualize import plot_resources

        return plot_resources(self.results, self.start_time, self.end_time, **kwargs)


class CacheProfiler(_Recorder):
    """Record which results are kept, from when to when, and how large they are.

    Parameters
    ----------
    metric : callable, optional
        Called with each result; says how much it counts. By default each counts 1.
    metric_name : str, optional
        What `metric` measures, for the page; by default its name.

    Attributes
    ----------
    results : list of CacheData
        ``(key, task, metric, cache_time, free_time)``, in the order in which they were let go.

    Examples
    --------
    >>> import sys, weft
    >>> from weft.diagnostics import CacheProfiler
    >>> with CacheProfiler(metric=sys.getsizeof) as prof:
    ...     weft.delayed(sum)([1, 2], dask_key_name="total").compute()
    3
    >>> [(kept.key, kept.metric == sys.getsizeof(3)) for kept in prof.results]
    [('total', True)]
    """

    results: list[CacheData]

    def __init__(self, metric: Callable[[Any], Any] | None = None, metric_name: str | None = None) -> None:
        self._metric = metric or (lambda value: 1)
        self._metric_name: str = metric_name or (
            str(getattr(metric, "__name__", "metric")) if metric else "count"
        )
        super().__init__()

    def clear(self) -> None:
        """Forget the results."""
        super().clear()
        self._graphs: tuple[Mapping[Any, Any], ...] = ()
        self._kept: dict[int, dict[Hashable, tuple[Any, float]]] = {}

    @property
    def _dsk(self) -> Mapping[Any, Any]:
        return ChainMap(*self._graphs)  # type: ignore[arg-type]  # only read

    def _start(self, dsk: Mapping[Any, Any]) -> None:
        self._graphs = (dsk, *self._graphs)

    def _posttask(self, key: Hashable, value: Any, dsk: Any, state: Mapping[str, Any], worker: Any) -> None:
        now = default_timer()
        kept = self._kept.setdefault(id(state), {})
        kept[key] = (self._metric(value), now)
        # Only the inputs of a task can become free when it ends.
        released = state["released"]
        for dependency in state["dependencies"].get(key, ()):
            if dependency in kept and dependency in released:
                metric, since = kept.pop(dependency)
                self.results.append(CacheData(dependency, dsk.get(dependency), metric, since, now))

    def _finish(self, dsk: Mapping[Any, Any], state: Mapping[str, Any], failed: bool) -> None:
        now = default_timer()
        for key, (metric, since) in self._kept.pop(id(state), {}).items():
            self.results.append(CacheData(key, dsk.get(key), metric, since, now))

    def _plot(self, **kwargs: Any):
        from weft.diagnostics.profile_visualize import plot_cache

        return plot_cache(
            self.results, self._dsk, self.start_time, self.end_time, self._metric_name, **kwargs
        )
