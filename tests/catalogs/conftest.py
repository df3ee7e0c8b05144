"""A small archive's tables and catalogs, without a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from ezarchive import columns
from ezarchive.catalogs.parquet import write_catalog
from ezarchive.catalogs.sql import Engine

RA, DEC = 325.66, -77.3
ELLIPSE = 0.0
"""As a diameter: the flux is that of an ellipse."""


class Archive:
    """Frames and catalogs that tests add one by one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.frames: list[dict[str, Any]] = []
        self.catalogs: list[dict[str, Any]] = []
        self.zero_points: list[dict[str, Any]] = []

    def add(
        self,
        frame: Mapping[str, Any],
        fluxes: Mapping[float, np.ndarray],
        *,
        ra: np.ndarray | None = None,
        dec: np.ndarray | None = None,
        method: str = "sex",
        drop: tuple[str, ...] = (),
        sky_sigma: float | None = None,
        targets: Sequence[str] | None = None,
        **catalog: Any,
    ) -> dict[str, Any]:
        """Add a frame with one catalog; `fluxes` by diameter, in the order of the suffixes, or of `ELLIPSE`."""
        frame_id = frame.get("frame_id", len(self.frames) + 1)
        if not any(known["frame_id"] == frame_id for known in self.frames):
            self.frames.append({"frame_id": frame_id, "ra": RA, "dec": DEC, "radius": 0.7, "path": f"/data/{frame_id}.fits", **frame})
        run_id = catalog.pop("run_id", 1)
        n = len(next(iter(fluxes.values())))
        table = QTable()
        table["_healpix_29"] = np.arange(n, dtype=np.int64)
        table["NUMBER"] = np.arange(1, n + 1, dtype=np.int32)
        table["ALPHA_J2000"] = (np.full(n, RA) if ra is None else np.asarray(ra, float)) * u.deg
        table["DELTA_J2000"] = (np.full(n, DEC) if dec is None else np.asarray(dec, float)) * u.deg
        table["FLAGS"] = np.zeros(n, dtype=np.int16)
        if targets is not None:
            table["target_id"] = list(targets)
            table.remove_column("FLAGS")
        for place, (diameter, flux) in enumerate(fluxes.items()):
            measure = "ELIP" if diameter == ELLIPSE else "APER" + columns.suffix(place)
            table[f"FLUX_{measure}"] = np.asarray(flux, float) * u.ct
            table[f"FLUXERR_{measure}"] = np.full(n, 10.0) * u.ct
            if sky_sigma is not None:
                table[f"SKYSIG_{measure}"] = np.full(n, sky_sigma) * u.ct
            if targets is not None:
                table[f"FLAGS_{measure}"] = np.full(n, 64, dtype=np.int16)
        table.remove_columns(drop)
        link = {"frame_id": frame_id, "run_id": run_id}
        link |= {name: frame.get(name) for name in ("telname", "filter", "mjd_mid", "exptime")}
        path = f"catalogs/{run_id}/{frame_id}.parquet"
        apertures = [float(diameter) for diameter in fluxes if diameter != ELLIPSE]
        written = write_catalog(self.home / path, table, link=link, provenance={"apertures": apertures})
        row = {"catalog_id": len(self.catalogs) + 100, "frame_id": frame_id, "run_id": run_id, "method": method, "path": path}
        row |= {"n_rows": n, "sha256": written.sha256, "apertures": apertures, **catalog}
        self.catalogs.append(row)
        return row

    def calibrate(self, frame_id: int, aperture: float | None, value: float, **facts: Any) -> None:
        """Add a zero point of a frame; None: of AUTO."""
        row = {"frame_id": frame_id, "aperture": aperture, "measure": "AUTO" if aperture is None else "APER", "value": value, "run_id": 9}
        row |= {"method": "sex", "error": 0.01, "system": "AB", "ab_offset": 0.0}
        self.zero_points.append(row | facts)

    def engine(self, **options: Any) -> Engine:
        frames, catalogs, zero_points = self.tables()
        return Engine(frames, catalogs, self.home, zero_points=zero_points, **options)

    def tables(self) -> list[dict[str, list[Any]]]:
        """Return frames, catalogs and zero points."""
        return [_columns(rows) for rows in (self.frames, self.catalogs, self.zero_points)]


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)
