"""Which classes blocks may have."""

from __future__ import annotations

from typing import Any

import numpy as np

_HANDLED_CHUNK_TYPES: list[type] = [np.ndarray, np.ma.MaskedArray]
_UPCAST = {
    "pint.quantity.Quantity",
    "pint.Quantity",
    "xarray.core.dataarray.DataArray",
    "xarray.core.dataset.Dataset",
    "xarray.core.variable.Variable",
    "pandas.core.series.Series",
    "pandas.core.frame.DataFrame",
    "pandas.core.indexes.base.Index",
}


def register_chunk_type(type: type) -> None:
    """Lets arrays hold blocks of a class, and wins over it in operators.

    Parameters
    ----------
    type : type
        A class that speaks NumPy's protocols.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.array.chunk_types import is_valid_chunk_type
    >>> class Tile(np.lib.mixins.NDArrayOperatorsMixin):
    ...     pass
    >>> register_chunk_type(Tile)
    >>> is_valid_chunk_type(Tile)
    True
    """
    _HANDLED_CHUNK_TYPES.append(type)


def _register_known() -> None:
    for module, name in (("cupy", "ndarray"), ("sparse", "SparseArray")):
        import sys

        found = sys.modules.get(module)
        if found is not None and getattr(found, name, None) not in (None, *_HANDLED_CHUNK_TYPES):
            register_chunk_type(getattr(found, name))


def is_valid_chunk_type(type: Any) -> bool:
    """Whether blocks may be of a class."""
    _register_known()
    try:
        return type in _HANDLED_CHUNK_TYPES or issubclass(type, tuple(_HANDLED_CHUNK_TYPES))
    except TypeError:
        return False


def is_valid_array_chunk(array: Any) -> bool:
    """Whether an object may be a block."""
    _register_known()
    return array is None or isinstance(array, (np.generic, *_HANDLED_CHUNK_TYPES))


def is_upcast_type(type: Any) -> bool:
    """Whether a class wraps weft's arrays, so that it has the say in operators."""
    return any(f"{c.__module__}.{c.__qualname__}" in _UPCAST for c in getattr(type, "__mro__", ()))
