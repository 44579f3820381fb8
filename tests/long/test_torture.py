"""A short torture: every harm once over the command line, and nothing is lost, wrong or left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HARMS = 8


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")
def test_nothing_is_lost_wrong_or_orphaned() -> None:
    command = [sys.executable, str(ROOT / "scripts/torture.py"), "--seed", "7"]
    done = subprocess.run(
        [*command, "--minutes", "60", "--rounds", str(HARMS)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split() == ["all", str(HARMS), "0", "0", "0"]
