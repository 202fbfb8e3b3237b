"""Groups of rows, under the path by which libraries import them."""

from weft.dataframe._aggregation import Aggregation
from weft.dataframe._groupby import DataFrameGroupBy, SeriesGroupBy
from weft.dataframe._groupby import _GroupBy as GroupBy

#: Methods to which ``numeric_only=False`` means an error where a column holds no numbers.
NUMERIC_ONLY_NOT_IMPLEMENTED = ["mean", "std", "var"]

__all__ = ["NUMERIC_ONLY_NOT_IMPLEMENTED", "Aggregation", "DataFrameGroupBy", "GroupBy", "SeriesGroupBy"]
