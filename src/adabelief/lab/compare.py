"""Run a study to its end: declaration in, finished run folders out; again and again the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from adabelief.lab.contract import preset_of
from adabelief.lab.engine import Engine
from adabelief.lab.errors import LabError
from adabelief.lab.load import Loaded
from adabelief.lab.progress import Progress, progress
from adabelief.lab.rivals import Rival
from adabelief.lab.store import Store
from adabelief.lab.study import Record, Result, Study, plan
from adabelief.lab.workload import Preset

Show = Callable[[Progress], None]


def declare(
    loaded: Loaded,
    preset: str,
    rivals: Sequence[Rival],
    **changes: Any,
) -> Study:
    """Make a study of a workload; the first rival is the one that the others are compared with.

    Args:
        loaded: the workload.
        preset: name of one of its presets.
        rivals: who takes part.
        changes: fields of the preset, with values other than its own; None keeps its own.

    Raises:
        LabError: the preset is unknown, or a value is out of range.
    """
    workload = loaded.workload
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        settings = Preset.model_validate({**dict(preset_of(workload, preset)), **given})
    except ValidationError as error:
        wrong = error.errors()[0]
        allowed = wrong["msg"].removeprefix("Input should be ")
        msg = f"{'.'.join(map(str, wrong['loc']))} must be {allowed}, got {wrong['input']!r}"
        raise LabError(msg) from None
    return Study(
        workload=workload.name,
        workload_hash=loaded.hash,
        source=loaded.source,
        title=workload.title,
        data=workload.data,
        metrics=workload.metrics,
        primary=workload.primary,
        preset=preset,
        settings=settings,
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
