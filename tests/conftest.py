"""What every test module shares: stable hypothesis, and a record of outcomes on request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "stable",
    derandomize=True,
    database=None,
    deadline=None,  # the machines that run this are shared
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("stable")

RECORD = pytest.StashKey[list[dict[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", help="put the outcome of every test into this JSON file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORD] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    report: pytest.TestReport = yield  # type: ignore[misc, assignment]
    if report.when == "call" or report.outcome != "passed":
        name = item.nodeid.removeprefix("tests/")
        outcome = {"id": name, "path": path_of(item), "outcome": report.outcome}
        item.config.stash[RECORD].append(outcome)
    return report  # type: ignore[return-value]


def path_of(item: pytest.Item) -> str:
    """The path that a test was told to take: "loop", "foreach", "fused", or "default"."""
    callspec = getattr(item, "callspec", None)
    params: dict[str, Any] = callspec.params if callspec else {}
    for value in params.values():
        if isinstance(value, dict) and value.get("fused") is True:
            return "fused"
        if isinstance(value, dict) and isinstance(value.get("foreach"), bool):
            return "foreach" if value["foreach"] else "loop"
        if isinstance(value, str) and value in WORDS:
            return WORDS[value]
    for name in ("foreach", "path", "wish"):
        if isinstance(params.get(name), bool):
            return "foreach" if params[name] else "loop"
    return "default"


# Names of backends and paths in tests that are told which one to take.
WORDS = {
    "loop": "loop", "capturable": "loop", "foreach": "foreach", "capturable foreach": "foreach",
    "fused": "fused",
}  # fmt: skip


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--record")
    if path:
        file = Path(path)
        known = json.loads(file.read_text()) if file.exists() else []
        merged = {one["id"]: one for one in [*known, *session.config.stash[RECORD]]}
        file.write_text(json.dumps(list(merged.values()), indent=0))
