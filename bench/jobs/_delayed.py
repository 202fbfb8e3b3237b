"""What the jobs on delayed functions share."""


def inc(x):
    return x + 1


def add(x, y):
    return x + y


def built_and_computed(n):
    """A job for each system: `n` empty tasks, built and computed on threads."""

    def on(package):
        def prepare():
            module = __import__(package)

            def run():
                calls = [module.delayed(inc)(i) for i in range(n)]
                return module.compute(*calls, scheduler="threads")

            module.compute(module.delayed(inc)(0), scheduler="threads")  # threads exist
            return run

        return prepare

    return {"weft": on("weft"), "dask": on("dask")}


def digest(answer):
    return [len(answer), sum(answer), answer[0], answer[-1]]


def same(a, b):
    return a == b
