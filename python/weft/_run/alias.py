"""The import hook: ``dask``, ``distributed`` and ``dask_expr`` mean weft.

A finder at the head of `sys.meta_path` answers for these names and everything below them; nothing that it refuses
falls through to an installed Dask. What it loads are `Alias` modules, which hold nothing themselves: reading, setting and deleting
a name does so in the module of weft that stands behind. So classes, functions and patched names are the same under both
names, and importing ``dask.delayed`` cannot put a module in the place of the function ``weft.delayed``.

This file is loaded by path in child processes (see ``bootstrap/sitecustomize.py``) and imports only the standard library; weft
itself is imported when someone first asks for Dask.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterable, Iterator, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The release of Dask whose API weft follows: what questions for Dask's version are answered with.
DASK_VERSION = "2026.8.0"

#: What the names mean that are aliased with everything below them; longer names first.
ROOTS = {
    "dask.distributed": "weft.distributed",
    "dask": "weft",
    "distributed": "weft.distributed",
    "dask_expr": "weft.dataframe.dask_expr",
}

#: Packages whose metadata says `DASK_VERSION`.
_PACKAGES = ("dask", "distributed", "dask-expr")

_PLACE_OF_NAMES = "weft._run.names"


class DropinError(ImportError):
    """The alias cannot be put in place."""


def real_name(name: str) -> str | None:
    """The module of weft that ``name`` stands for; ``None``: the name is not Dask's.

    >>> real_name("dask.array.core"), real_name("distributed.client"), real_name("daskhub")
    ('weft.array.core', 'weft.distributed.client', None)
    """
    for root, real in ROOTS.items():
        if name == root or name.startswith(root + "."):
            return real + name[len(root) :]
    return None


def explain(name: str) -> str:
    """A sentence on a name of Dask's that weft lacks: that it does, and what to use."""
    names = importlib.import_module(_PLACE_OF_NAMES)
    return names.explain(name)


class Alias(types.ModuleType):
    """A module of weft under a name of Dask's. See the module."""

    def __init__(self, name: str, real: types.ModuleType) -> None:
        super().__init__(name, real.__doc__)
        fields = self.__dict__
        fields["__weft__"] = real
        # Every alias takes part in `from x import y` as a package does: that asks the finder for what it does not have,
        # and the finder says what to use.
        fields["__path__"] = []
        fields["__file__"] = getattr(real, "__file__", None)
        if "." not in name:
            fields["__version__"] = DASK_VERSION

    def __getattr__(self, name: str) -> Any:
        real = self.__dict__["__weft__"]
        if name == "__all__":
            return _public(real)
        try:
            value = getattr(real, name)
        except AttributeError as error:
            if name.startswith("__") or str(error).find("no attribute") < 0:
                raise  # weft's own sentence says more
            raise AttributeError(explain(f"{self.__name__}.{name}"), name=name, obj=self) from None
        if isinstance(value, types.ModuleType) and value.__name__ == f"{real.__name__}.{name}":
            return importlib.import_module(f"{self.__name__}.{name}")
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("__spec__", "__loader__", "__package__", "__path__"):
            self.__dict__[name] = value
        elif not isinstance(value, Alias):  # the import system's record of a submodule needs no place
            setattr(self.__dict__["__weft__"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["__weft__"], name)

    def __dir__(self) -> list[str]:
        return dir(self.__dict__["__weft__"])

    def __reduce__(self) -> Any:
        # Whoever unpickles it may know no alias.
        return importlib.import_module, (self.__dict__["__weft__"].__name__,)


def _public(module: types.ModuleType) -> list[str]:
    """What ``from module import *`` takes."""
    listed = getattr(module, "__all__", None)
    return list(listed) if listed is not None else [n for n in vars(module) if not n.startswith("_")]


class _Loader:
    """Gives an `Alias`. As for ``python -m``: the code is that of weft's module."""

    def __init__(self, real: str) -> None:
        self._real = real

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return Alias(spec.name, importlib.import_module(self._real))

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: weft's module has run."""

    def _behind(self) -> Any:
        spec = importlib.util.find_spec(self._real)
        if spec is None or spec.loader is None:
            raise ImportError(f"no module named {self._real!r}", name=self._real)
        return spec.loader

    def is_package(self, fullname: str) -> bool:
        return self._behind().is_package(self._real)

    def get_code(self, fullname: str) -> types.CodeType | None:
        return self._behind().get_code(self._real)

    def get_source(self, fullname: str) -> str | None:
        return self._behind().get_source(self._real)


class Finder:
    """Answers for Dask's names. See the module."""

    _is_weft = True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        real = real_name(fullname)
        if real is None:
            return None
        behind = self._behind(real)
        if behind is not None:
            spec = importlib.machinery.ModuleSpec(fullname, _Loader(real), origin=behind.origin)  # type: ignore[arg-type]
            spec.submodule_search_locations = []
            return spec
        if _is_question():
            return None
        # Its name is weft's: `from package import name` swallows errors about the very name it looks for.
        raise ModuleNotFoundError(explain(fullname), name=real)

    @staticmethod
    def _behind(real: str) -> importlib.machinery.ModuleSpec | None:
        try:
            return importlib.util.find_spec(real)
        except ModuleNotFoundError as error:
            # A parent is missing, or is no package. What weft itself needs and does not find is another matter.
            if error.name is not None and (real == error.name or real.startswith(error.name + ".")):
                return None
            raise

    def find_distributions(self, context: Any = None) -> Iterator[Any]:
        """The metadata of Dask's packages, whatever is installed."""
        from weft._run.metadata import Metadata

        wanted = getattr(context, "name", None)
        normal = wanted.lower().replace("_", "-").replace(".", "-") if wanted else None
        return (Metadata(name, DASK_VERSION) for name in _PACKAGES if normal in (None, name))

    def invalidate_caches(self) -> None:
        """Nothing is cached."""


def _is_question() -> bool:
    """Whether `importlib.util.find_spec` asks, which wants to hear ``None`` of what is not there."""
    finder = sys._getframe(1)
    machinery = finder.f_back
    asker = machinery.f_back if machinery is not None else None
    return (
        asker is not None
        and asker.f_globals.get("__name__") == "importlib.util"
        and asker.f_code.co_name == "find_spec"
    )


def _foreign(modules: Iterable[str]) -> list[str]:
    return sorted(n for n in modules if real_name(n) is not None and not isinstance(sys.modules[n], Alias))


def installed() -> Finder | None:
    """The alias' finder, if it is in place."""
    # By name: the module may have been loaded twice, by path and by import.
    return next((f for f in sys.meta_path if type(f).__name__ == "Finder" and hasattr(f, "_is_weft")), None)  # type: ignore[return-value]


def install() -> Finder:
    """Puts the alias in place, once.

    Raises
    ------
    DropinError
        If Dask itself has been imported: half of a program would use it, half weft.
    """
    found = installed()
    if found is not None:
        return found
    loaded = _foreign(list(sys.modules))
    if loaded:
        shown = ", ".join(loaded[:3]) + (", …" if len(loaded) > 3 else "")
        raise DropinError(
            f"Dask itself has been imported already ({shown}), and would be used beside weft. Put `import weft.dropin` "
            "before whatever imports Dask, at the top of the program, or start it with `weft run`."
        )
    finder = Finder()
    sys.meta_path.insert(0, finder)
    return finder
