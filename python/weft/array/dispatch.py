"""Functions that differ between the libraries behind blocks."""

from weft.array.backends import (
    concatenate_lookup,
    divide_lookup,
    einsum_lookup,
    empty_lookup,
    nannumel_lookup,
    numel_lookup,
    percentile_lookup,
    tensordot_lookup,
    to_cupy_dispatch,
    to_numpy_dispatch,
)

__all__ = [
    "concatenate_lookup",
    "divide_lookup",
    "einsum_lookup",
    "empty_lookup",
    "nannumel_lookup",
    "numel_lookup",
    "percentile_lookup",
    "tensordot_lookup",
    "to_cupy_dispatch",
    "to_numpy_dispatch",
]
