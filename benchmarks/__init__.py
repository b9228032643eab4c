"""What this package costs, measured: `python -m benchmarks.NAME` in the repository's root.

Every benchmark writes a record, results/benchmarks/NAME.json, and from the record alone its
sections of a page in docs/. `--table` only writes the sections, `--record FILE` leaves both alone.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS, RECORDS = ROOT / "docs", ROOT / "results" / "benchmarks"
