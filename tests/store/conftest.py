"""Compile the loops of the grouping before the first test's clock runs."""

from __future__ import annotations

import pytest
from skies import warm_up


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compile them where there is a test to come."""
    if session.items and not session.config.option.collectonly:
        warm_up()
