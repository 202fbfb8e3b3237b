"""Tokens side by side with Dask: time for one call, best of several, both in this process."""

import datetime
import timeit

import dask.tokenize
import numpy as np
import pandas as pd
import weft.tokenize


def inc(x):
    return x + 1


def cases():
    rng = np.random.default_rng(0)
    array = rng.random(12_500_000)  # 100 MB
    frame = pd.DataFrame({"x": rng.random(1_000_000), "y": rng.integers(0, 9, 1_000_000)})
    frame["s"] = frame.y.astype(str)
    yield "int", 1
    yield "str", "hello-world"
    yield "small tuple", ("x", 1, 2)
    yield "nested list of 1,000", [[i, str(i)] for i in range(500)]
    yield "dict of 100", {f"key-{i}": i for i in range(100)}
    yield "datetime", datetime.datetime(2020, 1, 2, 3)
    yield "function of a module", np.sum
    yield "lambda", lambda x: x + 1
    yield "class", datetime.timezone
    yield "array of 10", np.arange(10)
    yield "array of 100 MB", array
    yield "array of 100 MB, transposed", array.reshape(2500, 5000).T
    yield "frame of 1,000,000 rows", frame


def best(function, value):
    timer = timeit.Timer(lambda: function(value))
    number, seconds = timer.autorange()
    return min([seconds, *timer.repeat(2, number)]) / number


def main():
    print(f"{'value':30} {'weft':>12} {'dask':>12} {'dask/weft':>10}")
    for name, value in cases():
        ours, theirs = best(weft.tokenize.tokenize, value), best(dask.tokenize.tokenize, value)
        print(f"{name:30} {ours * 1e6:9.2f} us {theirs * 1e6:9.2f} us {theirs / ours:9.1f}x")
    buffer = np.random.default_rng(0).random(12_500_000)
    copied = best(np.copy, buffer)
    hashed = best(weft.tokenize.tokenize, buffer)
    print(f"100 MB: hashed at {0.1 / hashed:.1f} GB/s; np.copy reads and writes at {0.1 / copied:.1f} GB/s")


if __name__ == "__main__":
    main()
