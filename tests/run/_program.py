"""Runs the command line as users do: in a process of its own."""

import os
import subprocess
import sys


def weft(*args, cwd=None, env=None, timeout=100):
    """``weft *args``; what it printed, and its exit status."""
    return subprocess.run(
        [sys.executable, "-m", "weft", *map(str, args)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def output(*args, **kwargs):
    """What a program that ends well printed."""
    done = weft(*args, **kwargs)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
