"""The command of a benchmark that writes a record, and a page from it."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def command(
    doc: str | None,
    rounds: int,
    measure: Callable[[int], Mapping[str, Any]],
    page: Callable[[Mapping[str, Any]], str],
    record: Path,
) -> None:
    """Measure, unless only the page is wanted, and write record and page.

    Args:
        doc: what `--help` says.
        rounds: if none are given.
        measure: makes the record in so many rounds.
        page: Markdown of it.
        record: where it is; the page is beside it.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--table", action="store_true", help="only write the page anew")
    given = parser.parse_args()
    random.seed(0)
    if not given.table:
        record.write_text(json.dumps(measure(given.rounds), indent=1) + "\n")
    text = page(json.loads(record.read_text()))
    record.with_suffix(".md").write_text(text)
    print(text)
