"""The version of pandas that is installed."""

from __future__ import annotations

import pandas as pd


def _release(version: str) -> tuple[int, ...]:
    parts = []
    for part in version.split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)


PANDAS_VERSION = _release(pd.__version__)
PANDAS_GE_300 = PANDAS_VERSION >= (3, 0)
PANDAS_GE_310 = PANDAS_VERSION >= (3, 1)
# weft needs pandas 3: these are true, for code that asks.
PANDAS_GE_202 = PANDAS_GE_210 = PANDAS_GE_220 = PANDAS_GE_230 = True
