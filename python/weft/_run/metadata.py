"""The metadata of Dask's packages, for those who ask which Dask there is."""

from __future__ import annotations

import importlib.metadata
from typing import Any


class Metadata(importlib.metadata.Distribution):
    """An installed package that is a name and a version, and has no files."""

    def __init__(self, name: str, version: str) -> None:
        self._name = name
        self._version = version

    def read_text(self, filename: str) -> str | None:
        if filename not in ("METADATA", "PKG-INFO"):
            return None
        lines = {"Metadata-Version": "2.1", "Name": self._name, "Version": self._version}
        return "".join(f"{field}: {value}\n" for field, value in lines.items())

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(f"{path}: weft stands in the place of {self._name}, which has no files")
