"""What `import weft` brings, and what a missing package says."""

import subprocess
import sys

import pytest
import weft


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_import_weft_is_free_of_heavy_packages():
    loaded = set(run("import weft, sys; print(*sys.modules)"))
    assert not loaded & {
        "numpy",
        "pandas",
        "pyarrow",
        "fsspec",
        "cloudpickle",
        "distributed",
        "dask",
        "asyncio",
    }


def test_delayed_needs_no_numpy():
    code = "import weft, sys; x = weft.delayed(sum)([1, 2]) + 1; print(x.compute(), 'numpy' in sys.modules)"
    assert run(code) == ["4", "False"]


def test_names():
    for name in (
        "annotate",
        "compute",
        "delayed",
        "get",
        "get_annotations",
        "is_dask_collection",
        "optimize",
        "persist",
    ):
        assert callable(getattr(weft, name))
    assert weft.threaded.get and weft.core.get and weft.optimization.cull
    with pytest.raises(AttributeError, match="no_such_name"):
        weft.no_such_name  # noqa: B018


def test_a_missing_package_is_named_with_its_remedy(tmp_path):
    (tmp_path / "frames.py").write_text("import pandas")
    code = f"""
import sys
sys.modules["pandas"] = None
import weft
weft.__path__.append({str(tmp_path)!r})
weft._LAZY["frames"] = "dataframe"
try:
    weft.frames
except ImportError as error:
    print(error)
"""
    assert " ".join(run(code)) == (
        'weft.frames needs pandas, which is not installed. Install it with: pip install "weft[dataframe]"'
    )
