"""What a study costs beside its runs: time and memory of its commands, and of each engine.

Two parts. The first has studies of 10, 1,000 and 100,000 runs that are SIMULATED: this file writes
the folder that a run of fashion-mnist leaves, with made-up numbers, and trains nothing. What is
measured is the lab's own work on them: each command as it is typed, in a fresh process, and the
driver of `compare` with an engine whose runs take no time. The second part trains real runs one
after the other and takes from the time of the whole what they say of themselves. Writes
results/benchmarks/scaling.json and its tables in docs/scaling.md.

    python -m benchmarks.scaling [--runs 10 1000 100000] [--real 30] [--scratch FOLDER]

`--real` is the number of real runs of each engine, 0 for none. Folders of studies are made in
`--scratch`, and removed.
"""

from __future__ import annotations

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
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from adabelief_lab.bench.harness import MIB, Benchmark, Record, Table
from adabelief_lab.bench.memory import peak
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
from benchmarks import DOCS, RECORDS, ROOT

WORKLOAD = "fashion-mnist"
# Runs: (optimizers, trials, seeds).
SIZES = {10: (2, 2, 3), 1_000: (20, 40, 10), 100_000: (50, 1_900, 100)}
ENVIRONMENT = environment()

# Runs `adabelief` with what is left of the arguments; then tells the process's cost in a file.
COMMAND = """
import atexit, json, sys, time
from pathlib import Path
told = Path(sys.argv.pop(1))
def tell():
    cpu = time.process_time()
    from adabelief_lab.bench.memory import peak
    told.write_text(json.dumps({"cpu_seconds": cpu, "peak_bytes": peak()}))
atexit.register(tell)
from adabelief_lab.__main__ import main
main()
"""


def declaration(size: int) -> list[str]:
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
    given = declaration(size)
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


class Queue(Engine):
    """An engine without processes: its runs wait until it is asked what has ended.

    Args:
        store: the study's.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._waiting = store, deque[Run]()

    def submit(self, run: Run) -> None:
        """Queue a run."""
        self._waiting.append(run)

    @property
    def running(self) -> list[Run]:
        """None: a run is queued or has ended."""
        return []

    @property
    def idle(self) -> bool:
        """Whether nothing is queued."""
        return not self._waiting

    def stop(self) -> None:
        """Nothing to stop."""


class Simulated(Queue):
    """Ends one run at every turn of the driver, at once, and keeps the driver's own CPU time."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.turns: list[float] = []
        self.handled: list[float] = []
        self._left = time.process_time()

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
    found = {
        "plan": fresh(["compare", *declaration(size), "--dry-run", "--out", str(root)], scratch)
    }
    store.open(declared)
    found["status_0"] = fresh(["status", str(root)], scratch)
    driver = subprocess.run(
        [sys.executable, "-m", "benchmarks.scaling", "--drive", str(size), str(root.resolve())],
        cwd=ROOT,
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


class InThisProcess(Queue):
    """Executes a run here when it is asked what has ended: no engine at all."""

    def __init__(self, root: Path) -> None:
        super().__init__(Store(root))
        torch.set_num_threads(1)  # as in a worker process

    def ended(self, timeout: float) -> Iterator[tuple[Run, str]]:
        """Execute the next run."""
        run = self._waiting.popleft()
        yield run, execute(self._store.folder(run), run, load_workload(WORKLOAD).workload)


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


def measure(given: Namespace) -> dict[str, Any]:
    """Both parts."""
    with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
        scratch = Path(folder)
        found = {}
        for size in given.runs:
            print(f"{size:,} simulated runs", file=sys.stderr)
            found[str(size)] = simulated(size, scratch)
        trained = {}
        for name, (title, _) in ENGINES.items() if given.real else ():
            print(f"{given.real} real runs, {title}", file=sys.stderr)
            # Several short rounds: what disturbs one does not disturb the median.
            trained[name] = [real(name, given.real, scratch / f"{name}-{i}") for i in range(3)]
    return {"simulated": found, "real": trained}


def cost(name: str) -> Callable[[Any], str]:
    """The cell of a command's time and memory."""
    return lambda one: f"{one[name]['cpu_seconds']:.1f} s, {one[name]['peak_bytes'] / MIB:,.0f} MiB"


def driver(name: str, unit: str) -> Callable[[Any], str]:
    """The cell of a time of the driver."""
    factor, digits = (1.0, 1) if unit == "s" else (1e3, 2)
    return lambda one: f"{factor * one['driver'][name]:.{digits}f} {unit}"


# Title of a row -> its cell for a study.
ROWS: Mapping[str, Callable[[Any], str]] = {
    "`compare --dry-run`": cost("plan"),
    "`status`, nothing finished": cost("status_0"),
    "`status`, tuning finished": cost("status_tuned"),
    "`status`, all finished": cost("status_100"),
    "`report`": cost("report"),
    "size of the page": lambda one: f"{one['report']['page_bytes'] / MIB:.1f} MiB",
    "driver: until the first run starts": driver("start_seconds", "s"),
    "driver: each run that ends": driver("run_seconds", "ms"),
    "driver: each time progress is shown": driver("show_seconds", "ms"),
    "driver: memory": lambda one: f"{one['driver']['peak_bytes'] / MIB:,.0f} MiB",
}


def studies(record: Record) -> str:
    """The cost of commands and of the driver, a column for each size of study."""
    facts, found = record["machine"], record["simulated"]
    heads = ("cost of", *(f"{int(size):,} runs" for size in found))
    rows = [(title, *map(cell, found.values())) for title, cell in ROWS.items()]
    return (
        f"Python {facts['python']}, torch {facts['torch']}, {facts['processor']}, "
        f"{facts['cores']} cores; load average {record['load_average']:.1f} at the beginning.\n\n"
        f"{Table(heads, rows)}"
    )


def engines(record: Record) -> str:
    """The cost of each engine beside the training itself."""
    rows = []
    for name, rounds in record["real"].items():
        own, beside = (
            f"{1e3 * statistics.median(one[what] for one in rounds):.0f} ms"
            for what in ("run_seconds", "overhead_seconds")
        )
        start = max(one["start_seconds"] for one in rounds)  # Ray's in the first round only
        rows.append((ENGINES[name][0], own, beside, f"{start:.1f} s"))
    heads = ("engine", "training and evaluation", "beside them, each run", "start")
    return str(Table(heads, rows)) if rows else "Not measured."


BENCHMARK = Benchmark(
    __doc__,
    RECORDS / "scaling.json",
    DOCS / "scaling.md",
    {"scaling": studies, "engines": engines},
    measure,
    {"runs": tuple(SIZES), "real": 30, "scratch": None},
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--drive"]:  # the child that `simulated` starts
        own = drive(int(sys.argv[2]), Path(sys.argv[3]))
        print(json.dumps({**own, "peak_bytes": peak()}))
    else:
        BENCHMARK.command()
