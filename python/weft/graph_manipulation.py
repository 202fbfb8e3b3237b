"""Collections that wait for others, and copies that share nothing with the original."""

from __future__ import annotations

import uuid
from collections.abc import Hashable

from weft._task_spec import GraphNode, List, Task, TaskRef
from weft._weft import Graph
from weft.base import (
    clone_key,
    collections_to_dsk,
    get_collection_names,
    get_name_from_key,
    replace_name_in_key,
    tokenize,
    unpack_collections,
)
from weft.core import flatten
from weft.delayed import Delayed, delayed

__all__ = ["bind", "checkpoint", "clone", "wait_on"]


class chunks:
    """What the tasks made here do."""

    @staticmethod
    def bind(node, *args, **kwargs):
        """``node``, once the other arguments exist."""
        return node

    @staticmethod
    def checkpoint(*args, **kwargs):
        """``None``, once the arguments exist."""


def checkpoint(*collections, split_every=None) -> Delayed:
    """A lazy ``None`` that is there once all parts of the collections are.

    Parameters
    ----------
    *collections
        Collections, or containers of them.
    split_every : int or False, optional
        How many parts one task waits for (at least 2; 8 by default); ``False``: one task waits for all.

    Returns
    -------
    Delayed

    Raises
    ------
    ValueError
        If ``split_every`` is less than 2.

    Examples
    --------
    >>> import weft
    >>> done = checkpoint(weft.delayed(print)("working"))
    >>> done.compute() is None
    working
    True
    """
    if split_every is None:
        split_every = 8
    elif split_every is not False:
        split_every = int(split_every)
        if split_every < 2:
            raise ValueError("split_every must be False, None, or >= 2")
    found, _ = unpack_collections(*collections)
    if len(found) == 1:
        return _checkpoint_one(found[0], split_every)
    return delayed(chunks.checkpoint)(*[_checkpoint_one(c, split_every) for c in found])


def _checkpoint_one(collection, split_every) -> Delayed:
    token = tokenize(collection)
    name = f"checkpoint-{token}"
    graph = collection.__dask_graph__()
    keys = list(flatten(collection.__dask_keys__()))
    tasks: dict = {}
    if len(keys) > 1:
        # Parts are forgotten one by one instead of waiting together for the last task.
        waits = []
        for key in keys:
            prefix = get_name_from_key(key)
            new = replace_name_in_key(key, {prefix: "checkpoint_map-" + tokenize(prefix, token)})
            tasks[new] = Task(new, chunks.checkpoint, TaskRef(key))
            waits.append(new)
        number = 0
        while split_every and len(waits) > split_every:
            new = (name, number)
            number += 1
            tasks[new] = Task(new, chunks.checkpoint, *map(TaskRef, waits[:split_every]))
            waits = waits[split_every:] + [new]
        keys = waits
    tasks[name] = Task(name, chunks.checkpoint, List(*map(TaskRef, keys)))
    return Delayed(name, Graph.extend(graph, tasks))


def bind(children, parents, *, omit=None, seed: Hashable | None = None, assume_layers=True, split_every=None):
    """Copies of ``children`` whose first tasks wait until ``parents`` are computed.

    Parameters
    ----------
    children, parents
        Collections, or containers of them. With ``parents=None`` the copies wait for nothing.
    omit
        Collections below ``children`` that are not copied.
    seed : Hashable, optional
        The new keys follow from the old ones and this; random by default.
    assume_layers : bool
        Accepted for compatibility: keys decide, whatever the kind of graph.
    split_every
        See `checkpoint`.

    Returns
    -------
    Like ``children``.

    Examples
    --------
    >>> import weft
    >>> from weft.graph_manipulation import bind
    >>> first, then = weft.delayed(list)(), weft.delayed(sum)([1, 2])
    >>> bind(then, first).compute()
    3
    """
    if seed is None:
        seed = uuid.uuid4().bytes
    blocker = checkpoint(parents, split_every=split_every) if parents is not None else None
    omitted, _ = unpack_collections(omit)
    omit_keys = {key for collection in omitted for key in collection.__dask_graph__()}
    found, repack = unpack_collections(children)
    return repack([_bind_one(child, blocker, omit_keys, seed) for child in found])[0]


def _bind_one(child, blocker, omit_keys, seed):
    names = get_collection_names(child)
    if not names:
        return child
    graph = Graph(child.__dask_graph__())
    renamed = {key: clone_key(key, seed) for key in graph if key not in omit_keys}
    tasks: dict = {}
    kept: set = set()
    for key, new in renamed.items():
        node = graph[key]
        subs = {read: renamed[read] for read in node.dependencies if read in renamed}
        kept |= node.dependencies & omit_keys
        node = _renamed(node, subs, new)
        if not subs and blocker is not None:
            node.key = None
            argument = TaskRef(node.target) if hasattr(node, "target") else node
            node = Task(new, chunks.bind, argument, TaskRef(blocker.key))
        tasks[new] = node
    below = [graph.cull(list(kept))] if kept else []
    if blocker is not None:
        below.append(blocker.__dask_graph__())
    whole = Graph.extend(Graph.merge(below), tasks)
    rebuild, args = child.__dask_postpersist__()
    return rebuild(whole, *args, rename={name: clone_key(name, seed) for name in names})


def _renamed(node: GraphNode, subs, key):
    from weft._task_spec import Alias

    if isinstance(node, Alias):
        return Alias(key, subs.get(node.target, node.target))
    node = node.substitute(subs, key=key)
    return node


def clone(*collections, omit=None, seed: Hashable | None = None, assume_layers=True):
    """Copies of collections that share no task with the originals.

    Parameters
    ----------
    *collections
        Collections, or containers of them.
    omit
        Collections below them that are shared all the same.
    seed, assume_layers
        See `bind`.

    Returns
    -------
    Like ``collections``.

    Examples
    --------
    >>> import weft
    >>> x = weft.delayed(abs)(-1, dask_key_name="x")
    >>> y = clone(x)
    >>> y.key == x.key, y.compute()
    (False, 1)
    """
    out = bind(collections, parents=None, omit=omit, seed=seed, assume_layers=assume_layers)
    return out[0] if len(collections) == 1 else out


def wait_on(*collections, split_every=None):
    """The same collections, no part of which is used before all parts of all of them are there.

    Parameters
    ----------
    *collections
        Collections, or containers of them.
    split_every
        See `checkpoint`.

    Returns
    -------
    Like ``collections``.

    Examples
    --------
    >>> import weft
    >>> x, y = weft.delayed(abs)(-1), weft.delayed(abs)(-2)
    >>> x, y = wait_on(x, y)  # x is given to nobody before y is there
    >>> weft.compute(x, y)
    (1, 2)
    """
    blocker = checkpoint(*collections, split_every=split_every)

    def block_one(collection):
        token = tokenize(collection, blocker)
        rename = {name: "wait_on-" + tokenize(name, token) for name in get_collection_names(collection)}
        tasks = {}
        for key in flatten(collection.__dask_keys__()):
            new = replace_name_in_key(key, rename)
            tasks[new] = Task(new, chunks.bind, TaskRef(key), TaskRef(blocker.key))
        graph = Graph.extend(collections_to_dsk([collection, blocker], optimize_graph=False), tasks)
        rebuild, args = collection.__dask_postpersist__()
        return rebuild(graph, *args, rename=rename)

    found, repack = unpack_collections(*collections)
    out = repack([block_one(collection) for collection in found])
    return out[0] if len(collections) == 1 else out
