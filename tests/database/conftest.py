"""The databases of `tests/engines.py`, for every test of this room."""

from __future__ import annotations

import os

import engines
import numpy as np
import pytest
import sqlalchemy as sa

from ezarchive import sky
from ezarchive.database import ingest, queries
from ezarchive.database.session import Database
from ezarchive.frames.record import Frame

postgresql_server, postgresql_url, empty_postgresql_url = engines.postgresql_server, engines.postgresql_url, engines.empty_postgresql_url
sqlite_url, url, empty_url, database = engines.sqlite_url, engines.url, engines.empty_url, engines.database


class World:
    """A small archive whose rows are made by hand; one root of science, one of calibration."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.frames: dict[int, Frame] = {}
        self.paths: dict[int, str] = {}
        with database.begin() as conn:
            self.roots = {
                "scidata": ingest.upsert_root(conn, "scidata", "/data/sci", "science"),
                "calib": ingest.upsert_root(conn, "calib", "/data/calib", "calibration"),
            }

    def add(self, *frames: Frame, root: str = "scidata", names: list[str | bytes] | None = None, state: str = "ok") -> list[int]:
        """Add frames, each in a file of its own; remember what was added."""
        if names is None:
            names = [f"f{len(self.frames) + place:04d}.fits" for place in range(len(frames))]
        root_id = self.roots[root]
        with self.database.begin() as conn:
            rows = [(os.fsencode(name), 2880, 10**18, place, state) for place, name in enumerate(names)]
            file_ids = ingest.upsert_files(conn, root_id, rows)
            ids = ingest.insert_frames(conn, [(frame, cells_of(frame), None) for frame in frames])
            ingest.link(conn, [(frame_id, file_id, 0) for frame_id, file_id in zip(ids, file_ids, strict=True)])
            ingest.refresh(conn, ids)
        self.frames |= dict(zip(ids, frames, strict=True))
        self.paths |= {frame_id: os.fsdecode(name) for frame_id, name in zip(ids, names, strict=True)}
        return ids

    def search(self, **conditions) -> list[Frame]:
        """Return what `queries.search` finds."""
        with self.database.connect() as conn:
            return queries.search(conn, queries.FrameQuery(**conditions))

    def ids(self, **conditions) -> list[int]:
        """Return the ids of what `queries.search` finds, in its order."""
        return [frame.frame_id for frame in self.search(**conditions)]

    def rows(self, statement: str) -> list[tuple]:
        """Return the rows of a plain statement."""
        with self.database.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(statement))]


def cells_of(frame: Frame):
    """Return the cells of a frame's footprint."""
    return [] if frame.s_region is None else sky.cells_of_polygon(sky.parse_region(frame.s_region))


def square(ra: float, dec: float, half: float = 0.5, angle: float = 0.0, *, mirrored: bool = False) -> dict:
    """Return the fields of a square footprint around a position: half its side in degrees, its rotation, its winding."""
    x = np.radians([-half, half, half, -half])
    y = np.radians([-half, -half, half, half])
    a, d, r = np.radians([angle, dec, ra])
    x, y = x * np.cos(a) - y * np.sin(a), x * np.sin(a) + y * np.cos(a)
    below = np.cos(d) - y * np.sin(d)
    up = np.arctan2(np.sin(d) + y * np.cos(d), np.hypot(below, x))
    corners = np.degrees(np.stack([(r + np.arctan2(x, below)) % (2 * np.pi), up], axis=1))
    if mirrored:
        corners = corners[::-1]
    return {"ra": ra, "dec": dec, "radius": half * 1.42, "s_region": sky.s_region(corners), "wcs_ok": True}


@pytest.fixture
def world(database) -> World:
    """An empty `World`, on each engine."""
    return World(database)


@pytest.fixture
def footprint():
    """The function `square`."""
    return square
