"""Rewrites of graphs given as plain mappings."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from enum import Enum

from weft._task_spec import GraphNode
from weft.core import (
    flatten,
    get_dependencies,
    ishashable,
    istask,
    reverse_dict,
    subs,
    toposort,
)

__all__ = ["SubgraphCallable", "cull", "fuse", "fuse_linear", "functions_of", "inline", "inline_functions"]


def cull(dsk: Mapping, keys):
    """The part of a graph that ``keys`` need.

    Returns
    -------
    dsk : dict
    dependencies : dict
        For each key left, the list of keys that its task reads.

    Raises
    ------
    KeyError
        If a key is not in the graph.

    Examples
    --------
    >>> cull({"x": 1, "y": (abs, "x"), "z": 3}, "y")[0]
    {'y': (<built-in function abs>, 'x'), 'x': 1}
    """
    pending = list(flatten(keys)) if isinstance(keys, (list, set)) else [keys]
    found: dict = {}
    dependencies: dict = {}
    while pending:
        key = pending.pop()
        if key in found:
            continue
        found[key] = dsk[key]
        reads = get_dependencies(dsk, key, as_list=True)
        dependencies[key] = list(dict.fromkeys(reads))
        pending.extend(dependencies[key])
    return found, dependencies


def _joined_name(keys):
    """A name for tasks that became one: what each did, and the last one's token."""
    from weft.utils import key_split

    last = keys[0]
    if type(last) is str:
        return "-".join([*(key_split(key) for key in keys[:0:-1]), last])
    if type(last) is tuple and last and isinstance(last[0], str):
        return ("-".join([*(key_split(key) for key in keys[:0:-1]), last[0]]), *last[1:])
    return None


def default_fused_linear_keys_renamer(keys):
    """The name of a fused chain; ``keys`` from its last task to its first."""
    return _joined_name(keys)


def default_fused_keys_renamer(keys, max_fused_key_length=120):
    """The name of fused tasks, shortened to ``max_fused_key_length`` characters."""
    from weft.utils import key_split

    keys = list(keys)
    last = keys[0]
    if not (type(last) is str or (type(last) is tuple and last and isinstance(last[0], str))):
        return None
    names = sorted({key_split(key) for key in keys[1:]} - {key_split(last)})
    name = "-".join([*names, last if type(last) is str else last[0]])
    if max_fused_key_length and len(name) > max_fused_key_length:
        name = f"{name[: max_fused_key_length - 5]}-{uuid.uuid5(uuid.NAMESPACE_OID, name).hex[:4]}"
    return name if type(last) is str else (name, *last[1:])


class Default(Enum):
    """The absence of an argument."""

    token = 0

    def __repr__(self) -> str:
        return "<default>"


_default = Default.token


def fuse(dsk: Mapping, keys=None, dependencies=None, *args, rename_keys=_default, **kwargs):
    """Joins chains of tasks in which each has one reader.

    Parameters
    ----------
    dsk : mapping
        A graph in tuple notation.
    keys : list, optional
        Keys that must stay.
    dependencies : dict, optional
        What each task reads, if known.
    rename_keys : bool or callable
        Whether a chain gets a name that says all it does (True by default), or how to name it.

    Returns
    -------
    dsk : dict
    dependencies : dict
        For each key, the set of keys that its task reads.

    Examples
    --------
    >>> fuse({"a": 1, "b": (abs, "a"), "c": (abs, "b")}, rename_keys=False)[0]
    {'c': (<built-in function abs>, (<built-in function abs>, 1))}
    """
    return _fuse(dsk, keys, dependencies, True if rename_keys is _default else rename_keys)


def fuse_linear(dsk: Mapping, keys=None, dependencies=None, rename_keys=True):
    """See `fuse`."""
    return _fuse(dsk, keys, dependencies, rename_keys)


def _fuse(dsk, keys, dependencies, rename_keys):
    keep = set(flatten(keys)) if isinstance(keys, (list, set)) else ({keys} if keys is not None else set())
    if any(isinstance(task, GraphNode) for task in dsk.values()):
        return dict(dsk), {key: set(get_dependencies(dsk, key)) for key in dsk}
    reads = {
        key: list(dependencies[key]) if dependencies else get_dependencies(dsk, key, as_list=True)
        for key in dsk
    }
    readers: dict = {key: 0 for key in dsk}
    for below in reads.values():
        for key in below:
            readers[key] = readers.get(key, 0) + 1
    # `below` is read by `key` alone, and `key` reads nothing else.
    joined = {
        key: below[0]
        for key, below in reads.items()
        if len(below) == 1 and readers[below[0]] == 1 and below[0] not in keep
    }
    inner = set(joined.values())
    rename = (
        rename_keys if callable(rename_keys) else (default_fused_linear_keys_renamer if rename_keys else None)
    )
    out: dict = {}
    aliases: dict = {}
    for key in dsk:
        if key in inner:
            continue
        chain = [key]
        while chain[-1] in joined:
            chain.append(joined[chain[-1]])
        task = dsk[chain[-1]]
        for before, above in zip(reversed(chain[1:]), reversed(chain[:-1])):
            task = subs(dsk[above], before, task)
        name = rename(chain) if rename is not None and len(chain) > 1 else None
        if name is not None and name != key and name not in dsk:
            out[name] = task
            out[key] = name
            aliases[name] = key
        else:
            out[key] = task
    return out, {key: set(get_dependencies(out, key)) for key in out}


def _as_set(keys):
    if keys is None:
        return set()
    return set(keys) if isinstance(keys, (list, set)) else {keys}


def inline(dsk: Mapping, keys=None, inline_constants=True, dependencies=None) -> dict:
    """Puts the tasks ``keys``, and constants, into the tasks that read them.

    The inlined keys stay in the graph; `cull` removes them.

    Examples
    --------
    >>> inline({"x": 1, "y": (abs, "x")})
    {'x': 1, 'y': (<built-in function abs>, 1)}
    """
    reads = {key: set(dependencies[key]) if dependencies else get_dependencies(dsk, key) for key in dsk}
    chosen = _as_set(keys)
    if inline_constants:
        for key, task in dsk.items():
            if (ishashable(task) and task in dsk) or (not reads[key] and not istask(task)):
                chosen.add(key)
    replaced: dict = {}
    for key in toposort({k: dsk[k] for k in chosen if k in dsk}, dependencies=reads):
        task = dsk[key]
        for read in chosen & reads[key]:
            task = subs(task, read, replaced.get(read, dsk[read]))
        replaced[key] = task
    out = dict(replaced)
    for key, task in dsk.items():
        if key not in out:
            for read in chosen & reads[key]:
                task = subs(task, read, replaced[read])
            out[key] = task
    return out


def inline_functions(dsk, output, fast_functions=None, inline_constants=False, dependencies=None):
    """Puts calls of ``fast_functions`` into the tasks that read them.

    Parameters
    ----------
    output : list
        Keys that must stay.
    fast_functions : collection of callables
        Functions that cost less than a task does.
    """
    if not fast_functions:
        return dsk
    output, fast = set(output), set(fast_functions)
    reads = {key: set(dependencies[key]) if dependencies else get_dependencies(dsk, key) for key in dsk}
    readers = reverse_dict(reads)

    def cheap(key, task):
        if isinstance(task, GraphNode) or not istask(task) or key in output or not readers[key]:
            return False
        try:
            return functions_of(task) <= fast and not any(isinstance(dsk[r], GraphNode) for r in readers[key])
        except TypeError:
            return False

    chosen = [key for key, task in dsk.items() if cheap(key, task)]
    if chosen:
        dsk = inline(dsk, chosen, inline_constants=inline_constants, dependencies=reads)
        for key in chosen:
            del dsk[key]
    return dsk


def unwrap_partial(func):
    """The function inside ``functools.partial`` objects."""
    while hasattr(func, "func"):
        func = func.func
    return func


def functions_of(task) -> set:
    """All functions that a task in tuple notation calls.

    Examples
    --------
    >>> functions_of((abs, (max, 1, 2))) == {abs, max}
    True
    """
    found: set = set()
    pending = [task]
    while pending:
        item = pending.pop()
        if type(item) in (list, tuple):
            if istask(item):
                found.add(unwrap_partial(item[0]))
                item = item[1:]
            pending.extend(item)
    return found


class SubgraphCallable:
    """A function that runs a small graph.

    Parameters
    ----------
    dsk : mapping
    outkey : key
        The task whose result is returned.
    inkeys : list of keys
        Keys that the arguments stand for, in order.
    name : str, optional
        Random unless given.
    """

    __slots__ = ("dsk", "outkey", "inkeys", "name", "__weakref__")

    def __init__(self, dsk, outkey, inkeys, name=None):
        self.dsk = dsk
        self.outkey = outkey
        self.inkeys = inkeys
        self.name = f"subgraph_callable-{uuid.uuid4().hex}" if name is None else name

    def __repr__(self):
        return self.name

    def __eq__(self, other):
        return (
            type(self) is type(other)
            and self.name == other.name
            and self.outkey == other.outkey
            and set(self.inkeys) == set(other.inkeys)
        )

    def __hash__(self):
        return hash((self.name, self.outkey, frozenset(self.inkeys)))

    def __call__(self, *args):
        from weft.core import get

        if len(args) != len(self.inkeys):
            raise ValueError(f"Expected {len(self.inkeys)} args, got {len(args)}")
        return get(self.dsk, self.outkey, cache=dict(zip(self.inkeys, args)))

    def __reduce__(self):
        return SubgraphCallable, (self.dsk, self.outkey, self.inkeys, self.name)
