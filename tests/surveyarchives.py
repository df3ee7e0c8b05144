"""An archive of a simulated survey without pixels: frames in the database, catalogs on the disk, the truth beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ezarchive import Archive, sky
from ezarchive.catalogs.parquet import write_catalog
from ezarchive.catalogs.paths import catalog_path
from ezarchive.database import ingest, runs
from ezarchive.frames.record import Frame
from ezarchive.simulate.variables import SurveyPlan, VariableSurvey

APERTURES = (5.0, 7.0)
WIDER = 0.05  # mag more light in the larger aperture


def survey_archive(home: Path, survey: VariableSurvey, *, exptime: Any = None, header: Any = None, bunit: str = "ADU") -> Archive:
    """Make an archive of every frame of a survey; fluxes are of an exposure.

    Parameters
    ----------
    home : path
    survey : VariableSurvey
    exptime : sequence of float, optional
        Of each frame, if not that of the survey.
    header : mapping of row -> mapping, optional
        More fields of the records of some frames, as a zero point.
    bunit : str
        As of the frames' headers.
    """
    root = home.parent / f"{home.name}-data"
    root.mkdir(parents=True)
    archive = Archive.create(home, roots={"scidata": root})
    records = [_record(survey, row, exptime, bunit, (header or {}).get(row, {})) for row in range(len(survey))]
    with archive.database.begin() as conn:
        number = ingest.upsert_root(conn, "scidata", str(root), "science")
        rows = [(f"f{k:04d}.fits".encode(), 1000, 10**18, k + 1, "ok") for k in range(len(records))]
        files = ingest.upsert_files(conn, number, rows)
        ids = ingest.insert_frames(conn, records)
        ingest.link(conn, [(frame_id, file_id, 0) for frame_id, file_id in zip(ids, files, strict=True)])
        ingest.refresh(conn, ids)
        run_id = runs.open_run(conn, runs.get_recipe(conn, "sex", {"simulated": True}, list(APERTURES)), {}).run_id
        made = [_catalog(archive.home, run_id, frame_id, survey, row, records[row][0]) for row, frame_id in enumerate(ids)]
        runs.add_catalogs(conn, made)
        runs.close_run(conn, run_id)
    return archive


def plan(**options: Any) -> SurveyPlan:
    """Return a field of bright stars behind changing clouds."""
    values = {"n_constant": 120, "variables": {"sine": 5, "rrlyrae": 5}, "n_nights": 12, "per_night": 1, "cloud": 0.4, "depth": 18.0}
    return SurveyPlan(**{**values, "radius": 0.3, **options})


def _record(survey: VariableSurvey, row: int, exptime: Any, bunit: str, more: dict[str, Any]) -> tuple[Frame, np.ndarray, None]:
    facts, centre = survey.frames[row], survey.plan.centre
    mjd, seconds = float(facts["mjd_mid"].value), float(survey.plan.exptime if exptime is None else exptime[row])
    side = 0.4
    x = side / np.cos(np.radians(centre[1]))
    outline = np.array([[centre[0] + dx * x, centre[1] + dy * side] for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    values = {
        "observatory": "7DT", "telkey": "7DT_C361K_HIGH_1x1", "objname": "F0001", "telname": str(facts["telname"]),
        "filter": str(facts["filter"]), "kind": "science", "object_raw": "F0001", "night": str(facts["night"]), "mjd_start": mjd,
        "mjd_mid": mjd, "mjd_end": mjd, "exptime": seconds, "ncombine": 1, "naxis1": 4000, "naxis2": 4000, "wcs_ok": True, "ra": centre[0],
        "dec": centre[1], "radius": 0.57, "s_region": sky.s_region(outline), "pixel_scale": 0.7, "gain": 1.0, "bunit": bunit,
        "seeing": 2.5, "quality": 0, "header_hash": f"h{row}", "data_sample": f"d{row}", "origin": {}, **more,
    }  # fmt: skip
    return Frame(**values), sky.cells_of_polygon(outline), None


def _catalog(home: Path, run_id: int, frame_id: int, survey: VariableSurvey, row: int, record: Frame) -> runs.NewCatalog:
    found, seconds = survey.measure([row]), record.exptime
    n = len(found.star)
    noise = 10 ** (-0.4 * (found.limit[0] - survey.frames["zero_point"].value[row])) / 5
    table = {
        "_healpix_29": sky.cell_of(found.ra, found.dec, 29), "NUMBER": np.arange(1, n + 1, dtype=np.int32), "ALPHA_J2000": found.ra,
        "DELTA_J2000": found.dec, "FLAGS": np.zeros(n, np.int16),
    }  # fmt: skip
    for suffix, factor in (("", 1.0), ("_1", 10 ** (0.4 * WIDER))):
        table |= {f"FLUX_APER{suffix}": found.flux * seconds * factor, f"FLUXERR_APER{suffix}": found.flux_err * seconds * factor}
        table |= {f"SKYSIG_APER{suffix}": np.full(n, noise * seconds * factor), f"FLAGS_APER{suffix}": np.zeros(n, np.int16)}
    names = {name: getattr(record, name) for name in ("observatory", "telkey", "objname", "telname", "filter")}
    path = str(catalog_path(run_id, frame_id, names=names, relpath=f"f{row:04d}.fits"))
    link = {"frame_id": frame_id, "run_id": run_id, "telname": names["telname"], "filter": names["filter"], "mjd_mid": record.mjd_mid}
    written = write_catalog(home / path, table, link={**link, "exptime": seconds}, provenance={}, durable=False)
    return runs.NewCatalog(frame_id, run_id, "sex", path, written.rows, written.sha256, 2.5, None, None, APERTURES)
