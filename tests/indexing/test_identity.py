"""What the archive takes for the same frame: any sequence of changes in a tree against a simple model."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import trees
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ezarchive.index import index

PATHS = [f"{folder}/{name}.fits" for folder in ("one/a", "one/b", "two") for name in ("x", "y")]
CONTENTS = [(header, pixels) for header in (1, 2) for pixels in (1, 2, 3)]
place, content = st.sampled_from(PATHS), st.sampled_from(CONTENTS)
CHANGES = st.one_of(
    st.tuples(st.just("create"), place, content),
    st.tuples(st.sampled_from(["copy", "copy with time", "move", "swap"]), place, place),
    st.tuples(st.just("edit"), place, st.sampled_from([1, 2, 3])),
    st.tuples(st.sampled_from(["delete", "touch"]), place),
    st.tuples(st.just("rename folder"), st.sampled_from([("one/a", "one/b"), ("one/b", "two")])),
    st.tuples(st.just("index")),
    st.tuples(st.sampled_from(["index", "tick"])),
)

ONE_TICK = [
    ("create", "one/a/x.fits", (1, 1)),
    ("create", "one/a/y.fits", (1, 1)),
    ("create", "one/a/x.fits", (1, 1)),
    ("touch", "two/x.fits"),
    ("rename folder", ("one/a", "one/b")),
    ("index",),
    ("create", "one/b/x.fits", (2, 2)),
    ("copy with time", "two/x.fits", "one/b/y.fits"),
    ("delete", "one/a/x.fits"),
    ("copy with time", "two/x.fits", "one/b/x.fits"),
    ("index",),
    ("rename folder", ("one/a", "one/b")),
    ("touch", "one/a/x.fits"),
]
"""Two files of one time and size, then one copied with its time over the other: path, size, time and inode stay, the content does not."""


class Model:
    """A tree, what lies in it, and what the rows of the archive must say.

    Files get their times from a clock of the model, so that one sequence of changes is always the same: whatever is written between two
    ticks has one time, as it has by the clock of a file system. `distinguish` keeps the one premise that the indexer builds on.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.clock = trees.OLD + 1
        self.disk: dict[str, tuple[int, int]] = {}
        self.rows: dict[str, tuple[int, int]] = {}
        self.ids: dict[tuple[int, int], int] = {}
        for root in ("one", "two"):
            # So that no root is ever empty, which is an error of its own.
            trees.write(top / root / "keep.fits", 7, pixels=ord(root[0]))
            self.disk[f"{root}/keep.fits"] = (7, ord(root[0]))
        for path, held in zip(PATHS[::2], CONTENTS, strict=False):
            self._put(path, held)
        self.archive = trees.archive_of(top / "home", one=top / "one", two=top / "two", index={"batch_size": 3})

    def change(self, what: str, *args) -> None:
        if what == "index":
            self.index()
        elif what == "tick":
            self.clock += 1
        elif what == "create":
            self._put(args[0], args[1])
        elif args[0] not in self.disk and what != "rename folder":
            return
        elif what == "edit":
            self._edit(args[0], args[1])
        elif what == "delete":
            (self.top / args[0]).unlink()
            del self.disk[args[0]]
        elif what == "touch":
            trees.age(self.top / args[0], self.clock)
        elif what == "rename folder":
            self._rename(*args[0])
        elif args[0] != args[1]:
            self._transfer(what, *args)

    def _put(self, path: str, held: tuple[int, int]) -> None:
        trees.age(trees.write(self.top / path, held[0], pixels=held[1]), self.clock)
        self.disk[path] = held

    def _edit(self, path: str, pixels: int) -> None:
        """Change the pixels in place: inode and size stay."""
        held = (self.disk[path][0], pixels)
        trees.write(self.top / "new.tmp", held[0], pixels=pixels, old=False)
        with (self.top / path).open("r+b") as stream:
            stream.write((self.top / "new.tmp").read_bytes())
        trees.age(self.top / path, self.clock)
        self.disk[path] = held

    def _rename(self, old: str, new: str) -> None:
        for path in [path for path in self.disk if path.startswith(old + "/") and not path.endswith("keep.fits")]:
            self._transfer("move", path, new + path[len(old) :])

    def _transfer(self, what: str, source: str, target: str) -> None:
        a, b = self.top / source, self.top / target
        b.parent.mkdir(parents=True, exist_ok=True)
        if what == "swap":
            if target in self.disk:
                a.rename(self.top / "swap.tmp")
                b.rename(a)
                (self.top / "swap.tmp").rename(b)
                self.disk[source], self.disk[target] = self.disk[target], self.disk[source]
            return
        self.disk[target] = self.disk[source]
        if what == "move":
            a.replace(b)
            del self.disk[source]
        else:
            shutil.copy2(a, b)
            if what == "copy":
                trees.age(b, self.clock)

    def distinguish(self) -> None:
        """Give another time to what has other content than its row although path, size, time and inode are the row's.

        The indexer promises to read no such file; `test_content_changed_behind_the_signature_is_found_by_verify_and_reread` has the rest.
        """
        query = "SELECT r.name, relpath, size, mtime_ns, inode FROM file JOIN root r USING (root_id)"
        for root, relpath, *signature in trees.rows(self.archive, query):
            path = f"{root}/{bytes(relpath).decode()}"
            if path in self.disk and self.disk[path] != self.rows[path] and signature == _signature(self.top / path):
                self.clock += 1
                trees.age(self.top / path, self.clock)

    def index(self) -> None:
        self.distinguish()
        known = set(self.ids)
        report = index(self.archive)
        total = (report.new, report.changed, report.moved, report.duplicate, report.returned, report.unchanged)
        assert sum(total) == len(self.disk)
        assert (report.waiting, report.quarantined) == (0, 0)
        self.check(report, known)

    def check(self, report, known) -> None:
        """Compare with the rows; then they are what is known."""
        query = "SELECT r.name, relpath, state, frame_id FROM file JOIN root r USING (root_id) LEFT JOIN frame_file USING (file_id)"
        found = {f"{root}/{bytes(path).decode()}": (state, frame_id) for root, path, state, frame_id in trees.rows(self.archive, query)}
        there = {path: frame_id for path, (state, frame_id) in found.items() if state == "ok"}
        assert there.keys() == self.disk.keys()
        for path, held in self.disk.items():
            assert self.ids.setdefault(held, there[path]) == there[path], f"{path} must hold the frame of {held}"
        assert len(set(self.ids.values())) == len(self.ids)
        assert report.frames == len(set(self.ids) - known)
        self.check_missing({path: frame_id for path, (state, frame_id) in found.items() if state == "missing"})
        available = {frame_id for (frame_id,) in trees.rows(self.archive, "SELECT frame_id FROM frame WHERE file_id IS NOT NULL")}
        assert available == {self.ids[held] for held in self.disk.values()}
        assert trees.rows(self.archive, "SELECT sum(n) FROM rollup") == [(len(available),)]
        by_id = {frame_id: held for held, frame_id in self.ids.items()}
        self.rows = {path: by_id[frame_id] for path, (_, frame_id) in found.items()}

    def check_missing(self, missing: dict[str, int]) -> None:
        """Of the rows whose path has gone, as many are left as their content did not turn up in new places."""
        gone = Counter(held for path, held in self.rows.items() if path not in self.disk)
        turned_up = Counter(held for path, held in self.disk.items() if self.rows.get(path) != held)
        assert Counter(missing.values()) == {self.ids[held]: n for held, n in (gone - turned_up).items()}


def _signature(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


@pytest.mark.slow
@pytest.mark.timeout(120)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example(changes=ONE_TICK)
@given(changes=st.lists(CHANGES, min_size=3, max_size=25))
def test_any_sequence_of_changes(changes):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(sys.modules["ezarchive.index"], "PAGE", 2)
        model = Model(Path(folder))
        try:
            model.index()
            for change in changes:
                model.change(*change)
            model.index()
            model.index()
        finally:
            model.archive.database.dispose()
