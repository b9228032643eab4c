"""The runs: learning rate tuned for float32 state, then every format on the same paired seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adabelief_lab.common.errors import LabError
from adabelief_lab.conduct.compare import code_of, declare
from adabelief_lab.conduct.local_engine import LocalEngine
from adabelief_lab.declare.search_space import LogRange
from adabelief_lab.declare.study import Result, Run, Study, select
from adabelief_lab.optimizers import OptimizerSpec
from adabelief_lab.run.validate import dry_run
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import load_workload

FILE = Path(__file__).with_name("workloads.py")
WORKLOADS = ("cnn", "lstm", "gpt")
FLOAT32, CONTROL = "float32", "linear 8-bit"


def _candidate(name: str, implementation: str = "adabelief", **options: Any) -> OptimizerSpec:
    return OptimizerSpec(
        name=name,
        label=name,
        implementation=implementation,
        defaults={"betas": [0.9, 0.999], "eps": 1e-16, "weight_decay": 0.01, **options},
        space={"lr": LogRange(low=3e-4, high=0.3)},
        source="the lab's defaults of adabelief",
    )


CANDIDATES = (
    _candidate(FLOAT32),
    _candidate("bfloat16", state_dtype="bfloat16"),
    _candidate("8bit", state_dtype="8bit"),
    _candidate(CONTROL, "benchmarks.small_state.controls:Linear8bit"),
)


def conduct(
    name: str, preset: str, root: Path, workers: int, note: Callable[[str], None]
) -> dict[str, Any]:
    """Run what is not finished of one workload's study, and return its part of the record.

    Raises:
        LabError: a run failed, or float32 state diverged at every learning rate or at a seed.
    """
    reference = f"{FILE}:{name}"
    loaded = load_workload(reference)
    study = declare(loaded, preset, CANDIDATES)
    dry_run(loaded.workload, study.settings)
    store = Store(root / name)
    store.open(study, code_of(study, loaded.workload))
    engine = LocalEngine(store.root, reference, workers)
    try:
        wide = CANDIDATES[0]
        trials = study.tune_runs(wide)
        results = _finish(store, engine, trials, note)
        best = select(study, wide, results)
        if best is None or best.run is None:
            msg = f"{name}: float32 state diverged at every learning rate"
            raise LabError(msg)
        finals = {each.name: study.final_runs(each, best.point) for each in CANDIDATES}
        # Pair by pair: a study that is stopped has whole pairs.
        in_pairs = [run for pair in zip(*finals.values(), strict=True) for run in pair]
        results |= _finish(store, engine, in_pairs, note)
    finally:
        engine.stop()
    return _record(study, trials, best.run, finals, results)


def _finish(
    store: Store, engine: LocalEngine, runs: Sequence[Run], note: Callable[[str], None]
) -> dict[str, Result]:
    """Results of all of these runs, executed unless they were."""
    results = store.results(runs)
    for run in runs:
        if run.key not in results:
            engine.submit(run)
    while not engine.idle:
        for run, amiss in engine.ended(timeout=0.5):
            results |= store.results([run])
            ended = results[run.key]
            what = f"{run.workload}, {run.optimizer}, lr {run.hyperparameters['lr']}, {run.phase}"
            note(f"{what} {run.init_seed}: {ended.status} {ended.last} {amiss}".rstrip())
            if ended.status == "failed":
                raise LabError(ended.reason)
    return results


def _record(
    study: Study,
    trials: Sequence[Run],
    best: Run,
    finals: Mapping[str, Sequence[Run]],
    results: Mapping[str, Result],
) -> dict[str, Any]:
    first = results[finals[FLOAT32][0].key]
    lost = [run.init_seed for run in finals[FLOAT32] if results[run.key].status != "ok"]
    if lost:
        msg = f"{study.workload}: float32 state diverged with seed {lost[0]}"
        raise LabError(msg)
    return {
        "title": study.title,
        "data": study.data,
        "parameters": first.n_params,
        "steps": study.settings.steps,
        "schedule": study.settings.schedule.kind,
        "options": study.settings.options,
        "hyperparameters": CANDIDATES[0].defaults,
        "machine": first.environment,
        "lr": best.hyperparameters["lr"],
        "trials": [
            {"lr": run.hyperparameters["lr"], **results[run.key].last} for run in trials
        ],
        "seeds": [[run.init_seed, run.data_seed] for run in finals[FLOAT32]],
        "finals": {
            name: [
                {"status": results[run.key].status, "step": results[run.key].step,
                 **results[run.key].last}
                for run in runs
            ]
            for name, runs in finals.items()
        },
    }  # fmt: skip
