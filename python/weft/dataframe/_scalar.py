"""A lazy single value."""

from __future__ import annotations

from typing import Any

from weft.dataframe._collection import Collection, finalize_scalar
from weft.dataframe._ops import add_operators


@add_operators
class Scalar(Collection):
    """A lazy single value: the result of a reduction.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3]}), npartitions=2)
    >>> int((df.x.sum() + 1).compute())
    7
    """

    __slots__ = ()

    @property
    def dtype(self) -> Any:
        """The dtype of the value."""
        return getattr(self._meta, "dtype", type(self._meta))

    @property
    def index(self) -> Any:
        return None

    def __dask_postcompute__(self) -> tuple[Any, tuple[Any, ...]]:
        return finalize_scalar, (self._expr,)

    def __repr__(self) -> str:
        return f"<weft.dataframe.Scalar: {self._name}, dtype={self.dtype}>"

    def __int__(self) -> int:
        return int(self.compute())

    def __float__(self) -> float:
        return float(self.compute())

    def __complex__(self) -> complex:
        return complex(self.compute())

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        import numpy as np

        return np.asarray(self.compute(), dtype)

    def to_delayed(self, optimize_graph: bool = True) -> Any:
        """The value as a delayed object."""
        return super().to_delayed(optimize_graph)[0]

    def to_series(self, index: Any = 0) -> Any:
        """A Series of one row, whose label is ``index``."""
        import pandas as pd

        from weft.dataframe._collection import blockwise

        meta = pd.Series([self._meta], index=[index]).iloc[:0]
        return blockwise(_one_row, self, index, meta=meta, divisions=(index, index))


def _one_row(value: Any, index: Any) -> Any:
    import pandas as pd

    return pd.Series([value], index=[index])
