"""Run a study to its end: declaration in, finished run folders out; again and again the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adabelief.lab.contract import preset_of
from adabelief.lab.engine import Engine
from adabelief.lab.errors import LabError
from adabelief.lab.load import Loaded
from adabelief.lab.progress import Progress, progress
from adabelief.lab.rivals import Rival, Search
from adabelief.lab.store import Store
from adabelief.lab.study import Record, Result, Study, plan

Show = Callable[[Progress], None]


def declare(
    loaded: Loaded,
    preset: str,
    rivals: Sequence[Rival],
    trials: int | None = None,
    seeds: int | None = None,
    search: Search | None = None,
) -> Study:
    """Make a study of a workload; the first rival is the one that the others are compared with.

    Raises:
        LabError: the preset is unknown, or a number is out of range.
    """
    workload = loaded.workload
    settings = preset_of(workload, preset)
    changes: dict[str, int | None] = {"trials": trials, "seeds": seeds}
    for name, value in changes.items():
        if value is not None and value < 1:
            msg = f"{name} must be 1 or more, got {value}"
            raise LabError(msg)
    given = {
        name: value for name, value in (changes | {"search": search}).items() if value is not None
    }
    return Study(
        workload=workload.name,
        workload_hash=loaded.hash,
        source=loaded.source,
        title=workload.title,
        data=workload.data,
        metrics=workload.metrics,
        primary=workload.primary,
        preset=preset,
        settings=settings.model_copy(update=given),
        rivals=tuple(rivals),
        subject=rivals[0].name,
    )


def conduct(
    study: Study,
    store: Store,
    engine: Engine,
    show: Show,
    note: Callable[[str], None],
) -> None:
    """Execute every run of the study that is not finished.

    Args:
        study: what to run.
        store: its folder.
        engine: where.
        show: called with the progress after every change, and every half second.
        note: called with a sentence about anything unusual.

    Raises:
        LabError: see `Engine.ended`; everything finished so far is kept.
    """
    results: dict[str, Result] = {}
    submitted: set[str] = set()
    while True:
        known = plan(study, results)
        new = [each for each in known if each.key not in submitted]
        results |= store.results(new)
        for each in new:
            submitted.add(each.key)
            if each.key not in results:
                engine.submit(each)
        if engine.idle and not new:
            break
        for ended, amiss in engine.ended(timeout=0.5):
            results |= store.results([ended])
            if amiss:
                note(
                    f"runs/{ended.key}: {amiss} was damaged; the run was done anew and what "
                    "was there is kept beside it as aside-*"
                )
        partial = {each.key: store.folder(each).step() for each in engine.running}
        show(progress(study, results, partial))


def results_of(study: Study, store: Store) -> dict[str, Result]:
    """Results by key of all runs of the study that are finished."""
    tuning = store.results(plan(study, {}))
    return tuning | store.results(plan(study, tuning))


def records_of(study: Study, store: Store) -> list[Record]:
    """Everything that the folder holds of the study's runs, finished or not."""
    return [store.record(each) for each in plan(study, results_of(study, store))]
