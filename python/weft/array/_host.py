"""Steps of Python on blocks, given by a rule: what each block reads and who makes it, however many blocks there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from weft._weft import ArrayExpr
from weft.array._exprs import dtype_name, is_plain, of_value

__all__ = ["Call", "Sized", "operand", "step"]

#: An operand of a step: an expression with a rule for each of its axes, or any object with None.
Operand = tuple[Any, Any]


def step(
    function: Callable,
    operands: Sequence[Operand],
    chunks: Any,
    meta: Any,
    name: str,
    *,
    numbered: bool = False,
    fallback: bool = True,
    label: str | None = None,
) -> Any:
    """An array of ``function(*operands)`` for each block.

    Parameters
    ----------
    function : callable
        With ``numbered`` it gets the position of the block first.
    operands : list of (ArrayExpr, rules) or (object, None)
        See `ArrayExpr.host`.
    chunks : tuple of tuples
    meta : array
    name : str
        What keys start with; it identifies the step.
    fallback : bool
        Whether it stands for an operation that might have a kernel.
    """
    from weft.array.core import Array

    expr = ArrayExpr.host(
        function,
        list(operands),
        chunks,
        dtype_name(meta.dtype),
        token=name,
        name=name,
        exact=True,
        plain=is_plain(meta),
        numbered=numbered,
        fallback=fallback,
        label=label or name.rsplit("-", 1)[0],
    )
    return Array._of(expr, meta)


def operand(value: Any, lazy: Callable[[Any, list], Any], name: str) -> Operand:
    """An argument that each block gets as it is; if it holds collections, their values come in their place."""
    inputs: list = []
    task = lazy(value, inputs)
    if not inputs:
        return value, None
    return of_value([x.__dask_graph__() for x in inputs], name, task), ()


class Call:
    """Calls a function with blocks: joins those that come as lists, and gives the last ones by keyword."""

    def __init__(
        self,
        func: Callable,
        kwargs: dict,
        named: Sequence[str] = (),
        joined: Sequence[tuple[int, list]] = (),
    ):
        self.func, self.kwargs, self.named, self.joined = func, kwargs, tuple(named), tuple(joined)

    def __call__(self, *args: Any) -> Any:
        kwargs = self.kwargs
        if self.named:
            n = len(args) - len(self.named)
            kwargs = {**kwargs, **dict(zip(self.named, args[n:]))}
            args = args[:n]
        if self.joined:
            from weft.array.blockwise import concatenate_axes

            parts = list(args)
            for i, axes in self.joined:
                parts[i] = concatenate_axes(parts[i], axes)
            return self.func(*parts, **kwargs)
        return self.func(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Call({self.func})"


class Sized:
    """Calls a function with the shape of the block at a position, then arguments that are always the same."""

    def __init__(self, func: Callable, chunks: Any, args: Sequence = (), kwargs: dict | None = None):
        self.func, self.chunks, self.args, self.kwargs = func, chunks, tuple(args), kwargs or {}

    def __call__(self, at: tuple, *args: Any) -> Any:
        shape = tuple(sizes[i] for sizes, i in zip(self.chunks, at))
        return self.func(shape, *self.args, *args, **self.kwargs)


def number(at: Sequence[int], grid: Sequence[int]) -> int:
    """The number of the block at a position, counted row by row."""
    return sum(i * math.prod(grid[axis + 1 :]) for axis, i in enumerate(at))
