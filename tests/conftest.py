"""Fixtures of the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Return the folder of real frames: `EZARCHIVE_TEST_DATA`, or `../shared/data` beside the repository."""
    return Path(os.environ.get("EZARCHIVE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real frames; tests that need it are skipped where it is absent."""
    folder = data_folder()
    if not (folder / "decam").is_dir():
        pytest.skip("no real frames: set EZARCHIVE_TEST_DATA to their folder")
    return folder


def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped for want of the real frames."""
    wanting = [r for r in terminalreporter.stats.get("skipped", ()) if "EZARCHIVE_TEST_DATA" in str(r.longrepr)]
    terminalreporter.write_line(f"{len(wanting)} tests skipped for want of the real frames ({data_folder().name})")
