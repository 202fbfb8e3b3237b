"""The collections, under the path by which libraries import them."""

from weft.dataframe._collection import Collection as _Frame
from weft.dataframe._collection import blockwise as elemwise
from weft.dataframe._collection import map_partitions, new_collection
from weft.dataframe._frame import DataFrame, Index, Series
from weft.dataframe._scalar import Scalar
from weft.dataframe.utils import make_meta, meta_nonempty

__all__ = [
    "DataFrame",
    "Index",
    "Scalar",
    "Series",
    "_Frame",
    "elemwise",
    "make_meta",
    "map_partitions",
    "meta_nonempty",
    "new_collection",
]
