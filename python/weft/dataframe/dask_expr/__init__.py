"""The collections, under the path by which some libraries import them."""

from weft.dataframe import *  # noqa: F403
from weft.dataframe import __all__ as _names
from weft.dataframe._base import FrameBase
from weft.dataframe.core import elemwise, new_collection

__all__ = [*_names, "FrameBase", "elemwise", "new_collection"]
