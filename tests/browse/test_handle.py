"""A light hold on an archive."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest

from ezarchive import config
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.errors import InputError, NotAnArchiveError


@pytest.fixture
def home(tmp_path):
    config.create(tmp_path / "home", config.Settings(name="small"))
    return tmp_path / "home"


def test_of_a_path(home):
    handle = ArchiveHandle.of(str(home))
    assert (handle.home, handle.settings.name) == (home, "small")
    assert ArchiveHandle.of(handle) is handle


def test_of_an_archive_shares_its_database(home):
    database = object()
    handle = ArchiveHandle.of(SimpleNamespace(home=home, settings=config.load(home), database=database))
    assert handle.database is database


def test_it_travels_as_a_path(home):
    handle = ArchiveHandle.of(SimpleNamespace(home=home, settings=config.load(home), database=lambda: "not to be pickled"))
    data = pickle.dumps(handle)
    assert len(data) < 500
    again = pickle.loads(data)
    assert (again.home, again.settings) == (home, handle.settings)


def test_what_is_no_archive(tmp_path):
    with pytest.raises(NotAnArchiveError, match=r"holds no ezarchive\.toml"):
        ArchiveHandle.of(tmp_path)
    with pytest.raises(InputError, match="archive: must be an Archive or the path of its home, found int"):
        ArchiveHandle.of(3)
