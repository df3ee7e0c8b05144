"""What the ledger writes beside rows: paths that can be printed, and parents."""

from __future__ import annotations

import pytest
import trees

from ezarchive.database import ingest
from ezarchive.errors import DatabaseError
from ezarchive.index import index
from ezarchive.indexing.ledger import Ledger, find_parent, plain


@pytest.mark.pure
@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"a b.fits", "a b.fits"),
        ("\u00fc\u2603.fits".encode(), "\u00fc\u2603.fits"),
        (b"new\nline\t.fits", "new\\nline\\t.fits"),
        (b"\xff\x1b[31m.fits", "\\xff\\x1b[31m.fits"),
        ("\u202ereversed".encode(), "\\u202ereversed"),
    ],
)
def test_plain_paths_can_be_printed(path, text):
    assert plain(path) == text


def test_the_parent_is_the_same_hdu_or_the_first_of_the_named_file(tmp_path):
    trees.write(tmp_path / "data/sub/a.fits", 1)
    trees.write(tmp_path / "data/b.fits", 2)
    archive = trees.archive_of(tmp_path / "home", scidata=tmp_path / "data")
    index(archive)
    with archive.database.begin() as conn:
        ((file_id,),) = trees.rows(archive, "SELECT file_id FROM file WHERE relpath = :path", path=b"sub/a.fits")
        ((other,),) = trees.rows(archive, "SELECT frame_id FROM frame JOIN file USING (file_id) WHERE relpath = :path", path=b"b.fits")
        ingest.link(conn, [(other, file_id, 3)])
    with archive.database.connect() as conn:
        ((first, _, _), _) = ingest.find_by_name(conn, 1, b"sub", b"a.fits")
        assert find_parent(conn, 1, b"sub", "a.fits", 99, 0) == first
        assert find_parent(conn, 1, b"sub", "a.fits", 99, 3) == other
        assert find_parent(conn, 1, b"sub", "a.fits", 99, 7) == first
        assert find_parent(conn, 1, b"sub", "a.fits", first, 0) == other
        assert find_parent(conn, 1, b"", "a.fits", 99, 0) is None
    archive.database.dispose()


def test_a_batch_that_fails_leaves_nothing(tmp_path, monkeypatch):
    trees.write(tmp_path / "data/a.fits", 1)
    archive = trees.archive_of(tmp_path / "home", scidata=tmp_path / "data")

    def full(*args):
        raise DatabaseError("database: disk full")

    monkeypatch.setattr(Ledger, "_report", full)
    with pytest.raises(DatabaseError, match="disk full"):
        index(archive)
    for table in ("file", "frame", "frame_file", "frame_cell", "rollup", "target"):
        assert trees.rows(archive, f"SELECT count(*) FROM {table}") == [(0,)]
    monkeypatch.undo()
    assert index(archive).new == 1
    archive.database.dispose()
