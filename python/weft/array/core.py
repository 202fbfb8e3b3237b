"""`Array`: a lazy NumPy array in blocks, and the functions that make and join arrays."""

# ruff: noqa: F401, F811, E402
from __future__ import annotations

import math
import operator
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from numbers import Integral, Number
from typing import Any

import numpy as np

from weft import config, threaded
from weft._task_spec import Results
from weft._weft import Graph, array_lower
from weft.array import _exprs, _native, chunk
from weft.array._chunks import (
    UNKNOWN_HINT,
    blockdims_from_blockshape,
    broadcast_chunks,
    broadcast_shapes,
    common_blockdim,
    is_known,
    normalize_chunks,
    slices_from_chunks,
)
from weft.array._layers import new_array
from weft.array.blockwise import atop, blockwise, unify_chunks
from weft.array.chunk_types import is_upcast_type, is_valid_array_chunk, is_valid_chunk_type
from weft.array.utils import compute_meta, meta_from_array, validate_axis
from weft.base import DaskMethodsMixin, is_dask_collection, tokenize
from weft.context import globalmethod
from weft.core import flatten
from weft.system import CPU_COUNT
from weft.utils import IndexCallable, SerializableLock, cached_cumsum, funcname, is_arraylike

__all__ = ["Array", "PerformanceWarning", "unify_chunks", "normalize_chunks", "blockwise", "atop"]

unknown_chunk_message = UNKNOWN_HINT
getitem = operator.getitem


class PerformanceWarning(Warning):
    """Warns of an operation that makes chunks much larger or more numerous."""


def _operator(op: Any, reflected: bool = False) -> Any:
    def method(self, other):
        if _defers(self, other):
            return NotImplemented
        return elemwise(op, other, self) if reflected else elemwise(op, self, other)

    return method


def _defers(array: Any, other: Any) -> bool:
    """Whether an operator is left to the other operand."""
    if other is None or isinstance(other, (Array, np.ndarray, Number, np.generic, str, bytes, list, tuple)):
        return False
    if is_dask_collection(other) and type(other).__module__.startswith("weft.") and hasattr(other, "_meta"):
        return not hasattr(other, "chunks")
    if is_upcast_type(type(other)):
        return True
    if hasattr(other, "__array_ufunc__") and other.__array_ufunc__ is None:
        return True
    return hasattr(other, "__array_ufunc__") and not is_valid_chunk_type(type(other))


class Array(DaskMethodsMixin):
    """A lazy NumPy array, made of blocks.

    Usually made by `from_array`, by functions such as `ones`, or by operations on arrays.

    Parameters
    ----------
    dask : mapping
        A graph with keys ``(name, i, j, …)``.
    name : str
        What the keys of this array start with.
    chunks : tuple of tuples of int
        Sizes of the blocks along each axis.
    dtype : dtype, optional
    meta : array, optional
        An empty array like the result: its type and dtype are taken.
    shape : tuple of int, optional
        Where ``chunks`` does not say it all.

    Raises
    ------
    ValueError
        If neither dtype nor meta is given.

    Examples
    --------
    >>> import weft.array as da
    >>> x = da.arange(10, chunks=5)
    >>> int((x + 1).sum().compute())
    55
    """

    __slots__ = ("_chunks_", "_expr_", "_graph_", "_meta_", "_name_", "_shape", "_source_")
    __array_priority__ = 11

    def __new__(cls, dask, name, chunks, dtype=None, meta=None, shape=None):
        self = super().__new__(cls)
        if isinstance(meta, np.dtype):
            meta, dtype = None, dtype or meta
        self._expr_ = self._source_ = None
        self._graph_ = dask if isinstance(dask, Graph) else Graph(dask)
        self._name_ = str(name)
        if dtype is not None and not isinstance(dtype, np.dtype) and not hasattr(dtype, "itemsize"):
            dtype = np.dtype(dtype)
        known = isinstance(chunks, tuple) and all(isinstance(c, tuple) for c in chunks) and shape is None
        # Chunks that weft itself made are whole already.
        self._chunks_ = chunks if known else normalize_chunks(chunks, shape, dtype=dtype)
        self._shape = None
        if meta is None and dtype is None:
            raise ValueError("You must specify the meta or dtype of the array")
        self._meta_ = meta_from_array(meta, ndim=len(self._chunks_), dtype=dtype)
        return self

    @classmethod
    def _of(cls, expr, meta=None):
        """The array that an expression describes; ``meta`` is needed unless blocks are NumPy's numbers."""
        self = object.__new__(cls)
        self._expr_, self._graph_, self._name_ = expr, None, expr.name
        self._chunks_ = self._shape = self._source_ = None
        self._meta_ = np.empty((0,) * expr.ndim, expr.dtype) if meta is None else meta
        return self

    def __reduce__(self):
        return _rebuilt, (type(self), self._expr, self._meta_)

    @property
    def _expr(self):
        """The expression: what the array is made of."""
        if self._expr_ is None:
            self._expr_ = _exprs.of_graph(self._graph_, self._name_, self._chunks_, self._meta_)
        return self._expr_

    @property
    def _graph(self):
        if self._graph_ is None:
            self._graph_ = self._expr_.graph()
        return self._graph_

    def explain(self):
        """The steps of the computation; each says whether it is native or falls back to NumPy.

        Returns
        -------
        str

        Examples
        --------
        >>> import weft.array as da
        >>> "native" in (da.ones(3, chunks=2) + 1).explain()
        True
        """
        return self._expr.explain()

    def pprint(self):
        """Prints :meth:`explain`."""
        print(self.explain())

    # -- the collection protocol ----------------------------------------------------------------

    @property
    def dask(self):
        """The graph: a lazy mapping from keys to tasks."""
        return self._graph

    def __dask_graph__(self):
        return self._graph

    def __dask_layers__(self):
        return (self.name,)

    def __dask_keys__(self):
        if self._expr_ is not None:
            return self._expr_.keys()
        name, numblocks = self.name, self.numblocks

        def keys(*at):
            if len(at) == len(numblocks):
                return (name, *at)
            return [keys(*at, i) for i in range(numblocks[len(at)])]

        return [keys()] if not numblocks else keys()

    def __dask_tokenize__(self):
        return self.name

    __dask_scheduler__ = staticmethod(threaded.get)

    @staticmethod
    def __weft_graph__(arrays):
        """One graph for several arrays, which share what they have in common."""
        return array_lower([x._expr for x in arrays])

    @staticmethod
    def _optimize(dsk, keys, **kwargs):
        from weft.array.optimization import optimize

        return optimize(dsk, keys, **kwargs)

    __dask_optimize__ = globalmethod(
        lambda dsk, keys, **kwargs: Array._optimize(dsk, keys, **kwargs), key="array_optimize"
    )

    def __dask_postcompute__(self):
        # Only a block that a kernel has just made belongs to nobody else.
        fresh = self._expr_ is not None and self._expr_.is_fresh
        return finalize, (fresh,)

    def __dask_postpersist__(self):
        return self._rebuild, ()

    def _rebuild(self, dsk, *, rename=None):
        if isinstance(dsk, Results) and not rename:
            keys = flatten(self.__dask_keys__())
            return Array._of(
                _exprs.blocks([dsk[k] for k in keys], self.name, self.chunks, self._meta), self._meta
            )
        name = rename.get(self.name, self.name) if rename else self.name
        return Array(dsk, name, self.chunks, self.dtype, self._meta)

    # -- what it is --------------------------------------------------------------------------------

    @property
    def name(self):
        """What the keys of this array start with."""
        return self._name_

    @name.setter
    def name(self, value):
        raise TypeError(
            "Cannot set name directly\n\nName is used to relate the array to the task graph.\nIt is uncommon to "
            "need to change it, but if you do\nplease set ``._name``"
        )

    @property
    def _name(self):
        return self._name_

    @_name.setter
    def _name(self, value):
        self._graph_, self._chunks_ = self._graph, self.chunks
        self._name_, self._expr_, self._source_ = value, None, None

    @property
    def _meta(self):
        return self._meta_

    @_meta.setter
    def _meta(self, value):
        self._meta_ = value
        if self._expr_ is not None:
            self._expr_ = self._expr_.with_dtype(_exprs.dtype_name(value.dtype), _exprs.is_plain(value))

    @property
    def chunks(self):
        """Sizes of the blocks along each axis."""
        if self._chunks_ is None:
            self._chunks_ = self._expr_.chunks
        return self._chunks_

    @chunks.setter
    def chunks(self, chunks):
        raise TypeError(
            "Can not set chunks directly\n\nPlease use the rechunk method instead:\n"
            f"  x.rechunk({chunks})\n\nIf trying to avoid unknown chunks, use\n  x.compute_chunk_sizes()"
        )

    @property
    def _chunks(self):
        return self.chunks

    @_chunks.setter
    def _chunks(self, value):
        if self._expr_ is not None:
            if tuple(map(len, value)) == self._expr_.numblocks:
                self._expr_ = self._expr_.with_chunks(value)
            else:
                self._graph_, self._expr_ = self._graph, None
        self._chunks_ = value
        self._shape = None

    @property
    def shape(self):
        """Number of elements along each axis; NaN where nobody knows."""
        if self._shape is None:
            if self._expr_ is not None:
                self._shape = self._expr_.shape
            else:
                self._shape = tuple(sum(c) if len(c) > 1 else c[0] for c in self._chunks_)
        return self._shape

    @property
    def numblocks(self):
        """Number of blocks along each axis."""
        return self._expr_.numblocks if self._expr_ is not None else tuple(map(len, self._chunks_))

    @property
    def npartitions(self):
        """Number of blocks."""
        return math.prod(self.numblocks)

    @property
    def chunksize(self):
        """Sizes of the largest block."""
        return tuple(max(c) for c in self.chunks)

    @property
    def dtype(self):
        """The dtype of the elements."""
        meta = self._meta_
        return meta[0].dtype if isinstance(meta, tuple) else meta.dtype

    @property
    def ndim(self):
        """Number of axes."""
        return self._expr_.ndim if self._expr_ is not None else len(self._chunks_)

    @property
    def size(self):
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self):
        """Bytes of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def itemsize(self):
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def _key_array(self):
        keys = np.empty(self.numblocks, dtype=object)
        for at in np.ndindex(*self.numblocks):
            keys[at] = (self.name, *at)
        return keys

    def __len__(self):
        if not self.chunks:
            raise TypeError("len() of unsized object")
        if not is_known(self.shape[0]):
            raise ValueError(f"Cannot call len() on object with unknown chunk size.{UNKNOWN_HINT}")
        return int(sum(self.chunks[0]))

    def __repr__(self):
        name = self.name.rsplit("-", 1)[0]
        if len(name) > 40:
            name = name[:37] + "..."
        meta = "" if type(self._meta) is np.ndarray else f", chunktype={_type_name(self._meta)}"
        if not meta:
            meta = ", chunktype=numpy.ndarray"
        return f"dask.array<{name}, shape={self.shape}, dtype={self.dtype}, chunksize={self.chunksize}{meta}>"

    def _repr_html_(self):
        from weft.array.svg import html_repr

        return html_repr(self)

    def to_svg(self, size=500):
        """A drawing of the blocks; see `weft.array.svg`.

        Examples
        --------
        >>> import weft.array as da
        >>> da.ones((4, 6), chunks=2).to_svg().startswith("<svg")
        True
        """
        from weft.array.svg import svg

        return svg(self.chunks, size=size)

    def __iter__(self):
        for i in range(len(self)):
            yield self[i]

    def __hash__(self):
        raise TypeError("unhashable type: 'Array'")

    def __bool__(self):
        if self.size > 1:
            raise ValueError(
                f"The truth value of a {type(self).__name__} is ambiguous. Use a.any() or a.all()."
            )
        return bool(self.compute())

    def _scalar(self, kind):
        if self.size > 1:
            raise TypeError("Only length-1 arrays can be converted to Python scalars")
        value = self.compute()
        return kind(value.item() if hasattr(value, "item") else value)

    def __int__(self):
        return self._scalar(int)

    def __float__(self):
        return self._scalar(float)

    def __complex__(self):
        return self._scalar(complex)

    def __index__(self):
        return self._scalar(operator.index)

    # -- NumPy's protocols -------------------------------------------------------------------------

    def __array__(self, dtype=None, copy=None, **kwargs):
        if kwargs:
            warnings.warn(
                f"Extra keyword arguments {kwargs} are ignored and won't be accepted in the future",
                FutureWarning,
                stacklevel=2,
            )
        if copy is False:
            warnings.warn(
                "Can't acquire a memory view of a Dask array. This will raise in the future.",
                FutureWarning,
                stacklevel=2,
            )
        x = self.compute()
        return np.asarray(x, dtype=dtype)

    def __array_ufunc__(self, numpy_ufunc, method, *inputs, **kwargs):
        out = kwargs.get("out", ())
        if any(_defers_ufunc(x) for x in (*inputs, *out)):
            return NotImplemented
        from weft.array import ufunc as table

        if method == "__call__":
            if numpy_ufunc is np.matmul:
                from weft.array.routines import matmul

                return matmul(*inputs, **kwargs)
            if numpy_ufunc.signature is not None:
                from weft.array.gufunc import apply_gufunc

                return apply_gufunc(numpy_ufunc, numpy_ufunc.signature, *inputs, **kwargs)
            if numpy_ufunc.nout > 1:
                ours = getattr(table, numpy_ufunc.__name__, None)
                return NotImplemented if ours is None else ours(*inputs, **kwargs)
            return elemwise(numpy_ufunc, *inputs, **kwargs)
        if method == "outer":
            ours = getattr(table, numpy_ufunc.__name__, None)
            return NotImplemented if ours is None else ours.outer(*inputs, **kwargs)
        return NotImplemented

    def __array_function__(self, func, types, args, kwargs):
        import weft.array as module

        def fallback(reason):
            warnings.warn(
                f"The `{func.__module__}.{func.__name__}` function is not implemented by Dask array. You may want to "
                "use the da.map_blocks function or something similar to silence this warning. Your code may stop "
                f"working in a future release.{reason}",
                FutureWarning,
                stacklevel=3,
            )
            args_, kwargs_ = _computed_arguments(args), {k: _computed_arguments(v) for k, v in kwargs.items()}
            return func(*args_, **kwargs_)

        if not all(
            issubclass(t, (Array, np.ndarray)) or is_valid_chunk_type(t) or t in (np.generic,) for t in types
        ):
            return NotImplemented
        ours: Any = module
        for part in func.__module__.split(".")[1:]:
            if part.startswith("_"):
                continue
            ours = getattr(ours, part, None)
            if ours is None:
                return fallback("")
        ours = getattr(ours, func.__name__, None)
        if ours is None or ours is func or not callable(ours):
            return fallback("")
        try:
            import inspect

            names = inspect.signature(ours).parameters
            odd = (
                [k for k in kwargs if k not in names]
                if not any(p.kind == p.VAR_KEYWORD for p in names.values())
                else []
            )
        except (TypeError, ValueError):
            odd = []
        if odd:
            given = {k: v for k, v in kwargs.items() if k in odd}
            import inspect as _inspect

            with_defaults = {}
            try:
                with_defaults = {k: p.default for k, p in _inspect.signature(func).parameters.items()}
            except (TypeError, ValueError):
                pass
            if not all(with_defaults.get(k, _NOTHING) is v for k, v in given.items()):
                return fallback(f" (it does not take {', '.join(odd)})")
            kwargs = {k: v for k, v in kwargs.items() if k not in odd}
        return ours(*args, **kwargs)

    @property
    def _elemwise(self):
        return elemwise

    # -- operators ---------------------------------------------------------------------------------

    def __abs__(self):
        return elemwise(operator.abs, self)

    def __neg__(self):
        return elemwise(operator.neg, self)

    def __pos__(self):
        return elemwise(operator.pos, self)

    def __invert__(self):
        return elemwise(operator.invert, self)

    for _name_of in "add sub mul truediv floordiv mod pow and_ or_ xor lshift rshift".split():
        _op = getattr(operator, _name_of)
        locals()[f"__{_name_of.rstrip('_')}__"] = _operator(_op)
        locals()[f"__r{_name_of.rstrip('_')}__"] = _operator(_op, reflected=True)
    for _name_of in "eq ne lt le gt ge".split():
        locals()[f"__{_name_of}__"] = _operator(getattr(operator, _name_of))
    del _name_of, _op

    def __matmul__(self, other):
        if _defers(self, other):
            return NotImplemented
        from weft.array.routines import matmul

        if not hasattr(other, "ndim"):
            other = np.asarray(other)
        return matmul(self, other)

    def __rmatmul__(self, other):
        if _defers(self, other):
            return NotImplemented
        from weft.array.routines import matmul

        if not hasattr(other, "ndim"):
            other = np.asarray(other)
        return matmul(other, self)

    def __divmod__(self, other):
        if _defers(self, other):
            return NotImplemented
        from weft.array.ufunc import divmod

        return divmod(self, other)

    def __rdivmod__(self, other):
        if _defers(self, other):
            return NotImplemented
        from weft.array.ufunc import divmod

        return divmod(other, self)

    # -- indexing ----------------------------------------------------------------------------------

    def __getitem__(self, index):
        from weft.array._indexing import getitem as get

        return get(self, index)

    def __setitem__(self, key, value):
        from weft.array._setitem import setitem

        new = setitem(self, key, value)
        self._replace(new)

    def _replace(self, new):
        self._expr_, self._graph_, self._name_ = new._expr_, new._graph_, new._name_
        self._chunks_, self._shape, self._meta_ = new._chunks_, new._shape, new._meta_
        self._source_ = new._source_

    @property
    def vindex(self):
        """Indexing in which several arrays pick points, one for each of their elements.

        Examples
        --------
        >>> import numpy as np, weft.array as da
        >>> x = da.from_array(np.arange(6).reshape(2, 3), chunks=2)
        >>> x.vindex[[0, 1], [1, 2]].compute()
        array([1, 5])
        """
        from weft.array._indexing import vindex

        return IndexCallable(partial(vindex, self))

    @property
    def blocks(self):
        """The blocks as an array of them: indexing gives an array of the chosen blocks.

        Examples
        --------
        >>> import weft.array as da
        >>> da.arange(10, chunks=5).blocks[1].compute()
        array([5, 6, 7, 8, 9])
        """
        from weft.array._indexing import BlockView

        return BlockView(self)

    @property
    def partitions(self):
        """See `blocks`."""
        return self.blocks

    # -- methods that functions of the same name explain -------------------------------------------

    def rechunk(self, chunks="auto", threshold=None, block_size_limit=None, balance=False, method=None):
        """The same array in other chunks; see `weft.array.rechunk`."""
        from weft.array.rechunk import rechunk

        return rechunk(self, chunks, threshold, block_size_limit, balance, method)

    def shuffle(self, indexer, axis=0, chunks="auto"):
        """The elements along an axis in another order; see `weft.array.shuffle`."""
        from weft.array._shuffle import shuffle

        return shuffle(self, indexer, axis, chunks)

    def astype(self, dtype, **kwargs):
        """A copy in another dtype.

        Parameters
        ----------
        dtype : dtype
        casting : {"no", "equiv", "safe", "same_kind", "unsafe"}
        copy : bool
            False: the array itself if it has that dtype.

        Raises
        ------
        TypeError
            If ``casting`` forbids it.
        """
        # Of blocks one by one, memory order and subclasses say nothing.
        kwargs.pop("order", None)
        kwargs.pop("subok", None)
        extra = set(kwargs) - {"casting", "copy"}
        if extra:
            raise TypeError(f"astype does not take the following keyword arguments: {list(extra)}")
        casting = kwargs.get("casting", "unsafe")
        dtype = np.dtype(dtype)
        if self.dtype == dtype:
            return self
        if not np.can_cast(self.dtype, dtype, casting=casting):
            raise TypeError(
                f"Cannot cast array from {self.dtype!r} to {dtype!r} according to the rule {casting!r}"
            )
        expr = _native.astype(self, dtype)
        if expr is not None:
            return Array._of(expr)
        return elemwise(chunk.astype, self, dtype=dtype, astype_dtype=dtype, **kwargs)

    def map_blocks(self, func, *args, **kwargs):
        """Applies a function to each block; see `weft.array.map_blocks`."""
        return map_blocks(func, self, *args, **kwargs)

    def map_overlap(self, func, depth=None, boundary=None, trim=True, **kwargs):
        """Applies a function to each block with its neighbours' edges; see `weft.array.map_overlap`."""
        from weft.array.overlap import map_overlap

        return map_overlap(func, self, depth=depth, boundary=boundary, trim=trim, **kwargs)

    def copy(self):
        """The array itself in a new handle."""
        return Array._of(self._expr, self._meta_)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    def view(self, dtype=None, order="C"):
        """The bytes of the array as another dtype.

        Parameters
        ----------
        dtype : dtype
        order : {"C", "F"}
            Which axis grows or shrinks with the size of the elements.

        Raises
        ------
        ValueError
            If the blocks do not hold a whole number of new elements.
        """
        if order not in ("C", "F"):
            raise ValueError(f"Order {order!r} is not supported: use 'C' or 'F'")
        dtype = self.dtype if dtype is None else np.dtype(dtype)
        ratio = self.dtype.itemsize / dtype.itemsize
        axis = {"C": self.ndim - 1, "F": 0}[order]
        if (np.asarray(self.chunks[axis]) * ratio % 1 != 0).any():
            raise ValueError("Blocks not of a consistent size for the new dtype: rechunk the array first")
        adjust = {axis: tuple(int(c * ratio) for c in self.chunks[axis])} if ratio != 1 else None
        ind = tuple(range(self.ndim))
        meta = np.empty((0,) * self.ndim, dtype=dtype)
        return blockwise(
            chunk.view, ind, self, ind, dtype, None, adjust_chunks=adjust, dtype=dtype, meta=meta, order=order
        )

    @property
    def T(self):
        """The array with its axes reversed."""
        return self.transpose()

    def transpose(self, *axes):
        """The array with its axes in another order; see `weft.array.transpose`."""
        from weft.array.routines import transpose

        if not axes:
            axes = None
        elif len(axes) == 1 and (axes[0] is None or hasattr(axes[0], "__iter__")):
            axes = axes[0]
        if axes is not None and tuple(axes) == tuple(range(self.ndim)):
            return self
        return transpose(self, axes=axes)

    @property
    def real(self):
        """The real parts."""
        from weft.array.ufunc import real

        return real(self)

    @property
    def imag(self):
        """The imaginary parts."""
        from weft.array.ufunc import imag

        return imag(self)

    @property
    def A(self):
        """The array itself."""
        return self

    def conj(self):
        """The complex conjugate."""
        from weft.array.ufunc import conj

        return conj(self)

    def clip(self, min=None, max=None):
        """Values between bounds."""
        from weft.array.ufunc import clip

        return clip(self, min, max)

    def round(self, decimals=0):
        """Values rounded to ``decimals`` digits."""
        from weft.array.routines import round

        return round(self, decimals=decimals)

    def reshape(self, *shape, merge_chunks=True, limit=None):
        """The elements in another shape; see `weft.array.reshape`."""
        from weft.array.reshape import reshape

        if len(shape) == 1 and not isinstance(shape[0], Number):
            shape = shape[0]
        return reshape(self, shape, merge_chunks=merge_chunks, limit=limit)

    def ravel(self):
        """The elements in one axis."""
        from weft.array.routines import ravel

        return ravel(self)

    flatten = ravel

    def squeeze(self, axis=None):
        """The array without axes of one element."""
        from weft.array.routines import squeeze

        return squeeze(self, axis)

    def swapaxes(self, axis1, axis2):
        """The array with two axes exchanged."""
        from weft.array.routines import swapaxes

        return swapaxes(self, axis1, axis2)

    def repeat(self, repeats, axis=None):
        """Each element several times."""
        from weft.array.creation import repeat

        return repeat(self, repeats, axis=axis)

    def nonzero(self):
        """Positions of the elements that are not 0."""
        from weft.array.routines import nonzero

        return nonzero(self)

    def choose(self, choices):
        """Elements of ``choices`` by the numbers in this array."""
        from weft.array.routines import choose

        return choose(self, choices)

    def dot(self, other):
        """The dot product."""
        from weft.array.routines import tensordot

        return tensordot(self, other, axes=((self.ndim - 1,), (other.ndim - 2 if other.ndim > 1 else 0,)))

    def trace(self, offset=0, axis1=0, axis2=1, dtype=None):
        """Sum along a diagonal."""
        from weft.array.reductions import trace

        return trace(self, offset=offset, axis1=axis1, axis2=axis2, dtype=dtype)

    def to_delayed(self, optimize_graph=True):
        """The blocks as delayed objects.

        Returns
        -------
        numpy.ndarray of Delayed
            One for each block.
        """
        from weft.base import collections_to_dsk
        from weft.delayed import Delayed

        graph = collections_to_dsk([self]) if optimize_graph else self.dask
        result = np.empty(self.numblocks, dtype=object)
        for at in np.ndindex(*self.numblocks):
            result[at] = Delayed((self.name, *at), graph)
        return result

    def compute_chunk_sizes(self):
        """Computes the sizes of all chunks, in place.

        Returns
        -------
        Array
            This array, with known chunks.
        """
        from weft.array._indexing import compute_chunk_sizes

        return compute_chunk_sizes(self)

    def store(self, target, **kwargs):
        """Writes the array into something that can be sliced; see `weft.array.store`."""
        from weft.array._io import store

        return store([self], [target], **kwargs)

    def to_zarr(self, *args, **kwargs):
        """Writes a Zarr array; see `weft.array.to_zarr`."""
        from weft.array._zarr import to_zarr

        return to_zarr(self, *args, **kwargs)

    def to_tiledb(self, uri, *args, **kwargs):
        """Writes a TileDB array; see `weft.array.to_tiledb`."""
        from weft.array.tiledb_io import to_tiledb

        return to_tiledb(self, uri, *args, **kwargs)

    def to_hdf5(self, filename, datapath, **kwargs):
        """Writes an HDF5 dataset; see `weft.array.to_hdf5`."""
        from weft.array._io import to_hdf5

        return to_hdf5(filename, datapath, self, **kwargs)

    def to_dask_dataframe(self, columns=None, index=None, meta=None):
        """A DataFrame or Series of this array's rows; see `weft.dataframe.from_dask_array`."""
        import weft.dataframe as dd

        convert = getattr(dd, "from_dask_array", None)
        if convert is None:
            raise NotImplementedError(
                "this version of weft has no weft.dataframe.from_dask_array: use "
                "dd.from_delayed over x.to_delayed() with a function that makes DataFrames"
            )
        return convert(self, columns=columns, index=index, meta=meta)

    def to_backend(self, backend=None, **kwargs):
        """The array with blocks of another library; see the setting ``array.backend``."""
        from weft.array.creation import to_backend

        return to_backend(self, backend=backend, **kwargs)


_NOTHING: Any = object()


def _rebuilt(cls: Any, expr: Any, meta: Any) -> Any:
    """The array that was pickled."""
    return cls._of(expr, meta)


def _reduction_method(name: str) -> Any:
    def method(self, *args, **kwargs):
        from weft.array import reductions

        return getattr(reductions, name)(self, *args, **kwargs)

    return method


def _bind_reductions() -> None:
    import inspect

    common: dict[str, Any] = {"axis": None, "keepdims": False, "split_every": None, "out": None}
    plain = ["all", "any", "min", "max", "argmin", "argmax"]
    with_dtype = ["sum", "prod", "mean"]
    signatures: dict[str, dict[str, Any]] = {
        **{name: dict(common) for name in plain},
        **{
            name: {"axis": None, "dtype": None, **{k: v for k, v in common.items() if k != "axis"}}
            for name in with_dtype
        },
        "std": {"axis": None, "dtype": None, "keepdims": False, "ddof": 0, "split_every": None, "out": None},
        "var": {"axis": None, "dtype": None, "keepdims": False, "ddof": 0, "split_every": None, "out": None},
        "moment": {
            "order": ...,
            "axis": None,
            "dtype": None,
            "keepdims": False,
            "ddof": 0,
            "split_every": None,
            "out": None,
        },
        "cumsum": {"axis": ..., "dtype": None, "out": None, "method": "sequential"},
        "cumprod": {"axis": ..., "dtype": None, "out": None, "method": "sequential"},
        "topk": {"k": ..., "axis": -1, "split_every": None},
        "argtopk": {"k": ..., "axis": -1, "split_every": None},
    }
    for name, parameters in signatures.items():
        method = _reduction_method(name)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("self", kind),
                *(
                    inspect.Parameter(n, kind, default=inspect.Parameter.empty if d is ... else d)
                    for n, d in parameters.items()
                ),
            ]
        )
        method.__name__ = name
        method.__qualname__ = f"Array.{name}"
        method.__doc__ = f"See `weft.array.{name}`."
        setattr(Array, name, method)


_bind_reductions()


def _defers_ufunc(x: Any) -> bool:
    if x is None or isinstance(x, (Array, Number, np.generic, np.ndarray, str, bytes, list, tuple)):
        return False
    if is_upcast_type(type(x)):
        return True
    if is_dask_collection(x) and type(x).__module__.startswith("weft."):
        return False
    return not is_valid_chunk_type(type(x)) and hasattr(x, "__array_ufunc__")


def _computed_arguments(x: Any) -> Any:
    if isinstance(x, Array):
        return x.compute()
    if isinstance(x, (list, tuple)):
        return type(x)(_computed_arguments(i) for i in x)
    return x


def _type_name(x: Any) -> str:
    cls = type(x)
    module = cls.__module__.split(".")[0]
    return f"{module}.{cls.__qualname__}"


def finalize(results: Any, fresh: bool = False) -> Any:
    """The blocks of an array, as nested lists, put together.

    Who gets the result may write to it: a single block is copied, unless it is ``fresh``.
    """
    if not isinstance(results, (list, tuple)):
        return results
    inner = results
    while isinstance(inner, (list, tuple)) and len(inner) == 1:
        inner = inner[0]
        if not isinstance(inner, (list, tuple)):
            return inner if fresh or not hasattr(inner, "copy") else inner.copy()
    return concatenate3(results)


def concatenate3(arrays: Any) -> Any:
    """Puts nested lists of arrays together into one.

    Examples
    --------
    >>> import numpy as np
    >>> concatenate3([[np.ones((1, 1)), np.ones((1, 2))]]).shape
    (1, 3)
    """
    depth = _depth(arrays)
    if depth == 0:
        return arrays
    leaves = list(flatten(arrays, container=(list, tuple)))
    leader: Any = max(leaves, key=lambda a: getattr(a, "__array_priority__", 0)) if leaves else None
    ndim = depth
    if all(isinstance(a, np.ndarray) and type(a) is np.ndarray and a.ndim == ndim for a in leaves):
        return _fill(arrays, leaves, ndim)
    if leaves and not isinstance(leader, np.ndarray) and hasattr(leader, "ndim"):
        ndim = max(ndim, leader.ndim)
    return _concatenate_nested(
        arrays, list(range(depth)), max(getattr(a, "ndim", depth) for a in leaves) if leaves else depth
    )


#: Results from so many bytes on are put together by several threads.
MANY_BYTES = 32 << 20


def _fill(arrays: Any, leaves: list, ndim: int) -> np.ndarray:
    """Writes each block once into its place."""
    sizes: list[list[int]] = []
    level: Any = arrays
    for axis in range(ndim):
        along = level
        axis_sizes = []
        for item in along:
            first = item
            while isinstance(first, (list, tuple)):
                first = first[0]
            axis_sizes.append(first.shape[axis])
        sizes.append(axis_sizes)
        level = level[0]
    dtype = leaves[0].dtype
    if any(a.dtype != dtype for a in leaves):
        try:
            dtype = np.result_type(*{a.dtype for a in leaves})
        except TypeError:
            return _concatenate_nested(arrays, list(range(ndim)), ndim)
    result = np.empty([sum(s) for s in sizes], dtype=dtype)
    places: list = []

    def place(item, index):
        axis = len(index)
        if not isinstance(item, (list, tuple)):
            while len(item.shape) < ndim:
                item = item[None]
            places.append((index, item))
            return
        start = 0
        for sub, n in zip(item, sizes[axis]):
            place(sub, (*index, slice(start, start + n)))
            start += n

    place(arrays, ())
    if result.nbytes < MANY_BYTES or result.dtype.hasobject or len(places) < 2 or CPU_COUNT < 2:
        for index, item in places:
            result[index] = item
        return result
    # Fresh memory costs as much as the copy: NumPy does both without the interpreter's lock.
    with ThreadPoolExecutor(min(CPU_COUNT, len(places))) as pool:
        deque(pool.map(result.__setitem__, *zip(*places)), maxlen=0)
    return result


def _concatenate_nested(arrays: Any, axes: list, ndim: int) -> Any:
    if not isinstance(arrays, (list, tuple)):
        return arrays
    parts = [_concatenate_nested(a, axes[1:], ndim) for a in arrays]
    if not parts:
        return np.empty(0)
    return _concatenate_chunks(parts, axes[0]) if len(parts) > 1 else parts[0]


def _concatenate_chunks(parts: list, axis: int) -> Any:
    from weft.array.backends import concatenate_lookup

    leader = max(parts, key=lambda a: getattr(a, "__array_priority__", 0))
    return concatenate_lookup.dispatch(type(leader))(parts, axis=axis)


def _depth(x: Any) -> int:
    depth = 0
    while isinstance(x, (list, tuple)) and x:
        x = x[0]
        depth += 1
    return depth


# -- elementwise -----------------------------------------------------------------------------------


def apply_infer_dtype(
    func: Any, args: Any, kwargs: dict, funcname: str, suggest_dtype: Any = "dtype", nout: Any = None
) -> Any:
    """The dtype (or dtypes) that ``func`` gives, found by calling it with ones.

    Raises
    ------
    Exception
        What the call raised, with a hint how to say the dtype instead.
    """
    from weft.array.utils import _quiet, is_array

    ones = [
        np.ones((1,) * x.ndim, dtype=x.dtype)
        if is_array(x) and isinstance(x, (Array, np.ndarray))
        else _ones_like(x)
        if is_array(x)
        else x
        for x in args
    ]
    try:
        with _quiet():
            result = func(*ones, **kwargs)
    except Exception as error:
        import traceback

        trace = "".join(traceback.format_tb(error.__traceback__))
        hint = (
            f"Please specify the dtype explicitly using the `{suggest_dtype}` kwarg.\n\n"
            if suggest_dtype
            else ""
        )
        message = (
            f"`dtype` inference failed in `{funcname}`.\n\n{hint}Original error is below:\n"
            f"------------------------\n{error!r}\n\nTraceback:\n---------\n{trace}"
        )
        raise ValueError(message) from error
    return (
        getattr(result, "dtype", None) or np.asarray(result).dtype
        if nout is None
        else tuple(r.dtype for r in result)
    )


def _ones_like(x: Any) -> Any:
    try:
        return np.ones_like(x._meta if isinstance(x, Array) else x, shape=(1,) * x.ndim)
    except Exception:
        return np.ones((1,) * x.ndim, dtype=x.dtype)


def is_scalar_for_elemwise(arg: Any) -> bool:
    """Whether an operand is passed to each task as it is."""
    shape = getattr(arg, "shape", None)
    if isinstance(arg, type):
        shape = None
    return (
        np.isscalar(arg)
        or (shape is not None and not all(map(lambda n: n is not None, shape)))
        or isinstance(arg, np.dtype)
        or arg is None
        or (isinstance(arg, np.ndarray) and arg.ndim == 0)
        or (shape is None and not isinstance(arg, list) and not is_dask_collection(arg))
    )


def broadcast_result_shape(args: Any) -> Any:
    shapes = []
    for a in args:
        shape = getattr(a, "shape", ())
        if any(is_dask_collection(n) for n in shape):
            shape = (np.nan,) * len(shape)
        shapes.append(shape)
    return broadcast_shapes(*shapes)


def elemwise(
    op: Any,
    *args: Any,
    out: Any = None,
    where: Any = True,
    dtype: Any = None,
    name: str | None = None,
    **kwargs: Any,
) -> Any:
    """Applies a function of elements to arrays, with broadcasting.

    Parameters
    ----------
    op : callable
        Takes blocks.
    *args : arrays or scalars
    out : Array, optional
        Is made to be the result.
    where : bool or array
        Where to apply ``op``; elsewhere ``out`` stays.
    dtype : dtype, optional
        Of the result; found by calling ``op`` on single elements where not given.
    name : str, optional
    **kwargs
        Passed on to ``op``.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        For unknown keyword arguments.

    Examples
    --------
    >>> import operator, weft.array as da
    >>> elemwise(operator.add, da.arange(3, chunks=2), 1).compute()
    array([1, 2, 3])
    """
    unknown = set(kwargs) - {"casting", "order", "subok", "signature"}
    if unknown and isinstance(op, np.ufunc):
        raise TypeError(f"{op.__name__} does not take the following keyword arguments {sorted(unknown)}")
    if where is not True:
        if where is False or where is None:
            if out is None:
                raise ValueError("where= needs out=")
            return handle_out(out, _first_out(out))
        where = asanyarray(where)
        args = (*args, where, _first_out(out)) if out is not None else (*args, where)
        kwargs = {**kwargs, "op": op, "has_out": out is not None}
        inner, op = op, _where_op
        label = funcname(inner)
    else:
        label = funcname(op)
    if kwargs.get("casting") is None:
        kwargs.pop("casting", None)
    args = tuple(np.asarray(a) if isinstance(a, (list, tuple)) else a for a in args)
    out_ndim = len(broadcast_result_shape(args))
    if where is True and dtype is None and not kwargs:
        expr = _native.elementwise(op, args)
        if expr is not None:
            return handle_out(out, Array._of(expr if name is None else expr.rename(name)))
    ind = tuple(range(out_ndim))[::-1]
    enforce = False
    if dtype is None:
        probes = [a if is_scalar_for_elemwise(a) or not hasattr(a, "dtype") else _probe(a) for a in args]
        try:
            dtype = apply_infer_dtype(op, probes, _probe_kwargs(kwargs), "elemwise", suggest_dtype=False)
        except Exception as error:
            cause = error.__cause__
            if isinstance(cause, (TypeError, ValueError, OverflowError)):
                raise cause.with_traceback(None) from None
            return NotImplemented
        enforce = any(
            not is_dask_collection(a)
            and type(a) is not np.ndarray
            and getattr(getattr(a, "dtype", None), "hasobject", False)
            for a in args
        )
    pairs = [
        part
        for a in args
        for part in ((a, tuple(range(a.ndim)[::-1]) if not is_scalar_for_elemwise(a) else None))
    ]
    token = name or f"{label}-{tokenize('elemwise', op, dtype, *args, kwargs)}"
    if enforce:
        kwargs = {**kwargs, "enforce_dtype": dtype, "enforce_dtype_function": op}
        op = _enforce_dtype
    result = blockwise(op, ind, *pairs, name=token, dtype=dtype, **kwargs)
    return handle_out(out, result)


def _probe(a: Any) -> Any:
    shape = (1,) * max(1, a.ndim)
    meta = getattr(a, "_meta", a)
    if type(meta) is np.ndarray or isinstance(meta, np.generic):
        return np.ones(shape, dtype=a.dtype) if a.dtype.kind not in "OSUV" else np.empty(shape, dtype=a.dtype)
    try:
        return np.ones_like(meta, shape=shape)
    except Exception:
        return np.empty(shape, dtype=a.dtype)


def _probe_kwargs(kwargs: dict) -> dict:
    return {k: (_probe(v) if isinstance(v, Array) else v) for k, v in kwargs.items()}


def _first_out(out: Any) -> Any:
    return out[0] if isinstance(out, tuple) else out


def _where_op(*args: Any, op: Any, has_out: bool, **kwargs: Any) -> Any:
    if has_out:
        *args_, where, out = args
        out = np.array(
            np.broadcast_to(out, np.broadcast_shapes(*(np.shape(a) for a in (*args_, where, out))))
        )
        return op(*args_, where=where, out=out, **kwargs)
    *args_, where = args
    # What is elsewhere is whatever lies in memory, as in NumPy; saying so keeps NumPy from warning.
    inputs = [np.asarray(a) for a in args_]
    shape = np.broadcast_shapes(*(a.shape for a in (*inputs, np.asarray(where))))
    dtype = op(*(np.ones((1,), a.dtype) for a in inputs), **kwargs).dtype
    return op(*args_, where=where, out=np.empty(shape, dtype), **kwargs)


def _enforce_dtype(*args: Any, **kwargs: Any) -> Any:
    dtype, function = kwargs.pop("enforce_dtype"), kwargs.pop("enforce_dtype_function")
    result = function(*args, **kwargs)
    if hasattr(result, "dtype") and dtype != result.dtype and not np.dtype(dtype).hasobject:
        if not np.can_cast(result, dtype, casting="same_kind"):
            raise ValueError(
                f"Inferred dtype from function {funcname(function)!r} was {dtype!s} "
                f"but got {result.dtype!s}, which can't be cast using casting='same_kind'"
            )
        result = result.astype(dtype) if not np.isscalar(result) else dtype.type(result)
    return result


def handle_out(out: Any, result: Any) -> Any:
    """Makes ``out`` the result, where it is given.

    Raises
    ------
    ValueError, NotImplementedError, TypeError
        If it cannot be.
    """
    if isinstance(out, tuple):
        if len(out) == 1:
            out = out[0]
        elif len(out) > 1:
            raise NotImplementedError("The out parameter is not fully supported")
        else:
            out = None
    if out is None:
        return result
    if isinstance(out, Array):
        if out.shape != result.shape:
            raise ValueError(
                f"Mismatched shapes between result and out parameter. out={out.shape}, result={result.shape}"
            )
        out._replace(result)
        return out
    if hasattr(out, "shape"):
        raise NotImplementedError(
            "The out parameter is not fully supported."
            f" Received type {type(out).__name__}, expected Dask Array"
        )
    raise TypeError(f"out must be an array, got {type(out).__name__}")


from weft.array._io import (  # noqa: E402
    from_delayed,
    from_npy_stack,
    insert_to_ooc,
    load_chunk,
    load_store_chunk,
    retrieve_from_ooc,
    store,
    store_chunk,
    to_hdf5,
    to_npy_stack,
)
from weft.array._join import block, broadcast_to, concatenate, stack  # noqa: E402
from weft.array._map_blocks import apply_and_enforce, map_blocks  # noqa: E402
from weft.array._source import (  # noqa: E402
    asanyarray,
    asarray,
    from_array,
    from_func,
    getter,
    getter_inline,
    getter_nofancy,
    graph_from_arraylike,
    new_da_object,
)
from weft.array._zarr import from_zarr, get_mapper, to_zarr  # noqa: E402
from weft.array.backends import concatenate_lookup, tensordot_lookup  # noqa: E402
