"""Every measurement of ``bench/`` runs; what it measures is no test's business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.__main__ import MEASUREMENTS
from bench.polling import poll_script

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "--rounds=1 --calls=2 --ansible-rounds=0 --servers=3 --interval=1 --intervals=1 "
    "--endurance-calls=20 --faults=0 --deaths=1"
)


def test_every_measurement_prints_its_table_in_a_tiny_size() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *MEASUREMENTS, *TINY.split()],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
    )
    tables = [block for block in done.stdout.split("\n\n") if "\n---" in block]
    assert len(tables) == len(MEASUREMENTS), done.stdout + done.stderr
    assert all("reached" in table or "MISSED" in table for table in tables), done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    # 1 says that a number was missed, which is no wonder at this size.
    assert done.returncode in {0, 1}


def test_the_poll_fits_into_what_run_ps_can_send() -> None:
    script = poll_script([40000, 40001])
    assert len(script) < 3000
    assert script.isascii()
