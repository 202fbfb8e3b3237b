"""What the demo says on the terminal, and the files it leaves."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from weft.diagnostics._text import duration, size

WIDTH = 88


class Report:
    """Prints numbered steps, and remembers how long each took and which files were written."""

    def __init__(self, out: pathlib.Path) -> None:
        self.out = out
        out.mkdir(parents=True, exist_ok=True)
        self.times: list[tuple[str, float]] = []
        self.files: list[tuple[pathlib.Path, str]] = []
        if hasattr(sys.stdout, "reconfigure"):  # a terminal that lacks a character gets a "?"
            sys.stdout.reconfigure(errors="replace")
        self._bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def title(self, text: str) -> None:
        print()
        print(self._strong(text))
        print("━" * WIDTH)

    @contextmanager
    def step(self, title: str, timed: str | None = None) -> Iterator[None]:
        """A heading; what happens inside counts as `timed`."""
        print()
        print(self._strong(f"{title}"))
        begin = perf_counter()
        yield
        if timed:
            self.times.append((timed, perf_counter() - begin))

    def say(self, text: str = "") -> None:
        print(f"  {text}" if text else "")

    def code(self, text: str) -> None:
        """Code as the user would write it."""
        print()
        for line in text.strip("\n").splitlines():
            print(f"    {line}")
        print(flush=True)

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], bars: Sequence[float] | None = None
    ) -> None:
        """Columns aligned to the right but the first; `bars` draws a bar behind each row."""
        texts = [list(header), *[list(row) for row in rows]]
        widths = [max(len(row[i]) for row in texts) for i in range(len(texts[0]))]
        print()
        for n, row in enumerate(texts):
            cells = [row[0].ljust(widths[0]), *[cell.rjust(w) for cell, w in zip(row[1:], widths[1:])]]
            line = "    " + "   ".join(cells)
            if bars is not None and n:
                length = round(24 * bars[n - 1] / (max(bars) or 1))
                line += "   " + "█" * max(length, 0)
            print(line.rstrip())
            if n == 0:
                print("    " + "   ".join("─" * w for w in widths))

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values, without a header."""
        left, right = (max(len(row[i]) for row in rows) for i in (0, 1))
        print()
        for name, value in rows:
            print(f"    {name:<{left}}   {value:>{right}}")

    def write(self, name: str, text: str, what: str) -> pathlib.Path:
        path = self.out / name
        path.write_text(text, encoding="utf-8")
        return self.wrote(path, what)

    def wrote(self, path: pathlib.Path, what: str) -> pathlib.Path:
        self.files.append((path, what))
        return path

    def close(self, hints: Sequence[tuple[str, str]]) -> None:
        """The summary: times, files, and what to try next."""
        with self.step("Time"):
            total = sum(seconds for _, seconds in self.times)
            rows = [(what, duration(seconds)) for what, seconds in [*self.times, ("all of it", total)]]
            self.table(("part", "took"), rows)
        with self.step("Files"):
            width = max(len(_relative(path)) for path, _ in self.files)
            print()
            for path, what in self.files:
                print(f"    {_relative(path):<{width}}   {what}")
        with self.step("Try next"):
            width = max(len(command) for command, _ in hints)
            print()
            for command, what in hints:
                print(f"    {command:<{width}}   {what}")
        print()

    def _strong(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._bold else text


def _relative(path: pathlib.Path) -> str:
    try:
        return str(path.resolve().relative_to(pathlib.Path.cwd()))
    except ValueError:
        return str(path)


def total_size(paths: Sequence[pathlib.Path]) -> str:
    return size(sum(path.stat().st_size for path in paths))
