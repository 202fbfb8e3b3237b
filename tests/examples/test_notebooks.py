"""The notebooks in examples/ run as they are, and say what they should."""

import json
import os
import pathlib
import sys

import pytest

from tests.run._program import weft

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def run(name, tmp_path, **env):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    done = weft("run", EXAMPLES / name, "-o", tmp_path / name, env=env)
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / name).read_text())["cells"]
    texts = []
    for cell in cells:
        for output in cell.get("outputs", []):
            if output["output_type"] == "execute_result":
                texts.append("".join(output["data"]["text/plain"]))
    return texts


def test_kdd_cup_1999(tmp_path):
    texts = run("kdd_cup_1999.ipynb", tmp_path, KDD_LINES="5000")
    assert texts[1].startswith("weft.bag<")
    assert "5000" in texts
    assert "(True, 0.79)" in texts
    labels = next(text for text in texts if text.startswith("[('smurf'"))
    assert "('neptune'" in labels
    assert texts.count("True") == 3


def test_the_generator_is_deterministic(tmp_path):
    code = "import kdd, sys; kdd.write(sys.argv[1], 200)"
    import subprocess

    for name in ("a", "b"):
        env = {**os.environ, "PYTHONPATH": str(EXAMPLES / "data"), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, env=env)
    lines = (tmp_path / "a").read_text().splitlines()
    assert (tmp_path / "b").read_text().splitlines() == lines
    assert len(lines) == 200
    assert {len(line.split(",")) for line in lines} == {42}
    assert all(line.endswith(".") for line in lines)
