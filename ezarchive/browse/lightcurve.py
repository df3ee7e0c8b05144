"""`LightCurve`: one source through the catalogs of a set, as the tutorial's package asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable
from astropy.utils.masked import Masked

from ezarchive import plots, sky
from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import CatalogSet
from ezarchive.browse.places import positions
from ezarchive.catalogs.depths import search_factor
from ezarchive.columns import suffix
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.plots.common import numbers
from ezarchive.screen import display, help_text, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = ("AUTO", *(f"APER{suffix(place)}" for place in range(5)))
"""Measurements whose magnitudes `extract_source_info` takes by default."""

COLOUR_KEYS = ("filter", "telname", "observatory")

_FACTS = ("filter", "exptime", "obsdate", "seeing", "depth", "observatory", "telname")
_MORE = ("objname", "method", "frame_id", "run_id", "path", "target_img")
_UNITS = {"exptime": u.s, "seeing": u.arcsec, "depth": u.mag}
_NEAREST = 50
_LEAST_AREA = 5
_JD = 2400000.5


class LightCurve:
    """The light curves of sources in a set of catalogs; every call looks anew, so that each source is its own.

    Parameters
    ----------
    catalogset : CatalogSet or iterable of Catalog or path
        Its selected catalogs; nothing in it is changed.
    """

    def __init__(self, catalogset: CatalogSet | Iterable[Catalog]) -> None:
        self.catalogset = catalogset if isinstance(catalogset, CatalogSet) else CatalogSet(catalogset)

    def __len__(self) -> int:
        return len(self.catalogset)

    def __repr__(self) -> str:
        return f"<LightCurve of {len(self)} catalogs>"

    def help(self) -> None:
        """Print the public methods with their signatures."""
        say(help_text(type(self)))

    def extract_source_info(
        self,
        ra: Any,
        dec: Any = None,
        flux_keys: str | Sequence[str] | None = None,
        fluxerr_keys: str | Sequence[str] | None = None,
        matching_radius_arcsec: Any = 5,
    ) -> QTable:
        """Return what each catalog says of the source nearest to a position.

        Parameters
        ----------
        ra, dec : float
            ICRS degrees; `ra` alone may be a SkyCoord or a sexagesimal text.
        flux_keys : str or sequence of str, optional
            Columns; by default MAGSKY_AUTO, MAGSKY_APER, MAGSKY_APER_1 ... _4, as far as any catalog has them (MAG_... where none is
            calibrated).
        fluxerr_keys : str or sequence of str, optional
            The error of each; by default MAGERR_... of the same measurement, or FLUXERR_... of a flux.
        matching_radius_arcsec : float, Quantity or str
            Largest distance.

        Returns
        -------
        QTable
            One row a catalog, by time: ``status`` (``detected``, ``not detected``, ``outside``: the frame does not cover the place),
            ``separation``, ``ra``, ``dec``, ``coord`` (of the source, else of the position), ``filter exptime obsdate mjd jd`` (of the
            middle of the exposure, UTC) ``seeing depth observatory telname``, ``zp_err`` (of the first key), then each key with its own
            error, its own zero point's error ``ZPERR_...`` and, for magnitudes, the limit there ``LIMIT_...`` (5 sigma, or the brightness
            from which the search finds a star where that is brighter); then the rest of the facts. Values of sources that are not there
            are masked.

        Raises
        ------
        InputError
            If the position is none or more than one, the radius is none, or there are not as many errors as keys.
        UnknownNameError
            If no catalog has a column of a name.
        """
        place = _one_place(ra, dec)
        keys, errors = self._keys(flux_keys, fluxerr_keys)
        rows = [_Row(item, place, matching_radius_arcsec) for item in self.catalogset]
        rows.sort(key=lambda row: (np.isnan(row.mjd), row.mjd))
        table = _facts(rows, place)
        for key, error in zip(keys, errors, strict=True):
            measure = _measure(key)
            names = [key, *([error] if error is not None else []), f"ZPERR_{measure}"]
            for name in (name for name in names if name not in table.colnames):
                table[name] = _values([row.value(name) for row in rows], _unit(rows, name))
            if key.startswith("MAG"):
                table[f"LIMIT_{measure}"] = _values([row.limit(key) for row in rows], u.mag)
                table[f"LIMIT_{measure}"].info.description = "limit around the place, else of the frame, where nothing was found"
        first = f"ZPERR_{_measure(keys[0])}"
        table["zp_err"] = table[first].copy()
        table["zp_err"].info.description = f"error of the zero point of {keys[0]}"
        order = [*_ORDER, "zp_err", *(name for name in table.colnames if name not in (*_ORDER, "zp_err", *_MORE)), *_MORE]
        table = table[order]
        table.meta.update(ra=place[0] * u.deg, dec=place[1] * u.deg)
        return table

    def plot(
        self,
        ra: Any,
        dec: Any = None,
        matching_radius_arcsec: Any = 5,
        flux_key: str = "MAGSKY_AUTO",
        fluxerr_key: str | None = None,
        color_key: str = "filter",
        apply_filter_offsets: bool = True,
        **options: Any,
    ) -> tuple[Figure, Axes, QTable]:
        """Draw the light curve of the source nearest to a position.

        Parameters
        ----------
        ra, dec, matching_radius_arcsec
            As of `extract_source_info`.
        flux_key : str
            A column of magnitudes.
        fluxerr_key : str, optional
            Its error; by default MAGERR_... of the same measurement, with ZPERR_... in quadrature.
        color_key : {"filter", "telname", "observatory"}
            What the colours stand for.
        apply_filter_offsets : bool
            Whether the curves of different filters are moved apart; the legend tells by how much.
        **options
            Of `ezarchive.plots.light_curve`.

        Returns
        -------
        figure, axes, table
            Brighter is up; open triangles are limits of frames that cover the place and do not show the source. The table is
            that of `extract_source_info`.

        Raises
        ------
        InputError, UnknownNameError
            As `extract_source_info`; or if the key is no magnitude, or the colour none of these.
        """
        if color_key not in COLOUR_KEYS:
            raise InputError(f"color_key={color_key!r}: must be one of {', '.join(COLOUR_KEYS)}")
        if not isinstance(flux_key, str) or not flux_key.startswith("MAG"):
            raise InputError(f"flux_key={flux_key!r}: must be a column of magnitudes, as MAGSKY_AUTO")
        table = self.extract_source_info(ra, dec, flux_key, fluxerr_key, matching_radius_arcsec)
        curve = _curve(table, flux_key, fluxerr_key, color_key)
        title = options.pop("title", f"{flux_key} at {table.meta['ra'].value:.6f}, {table.meta['dec'].value:.6f}")
        figure = plots.light_curve(
            curve, y="mag", title=title, colour_by="filter" if color_key == "filter" else "telname",
            offsets="auto" if apply_filter_offsets and len(curve) else None, **options,
        )  # fmt: skip
        display(figure)
        return figure, figure.axes[0], table

    def _keys(self, flux_keys: str | Sequence[str] | None, fluxerr_keys: str | Sequence[str] | None) -> tuple[list[str], list[str | None]]:
        there = dict.fromkeys(name for item in self.catalogset for name in item.data.colnames)
        if flux_keys is None:
            stem = "MAGSKY" if any(name.startswith("MAGSKY_") for name in there) else "MAG"
            keys = [f"{stem}_{measure}" for measure in MEASURES if f"{stem}_{measure}" in there] or [f"{stem}_AUTO"]
        else:
            keys = [flux_keys] if isinstance(flux_keys, str) else list(flux_keys)
        if not keys:
            raise InputError("flux_keys: must name a column at least")
        if fluxerr_keys is None:
            errors = [_error_of(key) if _error_of(key) in there else None for key in keys]
        else:
            errors = [fluxerr_keys] if isinstance(fluxerr_keys, str) else list(fluxerr_keys)
        if len(errors) != len(keys):
            raise InputError(f"fluxerr_keys: must be one for each of the {len(keys)} flux_keys, found {len(errors)}")
        for name in (*keys, *(error for error in errors if error is not None)):
            if there and name not in there:
                raise UnknownNameError("column", name, there)
        return keys, errors


_ORDER = ("status", "separation", "ra", "dec", "coord", "filter", "exptime", "obsdate", "mjd", "jd", *_FACTS[3:])


class _Row:
    """The source of one catalog."""

    def __init__(self, item: Catalog, place: tuple[float, float], radius: Any) -> None:
        self.item, self.info, self.place = item, item.info, place
        found = item._near(*place, "coord", radius, nearest=True) if len(item.data) else item.data
        self.source = found[0] if len(found) else None
        frame = item.frame
        middle = item._stored.get("mjd_mid") if frame is None else frame.mjd_mid
        self.mjd = np.nan if middle is None else float(middle)

    @property
    def status(self) -> str:
        if self.source is not None:
            return "detected"
        frame = self.item.frame
        if frame is None or frame.s_region is None:
            return "not detected"
        covers = sky.polygon_contains(sky.parse_region(frame.s_region), [self.place[0]], [self.place[1]])[0]
        return "not detected" if covers else "outside"

    def value(self, name: str) -> float:
        """Return a number of the source, NaN where there is none."""
        if self.source is None or name not in self.source.colnames:
            return np.nan
        value = self.source[name]
        if np.any(getattr(value, "mask", False)) or value is np.ma.masked:
            return np.nan
        return float(getattr(getattr(value, "unmasked", value), "value", value))

    def limit(self, key: str) -> float:
        """Return the limit at the place: by the noise in the nearest sources, else the frame's; no fainter than what the search finds."""
        if self.status != "not detected":
            return np.nan
        table, stem = self.item.data, "UL5SKY" if key.startswith("MAGSKY") else "UL5"
        name = f"{stem}_{_measure(key)}"
        name = name if name in table.colnames else f"{stem}_APER"
        found = np.nan
        if name in table.colnames and "ALPHA_J2000" in table.colnames:
            values = numbers(table[name])
            away = sky.separation(numbers(table["ALPHA_J2000"]), numbers(table["DELTA_J2000"]), *self.place)
            good = np.flatnonzero(np.isfinite(values) & np.isfinite(away))
            if good.size:
                found = float(np.median(values[good[np.argsort(away[good], kind="stable")[:_NEAREST]]]))
        depth = self.info["depth"]
        if np.isnan(found) and depth is not None and key.startswith("MAGSKY"):
            found = float(depth)
        return found - 2.5 * np.log10(np.fmax(self._search_factor(_place_of(name)), 1.0))

    def _search_factor(self, place: int) -> float:
        """Return how much brighter than 5 sigma in an aperture a star must be to be found; NaN where the search is not known."""
        item, table, frame = self.item, self.item.data, self.item.frame
        scale = None if frame is None else frame.pixel_scale
        diameter = item.apertures[place] if place < len(item.apertures) else None
        if not scale or not diameter or not self.info["seeing"] or "DETECT_THRESH" not in table.colnames or not len(table):
            return np.nan
        asked = item._stored.get("parameters") or {}
        threshold = float(np.nanmedian(numbers(table["DETECT_THRESH"])))
        smoothed = item.method == "sex" and bool(asked.get("convolve", True))
        area = asked.get("detect_minarea") or _LEAST_AREA
        return float(search_factor(threshold, area, self.info["seeing"] / scale, diameter / scale, smoothed=smoothed))


def _place_of(name: str) -> int:
    """Return the place of the aperture in a column's name."""
    tail = name.rpartition("_")[2]
    return int(tail) if tail.isdigit() else 0


def _one_place(ra: Any, dec: Any) -> tuple[float, float]:
    first, second = positions(ra, dec, "coord")
    if len(first) != 1 or len(second) != 1:
        raise InputError(f"ra, dec: must be one position, found {max(len(first), len(second))}")
    return sky.parse_position((float(first[0]), float(second[0])), "ra, dec")


def _measure(key: str) -> str:
    """Return the measurement of a column: ``APER_1`` of ``MAGSKY_APER_1``."""
    return key.partition("_")[2]


def _error_of(key: str) -> str:
    return f"{'MAGERR' if key.startswith('MAG') else 'FLUXERR'}_{_measure(key)}"


def _facts(rows: Sequence[_Row], place: tuple[float, float]) -> QTable:
    table = QTable()
    table["status"] = Column([row.status for row in rows], dtype="U12")
    table["separation"] = _values([row.value("separation") for row in rows], u.arcsec)
    there = np.array([row.source is not None for row in rows], bool)
    for name, column, asked in (("ra", "ALPHA_J2000", place[0]), ("dec", "DELTA_J2000", place[1])):
        table[name] = u.Quantity(np.where(there, [row.value(column) for row in rows], asked), u.deg)
    table["coord"] = SkyCoord(table["ra"], table["dec"])
    mjd = np.array([row.mjd for row in rows], float)
    table["mjd"], table["jd"] = _values(mjd, u.d), _values(mjd + _JD, u.d)
    table["mjd"].info.description = table["jd"].info.description = "middle of the exposure, UTC"
    for name in (*_FACTS, *_MORE):
        values = [row.info[name] for row in rows]
        if name in _UNITS:
            table[name] = _values([np.nan if value is None else value for value in values], _UNITS[name])
        elif name in ("frame_id", "run_id"):
            table[name] = MaskedColumn([value or 0 for value in values], mask=[value is None for value in values], dtype=np.int64)
        else:
            texts = ["" if value is None else str(value) for value in values]
            table[name] = MaskedColumn(texts, mask=[value is None for value in values], dtype="U" if texts else "U1")
    return table


def _values(values: Sequence[float] | np.ndarray, unit: Any) -> Any:
    array = np.asarray(values, float)
    missing = np.isnan(array)
    if unit is None:
        return MaskedColumn(array, mask=missing)
    return Masked(u.Quantity(array, unit), mask=missing)


def _unit(rows: Sequence[_Row], name: str) -> Any:
    if name.startswith("ZPERR"):
        return u.mag
    columns = (row.item.data[name] for row in rows if name in row.item.data.colnames)
    return next((column.unit for column in columns if getattr(column, "unit", None) is not None), None)


def _curve(table: QTable, key: str, error: str | None, color_key: str) -> QTable:
    """Return what is drawn, in the columns of a light curve."""
    table = table[np.asarray(table["status"]) != "outside"]
    measure = _measure(key)
    plain = error or _error_of(key)
    err = numbers(table[plain]) if plain in table.colnames else np.full(len(table), np.nan)
    if error is None:
        err = np.hypot(err, np.nan_to_num(numbers(table[f"ZPERR_{measure}"])))
    found = np.asarray(table["status"]) == "detected"
    return QTable({
        "mjd_mid": numbers(table["mjd"]), "mag": numbers(table[key]), "mag_err": err, "mag_limit": numbers(table[f"LIMIT_{measure}"]),
        "filter": _texts(table, "filter"), "telname": _texts(table, "observatory" if color_key == "observatory" else "telname"),
        "kind": np.where(found, "detection", "limit"),
    })  # fmt: skip


def _texts(table: QTable, name: str) -> np.ndarray:
    return np.asarray(table[name].filled("") if hasattr(table[name], "filled") else table[name], dtype=str)
