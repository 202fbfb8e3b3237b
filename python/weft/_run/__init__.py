"""`weft run`, `weft doctor` and ``import weft.dropin``: code that says ``import dask`` on weft.

Nothing here is imported by the rest of weft. `alias` uses the standard library alone, so that an interpreter in which the
alias waits for its first ``import dask`` starts as fast as one without it.
"""
