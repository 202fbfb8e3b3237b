"""See what a computation does: progress bars, profilers, and a page that shows their records.

>>> from weft.diagnostics import Profiler, ProgressBar
>>> with ProgressBar(), Profiler() as prof:  # doctest: +SKIP
...     total.compute()
>>> prof.visualize()  # doctest: +SKIP
"""

from weft.callbacks import Callback
from weft.diagnostics.profile import CacheProfiler, Profiler, ResourceProfiler
from weft.diagnostics.profile_visualize import visualize
from weft.diagnostics.progress import ProgressBar
from weft.diagnostics.tqdm import TqdmCallback

__all__ = [
    "CacheProfiler",
    "Callback",
    "Profiler",
    "ProgressBar",
    "ResourceProfiler",
    "TqdmCallback",
    "visualize",
]
