"""`weft run`: scripts, modules, notebooks and other people's tests, unmodified."""

import json
import re

import pytest

from tests.run._program import output, weft

SCRIPT = """\
import sys

import dask
import dask.bag as db
import dask.dataframe as dd
import pandas as pd


def double(x):
    return 2 * x


if __name__ == "__main__":
    numbers = db.range(10, npartitions=2).map(double)
    frame = dd.from_pandas(pd.DataFrame({"k": list("aab"), "v": [1, 2, 3]}), npartitions=2)
    total, by_key = dask.compute(numbers.sum(), frame.groupby("k").v.sum())
    print(sys.argv[1:], __name__, total, by_key.to_dict())
    sys.exit(3)
"""


def notebook(*cells):
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"c{i}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for i, source in enumerate(cells)
            ],
            "metadata": {
                "kernelspec": {"name": "conda-env-of-somebody", "display_name": "x", "language": "python"}
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def test_script(tmp_path):
    (tmp_path / "job.py").write_text(SCRIPT)
    done = weft("run", tmp_path / "job.py", "--fast", "-m")
    assert done.stdout == "['--fast', '-m'] __main__ 90 {'a': 3, 'b': 3}\n"
    assert done.returncode == 3


def test_a_script_finds_its_neighbours(tmp_path):
    (tmp_path / "job.py").write_text(
        "import neighbour, sys; print(neighbour.dask.delayed.__module__, sys.argv[0])"
    )
    (tmp_path / "neighbour.py").write_text("import dask")
    assert output("run", tmp_path / "job.py") == f"weft.delayed {tmp_path / 'job.py'}\n"


def test_notebook(tmp_path):
    pytest.importorskip("nbclient")
    path = tmp_path / "walk.ipynb"
    path.write_text(
        notebook(
            "import dask.array as da\nx = da.ones(6, chunks=3)", "print(x.npartitions)", "x.sum().compute()"
        )
    )
    assert output("run", path, "-o", tmp_path / "out.ipynb").splitlines()[-2:] == ["2", "np.float64(6.0)"]
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    assert [c["execution_count"] for c in cells] == [1, 2, 3]
    assert json.loads(path.read_text())["cells"][0]["execution_count"] is None


def test_notebook_that_fails(tmp_path):
    pytest.importorskip("nbclient")
    (tmp_path / "walk.ipynb").write_text(notebook("import dask\ndask.nonsense", "print('not reached')"))
    done = weft("run", tmp_path / "walk.ipynb")
    assert done.returncode == 1
    assert "weft has no dask.nonsense" in done.stderr
    assert "not reached" not in done.stdout


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([], "nothing to run"),
        (["-m"], "-m needs an argument"),
        (["--nonsense"], "unknown option --nonsense"),
        (["no-such-file.py"], "no-such-file.py: no such file, and no program of this name"),
        (["no-such-file.ipynb"], "no-such-file.ipynb: no such file"),
    ],
)
def test_what_cannot_be_run(args, sentence):
    done = weft("run", *args)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_notebook_that_is_none(tmp_path):
    pytest.importorskip("nbclient")
    (tmp_path / "x.ipynb").write_text("no JSON")
    done = weft("run", tmp_path / "x.ipynb")
    assert done.returncode == 2
    assert "x.ipynb" in done.stderr
    assert "Traceback" not in done.stderr


def test_commands():
    assert "weft run SCRIPT.py" in output("--help")
    assert "weft run SCRIPT.py" in output("run", "--help")
    assert re.fullmatch(r"weft \d+\.\d+.*\n", output("--version"))
    done = weft("weave")
    assert done.returncode == 2
    assert "No such command 'weave'" in done.stderr


def test_other_peoples_tests(tmp_path):
    pytest.importorskip("xarray")
    module = "xarray.tests.test_parallelcompat"
    said = output("run", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", module, cwd=tmp_path)
    assert re.search(r"\d+ passed", said)


@pytest.mark.timeout(400)
def test_xarrays_tests_of_dask(tmp_path):
    pytest.importorskip("xarray")
    args = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "xarray.tests.test_dask"]
    said = weft("run", *args, cwd=tmp_path, timeout=390).stdout.splitlines()[-1]
    counts = {name: int(n) for n, name in re.findall(r"(\d+) (passed|failed|error)", said)}
    assert counts["passed"] >= 0.9 * sum(counts.values()), said


def test_settings(tmp_path):
    env = {"WEFT_CONFIG": str(tmp_path)}
    assert output("config", "set", "array.chunk-size", "1MiB", env=env).endswith(
        f"saved to {tmp_path / 'weft.yaml'}\n"
    )
    assert output("config", "get", "array.chunk-size", env=env) == "1MiB\n"
    assert f"{tmp_path / 'weft.yaml'}  [array.chunk-size=1MiB]" in output(
        "config", "find", "array.chunk-size", env=env
    )
    assert "chunk-size: 1MiB" in output("config", "list", env=env)
    assert json.loads(output("info", "versions"))["weft"] is not None
    missing = weft("config", "get", "no.such.key", env=env)
    assert missing.returncode == 1
    assert "Section not found: no.such.key" in missing.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "weft.yaml"]
    (tmp_path / "file").write_text("")
    done = weft("config", "set", "a.b", "1", "--file", tmp_path / "file" / "x.yaml", env=env)
    assert done.stderr.startswith("Error: cannot write")
