"""The databases of `tests/engines.py`, for every test of this room."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def _engines():
    spec = importlib.util.spec_from_file_location("engines", Path(__file__).parents[1] / "engines.py")
    if "engines" not in sys.modules:
        sys.modules["engines"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["engines"])
    return sys.modules["engines"]


engines = _engines()
postgresql_server, postgresql_url, empty_postgresql_url = engines.postgresql_server, engines.postgresql_url, engines.empty_postgresql_url
sqlite_url, url, empty_url, database = engines.sqlite_url, engines.url, engines.empty_url, engines.database
