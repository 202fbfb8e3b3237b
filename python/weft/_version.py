"""The version, as tools that read it the way of versioneer expect it."""

from __future__ import annotations

from typing import Any


def get_versions() -> dict[str, Any]:
    """The version and, unknown in a built package, the revision it was built from."""
    from weft import __version__

    return {"version": __version__, "full-revisionid": None, "dirty": None, "error": None, "date": None}
