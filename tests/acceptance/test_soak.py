"""A short soak; `make soak` takes half an hour."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.extra
def test_half_a_minute_shows_no_growth_no_warning_and_no_loss(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/soak.py", "--minutes", "0.5", "--share", "0.15", "--spare", "8"],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )

    assert (done.returncode, "FAULT" in done.stdout) == (0, False), done.stdout + done.stderr[-2000:]
