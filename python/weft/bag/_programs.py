"""Python functions that only look at fields, compare and add, as programs that Rust runs on JSON text.

`program` reads a function's bytecode. What it gives is a nested tuple that means the same as the function for every object
that `json.loads` makes, or for which Rust notices that it does not know: it then asks the function. Functions that do
anything else (call, loop, branch, look at globals or closures) have no program, and are called as always.
"""

from __future__ import annotations

import dis
import inspect
import operator
import types
from collections.abc import Callable
from typing import Any

#: Loads of one and of two local variables, by the names that Python's versions give them.
_LOAD = {"LOAD_FAST", "LOAD_FAST_BORROW"}
_LOAD_TWO = {"LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"}
_NOTHING = {"RESUME", "CACHE", "NOP", "PRECALL", "EXTENDED_ARG", "NOT_TAKEN"}
_ARITHMETIC = {"+", "-", "*"}
_COMPARE = {"==", "!=", "<", "<=", ">", ">="}

#: Integers beyond this are not the doubles that they are compared with.
_EXACT = 2**53


def program(func: Any, *arguments: str) -> Any:
    """The program of a function of ``arguments`` (``"element"``, ``"total"``); ``None``: it has none.

    Examples
    --------
    >>> program(lambda record: record["age"] > 30, "element")
    ('>', ('item', ('element',), 'age'), ('const', 30))
    >>> program(lambda record: print(record), "element")
    """
    if type(func) is operator.itemgetter:
        keys = func.__reduce__()[1]  # type: ignore[attr-defined]
        return item(keys[0]) if arguments == ("element",) and len(keys) == 1 else None
    if type(func) is not types.FunctionType:
        return None
    code = func.__code__
    unusual = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE
    if (
        code.co_flags & (unusual | inspect.CO_ASYNC_GENERATOR)
        or code.co_argcount != len(arguments)
        or code.co_kwonlyargcount
        or func.__closure__
    ):
        return None
    known = dict(zip(code.co_varnames, arguments))
    found = _run(func, {name: (kind,) for name, kind in known.items()})
    return found if found is not None and found[0] != "element" and _is_whole(found) else None


def item(key: Any) -> Any:
    """The program that gets one field; ``None`` for keys that are no text."""
    return ("item", ("element",), key) if _is_constant(key) and type(key) is str else None


def _run(func: Callable[..., Any], local: dict[str, Any]) -> Any:
    stack: list[Any] = []
    for step in dis.get_instructions(func):
        name = step.opname
        if name in _NOTHING:
            continue
        if name in _LOAD:
            stack.append(local.get(step.argval))
        elif name in _LOAD_TWO:
            stack += [local.get(variable) for variable in step.argval]
        elif name in ("LOAD_CONST", "LOAD_SMALL_INT"):
            stack.append(("const", step.argval) if _is_constant(step.argval) else None)
        elif name == "BINARY_SUBSCR" or (name == "BINARY_OP" and step.argrepr == "[]"):
            key, of = stack.pop(), stack.pop()
            if key is None or key[0] != "const" or type(key[1]) is not str:
                return None
            if of is None or of[0] not in ("element", "item"):
                return None
            stack.append(("item", of, key[1]))
        elif name in ("BINARY_OP", "COMPARE_OP"):
            op = step.argrepr if name == "BINARY_OP" else step.argrepr.removeprefix("bool(").removesuffix(")")
            right, left = stack.pop(), stack.pop()
            if op not in (_ARITHMETIC if name == "BINARY_OP" else _COMPARE):
                return None
            stack.append((op, left, right))
        elif name == "UNARY_NOT":
            stack.append(("not", stack.pop()))
        elif name == "RETURN_VALUE":
            return stack.pop()
        elif name == "RETURN_CONST":
            return ("const", step.argval) if _is_constant(step.argval) else None
        else:
            return None
        if stack and stack[-1] is None:
            return None
    return None


def _is_constant(value: Any) -> bool:
    kind = type(value)
    if kind is int:
        return bool(abs(value) <= _EXACT)
    if kind is str:
        return not any("\ud800" <= c <= "\udfff" for c in value)
    return kind in (bool, float, type(None))


def _is_whole(found: Any) -> bool:
    """Whether the element itself is only ever looked into."""
    if found[0] == "item":
        return found[1] == ("element",) or _is_whole(found[1])
    return found[0] != "element" and all(_is_whole(part) for part in found[1:] if type(part) is tuple)


def initial(value: Any) -> bool:
    """Whether a fold may start from this in Rust."""
    return type(value) in (int, float) and _is_constant(value)
