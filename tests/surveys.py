"""Archives of many epochs, made fast: rows and catalogs are written as they are, no image is measured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from ezarchive import Archive, sky
from ezarchive.catalogs.parquet import write_catalog
from ezarchive.database import ingest, models, runs
from ezarchive.frames.record import Frame

APERTURES = (5.0, 7.0)
ZERO_POINT = 25.0
MJD = 60900.1


class Survey:
    """Frames and catalogs that tests add one by one; every catalog is the current one of its frame until it is hidden."""

    def __init__(self, home: Path, **settings: Any) -> None:
        root = home.with_name(home.name + "-data")
        root.mkdir(parents=True)
        self.archive = Archive.create(home, roots={"scidata": root}, **settings)
        self.home = home
        with self.archive.database.begin() as conn:
            self.root = ingest.upsert_root(conn, "scidata", str(root), "science")
            self.recipes = {method: runs.get_recipe(conn, method, {}, list(APERTURES)) for method in ("sex", "circular")}
        self.runs: dict[tuple[str, int], int] = {}
        self.frames: list[int] = []

    def run(self, method: str = "sex", number: int = 0) -> int:
        """Return a run of a method; another number, another run."""
        if (method, number) not in self.runs:
            with self.archive.database.begin() as conn:
                self.runs[method, number] = runs.open_run(conn, self.recipes[method], {"test": str(number)}).run_id
        return self.runs[method, number]

    def frame(self, ra: float, dec: float, mjd: float, *, filter: str = "r", zero_point: float | None = ZERO_POINT, **facts: Any) -> int:
        """Add a frame; return its id."""
        number = len(self.frames)
        night = str(np.datetime64("1858-11-17") + int(np.floor(mjd - 0.3)))
        values = {
            "telname": "T1", "filter": filter, "objname": "F", "night": night, "mjd_start": mjd, "mjd_mid": mjd, "mjd_end": mjd,
            "exptime": 100.0, "naxis1": 100, "naxis2": 100, "wcs_ok": True, "ra": ra, "dec": dec, "radius": 0.5, "bunit": "adu",
            "zero_point": zero_point, "zero_point_err": 0.003, "zero_point_aperture": 5.0, "zero_point_system": "AB",
        }  # fmt: skip
        frame = Frame(kind="science", header_hash=f"{number:064x}", **(values | facts))
        with self.archive.database.begin() as conn:
            ids = ingest.insert_frames(conn, [(frame, [], None)])
            files = ingest.upsert_files(conn, self.root, [(os.fsencode(f"f{number:05d}.fits"), 2880, 10**18, number, "ok")])
            ingest.link(conn, [(ids[0], files[0], 0)])
            ingest.refresh(conn, ids)
        self.frames.append(ids[0])
        return ids[0]

    def catalog(
        self, frame_id: int, ra: Any, dec: Any, flux: Any, *, flux_err: float = 10.0, method: str = "sex", run: int = 0,
        targets: Sequence[str] | None = None, apertures: Sequence[float] = APERTURES,
    ) -> int:  # fmt: skip
        """Write a catalog of a frame and make it the current one; NaN positions are those of a frame without a WCS. Return its id."""
        table, order = _table(np.asarray(ra, float), np.asarray(dec, float), np.asarray(flux, float), flux_err, len(apertures), targets)
        run_id = self.run(method, run)
        path = f"catalogs/{run_id}/{frame_id}.parquet"
        link = {"frame_id": frame_id, "run_id": run_id}
        written = write_catalog(self.home / path, table, link=link, provenance={"apertures": list(apertures)}, durable=False)
        with self.archive.database.begin() as conn:
            return runs.add_catalog(
                conn, frame_id, run_id, method=method, path=path, n_rows=written.rows, sha256=written.sha256, apertures=tuple(apertures)
            )

    def hide(self) -> list[dict[str, Any]]:
        """Take all catalogs away from light curves; return what `show` gives back."""
        with self.archive.database.begin() as conn:
            rows = [dict(row) for row in conn.execute(sa.select(models.current_run).order_by(models.current_run.c.catalog_id)).mappings()]
            conn.execute(sa.delete(models.current_run))
        return rows

    def show(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Give catalogs back."""
        show(self.archive, rows)


def show(archive: Archive, rows: Sequence[Mapping[str, Any]]) -> None:
    """Give catalogs that were hidden back to light curves."""
    if rows:
        with archive.database.begin() as conn:
            conn.execute(sa.insert(models.current_run), [dict(row) for row in rows])


def _table(
    ra: np.ndarray, dec: np.ndarray, flux: np.ndarray, flux_err: float, n_apertures: int, targets: Sequence[str] | None
) -> tuple[dict[str, Any], np.ndarray]:
    placed = np.isfinite(ra)
    cells = np.full(len(ra), -1, np.int64)
    cells[placed] = sky.cell_of(ra[placed], dec[placed], 29)
    order = np.argsort(cells, kind="stable")
    table: dict[str, Any] = {
        "_healpix_29": np.ma.array(cells, mask=~placed)[order], "NUMBER": np.arange(1, len(ra) + 1, dtype=np.int32),
        "ALPHA_J2000": ra[order], "DELTA_J2000": dec[order],
    }  # fmt: skip
    if targets is None:
        table["FLAGS"] = np.zeros(len(ra), np.int16)
    else:
        table["target_id"] = np.array(list(targets), object)[order]
    for place in range(n_apertures):
        end = f"_{place}" if place else ""
        table["FLUX_APER" + end] = flux[order] * 100 * (1 + 0.1 * place)
        table["FLUXERR_APER" + end] = np.full(len(ra), flux_err)
        table["SKYSIG_APER" + end] = np.full(len(ra), flux_err / 2)
        table["FLAGS_APER" + end] = np.zeros(len(ra), np.int16)
    return table, order


def stars(rng: np.random.Generator, n: int, ra: float = 150.0, dec: float = 20.0, half: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Return places in a square."""
    return (ra + rng.uniform(-half, half, n) / np.cos(np.radians(dec))) % 360, dec + rng.uniform(-half, half, n)


def epochs(
    survey: Survey, rng: np.random.Generator, n_epochs: int, n_stars: int, *, per_night: int = 2, scatter: float = 0.1, missed: float = 0.1,
    ra: float = 150.0, dec: float = 20.0, half: float = 0.1,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Add frames of one field, of which each has most of the stars; return the true places."""
    true_ra, true_dec = stars(rng, n_stars, ra, dec, half)
    flux = 10 ** rng.uniform(1.5, 3.5, n_stars)
    for epoch in range(n_epochs):
        frame_id = survey.frame(ra, dec, MJD + epoch // per_night + 0.01 * (epoch % per_night), filter="rg"[epoch % 2])
        seen = rng.random(n_stars) > missed
        a, d = jittered(rng, true_ra[seen], true_dec[seen], scatter)
        survey.catalog(frame_id, a, d, flux[seen] * (1 + 0.01 * rng.standard_normal(seen.sum())))
    return true_ra, true_dec


def jittered(rng: np.random.Generator, ra: np.ndarray, dec: np.ndarray, scatter: float) -> tuple[np.ndarray, np.ndarray]:
    """Return places with a scatter in arcsec along each axis."""
    step = rng.normal(0, scatter / 3600, (2, len(ra)))
    return (ra + step[0] / np.cos(np.radians(dec))) % 360, np.clip(dec + step[1], -90, 90)
