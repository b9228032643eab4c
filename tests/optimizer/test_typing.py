"""Type checkers accept what torch.optim accepts, and refuse what would fail when it runs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from adabelief import AdaBelief
from paths import ROOT

TYPED = ROOT / "tests" / "support" / "typed"
EXAMPLES = ROOT / "examples"
CACHE = ROOT / ".mypy_cache" / "project"  # torch takes minutes the first time
# skorch and scikit-learn have no types; pyright takes those of their arguments' defaults instead.
NOT_FOR_PYRIGHT = ("constrained.py", "skorch_classifier.py")

# Reading the frameworks takes mypy minutes, pyright does that. Of torch, `Tensor.backward` has no
# types and many calls return Any.
MYPY = """[mypy]
untyped_calls_exclude = torch
disable_error_code = no-any-return

[mypy-accelerate.*,lightning.*,skorch.*,sklearn.*,transformers.*]
follow_imports = skip
ignore_missing_imports = True

[mypy-lightning_module,lightning_workload]
disallow_subclassing_any = False
"""

Report = Mapping[str, Mapping[int, list[str]]]  # file name, line: messages


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project: the files, away from ours and its configuration."""
    folder = tmp_path_factory.mktemp("project")
    for path in (*TYPED.glob("*.py"), *EXAMPLES.glob("*.py")):
        shutil.copy(path, folder)
    return folder


def run(*command: str, folder: Path) -> str:
    environment = {**os.environ, "MYPYPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'lab' / 'src'}"}
    environment["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"  # and no question for a newer version
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True, text=True, check=False, cwd=folder, env=environment, timeout=560,
    )  # fmt: skip
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr  # 1: it has found something
    return ended.stdout


@pytest.fixture(scope="module")
def mypy(project: Path) -> Report:
    pytest.importorskip("mypy")
    (project / "mypy.ini").write_text(MYPY, "utf-8")
    files = sorted(path.name for path in project.glob("*.py"))
    options = ("--strict", "--config-file=mypy.ini", f"--cache-dir={CACHE}")
    output = run("mypy", *options, *files, folder=project)
    assert "checked" in output or "Success" in output, output
    report: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, line, message in re.findall(r"^(.+?):(\d+): error: (.*)$", output, re.MULTILINE):
        report[Path(name).name][int(line)].append(message)
    return report


@pytest.fixture(scope="module")
def pyright(project: Path) -> Report:
    pytest.importorskip("pyright")
    settings = {
        "include": ["*.py"],
        "strict": ["user.py"],
        "exclude": list(NOT_FOR_PYRIGHT),
        "extraPaths": [str(ROOT / "src")],
    }
    (project / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    output = run("pyright", "--outputjson", "--pythonpath", sys.executable, folder=project)
    found = json.loads(output)
    names = {path.name for path in project.glob("*.py")} - set(NOT_FOR_PYRIGHT)
    assert found["summary"]["filesAnalyzed"] == len(names)
    report: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in found["generalDiagnostics"]:
        line = entry["range"]["start"]["line"] + 1
        report[Path(entry["file"]).name][line].append(entry["message"])
    return report


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_right_uses_are_accepted_and_wrong_ones_refused(
    checker: str, request: pytest.FixtureRequest
) -> None:
    report: Report = request.getfixturevalue(checker)
    assert not report["user.py"], report["user.py"]
    for path in EXAMPLES.glob("*.py"):
        assert not report[path.name], (path.name, report[path.name])
    lines = (TYPED / "wrong.py").read_text("utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    assert len(wrong) > 30
    assert set(report["wrong.py"]) == wrong


@pytest.mark.filterwarnings("ignore:To get the last learning rate:UserWarning")
def test_what_is_typed_right_also_runs() -> None:
    spec = importlib.util.spec_from_file_location("user", TYPED / "user.py")
    assert spec is not None
    assert spec.loader is not None
    user = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(user)
    model = nn.Linear(2, 1)
    made = user.parameters_in_all_forms(model) + user.options_in_all_forms(model)
    assert all(isinstance(optimizer, AdaBelief) for optimizer in made + user.factories(model))
    assert {len(optimizer.param_groups) for optimizer in made} == {1, 2}
    optimizer = AdaBelief(model.parameters())
    number, tensor = user.steps(model, optimizer)
    assert isinstance(number, float)
    assert isinstance(tensor, torch.Tensor)
    user.hooks(optimizer)
    assert user.groups_and_state(optimizer).lr == 1e-3
    assert user.beta1_schedules(AdaBelief(model.parameters())) == [0.9 * 0.9]
    assert len(user.schedules(AdaBelief(model.parameters()))) == 3
