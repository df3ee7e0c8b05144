"""Non-detections: the frames that were measured and show nothing at a place, and how faint it could have been there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.catalogs import depths
from ezarchive.catalogs.metadata import ARROW_TYPES
from ezarchive.catalogs.views import FORCED_METHODS
from ezarchive.columns import DEFAULT_APERTURE, LIGHT_CURVE
from ezarchive.database import queries, tables, zeropoints
from ezarchive.database.recipes import parameters_of_runs
from ezarchive.frames.record import Frame

if TYPE_CHECKING:
    from ezarchive.archive import Archive

SCHEMA = pa.schema([(column.name, ARROW_TYPES[column.dtype]) for column in LIGHT_CURVE])
"""Of `non_detections`: that of the view ``light_curve``."""

_FRAME_COLUMNS = (
    "frame_id", "telname", "filter", "mjd_mid", "exptime", "night", "ra", "dec", "radius", "bunit", "zero_point", "zero_point_err",
    "zero_point_aperture", "zero_point_system", "depth", "depth_aperture", "seeing", "pixel_scale",
)  # fmt: skip
_POINT = 1e-9


def non_detections(
    archive: Archive,
    ra: float,
    dec: float,
    detected: Iterable[int] = (),
    *,
    aperture: float = DEFAULT_APERTURE,
    names: Mapping[str, Sequence[str]] | None = None,
    method: str | None = None,
    run: int | None = None,
) -> pa.Table:
    """Return the frames that cover a place, were searched for sources, and show none there.

    Parameters
    ----------
    archive : Archive
    ra, dec : float
        ICRS, degrees.
    detected : iterable of int
        ``frame_id`` of the frames with a measurement of the object; they are left out.
    aperture : float
        Diameter in arcsec that the limits are for.
    names : mapping, optional
        ``filter``, ``telname``: only these (globs allowed).
    method : str, optional
        Only frames that were searched by this method of detection.
    run : int, optional
        The catalogs of this run instead of each frame's current one.

    Returns
    -------
    pyarrow.Table
        `SCHEMA`, one row a frame, by ``mjd_mid``: ``kind`` is ``limit``, ``ra`` and ``dec`` the place, ``flux_limit`` and ``mag_limit``
        (NULL unless calibrated) limits in the aperture, fluxes and magnitudes NULL.

    Raises
    ------
    UnknownNameError
        If an exact name in ``names`` does not exist.

    Notes
    -----
    The limit is the frame's: that of the zero point which `calibrate` found, else the catalog's or the header's depth in that aperture;
    where none of them is known, five times the noise of the sky in the aperture of the 50 sources nearest to the place. Where the threshold
    of the search was so high that a star of 5 sigma in the aperture would not have been found (`depths.search_factor`), the limit is the
    brightness from which it would, about every second time at the limit itself. Both are of point sources.

    A frame on whose edge the aperture would lie is left out, and so is one that was never searched for sources, or only measured at given
    positions: nobody looked. Of several catalogs of a frame the newest that has a limit counts.
    """
    wanted = {name: tuple(values) for name, values in (names or {}).items()}
    cone = (float(ra) % 360, float(dec), _POINT)
    query = queries.FrameQuery(names=wanted, kinds=("science",), cone=cone, point=True, available=False)
    known = {int(frame_id) for frame_id in detected}
    with archive.database.connect() as conn:
        frames = [frame for frame in queries.search(conn, query) if frame.frame_id not in known]
        frame_ids = [frame.frame_id for frame in _well_inside(frames, ra, dec, aperture / 7200)]
        if not frame_ids:
            return SCHEMA.empty_table()
        about = tables.frames_table(conn, frame_ids=frame_ids, columns=_FRAME_COLUMNS, replaced=run is not None)
        catalogs = tables.catalogs_table(conn, frame_ids=frame_ids, method=method, run_id=run)
        zero_points = zeropoints.zero_points_table(conn, frame_ids=frame_ids)
        recipes = parameters_of_runs(conn, pc.unique(catalogs["run_id"]).to_pylist())
    searched = catalogs.filter(pc.invert(pc.is_in(catalogs["method"], pa.array(FORCED_METHODS))))
    links = depths.depths(about, searched, zero_points, aperture)
    factors = _search_factors(links, searched, about, recipes)
    return _rows(_one_a_frame(depths.with_limits(links, archive.home, ra, dec, factors)), ra, dec)


def _search_factors(
    links: pa.Table, catalogs: pa.Table, frames: pa.Table, recipes: Mapping[int, tuple[str, Mapping[str, Any]]]
) -> NDArray[np.float64]:
    """Return what `depths.search_factor` says of each catalog, NaN where the recipe, the seeing or the scale is not known."""
    scales = {frame_id: (scale, seeing) for frame_id, scale, seeing in _tuples(frames, "frame_id", "pixel_scale", "seeing")}
    seeings = dict(_tuples(catalogs, "catalog_id", "seeing"))
    rows = []
    for catalog_id, frame_id, run_id, diameter in _tuples(links, "catalog_id", "frame_id", "run_id", "aperture"):
        scale, of_frame = scales[frame_id]
        method, options = recipes.get(run_id, ("", {}))
        seeing = seeings[catalog_id] or of_frame
        fwhm, size = (np.nan, np.nan) if not (scale and seeing) else (seeing / scale, diameter / scale)
        threshold, area = (options.get(name) or np.nan for name in ("detection_sigma", "detect_minarea"))
        rows.append((threshold, area, fwhm, size, method == "sex" and bool(options.get("convolve", True))))
    if not rows:
        return np.zeros(0)
    threshold, area, fwhm, size, smoothed = (np.array(column, float) for column in zip(*rows, strict=True))
    return depths.search_factor(threshold, area, fwhm, size, smoothed=smoothed > 0)


def _tuples(table: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _well_inside(frames: Sequence[Frame], ra: float, dec: float, margin: float) -> list[Frame]:
    """Return the frames whose edges are farther from a place than a margin, degrees."""
    distances = sky.edge_distances([sky.parse_region(frame.s_region) for frame in frames], ra, dec)
    return [frame for frame, distance in zip(frames, distances, strict=True) if distance > margin]


def _one_a_frame(links: pa.Table) -> pa.Table:
    """Return one catalog of each frame: the newest with a limit in magnitudes, else in flux, else the newest."""
    links = links.append_column("known", pc.add(_number(links["mag_limit"]), _number(links["flux_limit"])))
    keys = [("frame_id", "ascending"), ("known", "descending"), ("run_id", "descending"), ("catalog_id", "descending")]
    links = links.take(pc.sort_indices(links, sort_keys=keys))
    _, first = np.unique(links["frame_id"].to_numpy(), return_index=True)
    return links.take(pa.array(first))


def _number(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(pc.is_valid(column), pa.int8())


def _rows(links: pa.Table, ra: float, dec: float) -> pa.Table:
    n = len(links)
    values = {
        **{name: links[name] for name in ("frame_id", "run_id", "catalog_id", "telname", "filter", "mjd_mid", "exptime", "night")},
        **{name: links[name] for name in ("mag_limit", "flux_limit", "zero_point", "zero_point_err")},
        "aperture_arcsec": links["aperture"],
        "ra": pa.array(np.full(n, float(ra) % 360)),
        "dec": pa.array(np.full(n, float(dec))),
        "kind": pa.array(["limit"] * n, pa.string()),
    }
    arrays = [values[field.name].cast(field.type) if field.name in values else pa.nulls(n, field.type) for field in SCHEMA]
    made = pa.table(arrays, schema=SCHEMA)
    return made.take(pc.sort_indices(made, sort_keys=[("mjd_mid", "ascending"), ("frame_id", "ascending")]))
