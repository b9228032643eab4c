"""A Ray cluster: where runs are executed on many machines. The files of the store hold the truth.

Ray places a run where there is room, starts it again when its worker or its whole machine is lost,
and nothing else: a run that is started again goes on from its checkpoint in the shared folder, and
one that two drivers started is trained by whoever has its lock.
"""

from __future__ import annotations

import importlib
import os
import re
import secrets
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adabelief_lab.common.atomic_files import PARTIAL, replace
from adabelief_lab.common.errors import LabError, needs_extra
from adabelief_lab.common.num_workers import set_num_workers
from adabelief_lab.conduct.launch import train_in_processes
from adabelief_lab.declare.study import Run
from adabelief_lab.run.crash_counter import MAX_ATTEMPTS
from adabelief_lab.run.train import Guard

# Before ray is imported: it would send statistics of use.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

with needs_extra("the engine", "ray", "ray"):
    # Untyped: whether an extra is installed must not change what a type checker says.
    ray: Any = importlib.import_module("ray")

# Losses of a worker or a machine that one run survives: enough for attempts.py to give it up.
MAX_RETRIES = 3 * MAX_ATTEMPTS
CONNECT_SECONDS = 10.0


class RayEngine:
    """Executes runs as tasks of a Ray cluster; the same interface as `LocalEngine`.

    Args:
        root: the study's folder, which every machine must see under the same path.
        reference: what the workload is loaded by: a name, or `file.py:name`, seen likewise.
        address: of a running cluster, as ray.init takes it ("auto", "ray://..."); None starts one
            on this machine.
        cpus: processors that each run holds; torch gets as many threads, all its processes
            together.
        gpus: GPUs that each run holds; a fraction lets several share one.
        time_limit: seconds after which a run ends as "timeout".

    Raises:
        LabError: the cluster cannot be reached, has no machine that can hold a run, or has one
            that does not see the folder.
    """

    def __init__(
        self,
        root: Path,
        reference: str,
        address: str | None = None,
        cpus: float = 1.0,
        gpus: float = 0.0,
        time_limit: float | None = None,
    ) -> None:
        self.root, self.reference = root.resolve(), reference
        self._waiting: deque[Run] = deque()
        self._refs: dict[Any, Run] = {}
        self._cpus, self._gpus = cpus, gpus
        self._guard = Guard(secrets.token_hex(8), time_limit)
        self._started = not ray.is_initialized()
        if self._started:
            self._connect(address)
        threads = max(1, int(cpus))
        try:
            self._check_room(cpus, gpus)
            self._check_shared()
        except LabError:
            self.stop()
            raise
        self._task = ray.remote(_execute).options(
            num_cpus=cpus,
            num_gpus=gpus,
            max_retries=MAX_RETRIES,
        )
        self._threads = threads

    def submit(self, run: Run) -> None:
        """Queue a run; the cluster has it when `ended` is called."""
        self._waiting.append(run)

    @property
    def running(self) -> list[Run]:
        """Runs that the cluster has; which of them have begun Ray does not say cheaply."""
        return list(self._refs.values())

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or running."""
        return not (self._refs or self._waiting)

    def _fill(self) -> None:
        """Give the cluster what it has room for and as many again, so that none of it waits.

        Not all at once: a hundred thousand tasks would be held in memory by everybody.
        """
        if not self._waiting:
            return
        room = ray.cluster_resources()
        slots = room.get("CPU", 0.0) / self._cpus
        if self._gpus:
            slots = min(slots, room.get("GPU", 0.0) / self._gpus)
        while self._waiting and len(self._refs) < max(1, 2 * int(slots)):
            run = self._waiting.popleft()
            ref = self._task.remote(
                str(self.root),
                self.reference,
                run.model_dump_json(),
                max(1, self._threads // run.processes),
                tuple(self._guard),
            )
            self._refs[ref] = run

    def ended(self, timeout: float) -> Iterator[tuple[Run, str]]:
        """Wait at most `timeout` seconds; yield runs that ended with what was amiss, or "".

        Raises:
            LabError: a machine could not write, or a run was lost more often than it is retried.
        """
        self._fill()
        if not self._refs:
            return
        done, _ = ray.wait(list(self._refs), num_returns=1, timeout=timeout)
        for ref in done:
            run = self._refs.pop(ref)
            try:
                amiss = str(ray.get(ref))
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise LabError(str(cause) if isinstance(cause, LabError) else str(error)) from error
            except ray.exceptions.RayError as error:
                msg = (
                    f"run {run.key} was lost {MAX_RETRIES + 1} times with its worker or machine "
                    f"({type(error).__name__}; out of memory?). Start the same command again to "
                    "go on"
                )
                raise LabError(msg) from error
            yield run, amiss

    def stop(self) -> None:
        """End the tasks at once; runs stay where their last checkpoint is."""
        for ref in self._refs:
            ray.cancel(ref, force=True)
        self._refs.clear()
        self._waiting.clear()
        if self._started:
            ray.shutdown()

    def _connect(self, address: str | None) -> None:
        _check_listens(address)
        local = {} if address else {"include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", **local)
        except (ConnectionError, RuntimeError, ValueError) as error:
            cause = f" ({error.__cause__})" if error.__cause__ else ""
            msg = f"no Ray cluster at address {address!r}: {error}{cause}"
            raise LabError(msg) from error

    def _check_room(self, cpus: float, gpus: float) -> None:
        """Ray would wait for ever for a machine that is not there."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
            return
        there = "; ".join(f"{node.get('CPU', 0):g} and {node.get('GPU', 0):g}" for node in nodes)
        msg = (
            f"no machine of the cluster can hold a run of {cpus:g} CPUs and {gpus:g} GPUs; they "
            f"have {there}"
        )
        raise LabError(msg)

    def _check_shared(self) -> None:
        """Every machine reads back what this one has just written."""
        nonce = secrets.token_hex(8)
        # A name of its own, for two drivers; one that the store sweeps away if we are killed.
        path = self.root / f"nonce-{nonce}{PARTIAL}{os.getpid()}"
        replace(path, nonce.encode())
        try:
            nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
            read = ray.remote(_read)
            for node in nodes:
                here = f"node:{node['NodeManagerAddress']}"
                pinned = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                    node["NodeID"], soft=False
                )
                pinned_read = read.options(num_cpus=0, scheduling_strategy=pinned)
                seen = ray.get(pinned_read.remote(str(path)))
                if seen != nonce:
                    msg = (
                        f"{here} does not see {self.root} as this machine does: it must be a "
                        "folder that all machines share, under the same path"
                    )
                    raise LabError(msg)
        finally:
            path.unlink(missing_ok=True)


def _check_listens(address: str | None) -> None:
    """Ray would try for minutes, and end this process from within."""
    matched = re.fullmatch(r"(?:ray://)?\[?([^/\]]+)\]?:(\d+)", address or "")
    if matched is None:  # "auto", or a name that Ray resolves
        return
    try:
        socket.create_connection((matched[1], int(matched[2])), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        msg = f"no Ray cluster at address {address!r}: {error}"
        raise LabError(msg) from error


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _execute(
    root: str, reference: str, run: str, threads: int, guard: tuple[str, float | None]
) -> str:
    import torch  # noqa: PLC0415, on the machine that runs it

    torch.set_num_threads(threads)
    declared = Run.model_validate_json(run)
    set_num_workers(threads * declared.processes)
    return train_in_processes(Path(root), reference, declared, Guard(*guard), threads)
