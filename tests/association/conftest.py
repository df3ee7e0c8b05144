"""An archive of a few catalogs."""

from __future__ import annotations

from pathlib import Path

import pytest
from surveys import Survey


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    """An archive without a frame."""
    return Survey(tmp_path / "home")
