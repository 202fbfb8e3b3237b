"""Numbers with units, keys and names, as people read and write them."""

from __future__ import annotations

import functools
import itertools
import re
from datetime import datetime, timedelta
from typing import Any

_BYTE_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtp", 1):
    _BYTE_UNITS[_letter] = _BYTE_UNITS[f"{_letter}b"] = 1000**_power
    _BYTE_UNITS[f"{_letter}i"] = _BYTE_UNITS[f"{_letter}ib"] = 1024**_power

#: Bytes in each unit, by its name in lower case.
byte_sizes = dict(_BYTE_UNITS)

_TIME_UNITS: dict[str, float] = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
}
_TIME_NAMES = {
    "ns": ("nanosecond",),
    "us": ("microsecond",),
    "ms": ("millisecond",),
    "s": ("second", "sec"),
    "m": ("minute", "min"),
    "h": ("hour", "hr"),
    "d": ("day",),
    "w": ("week",),
}
#: Seconds in each unit, by its names in lower case.
timedelta_sizes = dict(_TIME_UNITS)
for _unit, _names in _TIME_NAMES.items():
    for _name in _names:
        timedelta_sizes[_name] = timedelta_sizes[f"{_name}s"] = _TIME_UNITS[_unit]


def _split(text: str) -> tuple[float, str]:
    """A number and the unit after it; 1 where there is only a unit."""
    text = text.replace(" ", "")
    unit = re.search(r"[a-zA-Zµ]*$", text)
    name = unit.group() if unit else ""
    number = text[: len(text) - len(name)]
    if not number:
        number = "1"
    try:
        return float(number), name
    except ValueError as e:
        raise ValueError(f"Could not interpret {number!r} as a number") from e


def parse_bytes(s: float | str) -> int:
    """A number of bytes from text such as ``"128 MiB"``.

    Parameters
    ----------
    s : str, int or float
        A number with a unit: ``kB`` is 1000 bytes, ``kiB`` 1024.

    Raises
    ------
    ValueError
        There is no such unit, or no number.

    Examples
    --------
    >>> parse_bytes("100"), parse_bytes("5 kB"), parse_bytes("1.5MiB"), parse_bytes(12)
    (100, 5000, 1572864, 12)
    """
    if isinstance(s, (int, float)):
        return int(s)
    number, unit = _split(s)
    try:
        return int(number * byte_sizes[unit.lower()])
    except KeyError as e:
        raise ValueError(f"Could not interpret {unit!r} as a byte unit") from e


def format_bytes(n: int) -> str:
    """A number of bytes with a binary unit.

    Examples
    --------
    >>> format_bytes(1), format_bytes(1234), format_bytes(12345678)
    ('1 B', '1.21 kiB', '11.77 MiB')
    """
    for power, prefix in ((5, "Pi"), (4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "ki")):
        if n >= 1024**power * 0.9:  # 0.90 MiB reads better than 921.60 kiB
            return f"{n / 1024**power:.2f} {prefix}B"
    return f"{n} B"


def memory_repr(num: float) -> str | None:
    """A number of bytes with a short unit.

    Examples
    --------
    >>> memory_repr(2048)
    '2.0 KB'
    """
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if num < 1024.0:
            return f"{num:3.1f} {unit}"
        num /= 1024.0
    return None


def parse_timedelta(s: Any, default: Any = "seconds") -> Any:
    """A number of seconds from text such as ``"100 ms"``.

    Parameters
    ----------
    s : str, int, float, timedelta or None
        A number with a unit. None is given back.
    default : str or False
        The unit of a bare number; False refuses one.

    Returns
    -------
    int, float or None
        Seconds; whole ones as int.

    Raises
    ------
    KeyError
        There is no such unit.
    ValueError
        There is no number; or no unit, where ``default`` is False.

    Examples
    --------
    >>> parse_timedelta("100ms"), parse_timedelta("2 minutes"), parse_timedelta(5, "ms")
    (0.1, 120, 0.005)
    """
    if s is None:
        return None
    if isinstance(s, timedelta):
        seconds = s.total_seconds()
        return int(seconds) if int(seconds) == seconds else seconds
    if isinstance(s, (int, float)):
        s = str(s)
    number, unit = _split(s)
    if not unit:
        if default is False:
            raise ValueError(f"Missing time unit: {s!r}; write for example '{s}s'")
        if not isinstance(default, str):
            raise TypeError(f"default must be str or False, got {default!r}")
        unit = default
    try:
        size = timedelta_sizes[unit.lower()]
    except KeyError:
        known = ", ".join(_TIME_UNITS)
        raise KeyError(f"Invalid time unit: {unit}. Valid units are: {known}") from None
    seconds = number * size
    return int(seconds) if int(seconds) == seconds else seconds


def format_time(n: float) -> str:
    """A number of seconds with fitting units.

    Examples
    --------
    >>> format_time(0.001234), format_time(1), format_time(1234.567), format_time(1e6)
    ('1.23 ms', '1.00 s', '20m 34s', '11d 13hr')
    """
    for least, big, big_name, small, small_name in (
        (2 * 86400, 86400, "d", 3600, "hr"),
        (2 * 3600, 3600, "hr", 60, "m"),
        (600, 60, "m", 1, "s"),
    ):
        if n > least:
            return f"{int(n // big)}{big_name} {int(n % big // small)}{small_name}"
    if n >= 1:
        return f"{n:.2f} s"
    return f"{n * 1e3:.2f} ms" if n >= 1e-3 else f"{n * 1e6:.2f} us"


def format_time_ago(n: datetime) -> str:
    """How long ago a moment was.

    Examples
    --------
    >>> format_time_ago(datetime.now() - timedelta(days=16))
    '2 weeks ago'
    """
    seconds = (datetime.now() - n).total_seconds()
    day = 86400
    for name, size in (
        ("year", 365 * day),
        ("month", 30.436875 * day),
        ("week", 7 * day),
        ("day", day),
        ("hour", 3600),
        ("minute", 60),
    ):
        count = int(seconds / size)
        if count > 0:
            return f"{maybe_pluralize(count, name)} ago"
    return "Just now"


def maybe_pluralize(count: int, noun: str, plural_form: str | None = None) -> str:
    """A count with its noun.

    Examples
    --------
    >>> maybe_pluralize(1, "task"), maybe_pluralize(2, "task"), maybe_pluralize(0, "index", "indices")
    ('1 task', '2 tasks', '0 indices')
    """
    return f"{count} {noun if count == 1 else plural_form or noun + 's'}"


def natural_sort_key(s: str) -> list[str | int]:
    """A key that sorts numbers inside text as numbers.

    Examples
    --------
    >>> sorted(["f10", "f2", "f1"], key=natural_sort_key)
    ['f1', 'f2', 'f10']
    """
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", s)]


_SHORT_TOKEN = re.compile("[a-f]{8}")  # letters only: with digits it is no word anyway
_TOKEN = re.compile("[a-f0-9]{32}")


@functools.lru_cache(maxsize=100_000)
def key_split(s: Any) -> str:
    """What a key's task does: the key without token, numbers and indices.

    Examples
    --------
    >>> key_split("x-1"), key_split(("read-csv-ae05086432ca935f6eba409a8ecd4896", 1)), key_split("x-abcdefab")
    ('x', 'read-csv', 'x')
    >>> key_split("ae05086432ca935f6eba409a8ecd4896"), key_split(None)
    ('data', 'Other')
    """
    while isinstance(s, tuple) and s:
        s = s[0]
    text = s.decode() if isinstance(s, bytes) else s
    if not isinstance(text, str) or not text:
        return "Other"
    if text[0] == "<":  # the repr of an object: its type's name
        words = text.strip("<>").split()
        return words[0].rpartition(".")[2] if words else "Other"
    head, *rest = text.split("-")
    if not head:
        return "Other"
    if not head[0].isalpha():  # the text of a tuple
        head = head.partition(",")[0].strip("_'()\"")
    named = itertools.takewhile(lambda word: word.isalpha() and not _SHORT_TOKEN.fullmatch(word), rest)
    name = "-".join([head, *named])
    return "data" if _TOKEN.fullmatch(name) else name


def key_split_group(x: Any) -> str:
    """The group of a key: its name with the token, without the indices.

    Examples
    --------
    >>> key_split_group(("x-2", 1)), key_split_group("x-abcdefab")
    ('x-2', 'x-abcdefab')
    """
    if type(x) is bytes:
        return key_split_group(x.decode())
    if type(x) is tuple:
        return x[0] if isinstance(x[0], str) else str(x[0])
    if not isinstance(x, str) or not x:
        return "Other"
    if x[0] == "(":
        return x.split(",", 1)[0].strip("()\"'")
    if _TOKEN.fullmatch(x):
        return "data"
    return key_split(x) if x[0] == "<" else x


def typename(typ: Any, short: bool = False) -> str:
    """The name of a type, with its module; of an object, that of its type.

    Examples
    --------
    >>> from collections import Counter
    >>> typename(int), typename(Counter), typename(Counter(), short=True)
    ('int', 'collections.Counter', 'collections.Counter')
    """
    if not isinstance(typ, type):
        typ = type(typ)
    module = getattr(typ, "__module__", None)
    if not module or module == "builtins":
        return typ.__name__
    return f"{module.split('.')[0] if short else module}.{typ.__name__}"


def asciitable(columns: Any, rows: Any) -> str:
    """A table in plain text.

    Examples
    --------
    >>> print(asciitable(["name", "n"], [("x", 1)]))
    +------+---+
    | name | n |
    +------+---+
    | x    | 1 |
    +------+---+
    """
    table = [tuple(map(str, row)) for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*table)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in table]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])
