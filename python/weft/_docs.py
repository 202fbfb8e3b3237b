"""Docstrings of the methods that mirror another library's."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any


def get_named_args(func: Callable) -> list[str]:
    """Names of a function's parameters, without ``*args`` and ``**kwargs``.

    Examples
    --------
    >>> get_named_args(lambda x, *args, y=1, **kwargs: None)
    ['x', 'y']
    """
    parameters = inspect.signature(func).parameters.items()
    return [name for name, p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def skip_doctest(doc: str | None) -> str:
    """Mark each example of a docstring to be skipped: it shows the other library.

    Examples
    --------
    >>> skip_doctest(">>> 1 + 1")
    '>>> 1 + 1  # doctest: +SKIP'
    """

    def mark(line: str) -> str:
        text = line.strip()
        # A bare prompt or a comment runs nothing.
        if ">>>" not in text or "+SKIP" in text or text == ">>>" or text.startswith(">>> #"):
            return line
        return f"{line}, +SKIP" if "# doctest:" in line else f"{line}  # doctest: +SKIP"

    return "" if doc is None else "\n".join(map(mark, doc.split("\n")))


def extra_titles(doc: str) -> str:
    """Rename the second and later sections of one title to ``Extra <title>``."""
    lines = doc.split("\n")
    seen = set()
    for i in range(len(lines) - 1):
        title, rule = lines[i].strip(), lines[i + 1].strip()
        if not title or not rule or set(rule) != {"-"}:
            continue
        if title in seen:
            lines[i] = lines[i].replace(title, f"Extra {title}")
            lines[i + 1] = lines[i + 1].replace(rule, "-" * len(f"Extra {title}"))
        seen.add(title)
    return "\n".join(lines)


def ignore_warning(
    doc: str,
    cls: Any,
    name: str,
    extra: str = "",
    skipblocks: int = 0,
    inconsistencies: str | None = None,
) -> str:
    """Say after the first paragraph where a docstring comes from, and what differs."""
    head, gap, tail = doc.partition("\n\n")
    if not gap:
        return doc
    for _ in range(skipblocks):
        head, gap, tail = tail.partition("\n\n")
    indent = tail[: len(tail) - len(tail.lstrip(" "))]
    where = f"{cls.__module__}.{cls.__name__}" if inspect.isclass(cls) else cls.__name__
    said = f"{indent}This docstring was copied from {where}.{name}.\n\n"
    said += f"{indent}Some inconsistencies with the weft version may exist.\n\n"
    if inconsistencies is not None:
        said += f"{indent}Known inconsistencies: {inconsistencies}\n\n"
    if extra:
        said += indent + extra.rstrip("\n") + "\n\n"
    return head + gap + said + tail


def unsupported_arguments(doc: str, args: Iterable[str]) -> str:
    """Mark parameters that weft's method does not have."""
    lines = doc.split("\n")
    for arg in args:
        found = [i for i, line in enumerate(lines) if re.match(rf"\s*{re.escape(arg)} ?:", line)]
        if len(found) == 1:
            lines[found[0]] += "  (Not supported in weft)"
    return "\n".join(lines)


def _derived_from(
    cls: Any,
    method: Any,
    ua_args: Iterable[str] | None = None,
    extra: str = "",
    skipblocks: int = 0,
    inconsistencies: str | None = None,
) -> str:
    original = getattr(cls, method.__name__)
    doc = getattr(original, "__doc__", None)
    function = original
    if isinstance(original, property):
        function = original.fget
    elif isinstance(original, functools.cached_property):
        function = original.func
    doc = doc or getattr(function, "__doc__", None)
    if not doc and inspect.isclass(cls):  # overridden without a docstring: the base has one
        bases = (getattr(base, method.__name__, None) for base in cls.mro())
        doc = next((b.__doc__ for b in bases if b is not None and b.__doc__), None)
    if not doc:
        return extra_titles(skip_doctest(extra.rstrip("\n") + "\n\n" if extra else ""))

    doc = ignore_warning(doc, cls, method.__name__, extra, skipblocks, inconsistencies)
    missing = list(ua_args or ())
    try:
        ours = get_named_args(method)
        missing = [name for name in get_named_args(function) if name not in ours] + missing
    except (TypeError, ValueError):
        pass  # a builtin without a signature
    return extra_titles(skip_doctest(unsupported_arguments(doc, missing)))


def derived_from(
    original_klass: Any,
    version: str | None = None,
    ua_args: Iterable[str] | None = None,
    skipblocks: int = 0,
    inconsistencies: str | None = None,
) -> Callable:
    """Give a method the docstring of the method of the same name of another class or module.

    Parameters
    ----------
    original_klass : type or module
        Where the docstring is.
    version : str, optional
        First version of that library that has the method, for the error of a method that is not there.
    ua_args : list of str, optional
        Parameters to mark as not supported, beside those that only the original has.
    skipblocks : int
        Paragraphs of the docstring to leave out at its start.
    inconsistencies : str, optional
        Known differences.

    Returns
    -------
    callable
        A decorator. The method raises NotImplementedError where the original library has no such method.
    """

    def wrapper(method: Any) -> Any:
        extra = getattr(method, "__doc__", None) or ""
        try:
            method.__doc__ = _derived_from(
                original_klass, method, ua_args, extra, skipblocks, inconsistencies
            )
            return method
        except AttributeError:
            library = original_klass.__module__.split(".")[0] if inspect.isclass(original_klass) else ""

            @functools.wraps(method)
            def missing(*args: Any, **kwargs: Any) -> Any:
                text = f"Base package doesn't support '{method.__name__}'."
                if version is not None:
                    text += f" Use {library} {version} or later to use this method."
                raise NotImplementedError(text)

            return missing

    return wrapper
