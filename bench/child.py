"""Runs one job on one system in this process and prints one line of JSON."""

import argparse
import importlib
import json
import os
import pathlib
import resource
import statistics
import time
import warnings


def cpu() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def peak() -> int:
    """The largest resident set of this process; what `getrusage` says begins with the parent's."""
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def timed(run) -> tuple[float, float, object]:
    before, start = cpu(), time.perf_counter()
    answer = run()
    return time.perf_counter() - start, cpu() - before, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job")
    parser.add_argument("system")
    parser.add_argument("question", nargs="?", help="of a job that asks several; it is asked once before")
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    module = importlib.import_module(f"jobs.{options.job}")
    warnings.simplefilter("ignore")
    run = module.SYSTEMS[options.system]()  # imports, and whatever the job does not want timed
    found: dict = {}
    if options.question is not None:
        ask, question = run, options.question

        def run():
            return ask(question)

        try:
            first, *_ = timed(run)
        except Exception as error:
            if os.environ.get("WEFT_BENCH_RAISE"):
                raise
            print(json.dumps({"error": f"{type(error).__name__}: {str(error)[:200]}"}))
            return
        found["first"] = first
        # Nobody learns more from waiting five minutes thrice.
        repeat = options.repeat if first < 20 else 1
        rounds = [timed(run)[:2] for _ in range(repeat - 1)]
        *last, answer = timed(run)
        rounds.append(tuple(last))
        found["seconds"] = statistics.median(seconds for seconds, _ in rounds)
        found["cpu_seconds"] = statistics.median(seconds for _, seconds in rounds)
    else:
        found["seconds"], found["cpu_seconds"], answer = timed(run)
    # A job that runs a program of its own is measured by that program's memory.
    found["peak_bytes"] = max(peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
    print(json.dumps({**found, "answer": module.digest(answer)}))


if __name__ == "__main__":
    main()
