"""`weft doctor`: what it finds in programs without running them."""

import json

from weft._run.doctor import read

from tests.run._program import weft

PROGRAM = """\
import dask
import dask.dataframe as dd
from dask.array import ones, nonsense
from dask.distributed import Client as C
import numpy as np

x = ones((4, 4))
x.sum().compute()
x.frobnicate
x.tofile
frame = dd.read_csv("x.csv")
frame.amount.sum()
frame.quantile(0.5)
frame.swaplevel()
other = dask
other.compute(x)
np.sum(x)
dask.frobnicate()
x = np.zeros(3)
x.nothing_of_dask
"""


def states(source):
    return {use.name: use.state for use in read(source)}


def test_names_and_methods():
    found = states(PROGRAM)
    assert found["dask.array.ones"] == "ok"
    assert found["dask.array.nonsense"] == "missing"
    assert found["dask.compute"] == "ok"
    assert found["dask.frobnicate"] == "missing"
    assert found["Array.sum"] == "ok"
    assert found["Array.tofile"] == "missing"
    assert found["DataFrame.quantile"] == "differs"
    assert found["DataFrame.swaplevel"] == "missing"
    # A column, an attribute of the user's, and what is no collection any more.
    assert not {"DataFrame.amount", "Array.frobnicate", "Array.nothing_of_dask"} & set(found)
    assert not any(name.startswith("np") or "numpy" in name for name in found)


def test_lines():
    lines = {use.name: use.lines for use in read(PROGRAM)}
    assert lines["dask.array.ones"] == [3, 7]
    assert lines["dask.frobnicate"] == [18]


def test_report(tmp_path):
    (tmp_path / "good.py").write_text("import dask.bag as db\ndb.range(3, 1).map(str)\n")
    cells = [
        {"cell_type": "markdown", "source": ["import dask.nothing"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import dask\n", "dask.frobnicate()"]},
    ]
    (tmp_path / "walk.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "other.py").write_text("import numpy\n")
    done = weft("doctor", tmp_path)
    assert done.returncode == 1
    assert "good.py" in done.stdout
    assert "other.py" not in done.stdout
    assert "weft has no dask.frobnicate" in done.stdout
    assert done.stdout.splitlines()[-1] == "5 names in 2 files: 4 in weft, 1 missing"
    assert weft("doctor", tmp_path / "good.py").returncode == 0
    found = [json.loads(line) for line in weft("doctor", "--json", tmp_path).stdout.splitlines()]
    assert [len(entry["uses"]) for entry in found] == [3, 2]


def test_what_cannot_be_read(tmp_path):
    (tmp_path / "broken.py").write_text("import dask\ndef:")
    done = weft("doctor", tmp_path / "broken.py", tmp_path / "nowhere.py")
    assert done.returncode == 2
    assert "broken.py" in done.stderr
    assert "nowhere.py" in done.stderr
    assert "Traceback" not in done.stderr
