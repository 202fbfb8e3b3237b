"""Where Dask's users may import `timeseries` from."""

from weft.datasets import timeseries

__all__ = ["timeseries"]
