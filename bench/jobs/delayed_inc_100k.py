"""The same with 100,000 tasks, to see that the cost is linear: ten times the time of 10,000. Dask is left out here; it
had not finished after nine minutes."""

from jobs._delayed import built_and_computed, digest, same

TITLE = "100,000 empty tasks, built and computed"
SYSTEMS = {"weft": built_and_computed(100_000)["weft"]}
__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
