"""The benchmark runs, on frames small enough for a test; its numbers are not judged here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_photometry.py"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_tables(tmp_path):
    size = ["--rows", "600", "--columns", "800", "--frames", "2", "--rounds", "1", "--workers", "2", "--files", "2"]
    command = [sys.executable, str(SCRIPT), *size, "--scenes", "sparse", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ezarchive +[\d.]+ frames/min", done.stdout, re.MULTILINE)
    assert re.search(r"most anonymous memory of a process [1-9]\d+ MB", done.stdout)
    for name in ("ezarchive", "mesh", "source mask", "subtraction", "2000 positions", "1 on 2 frames"):
        assert re.search(rf"^{name} +\d", done.stdout, re.MULTILINE), name
    if shutil.which("source-extractor") is not None:
        assert re.search(r"^source-extractor +[\d.]+ frames/min", done.stdout, re.MULTILINE)
