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


def measure(job: str, system: str, *more: str) -> dict:
    command = [sys.executable, str(HERE / "child.py"), job, system, *more]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"{job} on {system} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def ask(job: str, systems: list[str], questions: list[str], rounds: int, figure: str) -> tuple[object, str]:
    """A job of several questions: a fresh process for each question and system. Gives a table."""
    module = importlib.import_module(f"jobs.{job}")
    module.prepare()
    systems = systems or list(module.SYSTEMS)
    found = {}
    for question in questions or module.QUESTIONS:
        for system in systems:
            own = measure(job, system, question, "--repeat", str(rounds))
            found[question, system] = own
            shown = own.get("error") or f"{own['seconds']:8.3f} s {own['cpu_seconds']:8.3f} s of CPU"
            print(f"  {job} {question:4s} {system:8s} {shown}", flush=True)
    return module, table(module, found, systems, figure)


def table(module, found: dict, systems: list[str], figure: str) -> str:
    """One line for each question; what differs from the reference's answer is no figure."""
    others = [system for system in systems if system not in ("weft", "dask")]
    heads = [*systems, *(["weft / best"] if others else []), *(["dask / weft"] if "dask" in systems else [])]
    lines = ["| | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    ratios: dict[str, list[float]] = {"weft / best": [], "dask / weft": []}
    for question in dict.fromkeys(question for question, _ in found):
        own = {system: found[question, system] for system in systems}
        answers = [own[system]["answer"] for system in reversed(systems) if "answer" in own[system]]
        good, cells = {}, []
        for system in systems:
            if "error" in own[system]:
                cells.append(own[system]["error"])
            elif not module.same(own[system]["answer"], answers[0]):
                cells.append("another answer")
            else:
                good[system] = own[system][figure]
                cells.append(f"{good[system]:.3f}")
        best = min((good[system] for system in others if system in good), default=None)
        pairs = {"weft / best": (good.get("weft"), best), "dask / weft": (good.get("dask"), good.get("weft"))}
        for name, (a, b) in pairs.items():
            if name in heads:
                cells.append(f"{a / b:.2f}" if a and b else "-")
                ratios[name] += [a / b] if a and b else []
        lines.append(f"| {question} | " + " | ".join(cells) + " |")
    lines.append("")
    for name, values in ratios.items():
        if values:
            lines.append(
                f"Geometric mean of {name}: {statistics.geometric_mean(values):.2f} ({len(values)} questions)."
            )
    for system in systems:
        peaks = [
            own["peak_bytes"] for (_, other), own in found.items() if other == system and "answer" in own
        ]
        if peaks:
            lines.append(
                f"Peak memory of {system}: median {statistics.median(peaks) / 1e6:.0f} MB, "
                f"most {max(peaks) / 1e6:.0f} MB."
            )
    if "dask" in systems and "weft" in systems:
        questions = dict.fromkeys(question for question, _ in found)
        pairs = {q: [found[q, s].get("peak_bytes", 0) for s in ("weft", "dask")] for q in questions}
        more = [q for q, (a, b) in pairs.items() if a > b > 0]
        lines.append(f"More memory than dask: {', '.join(more) or 'none'}.")
    return "\n".join(lines)


def compare(job: str, rounds: int, systems: list[str]) -> tuple[object, dict[str, dict]]:
    """Medians for each system, the systems taking turns so that drift hits all of them."""
    module = importlib.import_module(f"jobs.{job}")
    if hasattr(module, "prepare"):
        module.prepare()
    systems = [system for system in module.SYSTEMS if not systems or system in systems]
    runs: dict[str, list[dict]] = {system: [] for system in systems}
    for _ in range(min(rounds, getattr(module, "ROUNDS", rounds))):
        for system in systems:
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
    parser.add_argument(
        "--data", help="where generated data are kept (default: a folder in the user's cache)"
    )
    parser.add_argument("--scale", type=float, help="of TPC-H (default 1: 6 million lines)")
    parser.add_argument("--rows", type=float, help="of h2o (default 1e7), and of the taxi job (4e6)")
    parser.add_argument("--systems", nargs="+", default=[], metavar="SYSTEM")
    parser.add_argument("--ask", nargs="+", default=[], metavar="QUESTION", help="of jobs that have several")
    parser.add_argument("--figure", choices=["seconds", "cpu_seconds"], default="seconds")
    options = parser.parse_args()
    for name in ("data", "scale", "rows"):
        if getattr(options, name) is not None:
            os.environ[f"WEFT_BENCH_{name.upper()}"] = str(getattr(options, name))
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
        if hasattr(importlib.import_module(f"jobs.{job}"), "QUESTIONS"):
            module, text = ask(job, options.systems, options.ask, options.repeat, options.figure)
            lines += [f"## {module.TITLE}", "", (module.__doc__ or "").strip(), "", text, ""]
            continue
        module, figures = compare(job, options.repeat, options.systems)
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
