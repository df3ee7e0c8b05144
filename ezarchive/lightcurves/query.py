"""`Archive.light_curve`: all that is known of a place or an object, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from astropy.table import vstack

from ezarchive import engines, flags, sky
from ezarchive.catalogs import lightcurve
from ezarchive.catalogs.curvetable import KINDS, LightCurveTable
from ezarchive.catalogs.result import QueryResult
from ezarchive.columns import DEFAULT_APERTURE
from ezarchive.database import queries, stores
from ezarchive.errors import InputError, QueryError
from ezarchive.lightcurves.limits import non_detections
from ezarchive.lightcurves.times import add_times
from ezarchive.plots.common import numbers

if TYPE_CHECKING:
    from ezarchive.archive import Archive

BAD_FLAGS = flags.value(flags.FLAGS, "SATURATED", "TRUNCATED", "APER_INCOMPLETE")
"""Bits of FLAGS without which a measurement is good."""

BAD_FLAGS_APER = flags.value(flags.FLAGS_APER, "OFF_IMAGE_PARTLY", "OFF_IMAGE", "MASKED", "NOT_FINITE", "SATURATED", "NO_SKY")
"""Bits of FLAGS_APER without which a measurement is good."""


class _Asked(NamedTuple):
    """How the measurements are chosen."""

    aperture: float
    names: dict[str, tuple[str, ...]]
    kind: str | None
    method: str | None
    run: int | None
    limits: bool


def light_curve(  # noqa: PLR0913 - the words of a user
    archive: Archive,
    position: Any,
    radius: Any = "2 arcsec",
    *,
    aperture: Any = DEFAULT_APERTURE,
    filter: str | Sequence[str] | None = None,
    telname: str | Sequence[str] | None = None,
    kind: str | None = None,
    method: str | None = None,
    run: int | None = None,
    limits: bool = False,
    quality: str | int | tuple[int, int] | None = None,
    bjd: bool = False,
    heliocentric: bool = False,
) -> LightCurveTable:
    """Return the light curve of an object, or at a position: the nearest source on every frame that covers it.

    Parameters
    ----------
    archive : Archive
    position : int, SkyCoord, (ra, dec) in degrees, or str
        An ``object_id`` (also one that became another object's), or a place, ICRS; a string as ``"21:45:00 -77:15:44"`` or
        ``"326.25 -77.26"``.
    radius : Quantity or str
        Largest separation, with its unit. Of an object all measurements come, however far; but a frame with any source within the radius
        gets no limit.
    aperture : float, Quantity or str
        Diameter; a number counts arcsec. Catalogs without such an aperture have no rows here, which ``meta["notes"]`` tells. Of no
        account for ellipses.
    filter, telname : str or sequence of str, optional
        Only these (globs allowed).
    kind : str, optional
        Only ``detection``, ``forced`` or ``limit`` (non-detections alone); with ``limits``, these and the non-detections.
    method : str, optional
        Only catalogs of this method. With ``"elliptical"`` (or a ``run`` of that method) the points are of forced ellipses, calibrated with
        the zero point of ``AUTO``, ``aperture_arcsec`` masked; else ellipses are left out, which ``meta["notes"]`` tells.
    run : int, optional
        The catalogs of this run instead of each frame's current one.
    limits : bool
        Also the frames that cover the place, were searched for sources and have no row here: ``kind`` is ``limit``, flux and magnitude are
        masked, ``mag_limit`` and ``flux_limit`` are 5-sigma limits.
    quality : str, int or (int, int), optional
        ``"good"``: no saturated, truncated or incomplete measurement, and a magnitude for detections; a number: rows with any of these bits
        of ``flags`` are left out; two numbers: bits of ``flags`` and of ``flags_aper``. A frame whose row is left out gets no limit.
    bjd, heliocentric : bool
        Add ``bjd_tdb``, or ``hjd_utc``.

    Returns
    -------
    LightCurveTable
        ``columns.LIGHT_CURVE`` with units (time, filter, telescope, flux and magnitude first), then ``separation`` (arcsec, from the
        position or the object's mean) and ``n_within`` (how many other sources of the frame lay within the radius; masked for an object);
        sorted by time. Without ``limits`` a frame without a source there has no row.

    Raises
    ------
    InputError
        If the position cannot be read, the radius has no unit or is not positive, kind or quality is none, or a switch is no bool.
    UnknownNameError
        If a filter, a telescope or a run does not exist, or there is no run of the method.
    QueryError
        If there is no such object.
    """
    good = _quality(quality)
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind={kind!r}: must be one of {', '.join(KINDS)}")
    _check_switches(limits=limits, bjd=bjd, heliocentric=heliocentric)
    names = {key: _listed(value) for key, value in (("filter", filter), ("telname", telname)) if value is not None}
    asked = _Asked(engines.arcsec("aperture", aperture), names, kind, method, run, limits or kind == "limit")
    number = _object_id(position)
    radius_deg = _radius(radius)
    if number is None:
        ra, dec = sky.parse_position(position)
        _check_names(archive, asked)
        table = near = _of_place(archive, ra, dec, radius_deg, asked)
    else:
        table, ra, dec = _of_object(archive, number, asked)
        near = _of_place(archive, ra, dec, radius_deg, asked) if asked.limits else table[:0]
    table = _with_limits(archive, table, near, (ra, dec), asked)
    table = table[good(table)]
    if bjd or heliocentric:
        add_times(archive, table, ra, dec, bjd=bjd, heliocentric=heliocentric)
    return table


def _check_switches(**switches: Any) -> None:
    for name, value in switches.items():
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{name}={value!r}: must be True or False")


def _object_id(position: Any) -> int | None:
    if isinstance(position, (int, np.integer)) and not isinstance(position, bool):
        return int(position)
    return None


def _listed(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _radius(radius: Any) -> float:
    radius_deg = sky.parse_angle(radius, "radius")
    if not 0 < radius_deg <= 1:
        raise InputError(f"radius={radius!r}: must be more than 0 and at most 1 degree")
    return radius_deg


def _of_place(archive: Archive, ra: float, dec: float, radius_deg: float, asked: _Asked) -> LightCurveTable:
    """Return the nearest source of every frame."""
    table = engines.ask(
        archive, lambda engine: lightcurve.light_curve(engine, ra, dec, radius_deg),
        aperture=asked.aperture, method=asked.method, run=asked.run,
    )  # fmt: skip
    return _named(table, asked)


def _check_names(archive: Archive, asked: _Asked) -> None:
    """Tell names that do not exist."""
    if asked.names:
        with archive.database.connect() as conn:
            queries.count(conn, queries.FrameQuery(names=asked.names, available=False, limit=1))


def _named(table: LightCurveTable, asked: _Asked) -> LightCurveTable:
    """Return the rows of the filters and telescopes that are asked for."""
    for name, patterns in asked.names.items():
        wanted = [any(fnmatchcase(str(value), pattern) for pattern in patterns) for value in table[name]]
        table = table[np.array(wanted, bool)]
    return table


def _of_object(archive: Archive, number: int, asked: _Asked) -> tuple[LightCurveTable, float, float]:
    """Return the measurements of an object, and where it is."""
    _check_names(archive, asked)
    number, ra, dec = _object(archive, number)
    options = {"aperture": asked.aperture, "method": asked.method, "run": asked.run}
    found = archive.sql(lightcurve.OBJECT_QUERY, {"object_id": number, "ra": ra, "dec": dec}, **options)
    table = lightcurve.as_curve(found, ra, dec, asked.aperture)
    table.meta["object_id"] = number
    return _named(table, asked), ra, dec


def _object(archive: Archive, number: int) -> tuple[int, float, float]:
    """Return the object behind an id, which may be that of an object which became another, and its mean place."""
    found = _place_of(archive, number)
    if found is None:
        (now,) = _columns(archive.sql("SELECT object_id FROM aliases WHERE old_id = ?", [number]))
        found = _place_of(archive, now[0]) if now else None
    if found is None and not _has_objects(archive):
        raise QueryError(f"object {number}: this archive has no objects; `ezarchive associate` makes them")
    if found is None:
        raise QueryError(f"object {number}: there is no such object; SELECT object_id FROM cone(ra, dec, radius) tells those of a place")
    return found


def _has_objects(archive: Archive) -> bool:
    with archive.database.connect() as conn:
        return stores.current(conn) is not None


def _place_of(archive: Archive, number: int) -> tuple[int, float, float] | None:
    ra, dec = _columns(archive.sql("SELECT ra, dec FROM objects WHERE object_id = ?", [number]))
    return (number, float(ra[0]), float(dec[0])) if ra else None


def _columns(result: QueryResult) -> list[list[Any]]:
    return [column.to_pylist() for column in result.to_arrow().columns]


def _with_limits(
    archive: Archive, table: LightCurveTable, near: LightCurveTable, place: tuple[float, float], asked: _Asked
) -> LightCurveTable:
    """Add the non-detections, and leave what is of the kind that is asked for; a frame with a source `near` the place has none."""
    forced_too = asked.kind != "detection"
    seen = {
        int(number) for rows in (table, near) for number, kind in zip(rows["frame_id"], rows["kind"], strict=True)
        if forced_too or kind == "detection"
    }  # fmt: skip
    if asked.kind is not None:
        table = table[np.asarray(table["kind"]) == asked.kind]
    if not asked.limits:
        return table
    missed = non_detections(archive, *place, seen, aperture=asked.aperture, names=asked.names, method=asked.method, run=asked.run)
    if "object_id" in table.meta:
        place_of_id = missed.column_names.index("object_id")
        missed = missed.set_column(place_of_id, "object_id", pa.array([table.meta["object_id"]] * len(missed), pa.int64()))
    return _together(table, missed) if len(missed) else table


def _together(table: LightCurveTable, missed: pa.Table) -> LightCurveTable:
    """Return rows and limits in time."""
    extra = pa.table({"separation": pa.nulls(len(missed), pa.float64()), "n_within": pa.nulls(len(missed), pa.int64())})
    for name in extra.column_names:
        missed = missed.append_column(name, extra[name])
    rows = lightcurve.arranged(QueryResult(missed))
    meta = dict(table.meta)
    made = vstack([table, rows], metadata_conflicts="silent") if len(table) else rows
    made.meta.clear()
    made.meta.update(meta)
    lightcurve.describe(made)
    times = numbers(made["mjd_mid"])
    return made[np.lexsort((np.asarray(made["frame_id"]), times))]


def _quality(quality: str | int | tuple[int, int] | None) -> Any:
    """Return what tells the good rows of a table."""
    if quality is None:
        return lambda table: np.ones(len(table), bool)
    if isinstance(quality, str) and quality == "good":
        return lambda table: _clean(table, BAD_FLAGS, BAD_FLAGS_APER) & _has_magnitude(table)
    if isinstance(quality, (int, np.integer)) and not isinstance(quality, bool):
        quality = (quality, 0)
    pair = isinstance(quality, tuple) and len(quality) == 2
    if not pair or any(isinstance(bits, bool) or not isinstance(bits, (int, np.integer)) or bits < 0 for bits in quality):
        raise InputError(f"quality={quality!r}: must be 'good', bits of flags, or two numbers: bits of flags and of flags_aper")
    return lambda table: _clean(table, *quality)


def _clean(table: LightCurveTable, bad: int, bad_aper: int) -> np.ndarray:
    good = np.ones(len(table), bool)
    for name, bits in (("flags", bad), ("flags_aper", bad_aper)):
        column = table[name]
        values = np.where(getattr(column, "mask", False), 0, np.ma.getdata(column)).astype(np.int64)
        good &= (values & bits) == 0
    return good


def _has_magnitude(table: LightCurveTable) -> np.ndarray:
    """Tell the rows that are no detections without a magnitude, calibrated or not."""
    return (np.asarray(table["kind"]) != "detection") | np.isfinite(numbers(table["mag_inst"]))
