"""The taxi job on four worker processes of one thread each, and, for comparison, on as many threads."""

from jobs import taxi
from jobs._cluster import close, on_running_clusters

TITLE = "The taxi job on a cluster"
prepare, same = taxi.prepare, taxi.same


def work(client):
    package = "weft" if type(client).__module__.startswith("weft") else "dask"
    return taxi.frames(package)()()


SYSTEMS = {**on_running_clusters(work, ("weft", "dask")), "threads": taxi.frames("weft")}


def digest(answer):
    close()
    return taxi.digest(answer)
