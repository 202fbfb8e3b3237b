"""Lazy pandas: DataFrames and Series in partitions, with kernels in Rust.

Examples
--------
>>> import pandas as pd, weft.dataframe as dd
>>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3], "y": list("aba")}), npartitions=2)
>>> df[df.x > 1].groupby("y").x.mean().compute().to_dict()
{'a': 3.0, 'b': 2.0}
"""

try:
    import pandas as _pandas
    import pyarrow as _pyarrow  # noqa: F401
except ImportError as _error:
    raise ImportError(
        f'weft.dataframe needs pandas and pyarrow ({_error}): pip install "weft[dataframe]"'
    ) from _error
if int(_pandas.__version__.split(".")[0]) < 3:
    raise ImportError(
        f'weft.dataframe needs pandas 3 or newer, found {_pandas.__version__}: pip install "weft[dataframe]"'
    )

from weft.base import compute
from weft.dataframe import dispatch, extensions, utils
from weft.dataframe._aggregation import Aggregation
from weft.dataframe._arrays import from_dask_array, to_records
from weft.dataframe._collection import map_partitions
from weft.dataframe._concat import concat
from weft.dataframe._convenience import isna, to_datetime, to_numeric, to_timedelta
from weft.dataframe._export import to_bag
from weft.dataframe._frame import DataFrame, Index, Series
from weft.dataframe._merge import merge
from weft.dataframe._merge_asof import merge_asof
from weft.dataframe._overlap import map_overlap
from weft.dataframe._repartition import repartition
from weft.dataframe._reshape import get_dummies, melt, pivot_table
from weft.dataframe._scalar import Scalar
from weft.dataframe.io import demo
from weft.dataframe.io.csv import read_csv, read_fwf, read_table, to_csv
from weft.dataframe.io.hdf import read_hdf, to_hdf
from weft.dataframe.io.io import from_array, from_delayed, from_dict, from_graph, from_map, from_pandas
from weft.dataframe.io.json import read_json, to_json
from weft.dataframe.io.orc import read_orc, to_orc
from weft.dataframe.io.parquet import read_parquet, to_parquet
from weft.dataframe.io.sql import read_sql, read_sql_query, read_sql_table, to_sql
from weft.dataframe.utils import assert_eq

__all__ = [
    "Aggregation",
    "DataFrame",
    "Index",
    "Scalar",
    "Series",
    "assert_eq",
    "compute",
    "concat",
    "demo",
    "dispatch",
    "extensions",
    "from_array",
    "from_dask_array",
    "from_delayed",
    "from_dict",
    "from_graph",
    "from_map",
    "from_pandas",
    "get_dummies",
    "isna",
    "map_overlap",
    "map_partitions",
    "melt",
    "merge",
    "merge_asof",
    "pivot_table",
    "read_csv",
    "read_fwf",
    "read_hdf",
    "read_json",
    "read_orc",
    "read_parquet",
    "read_sql",
    "read_sql_query",
    "read_sql_table",
    "read_table",
    "repartition",
    "to_bag",
    "to_csv",
    "to_datetime",
    "to_hdf",
    "to_json",
    "to_numeric",
    "to_orc",
    "to_parquet",
    "to_records",
    "to_sql",
    "to_timedelta",
    "utils",
]
