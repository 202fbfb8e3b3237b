"""Where generated data are kept."""

import os
import pathlib

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
DATA = pathlib.Path(os.environ.get("WEFT_BENCH_DATA") or CACHE / "weft-bench")


def rows(default: float) -> int:
    return int(float(os.environ.get("WEFT_BENCH_ROWS") or default))
