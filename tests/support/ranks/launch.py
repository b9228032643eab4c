"""Real processes that train together over gloo: started, watched, and never left behind."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

# What every rank imports: seconds, so the fork server does it once and forks ranks from itself.
PRELOAD = [
    "torch.distributed.checkpoint.state_dict",
    "torch.distributed.fsdp",
    "torch.distributed.optim",
    "torch.distributed.tensor.parallel",
]
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


def run(job: Callable[..., None], *, ranks: int, seconds: float = 100.0, **settings: Any) -> None:
    """Call `job(**settings)` in every one of `ranks` processes, which form the default group.

    Raises:
        AssertionError: with every rank's traceback if one fails, and with every rank's stack if
            they are not all done after `seconds`; the others are killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        processes = [
            context.Process(target=_rank, args=(rank, ranks, folder, seconds, job, settings))
            for rank in range(ranks)
        ]
        with _killed_at_the_end(processes):
            for process in processes:
                process.start()
            failed = _first_failure(processes, time.monotonic() + seconds)
        if failed:
            reports = [path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))]
            msg = "\n".join([f"{job.__name__} on {ranks} ranks, {settings}: {failed}", *reports])
            raise AssertionError(msg)


@contextmanager
def _killed_at_the_end(processes: list[Any]) -> Iterator[None]:
    """Whatever happens, interrupts too, no process outlives the block."""
    try:
        yield
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()


def _first_failure(processes: list[Any], deadline: float) -> str:
    """Wait until all are done, "", or one fails or the time is over: then what happened."""
    running: dict[int, BaseProcess] = {process.sentinel: process for process in processes}
    while running:
        ended = wait(list(running), timeout=deadline - time.monotonic())
        if not ended:
            return f"{len(running)} ranks still ran when the time was over"
        for sentinel in ended:
            process = running.pop(sentinel)  # type: ignore[arg-type]
            process.join()
            if process.exitcode:
                return f"a rank ended with {process.exitcode}"
    return ""


def _rank(
    rank: int,
    ranks: int,
    folder: Path,
    seconds: float,
    job: Callable[..., None],
    settings: dict[str, Any],
) -> None:
    """One process: joins the group, does the job, writes down its traceback if it fails."""
    with (folder / f"rank {rank}.txt").open("w", encoding="utf-8") as report:
        faulthandler.dump_traceback_later(0.75 * seconds, file=report)
        try:
            warnings.simplefilter("error")
            os.environ["GLOO_SOCKET_IFNAME"] = LOOPBACK
            torch.set_num_threads(1)
            dist.init_process_group(
                "gloo",
                init_method=(folder / "rendezvous").as_uri(),
                rank=rank,
                world_size=ranks,
                timeout=timedelta(seconds=seconds),
            )
            job(**settings)
            dist.barrier()
            dist.destroy_process_group()
        except BaseException:
            report.write(f"rank {rank}:\n{traceback.format_exc()}")
            report.flush()
            os._exit(1)  # a collective that the others will never join must not delay the end
        finally:
            faulthandler.cancel_dump_traceback_later()
