"""The tables of h2o.ai's benchmark: one to group, and one to join with three of different sizes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

GROUPS = 100
ROW_GROUP = 250_000


def text(numbers, digits):
    """`id0042`, a text for each number."""
    numbers = np.asarray(numbers)
    known, codes = np.unique(numbers, return_inverse=True)
    return pa.array([f"id{n:0{digits}d}" for n in known.tolist()]).take(pa.array(codes))


def make(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(108)
    group(folder, rows, rng)
    join(folder, rows, rng)


def write(folder, name, table):
    pq.write_table(pa.table(table), folder / f"{name}.parquet", row_group_size=ROW_GROUP)


def group(folder, rows, rng):
    """id1 and id2 are text and id4 and id5 numbers of 100 values, id3 and id6 of `rows / 100`."""
    many = rows // GROUPS

    def draw(most):
        return rng.integers(1, most + 1, rows)

    table = {"id1": text(draw(GROUPS), 3), "id2": text(draw(GROUPS), 3), "id3": text(draw(many), 10)}
    table |= {"id4": draw(GROUPS), "id5": draw(GROUPS), "id6": draw(many)}
    table |= {"v1": draw(5), "v2": draw(15), "v3": np.round(rng.uniform(0, 100, rows), 6)}
    write(folder, "groups", table)


def join(folder, rows, rng):
    """Of the keys of a side, nine in ten occur on the other; id4 to id6 are id1 to id3 as text."""
    small, medium = max(rows // 10**6, 10), max(rows // 10**3, 10)
    sides = {}
    for name, n in {"id1": small, "id2": medium, "id3": rows}.items():
        keys = rng.permutation(np.arange(1, n + n // 10 + 1))
        common, rest = keys[: n - n // 10], keys[n - n // 10 :]
        sides[name] = [np.concatenate([common, own]) for own in np.array_split(rest, 2)]
    keys = {"id1": 0, "id2": 1, "id3": 2}

    def table(n, names, side):
        own = {}
        for name in names:
            known = sides[name][side]
            # Each key at least once.
            drawn = known[rng.integers(0, len(known), max(n - len(known), 0))]
            own[name] = rng.permutation(np.concatenate([known, drawn])[:n])
        for name in names:
            own[f"id{keys[name] + 4}"] = text(own[name], 1)
        own[f"v{side + 1}"] = np.round(rng.uniform(0, 100, n), 6)
        return own

    write(folder, "x", table(rows, ["id1", "id2", "id3"], 0))
    write(folder, "small", table(small, ["id1"], 1))
    write(folder, "medium", table(medium, ["id1", "id2"], 1))
    write(folder, "big", table(rows, ["id1", "id2", "id3"], 1))
