"""What differs between Pythons and platforms."""

from __future__ import annotations

import sys

PY_VERSION = sys.version_info
LINUX = sys.platform == "linux"
MACOS = sys.platform == "darwin"
WINDOWS = sys.platform == "win32"
EMSCRIPTEN = sys.platform == "emscripten"


def import_optional_dependency(name: str, extra: str | None = None):
    """The module ``name``; where it is missing, an error that says how to install it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        what = f'pip install "weft[{extra}]"' if extra else f"pip install {name}"
        raise ImportError(f"{name} is not installed. Install it with: {what}") from error
