"""Means of a light curve over nights or other bins, filter by filter."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ezarchive import magnitudes
from ezarchive.columns import LIGHT_CURVE
from ezarchive.plots.common import numbers
from ezarchive.timeseries import binning

Floats = NDArray[np.float64]
Columns = dict[str, tuple[Any, str | None, str]]
"""Name -> values, unit, meaning."""

_SPECS = {column.name: column for column in LIGHT_CURVE}
_TIMES = {"mjd_mid": "middle of the bin's measurements, MJD UTC", "bjd_tdb": "the same, BJD_TDB", "hjd_utc": "the same, HJD_UTC"}


class Calibrated(NamedTuple):
    """Fluxes in units of magnitude 0, with their errors: what magnitudes are averaged in."""

    flux: Floats
    error: Floats
    limit: Floats


def texts(table: Table, name: str) -> NDArray[np.str_]:
    """Return a column of text, empty where it is missing."""
    if name not in table.colnames:
        return np.full(len(table), "")
    column = table[name]
    plain = np.asarray(getattr(column, "unmasked", np.ma.getdata(column))).astype(str)
    return np.where(np.broadcast_to(getattr(column, "mask", False), plain.shape), "", plain)


def of(table: Table, name: str) -> Floats:
    """Return a column as floats, NaN where it is missing or there is no such column."""
    return numbers(table[name]) if name in table.colnames else np.full(len(table), np.nan)


def calibrated(table: Table) -> Calibrated:
    """Return the fluxes of a light curve in units of magnitude 0; NaN where a row is not calibrated.

    Notes
    -----
    The magnitude of one count per second is mag - mag_inst where the flux is positive, else mag_limit + 2.5 log10 flux_limit, which differ
    from it by nothing: both are of one zero point.
    """
    per_second = of(table, "mag") - of(table, "mag_inst")
    limits = of(table, "mag_limit"), of(table, "flux_limit")
    by_limit = limits[0] - magnitudes.flux_to_mag(limits[1])
    by_exposure = of(table, "zero_point") - 2.5 * np.log10(np.where(of(table, "exptime") > 0, of(table, "exptime"), np.nan))
    for other in (by_limit, by_exposure):
        per_second = np.where(np.isfinite(per_second), per_second, other)
    scale = 10 ** (-per_second / 2.5)
    return Calibrated(of(table, "flux") * scale, of(table, "flux_err") * scale, limits[1] * scale)


def binned(table: Table, by: Any) -> Columns:
    """Return the means of bins.

    Parameters
    ----------
    table : Table
        A light curve.
    by : {"night"} or float
        Night, or days.

    Returns
    -------
    dict
        `Columns`, by time; what each holds is told by ``LightCurveTable.binned``.

    Raises
    ------
    InputError
        If the width is not positive.
    """
    mjd = of(table, "mjd_mid")
    table, mjd = table[np.isfinite(mjd)], mjd[np.isfinite(mjd)]
    night = texts(table, "night") if by == "night" else None
    number = binning.number_of_bin(mjd, 1.0 if by == "night" else float(by))
    when = number if night is None else np.where(night == "", number.astype(str), night)
    band, kind = texts(table, "filter"), texts(table, "kind")
    limit = kind == "limit"
    place = binning.bins(when, band, mjd=mjd)
    of_place = np.empty(len(mjd), np.int64)
    of_place[place.order] = np.repeat(np.arange(len(place)), place.counts)
    measured = place.sum(~limit)[of_place] > 0 if len(mjd) else np.zeros(0, bool)
    n_limits = place.sum(limit)[of_place] if len(mjd) else np.zeros(0)
    kept = ~(limit & measured)
    groups = binning.bins(when[kept], band[kept], kind[kept], mjd=mjd[kept])
    found = _means(table[kept], groups) | _limits(table[kept], groups, kind[kept])
    found["n_limits"] = groups.first(n_limits[kept]).astype(np.int32), None, "non-detections in the bin"
    order = np.lexsort((groups.first(band[kept]), found["mjd_mid"][0]))
    return {name: (values[order], unit, about) for name, (values, unit, about) in found.items()}


def _means(table: Table, groups: binning.Bins) -> Columns:
    linear = calibrated(table)
    counts = binning.average(groups, of(table, "flux"), of(table, "flux_err"))
    bright = binning.average(groups, linear.flux, linear.error)
    physical = binning.average(groups, of(table, "flux_ujy"), of(table, "flux_ujy_err"))
    is_calibrated = bright.n > 0
    best = {name: np.where(is_calibrated, getattr(bright, name), getattr(counts, name)) for name in counts._fields}
    weight = binning.weights(linear.flux, linear.error)
    weight = np.where(weight > 0, weight, binning.weights(of(table, "flux"), of(table, "flux_err")))
    values = {
        "flux": counts.value, "flux_err": counts.error,
        "mag": magnitudes.flux_to_mag(bright.value), "mag_err": magnitudes.mag_error(bright.value, bright.error),
        "snr": best["value"] / best["error"],
        "mag_inst": magnitudes.flux_to_mag(counts.value), "mag_inst_err": magnitudes.mag_error(counts.value, counts.error),
        "flux_ujy": physical.value, "flux_ujy_err": physical.error,
        "zero_point_err": _error_of_mean(groups, of(table, "zero_point_err"), weight),
        "aperture_arcsec": groups.least(of(table, "aperture_arcsec")), "exptime": groups.sum(of(table, "exptime")),
    }  # fmt: skip
    times = {name: (_mean(groups, of(table, name), weight), "d", about) for name, about in _TIMES.items() if name in table.colnames}
    names = {name: (_joined(groups, texts(table, name)), None, _SPECS[name].description) for name in ("filter", "telname", "night", "kind")}
    spans = {"mjd_first": groups.least(of(table, "mjd_mid")), "mjd_last": groups.greatest(of(table, "mjd_mid"))}
    return {
        "mjd_mid": times.pop("mjd_mid"), "filter": names.pop("filter"), "telname": names.pop("telname"),
        **{name: (column, _SPECS[name].unit, _SPECS[name].description) for name, column in values.items()},
        **names, **times,
        **{name: (column, "d", f"{name[4:]} measurement of the bin, MJD UTC") for name, column in spans.items()},
        "chi2_reduced": (best["chi2_reduced"], None, "of the bin's measurements around their mean"),
        "n": (best["n"].astype(np.int32), None, "measurements that count"),
    }  # fmt: skip


def _limits(table: Table, groups: binning.Bins, kind: NDArray[np.str_]) -> Columns:
    """Return the limits of bins: of measurements that of their mean, of non-detections the deepest."""
    only = groups.first(kind == "limit")
    columns: Columns = {}
    for name, values in (("flux_limit", of(table, "flux_limit")), ("mag_limit", calibrated(table).limit)):
        with np.errstate(divide="ignore", invalid="ignore"):
            together = 1 / np.sqrt(groups.sum(binning.weights(values, values)))
        limit = np.where(only, groups.least(values), np.where(np.isfinite(together), together, np.nan))
        limit = magnitudes.flux_to_mag(limit) if name == "mag_limit" else limit
        columns[name] = limit, _SPECS[name].unit, "5-sigma limit of the bin's mean; of non-detections alone, the deepest"
    return columns


def _mean(groups: binning.Bins, values: Floats, weight: Floats) -> Floats:
    """Return means with weights, plain ones where nothing has a weight."""
    total = groups.sum(weight)
    # Relative to the first: a Julian date has no digits to spare.
    start = groups.first(values)
    offset = np.empty(len(values))
    offset[groups.order] = values[groups.order] - np.repeat(start, groups.counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        weighted = groups.sum(weight * offset) / total
    return start + np.where(total > 0, weighted, groups.sum(offset) / groups.counts)


def _error_of_mean(groups: binning.Bins, error: Floats, weight: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(groups.sum((weight * error) ** 2)) / groups.sum(np.where(np.isfinite(error), weight, 0.0))


def _joined(groups: binning.Bins, values: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the different texts of each bin, joined by commas."""
    if not len(groups):
        return np.zeros(0, "U1")
    parts = np.split(values[groups.order], groups.starts[1:])
    return np.array([",".join(sorted({str(text) for text in part if text})) for part in parts])
