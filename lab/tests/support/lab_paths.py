"""Workloads in files of their own, as a user's, for tests that name them."""

from __future__ import annotations

from pathlib import Path

WORKLOADS = Path(__file__).parent / "user_workloads"
TINY, FAULTY = WORKLOADS / "tiny.py", WORKLOADS / "faulty.py"
PHOTOGRAPHS, TOGETHER = WORKLOADS / "photographs.py", WORKLOADS / "together.py"
