"""The collections, under the path by which some libraries import them."""

from weft.dataframe.dask_expr import *  # noqa: F403
from weft.dataframe.dask_expr import __all__ as __all__
