"""The period of an object of an archive: its light curve, searched, and the figure of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ezarchive import plots
from ezarchive.catalogs.curvetable import LightCurveTable
from ezarchive.errors import InputError
from ezarchive.plots.common import numbers
from ezarchive.plots.lightcurve import quantity_of
from ezarchive.timeseries.period import PeriodSearch, find_period

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ezarchive.archive import Archive

_JULIAN = 2_400_000.5


@dataclass(frozen=True)
class PeriodReport:
    """What `period` found.

    Attributes
    ----------
    search : timeseries.period.PeriodSearch
        Times are BJD (TDB) less 2400000.5, or MJD (UTC) if so asked.
    table : LightCurveTable
        The measurements that were searched.
    time : str
        Their column of times.
    y : str
        Their column of values.
    """

    search: PeriodSearch
    table: LightCurveTable
    time: str
    y: str

    @property
    def period(self) -> float:
        """Days."""
        return self.search.period

    @property
    def period_err(self) -> float:
        """Days."""
        return self.search.period_err

    def figure(self, **options: Any) -> Figure:
        """Draw the periodogram and the folded light curve; see `plots.folded` for the options."""
        return plots.folded(self.table, self.search, y=self.y, time=self.time, **options)

    def __str__(self) -> str:
        return str(self.search)


def period(
    archive: Archive,
    position: Any,
    radius: Any = "2 arcsec",
    *,
    y: str | None = None,
    bjd: bool = True,
    quality: Any = "good",
    kind: str | None = "detection",
    min_period: float = 0.1,
    max_period: float | None = None,
    n_terms: int = 1,
    amplitudes: str = "shared",
    **options: Any,
) -> PeriodReport:
    """Find the period of an object, or of the source at a position.

    Parameters
    ----------
    archive : Archive
    position, radius
        As of ``Archive.light_curve``.
    y : str, optional
        ``mag``, ``mag_inst``, ``flux`` or ``flux_ujy``; by default ``mag`` where any row is calibrated, else ``mag_inst``.
    bjd : bool
        Whether times are brought to the barycentre of the solar system, as periods below some days need.
    quality, kind
        As of ``Archive.light_curve``.
    min_period, max_period, n_terms, amplitudes
        As of `timeseries.period.find_period`; ``n_terms=2`` for eclipsing stars.
    **options
        Others of ``Archive.light_curve``, as ``filter``.

    Returns
    -------
    PeriodReport

    Raises
    ------
    InputError
        If an option is wrong, or there are too few measurements.
    """
    table = archive.light_curve(position, radius, bjd=bjd, quality=quality, kind=kind, **options)
    y = quantity_of(table) if y is None else y
    if y not in plots.QUANTITIES:
        raise InputError(f"y={y!r}: must be one of {', '.join(plots.QUANTITIES)}")
    time = "bjd_tdb" if bjd else "mjd_mid"
    times = numbers(table[time]) - (_JULIAN if bjd else 0.0)
    band = np.array(["" if value is np.ma.masked else str(value) for value in table["filter"]], dtype=str)
    search = find_period(
        times, numbers(table[y]), numbers(table[f"{y}_err"]), band, min_period=min_period, max_period=max_period, n_terms=n_terms,
        amplitudes=amplitudes,
    )  # fmt: skip
    return PeriodReport(search, table, time, y)
