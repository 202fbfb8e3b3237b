"""Tokens are equal exactly where type and value are, here and in another process."""

import copy
import datetime
import decimal
import math
import os
import pickle
import struct
import subprocess
import sys
import uuid

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from weft.tokenize import tokenize

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 3),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0]),
    st.complex_numbers(),
    st.text(),
    st.text(alphabet=st.characters(exclude_categories=()), max_size=5),
    st.text(min_size=65, max_size=80),
    st.binary(),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.sampled_from([int, float, len, math.sin, Ellipsis, NotImplemented, range(3), slice(1, None, 2)]),
)
hashable = st.recursive(
    leaves.filter(lambda x: not isinstance(x, slice)),
    lambda s: st.tuples(s, s) | st.frozensets(s, max_size=3),
    max_leaves=4,
)
nested = st.recursive(
    leaves,
    lambda s: st.one_of(
        st.lists(s, max_size=6),
        st.lists(s, max_size=6).map(tuple),
        st.dictionaries(hashable, s, max_size=6),
        st.sets(hashable, max_size=6),
    ),
    max_leaves=20,
)


def shape_of(x):
    """Type and value, as something whose equality is the specification's."""
    if isinstance(x, float):
        return float, "nan" if math.isnan(x) else struct.pack("d", x)
    if isinstance(x, complex):
        return complex, shape_of(x.real), shape_of(x.imag)
    if isinstance(x, (list, tuple)):
        return type(x), *map(shape_of, x)
    if isinstance(x, dict):
        return dict, frozenset((shape_of(k), shape_of(v)) for k, v in x.items())
    if isinstance(x, (set, frozenset)):
        return type(x), frozenset(map(shape_of, x))
    if isinstance(x, decimal.Decimal):
        return decimal.Decimal, str(x)
    if isinstance(x, slice):
        return slice, x.start, x.stop, x.step
    if isinstance(x, datetime.datetime):
        return datetime.datetime, x.isoformat(), x.fold
    return type(x), x


@settings(max_examples=300, deadline=None)
@given(nested, nested)
def test_equal_tokens_mean_equal_types_and_values(a, b):
    assert (tokenize(a) == tokenize(b)) == (shape_of(a) == shape_of(b))


@settings(max_examples=200, deadline=None)
@given(nested)
def test_a_copy_has_the_same_token(a):
    assert tokenize(a) == tokenize(copy.deepcopy(a)) == tokenize(pickle.loads(pickle.dumps(a)))


@settings(max_examples=100, deadline=None)
@given(st.lists(leaves, min_size=1, max_size=5), st.data())
def test_one_changed_leaf_changes_the_token(items, data):
    i = data.draw(st.integers(0, len(items) - 1))
    other = data.draw(leaves)
    changed = [*items[:i], other, *items[i + 1 :]]
    assert (tokenize(items) == tokenize(changed)) == (shape_of(items[i]) == shape_of(other))


@given(st.dictionaries(hashable, leaves, min_size=2, max_size=8), st.randoms())
@settings(deadline=None)
def test_the_order_of_a_dict_and_a_set_does_not_count(d, random):
    items = list(d.items())
    random.shuffle(items)
    assert tokenize(d) == tokenize(dict(items))
    assert tokenize(set(d)) == tokenize({k for k, _ in items})


ANOTHER_PROCESS = """
import pickle, sys
from weft.tokenize import tokenize
values = pickle.load(open(sys.argv[1], "rb"))
print("\\n".join(map(tokenize, values)))
"""


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(nested, max_size=8).map(lambda xs: [*xs, set("abcdefgh"), {k: {k} for k in "xyz"}]))
def test_another_hash_seed_gives_the_same_tokens(tmp_path, values):
    file = tmp_path / "values"
    file.write_bytes(pickle.dumps(values))
    for seed in ("1", "2"):
        out = subprocess.run(
            [sys.executable, "-c", ANOTHER_PROCESS, str(file)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert out.stdout.split() == [tokenize(value) for value in values]


dtypes = st.one_of(
    hnp.integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.boolean_dtypes(),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.unicode_string_dtypes(max_len=4),
    hnp.byte_string_dtypes(max_len=4),
    hnp.array_dtypes(allow_subarrays=False),
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_layout_of_an_array_does_not_count(data):
    dtype = data.draw(dtypes)
    x = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)))
    token = tokenize(x)
    assert token == tokenize(x.copy())
    assert token == tokenize(np.asfortranarray(x)) or x.ndim == 0
    if x.ndim:
        wide = np.repeat(x, 2, axis=-1)
        assert token == tokenize(wide[..., ::2])
        assert token == tokenize(x[::-1][::-1])
        assert x.size == 0 or token != tokenize(x.reshape(1, *x.shape))


@given(hnp.arrays(np.int64, hnp.array_shapes(), elements=st.integers(-9, 9)), st.data())
@settings(deadline=None)
def test_a_changed_element_changes_the_token(x, data):
    token = tokenize(x)
    i = tuple(data.draw(st.integers(0, n - 1)) for n in x.shape)
    x[i] += 1
    assert tokenize(x) != token
    x[i] -= 1
    assert tokenize(x) == token


def test_a_transposed_array_is_another_one():
    x = np.arange(9).reshape(3, 3)
    assert tokenize(x) != tokenize(x.T)


@pytest.mark.parametrize("size", [1 << 10, 1 << 21])
def test_a_large_array_is_hashed_whole(size):
    x = np.zeros(size, "u1")
    seen = {tokenize(x)}
    for i in (0, size // 2, size - 1):
        x[i] = 1
        seen.add(tokenize(x))
        strided = np.zeros((size, 2), "u1")
        strided[:, 0] = x
        assert tokenize(strided[:, 0]) == tokenize(x)
    assert len(seen) == 4


def test_types_that_compare_equal_have_their_own_tokens():
    equal = [1, 1.0, True, 1 + 0j, decimal.Decimal(1), np.int64(1), np.int32(1), np.float64(1), np.array(1)]
    assert len({tokenize(x) for x in equal}) == len(equal)
    empty = [(), [], {}, set(), frozenset(), "", b"", bytearray(), None, memoryview(b"")]
    assert len({tokenize(x) for x in empty}) == len(empty)


def test_arguments_are_kept_apart():
    tokens = [tokenize(), tokenize(()), tokenize(1, 2), tokenize((1, 2)), tokenize([1], 2), tokenize(1, x=2)]
    tokens += [
        tokenize(1, {"x": 2}),
        tokenize(1, x=3),
        tokenize(1, y=2),
        tokenize("x", 2),
        tokenize(uuid.UUID(int=1)),
    ]
    assert len(set(tokens)) == len(tokens)
    assert tokenize(x=1, y=2) == tokenize(y=2, x=1)
    assert all(len(t) == 32 and int(t, 16) >= 0 for t in tokens)
