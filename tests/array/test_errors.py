"""Errors of NumPy's or Dask's type, with the shapes and chunks that do not fit in the message."""

import re

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


# -- beside the reference --------------------------------------------------------------------------
#
# What each does with `da` (weft or Dask), and words of the message: shapes, chunks, positions.

NUMBERS = np.arange(24.0).reshape(4, 6)


def put(array, key, value):
    array[key] = value
    return array


def make(da):
    return da.from_array(NUMBERS, chunks=(2, 3))


def some(da):
    y = da.arange(6, chunks=3)
    return y[y > 2]


SHAPES = r"\(4, 6\)"

CASES = {
    # Broadcasting.
    "add": (lambda da: make(da) + da.ones((3, 6)), SHAPES + r".*\(3, 6\)"),
    "add NumPy's": (lambda da: np.ones((3, 6)) + make(da), r"\(3, 6\).*" + SHAPES),
    "where": (lambda da: da.where(make(da) > 1, da.ones(5), 0), SHAPES + r".*\(5,\)"),
    "clip": (lambda da: da.clip(make(da), np.zeros(5), 1), SHAPES + r".*\(5,\)"),
    "broadcast_to": (lambda da: da.broadcast_to(make(da), (4, 7)), SHAPES + r".*\(4, 7\)"),
    "broadcast_to fewer axes": (lambda da: da.broadcast_to(make(da), (6,)), SHAPES + r".*\(6,\)"),
    "broadcast_arrays": (lambda da: da.broadcast_arrays(make(da), da.ones(5)), SHAPES + r".*\(5,\)"),
    # Joining.
    "concatenate": (lambda da: da.concatenate([make(da), da.ones((2, 9))]), SHAPES + r".*\(2, 9\)"),
    "concatenate axes": (lambda da: da.concatenate([make(da), da.ones(6)]), SHAPES + r".*\(6,\)"),
    "concatenate axis": (lambda da: da.concatenate([make(da)], axis=2), "axis.*2"),
    "concatenate nothing": (lambda da: da.concatenate([]), "Need array"),
    "stack": (lambda da: da.stack([make(da), da.ones((4, 5))]), SHAPES + r".*\(4, 5\)"),
    "stack axis": (lambda da: da.stack([make(da)], axis=4), "4.*3"),
    "vstack": (lambda da: da.vstack([make(da), da.ones(5)]), SHAPES + r".*\(1, 5\)"),
    "hstack": (lambda da: da.hstack([make(da), da.ones((3, 2))]), SHAPES + r".*\(3, 2\)"),
    "block": (lambda da: da.block([[make(da), da.ones((3, 2))]]), SHAPES + r".*\(3, 2\)"),
    "append": (lambda da: da.append(make(da), da.ones(6), axis=0), SHAPES + r".*\(6,\)"),
    # Products.
    "matmul": (lambda da: make(da) @ da.ones((5, 2)), SHAPES + r".*\(5, 2\)"),
    "matmul of many": (lambda da: da.ones((3, 4, 6)) @ da.ones((2, 6, 4)), r"\(3, 4, 6\).*\(2, 6, 4\)|3.*2"),
    "dot": (lambda da: make(da).dot(da.ones((5, 2))), SHAPES + r".*\(5, 2\)"),
    "tensordot": (lambda da: da.tensordot(make(da), da.ones((5, 2)), axes=1), SHAPES + r".*\(5, 2\)"),
    "einsum": (lambda da: da.einsum("ij,jk", make(da), da.ones((5, 2))), r"3, 3.*5|5.*3, 3"),
    "vdot": (lambda da: da.vdot(da.ones(3), da.ones(4)), "3.*4"),
    # Other shapes.
    "reshape": (lambda da: make(da).reshape(5, 5), SHAPES + r".*\(5, 5\)"),
    "reshape twice -1": (lambda da: make(da).reshape(-1, -1), "one unknown"),
    "transpose": (lambda da: make(da).transpose((0,)), r"\(0,\).*" + SHAPES),
    "transpose beyond": (lambda da: make(da).transpose((0, 2)), "2.*2"),
    "swapaxes": (lambda da: make(da).swapaxes(0, 3), "3.*2"),
    "moveaxis": (lambda da: da.moveaxis(make(da), 0, 3), "3.*2"),
    "expand_dims": (lambda da: da.expand_dims(make(da), 5), "5.*3"),
    "squeeze": (lambda da: make(da).squeeze(0), SHAPES),
    "roll": (lambda da: da.roll(make(da), 1, axis=3), "3.*2"),
    "repeat": (lambda da: da.repeat(make(da), 2, axis=3), "3.*2"),
    "diff": (lambda da: da.diff(make(da), axis=3), "3.*2"),
    # Writing.
    "write": (lambda da: put(make(da), slice(2), np.ones(5)), r"\(5,\).*\(2, 6\)"),
    "write lazy": (lambda da: put(make(da), slice(2), da.ones((3, 6))), r"\(3, 6\).*\(2, 6\)"),
    "write columns": (
        lambda da: put(make(da), (slice(None), [0, 2]), np.ones((4, 3))),
        r"\(4, 3\).*\(4, 2\)",
    ),
    "write beyond": (lambda da: put(make(da), 9, 1), "9.*4"),
    "write beyond a list": (lambda da: put(make(da), [0, 9], 1), "9.*4"),
    "write by mask": (lambda da: put(make(da), np.ones(5, bool), 1), "4.*5"),
    "write at too many": (lambda da: put(make(da), (0, 0, 0), 1), "2.*3"),
    "write at a float": (lambda da: put(make(da), (1.5,), 1), "1.5"),
    "write text": (lambda da: put(make(da), 0, "a").compute(), "float"),
    # Chunks.
    "map_blocks chunks": (
        lambda da: make(da).map_blocks(abs, chunks=((2, 2), (3, 3, 3))),
        "2 blocks.*3 blocks",
    ),
    "map_blocks axes": (lambda da: make(da).map_blocks(abs, chunks=(2,)), "1.*2"),
    "map_blocks grids": (
        lambda da: da.map_blocks(np.add, make(da), make(da).rechunk((1, 3)), dtype=float).compute(),
        r"1, 1, 1, 1.*2, 2|2, 2.*1, 1, 1, 1",
    ),
    "map_blocks drop_axis": (lambda da: make(da).map_blocks(abs, drop_axis=5, dtype=float), "5.*2"),
    "blockwise grids": (
        lambda da: da.blockwise(
            np.add, "ij", make(da), "ij", make(da).rechunk((1, 3)), "ij", align_arrays=False, dtype=float
        ).compute(),
        r"1, 1, 1, 1.*2, 2|2, 2.*1, 1, 1, 1",
    ),
    "blockwise lengths": (
        lambda da: da.blockwise(
            np.add, "i", da.ones(4, chunks=2), "i", da.ones(5, chunks=2), "i", dtype=float
        ),
        r"2, 2, 1.*2, 2|2, 2.*2, 2, 1",
    ),
    "blockwise labels twice": (lambda da: da.blockwise(np.add, "ii", make(da), "ij", dtype=float), "'i'"),
    "rechunk sums": (lambda da: make(da).rechunk(((2, 3), 6)), r"\(2, 3\).*" + SHAPES),
    "rechunk axis": (lambda da: make(da).rechunk({5: 1}), "5.*2"),
    "rechunk unknown": (lambda da: some(da).rechunk(2), "nan"),
    "from_array": (lambda da: da.from_array(NUMBERS, chunks=((2, 2), (5,))), r"\(5,\).*" + SHAPES),
    "ones": (lambda da: da.ones((4,), chunks=((3,),)), r"\(3,\).*\(4,\)"),
    "overlap": (lambda da: make(da).map_overlap(abs, depth=9).compute(), "9.*4"),
    "fft of cut axes": (lambda da: da.fft.fft(make(da)), r"\(3, 3\)"),
    "gufunc of cut axes": (
        lambda da: da.apply_gufunc(np.sum, "(i)->()", make(da), output_dtypes=float),
        "'i'.*multiple chunks",
    ),
    "gufunc sizes": (
        lambda da: da.apply_gufunc(
            np.add,
            "(i),(i)->(i)",
            da.ones((2, 3), chunks=-1),
            da.ones((2, 4), chunks=-1),
            output_dtypes=float,
        ),
        "3.*4|4.*3",
    ),
    "gufunc chunks": (
        lambda da: da.apply_gufunc(
            np.add, "(),()->()", da.ones(4, chunks=2), da.ones(4, chunks=1), output_dtypes=float
        ),
        "different chunksize",
    ),
    "bincount weights": (lambda da: da.bincount(da.arange(4), weights=da.ones(5)), "Chunks"),
    "histogram weights": (
        lambda da: da.histogram(make(da), bins=3, range=(0, 1), weights=da.ones((3, 6))),
        "chunk",
    ),
    "qr": (lambda da: da.linalg.qr(make(da)), "rechunk"),
    # Positions.
    "index": (lambda da: make(da)[4], "4.*0.*4"),
    "negative index": (lambda da: make(da)[-5], "-5.*0.*4"),
    "list index": (lambda da: make(da)[:, [0, 6]], "6"),
    "too many indices": (lambda da: make(da)[0, 0, 0], "[Tt]oo many"),
    "mask": (lambda da: make(da)[np.ones(5, bool)], "4.*5|5.*4"),
    "lazy index": (lambda da: make(da)[da.from_array(np.array([9]), chunks=1)].compute(), "9|4"),
    "points": (lambda da: make(da).vindex[[0], [6]], "6"),
    "points of other shapes": (lambda da: make(da).vindex[[0, 1], [0, 1, 2]], r"\(2,\).*\(3,\)"),
    "blocks": (lambda da: make(da).blocks[5], "5.*2|out of bounds"),
    "step 0": (lambda da: make(da)[::0], "zero"),
    "float index": (lambda da: make(da)[1.5], "1.5|[Oo]nly integers"),
    "sum": (lambda da: make(da).sum(axis=2), "2.*2"),
    "argmin": (lambda da: make(da).argmin(axis=3), "3.*2"),
    "argmin of axes": (lambda da: make(da).argmin(axis=(0, 1)), r"\(0, 1\)"),
    "cumsum": (lambda da: make(da).cumsum(axis=3), "3.*2"),
    "topk": (lambda da: da.topk(make(da), 2, axis=3), "3.*2"),
    "take": (lambda da: da.take(make(da), [7], axis=0), "7.*4"),
    "compress": (lambda da: da.compress([True] * 9, make(da), axis=0), "9.*4"),
    "shuffle": (lambda da: da.shuffle(make(da), [[9]], axis=0), "4"),
    # Dtypes.
    "astype": (lambda da: make(da).astype("no such type"), "no such type"),
    "safe astype": (lambda da: make(da).astype("i4", casting="safe"), "float64.*int32"),
    "bits of floats": (lambda da: make(da) & 1, "bitwise_and|&"),
    "difference of truths": (lambda da: (make(da) > 1) - (make(da) > 2), "subtract"),
    "mean of texts": (lambda da: da.from_array(np.array(["a", "b"]), chunks=1).mean().compute(), ""),
    "bincount of floats": (lambda da: da.bincount(da.ones(4)).compute(), "float64"),
    "bincount of a matrix": (lambda da: da.bincount(make(da)), "one dimensional"),
    "fields": (lambda da: make(da)["a"], ""),
    "one truth": (lambda da: bool(make(da)), "ambiguous"),
    "one integer": (lambda da: int(make(da)), "length-1"),
    "squares": (lambda da: da.linalg.inv(make(da)), "square"),
    "at most a matrix": (lambda da: da.cov(da.ones((2, 2, 2))), "2 dimensions"),
    # Unknown sizes.
    "len of unknown": (lambda da: len(some(da)), "unknown"),
    "index of unknown": (lambda da: some(da)[3], "unknown"),
    "slice of unknown": (lambda da: some(da)[1:2], "unknown"),
    "reshape of unknown": (lambda da: some(da).reshape(1, 3), "unknown"),
    "argmin of unknown": (lambda da: some(da).argmin(), "unknown"),
    "concatenate unknown": (
        lambda da: da.concatenate([make(da)[make(da)[:, 0] > 3]] * 2, axis=1),
        r"unknown|nan",
    ),
    "sum with unknown": (lambda da: (some(da) + da.ones(3)).compute(), "nan|unknown"),
    "to_zarr of unknown": (lambda da: some(da).to_zarr("memory://nowhere"), "unknown"),
}


def failure(act, da):
    with np.errstate(all="ignore"), pytest.raises(Exception) as info:
        act(da)
    return info.value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_errors_are_those_of_the_reference_and_name_what_does_not_fit(name):
    reference = pytest.importorskip("dask.array")
    act, words = CASES[name]
    expected, error = failure(act, reference), failure(act, da)
    assert isinstance(error, type(expected)) or type(error).__name__ == type(expected).__name__, (
        f"{error!r} instead of {expected!r}"
    )
    assert re.search(f"(?s){words}", str(error)), f"{words!r} is not in {str(error)!r}"
