"""Functions called as a computation goes on: at its start, around each task, and at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

__all__ = ["Callback", "add_callbacks"]

#: The five functions of a callback, in the order of :attr:`Callback._callback`.
_NAMES = ("start", "start_state", "pretask", "posttask", "finish")


class Callback:
    """Functions that a local scheduler calls while it computes.

    Give them as arguments, or subclass and define methods of the same names with an underscore in front. All run in
    the thread that called ``compute``.

    Parameters
    ----------
    start : callable, optional
        ``start(dsk)``, before anything else. ``dsk`` is a mapping of keys to tasks; a task that is replaced in it
        by a value is not run.
    start_state : callable, optional
        ``start_state(dsk, state)``, when it is known what has to be done.
    pretask : callable, optional
        ``pretask(key, dsk, state)``, before each task.
    posttask : callable, optional
        ``posttask(key, result, dsk, state, worker_id)``, after each task.
    finish : callable, optional
        ``finish(dsk, state, errored)``, at the end, also after an error.

    Notes
    -----
    ``state`` is a dict: ``dependencies`` and ``dependents`` (key to keys), ``waiting`` and ``waiting_data`` (key to the
    keys it waits for, and to those that wait for it), ``cache`` (key to value), ``ready``, ``running``, ``finished`` and
    ``released`` (keys). It is kept only while callbacks are active.

    Computations inside tasks do not call the callbacks of the outer one.

    Examples
    --------
    >>> import weft
    >>> class Names(Callback):
    ...     def _pretask(self, key, dsk, state):
    ...         print("now", key)
    >>> with Names():
    ...     weft.get({"x": (sum, [1, 2])}, "x")
    now x
    3
    """

    active: ClassVar[set[tuple[Callable | None, ...]]] = set()

    def __init__(
        self,
        start: Callable | None = None,
        start_state: Callable | None = None,
        pretask: Callable | None = None,
        posttask: Callable | None = None,
        finish: Callable | None = None,
    ):
        for name, function in zip(_NAMES, (start, start_state, pretask, posttask, finish)):
            if function:
                setattr(self, f"_{name}", function)

    @property
    def _callback(self) -> tuple[Callable | None, ...]:
        return tuple(getattr(self, f"_{name}", None) for name in _NAMES)

    def __enter__(self):
        self._cm = add_callbacks(self)
        self._cm.__enter__()
        return self

    def __exit__(self, *args) -> None:
        self._cm.__exit__(*args)

    def register(self) -> None:
        """Make the callback active until :meth:`unregister`."""
        Callback.active.add(self._callback)

    def unregister(self) -> None:
        """End what :meth:`register` began.

        Raises
        ------
        KeyError
            The callback is not registered.
        """
        Callback.active.remove(self._callback)


def unpack_callbacks(cbs: Iterable[tuple[Callable | None, ...]] | None) -> list[Any]:
    """Turn a list of callbacks into five lists of functions, leaving out what is not given.

    Examples
    --------
    >>> unpack_callbacks([(print, None, None, None, None)])
    [[<built-in function print>], [], [], [], []]
    """
    if not cbs:
        return [(), (), (), (), ()]
    return [[function for function in functions if function] for functions in zip(*cbs)]


@contextmanager
def local_callbacks(
    callbacks: Iterable[tuple[Callable | None, ...]] | None = None,
) -> Iterator[Iterable[tuple[Callable | None, ...]]]:
    """The callbacks for one computation: those given, else the active ones, which are then inactive meanwhile.

    A computation inside a task therefore finds none active, and the outermost keeps them to itself.

    Examples
    --------
    >>> with Callback(start=print):
    ...     with local_callbacks() as mine:
    ...         len(mine), len(Callback.active)
    (1, 0)
    """
    if callbacks is not None:
        yield callbacks or ()
        return
    taken, Callback.active = Callback.active, set()
    try:
        yield taken or ()
    finally:
        Callback.active = taken


def normalize_callback(cb: Callback | tuple) -> tuple:
    """The five functions of a callback.

    Raises
    ------
    TypeError
        ``cb`` is neither a :class:`Callback` nor a tuple.

    Examples
    --------
    >>> normalize_callback(Callback(start=print))
    (<built-in function print>, None, None, None, None)
    """
    if isinstance(cb, Callback):
        return cb._callback
    if isinstance(cb, tuple):
        return cb
    raise TypeError(f"Callbacks must be either `Callback` or `tuple`, not {type(cb).__name__}")


class add_callbacks:
    """Make callbacks active, from now until the end of a ``with`` block.

    Parameters
    ----------
    *callbacks : Callback or tuple of five callables or None

    Examples
    --------
    >>> import weft
    >>> done = []
    >>> with add_callbacks(Callback(posttask=lambda key, *rest: done.append(key))):
    ...     _ = weft.get({"x": (sum, [1, 2])}, "x")
    >>> done
    ['x']
    """

    def __init__(self, *callbacks: Callback | tuple):
        self.callbacks = [normalize_callback(c) for c in callbacks]
        Callback.active.update(self.callbacks)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc_info) -> None:
        for callback in self.callbacks:
            Callback.active.discard(callback)
