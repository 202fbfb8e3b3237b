"""Errors of NumPy's or Dask's type, with the shapes and chunks that do not fit in the message."""

import numpy as np
import pytest
import weft.array as da


def x():
    return da.from_array(np.arange(24.0).reshape(4, 6), chunks=(2, 3))


def unknown():
    y = da.arange(6, chunks=3)
    return y[y > 2]


@pytest.mark.parametrize(
    "act, error, words",
    [
        # Shapes.
        (lambda: x() + da.ones((3, 6)), ValueError, r"\(4, 6\).*\(3, 6\)|3.*4|4.*3"),
        (lambda: x().reshape(5, 5), ValueError, r"total size"),
        (lambda: x().dot(da.ones((5, 2))), ValueError, r"\(4, 6\).*\(5, 2\)"),
        (lambda: da.tensordot(x(), da.ones((5, 2)), axes=1), ValueError, r"\(4, 6\).*\(5, 2\)"),
        (lambda: da.concatenate([x(), da.ones((2, 9))]), ValueError, "align|match|same"),
        (lambda: da.stack([x(), da.ones((4, 5))]), ValueError, r"\(4, 6\).*\(4, 5\)"),
        (lambda: da.broadcast_to(x(), (4, 7)), ValueError, r"\(4, 6\).*\(4, 7\)"),
        (lambda: x().transpose((0, 0)), ValueError, "axes|repeated"),
        (lambda: da.append(x(), da.ones(6), axis=0), ValueError, r"\(4, 6\).*\(6,\)"),
        (lambda: da.average(x(), weights=np.ones(3), axis=1), ValueError, r"3 weights.*\(4, 6\)"),
        (lambda: da.linalg.solve(x(), da.ones(4)), ValueError, "square"),
        # Chunks.
        (lambda: x().rechunk(((2, 3), 6)), ValueError, r"\(\(2, 3\).*\(4, 6\)"),
        (lambda: x().rechunk((2, 2, 2)), ValueError, r"\(2, 2, 2\).*\(4, 6\)"),
        (lambda: da.from_array(np.ones((4, 6)), chunks=((2, 2), (5,))), ValueError, r"\(5,\).*\(4, 6\)"),
        (lambda: da.fft.fft(x()), ValueError, "single chunk|chunk"),
        (lambda: da.apply_gufunc(np.sum, "(i)->()", x()), ValueError, "multiple chunks"),
        # Positions.
        (lambda: x()[4], IndexError, "4.*out of bounds.*4|out of bounds"),
        (lambda: x()[:, [0, 6]], IndexError, "6"),
        (lambda: x()[0, 0, 0], IndexError, "Too many|too many"),
        (lambda: x()[np.ones(5, dtype=bool)], IndexError, "5.*4|4.*5"),
        (lambda: x().vindex[[0], [6]], IndexError, "out of bounds.*6"),
        (lambda: x().sum(axis=2), ValueError, "2.*out of bounds.*2"),
        (lambda: x().blocks[5], IndexError, "out of bounds"),
        # Dtypes.
        (lambda: x()[da.ones(4, chunks=2)], (IndexError, NotImplementedError), "float|integer|bool"),
        (lambda: x().astype("no such type"), TypeError, "no such type"),
        (lambda: x() & 1, TypeError, "bitwise_and|and_|&"),
        (lambda: da.bincount(x()), ValueError, "one dimensional"),
        # Unknown sizes.
        (lambda: len(unknown()), ValueError, "unknown"),
        (lambda: unknown()[3], (ValueError, IndexError), "unknown"),
        (lambda: unknown().rechunk(2), ValueError, r"unknown.*nan"),
        (lambda: unknown().reshape(1, 3), ValueError, "unknown"),
        (lambda: unknown() + da.ones(3), ValueError, "unknown|nan"),
    ],
)
def test_errors_name_what_does_not_fit(act, error, words):
    with pytest.raises(error, match=f"(?s){words}"):
        result = act()
        result.compute()


def test_unknown_sizes_say_what_to_do():
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        unknown().rechunk(2)
    known = unknown()
    known.compute_chunk_sizes()
    assert known.rechunk(2).chunks == ((2, 1),)


def test_a_failing_function_keeps_its_own_error():
    def fail(block):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        x().map_blocks(fail, dtype=float, meta=np.empty((0, 0))).compute()
