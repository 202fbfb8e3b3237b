"""Views with windows."""

from weft.array.overlap import sliding_window_view

__all__ = ["sliding_window_view"]
