"""`Archive`: what it refuses before a tree is read."""

from __future__ import annotations

import pytest

from ezarchive import Archive
from ezarchive.errors import ConfigError

MESSAGE = r"root 'data': layout '\{nigt\}/\{filter\}': field 'nigt': did you mean 'night'\?"


def test_a_misspelt_field_of_a_layout_is_told_when_the_archive_is_made(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigError, match=MESSAGE):
        Archive.create(tmp_path / "home", {"data": {"path": tmp_path / "data", "layout": "{nigt}/{filter}"}})
    assert not (tmp_path / "home").exists()


def test_and_when_it_is_opened(tmp_path):
    (tmp_path / "data").mkdir()
    Archive.create(tmp_path / "home", {"data": {"path": tmp_path / "data", "layout": "{night}/{filter}"}}).close()
    settings = tmp_path / "home" / "ezarchive.toml"
    settings.write_text(settings.read_text().replace("{night}", "{nigt}"))
    with pytest.raises(ConfigError, match=MESSAGE):
        Archive.open(tmp_path / "home")
