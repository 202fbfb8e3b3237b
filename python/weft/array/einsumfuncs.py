"""Einstein's summation."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.array.blockwise import blockwise

_SYMBOLS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _parse(operands: tuple) -> tuple[list[str], str, list]:
    """Labels of the operands and of the result, without an ellipsis, and the operands."""
    from weft.array.core import asarray

    if not operands:
        raise ValueError("No input operands")
    if isinstance(operands[0], str):
        subscripts = operands[0].replace(" ", "")
        arrays = [asarray(o) for o in operands[1:]]
    else:
        rest = list(operands)
        arrays, parts = [], []
        while len(rest) >= 2:
            arrays.append(asarray(rest.pop(0)))
            parts.append("".join("..." if i is Ellipsis else _SYMBOLS[i] for i in rest.pop(0)))
        subscripts = ",".join(parts)
        if rest:
            subscripts += "->" + "".join("..." if i is Ellipsis else _SYMBOLS[i] for i in rest[0])
    left, arrow, right = subscripts.partition("->")
    if (("-" in subscripts) or (">" in subscripts)) and (
        subscripts.count("-") > 1 or subscripts.count(">") > 1 or not arrow
    ):
        raise ValueError("Subscripts can only contain one '->'.")
    inputs = left.split(",")
    if len(inputs) != len(arrays):
        raise ValueError("Number of einsum subscripts must be equal to the number of operands.")
    for label in set(left + right) - set(".,"):
        if label not in _SYMBOLS:
            raise ValueError(f"Character {label} is not a valid symbol.")
    free = [c for c in _SYMBOLS if c not in subscripts]
    longest = 0
    for part, a in zip(inputs, arrays):
        if "." in part:
            if part.count("...") != 1 or part.count(".") != 3:
                raise ValueError("Invalid Ellipses.")
            count = a.ndim - (len(part) - 3)
            if count < 0:
                raise ValueError("Ellipses lengths do not match.")
            longest = max(longest, count)
    dots = free[:longest]
    inputs = [
        p.replace("...", "".join(dots[longest - (a.ndim - (len(p) - 3)) :])) if "." in p else p
        for p, a in zip(inputs, arrays)
    ]
    if arrow:
        right = right.replace("...", "".join(dots))
    else:
        letters = "".join(inputs)
        right = "".join(dots) + "".join(
            sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots)
        )
    for c in right:
        if c not in "".join(inputs):
            raise ValueError(f"Output character {c} did not appear in the input")
    for p, a in zip(inputs, arrays):
        if len(p) != a.ndim:
            raise ValueError(f"einsum labels {p!r} do not fit an operand of shape {a.shape}")
    return inputs, right, arrays


def chunk_einsum(*operands: Any, subscripts: str, ncontract: int, kind: Any, casting: str, order: str) -> Any:
    """The sum over a block; contracted axes stay, with one element."""
    from weft.array.backends import einsum_lookup

    einsum = einsum_lookup.dispatch(type(operands[0]))
    chunk = einsum(subscripts, *operands, dtype=kind, order=order, casting=casting)
    return chunk.reshape(chunk.shape + (1,) * ncontract)


def einsum(
    *operands: Any,
    dtype: Any = None,
    optimize: Any = False,
    split_every: Any = None,
    order: str = "K",
    casting: str = "safe",
    **kwargs: Any,
) -> Any:
    """Sums of products, by labels of axes; see `numpy.einsum`.

    Examples
    --------
    >>> import weft.array as da
    >>> da.einsum("ij,jk->ik", da.ones((2, 3)), da.ones((3, 2))).compute()
    array([[3., 3.],
           [3., 3.]])
    """
    if kwargs:
        raise TypeError(f"unsupported keyword arguments: {sorted(kwargs)}")
    inputs, out, arrays = _parse(operands)
    if dtype is None:
        dtype = np.result_type(*(a.dtype for a in arrays))
    if optimize is not False and len(arrays) > 2:
        path = (
            optimize
            if isinstance(optimize, (list, tuple)) and len(optimize) and not isinstance(optimize[0], str)
            else None
        )
        if path is None:
            greedy = "greedy" if optimize is True else optimize
            path, _ = np.einsum_path(
                ",".join(inputs) + "->" + out,
                *(np.broadcast_to(np.empty(()), a.shape) for a in arrays),
                optimize=greedy,
            )
        labels = list(inputs)
        for step in path[1:] if isinstance(path[0], str) else path:
            chosen = sorted(step, reverse=True)
            parts = [(labels.pop(i), arrays.pop(i)) for i in chosen]
            others = set("".join(labels)) | set(out)
            keep = "".join(sorted({c for p, _ in parts for c in p} & others)) if labels else out
            arrays.append(
                _einsum(
                    [p for p, _ in parts], keep, [a for _, a in parts], dtype, split_every, order, casting
                )
            )
            labels.append(keep)
        return arrays[0]
    return _einsum(inputs, out, arrays, dtype, split_every, order, casting)


def _einsum(
    inputs: list[str], out: str, arrays: list, dtype: Any, split_every: Any, order: str, casting: str
) -> Any:
    contracted = [c for c in dict.fromkeys("".join(inputs)) if c not in out]
    pairs: list = []
    for p, a in zip(inputs, arrays):
        # A diagonal: blocks of both axes have to match.
        for c in set(p):
            axes = [i for i, x in enumerate(p) if x == c]
            if len(axes) > 1:
                a = a.rechunk(dict.fromkeys(axes, -1))
        pairs += [a, tuple(p)]
    result = blockwise(
        chunk_einsum,
        (*out, *contracted),
        *pairs,
        adjust_chunks=dict.fromkeys(contracted, 1),
        dtype=dtype,
        token="einsum",
        subscripts=",".join(inputs) + "->" + out,
        ncontract=len(contracted),
        kind=dtype,
        casting=casting,
        order=order,
        meta=np.empty((0,) * (len(out) + len(contracted)), dtype),
    )
    if contracted:
        n = len(out)
        result = result.sum(axis=tuple(range(n, n + len(contracted))), split_every=split_every, dtype=dtype)
    return result
