"""What each step of a computation took and made, measured and drawn."""

from __future__ import annotations

import time
from typing import Any

from weft.callbacks import Callback
from weft.sizeof import sizeof
from weft.utils import format_bytes


class _Tally(Callback):
    """Tasks, seconds, rows and bytes of each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: dict[str, dict[str, Any]] = {}
        self.started: dict[Any, float] = {}

    def _pretask(self, key: Any, dsk: Any, state: Any) -> None:
        self.started[key] = time.perf_counter()

    def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker_id: Any) -> None:
        name = key[0] if isinstance(key, tuple) else str(key)
        layer = self.layers.setdefault(name, {"tasks": 0, "seconds": 0.0, "rows": [], "bytes": []})
        layer["tasks"] += 1
        layer["seconds"] += time.perf_counter() - self.started.pop(key, time.perf_counter())
        layer["bytes"].append(sizeof(result))
        if hasattr(result, "__len__"):
            layer["rows"].append(len(result))


def _summary(name: str, layer: dict[str, Any]) -> str:
    lines = [name.rsplit("-", 1)[0], f"{layer['tasks']} tasks, {layer['seconds']:.3g} s"]
    sizes, rows = layer["bytes"], layer["rows"]
    lines.append(f"{format_bytes(sum(sizes))}, at most {format_bytes(max(sizes))} each")
    if rows:
        lines.append(f"{sum(rows):,} rows, {min(rows):,} to {max(rows):,} each")
    return "\n".join(lines)


def analyze(collection: Any, filename: Any = None, format: Any = None) -> Any:
    """Computes a collection; draws its steps with what each took and made."""
    from weft.dot import visualize

    tally = _Tally()
    with tally:
        collection.compute(scheduler="threads")
    graph = collection.__dask_graph__()
    known = {str(name): {str(d) for d in found} for name, found in graph.dependencies.items()}
    measured = {name: known.get(name, set()) & set(tally.layers) for name in tally.layers}
    shown = {name: (_summary, *sorted(reads)) for name, reads in measured.items()}
    labels = {name: {"label": _summary(name, layer)} for name, layer in tally.layers.items()}
    return visualize(
        shown,
        None,
        filename or f"analyze-{collection._name}",
        format if filename else format or "svg",
        function_attributes=labels,
        collapse_outputs=True,
    )
