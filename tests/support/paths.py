"""Where the repository is, for every test that reads its files or starts its programs."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
PROGRAMS = ROOT / "tests" / "support" / "programs"
