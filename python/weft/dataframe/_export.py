"""Collections as something else: files, databases, bags, arrays, records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _arrays, _repr
from weft.dataframe._collection import blockwise


class Export:
    """What hands the rows of a DataFrame, Series or Index on."""

    __slots__ = ()

    def to_bag(self, index: bool = False, format: str = "tuple") -> Any:
        """A bag of rows (or of values); see :func:`weft.dataframe.to_bag`."""
        return to_bag(self, index, format)

    def to_parquet(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Writes Parquet files; see :func:`weft.dataframe.to_parquet`."""
        from weft.dataframe.io.parquet import to_parquet

        return to_parquet(self, path, *args, **kwargs)

    def to_json(self, filename: Any, *args: Any, **kwargs: Any) -> Any:
        """Writes JSON files; see :func:`weft.dataframe.to_json`."""
        from weft.dataframe.io.json import to_json

        return to_json(self, filename, *args, **kwargs)

    def to_csv(self, filename: Any, **kwargs: Any) -> Any:
        """Writes CSV files; see :func:`weft.dataframe.to_csv`."""
        from weft.dataframe.io.csv import to_csv

        return to_csv(self, filename, **kwargs)

    def to_hdf(self, path_or_buf: Any, key: str, mode: str = "a", append: bool = False, **kwargs: Any) -> Any:
        """Writes HDF5 tables; see :func:`weft.dataframe.to_hdf`."""
        from weft.dataframe.io.hdf import to_hdf

        return to_hdf(self, path_or_buf, key, mode, append, **kwargs)

    def to_orc(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Writes ORC files; see :func:`weft.dataframe.to_orc`."""
        from weft.dataframe.io.orc import to_orc

        return to_orc(self, path, *args, **kwargs)

    def to_sql(self, name: str, uri: str, **kwargs: Any) -> Any:
        """Writes a table of a database; see :func:`weft.dataframe.to_sql`."""
        from weft.dataframe.io.sql import to_sql

        return to_sql(self, name, uri, **kwargs)

    to_dask_array = _arrays.to_dask_array
    to_records = _arrays.to_records

    @property
    def values(self) -> Any:
        """The values as a lazy array of unknown length."""
        return _arrays.values(self)

    def to_backend(self, backend: str | None = None, **kwargs: Any) -> Any:
        """The collection itself: pandas is the only library that partitions are held in at the edges.

        Raises
        ------
        ValueError
            For another library.
        """
        if backend not in (None, "pandas"):
            raise ValueError(f"no dataframe backend {backend!r}: there is 'pandas'")
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.compute(), dtype)  # type: ignore[attr-defined]

    def to_html(self, max_rows: int = 5) -> str:
        """The structure as a table of HTML."""
        return _repr.table(self, max_rows)

    def to_string(self, max_rows: int = 5) -> str:
        """The structure as text."""
        return repr(self)


def to_bag(df: Any, index: bool = False, format: str = "tuple") -> Any:
    """A bag of the rows of a collection (or of its values).

    Parameters
    ----------
    index : bool
        Put the label in front.
    format : {'tuple', 'dict', 'frame'}
        What a row becomes; ``'frame'``: partitions as they are.

    Raises
    ------
    ValueError
        For another format.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> dd.to_bag(dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=1), format="dict").compute()
    [{'x': 1}, {'x': 2}]
    """
    from weft.bag.core import Bag

    if format not in ("tuple", "dict", "frame"):
        raise ValueError("format must be 'tuple', 'dict' or 'frame'")
    if format == "frame":
        return Bag(df.__dask_graph__(), df._name, df.npartitions)
    parts = blockwise(_rows, df, index, format, label="to_bag", meta=None, divisions=None)
    return Bag(parts.__dask_graph__(), parts._name, parts.npartitions)


def _rows(part: Any, index: bool, form: str) -> list[Any]:
    if isinstance(part, pd.DataFrame):
        if form == "dict":
            return (part.rename_axis("index").reset_index() if index else part).to_dict(orient="records")
        return (
            list(map(tuple, part.itertuples(index)))
            if index
            else list(part.itertuples(index=False, name=None))
        )
    if isinstance(part, pd.Series):
        if form == "dict":
            return part.to_frame().to_dict(orient="records")
        return list(part.items()) if index else list(part)
    return list(part)
