"""Generated taxi trips: the published files' schemas, with their nasty cases.

New York's taxi commission publishes a CSV file of trips for each month. The files written here have
the same columns and the same traps, so that the demo, the benchmarks and the tests need no download:

* ``2018``: 17 columns, lines that end with CR LF, and an empty second line;
* ``2020``: 18 columns, and in the last one percent of the rows five columns are empty, so that
  integers in any sample of the head turn out to have missing values at the end.

Refunds (negative fares), free rides (zero fares) and trips without distance occur in both.
Tips depend on the zone and the hour, so that the answers show something.

Written with NumPy alone. Every value is a look-up in a table of its possible texts, because
formatting numbers one by one would take minutes.
"""

from __future__ import annotations

import calendar
import json
import os
import pathlib
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

__all__ = ["taxi_months"]

COLUMNS = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,"
    "store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,"
    "tolls_amount,improvement_surcharge,total_amount"
)
ZONES = 265
#: Columns that are empty in the last rows of a 2020 file.
LATE_MISSING = ("VendorID", "passenger_count", "RatecodeID", "store_and_fwd_flag", "payment_type")


def taxi_months(
    root: str | os.PathLike[str], year: int = 2018, months: int = 12, rows: int = 250_000, seed: int = 0
) -> list[pathlib.Path]:
    """Write a CSV file of `rows` taxi trips for each of the first `months` months of `year`.

    Files that an earlier call with the same arguments wrote are kept.

    Parameters
    ----------
    root : path
        Directory to write to; created if it does not exist.
    year : int
        2020 and later give the schema and the traps of 2020, earlier years those of 2018.
    months : int
        Number of files, 1 to 12.
    rows : int
        Rows a file.
    seed : int
        Same seed, same bytes.

    Returns
    -------
    list of pathlib.Path
        The files, in order of time.

    Examples
    --------
    >>> import tempfile
    >>> from weft.demo.data import taxi_months
    >>> with tempfile.TemporaryDirectory() as root:
    ...     files = taxi_months(root, year=2018, months=2, rows=10)
    ...     lines = files[0].read_bytes().split(b"\\r\\n")
    >>> [f.name for f in files], len(lines), lines[1]
    (['tripdata_2018-01.csv', 'tripdata_2018-02.csv'], 13, b'')
    """
    if not 1 <= months <= 12:
        raise ValueError(f"months must be from 1 to 12, got {months}")
    root = pathlib.Path(root)
    root.mkdir(parents=True, exist_ok=True)
    paths = [root / f"tripdata_{year}-{month:02d}.csv" for month in range(1, months + 1)]
    stamp = root / f".tripdata_{year}.json"
    wanted = {"version": 1, "year": year, "months": months, "rows": rows, "seed": seed}
    if stamp.exists() and json.loads(stamp.read_text()) == wanted and all(p.exists() for p in paths):
        return paths
    stamp.unlink(missing_ok=True)
    jobs = [(path, year, month, rows, seed) for month, path in enumerate(paths, 1)]
    if rows * months < 200_000:
        for job in jobs:
            _write_month(*job)
    else:
        with ProcessPoolExecutor(min(len(jobs), os.cpu_count() or 1)) as pool:
            list(pool.map(_write_month, *zip(*jobs)))
    stamp.write_text(json.dumps(wanted))
    return paths


def _texts(values, form: str = "%s") -> np.ndarray:
    return np.array([form % v for v in values], dtype=object)


def _write_month(path: pathlib.Path, year: int, month: int, rows: int, seed: int) -> None:
    columns = _month(year, month, rows, np.random.default_rng([seed, year, month]))
    modern = year >= 2020
    if modern:
        late = max(1, round(rows * 0.0102))
        for name in LATE_MISSING:
            columns[name][rows - late :] = ""
    end = "\n" if modern else "\r\n"
    part = path.with_name(path.name + ".part")
    with open(part, "w", newline="") as file:
        file.write(",".join(columns) + end + ("" if modern else end))
        lists = [c.tolist() for c in columns.values()]
        step = 100_000
        for start in range(0, rows, step):
            lines = map(",".join, zip(*(c[start : start + step] for c in lists)))
            file.write(end.join(lines) + end)
    os.replace(part, path)


def _month(year: int, month: int, rows: int, rng: np.random.Generator) -> dict[str, Any]:
    days = calendar.monthrange(year, month)[1]
    seconds = days * 86_400
    # Trips follow the day: few at five in the morning, most at six in the evening.
    by_hour = np.array(
        [28, 20, 15, 11, 9, 10, 22, 38, 46, 46, 45, 47, 50, 50, 53, 54, 50, 60, 66, 62, 58, 57, 53, 41]
    )
    hour = rng.choice(24, rows, p=by_hour / by_hour.sum())
    pickup = rng.integers(0, days, rows) * 86_400 + hour * 3_600 + rng.integers(0, 3_600, rows)
    pickup.sort()
    # The published files are nearly in order of time, not quite.
    pickup = np.clip(pickup + rng.integers(-120, 120, rows), 0, seconds - 1)
    hour = pickup // 3_600 % 24

    distance = np.round(rng.gamma(1.6, 1.9, rows) * 100).astype(np.int64).clip(0, 9_999)
    distance[rng.random(rows) < 0.004] = 0
    drive = np.maximum(30, distance * 2.3 + rng.normal(180, 120, rows)).astype(np.int64)
    dropoff = np.minimum(pickup + drive, seconds - 1)

    payment = rng.choice(4, rows, p=[0.69, 0.295, 0.01, 0.005])
    fare = 250 + distance * 5 // 2 // 50 * 50
    fare[rng.random(rows) < 0.001] = 0
    zone = rng.integers(0, ZONES, rows)
    # Zones 1 to 90 and the evening tip well.
    generous = (zone < 90).astype(np.int64) + (hour >= 17)
    percent = np.where(
        rng.random(rows) < np.array([0.08, 0.55, 0.9])[generous],
        rng.choice([25, 30], rows),
        rng.choice([0, 10, 20], rows),
    )
    tip = np.where(payment == 0, fare * percent // 100, 0)
    fare[rng.random(rows) < 0.004] *= -1
    extra = rng.choice([0, 50, 100], rows)
    tolls = np.where(rng.random(rows) < 0.05, 576, 0)
    total = fare + extra + 50 + tip + tolls + 30

    money = _Cents(min(int(fare.min()), int(total.min())), max(int(fare.max()), int(total.max())))
    minutes = _texts(
        f"{year}-{month:02d}-{m // 1440 + 1:02d} {m // 60 % 24:02d}:{m % 60:02d}:" for m in range(days * 1440)
    )
    second = _texts(range(60), "%02d")

    def moment(t):
        return minutes[t // 60] + second[t % 60]

    columns = {
        "VendorID": _texts([1, 2])[rng.choice(2, rows, p=[0.43, 0.57])],
        "tpep_pickup_datetime": moment(pickup),
        "tpep_dropoff_datetime": moment(dropoff),
        "passenger_count": _texts(range(7))[
            rng.choice(7, rows, p=[0.01, 0.71, 0.145, 0.04, 0.02, 0.045, 0.03])
        ],
        "trip_distance": money(distance),
        "RatecodeID": _texts([1, 2, 3, 4, 5, 99])[
            rng.choice(6, rows, p=[0.97, 0.022, 0.002, 0.0008, 0.005, 0.0002])
        ],
        "store_and_fwd_flag": _texts(["N", "Y"])[rng.choice(2, rows, p=[0.996, 0.004])],
        "PULocationID": _texts(range(1, ZONES + 1))[zone],
        "DOLocationID": _texts(range(1, ZONES + 1))[rng.integers(0, ZONES, rows)],
        "payment_type": _texts([1, 2, 3, 4])[payment],
        "fare_amount": money(fare),
        "extra": money(extra),
        "mta_tax": money(np.full(rows, 50)),
        "tip_amount": money(tip),
        "tolls_amount": money(tolls),
        "improvement_surcharge": money(np.full(rows, 30)),
        "total_amount": money(total),
    }
    assert ",".join(columns) == COLUMNS
    if year >= 2020:
        columns["congestion_surcharge"] = money(rng.choice([250, 0], rows, p=[0.93, 0.07]))
    return columns


class _Cents:
    """Texts of all amounts from `low` to `high` hundredths, as shortest decimals (`5.0`, `0.3`)."""

    def __init__(self, low: int, high: int):
        self.low = min(low, 0)
        self.texts = _texts(c / 100 for c in range(self.low, max(high, 10_000) + 1))

    def __call__(self, cents: np.ndarray) -> np.ndarray:
        return self.texts[cents - self.low]
