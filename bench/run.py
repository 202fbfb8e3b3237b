"""Runs the benchmarks side by side and writes bench/RESULTS.md. See bench/README.md."""

import argparse
import importlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
JOBS = ["delayed_inc", "delayed_inc_100k", "delayed_tree", "million", "taxi"]


def measure(job: str, system: str) -> dict:
    command = [sys.executable, str(HERE / "child.py"), job, system]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"{job} on {system} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(job: str, rounds: int) -> tuple[object, dict[str, dict]]:
    """Medians for each system, the systems taking turns so that drift hits all of them."""
    module = importlib.import_module(f"jobs.{job}")
    if hasattr(module, "prepare"):
        module.prepare()
    runs: dict[str, list[dict]] = {system: [] for system in module.SYSTEMS}
    for _ in range(min(rounds, getattr(module, "ROUNDS", rounds))):
        for system in module.SYSTEMS:
            runs[system].append(measure(job, system))
            print(f"  {job:18s} {system:8s} {runs[system][-1]['seconds']:8.3f} s", flush=True)
    answers = {system: r[0]["answer"] for system, r in runs.items() if r[0]["answer"] is not None}
    reference = answers["weft"]
    for system, answer in answers.items():
        if not module.same(reference, answer):
            raise SystemExit(f"{job}: weft and {system} disagree:\n  weft   {reference}\n  {system} {answer}")
    return module, {
        system: {key: statistics.median(r[key] for r in rs) for key in ("seconds", "peak_bytes")}
        for system, rs in runs.items()
    }


def versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in ("weft", "dask", "polars", "duckdb", "numpy", "pandas"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            pass
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="*", default=JOBS, metavar="JOB")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = [
        "# Results",
        "",
        f"{cores} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, Python {platform.python_version()}; {versions()}.",
        f"Median of up to {options.repeat} rounds, a fresh process for each figure, all in one run of `make bench`;",
        "`x` is that system's time divided by weft's. Answers were checked to agree.",
        "",
    ]
    for job in options.jobs:
        module, figures = compare(job, options.repeat)
        weft = figures["weft"]["seconds"]
        lines += [f"## {module.TITLE}", "", (module.__doc__ or "").strip(), ""]
        lines += ["| system | seconds | x | peak memory, MB |", "| --- | ---: | ---: | ---: |"]
        for system, figure in figures.items():
            ratio = figure["seconds"] / weft
            lines.append(
                f"| {system} | {figure['seconds']:.4g} | {ratio:.3g} | {figure['peak_bytes'] / 1e6:.0f} |"
            )
        lines.append("")
    text = "\n".join(lines)
    if options.jobs == JOBS:
        (HERE / "RESULTS.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
