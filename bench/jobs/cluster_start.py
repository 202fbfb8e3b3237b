"""A cluster of four processes from nothing to its first result."""

from jobs._cluster import CLIENTS, inc

TITLE = "A cluster started, and its first result"


def on(system):
    def prepare():
        if system == "weft":
            import weft.distributed  # noqa: F401
        elif system == "dask":
            import distributed  # noqa: F401
        else:
            import frisky  # noqa: F401

        def run():
            opened = CLIENTS[system]()
            OPEN.append(opened)
            return opened.__enter__().submit(inc, 1).result()

        return run

    return prepare


OPEN = []
SYSTEMS = {system: on(system) for system in CLIENTS}


def digest(answer):
    OPEN.pop().__exit__(None, None, None)
    return answer


def same(a, b):
    return a == b
