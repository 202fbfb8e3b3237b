"""``python -m weft.demo``: the main job in one command. See `main` for its arguments."""

from __future__ import annotations

import argparse
import os
import pathlib

from weft.demo._report import Report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m weft.demo",
        description="Show weft at work on a year of taxi trips, or on a year of flights.",
        epilog="Each argument can also be given as an environment variable, as in: make demo JOB=flights",
    )
    env = os.environ.get
    parser.add_argument(
        "--job", choices=("taxi", "flights"), default=env("JOB") or "taxi", help="what to do (JOB)"
    )
    parser.add_argument(
        "--files", default=env("FILES") or None, help="a glob of CSV files of your own (FILES)"
    )
    parser.add_argument(
        "--rows", type=_positive, default=env("ROWS") or None, help="trips to make a month (ROWS)"
    )
    parser.add_argument(
        "--out", type=pathlib.Path, default=env("OUT") or "demo-output", help="folder for the results (OUT)"
    )
    args = parser.parse_args(argv)
    if args.job not in ("taxi", "flights"):  # argparse does not check defaults
        parser.error(f"JOB={args.job}: the jobs are taxi and flights")

    report = Report(args.out / args.job)
    if args.job == "taxi":
        from weft.demo import taxi

        report.title("weft: a year of taxi trips, from CSV files to answers")
        taxi.run(report, args.files, args.rows)
        hints = [
            ("make demo JOB=flights", "the tutorial's flights analysis, on real data"),
            ("make demo FILES='…/yellow_tripdata_*.csv'", "your own files of the taxi commission"),
            ("make demo ROWS=2000000", "eight times as many trips"),
        ]
    else:
        from weft.demo import flights

        report.title("weft: the flights of 2013 from New York")
        flights.run(report, args.files)
        hints = [("make demo", "a year of taxi trips")]
    report.close([*hints, ("make bench", "the same kind of job side by side with Dask, Polars and DuckDB")])


def _positive(text: str) -> int:
    number = int(text.replace("_", "").replace(",", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


if __name__ == "__main__":
    main()
