"""Small trees of FITS files, archives over them, and what a database holds apart from ids and times; for the tests of the indexer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import sqlalchemy as sa
from astropy.io import fits

from ezarchive import config
from ezarchive.database.session import Database

OLD = 1_700_000_000
"""A time of modification at which nothing grows any more."""


def cards(number: int = 0, **more: Any) -> fits.Header:
    """Return the header of an exposure; each number is another one."""
    header = fits.Header()
    values = {
        "OBJECT": f"T{number % 3:05d}",
        "TELESCOP": f"7DT{1 + number % 2:02d}",
        "FILTER": "m600" if number % 2 else "m625",
        "EXPTIME": 100.0,
        "DATE-OBS": f"2025-09-{1 + number // 1440 % 28:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00",
        "EGAIN": 0.25,
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 325.0, "CRVAL2": -77.0 + 0.01 * (number % 100),
        "CRPIX1": 6.0, "CRPIX2": 5.0, "CD1_1": -1.4e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1.4e-4,
    }  # fmt: skip
    for key, value in {**values, **more}.items():
        if value is not None:
            header[key] = value
    return header


def write(path: Path, number: int = 0, *, pixels: int | None = None, old: bool = True, **more: Any) -> Path:
    """Write a FITS file of 12x10 pixels: ``number`` gives its header and, unless ``pixels`` is given, its data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(number if pixels is None else pixels).normal(100, 5, (10, 12)).astype("f4")
    fits.PrimaryHDU(data, cards(number, **more)).writeto(path, overwrite=True)
    if old:
        age(path)
    return path


def age(path: Path, when: float = OLD) -> None:
    """Give a file a time of long ago."""
    os.utime(path, (when, when))


def archive_of(home: Path, *, url: str | None = None, index: dict[str, Any] | None = None, **roots: Any) -> SimpleNamespace:
    """Make an archive (what the verbs need of one); a root given as a path is a flat folder."""
    made = {
        name: config.root_settings(name, value if isinstance(value, dict) else {"path": value, "layout": "", "kind": "science"})
        for name, value in roots.items()
    }
    home.mkdir(parents=True, exist_ok=True)
    settings = config.Settings(roots=made, index=config.IndexSettings(**{"workers": 1, **(index or {})}))
    return SimpleNamespace(home=home, settings=settings, database=Database.create(url or f"sqlite:///{home / 'archive.db'}"))


def rows(archive: Any, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with archive.database.connect() as conn:
        return [tuple(row) for row in conn.execute(sa.text(query), values)]


def states(archive: Any) -> dict[str, str]:
    """Return the state of each file, by path."""
    return {os.fsdecode(bytes(path)): state for path, state in rows(archive, "SELECT relpath, state FROM file ORDER BY relpath")}


def frames_in(archive: Any) -> dict[str, list[int]]:
    """Return the frames of each file, by path."""
    query = "SELECT relpath, frame_id FROM frame_file JOIN file USING (file_id) ORDER BY relpath, hdu"
    found: dict[str, list[int]] = {}
    for path, frame_id in rows(archive, query):
        found.setdefault(os.fsdecode(bytes(path)), []).append(frame_id)
    return found


def quarantine(archive: Any, *, resolved: bool = False) -> list[tuple[str, str, str]]:
    """Return the entries of the quarantine: path, stage, code."""
    query = f"SELECT relpath, stage, code FROM quarantine WHERE resolved IS {'NOT' if resolved else ''} NULL ORDER BY relpath, stage"
    return [(os.fsdecode(bytes(path)), stage, code) for path, stage, code in rows(archive, query)]


DUMP = {
    "file": "SELECT r.name, f.relpath, f.size, f.mtime_ns, f.inode, f.state FROM file f JOIN root r USING (root_id)",
    "quarantine": "SELECT r.name, relpath, stage, code, message, resolved IS NULL FROM quarantine JOIN root r USING (root_id)",
    "telescope": "SELECT t.name, s.name FROM telescope t LEFT JOIN site s USING (site_id)",
    "target": "SELECT name, key FROM target",
    "filter": "SELECT name FROM filter",
    "camera": "SELECT name FROM camera",
    "rollup": """SELECT r.name, u.kind, u.night, t.name, c.name, f.name, o.name, n, exptime FROM rollup u JOIN root r USING (root_id)
        LEFT JOIN telescope t USING (telescope_id) LEFT JOIN camera c USING (camera_id) LEFT JOIN filter f USING (filter_id)
        LEFT JOIN target o USING (target_id)""",
    "meta": "SELECT key, value FROM archive_meta WHERE key <> 'changes'",
}


def dump(archive: Any) -> dict[str, list[Any]]:
    """Return all that the indexer wrote, apart from ids, times and counts of tries; frames are named by what they are."""
    found: dict[str, list[Any]] = {name: sorted(rows(archive, query), key=repr) for name, query in DUMP.items()}
    frames = "SELECT f.*, s.name, t.name, c.name, b.name, o.name FROM frame f LEFT JOIN site s USING (site_id) " \
        "LEFT JOIN telescope t USING (telescope_id) LEFT JOIN camera c USING (camera_id) LEFT JOIN filter b USING (filter_id) " \
        "LEFT JOIN target o USING (target_id)"  # fmt: skip
    with archive.database.connect() as conn:
        result = conn.execute(sa.text(frames))
        keys, listed = list(result.keys()), [tuple(row) for row in result]
    ids = ("frame_id", "parent_id", "file_id", "site_id", "telescope_id", "camera_id", "filter_id", "target_id")
    named = {row[keys.index("frame_id")]: tuple(v for k, v in zip(keys, row) if k not in ids) for row in listed}
    paths = {file_id: bytes(path) for file_id, path in rows(archive, "SELECT file_id, relpath FROM file")}
    at = {k: keys.index(k) for k in ids}
    found["frame"] = sorted(
        ((named[row[at["frame_id"]]], paths.get(row[at["file_id"]]), named.get(row[at["parent_id"]])) for row in listed), key=repr
    )
    links = rows(archive, "SELECT frame_id, file_id, hdu FROM frame_file")
    found["frame_file"] = sorted(((named[a], paths[b], hdu) for a, b, hdu in links), key=repr)
    found["frame_cell"] = sorted(((cell, named[a]) for cell, a in rows(archive, "SELECT cell, frame_id FROM frame_cell")), key=repr)
    found["frame_header"] = sorted(((named[a], bytes(c)) for a, c in rows(archive, "SELECT frame_id, cards FROM frame_header")), key=repr)
    return found


def counts(report: Any) -> dict[str, int]:
    """Return the counts of a report that are not zero."""
    return {name: value for name, value in vars(report).items() if isinstance(value, int) and value}


def first_state(one: Path, two: Path) -> None:
    """Write two trees with a bit of everything."""
    for number in range(10):
        write(one / f"n{number % 3}" / f"{number}.fits", number)
    shutil.copyfile(one / "n0/0.fits", one / "n2/copy.fits")
    write(two / "r.fits", 20)
    (one / "bad.fits").write_text("no FITS file")
    write(one / "z/sub_x.fits", 30)
    write(one / "z/lost.fits", 31)


def second_state(one: Path, two: Path) -> None:
    """Change much in them: moves, copies, losses, other content, parents that came late."""
    (one / "n0").rename(one / "m0")
    (one / "n1/1.fits").rename(two / "1.fits")
    write(one / "n1/4.fits", 44, old=False)
    (one / "z/lost.fits").unlink()
    write(one / "bad.fits", 50, old=False)
    write(one / "z/x.fits", 30, pixels=99)
    shutil.copyfile(one / "n2/2.fits", one / "n2/again.fits")
    (one / "n2/5.fits").replace(one / "n2/8.fits")
    (one / "worse.fits").write_bytes(b"")
