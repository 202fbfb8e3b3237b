"""Random programs, lazily and plainly, come to the same."""

import operator

import weft
from hypothesis import given, settings
from hypothesis import strategies as st
from weft import delayed

OPERATORS = [operator.add, operator.sub, operator.mul, max, min]


def build(lazily):
    """Strategies for (lazy value, plain value)."""
    numbers = st.integers(-9, 9)

    def call(children):
        def combine(op, a, b, keywords):
            if keywords:
                plain = (lambda x, *, y: op(x, y))(a[1], y=b[1])
                return delayed(lambda x, *, y: op(x, y), pure=lazily)(a[0], y=b[0]), plain
            return delayed(op, pure=lazily)(a[0], b[0]), op(a[1], b[1])

        return st.builds(combine, st.sampled_from(OPERATORS), children, children, st.booleans())

    def operate(children):
        def combine(op, a, b):
            return op(delayed(a[0]), b[0]), op(a[1], b[1])

        return st.builds(combine, st.sampled_from(OPERATORS[:3]), children, children)

    def gather(children):
        def combine(items, kind):
            if kind == "list":
                return delayed(sum)([x for x, _ in items]), sum(p for _, p in items)
            if kind == "dict":
                lazy = delayed(lambda d: sum(d.values()))({i: x for i, (x, _) in enumerate(items)})
                return lazy, sum(p for _, p in items)
            lazy = delayed(lambda t: sum(x[0] for x in t))(tuple([x] for x, _ in items))
            return lazy, sum(p for _, p in items)

        return st.builds(combine, st.lists(children, max_size=4), st.sampled_from(["list", "dict", "tuple"]))

    def share(children):
        return children.map(lambda a: (delayed(lambda x, y: x - y + x)(a[0], a[0]), a[1]))

    leaves = numbers.map(lambda n: (n, n))
    return st.recursive(leaves, lambda c: call(c) | operate(c) | gather(c) | share(c), max_leaves=15)


@settings(deadline=None, max_examples=60)
@given(st.lists(build(False) | build(True), min_size=1, max_size=3), st.sampled_from(["sync", "threads"]))
def test_lazy_and_plain_agree(programs, scheduler):
    lazy, plain = zip(*programs)
    assert weft.compute(*lazy, scheduler=scheduler) == plain
    assert weft.compute([*lazy], {"a": lazy}, scheduler=scheduler) == ([*plain], {"a": plain})
