"""A small toy archive, made once."""

from __future__ import annotations

import pytest

from ezarchive import simulate


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    return simulate.toy_archive(tmp_path_factory.mktemp("toy") / "sky", shape=(240, 256), n_epochs=3, lacking=0.3)
