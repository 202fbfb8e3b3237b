"""Files and directories that go away."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from weft._dispatch import Dispatch as Dispatch
from weft._docs import _derived_from as _derived_from
from weft._docs import derived_from as derived_from
from weft._docs import extra_titles as extra_titles
from weft._docs import get_named_args as get_named_args
from weft._docs import ignore_warning as ignore_warning
from weft._docs import skip_doctest as skip_doctest
from weft._docs import unsupported_arguments as unsupported_arguments
from weft._formats import asciitable as asciitable
from weft._formats import byte_sizes as byte_sizes
from weft._formats import format_bytes as format_bytes
from weft._formats import format_time as format_time
from weft._formats import format_time_ago as format_time_ago
from weft._formats import key_split as key_split
from weft._formats import key_split_group as key_split_group
from weft._formats import maybe_pluralize as maybe_pluralize
from weft._formats import memory_repr as memory_repr
from weft._formats import natural_sort_key as natural_sort_key
from weft._formats import parse_bytes as parse_bytes
from weft._formats import parse_timedelta as parse_timedelta
from weft._formats import timedelta_sizes as timedelta_sizes
from weft._formats import typename as typename


@contextmanager
def tmpfile(extension: str = "", dir: str | None = None) -> Iterator[str]:
    """The name of a file that does not exist; whatever is there afterwards is removed.

    Examples
    --------
    >>> with tmpfile(".txt") as name:
    ...     _ = open(name, "w").close()
    >>> os.path.exists(name)
    False
    """
    extension = "." + extension.lstrip(".") if extension else ""
    handle, name = tempfile.mkstemp(extension, dir=dir)
    os.close(handle)
    os.remove(name)
    try:
        yield name
    finally:
        _remove(name)


@contextmanager
def tmpdir(dir: str | None = None) -> Iterator[str]:
    """A new directory, removed with all that is in it afterwards."""
    name = tempfile.mkdtemp(dir=dir)
    try:
        yield name
    finally:
        _remove(name)


def _remove(name: str) -> None:
    if os.path.isdir(name):
        shutil.rmtree(name, ignore_errors=True)
    else:
        with suppress(OSError):
            os.remove(name)


@contextmanager
def filetext(text: str, extension: str = "", open: Callable = open, mode: str = "w") -> Iterator[str]:
    """The name of a file that holds a text, removed afterwards."""
    with tmpfile(extension) as name:
        with open(name, mode=mode) as f:
            f.write(text)
        yield name


tmp_text = filetext


@contextmanager
def filetexts(
    d: Mapping[str, Any], open: Callable = open, mode: str = "t", use_tmpdir: bool = True
) -> Iterator[list[str]]:
    """Files with given contents, in a new working directory or (``use_tmpdir=False``) in this one."""
    with tmp_cwd() if use_tmpdir else _here():
        for name, text in d.items():
            directory = os.path.dirname(name)
            if directory:
                os.makedirs(directory, exist_ok=True)
            with open(name, f"w{mode}") as f:
                f.write(text)
        try:
            yield list(d)
        finally:
            for name in d:
                _remove(name)


@contextmanager
def _here() -> Iterator[str]:
    yield os.getcwd()


@contextmanager
def changed_cwd(new_cwd: str) -> Iterator[None]:
    """Work in another directory; come back afterwards."""
    old = os.getcwd()
    os.chdir(new_cwd)
    try:
        yield
    finally:
        os.chdir(old)


@contextmanager
def tmp_cwd(dir: str | None = None) -> Iterator[str]:
    """Work in a new directory that is removed afterwards."""
    with tmpdir(dir) as name, changed_cwd(name):
        yield name


def ensure_not_exists(filename: str) -> None:
    """Remove a file if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(filename)
