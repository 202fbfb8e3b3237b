"""``.dt``, ``.str`` and ``.cat``: native where there is a kernel, pandas on each partition otherwise.

An accessor has every method and property that pandas' has, under its documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from weft._docs import skip_doctest
from weft.dataframe import _meta
from weft.dataframe._collection import Property, blockwise, host
from weft.dataframe._native import Unsupported


class AccessorProperty:
    """An accessor of a class of collections; on the class itself, the accessor's class."""

    def __init__(self, accessor: type[_Accessor]) -> None:
        self.accessor = accessor
        self.__doc__ = accessor.__doc__

    def __get__(self, own: Any, owner: type) -> Any:
        return self.accessor if own is None else self.accessor(own)


class _Accessor:
    """Every attribute and method of a pandas accessor, by name."""

    _accessor_name = ""

    def __init__(self, series: Any) -> None:
        self._series = series
        self._sample()  # Raises as pandas does.

    def _sample(self) -> Any:
        """pandas' accessor of two sample rows."""
        sample = _meta.meta_nonempty(self._series._meta)
        found = getattr(sample, self._accessor_name, None)
        if found is None and isinstance(sample, pd.CategoricalIndex):
            return sample  # An index of categories is its own accessor.
        return getattr(sample, self._accessor_name) if found is None else found

    @property
    def _prefix(self) -> str:
        return "" if isinstance(self._sample(), pd.Index) else f"{self._accessor_name}."

    def __dir__(self) -> list[str]:
        return sorted(dir(self._sample()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._get(name)

    def _get(self, name: str) -> Any:
        value = getattr(self._sample(), name)  # Raises the AttributeError that names it.
        if callable(value) and not isinstance(value, pd.Index):

            def method(*args: Any, **kwargs: Any) -> Any:
                return self._call(name, *args, **kwargs)

            method.__name__ = name
            return method
        return self._call(name)

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """The method or property ``name`` of pandas on each partition."""
        path = f"{self._prefix}{name}"
        meta = self._meta_of(Property(path), args, kwargs)
        return blockwise(
            Property(path), self._series, *args, label=path.replace(".", "-"), meta=meta, **kwargs
        )

    def _meta_of(self, call: Any, args: Any, kwargs: Any) -> Any:
        result = call(_meta.meta_nonempty(self._series._meta), *_meta.sample(args), **_meta.sample(kwargs))
        if isinstance(result, np.ndarray):
            # Of an index pandas gives plain arrays: partitions of them have no labels.
            return pd.Series(result[:0], name=self._series._meta.name)
        return _meta.make_meta(result) if _meta.is_pandas(result) else result


def _add(cls: Any, source: Any) -> Any:
    """Methods and properties of a pandas accessor that ``cls`` has not got."""
    for name in dir(source):
        if name.startswith("_") or name in cls.__dict__:
            continue
        original = getattr(source, name)
        setattr(cls, name, _method(name, original) if callable(original) else _property(name, original))
    return cls


def _method(name: str, original: Any) -> Callable[..., Any]:
    def method(self: _Accessor, *args: Any, **kwargs: Any) -> Any:
        return self._get(name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = skip_doctest(original.__doc__)
    return method


def _property(name: str, original: Any) -> property:
    return property(lambda self: self._get(name), doc=skip_doctest(original.__doc__))


class DatetimeAccessor(_Accessor):
    """Fields and methods of datetimes and timedeltas.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> s = dd.from_pandas(pd.Series(pd.to_datetime(["2020-02-29 13:00"])), npartitions=1)
    >>> s.dt.hour.compute().tolist()
    [13]
    """

    _accessor_name = "dt"

    def _get(self, name: str) -> Any:
        field = {"weekday": "dayofweek", "day_of_week": "dayofweek", "day_of_year": "dayofyear"}.get(
            name, name
        )
        try:
            expr = self._series.expr.dt(field)
        except (*Unsupported, AttributeError):
            return super()._get(name)
        value = getattr(self._sample(), name)
        if callable(value):
            return lambda: self._series._like(expr, _meta.make_meta(value()))
        return self._series._like(expr, _meta.make_meta(value))

    @property
    def week(self) -> Any:
        """The week of the year by ISO 8601, which pandas calls ``isocalendar().week``."""
        return self.isocalendar().week

    weekofyear = week


class StringAccessor(_Accessor):
    """Methods of text."""

    _accessor_name = "str"

    def _native(self, called: Any, fallback: Any, method: str, *args: Any) -> Any:
        """What Rust makes of it; else ``fallback()``. ``called`` gives pandas' meta on a sample."""
        series = self._series
        try:
            expr = series.expr.text(method, *args)
        except Unsupported:
            return fallback()
        meta = _meta.make_meta(called(_meta.meta_nonempty(series._meta).str))
        return series._like(expr, meta) if meta.dtype == expr.schema[0][1] else fallback()

    def startswith(self, pat: Any, na: Any = _meta.NO_DEFAULT) -> Any:
        """Whether texts start with ``pat``, a text or a tuple of them."""
        return self._affix("startswith", pat, na)

    def endswith(self, pat: Any, na: Any = _meta.NO_DEFAULT) -> Any:
        """Whether texts end with ``pat``, a text or a tuple of them."""
        return self._affix("endswith", pat, na)

    def _affix(self, method: str, pat: Any, na: Any) -> Any:
        given = {} if na is _meta.NO_DEFAULT else {"na": na}

        def fallback() -> Any:
            return super(StringAccessor, self).__getattr__(method)(pat, **given)

        if na is not _meta.NO_DEFAULT and na is not False:
            return fallback()
        texts = list(pat) if isinstance(pat, tuple) else pat
        return self._native(lambda s: getattr(s, method)(pat, **given), fallback, method, texts)

    def contains(
        self, pat: Any, case: bool = True, flags: int = 0, na: Any = _meta.NO_DEFAULT, regex: bool = True
    ) -> Any:
        """Whether texts contain ``pat``, a regular expression or, with ``regex=False``, a text."""
        given: dict[str, Any] = {"case": case, "flags": flags, "regex": regex}
        if na is not _meta.NO_DEFAULT:
            given["na"] = na

        def fallback() -> Any:
            return super(StringAccessor, self).__getattr__("contains")(pat, **given)

        if not case or flags or na is not _meta.NO_DEFAULT and na is not False:
            return fallback()
        return self._native(lambda s: s.contains(pat, **given), fallback, "contains", pat, bool(regex))

    def slice(self, start: Any = None, stop: Any = None, step: Any = None) -> Any:
        """Characters ``start:stop:step`` of texts."""

        def fallback() -> Any:
            return super(StringAccessor, self).__getattr__("slice")(start, stop, step)

        if step not in (None, 1):
            return fallback()
        return self._native(lambda s: s.slice(start, stop), fallback, "slice", start, stop)

    def len(self) -> Any:
        """Number of characters."""
        return self._of("len")

    def strip(self, to_strip: Any = None) -> Any:
        """Texts without white space, or without some characters, at both ends."""
        return self._of("strip", (to_strip,))

    def lstrip(self, to_strip: Any = None) -> Any:
        """Texts without white space, or without some characters, at the start."""
        return self._of("lstrip", (to_strip,))

    def rstrip(self, to_strip: Any = None) -> Any:
        """Texts without white space, or without some characters, at the end."""
        return self._of("rstrip", (to_strip,))

    def upper(self) -> Any:
        """Texts in capitals."""
        return self._of("upper")

    def lower(self) -> Any:
        """Texts in small letters."""
        return self._of("lower")

    def capitalize(self) -> Any:
        """Texts whose first letter is a capital and whose others are small."""
        return self._of("capitalize")

    def removeprefix(self, prefix: Any) -> Any:
        """Texts without ``prefix`` at their start."""
        return self._of("removeprefix", (prefix,))

    def removesuffix(self, suffix: Any) -> Any:
        """Texts without ``suffix`` at their end."""
        return self._of("removesuffix", (suffix,))

    def get(self, i: Any) -> Any:
        """The character at position ``i``; missing where there is none."""
        return self._of("get", (i,))

    def pad(self, width: int, side: Any = "left", fillchar: str = " ") -> Any:
        """Texts of at least ``width`` characters, filled up at ``side``."""
        return self._pad("pad", width, side, fillchar, (width, side, fillchar))

    def ljust(self, width: int, fillchar: str = " ") -> Any:
        """Texts of at least ``width`` characters, filled up at the right."""
        return self._pad("ljust", width, "right", fillchar, (width, fillchar))

    def rjust(self, width: int, fillchar: str = " ") -> Any:
        """Texts of at least ``width`` characters, filled up at the left."""
        return self._pad("rjust", width, "left", fillchar, (width, fillchar))

    def center(self, width: int, fillchar: str = " ") -> Any:
        """Texts of at least ``width`` characters, filled up at both ends."""
        return self._pad("center", width, "both", fillchar, (width, fillchar))

    def _pad(self, method: str, width: Any, side: Any, fillchar: Any, args: tuple[Any, ...]) -> Any:
        """``method(*args)``, which fills texts up."""
        if side not in ("left", "right", "both") or not isinstance(width, int):
            return self._fallback(method, *args)
        return self._of(method, args, ("pad", max(width, 0), side, fillchar))

    def replace(
        self,
        pat: Any,
        repl: Any = None,
        n: int = -1,
        case: Any = None,
        flags: int = 0,
        regex: bool = False,
    ) -> Any:
        """``repl`` for ``pat`` wherever it occurs, at most ``n`` times."""
        given: dict[str, Any] = {"n": n, "case": case, "flags": flags, "regex": regex}
        plain = isinstance(pat, str) and isinstance(repl, str) and "\\" not in repl
        if not plain or not pat or case not in (None, True) or flags or regex and not pat.isalnum():
            return self._fallback("replace", pat, repl, **given)
        most = None if n < 0 else n
        return self._native(
            lambda s: s.replace(pat, repl, **given),
            lambda: self._fallback("replace", pat, repl, **given),
            "replace",
            pat,
            repl,
            most,
        )

    def _fallback(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return super().__getattr__(method)(*args, **kwargs)

    def _of(self, method: str, args: tuple[Any, ...] = (), native: tuple[Any, ...] = ()) -> Any:
        """``method(*args)`` of texts; ``native``: the kernel and its arguments, where they differ."""
        kernel, *given = native or (method, *args)
        return self._native(
            lambda s: getattr(s, method)(*args), lambda: self._fallback(method, *args), kernel, *given
        )

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and key.step in (None, 1):
            return self.slice(key.start, key.stop)
        if isinstance(key, int):
            return self.get(key)
        return blockwise(_str_getitem, self._series, key, label="str-getitem")

    def split(self, pat: Any = None, n: int = -1, expand: bool = False) -> Any:
        """Text cut at ``pat``.

        Raises
        ------
        NotImplementedError
            With ``expand`` but without ``n``: the number of columns would depend on the data.
        """
        return self._split("split", pat, n, expand)

    def rsplit(self, pat: Any = None, n: int = -1, expand: bool = False) -> Any:
        """Text cut at ``pat``, from the end; see :meth:`split`."""
        return self._split("rsplit", pat, n, expand)

    def _split(self, name: str, pat: Any, n: int, expand: bool) -> Any:
        if not expand:
            return self._call(name, pat=pat, n=n, expand=expand)
        if n == -1:
            raise NotImplementedError(
                f"To use the expand parameter you must specify the number of expected splits with the n= "
                f"parameter: how many columns {name} gives would depend on the data"
            )
        separator = " " if pat is None else pat
        # Text that has as many pieces as there can be, so that all columns are there.
        sample = pd.Series([separator.join(["a"] * (n + 1))], dtype=self._series._meta.dtype)
        meta = getattr(sample.str, name)(n=n, expand=True, pat=pat)
        index = getattr(self._series._meta, "index", None)
        meta = meta.iloc[:0] if index is None else meta.iloc[:0].set_axis(index[:0])
        return blockwise(
            _split_columns, self._series, name, pat, n, list(meta.columns), label=f"str-{name}", meta=meta
        )

    def cat(self, others: Any = None, sep: Any = None, na_rep: Any = None, join: str = "left") -> Any:
        """Text joined with that of other Series, row by row.

        Without ``others`` all text becomes one, as a lazy scalar.

        Raises
        ------
        TypeError
            If ``others`` are no Series.
        """
        from weft.dataframe._ops import lifted

        if others is None:
            parts = blockwise(
                _joined_text, self._series, sep, na_rep, label="str-cat-chunk", meta=object(), divisions=None
            )
            return host(
                _all_text, (parts, sep or ""), {}, meta="a", npartitions=1, label="str-cat", whole=True
            )
        several = others if isinstance(others, (list, tuple)) else [others]
        if not all(
            isinstance(one, (type(self._series), pd.Series)) or hasattr(one, "_meta") for one in several
        ):
            raise TypeError("others must be Series/Index")
        moved = [lifted(self._series, one, column=True) for one in several]
        return self._call("cat", others=moved, sep=sep, na_rep=na_rep, join=join)

    def extractall(self, pat: Any, flags: int = 0) -> Any:
        """A row for each match; the rows of a text are numbered in a second level of the index."""
        meta = self._series._meta.str.extractall(pat, flags=flags)
        return blockwise(
            Property("str.extractall"),
            self._series,
            pat,
            label="str-extractall",
            meta=meta,
            divisions=None,
            flags=flags,
        )


def _split_columns(part: Any, name: str, pat: Any, n: int, columns: list[Any]) -> Any:
    found = getattr(part.str, name)(pat=pat, n=n, expand=True).reindex(columns=columns)
    return found.astype(part.dtype)  # Columns that only other partitions have are text, too.


def _joined_text(part: Any, sep: Any, na_rep: Any) -> str | None:
    kept = part if na_rep is not None else part.dropna()
    return kept.str.cat(sep=sep, na_rep=na_rep) if len(kept) else None


def _all_text(parts: list[str | None], sep: str) -> str:
    return sep.join(part for part in parts if part is not None)


def _str_getitem(partition: Any, key: Any) -> Any:
    return partition.str[key]


class CategoricalAccessor(_Accessor):
    """Methods of categoricals.

    Examples
    --------
    >>> import pandas as pd, weft.dataframe as dd
    >>> s = dd.from_pandas(pd.Series(["b", "a"], dtype="category"), npartitions=1)
    >>> s.cat.codes.compute().tolist()
    [1, 0]
    """

    _accessor_name = "cat"

    @property
    def _dtype(self) -> Any:
        return self._series._meta.dtype

    @property
    def known(self) -> bool:
        """Whether the categories are known."""
        return _meta.UNKNOWN_CATEGORIES not in self._dtype.categories

    @property
    def categories(self) -> Any:
        """The categories.

        Raises
        ------
        NotImplementedError
            If they are not known.
        """
        if not self.known:
            raise NotImplementedError(
                "`df.column.cat.categories` with unknown categories is not supported: use "
                "`column.cat.as_known()` or `df.categorize()` beforehand"
            )
        return self._dtype.categories

    @property
    def ordered(self) -> bool:
        """Whether the categories have an order."""
        return bool(self._dtype.ordered)

    @property
    def codes(self) -> Any:
        """The number of each value's category; -1 where it is missing.

        Raises
        ------
        NotImplementedError
            If the categories are not known.
        """
        if not self.known:
            raise NotImplementedError(
                "`df.column.cat.codes` with unknown categories is not supported: use "
                "`column.cat.as_known()` or `df.categorize()` beforehand"
            )
        return self._call("codes")

    def as_known(self, **kwargs: Any) -> Any:
        """The same data with known categories: those that the data has, read now."""
        if self.known:
            return self._series
        from weft.dataframe._reshape import known_dtype

        [dtype] = known_dtype([self._series], **kwargs)
        return self._call("set_categories", dtype.categories, ordered=dtype.ordered)

    def as_unknown(self) -> Any:
        """The same data, its categories taken for unknown."""
        values = pd.Categorical([], [_meta.UNKNOWN_CATEGORIES], ordered=self.ordered)
        own = self._series._meta
        if isinstance(own, pd.Index):
            return self._series._like(self._series.expr, pd.CategoricalIndex(values, name=own.name))
        return self._series._like(self._series.expr, pd.Series(values, index=own.index[:0], name=own.name))

    def remove_unused_categories(self) -> Any:
        """Without the categories that do not occur; reads the data."""
        from weft.dataframe._reshape import known_dtype

        [found] = known_dtype([self._series])
        kept = (
            [c for c in self._dtype.categories if c in found.categories] if self.known else found.categories
        )
        return self._call(
            "set_categories", pd.Index(kept, dtype=found.categories.dtype), ordered=self.ordered
        )


_SERIES: Any = pd.Series
_add(StringAccessor, _SERIES.str)
_add(DatetimeAccessor, _SERIES.dt)
_add(CategoricalAccessor, _SERIES.cat)
