"""JSON lines, some of them kept, and totals of groups."""

import json

from jobs._bags import MEGABYTES, RECORDS, same, systems
from jobs._bags import prepare_records as prepare

TITLE = f"Filter and foldby over {MEGABYTES} MB of JSON lines"
ROUNDS = 1


def paid(record):
    return record["paid"]


def city(record):
    return record["city"]


def add(total, record):
    return total + record["amount"]


def both(a, b):
    return a + b


def job(db):
    records = db.read_text(RECORDS, blocksize="8 MiB").map(json.loads)
    return records.filter(paid).foldby(city, add, 0, both, 0)


def plain():
    totals = {}
    with open(RECORDS, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if paid(record):
                name = city(record)
                totals[name] = totals.get(name, 0) + record["amount"]
    return totals.items()


SYSTEMS = systems(job, plain)


def digest(answer):
    return sorted((name, round(total, 2)) for name, total in answer)


__all__ = ["ROUNDS", "SYSTEMS", "TITLE", "digest", "prepare", "same"]
