"""Data that the jobs on bags share, and how plain Dask and weft are asked for it."""

import json
import os
import random
import tempfile

DIRECTORY = os.path.join(tempfile.gettempdir(), "weft-bench-bags")
WORDS = os.path.join(DIRECTORY, "words.txt")
RECORDS = os.path.join(DIRECTORY, "records.json")
MEGABYTES = int(os.environ.get("WEFT_BENCH_BAG_MB", "100"))


def prepare_words():
    """Text of words that are as unequally frequent as words are."""
    random.seed(0)
    vocabulary = [
        "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 10))) for _ in range(30_000)
    ]
    weights = [1 / (i + 1) for i in range(len(vocabulary))]

    def lines():
        while True:
            words = random.choices(vocabulary, weights, k=20_000)
            yield "".join(" ".join(words[i : i + 10]).capitalize() + "\n" for i in range(0, len(words), 10))

    fill(WORDS, lines())


def prepare_records():
    """JSON lines of payments."""
    random.seed(0)
    cities = [f"city-{i}" for i in range(200)]

    def lines():
        while True:
            yield "".join(
                json.dumps(
                    {
                        "id": random.getrandbits(40),
                        "city": random.choice(cities),
                        "amount": random.randrange(100_000) / 100,
                        "paid": random.random() < 0.7,
                        "items": [random.randrange(1000) for _ in range(3)],
                        "customer": {
                            "name": f"customer {random.randrange(10_000)}",
                            "age": random.randrange(18, 90),
                        },
                    }
                )
                + "\n"
                for _ in range(5_000)
            )

    fill(RECORDS, lines())


def fill(path, pieces):
    """Writes pieces of text to a file until it is as large as asked for; not if it is already."""
    wanted = MEGABYTES * 1_000_000
    if os.path.exists(path) and abs(os.path.getsize(path) - wanted) < wanted // 10 + 2_000_000:
        return
    os.makedirs(DIRECTORY, exist_ok=True)
    with open(path, "w") as file:
        while file.tell() < wanted:
            file.write(next(pieces))


def on(package, scheduler, job, module="bag"):
    """A system: ``job(bag module)`` gives a collection, computed by the scheduler, or without one as the package would."""

    def prepare():
        collection = __import__(f"{package}.{module}", fromlist=[module])
        return lambda: job(collection).compute(scheduler=scheduler)

    return prepare


def systems(job, plain):
    return {
        "weft": on("weft", None, job),
        "dask": on("dask", None, job),
        "dask threads": on("dask", "threads", job),
        "python": lambda: plain,
    }


def same(a, b):
    return a == b
