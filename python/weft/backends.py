"""Choosing the library behind new arrays and frames: NumPy and pandas, or one that registers itself.

A *backend* is an object whose methods create collections. :class:`CreationDispatch` finds the one that the setting
``array.backend`` or ``dataframe.backend`` names: registered by a call, or by an entry point that an installed package
declares, in the group ``weft.array.backends`` or in Dask's group ``dask.array.backends``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from weft import config


class WeftBackendEntrypoint:
    """Base of the backends of a collection; its methods create collections."""

    @classmethod
    def to_backend_dispatch(cls) -> Any:
        """The dispatch that moves data to this backend."""
        raise NotImplementedError

    @staticmethod
    def to_backend(data: Any) -> Any:
        """A collection with its data in this backend."""
        raise NotImplementedError


#: The name under which Dask's users know it.
DaskBackendEntrypoint = WeftBackendEntrypoint


@functools.cache
def detect_entrypoints(entry_point_name: str) -> dict[str, Any]:
    """Entry points of a group that installed packages declare, by name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=entry_point_name)}


Backend = TypeVar("Backend", bound=WeftBackendEntrypoint)


class CreationDispatch(Generic[Backend]):
    """Functions that create collections, by the backend that the configuration names.

    Parameters
    ----------
    module_name : str
        The collection: "array" or "dataframe". The backend is the setting ``<module_name>.backend``.
    default : str
        The backend where nothing is set.
    entrypoint_class : type
        What backends must be instances of.
    name : str, optional
        Name of the dispatch.
    entrypoint_root : str
        First part of the entry points' group. Dask's group is looked at too.
    """

    def __init__(
        self,
        module_name: str,
        default: str,
        entrypoint_class: type[Backend],
        name: str | None = None,
        entrypoint_root: str = "weft",
    ):
        self._lookup: dict[str, Backend] = {}
        self._module_name = module_name
        self._config_field = f"{module_name}.backend"
        self._default = default
        self._entrypoint_class = entrypoint_class
        self._entrypoint_roots = dict.fromkeys((entrypoint_root, "dask"))
        if name:
            self.__name__ = name

    def register_backend(self, name: str, backend: Backend) -> Backend:
        """Register a backend.

        Raises
        ------
        ValueError
            It is not of the class that this dispatch takes.
        """
        if not isinstance(backend, self._entrypoint_class):
            raise ValueError(
                f"This CreationDispatch only supports {self._entrypoint_class} registration. Got {type(backend)}"
            )
        self._lookup[name] = backend
        return backend

    def dispatch(self, backend: str) -> Backend:
        """The backend of that name.

        Raises
        ------
        ValueError
            Nobody registered it.
        """
        found = self._lookup.get(backend)
        if found is not None:
            return found
        for root in self._entrypoint_roots:
            point = detect_entrypoints(f"{root}.{self._module_name}.backends").get(backend)
            if point is not None:
                return self.register_backend(backend, point.load()())
        known = ", ".join(map(repr, self._lookup)) or "none"
        raise ValueError(f"No backend dispatch registered for {backend}. Registered: {known}")

    @property
    def backend(self) -> str:
        """The name of the backend in force."""
        return config.get(self._config_field, self._default) or self._default

    @backend.setter
    def backend(self, value: str) -> None:
        raise RuntimeError(f"Set the backend by configuring the {self._config_field} option")

    def register_inplace(self, backend: str, name: str | None = None) -> Callable:
        """A decorator that makes a function a method of a backend, and calls the one of the backend in force."""

        def decorator(fn: Callable) -> Callable:
            method = name or fn.__name__
            setattr(self.dispatch(backend), method, fn)

            @functools.wraps(fn)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                func = getattr(self, method)
                try:
                    return func(*args, **kwargs)
                except Exception as e:
                    e.add_note(
                        f"While calling {method!r} of the {self.backend} backend of weft.{self._module_name}."
                    )
                    raise

            wrapper.__name__ = method
            return wrapper

        return decorator

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dispatch(self.backend), name)
