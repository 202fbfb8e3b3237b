"""Progress of computations in a tqdm bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weft.diagnostics._watch import Progress, Watch

__all__ = ["TqdmCallback"]


class TqdmCallback(Watch):
    """Show how far computations are in a bar of `tqdm`.

    Parameters
    ----------
    desc : str, optional
        Text before the bar.
    tqdm_class : callable, optional
        The bar to use; by default ``tqdm.auto.tqdm``, which suits terminals and notebooks.
    dt : float, optional
        Seconds between updates.
    **kwargs
        Passed to `tqdm_class`, as ``unit="block"`` or ``leave=False``.

    Raises
    ------
    ImportError
        If no `tqdm_class` is given and tqdm is not installed.

    See Also
    --------
    weft.diagnostics.ProgressBar : needs no other package.

    Examples
    --------
    >>> import weft
    >>> from weft.diagnostics import TqdmCallback
    >>> with TqdmCallback(desc="sums", disable=True):
    ...     weft.delayed(sum)([1, 2]).compute()
    3
    """

    def __init__(
        self,
        desc: str | None = None,
        tqdm_class: Callable[..., Any] | None = None,
        *,
        dt: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(dt=dt)
        self._make = _default_class() if tqdm_class is None else tqdm_class
        self._options = {"desc": desc, "unit": "task", **kwargs}
        self._bar: Any = None

    def _show(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = self._make(total=progress.total, **self._options)
        elif self._bar.total != progress.total:
            self._bar.total = progress.total
        self._bar.update(progress.done - self._bar.n)

    def _end(self, progress: Progress) -> None:
        self._show(progress)
        self._bar.close()
        self._bar = None


def _default_class() -> Callable[..., Any]:
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("TqdmCallback needs tqdm: python -m pip install tqdm") from error
    return tqdm
