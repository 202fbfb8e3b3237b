"""``weft doctor``: which names of Dask's a program uses, and weft's state for each.

Programs are read, not run. Names of modules are followed through imports and assignments; methods by the kind of
collection that a variable was made as: what comes out of ``dask.dataframe`` is looked up in the classes of frames, and so on.
What the reader cannot follow it does not report.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence

from weft._run.alias import real_name
from weft._run.names import DIFFERS, explain

OK, DIFFERENT, MISSING = "ok", "differs", "missing"

#: Kinds of collections: the classes of weft that a method may be one of, and what would have it too if it were one.
_CLASSES = {
    "DataFrame": ("weft.dataframe", ("DataFrame", "Series", "Index")),
    "Array": ("weft.array", ("Array",)),
    "Bag": ("weft.bag", ("Bag", "Item")),
    "Client": ("weft.distributed", ("Client", "Future")),
}
_REFERENCE = {"DataFrame": ("pandas", ("DataFrame", "Series")), "Array": ("numpy", ("ndarray",))}

#: The package of Dask's whose functions make a kind.
_MAKERS = {
    "dask.dataframe": "DataFrame",
    "dask.array": "Array",
    "dask.bag": "Bag",
    "dask.distributed.Client": "Client",
    "distributed.Client": "Client",
}


@dataclasses.dataclass
class Use:
    """A name that a program uses."""

    name: str
    lines: list[int]
    state: str
    note: str = ""


def find(name: str) -> object:
    """The object of weft that a dotted name of Dask's means.

    Raises
    ------
    AttributeError
        If weft lacks it.
    """
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        real = real_name(".".join(parts[:cut]))
        if real is None:
            continue
        try:
            found: object = importlib.import_module(real)
        except ModuleNotFoundError as error:
            # Somebody else's missing package is not a missing name of weft's.
            if not (error.name or "").startswith("weft"):
                raise
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AttributeError(name)


def state_of(name: str) -> tuple[str, str]:
    """Weft's state for a dotted name, and a note."""
    try:
        find(name)
    except AttributeError:
        return MISSING, explain(name, tip=False)
    except ImportError as error:
        return MISSING, str(error)
    return (DIFFERENT, DIFFERS[name]) if name in DIFFERS else (OK, "")


def _has(place: tuple[str, tuple[str, ...]], method: str) -> bool | None:
    """Whether one of the classes has the method; `None`: there are no such classes."""
    module, classes = place
    try:
        found = [getattr(importlib.import_module(module), name, None) for name in classes]
    except ImportError:
        return None
    return any(hasattr(cls, method) for cls in found if cls is not None)


def state_of_method(kind: str, method: str) -> tuple[str, str] | None:
    """Weft's state for a method of a kind of collection; `None`: it may be a column, or the user's own."""
    name = f"{kind}.{method}"
    has = _has(_CLASSES[kind], method)
    if has:
        return (DIFFERENT, DIFFERS[name]) if name in DIFFERS else (OK, "")
    if kind in _REFERENCE and not _has(_REFERENCE[kind], method):
        return None
    instead = {"DataFrame": "map_partitions", "Array": "map_blocks", "Bag": "map_partitions"}.get(kind)
    advice = f"; {kind}.{instead} applies a function of your own" if instead else ""
    return MISSING, f"weft has no {name}{advice}"


class _Reader(ast.NodeVisitor):
    """Collects names of Dask's and methods of its collections."""

    def __init__(self) -> None:
        self.names: dict[str, list[int]] = {}
        self.methods: dict[tuple[str, str], list[int]] = {}
        self._means: dict[str, str] = {}  # what a variable is, as a dotted name of Dask's
        self._kinds: dict[str, str] = {}  # what kind of collection a variable is

    def _use(self, name: str, node: ast.AST) -> None:
        self.names.setdefault(name, []).append(getattr(node, "lineno", 0))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if real_name(alias.name) is None:
                continue
            self._use(alias.name, node)
            if alias.asname:
                self._means[alias.asname] = alias.name
            else:
                root = alias.name.partition(".")[0]
                self._means[root] = root

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or node.module is None or real_name(node.module) is None:
            return
        for alias in node.names:
            if alias.name == "*":
                self._use(node.module, node)
                continue
            name = f"{node.module}.{alias.name}"
            self._use(name, node)
            self._means[alias.asname or alias.name] = name

    def _dotted(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self._means.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value)
            return f"{base}.{node.attr}" if base else None
        return None

    def _kind(self, node: ast.expr) -> str | None:
        """The kind of collection that an expression gives."""
        if isinstance(node, ast.Name):
            return self._kinds.get(node.id)
        if isinstance(node, ast.Call):
            name = self._dotted(node.func)
            if name is not None:
                makers = sorted(_MAKERS, key=len, reverse=True)
                return next((_MAKERS[m] for m in makers if name == m or name.startswith(m + ".")), None)
            if isinstance(node.func, ast.Attribute):
                # A method gives the same kind, unless it computes or converts.
                if node.func.attr in _ENDS or node.func.attr.startswith("to_"):
                    return None
                return self._kind(node.func.value)
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Await)):
            return self._kind(node.value)
        if isinstance(node, ast.BinOp):
            return self._kind(node.left) or self._kind(node.right)
        if isinstance(node, ast.UnaryOp):
            return self._kind(node.operand)
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._dotted(node)
        if name is not None:
            self._use(name, node)
            return
        # Only of what is surely a collection: after the first method it may be a groupby or an accessor.
        base = node.value
        if isinstance(base, ast.Name) or (isinstance(base, ast.Call) and self._dotted(base.func)):
            kind = self._kind(base)
            if kind is not None and not node.attr.startswith("_"):
                self.methods.setdefault((kind, node.attr), []).append(node.lineno)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        name = self._means.get(node.id)
        if name is not None and isinstance(node.ctx, ast.Load):
            self._use(name, node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        means, kind = self._dotted(node.value), self._kind(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                for known, value in ((self._means, means), (self._kinds, kind)):
                    known.pop(target.id, None)
                    if value is not None:
                        known[target.id] = value
            else:
                self.visit(target)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            kind = self._kind(item.context_expr)
            if kind is not None and isinstance(item.optional_vars, ast.Name):
                self._kinds[item.optional_vars.id] = kind
        for statement in node.body:
            self.visit(statement)


#: Methods whose result is no collection any more.
_ENDS = {"compute", "result", "item", "head", "tail", "take", "gather", "submit", "scatter", "visualize"}


def read(source: str, filename: str = "<program>") -> list[Use]:
    """The names of Dask's that a program uses.

    Examples
    --------
    >>> [(use.name, use.state) for use in read("import dask.bag as db\\ndb.range(3, 1).map(str).nonsense()")]
    [('dask.bag', 'ok'), ('dask.bag.range', 'ok'), ('Bag.map', 'ok')]
    """
    reader = _Reader()
    reader.visit(ast.parse(source, filename))
    uses = []
    for name, lines in reader.names.items():
        # A package that is only on the way to a name needs no line of its own.
        state, note = state_of(name)
        uses.append(Use(name, sorted(set(lines)), state, note))
    missing = [use.name for use in uses if use.state == MISSING]
    uses = [u for u in uses if not any(u.name.startswith(m + ".") for m in missing)]
    for (kind, method), lines in reader.methods.items():
        found = state_of_method(kind, method)
        if found is not None:
            uses.append(Use(f"{kind}.{method}", sorted(set(lines)), *found))
    return uses


def source_of(path: str) -> str:
    """The code of a script or notebook. Lines of a notebook are counted over its code cells."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if not path.endswith(".ipynb"):
        return text
    cells = [cell for cell in json.loads(text).get("cells", []) if cell.get("cell_type") == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).split("\n")
    # Lines that only IPython understands.
    return "\n".join("pass" if line.lstrip()[:1] in ("%", "!", "?") else line for line in lines)


def programs(paths: Sequence[str]) -> Iterator[str]:
    """Files as they are, and of directories the scripts and notebooks below them."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for directory, below, files in os.walk(path):
            below[:] = sorted(d for d in below if not d.startswith((".", "__pycache__")))
            yield from (os.path.join(directory, f) for f in sorted(files) if f.endswith((".py", ".ipynb")))


def main(args: Sequence[str]) -> int:
    """Prints the report; 1 if weft lacks a name, 2 if a file cannot be read."""
    parser = argparse.ArgumentParser(prog="weft doctor")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="script, notebook or directory")
    parser.add_argument("--json", action="store_true", help="one object for each file, a line each")
    options = parser.parse_args(args)
    status = 0
    files = counted = lacking = 0
    for path in programs(options.paths):
        try:
            uses = read(source_of(path), path)
        except (OSError, SyntaxError, ValueError) as error:
            print(f"weft doctor: {path}: {error}", file=sys.stderr)
            status = 2
            continue
        if not uses:
            continue
        files += 1
        counted += len(uses)
        missing = sum(use.state == MISSING for use in uses)
        lacking += missing
        if options.json:
            print(json.dumps({"path": path, "uses": [dataclasses.asdict(use) for use in uses]}))
        else:
            _print(path, uses)
    if not options.json:
        print(f"{counted} names in {files} files: {counted - lacking} in weft, {lacking} missing")
    return status or int(lacking > 0)


def _print(path: str, uses: list[Use]) -> None:
    print(path)
    width = min(44, max(len(use.name) for use in uses))
    rank = {MISSING: 0, DIFFERENT: 1, OK: 2}
    for use in sorted(uses, key=lambda use: (rank[use.state], use.name)):
        shown = ", ".join(map(str, use.lines[:5])) + (", …" if len(use.lines) > 5 else "")
        note = f"  {use.note}" if use.note else ""
        print(f"  {use.state:8}{use.name:{width}}  line {shown}{note}")
    print()


__all__ = ["Use", "find", "main", "read", "source_of", "state_of"]
