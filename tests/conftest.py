"""What every test module shares: stable hypothesis, and a record of outcomes on request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

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
        outcome = {"id": name, "foreach": foreach_of(item), "outcome": report.outcome}
        item.config.stash[RECORD].append(outcome)
    return report  # type: ignore[return-value]


def foreach_of(item: pytest.Item) -> str:
    """The path that a test was told to take: "False" (loop), "True", or "None" (no choice)."""
    params = getattr(item, "callspec", None)
    for value in (params.params if params else {}).values():
        if isinstance(value, dict) and isinstance(value.get("foreach"), bool):
            return str(value["foreach"])
        if isinstance(value, str) and value in WORDS:
            return str(WORDS[value])
    for name in ("foreach", "path", "wish"):
        chosen = (params.params if params else {}).get(name)
        if isinstance(chosen, bool):
            return str(chosen)
    return "None"


# Names of backends and paths in tests that are told to loop, or to use foreach.
WORDS = {
    "loop": False, "capturable": False, "foreach": True, "capturable foreach": True,
}  # fmt: skip


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--record")
    if path:
        file = Path(path)
        known = json.loads(file.read_text()) if file.exists() else []
        merged = {one["id"]: one for one in [*known, *session.config.stash[RECORD]]}
        file.write_text(json.dumps(list(merged.values()), indent=0))
