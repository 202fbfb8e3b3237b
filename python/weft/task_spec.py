"""The public name of `weft._task_spec`."""

from weft._task_spec import *  # noqa: F403
from weft._task_spec import __all__ as __all__
