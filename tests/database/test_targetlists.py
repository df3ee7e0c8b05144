"""Lists of targets, on both engines."""

from __future__ import annotations

from ezarchive.database import targetlists
from ezarchive.database.targetlists import TargetList

ONE = TargetList("ab", "supernovae", "targets/ab.parquet", 3, "01")


def test_a_list_is_kept_once_and_found_by_its_hash(database):
    with database.begin() as conn:
        targetlists.add(conn, ONE)
        targetlists.add(conn, TargetList("cd", None, "targets/cd.parquet", 10**10, "02"))
        targetlists.add(conn, ONE._replace(name="variables"))
    with database.connect() as conn:
        assert targetlists.find(conn, "ab") == ONE._replace(name="variables")
        assert targetlists.find(conn, "ef") is None
        assert [item.hash for item in targetlists.every(conn)] == ["ab", "cd"]
