"""h2o.ai's ten questions to groups (`g1` to `g10`) and five joins (`j1` to `j5`), from Parquet to a table in memory:
pandas for weft and Dask, whose code is the same, Polars' own, and Arrow for DuckDB. Compared are the number of rows
and the sum of each column of numbers."""

import importlib
import math

from jobs._data import DATA, rows

TITLE = "h2o.ai: groups and joins"
QUESTIONS = [f"g{i}" for i in range(1, 11)] + [f"j{i}" for i in range(1, 6)]
ROWS = rows(1e7)
FOLDER = DATA / f"h2o-{ROWS:.0e}".replace("+", "")
TABLES = ["groups", "x", "small", "medium", "big"]
IDS = [f"id{i}" for i in range(1, 7)]


def prepare():
    if not (FOLDER / "big.parquet").exists():
        from .data import make

        make(FOLDER, ROWS)
    for path in FOLDER.glob("*.parquet"):
        path.read_bytes()  # into the page cache


def path(table):
    return str(FOLDER / f"{table}.parquet")


def frames(package):
    def ready():
        dd = importlib.import_module(f"{package}.dataframe")
        groups, x, small, medium, big = (dd.read_parquet(path(name)) for name in TABLES)

        def by(keys, **aggs):
            return groups.groupby(keys, sort=False).agg(aggs).reset_index()

        def middle():
            found = groups.groupby(["id4", "id5"], sort=False)
            return found.agg(median=("v3", "median"), std=("v3", "std")).reset_index()

        def spread():
            found = groups.groupby("id3", sort=False).agg({"v1": "max", "v2": "min"})
            return (found.v1 - found.v2).to_frame("range").reset_index()

        def top2():
            best = groups[["id6", "v3"]].sort_values("v3", ascending=False)
            return best.groupby("id6", sort=False).head(2)

        def square():
            df = groups.assign(
                xy=groups.v1 * groups.v2, xx=groups.v1 * groups.v1, yy=groups.v2 * groups.v2, n=1
            )
            s = df.groupby(["id2", "id4"], sort=False)[["v1", "v2", "xy", "xx", "yy", "n"]].sum()
            above = s.n * s.xy - s.v1 * s.v2
            r2 = above * above / ((s.n * s.xx - s.v1 * s.v1) * (s.n * s.yy - s.v2 * s.v2))
            return r2.to_frame("r2").reset_index()

        questions = {
            "g1": lambda: by("id1", v1="sum"),
            "g2": lambda: by(["id1", "id2"], v1="sum"),
            "g3": lambda: by("id3", v1="sum", v3="mean"),
            "g4": lambda: by("id4", v1="mean", v2="mean", v3="mean"),
            "g5": lambda: by("id6", v1="sum", v2="sum", v3="sum"),
            "g6": middle,
            "g7": spread,
            "g8": top2,
            "g9": square,
            "g10": lambda: by(IDS, v3="sum", v1="count"),
            "j1": lambda: x.merge(small, on="id1"),
            "j2": lambda: x.merge(medium, on="id2"),
            "j3": lambda: x.merge(medium, on="id2", how="left"),
            "j4": lambda: x.merge(medium, on="id5"),
            "j5": lambda: x.merge(big, on="id3"),
        }
        return lambda name: questions[name]().compute()

    return ready


def polars():
    import polars as pl
    from polars import col

    groups, x, small, medium, big = (pl.scan_parquet(path(name)) for name in TABLES)
    questions = {
        "g1": lambda: groups.group_by("id1").agg(col("v1").sum()),
        "g2": lambda: groups.group_by("id1", "id2").agg(col("v1").sum()),
        "g3": lambda: groups.group_by("id3").agg(col("v1").sum(), col("v3").mean()),
        "g4": lambda: groups.group_by("id4").agg(col("v1", "v2", "v3").mean()),
        "g5": lambda: groups.group_by("id6").agg(col("v1", "v2", "v3").sum()),
        "g6": lambda: groups.group_by("id4", "id5").agg(
            col("v3").median().alias("median"), col("v3").std().alias("std")
        ),
        "g7": lambda: groups.group_by("id3").agg((col("v1").max() - col("v2").min()).alias("range")),
        "g8": lambda: groups.group_by("id6").agg(col("v3").top_k(2)).explode("v3"),
        "g9": lambda: groups.group_by("id2", "id4").agg((pl.corr("v1", "v2") ** 2).alias("r2")),
        "g10": lambda: groups.group_by(IDS).agg(col("v3").sum(), col("v1").count()),
        "j1": lambda: x.join(small, on="id1"),
        "j2": lambda: x.join(medium, on="id2"),
        "j3": lambda: x.join(medium, on="id2", how="left"),
        "j4": lambda: x.join(medium, on="id5"),
        "j5": lambda: x.join(big, on="id3"),
    }
    return lambda name: questions[name]().collect()


def duckdb():
    import duckdb

    database = duckdb.connect()
    for name in TABLES:
        database.sql(f"create view {name} as select * from '{path(name)}'")
    top2 = "row_number() over (partition by id6 order by v3 desc)"
    queries = {
        "g1": "select id1, sum(v1) from groups group by all",
        "g2": "select id1, id2, sum(v1) from groups group by all",
        "g3": "select id3, sum(v1), avg(v3) from groups group by all",
        "g4": "select id4, avg(v1), avg(v2), avg(v3) from groups group by all",
        "g5": "select id6, sum(v1), sum(v2), sum(v3) from groups group by all",
        "g6": "select id4, id5, median(v3), stddev(v3) from groups group by all",
        "g7": "select id3, max(v1) - min(v2) from groups group by all",
        "g8": f"select id6, v3 from (select id6, v3, {top2} n from groups) where n <= 2",
        "g9": "select id2, id4, corr(v1, v2) ** 2 from groups group by all",
        "g10": f"select {', '.join(IDS)}, sum(v3), count(v1) from groups group by all",
        "j1": "select * from x join small using (id1)",
        "j2": "select * from x join medium using (id2)",
        "j3": "select * from x left join medium using (id2)",
        "j4": "select * from x join medium using (id5)",
        "j5": "select * from x join big using (id3)",
    }
    return lambda name: database.execute(queries[name]).to_arrow_table()


SYSTEMS = {"weft": frames("weft"), "dask": frames("dask"), "polars": polars, "duckdb": duckdb}


def digest(answer):
    """Number of rows, and the sums of all columns of numbers in ascending order (names differ)."""
    if hasattr(answer, "schema") and hasattr(answer, "column_names"):
        import pyarrow as pa
        import pyarrow.compute as pc

        numbers = [c for c in answer.columns if not pa.types.is_large_string(c.type) and not is_text(c.type)]
        sums = [pc.sum(c.cast("double")).as_py() for c in numbers]
        return [answer.num_rows, sorted(float(s or 0) for s in sums)]
    if hasattr(answer, "select_dtypes"):
        numbers = answer.select_dtypes("number")
        return [len(answer), sorted(float(numbers[c].sum()) for c in numbers.columns)]
    from polars import selectors

    sums = answer.select(selectors.numeric().sum()).row(0)
    return [answer.height, sorted(float(s) for s in sums)]


def is_text(kind):
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_string_view(kind)


def same(a, b):
    return (
        a[0] == b[0]
        and len(a[1]) == len(b[1])
        and all(math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-6) for x, y in zip(a[1], b[1], strict=True))
    )
