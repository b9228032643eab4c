"""What a study costs beside its runs: time and memory of its commands, and of each engine.

Two parts. The first has studies of 10, 1,000 and 100,000 runs that are SIMULATED: this file writes
the folder that a run of fashion-mnist leaves, with made-up numbers, and trains nothing. What is
measured is the lab's own work on them: each command as it is typed, in a fresh process, and the
driver of `compare` with an engine whose runs take no time. The second part trains real runs one
after the other and takes from the time of the whole what they say of themselves. Writes
docs/scaling.json and its table in docs/scaling.md.

    python -m benchmarks.scaling [--runs 10 1000 100000] [--real 30] [--scratch FOLDER]
    python -m benchmarks.scaling --table    # only writes the table anew, from the record
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from benchmarks.marked import filled

from adabelief_lab.common.environment import environment
from adabelief_lab.conduct.compare import conduct, declare
from adabelief_lab.conduct.local_engine import Engine, LocalEngine
from adabelief_lab.conduct.progress import Progress
from adabelief_lab.conduct.progress import table as progress_table
from adabelief_lab.declare.study import Result, Run, Study
from adabelief_lab.optimizers import OPTIMIZERS, resolve
from adabelief_lab.run.train import execute
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import load_workload

DOCS = Path(__file__).parent.parent / "docs"
RECORD, PAGE = DOCS / "scaling.json", DOCS / "scaling.md"
BEGIN, END = "<!-- written by benchmarks/scaling.py -->", "<!-- to here -->"
WORKLOAD = "fashion-mnist"
# Runs: (optimizers, trials, seeds).
SIZES = {10: (2, 2, 3), 1_000: (20, 40, 10), 100_000: (50, 1_900, 100)}
MIB = 2**20
ENVIRONMENT = environment()

# Runs `adabelief` with what is left of the arguments; then tells the process's cost in a file.
# VmHWM and not ru_maxrss, which begins with the memory of the process that started this one.
COMMAND = """
import atexit, json, sys, time
from pathlib import Path
from adabelief_lab.__main__ import main
told = Path(sys.argv.pop(1))
def tell():
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    told.write_text(json.dumps({"cpu_seconds": time.process_time(), "peak_bytes": peak}))
atexit.register(tell)
main()
"""


def options(size: int) -> list[str]:
    """What makes `adabelief compare` declare that many runs."""
    specs, trials, seeds = SIZES[size]
    names = [
        *OPTIMIZERS,
        *(f"lookahead+{name}" for name in OPTIMIZERS),
        *(f"lars+{n}" for n in OPTIMIZERS),
    ]
    others = [name for name in names if name != "adabelief"][: specs - 1]
    against = ("--against", ",".join(others))
    sizes = ("--trials", str(trials), "--seeds", str(seeds))
    return [WORKLOAD, "--preset", "quick", "--search", "space", *against, *sizes]


def study(size: int) -> Study:
    """The same, declared here."""
    given = options(size)
    names = ["adabelief", *given[given.index("--against") + 1].split(",")]
    _, trials, seeds = SIZES[size]
    return declare(
        load_workload(WORKLOAD), "quick", resolve(names), trials=trials, seeds=seeds, search="space"
    )


def simulate(store: Store, run: Run) -> None:
    """Leave the folder of a finished run without training it; one in fifty has diverged."""
    chance = random.Random(run.key)
    folder = store.folder(run)
    folder.path.mkdir(parents=True)
    diverged = chance.random() < 0.02
    end = 0.9 - 0.02 * abs(math.log10(run.hyperparameters["lr"]) + 3) + chance.gauss(0, 0.004)
    rows: list[dict[str, Any]] = []
    stop = run.steps // 2 if diverged else run.steps
    for step in range(run.eval_every, stop + 1, run.eval_every):
        loss = 0.3 + 1 / step + chance.random() / 100
        accuracy = end - 1 / step
        rows.append({"step": step, "split": "train", "loss": loss})
        rows.append({"step": step, "split": run.split, "accuracy": accuracy, "loss": 1.1 * loss})
    last = {} if diverged else {name: rows[-1][name] for name in ("accuracy", "loss")}
    result = Result(
        status="diverged" if diverged else "ok",
        reason="simulated" if diverged else "",
        step=stop,
        last=last,
        seconds=2.0 + chance.random(),
        eval_seconds=0.5,
        optimizer_seconds=0.3,
        peak_bytes=500 * MIB,
        n_params=105_000,
        environment=ENVIRONMENT,
    )
    # As RunFolder writes them, but not one by one to the disk itself.
    (folder.path / "lock").touch()
    folder.spec.write_text(run.model_dump_json(indent=1) + "\n")
    folder.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder.outcome.write_text(result.model_dump_json(indent=1) + "\n")


class Simulated(Engine):
    """Ends one run at every turn of the driver, at once, and keeps the driver's own CPU time.

    Args:
        store: the study's.
    """

    def __init__(self, store: Store) -> None:
        self.turns: list[float] = []
        self.handled: list[float] = []
        self._store = store
        self._waiting: deque[Run] = deque()
        self._left = time.process_time()

    def submit(self, run: Run) -> None:
        """Queue a run."""
        self._waiting.append(run)

    @property
    def running(self) -> list[Run]:
        """None: they end at once."""
        return []

    @property
    def idle(self) -> bool:
        """Whether nothing is queued."""
        return not self._waiting

    def ended(self, timeout: float) -> Iterator[tuple[Run, str]]:
        """The next run."""
        self.turns.append(time.process_time() - self._left)
        if self._waiting:
            run = self._waiting.popleft()
            simulate(self._store, run)
            start = time.process_time()
            yield run, ""
            self.handled.append(time.process_time() - start)
        self._left = time.process_time()

    def stop(self) -> None:
        """Nothing to stop."""


def drive(size: int, root: Path) -> dict[str, float]:
    """Conduct a study of simulated runs; CPU seconds of the driver alone."""
    declared, store = study(size), Store(root)
    store.open(declared)
    shows = []

    def show(now: Progress) -> None:
        progress_table(declared, now)
        shows.append(len(engine.turns))  # the turn that it belongs to

    engine = Simulated(store)
    conduct(declared, store, engine, show, note=lambda text: None)
    turns = [*engine.turns, time.process_time() - engine._left]
    shown = [turns[index] for index in shows]
    return {
        "start_seconds": turns[0],
        "run_seconds": (sum(turns[1:]) + sum(engine.handled) - sum(shown)) / size,
        "show_seconds": statistics.median(shown),
        "longest_turn_seconds": max(turns[1:]),
    }


def fresh(code: list[str], scratch: Path) -> dict[str, float]:
    """Cost of a Python process with these arguments: seconds and bytes at its peak."""
    told = scratch / "told.json"
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, str(told), *code],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
        check=False,
    )
    seconds = time.perf_counter() - start
    if ended.returncode:
        sys.exit(f"adabelief {' '.join(code)} failed:\n{ended.stderr}")
    return {"seconds": seconds, **json.loads(told.read_text())}


def simulated(size: int, scratch: Path) -> dict[str, dict[str, float]]:
    """Cost of every command on a study of that many simulated runs."""
    root = scratch / f"study-{size}"
    declared, store = study(size), Store(root)
    found = {"plan": fresh(["compare", *options(size), "--dry-run", "--out", str(root)], scratch)}
    store.open(declared)
    found["status_0"] = fresh(["status", str(root)], scratch)
    driver = subprocess.run(
        [sys.executable, "-m", "benchmarks.scaling", "--drive", str(size), str(root.resolve())],
        cwd=DOCS.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found["driver"] = json.loads(driver.stdout)
    found["status_100"] = fresh(["status", str(root)], scratch)
    found["report"] = fresh(["report", str(root)], scratch)
    found["report"]["page_bytes"] = (root / "report.html").stat().st_size
    for folder in (root / "runs").iterdir():
        if Run.model_validate_json((folder / "spec.json").read_bytes()).phase == "final":
            shutil.rmtree(folder)
    found["status_tuned"] = fresh(["status", str(root)], scratch)
    shutil.rmtree(root)
    return found


class InThisProcess(Engine):
    """Executes a run here when it is asked what has ended: no engine at all."""

    def __init__(self, root: Path) -> None:
        self._store, self._waiting = Store(root), deque[Run]()
        torch.set_num_threads(1)  # as in a worker

    def submit(self, run: Run) -> None:
        """Queue a run."""
        self._waiting.append(run)

    @property
    def running(self) -> list[Run]:
        """None: nobody can ask while one runs."""
        return []

    @property
    def idle(self) -> bool:
        """Whether nothing is queued."""
        return not self._waiting

    def ended(self, timeout: float) -> Iterator[tuple[Run, str]]:
        """Execute the next run."""
        run = self._waiting.popleft()
        yield run, execute(self._store.folder(run), run, load_workload(WORKLOAD).workload)

    def stop(self) -> None:
        """Nothing to stop."""


def _local(root: Path) -> Engine:
    return LocalEngine(root, WORKLOAD, workers=1)


def _ray(root: Path) -> Engine:
    from adabelief_lab.conduct.ray_engine import RayEngine, ray  # noqa: PLC0415, an extra

    if not ray.is_initialized():
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    return RayEngine(root, WORKLOAD, cpus=1)


ENGINES: Mapping[str, tuple[str, Callable[[Path], Engine]]] = {
    "none": ("in one process, without an engine", InThisProcess),
    "local": ("local engine, one worker", _local),
    "ray": ("Ray engine, one slot", _ray),
}


def real(name: str, count: int, root: Path) -> dict[str, Any]:
    """Seconds of `count` real runs, one after the other, beside those of their training."""
    declared = declare(
        load_workload(WORKLOAD), "smoke", resolve(["adabelief"]), trials=count + 1, seeds=1
    )
    store = Store(root)
    store.open(declared)
    first, *others = declared.tune_runs(declared.optimizers[0])
    start = time.perf_counter()
    engine = ENGINES[name][1](root)
    try:
        engine.submit(first)
        _finish(engine)
        begun = time.perf_counter()
        for run in others:
            engine.submit(run)
        _finish(engine)
        ended = time.perf_counter()
    finally:
        engine.stop()
    results = store.results([first, *others])
    first_seconds = _own(results.pop(first.key))
    own = [_own(result) for result in results.values()]
    return {
        "start_seconds": begun - start - first_seconds,
        "run_seconds": statistics.mean(own),
        "overhead_seconds": (ended - begun - sum(own)) / count,
        "runs": count,
    }


def _finish(engine: Engine) -> None:
    while not engine.idle:
        list(engine.ended(timeout=1.0))


def _own(result: Result) -> float:
    if result.status != "ok":
        sys.exit(f"a real run ended as {result.status}: {result.reason}")
    return result.seconds + result.eval_seconds


def measure(sizes: list[int], count: int, scratch: Path) -> dict[str, Any]:
    """The record of both parts."""
    record: dict[str, Any] = {"machine": {**ENVIRONMENT, "cores": os.cpu_count()}}
    record["load_average"] = os.getloadavg()[0]
    record["simulated"] = {}
    for size in sizes:
        print(f"{size:,} simulated runs", file=sys.stderr)
        record["simulated"][str(size)] = simulated(size, scratch)
    record["real"] = {}
    for name, (title, _) in ENGINES.items() if count else ():
        print(f"{count} real runs, {title}", file=sys.stderr)
        # Several short rounds: what disturbs one does not disturb the median.
        record["real"][name] = [real(name, count, scratch / f"{name}-{i}") for i in range(3)]
    return record


COMMANDS = {
    "plan": "`compare --dry-run`",
    "status_0": "`status`, nothing finished",
    "status_tuned": "`status`, tuning finished",
    "status_100": "`status`, all finished",
    "report": "`report`",
}


def table(record: Mapping[str, Any]) -> str:
    """Both tables in Markdown."""
    facts, found = record["machine"], record["simulated"]
    heads = [f"{int(size):,} runs" for size in found]

    def line(title: str, cell: Callable[[Any], str]) -> str:
        return f"| {title} | " + " | ".join(cell(one) for one in found.values()) + " |"

    def cost(name: str) -> Callable[[Any], str]:
        return lambda one: (
            f"{one[name]['cpu_seconds']:.1f} s, {one[name]['peak_bytes'] / MIB:,.0f} MiB"
        )

    lines = [
        f"Python {facts['python']}, torch {facts['torch']}, {facts['processor']}, "
        f"{facts['cores']} cores; load average {record['load_average']:.1f} at the beginning.",
        "",
        "Simulated runs: the folders have the shape that runs of fashion-mnist leave, and made-up "
        "numbers. Each command in a fresh process as it is typed, start of Python and torch "
        "included; the driver of `compare` with an engine whose runs take no time. CPU time, which "
        "other work on the machine disturbs less than the wall's, and the most memory that was "
        "resident.",
        "",
        f"| | {' | '.join(heads)} |",
        "| --- |" + " ---: |" * len(heads),
        *(line(title, cost(name)) for name, title in COMMANDS.items()),
        line("size of the page", lambda one: f"{one['report']['page_bytes'] / MIB:.1f} MiB"),
        line("driver: until the first run starts", _driver("start_seconds", "s")),
        line("driver: each run that ends", _driver("run_seconds", "ms")),
        line("driver: each time progress is shown", _driver("show_seconds", "ms")),
        line("driver: memory", lambda one: f"{one['driver']['peak_bytes'] / MIB:,.0f} MiB"),
    ]
    if record["real"]:
        lines += [
            "",
            "Real runs of fashion-mnist, preset smoke, one after the other (medians of three "
            "rounds): wall time of each beside its training and evaluation, files included, and "
            "the longest wait for the first one's process.",
            "",
            "| | training and evaluation | beside them, each run | start |",
            "| --- | ---: | ---: | ---: |",
        ]
    for name, rounds in record["real"].items():
        own, overhead = (
            statistics.median(one[what] for one in rounds)
            for what in ("run_seconds", "overhead_seconds")
        )
        start = max(one["start_seconds"] for one in rounds)  # Ray's in the first round only
        title = ENGINES[name][0]
        lines.append(f"| {title} | {1e3 * own:.0f} ms | {1e3 * overhead:.0f} ms | {start:.1f} s |")
    return "\n".join(lines)


def _driver(name: str, unit: str) -> Callable[[Any], str]:
    factor, digits = (1.0, 1) if unit == "s" else (1e3, 2)
    return lambda one: f"{factor * one['driver'][name]:.{digits}f} {unit}"


def main() -> None:
    """Measure, unless only the table is wanted, and write record and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--real", type=int, default=30, help="runs of each engine; 0 for none")
    parser.add_argument("--scratch", type=Path, help="where the folders are made and removed")
    parser.add_argument("--out", type=Path, help="write the record there, and no page")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--drive", nargs=2, help=argparse.SUPPRESS)  # this file's own child
    given = parser.parse_args()
    if given.drive:
        found = drive(int(given.drive[0]), Path(given.drive[1]))
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
        print(json.dumps({**found, "peak_bytes": peak}))
        return
    target = given.out or RECORD
    if not given.table:
        with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
            record = measure(given.runs, given.real, Path(scratch))
        target.write_text(json.dumps(record, indent=1) + "\n")
    record = json.loads(target.read_text())
    if not given.out:
        PAGE.write_text(filled(PAGE.read_text(), BEGIN, END, table(record)))
    print(table(record))


if __name__ == "__main__":
    main()
