"""Random trees of operations on arrays in blocks, against the same on NumPy.

A tree grows from one or two arrays, an operation at a time; each node is a pair of what NumPy gives and a lazy array. Values,
dtypes and shapes of the last nodes are compared, computed together. ``WEFT_PROPERTY_CASES=10000`` (`make property`) is the
long run, with other trees each time.
"""

import os
import warnings

import numpy as np
import pytest
import weft
import weft.array as da
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("WEFT_PROPERTY_CASES", "200"))
SHARDS = 4
LARGEST = 3000  # elements of a node

many = settings(
    max_examples=max(1, CASES // SHARDS),
    deadline=None,
    derandomize="WEFT_PROPERTY_CASES" not in os.environ,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


class Node:
    """A pair; ``exact`` while no rounding can have made the two differ: comparisons and positions may then be asked for."""

    def __init__(self, value, lazy, exact, text):
        self.value, self.lazy, self.text = value, lazy, text
        self.exact = bool(exact and _is_small(value))

    @property
    def kind(self):
        return self.value.dtype.kind

    @property
    def ndim(self):
        return self.value.ndim


def _is_single(dtype):
    return dtype.itemsize // (1 + (dtype.kind == "c")) < 8


def _is_small(value):
    """Whether sums of these numbers are exact in their dtype."""
    if value.dtype.kind not in "fc":
        return True
    finite = value[np.isfinite(value)]
    return not finite.size or np.abs(finite).max() < (2.0**12 if _is_single(value.dtype) else 2.0**36)


# -- leaves ----------------------------------------------------------------------------------------


def cut(draw, n):
    """Chunks of an axis of ``n`` elements."""
    sizes = []
    while n and len(sizes) < 4:
        sizes.append(draw(st.integers(1, n)))
        n -= sizes[-1]
    return (*sizes, n) if n or not sizes else tuple(sizes)


def leaf(draw):
    ndim = draw(st.sampled_from([1, 1, 2, 2, 2, 3, 0]))
    least = draw(st.sampled_from([1, 1, 1, 1, 0]))
    shape = tuple(draw(st.integers(least, 9)) for _ in range(ndim))
    dtype = np.dtype(draw(st.sampled_from(["f8", "f8", "f4", "i8", "i8", "i4", "i2", "u1", "?", "c16"])))
    chunks = tuple(cut(draw, n) for n in shape)
    kind = draw(st.sampled_from(["array", "array", "array", "arange", "full", "ones"]))
    if kind == "arange" and ndim == 1 and dtype.kind in "if":
        return Node(
            np.arange(*shape, dtype=dtype),
            da.arange(*shape, dtype=dtype, chunks=chunks),
            True,
            f"arange({shape}, {dtype})",
        )
    if kind in {"full", "arange"}:
        return Node(
            np.full(shape, 3, dtype),
            da.full(shape, 3, dtype=dtype, chunks=chunks),
            True,
            f"full({shape}, 3, {dtype})",
        )
    if kind == "ones":
        return Node(
            np.ones(shape, dtype), da.ones(shape, dtype=dtype, chunks=chunks), True, f"ones({shape}, {dtype})"
        )
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    value = np.asarray(rng.integers(0 if dtype.kind in "ub" else -9, 10, shape)).astype(dtype)
    if dtype.kind in "fc" and value.size and draw(st.integers(0, 4)) == 0:
        value.flat[rng.integers(0, value.size)] = draw(st.sampled_from([np.nan, np.inf, -np.inf, -0.0]))
    if ndim > 1 and draw(st.integers(0, 3)) == 0:
        value = np.asfortranarray(value)
    return Node(value, da.from_array(value, chunks=chunks), True, f"from_array({value!r})")


# -- operations ------------------------------------------------------------------------------------
#
# Each draws what it needs and gives (what to do, whether it keeps exactness, its text); what to do takes NumPy or `weft.array`
# and a function from nodes to their arrays there. None: it does not fit this node.

OPERATIONS = []


def operation(weight=1):
    def register(function):
        OPERATIONS.extend([function] * weight)
        return function

    return register


ROUNDING = {"sin", "exp", "tanh", "sqrt", "log1p", "reciprocal", "true_divide", "hypot", "arctan2"}
ROUNDING |= {"mean", "var", "std", "nanmean", "nanvar", "nanstd"}


@operation(2)
def unary(draw, node, pool):
    names = ["negative", "absolute", "square", "conj", "positive"]
    if node.kind == "b":
        names = ["logical_not", "invert", "isnan", "absolute"]
    elif node.kind in "iu":
        names += ["invert", "sign", "logical_not", "isnan", "sin", "sqrt"]
    elif node.kind == "f":
        names += ["sin", "exp", "tanh", "isnan", "isfinite", "sqrt", "log1p", "reciprocal"]
        names += ["floor", "ceil", "rint", "trunc", "sign", "logical_not", "signbit"] * node.exact
    name = draw(st.sampled_from(names))
    return lambda xp, at: getattr(xp, name)(at(node)), name not in ROUNDING, name


@operation(3)
def with_scalar(draw, node, pool):
    names = ["add", "subtract", "multiply", "maximum", "minimum"]
    exact_only = ["equal", "not_equal", "logical_and", "logical_or"]
    if node.kind != "c":
        exact_only += ["less", "less_equal", "greater", "greater_equal"]
    if node.kind in "iu":
        names += ["bitwise_and", "bitwise_or", "bitwise_xor", "right_shift", "power"]
    if node.kind == "b":
        names = ["add", "multiply", "logical_xor", "maximum"]
    if node.kind in "fiu":
        names += ["true_divide", "hypot", "arctan2"]
        exact_only += ["floor_divide", "remainder"]
    name = draw(st.sampled_from(names + exact_only * node.exact))
    scalars = [1, 2, 3, 5] if node.kind in "iub" else [1, 2, -3, 0.5, 2.0, np.float64(1.5)]
    scalar = draw(st.sampled_from(scalars))
    if name in {"add", "subtract", "multiply", "maximum", "less", "bitwise_or"} and draw(st.booleans()):
        return lambda xp, at: getattr(xp, name)(scalar, at(node)), True, f"{name}({scalar!r}, _)"
    return lambda xp, at: getattr(xp, name)(at(node), scalar), name not in ROUNDING, f"{name}(_, {scalar!r})"


@operation(4)
def with_another(draw, node, pool):
    """Two nodes, or a node and a row, a column or the transpose of one, broadcast together."""
    other = draw(st.sampled_from(pool))
    part = draw(st.sampled_from(["", "", "row", "column", "transpose"])) if other.ndim else ""
    pick = {
        "": lambda x: x,
        "row": lambda x: x[:1],
        "column": lambda x: x[..., :1],
        "transpose": lambda x: x.T,
    }[part]
    kinds = node.kind + other.kind
    exact = node.exact and other.exact
    names = ["add", "multiply", "maximum", "minimum"]
    if "b" not in kinds:
        names += ["subtract"]
    if "c" not in kinds:
        names += ["true_divide", "arctan2"]
        names += ["less", "greater_equal", "logical_and"] * exact
    names += ["equal", "not_equal"] * exact
    if set(kinds) <= set("iub"):
        names += ["bitwise_and", "bitwise_or", "bitwise_xor"]
    name = draw(st.sampled_from(names))
    text = f"{name}(_, node {pool.index(other)} {part})"
    return lambda xp, at: getattr(xp, name)(at(node), pick(at(other))), exact and name not in ROUNDING, text


@operation(2)
def choose(draw, node, pool):
    other = draw(st.sampled_from(pool))
    if not (node.exact and other.exact):
        return None
    how = draw(st.sampled_from(["where", "where scalar", "clip", "masked"]))
    if how == "where":
        text = f"where(_ == 3, _, node {pool.index(other)})"
        return lambda xp, at: xp.where(at(node) == 3, at(node), at(other)), True, text
    if how == "where scalar":
        return lambda xp, at: xp.where(at(node) != 1, at(node), 2), True, "where(_ != 1, _, 2)"
    if node.kind not in "if":
        return None
    if how == "clip":
        return lambda xp, at: xp.clip(at(node), 0, 4), True, "clip(0, 4)"

    def masked(xp, at):
        x = at(node).copy()
        x[x > 2] = 1
        return x

    return masked, True, "[_ > 2] = 1"


@operation(1)
def cast(draw, node, pool):
    if node.exact:
        wider = {
            "b": "? u1 i4 f4 c16",
            "u": "u2 i8 f8 ?",
            "i": "i8 i4 f8 f4 ? c16",
            "f": "f8 f4 c16",
            "c": "c16",
        }
        choices = wider[node.kind].split()
        if node.kind == "f" and np.isfinite(node.value).all():
            choices += ["i8"]
    else:
        choices = ["c16"] if node.kind == "c" else ["f8", "c16"]
    to = draw(st.sampled_from(choices))
    return lambda xp, at: at(node).astype(to), True, f"astype({to})"


@operation(4)
def index(draw, node, pool):
    parts, fancy = [], False
    for n in node.value.shape:
        kind = draw(st.sampled_from(["slice", "slice", "slice", "int", "list", "mask"]))
        if kind == "int" and n:
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "list" and not fancy and n:
            fancy = True
            parts.append(np.asarray(draw(st.lists(st.integers(-n, n - 1), max_size=8)), dtype=int))
        elif kind == "mask" and not fancy:
            fancy = True
            parts.append(np.asarray(draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool))
        else:
            bound = st.none() | st.integers(-n - 2, n + 2)
            parts.append(slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3, -1, -2]))))
    if fancy:
        # Beside an index array integers are index arrays, and axes move: that is a question of its own.
        parts = [slice(p, p + 1 or None) if isinstance(p, int) else p for p in parts]
    if draw(st.integers(0, 3)) == 0:
        parts = [*parts[: draw(st.integers(0, len(parts)))], Ellipsis]
    if draw(st.integers(0, 3)) == 0 and not fancy:
        parts.insert(draw(st.integers(0, len(parts))), None)
    where = tuple(parts)
    return lambda xp, at: at(node)[where], True, f"[{where}]"


@operation(3)
def arrange(draw, node, pool):
    """Other shapes and orders of the same elements."""
    ndim = node.ndim
    how = draw(
        st.sampled_from(
            "transpose ravel reshape flip roll expand_dims squeeze swapaxes broadcast_to repeat tile diagonal tril".split()
        )
    )
    if not ndim and how in {"repeat", "tril"}:
        return None
    axis = draw(st.integers(-ndim, ndim - 1)) if ndim else 0
    if how in {"ravel", "squeeze"}:
        args = ()
    elif how == "reshape":
        args = (tuple(draw(st.permutations(factors(draw, node.value.size)))),)
    elif how == "expand_dims":
        args = (draw(st.integers(-ndim - 1, ndim)),)
    elif how == "broadcast_to":
        args = ((draw(st.integers(1, 3)), *node.value.shape),)
    elif how == "transpose":
        args = (tuple(draw(st.permutations(range(ndim)))),)
    elif how == "flip":
        args = (axis,)
    elif how == "roll":
        args = (draw(st.integers(-4, 4)), axis)
    elif how == "swapaxes":
        args = (axis, draw(st.integers(-ndim, max(0, ndim - 1))))
    elif how == "repeat":
        args = (draw(st.integers(0, 3)), axis)
    elif how == "tile":
        args = (2,)
    else:
        args = (draw(st.integers(-2, 2)),)
    return lambda xp, at: getattr(xp, how)(at(node), *args), True, f"{how}{args}"


def factors(draw, n):
    found = []
    while n > 1 and len(found) < 3:
        found.append(draw(st.sampled_from([d for d in range(2, n + 1) if n % d == 0])))
        n //= found[-1]
    return [*found, n] if n != 1 or not found else found


@operation(3)
def rechunk(draw, node, pool):
    how = draw(st.sampled_from(["all", "all", "one", "auto", "persist"]))
    if how == "persist":
        return lambda xp, at: at(node) if xp is np else at(node).persist(scheduler="sync"), True, how
    if how == "all":
        chunks = tuple(cut(draw, n) for n in node.value.shape)
    elif how == "one" and node.ndim:
        chunks = {draw(st.integers(0, node.ndim - 1)): draw(st.sampled_from([-1, 1, 2, 3]))}
    else:
        chunks = "auto"
    return lambda xp, at: at(node) if xp is np else at(node).rechunk(chunks), True, f"rechunk({chunks})"


@operation(4)
def reduce(draw, node, pool):
    names = ["sum", "sum", "mean"]
    if node.kind != "c":
        names += ["min", "max", "var", "std"]
    if node.kind == "f":
        names += ["nansum", "nanmin", "nanmax", "nanmean", "nanvar", "nanstd"]
    if node.exact:
        names += ["any", "all", "count_nonzero"]
        names += ["argmin", "argmax"] * (node.kind != "c")
    if node.kind == "b":
        names += ["prod"]
    name = draw(st.sampled_from(names))
    ndim = node.ndim
    if (
        name.endswith(("var", "std"))
        and node.value.size
        and not np.abs(node.value.astype("c16")).max() < 2.0**24
    ):
        # What is left of a difference of huge numbers is rounding.
        return None
    axis = draw(st.none() | st.integers(-ndim, ndim - 1)) if ndim else None
    if ndim > 1 and not name.startswith("arg") and draw(st.integers(0, 4)) == 0:
        axis = tuple(draw(st.permutations(range(ndim)))[:2])
    options = {} if name == "count_nonzero" else {"keepdims": draw(st.booleans())}
    if name in {"var", "std"}:
        options["ddof"] = draw(st.sampled_from([0, 1]))
    blocks = {} if name == "count_nonzero" else {"split_every": draw(st.sampled_from([None, 2, 3]))}

    def apply(xp, at):
        return getattr(xp, name)(at(node), axis=axis, **options, **({} if xp is np else blocks))

    return apply, name not in ROUNDING, f"{name}(axis={axis}, {options}, {blocks})"


@operation(2)
def accumulate(draw, node, pool):
    if not node.ndim:
        return None
    name = draw(
        st.sampled_from(["cumsum"] + ["cumprod"] * (node.kind in "bi") + ["nancumsum"] * (node.kind == "f"))
    )
    axis = draw(st.none() | st.integers(-node.ndim, node.ndim - 1))
    method = draw(st.sampled_from(["sequential", "blelloch"]))

    def apply(xp, at):
        return getattr(xp, name)(at(node), axis=axis, **({} if xp is np else {"method": method}))

    return apply, True, f"{name}({axis}, {method})"


@operation(1)
def join(draw, node, pool):
    if not node.ndim:
        return None
    axis = draw(st.integers(-node.ndim, node.ndim - 1))
    how = draw(st.sampled_from(["concatenate", "stack", "pad", "diff"]))
    if how == "pad":
        width = draw(st.integers(0, 2)), draw(st.integers(0, 2))
        return lambda xp, at: xp.pad(at(node), width, mode="constant"), True, f"pad({width})"
    if how == "diff":
        return lambda xp, at: xp.diff(at(node), axis=axis), True, f"diff({axis})"
    return (
        lambda xp, at: getattr(xp, how)([at(node), at(node)[::-1]], axis=axis),
        True,
        f"{how}([_, _[::-1]], {axis})",
    )


@operation(1)
def multiply(draw, node, pool):
    if not node.ndim or node.kind not in "if" or node.value.size > 60:
        return None
    how = draw(st.sampled_from(["dot", "outer", "tensordot", "einsum"]))
    if how == "outer":
        return lambda xp, at: xp.outer(at(node), at(node)), True, how
    if how == "dot":
        return lambda xp, at: xp.dot(at(node).T, at(node)), True, "dot(_.T, _)"
    axis = draw(st.integers(0, node.ndim - 1))
    if how == "tensordot":
        return lambda xp, at: xp.tensordot(at(node), at(node), axes=(axis, axis)), True, f"tensordot({axis})"
    letters = "ijklmnop"[: node.ndim]
    spec = f"{letters},{letters}->{letters[axis]}"
    return lambda xp, at: xp.einsum(spec, at(node), at(node)), True, f"einsum({spec})"


@operation(2)
def write(draw, node, pool):
    """A number, or an array at hand or lazy, written to slices, integers and one list."""
    where, listed = [], False
    for n in node.value.shape:
        kind = draw(st.sampled_from(["slice", "slice", "int", "list"]))
        if kind == "int" and n:
            where.append(draw(st.integers(-n, n - 1)))
        elif kind == "list" and n and not listed:
            listed = True
            # Written to once each: of several values for one place it is not said which stays.
            places = st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True)
            where.append(draw(places))
        else:
            bound = st.none() | st.integers(-n, n)
            where.append(slice(draw(bound), draw(bound), draw(st.sampled_from([None, 2, -1]))))
    if listed:
        where = [slice(p, p + 1 or None) if isinstance(p, int) else p for p in where]
    where = tuple(where)
    target = node.value[where].shape
    how = draw(st.sampled_from(["number", "array", "array", "row", "lazy", "lazy"]))
    if how == "number":
        value, chunks = 1, None
    else:
        shape = target[1:] if how == "row" else target
        value = (np.arange(np.prod(shape, dtype=int)) % 7).reshape(shape).astype(node.value.dtype)
        chunks = tuple(cut(draw, n) for n in shape)

    def apply(xp, at):
        x = at(node).copy()
        x[where] = value if xp is np or how != "lazy" else da.from_array(value, chunks=chunks)
        return x

    return apply, True, f"[{where}] = {how} {target}"


@operation(1)
def points(draw, node, pool):
    """One array of positions for each of some axes."""
    if not node.ndim or 0 in node.value.shape:
        return None
    count = draw(st.integers(0, 6))
    which = [True] + [draw(st.booleans()) for _ in range(node.ndim - 1)]
    # NumPy puts the points elsewhere where slices lie between; `vindex` always puts them first.
    last = max(axis for axis, picked in enumerate(which) if picked)
    key = tuple(
        np.asarray(draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count)), dtype=int)
        if axis <= last
        else slice(None)
        for axis, n in enumerate(node.value.shape)
    )
    return lambda xp, at: at(node)[key] if xp is np else at(node).vindex[key], True, f"vindex[{key}]"


def neighbours(block, axis):
    """Each element and those beside it, added up; at the ends the element alone."""
    block = np.moveaxis(block, axis, 0)
    total = block.copy()
    if len(block) > 2:
        total[1:-1] = block[:-2] + block[1:-1] + block[2:]
    return np.moveaxis(total, 0, axis)


@operation(1)
def window(draw, node, pool):
    if not node.ndim or 0 in node.value.shape or node.kind not in "iuf":
        return None
    axis = draw(st.integers(0, node.ndim - 1))
    modes = {"reflect": "symmetric", "periodic": "wrap", "nearest": "edge", 0: "constant"}
    boundary = draw(st.sampled_from(list(modes)))

    def apply(xp, at):
        x = at(node)
        if xp is da:
            options = {"depth": {axis: 1}, "boundary": {axis: boundary}, "dtype": x.dtype}
            return x.map_overlap(neighbours, axis=axis, meta=np.empty((0,) * x.ndim, x.dtype), **options)
        width = [(1, 1) if a == axis else (0, 0) for a in range(x.ndim)]
        inner = tuple(slice(1, -1) if a == axis else slice(None) for a in range(x.ndim))
        return neighbours(np.pad(x, width, mode=modes[boundary]), axis)[inner]

    return apply, True, f"map_overlap({axis}, {boundary!r})"


@operation(1)
def pairs(draw, node, pool):
    """Functions of two results."""
    if node.kind not in "iuf" or not node.exact or (node.kind == "f" and not np.isfinite(node.value).all()):
        return None
    name = draw(st.sampled_from(["divmod", "frexp", "modf"]))
    which = draw(st.integers(0, 1))
    if name == "divmod":
        return lambda xp, at: xp.divmod(at(node), 3)[which], True, f"divmod(_, 3)[{which}]"
    return lambda xp, at: getattr(xp, name)(at(node))[which], True, f"{name}(_)[{which}]"


# -- trees -----------------------------------------------------------------------------------------


def grow(draw):
    """A pool of nodes, each made of earlier ones."""
    pool = [leaf(draw) for _ in range(draw(st.integers(1, 2)))]
    for _ in range(draw(st.integers(1, 7))):
        node = draw(st.sampled_from([pool[-1], pool[-1], *pool]))
        drawn = draw(st.sampled_from(OPERATIONS))(draw, node, pool)
        if drawn is None:
            continue
        apply, keeps, text = drawn
        text = f"node {pool.index(node)}: {text}"
        try:
            value = np.asarray(apply(np, lambda node: node.value))
        except (ValueError, TypeError, IndexError):
            refused(apply, f"{story(pool)}\n  {text}")
            continue
        if value.size > LARGEST or (value.dtype == object):
            continue
        try:
            lazy = apply(da, lambda node: node.lazy)
        except Exception as error:
            raise AssertionError(f"{error!r}\n{story(pool)}\n  {text}") from error
        pool.append(Node(value, lazy, node.exact and keeps, text))
    return pool


def refused(apply, told):
    """What NumPy refuses is refused too, at the latest when it is computed."""
    try:
        result = apply(da, lambda node: node.lazy).compute(scheduler="sync")
    except Exception:
        return
    raise AssertionError(f"NumPy refuses this, which gave {result!r}\n{told}")


def story(pool):
    return "\n".join(
        f"  node {i} = {node.text}  -> {node.value.shape} {node.value.dtype}, chunks {node.lazy.chunks}"
        for i, node in enumerate(pool)
    )


def compare(node, result, told):
    expected = node.value
    assert node.lazy.dtype == expected.dtype, (
        f"lazy dtype {node.lazy.dtype}, expected {expected.dtype}\n{told}"
    )
    assert node.lazy.shape == expected.shape, (
        f"lazy shape {node.lazy.shape}, expected {expected.shape}\n{told}"
    )
    result = np.asarray(result)
    assert result.dtype == expected.dtype, f"dtype {result.dtype}, expected {expected.dtype}\n{told}"
    assert result.shape == expected.shape, f"shape {result.shape}, expected {expected.shape}\n{told}"
    if node.kind not in "fc":
        np.testing.assert_array_equal(result, expected, err_msg=told)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    size = min(max(1.0, float(finite.max())), 1e300) if finite.size else 1.0
    tolerance = 2e-3 if _is_single(expected.dtype) else 1e-7
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * size, err_msg=told)


@pytest.mark.timeout(3600 if CASES > 1000 else 120)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_trees_give_what_numpy_gives(shard):
    @many
    @given(st.data())
    def run(data):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            pool = grow(data.draw)
            told = story(pool)
            ends = pool[-2:]
            scheduler = data.draw(st.sampled_from(["sync", "threads"]))
            try:
                results = weft.compute(*(node.lazy for node in ends), scheduler=scheduler)
            except Exception as error:
                raise AssertionError(f"{error!r}\n{told}") from error
            for node, result in zip(ends, results):
                compare(node, result, told)

    run()
