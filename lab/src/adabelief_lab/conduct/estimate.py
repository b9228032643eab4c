"""How long a study will take, from its own finished runs or from a few steps made for that."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import torch

from adabelief import AdaBelief
from adabelief_lab.common.rng import seed
from adabelief_lab.declare.study import TUNE_DATA_SEED, TUNE_INIT_SEED, Result, Study
from adabelief_lab.declare.workload import Workload

# The first steps pay for allocation and lazy initialisation.
WARM_UP, TIMED = 2, 5


class Estimate(NamedTuple):
    """Seconds of one run on one worker, and where that is known from."""

    seconds: float
    source: str


def estimate(study: Study, workload: Workload, results: Mapping[str, Result]) -> Estimate:
    """Seconds that one run of the study takes, evaluations included.

    Where runs are finished, their mean; else a few steps with AdaBelief and one evaluation are
    made here and now, on one thread as in a worker. Optimizers differ by some percent of a step on
    models whose forward and backward pass outweigh it.
    """
    ended = [result for result in results.values() if result.status == "ok"]
    if ended:
        mean = sum(result.seconds + result.eval_seconds for result in ended) / len(ended)
        return Estimate(mean, f"the mean of {len(ended)} finished runs")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        step, evaluation = _measure(study, workload)
    finally:
        torch.set_num_threads(threads)
    settings = study.settings
    evaluations = -(-settings.steps // settings.eval_every)
    return Estimate(
        step * settings.steps + evaluation * evaluations,
        f"{TIMED} steps and one evaluation, made now",
    )


def _measure(study: Study, workload: Workload) -> tuple[float, float]:
    seed(TUNE_INIT_SEED)
    task = workload.build(study.settings, TUNE_INIT_SEED, TUNE_DATA_SEED)
    optimizers = {
        name: AdaBelief(module.parameters(), lr=1e-3) for name, module in task.modules.items()
    }
    for index in range(WARM_UP):
        task.step(index, optimizers)
    start = time.perf_counter()
    for index in range(WARM_UP, WARM_UP + TIMED):
        task.step(index, optimizers)
    stepped = time.perf_counter()
    task.evaluate("valid")
    return (stepped - start) / TIMED, time.perf_counter() - stepped
