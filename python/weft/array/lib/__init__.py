"""As in `numpy.lib`."""

from weft.array.lib import stride_tricks

__all__ = ["stride_tricks"]
