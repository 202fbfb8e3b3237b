"""Stacks of pictures."""

from __future__ import annotations

import os
from glob import glob
from typing import Any

from weft._task_spec import Task
from weft.base import tokenize
from weft.utils import import_required


def imread(filename: str, imread: Any = None, preprocess: Any = None) -> Any:
    """A stack of pictures, one block for each file.

    Parameters
    ----------
    filename : str
        A pattern, such as ``"frames.*.png"``.
    imread : callable, optional
        Reads one file; that of scikit-image by default.
    preprocess : callable, optional
        Is called on each picture.

    Returns
    -------
    Array
        Its first axis goes over the files, in the order of their names.

    Raises
    ------
    ValueError
        If no file matches.
    """
    from weft.array.core import Array

    read = (
        imread
        or import_required(
            "skimage.io", "imread needs scikit-image, or an imread= of yours: pip install scikit-image"
        ).imread
    )
    files = sorted(glob(filename))
    if not files:
        raise ValueError(f"No files found under name {filename}")
    sample = read(files[0])
    if preprocess:
        sample = preprocess(sample)
    name = f"imread-{tokenize(files, [os.path.getmtime(f) for f in files])}"
    tasks = {}
    for i, file in enumerate(files):
        key = (name, i, *(0,) * sample.ndim)
        tasks[key] = Task(key, _picture, file, read, preprocess)
    return Array(tasks, name, ((1,) * len(files), *((n,) for n in sample.shape)), sample.dtype)


def _picture(file: str, read: Any, preprocess: Any) -> Any:
    picture = read(file)
    return (preprocess(picture) if preprocess else picture)[None, ...]
