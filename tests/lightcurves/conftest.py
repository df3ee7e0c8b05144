"""A small archive that is indexed and measured."""

from __future__ import annotations

import pytest

from ezarchive import Archive, simulate


@pytest.fixture(scope="package")
def toy(tmp_path_factory):
    """Three epochs of one field in two filters, with truth."""
    folder = tmp_path_factory.mktemp("curves")
    return simulate.toy_archive(
        folder, shape=(220, 240), targets=simulate.TARGETS[:1], telescopes=("7DT01",), filters=("m600", "m625"), n_epochs=3, lacking=0.0
    )


@pytest.fixture(scope="package")
def measured(toy, tmp_path_factory):
    """It as an archive whose frames are measured."""
    home = tmp_path_factory.mktemp("curves_home") / "home"
    with Archive.create(home, roots={"scidata": toy.scidata}) as opened:
        opened.index(progress=False)
        opened.measure(workers=1, progress=False)
        yield opened
