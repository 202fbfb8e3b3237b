"""What differs between versions of NumPy."""

from __future__ import annotations

import numpy as np
from numpy.exceptions import AxisError, ComplexWarning

_VERSION = tuple(int(part) for part in np.__version__.split(".")[:2])
NUMPY_GE_125 = _VERSION >= (1, 25)
NUMPY_GE_200 = _VERSION >= (2, 0)
NUMPY_GE_210 = _VERSION >= (2, 1)
NUMPY_GE_220 = _VERSION >= (2, 2)
NUMPY_GE_230 = _VERSION >= (2, 3)
NUMPY_GE_240 = _VERSION >= (2, 4)

__all__ = ["AxisError", "ComplexWarning"]


def percentile(a, q, method="linear"):
    """`numpy.percentile` along the first and only axis."""
    return np.percentile(a, q, method=method)
