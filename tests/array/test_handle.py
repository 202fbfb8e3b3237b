"""The handle below arrays: data goes in and out without copies, and steps of Python see the blocks they asked for."""

import numpy as np
import pytest
from weft._engine import execute
from weft._weft import ArrayExpr, Graph, array_lower_many


def numbers(shape=(5, 6), chunks=((3, 2), (4, 2)), token="x"):
    x = np.arange(np.prod(shape), dtype="f8").reshape(shape)
    return x, ArrayExpr.buffer(x, chunks, "float64", token=token, name="x")


def run(*exprs):
    graph, keys = array_lower_many(list(exprs))

    def values(keys):
        if isinstance(keys[0], list):
            return [values(inner) for inner in keys]
        return execute(graph, keys)

    return [values(nested) for nested in keys]


def whole(blocks):
    return np.block(blocks)


def test_a_buffer_is_cut_without_copies():
    x, e = numbers()
    assert (
        e.numblocks == (2, 2) and e.shape == (5, 6) and e.chunks == ((3, 2), (4, 2)) and e.dtype == "float64"
    )
    [blocks] = run(e)
    np.testing.assert_array_equal(whole(blocks), x)
    assert all(np.shares_memory(block, x) for row in blocks for block in row)
    x[0, 0] = 99
    assert blocks[0][0][0, 0] == 99
    assert e.keys() == [[(e.name, 0, 0), (e.name, 0, 1)], [(e.name, 1, 0), (e.name, 1, 1)]]
    with pytest.raises(ValueError, match="do not cut an array of shape"):
        ArrayExpr.buffer(x, ((5,), (4, 3)), "float64", token="x", name="x")


@pytest.mark.parametrize(
    "dtype", ["b1", "i1", "u2", "i4", "f4", "f8", "c8", "M8[ns]", "m8[s]", "S3", "U2", ">i4"]
)
@pytest.mark.parametrize("lay", [lambda x: x, lambda x: x.T, lambda x: x[::-2, 1:], lambda x: x[:0]])
def test_blocks_of_every_dtype_and_layout_come_back(dtype, lay):
    x = lay(np.arange(24).reshape(4, 6).astype("S3" if dtype == "S3" else dtype if dtype != "b1" else bool))
    chunks = tuple((n,) for n in x.shape)
    e = ArrayExpr.blocks([x], chunks, str(x.dtype), token="t", name="x", exact=True)
    blocks = run(e)[0]
    back = blocks[0][0]
    assert back.dtype == x.dtype and e.name == "x"
    np.testing.assert_array_equal(back, x)


def test_memory_that_may_not_be_written_stays_so():
    x = np.arange(4.0)
    x.flags.writeable = False
    [[back]] = run(ArrayExpr.blocks([x], ((4,),), "float64", token="t", name="x"))
    assert not back.flags.writeable


def test_unaligned_numbers_are_copied():
    x = np.frombuffer(b"\0" + np.arange(4.0).tobytes(), dtype="u1")[1:].view("f8")
    [[back]] = run(ArrayExpr.blocks([x], ((4,),), "float64", token="t", name="x"))
    np.testing.assert_array_equal(back, [0, 1, 2, 3])


def test_operands_follow_axes_broadcast_and_contract():
    x, e = numbers()
    y = np.arange(6.0)
    f = ArrayExpr.buffer(y, ((6,),), "float64", token="y", name="y")
    out = ArrayExpr.host(
        lambda at, a, c, b: (at, a.shape, c, np.shape(b)),
        [(e, (1, 0)), ("c", None), (f, (0,))],
        ((4, 2), (3, 2)),
        "object",
        token="t",
        name="f",
        plain=False,
        numbered=True,
    )
    [blocks] = run(out)
    assert blocks[1][0] == ((1, 0), (3, 2), "c", (6,))
    dot = ArrayExpr.host(
        lambda a, b: [[np.shape(block) for block in row] for row in a],
        [(e, (None, None)), (e, (0, ("at", 1)))],
        ((3, 2),),
        "object",
        token="t",
        name="g",
        plain=False,
    )
    assert run(dot)[0][1] == [[(3, 4), (3, 2)], [(2, 4), (2, 2)]]
    with pytest.raises(ValueError, match="2 blocks along an axis on which the result has 3"):
        ArrayExpr.host(len, [(e, (0, None))], ((1, 1, 1),), "i8", token="t", name="g")


def test_groups_make_a_tree():
    x = np.arange(10.0)
    e = ArrayExpr.buffer(x, ((1,) * 10,), "float64", token="x", name="x")
    level = ArrayExpr.host(
        lambda blocks: np.concatenate(blocks).sum(keepdims=True),
        [(e, (("group", 0, 4),))],
        ((1, 1, 1),),
        "float64",
        token="t",
        name="sum",
    )
    assert [b.item() for b in run(level)[0]] == [6, 22, 17]


def test_listed_reads_and_foreign_tasks():
    x, e = numbers()
    pick = ArrayExpr.host_listed(
        lambda at, *blocks: (at, [b.shape for b in blocks]),
        [e],
        [[(0, 3), (0, 0)], []],
        ((2,), (1, 1)),
        "object",
        token="t",
        name="pick",
        plain=False,
        numbered=True,
    )
    assert run(pick) == [[[((0, 0), [(2, 2), (3, 4)]), ((0, 1), [])]]]
    graph = Graph({("z", 0): (sum, [1, 2]), ("z", 1): 5, "other": 7})
    z = ArrayExpr.tasks(graph, "z", ((1, 1),), "int64", token="z", plain=False)
    assert z.keys() == [("z", 0), ("z", 1)] and run(z) == [[3, 5]]
    both = ArrayExpr.host(
        lambda a: a + 1, [(z, (0,))], ((1, 1),), "int64", token="t", name="inc", plain=False
    )
    assert run(both, z, z.rename("w")) == [[4, 6], [3, 5], [3, 5]]
    with pytest.raises(KeyError, match="not in the graph"):
        ArrayExpr.tasks(graph, "z", ((1, 1, 1),), "int64", token="z")


def test_equal_content_has_one_name():
    _, e = numbers()
    _, f = numbers()
    _, g = numbers(token="other")
    assert e == f and hash(e) == hash(f) and e.name == f.name and e != g
    assert "native" in e.explain()


def test_long_chains_of_steps():
    _, e = numbers()
    for i in range(5000):
        e = ArrayExpr.host(lambda a: a, [(e, (0, 1))], ((3, 2), (4, 2)), "float64", token=str(i), name="f")
    assert len(e.graph()) == 5001 * 4
