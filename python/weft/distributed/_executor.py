"""A cluster as an executor of the standard library."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from weft.distributed._client import seconds
from weft.distributed._errors import failed

__all__ = ["ClientExecutor"]


class ClientExecutor(concurrent.futures.Executor):
    """An executor that submits to a client; see `Client.get_executor`."""

    def __init__(self, client: Any, **options: Any):
        self._client = client
        self._options = {"pure": False, **options}
        self._futures: set = set()
        self._shutdown = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future:
        """Calls ``fn`` on the cluster."""
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = self._client.submit(fn, *args, **self._options, **kwargs)
        result: concurrent.futures.Future = concurrent.futures.Future()
        result.set_running_or_notify_cancel()
        self._futures.add(future)

        def done(future: Any) -> None:
            self._futures.discard(future)
            failure = future._hold().failure()
            try:
                if failure is not None:
                    result.set_exception(failed(future.key, *failure))
                else:
                    result.set_result(self._client._gather_now([future], "raise")[0])
            except BaseException as error:
                result.set_exception(error)

        future.add_done_callback(done)
        return result

    def map(
        self, fn: Callable[..., Any], *iterables: Iterable, timeout: Any = None, chunksize: int = 1, **_: Any
    ) -> Iterator:  # type: ignore[override]
        """Calls ``fn`` for each element; results in order."""
        import time

        timeout = seconds(timeout)
        until = None if timeout is None else time.monotonic() + timeout
        futures = self._client.map(fn, *iterables, **self._options)

        def results() -> Iterator:
            for future in futures:
                yield future.result(None if until is None else max(until - time.monotonic(), 0))

        return results()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls; waits for those under way."""
        self._shutdown = True
        futures = list(self._futures)
        if cancel_futures and futures:
            self._client.cancel(futures)
        elif wait and futures:
            self._client._wait(futures)
