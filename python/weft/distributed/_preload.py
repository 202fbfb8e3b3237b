"""Modules that servers load before they serve: ``--preload``, and the settings ``distributed.worker.preload``,
``distributed.scheduler.preload``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["load"]

logger = logging.getLogger("weft.distributed")


def load(names: Sequence[str] | str, argv: Sequence[str], server: Any) -> Callable[[], None]:
    """Imports modules and calls their ``dask_setup`` (or ``weft_setup``) with the server.

    Parameters
    ----------
    names : list of str
        Names of modules, or paths of Python files.
    argv : list of str
        Arguments for those whose setup is a click command.
    server : object
        The scheduler or the worker.

    Returns
    -------
    callable
        Calls their ``dask_teardown`` (or ``weft_teardown``).

    Raises
    ------
    ImportError
        A module cannot be imported: the server must not run without it.
    """
    names = [names] if isinstance(names, str) else list(names)
    modules = [_imported(name) for name in names]
    for module in modules:
        _call(_hook(module, "setup"), server, argv)

    def teardown() -> None:
        for module in modules:
            with contextlib.suppress(Exception):
                _call(_hook(module, "teardown"), server, argv)

    return teardown


def _imported(name: str) -> Any:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = os.path.abspath(name)
    base = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(base, path)
    if spec is None or spec.loader is None or not os.path.exists(path):
        raise ImportError(f"there is no module to preload at {path}")
    module = importlib.util.module_from_spec(spec)
    # Functions of the module can be unpickled where they are found under its name.
    sys.modules[base] = module
    spec.loader.exec_module(module)
    return module


def _hook(module: Any, which: str) -> Any:
    return getattr(module, f"weft_{which}", None) or getattr(module, f"dask_{which}", None)


def _call(hook: Any, server: Any, argv: Sequence[str]) -> None:
    if hook is None:
        return
    callback = getattr(hook, "callback", None)
    if callback is not None:  # a click command
        context = hook.make_context("preload", list(argv), allow_extra_args=False)
        result = callback(server, *context.params.values())
    else:
        result = hook(server)
    if inspect.isawaitable(result):
        import asyncio

        async def wait() -> Any:
            return await result

        asyncio.run(wait())
