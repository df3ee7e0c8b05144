"""The benchmark runs, on a frame small enough for a test; its numbers are not judged here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_sex.py"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_table_and_agreement():
    command = [sys.executable, str(SCRIPT), "--rows", "600", "--columns", "800", "--stars", "300", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    assert re.search(r"^ezarchive sex +\d", done.stdout, re.MULTILINE)
    if shutil.which("source-extractor") is None:
        assert "source-extractor is not installed" in done.stdout
        return
    assert re.search(r"^source-extractor +\d", done.stdout, re.MULTILINE)
    share = re.search(r"([\d.]+)% of theirs within 0.5 px", done.stdout)
    assert float(share[1]) > 99
    assert float(re.search(r"FLUX_AUTO (\S+),", done.stdout)[1]) < 1e-5
