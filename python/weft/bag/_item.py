"""One value that will be computed, and how graphs of bags are optimized and finished."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from weft._weft import Graph, bag_find, bag_graph, bag_layer, fuse_bags
from weft.bag import _where
from weft.base import DaskMethodsMixin, dont_optimize, replace_name_in_key, tokenize
from weft.context import globalmethod
from weft.core import flatten
from weft.delayed import Delayed, delayed
from weft.utils import (
    funcname,
)

DEFAULT_GET = _where.get


def optimize(dsk, keys, fuse_keys=None, **kwargs):
    """Joins the steps that only hand partitions on: one task, and one pass, for each partition."""
    return fuse_bags(dsk, [*flatten(keys), *(fuse_keys or ())])


def finalize(results):
    """The partitions of a bag as one list."""
    if not results:
        return results
    if isinstance(results, Iterator):
        results = list(results)
    if isinstance(results[0], Iterable) and not isinstance(results[0], str):
        return list(itertools.chain.from_iterable(results))
    return list(results)


def finalize_item(results):
    """The only value."""
    return results[0]


def _read_key(graph: Any, key: Any) -> tuple[Any, str, int]:
    layers, found = bag_find(graph, [key])
    return layers[0], "at", found[0][1]


class Item(DaskMethodsMixin):
    """One value that will be computed: what reductions of a bag give.

    Parameters
    ----------
    dsk : mapping
        A graph.
    key : str or tuple
        The value's key in it.
    layer : str, optional
        The layer that has the key, if it is called otherwise.
    """

    def __init__(self, dsk, key, layer=None):
        self.dask = dsk
        self.key = key
        self.name = key
        self._layer = layer or key
        layers = getattr(dsk, "layers", None)
        if layers is not None and not isinstance(dsk, Graph) and self._layer not in layers:
            raise ValueError(f"Layer {self._layer} not in the HighLevelGraph's layers: {list(layers)}")

    def __dask_graph__(self):
        return self.dask

    def __dask_keys__(self):
        return [self.key]

    def __dask_layers__(self):
        return (self._layer,)

    def __dask_tokenize__(self):
        return self.key

    __dask_optimize__ = globalmethod(optimize, key="bag_optimize", falsey=dont_optimize)
    __dask_scheduler__ = staticmethod(DEFAULT_GET)

    def __dask_postcompute__(self):
        return finalize_item, ()

    def __dask_postpersist__(self):
        return self._rebuild, ()

    def _rebuild(self, dsk, *, rename=None):
        key = replace_name_in_key(self.key, rename) if rename else self.key
        return Item(dsk, key)

    @property
    def _read(self) -> Any:
        return _read_key(self.dask, self.key)

    @staticmethod
    def from_delayed(value):
        """An item from a delayed value.

        Examples
        --------
        >>> import weft, weft.bag as db
        >>> db.Item.from_delayed(weft.delayed(sum)([1, 2])).compute()
        3
        """
        if not isinstance(value, Delayed) and hasattr(value, "key"):
            value = delayed(value)
        if not isinstance(value, Delayed):
            raise TypeError(f"Item.from_delayed needs a delayed value, got {type(value).__name__}")
        return Item(value.dask, value.key, layer=value.__dask_layers__()[0])

    @property
    def _args(self):
        return (self.dask, self.key)

    def __getstate__(self):
        return self._args

    def __setstate__(self, state):
        self.__init__(*state)

    def apply(self, func):
        """A function of this value, lazily.

        Examples
        --------
        >>> import weft.bag as db
        >>> db.from_sequence([1, 2, 3]).sum().apply(str).compute()
        '6'
        """
        name = f"{funcname(func)}-{tokenize(self, func, 'apply')}"
        layer = bag_layer(name, None, func, [self._read], label=funcname(func), lazy=False)
        return Item(bag_graph([layer]), name)

    __int__ = __float__ = __complex__ = __bool__ = DaskMethodsMixin.compute

    def to_delayed(self, optimize_graph=True):
        """The value as `weft.delayed` value.

        Parameters
        ----------
        optimize_graph : bool
            Whether to optimize the graph first.
        """
        graph = self.__dask_graph__()
        if optimize_graph:
            graph = self.__dask_optimize__(graph, self.__dask_keys__())
        return Delayed(self.key, graph)
