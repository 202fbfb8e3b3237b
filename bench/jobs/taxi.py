"""Months of taxi trips (4 million rows unless `--rows` says otherwise, 17 columns, 92 MB of CSV a million): drop refunds and
rides without distance, count trips by hour, average the tip's share of the fare by zone; one pass, both answers."""

import math

from jobs._data import DATA, rows

TITLE = "The taxi job: CSV to answers"
MONTHS = max(1, min(12, rows(4e6) // 1_000_000))
FILES = str(DATA / f"taxi-{MONTHS}" / "tripdata_2018-*.csv")


def prepare():
    from weft.demo.data import taxi_months

    for path in taxi_months(DATA / f"taxi-{MONTHS}", year=2018, months=MONTHS, rows=1_000_000):
        path.read_bytes()  # into the page cache


def frames(package):
    def ready():
        import importlib

        base = importlib.import_module(package)
        dd = importlib.import_module(f"{package}.dataframe")

        def run():
            df = dd.read_csv(FILES, blocksize="64MB", parse_dates=["tpep_pickup_datetime"])
            df = df[(df.fare_amount > 0) & (df.trip_distance > 0)]
            df = df.assign(hour=df.tpep_pickup_datetime.dt.hour, tip_share=df.tip_amount / df.fare_amount)
            trips, share = base.compute(
                df.groupby("hour").size(), df.groupby("PULocationID").tip_share.mean()
            )
            return trips.to_dict(), share.to_dict()

        return run

    return ready


def polars():
    import polars as pl

    def run():
        trips = (
            pl.scan_csv(FILES, try_parse_dates=True)
            .filter((pl.col.fare_amount > 0) & (pl.col.trip_distance > 0))
            .with_columns(
                hour=pl.col.tpep_pickup_datetime.dt.hour(), tip_share=pl.col.tip_amount / pl.col.fare_amount
            )
        )
        by_hour, by_zone = pl.collect_all(
            [trips.group_by("hour").len(), trips.group_by("PULocationID").agg(pl.col.tip_share.mean())]
        )
        return dict(by_hour.iter_rows()), dict(by_zone.iter_rows())

    return run


def duckdb():
    import duckdb

    def run():
        duckdb.sql(
            f"""create or replace temp view trips as
            select hour(tpep_pickup_datetime) as hour, PULocationID as zone, tip_amount / fare_amount as tip_share
            from read_csv('{FILES}') where fare_amount > 0 and trip_distance > 0"""
        )
        by_hour = duckdb.sql("select hour, count(*) from trips group by hour").fetchall()
        by_zone = duckdb.sql("select zone, avg(tip_share) from trips group by zone").fetchall()
        return dict(by_hour), dict(by_zone)

    return run


SYSTEMS = {"weft": frames("weft"), "dask": frames("dask"), "polars": polars, "duckdb": duckdb}


def digest(answer):
    trips, share = answer
    return [
        sorted((int(k), int(v)) for k, v in trips.items()),
        sorted((int(k), float(v)) for k, v in share.items()),
    ]


def same(a, b):
    (trips_a, share_a), (trips_b, share_b) = a, b
    return trips_a == trips_b and all(
        za == zb and math.isclose(va, vb, rel_tol=1e-9)
        for (za, va), (zb, vb) in zip(share_a, share_b, strict=True)
    )
