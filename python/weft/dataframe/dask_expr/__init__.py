"""The collections, under the path by which some libraries import them."""

from weft.dataframe import DataFrame, Index, Scalar, Series, from_map, from_pandas, map_partitions, read_csv
from weft.dataframe.core import new_collection

__all__ = [
    "DataFrame",
    "Index",
    "Scalar",
    "Series",
    "from_map",
    "from_pandas",
    "map_partitions",
    "new_collection",
    "read_csv",
]
