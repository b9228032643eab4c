"""All runs as one table for programs: CSV and Parquet with the same columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO

import pyarrow as pa
from pyarrow import parquet

from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.declare.study import RunRecord
from adabelief_lab.report.tables import as_csv


def runs_csv(comparison: Comparison, records: Sequence[RunRecord]) -> str:
    """One line for each record, planned ones too; metrics in their own units, unrounded.

    Empty where nothing is known; hyperparameters as JSON.
    """
    return as_csv(_lines(comparison, records), list(_columns(comparison)))


def runs_parquet(comparison: Comparison, records: Sequence[RunRecord]) -> bytes:
    """The same as a Parquet file, null where nothing is known."""
    schema = pa.schema(list(_columns(comparison).items()))
    file = BytesIO()
    parquet.write_table(pa.Table.from_pylist(_lines(comparison, records), schema=schema), file)
    return file.getvalue()


def _columns(comparison: Comparison) -> dict[str, str]:
    """Names in order, with Arrow's names of their types."""
    metrics = [f"last_{metric.name}" for metric in comparison.study.metrics]
    words = ["key", "folder", "optimizer", "label", "phase", "split", "status", "reason"]
    return {
        **dict.fromkeys(words, "string"),
        "lr": "double",
        "hyperparameters": "string",
        **dict.fromkeys(["init_seed", "data_seed", "steps_planned", "step"], "int64"),
        **dict.fromkeys(metrics, "double"),
        **dict.fromkeys(["seconds", "eval_seconds", "optimizer_seconds"], "double"),
        **dict.fromkeys(["peak_bytes", "resumed", "n_params"], "int64"),
    }


def _lines(comparison: Comparison, records: Sequence[RunRecord]) -> list[dict[str, object]]:
    metrics = [metric.name for metric in comparison.study.metrics]
    labels = {spec.name: spec.label for spec in comparison.study.optimizers}
    lines = []
    for record in records:
        run, result = record.run, record.result
        line: dict[str, object] = {
            "key": run.key,
            "folder": f"runs/{run.key}/",
            "optimizer": run.optimizer,
            "label": labels.get(run.optimizer, run.optimizer),
            "phase": run.phase,
            "split": run.split,
            "status": result.status if result else "pending",
            "lr": run.hyperparameters["lr"],
            "hyperparameters": json.dumps(run.model_dump(mode="json")["hyperparameters"]),
            "init_seed": run.init_seed,
            "data_seed": run.data_seed,
            "steps_planned": run.steps,
        }
        if result:
            line.update({f"last_{name}": result.last.get(name) for name in metrics})
            known = set(_columns(comparison)) & set(type(result).model_fields) - {"status"}
            line.update(result.model_dump(include=known))
        lines.append(line)
    return lines
