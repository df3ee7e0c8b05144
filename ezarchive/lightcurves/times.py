"""BJD_TDB and HJD of a light curve, from where its frames were taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ezarchive.catalogs.curvetable import LightCurveTable, set_column
from ezarchive.database import queries
from ezarchive.database.sites import known_sites
from ezarchive.frames.cards import Cards
from ezarchive.frames.instruments import Instruments
from ezarchive.plots.common import numbers
from ezarchive.timeseries.scales import Site, bjd_tdb, hjd_utc, site_list

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ezarchive.archive import Archive
    from ezarchive.frames.record import Frame

_KEYWORDS = (
    ("SITELONG", "SITELAT", "SITEELEV"),
    ("OBSGEO-L", "OBSGEO-B", "OBSGEO-H"),
    ("ESO TEL GEOLON", "ESO TEL GEOLAT", "ESO TEL GEOELEV"),
    ("GEOLON", "GEOLAT", "GEOELEV"),
)
"""Cards of east longitude, latitude and elevation; LONGITUD is left out, for it is west as often as east."""


def add_times(archive: Archive, table: LightCurveTable, ra: float, dec: float, *, bjd: bool, heliocentric: bool) -> None:
    """Add ``bjd_tdb`` and ``hjd_utc`` to a light curve, after ``mjd_mid``.

    Parameters
    ----------
    archive : Archive
    table : LightCurveTable
        It gets the columns, and a note of observatories whose place is not known: their times are of the centre of the Earth.
    ra, dec : float
        Of the source, ICRS degrees.
    bjd, heliocentric : bool
        Which.
    """
    mjd = numbers(table["mjd_mid"])
    observatories, sites = sites_of(archive, [int(number) for number in table["frame_id"]])
    places, unknown = site_list(observatories, sites)
    made = (
        (bjd, "bjd_tdb", bjd_tdb, "middle of the exposure, BJD_TDB"),
        (heliocentric, "hjd_utc", hjd_utc, "middle of the exposure, heliocentric JD in UTC"),
    )
    for wanted, name, function, description in made[::-1]:
        if wanted:
            set_column(table, name, function(mjd, ra, dec, places), "d", description)
            column = table[name]
            table.remove_column(name)
            table.add_column(column, name=name, index=table.colnames.index("mjd_mid") + 1)
            table[name].info.format = ".6f"
    if unknown:
        how = "[sites.NAME] in ezarchive.toml tells where it stands"
        note = f"(BJD and HJD as from the centre of the Earth, up to 21 ms off, for observatory {', '.join(unknown)}: {how})"
        table.meta["notes"] = (*table.meta.get("notes", ()), note)


def sites_of(archive: Archive, frame_ids: Sequence[int]) -> tuple[list[str | None], dict[str, Site]]:
    """Return the observatory of each frame, and where these stand as far as settings, database or headers tell."""
    with archive.database.connect() as conn:
        frames = {frame.frame_id: frame for frame in queries.frames_by_id(conn, sorted(set(frame_ids)))}
        observatories = [frames[number].observatory if number in frames else None for number in frame_ids]
        sites = {name: Site(*place) for name, place in known_sites(conn).items()}
        sites |= {name: Site(site.longitude, site.latitude, site.elevation) for name, site in archive.settings.sites.items()}
        told = {name.casefold() for name in sites}
        for name, frame in _one_each(frames.values()).items():
            found = None if name.casefold() in told else _of_header(archive, conn, frame)
            if found is not None:
                sites[name] = found
    return observatories, sites


def _one_each(frames: Iterable[Frame]) -> dict[str, Frame]:
    found: dict[str, Frame] = {}
    for frame in frames:
        if frame.observatory is not None:
            found.setdefault(frame.observatory, frame)
    return found


def _of_header(archive: Archive, conn: Connection, frame: Frame) -> Site | None:
    """Return the site by the header of a frame, else by what is known of its camera."""
    raw = queries.header_cards(conn, frame.frame_id)
    if raw is None:
        return None
    cards = Cards(raw)
    names = {name: getattr(frame, name) for name in ("observatory", "telkey", "telname", "filter", "objname")}
    camera = Instruments.load(archive.settings.instruments).identify(cards, names)
    if camera.space:
        return None
    facts = [camera.fact(name) for name in ("longitude", "latitude", "elevation")]
    return _site_of_cards(cards) or _site(*(None if fact is None else float(fact[0]) for fact in facts))


def _site_of_cards(cards: Mapping[str, object]) -> Site | None:
    for keywords in _KEYWORDS:
        found = _site(*(cards.number(keyword) if keyword in cards else None for keyword in keywords))
        if found is not None:
            return found
    return None


def _site(longitude: float | None, latitude: float | None, elevation: float | None) -> Site | None:
    if longitude is None or latitude is None or not (abs(longitude) <= 360 and abs(latitude) <= 90):
        return None
    return Site(longitude, latitude, elevation if elevation is not None and np.isfinite(elevation) else 0.0)
