"""The DataFrame interchange protocol: partitions are chunks, computed when somebody asks for their values."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from typing import Any


def of_pandas(frame: Any, nan_as_null: bool, allow_copy: bool) -> Any:
    """pandas' side of the protocol."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas advises Arrow's protocol, which frames have, too.
        return frame.__dataframe__(nan_as_null=nan_as_null, allow_copy=allow_copy)


class _Dtype(tuple):
    """(kind, bits, format, byte order): an attribute in the protocol, a method in Dask."""

    def __call__(self) -> _Dtype:
        return self


class InterchangeColumn:
    """A column of the protocol."""

    def __init__(self, series: Any, nan_as_null: bool = False, allow_copy: bool = True) -> None:
        self._series, self._options = series, (nan_as_null, allow_copy)
        self.offset = 0

    @cached_property
    def _sample(self) -> Any:
        return of_pandas(self._series._meta.to_frame("x"), *self._options).get_column(0)

    @cached_property
    def _whole(self) -> Any:
        return of_pandas(self._series.compute().to_frame("x"), *self._options).get_column(0)

    @property
    def dtype(self) -> _Dtype:
        """Kind, bits, format and byte order."""
        return _Dtype(self._sample.dtype)

    @property
    def describe_null(self) -> Any:
        return self._sample.describe_null

    @property
    def describe_categorical(self) -> Any:
        return self._whole.describe_categorical

    @property
    def null_count(self) -> int:
        return int(self._series.isna().sum().compute())

    @property
    def metadata(self) -> dict[str, Any]:
        return {}

    def size(self) -> int:
        """Number of rows."""
        return len(self._series)

    def num_chunks(self) -> int:
        """Number of partitions."""
        return int(self._series.npartitions)

    def get_chunks(self, n_chunks: int | None = None) -> Iterator[Any]:
        """The partitions, computed one by one."""
        for part in self._series.partitions:
            yield of_pandas(part.compute().to_frame("x"), *self._options).get_column(0)

    def get_buffers(self) -> Any:
        """The memory of all values."""
        return self._whole.get_buffers()


class InterchangeFrame:
    """A DataFrame of the protocol."""

    version = 0

    def __init__(self, df: Any, nan_as_null: bool = False, allow_copy: bool = True) -> None:
        self._df, self._options = df, (nan_as_null, allow_copy)

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> InterchangeFrame:
        return InterchangeFrame(self._df, nan_as_null, allow_copy)

    @property
    def metadata(self) -> dict[str, Any]:
        return {}

    def num_columns(self) -> int:
        """Number of columns."""
        return len(self._df.columns)

    def num_rows(self) -> int:
        """Number of rows; computes it where the source does not know."""
        return len(self._df)

    def num_chunks(self) -> int:
        """Number of partitions."""
        return int(self._df.npartitions)

    def column_names(self) -> Any:
        """The labels of the columns."""
        return self._df.columns

    def get_column(self, i: int) -> InterchangeColumn:
        """The column at a position."""
        return self.get_column_by_name(self._df.columns[i])

    def get_column_by_name(self, name: Any) -> InterchangeColumn:
        """The column of a name."""
        return InterchangeColumn(self._df[name], *self._options)

    def get_columns(self) -> list[InterchangeColumn]:
        """All columns."""
        return [self.get_column_by_name(name) for name in self._df.columns]

    def select_columns(self, indices: Any) -> InterchangeFrame:
        """Some columns, by position."""
        return self.select_columns_by_name([self._df.columns[i] for i in indices])

    def select_columns_by_name(self, names: Any) -> InterchangeFrame:
        """Some columns, by name."""
        return InterchangeFrame(self._df[list(names)], *self._options)

    def get_chunks(self, n_chunks: int | None = None) -> Iterator[Any]:
        """The partitions, computed one by one."""
        for part in self._df.partitions:
            yield of_pandas(part.compute(), *self._options)
