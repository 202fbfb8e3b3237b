"""Data to try things on: made up, but the same for the same seed."""

from __future__ import annotations

from typing import Any

__all__ = ["make_people", "timeseries"]


def timeseries(
    start: Any = "2000-01-01",
    end: Any = "2000-01-31",
    freq: str = "1s",
    partition_freq: str = "1D",
    dtypes: dict[str, type | str] | None = None,
    seed: int | None = None,
    **kwargs: Any,
) -> Any:
    """A frame of random data over time.

    Parameters
    ----------
    start, end : datetime or str
        First time, and the end of the times.
    freq : str
        Time between rows, as ``"2s"`` or ``"12h"``.
    partition_freq : str
        Time between the beginnings of partitions, as ``"1D"`` or ``"1ME"``.
    dtypes : dict, optional
        Type of each column: ``int``, ``float``, ``str``, ``"category"`` or a NumPy dtype of numbers.
        By default ``{"name": str, "id": int, "x": float, "y": float}``.
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
    ImportError
        If pandas and pyarrow are not installed.
    ValueError
        For an unknown dtype, or an `end` that is not after `start`.

    Examples
    --------
    >>> import weft
    >>> df = weft.datasets.timeseries(end="2000-01-03", freq="1h", seed=1)
    >>> df.npartitions, list(df.columns)
    (2, ['name', 'id', 'x', 'y'])
    """
    try:
        from weft.dataframe.io.demo import make_timeseries
    except ImportError as error:
        if error.name and error.name.partition(".")[0] not in ("numpy", "pandas", "pyarrow"):
            raise
        raise ImportError(
            'timeseries needs pandas and pyarrow: python -m pip install "weft[dataframe]"'
        ) from error
    if dtypes is None:
        dtypes = {"name": str, "id": int, "x": float, "y": float}
    return make_timeseries(
        start=start, end=end, dtypes=dtypes, freq=freq, partition_freq=partition_freq, seed=seed, **kwargs
    )


def make_people(
    npartitions: int = 10, records_per_partition: int = 1000, seed: int | None = None, locale: str = "en"
) -> Any:
    """A bag of made-up people, as nested dictionaries.

    Parameters
    ----------
    npartitions : int
        Number of partitions.
    records_per_partition : int
        People in each.
    seed : int, optional
        Same seed, same people.
    locale : str
        Language of the names, as "en" or "fr".

    Returns
    -------
    Bag

    Raises
    ------
    ImportError
        If mimesis is not installed.
    NotImplementedError
        If it is: this version of weft has no bags yet.
    """
    try:
        import mimesis  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "make_people needs the package mimesis. Try:\n  python -m pip install mimesis"
        ) from error
    raise NotImplementedError(
        "make_people returns a bag, and this version of weft has no bags yet (weft.bag); "
        "weft.datasets.timeseries makes a dataframe"
    )
