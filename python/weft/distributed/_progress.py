"""How far futures are, for people who wait."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from weft.distributed._future import Future, futures_of, wait
from weft.utils import format_time

__all__ = ["progress"]

WIDTH = 40
#: How often the line is written anew.
PERIOD_S = 0.1


def progress(
    *futures: Any,
    notebook: bool | None = None,
    multi: bool = True,
    complete: bool = True,
    file: TextIO | None = None,
    **kwargs: Any,
) -> None:
    """Shows how many futures are done, on one line, until all are.

    The dashboard shows the same for all tasks, by name.

    Parameters
    ----------
    *futures : Future, or collections and containers of futures
    file : text file, optional
        Where to write; by default standard output.

    Examples
    --------
    >>> from weft.distributed import Client, progress
    >>> with Client(n_workers=1, processes=False) as client:
    ...     futures = client.map(abs, range(10))
    ...     progress(futures)  # doctest: +SKIP
    [########################################] | 10/10 done in 0.1 s
    """
    file = file or sys.stdout
    pending: set[Future] = {future for many in futures for future in futures_of(many)}
    total = len(pending)
    if not total:
        return
    started = time.monotonic()
    errors = 0
    try:
        while True:
            done = {future for future in pending if future.done()}
            errors += sum(future.status != "finished" for future in done)
            pending -= done
            finished = total - len(pending)
            bar = "#" * (WIDTH * finished // total)
            failed = f", {errors} without result" if errors else ""
            elapsed = format_time(time.monotonic() - started)
            file.write(f"\r[{bar:<{WIDTH}}] | {finished}/{total} done in {elapsed}{failed}")
            file.flush()
            if not pending:
                return
            try:
                wait(pending, timeout=PERIOD_S, return_when="ALL_COMPLETED")
            except TimeoutError:
                continue
    finally:
        file.write("\n")
        file.flush()
