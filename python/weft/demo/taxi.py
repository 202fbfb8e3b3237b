"""A year of taxi trips: from CSV files to the busiest hours and the zones that tip best."""

from __future__ import annotations

import glob
import pathlib
from time import perf_counter
from typing import Any

import weft
import weft.dataframe as dd
from weft.demo import _chart
from weft.demo._report import Report, total_size
from weft.diagnostics import Profiler, ProgressBar, ResourceProfiler, visualize
from weft.diagnostics._text import duration

#: What the column of the pickup time is called in yellow, green and older files.
PICKUP_NAMES = ("tpep_pickup_datetime", "lpep_pickup_datetime", "pickup_datetime")
NEEDED = ("fare_amount", "trip_distance", "tip_amount", "payment_type")


def run(report: Report, files: str | None, rows: int | None) -> None:
    """The job, step by step; `files` is a glob of real files, else `rows` trips a month are made."""
    paths, pattern = _files(report, files, rows)
    pickup, has_zones = _columns(paths[0])

    with report.step("2  Say what you want", "planning"):
        report.say("This is pandas, written once for all files. Nothing is read yet.")
        report.code(
            f"""
import weft.dataframe as dd

df = dd.read_csv({pattern!r}, parse_dates=[{pickup!r}])
trips = df[(df.fare_amount > 0) & (df.trip_distance > 0)]
trips = trips.assign(hour=trips.{pickup}.dt.hour, tip_share=trips.tip_amount / trips.fare_amount)
by_hour = trips.groupby("hour").agg({{"fare_amount": ["count", "mean"]}})
"""
            + (
                """paid = trips[trips.payment_type == 1]          # tips are only recorded for cards
by_zone = paid.groupby("PULocationID").agg({"tip_share": ["mean", "count"]})
"""
                if has_zones
                else ""
            )
        )
        begin = perf_counter()
        df = dd.read_csv(pattern, parse_dates=[pickup])
        trips = df[(df.fare_amount > 0) & (df.trip_distance > 0)]
        trips = trips.assign(hour=trips[pickup].dt.hour, tip_share=trips.tip_amount / trips.fare_amount)
        wanted: dict[str, Any] = {
            "all": df.fare_amount.count(),
            "kept": trips.fare_amount.count(),
            "by_hour": trips.groupby("hour").agg({"fare_amount": ["count", "mean"]}),
        }
        if has_zones:
            paid = trips[trips.payment_type == 1]
            wanted["by_zone"] = paid.groupby("PULocationID").agg({"tip_share": ["mean", "count"]})
        report.say(
            f"{len(df.columns)} columns in {df.npartitions} partitions, planned in {duration(perf_counter() - begin)}."
        )

    with report.step("3  Compute it: one pass over the files, on all cores", "the dataframe job"):
        report.code("weft.compute(by_hour, by_zone)" if has_zones else "weft.compute(by_hour)")
        tasks, resources = Profiler(), ResourceProfiler(dt=0.05)
        with ProgressBar(), tasks, resources:
            (found,) = weft.compute(wanted)
        dropped = found["all"] - found["kept"]
        report.say()
        report.say(
            f"{found['all']:,} trips; {dropped:,} of them ({dropped / max(found['all'], 1):.1%}) are refunds, "
            "free rides or went nowhere."
        )
    _hours(report, found["by_hour"])
    if has_zones:
        _zones(report, found["by_zone"])
    else:
        report.say()
        report.say("These files have no pickup zones, so there is no table of tips by zone.")
    _pipeline(report, paths, pickup)
    visualize(
        [tasks, resources], filename=report.out / "profile.html", show=False, save=True, title="The taxi job"
    )
    report.wrote(report.out / "profile.html", "what each thread did, and the memory: open it in a browser")


def _files(report: Report, files: str | None, rows: int | None) -> tuple[list[pathlib.Path], str]:
    if files:
        with report.step("1  The data"):
            paths = sorted(pathlib.Path(p) for p in glob.glob(files))
            if not paths:
                raise SystemExit(
                    f"FILES={files!r}: no file matches this pattern (here is {pathlib.Path.cwd()})"
                )
            report.say(f"{len(paths)} files of your own, {total_size(paths)}.")
        return paths, files
    from weft.demo.data import taxi_months

    rows = rows or 250_000
    with report.step("1  The data", "the data (made the first time)"):
        folder = report.out / "trips"
        report.say(f"A year of taxi trips as New York's taxi commission publishes them, {rows:,} a month,")
        report.say("made up by a generator: lines end with CR LF, the second line is empty.")
        print(flush=True)
        paths = taxi_months(folder, year=2018, months=12, rows=rows)
        report.say(f"{len(paths)} files, {12 * rows:,} trips, {total_size(paths)}, in {folder}")
    return paths, str(folder / "tripdata_2018-*.csv")


def _columns(path: pathlib.Path) -> tuple[str, bool]:
    """The name of the pickup time, and whether there are pickup zones."""
    with open(path, encoding="utf-8", errors="replace") as file:
        names = [name.strip().strip('"') for name in file.readline().split(",")]
    pickup = next((name for name in PICKUP_NAMES if name in names), None)
    missing = [name for name in NEEDED if name not in names]
    if pickup is None:
        missing.insert(0, " or ".join(PICKUP_NAMES))
    if pickup is None or missing:
        raise SystemExit(
            f"{path}: this is not a trip file that the demo knows: it has no column {', '.join(missing)}.\n"
            f"Its columns are: {', '.join(names)}"
        )
    return pickup, "PULocationID" in names


def _hours(report: Report, by_hour: Any) -> None:
    by_hour = by_hour.sort_index()
    counts = [int(n) for n in by_hour["fare_amount"]["count"]]
    means = [float(m) for m in by_hour["fare_amount"]["mean"]]
    hours = [int(h) for h in by_hour.index]
    with report.step("   The busiest hours"):
        best = sorted(range(len(hours)), key=lambda i: -counts[i])[:8]
        report.table(
            ("hour", "trips", "mean fare"),
            [(f"{hours[i]:02d}:00", f"{counts[i]:,}", f"${means[i]:.2f}") for i in best],
            [counts[i] for i in best],
        )
    chart = _chart.columns(
        [f"{h:02d}" for h in hours],
        counts,
        title="When people take a taxi",
        note=f"{sum(counts):,} trips by the hour of pickup",
        write=lambda v: f"{v:,.0f}",
    )
    report.write("hours.svg", chart, "plot: trips by hour")
    by_hour.to_csv(report.out / "hours.csv")
    report.wrote(report.out / "hours.csv", "table: trips and mean fare by hour")


def _zones(report: Report, by_zone: Any) -> None:
    table = by_zone["tip_share"]
    # A mean of a handful of trips says nothing about a zone.
    table = table[table["count"] >= min(100, table["count"].max())].sort_values("mean", ascending=False)
    zones = [str(int(z)) for z in table.index]
    shares, counts = [float(m) for m in table["mean"]], [int(n) for n in table["count"]]
    ends = range(len(zones)) if len(zones) <= 10 else [*range(5), *range(len(zones) - 5, len(zones))]
    with report.step("   Where people tip best"):
        report.table(
            ("pickup zone", "card trips", "tip / fare"),
            [(zones[i], f"{counts[i]:,}", f"{shares[i]:.1%}") for i in ends],
            [shares[i] for i in ends],
        )
        if len(zones) > 10:
            report.say()
            report.say(f"The best five and the last five of {len(zones)} zones.")
    chart = _chart.bars(
        [f"zone {zones[i]}" for i in ends],
        [shares[i] for i in ends],
        title="Where people tip best",
        note=f"mean tip as a share of the fare, card payments: the best and the last of {len(zones)} pickup zones",
        write=lambda v: f"{v:.1%}",
        top=5,
    )
    report.write("zones.svg", chart, "plot: tips by zone")
    by_zone.to_csv(report.out / "zones.csv")
    report.wrote(report.out / "zones.csv", "table: tips by zone")


def _pipeline(report: Report, paths: list[pathlib.Path], pickup: str) -> None:
    with report.step("4  Your own functions, in parallel: delayed", "the delayed job"):
        report.say("Any Python function becomes a task: here one that pandas does the work of.")
        report.code("""
summaries = [weft.delayed(summarize)(path) for path in paths]      # one task a file
while len(summaries) > 1:                                          # combined two by two
    summaries = [weft.delayed(combine)(summaries[i:i + 2]) for i in range(0, len(summaries), 2)]
summaries[0].compute()
""")
        summaries: list[Any] = [weft.delayed(summarize)(str(path), pickup) for path in paths]
        while len(summaries) > 1:
            summaries = [weft.delayed(combine)(summaries[i : i + 2]) for i in range(0, len(summaries), 2)]
        total = summaries[0]
        with ProgressBar():
            year = total.compute()
        report.facts(
            [
                ("trips", f"{year['trips']:,}"),
                ("fares", f"${year['fares']:,.0f}"),
                ("tips", f"${year['tips']:,.0f}"),
                ("distance", f"{year['miles']:,.0f} miles"),
                ("longest trip", f"{year['longest']:,.1f} miles"),
                ("first pickup", year["first"]),
                ("last pickup", year["last"]),
            ]
        )
    total.visualize(filename=str(report.out / "graph.svg"))
    report.wrote(report.out / "graph.svg", "picture of the delayed job's task graph")


def summarize(path: str, pickup: str) -> dict[str, Any]:
    """What one file says, as a user's function would find it out."""
    import pandas as pd

    df = pd.read_csv(path, usecols=[pickup, "fare_amount", "tip_amount", "trip_distance"])
    return {
        "trips": len(df),
        "fares": float(df.fare_amount.sum()),
        "tips": float(df.tip_amount.sum()),
        "miles": float(df.trip_distance.sum()),
        "longest": float(df.trip_distance.max()),
        "first": str(df[pickup].min()),
        "last": str(df[pickup].max()),
    }


def combine(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The summaries of some files as one."""
    how = {"longest": max, "first": min, "last": max}
    return {name: how.get(name, sum)([part[name] for part in parts]) for name in parts[0]}
