"""What the jobs on clusters share: four worker processes of one thread each."""

from contextlib import contextmanager


def inc(x):
    return x + 1


@contextmanager
def weft_client():
    from weft.distributed import Client

    with Client(n_workers=4, threads_per_worker=1) as client:
        yield client


@contextmanager
def dask_client():
    from distributed import Client

    with Client(n_workers=4, threads_per_worker=1, processes=True, dashboard_address=None) as client:
        yield client


@contextmanager
def frisky_client():
    import frisky

    cluster = frisky.LocalCluster(n_workers=4, threads_per_worker=1, processes=True)
    try:
        client = cluster.get_client()
        try:
            yield client
        finally:
            client.close()
    finally:
        cluster.close()


CLIENTS = {"weft": weft_client, "dask": dask_client, "frisky": frisky_client}


def on_running_clusters(work, systems=("weft", "dask", "frisky")):
    """A job for each system: `work(client)` on a cluster whose workers are all there."""

    def on(system):
        def prepare():
            opened = CLIENTS[system]()
            client = opened.__enter__()
            # Every worker has run something.
            client.gather(client.map(inc, range(-100, 0)))

            def run():
                try:
                    return work(client)
                finally:
                    CLOSING.append(opened)

            return run

        return prepare

    return {system: on(system) for system in systems}


#: Clusters that are closed after the clock has stopped.
CLOSING = []


def close():
    while CLOSING:
        CLOSING.pop().__exit__(None, None, None)
