"""Which steps Rust does, and when.

A `TextStream` is an iterator over the lines of files that knows some steps itself. Each function here takes a partition
and returns what Rust makes of it, or ``None``: then the step is done in Python.
"""

from __future__ import annotations

import json
import operator
from typing import Any

from weft._weft import JsonLoads, TextStream, text_stream
from weft.bag import _programs

#: The type of `str.lower` and its like.
_MethodOfStr = type(str.lower)


def readable(read: Any) -> bool:
    """Whether Rust reads such text: of local files, as strict UTF-8, at the usual line breaks."""
    from fsspec.implementations.local import LocalFileSystem

    return (
        type(read.fs) is LocalFileSystem
        and str(read.encoding).lower().replace("_", "-") in ("utf-8", "utf8")
        and read.errors == "strict"
        and read.delimiter in (None, "\n")
        and not read.include_path
    )


def lines(read: Any, pieces: Any) -> Any:
    """The lines of a partition as a native stream, if Rust reads them."""
    from fsspec.utils import infer_compression

    if not readable(read):
        return None
    infer = read.compression == "infer"
    native = [
        (path, infer_compression(path) if infer else read.compression, offset, length)
        for path, offset, length in pieces
    ]
    return text_stream(native, read.delimiter is None)


def map_native(func: Any, part: Any) -> Any:
    """``func`` of each element, for functions that Rust knows."""
    if func is json.loads:
        if type(part) is TextStream and (stream := part.json()) is not None:
            return stream
        return map(JsonLoads(), part)
    if type(part) is not TextStream:
        return None
    if type(func) is operator.methodcaller:
        # With keywords it is pickled as a partial call, whose arguments begin with no name.
        made_of: Any = func.__reduce__()[1]
        return part.method(made_of[0]) if len(made_of) == 1 and isinstance(made_of[0], str) else None
    if type(func) is _MethodOfStr and getattr(func, "__objclass__", None) is str:
        return part.method(func.__name__)
    return _project(part, func, _programs.program(func, "element"))


def _project(part: Any, func: Any, program: Any) -> Any:
    return None if program is None else part.project(program, func)


def pluck(part: Any, key: Any) -> Any:
    """One field of each object of lines of JSON."""
    return _project(part, operator.itemgetter(key), _programs.item(key)) if is_stream(part) else None


def keep(part: Any, predicate: Any, wanted: bool) -> Any:
    """The objects of lines of JSON for which a predicate holds, or does not."""
    if type(part) is not TextStream:
        return None
    program = _programs.program(predicate, "element")
    return None if program is None else part.filter(program, predicate, wanted)


def foldby(part: Any, key: Any, binop: Any, initial: Any) -> Any:
    """Totals by key of the objects of lines of JSON."""
    if type(part) is not TextStream or not _programs.initial(initial):
        return None
    key = _programs.program(key, "element") if callable(key) else _programs.item(key)
    binop = _programs.program(binop, "total", "element")
    return None if key is None or binop is None else part.foldby(key, binop, initial)


def flatten(part: Any) -> Any:
    """The words of lines that were split."""
    return part.flatten() if type(part) is TextStream else None


def frequencies(part: Any) -> Any:
    """How often each text occurs."""
    return part.frequencies() if type(part) is TextStream else None


def count(part: Any) -> Any:
    """How many lines or words."""
    return part.count() if type(part) is TextStream else None


def is_stream(part: Any) -> bool:
    """Whether the partition is such a stream."""
    return type(part) is TextStream


def frame(part: Any, columns: Any, dtypes: Any) -> Any:
    """The dataframe that lines of JSON make, without their objects."""
    if type(part) is not TextStream or not all(isinstance(name, str) for name in columns):
        return None
    import pandas as pd

    if len(set(columns)) < len(columns) or pd.Series(["text"]).dtype.name != "str":
        return None
    found = part.frame(list(columns), [str(dtypes[name]) for name in columns])
    if found is None:
        return None
    typed, objects = found
    frame = typed.to_pandas()
    if objects:
        arrays = {
            name: pd.Series(objects[name], dtype=object) if name in objects else frame[name]
            for name in columns
        }
        frame = pd.DataFrame(arrays, copy=False)
    frame.columns = pd.Index(list(columns))
    return frame
