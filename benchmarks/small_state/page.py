"""The tables of docs/small_state.md, from its record alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.small_state.study import CONTROL, FLOAT32
from benchmarks.small_state.updates import FORMATS
from benchmarks.small_state.verdict import Judgement, judge

from adabelief_lab.analysis.paired_tests import ALPHA

END = "<!-- to here -->"


def filled(page: str, record: Mapping[str, Any]) -> str:
    """The page with its tables written anew.

    Raises:
        ValueError: a mark is missing.
    """
    for name, section in (("training", training(record)), ("updates", updates(record))):
        before, begin, rest = page.partition(_mark(name))
        _, end, after = rest.partition(END)
        if not begin or not end:
            msg = f"the page must have {_mark(name)} and then {END}"
            raise ValueError(msg)
        page = f"{before}{begin}\n\n{section}\n\n{end}{after}"
    return page


def tables(record: Mapping[str, Any]) -> str:
    """Everything that is generated."""
    return f"{training(record)}\n\n{updates(record)}"


def judgements(workload: Mapping[str, Any]) -> dict[str, Judgement]:
    """Each format against float32 state, by name."""
    losses = {name: _losses(runs) for name, runs in workload["finals"].items()}
    wide = [loss for loss in losses.pop(FLOAT32) if loss is not None]
    return {name: judge(wide, small) for name, small in losses.items()}


def training(record: Mapping[str, Any]) -> str:
    """What was run, the outcome in a few sentences, and a table for each workload."""
    workloads = record["workloads"]
    judged = {name: judgements(workload) for name, workload in workloads.items()}
    parts = [_machine(next(iter(workloads.values()))["machine"]), _runs(workloads.values())]
    parts += [_summary(judged), *(_table(workloads[name], found) for name, found in judged.items())]
    return "\n\n".join(parts)


def updates(record: Mapping[str, Any]) -> str:
    """Errors of single updates."""
    measured = record["updates"]
    head = (
        f"{measured['model']}, lr {measured['lr']:g}, {measured['steps']} steps, errors averaged "
        f"over the last {measured['compared']}."
    )
    sizes = measured["batches"]
    lines = [
        f"| state | {' | '.join(f'{name} of {size}' for name, size in sizes.items())} |",
        f"| --- |{' ---: |' * len(sizes)}",
    ]
    for name in FORMATS:
        cells = [_error(measured["errors"][batches][name]) for batches in sizes]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return head + "\n\n" + "\n".join(lines)


def _mark(name: str) -> str:
    return f"<!-- {name}: written by make small-state -->"


def _machine(facts: Mapping[str, Any]) -> str:
    return (
        f"torch {facts['torch']}, {facts['processor']}, {facts['threads']} thread(s) a run, on "
        "the CPU."
    )


def _runs(workloads: Any) -> str:
    lines = [
        "| workload | parameters | steps × batch | seeds | lr tried for float32 | taken |",
        "| --- | ---: | ---: | ---: | --- | ---: |",
    ]
    for each in workloads:
        rates = [trial["lr"] for trial in each["trials"]]
        tried = ", ".join(f"{rate:.2g}" for rate in rates)
        edge = {min(rates): " (lowest)", max(rates): " (highest)"}.get(each["lr"], "")
        budget = f"{each['steps']} × {each['options']['batch_size']}"
        lines.append(
            f"| {each['title']} | {each['parameters']:,} | {budget} | {len(each['seeds'])} "
            f"| {tried} | {each['lr']:.2g}{edge} |"
        )
    return "\n".join(lines)


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
    lines = [
        f"{workload['title']}: standard deviation of float32 over seeds σ = {noise:.2g}.",
        "",
        f"| state | test loss |{' accuracy |' if accuracies else ''} difference to float32 "
        "[95 %] | in σ | p | verdict |",
        f"| --- | ---: |{' ---: |' if accuracies else ''} ---: | ---: | ---: | --- |",
    ]
    for name, runs in workload["finals"].items():
        cells = [name, _mean(_losses(runs), ".4f")]
        if accuracies:
            cells.append(_mean([run.get("accuracy") for run in runs], ".2%"))
        found = judged.get(name)
        cells += _judgement(found) if found else [""] * 4
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _judgement(found: Judgement) -> list[str]:
    difference = found.difference
    p = f"{found.p:.3f}"
    if difference is None or difference.half_width is None:
        return ["", "", p, f"{found.verdict}: {found.diverged} diverged"]
    low, high = difference.mean - difference.half_width, difference.mean + difference.half_width
    more = f": {found.diverged} diverged" if found.diverged else ""
    return [
        f"{_signed(difference.mean, 5)} [{_signed(low, 5)}, {_signed(high, 5)}]",
        _signed(difference.mean / found.noise, 2),
        p,
        f"{found.verdict}{more}",
    ]


def _signed(value: float, digits: int) -> str:
    """Digits that mean nothing in an explosion are left out."""
    return f"{value:+.{digits}f}" if abs(value) < 100 else f"{value:+,.0f}"


def _losses(runs: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Final losses; None of runs that diverged."""
    return [run["loss"] if run["status"] == "ok" else None for run in runs]


def _mean(values: Sequence[float | None], form: str) -> str:
    finite = [value for value in values if value is not None]
    if not finite:
        return "–"
    mean = sum(finite) / len(finite)
    return format(mean, form) if mean < 100 else format(mean, ",.0f")


def _error(numbers: Mapping[str, float]) -> str:
    return f"{numbers['error']:.3g} / {numbers['cosine']:.4f} / {numbers['norm']:.3g}"
