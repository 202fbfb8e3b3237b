"""The 22 queries, written once against Dask's dataframe API (`queries.py`) for weft and Dask, with lazy frames for
Polars and in SQL for DuckDB, whose answers are the reference. All read the same Parquet files as `tpchgen-cli` makes
them, decimals included; a query's time is the median after it has been run once."""

import functools
import importlib
import math
import os
import pathlib
import shutil
import subprocess
import sys

from jobs._data import DATA

TITLE = "TPC-H"
QUESTIONS = [f"q{i}" for i in range(1, 23)]
SCALE = float(os.environ.get("WEFT_BENCH_SCALE") or 1)
TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
FOLDER = DATA / f"tpch-{SCALE:g}"


def prepare():
    if not (FOLDER / "supplier.parquet").exists():
        own = pathlib.Path(sys.executable).parent / "tpchgen-cli"
        command = str(own) if own.exists() else shutil.which("tpchgen-cli")
        if command is None:
            raise SystemExit("tpchgen-cli is missing: pip install tpchgen-cli")
        subprocess.run([command, "parquet", "--quiet", "-s", f"{SCALE:g}", "-o", str(FOLDER)], check=True)
    for path in FOLDER.glob("*.parquet"):
        path.read_bytes()  # into the page cache


def path(table):
    return str(FOLDER / f"{table}.parquet")


class Tables:
    """The tables as lazy DataFrames of a package with Dask's API."""

    scale = SCALE

    def __init__(self, package):
        self.dd = importlib.import_module(f"{package}.dataframe")

    @functools.cache  # noqa: B019 - one object for each process
    def __getattr__(self, name):
        if name not in TABLES:
            raise AttributeError(name)
        df = self.dd.read_parquet(path(name))
        return df.astype({c: "float64" for c, t in df.dtypes.items() if str(t).startswith("decimal")})


def frames(package):
    def ready():
        from .queries import QUERIES

        tables = Tables(package)

        def run(name):
            value = QUERIES[name](tables)
            return value.compute() if hasattr(value, "compute") else value

        return run

    return ready


def polars():
    import polars as pl
    from polars import selectors

    from .lazy import QUERIES

    def table(name):
        return pl.scan_parquet(path(name)).with_columns(selectors.decimal().cast(pl.Float64))

    table.scale = SCALE
    return lambda name: QUERIES[name](table).collect()


def duckdb():
    import duckdb

    from .sql import QUERIES

    database = duckdb.connect()
    for table in TABLES:
        database.sql(f"create view {table} as select * from '{path(table)}'")
    return lambda name: database.execute(QUERIES[name].format(scale=SCALE)).fetchall()


SYSTEMS = {"weft": frames("weft"), "dask": frames("dask"), "polars": polars, "duckdb": duckdb}


def plain(value):
    if isinstance(value, str):
        return value
    try:
        return float(value)
    except TypeError:
        return str(value)


def digest(answer):
    """Rows of plain values."""
    if hasattr(answer, "itertuples"):
        answer = answer.itertuples(index=False)
    elif hasattr(answer, "rows"):
        answer = answer.rows()
    elif not isinstance(answer, list):
        answer = [[answer]]
    return [[plain(value) for value in row] for row in answer]


def same(a, b):
    def equal(x, y):
        if isinstance(x, str) or isinstance(y, str):
            return x == y
        return math.isclose(x, y, rel_tol=1e-6, abs_tol=0.006)

    return len(a) == len(b) and all(
        len(p) == len(q) and all(map(equal, p, q)) for p, q in zip(a, b, strict=True)
    )
