"""The benchmark of the comparisons runs; its table says what was met."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from astropy.table import Table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_compare.py"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_table_of_some_groups(tmp_path):
    output = tmp_path / "table.ecsv"
    command = [sys.executable, str(SCRIPT), "--quick", "--only", "kernels", "star", "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^kernels +\(\d+\.\d CPU s, \d+\.\d s wall, \d+ MB, whole process\)$", done.stdout, re.MULTILINE)
    assert re.search(r"^9 of 9 met$", done.stdout, re.MULTILINE)
    table = Table.read(output)
    assert table.colnames == ["group", "what", "asked", "measured", "met"]
    assert set(table["group"]) == {"kernels", "star"}


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_unknown_group_is_named():
    done = subprocess.run([sys.executable, str(SCRIPT), "--only", "nonsense"], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 1
    assert re.search(r"--only nonsense: must be one of clean, excluded, .*, whole", done.stderr)
