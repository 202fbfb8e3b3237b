"""A collection of somebody else's."""

import weft.threaded
from weft.base import DaskMethodsMixin, replace_name_in_key


class Pair(DaskMethodsMixin):
    """A tuple of results, with no optimization of its own."""

    __dask_scheduler__ = staticmethod(weft.threaded.get)

    def __init__(self, dsk, keys):
        self._dsk = dsk
        self._keys = keys

    def __dask_graph__(self):
        return self._dsk

    def __dask_keys__(self):
        return self._keys

    def __dask_tokenize__(self):
        return tuple(self._keys)

    def __dask_postcompute__(self):
        return tuple, ()

    def __dask_postpersist__(self):
        return self._rebuild, ()

    def _rebuild(self, dsk, rename=None):
        return Pair(dsk, [replace_name_in_key(key, rename or {}) for key in self._keys])
