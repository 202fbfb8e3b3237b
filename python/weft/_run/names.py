"""What to say of names of Dask's that weft lacks, or means otherwise."""

from __future__ import annotations

import difflib
import importlib
from types import ModuleType

from weft._run.alias import real_name

#: What to use instead of a name, or of everything below it.
INSTEAD = {
    "dask.array.from_tiledb": "open it with the tiledb package and pass the array to dask.array.from_array",
    "dask.array.to_tiledb": "use dask.array.store with an open tiledb array",
    "dask.array.tiledb_io": "use dask.array.from_array and dask.array.store with an open tiledb array",
    "dask.array.cupy_entry_point": "chunks of CuPy arrays are made with map_blocks(cupy.asarray)",
    "dask.array.slicing": "index the array, or use dask.array.take",
    "dask.array.api": "import from dask.array",
    "dask.async": "use compute(scheduler='sync')",
    "dask.async.get_sync": "use dask.get, or compute(scheduler='sync')",
    "dask.base.collections_to_dsk": "use dask.optimize, or collection.__dask_graph__()",
    "dask.base.collections_to_expr": "use dask.optimize, or collection.__dask_graph__()",
    "dask.base.unpack_collections": "use dask.delayed.unpack_collections",
    "dask.dataframe.api": "import from dask.dataframe",
    "dask.dataframe.from_bcolz": "read it with bcolz and pass the frame to dask.dataframe.from_pandas",
    "dask.dataframe.multi": "use dask.dataframe.concat and dask.dataframe.merge",
    "dask.dataframe.rolling": "use DataFrame.rolling",
    "dask.dataframe.shuffle": "use DataFrame.set_index, sort_values and shuffle",
    "dask.dataframe.to_bag": "use DataFrame.to_bag",
    "dask.Expr": "the expressions behind collections are Rust objects; use dask.optimize and explain()",
    "dask._expr": "the expressions behind collections are Rust objects; use dask.optimize and explain()",
    "dask.layers": "build a graph as a dict, or use dask.array.blockwise and DataFrame.map_partitions",
    "dask.rewrite": "rewrite the graph as a dict",
    "dask.set_options": "use dask.config.set(scheduler=...), also as a context manager",
    "dask.utils_test": "write tests with pytest and dask.config.set(scheduler='sync')",
    "dask.widgets": "collections show themselves in notebooks without templates",
}

#: What holds although the name exists. Keys are names, or names of classes and their methods.
DIFFERS = {
    "dask.bag.groupby": "keys are compared by equality, and the key function is called once for each element",
    "dask.visualize": "needs no Graphviz; without IPython it returns an object that notebooks show",
    "dask.optimization.fuse": "joins linear chains only",
    "dask.diagnostics.ResourceProfiler": "samples from a thread, not from a process",
    "dask.datasets.timeseries": "values differ from Dask's for the same seed",
    "DataFrame.quantile": "exact, whatever `method` says",
    "Series.quantile": "exact, whatever `method` says",
    "DataFrame.describe": "exact quantiles",
    "DataFrame.nunique_approx": "exact",
    "Series.nunique_approx": "exact",
    "Bag.groupby": "calls the key function once for each element; does not tokenize keys",
    "Bag.accumulate": "goes on over empty partitions",
}


def advice(name: str) -> str | None:
    """What to use instead of ``name``, if that is known."""
    while name:
        if name in INSTEAD:
            return INSTEAD[name]
        name = name.rpartition(".")[0]
    return None


def explain(name: str, *, tip: bool = True) -> str:
    """A sentence that says that weft lacks ``name`` and what to use.

    >>> explain("dask.set_options")
    'weft has no dask.set_options: use dask.config.set(scheduler=...), also as a context manager'
    """
    known = advice(name)
    if known is not None:
        return f"weft has no {name}: {known}"
    parent, _, last = name.rpartition(".")
    if any(part.startswith("_") for part in name.split(".")):
        return f"weft has no {name}: it is an internal of Dask's, without a counterpart in weft"
    near = _near(parent, last)
    if near:
        return f"weft has no {name}; there is {' and '.join(f'{parent}.{n}' for n in near)}"
    return f"weft has no {name}" + (
        ". `weft doctor FILE` lists what else a program uses and weft lacks" if tip else ""
    )


def _near(parent: str, last: str) -> list[str]:
    real = real_name(parent)
    if real is None:
        return []
    try:
        module: ModuleType = importlib.import_module(real)
    except ImportError:
        return []
    public = [n for n in dir(module) if not n.startswith("_")]
    return difflib.get_close_matches(last, public, n=2, cutoff=0.75)
