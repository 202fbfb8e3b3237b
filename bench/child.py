"""Runs one job on one system in this process and prints one line of JSON."""

import importlib
import json
import resource
import sys
import time


def main(job: str, system: str) -> None:
    module = importlib.import_module(f"jobs.{job}")
    run = module.SYSTEMS[system]()  # imports, and whatever the job does not want timed
    start = time.perf_counter()
    answer = run()
    seconds = time.perf_counter() - start
    # A job that runs a program of its own is measured by that program's memory.
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    peak = max(usage) * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "answer": module.digest(answer)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
