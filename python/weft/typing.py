"""The collection protocol, as types.

An object with these methods computes on weft, and every weft collection has them; so other
libraries' collections and weft's work together without knowing each other.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, Union, runtime_checkable

__all__ = [
    "AnyType",
    "CollType",
    "CollType_co",
    "DaskCollection",
    "Graph",
    "HLGDaskCollection",
    "Key",
    "NestedKeys",
    "NoDefault",
    "PostComputeCallable",
    "PostPersistCallable",
    "SchedulerGetCallable",
    "no_default",
]

#: The name of a task.
Key: TypeAlias = str | int | float | tuple["Key", ...]
#: Keys to tasks.
Graph: TypeAlias = Mapping[Key, Any]
#: Keys, in lists of any depth.
NestedKeys: TypeAlias = list[Union[Key, "NestedKeys"]]

AnyType = TypeVar("AnyType")
CollType = TypeVar("CollType", bound="DaskCollection")
CollType_co = TypeVar("CollType_co", bound="DaskCollection", covariant=True)
#: Makes the user's result from the values of `__dask_keys__` (and more arguments, if any).
PostComputeCallable = Callable


class SchedulerGetCallable(Protocol):
    """A scheduler: computes keys of a graph."""

    def __call__(self, dsk: Graph, keys: Sequence[Key] | Key, **kwargs: Any) -> Any:
        """The values of `keys`, nested as the keys are."""
        raise NotImplementedError


class PostPersistCallable(Protocol[CollType_co]):
    """Makes a collection again from a graph that holds its values."""

    def __call__(self, dsk: Graph, *args: Any, rename: Mapping[str, str] | None = None) -> CollType_co:
        """The collection; with `rename`, under new names."""
        raise NotImplementedError


@runtime_checkable
class DaskCollection(Protocol):
    """What makes an object a lazy collection."""

    #: Runs this collection when the user names no scheduler.
    __dask_scheduler__: staticmethod

    @abc.abstractmethod
    def __dask_graph__(self) -> Graph:
        """The graph: keys to tasks."""

    @abc.abstractmethod
    def __dask_keys__(self) -> NestedKeys:
        """The keys of the outputs."""

    @abc.abstractmethod
    def __dask_postcompute__(self) -> tuple[PostComputeCallable, tuple]:
        """A function, and further arguments for it, that makes the result from the outputs' values."""

    @abc.abstractmethod
    def __dask_postpersist__(self) -> tuple[PostPersistCallable, tuple]:
        """A function, and further arguments for it, that makes the collection from a computed graph."""

    @abc.abstractmethod
    def __dask_tokenize__(self) -> Hashable:
        """What identifies the collection's content."""

    __dask_optimize__: Any

    @abc.abstractmethod
    def compute(self, **kwargs: Any) -> Any:
        """The values, in memory."""

    @abc.abstractmethod
    def persist(self: CollType, **kwargs: Any) -> CollType:
        """The same collection with its values computed."""

    @abc.abstractmethod
    def visualize(
        self, filename: str = "mydask", format: str | None = None, optimize_graph: bool = False, **kwargs: Any
    ) -> Any:
        """A picture of the graph."""


@runtime_checkable
class HLGDaskCollection(DaskCollection, Protocol):
    """A collection whose graph has named layers."""

    @abc.abstractmethod
    def __dask_layers__(self) -> Sequence[str]:
        """The names of the layers that hold the outputs."""


class _NoDefault(Enum):
    no_default = "NO_DEFAULT"

    def __repr__(self) -> str:
        return "<no_default>"


#: Tells "not given" from `None`.
no_default = _NoDefault.no_default
NoDefault = Literal[_NoDefault.no_default]
