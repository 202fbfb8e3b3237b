"""Runs notebooks: every code cell in turn, what they print to this terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def main(args: Sequence[str], env: Mapping[str, str]) -> int:
    """Runs the notebook that ``args`` name, in a kernel with the environment ``env``; the exit status."""
    parser = argparse.ArgumentParser(prog="weft run")
    parser.add_argument("notebook")
    parser.add_argument("-o", "--output", help="keep the executed notebook in this file")
    parser.add_argument("--timeout", type=float, help="seconds that a cell may take")
    options = parser.parse_args(args)
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ModuleNotFoundError as error:
        print(f"weft run: notebooks need {error.name}: pip install nbclient ipykernel", file=sys.stderr)
        return 2
    try:
        notebook = nbformat.read(options.notebook, as_version=4)
    except FileNotFoundError:
        print(f"weft run: {options.notebook}: no such file", file=sys.stderr)
        return 2
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        print(f"weft run: {options.notebook}: {error}", file=sys.stderr)
        return 2

    class Client(NotebookClient):
        """Shows the outputs of a cell when it is done."""

        def process_message(self, message: Any, cell: Any, cell_index: int) -> Any:
            output = super().process_message(message, cell, cell_index)
            if output is not None:
                _show(output)
            return output

    client = Client(
        notebook,
        timeout=options.timeout,
        kernel_name="python3",  # this interpreter, whatever the notebook's author called theirs
        resources={"metadata": {"path": os.path.dirname(os.path.abspath(options.notebook))}},
    )
    status = 0
    try:
        client.execute(env=dict(env))
    except CellExecutionError:
        status = 1  # the traceback has been shown with the cell's outputs
    except (CellTimeoutError, DeadKernelError) as error:
        print(f"weft run: {options.notebook}: {error}", file=sys.stderr)
        status = 1
    if options.output:
        nbformat.write(notebook, options.output)
    return status


def _show(output: Any) -> None:
    """One output of a cell as text."""
    kind = output.get("output_type")
    if kind == "stream":
        stream = sys.stderr if output.get("name") == "stderr" else sys.stdout
        print(output["text"], end="", file=stream, flush=True)
    elif kind == "error":
        print("\n".join(output.get("traceback", [])), file=sys.stderr, flush=True)
    elif kind in ("execute_result", "display_data"):
        text = output["data"].get("text/plain")
        if text is not None:
            print(text, flush=True)
