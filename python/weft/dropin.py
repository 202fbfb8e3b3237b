"""One line at the top of a program, and ``import dask`` means weft from there on.

``dask``, ``dask.array``, ``dask.dataframe``, ``distributed``, … are then names of weft's modules, also inside other packages that
import them (xarray, scikit-image, …), and questions for Dask's version are answered as Dask would. An installed Dask is not used.

Raises
------
ImportError
    If Dask itself has been imported before.

Examples
--------
>>> import weft.dropin  # doctest: +SKIP
>>> import dask.array as da  # doctest: +SKIP
>>> da.ones(3).sum().compute()  # doctest: +SKIP
3.0
"""

from __future__ import annotations

from weft._run.alias import DASK_VERSION, DropinError, install

__all__ = ["DASK_VERSION", "DropinError"]

install()
