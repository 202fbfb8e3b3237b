"""What the jobs on arrays share: sources, and how weft, Dask and NumPy are asked the same."""

import importlib
import math
import os

SIDE = int(os.environ.get("WEFT_BENCH_SIDE", "10000"))
CHUNK = SIDE // 10


def lazy(package, source, work):
    """A system that computes ``work(source(da), da)`` on threads; only the work is timed."""

    def ready():
        base = importlib.import_module(package)
        da = importlib.import_module(f"{package}.array")
        base.config.set(scheduler="threads")
        # Threads are there, and whatever is imported at first use.
        small = da.random.default_rng(1).random((8, 8), chunks=4)
        (small + small.T).mean(0).compute()
        x = source(da)
        return lambda: work(x, da)

    return ready


def plain(source, work):
    """NumPy on one array in memory, on one thread."""

    def ready():
        import numpy as np

        x = source(np)
        return lambda: work(x, np)

    return ready


def reading():
    """How fast memory can be read: four threads look for the largest of as many bytes, and do nothing else. The
    answer is none of the others'."""

    def ready():
        from concurrent.futures import ThreadPoolExecutor

        import numpy as np

        rng = np.random.default_rng(0)
        blocks = [rng.random((CHUNK, CHUNK)).view("i8") for _ in range((SIDE // CHUNK) ** 2)]
        pool = ThreadPoolExecutor(os.cpu_count())
        list(pool.map(np.max, blocks[:8]))

        def run():
            list(pool.map(np.max, blocks))

        return run

    return ready


def persisted(chunks=(CHUNK, CHUNK)):
    """Numbers that have been drawn, block by block as the system draws them."""
    return lambda da: da.random.default_rng(0).random((SIDE, SIDE), chunks=chunks).persist()


def drawn(np):
    return np.random.default_rng(0).random((SIDE, SIDE))


def digest(answer):
    return answer if answer is None else float(answer)


def same(a, b):
    """Of one answer for all."""
    return math.isclose(a, b, rel_tol=1e-9)


def close(tolerance):
    """Answers about numbers that each system draws for itself: they differ by chance, so much at most."""
    return lambda a, b: math.isclose(a, b, rel_tol=tolerance)
