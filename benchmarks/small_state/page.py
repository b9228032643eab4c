"""The tables of docs/small_state.md, from its record alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.small_state.study import CONTROL, FLOAT32
from benchmarks.small_state.updates import FORMATS
from benchmarks.small_state.verdict import Judgement, judge

from adabelief_lab.analysis.paired_tests import ALPHA
from adabelief_lab.bench.harness import NOTHING, Record, Table, conditions


def judgements(workload: Mapping[str, Any]) -> dict[str, Judgement]:
    """Each format against float32 state, by name."""
    losses = {name: _losses(runs) for name, runs in workload["finals"].items()}
    wide = [loss for loss in losses.pop(FLOAT32) if loss is not None]
    return {name: judge(wide, small) for name, small in losses.items()}


def training(record: Record) -> str:
    """What was run, the outcome in a few sentences, and a table for each workload."""
    workloads = record["workloads"]
    judged = {name: judgements(workload) for name, workload in workloads.items()}
    parts = [conditions(next(iter(workloads.values())), "on the CPU"), _runs(workloads.values())]
    parts += [_summary(judged), *(_table(workloads[name], found) for name, found in judged.items())]
    return "\n\n".join(parts)


def updates(record: Record) -> str:
    """Errors of single updates."""
    measured = record["updates"]
    sizes = measured["batches"]
    heads = ("state", *(f"{name} of {size}" for name, size in sizes.items()))
    rows = [
        (name, *(_error(measured["errors"][batches][name]) for batches in sizes))
        for name in FORMATS
    ]
    return (
        f"{measured['model']}, lr {measured['lr']:g}, {measured['steps']} steps, errors averaged "
        f"over the last {measured['compared']}.\n\n{Table(heads, rows)}"
    )


def _runs(workloads: Any) -> str:
    rows = []
    for each in workloads:
        rates = [trial["lr"] for trial in each["trials"]]
        edge = {min(rates): " (lowest)", max(rates): " (highest)"}.get(each["lr"], "")
        rows.append((
            each["title"], f"{each['parameters']:,}",
            f"{each['steps']} × {each['options']['batch_size']}", str(len(each["seeds"])),
            ", ".join(f"{rate:.2g}" for rate in rates), f"{each['lr']:.2g}{edge}",
        ))  # fmt: skip
    heads = ("workload", "parameters", "steps × batch", "seeds", "lr tried for float32", "taken")
    return str(Table(heads, rows, text=(0, 4)))


def _summary(judged: Mapping[str, Mapping[str, Judgement]]) -> str:
    """For each format, how many workloads have which verdict."""
    names = list(next(iter(judged.values())))
    sentences = []
    for name in names:
        found = [formats[name] for formats in judged.values()]
        within = sum(each.verdict != "outside" for each in found)
        bounded = sum(each.verdict.endswith("bounded") for each in found)
        told_apart = sum(each.p <= ALPHA for each in found)
        diverged = sum(each.diverged for each in found)
        sentences.append(
            f"- **{name}**: within seed noise on {within} of {len(found)} workloads, "
            f"bounded on {bounded}; told apart from float32 (p ≤ {ALPHA:g}) on {told_apart}; "
            f"{diverged} of {sum(each.n for each in found)} runs diverged"
            + (" (the control)." if name == CONTROL else ".")
        )
    return "\n".join(sentences)


def _table(workload: Mapping[str, Any], judged: Mapping[str, Judgement]) -> str:
    accuracies = "accuracy" in workload["finals"][FLOAT32][0]
    noise = next(iter(judged.values())).noise
    heads = [
        "state", "test loss", *(["accuracy"] if accuracies else []),
        "difference to float32 [95 %]", "in σ", "p", "verdict",
    ]  # fmt: skip
    rows = []
    for name, runs in workload["finals"].items():
        cells = [name, _mean(_losses(runs), ".4f")]
        if accuracies:
            cells.append(_mean([run.get("accuracy") for run in runs], ".2%"))
        found = judged.get(name)
        rows.append(cells + (_judgement(found) if found else [""] * 4))
    return (
        f"{workload['title']}: standard deviation of float32 over seeds σ = {noise:.2g}.\n\n"
        f"{Table(heads, rows, text=(0, len(heads) - 1))}"
    )


def _judgement(found: Judgement) -> list[str]:
    difference, more = found.difference, f": {found.diverged} diverged" if found.diverged else ""
    last = [f"{found.p:.3f}", f"{found.verdict}{more}"]
    if difference is None or difference.low is None or difference.high is None:
        return ["", "", *last]
    low, high = _signed(difference.low, 5), _signed(difference.high, 5)
    in_noise = _signed(difference.mean / found.noise, 2)
    return [f"{_signed(difference.mean, 5)} [{low}, {high}]", in_noise, *last]


def _signed(value: float, digits: int) -> str:
    """Digits that mean nothing in an explosion are left out."""
    return f"{value:+.{digits}f}" if abs(value) < 100 else f"{value:+,.0f}"


def _losses(runs: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Final losses; None of runs that diverged."""
    return [run["loss"] if run["status"] == "ok" else None for run in runs]


def _mean(values: Sequence[float | None], form: str) -> str:
    finite = [value for value in values if value is not None]
    if not finite:
        return NOTHING
    mean = sum(finite) / len(finite)
    return format(mean, form) if mean < 100 else format(mean, ",.0f")


def _error(numbers: Mapping[str, float]) -> str:
    return f"{numbers['error']:.3g} / {numbers['cosine']:.4f} / {numbers['norm']:.3g}"
