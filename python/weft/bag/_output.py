"""From bags to other collections, to files and to the caller."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable
from functools import wraps
from typing import Any

from fsspec.core import open_files

from weft._weft import bag_layer
from weft.bag import _native, _steps
from weft.bag._partitions import Partitions, bag_class
from weft.bag._steps import (
    finish as reify,
)
from weft.base import tokenize
from weft.delayed import Delayed
from weft.utils import (
    ensure_bytes,
    ensure_unicode,
)

#: The encoding of files where none is given.
SYSTEM_ENCODING = "utf-8"


class WriteText(_steps.Step):
    """Writes a partition to file ``i``."""

    __slots__ = ("files", "last_endline")
    files: list[Any]
    last_endline: bool

    def __call__(self, index: int, part: Iterable[Any]) -> None:
        with self.files[index] as file:
            text = isinstance(file, io.TextIOWrapper)
            end: Any = "\n" if text else b"\n"
            ensure: Any = ensure_unicode if text else ensure_bytes
            lines = map(ensure, part)
            first = next(lines, None)
            if first is not None:
                file.write(first)
            for line in lines:
                file.write(end)
                file.write(line)
            if self.last_endline:
                file.write(end)


def to_textfiles(
    b,
    path,
    name_function=None,
    compression="infer",
    encoding=SYSTEM_ENCODING,
    compute=True,
    storage_options=None,
    last_endline=False,
    **kwargs,
):
    """Writes text to files: one for each partition, one line for each element.

    Parameters
    ----------
    b : Bag
        Of str, or of bytes if ``encoding`` is ``None``.
    path : str or list of str
        A name in which ``*`` stands for the partition's number, or a name for each partition.
    name_function : callable, optional
        Gives what to put for ``*``, from the partition's number.
    compression : str, optional
        By default what the names' extensions say.
    encoding : str or None
    compute : bool
        False: give a list of delayed values that write the files.
    storage_options : dict, optional
        Options of the file system.
    last_endline : bool
        Whether a line break follows the last line.
    **kwargs
        Passed on to ``compute``.

    Returns
    -------
    list
        The files' names, or delayed values.

    Examples
    --------
    >>> import tempfile, weft.bag as db
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     names = db.from_sequence(["a", "b"], npartitions=2).to_textfiles(directory + "/*.txt.gz")
    ...     db.read_text(names).map(str.upper).compute()
    ['A', 'B']
    """
    files = open_files(
        path,
        compression=compression,
        mode="wb" if encoding is None else "wt",
        encoding=encoding,
        name_function=name_function,
        num=b.npartitions,
        **(storage_options or {}),
    )
    name = f"to-textfiles-{uuid.uuid4().hex}"
    out = b._step(name, WriteText(list(files), last_endline), label="to-textfiles", lazy=False, indexed=True)
    if compute:
        out.compute(**kwargs)
        return [file.path for file in files]
    return out.to_delayed()


def to_dataframe(seq, columns, dtypes):
    """A partition as a pandas dataframe."""
    import pandas as pd

    native = _native.frame(seq, columns, dtypes)
    if native is not None:
        return native
    seq = reify(seq)
    return pd.DataFrame(seq if isinstance(seq, list) else list(seq), columns=list(columns)).astype(dtypes)


class Output(Partitions):
    """Ways out of a bag."""

    def to_avro(
        self,
        filename,
        schema,
        name_function=None,
        storage_options=None,
        codec="null",
        sync_interval=16000,
        metadata=None,
        compute=True,
        **kwargs,
    ):
        """Writes records to Avro files, one for each partition; see `weft.bag.avro.to_avro`."""
        from weft.bag.avro import to_avro

        return to_avro(
            self,
            filename,
            schema,
            name_function,
            storage_options,
            codec,
            sync_interval,
            metadata,
            compute,
            **kwargs,
        )

    def to_dataframe(self, meta=None, columns=None, optimize_graph=True):
        """A dataframe of tuples, dicts or scalars.

        Parameters
        ----------
        meta : pandas.DataFrame, dict or iterable, optional
            Names and dtypes of the columns. By default the first element is computed and looked at.
        columns : sequence, optional
            Names of the columns, or for dicts which columns in which order.
        optimize_graph : bool

        Returns
        -------
        weft.dataframe.DataFrame
            The index counts from 0 in each partition.

        Raises
        ------
        ValueError
            If both ``meta`` and ``columns`` are given, or there is no first element.

        Examples
        --------
        >>> import weft.bag as db
        >>> b = db.from_sequence([{"name": "Alice", "n": 1}, {"name": "Bob", "n": 2}], npartitions=2)
        >>> b.to_dataframe().n.sum().compute().item()
        3
        """
        import pandas as pd

        import weft.dataframe as dd
        from weft.dataframe.utils import make_meta

        if meta is None:
            head = self.take(1, warn=False)
            if len(head) == 0:
                raise ValueError(
                    "`Bag.to_dataframe` failed to properly infer metadata: the first partition is empty. Please pass "
                    "in metadata via the `meta` keyword"
                )
            meta = pd.DataFrame(list(head), columns=columns)
        elif columns is not None:
            raise ValueError("Can't specify both `meta` and `columns`")
        else:
            meta = make_meta(meta, parent_meta=pd.DataFrame())
        frames = self.map_partitions(to_dataframe, list(meta.columns), meta.dtypes.to_dict())
        return dd.from_delayed(
            frames.to_delayed(optimize_graph), meta=meta, prefix="from-bag", verify_meta=False
        )

    def to_delayed(self, optimize_graph=True):
        """The partitions as a list of `weft.delayed` values.

        Parameters
        ----------
        optimize_graph : bool
            Whether to optimize the graph first.
        """
        keys = self.__dask_keys__()
        graph = self.__dask_graph__()
        if optimize_graph:
            graph = self.__dask_optimize__(graph, keys)
        return [Delayed(key, graph) for key in keys]

    def to_textfiles(
        self,
        path,
        name_function=None,
        compression="infer",
        encoding=SYSTEM_ENCODING,
        compute=True,
        storage_options=None,
        last_endline=False,
        **kwargs,
    ):
        return to_textfiles(
            self,
            path,
            name_function,
            compression,
            encoding,
            compute,
            storage_options=storage_options,
            last_endline=last_endline,
            **kwargs,
        )

    def take(self, k, npartitions=1, compute=True, warn=True):
        """The first ``k`` elements.

        Parameters
        ----------
        k : int
        npartitions : int
            From how many partitions; -1 for all.
        compute : bool
            False: give a bag.
        warn : bool
            Whether to warn if there are fewer.

        Raises
        ------
        ValueError
            If there are not so many partitions.

        Examples
        --------
        >>> import weft.bag as db
        >>> db.from_sequence(range(1_000)).take(3)
        (0, 1, 2)
        """
        if npartitions <= -1:
            npartitions = self.npartitions
        if npartitions > self.npartitions:
            raise ValueError(f"only {self.npartitions} partitions, take received {npartitions}")
        token = tokenize(self, k, npartitions)
        name = f"take-{token}"
        if npartitions > 1:
            part = bag_layer(
                f"take-partial-{token}",
                npartitions,
                _steps.Take(k, False),
                [(self._view, "same")],
                label="take",
                lazy=False,
            )
            layer = bag_layer(name, 1, _steps.TakeOfAll(k, warn), [(part, "all")], label="take", lazy=False)
        else:
            layer = bag_layer(
                name, 1, _steps.Take(k, warn), [(self._view, "at", 0)], label="take", lazy=False
            )
        bag = bag_class()._of(layer, 1)
        return tuple(bag.compute()) if compute else bag


Output.to_textfiles = wraps(to_textfiles)(Output.to_textfiles)  # type: ignore[method-assign]
