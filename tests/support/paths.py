"""Where things of this repository lie, for tests that read them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS, EXAMPLES, RESULTS = ROOT / "docs", ROOT / "examples", ROOT / "results"
VECTORS = Path(__file__).parent / "vectors"
