"""Run by every interpreter that starts below `weft run`: puts the alias in place.

`weft run` puts this directory at the head of ``PYTHONPATH``, which child processes inherit.
"""


def _install() -> None:
    import importlib.util
    import os
    import sys

    # An environment without weft shares no interpreter with this one: leave its Dask alone.
    if importlib.util.find_spec("weft") is None:
        return
    name = "weft._run.alias"
    if name not in sys.modules:
        here = os.path.dirname(os.path.abspath(__file__))
        spec = importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(here), "alias.py"))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    sys.modules[name].install()


def _next_of_this_name() -> None:
    """Runs the `sitecustomize` that this one hides."""
    import importlib.machinery
    import importlib.util
    import os
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    path = [p for p in sys.path if os.path.abspath(p or os.curdir) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        sys.modules["sitecustomize"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


_install()
_next_of_this_name()
