"""The same with 100,000 tasks: ten times the time if the cost is linear."""

from jobs._delayed import built_and_computed, digest, same

TITLE = "100,000 empty tasks, built and computed"
SYSTEMS = built_and_computed(100_000)
ROUNDS = 1  # Dask takes minutes
__all__ = ["ROUNDS", "SYSTEMS", "TITLE", "digest", "same"]
