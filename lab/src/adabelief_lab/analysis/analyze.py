"""From records to conclusions: selection, intervals, paired tests and curves, as pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adabelief_lab.analysis import sentences
from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.analysis.cross_optimizer import completed, target_of
from adabelief_lab.analysis.paired_tests import ALPHA, paired_tests
from adabelief_lab.analysis.summaries import finished, ranked, summary
from adabelief_lab.declare.study import RunRecord, Study


def analyze(study: Study, records: Sequence[RunRecord]) -> Comparison:
    """Everything that can be said about the study from the records that exist.

    Works at any moment: with no record, in the middle of tuning, with some seeds missing.
    Records that the study does not plan are ignored.
    """
    by_key = {record.run.key: record for record in records}
    alone = [summary(study, spec, by_key) for spec in study.optimizers]
    target = target_of(study, alone)
    summaries = ranked(completed(study, alone, by_key, target), study.primary_metric)
    used = [run.key for one in summaries for run in (*one.trials, *one.finals)]
    comparison = Comparison(
        study=study,
        alpha=ALPHA,
        summaries=tuple(summaries),
        paired_tests=paired_tests(study, summaries),
        n_finished=sum(finished(by_key.get(key)) for key in used),
        n_planned=study.n_runs - study.settings.seeds * sum(one.untunable for one in summaries),
        target=target,
        environments=_environments([by_key[key] for key in used if key in by_key]),
    )
    return replace(
        comparison,
        headline=sentences.headline(comparison),
        sentences=sentences.explanation(comparison),
    )


def _environments(records: Sequence[RunRecord]) -> tuple[tuple[Mapping[str, Any], int], ...]:
    """Commits do not make environments different: a folder already refuses code that changed."""
    counts: dict[str, int] = {}
    commits: dict[str, dict[str, None]] = {}
    for record in records:
        if record.result and record.result.environment:
            facts = dict(record.result.environment)
            commit = facts.pop("commit", None)
            text = json.dumps(facts, sort_keys=True, default=str)
            counts[text] = counts.get(text, 0) + 1
            commits.setdefault(text, {}).update({str(commit): None} if commit else {})
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return tuple(
        (json.loads(text) | ({"commit": ", ".join(commits[text])} if commits[text] else {}), count)
        for text, count in ordered
    )
