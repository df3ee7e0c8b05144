"""The front door: its names, and what it costs to open."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ezarchive


def test_all_is_sorted_and_every_name_is_there():
    assert ezarchive.__all__ == sorted(ezarchive.__all__)
    for name in ezarchive.__all__:
        assert getattr(ezarchive, name) is not None
        assert name in dir(ezarchive)
    assert set(ezarchive.__all__) == set(ezarchive._HOMES)


def test_the_names_of_the_design_are_there():
    assert {"Archive", "DataBrowser", "FrameSet", "ArchiveImage"} <= set(ezarchive.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'ezarchive' has no attribute 'Archiv'"):
        ezarchive.Archiv  # noqa: B018


def test_importing_costs_nothing():
    code = (
        "import sys; import ezarchive;"
        "heavy = {'numpy', 'astropy', 'pandas', 'sqlalchemy', 'pyarrow', 'matplotlib'} & set(sys.modules); print(heavy); assert not heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
