"""Take the README's picture of the fair study's report, with Chromium."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
REPORT = DOCS / "fair" / "report.html"
SIZE = "1100,1500"
# A browser that asks nobody anything: the report must need no network.
QUIET = [
    "--headless",
    "--disable-gpu",
    "--no-sandbox",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
]


def main() -> None:
    """Write docs/report.png."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no chromium found: apt-get install chromium")
    if not REPORT.exists():
        sys.exit(f"no {REPORT.name} yet: python docs/fair.py FOLDER")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                *QUIET,
                f"--user-data-dir={profile}",
                f"--window-size={SIZE}",
                "--virtual-time-budget=5000",  # let the charts be drawn
                f"--screenshot={DOCS / 'report.png'}",
                REPORT.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
