"""JSON lines to a dataframe: numbers, truth values and text, and a total of each group."""

import json
import random

from jobs._bags import DIRECTORY, MEGABYTES, fill, on

PATH = f"{DIRECTORY}/flat.json"
TITLE = f"{MEGABYTES} MB of JSON lines to a dataframe"
ROUNDS = 1


def prepare():
    random.seed(0)

    def lines():
        while True:
            yield "".join(
                json.dumps(
                    {
                        "id": random.getrandbits(40),
                        "city": f"city-{random.randrange(200)}",
                        "amount": random.randrange(100_000) / 100,
                        "paid": random.random() < 0.7,
                        "customer": f"customer {random.randrange(10_000)}",
                        "age": random.randrange(18, 90),
                    }
                )
                + "\n"
                for _ in range(5_000)
            )

    fill(PATH, lines())


def read(dd):
    return dd.read_json(PATH, lines=True, blocksize=2**23).groupby("city").amount.sum()


def from_bag(db):
    return db.read_text(PATH, blocksize="8 MiB").map(json.loads).to_dataframe().groupby("city").amount.sum()


SYSTEMS = {
    "weft": on("weft", None, read, "dataframe"),
    "weft from bag": on("weft", None, from_bag),
    "dask": on("dask", None, read, "dataframe"),
    "dask processes": on("dask", "processes", read, "dataframe"),
    "dask from bag": on("dask", "processes", from_bag),
}


def digest(answer):
    return sorted((name, round(total, 2)) for name, total in answer.items())


def same(a, b):
    return a == b


__all__ = ["ROUNDS", "SYSTEMS", "TITLE", "digest", "prepare", "same"]
