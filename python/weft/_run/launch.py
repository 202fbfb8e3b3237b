"""Starts programs in which ``import dask`` means weft.

A program runs in an interpreter of its own, exactly as without weft: `__main__`, ``sys.argv``, ``sys.path`` and exit status are its
own. All that is added is a directory at the head of ``PYTHONPATH`` whose `sitecustomize` puts the alias in place, in this
interpreter and in those that the program starts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")


def environment() -> dict[str, str]:
    """This process's environment, in which every Python starts with the alias in place."""
    env = dict(os.environ)
    rest = [p for p in env.get("PYTHONPATH", "").split(os.pathsep) if p and p != BOOTSTRAP]
    env["PYTHONPATH"] = os.pathsep.join([BOOTSTRAP, *rest])
    return env


def _python() -> list[str]:
    # The options that this interpreter was started with (-W, -X, …) hold for the program too.
    return [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]


def _replace(command: list[str]) -> int:
    """Becomes the program, where the system can do that; else waits for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        return subprocess.call(command, env=environment())
    os.execve(command[0], command, environment())


def _fail(sentence: str) -> int:
    print(f"weft run: {sentence}", file=sys.stderr)
    return 2


def run(args: Sequence[str]) -> int:
    """``weft run``: the exit status, if this process does not become the program."""
    if not args:
        return _fail("nothing to run: give a script, a notebook, -m MODULE or -c CODE")
    if sys.flags.ignore_environment or sys.flags.no_site:
        return _fail("needs PYTHONPATH and sitecustomize, which the options -E, -I and -S switch off")
    target = args[0]
    if target in ("-m", "-c"):
        if len(args) < 2:
            return _fail(f"{target} needs an argument")
        return _replace([*_python(), *args])
    if target.startswith("-") and target != "-":
        return _fail(f"unknown option {target}")
    if target.endswith(".ipynb"):
        from weft._run.notebook import main

        return main(args, environment())
    if os.path.exists(target):
        return _replace([*_python(), *args])
    program = shutil.which(target)
    if program is None:
        return _fail(f"{target}: no such file, and no program of this name")
    return _replace([program, *args[1:]])
