"""Between arrays and the expressions in Rust that stand behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from weft._weft import ArrayExpr, Graph

__all__ = ["ArrayExpr", "blocks", "dtype_name", "is_plain", "listed", "of_graph", "of_value"]

#: The element types that kernels know, by dtype.
NUMBERS = {
    np.dtype(name): name
    for name in "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()
}


def dtype_name(dtype: Any) -> str:
    """What Rust calls a dtype: NumPy's name for numbers that kernels know, else something that tells dtypes apart."""
    name = NUMBERS.get(dtype)
    if name is not None:
        return name
    if not isinstance(dtype, np.dtype):
        return str(dtype)
    return dtype.str if dtype.names is None and dtype.subdtype is None else str(dtype)


def is_plain(meta: Any) -> bool:
    """Whether blocks like ``meta`` are NumPy arrays whose memory Rust can look at."""
    if type(meta) is not np.ndarray:
        return False
    dtype = meta.dtype
    return dtype in NUMBERS or (dtype.kind in "biufcmMSU" and dtype.itemsize > 0)


def of_graph(graph: Graph, name: str, chunks: Any, meta: Any) -> ArrayExpr:
    """The blocks ``(name, i, j, …)`` of a graph as an expression."""
    dtype, plain = dtype_name(meta.dtype), is_plain(meta)
    try:
        return ArrayExpr.tasks(graph, name, chunks, dtype, token=name, plain=plain)
    except KeyError:
        # Whoever computes it will hear of it; until then it has a shape and a dtype like others.
        rules: list = []
        return ArrayExpr.host(
            _Missing(name),
            rules,
            chunks,
            dtype,
            token=name,
            name=name,
            exact=True,
            plain=plain,
            numbered=True,
        )


def listed(
    function: Any, inputs: list[ArrayExpr], reads: Any, chunks: Any, meta: Any, name: str, label: str
) -> ArrayExpr:
    """A step that says for each of its blocks which blocks of which inputs it reads; the function is told the block's place."""
    return ArrayExpr.host_listed(
        function,
        inputs,
        reads,
        chunks,
        dtype_name(meta.dtype),
        token=name,
        name=name,
        exact=True,
        plain=is_plain(meta),
        numbered=True,
        label=label,
    )


class _Missing:
    """Stands for blocks that no task makes."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, at: tuple) -> Any:
        raise KeyError(f"{(self.name, *at)} is not in the graph")


def blocks(values: Sequence[Any], name: str, chunks: Any, meta: Any) -> ArrayExpr:
    """Blocks at hand, row by row, as an expression of that name."""
    dtype = meta.dtype
    plain = is_plain(meta) and all(
        (type(v) is np.ndarray or isinstance(v, np.generic)) and v.dtype == dtype for v in values
    )
    return ArrayExpr.blocks(
        list(values), chunks, dtype_name(dtype), token=name, name=name, exact=True, plain=plain
    )


def of_value(graphs: Iterable[Any], key: str, task: Any) -> ArrayExpr:
    """One task beside arrays (a delayed argument) as an expression of one block without axes."""
    graph = Graph.extend(Graph.merge(list(graphs)), {key: task})
    return ArrayExpr.tasks(graph, key, (), "object", token=key, keys=[key], plain=False)
