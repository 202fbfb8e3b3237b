"""Methods that work row by row or partition by partition, made from tables of names.

A method is native where the expression has a kernel, and pandas on each partition otherwise; its
signature and its documentation are those of pandas.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from weft._docs import skip_doctest
from weft.dataframe import _arrays, _meta
from weft.dataframe._collection import Collection, MethodCall, blockwise
from weft.dataframe._native import Unsupported

#: Operators and their pandas methods: name, function, method, reversed method.
BINARY = [
    ("add", operator.add, "add", "radd"),
    ("sub", operator.sub, "sub", "rsub"),
    ("mul", operator.mul, "mul", "rmul"),
    ("truediv", operator.truediv, "truediv", "rtruediv"),
    ("floordiv", operator.floordiv, "floordiv", "rfloordiv"),
    ("mod", operator.mod, "mod", "rmod"),
    ("pow", operator.pow, "pow", "rpow"),
    ("eq", operator.eq, "eq", None),
    ("ne", operator.ne, "ne", None),
    ("lt", operator.lt, "lt", None),
    ("le", operator.le, "le", None),
    ("gt", operator.gt, "gt", None),
    ("ge", operator.ge, "ge", None),
    ("and", operator.and_, None, None),
    ("or", operator.or_, None, None),
    ("xor", operator.xor, None, None),
]
UNARY = [
    ("neg", operator.neg, "__neg__"),
    ("pos", operator.pos, "__pos__"),
    ("invert", operator.invert, "__invert__"),
    ("abs", operator.abs, "__abs__"),
    ("abs", operator.abs, "abs"),
]

#: Methods of both that pandas applies to each partition.
PARTITIONWISE = (
    "add_prefix add_suffix astype convert_dtypes dropna explode fillna infer_objects isin isna isnull mask"
    " notna notnull rename_axis replace round where clip combine_first set_axis"
).split()
PARTITIONWISE_FRAME = "drop eval query select_dtypes melt rename reset_index".split()
PARTITIONWISE_SERIES = "between map rename to_frame case_when".split()


#: Those that make other row labels.
RELABELLED = frozenset({"melt", "reset_index", "to_timestamp"})


def same_expr(operands: list[Any]) -> list[Any]:
    return [operand.expr if isinstance(operand, Collection) else operand for operand in operands]


def binary(name: str, function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """``left name right``, where at least one is a collection."""
    if _foreign(left) or _foreign(right):
        return NotImplemented
    for own, other in ((left, right), (right, left)):
        if isinstance(own, _scalar()) and _arrays.is_array(other):
            value = _arrays.scalar_array(own)
            return function(value, other) if own is left else function(other, value)
    if isinstance(left, Collection):
        right = lifted(left, right)
    else:
        left = lifted(right, left)
    if _is_row(left, right) or _is_row(right, left):
        return _with_row(name, function, left, right)
    meta = _meta.infer_of(function, left, right)
    own, other, reverse = (left, right, False) if isinstance(left, Collection) else (right, left, True)
    if isinstance(own, _scalar()) and isinstance(other, Collection) and not isinstance(other, _scalar()):
        own, other, reverse = other, own, not reverse
    if _matches(own, other):
        try:
            return own._like(own.expr.binary(name, same_expr([other])[0], reverse), meta)
        except Unsupported:
            pass
    return blockwise(function, left, right, label=name, meta=meta)


def lifted(own: Any, value: Any, column: bool = False) -> Any:
    """A pandas object or a lazy array whose rows belong to those of ``own``, as a collection."""
    if _arrays.is_array(value) and isinstance(own, Collection) and not isinstance(own, _scalar()):
        return _arrays.beside(own, value)
    rows = isinstance(value, pd.DataFrame) or isinstance(value, pd.Series) and (column or own.ndim == 1)
    if not rows or not isinstance(own, Collection) or not own.known_divisions or isinstance(own, _scalar()):
        return value
    from weft.dataframe.io.io import from_pandas

    return from_pandas(value, npartitions=1)


#: Methods whose operand is matched row by row.
ALIGNING = frozenset(
    "add sub mul div truediv floordiv mod pow radd rsub rmul rdiv rtruediv rfloordiv rmod rpow eq ne lt le gt"
    " ge combine combine_first fillna where mask".split()
)


def _is_row(frame: Any, series: Any) -> bool:
    """Whether ``series`` is a row for each of the frame's (a reduction of columns), which pandas aligns
    by column label."""
    return (
        isinstance(frame, Collection)
        and isinstance(series, Collection)
        and frame.ndim == 2
        and series.ndim == 1
        and series.npartitions == 1
        and not series.known_divisions
        and series._meta.index.dtype == frame._meta.columns.dtype
    )


def _with_row(name: str, function: Any, left: Any, right: Any) -> Any:
    columns = (left if left.ndim == 2 else right)._meta.columns

    def sample(value: Any) -> Any:
        if value.ndim == 2:
            return _meta.meta_nonempty(value._meta)
        return pd.Series(list(_meta.sample_of(value._meta.dtype)[:1]) * len(columns), index=columns)

    meta = function(sample(left), sample(right)).iloc[:0]
    frame = left if left.ndim == 2 else right
    return blockwise(function, left, right, label=name, meta=meta, divisions=frame.divisions)


def _matches(own: Any, other: Any) -> bool:
    """Whether Rust may know what the operation means: between collections, or with a single value."""
    if isinstance(own, _scalar()):
        return False
    return isinstance(other, Collection) or pd.api.types.is_scalar(other)


def _scalar() -> type:
    from weft.dataframe._scalar import Scalar

    return Scalar


def _foreign(value: Any) -> bool:
    """A collection of another kind: it decides what the operation means."""
    return (
        hasattr(value, "__dask_graph__") and not isinstance(value, Collection) and not _arrays.is_array(value)
    )


def divide(left: Any, right: Any) -> Any:
    """Quotient and remainder, as :func:`divmod` gives them."""
    return left // right, left % right


def unary(name: str, function: Callable[[Any], Any], operand: Any) -> Any:
    meta = _meta.infer(function, (operand,), {})
    return operand._native(
        meta, lambda: operand.expr.unary(name), lambda: blockwise(function, operand, label=name, meta=meta)
    )


def add_operators(cls: Any) -> Any:
    """Python's operators, and their methods (``add``, ``radd``, …) for those with an index."""
    for name, function, method, reverse in BINARY:
        _set(cls, f"__{name}__", lambda self, other, n=name, f=function: binary(n, f, self, other))
        if name not in ("eq", "ne", "lt", "le", "gt", "ge"):
            _set(cls, f"__r{name}__", lambda self, other, n=name, f=function: binary(n, f, other, self))
        _set(cls, "__divmod__", lambda self, other: divide(self, other))
        _set(cls, "__rdivmod__", lambda self, other: divide(other, self))
        for called, turned in ((method, False), (reverse, True)):
            if called is not None and hasattr(pd.Series, called):
                _set(cls, called, _operator_method(name, function, called, turned))
    for alias, target in (
        ("div", "truediv"),
        ("rdiv", "rtruediv"),
        ("divide", "truediv"),
        ("multiply", "mul"),
        ("subtract", "sub"),
    ):
        if hasattr(cls, target) and alias not in cls.__dict__:
            setattr(cls, alias, getattr(cls, target))
    for name, operation, called in UNARY:
        _set(cls, called, lambda self, n=name, f=operation: unary(n, f, self))
    setattr(cls, "__hash__", object.__hash__)  # noqa: B010 - operators define __eq__, which drops it
    return cls


def _set(cls: Any, name: str, function: Any) -> None:
    function.__name__ = name
    function.__qualname__ = f"{cls.__name__}.{name}"
    if name not in cls.__dict__:
        setattr(cls, name, function)


def _operator_method(name: str, function: Any, called: str, turned: bool) -> Any:
    def method(self: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
        if (
            args
            or any(value is not None for key, value in kwargs.items() if key != "axis")
            or _series_on_frame(self, other)
        ):
            return self._method(called, other, *args, **kwargs)
        return binary(name, function, other, self) if turned else binary(name, function, self, other)

    return _documented(method, pd.Series, called)


def _series_on_frame(own: Any, other: Any) -> bool:
    return hasattr(own, "columns") and getattr(other, "ndim", 0) == 1


def _documented(method: Any, source: Any, name: str) -> Any:
    """``method`` with pandas' signature and documentation."""
    original = getattr(source, name, None)
    if original is None:
        return method
    functools.update_wrapper(method, original, assigned=("__name__",), updated=())
    method.__doc__ = skip_doctest(original.__doc__)
    return method


def add_partitionwise(cls: type, source: type, names: list[str]) -> type:
    for name in names:
        if not hasattr(cls, name) and hasattr(source, name):
            setattr(cls, name, _partitionwise(source, name))
    return cls


def _partitionwise(source: type, name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_inplace(name, kwargs)
        if name in RELABELLED:
            kwargs["divisions"] = None
        return self._method(name, *args, **kwargs)

    return _documented(method, source, name)


def refuse_rows(value: Any) -> None:
    """Refuses plain values for rows, which nothing matches to partitions.

    Raises
    ------
    ValueError
    """
    if isinstance(value, (list, tuple, np.ndarray)):
        raise ValueError(
            "Array conditional must be same shape as self: a list cannot be cut like the partitions; only a "
            "Series or DataFrame can be aligned"
        )


def refuse_inplace(name: str, kwargs: dict[str, Any]) -> None:
    """Raises ``NotImplementedError`` if ``inplace=True`` is asked for."""
    if kwargs.pop("inplace", False):
        raise NotImplementedError(f"{name}(inplace=True): a collection is never changed; use the result")


__all__ = ["MethodCall", "add_operators", "add_partitionwise", "binary", "refuse_inplace", "unary"]
