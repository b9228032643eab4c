"""An experiment as an exhibit: measuring it runs or resumes its studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from adabelief_lab.analysis.analyze import analyze
from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.conduct.compare import declare, has_own, published, records_of
from adabelief_lab.declare.study import Study
from adabelief_lab.optimizers import GROUPS, OptimizerSpec, resolve
from adabelief_lab.paper.exhibit import Exhibit, Findings, Table
from adabelief_lab.paper.experiments.experiment import Experiment, findings
from adabelief_lab.run.validate import preset_of
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import Loaded, load_workload

# Executes whatever of the study is not finished; raises MissingDataError where it cannot begin.
Conduct = Callable[[Study, Loaded, Store], None]


def exhibit(
    experiment: Experiment,
    preset: str,
    root: Path,
    conduct: Conduct,
    only: Sequence[str] = (),
) -> Exhibit:
    """The experiment at one size.

    Args:
        experiment: which.
        preset: of its workloads.
        root: where studies are, each in `<workload>-<preset>`, as `adabelief compare` has them.
        conduct: runs or resumes one of them.
        only: workloads to take, all that have data if none is named.

    Raises:
        LabError: `only` names one that the experiment does not have.
    """
    unknown = [name for name in only if name not in experiment.workloads]
    if unknown:
        msg = (
            f"{experiment.name} has no workload {', '.join(unknown)}; it has "
            f"{', '.join(experiment.workloads)}"
        )
        raise LabError(msg)
    wanted = tuple(name for name in experiment.workloads if not only or name in only)
    return Exhibit(
        name=experiment.name,
        title=experiment.title,
        source=f"{experiment.source}; preset {preset}",
        measure=partial(_measure, experiment, wanted, preset, root, conduct),
        draw=experiment.draw,
        kept=False,
    )


def _measure(
    experiment: Experiment, workloads: Sequence[str], preset: str, root: Path, conduct: Conduct
) -> Findings:
    comparisons: list[Comparison] = []
    gathered: list[Mapping[str, Any]] = []
    missing: list[tuple[str, str]] = []
    seconds = 0.0
    for name in workloads:
        loaded = load_workload(name)
        study = declare(loaded, preset, specs(loaded, preset, experiment.optimizers))
        store = Store(root / f"{name}-{preset}")
        try:
            conduct(study, loaded, store)
        except MissingDataError as error:
            missing.append((study.title, str(error)))
            continue
        records = records_of(study, store)
        results = [record.result for record in records if record.result is not None]
        seconds += sum(result.seconds + result.eval_seconds for result in results)
        comparisons.append(analyze(study, records))
        gathered.append(experiment.gather(study, records))
    if not comparisons:
        msg = "no data: " + "; ".join(f"{title}: {why}" for title, why in missing)
        raise MissingDataError(msg)
    found = findings(experiment, comparisons, gathered)
    if missing:
        tables = [*found.tables, Table("Not run", ("study", "why"), tuple(missing))]
        found = replace(found, tables=tables)
    return replace(found, seconds=round(seconds, 1))


def specs(loaded: Loaded, preset: str, names: Sequence[str] = ()) -> tuple[OptimizerSpec, ...]:
    """The workload's own, those of `names` or all, where the preset takes these; else the paper's.

    A study has those of one exhibit at first, and grows by those of others.
    """
    workload = loaded.workload
    if has_own(workload, preset_of(workload, preset).search):
        return published(workload, names)
    return resolve(GROUPS["paper"])
