"""The command line: ``weft run``, ``weft doctor``; everything else is `weft.cli`'s."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

USAGE = """\
weft: Dask's API on a Rust engine

  weft run SCRIPT.py [ARG ...]         run a script in which `import dask` means weft
  weft run NOTEBOOK.ipynb [-o FILE]    run a notebook, show what it prints; -o keeps the executed notebook
  weft run -m MODULE [ARG ...]         as python -m: weft run -m pytest tests/
  weft run -c CODE [ARG ...]           as python -c
  weft run PROGRAM [ARG ...]           any program: weft run jupyter lab
  weft doctor PATH ... [--json]        which names of Dask's files use, and weft's state for each
  weft scheduler [--host HOST] …       the scheduler of a cluster; --help says more
  weft worker ADDRESS …                workers for it
  weft config get|set|find|list ...    settings
  weft info versions                   what is installed
  weft --version
"""


def _run(args: Sequence[str]) -> int:
    from weft._run.launch import run

    return run(args)


def _doctor(args: Sequence[str]) -> int:
    from weft._run.doctor import main

    return main(args)


def _other(args: Sequence[str]) -> int:
    """The commands that click knows: weft's on settings, and those that packages add."""
    try:
        from weft.cli import run_cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print(
            f"weft: no command {args[0]!r} without click: pip install click\n\n{USAGE}",
            end="",
            file=sys.stderr,
        )
        return 2
    return run_cli(list(args))


#: The subcommands: each takes the arguments that follow it and gives the exit status.
COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"run": _run, "doctor": _doctor}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line, by default this process's; the exit status."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if args[0] in ("-V", "--version"):
        from weft import __version__

        print(f"weft {__version__}")
        return 0
    command = COMMANDS.get(args[0])
    if command is None:
        return _other(args)
    if args[1:2] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    return command(args[1:])
