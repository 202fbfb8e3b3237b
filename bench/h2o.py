"""The h2o.ai database-like operations: groupby (10 questions) and join (5), side by side with checked answers.

    python bench/h2o.py --rows 1000000 --systems weft duckdb g1 j1

Data are made once as Parquet below the data folder; each question is timed after it has run once.
"""

import argparse
import contextlib
import importlib
import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(os.environ.get("WEFT_BENCH_DATA", HERE.parent / "data"))
NAMES = [f"g{i}" for i in range(1, 11)] + [f"j{i}" for i in range(1, 6)]


def folder(rows):
    return DATA / f"h2o-{rows:.0e}".replace("+", "")


def prepare(rows, groups=100):
    """``x``: id1-id3 text, id4-id6 numbers (100 and rows/100 values), v1-v3; and the tables to join with."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = folder(rows)
    if (where / "x.parquet").exists():
        return
    where.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(108)
    many = rows // groups

    def text(numbers):
        return pa.array([f"id{n:010d}" for n in range(int(numbers.max()) + 1)]).take(pa.array(numbers))

    few, lots = (lambda: rng.integers(1, groups + 1, rows)), (lambda: rng.integers(1, many + 1, rows))
    table = {"id1": text(few()), "id2": text(few()), "id3": text(lots())}
    table |= {"id4": few(), "id5": few(), "id6": lots()}
    table |= {"v1": rng.integers(1, 6, rows), "v2": rng.integers(1, 16, rows)}
    table["v3"] = np.round(rng.uniform(0, 100, rows), 6)
    pq.write_table(pa.table(table), where / "groups.parquet", row_group_size=250_000)
    # Of the keys of each size, nine in ten occur on the other side.
    sizes = {"small": rows // 10**6 or 10, "medium": rows // 10**3, "big": rows}
    left = {"v1": np.round(rng.uniform(0, 100, rows), 6)}
    for i, (name, n) in enumerate(sizes.items(), 1):
        keys = rng.permutation(int(n * 1.1) + 1)
        left[f"id{i}"] = keys[:n][rng.integers(0, n, rows)] if name != "big" else keys[:n]
        other = {f"id{i}": keys[-n:], "v2": np.round(rng.uniform(0, 100, n), 6)}
        other[f"id{i + 3}"] = text(keys[-n:])
        pq.write_table(pa.table(other), where / f"{name}.parquet", row_group_size=250_000)
    pq.write_table(pa.table(left), where / "x.parquet", row_group_size=250_000)


def frame_system(package, rows):
    dd = importlib.import_module(f"{package}.dataframe")

    def read(name):
        return dd.read_parquet(str(folder(rows) / f"{name}.parquet"))

    def groups(by, **aggs):
        return read("groups").groupby(by).agg(aggs)

    def joined(other, on, how="inner"):
        return read("x").merge(read(other), on=on, how=how)

    def top2():
        x = read("groups")[["id6", "v3"]]
        return x.groupby("id6").apply(lambda part: part.nlargest(2, "v3")[["v3"]], meta={"v3": "float64"})

    def spread():
        x = read("groups")
        found = x.groupby("id3").agg({"v1": "max", "v2": "min"})
        return found.v1 - found.v2

    def square():
        x = read("groups")
        x = x.assign(xy=x.v1 * x.v2, xx=x.v1 * x.v1, yy=x.v2 * x.v2, n=1)
        s = x.groupby(["id2", "id4"])[["v1", "v2", "xy", "xx", "yy", "n"]].sum()
        above = s.n * s.xy - s.v1 * s.v2
        return above * above / ((s.n * s.xx - s.v1 * s.v1) * (s.n * s.yy - s.v2 * s.v2))

    questions = {
        "g1": lambda: groups("id1", v1="sum"),
        "g2": lambda: groups(["id1", "id2"], v1="sum"),
        "g3": lambda: groups("id3", v1="sum", v3="mean"),
        "g4": lambda: groups("id4", v1="mean", v2="mean", v3="mean"),
        "g5": lambda: groups("id6", v1="sum", v2="sum", v3="sum"),
        "g6": lambda: groups(["id4", "id5"], v3=["median", "std"]),
        "g7": spread,
        "g8": top2,
        "g9": square,
        "g10": lambda: groups(["id1", "id2", "id3", "id4", "id5", "id6"], v3="sum", v1="count"),
        "j1": lambda: joined("small", "id1"),
        "j2": lambda: joined("medium", "id2"),
        "j3": lambda: joined("medium", "id2", "left"),
        "j4": lambda: joined("medium", "id2").merge(read("small"), on="id1", suffixes=("", "_s")),
        "j5": lambda: joined("big", "id3"),
    }

    def run(name):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = questions[name]().compute()
        values = found.to_frame() if found.ndim == 1 else found
        numbers = values.select_dtypes("number")
        if name.startswith("j"):
            numbers = numbers[[c for c in numbers.columns if str(c).startswith("v")]]
        return [len(found), float(numbers.sum(skipna=True).sum())]

    return run


def duckdb_system(rows):
    import duckdb

    database = duckdb.connect()
    for path in folder(rows).glob("*.parquet"):
        database.sql(f"create view {path.stem} as select * from '{path}'")
    queries = {
        "g1": ("select id1, sum(v1) a from groups group by 1", "a"),
        "g2": ("select id1, id2, sum(v1) a from groups group by all", "a"),
        "g3": ("select id3, sum(v1) a, avg(v3) b from groups group by all", "a b"),
        "g4": ("select id4, avg(v1) a, avg(v2) b, avg(v3) c from groups group by all", "a b c"),
        "g5": ("select id6, sum(v1) a, sum(v2) b, sum(v3) c from groups group by all", "a b c"),
        "g6": ("select id4, id5, median(v3) a, stddev(v3) b from groups group by all", "a b"),
        "g7": ("select id3, max(v1) - min(v2) a from groups group by all", "a"),
        "g8": (
            "select id6, v3 a from (select id6, v3, row_number() over (partition by id6 order by v3 desc) n "
            "from groups) where n <= 2",
            "a",
        ),
        "g9": ("select id2, id4, corr(v1, v2) ** 2 a from groups group by all", "a"),
        "g10": (
            "select id1, id2, id3, id4, id5, id6, sum(v3) a, count(v1) b from groups group by all",
            "a b",
        ),
        "j1": ("select x.*, small.v2 from x join small using (id1)", "v1 v2"),
        "j2": ("select x.*, medium.* exclude id2 from x join medium using (id2)", "v1 v2"),
        "j3": ("select x.*, medium.* exclude id2 from x left join medium using (id2)", "v1 v2"),
        "j4": (
            "select x.*, medium.v2, medium.id5, small.v2 v3, small.id4 from x join medium using (id2) "
            "join small using (id1)",
            "v1 v2 v3",
        ),
        "j5": ("select x.*, big.* exclude id3 from x join big using (id3)", "v1 v2"),
    }

    def run(name):
        query, columns = queries[name]
        # As a table of Arrow, so that all rows are made.
        found = database.execute(query).to_arrow_table()
        import pyarrow.compute as pc

        total = sum(pc.sum(found[c].cast("double")).as_py() or 0.0 for c in columns.split())
        return [found.num_rows, total]

    return run


SYSTEMS = {
    "weft": lambda rows: frame_system("weft", rows),
    "dask": lambda rows: frame_system("dask", rows),
    "duckdb": duckdb_system,
}


def child(system, rows, names, repeat):
    run = SYSTEMS[system](rows)
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
            found = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"name": name, "peak_bytes": peak, **found}), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("questions", nargs="*")
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--systems", nargs="+", default=["weft", "dask", "duckdb"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--child")
    options = parser.parse_args()
    rows, names = int(options.rows), options.questions or NAMES
    if options.child:
        child(options.child, rows, names, options.repeat)
        return
    prepare(rows)
    results = {}
    for system in options.systems:
        command = [sys.executable, __file__, "--child", system, "--rows", str(rows)]
        command += ["--repeat", str(options.repeat), *names]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                with contextlib.suppress(json.JSONDecodeError):
                    found = json.loads(line)
                    results[system, found["name"]] = found
    print("| question | " + " | ".join(options.systems) + " |")
    print("| --- |" + " ---: |" * len(options.systems))
    ratios = {system: [] for system in options.systems}
    for name in names:
        reference = results.get(("weft", name), {}).get("answer")
        cells = []
        for system in options.systems:
            found = results.get((system, name), {"error": "died"})
            if "error" in found:
                cells.append(found["error"])
                continue
            agrees = reference is None or all(
                math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) for a, b in zip(found["answer"], reference)
            )
            cells.append(
                f"{found['seconds']:.3f}" + ("" if agrees else f" OTHER {found['answer']} {reference}")
            )
            if "error" not in results.get(("weft", name), {"error": ""}):
                ratios[system].append(found["seconds"] / results["weft", name]["seconds"])
        print(f"| {name} | " + " | ".join(cells) + " |")
    for system, values in ratios.items():
        if values and system != "weft":
            print(f"geometric mean of {system} / weft: {statistics.geometric_mean(values):.2f}")
    for system in options.systems:
        peaks = [found["peak_bytes"] for (s, _), found in results.items() if s == system]
        print(f"peak memory of {system}: {max(peaks, default=0) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
