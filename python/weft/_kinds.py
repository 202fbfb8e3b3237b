"""What an object is, by what it can do, without importing what it may come from."""

from __future__ import annotations

import types
from importlib import import_module
from numbers import Integral
from typing import Any

from weft._dispatch import Dispatch as Dispatch
from weft._docs import _derived_from as _derived_from
from weft._docs import derived_from as derived_from
from weft._docs import extra_titles as extra_titles
from weft._docs import get_named_args as get_named_args
from weft._docs import ignore_warning as ignore_warning
from weft._docs import skip_doctest as skip_doctest
from weft._docs import unsupported_arguments as unsupported_arguments
from weft._formats import asciitable as asciitable
from weft._formats import byte_sizes as byte_sizes
from weft._formats import format_bytes as format_bytes
from weft._formats import format_time as format_time
from weft._formats import format_time_ago as format_time_ago
from weft._formats import key_split as key_split
from weft._formats import key_split_group as key_split_group
from weft._formats import maybe_pluralize as maybe_pluralize
from weft._formats import memory_repr as memory_repr
from weft._formats import natural_sort_key as natural_sort_key
from weft._formats import parse_bytes as parse_bytes
from weft._formats import parse_timedelta as parse_timedelta
from weft._formats import timedelta_sizes as timedelta_sizes
from weft._formats import typename as typename


def is_empty(obj: Any) -> bool:
    """Whether a container holds nothing: by ``len``, stored values (``nnz``) or ``shape``.

    Examples
    --------
    >>> is_empty([]), is_empty("x"), is_empty(1)
    (True, False, False)
    """
    try:
        return len(obj) == 0
    except TypeError:
        pass  # sparse matrices have no length
    if hasattr(obj, "nnz"):
        return obj.nnz == 0
    return hasattr(obj, "shape") and any(size == 0 for size in obj.shape)


def is_integer(i: Any) -> bool:
    """Whether a number is whole.

    Examples
    --------
    >>> is_integer(6), is_integer(42.0), is_integer(4.5), is_integer("x")
    (True, True, False, False)
    """
    return isinstance(i, Integral) or (isinstance(i, float) and i.is_integer())


def is_namedtuple_instance(obj: Any) -> bool:
    """Whether an object is a namedtuple."""
    api = ("_make", "_asdict", "_replace", "_fields", "_field_defaults")
    return isinstance(obj, tuple) and all(hasattr(obj, name) for name in api)


def is_arraylike(x: Any) -> bool:
    """Whether an object is an array: it has a shape and a dtype and takes part in NumPy's protocols."""
    shape = getattr(x, "shape", None)
    if not isinstance(shape, tuple) or not hasattr(x, "dtype"):
        return False
    if any(hasattr(size, "__dask_graph__") for size in shape):
        return False  # a lazy frame's length
    duck = hasattr(x, "__array_function__") or hasattr(x, "__array_ufunc__")
    # Sparse matrices take no part, and are used as blocks all the same.
    return duck or "scipy.sparse" in typename(type(x))


def is_dataframe_like(df: Any) -> bool:
    """Whether an object works like a pandas DataFrame."""
    cls = df.__class__
    return (
        all(hasattr(cls, name) for name in ("groupby", "head", "merge", "mean"))
        and all(hasattr(df, name) for name in ("dtypes", "columns"))
        and not any(hasattr(cls, name) for name in ("name", "dtype"))
    )


def is_series_like(s: Any) -> bool:
    """Whether an object works like a pandas Series."""
    cls = s.__class__
    return (
        all(hasattr(cls, name) for name in ("groupby", "head", "mean"))
        and all(hasattr(s, name) for name in ("dtype", "name"))
        and "index" not in cls.__name__.lower()
    )


def is_index_like(s: Any) -> bool:
    """Whether an object works like a pandas Index."""
    return all(hasattr(s, name) for name in ("name", "dtype")) and "index" in type(s).__name__.lower()


def is_cupy_type(x: Any) -> bool:
    """Whether an object comes from CuPy."""
    return "cupy" in str(type(x))


def import_required(mod_name: str, error_msg: str) -> types.ModuleType:
    """Import a module, or raise a RuntimeError with a message that says how to get it."""
    try:
        return import_module(mod_name)
    except ImportError as e:
        raise RuntimeError(error_msg) from e


def get_meta_library(like: Any) -> types.ModuleType:
    """The library that an object, or the ``_meta`` of a lazy one, comes from."""
    return import_module(typename(getattr(like, "_meta", like)).partition(".")[0])
