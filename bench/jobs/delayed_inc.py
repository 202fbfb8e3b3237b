"""`[delayed(inc)(i) for i in range(10_000)]`, then `compute(*calls, scheduler="threads")`."""

from jobs._delayed import built_and_computed, digest, same

TITLE = "10,000 empty tasks, built and computed"
SYSTEMS = built_and_computed(10_000)
__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
