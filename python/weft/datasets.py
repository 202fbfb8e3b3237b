"""Data to try things on: made up, but the same for the same seed."""

from __future__ import annotations

import dataclasses
import random
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

    Examples
    --------
    >>> import weft
    >>> people = weft.datasets.make_people(npartitions=2, seed=1)  # doctest: +SKIP
    >>> people.pluck("age").max().compute()  # doctest: +SKIP
    120
    """
    try:
        import mimesis  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "make_people needs the package mimesis. Try:\n  python -m pip install mimesis"
        ) from error
    from weft._weft import bag_layer
    from weft.bag.core import Bag
    from weft.base import tokenize

    draw = random.Random(seed)
    seeds = [draw.getrandbits(32) for _ in range(npartitions)]
    name = f"people-{tokenize(npartitions, records_per_partition, seeds, locale)}"
    make = _People(seeds, records_per_partition, locale)
    return Bag._of(
        bag_layer(name, npartitions, make, ["index"], label="make-people", lazy=False), npartitions
    )


@dataclasses.dataclass(frozen=True)
class _People:
    """Makes partition ``i``."""

    seeds: list[int]
    records: int
    locale: str

    def __call__(self, index: int) -> list[dict[str, Any]]:
        from mimesis import Generic
        from mimesis.locales import Locale

        make = Generic(locale=Locale(self.locale), seed=self.seeds[index])
        ages = random.Random(self.seeds[index])
        return [
            {
                "age": ages.randint(0, 120),
                "name": (make.person.name(), make.person.surname()),
                "occupation": make.person.occupation(),
                "telephone": make.person.telephone(),
                "address": {"address": make.address.address(), "city": make.address.city()},
                "credit-card": {
                    "number": make.payment.credit_card_number(),
                    "expiration-date": make.payment.credit_card_expiration_date(),
                },
            }
            for _ in range(self.records)
        ]
