"""NumPy's functions of elements."""

from __future__ import annotations

import builtins
from functools import partial
from typing import Any

import numpy as np

from weft._docs import derived_from
from weft.base import is_dask_collection, normalize_token
from weft.utils import funcname


def wrap_elemwise(numpy_ufunc: Any, source: Any = np) -> Any:
    """A lazy version of a function of elements."""

    def wrapped(*args, **kwargs):
        from weft.array.core import elemwise

        lazy = [a for a in args if hasattr(a, "_elemwise")] or [
            a for a in kwargs.values() if hasattr(a, "_elemwise")
        ]
        if lazy:
            return (
                elemwise(numpy_ufunc, *args, **kwargs)
                if not hasattr(lazy[0], "_meta") or hasattr(lazy[0], "chunks")
                else lazy[0]._elemwise(numpy_ufunc, *args, **kwargs)
            )
        return numpy_ufunc(*args, **kwargs)

    wrapped.__name__ = numpy_ufunc.__name__
    try:
        return derived_from(source)(wrapped)
    except AttributeError:
        return wrapped


class da_frompyfunc:
    """What `frompyfunc` makes: picklable, with a token of its own."""

    def __init__(self, func: Any, nin: int, nout: int):
        self._ufunc = np.frompyfunc(func, nin, nout)
        self._func = func
        self.nin, self.nout = nin, nout
        self._name = funcname(func)
        self.__name__ = f"frompyfunc-{self._name}"

    def __repr__(self) -> str:
        return f"da.frompyfunc<{self._name}, {self.nin}, {self.nout}>"

    def __dask_tokenize__(self) -> Any:
        return (normalize_token(self._func), self.nin, self.nout)

    def __reduce__(self) -> Any:
        return (da_frompyfunc, (self._func, self.nin, self.nout))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._ufunc(*args, **kwargs)

    def __getattr__(self, a: str) -> Any:
        if not a.startswith("_"):
            return getattr(self._ufunc, a)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {a!r}")

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *self.__dict__, *dir(self._ufunc)})


@derived_from(np)
def frompyfunc(func, nin, nout):
    if nout > 1:
        raise NotImplementedError("frompyfunc with more than one output")
    return ufunc(da_frompyfunc(func, nin, nout))


class ufunc:
    """A lazy version of one of NumPy's universal functions.

    Examples
    --------
    >>> import weft.array as da
    >>> da.add(da.arange(3, chunks=2), 1).compute()
    array([1, 2, 3])
    """

    _forward_attrs = {"nin", "nargs", "nout", "ntypes", "identity", "signature", "types"}

    def __init__(self, ufunc: Any):
        if not isinstance(ufunc, (np.ufunc, da_frompyfunc)):
            raise TypeError(f"must be an instance of `ufunc` or `da_frompyfunc`, got `{type(ufunc).__name__}")
        self._ufunc = ufunc
        self.__name__ = ufunc.__name__
        if isinstance(ufunc, np.ufunc):
            derived_from(np)(self)

    def __getattr__(self, key: str) -> Any:
        if key in self._forward_attrs:
            return getattr(self._ufunc, key)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")

    def __dir__(self) -> list[str]:
        return sorted(self._forward_attrs | set(dir(type(self))) | set(self.__dict__))

    def __repr__(self) -> str:
        return repr(self._ufunc)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from weft.array.core import elemwise

        lazy = [a for a in args if hasattr(a, "_elemwise")]
        if lazy:
            for a in lazy:
                if not hasattr(a, "chunks"):
                    return a._elemwise(self._ufunc, *args, **kwargs)
            return elemwise(self._ufunc, *args, **kwargs)
        if builtins.any(hasattr(a, "_elemwise") for a in kwargs.values()):
            return elemwise(self._ufunc, *args, **kwargs)
        return self._ufunc(*args, **kwargs)

    def outer(self, A: Any, B: Any, **kwargs: Any) -> Any:
        """The function of all pairs of elements of two arrays."""
        from weft.array.blockwise import blockwise

        if self.nin != 2:
            raise ValueError("outer product only supported for binary functions")
        if "out" in kwargs:
            raise ValueError("`out` kwarg not supported")
        lazy = [is_dask_collection(x) for x in (A, B)]
        if not builtins.any(lazy):
            return self._ufunc.outer(A, B, **kwargs)
        from weft.array.core import asarray

        A = A if lazy[0] else asarray(A)
        B = B if lazy[1] else asarray(B)
        n = A.ndim + B.ndim
        ind = tuple(range(n))
        dtype = kwargs.get("dtype")
        if dtype is None:
            # Of objects the result is whatever the function gives: a Python object.
            one = self._ufunc(np.ones((), A.dtype), np.ones((), B.dtype))
            dtype = getattr(one, "dtype", np.dtype(object))
        else:
            kwargs = {**kwargs, "_outer": self._ufunc}
        call = kwargs.pop("_outer", None)
        if call is not None:
            call = partial(call.outer, dtype=dtype)
        return blockwise(
            call or self._ufunc.outer,
            ind,
            A,
            ind[: A.ndim],
            B,
            ind[A.ndim :],
            dtype=dtype,
            token=self.__name__ + ".outer",
            **{k: v for k, v in kwargs.items() if k != "dtype"},
        )


_UFUNCS = """
    add subtract multiply divide logaddexp logaddexp2 true_divide floor_divide negative positive power float_power
    remainder mod fmod conj exp exp2 log log2 log10 log1p expm1 sqrt square cbrt reciprocal
    sin cos tan arcsin arccos arctan arctan2 hypot sinh cosh tanh arcsinh arccosh arctanh deg2rad rad2deg
    greater greater_equal less less_equal not_equal equal isneginf isposinf logical_and logical_or logical_xor logical_not
    maximum minimum fmax fmin isfinite isinf isnan signbit copysign nextafter spacing ldexp fmod floor ceil trunc
    degrees radians rint fabs sign absolute bitwise_and bitwise_or bitwise_xor bitwise_not invert left_shift right_shift
    gcd lcm heaviside matmul bitwise_count
""".split()

for _name in _UFUNCS:
    if isinstance(getattr(np, _name, None), np.ufunc) and _name != "matmul":
        globals()[_name] = ufunc(getattr(np, _name))
del _name

for _name in "isneginf isposinf iscomplex isreal real imag fix i0 sinc nan_to_num".split():
    globals()[_name] = wrap_elemwise(getattr(np, _name))
del _name

abs = globals()["absolute"]
conj = globals()["conj"]


@derived_from(np)
def angle(x, deg=0):
    deg = builtins.bool(deg)
    if hasattr(x, "_elemwise"):
        return x._elemwise(np.angle, x, deg)
    return np.angle(x, deg=deg)


@derived_from(np)
def clip(*args, **kwargs):
    from weft.array.core import elemwise

    args_ = list(args)
    for name in ("min", "max", "a_min", "a_max"):
        if name in kwargs:
            kwargs = {**kwargs, name.replace("a_", ""): kwargs[name]}
            if name.startswith("a_"):
                kwargs.pop(name)
    if len(args_) == 1:
        args_ += [kwargs.pop("min", None), kwargs.pop("max", None)]
    elif len(args_) == 2:
        args_ += [kwargs.pop("max", None)]
    if hasattr(args_[0], "_elemwise") or builtins.any(hasattr(a, "_elemwise") for a in args_):
        return elemwise(np.clip, *args_, **kwargs)
    return np.clip(*args_, **kwargs)


def _lazy(x: Any) -> Any:
    from weft.array.core import asanyarray

    return x if hasattr(x, "_elemwise") else asanyarray(x)


def _two_outputs(func: Any, x: Any, kinds: Any) -> Any:
    """The two results of a function of elements, as two arrays."""
    import operator

    from weft.array._host import step
    from weft.array.core import elemwise

    both = elemwise(func, *x, dtype=object)
    along = tuple(range(both.ndim))
    return tuple(
        step(
            operator.getitem,
            [(both._expr, along), (i, None)],
            both.chunks,
            np.empty((0,) * both.ndim, dtype),
            f"{name}-{both.name}",
            label=name,
        )
        for i, (name, dtype) in enumerate(kinds)
    )


@derived_from(np)
def frexp(x):
    x = _lazy(x)
    left, right = np.frexp(np.ones(1, x.dtype))
    return _two_outputs(np.frexp, [x], [("mantissa", left.dtype), ("exponent", right.dtype)])


@derived_from(np)
def modf(x):
    x = _lazy(x)
    left, right = np.modf(np.ones(1, x.dtype))
    return _two_outputs(np.modf, [x], [("fraction", left.dtype), ("whole", right.dtype)])


@derived_from(np)
def divmod(x, y):
    left, right = np.divmod(
        np.ones((1,), getattr(x, "dtype", None)) if hasattr(x, "dtype") else x,
        np.ones((1,), getattr(y, "dtype", None)) if hasattr(y, "dtype") else y if y else 1,
    )
    if not (hasattr(x, "_elemwise") or hasattr(y, "_elemwise")):
        return np.divmod(x, y)
    return _two_outputs(np.divmod, [x, y], [("quotient", left.dtype), ("rest", right.dtype)])


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'weft.array.ufunc' has no attribute {name!r}: NumPy's function works on blocks through da.map_blocks"
    )
