"""weft: Dask's API on a Rust engine."""

__version__ = "0.1.0"
