"""10,000 delayed calls on four worker processes."""

from jobs._cluster import CLIENTS, close, inc, on_running_clusters
from jobs._delayed import digest as digest_of
from jobs._delayed import same

TITLE = "10,000 delayed calls on a cluster"


def on(package):
    def work(client):
        module = __import__(package)
        calls = [module.delayed(inc)(i) for i in range(10_000)]
        return client.gather(client.compute(calls))

    return work


SYSTEMS = {
    system: on_running_clusters(on(package), [system])[system]
    for system, package in (("weft", "weft"), ("dask", "dask"), ("frisky", "dask"))
    if system in CLIENTS
}


def digest(answer):
    close()
    return digest_of(answer)


__all__ = ["SYSTEMS", "TITLE", "digest", "same"]
