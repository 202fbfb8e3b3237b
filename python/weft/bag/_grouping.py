"""Elements of each group together."""

from __future__ import annotations

import math

from weft import config
from weft._weft import bag_layer
from weft.bag import _shuffle
from weft.bag._partitions import Partitions
from weft.base import computes_on_other_machines, tokenize
from weft.utils import (
    funcname,
)


def groupby_tasks(b, grouper, hash=None, max_branch=32, npartitions=None):
    """`Bag.groupby` by tasks that read from all others."""
    n = npartitions or b.npartitions
    token = tokenize(b, grouper, hash, n)
    split_step = _shuffle.Split(grouper, hash, n)
    layer = b._step(f"shuffle-split-{token}", split_step, label="shuffle-split", lazy=False)._view
    if b.npartitions * n > 2**18:
        branch = max_branch or 32
        layer = bag_layer(
            f"shuffle-group-{token}",
            math.ceil(b.npartitions / branch),
            _shuffle.together,
            [(layer, "group", branch)],
            label="shuffle-group",
            lazy=False,
        )
    reads = ["index", (layer, "all")]
    layer = bag_layer(f"shuffle-{token}", n, _shuffle.collect, reads, label="shuffle", lazy=False)
    return type(b)._of(layer, n)


def groupby_disk(b, grouper, npartitions=None, blocksize=2**20):
    """`Bag.groupby` through a store that is bounded in memory."""
    n = npartitions or b.npartitions
    token = tokenize(b, grouper, n, blocksize)
    store = bag_layer(
        f"groupby-store-{token}", None, _shuffle.OpenStore(n), [], label="groupby-store", lazy=False
    )
    put = _shuffle.Put(grouper, n, blocksize)
    name = f"groupby-part-{funcname(grouper)}-{token}"
    layer = b._step(name, put, (store, "at", 0), label="groupby-part", lazy=False, indexed=True)._view
    done = bag_layer(f"groupby-barrier-{token}", None, list, [(layer, "all")], label="barrier", lazy=False)
    reads = ["index", (done, "at", 0), (store, "at", 0)]
    layer = bag_layer(f"groupby-collect-{token}", n, _shuffle.get, reads, label="groupby-collect", lazy=False)
    return type(b)._of(layer, n)


class Grouping(Partitions):
    """Groups over all partitions."""

    def groupby(
        self,
        grouper,
        method=None,
        npartitions=None,
        blocksize=2**20,
        max_branch=None,
        shuffle=None,
    ):
        """Pairs of a key and the list of all elements that have it.

        All elements move between partitions: where a reduction of groups is wanted, `foldby` is faster.

        Parameters
        ----------
        grouper : callable or object
            The key of an element: a function, or an item.
        npartitions : int, optional
            Partitions of the result, by default as many as this bag has.
        blocksize : int
            Elements that are grouped at once (for ``"disk"``).
        max_branch : int, optional
            How many partitions' groups are put together before tasks read from each other (for ``"tasks"``).
        shuffle : {"disk", "tasks"}, optional
            ``"disk"``: groups wait in files of this machine, or, on threads, in memory up to the setting
            ``bag.shuffle-memory``. ``"tasks"``: they are results of tasks, which move between machines too. The
            default is ``"tasks"`` if there is a client of a cluster that may have other machines, else ``"disk"``.

        Returns
        -------
        Bag
            Of pairs (key, list of elements).

        Examples
        --------
        >>> import weft.bag as db
        >>> dict(db.from_sequence(range(10)).groupby(lambda x: x % 2 == 0))[True]
        [0, 2, 4, 6, 8]
        """
        if method is not None:
            raise Exception("The method= keyword has been moved to shuffle=")

        shuffle = shuffle or config.get("dataframe.shuffle.method", None)
        if shuffle is None:
            shuffle = "tasks" if computes_on_other_machines() else "disk"
        if shuffle == "disk":
            return groupby_disk(self, grouper, npartitions=npartitions, blocksize=blocksize)
        if shuffle in ("tasks", "p2p"):
            return groupby_tasks(self, grouper, max_branch=max_branch, npartitions=npartitions)
        raise NotImplementedError("Shuffle must be 'disk' or 'tasks'")
