"""``python -m weft``: the command line."""

import sys

from weft._run.cli import main

sys.exit(main())
