"""Classes that methods return, under the path by which the documentation names them."""

from weft.dataframe._base import FrameBase
from weft.dataframe._collection import blockwise as elemwise
from weft.dataframe._collection import new_collection
from weft.dataframe._groupby import SeriesGroupBy
from weft.dataframe._groupby import _GroupBy as GroupBy
from weft.dataframe._meta import meta_nonempty
from weft.dataframe._overlap import Rolling
from weft.dataframe.extensions import make_array_nonempty, make_scalar
from weft.dataframe.tseries.resample import Resampler

__all__ = [
    "FrameBase",
    "GroupBy",
    "Resampler",
    "Rolling",
    "SeriesGroupBy",
    "elemwise",
    "make_array_nonempty",
    "make_scalar",
    "meta_nonempty",
    "new_collection",
]
