"""weft: Dask's API on a Rust engine."""

from weft import config as config

__version__ = "0.1.0"
