"""States of random streams, one for each partition."""

from __future__ import annotations

from random import Random


def random_state_data_python(n, random_state=None):
    """``n`` states for `random.Random.setstate`, from one seed.

    Parameters
    ----------
    n : int
    random_state : int or random.Random, optional
    """
    maximum = 1 << 32
    try:
        import numpy as np
    except ImportError:
        if not isinstance(random_state, Random):
            random_state = Random(random_state)
        return [(3, (*(random_state.randrange(maximum) for _ in range(624)), 624), None) for _ in range(n)]
    if isinstance(random_state, Random):
        random_state = random_state.randint(0, maximum)
    words = np.frombuffer(np.random.default_rng(random_state).bytes(624 * n * 4), dtype=np.uint32)
    return [(3, (*row, 624), None) for row in words.reshape((n, -1)).tolist()]
