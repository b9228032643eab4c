"""Take the README's picture, results/report.png, of results/fashion-mnist-full/report.html."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
REPORT = RESULTS / "fashion-mnist-full" / "report.html"
SIZE = "1100,1500"
# The browser opens no connection of its own: the report must need no network.
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
    """Write results/report.png."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no chromium found: apt-get install chromium")
    if not REPORT.exists():
        sys.exit(f"no {REPORT.name} yet: python scripts/fashion_mnist_full.py FOLDER")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                *QUIET,
                f"--user-data-dir={profile}",
                f"--window-size={SIZE}",
                "--virtual-time-budget=5000",  # let the charts be drawn
                f"--screenshot={RESULTS / 'report.png'}",
                REPORT.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
