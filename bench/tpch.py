"""Runs the 22 queries of TPC-H side by side; the answers must be DuckDB's.

    python bench/tpch.py --scale 0.1 --systems weft duckdb --repeat 3 q1 q6

Each query is timed in a process that has imported its system and has run nothing but the query once before;
the files are in the page cache. The data are made by `tpchgen-cli`, which must be on the PATH or beside Python.
"""

import argparse
import contextlib
import functools
import importlib
import json
import math
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(os.environ.get("WEFT_BENCH_DATA", HERE.parent / "data"))
TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
sys.path.insert(0, str(HERE / "jobs"))


def folder(scale):
    return DATA / f"tpch-{scale:g}"


def prepare(scale):
    where = folder(scale)
    if not (where / "supplier.parquet").exists():
        own = pathlib.Path(sys.executable).parent / "tpchgen-cli"
        command = str(own) if own.exists() else shutil.which("tpchgen-cli")
        if command is None:
            raise SystemExit("tpchgen-cli is missing: pip install tpchgen-cli")
        subprocess.run([command, "parquet", "--quiet", "-s", f"{scale:g}", "-o", str(where)], check=True)
    for path in where.glob("*.parquet"):
        path.read_bytes()  # into the page cache


class Lazy:
    """The tables as lazy DataFrames of a package with Dask's API."""

    def __init__(self, package, scale):
        self.dd = importlib.import_module(f"{package}.dataframe")
        self.scale = scale

    @functools.cache  # noqa: B019 - one object for each process
    def __getattr__(self, name):
        if name not in TABLES:
            raise AttributeError(name)
        df = self.dd.read_parquet(str(folder(self.scale) / f"{name}.parquet"))
        return df.astype({c: "float64" for c, t in df.dtypes.items() if str(t).startswith("decimal")})


def rows(value):
    """An answer as rows of plain values."""
    if hasattr(value, "compute"):
        value = value.compute()
    if not hasattr(value, "columns"):
        return [[float(value)]]
    return [[plain(v) for v in row] for row in value.itertuples(index=False)]


def plain(value):
    if isinstance(value, str):
        return value
    try:
        return float(value)
    except TypeError:
        return str(value)


def frame_system(package, scale):
    from tpch.queries import QUERIES

    tables = Lazy(package, scale)
    return lambda name: rows(QUERIES[name](tables))


def duckdb_system(scale):
    import duckdb
    from tpch.sql import QUERIES

    database = duckdb.connect()
    for table in TABLES:
        database.sql(f"create view {table} as select * from '{folder(scale) / table}.parquet'")

    def run(name):
        found = database.execute(QUERIES[name].format(scale=scale)).fetchall()
        return [[plain(v) for v in row] for row in found]

    return run


SYSTEMS = {
    "weft": lambda scale: frame_system("weft", scale),
    "dask": lambda scale: frame_system("dask", scale),
    "duckdb": duckdb_system,
}


def child(system, scale, names, repeat):
    """Runs queries in this process; a line of JSON for each."""
    import warnings

    warnings.simplefilter("ignore")
    run = SYSTEMS[system](scale)
    for name in names:
        try:
            answer = run(name)
            seconds = []
            for _ in range(repeat):
                start = time.perf_counter()
                run(name)
                seconds.append(time.perf_counter() - start)
            found = {"seconds": min(seconds), "answer": answer}
        except Exception as error:
            if os.environ.get("WEFT_BENCH_RAISE"):
                raise
            found = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"name": name, "peak_bytes": peak, **found}), flush=True)


def same(a, b):
    def equal(x, y):
        if isinstance(x, str) or isinstance(y, str):
            return x == y
        return math.isclose(x, y, rel_tol=1e-6, abs_tol=0.006)

    return len(a) == len(b) and all(
        len(p) == len(q) and all(map(equal, p, q)) for p, q in zip(a, b, strict=True)
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("queries", nargs="*")
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--systems", nargs="+", default=["weft", "dask", "duckdb"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--child")
    options = parser.parse_args()
    names = options.queries or [f"q{i}" for i in range(1, 23)]
    if options.child:
        child(options.child, options.scale, names, options.repeat)
        return
    prepare(options.scale)
    results = {}
    for system in options.systems:
        command = [sys.executable, __file__, "--child", system, "--scale", str(options.scale)]
        command += ["--repeat", str(options.repeat), *names]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                with contextlib.suppress(json.JSONDecodeError):
                    found = json.loads(line)
                    results[system, found["name"]] = found
    print("| query | " + " | ".join(options.systems) + " | x duckdb | x dask |")
    print("| --- |" + " ---: |" * (len(options.systems) + 2))
    ratios, dask_ratios = [], []
    for name in names:
        reference = results.get(("duckdb", name), {}).get("answer")
        cells = []
        for system in options.systems:
            found = results.get((system, name), {"error": "died"})
            if "error" in found:
                cells.append(found["error"])
            elif reference is not None and not same(found["answer"], reference):
                cells.append(f"{found['seconds']:.3f} WRONG")
                if os.environ.get("WEFT_BENCH_RAISE"):
                    print(system, found["answer"][:3], reference[:3], len(found["answer"]), len(reference))
            else:
                cells.append(f"{found['seconds']:.3f}")

        def seconds(system, name=name):
            return results.get((system, name), {}).get("seconds")

        best = seconds("duckdb")
        own = seconds("weft")
        cells.append(f"{own / best:.2f}" if own and best else "-")
        cells.append(f"{seconds('dask') / own:.1f}" if own and seconds("dask") else "-")
        if own and best:
            ratios.append(own / best)
        if own and seconds("dask"):
            dask_ratios.append(seconds("dask") / own)
        print(f"| {name} | " + " | ".join(cells) + " |")
    for label, values in (("weft / duckdb", ratios), ("dask / weft", dask_ratios)):
        if values:
            print(f"\ngeometric mean of {label}: {statistics.geometric_mean(values):.2f}")
    for system in options.systems:
        peaks = [found["peak_bytes"] for (s, _), found in results.items() if s == system]
        if peaks:
            print(f"peak memory of {system}: {max(peaks) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
