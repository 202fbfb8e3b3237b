"""Frames of random data, made partition by partition when they are needed.

Each column of each partition has a random stream of its own, named by the seed, the number of the
partition and the name of the column. So the same seed gives the same values whatever columns and
partitions are asked for, and a column that nobody asks for costs nothing.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from weft.dataframe.utils import get_string_dtype

__all__ = ["ColumnSpec", "DatasetSpec", "DatetimeIndexSpec", "RangeIndexSpec", "make_timeseries", "with_spec"]

NAMES = (
    "Alice Bob Charlie Dan Edith Frank George Hannah Ingrid Jerry Kevin Laura Michael Norbert Oliver "
    "Patricia Quinn Ray Sarah Tim Ursula Victor Wendy Xavier Yvonne Zelda"
).split()
LETTERS = string.ascii_letters + string.digits + string.punctuation + " "
#: What the distributions of integers are called with, unless the caller says otherwise.
INTEGERS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "poisson": ((), {"lam": 1000}),
    "normal": ((), {"scale": 1000}),
    "uniform": ((), {"high": 1000}),
    "binomial": ((1000, 0.5), {}),
}


@dataclass
class ColumnSpec:
    """One column, or several alike, of a frame that `with_spec` makes."""

    prefix: str | None = None
    """What the names begin with, before a number; by default the name of the dtype."""
    dtype: str | type | None = None
    """A dtype of numbers, ``str`` or ``"category"``."""
    number: int = 1
    """How many columns of this kind."""
    nunique: int | None = None
    """Number of categories."""
    choices: list = field(default_factory=list)
    """Values of a text or categorical column."""
    low: int | None = None
    """Least value, for integers with `random`."""
    high: int | None = None
    """End of the values, for integers with `random`."""
    length: int | None = None
    """Letters in a text, with `random`."""
    random: bool = False
    """All values equally likely: integers from `low` to `high`, floats from 0 to 1, any text."""
    method: str | None = None
    """Distribution of integers: a method of `numpy.random.Generator`, by default "poisson"."""
    args: tuple[Any, ...] = field(default_factory=tuple)
    """Arguments of `method`."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Named arguments of `method`."""


@dataclass
class RangeIndexSpec:
    """An index of evenly spaced integers."""

    dtype: str | type = int
    step: int = 1


@dataclass
class DatetimeIndexSpec:
    """An index of evenly spaced times."""

    dtype: str | type = "datetime64[ns]"
    start: str | None = None
    """First time; by default the beginning of 2000."""
    freq: str = "1h"
    """Time between rows."""
    partition_freq: str | None = None
    """Time between the beginnings of partitions."""


@dataclass
class DatasetSpec:
    """What `with_spec` makes."""

    npartitions: int = 1
    """Number of partitions, with a `RangeIndexSpec`."""
    nrecords: int = 1000
    """Rows in all."""
    index_spec: RangeIndexSpec | DatetimeIndexSpec = field(default_factory=RangeIndexSpec)
    column_specs: list[ColumnSpec] = field(default_factory=list)
    """By default a column each of integers, floats, categories and text."""


def make_timeseries(
    start: Any = "2000-01-01",
    end: Any = "2000-12-31",
    dtypes: dict[str, type | str] | None = None,
    freq: str = "10s",
    partition_freq: str = "1ME",
    seed: int | None = None,
    **kwargs: Any,
) -> Any:
    """A frame of random data over time.

    Parameters
    ----------
    start, end : datetime or str
        First time, and the end of the times.
    dtypes : dict, optional
        Type of each column: ``int``, ``float``, ``str``, ``"category"`` or a NumPy dtype of numbers.
    freq : str
        Time between rows, as ``"10s"``.
    partition_freq : str
        Time between the beginnings of partitions, as ``"1D"``.
    seed : int, optional
        Same seed, same data. Without it each call makes another frame.
    **kwargs
        Arguments of a column's distribution, after its name and a ``_``, as ``id_lam=500``.

    Returns
    -------
    DataFrame
        Indexed by ``timestamp``, with known divisions.

    Raises
    ------
    ValueError
        For an unknown dtype, or an `end` that is not after `start`.

    Examples
    --------
    >>> from weft.dataframe.io.demo import make_timeseries
    >>> df = make_timeseries("2000-01-01", "2000-01-03", {"x": float}, freq="1h", partition_freq="1D", seed=1)
    >>> df.npartitions, len(df)
    (2, 48)
    """
    dtypes = {"name": "string", "id": int, "x": float, "y": float} if dtypes is None else dtypes
    divisions = list(pd.date_range(start=start, end=end, freq=partition_freq))
    if len(divisions) < 2:
        divisions = [pd.Timestamp(start), pd.Timestamp(end)]
    if not divisions[0] < divisions[-1]:
        raise ValueError(f"end must be after start, got start={start!r} and end={end!r}")
    return _frame(divisions, "datetime64[us]", freq, dtypes, kwargs, seed, "make-timeseries")


def with_spec(spec: DatasetSpec, seed: int | None = None) -> Any:
    """A frame of random data as `spec` describes it.

    Parameters
    ----------
    spec : DatasetSpec
    seed : int, optional
        Same seed, same data. Without it each call makes another frame.

    Returns
    -------
    DataFrame
        With known divisions.

    Raises
    ------
    ValueError
        If the index or a dtype is of an unknown kind.

    Examples
    --------
    >>> from weft.dataframe.io.demo import ColumnSpec, DatasetSpec, with_spec
    >>> spec = DatasetSpec(npartitions=2, nrecords=10, column_specs=[ColumnSpec(dtype=int, number=2)])
    >>> list(with_spec(spec, seed=1).columns)
    ['int1', 'int2']
    """
    specs = spec.column_specs or [
        ColumnSpec(prefix="i", dtype="int64", low=0, high=1_000_000, random=True),
        ColumnSpec(prefix="f", dtype=float, random=True),
        ColumnSpec(prefix="c", dtype="category", choices=["a", "b", "c", "d"]),
        ColumnSpec(prefix="s", dtype=str),
    ]
    index = spec.index_spec
    divisions: list[Any]
    end: Any
    step: Any
    if isinstance(index, DatetimeIndexSpec):
        start, step = pd.Timestamp(index.start or "2000-01-01"), index.freq
        end = start + spec.nrecords * pd.Timedelta(step)
        divisions = list(pd.date_range(start=start, end=end, freq=index.partition_freq or step))
        dtype: Any = index.dtype if "datetime" in str(index.dtype) else "datetime64[ns]"
    elif isinstance(index, RangeIndexSpec):
        step, dtype = index.step, index.dtype
        end = spec.nrecords * step
        rows = max(spec.nrecords // spec.npartitions, 1)
        divisions = list(range(0, end, rows * step))[: spec.npartitions]
    else:
        raise ValueError(f"index_spec must be a RangeIndexSpec or a DatetimeIndexSpec, got {index!r}")
    if divisions[-1] < end:
        divisions.append(end)

    dtypes: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for column in specs:
        prefix = column.prefix or _prefix(column.dtype)
        for _ in range(column.number):
            number = 1
            while f"{prefix}{number}" in dtypes:
                number += 1
            name = f"{prefix}{number}"
            dtypes[name] = column.dtype
            given = {
                k: v for k, v in asdict(column).items() if k not in ("prefix", "number", "kwargs", "dtype")
            }
            for option, value in {**given, **column.kwargs}.items():
                if value not in (None, [], ()):
                    options[f"{name}_{option}"] = value
    return _frame(divisions, dtype, step, dtypes, options, seed, "make-random")


def _prefix(dtype: Any) -> str:
    if isinstance(dtype, str):
        return re.sub(r"[^a-zA-Z0-9]", "_", dtype).rstrip("_")
    return str(getattr(dtype, "name", None) or dtype.__name__)


def _frame(
    divisions: Sequence[Any],
    index_dtype: Any,
    freq: Any,
    dtypes: dict[str, Any],
    kwargs: dict[str, Any],
    seed: int | None,
    label: str,
) -> Any:
    from weft.dataframe import from_map

    options = {name: _options(name, kwargs) for name in dtypes}
    for name, dtype in dtypes.items():
        _maker(name, dtype)
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    make = MakePartition(index_dtype, freq, dict(dtypes), options, seed, list(dtypes))
    parts = [(number, low, high) for number, (low, high) in enumerate(zip(divisions, divisions[1:]))]
    return from_map(
        make,
        parts,
        meta=make((0, divisions[0], divisions[0])),
        divisions=tuple(divisions),
        label=label,
        enforce_metadata=False,
    )


class MakePartition:
    """Makes a partition of given `columns`: ``make((number, low, high))`` has the index low ≤ i < high."""

    def __init__(
        self,
        index_dtype: Any,
        freq: Any,
        dtypes: dict[str, Any],
        options: dict[str, dict[str, Any]],
        seed: int,
        columns: list[str],
    ) -> None:
        self.index_dtype, self.freq, self.dtypes, self.options = index_dtype, freq, dtypes, options
        self.seed, self.columns = seed, columns

    def project_columns(self, columns: Sequence[str]) -> MakePartition:
        """The same data, fewer columns."""
        return MakePartition(self.index_dtype, self.freq, self.dtypes, self.options, self.seed, list(columns))

    def __call__(self, part: tuple[int, Any, Any]) -> pd.DataFrame:
        number, low, high = part
        if "datetime" in str(self.index_dtype):
            times = pd.date_range(low, high, freq=self.freq, inclusive="left", name="timestamp")
            # Without its frequency: native kernels then take the partition as it is.
            index: pd.Index = pd.DatetimeIndex(times.astype(self.index_dtype), freq=None)  # type: ignore[arg-type]
        else:
            index = pd.RangeIndex(low, high, self.freq)
            if np.dtype(self.index_dtype) != index.dtype:
                index = index.astype(self.index_dtype)
        data = {name: self._column(name, number, len(index)) for name in self.columns}
        return pd.DataFrame(
            data, index=index, columns=pd.Index(self.columns, dtype=object if not self.columns else None)
        )

    def _column(self, name: str, number: int, rows: int) -> Any:
        digest = hashlib.blake2b(str(name).encode(), digest_size=8).digest()
        stream = np.random.SeedSequence([self.seed, number, int.from_bytes(digest, "little")])
        dtype = self.dtypes[name]
        values = _maker(name, dtype)(rows, np.random.default_rng(stream), **self.options[name])
        if isinstance(values, np.ndarray) and dtype is not None:
            values = values.astype(np.dtype(dtype), copy=False)
        return values

    def __dask_tokenize__(self) -> Any:
        options = [(name, sorted(options.items())) for name, options in self.options.items()]
        dtypes = [(name, str(dtype)) for name, dtype in self.dtypes.items()]
        return (
            type(self).__name__,
            str(self.index_dtype),
            str(self.freq),
            dtypes,
            options,
            self.seed,
            self.columns,
        )


def _options(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What `kwargs` say about a column: ``id_lam`` is the ``lam`` of ``id``."""
    found = {}
    for key, value in kwargs.items():
        column, _, option = key.rpartition("_")
        if column == name:
            found[option] = value
    return found


def _floats(rows: int, rng: np.random.Generator, random: bool = False, **kwargs: Any) -> np.ndarray:
    values = rng.random(rows)
    return values if random else values * 2 - 1


def _integers(
    rows: int,
    rng: np.random.Generator,
    random: bool = False,
    method: str | Callable[..., Any] = "poisson",
    args: tuple[Any, ...] = (),
    **kwargs: Any,
) -> Any:
    if random:
        low, high = kwargs.get("low", 0), kwargs.get("high", 1000)
        return rng.integers(low, high, rows)
    if callable(method):
        return method(*args, state=rng, size=rows, **kwargs)
    usual_args, usual = INTEGERS.get(method, ((), {}))
    return getattr(rng, method)(*(args or usual_args), size=rows, **{**usual, **kwargs})


def _texts(
    rows: int,
    rng: np.random.Generator,
    choices: Sequence[str] | None = None,
    random: bool = False,
    length: int | None = None,
    **kwargs: Any,
) -> Any:
    if random:
        length = length or 25
        letters = rng.integers(0, len(LETTERS), (rows, length)).tolist()
        texts = pa.array(["".join(map(LETTERS.__getitem__, row)) for row in letters], pa.large_string())
    else:
        words = pa.array([str(c) for c in choices or NAMES], pa.large_string())
        texts = words.take(pa.array(rng.integers(0, len(words), rows)))
    dtype: Any = get_string_dtype()
    return (
        dtype.__from_arrow__(texts)
        if hasattr(dtype, "__from_arrow__")
        else np.array(texts.to_pylist(), object)
    )


def _categories(
    rows: int,
    rng: np.random.Generator,
    choices: Sequence[Any] | None = None,
    nunique: int | None = None,
    **kwargs: Any,
) -> pd.Categorical:
    if nunique is not None:
        choices = [str(i + 1).zfill(len(str(nunique))) for i in range(nunique)]
    choices = choices or NAMES
    return pd.Categorical.from_codes(rng.integers(0, len(choices), rows), list(choices))  # type: ignore


def _maker(name: str, dtype: Any) -> Callable[..., Any]:
    """The function that makes values of `dtype`."""
    if dtype in (str, object) or str(dtype) in ("str", "object") or str(dtype).startswith("string"):
        return _texts
    if str(dtype) == "category":
        return _categories
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        kind = ""
    if kind in "iu" and kind:
        return _integers
    if kind == "f":
        return _floats
    raise ValueError(
        f"column {name!r}: there is no random data of dtype {dtype!r}; "
        'possible are int, float, str, "category" and NumPy\'s dtypes of integers and floats'
    )
