"""Real Ray clusters on this machine: nodes and drivers killed, and the same bytes at the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab_paths import TINY, WORKLOADS
from processes import group_members, kill, run, start, wait_until

pytest.importorskip("ray", reason='needs Ray: pip install . "./lab[ray]"')

FAULTY, TOGETHER = WORKLOADS / "faulty.py", WORKLOADS / "together.py"

# Each start of a cluster takes seconds, each worker imports torch.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STUDY = (f"{TINY}:workload", "--preset", "smoke", "--against", "adam")
# Each look at the cluster imports ray, which takes seconds where others compute too.
START_SECONDS = 300
RUNS = 8  # 2 optimizers x (2 trials + 2 seeds)


@pytest.fixture(autouse=True, scope="module")
def no_token() -> Iterator[None]:
    """Ray 2.60 makes a token in the home folder, which some clients then use and others do not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield


def metrics(root: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in root.glob("runs/*/metrics.jsonl")}


def results(root: Path) -> dict[str, tuple[int, int]]:
    """Identity of each result file: written again, it would be another inode."""
    stats = {path.parent.name: path.stat() for path in root.glob("runs/*/result.json")}
    return {key: (stat.st_ino, stat.st_mtime_ns) for key, stat in stats.items()}


def rows(root: Path) -> int:
    return sum(data.count(b"\n") for data in metrics(root).values())


class Node:
    """A Ray node as `ray start` makes it, in a process group of its own."""

    def __init__(self, folder: Path, *arguments: str, pause: float) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                *("--disable-usage-stats", "--num-gpus", "0"),
                *arguments,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=folder,
            env={
                **os.environ,
                "ADABELIEF_TEST_PAUSE": str(pause),
                # A node that does not answer is given up after seconds, not minutes.
                "RAY_health_check_period_ms": "500",
                "RAY_health_check_timeout_ms": "1000",
                "RAY_health_check_failure_threshold": "3",
            },
        )

    def kill(self) -> None:
        """SIGKILL all of it at once, as a machine that loses power."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)
        for pid in group_members(self.process.pid):
            os.kill(pid, signal.SIGKILL)


class Cluster:
    """A head without processors, and nodes of one processor each."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.address = folder, port, f"127.0.0.1:{port}"
        self.temporary = f"/tmp/rt{port}"  # sockets' names must be short
        self.all: list[Node] = []

    @property
    def nodes(self) -> list[Node]:
        """All but the head."""
        return self.all[1:]

    def start(self, nodes: int, pause: float) -> None:
        """Start head and nodes; those that have started are in `all` even if one does not."""
        head = ("--head", "--port", str(self.port), "--num-cpus", "0")
        others = ("--include-dashboard", "false", "--temp-dir", self.temporary)
        self.all.append(Node(self.folder, *head, *others, pause=pause))
        wait_until(lambda: self._alive() > 0, START_SECONDS)
        # One after the other: of two that start at once, Ray gives both the same socket.
        for _ in range(nodes):
            joins = ("--address", self.address, "--num-cpus", "1")
            self.all.append(Node(self.folder, *joins, pause=pause))
            wait_until(lambda: self._alive() == len(self.all), START_SECONDS)

    def _alive(self) -> int:
        code = (
            "import ray, json, sys\n"
            "ray.init(address=sys.argv[1], log_to_driver=False, logging_level='error')\n"
            "print(json.dumps(sum(node['Alive'] for node in ray.nodes())))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code, self.address],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return int(json.loads(ended.stdout or "0")) if ended.returncode == 0 else 0

    def stop(self) -> None:
        for node in reversed(self.all):
            node.kill()
        shutil.rmtree(self.temporary, ignore_errors=True)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study by the local engine."""
    root = tmp_path_factory.mktemp("local")
    ended = run("compare", *STUDY, "--workers", "2", "--out", str(root))
    assert ended.returncode == 0, ended.stderr
    return root


@pytest.fixture
def cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    made = Cluster(tmp_path, 20_000 + os.getpid() % 10_000)
    try:
        made.start(nodes=2, pause=request.param)
        yield made
    finally:
        made.stop()


def study_on(cluster: Cluster, out: Path) -> tuple[str, ...]:
    return ("compare", *STUDY, "--engine", "ray", "--address", cluster.address, "--out", str(out))


@pytest.mark.parametrize("cluster", [0.1], indirect=True)
def test_a_node_that_is_killed_loses_no_run_and_changes_no_byte(
    cluster: Cluster, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    driver = start(*study_on(cluster, out))
    wait_until(lambda: rows(out) > 3, 180)
    kept = results(out)
    cluster.nodes[0].kill()
    _, err = driver.communicate(timeout=600)
    assert driver.returncode == 0, err
    assert kept.items() <= results(out).items(), "a finished run was done again"
    assert len(results(out)) == RUNS
    assert metrics(out) == metrics(local)


@pytest.mark.parametrize("cluster", [0.1], indirect=True)
def test_a_driver_that_is_killed_goes_on_where_it_was(
    cluster: Cluster, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    driver = start(*study_on(cluster, out))
    wait_until(lambda: len(results(out)) >= 1, 180)
    kill(driver)
    kept = results(out)
    ended = run(*study_on(cluster, out))
    assert ended.returncode == 0, ended.stderr
    assert kept.items() <= results(out).items(), "a finished run was done again"
    assert metrics(out) == metrics(local)


@pytest.mark.parametrize("cluster", [0.02], indirect=True)
def test_two_drivers_on_one_folder_do_every_run_once(
    cluster: Cluster, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    drivers = [start(*study_on(cluster, out)) for _ in range(2)]
    seen: dict[str, tuple[int, int]] = {}

    def ended() -> bool:
        now = results(out)
        assert seen.items() <= now.items(), "a finished run was done again"
        seen.update(now)
        return all(driver.poll() is not None for driver in drivers)

    wait_until(ended, 600)
    for driver in drivers:
        _, err = driver.communicate(timeout=60)
        assert driver.returncode == 0, err
    assert metrics(out) == metrics(local)


def test_without_an_address_a_cluster_is_started_here(local: Path, tmp_path: Path) -> None:
    ended = run("compare", *STUDY, "--engine", "ray", "--out", str(tmp_path / "out"))
    assert ended.returncode == 0, ended.stderr
    assert metrics(tmp_path / "out") == metrics(local)
    assert not list(tmp_path.rglob("nonce*"))


def test_a_run_that_hangs_ends_as_a_timeout_and_the_others_are_done(tmp_path: Path) -> None:
    """The worker ends itself; Ray starts the task again, which finds the result."""
    ended = run(
        "compare", f"{FAULTY}:hangs", "--preset", "smoke", "--against", "sgd", "--engine", "ray",
        "--time-limit", "10", "--out", str(tmp_path),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    ends = [json.loads(path.read_bytes()) for path in tmp_path.glob("runs/*/result.json")]
    assert sorted(end["status"] for end in ends) == ["ok"] * 4 + ["timeout"] * 2


def test_a_run_in_two_processes_is_torchrun_inside_one_task(tmp_path: Path) -> None:
    study = (f"{TOGETHER}:noisy", "--preset", "smoke", "--against", "adam", "--procs-per-run", "2")
    for engine, where in (("local", ()), ("ray", ("--cpus", "1"))):
        out = str(tmp_path / engine)
        ended = run("compare", *study, "--engine", engine, *where, "--out", out)
        assert ended.returncode == 0, ended.stderr
    assert len(metrics(tmp_path / "local")) == 4
    assert metrics(tmp_path / "ray") == metrics(tmp_path / "local")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--address", "127.0.0.1:1"), "no Ray cluster at address '127.0.0.1:1'"),
        (("--gpus", "1"), "no machine of the cluster can hold a run of 1 CPUs and 1 GPUs"),
        (("--cpus", "1000"), "no machine of the cluster can hold a run of 1000 CPUs"),
    ],
)
def test_a_cluster_that_cannot_hold_a_run_is_told_at_once(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    out = ("--out", str(tmp_path / "out"))
    ended = run("compare", *STUDY, "--engine", "ray", *arguments, *out)
    assert ended.returncode == 1
    assert message in " ".join(ended.stderr.split())
