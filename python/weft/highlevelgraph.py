"""Graphs of named layers in plain Python, for libraries that write their own graphs.

weft's collections show a `weft._weft.Graph`, which has the same ``layers`` and ``dependencies``; a
`HighLevelGraph` may hold layers of both kinds.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Hashable, ItemsView, Iterable, KeysView, Mapping, ValuesView
from typing import Any

from weft._task_spec import Alias, DataNode, GraphNode, Task, TaskRef, convert_legacy_task
from weft._weft import Graph, LayerView
from weft.base import clone_key, flatten, get_annotations, is_dask_collection
from weft.core import keys_in_tasks, reverse_dict, toposort

Mapping.register(Graph)
Mapping.register(LayerView)


def compute_layer_dependencies(layers):
    """For each layer, the layers whose keys its tasks read."""
    owner = {key: name for name, layer in layers.items() for key in layer}
    dependencies: dict = {}
    for name, layer in layers.items():
        reads = keys_in_tasks(owner.keys() - layer.keys(), layer.values())
        dependencies[name] = {owner[key] for key in reads}
    return dependencies


class Layer(Mapping):
    """One layer: a mapping from keys to tasks, with annotations.

    Subclasses may make their tasks when they are asked for.
    """

    annotations: Mapping[str, Any] | None
    collection_annotations: Mapping[str, Any] | None

    def __init__(self, annotations=None, collection_annotations=None):
        self.annotations = annotations or get_annotations() or None
        self.collection_annotations = collection_annotations

    def is_materialized(self) -> bool:
        """Whether all tasks exist already."""
        return True

    def get_output_keys(self):
        """All keys of the layer."""
        return self.keys()

    def get_dependencies(self, key, all_hlg_keys: Collection) -> set:
        """The keys that the task ``key`` reads."""
        return keys_in_tasks(all_hlg_keys, [self[key]])

    def cull(self, keys: set, all_hlg_keys: Collection):
        """The part of this layer that ``keys`` need, and what each of its tasks reads."""
        found, pending = {}, set(keys)
        while pending:
            key = pending.pop()
            if key in self and key not in found:
                found[key] = self.get_dependencies(key, all_hlg_keys)
                pending |= {read for read in found[key] if read in self}
        part = MaterializedLayer({key: self[key] for key in found}, annotations=self.annotations)
        return part, found

    def clone(self, keys: set, seed: Hashable, bind_to=None):
        """A copy in which ``keys`` have new names.

        Parameters
        ----------
        keys : set
            Keys to rename, here and where tasks read them.
        seed : Hashable
            The new names follow from the old ones and this.
        bind_to : key, optional
            Tasks that read none of ``keys`` wait for this key.

        Returns
        -------
        layer : Layer
        bound : bool
            Whether a task waits for ``bind_to``.
        """
        from weft.graph_manipulation import chunks

        bound = False
        tasks: dict = {}
        renamed = {key: clone_key(key, seed) for key in keys}
        for key in self:
            node = convert_legacy_task(key, self[key], _Either(keys, self))
            if not isinstance(node, GraphNode):
                node = DataNode(key, node)
            new_key = renamed.get(key, key)
            subs = {read: renamed[read] for read in node.dependencies if read in renamed}
            # A task of which all reads are renamed here waits because they do.
            leaf = not subs
            node = _renamed(node, subs, new_key)
            if leaf and bind_to is not None and key in keys:
                inner = node.copy()
                inner.key = None
                node = Task(new_key, chunks.bind, _as_argument(inner), TaskRef(bind_to))
                bound = True
            tasks[new_key] = node
        return MaterializedLayer(tasks, annotations=self.annotations), bound

    def __copy__(self):
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new

    def __reduce__(self):
        return MaterializedLayer, (dict(self), self.annotations, self.collection_annotations)


class _Either:
    """Keys that are in one of two places."""

    def __init__(self, *places):
        self.places = places

    def __contains__(self, key):
        return any(key in place for place in self.places)


def _renamed(node, subs, key):
    if isinstance(node, Alias):
        return Alias(key, subs.get(node.target, node.target))
    node = node.substitute(subs, key=key)
    node.key = key
    return node


def _as_argument(node):
    if isinstance(node, DataNode):
        return node
    return TaskRef(node.target) if isinstance(node, Alias) else node


class MaterializedLayer(Layer):
    """A layer whose tasks are in a dict."""

    def __init__(self, mapping: Mapping, annotations=None, collection_annotations=None):
        super().__init__(annotations, collection_annotations)
        self.mapping = mapping

    def __contains__(self, key):
        return key in self.mapping

    def __getitem__(self, key):
        return self.mapping[key]

    def __iter__(self):
        return iter(self.mapping)

    def __len__(self):
        return len(self.mapping)

    def get_output_keys(self):
        return self.keys()


class HighLevelGraph(Mapping):
    """A graph of named layers.

    Parameters
    ----------
    layers : mapping of str to mapping
        Each layer's tasks.
    dependencies : mapping of str to set of str
        The layers that each layer reads.
    key_dependencies : mapping, optional
        The keys that each task reads, where known.

    Examples
    --------
    >>> from weft.highlevelgraph import HighLevelGraph
    >>> graph = HighLevelGraph({"x": {"a": 1}, "y": {"b": (abs, "a")}}, {"x": set(), "y": {"x"}})
    >>> sorted(graph)
    ['a', 'b']
    """

    def __init__(self, layers: Mapping, dependencies: Mapping, key_dependencies=None):
        self.layers = {
            name: layer if isinstance(layer, (Layer, LayerView)) else MaterializedLayer(layer)
            for name, layer in layers.items()
        }
        self.dependencies = dict(dependencies)
        self.key_dependencies = dict(key_dependencies or {})

    @classmethod
    def from_collections(cls, name, layer, dependencies=()):
        """A graph of one new layer over the graphs of collections.

        Parameters
        ----------
        name : str
            Name of the new layer.
        layer : mapping
            Its tasks.
        dependencies : sequence of collections
            What the tasks read.
        """
        layers: dict = {}
        reads: dict = {name: set()}
        for collection in dependencies:
            if not is_dask_collection(collection):
                raise TypeError(type(collection))
            graph = collection.__dask_graph__()
            if hasattr(graph, "layers"):
                layers.update(graph.layers)
                reads.update(graph.dependencies)
                reads[name] |= set(_layer_names(collection, graph))
            else:
                below = f"graph-{id(graph)}"
                layers[below], reads[below] = graph, set()
                reads[name].add(below)
        layers[name] = layer
        return cls(layers, reads)

    @classmethod
    def merge(cls, *graphs: Any) -> HighLevelGraph:
        """One graph with the layers of several."""
        layers: dict = {}
        dependencies: dict = {}
        for graph in graphs:
            if hasattr(graph, "layers"):
                layers.update(graph.layers)
                dependencies.update(graph.dependencies)
            elif isinstance(graph, Mapping):
                layers[id(graph)], dependencies[id(graph)] = graph, set()
            else:
                raise TypeError(f"expected a graph, got {type(graph).__name__}")
        return cls(layers, dependencies)

    def __getitem__(self, key):
        for name in (key, key[0] if isinstance(key, tuple) and key else None):
            try:
                return self.layers[name][key]
            except (KeyError, TypeError):
                pass
        for layer in self.layers.values():
            if key in layer:
                return layer[key]
        raise KeyError(key)

    def __iter__(self):
        return iter(self.to_dict())

    def __len__(self):
        return len(self.get_all_external_keys())

    def __contains__(self, key):
        return any(key in layer for layer in self.layers.values())

    def to_dict(self) -> dict:
        """All tasks in one dict."""
        tasks: dict = {}
        for layer in self.layers.values():
            tasks.update(layer.items())
        return tasks

    def keys(self):
        return KeysView(self)

    def items(self):
        return ItemsView(self)

    def values(self):
        return ValuesView(self)

    def get_all_external_keys(self) -> set:
        """All keys."""
        return {key for layer in self.layers.values() for key in layer.get_output_keys()}

    def get_all_dependencies(self) -> dict:
        """For each key, the keys that its task reads."""
        known = self.get_all_external_keys()
        return {key: keys_in_tasks(known, [task]) for key, task in self.items()}

    @property
    def dependents(self) -> dict:
        """For each layer, the layers that read it."""
        return reverse_dict(self.dependencies)

    def copy(self) -> HighLevelGraph:
        return HighLevelGraph(dict(self.layers), dict(self.dependencies), dict(self.key_dependencies))

    def _toposort_layers(self) -> list:
        return toposort(self.layers, {name: set(self.dependencies[name]) for name in self.layers})

    def cull(self, keys: Iterable) -> HighLevelGraph:
        """The part of the graph that ``keys`` need.

        Raises
        ------
        RuntimeError
            If layers wait for each other in a circle.
        """
        known = self.get_all_external_keys()
        pending = set(flatten([keys] if isinstance(keys, (str, tuple)) else list(keys)))
        layers: dict = {}
        reads: dict = {}
        for name in reversed(self._toposort_layers()):
            layer = self.layers[name]
            wanted = pending & set(layer.get_output_keys())
            if not wanted:
                continue
            if isinstance(layer, LayerView):
                part = layer
                found = {key: keys_in_tasks(known, [layer[key]]) for key in layer}
            else:
                part, found = layer.cull(wanted, known)
            for below in found.values():
                pending |= below
            layers[name] = part
            reads.update(found)
        kept = {name: set(self.dependencies[name]) & layers.keys() for name in layers}
        return HighLevelGraph(dict(reversed(layers.items())), kept, reads)

    def cull_layers(self, layers: Iterable) -> HighLevelGraph:
        """The layers given and all that they read."""
        pending, found = list(layers), set()
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(self.dependencies[name])
        return HighLevelGraph(
            {name: layer for name, layer in self.layers.items() if name in found},
            {name: reads for name, reads in self.dependencies.items() if name in found},
        )

    def validate(self) -> None:
        """Raises ``ValueError`` if the dependencies are not those of the tasks."""
        for name, reads in self.dependencies.items():
            for below in reads:
                if below not in self.dependencies:
                    raise ValueError(f"the layer {below!r}, which {name!r} reads, is not in the graph")
        for layer in self.layers.values():
            if not hasattr(layer, "keys"):
                raise ValueError(f"a layer is a mapping, got {type(layer).__name__}")
        actual = compute_layer_dependencies(self.layers)
        if actual.keys() != self.dependencies.keys():
            raise ValueError(f"layers without dependencies: {actual.keys() ^ self.dependencies.keys()}")
        for name in actual:
            if set(actual[name]) != set(self.dependencies[name]):
                raise ValueError(
                    f"incorrect dependencies[{name!r}]: {self.dependencies[name]!r}, its tasks read {actual[name]!r}"
                )

    def visualize(self, filename="dask-hlg.svg", format=None, **kwargs):
        """A picture of the layers."""
        from weft.dot import visualize_layers

        return visualize_layers(self, filename=filename, format=format, **kwargs)

    def __repr__(self):
        lines = [f"{type(self).__name__} with {len(self.layers)} layers."]
        lines += [f" {i}. {name}" for i, name in enumerate(self._toposort_layers())]
        return "\n".join(lines)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return HighLevelGraph(copy.deepcopy(self.layers, memo), copy.deepcopy(self.dependencies, memo))


# Code that asks whether it has a graph of layers has one, and goes on by the layer.
HighLevelGraph.register(Graph)


def _layer_names(collection, graph):
    names = getattr(collection, "__dask_layers__", None)
    names = names() if callable(names) else ()
    return [name for name in names if name in graph.layers] or list(graph.layers)[-1:]
