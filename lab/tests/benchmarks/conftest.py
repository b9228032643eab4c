"""`benchmarks` is a package in the repository's root, which is not on the path otherwise."""

from __future__ import annotations

import sys

from paths import ROOT

sys.path.append(str(ROOT))
