"""weft: Dask's API on a Rust engine.

>>> import weft
>>> weft.delayed(sum)([weft.delayed(abs)(-1), 2]).compute()
3
"""

from __future__ import annotations

from weft import config as config
from weft.base import annotate as annotate
from weft.base import compute as compute
from weft.base import get_annotations as get_annotations
from weft.base import is_dask_collection as is_dask_collection
from weft.base import optimize as optimize
from weft.base import persist as persist
from weft.base import visualize as visualize
from weft.core import istask as istask
from weft.delayed import delayed as delayed
from weft.local import get_sync as get

__version__ = "0.1.0"

__all__ = [
    "annotate",
    "compute",
    "config",
    "delayed",
    "get",
    "get_annotations",
    "is_dask_collection",
    "istask",
    "optimize",
    "persist",
    "visualize",
]

# Parts that are imported when they are first used, and the extra that brings what they import.
_LAZY = {
    "array": "array",
    "bag": None,
    "cache": "complete",
    "callbacks": None,
    "core": None,
    "dataframe": "dataframe",
    "datasets": "dataframe",
    "diagnostics": "diagnostics",
    "distributed": "distributed",
    "dot": None,
    "graph_manipulation": None,
    "highlevelgraph": None,
    "ml": "ml",
    "optimization": None,
    "order": None,
    "sizeof": None,
    "task_spec": None,
    "threaded": None,
    "utils": None,
}


# What users of the past write, and what to write now.
_GONE = {"set_options": "use weft.config.set(scheduler=..., ...), also as a context manager"}


def __getattr__(name):
    if name in _GONE:
        raise AttributeError(f"weft.{name} does not exist: {_GONE[name]}")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.split(".")[0] == __name__:
            raise AttributeError(f"this version of weft has no {missing!r} yet") from error
        extra = _LAZY[name]
        if extra is None:
            raise
        raise ImportError(
            f'weft.{name} needs {missing}, which is not installed. Install it with: pip install "weft[{extra}]"'
        ) from error


def __dir__():
    return sorted({*globals(), *_LAZY})
