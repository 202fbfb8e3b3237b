"""The package itself: what importing it costs and needs."""

import subprocess
import sys


def test_import_needs_neither_numpy_nor_pandas():
    code = "import sys, weft; print(sorted({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_extension_is_there():
    import weft._weft as extension

    assert extension.__name__ == "weft._weft"


def test_a_name_of_the_past_says_what_to_write_now():
    import pytest
    import weft

    with pytest.raises(AttributeError, match=r"set_options.*weft\.config\.set"):
        weft.set_options(get=None)
