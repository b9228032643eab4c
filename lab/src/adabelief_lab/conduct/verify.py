"""Do the numbers repeat? A few finished runs are made again and compared byte for byte."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from reprlib import repr as brief
from typing import NamedTuple

from adabelief_lab.common.errors import LabError
from adabelief_lab.common.plurals import count
from adabelief_lab.conduct.compare import results_of
from adabelief_lab.conduct.local_engine import LocalEngine
from adabelief_lab.declare.study import CONCLUSIVE, Run, Study, plan
from adabelief_lab.store.study_folder import Store


class Repetition(NamedTuple):
    """A run that was made again: `difference` is "" where every byte of its rows is the same."""

    run: Run
    difference: str


def choose(study: Study, store: Store, count: int, seed: int) -> list[Run]:
    """`count` of the finished runs, drawn by the seed; all if there are fewer.

    Raises:
        LabError: none is finished.
    """
    results = results_of(study, store)
    # What the others ended by may have been the machine's.
    finished = [
        run
        for run in plan(study, results)
        if run.key in results and results[run.key].status in CONCLUSIVE
    ]
    if not finished:
        msg = f"{store.root} has no finished run that could be made again"
        raise LabError(msg)
    return random.Random(seed).sample(finished, min(count, len(finished)))


def verify(
    store: Store,
    runs: Sequence[Run],
    reference: str,
    workers: int,
    show: Callable[[Repetition], None],
) -> list[Repetition]:
    """Make the runs again in a folder that is thrown away, and compare.

    Exact on the CPU with as many threads as before; on a GPU or another processor the last digits
    may differ, and the verdict says where first.

    Args:
        store: the study's folder, which is only read.
        runs: which.
        reference: what the workload is loaded by.
        workers: processes.
        show: called with each verdict as it comes.
    """
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="adabelief-verify-") as name:
        again = Store(Path(name))
        threads = _threads(store, runs)
        engine = LocalEngine(again.root, reference, min(workers, len(runs)), threads)
        try:
            for run in runs:
                engine.submit(run)
            while not engine.idle:
                for run, _ in engine.ended(timeout=1.0):
                    verdicts.append(Repetition(run, _difference(run, store, again)))
                    show(verdicts[-1])
        finally:
            engine.stop()
    return verdicts


def _threads(store: Store, runs: Sequence[Run]) -> int:
    """Threads of torch that the runs had: sums depend on them."""
    results = store.results(runs).values()
    return max(int(result.environment.get("threads", 1)) for result in results)


def _difference(run: Run, before: Store, after: Store) -> str:
    old, new = before.record(run), after.record(run)
    assert old.result is not None
    if new.result is None or new.result.status != old.result.status:
        now = new.result.status if new.result else "unfinished"
        reason = f": {new.result.reason}" if new.result and new.result.reason else ""
        return f"it was {old.result.status} and is {now} now{reason}"
    if before.folder(run).metrics.read_bytes() == after.folder(run).metrics.read_bytes():
        return ""
    for was, now_row in zip(old.rows, new.rows, strict=False):
        for name in was:
            if was[name] != now_row.get(name):
                return (
                    f"{name} at step {was['step']} ({was['split']}) was {brief(was[name])} and is "
                    f"{brief(now_row.get(name))} now"
                )
    return f"it had {count(len(old.rows), 'row')} and has {len(new.rows)} now"
