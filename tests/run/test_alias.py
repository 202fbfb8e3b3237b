"""What ``import dask`` means where the alias is in place."""

import subprocess
import sys

import pytest

from tests.run._program import output


def lines(code, **kwargs):
    return output("run", "-c", code, **kwargs).splitlines()


def test_modules_are_wefts():
    code = """
import dask, dask.array as da, dask.bag as db, weft
from dask import delayed
from dask.base import tokenize
import dask.delayed
import weft.array
print(dask.delayed is weft.delayed is delayed, da.Array is weft.array.Array, dask.config is da.core.config)
print(tokenize is weft.base.tokenize, dask.array.core.Array is da.Array, db.Bag.__module__)
print(dask.delayed(abs)(-1).compute())
"""
    assert lines(code) == ["True True False", "True True weft.bag.core", "1"]


def test_patching_reaches_weft():
    code = """
import dask.base, weft.base
from unittest import mock
with mock.patch("dask.base.tokenize", return_value="patched"):
    print(weft.base.tokenize(1))
print(weft.base.tokenize(1) == "patched")
dask.base.extra = 1
print(weft.base.extra)
del dask.base.extra
print(hasattr(weft.base, "extra"), "tokenize" in dir(dask.base))
"""
    assert lines(code) == ["patched", "False", "1", "False True"]


def test_questions_for_the_version():
    code = """
import importlib.metadata as m
import importlib.util as u
import dask
from weft.dropin import DASK_VERSION as v
print(dask.__version__ == m.version("dask") == m.version("Distributed") == v, m.distribution("dask").metadata["Name"])
print(u.find_spec("dask.array") is not None, u.find_spec("dask.layers"), u.find_spec("dask.array.nonsense"))
print(len([d for d in m.distributions(name="dask")]) >= 1, m.version("numpy") != v)
"""
    assert lines(code) == ["True dask", "True None None", "True True"]


@pytest.mark.parametrize(
    ("statement", "error", "parts"),
    [
        ("import dask.layers", "ModuleNotFoundError", ["weft has no dask.layers", "map_partitions"]),
        (
            "from dask.array import blok",
            "ModuleNotFoundError",
            ["no dask.array.blok", "there is dask.array.block"],
        ),
        ("from dask.array.core import Arrray", "ModuleNotFoundError", ["there is dask.array.core.Array"]),
        (
            "import dask.array as da; da.blok",
            "AttributeError",
            ["no dask.array.blok", "there is dask.array.block"],
        ),
        ("from dask import set_options", "ModuleNotFoundError", ["use dask.config.set"]),
        ("import dask._expr", "ModuleNotFoundError", ["weft has no dask._expr"]),
        ("import dask.nonsense", "ModuleNotFoundError", ["weft has no dask.nonsense", "weft doctor"]),
    ],
)
def test_what_weft_lacks(statement, error, parts):
    code = f"""
try:
    {statement}
except Exception as error:
    print(type(error).__name__)
    print(error)
"""
    name, sentence = lines(code)
    assert name == error
    for part in parts:
        assert part in sentence


def test_missing_names_are_missing():
    code = """
import dask, dask.array
print(hasattr(dask.array, "nonsense"), getattr(dask, "nonsense", "default"))
from dask.array import *
print(ones(3).sum().compute())
"""
    assert lines(code) == ["False default", "3.0"]


def test_child_processes_inherit(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.of_the_user = 'kept'\n")
    code = """
import subprocess, sys
child = "import dask, builtins; print(dask.delayed.__module__, builtins.of_the_user)"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout.strip())
"""
    assert lines(code, env={"PYTHONPATH": str(tmp_path)}) == ["weft.delayed kept"]


def test_modules_are_pickled_as_wefts():
    code = """
import cloudpickle, sys, subprocess, dask.base
data = cloudpickle.dumps(lambda: dask.base.__name__).hex()
env = {k: v for k, v in __import__("os").environ.items() if k != "PYTHONPATH"}
child = f"import pickle; print(pickle.loads(bytes.fromhex('{data}'))())"
print(subprocess.run([sys.executable, "-c", child], env=env, capture_output=True, text=True, check=True).stdout.strip())
"""
    assert lines(code) == ["weft.base"]


def test_dropin_in_a_program(tmp_path):
    code = (
        "import weft.dropin\nimport weft.dropin\nimport dask.bag as db\nprint(db.range(4, 2).sum().compute())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "6\n"


def test_dask_imported_before(tmp_path):
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "__init__.py").write_text("import dask.base\n")
    (tmp_path / "dask" / "base.py").write_text("")
    code = "import dask\nimport weft.dropin"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Dask itself has been imported already (dask, dask.base)" in done.stderr
    assert "weft run" in done.stderr.splitlines()[-1]


def test_an_installed_dask_is_not_used(tmp_path):
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "__init__.py").write_text("raise RuntimeError('the other one')")
    (tmp_path / "dask" / "only_there.py").write_text("")
    code = """
import dask
try:
    import dask.only_there
except ImportError as error:
    print(error)
"""
    assert lines(code, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})[0].startswith(
        "weft has no dask.only_there"
    )
