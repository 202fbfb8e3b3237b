"""Graphs as plain mappings: looking into them, walking them, running them one task at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, MutableMapping
from typing import Any

from weft._task_spec import Alias, DataNode, GraphNode, TaskRef, convert_legacy_graph, execute_graph

no_default = "__no_default__"


def ishashable(x) -> bool:
    """Whether ``hash(x)`` works."""
    try:
        hash(x)
    except TypeError:
        return False
    return True


def istask(x) -> bool:
    """Whether ``x`` is a call in tuple notation: a tuple that starts with a callable."""
    return type(x) is tuple and bool(x) and callable(x[0])


def iskey(key: object) -> bool:
    """Whether ``key`` may name a task: text, bytes, a number, or a tuple of those."""
    try:
        validate_key(key)
    except TypeError:
        return False
    return True


def validate_key(key: object) -> None:
    """Raises ``TypeError`` if ``key`` may not name a task."""
    typ = type(key)
    if typ is tuple:
        index = None
        try:
            for index, part in enumerate(key):  # type: ignore[arg-type, var-annotated]  # noqa: B007
                validate_key(part)
        except TypeError as error:
            raise TypeError(f"Composite key contains unexpected key type at {index=} ({key=!r})") from error
    elif not issubclass(typ, (str, bytes, int, float)):
        raise TypeError(f"Unexpected key type {typ} (value: {key!r})")


def preorder_traversal(task):
    """The parts of a task in tuple notation, the outer ones first."""
    for item in task:
        if istask(item):
            yield from preorder_traversal(item)
        elif isinstance(item, list):
            yield list
            yield from preorder_traversal(item)
        else:
            yield item


def _pack(results: Mapping, keys):
    if isinstance(keys, list):
        return tuple(_pack(results, key) for key in keys)
    return results[keys]


def get(dsk: Mapping, out: Any, cache: MutableMapping | None = None) -> Any:
    """Runs a graph on this thread, in plain Python.

    Examples
    --------
    >>> from weft.core import get
    >>> from operator import add
    >>> get({"x": 1, "y": (add, "x", 10)}, "y")
    11
    """
    for key in flatten(out) if isinstance(out, list) else [out]:
        if key not in dsk:
            raise KeyError(f"{key} is not a key in the graph")
    nodes = convert_legacy_graph(dsk, all_keys=set(dsk) | set(cache or ()))
    results = execute_graph(nodes, cache=cache, keys=set(flatten([out])))
    return _pack(results, out)


def keys_in_tasks(keys: Collection, tasks: Iterable, as_list: bool = False):
    """Those of ``keys`` that occur in ``tasks`` (tuple notation or nodes)."""
    found: list = []
    pending = list(tasks)
    while pending:
        nested: list = []
        for task in pending:
            if type(task) is tuple and task and callable(task[0]):
                nested.extend(task[1:])
            elif isinstance(task, list):
                nested.extend(task)
            elif isinstance(task, dict):
                nested.extend(task.values())
            elif isinstance(task, TaskRef):
                found.append(task.key)
            elif isinstance(task, GraphNode):
                found.extend(task.dependencies)
            else:
                try:
                    if task in keys:
                        found.append(task)
                except TypeError:
                    pass
        pending = nested
    return found if as_list else set(found)


def get_dependencies(dsk: Mapping, key: Any = None, task: Any = no_default, as_list: bool = False):
    """The keys that one task of a graph reads.

    Examples
    --------
    >>> from weft.core import get_dependencies
    >>> from operator import add
    >>> sorted(get_dependencies({"x": 1, "y": 2, "z": (add, "x", "y")}, "z"))
    ['x', 'y']
    """
    if key is not None:
        task = dsk[key]
    elif task is no_default:
        raise ValueError("Provide either key or task")
    return keys_in_tasks(dsk, [task], as_list=as_list)


def get_deps(dsk: Mapping):
    """Dependencies and dependents of all tasks."""
    dependencies = {key: get_dependencies(dsk, task=task) for key, task in dsk.items()}
    return dependencies, reverse_dict(dependencies)


def flatten(seq, container: Any = list):
    """The items of nested lists, one after the other.

    Examples
    --------
    >>> from weft.core import flatten
    >>> list(flatten([[1, 2], [[3]]]))
    [1, 2, 3]
    """
    if isinstance(seq, str):
        yield seq
        return
    stack = [iter(seq)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, container):
                stack.append(iter(item))
                break
            yield item
        else:
            stack.pop()


def reverse_dict(d: Mapping) -> dict:
    """``{value: set of keys}`` of a mapping from keys to values."""
    turned: dict = {key: set() for key in d}
    for key, values in d.items():
        for value in values:
            turned.setdefault(value, set()).add(key)
    return turned


def subs(task, key, val):
    """A task in tuple notation with ``val`` in the place of ``key``."""
    typ = type(task)
    if not (typ is tuple and task and callable(task[0])):
        try:
            if typ is type(key) and task == key:
                return val
        except Exception:
            pass
        return [subs(item, key, val) for item in task] if typ is list else task
    args = []
    for arg in task[1:]:
        if isinstance(arg, (tuple, list)):
            args.append(subs(arg, key, val))
            continue
        try:
            same = type(arg) is type(key) and bool(arg == key)
        except Exception:
            same = False
        args.append(val if same else arg)
    return task[:1] + tuple(args)


def _walk(dsk, keys=None, dependencies=None):
    """Keys in dependency order, and a cycle if one is in the way (its first key repeated last)."""
    order: list = []
    done: set = set()
    for start in dsk if keys is None else (keys if isinstance(keys, (list, set)) else [keys]):
        if start in done:
            continue
        path = {start: None}
        stack = [iter(_reads(dsk, start, dependencies))]
        while stack:
            for key in stack[-1]:
                if key in done or key not in dsk:
                    continue
                if key in path:
                    circle = list(path)
                    return order, circle[circle.index(key) :] + [key]
                path[key] = None
                stack.append(iter(_reads(dsk, key, dependencies)))
                break
            else:
                stack.pop()
                key, _ = path.popitem()
                done.add(key)
                order.append(key)
    return order, []


def _reads(dsk, key, dependencies):
    return get_dependencies(dsk, key) if dependencies is None else dependencies[key]


def toposort(dsk, dependencies=None) -> list:
    """The keys of a graph, each after those that it reads.

    Raises
    ------
    RuntimeError
        If tasks wait for each other in a circle; it names their keys.
    """
    order, cycle = _walk(dsk, dependencies=dependencies)
    if cycle:
        raise RuntimeError("Cycle detected in graph: {}".format("->".join(map(str, cycle))))
    return order


def getcycle(d, keys) -> list:
    """Keys that wait for each other in a circle, the first repeated at the end; or an empty list."""
    return _walk(d, keys=keys)[1]


def isdag(d, keys) -> bool:
    """Whether no task below ``keys`` waits for itself."""
    return not getcycle(d, keys)


class literal:
    """A value that a graph in tuple notation must not look into."""

    __slots__ = ("data",)

    def __init__(self, data):
        self.data = data

    def __repr__(self):
        return f"literal<type={type(self.data).__name__}>"

    def __reduce__(self):
        return literal, (self.data,)

    def __call__(self):
        return self.data


def quote(x):
    """``x`` so that a graph in tuple notation holds it as a value."""
    if istask(x) or type(x) in (list, dict):
        return (literal(x),)
    return x


def reshapelist(shape, seq):
    """A flat list as nested lists of a shape."""
    if len(shape) == 1:
        return list(seq)
    n = len(seq) // shape[0]
    return [reshapelist(shape[1:], seq[i * n : (i + 1) * n]) for i in range(shape[0])]


__all__ = ["Alias", "DataNode", "flatten", "get", "get_dependencies", "istask", "iskey", "toposort"]
