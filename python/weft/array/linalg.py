"""Linear algebra, block by block."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np

from weft._docs import derived_from
from weft._task_spec import List, Task, TaskRef
from weft.array._chunks import cached_starts, is_known
from weft.array._layers import new_array
from weft.array.core import asanyarray, blockwise, concatenate
from weft.array.utils import svd_flip as svd_flip
from weft.base import tokenize
from weft.utils import import_required


def _scipy() -> Any:
    return import_required("scipy.linalg", "this function needs SciPy: pip install scipy")


def _pick(array: Any, i: int, chunks: Any, dtype: Any, where: Any = None) -> Any:
    """Output ``i`` of tasks that return tuples."""
    name = f"{array.name}-{i}"
    tasks = {}
    for at in np.ndindex(*array.numblocks):
        key = (name, *(where(at) if where else at))
        tasks[key] = Task(key, operator.itemgetter(i), TaskRef((array.name, *at)))
    return new_array(name, tasks, [array], chunks, meta=np.empty((0,) * len(chunks), dtype))


def _tall(data: Any) -> None:
    if data.ndim != 2 or data.numblocks[1] != 1:
        raise ValueError(
            "Input must have the following properties:\n  1. Have two dimensions\n  2. Have only one column of blocks\n\n"
            f"Note: This function (tsqr) supports QR decomposition in the case of tall-and-skinny matrices (single column chunk/block; see qr). Current shape: {data.shape},\nCurrent chunksize: {data.chunksize}"
        )


def _qr_dtype(data: Any) -> tuple[Any, Any]:
    q, r = np.linalg.qr(np.ones((1, 1), dtype=data.dtype))
    return q.dtype, r.dtype


def tsqr(data: Any, compute_svd: bool = False, _max_vchunk_size: Any = None) -> Any:
    """QR (or singular value) decomposition of a matrix that is cut by rows only.

    Parameters
    ----------
    data : Array
        Two axes, one column of blocks.
    compute_svd : bool
        Whether to return the singular value decomposition.

    Returns
    -------
    q, r or u, s, v : Arrays

    Raises
    ------
    ValueError
        If the columns are cut.

    Examples
    --------
    >>> import weft.array as da
    >>> q, r = da.linalg.tsqr(da.ones((4, 2), chunks=(2, 2)))
    >>> bool(da.allclose(q.dot(r), 1).compute())
    True
    """
    _tall(data)
    n = data.shape[1]
    rows = data.chunks[0]
    q_dtype, r_dtype = _qr_dtype(data)
    token = tokenize(data, compute_svd)
    blocks = len(rows)
    first = blockwise(
        _qr_block, "ij", data, "ij", dtype=object, meta=np.empty((0, 0), object), name=f"qr-first-{token}"
    )
    inner = [min(m, n) if is_known(m) else n for m in rows]
    known = all(map(is_known, rows))
    # The triangles on top of each other are decomposed again: what each block's Q is to be multiplied with.
    stacked = f"qr-stack-{token}"
    both = new_array(
        stacked,
        {
            (stacked, 0, 0): Task(
                (stacked, 0, 0), _stack_qr, List(*(TaskRef((first.name, i, 0)) for i in range(blocks)))
            )
        },
        [first],
        ((sum(inner),), (n,)),
        meta=np.empty((0, 0), object),
    )
    k = min(sum(inner), n) if is_known(n) else n
    total = data.shape[0]
    if is_known(total) and is_known(n):
        k = min(total, n)
    r_name = f"qr-r-{token}"
    r = new_array(
        r_name,
        {(r_name, 0, 0): Task((r_name, 0, 0), operator.itemgetter(1), TaskRef((stacked, 0, 0)))},
        [both],
        ((k,), (n,)),
        meta=np.empty((0, 0), r_dtype),
    )
    q_name = f"qr-q-{token}"
    tasks = {
        (q_name, i, 0): Task(
            (q_name, i, 0), _q_block, TaskRef((first.name, i, 0)), TaskRef((stacked, 0, 0)), i
        )
        for i in range(blocks)
    }
    q = new_array(q_name, tasks, [first, both], (rows, (k,)), meta=np.empty((0, 0), q_dtype))
    _ = known
    if not compute_svd:
        return q, r
    uu, ss, vv = np.linalg.svd(np.ones((1, 1), dtype=data.dtype))
    s_name = f"svd-{token}"
    parts = new_array(
        s_name,
        {(s_name, 0, 0): Task((s_name, 0, 0), _svd_block, TaskRef((r.name, 0, 0)))},
        [r],
        ((1,), (1,)),
        meta=np.empty((0, 0), object),
    )
    m = min(k, n) if is_known(k) and is_known(n) else n
    u_small = _pick(parts, 0, ((k,), (m,)), uu.dtype)
    s = _pick(parts, 1, ((m,),), ss.dtype, where=lambda at: (0,))
    v = _pick(parts, 2, ((m,), (n,)), vv.dtype)
    u = q.dot(u_small)
    return u, s, v


def _qr_block(x: Any) -> Any:
    return np.linalg.qr(x)


def _stack_qr(parts: list) -> Any:
    rs = [r for _, r in parts]
    q, r = np.linalg.qr(np.concatenate(rs))
    edges = cached_starts([len(x) for x in rs])
    return [q[a:b] for a, b in zip(edges, edges[1:])], r


def _q_block(first: Any, stacked: Any, i: int) -> Any:
    return np.dot(first[0], stacked[0][i])


def _svd_block(x: Any) -> Any:
    return np.linalg.svd(x, full_matrices=False)


def sfqr(data: Any, name: Any = None) -> Any:
    """QR decomposition of a matrix that is cut by columns only.

    Parameters
    ----------
    data : Array
        Two axes, one row of blocks, the first of them with at least as many rows as columns.

    Returns
    -------
    q, r : Arrays

    Raises
    ------
    ValueError
        If the rows are cut.

    Examples
    --------
    >>> import weft.array as da
    >>> q, r = da.linalg.sfqr(da.ones((2, 4), chunks=(2, 2)))
    >>> bool(da.allclose(q.dot(r), 1).compute())
    True
    """
    if (
        data.ndim != 2
        or data.numblocks[0] != 1
        or (data.chunks[1][0] < data.chunks[0][0] and data.numblocks[1] > 1)
    ):
        raise ValueError(
            "Input must have the following properties:\n  1. Have two dimensions\n  2. Have only one row of blocks\n  3. The first block must be square or wide\n\n"
            f"Note: This function (sfqr) supports QR decomposition in the case of short-and-fat matrices (single row chunk/block; see qr). Current shape: {data.shape},\nCurrent chunksize: {data.chunksize}"
        )
    q_dtype, r_dtype = _qr_dtype(data)
    m = data.shape[0]
    head = data.blocks[0, 0]
    both = blockwise(_qr_block, "ij", head, "ij", dtype=object, meta=np.empty((0, 0), object), token="sfqr")
    k = min(m, head.shape[1])
    q = _pick(both, 0, ((m,), (k,)), q_dtype)
    r1 = _pick(both, 1, ((k,), (head.shape[1],)), r_dtype)
    if data.numblocks[1] == 1:
        return q, r1
    rest = data[:, data.chunks[1][0] :]
    return q, concatenate([r1, q.T.conj().dot(rest)], axis=1)


def qr(a: Any) -> Any:
    """QR decomposition; see `tsqr` and `sfqr`.

    Raises
    ------
    NotImplementedError
        If rows and columns are cut.

    Examples
    --------
    >>> import weft.array as da
    >>> q, r = da.linalg.qr(da.ones((4, 2), chunks=(2, 2)))
    >>> q.shape, r.shape
    ((4, 2), (2, 2))
    """
    if a.ndim == 2 and a.numblocks[1] == 1 and a.numblocks[0] > 1:
        return tsqr(a)
    if a.ndim == 2 and a.numblocks[0] == 1:
        return sfqr(a)
    raise NotImplementedError(
        "qr currently supports only tall-and-skinny (single column chunk/block; see tsqr)\nand short-and-fat (single row chunk/block; see sfqr) matrices\n\n"
        f"The array has shape {a.shape} and chunks {a.chunks}. Consider use of the rechunk method. For example,\n\n"
        "x.rechunk({0: -1, 1: 'auto'}) or x.rechunk({0: 'auto', 1: -1})"
    )


def svd(a: Any, coerce_signs: bool = True, full_matrices: bool = False) -> Any:
    """Singular value decomposition of a matrix that is cut along one axis.

    Parameters
    ----------
    a : Array
    coerce_signs : bool
        Whether the signs follow from the content; see `svd_flip`.
    full_matrices : bool
        Only False: ``u`` and ``v`` have as many columns and rows as there are singular values.

    Returns
    -------
    u, s, v : Arrays

    Raises
    ------
    ValueError, NotImplementedError
        If it has not two axes, if both are cut, or if full matrices are asked for.

    Examples
    --------
    >>> import weft.array as da
    >>> u, s, v = da.linalg.svd(da.ones((4, 2), chunks=(2, 2)))
    >>> s.shape
    (2,)
    """
    if full_matrices:
        raise NotImplementedError(
            f"svd with full_matrices=True is not implemented: the square factors of an array of shape {a.shape} "
            "would be dense; use full_matrices=False"
        )
    if a.ndim != 2:
        raise ValueError(f"Array must be 2D.\nInput shape: {a.shape}\nInput ndim: {a.ndim}\n")
    if a.numblocks[0] > 1 and a.numblocks[1] > 1:
        raise NotImplementedError(
            "Array must be chunked in one dimension only. This function (svd) only supports tall-and-skinny or short-and-fat matrices (see da.linalg.svd_compressed for SVD on fully chunked arrays).\n"
            f"Input shape: {a.shape}\nInput numblocks: {a.numblocks}\n"
        )
    if a.numblocks == (1, 1):
        u, s, v = np.linalg.svd(np.ones((1, 1), dtype=a.dtype))
        k = min(a.shape)
        both = blockwise(_svd_block, "ij", a, "ij", dtype=object, meta=np.empty((0, 0), object), token="svd")
        parts = (
            _pick(both, 0, ((a.shape[0],), (k,)), u.dtype),
            _pick(both, 1, ((k,),), s.dtype, where=lambda at: (0,)),
            _pick(both, 2, ((k,), (a.shape[1],)), v.dtype),
        )
    elif a.numblocks[0] >= a.numblocks[1] and a.numblocks[1] == 1:
        parts = tsqr(a, compute_svd=True)
    else:
        vt, s, ut = tsqr(a.T, compute_svd=True)
        parts = ut.T, s, vt.T
    u, s, v = parts
    if coerce_signs:
        u, v = svd_flip(u, v)
    return u, s, v


def compression_level(n: int, q: int, n_oversamples: int = 10, min_subspace_size: int = 20) -> int:
    """How many random vectors catch ``q`` singular vectors of ``n``."""
    return min(max(min_subspace_size, q + n_oversamples), n)


def compression_matrix(
    data: Any,
    q: int,
    iterator: str = "power",
    n_power_iter: int = 0,
    n_oversamples: int = 10,
    seed: Any = None,
    compute: bool = False,
) -> Any:
    """An orthonormal basis that nearly holds the rows' space of a matrix, from random samples."""
    from weft.array.random import RandomState
    from weft.base import wait

    if iterator not in ("power", "QR"):
        raise ValueError(f"Iterator '{iterator}' not valid, must one one of ['power', 'QR']")
    m, n = data.shape
    level = compression_level(min(m, n), q, n_oversamples=n_oversamples)
    state: Any = seed if isinstance(seed, RandomState) else RandomState(seed)
    omega = state.standard_normal(size=(n, level), chunks=(data.chunks[1], (level,)))
    if data.dtype.kind == "f" and data.dtype.itemsize < 8:
        omega = omega.astype(data.dtype)
    mat_h = data.dot(omega)

    def keep(x: Any) -> Any:
        if compute:
            x = x.persist()
            wait(x)
        return x

    if iterator == "power":
        for _ in range(n_power_iter):
            mat_h = keep(mat_h)
            tmp = keep(data.T.conj().dot(mat_h))
            mat_h = data.dot(tmp)
        q_, _ = tsqr(mat_h.rechunk({1: -1}))
    else:
        q_, _ = tsqr(mat_h.rechunk({1: -1}))
        for _ in range(n_power_iter):
            q_ = keep(q_)
            other, _r = tsqr(keep(data.T.conj().dot(q_)).rechunk({1: -1}))
            q_, _r = tsqr(data.dot(other).rechunk({1: -1}))
    return q_.T.conj()


def svd_compressed(
    a: Any,
    k: int,
    iterator: str = "power",
    n_power_iter: int = 0,
    n_oversamples: int = 10,
    seed: Any = None,
    compute: bool = False,
    coerce_signs: bool = True,
) -> Any:
    """The ``k`` largest singular values and vectors, approximately, by random projection.

    Parameters
    ----------
    a : Array
    k : int
    iterator : {"power", "QR"}
    n_power_iter : int
        More are more exact, and slower.
    n_oversamples : int
    seed : int, optional
    compute : bool
        Whether to compute intermediate results at once.
    coerce_signs : bool

    Returns
    -------
    u, s, v : Arrays

    Examples
    --------
    >>> import weft.array as da
    >>> u, s, v = da.linalg.svd_compressed(da.ones((30, 25), chunks=10), 2, seed=0)
    >>> u.shape, s.shape, v.shape
    ((30, 2), (2,), (2, 25))
    """
    comp = compression_matrix(
        a,
        k,
        iterator=iterator,
        n_power_iter=n_power_iter,
        n_oversamples=n_oversamples,
        seed=seed,
        compute=compute,
    )
    small = comp.dot(a)
    v, s, u = tsqr(small.T.rechunk({1: -1}), compute_svd=True)
    u = comp.T.conj().dot(u.T)
    v = v.T
    u, s, v = u[:, :k], s[:k], v[:k, :]
    if coerce_signs:
        u, v = svd_flip(u, v)
    return u, s, v


# -- square matrices -------------------------------------------------------------------------------


def _square(a: Any, what: str = "a must be a square matrix.") -> int:
    if a.ndim != 2:
        raise ValueError(
            "Dimension must be 2 to perform lu decomposition" if what.startswith("lu") else "Array must be 2D"
        )
    xdim, ydim = a.shape
    if xdim != ydim:
        raise ValueError(
            f"Input must be a square matrix to perform lu decomposition, got shape {a.shape}"
            if what.startswith("lu")
            else f"{what} It has shape {a.shape}."
        )
    if len({*a.chunks[0], *a.chunks[1]}) != 1:
        raise ValueError(
            f"All chunks must be a square matrix to perform lu decomposition. Use .rechunk method to change the size of chunks {a.chunks}."
        )
    return len(a.chunks[0])


def lu(a: Any) -> Any:
    """LU decomposition, with pivots within blocks.

    Parameters
    ----------
    a : Array
        Square, in square blocks of one size.

    Returns
    -------
    p, l, u : Arrays

    Raises
    ------
    ValueError
        If matrix or blocks are not square.

    Examples
    --------
    >>> import numpy as np, weft.array as da
    >>> a = da.from_array(np.array([[4.0, 3.0], [6.0, 3.0]]), chunks=2)
    >>> p, l, u = da.linalg.lu(a)
    >>> bool(da.allclose(p.dot(l).dot(u), a).compute())
    True
    """
    linalg = _scipy()
    n = _square(a, "lu")
    token = tokenize(a)
    names = {k: f"lu-{k}-{token}" for k in ("lu", "p", "l", "u", "lt", "ut")}
    tasks: dict = {}
    key = lambda k, i, j: (names[k], i, j)
    ref = lambda k, i, j: TaskRef(key(k, i, j))
    for step in range(n):
        diag: Any = TaskRef((a.name, step, step))
        tasks[key("lu", step, step)] = Task(
            key("lu", step, step),
            _lu_diagonal,
            diag,
            List(*(ref("lt", step, p) for p in range(step))),
            List(*(ref("u", p, step) for p in range(step))),
        )
        for k, i in (("p", 0), ("l", 1), ("u", 2)):
            tasks[key(k, step, step)] = Task(
                key(k, step, step), operator.itemgetter(i), ref("lu", step, step)
            )
        for j in range(step + 1, n):
            tasks[key("u", step, j)] = Task(
                key("u", step, j),
                _lu_right,
                ref("lu", step, step),
                TaskRef((a.name, step, j)),
                List(*(ref("lt", step, p) for p in range(step))),
                List(*(ref("u", p, j) for p in range(step))),
            )
            # Rows below: their pivots come later and are applied to these blocks then.
            tasks[key("lt", j, step)] = Task(
                key("lt", j, step),
                _lu_below,
                ref("u", step, step),
                TaskRef((a.name, j, step)),
                List(*(ref("lt", j, p) for p in range(step))),
                List(*(ref("u", p, step) for p in range(step))),
            )
    for i in range(n):
        for j in range(n):
            if i > j:
                tasks[key("l", i, j)] = Task(key("l", i, j), _permute, ref("p", i, i), ref("lt", i, j))
            if i != j:
                size = (a.chunks[0][i], a.chunks[1][j])
                tasks[key("p", i, j)] = Task(key("p", i, j), np.zeros, size)
                if i > j:
                    tasks[key("u", i, j)] = Task(key("u", i, j), np.zeros, size)
                else:
                    tasks[key("l", i, j)] = Task(key("l", i, j), np.zeros, size)
    pp, ll, uu = linalg.lu(np.ones((1, 1), dtype=a.dtype))
    whole = new_array(names["lu"], tasks, [a], a.chunks, meta=np.empty((0, 0), object))
    from weft.array.core import Array

    out = [
        Array(whole.dask, names[k], a.chunks, meta=np.empty((0, 0), d))
        for k, d in (("p", pp.dtype), ("l", ll.dtype), ("u", uu.dtype))
    ]
    return tuple(out)


def _less(x: Any, ls: list, us: list) -> Any:
    for left, up in zip(ls, us):
        x = x - left.dot(up)
    return x


def _lu_diagonal(x: Any, ls: list, us: list) -> Any:
    linalg = _scipy()
    # This row's pivots come out of this very step: what is taken off are the blocks of L before pivoting.
    return linalg.lu(_less(x, ls, us))


def _lu_right(lu_: Any, x: Any, ls: list, us: list) -> Any:
    p, low, _ = lu_
    return _scipy().solve_triangular(low, p.T.dot(_less(x, ls, us)), lower=True)


def _lu_below(u: Any, x: Any, ls: list, us: list) -> Any:
    return _scipy().solve_triangular(u.T, _less(x, ls, us).T, lower=True).T


def _permute(p: Any, x: Any) -> Any:
    return p.T.dot(x)


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """Solves ``a x = b`` for a triangular ``a``.

    Parameters
    ----------
    a : (n, n) Array
    b : (n,) or (n, k) Array
    lower : bool

    Returns
    -------
    Array
        Of the shape of ``b``.

    Raises
    ------
    ValueError
        If shapes or chunks do not fit.
    """
    if a.ndim != 2:
        raise ValueError("a must be 2 dimensional")
    if b.ndim > 2:
        raise ValueError("b must be 1 or 2 dimensional")
    if a.shape[1] != b.shape[0]:
        raise ValueError("a.shape[1] and b.shape[0] must be equal")
    if a.chunks[1] != b.chunks[0]:
        raise ValueError(
            "a.chunks[1] and b.chunks[0] must be equal. Use .rechunk method to change the size of chunks."
        )
    n = len(a.chunks[1])
    columns = 1 if b.ndim == 1 else len(b.chunks[1])
    name = f"solve-triangular-{tokenize(a, b, lower)}"
    tasks = {}
    for j in range(columns):
        order = range(n) if lower else reversed(range(n))
        for i in order:
            at = (i,) if b.ndim == 1 else (i, j)
            done = range(i) if lower else range(i + 1, n)
            tasks[(name, *at)] = Task(
                (name, *at),
                _solve_block,
                TaskRef((a.name, i, i)),
                TaskRef((b.name, *at)),
                List(*(TaskRef((a.name, i, k)) for k in done)),
                List(*(TaskRef((name, k) if b.ndim == 1 else (name, k, j)) for k in done)),
                lower,
            )
    meta = (
        _scipy().solve_triangular(np.ones((1, 1), a.dtype), np.ones((1,) * b.ndim, b.dtype))
        if b.ndim == 1
        else _scipy().solve_triangular(np.ones((1, 1), a.dtype), np.ones((1, 1), b.dtype))
    )
    return new_array(name, tasks, [a, b], b.chunks, meta=np.empty((0,) * b.ndim, meta.dtype))


def _solve_block(a: Any, b: Any, left: list, done: list, lower: bool) -> Any:
    return _scipy().solve_triangular(a, _less(b, left, done), lower=lower)


def solve(a: Any, b: Any, sym_pos: Any = None, assume_a: str = "gen") -> Any:
    """Solves ``a x = b``.

    Parameters
    ----------
    a : (n, n) Array
    b : (n,) or (n, k) Array
    assume_a : {"gen", "pos"}
        ``"pos"`` for symmetric positive definite matrices.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If shapes, chunks or ``assume_a`` do not fit.
    """
    if sym_pos is not None:
        warnings.warn(
            "The sym_pos keyword is deprecated and should be replaced by using ``assume_a = 'pos'``.``sym_pos`` will be removed in a future version.",
            FutureWarning,
            stacklevel=2,
        )
        if sym_pos:
            assume_a = "pos"
    if assume_a == "pos":
        low, up = _cholesky(a)
    elif assume_a == "gen":
        p, low, up = lu(a)
        b = p.T.dot(b)
    else:
        raise ValueError(
            f"assume_a = {assume_a} is not a recognized matrix structure, valid structures in Dask are 'pos' and 'gen'."
        )
    return solve_triangular(up, solve_triangular(low, b, lower=True))


def inv(a: Any) -> Any:
    """The inverse of a matrix.

    Examples
    --------
    >>> import weft.array as da
    >>> da.linalg.inv(da.eye(2, chunks=2) * 2).compute()
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    from weft.array.creation import eye

    return solve(a, eye(a.shape[0], chunks=a.chunks[0][0]))


def cholesky(a: Any, lower: bool = False) -> Any:
    """The Cholesky factor of a symmetric positive definite matrix.

    Parameters
    ----------
    a : Array
        Square, in square blocks of one size.
    lower : bool

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If matrix or blocks are not square.
    """
    low, up = _cholesky(a)
    return low if lower else up


def _cholesky(a: Any) -> Any:
    if a.ndim != 2:
        raise ValueError("Dimension must be 2 to perform cholesky decomposition")
    if a.shape[0] != a.shape[1]:
        raise ValueError(
            f"Input must be a square matrix to perform cholesky decomposition, got shape {a.shape}"
        )
    if len({*a.chunks[0], *a.chunks[1]}) != 1:
        raise ValueError(
            "All chunks must be a square matrix to perform cholesky decomposition. Use .rechunk method to change the size of chunks."
        )
    n = len(a.chunks[0])
    name = f"cholesky-{tokenize(a)}"
    tasks = {}
    for i in range(n):
        for j in range(n):
            key = (name, i, j)
            if i < j:
                tasks[key] = Task(key, np.zeros, (a.chunks[0][i], a.chunks[1][j]))
                continue
            mine = List(*(TaskRef((name, i, k)) for k in range(j)))
            other = List(*(TaskRef((name, j, k)) for k in range(j)))
            if i == j:
                tasks[key] = Task(key, _cholesky_diagonal, TaskRef((a.name, i, i)), mine)
            else:
                tasks[key] = Task(
                    key, _cholesky_below, TaskRef((a.name, i, j)), TaskRef((name, j, j)), mine, other
                )
    dtype = _scipy().cholesky(np.array([[1, 2], [2, 5]], dtype=a.dtype)).dtype
    low = new_array(name, tasks, [a], a.chunks, meta=np.empty((0, 0), dtype))
    return low, low.T.conj()


def _cholesky_diagonal(a: Any, rows: list) -> Any:
    for r in rows:
        a = a - r.dot(r.T.conj())
    return _scipy().cholesky(a, lower=True)


def _cholesky_below(a: Any, diag: Any, mine: list, other: list) -> Any:
    for x, y in zip(mine, other):
        a = a - x.dot(y.T.conj())
    return _scipy().solve_triangular(diag, a.T.conj(), lower=True).T.conj()


def lstsq(a: Any, b: Any) -> Any:
    """Least squares of ``a x = b``, by QR decomposition.

    Parameters
    ----------
    a : (m, n) Array
        Cut by rows only.
    b : (m,) or (m, k) Array

    Returns
    -------
    x : Array
    residuals : Array
    rank : Array
    s : Array
        Singular values.
    """
    q, r = qr(a)
    x = solve_triangular(r, q.T.conj().dot(b))
    residuals = b - a.dot(x)
    residuals = (
        (residuals.conj() * residuals).real.sum(axis=0, keepdims=b.ndim == 1)
        if a.dtype.kind == "c" or b.dtype.kind == "c"
        else (residuals**2).sum(axis=0, keepdims=b.ndim == 1)
    )
    token = tokenize(a, b)
    name = f"lstsq-rank-{token}"
    rank = new_array(
        name,
        {(name,): Task((name,), np.linalg.matrix_rank, TaskRef((r.name, 0, 0)))},
        [r],
        (),
        meta=np.empty((), int),
    )
    s_name = f"lstsq-s-{token}"
    size = min(r.shape)
    s = new_array(
        s_name,
        {(s_name, 0): Task((s_name, 0), _singular, TaskRef((r.name, 0, 0)))},
        [r],
        ((size,),),
        meta=np.empty((0,), np.linalg.svd(np.ones((1, 1), r.dtype))[1].dtype),
    )
    return x, residuals, rank, s


def _singular(r: Any) -> Any:
    return np.linalg.svd(r, compute_uv=False)


@derived_from(np.linalg)
def norm(x, ord=None, axis=None, keepdims=False):
    x = asanyarray(x)
    if axis is None:
        axis = tuple(range(x.ndim))
    elif isinstance(axis, (int, np.integer)):
        axis = (int(axis),)
    else:
        axis = tuple(axis)
    if len(axis) > 2:
        raise ValueError("Improper number of dimensions to norm.")
    if ord == "fro":
        ord = None
        if len(axis) == 1:
            raise ValueError(f"Invalid norm order {ord!r} for vectors.")
    r = abs(x.astype(np.promote_types(x.dtype, float)) if x.dtype.kind in "iub" else x)
    if ord is None:
        r = (r**2).sum(axis=axis, keepdims=keepdims) ** 0.5
    elif ord == "nuc":
        if len(axis) == 1:
            raise ValueError(f"Invalid norm order {ord!r} for vectors.")
        if x.ndim > 2:
            raise NotImplementedError("SVD based norm not implemented for ndim > 2")
        r = svd(x)[1][None].sum(keepdims=keepdims)
    elif ord == np.inf:
        if len(axis) == 1:
            r = r.max(axis=axis, keepdims=keepdims)
        else:
            r = r.sum(axis=axis[1], keepdims=True).max(axis=axis[0], keepdims=True)
            r = r if keepdims else r.squeeze(axis=axis)
    elif ord == -np.inf:
        if len(axis) == 1:
            r = r.min(axis=axis, keepdims=keepdims)
        else:
            r = r.sum(axis=axis[1], keepdims=True).min(axis=axis[0], keepdims=True)
            r = r if keepdims else r.squeeze(axis=axis)
    elif ord == 0:
        if len(axis) == 2:
            raise ValueError(f"Invalid norm order {ord!r} for matrices.")
        r = (r != 0).astype(r.dtype).sum(axis=axis, keepdims=keepdims)
    elif ord == 1:
        if len(axis) == 1:
            r = r.sum(axis=axis, keepdims=keepdims)
        else:
            r = r.sum(axis=axis[0], keepdims=True).max(axis=axis[1], keepdims=True)
            r = r if keepdims else r.squeeze(axis=axis)
    elif len(axis) == 2 and ord == -1:
        r = r.sum(axis=axis[0], keepdims=True).min(axis=axis[1], keepdims=True)
        r = r if keepdims else r.squeeze(axis=axis)
    elif len(axis) == 2 and ord in (2, -2):
        if x.ndim > 2:
            raise NotImplementedError("SVD based norm not implemented for ndim > 2")
        s = svd(x)[1][None]
        r = s.max(keepdims=keepdims) if ord == 2 else s.min(keepdims=keepdims)
    elif len(axis) == 2:
        raise ValueError(f"Invalid norm order {ord!r} for matrices.")
    else:
        r = (r**ord).sum(axis=axis, keepdims=keepdims) ** (1.0 / ord)
    return r
