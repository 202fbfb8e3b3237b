"""How often each word occurs in a text."""

from collections import Counter

from jobs._bags import MEGABYTES, WORDS, same, systems
from jobs._bags import prepare_words as prepare

TITLE = f"Word count over {MEGABYTES} MB of text"
ROUNDS = 1


def job(db):
    return db.read_text(WORDS, blocksize="8 MiB").str.lower().str.split().flatten().frequencies()


def plain():
    counts = Counter()
    with open(WORDS, encoding="utf-8") as file:
        for line in file:
            counts.update(line.lower().split())
    return counts.items()


SYSTEMS = systems(job, plain)


def digest(answer):
    counts = sorted(answer, key=lambda pair: (-pair[1], pair[0]))
    return [len(counts), sum(n for _, n in counts), counts[:10]]


__all__ = ["ROUNDS", "SYSTEMS", "TITLE", "digest", "prepare", "same"]
