"""All elements of each group together."""

import os
from collections import defaultdict

from jobs._bags import same, systems

ROUNDS = 1
RECORDS = int(os.environ.get("WEFT_BENCH_BAG_RECORDS", "5000000"))
TITLE = f"groupby of {RECORDS:,} records"


def record(i):
    return (i * 7919) % 10_007, i


def key(record):
    return record[0]


def size(group):
    return group[0], len(group[1]), group[1][0][0]


def job(db):
    return db.range(RECORDS, npartitions=32).map(record).groupby(key).map(size)


def plain():
    groups = defaultdict(list)
    for i in range(RECORDS):
        element = record(i)
        groups[key(element)].append(element)
    return [size(group) for group in groups.items()]


SYSTEMS = systems(job, plain)


def digest(answer):
    answer = sorted(answer)
    return [len(answer), sum(n for _, n, _ in answer), answer[:5]]


__all__ = ["ROUNDS", "SYSTEMS", "TITLE", "digest", "same"]
