"""Exceptions on their way between processes, and those that only a cluster raises."""

from __future__ import annotations

import pickle
import traceback
from concurrent.futures import CancelledError
from typing import Any

__all__ = ["FutureCancelledError", "KilledWorker", "Reschedule", "dump", "load"]


class KilledWorker(Exception):
    """Workers died, again and again, while they ran a task: the task is suspected and given up.

    The message names the last worker and the cause of its death.
    """


class FutureCancelledError(CancelledError):
    """The result of a future was asked for that was cancelled."""

    def __init__(self, key: Any, reason: str = ""):
        self.key = key
        self.reason = reason
        super().__init__(f"{key} was cancelled: {reason}" if reason else f"{key} was cancelled")

    def __reduce__(self) -> Any:
        return FutureCancelledError, (self.key, self.reason)


class LostDataError(RuntimeError):
    """A result is gone and nobody knows how to make it again."""


class Reschedule(Exception):
    """Raised by a task that wants to be run on another worker."""


def dump(error: BaseException) -> tuple[bytes, str] | None:
    """An exception with its tracebacks, its cause and its context as bytes, and as text.

    Returns
    -------
    tuple of bytes and str, or None
        None: the task asks to be run elsewhere.
    """
    if isinstance(error, Reschedule):
        return None
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:
        text = f"{type(error).__name__}: its message cannot be shown"
    chain: list[BaseException] = []
    _collect(error, chain)
    numbers = {id(e): i for i, e in enumerate(chain)}
    from tblib import Traceback

    parts = []
    for e in chain:
        frames = e.__traceback__
        parts.append(
            (
                _pickled(e),
                Traceback(frames).to_dict() if frames is not None else None,
                numbers.get(id(e.__cause__)),
                numbers.get(id(e.__context__)),
                e.__suppress_context__,
            )
        )
    return pickle.dumps(parts, protocol=5), text


def _collect(error: BaseException | None, chain: list[BaseException]) -> None:
    """The exceptions that an exception leads to, each once."""
    while error is not None and all(error is not known for known in chain):
        chain.append(error)
        if error.__cause__ is not None and error.__context__ is not error.__cause__:
            _collect(error.__context__, chain)
        error = error.__cause__ or error.__context__


def _pickled(error: BaseException) -> bytes:
    """The exception itself; one that cannot be read back is described instead."""
    for dumps in (_plain, _by_value):
        try:
            data = dumps(error)
            # Classes with arguments of their own are written, and fail when they are read.
            pickle.loads(data)
            return data
        except Exception:
            continue
    kind = type(error)
    return pickle.dumps(RuntimeError(f"{kind.__module__}.{kind.__qualname__}: {error}"))


def _plain(error: BaseException) -> bytes:
    data = pickle.dumps(error, protocol=5)
    if b"__main__" in data:
        raise pickle.PicklingError("__main__ is another module elsewhere")
    return data


def _by_value(error: BaseException) -> bytes:
    import cloudpickle

    return cloudpickle.dumps(error, protocol=5)


def load(data: bytes) -> BaseException:
    """The exception that :func:`dump` wrote."""
    from tblib import Traceback

    parts = pickle.loads(data)
    chain = [pickle.loads(error) for error, *_ in parts]
    for error, (_, frames, cause, context, suppress) in zip(chain, parts):
        if frames is not None:
            error = error.with_traceback(Traceback.from_dict(frames).as_traceback())
        error.__cause__ = chain[cause] if cause is not None else None
        error.__context__ = chain[context] if context is not None else None
        error.__suppress_context__ = suppress
    return chain[0]


def failed(key: Any, kind: str, text: str, pickled: bytes | None) -> BaseException:
    """The exception for a task without a result."""
    if kind == "raised" and pickled:
        try:
            return load(pickled)
        except Exception as error:
            note = RuntimeError(f"{key} failed, and its exception cannot be read here ({error}):\n{text}")
            return note
    if kind == "cancelled":
        return FutureCancelledError(key, text)
    if kind == "killed":
        return KilledWorker(f"{key}: {text}")
    if kind == "unwritable":
        return TypeError(text)
    if kind == "lost":
        return LostDataError(f"{key}: {text}")
    return RuntimeError(f"{key}: {text}")
