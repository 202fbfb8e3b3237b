"""How many CPUs this process may use."""

from __future__ import annotations

import math
import os
import sys

__all__ = ("CPU_COUNT", "cpu_count")


def _quota(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> float | None:
    """CPUs that control groups grant to this process; None where they set no limit."""

    def read(path: str) -> str | None:
        try:
            with open(path) as f:
                return f.read()
        except OSError:
            return None

    limits = []

    def add(quota: str, period: str) -> None:
        try:
            if int(quota) > 0 and int(period) > 0:
                limits.append(int(quota) / int(period))
        except ValueError:
            pass  # "max"

    for controllers in ("cpu,cpuacct", "cpuacct,cpu", "cpu"):  # version 1
        quota = read(f"{root}/{controllers}/cpu.cfs_quota_us")
        period = read(f"{root}/{controllers}/cpu.cfs_period_us")
        if quota is not None and period is not None:
            add(quota, period)

    for line in (read(own) or "").splitlines():  # version 2: each group above may set a tighter limit
        number, _, group = line.split(":", 2)
        if number != "0":
            continue
        parts = [part for part in group.split("/") if part]
        for depth in range(len(parts) + 1):
            fields = (read("/".join([root, *parts[:depth], "cpu.max"])) or "").split()
            if len(fields) == 2:
                add(*fields)
    return min(limits, default=None)


def cpu_count() -> int:
    """CPUs that this process may use: those of the machine, its affinity, and its control groups' quota.

    Returns
    -------
    int
        At least 1. A part of a CPU counts as one.

    Examples
    --------
    >>> cpu_count() >= 1
    True
    """
    if hasattr(os, "process_cpu_count"):
        count = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    if sys.platform == "linux":
        quota = _quota()
        if quota is not None:
            count = min(count, math.ceil(quota))
    return max(count, 1)


CPU_COUNT = cpu_count()
