"""`Archive`: making and opening one."""

from __future__ import annotations

import pytest

from ezarchive import Archive
from ezarchive.errors import ArchiveExistsError, ConfigError, InputError, NotAnArchiveError


def test_create_and_open(tmp_path):
    (tmp_path / "tree").mkdir()
    with Archive.create(tmp_path / "home", roots={"scidata": tmp_path / "tree"}) as made:
        assert made.home == tmp_path / "home"
        assert "scidata=" in repr(made)
    with Archive.open(tmp_path / "home", write=False) as opened:
        assert opened.settings == made.settings
        assert not opened.database.write


@pytest.mark.parametrize(
    ("roots", "message"),
    [
        (["/tmp"], "must be a mapping of names to paths"),
        ({"a": "nowhere"}, "root 'a': .*nowhere is not a folder"),
        ({"a": {"path": ".", "kind": "sky"}}, "root 'a'.*kind"),
        ({"a": {"path": ".", "layot": ""}}, "did you mean 'layout'"),
        ({"a": {"path": ".", "layout": "{nigt}"}}, "root 'a'.*nigt"),
        ({"a": ".", "b": "."}, "root 'b': .* is root 'a' already"),
        ({"a/b": "."}, "must be a plain word"),
    ],
)
def test_wrong_roots_make_nothing(tmp_path, monkeypatch, roots, message):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    with pytest.raises(ConfigError, match=message):
        Archive.create(tmp_path / "home", roots=roots)
    assert not (tmp_path / "home").exists()


def test_wrong_homes(tmp_path):
    (tmp_path / "tree").mkdir()
    with pytest.raises(InputError, match="home=3: must be the path of a folder"):
        Archive.open(3)
    with pytest.raises(NotAnArchiveError, match=r"holds no ezarchive\.toml"):
        Archive.open(tmp_path)
    with pytest.raises(ConfigError, match="never writes inside a data root"):
        Archive.create(tmp_path / "tree" / "home", roots={"a": tmp_path / "tree"})
    Archive.create(tmp_path / "home", roots={}).close()
    with pytest.raises(ArchiveExistsError, match="holds an archive already"):
        Archive.create(tmp_path / "home", roots={})


def test_a_wrong_variable_of_the_environment_is_named(tmp_path, monkeypatch):
    Archive.create(tmp_path / "home", roots={}).close()
    monkeypatch.setenv("EZARCHIVE__INDEX__BATCH_SIZE", "x")
    with pytest.raises(ConfigError, match="EZARCHIVE__INDEX__BATCH_SIZE: setting 'index.batch_size'"):
        Archive.open(tmp_path / "home")


def test_a_password_is_not_shown(tmp_path, monkeypatch):
    Archive.create(tmp_path / "home", roots={}).close()
    with Archive.open(tmp_path / "home") as archive:
        assert "sqlite" not in repr(archive.settings)
