"""Tasks as Python objects: how a graph looks from outside, and how one is written by hand.

The engine keeps tasks in a compact form of its own; these classes are what `dict(x.dask)`
shows and what a graph given as a mapping may contain. A `TaskRef` stands for another task's result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Mapping, MutableMapping
from functools import partial
from typing import Any

__all__ = [
    "Alias",
    "DataNode",
    "DependenciesMapping",
    "Dict",
    "GraphNode",
    "List",
    "Set",
    "Task",
    "TaskRef",
    "Tuple",
    "convert_legacy_graph",
    "convert_legacy_task",
    "cull",
    "execute_graph",
    "parse_input",
    "resolve_aliases",
]

_NOTHING: frozenset = frozenset()
_anonymous = itertools.count()


class TaskRef:
    """Stands for the result of the task ``key`` among another task's arguments.

    Examples
    --------
    >>> Task("y", abs, TaskRef("x"))({"x": -1})
    1
    """

    __slots__ = ("key",)

    def __init__(self, key):
        self.key = key

    def __repr__(self):
        return f"{type(self).__name__}({self.key!r})"

    __str__ = __repr__

    def __hash__(self):
        return hash((type(self), self.key))

    def __eq__(self, other):
        return isinstance(other, TaskRef) and self.key == other.key

    def __reduce__(self):
        return TaskRef, (self.key,)

    def substitute(self, subs, key=None):
        """The reference that ``subs`` gives for this key, or this one."""
        if self.key not in subs:
            return self
        value = subs[self.key]
        if isinstance(value, (GraphNode, TaskRef)):
            return value.substitute({}, key=key)
        return TaskRef(value)


class GraphNode:
    """One task of a graph: callable with a mapping of its dependencies' results."""

    __slots__ = ("key", "_dependencies")

    key: Any
    _dependencies: frozenset

    @property
    def dependencies(self) -> frozenset:
        """Keys of the tasks whose results this one reads."""
        return self._dependencies

    @property
    def data_producer(self) -> bool:
        return False

    @property
    def block_fusion(self) -> bool:
        return False

    @property
    def is_coro(self) -> bool:
        return False

    def ref(self):
        """A reference to this task's result."""
        return Alias(self.key)

    def copy(self):
        raise NotImplementedError(f"{type(self).__name__}.copy")

    def substitute(self, subs, key=None):
        raise NotImplementedError(f"{type(self).__name__}.substitute")

    def __call__(self, values=()):
        raise NotImplementedError(f"{type(self).__name__}.__call__")

    def _verify_values(self, values):
        missing = set(self.dependencies).difference(values)
        if missing:
            raise RuntimeError(f"Not enough arguments provided: missing keys {missing}")

    def __eq__(self, other):
        if type(other) is not type(self):
            return False
        from weft.tokenize import tokenize

        return tokenize(self) == tokenize(other)

    def __hash__(self):
        from weft.tokenize import tokenize

        return hash(tokenize(self))

    @classmethod
    def get_all_slots(cls):
        """Names of all slots, base classes first."""
        return [slot for base in reversed(cls.__mro__) for slot in getattr(base, "__slots__", ())]

    @staticmethod
    def fuse(*tasks, key=None):
        """One task that does what ``tasks`` do; they must lead to one result.

        Raises
        ------
        ValueError
            If nothing, or more than one result, comes out of the tasks.
        """
        if any(node.key is None for node in tasks):
            raise ValueError("Cannot fuse tasks without keys")
        if len(tasks) == 1:
            return tasks[0].substitute({}, key=key)
        keys = {node.key for node in tasks}
        read = set().union(*(node.dependencies for node in tasks))
        leafs = keys - read
        if len(leafs) != 1:
            raise ValueError(f"Cannot fuse tasks with multiple outputs {leafs}")
        (out,) = leafs
        external = tuple(sorted(read - keys, key=str))
        inner = {node.key: node for node in tasks}
        args = [TaskRef(k) for k in external]
        return Task(key if key is not None else out, _execute_subgraph, inner, out, external, *args)


def _execute_subgraph(inner, out, external, *values):
    cache = dict(zip(external, values))
    return execute_graph(inner, cache=cache, keys=[out])[out]


class Alias(GraphNode):
    """A task that passes on the result of ``target``.

    Examples
    --------
    >>> Alias("y", "x")({"x": 1})
    1
    """

    __slots__ = ("target",)

    target: Any

    def __init__(self, key, target=None):
        if isinstance(key, TaskRef):
            key = key.key
        if isinstance(target, Alias):
            target = target.target
        elif isinstance(target, TaskRef):
            target = target.key
        self.key = key
        self.target = key if target is None else target
        self._dependencies = frozenset((self.target,))

    def __reduce__(self):
        return Alias, (self.key, self.target)

    def copy(self):
        return Alias(self.key, self.target)

    def substitute(self, subs, key=None):
        new_key, new_target = subs.get(self.key, self.key), subs.get(self.target, self.target)
        if new_key == self.key and new_target == self.target and key in (None, self.key):
            return self
        if isinstance(new_target, (GraphNode, TaskRef)):
            return new_target.substitute({}, key=key)
        if key is None and isinstance(new_key, GraphNode):
            raise RuntimeError(f"Invalid substitution encountered {self.key!r} -> {new_key}")
        return Alias(new_key if key is None else key, new_target)

    def __dask_tokenize__(self):
        return (type(self).__name__, self.key, self.target)

    def __call__(self, values=()):
        self._verify_values(values)
        return values[self.target]

    def __repr__(self):
        return f"Alias({self.key!r})" if self.key == self.target else f"Alias({self.key!r}->{self.target!r})"

    def __eq__(self, other):
        return isinstance(other, Alias) and (self.key, self.target) == (other.key, other.target)

    def __hash__(self):
        return hash((Alias, self.key, self.target))


class DataNode(GraphNode):
    """A task that is a value already.

    Examples
    --------
    >>> DataNode("x", 1)()
    1
    """

    __slots__ = ("value", "typ")

    def __init__(self, key, value):
        self.key = (type(value).__name__, next(_anonymous)) if key is None else key
        self.value = value
        self.typ = type(value)
        self._dependencies = _NOTHING

    @property
    def data_producer(self):
        return True

    def copy(self):
        return DataNode(self.key, self.value)

    def substitute(self, subs, key=None):
        return self if key is None or key == self.key else DataNode(key, self.value)

    def __call__(self, values=()):
        return self.value

    def __iter__(self):
        return iter(self.value)

    def __reduce__(self):
        return DataNode, (self.key, self.value)

    def __dask_tokenize__(self):
        return (type(self).__name__, self.value)

    def __repr__(self):
        return f"DataNode({self.value!r})"


def _reads(args: Iterable) -> frozenset:
    found: set = set()
    for arg in args:
        if isinstance(arg, TaskRef):
            found.add(arg.key)
        elif isinstance(arg, GraphNode):
            found |= arg.dependencies
    return frozenset(found) if found else _NOTHING


class Task(GraphNode):
    """A call of ``func``; references among its arguments are replaced by results.

    Examples
    --------
    >>> from weft._task_spec import Task, TaskRef
    >>> Task("total", sum, TaskRef("parts"))({"parts": [1, 2]})
    3
    """

    __slots__ = ("func", "args", "kwargs", "_data_producer", "_token")

    def __init__(self, key, func: Callable, /, *args, _data_producer: bool = False, **kwargs):
        if isinstance(func, Task):
            raise TypeError("Cannot nest tasks")
        self.key = key
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self._dependencies = _reads(itertools.chain(args, kwargs.values()))
        self._data_producer = _data_producer
        self._token = None

    @property
    def data_producer(self):
        return self._data_producer

    @property
    def is_coro(self):
        import inspect

        return inspect.iscoroutinefunction(self.func)

    def has_subgraph(self):
        return self.func is _execute_subgraph

    def copy(self):
        return type(self)(self.key, self.func, *self.args, _data_producer=self._data_producer, **self.kwargs)

    def _get_token(self):
        from weft.tokenize import tokenize

        if self._token is None:
            self._token = tokenize((type(self).__name__, self.func, self.args, self.kwargs))
        return self._token

    def __dask_tokenize__(self):
        return self._get_token()

    def __hash__(self):
        return hash(self._get_token())

    def __call__(self, values=()):
        self._verify_values(values)
        args = [_evaluate(arg, values) for arg in self.args]
        return self.func(*args, **{name: _evaluate(arg, values) for name, arg in self.kwargs.items()})

    def substitute(self, subs, key=None):
        new_key = self.key if key is None else key
        subs = {k: subs[k] for k in self.dependencies & subs.keys() if subs[k] is not k}
        if not subs and new_key == self.key:
            return self
        args = [_substitute(arg, subs) for arg in self.args]
        kwargs = {name: _substitute(arg, subs) for name, arg in self.kwargs.items()}
        return type(self)(new_key, self.func, *args, _data_producer=self._data_producer, **kwargs)

    def __getstate__(self):
        return (self.key, self.func, self.args, self.kwargs, self._data_producer)

    def __setstate__(self, state):
        self.key, self.func, self.args, self.kwargs, self._data_producer = state
        self._dependencies = _reads(itertools.chain(self.args, self.kwargs.values()))
        self._token = None

    def __repr__(self):
        from weft.utils import funcname

        shown = [repr(arg) for arg in self.args] + [f"{k}={v!r}" for k, v in sorted(self.kwargs.items())]
        inside = ", ".join(shown)
        if len(inside) > 60:
            inside = "..."
        return f"<Task {self.key!r} {funcname(self.func)}({inside})>"


def _evaluate(arg, values):
    if isinstance(arg, TaskRef):
        return values[arg.key]
    if isinstance(arg, GraphNode):
        return arg({key: values[key] for key in arg.dependencies})
    return arg


def _substitute(arg, subs):
    return arg.substitute(subs) if isinstance(arg, (GraphNode, TaskRef)) else arg


class NestedContainer(Task, Iterable):
    """A built-in container with references in it."""

    __slots__ = ()

    klass: type

    def __init__(self, /, *args):
        if len(args) == 1 and isinstance(args[0], self.klass):
            args = tuple(args[0])
        super().__init__(None, self.klass, *args)

    def __call__(self, values=()):
        self._verify_values(values)
        return self.klass([_evaluate(arg, values) for arg in self.args])

    def copy(self):
        new = type(self)(*self.args)
        new.key = self.key
        return new

    def substitute(self, subs, key=None):
        new_key = self.key if key is None else key
        subs = {k: subs[k] for k in self.dependencies & subs.keys() if subs[k] is not k}
        if not subs and new_key == self.key:
            return self
        new = self._of([_substitute(arg, subs) for arg in self.args])
        new.key = new_key
        return new

    @classmethod
    def _of(cls, args):
        new = cls()
        new.args = tuple(args)
        new._dependencies = _reads(new.args)
        return new

    def __iter__(self):
        return iter(self.args)

    def __repr__(self):
        return f"{type(self).__name__}({self.args})"


class List(NestedContainer):
    """A list with references in it.

    Examples
    --------
    >>> List(TaskRef("x"), 2)({"x": 1})
    [1, 2]
    """

    __slots__ = ()
    klass = list


class Tuple(NestedContainer):
    """A tuple with references in it."""

    __slots__ = ()
    klass = tuple


class Set(NestedContainer):
    """A set with references in it."""

    __slots__ = ()
    klass = set


class Dict(NestedContainer, Mapping):
    """A dict with references among its keys or values: from a dict, from pairs, or from names."""

    __slots__ = ()
    klass = dict

    def __init__(self, /, *args, **kwargs):
        if args and kwargs:
            raise ValueError("give a Dict either items or names, not both")
        if kwargs:
            args = tuple(itertools.chain(*kwargs.items()))
        elif len(args) == 1:
            (items,) = args
            if isinstance(items, dict):
                args = tuple(itertools.chain(*items.items()))
            elif isinstance(items, (list, tuple)):
                pairs = all(isinstance(item, (list, tuple)) and len(item) == 2 for item in items)
                args = tuple(itertools.chain(*items)) if pairs else tuple(items)
            else:
                raise ValueError(f"a Dict is made of a dict or of pairs, got {type(items).__name__}")
        if len(args) % 2:
            raise ValueError("a Dict needs a value for each key")
        Task.__init__(self, None, dict, *args)

    def __call__(self, values=()):
        self._verify_values(values)
        parts = iter([_evaluate(arg, values) for arg in self.args])
        return dict(zip(parts, parts))

    def __iter__(self):
        return iter(self.args[::2])

    def __len__(self):
        return len(self.args) // 2

    def __getitem__(self, key):
        for own, value in zip(self.args[::2], self.args[1::2]):
            if own == key:
                return value
        raise KeyError(key)

    def __repr__(self):
        items = ", ".join(f"{k}: {v}" for k, v in zip(self.args[::2], self.args[1::2]))
        return f"Dict({items})"

    __hash__ = Task.__hash__
    __eq__ = GraphNode.__eq__


def parse_input(obj):
    """``obj`` as a node if it is a container with nodes in it, else ``obj`` itself.

    Examples
    --------
    >>> parse_input([TaskRef("x"), 2])({"x": 1})
    [1, 2]
    >>> parse_input([1, 2])
    [1, 2]
    """
    if isinstance(obj, (GraphNode, TaskRef)):
        return obj
    if isinstance(obj, dict):
        pairs = {key: parse_input(value) for key, value in obj.items()}
        return Dict(pairs) if any(map(_is_node, pairs.values())) else obj
    if isinstance(obj, (list, set, tuple)):
        items = [parse_input(item) for item in obj]
        if any(map(_is_node, items)):
            if hasattr(obj, "_fields"):
                return Task(None, type(obj), *items)
            return {list: List, tuple: Tuple, set: Set}[type(obj)](*items)
    return obj


def _is_node(obj):
    return isinstance(obj, (GraphNode, TaskRef))


def convert_legacy_task(key, task, all_keys: Container):
    """A value of a graph in tuple notation, as a `GraphNode` if it is a task.

    Examples
    --------
    >>> convert_legacy_task("y", (abs, "x"), {"x"})({"x": -1})
    1
    """
    if isinstance(task, GraphNode):
        return task
    if type(task) is tuple and task and callable(task[0]):
        args = [Dict(a) if isinstance(a, dict) else convert_legacy_task(None, a, all_keys) for a in task[1:]]
        return Task(key, task[0], *args)
    if isinstance(task, (int, float, str, tuple)):
        try:
            if task in all_keys:
                return Alias(task) if key is None else Alias(key, task)
        except TypeError:
            pass
    if isinstance(task, (list, tuple, set, frozenset)):
        items = [convert_legacy_task(None, item, all_keys) for item in task]
        if any(map(_is_node, items)):
            if hasattr(task, "_fields"):
                return Task(key, type(task), *items)
            return Task(key, partial(_collect, type(task)), *items)
    return task


def _collect(typ, *items):
    return typ(items)


class Results(dict):
    """A graph of finished results: its values are values, whatever they look like.

    In any other mapping a tuple that starts with a callable is a call, and text may be a key.
    """

    __slots__ = ()


def convert_legacy_graph(dsk: Mapping, all_keys: Container | None = None) -> dict:
    """A graph in tuple notation with each value as a `GraphNode`.

    Examples
    --------
    >>> sorted(convert_legacy_graph({"x": 1, "y": (abs, "x")})["y"].dependencies)
    ['x']
    """
    if isinstance(dsk, Results):
        return {key: DataNode(key, value) for key, value in dsk.items()}
    known = set(dsk) if all_keys is None else all_keys
    converted = {}
    for key, task in dsk.items():
        node = convert_legacy_task(key, task, known)
        if isinstance(node, Alias) and node.target == key:
            continue
        converted[key] = node if isinstance(node, GraphNode) else DataNode(key, node)
    return converted


def execute_graph(dsk, cache: MutableMapping | None = None, keys: Iterable = (), process_errors=None):
    """Runs a graph of nodes one after the other; results by key.

    With ``keys``, results that nothing needs any more are dropped on the way.

    Examples
    --------
    >>> execute_graph({"x": DataNode("x", -1), "y": Task("y", abs, TaskRef("x"))}, keys=["y"])
    {'y': 1}
    """
    from weft.core import toposort

    nodes = convert_legacy_graph(dsk) if not all(isinstance(n, GraphNode) for n in dsk.values()) else dsk
    results = {} if cache is None else cache
    dependencies = {key: set(node.dependencies) & set(nodes) for key, node in nodes.items()}
    wanted = set(keys)
    left: dict = {}
    for reads in dependencies.values():
        for key in reads:
            left[key] = left.get(key, 0) + 1
    for key in toposort(nodes, dependencies):
        node = nodes[key]
        results[key] = node({k: results[k] for k in node.dependencies})
        if wanted:
            for read in dependencies[key]:
                left[read] -= 1
                if not left[read] and read not in wanted:
                    del results[read]
    return results


def cull(dsk, keys):
    """The part of a graph of nodes that ``keys`` need.

    Examples
    --------
    >>> sorted(cull({"x": DataNode("x", 1), "y": DataNode("y", 2)}, ["x"]))
    ['x']
    """
    keys = set(keys)
    if not keys:
        return dsk
    found, pending = {}, list(keys)
    while pending:
        key = pending.pop()
        if key in found or key not in dsk:
            continue
        found[key] = dsk[key]
        pending.extend(dsk[key].dependencies)
    return found


def resolve_aliases(dsk: dict, keys: set, dependents: dict) -> dict:
    """Drops aliases whose target has no other reader and is not asked for."""
    if not keys:
        raise ValueError("No keys provided")
    dsk = dict(dsk)
    pending, seen = list(keys), set()
    while pending:
        key = pending.pop()
        if key in seen or key not in dsk:
            continue
        seen.add(key)
        node = dsk[key]
        if isinstance(node, Alias):
            target = node.target
            if target not in keys and target in dsk and len(dependents[target]) == 1:
                node = dsk.pop(target).copy()
                node.key = key
                dsk[key] = node
                if isinstance(node, Alias):
                    seen.discard(key)
                    pending.append(key)
        pending.extend(node.dependencies)
    return dsk


class DependenciesMapping(MutableMapping):
    """The keys that each task of a graph reads, found when they are asked for.

    Examples
    --------
    >>> DependenciesMapping({"y": Task("y", abs, TaskRef("x"))})["y"]
    frozenset({'x'})
    """

    def __init__(self, dsk):
        self.dsk = dsk
        self._removed = set()

    def __getitem__(self, key):
        node = self.dsk[key]
        if isinstance(node, GraphNode):
            reads = node.dependencies
        else:
            from weft.core import get_dependencies

            reads = get_dependencies(self.dsk, task=node)
        return frozenset(reads) - self._removed

    def __iter__(self):
        return iter(self.dsk)

    def __len__(self):
        return len(self.dsk)

    def __delitem__(self, key):
        self._removed.add(key)

    def __setitem__(self, key, value):
        raise NotImplementedError("dependencies follow from the tasks")


def fuse_linear_task_spec(dsk, keys):
    """Tasks as they are: the engine runs a linear chain without coming back to Python between."""
    return dict(dsk)


def call_with(func, /, *args, **kwargs):
    """Calls a function that is itself the result of a task."""
    return func(*args, **kwargs)


def native_task(key, name, index, inputs, call=None):
    """How a task shows itself that Rust does."""
    return Task(key, NativeStep(name, index, call), *[TaskRef(k) for k in inputs])


class NativeStep:
    """A step that Rust does, by name and number; weft's engine runs it without making Python objects of its inputs."""

    __slots__ = ("__name__", "call", "index")

    def __init__(self, name, index, call=None):
        self.__name__ = name
        self.index = index
        self.call = call

    def __call__(self, *args):
        if self.call is None:
            raise TypeError(
                f"the step {self.__name__!r} is a native kernel that did not travel here: compute the collection "
                "on weft instead of calling its tasks"
            )
        return self.call(*args)

    def __dask_tokenize__(self):
        return (self.__name__, self.index, None if self.call is None else self.call.token)

    def __reduce__(self):
        call = self.call if self.call is not None and self.call.portable else None
        return NativeStep, (self.__name__, self.index, call)

    def __repr__(self):
        return f"<native {self.__name__}>"


def check_dataclass(obj):
    """Raises if ``obj`` cannot be rebuilt from its fields."""
    import dataclasses

    fields = dataclasses.fields(obj)
    try:
        dataclasses.replace(obj, **{f.name: getattr(obj, f.name) for f in fields if hasattr(obj, f.name)})
    except (TypeError, ValueError) as error:
        name = type(obj).__name__
        if isinstance(error, ValueError) or "is declared with init=False" in str(error):
            raise ValueError(
                f"Failed to unpack {name} instance. Note that using fields with `init=False` are not supported."
            ) from error
        raise TypeError(
            f"Failed to unpack {name} instance. Note that using a custom __init__ is not supported."
        ) from error
