"""A progress bar for the terminal, for log files and for notebooks."""

from __future__ import annotations

import contextlib
import html
import os
import sys
from typing import Any, Protocol, TextIO

from weft.diagnostics._text import duration
from weft.diagnostics._watch import Progress, Watch

__all__ = ["ProgressBar"]

#: A file that is no terminal gets a line at most this often, in seconds.
LOG_SECONDS = 10.0


class ProgressBar(Watch):
    """Show how far computations are, as they run.

    On a terminal this is one line that is redrawn; in a notebook, a bar that updates in place; in a
    file or a pipe, a whole line every ten seconds. It costs the computation nothing that can be
    measured, however small its tasks: a thread of its own counts the finished tasks.

    Computations that run at the same time share the bar.

    Parameters
    ----------
    minimum : float, optional
        Show nothing for computations shorter than this many seconds.
    width : int, optional
        Width of the bar in characters; less where the terminal is narrow.
    dt : float, optional
        Seconds between updates.
    out : file object, optional
        Where to write. By default ``sys.stdout``, or the output of the cell in a notebook.

    Attributes
    ----------
    last_duration : float
        How many seconds the computation that ended last took.

    Examples
    --------
    >>> import weft
    >>> from weft.diagnostics import ProgressBar
    >>> with ProgressBar(minimum=1.0):  # shows nothing for quick computations
    ...     weft.delayed(sum)([1, 2]).compute()
    3

    For all computations from now on:

    >>> bar = ProgressBar()
    >>> bar.register()  # doctest: +SKIP
    >>> bar.unregister()  # doctest: +SKIP
    """

    def __init__(
        self, minimum: float = 0, width: int = 40, dt: float = 0.1, out: TextIO | None = None
    ) -> None:
        super().__init__(minimum=minimum, dt=dt)
        self._width = width
        self._file = out
        self._display: _Display | None = None

    def _show(self, progress: Progress) -> None:
        if progress.total == 0 or progress.done < progress.total:
            self._where().show(progress)

    def _end(self, progress: Progress) -> None:
        # Work that needed no task at all is done too.
        if not progress.failed:
            total = max(progress.total, 1)
            progress = Progress(total, total, progress.elapsed, progress.rate)
        self._where().end(progress)
        self._display = None

    def _where(self) -> _Display:
        if self._display is None:
            self._display = _display(self._file, self._width)
        return self._display


class _Display(Protocol):
    def show(self, progress: Progress) -> None: ...

    def end(self, progress: Progress) -> None: ...


def _display(file: TextIO | None, width: int) -> _Display:
    if file is None:
        if _in_notebook():
            return _Notebook()
        # Looked up now: stdout may have been redirected since the bar was made.
        file = sys.stdout
    if file is None:  # a program without a console
        return _Nowhere()
    terminal = False
    with contextlib.suppress(AttributeError, ValueError):
        terminal = file.isatty()
    return _Terminal(file, width) if terminal else _Log(file, width)


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return bool(shell) and type(shell).__name__ == "ZMQInteractiveShell"


def _bar(progress: Progress, width: int) -> str:
    return f"[{'#' * int(width * progress.fraction):<{width}}] | {int(100 * progress.fraction)}% Completed | "


def _details(progress: Progress) -> list[str]:
    """What is said beside the bar, most important first."""
    details = [duration(progress.elapsed)]
    if progress.left is not None and progress.elapsed > 1:
        details.append(f"{duration(max(progress.left, 1))} left")
        if progress.rate >= 1:
            details.append(f"{progress.rate:,.0f} tasks/s")
    return details


def _last_line(progress: Progress, width: int) -> str:
    return _bar(progress, width) + duration(progress.elapsed) + (", failed" if progress.failed else "")


class _Nowhere:
    def show(self, progress: Progress) -> None:
        pass

    end = show


class _Terminal:
    """One line, redrawn after a carriage return; no other control characters."""

    def __init__(self, file: TextIO, width: int) -> None:
        self.file, self.width = file, width
        self.shown = 0

    def show(self, progress: Progress) -> None:
        room = self._columns() - 1  # the last column would make some terminals wrap
        details = _details(progress)
        while True:
            text = ", ".join(details)
            line = _bar(progress, self.width) + text
            if len(line) <= room or len(details) == 1:
                break
            details.pop()
        if len(line) > room:
            line = _bar(progress, max(self.width - (len(line) - room), 1)) + text
        self._write(line[: max(room, 1)])

    def end(self, progress: Progress) -> None:
        room = self._columns() - 1
        line = _last_line(progress, self.width)
        if len(line) > room:
            line = _last_line(progress, max(self.width - (len(line) - room), 1))
        self._write(line[: max(room, 1)], "\n")

    def _write(self, line: str, end: str = "") -> None:
        # Spaces wipe what a longer line before this one left.
        padded = line + " " * max(0, self.shown - len(line))
        self.shown = len(line)
        with contextlib.suppress(ValueError):  # the file was closed meanwhile
            self.file.write("\r" + padded + end)
            self.file.flush()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self.file.fileno()).columns or 80
        except (OSError, ValueError, AttributeError):
            return 80


class _Log:
    """Whole lines for a file or a pipe, seldom."""

    def __init__(self, file: TextIO, width: int) -> None:
        self.file, self.width = file, width
        self.next = LOG_SECONDS

    def show(self, progress: Progress) -> None:
        if progress.elapsed >= self.next:
            self.next = progress.elapsed + LOG_SECONDS
            self._write(_bar(progress, self.width) + ", ".join(_details(progress)))

    def end(self, progress: Progress) -> None:
        self._write(_last_line(progress, self.width))

    def _write(self, line: str) -> None:
        with contextlib.suppress(ValueError):
            self.file.write(line + "\n")
            self.file.flush()


class _Notebook:
    """An HTML bar, updated in place through the display protocol; it needs no widgets."""

    def __init__(self) -> None:
        self.handle: Any = None

    def show(self, progress: Progress) -> None:
        self._update(progress, ", ".join(_details(progress)), "#3b82f6")

    def end(self, progress: Progress) -> None:
        text = duration(progress.elapsed) + (", failed" if progress.failed else "")
        self._update(progress, text, "#dc2626" if progress.failed else "#16a34a")

    def _update(self, progress: Progress, text: str, colour: str) -> None:
        from IPython.display import display

        tasks = f"{progress.done:,} of {progress.total:,} tasks"
        data = {
            "text/plain": _bar(progress, 40) + text,
            "text/html": (
                '<div role="progressbar" aria-valuemin="0" aria-valuemax="100" '
                f'aria-valuenow="{int(100 * progress.fraction)}" '
                'style="display:flex;align-items:center;gap:.8em;max-width:52em;font:13px system-ui,sans-serif">'
                '<div style="flex:1;height:.7em;border-radius:.35em;background:rgba(128,128,128,.25);overflow:hidden">'
                f'<div style="width:{100 * progress.fraction:.1f}%;height:100%;background:{colour}"></div></div>'
                f'<div style="font-variant-numeric:tabular-nums;white-space:nowrap">'
                f"<b>{int(100 * progress.fraction)}%</b> &nbsp;{html.escape(text)} "
                f'<span style="opacity:.65">&nbsp;{tasks}</span></div></div>'
            ),
        }
        if self.handle is None:
            self.handle = display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)
