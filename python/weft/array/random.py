"""Random arrays: a stream of its own for each block, so that seed and chunks decide the values."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from weft._docs import derived_from
from weft._weft import ArrayExpr
from weft.array._chunks import normalize_chunks
from weft.array._host import number
from weft.array._host import step as make_step
from weft.array.core import Array, asarray, broadcast_to
from weft.base import tokenize

#: Up to this many blocks have the very seeds that `numpy.random.SeedSequence.spawn` gives. More are numbered below
#: one of them, so that nothing is made for each.
_SPAWNED = 4096


class _Spawned(Sequence):
    """Seeds of independent streams, each made when it is asked for."""

    def __init__(self, entropy: Any, key: tuple, first: int, n: int, pool_size: int):
        self.entropy, self.key, self.first, self.n, self.pool_size = entropy, key, first, n, pool_size

    def __len__(self) -> int:
        return self.n

    def words(self) -> list[int] | None:
        """Entropy and key, without the number of the block, in the words of 32 bits that NumPy hashes."""
        entropy = _as_words(self.entropy)
        key = _as_words(list(self.key))
        if entropy is None or key is None or self.pool_size != 4:
            return None
        return entropy + [0] * (4 - len(entropy)) + key

    def __getitem__(self, i: Any) -> Any:
        if not 0 <= i < self.n:
            raise IndexError(i)
        return np.random.SeedSequence(
            self.entropy, spawn_key=(*self.key, self.first + i), pool_size=self.pool_size
        )


def _as_words(value: Any) -> list[int] | None:
    """Integers as words of 32 bits, the low ones first; None for what NumPy may read in another way."""
    if isinstance(value, (list, tuple)):
        parts = [_as_words(v) for v in value]
        return None if any(p is None for p in parts) else [w for p in parts if p is not None for w in p]
    if not isinstance(value, (int, np.integer)) or value < 0:
        return None
    rest = int(value)
    words: list[int] = []
    while rest or not words:
        words.append(rest & 0xFFFFFFFF)
        rest >>= 32
    return words


def _uniform_bounds(func: str, args: tuple, kwargs: dict) -> tuple[float, float] | None:
    """The bounds of a distribution, if it is the uniform one between numbers."""
    if func == "random":
        if args or any(k != "dtype" for k in kwargs) or np.dtype(kwargs.get("dtype", float)) != np.float64:
            return None
        return 0.0, 1.0
    if func == "uniform" and len(args) <= 2:
        names = ("low", "high")
        given = {**dict(zip(names, args)), **kwargs}
        if len(given) == len(args) + len(kwargs) and set(given) <= set(names):
            low, high = given.get("low", 0.0), given.get("high", 1.0)
            if all(isinstance(v, (int, float)) for v in (low, high)) and np.isfinite(
                float(high) - float(low)
            ):
                return (float(low), float(high)) if high >= low else None
    return None


class _Words(Sequence):
    """Seeds for `numpy.random.RandomState`: those of the first, and from them for any number of blocks."""

    def __init__(self, first: bytes, n: int):
        self.first, self.n = first, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: Any) -> bytes:
        if not 0 <= i < self.n:
            raise IndexError(i)
        words = np.frombuffer(self.first, dtype="u4")
        return np.random.SeedSequence(words.tolist(), spawn_key=(i,)).generate_state(624).tobytes()


def _spawn(bitgen: Any, n: int) -> Sequence:
    """Seeds of ``n`` independent streams."""
    root = bitgen._seed_seq if hasattr(bitgen, "_seed_seq") else bitgen.seed_seq
    if type(root) is not np.random.SeedSequence:
        return root.spawn(n)
    if n > _SPAWNED:
        [child] = root.spawn(1)
        return _Spawned(child.entropy, child.spawn_key, 0, n, child.pool_size)
    first = root.n_children_spawned
    # The next draws begin after these.
    root.spawn(n)
    return _Spawned(root.entropy, root.spawn_key, first, n, root.pool_size)


class _Source:
    """What `Generator` and `RandomState` have in common: distributions, block by block."""

    def _seeds(self, n: int) -> Sequence:
        raise NotImplementedError(f"{type(self).__name__} gives no seeds")

    def _sampler(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} gives no samples")

    def _native(self, seeds: Any, func: str, args: tuple, kwargs: dict, chunks: tuple) -> Any:
        """The array without Python in its blocks, if Rust has the stream and the distribution."""
        return None

    def _wrap(
        self,
        func: str,
        *args: Any,
        size: Any = None,
        chunks: Any = "auto",
        extra_chunks: tuple = (),
        **kwargs: Any,
    ) -> Array:
        arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, (Array, np.ndarray)) and a.ndim]
        given = np.broadcast_shapes(*(a.shape for a in arrays)) if arrays and not extra_chunks else ()
        if size is not None and not isinstance(size, (tuple, list)):
            size = (size,)
        size = tuple(int(n) for n in size) if size is not None else given
        if given and np.broadcast_shapes(size, given) != size:
            raise ValueError(f"shape mismatch: arguments of shape {given} do not fit size {size}")
        sample = self._small(func, args, kwargs, len(extra_chunks))
        chunks = normalize_chunks(chunks, size, dtype=kwargs.get("dtype", sample.dtype))

        def argument(a: Any) -> Any:
            if isinstance(a, (Array, np.ndarray)) and a.ndim and not extra_chunks:
                lazy = a if isinstance(a, Array) else asarray(a)
                return broadcast_to(lazy, size).rechunk(chunks)
            if isinstance(a, Array):
                return _Whole(a.rechunk(-1) if a.ndim else a)
            return a

        args = tuple(argument(a) for a in args)
        kwargs = {k: argument(v) for k, v in kwargs.items()}
        seeds = self._seeds(math.prod(map(len, chunks)))
        made = None if extra_chunks else self._native(seeds, func, args, kwargs, chunks)
        if made is not None:
            return made
        name = f"{func}-{tokenize(type(self).__name__, func, _words(seeds[0]), size, chunks, args, kwargs)}"
        named = {k: v for k, v in kwargs.items() if isinstance(v, (Array, _Whole))}
        draw = _Draw(
            self._sampler(), seeds, func, chunks, {k: v for k, v in kwargs.items() if k not in named}, named
        )
        operands = [_operand(a) for a in (*args, *named.values())]
        meta = np.empty((0,) * (len(size) + len(extra_chunks)), sample.dtype)
        return make_step(
            draw, operands, (*chunks, *extra_chunks), meta, name, numbered=True, fallback=False, label=func
        )

    def _small(self, func: str, args: tuple, kwargs: dict, extra: int) -> Any:
        def one(a: Any) -> Any:
            if isinstance(a, Array):
                return (
                    np.ones((1,) * a.ndim, dtype=a.dtype)
                    if not extra
                    else np.full(a.shape, 1 / max(1, a.size))
                )
            if isinstance(a, np.ndarray) and a.ndim and not extra:
                return a[tuple(slice(0, 1) for _ in a.shape)]
            return a

        draw = getattr(self._local(), func)
        size = (
            (1,)
            * max([a.ndim for a in (*args, *kwargs.values()) if isinstance(a, (Array, np.ndarray))] or [0])
            if not extra
            else (1,)
        )
        return np.asarray(
            draw(*(one(a) for a in args), size=size or None, **{k: one(v) for k, v in kwargs.items()})
        )

    def _local(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} gives no samples")


def _operand(a: Any) -> tuple[Any, Any]:
    """An argument of each block: the block of an array at the same place, a whole array, or the same for all."""
    if isinstance(a, _Whole):
        return a.array._expr, (("at", 0),) * a.array.ndim
    return (a._expr, tuple(range(a.ndim))) if isinstance(a, Array) else (a, None)


class _Draw:
    """The block of a random array at a position."""

    #: Drawn again rather than kept on disk.
    _is_cheap = True

    def __init__(
        self, sampler: Any, seeds: Sequence, func: str, chunks: tuple, kwargs: dict, named: Any = ()
    ):
        self.sampler, self.seeds, self.func, self.chunks = sampler, seeds, func, chunks
        self.kwargs, self.named = kwargs, tuple(named)

    def __call__(self, at: tuple, *args: Any) -> Any:
        grid = tuple(map(len, self.chunks))
        at = at[: len(grid)]
        shape = tuple(c[i] for c, i in zip(self.chunks, at))
        kwargs = self.kwargs
        if self.named:
            n = len(args) - len(self.named)
            kwargs = {**kwargs, **dict(zip(self.named, args[n:]))}
            args = args[:n]
        return self.sampler(self.seeds[number(at, grid)], self.func, shape, *args, **kwargs)


class _Whole:
    def __init__(self, array: Array):
        self.array = array

    def __dask_tokenize__(self) -> Any:
        return self.array.name


def _words(seed: Any) -> Any:
    return seed.generate_state(4).tolist() if hasattr(seed, "generate_state") else seed


class _DrawGenerator:
    """Draws from a bit generator of NumPy's, seeded for one block."""

    def __init__(self, bits: Any):
        self.bits = bits

    def __call__(self, seed: Any, func: str, size: tuple, *args: Any, **kwargs: Any) -> Any:
        return np.asarray(getattr(np.random.Generator(self.bits(seed)), func)(*args, size=size, **kwargs))


class _DrawState:
    """Draws from `numpy.random.RandomState`, seeded for one block."""

    def __init__(self, make: Any):
        self.make = make

    def __call__(self, seed: Any, func: str, size: tuple, *args: Any, **kwargs: Any) -> Any:
        state = self.make(np.frombuffer(seed, dtype="u4"))
        return np.asarray(getattr(state, func)(*args, size=size, **kwargs))


def _choice_checks(
    a: Any, size: Any, replace: bool, p: Any, axis: int, chunks: Any
) -> tuple[Any, Any, Any, Any]:
    """What `choice` chooses from, how many of it there are, the probabilities, and the chunks."""
    if isinstance(a, Integral):
        if a <= 0:
            raise ValueError("a must be greater than 0")
        n, values, dtype = int(a), int(a), np.random.RandomState(0).choice(1, size=()).dtype
    else:
        values = asarray(a)
        if not -values.ndim <= axis < values.ndim:
            raise ValueError(
                f"axis {axis} is out of bounds for an array of {values.ndim} axes to choose from"
            )
        values = values.rechunk(-1)
        n, dtype = values.shape[axis], values.dtype
    if p is not None:
        if not isinstance(p, Array):
            p = np.asarray(p, dtype=float)
            if not np.isclose(p.sum(), 1, rtol=1e-7, atol=0):
                raise ValueError("probabilities do not sum to 1")
        if p.ndim != 1:
            raise ValueError("p must be one dimensional")
        if p.shape[0] != n:
            raise ValueError("a and p must have the same size")
    if size is None:
        size = ()
    elif not isinstance(size, (tuple, list)):
        size = (size,)
    size = tuple(size)
    chunks = normalize_chunks(chunks, size, dtype=np.float64)
    if not replace and len(chunks) and len(chunks[0]) > 1:
        raise NotImplementedError(
            f"replace=False is not currently supported for dask.array.choice with multi-chunk output arrays. Got chunks={chunks}"
        )
    return values, (size, chunks, dtype), p, n


class Generator(_Source):
    """Random arrays like `numpy.random.Generator`'s.

    Parameters
    ----------
    bit_generator : numpy.random.BitGenerator

    Examples
    --------
    >>> import weft.array as da
    >>> x = da.random.default_rng(1).normal(size=4, chunks=2)
    >>> bool((x == da.random.default_rng(1).normal(size=4, chunks=2)).all().compute())
    True
    """

    def __init__(self, bit_generator: Any):
        self._bit_generator = bit_generator

    def __str__(self) -> str:
        return f"{type(self).__name__}({type(self._bit_generator).__name__})"

    __repr__ = __str__

    def __reduce__(self) -> Any:
        return Generator, (self._bit_generator,)

    @property
    def _backend_name(self) -> str:
        return type(self._bit_generator).__module__.split(".")[0]

    @property
    def _backend(self) -> Any:
        import importlib

        return importlib.import_module(self._backend_name)

    def _seeds(self, n: int) -> Sequence:
        return _spawn(self._bit_generator, n)

    def _sampler(self) -> Any:
        return _DrawGenerator(type(self._bit_generator))

    def _native(self, seeds: Any, func: str, args: tuple, kwargs: dict, chunks: tuple) -> Any:
        # Rust has the stream of PCG64, and of what NumPy makes of it the uniform numbers.
        if type(self._bit_generator) is not np.random.PCG64 or not isinstance(seeds, _Spawned):
            return None
        bounds = _uniform_bounds(func, args, kwargs)
        words = seeds.words()
        if bounds is None or words is None or not chunks:
            return None
        low, high = bounds
        return Array._of(ArrayExpr.uniform(words, seeds.first, low, high - low, chunks, name=func))

    def _local(self) -> Any:
        return np.random.Generator(type(self._bit_generator)(0))

    @derived_from(np.random.Generator)
    def integers(self, low, high=None, size=None, dtype=np.int64, endpoint=False, chunks="auto", **kwargs):
        return self._wrap(
            "integers", low, high=high, size=size, dtype=dtype, endpoint=endpoint, chunks=chunks, **kwargs
        )

    @derived_from(np.random.Generator)
    def choice(self, a, size=None, replace=True, p=None, axis=0, shuffle=True, chunks="auto"):
        values, (size, chunks, dtype), p, _ = _choice_checks(a, size, replace, p, axis, chunks)
        return _choose(self, values, size, chunks, dtype, replace, p, axis, {"shuffle": shuffle})

    @derived_from(np.random.Generator)
    def random(self, size=None, dtype=np.float64, out=None, chunks="auto", **kwargs):
        return self._wrap("random", size=size, dtype=dtype, chunks=chunks, **kwargs)

    @derived_from(np.random.Generator)
    def multinomial(self, n, pvals, size=None, chunks="auto", **kwargs):
        return self._wrap("multinomial", n, pvals, size=size, chunks=chunks, extra_chunks=((len(pvals),),))

    @derived_from(np.random.Generator)
    def multivariate_hypergeometric(
        self, colors, nsample, size=None, method="marginals", chunks="auto", **kwargs
    ):
        # The number of colours is an axis of its own at the end.
        return self._wrap(
            "multivariate_hypergeometric",
            colors,
            nsample,
            size=size,
            method=method,
            chunks=chunks,
            extra_chunks=((len(colors),),),
            **kwargs,
        )

    @derived_from(np.random.Generator)
    def multivariate_normal(
        self, mean, cov, size=None, check_valid="warn", tol=1e-8, chunks="auto", **kwargs
    ):
        return self._wrap(
            "multivariate_normal",
            mean,
            cov,
            size=size,
            check_valid=check_valid,
            tol=tol,
            chunks=chunks,
            extra_chunks=((len(mean),),),
            **kwargs,
        )

    @derived_from(np.random.Generator)
    def dirichlet(self, alpha, size=None, chunks="auto"):
        return self._wrap("dirichlet", alpha, size=size, chunks=chunks, extra_chunks=((len(alpha),),))

    @derived_from(np.random.Generator)
    def permutation(self, x):
        [seed] = self._seeds(1)
        return _permuted(np.random.Generator(type(self._bit_generator)(seed)), x)


class RandomState(_Source):
    """Random arrays like `numpy.random.RandomState`'s.

    Parameters
    ----------
    seed : int or array, optional
    RandomState : callable, optional
        What makes the state of each block.

    Examples
    --------
    >>> import weft.array as da
    >>> da.random.RandomState(1).randint(5, size=4, chunks=2).shape
    (4,)
    """

    def __init__(self, seed: Any = None, RandomState: Any = None):
        self._numpy_state = np.random.RandomState(seed)
        self._RandomState = RandomState or np.random.RandomState

    def seed(self, seed: Any = None) -> None:
        """Starts again."""
        self._numpy_state.seed(seed)

    def _seeds(self, n: int) -> Sequence:
        from weft.utils import random_state_data

        if n > _SPAWNED:
            [first] = random_state_data(1, self._numpy_state)
            return _Words(np.asarray(first, dtype="u4").tobytes(), n)
        return [np.asarray(words, dtype="u4").tobytes() for words in random_state_data(n, self._numpy_state)]

    def _sampler(self) -> Any:
        return _DrawState(self._RandomState)

    def _local(self) -> Any:
        return self._RandomState(0)

    @derived_from(np.random.RandomState)
    def choice(self, a, size=None, replace=True, p=None, chunks="auto"):
        values, (size, chunks, dtype), p, _ = _choice_checks(a, size, replace, p, 0, chunks)
        if isinstance(values, Array) and values.ndim != 1:
            raise ValueError("a must be one dimensional")
        return _choose(self, values, size, chunks, dtype, replace, p, 0, {})

    @derived_from(np.random.RandomState)
    def multinomial(self, n, pvals, size=None, chunks="auto", **kwargs):
        return self._wrap("multinomial", n, pvals, size=size, chunks=chunks, extra_chunks=((len(pvals),),))

    @derived_from(np.random.RandomState)
    def multivariate_normal(
        self, mean, cov, size=None, check_valid="warn", tol=1e-8, chunks="auto", **kwargs
    ):
        return self._wrap(
            "multivariate_normal",
            mean,
            cov,
            size=size,
            check_valid=check_valid,
            tol=tol,
            chunks=chunks,
            extra_chunks=((len(mean),),),
            **kwargs,
        )

    @derived_from(np.random.RandomState)
    def dirichlet(self, alpha, size=None, chunks="auto"):
        return self._wrap("dirichlet", alpha, size=size, chunks=chunks, extra_chunks=((len(alpha),),))

    @derived_from(np.random.RandomState)
    def permutation(self, x):
        [seed] = self._seeds(1)
        return _permuted(np.random.RandomState(np.frombuffer(seed, dtype="u4")), x)

    @derived_from(np.random.RandomState)
    def randint(self, low, high=None, size=None, chunks="auto", dtype="l", **kwargs):
        return self._wrap("randint", low, high, size=size, chunks=chunks, dtype=dtype, **kwargs)

    @derived_from(np.random.RandomState)
    def random_integers(self, low, high=None, size=None, chunks="auto", **kwargs):
        # NumPy's own is gone: both ends are included.
        low, high = (1, low) if high is None else (low, high)
        return self._wrap("randint", low, high + 1, size=size, chunks=chunks, **kwargs)

    @derived_from(np.random.RandomState)
    def random_sample(self, size=None, chunks="auto", **kwargs):
        return self._wrap("random_sample", size=size, chunks=chunks, **kwargs)

    random = random_sample

    @derived_from(np.random.RandomState)
    def tomaxint(self, size=None, chunks="auto", **kwargs):
        return self._wrap("tomaxint", size=size, chunks=chunks, **kwargs)


def _permuted(state: Any, x: Any) -> Array:
    from weft.array._shuffle import shuffle
    from weft.array.creation import arange

    if isinstance(x, Integral):
        x = arange(x, chunks="auto")
    x = asarray(x)
    order = np.arange(len(x))
    state.shuffle(order)
    groups, start = [], 0
    for n in x.chunks[0]:
        groups.append(order[start : start + n].tolist())
        start += n
    return shuffle(x, groups, axis=0) if len(x) else x


def _choose(
    source: Any,
    values: Any,
    size: tuple,
    chunks: Any,
    dtype: Any,
    replace: bool,
    p: Any,
    axis: int,
    extra: dict,
) -> Array:
    if isinstance(p, Array):
        p = p.rechunk(-1)
    rest: tuple = ()
    if isinstance(values, Array) and values.ndim > 1:
        rest = tuple((n,) for i, n in enumerate(values.shape) if i != axis % values.ndim)
        if axis % values.ndim:
            raise NotImplementedError(
                "choice along another axis than the first is not supported: transpose first"
            )
    seeds = source._seeds(math.prod(map(len, chunks)))
    name = f"da.random.choice-{tokenize(_words(seeds[0]), size, chunks, values, replace, p, axis)}"
    draw = _Draw(_Choice(source._sampler(), replace, extra), seeds, "choice", chunks, {})
    operands = [_operand(_Whole(a) if isinstance(a, Array) else a) for a in (values, p)]
    meta = np.empty((0,) * (len(size) + len(rest)), dtype)
    return make_step(draw, operands, (*chunks, *rest), meta, name, numbered=True, fallback=False)


class _Choice:
    def __init__(self, sampler: Any, replace: bool, extra: dict):
        self.sampler, self.replace, self.extra = sampler, replace, extra

    def __call__(self, seed: Any, func: str, size: tuple, values: Any, p: Any) -> Any:
        return self.sampler(seed, func, size, values, replace=self.replace, p=p, **self.extra)


def _add_distributions() -> None:
    """Gives both classes the distributions that NumPy's have."""
    special = {
        "integers",
        "choice",
        "random",
        "multinomial",
        "permutation",
        "shuffle",
        "permuted",
        "bytes",
        "spawn",
        "randint",
        "random_integers",
        "random_sample",
        "tomaxint",
        "rand",
        "randn",
        "seed",
        "get_state",
        "set_state",
        "multivariate_normal",
        "dirichlet",
        "multivariate_hypergeometric",
        "ranf",
        "sample",
    }
    for cls, theirs in ((Generator, np.random.Generator), (RandomState, np.random.RandomState)):
        for name in dir(theirs):
            if name.startswith("_") or name in special or not callable(getattr(theirs, name)):
                continue
            setattr(cls, name, _distribution(name, theirs))


def _distribution(name: str, theirs: Any) -> Any:
    try:
        listed = inspect.signature(getattr(theirs, name)).parameters
    except (TypeError, ValueError):
        listed = {}  # type: ignore[assignment]
    parameters = [p for n, p in listed.items() if n not in ("self", "size", "out")]
    first = next((n for n in listed if n != "self"), None)

    def draw(self, *args, size=None, chunks="auto", **kwargs):
        names = [p.name for p in parameters]
        if names and len(args) > len(names):
            # Further positional arguments are the size and the chunks.
            extra = args[len(names) :]
            args = args[: len(names)]
            size = extra[0] if size is None else size
            chunks = extra[1] if len(extra) > 1 else chunks
        elif args and (not names or first == "size"):
            # The size comes first.
            size = args[0] if size is None else size
            chunks = args[1] if len(args) > 1 else chunks
            args = ()
        return self._wrap(name, *args, size=size, chunks=chunks, **kwargs)

    draw.__name__ = draw.__qualname__ = name
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    if parameters or name.startswith("standard"):
        draw.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("self", kind),
                *(p.replace(kind=kind) for p in parameters),
                inspect.Parameter("size", kind, default=None),
                inspect.Parameter("chunks", kind, default="auto"),
                inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
            ]
            if all(
                p.default is not inspect.Parameter.empty
                or i == 0
                or parameters[i - 1].default is inspect.Parameter.empty
                for i, p in enumerate(parameters)
            )
            else []
        )
    return derived_from(theirs)(draw)


_add_distributions()


def default_rng(seed: Any = None) -> Generator:
    """A generator of random arrays.

    Parameters
    ----------
    seed : int, SeedSequence, BitGenerator, Generator, optional

    Returns
    -------
    Generator

    Examples
    --------
    >>> import weft.array as da
    >>> da.random.default_rng(1)
    Generator(PCG64)
    """
    if isinstance(seed, Generator):
        return seed
    if isinstance(seed, np.random.Generator):
        return Generator(seed.bit_generator)
    if hasattr(seed, "capsule"):
        return Generator(seed)
    from weft.array.backends import array_creation_dispatch

    return Generator(array_creation_dispatch.default_bit_generator(seed))


_cached: dict[str, Any] = {}


def _state() -> Any:
    if "state" not in _cached:
        _cached["state"] = RandomState()
    return _cached["state"]


def seed(seed: Any = None) -> None:
    """Starts the functions of this module again."""
    _state().seed(seed)


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and hasattr(RandomState, name):
        return getattr(_state(), name)
    raise AttributeError(f"module 'weft.array.random' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(n for n in dir(RandomState) if not n.startswith("_"))})
