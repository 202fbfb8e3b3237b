"""Lazy calls of ordinary Python functions."""

from __future__ import annotations

import operator
import types
import warnings
from functools import partial
from typing import Any

from weft import config, threaded
from weft._weft import AttrCore, DelayedCore, Graph, LeafCore, delayed_call, delayed_object, unique_token
from weft.base import _Methods, is_dask_collection, replace_name_in_key
from weft.base import tokenize as _tokenize
from weft.context import globalmethod
from weft.core import flatten

__all__ = ["Delayed", "delayed"]

_MISSING: Any = object()


def tokenize(*args, pure=None, **kwargs):
    """A token for arguments: that of their content if ``pure``, else one that never repeats."""
    if config.get("delayed_pure", False) if pure is None else pure:
        return _tokenize(*args, **kwargs)
    return unique_token()


def single_key(seq):
    """The only element of a list.

    Examples
    --------
    >>> single_key([5])
    5
    """
    return seq[0]


def optimize(dsk, keys, **kwargs):
    """The part of a graph that ``keys`` need."""
    if isinstance(dsk, Graph):
        # The engine expands what the keys need and nothing else.
        return dsk
    graph = Graph(dsk)
    return graph.cull(list(flatten(keys)) if isinstance(keys, (list, set, tuple)) else [keys])


def delayed(obj=_MISSING, name=None, pure=None, nout=None, traverse=True):
    """Makes a function's calls, or an object, lazy.

    Parameters
    ----------
    obj : object
        A function, whose calls then give `Delayed` values; or any other object. Without it
        a decorator with the other arguments is returned.
    name : str, optional
        The key of the object itself in graphs. A call's key is given to the call, as ``dask_key_name=``.
    pure : bool, optional
        Whether the same arguments always give the same result: then equal calls have equal keys and run
        once. The setting ``delayed_pure`` decides where this is not given, and is False by default.
    nout : int, optional
        How many outputs a call has: its result can then be unpacked.
    traverse : bool
        False: do not look for lazy values inside ``obj``, if it is a container.

    Returns
    -------
    Delayed

    Raises
    ------
    ValueError
        If ``nout`` is not a non-negative integer.

    Examples
    --------
    >>> from weft import delayed
    >>> @delayed
    ... def add(a, b):
    ...     return a + b
    >>> total = delayed(sum)([add(1, 2), add(3, 4)])
    >>> total.compute()
    10

    Operators, attributes and methods of lazy values are lazy as well.

    >>> words = delayed("a b c").split()
    >>> (words + ["d"])[-1].upper().compute()
    'D'

    A call that returns several things can be unpacked.

    >>> quotient, rest = delayed(divmod, nout=2)(17, 5)
    >>> rest.compute()
    2

    Keys can be chosen; equal keys stand for the same task.

    >>> add(1, 2, dask_key_name="three")
    Delayed('three')
    """
    if obj is _MISSING:
        return partial(delayed, name=name, pure=pure, nout=nout, traverse=traverse)
    if nout is not None and not (type(nout) is int and nout >= 0):
        raise ValueError(f"nout must be None or a non-negative integer, got {nout}")
    if type(obj) is types.FunctionType:
        return DelayedLeaf(obj, name, pure, nout)
    if isinstance(obj, DelayedCore):
        return obj
    if is_dask_collection(obj):
        return finalize(obj)
    if traverse and not callable(obj) or is_dataclass_instance(obj):
        key = name or f"{type(obj).__name__}-{tokenize(obj, pure=pure)}"
        lazy = delayed_object(obj, key, nout)
        if lazy is not None:
            return lazy
    return DelayedLeaf(obj, name, pure, nout)


def is_dataclass_instance(obj):
    """Whether ``obj`` is made of fields."""
    return not isinstance(obj, type) and hasattr(type(obj), "__dataclass_fields__")


def finalize(collection):
    """A lazy value that is what ``collection.compute()`` would return.

    Examples
    --------
    >>> import weft
    >>> finalize(weft.delayed(abs)(-1)).compute()
    1
    """
    if isinstance(collection, DelayedCore):
        return collection
    from weft._task_spec import List, Task, TaskRef

    def refs(keys):
        return List(*map(refs, keys)) if isinstance(keys, list) else TaskRef(keys)

    from weft.base import collections_to_dsk

    graph = collections_to_dsk([collection])
    finish, state = collection.__dask_postcompute__()
    name = f"finalize-{_tokenize(collection)}"
    task = Task(name, finish, refs(list(collection.__dask_keys__())), *state)
    return Delayed(name, Graph.extend(graph, {name: task}))


def unpack_collections(expr, _return_collections=True):
    """An object with references in the places of collections, and those collections.

    Returns
    -------
    task : object
        ``expr`` itself if it has no collection; a `weft._task_spec.TaskRef` for a collection; otherwise
        a node that rebuilds the object.
    collections : tuple of Delayed

    Examples
    --------
    >>> import weft
    >>> x = weft.delayed(abs)(-1, dask_key_name="x")
    >>> task, collections = unpack_collections([x, 2])
    >>> [c.key for c in collections]
    ['x']
    """
    if isinstance(expr, DelayedCore):
        from weft._task_spec import TaskRef

        return TaskRef(expr.key), (expr,)
    if is_dask_collection(expr):
        return unpack_collections(finalize(expr))
    key = f"{type(expr).__name__}-{unique_token()}"
    lazy = delayed_object(expr, key, None)
    if lazy is None:
        return expr, ()
    task = lazy.__dask_graph__()[key]
    task.key = None
    inputs = {value.key: value for value in lazy._inputs(Delayed)}
    return task, tuple(inputs.values())


def to_task_dask(expr):
    """Deprecated: see `unpack_collections`."""
    warnings.warn(
        "The dask.delayed.to_dask_dask function has been Deprecated in favor of unpack_collections",
        stacklevel=2,
    )
    if isinstance(expr, DelayedCore):
        return expr.key, expr.dask
    if is_dask_collection(expr):
        value = finalize(expr)
        return value.key, value.dask
    task, collections = unpack_collections(expr)
    return task, Graph.merge([c.dask for c in collections])


class Delayed(DelayedCore, _Methods):  # type: ignore[misc]
    """A value that will be computed: one key of a graph.

    Made by `weft.delayed`; by hand from a key and a graph that has it.

    Parameters
    ----------
    key : str or tuple
    dsk : mapping
        The graph.
    length : int, optional
        How many values it can be unpacked into.

    Examples
    --------
    >>> Delayed("y", {"x": 1, "y": (abs, "x")}).compute()
    1
    """

    __slots__ = ()

    @property
    def dask(self):
        """The graph: a lazy mapping from keys to tasks."""
        return self._given_graph

    def __dask_graph__(self):
        return self._given_graph

    def __dask_keys__(self):
        return [self.key]

    def __dask_layers__(self):
        return (self._layer,)

    def __dask_tokenize__(self):
        return self.key

    __dask_scheduler__ = staticmethod(threaded.get)
    __dask_optimize__ = globalmethod(optimize, key="delayed_optimize")

    def __dask_postcompute__(self):
        return single_key, ()

    def __dask_postpersist__(self):
        return self._rebuild, ()

    def _rebuild(self, dsk, *, rename=None):
        key = replace_name_in_key(self.key, rename) if rename else self.key
        return Delayed(key, dsk, self._length)

    @property
    def _key(self):
        return self.key

    @property
    def _dask(self):
        return self._graph

    def __reduce__(self):
        return Delayed, (self.key, self._graph, self._length)

    def __repr__(self):
        return f"Delayed({self.key!r})"

    def __hash__(self):
        return hash(self.key)

    def __dir__(self):
        return dir(type(self))

    def __getattr__(self, attr):
        if attr.startswith("_"):
            raise AttributeError(f"Attribute {attr} not found")
        if attr == "visualise":
            warnings.warn(
                "weft/dask.delayed objects have no `visualise` method. Perhaps you meant `visualize`?",
                stacklevel=2,
            )
        return DelayedAttr(self, attr)

    def __setattr__(self, attr, value):
        raise TypeError("Delayed objects are immutable")

    def __delattr__(self, attr):
        raise TypeError("Delayed objects are immutable")

    def __setitem__(self, index, value):
        raise TypeError("Delayed objects are immutable")

    def __delitem__(self, index):
        raise TypeError("Delayed objects are immutable")

    def __iter__(self):
        if self._length is None:
            raise TypeError("Delayed objects of unspecified length are not iterable")
        return (self[i] for i in range(self._length))

    def __len__(self):
        if self._length is None:
            raise TypeError("Delayed objects of unspecified length have no len()")
        return self._length

    def __bool__(self):
        raise TypeError("Truth of Delayed objects is not supported")

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    @classmethod
    def _get_binary_operator(cls, op, inv=False):
        if inv:
            return lambda self, other: delayed_call(op, (other, self), True)
        return lambda self, *args: delayed_call(op, (self, *args), True)

    @classmethod
    def _get_unary_operator(cls, op):
        return cls._get_binary_operator(op)


def _bind_operators():
    unary = ["abs", "neg", "pos", "invert"]
    ordered = ["eq", "ne", "lt", "le", "gt", "ge", "getitem"]
    reflected = [
        "add",
        "sub",
        "mul",
        "floordiv",
        "truediv",
        "mod",
        "pow",
        "and_",
        "or_",
        "xor",
        "lshift",
        "rshift",
    ]
    for name in unary + ordered:
        setattr(Delayed, f"__{name}__", Delayed._get_binary_operator(getattr(operator, name)))
    for name in [*reflected, "matmul"]:
        op, stem = getattr(operator, name), name.rstrip("_")
        setattr(Delayed, f"__{stem}__", Delayed._get_binary_operator(op))
        setattr(Delayed, f"__r{stem}__", Delayed._get_binary_operator(op, inv=True))
    for op, stem in [(divmod, "divmod")]:
        setattr(Delayed, f"__{stem}__", Delayed._get_binary_operator(op))
        setattr(Delayed, f"__r{stem}__", Delayed._get_binary_operator(op, inv=True))


_bind_operators()


class DelayedLeaf(LeafCore, Delayed):  # type: ignore[misc]
    """`delayed` of a function or of another object without lazy parts."""

    __slots__ = ()

    def __reduce__(self):
        return DelayedLeaf, (self._obj, self.key, self._pure, self._nout)

    @property
    def __name__(self):
        return self._obj.__name__

    @property
    def __wrapped__(self):
        return self._obj

    @property
    def __doc__(self):
        return self._obj.__doc__


class DelayedAttr(AttrCore, Delayed):  # type: ignore[misc]
    """An attribute of a lazy value; calling it calls the method."""

    __slots__ = ()

    def __reduce__(self):
        return DelayedAttr, (self._obj, self._attr)

    def __getattr__(self, attr):
        # NumPy follows `.dtype.dtype.…` without end when it is asked for the dtype of a lazy value.
        if attr == "dtype" and self._attr == "dtype":
            raise AttributeError("Attribute dtype not found")
        return super().__getattr__(attr)


def call_function(func, func_token, args, kwargs, pure=None, nout=None):
    """A lazy call of ``func``."""
    return DelayedLeaf(func, None, pure, nout)(*args, **kwargs)
