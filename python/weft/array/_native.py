"""Which operations have kernels in Rust, and for which dtypes: NumPy itself says what they compute with."""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import Any

import numpy as np

from weft._weft import ArrayExpr
from weft.array._exprs import NUMBERS, is_plain

__all__ = ["astype", "elementwise"]

#: The ufunc behind `numpy.clip`.
_CLIP: Any = np._core.umath.clip  # type: ignore[attr-defined]

#: What Python's operators are called by NumPy.
_OPERATORS: dict[Any, np.ufunc] = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.divide,
    operator.floordiv: np.floor_divide,
    operator.mod: np.remainder,
    operator.pow: np.power,
    operator.and_: np.bitwise_and,
    operator.or_: np.bitwise_or,
    operator.xor: np.bitwise_xor,
    operator.invert: np.invert,
    operator.neg: np.negative,
    operator.pos: np.positive,
    operator.abs: np.absolute,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
}


def astype(x: Any, dtype: np.dtype) -> ArrayExpr | None:
    """The array's numbers in another dtype, if there is a kernel."""
    if x.dtype not in NUMBERS or dtype not in NUMBERS:
        return None
    try:
        return x._expr.astype(NUMBERS[dtype])
    except NotImplementedError:
        return None


def elementwise(op: Any, args: tuple) -> ArrayExpr | None:
    """``op(*args)`` by a kernel, if there is one that gives exactly NumPy's result."""
    try:
        ufunc = _OPERATORS.get(op, op)
    except TypeError:
        return None
    if isinstance(ufunc, np.ufunc):
        found = _operands(args)
        if found is None:
            return None
        operands, kinds = found
        loop = _loop(ufunc, kinds)
        return None if loop is None else _made(ufunc.__name__, operands, *loop)
    if ufunc is np.where and len(args) == 3:
        return _where(*args)
    if ufunc is np.clip and len(args) == 3:
        return _clip(*args)
    return None


def transpose(x: Any, axes: tuple) -> Any:
    """The array with its axes in another order, if blocks are memory that Rust can look at."""
    from weft.array.core import Array

    if not is_plain(x._meta):
        return None
    return Array._of(x._expr.transpose(list(axes)), x._meta.transpose(axes))


def _operands(args: tuple) -> tuple[list, tuple] | None:
    """Arrays and numbers, and what NumPy calls their types; None if one of them is nothing for kernels."""
    from weft.array.core import Array

    operands: list = []
    kinds: list = []
    for arg in args:
        if isinstance(arg, Array):
            dtype = arg.dtype
            if dtype not in NUMBERS or type(arg._meta) is not np.ndarray:
                return None
            operands.append(arg)
            kinds.append(dtype)
        elif type(arg) in (int, float):
            operands.append(arg)
            kinds.append(type(arg))
        elif type(arg) is bool:
            operands.append(arg)
            kinds.append(np.dtype(bool))
        elif isinstance(arg, np.generic) or type(arg) is np.ndarray and arg.ndim == 0:
            if arg.dtype not in NUMBERS:
                return None
            operands.append(np.asarray(arg)[()])
            kinds.append(arg.dtype)
        elif type(arg) is np.ndarray:
            if arg.dtype not in NUMBERS:
                return None
            operands.append(arg)
            kinds.append(arg.dtype)
        else:
            return None
    return operands, tuple(kinds)


@lru_cache(maxsize=1024)
def _loop(ufunc: np.ufunc, kinds: tuple) -> tuple[np.dtype, np.dtype] | None:
    """The dtype that NumPy computes with, and that of the result."""
    if ufunc.nin != len(kinds) or ufunc.nout != 1 or ufunc.signature is not None:
        return None
    try:
        *inputs, out = ufunc.resolve_dtypes((*kinds, None))
    except TypeError:
        return None
    loop = inputs[0]
    if loop not in NUMBERS or out not in NUMBERS or any(dtype != loop for dtype in inputs):
        return None
    return loop, out


def _where(condition: Any, x: Any, y: Any) -> ArrayExpr | None:
    found = _operands((condition, x, y))
    if found is None:
        return None
    (condition, x, y), kinds = found
    if kinds[0] != np.dtype(bool):
        return None
    try:
        out = np.result_type(*(v if not hasattr(v, "dtype") else v.dtype for v in (x, y)))
    except (TypeError, OverflowError):
        return None
    return None if out not in NUMBERS else _made("where", [condition, x, y], out, out)


def _clip(x: Any, low: Any, high: Any) -> ArrayExpr | None:
    if low is None and high is None:
        return None
    if low is None:
        return elementwise(np.minimum, (x, high))
    if high is None:
        return elementwise(np.maximum, (x, low))
    found = _operands((x, low, high))
    if found is None:
        return None
    operands, kinds = found
    loop = _loop(_CLIP, kinds)
    return None if loop is None else _made("clip", operands, *loop)


def _made(name: str, operands: list, loop: np.dtype, out: np.dtype) -> ArrayExpr | None:
    from weft.array.blockwise import unify_chunks
    from weft.array.core import Array, asanyarray

    if not any(isinstance(v, Array) for v in operands):
        return None
    if any(type(v) is np.ndarray for v in operands):
        operands = [asanyarray(v) if type(v) is np.ndarray else v for v in operands]
    try:
        try:
            return ArrayExpr.elementwise(
                name,
                [v._expr if isinstance(v, Array) else v for v in operands],
                NUMBERS[loop],
                NUMBERS[out],
            )
        except ValueError:
            # They are cut differently.
            pairs = [p for v in operands if isinstance(v, Array) for p in (v, tuple(range(v.ndim))[::-1])]
            _, alike = unify_chunks(*pairs)
            left = iter(alike)
            return ArrayExpr.elementwise(
                name,
                [next(left)._expr if isinstance(v, Array) else v for v in operands],
                NUMBERS[loop],
                NUMBERS[out],
            )
    except NotImplementedError:
        return None


def reduce(
    x: Any,
    name: str,
    axis: Any,
    keepdims: Any,
    dtype: Any,
    split_every: Any,
    skip_nan: bool = False,
    ddof: Any = 0,
) -> Any:
    """A reduction by a kernel, if there is one; ``dtype`` is the result's.

    A tree of a shape that somebody asks for (``split_every``) is made of steps on blocks instead.
    """
    from weft import config
    from weft.array.core import Array
    from weft.array.utils import validate_axis

    if split_every is not None or config.get("split_every", None) is not None:
        return None
    if x.dtype not in NUMBERS or type(x._meta) is not np.ndarray or dtype not in NUMBERS:
        return None
    if not isinstance(ddof, (int, np.integer)) or not isinstance(keepdims, (bool, np.bool_)):
        return None
    if axis is None:
        axes: tuple = tuple(range(x.ndim))
    else:
        axes = validate_axis(tuple(axis) if isinstance(axis, (tuple, list)) else (axis,), x.ndim)
        if len(set(axes)) != len(axes):
            return None
    expr = x._expr
    dtype = np.dtype(dtype)
    try:
        if name in ("sum", "prod") and dtype.kind == "f" and x.dtype.kind != "f":
            expr = expr.astype(NUMBERS[dtype])
        made = expr.reduce(
            name, list(axes), NUMBERS[dtype], keepdims=bool(keepdims), skip_nan=skip_nan, ddof=int(ddof)
        )
    except NotImplementedError:
        return None
    return Array._of(made)


def fill(func: Any, args: tuple, chunks: Any, dtype: np.dtype, word: str) -> Any:
    """What `numpy.ones`, `zeros`, `empty` or `full` make, as one number that needs no memory."""
    from weft.array.core import Array

    if dtype not in NUMBERS or func not in (np.ones, np.zeros, np.empty, np.full):
        return None
    try:
        value = np.full((), args[0], dtype).item() if func is np.full else 1 if func is np.ones else 0
        if dtype.kind == "b":
            value = bool(value)
        return Array._of(ArrayExpr.fill(value, chunks, NUMBERS[dtype], name=word))
    except (NotImplementedError, TypeError, ValueError, OverflowError):
        # Those who compute it hear what is wrong from NumPy.
        return None


def arange(start: Any, step: Any, num: int, chunks: Any, dtype: np.dtype) -> Any:
    """``start + step * i`` by a kernel, where that gives NumPy's numbers."""
    from weft.array.core import Array

    def whole(n: Any) -> bool:
        return isinstance(n, (int, np.integer)) and not isinstance(n, bool)

    if dtype not in NUMBERS or dtype.kind == "b":
        return None
    if whole(start) and whole(step):
        start, step = int(start), int(step)
        last = start + step * max(num - 1, 0)
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            if not (info.min <= min(start, last) and max(start, last) <= info.max and abs(step) < 2**63):
                return None
        elif max(abs(start), abs(last)) >= 2 ** np.finfo(dtype).nmant:
            return None
    elif dtype == np.float64 and isinstance(start, (int, float)) and isinstance(step, (int, float)):
        # NumPy takes the distance of the first two numbers.
        start = float(start)
        step = (start + float(step)) - start
    else:
        return None
    try:
        return Array._of(ArrayExpr.iota(start, step, chunks[0], NUMBERS[dtype], name="arange"))
    except (NotImplementedError, OverflowError):
        return None
