"""Clusters that grow with their work and shrink without it."""

from __future__ import annotations

import logging
import math
import threading
from typing import Any

from weft import config
from weft.distributed._client import seconds

__all__ = ["Adaptive"]

logger = logging.getLogger("weft.distributed")


class Adaptive:
    """Scales a cluster to its work: up at once, down when the work has stayed away for a while.

    Made by ``cluster.adapt(...)``. What is not given comes from the settings ``distributed.adaptive.*``.

    Parameters
    ----------
    cluster : LocalCluster
    minimum, maximum : int
        Workers to have at least and at most.
    interval : str or float
        How often to look.
    wait_count : int
        How often in a row a worker must have been one too many before it goes.
    target_duration : str or float
        How long the work that is known should take.

    Attributes
    ----------
    log : list of tuple
        What was done: ``("up", n)``, ``("down", [names])``.
    """

    def __init__(
        self,
        cluster: Any,
        interval: Any = None,
        minimum: int | None = None,
        maximum: float | None = None,
        wait_count: int | None = None,
        target_duration: Any = None,
        **kwargs: Any,
    ):
        if kwargs:
            raise TypeError(f"Adaptive got arguments that it does not know: {', '.join(sorted(kwargs))}")

        def setting(value: Any, name: str, default: Any) -> Any:
            return config.get(f"distributed.adaptive.{name}", default) if value is None else value

        self.cluster = cluster
        self.interval = seconds(setting(interval, "interval", "1s")) or 1.0
        self.minimum = int(setting(minimum, "minimum", 0))
        self.maximum = float(setting(maximum, "maximum", math.inf))
        self.wait_count = int(setting(wait_count, "wait-count", 3))
        self.target_duration = seconds(setting(target_duration, "target-duration", "5s")) or 5.0
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is greater than maximum {self.maximum}")
        self.log: list[tuple[str, Any]] = []
        self._surplus: dict[Any, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weft-adaptive", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set() and self.cluster.status == "running":
            try:
                self.adapt()
            except Exception:
                logger.exception("the cluster could not be scaled")
            self._stop.wait(self.interval)

    def wanted(self) -> int:
        """How many workers the work is enough for, within the bounds."""
        tasks, seconds_of_work, memory = self.cluster._server.load()
        threads = self.cluster.threads_per_worker
        wanted = 0
        if tasks:
            by_time = math.ceil(seconds_of_work / self.target_duration / threads)
            wanted = min(max(by_time, 1), math.ceil(tasks / threads))
        limit = self.cluster.memory_limit
        if limit:
            # Results must fit, too: they are on disk else.
            wanted = max(wanted, math.ceil(memory / (0.6 * limit)))
        elif memory:
            wanted = max(wanted, 1)
        return int(min(max(wanted, self.minimum), self.maximum))

    def adapt(self) -> None:
        """Looks once, and scales."""
        wanted = self.wanted()
        have = list(self.cluster.workers)
        if wanted > len(have):
            self._surplus.clear()
            self.log.append(("up", wanted))
            self.cluster.scale(wanted)
            return
        infos = self.cluster.scheduler_info["workers"].values()
        by_name = {str(w["name"]): (w["processing"], w["nbytes"]) for w in infos}
        # Idle ones first, and of those the ones with the least to hand over.
        order = sorted(have, key=lambda name: by_name.get(str(name), (0, 0)))
        surplus = order[: len(have) - wanted]
        self._surplus = {name: self._surplus.get(name, 0) + 1 for name in surplus}
        going = [name for name, times in self._surplus.items() if times >= self.wait_count]
        if going:
            self.log.append(("down", going))
            self.cluster._retire(going)
            for name in going:
                del self._surplus[name]

    def stop(self) -> None:
        """Leaves the cluster as it is."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __repr__(self) -> str:
        return (
            f"<Adaptive: {len(self.cluster.workers)} workers, minimum {self.minimum}, maximum {self.maximum}>"
        )
