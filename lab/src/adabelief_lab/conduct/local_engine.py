"""This machine's processes: where runs are executed. The files of the store hold the truth."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Protocol

from adabelief_lab.common.errors import LabError
from adabelief_lab.common.num_workers import set_num_workers
from adabelief_lab.conduct.launch import train_in_processes
from adabelief_lab.conduct.worker_process import exit_with_parent
from adabelief_lab.declare.study import Run
from adabelief_lab.run import crash_counter
from adabelief_lab.run.train import Guard


class Engine(Protocol):
    """Where runs are executed. What it says is not believed: results are read from the store."""

    def submit(self, run: Run) -> None:
        """Queue a run."""

    @property
    def running(self) -> list[Run]:
        """Runs that are being executed, as far as is known."""

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or running."""

    def ended(self, timeout: float) -> Iterator[tuple[Run, str]]:
        """Wait at most `timeout` seconds; yield runs that ended with what was amiss, or ""."""

    def stop(self) -> None:
        """End everything at once; runs stay where their last checkpoint is."""


# For each worker: deaths without any run ending in between; then something is wrong for good. Runs
# that kill their processes are given up before, even if every worker has one (attempts.py).
MAX_DEATHS = crash_counter.MAX_ATTEMPTS
# Runs that the pool has, for each worker: one and the next. Asking it about all is slow.
AHEAD = 2


class LocalEngine:
    """Executes runs in worker processes, each with its own copy of torch and `threads` threads.

    A worker that dies is replaced and its run goes on from its checkpoint. Workers end when
    this process does, however it ends.

    Args:
        root: the study's folder.
        reference: what the workload is loaded by: a name, or `file.py:name`.
        workers: how many processes.
        threads: threads of torch in each.
        time_limit: seconds after which a run ends as "timeout".
    """

    def __init__(
        self,
        root: Path,
        reference: str,
        workers: int,
        threads: int = 1,
        time_limit: float | None = None,
    ) -> None:
        self.root, self.reference = root, reference
        self.workers, self.threads = workers, threads
        self._guard = Guard(secrets.token_hex(8), time_limit)
        self._deaths = 0
        self._waiting: deque[Run] = deque()
        self._futures: dict[Future[str], Run] = {}
        self._pool = self._new_pool()

    def submit(self, run: Run) -> None:
        """Queue a run."""
        self._waiting.append(run)
        self._fill()

    @property
    def running(self) -> list[Run]:
        """Runs that are being executed, as far as is known."""
        return [run for future, run in self._futures.items() if future.running()]

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or running."""
        return not (self._futures or self._waiting)

    def _fill(self) -> None:
        while self._waiting and len(self._futures) < AHEAD * self.workers:
            run = self._waiting[0]
            job = partial(
                train_in_processes, self.root, self.reference, run, self._guard, self.threads
            )
            try:
                future = self._pool.submit(job)
            except BrokenProcessPool:  # a worker died since anybody looked
                self._revive()
            else:
                self._futures[future] = self._waiting.popleft()

    def ended(self, timeout: float) -> Iterator[tuple[Run, str]]:
        """Wait at most `timeout` seconds; yield runs that ended with what was amiss, or "".

        Raises:
            LabError: a worker could not write, or workers keep dying.
        """
        done, _ = wait(self._futures, timeout=timeout, return_when=FIRST_COMPLETED)
        for future in done:
            if future not in self._futures:  # `_fill` found the pool broken: all is queued again
                return
            run = self._futures[future]
            try:
                amiss = future.result()
            except BrokenProcessPool:
                self._revive()
                return
            del self._futures[future]
            self._deaths = 0
            self._fill()
            yield run, amiss

    def stop(self) -> None:
        """End the workers at once; runs stay where their last checkpoint is."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()

    def _revive(self) -> None:
        self._deaths += 1
        if self._deaths > MAX_DEATHS * self.workers:
            msg = (
                f"worker processes died {self._deaths} times without a run ending in between "
                "(out of memory?); try fewer --workers. Start the same command again to go on"
            )
            raise LabError(msg)
        self._waiting.extendleft(reversed(self._futures.values()))
        self._futures.clear()
        self._pool.shutdown(wait=False)
        self._pool = self._new_pool()
        self._fill()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_prepare_worker,
            initargs=(os.getpid(), self.threads, max(1, (os.cpu_count() or 1) // self.workers)),
        )


def _prepare_worker(parent: int, threads: int, readers: int) -> None:
    # How the pool ends those that are left when one died, and `stop` all of them.
    signal.signal(signal.SIGTERM, lambda *_: crash_counter.exit_without_counting())
    set_num_workers(readers)
    exit_with_parent(parent, threads)
