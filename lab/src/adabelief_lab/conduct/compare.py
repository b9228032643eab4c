"""Run a study to its end: declaration in, finished run folders out; again and again the same."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adabelief_lab.common.code_version import file_hashes
from adabelief_lab.common.errors import LabError, first_of
from adabelief_lab.common.make_optimizer import load_class
from adabelief_lab.conduct.local_engine import Engine
from adabelief_lab.conduct.progress import Progress, progress
from adabelief_lab.declare.search_space import shown
from adabelief_lab.declare.study import Result, RunRecord, Study, plan
from adabelief_lab.declare.workload import Metric, Preset, Workload
from adabelief_lab.optimizers import OptimizerSpec, Search
from adabelief_lab.optimizers.implementations import import_paths
from adabelief_lab.run.validate import preset_of
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import Loaded

Show = Callable[[Progress], None]
SHOW_SECONDS = 0.5


def declare(
    loaded: Loaded,
    preset: str,
    specs: Sequence[OptimizerSpec],
    **changes: Any,
) -> Study:
    """Make a study of a workload; the first optimizer is the one that the others are compared with.

    Args:
        loaded: the workload.
        preset: name of one of its presets.
        specs: who takes part.
        changes: fields of the preset, with values other than its own; None keeps its own.
            Of `options`, those not given keep the preset's values; every figure tells the others.

    Raises:
        LabError: the preset or an option is unknown, or a value is out of range.
    """
    workload = loaded.workload
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        own = preset_of(workload, preset)
        if "options" in given:
            changed = ", ".join(
                f"{name}={shown(value)}" for name, value in given["options"].items()
            )
            given["watermark"] = "; ".join(filter(None, (own.watermark, f"with {changed}")))
            given["options"] = {**own.options, **given["options"]}
        settings = Preset.model_validate({**dict(own), **given})
    except ValidationError as error:
        raise LabError(first_of(error)) from None
    if "options" in given:
        _check_options(workload, settings)
    return Study(
        workload=workload.name,
        workload_hash=_hash(loaded, settings.options),
        source=loaded.source,
        title=workload.title,
        data=workload.data,
        metrics=_metrics(workload, settings.options),
        primary=workload.primary,
        preset=preset,
        settings=settings,
        optimizers=tuple(specs),
        baseline=specs[0].name,
    )


def _metrics(workload: Workload, options: Mapping[str, Any]) -> tuple[Metric, ...]:
    """With the labels that they have under these options."""
    labels = workload.labels(options)
    return tuple(
        metric.model_copy(update={"label": labels.get(metric.name, metric.label)})
        for metric in workload.metrics
    )


def _hash(loaded: Loaded, options: Mapping[str, Any]) -> str:
    """Of the workload's file, and of the files that options name."""
    named = [file for file in loaded.workload.files(options) if file.is_file()]
    if not named:
        return loaded.hash
    contents = (hashlib.sha256(file.read_bytes()).hexdigest() for file in named)
    return hashlib.sha256(" ".join([loaded.hash, *contents]).encode()).hexdigest()


def check_optimizers(study: Study) -> None:
    """Import the class of every optimizer, and of the optimizers around it.

    Raises:
        LabError: one cannot be imported. A worker would say so only when the run's turn comes.
    """
    for path in dict.fromkeys(path for spec in study.optimizers for path in import_paths(spec)):
        load_class(path)


def code_of(study: Study, workload: Workload) -> dict[str, str]:
    """Hashes of the files of this project that the study's runs can reach, by name.

    A run executes the training loop, the module that builds the workload's task, and its
    optimizer. A user's file is not among them: its own hash is part of the study.
    """
    build = getattr(workload.build, "func", workload.build)  # within functools.partial
    module = getattr(build, "__module__", None) or type(build).__module__
    users = [Path(study.source.rpartition(":")[0])] if study.source else []
    classes = [path for spec in study.optimizers for path in import_paths(spec)]
    return file_hashes("adabelief_lab.run.train", module, *users, *classes)


def _check_options(workload: Workload, settings: Preset) -> None:
    if workload.options is None:
        return  # its `build` says what it thinks of them
    names = workload.options.model_fields
    if unknown := [name for name in settings.options if name not in names]:
        msg = (
            f"workload {workload.name!r} has no option {', '.join(unknown)}; it has "
            f"{', '.join(names)}"
        )
        raise LabError(msg)
    try:
        workload.options.model_validate(settings.options)
    except ValidationError as error:
        msg = f"workload {workload.name!r}: option {first_of(error)}"
        raise LabError(msg) from None


def has_own(workload: Workload, search: Search) -> bool:
    """Whether that search is of the workload's own optimizers: their settings, or their grids."""
    return search == "published" or (
        search == "paper" and any(spec.paper for spec in workload.published)
    )


def published(workload: Workload, names: Sequence[str] = ()) -> tuple[OptimizerSpec, ...]:
    """The workload's optimizers with published settings: the first, and those of `names` or all.

    Raises:
        LabError: there are none, or one of the names is not among them.
    """
    baseline, *others = workload.published or (None,)
    if baseline is None:
        msg = f"workload {workload.name!r} has no published settings: search something else"
        raise LabError(msg)
    there = {spec.name: spec for spec in others}
    unknown = [name for name in names if name not in there and name != baseline.name]
    if unknown:
        msg = (
            f"workload {workload.name!r} has no published settings for {', '.join(unknown)}; it "
            f"has {', '.join([baseline.name, *there])}"
        )
        raise LabError(msg)
    wanted = dict.fromkeys(names) if names else there
    return (baseline, *(there[name] for name in wanted if name in there))


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
        show: called with the progress about every half second, and at the end.
        note: called with a sentence about anything unusual.

    Raises:
        LabError: see `Engine.ended`; everything finished so far is kept.
    """
    results: dict[str, Result] = {}
    submitted: set[str] = set()
    untuned: Counter[str] = Counter()  # tuning runs by optimizer that have not ended
    due, grown = 0.0, True  # when progress is shown, and whether there may be new runs
    while grown or not engine.idle:
        # Not at every turn: a plan looks at every run, and there may be a hundred thousand.
        new = [each for each in plan(study, results) if each.key not in submitted] if grown else []
        found = store.results(new)
        results |= found
        for each in new:
            submitted.add(each.key)
            if each.key not in found:
                engine.submit(each)
                untuned[each.optimizer] += each.phase == "tune"
        grown = bool(found)
        for ended, amiss in engine.ended(timeout=SHOW_SECONDS):
            results |= store.results([ended])
            untuned[ended.optimizer] -= ended.phase == "tune"
            grown = grown or (ended.phase == "tune" and not untuned[ended.optimizer])
            if amiss:
                note(
                    f"runs/{ended.key}: {amiss} was damaged; the run was done anew and what "
                    "was there is kept beside it as aside-*"
                )
        if time.monotonic() >= due or engine.idle:
            partial = {each.key: store.folder(each).step() for each in engine.running}
            show(progress(study, results, partial))
            due = time.monotonic() + SHOW_SECONDS


def results_of(
    study: Study, store: Store, known: Mapping[str, Result] | None = None
) -> dict[str, Result]:
    """Results by key of all runs of the study that are finished.

    Args:
        study: whose runs.
        store: its folder.
        known: what was returned before, and is not read again: finished runs do not change.
    """
    results, begun = dict(known or {}), store.begun()
    for phase in ("tune", "final"):  # the final runs are known when the tuning runs are
        runs = (run for run in plan(study, results) if run.phase == phase)
        new = begun - results.keys()
        results |= store.results(run for run in runs if run.key in new)
    return results


def records_of(study: Study, store: Store) -> list[RunRecord]:
    """Everything that the folder holds of the study's runs, finished or not."""
    results = results_of(study, store)
    return [store.record(each, results.get(each.key)) for each in plan(study, results)]
