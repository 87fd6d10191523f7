"""The test doubles of the faults name modules of the product by text, so a rename there must fail here.

Each double is installed in a process of its own, as the faults do it. No server is needed.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.doubles import DOUBLES
from tests.support.paths import ROOT

USES = [
    ("crash", "reconciler"),
    ("crash", "sender"),
    ("crash", "sink"),
    ("stepping", "scheduler"),
    ("stuck", "sink"),
    ("twin", "sink"),
]
"""Every double, with the kinds of process for which it differs."""
INSTALL = "import sys; from tests.faults.doubles import DOUBLES; DOUBLES[sys.argv[1]](sys.argv[2])"


@pytest.mark.parametrize(("double", "kind"), USES)
def test_each_double_finds_the_names_that_it_replaces(double: str, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INSTALL, double, kind], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_double_is_installed_above() -> None:
    assert {double for double, _ in USES} == DOUBLES.keys()
