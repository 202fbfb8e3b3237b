"""The collection protocol of bags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weft._weft import Graph, bag_base, bag_graph, bag_layer
from weft.bag._item import DEFAULT_GET, finalize, optimize
from weft.base import DaskMethodsMixin, dont_optimize
from weft.context import globalmethod


class Partitions(DaskMethodsMixin):
    """Partitions of Python objects: a graph, a name and a number."""

    _base: Any

    def __init__(self, dsk, name, npartitions):
        self.dask = Graph(dsk) if type(dsk) is dict else dsk
        self.name = name
        self.npartitions = npartitions
        self._base = None

    @classmethod
    def _of(cls, layer: Any, npartitions: int) -> Partitions:
        bag = cls(bag_graph([layer]), layer.name, npartitions)
        bag._base = layer
        return bag

    @property
    def _view(self) -> Any:
        """The layer whose task ``i`` is partition ``i``."""
        if self._base is None:
            self._base = bag_base(self.dask, self.name, self.npartitions)
        return self._base

    def _step(
        self,
        name: Any,
        func: Callable[..., Any],
        *reads: Any,
        label: Any,
        lazy: bool = True,
        indexed: bool = False,
    ) -> Partitions:
        """A bag whose partitions are a function of this one's and of what else is read."""
        inputs = [*(["index"] if indexed else []), (self._view, "same"), *reads]
        return type(self)._of(
            bag_layer(name, self.npartitions, func, inputs, label=label, lazy=lazy), self.npartitions
        )

    def __dask_graph__(self):
        return self.dask

    def __dask_keys__(self):
        return [(self.name, i) for i in range(self.npartitions)]

    def __dask_layers__(self):
        return (self.name,)

    def __dask_tokenize__(self):
        return self.name

    __dask_optimize__ = globalmethod(optimize, key="bag_optimize", falsey=dont_optimize)

    __dask_scheduler__ = staticmethod(DEFAULT_GET)

    def __dask_postcompute__(self):
        return finalize, ()

    def __dask_postpersist__(self):
        return self._rebuild, ()

    def _rebuild(self, dsk, *, rename=None):
        name = rename.get(self.name, self.name) if rename else self.name
        return type(self)(dsk, name, self.npartitions)

    def __str__(self):
        from weft.utils import key_split

        return f"weft.bag<{key_split(self.name)}, npartitions={self.npartitions}>"

    __repr__ = __str__

    @property
    def _args(self):
        return (self.dask, self.name, self.npartitions)

    def __getstate__(self):
        return self._args

    def __setstate__(self, state):
        self.__init__(*state)

    def __iter__(self):
        return iter(self.compute())


def bag_class() -> type[Partitions]:
    """The class of bags, which stands on all that is here."""
    from weft.bag.core import Bag

    return Bag
