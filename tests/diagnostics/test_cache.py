"""Results that are kept between computations."""

import sys
import threading
from operator import add

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from weft.cache import Cache, ScoredCache
from weft.callbacks import Callback
from weft.threaded import get


@pytest.fixture(params=["cachey", "own"])
def kind(request, monkeypatch):
    """With cachey installed, and without."""
    if request.param == "cachey":
        pytest.importorskip("cachey")
    else:
        monkeypatch.setitem(sys.modules, "cachey", None)
    return request.param


def test_results_are_not_computed_again(kind):
    calls = []

    def inc(x):
        calls.append(x)
        return x + 1

    cache = Cache(1e6)
    with cache:
        assert get({"x": (inc, 1)}, "x") == 2
        assert get({"x": (inc, 1), "y": (inc, 2), "z": (add, "x", "y")}, "z") == 5
    assert calls == [1, 2]
    assert cache.cache.data["x"] == 2 and cache.cache.data["z"] == 5
    assert not cache.starttimes and not cache.durations
    assert not Callback.active
    assert get({"x": (inc, 1)}, "x") == 2
    assert calls == [1, 2, 1]


def test_number_of_bytes(kind):
    cache = Cache(10_000, limit=1)
    assert type(cache.cache).__module__.partition(".")[0] == ("cachey" if kind == "cachey" else "weft")
    assert cache.cache.available_bytes == 10_000 and cache.cache.limit == 1
    small = Cache(2_000)
    with small:
        get({"big": (bytes, 5_000), "n": (len, "big")}, "n")
    assert "big" not in small.cache.data
    assert small.cache.total_bytes <= 2_000


def test_cache_object(kind):
    scored = ScoredCache(1e6)
    assert Cache(scored).cache is scored
    with pytest.raises(TypeError, match="no effect"):
        Cache(scored, limit=1)


def test_what_depends_on_costly_work_is_worth_more():
    cache = Cache(ScoredCache(1e9))
    with cache:
        get({"x": (lambda: [sum(range(300_000))] * 1000,), "y": (lambda x: x[0], "x")}, "y")
    assert cache.cache._costs["x"] < cache.cache._costs["y"]


def test_after_an_error_nothing_is_left_over(kind):
    cache = Cache(1e6)
    with pytest.raises(ZeroDivisionError), cache:
        get({"x": (add, 1, 1), "y": (lambda x: x // 0, "x")}, "y")
    assert not cache.starttimes and not cache.durations
    assert "x" in cache.cache.data


def test_threads(kind):
    cache = Cache(1e6)
    barrier, results = threading.Barrier(4), []

    def work(n):
        barrier.wait(60)
        for i in range(20):
            results.append(get({f"k{i}": (add, i, 1), f"l{n}": (add, f"k{i}", n)}, f"k{i}") == i + 1)

    with cache:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert len(results) == 80 and all(results)


def test_a_use_counts():
    cache = ScoredCache(100)
    cache.put("a", 1, cost=1, nbytes=50)
    cache.put("b", 2, cost=1.001, nbytes=50)
    cache.get("a")
    cache.put("c", 3, cost=1.5, nbytes=50)
    assert set(cache.data) == {"a", "c"}
    assert cache.get("b", "gone") == "gone"


def test_old_uses_count_less():
    cache = ScoredCache(100, halflife=1)
    cache.put("old", 1, cost=1, nbytes=60)
    for _ in range(2000):  # beyond the range of floats, were the weights not scaled back
        cache.get("old")
    cache.put("new", 2, cost=100, nbytes=60)
    assert set(cache.data) == {"new"}


def test_least_cost():
    cache = ScoredCache(100, limit=5)
    cache.put("a", 1, cost=4, nbytes=1)
    cache.put("b", 1, cost=6, nbytes=1)
    assert set(cache.data) == {"b"}
    cache.clear()
    assert not cache.data and cache.total_bytes == 0


puts = st.tuples(st.integers(0, 20), st.floats(0, 10), st.integers(0, 60))


@given(st.lists(st.one_of(puts, st.integers(0, 20)), max_size=200))
@example([(0, 1.0, 58), (1, 0.0, 1), 1, (2, 1.0, 43)])  # what costs nothing scores the same after each use
def test_bytes_are_bounded_and_counted(steps):
    cache = ScoredCache(100, halflife=10)
    latest = {}
    for n, step in enumerate(steps):
        if isinstance(step, tuple):
            key, cost, nbytes = step
            cache.put(key, n, cost, nbytes)
            latest[key] = n
        else:
            cache.get(step)
        assert cache.total_bytes == sum(cache.nbytes.values()) <= 100
        assert cache.data.keys() == cache.nbytes.keys() == cache._scores.keys() == cache._costs.keys()
        assert all(latest[key] == value for key, value in cache.data.items())
        assert {key for score, _, key in cache._heap if cache._scores.get(key) == score} == cache.data.keys()
