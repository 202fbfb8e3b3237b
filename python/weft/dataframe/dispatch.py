"""What depends on the library that partitions are held in: libraries register their own types here."""

from __future__ import annotations

from typing import Any

import pandas as pd

from weft._dispatch import Dispatch
from weft.dataframe import _collection, _meta

__all__ = [
    "concat",
    "concat_dispatch",
    "from_pyarrow_table_dispatch",
    "get_parallel_type",
    "grouper_dispatch",
    "hash_object_dispatch",
    "is_categorical_dtype",
    "make_meta",
    "make_meta_dispatch",
    "make_meta_obj",
    "meta_nonempty",
    "pyarrow_schema_dispatch",
    "to_pandas_dispatch",
    "to_pyarrow_table_dispatch",
    "tolist",
    "union_categoricals",
]

#: What an object of the library looks like without rows.
make_meta_dispatch = _meta.make_meta_dispatch
make_meta_obj = Dispatch("make_meta_obj")
make_meta = _meta.make_meta
meta_nonempty = _meta.meta_nonempty
#: One object of several partitions.
concat_dispatch = Dispatch("concat")
#: A hash for each row.
hash_object_dispatch = Dispatch("hash_object_dispatch")
#: The collection for objects of the library.
get_parallel_type = Dispatch("get_parallel_type")
grouper_dispatch = Dispatch("grouper")
to_pandas_dispatch = Dispatch("to_pandas")
pyarrow_schema_dispatch = Dispatch("pyarrow_schema")
to_pyarrow_table_dispatch = Dispatch("to_pyarrow_table")
from_pyarrow_table_dispatch = Dispatch("from_pyarrow_table")

_PANDAS = (pd.DataFrame, pd.Series, pd.Index)


@concat_dispatch.register(_PANDAS)
def _concat(parts: Any, axis: Any = 0, join: str = "outer", **kwargs: Any) -> Any:
    options: dict[str, Any] = {"axis": axis, "join": join}
    return _collection.concat(parts, join) if axis in (0, "index") else pd.concat(parts, **options)


def concat(dfs: Any, axis: Any = 0, join: str = "outer", **kwargs: Any) -> Any:
    """Objects of the library as one, categories united."""
    return dfs[0] if len(dfs) == 1 else concat_dispatch.dispatch(type(dfs[0]))(dfs, axis=axis, join=join)


@hash_object_dispatch.register(_PANDAS)
def _hash_object(
    obj: Any, index: bool = True, encoding: str = "utf8", hash_key: Any = None, categorize: bool = True
) -> Any:
    options = {} if hash_key is None else {"hash_key": hash_key}
    return pd.util.hash_pandas_object(obj, index=index, encoding=encoding, categorize=categorize, **options)


@get_parallel_type.register(_PANDAS)
def _parallel_type(obj: Any) -> type:
    return _collection.class_of(obj)


@get_parallel_type.register(object)
def _parallel_scalar(obj: Any) -> type:
    from weft.dataframe._scalar import Scalar

    return Scalar


@grouper_dispatch.register((pd.DataFrame, pd.Series))
def _grouper(obj: Any) -> type:
    return pd.Grouper


@to_pandas_dispatch.register(_PANDAS)
def _to_pandas(obj: Any, **kwargs: Any) -> Any:
    return obj


@pyarrow_schema_dispatch.register(pd.DataFrame)
def _schema(obj: pd.DataFrame, preserve_index: bool | None = None) -> Any:
    import pyarrow as pa

    return pa.Schema.from_pandas(obj, preserve_index=preserve_index)


@to_pyarrow_table_dispatch.register(pd.DataFrame)
def _to_table(obj: pd.DataFrame, **kwargs: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(obj, **kwargs)


@from_pyarrow_table_dispatch.register(pd.DataFrame)
def _from_table(meta: pd.DataFrame, table: Any, self_destruct: bool = False, **kwargs: Any) -> pd.DataFrame:
    kwargs.setdefault("types_mapper", _arrow_types(meta))
    frame: pd.DataFrame = table.to_pandas(self_destruct=self_destruct, **kwargs)
    return frame


def _arrow_types(meta: pd.DataFrame) -> Any:
    """What columns become whose Arrow type says less than pandas' dtype."""
    import pyarrow as pa

    texts = [dtype for dtype in meta.dtypes if isinstance(dtype, pd.StringDtype)]
    types = {pa.string(): texts[0], pa.large_string(): texts[0]} if texts else {}
    return types.get


def is_categorical_dtype(obj: Any) -> bool:
    """Whether an object, or a dtype, is categorical."""
    return isinstance(getattr(obj, "dtype", obj), pd.CategoricalDtype)


def tolist(obj: Any) -> list[Any]:
    """The values as a list."""
    values: list[Any] = obj.tolist()
    return values


def union_categoricals(to_union: Any, sort_categories: bool = False, ignore_order: bool = False) -> Any:
    """One categorical of several; see :func:`pandas.api.types.union_categoricals`."""
    return pd.api.types.union_categoricals(
        to_union, sort_categories=sort_categories, ignore_order=ignore_order
    )
