"""Tables and queries of SQL databases, read by ranges of an index column; SQLAlchemy speaks to the database."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from weft.dataframe import _meta
from weft.dataframe.io.io import from_map, from_pandas
from weft.utils import parse_bytes


def read_sql(sql: Any, con: str, index_col: Any, **kwargs: Any) -> Any:
    """A lazy DataFrame over a table (its name) or a query (a SQLAlchemy ``select``).

    See :func:`read_sql_table` and :func:`read_sql_query`.
    """
    if isinstance(sql, str):
        return read_sql_table(sql, con, index_col, **kwargs)
    return read_sql_query(sql, con, index_col, **kwargs)


def read_sql_table(
    table_name: str,
    con: str,
    index_col: Any,
    divisions: Any = None,
    npartitions: int | None = None,
    limits: Any = None,
    columns: Any = None,
    bytes_per_chunk: Any = "256 MiB",
    head_rows: int = 5,
    schema: str | None = None,
    meta: Any = None,
    engine_kwargs: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """A lazy DataFrame over a table, in ranges of an index column.

    Parameters
    ----------
    table_name : str
    con : str
        The database's URL as SQLAlchemy writes it. Each partition opens a connection of its own.
    index_col : str
        The column that becomes the index; it should be indexed in the database.
    divisions, npartitions, limits, bytes_per_chunk, head_rows, meta, engine_kwargs
        See :func:`read_sql_query`.
    columns : list of str, optional
        Which columns to read; all by default.
    schema : str, optional
        Where the database looks for the table.
    **kwargs
        Keywords of :func:`pandas.read_sql`.

    Raises
    ------
    TypeError
        If the table is no name or the database no URL.

    Examples
    --------
    >>> import weft.dataframe as dd
    >>> df = dd.read_sql_table("flights", "sqlite:///flights.db", index_col="id")  # doctest: +SKIP
    """
    import sqlalchemy as sa

    if not isinstance(table_name, str):
        raise TypeError(
            f"`table_name` must be of type str, not {type(table_name).__name__}: read_sql_query takes queries"
        )
    _check_uri(con)
    engine = sa.create_engine(con, **(engine_kwargs or {}))
    try:
        table = sa.Table(table_name, sa.MetaData(), autoload_with=engine, schema=schema)
    finally:
        engine.dispose()
    index = table.columns[index_col] if isinstance(index_col, str) else index_col
    chosen = (
        list(table.columns)
        if columns is None
        else [table.columns[c] if isinstance(c, str) else c for c in columns]
    )
    if index.name not in [column.name for column in chosen]:
        chosen.append(index)
    return read_sql_query(
        sa.select(*chosen),
        con,
        index_col,
        divisions=divisions,
        npartitions=npartitions,
        limits=limits,
        bytes_per_chunk=bytes_per_chunk,
        head_rows=head_rows,
        meta=meta,
        engine_kwargs=engine_kwargs,
        **kwargs,
    )


def read_sql_query(
    sql: Any,
    con: str,
    index_col: Any,
    divisions: Any = None,
    npartitions: int | None = None,
    limits: Any = None,
    bytes_per_chunk: Any = "256 MiB",
    head_rows: int = 5,
    meta: Any = None,
    engine_kwargs: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """A lazy DataFrame over a query, in ranges of an index column.

    Parameters
    ----------
    sql : sqlalchemy.Select
        Not text: conditions on the index are added to it.
    con : str
        The database's URL as SQLAlchemy writes it.
    index_col : str
        A column of the query.
    divisions : sequence, optional
        The values of the index at which to cut.
    npartitions : int, optional
        How many partitions, instead of ``divisions``; ranges of equal width.
    limits : pair, optional
        The lowest and the highest index to read; by default those of the table.
    bytes_per_chunk : int or str
        What a partition takes in memory, if neither divisions nor their number are given.
    head_rows : int
        How many rows to read to see dtypes and sizes.
    meta : DataFrame, optional
        Dtypes; then nothing is read to see them.
    engine_kwargs : dict, optional
        Keywords of :func:`sqlalchemy.create_engine`.
    **kwargs
        Keywords of :func:`pandas.read_sql`.

    Raises
    ------
    TypeError
        If the index is neither numbers nor datetimes and ``divisions`` are not given.
    ValueError
        If there is nothing to learn the dtypes from, or the query is text.
    """
    import sqlalchemy as sa

    _check_uri(con)
    if not isinstance(sql, sa.sql.Selectable):
        raise ValueError(
            f"sql must be a SQLAlchemy query, not {type(sql).__name__}: build it with sqlalchemy.select"
        )
    if divisions is not None and npartitions is not None:
        raise TypeError("Must supply either 'divisions' or 'npartitions', not both")
    index = sa.Column(index_col) if isinstance(index_col, str) else index_col
    kwargs["index_col"] = index.name
    if hasattr(meta, "_meta"):
        meta = meta._meta
    engine = sa.create_engine(con, **(engine_kwargs or {}))
    try:
        row_bytes = 0.0
        if head_rows > 0:
            query: Any = sql
            head: Any = pd.read_sql(query.limit(head_rows), engine, **kwargs)
            if not len(head):
                return from_pandas(head if meta is None else meta, npartitions=1)
            row_bytes = float(head.memory_usage(deep=True, index=True).sum()) / len(head)
            meta = head.iloc[:0] if meta is None else meta
        elif meta is None:
            raise ValueError("Must provide meta if head_rows is 0")
        if divisions is None:
            divisions = _divisions(sql, engine, index, npartitions, limits, bytes_per_chunk, row_bytes)
    finally:
        engine.dispose()
    divisions = list(divisions)
    last = len(divisions) - 2
    bounds = [(low, high, i == last) for i, (low, high) in enumerate(zip(divisions, divisions[1:]))]
    read = _Read(sql, con, index_col, _meta.make_meta(meta), engine_kwargs or {}, kwargs)
    return from_map(read, bounds, meta=meta, divisions=tuple(divisions), label="read_sql")


def _check_uri(con: Any) -> None:
    if not isinstance(con, str):
        raise TypeError(f"`con` must be of type str, not {type(con).__name__}: give the database's URL")


def _divisions(
    sql: Any, engine: Any, index: Any, npartitions: int | None, limits: Any, chunk: Any, row_bytes: float
) -> list[Any]:
    import sqlalchemy as sa

    table = sql.subquery()
    column = table.columns[index.name]
    if limits is None:
        edges = pd.read_sql(
            sa.select(sa.func.max(column).label("high"), sa.func.min(column).label("low")), engine
        )
        dtype: Any
        high, low, dtype = edges.high.iloc[0], edges.low.iloc[0], edges.high.dtype
    else:
        low, high = limits
        dtype = pd.Series(limits).dtype
    if npartitions is None:
        rows: Any = pd.read_sql(sa.select(sa.func.count(column)), engine).iloc[0, 0]
        npartitions = round(float(rows) * row_bytes / parse_bytes(chunk)) or 1
    if dtype.kind == "M":
        return [low + (high - low) * i / npartitions for i in range(npartitions)] + [high]
    if dtype.kind in "iuf":
        return list(np.linspace(low, high, npartitions + 1, dtype=dtype).tolist())
    raise TypeError(
        f'Provided index column is of type "{dtype}".  If divisions is not provided the index column type must '
        "be numeric or datetime."
    )


class _Read:
    """The rows in a range of the index."""

    def __init__(
        self, sql: Any, con: str, index_col: Any, meta: Any, engine_kwargs: Any, kwargs: Any
    ) -> None:
        self.sql, self.con, self.index_col, self.meta = sql, con, index_col, meta
        self.engine_kwargs, self.kwargs = engine_kwargs, kwargs
        self.__name__ = "read_sql"

    def __dask_tokenize__(self) -> Any:
        return (
            "read_sql",
            str(self.sql),
            self.con,
            str(self.index_col),
            self.engine_kwargs,
            self.kwargs,
            self.meta,
        )

    def __call__(self, bounds: tuple[Any, Any, bool]) -> pd.DataFrame:
        import sqlalchemy as sa

        low, high, closed = bounds
        column = sa.column(self.index_col) if isinstance(self.index_col, str) else self.index_col
        table = self.sql.subquery()
        column = table.columns[column.name]
        inside = sa.and_(column >= low, column <= high if closed else column < high)
        engine = sa.create_engine(self.con, **self.engine_kwargs)
        try:
            part = pd.read_sql(sa.select(table).where(inside), engine, **self.kwargs)
        finally:
            engine.dispose()
        if not len(part):
            return self.meta
        if not len(self.meta.dtypes):
            return part
        return part.astype(self.meta.dtypes.to_dict())


def to_sql(
    df: Any,
    name: str,
    uri: str,
    schema: str | None = None,
    if_exists: str = "fail",
    index: bool = True,
    index_label: Any = None,
    chunksize: int | None = None,
    dtype: Any = None,
    method: Any = None,
    compute: bool = True,
    parallel: bool = False,
    engine_kwargs: dict[str, Any] | None = None,
) -> Any:
    """Writes the rows into a table of a database.

    The table is made first, then each partition is inserted: one after the other, or, if ``parallel``,
    at the same time.

    Parameters
    ----------
    name : str
        The table.
    uri : str
        The database's URL as SQLAlchemy writes it.
    if_exists : {'fail', 'replace', 'append'}
        What to do with a table of that name.
    schema, index, index_label, chunksize, dtype, method
        As in :meth:`pandas.DataFrame.to_sql`.
    compute : bool
        Write now; otherwise a delayed object.
    engine_kwargs : dict, optional
        Keywords of :func:`sqlalchemy.create_engine`.

    Raises
    ------
    ValueError
        If ``uri`` is no text, or the table exists and ``if_exists`` is ``'fail'``.
    """
    from weft.delayed import delayed

    if not isinstance(uri, str):
        raise ValueError(f"Expected URI to be a string, got {type(uri)}.")
    options = {
        "name": name,
        "con": uri,
        "schema": schema,
        "index": index,
        "index_label": index_label,
        "chunksize": chunksize,
        "dtype": dtype,
        "method": method,
    }
    made = delayed(_insert)(df._meta, engine_kwargs, if_exists, options)
    insert = delayed(_insert)
    results, before = [], made
    for part in df.to_delayed():
        done = insert(part, engine_kwargs, "append", options, after=before)
        results.append(done)
        before = made if parallel else done
    result = delayed(list)(results)
    return result.compute() if compute else result


def _insert(part: Any, engine_kwargs: Any, if_exists: str, options: dict[str, Any], after: Any = None) -> Any:
    import sqlalchemy as sa

    engine = sa.create_engine(options["con"], **(engine_kwargs or {}))
    try:
        # One transaction: a partition is inserted as a whole or not at all.
        with engine.begin() as connection:
            return part.to_sql(**{**options, "con": connection, "if_exists": if_exists})
    finally:
        engine.dispose()


__all__ = ["read_sql", "read_sql_query", "read_sql_table", "to_sql"]
