"""Groups of rows, under the path by which some libraries import them."""

from weft.dataframe.groupby import *  # noqa: F403
from weft.dataframe.groupby import __all__ as __all__
