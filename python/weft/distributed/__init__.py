"""Futures and collections on many processes and machines: Dask's distributed system with servers in Rust."""

from __future__ import annotations

from concurrent.futures import CancelledError

from weft.distributed._actor import Actor, ActorFuture, BaseActorFuture
from weft.distributed._adaptive import Adaptive
from weft.distributed._client import Client, default_client, get_client, worker_client
from weft.distributed._cluster import LocalCluster
from weft.distributed._coordination import Event, Lock, MultiLock, Pub, Queue, Semaphore, Sub, Variable
from weft.distributed._errors import FutureCancelledError, KilledWorker, Reschedule
from weft.distributed._executor import ClientExecutor
from weft.distributed._future import Future, as_completed, fire_and_forget, futures_of, wait
from weft.distributed._plugins import (
    Environ,
    NannyPlugin,
    PipInstall,
    SchedulerPlugin,
    UploadDirectory,
    UploadFile,
    WorkerPlugin,
)
from weft.distributed._progress import progress
from weft.distributed._security import Security
from weft.distributed._worker import Worker, get_worker, rejoin, secede

TimeoutError = TimeoutError

__all__ = [
    "Adaptive",
    "Environ",
    "NannyPlugin",
    "PipInstall",
    "SchedulerPlugin",
    "UploadDirectory",
    "UploadFile",
    "WorkerPlugin",
    "Actor",
    "ActorFuture",
    "BaseActorFuture",
    "CancelledError",
    "Client",
    "ClientExecutor",
    "Event",
    "Future",
    "FutureCancelledError",
    "KilledWorker",
    "LocalCluster",
    "Lock",
    "MultiLock",
    "Pub",
    "Queue",
    "Reschedule",
    "Security",
    "Semaphore",
    "Sub",
    "TimeoutError",
    "Variable",
    "Worker",
    "as_completed",
    "default_client",
    "fire_and_forget",
    "futures_of",
    "get_client",
    "get_worker",
    "progress",
    "rejoin",
    "secede",
    "wait",
    "worker_client",
]
