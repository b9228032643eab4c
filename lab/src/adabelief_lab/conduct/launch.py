"""A run in the processes that it asks for: one, or several of torchrun's on this machine."""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from adabelief_lab.common.errors import LabError
from adabelief_lab.common.process_group import joined
from adabelief_lab.conduct.worker_process import exit_with_parent
from adabelief_lab.declare.study import Run
from adabelief_lab.run import crash_counter
from adabelief_lab.run.train import Guard, ProcessGroupError, execute
from adabelief_lab.store.run_folder import RunFolder
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import load_workload

# The agent ends members whose sibling died; for who waits for another driver's lock, there is none.
NO_TIMEOUT = timedelta(days=365)
# All members are on one machine, whatever its name resolves to.
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


def train_in_processes(root: Path, reference: str, run: Run, guard: Guard, threads: int) -> str:
    """Train the run unless it is finished: what an engine's worker does.

    Args:
        root: the study's folder.
        reference: what the workload is loaded by.
        run: what to train.
        guard: how long, and for whom.
        threads: of torch, in each process.

    Returns:
        What was found damaged in the run's folder and set aside, or "".

    Raises:
        StorageError: a file could not be written.
        LabError: one of several processes ended without a result.
    """
    folder = Store(root).folder(run)
    if run.processes == 1:
        return execute(folder, run, load_workload(reference).workload, guard)
    return _launch(folder, (str(root), reference, run.model_dump_json(), tuple(guard), threads))


def _launch(folder: RunFolder, job: tuple[object, ...]) -> str:
    """Start the run's processes with torchrun's agent, again if one of them is killed."""
    from torch.distributed.elastic.multiprocessing.errors import (  # noqa: PLC0415, slow to import
        ChildFailedError,
    )
    from torch.distributed.launcher.api import (  # noqa: PLC0415, slow to import
        LaunchConfig,
        elastic_launch,
    )

    # What happened is told by the run's result or by our error.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    run = Run.model_validate_json(str(job[2]))
    before, deaths = -1, 0
    while folder.result() is None:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=run.processes,
            run_id=secrets.token_hex(8),
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            # Ours stay: members end when this process does.
            signals_to_handle="SIGHUP",
        )
        try:
            return str(elastic_launch(config, _member)(*job)[0])
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            step = folder.step()
            deaths = deaths + 1 if step == before else 1
            before = step
            lost = failure.exitcode < 0 and deaths <= crash_counter.MAX_ATTEMPTS + 1
            if folder.result() is None and not lost:
                msg = f"run {run.key}: process {rank} of {run.processes} failed: {failure.message}"
                raise LabError(msg) from None
    crash_counter.end(folder.path)
    return ""


def _member(
    root: str, reference: str, run: str, guard: tuple[str, float | None], threads: int
) -> str:
    """One of the run's processes, as torchrun's agent starts it."""
    exit_with_parent(os.getppid(), threads)
    os.environ["GLOO_SOCKET_IFNAME"] = LOOPBACK
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=NO_TIMEOUT)
    declared = Run.model_validate_json(run)
    if declared.parallel == "fsdp":
        # It tells torch.load(weights_only=True) that checkpoints may hold DTensors.
        importlib.import_module("torch.distributed.tensor")
    folder = Store(Path(root)).folder(declared)
    try:
        amiss = execute(
            folder, declared, load_workload(reference).workload, Guard(*guard), joined()
        )
    except ProcessGroupError:
        os._exit(1)  # at once: whoever waits in a collective for this process is to be ended
    dist.destroy_process_group()
    return amiss
