"""50,000 leaves `delayed(inc)(i)`, added up pairwise with `delayed(add)`: 100,000 tasks in all."""

from jobs._delayed import add, inc, same

TITLE = "A tree of 100,000 delayed tasks, built and computed"
ROUNDS = 1
LEAVES = 50_000


def on(package):
    def prepare():
        module = __import__(package)

        def run():
            level = [module.delayed(inc)(i) for i in range(LEAVES)]
            while len(level) > 1:
                odd = level[len(level) // 2 * 2 :]
                level = [module.delayed(add)(a, b) for a, b in zip(level[::2], level[1::2])] + odd
            return level[0].compute(scheduler="threads")

        return run

    return prepare


SYSTEMS = {"weft": on("weft"), "dask": on("dask")}


def digest(answer):
    return answer


__all__ = ["ROUNDS", "SYSTEMS", "TITLE", "digest", "same"]
