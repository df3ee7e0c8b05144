"""`LightCurveTable`: a light curve as a table with units, and what it can become."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import astropy.units as u
import numpy as np
from astropy.table import Column, MaskedColumn, QTable
from astropy.time import Time
from astropy.utils.masked import Masked

from ezarchive.catalogs import curvebins, curveexport
from ezarchive.catalogs.export import plain_table
from ezarchive.errors import InputError
from ezarchive.plots.common import numbers

if TYPE_CHECKING:
    import pandas as pd
    from astropy.timeseries import TimeSeries
    from matplotlib.figure import Figure

KINDS = ("detection", "forced", "limit")
"""What a row of a light curve is."""

TIMES = {"mjd_mid": ("mjd", "utc"), "bjd_tdb": ("jd", "tdb"), "hjd_utc": ("jd", "utc")}
"""Column of time -> its format and scale."""
_JD = 2400000.5


class LightCurveTable(QTable):
    """A light curve: an astropy ``QTable`` with the columns of ``columns.LIGHT_CURVE`` and a few methods more.

    Rows of ``kind`` ``limit`` have no flux; ``mag_limit`` and ``flux_limit`` tell how faint the source must have been. ``meta`` holds
    where it is of, and ``notes``.
    """

    def select(self, *, filter: str | Iterable[str] | None = None, kind: str | Iterable[str] | None = None) -> Self:
        """Return the rows of these filters and kinds.

        Parameters
        ----------
        filter, kind : str or iterable of str, optional
            Exact names.

        Returns
        -------
        LightCurveTable
            A copy.
        """
        chosen = np.ones(len(self), bool)
        for name, wanted in (("filter", filter), ("kind", kind)):
            if wanted is not None:
                chosen &= np.isin(curvebins.texts(self, name), [wanted] if isinstance(wanted, str) else list(wanted))
        return self[chosen]

    def binned(self, by: Any = "night") -> LightCurveTable:
        """Return the means over nights, or over bins of time, of each filter.

        Parameters
        ----------
        by : {"night"}, float or Quantity
            ``"night"``, or the width of the bins (a number counts days), which are counted from MJD 0.

        Returns
        -------
        LightCurveTable
            One row a bin, filter and kind, by time. Means of fluxes have weights 1 / error^2; ``mag`` is that of the mean flux, so that
            faint and negative ones count rightly; ``zero_point_err`` that of the mean, each frame's for itself. ``n`` measurements count,
            ``n_limits`` non-detections lay in the bin; a bin of these alone has the deepest of their limits. ``chi2_reduced`` is that of
            the bin. ``mjd_mid`` and other times are means with the same weights.

        Raises
        ------
        InputError
            If ``by`` is neither.
        """
        width = by.to_value(u.day) if isinstance(by, u.Quantity) else by
        if not (width == "night" or (isinstance(width, (int, float, np.number)) and not isinstance(width, bool))):
            raise InputError(f"by={by!r}: must be 'night' or a number of days above 0")
        return self._made(curvebins.binned(self, width))

    def fold(self, period: Any, epoch: float | None = None, *, time: str | None = None) -> LightCurveTable:
        """Return the rows with their phase, sorted by it.

        Parameters
        ----------
        period : float or Quantity
            Days.
        epoch : float, optional
            Time of phase 0, of the kind of `time` (an MJD, or a JD of BJD and HJD); by default the first time.
        time : str, optional
            ``mjd_mid``, ``bjd_tdb`` or ``hjd_utc``; by default ``bjd_tdb`` where the table has it.

        Returns
        -------
        LightCurveTable
            With ``phase`` (0 to 1) and ``cycle`` in front; rows without a time are left out. `plot` draws it by its phase.

        Raises
        ------
        InputError
            If the period is not positive, or there is no such time.
        """
        days = period.to_value(u.day) if isinstance(period, u.Quantity) else period
        if isinstance(days, bool) or not isinstance(days, (int, float, np.number)) or not 0 < days < np.inf:
            raise InputError(f"period={period!r}: must be a number of days above 0")
        name = self._time(time)
        times = numbers(self[name])
        table = self[np.isfinite(times)]
        start = float(np.nanmin(times) if epoch is None and len(table) else epoch or 0.0)
        turns = (times[np.isfinite(times)] - start) / days
        cycle = np.floor(turns)
        table.add_column(Column(turns - cycle, description="phase, 0 to 1"), name="phase", index=0)
        table.add_column(Column(cycle.astype(np.int64), description="whole periods since the epoch"), name="cycle", index=1)
        table.meta |= {"period": u.Quantity(days, u.day), "epoch": start, "time": name}
        return table[np.argsort(np.asarray(table["phase"]), kind="stable")]

    def plot(self, **options: Any) -> Figure:
        """Draw it, a folded one by its phase; see `ezarchive.plots.light_curve`, or `ezarchive.plots.folded`, for the options."""
        from ezarchive import plots  # noqa: PLC0415  a light curve is asked for more often than drawn

        if "phase" not in self.colnames or not {"period", "epoch", "time"} <= set(self.meta):
            return plots.light_curve(self, **options)
        name = self.meta["time"]
        epoch = self.meta["epoch"] - (0.0 if name == "mjd_mid" else _JD)
        return plots.folded(self, self.meta["period"].to_value(u.day), **{"epoch": epoch, "time": name, **options})

    def to_timeseries(self, time: str = "mjd_mid") -> TimeSeries:
        """Return it as an ``astropy.timeseries.TimeSeries``.

        Parameters
        ----------
        time : str
            Column that becomes ``time``: ``mjd_mid`` (UTC), ``bjd_tdb`` or ``hjd_utc``.

        Returns
        -------
        TimeSeries
            By time; rows without a time are left out.

        Raises
        ------
        InputError
            If there is no such time.
        """
        from astropy.timeseries import TimeSeries  # noqa: PLC0415  it takes half a second

        name = self._time(time)
        table = self._in_time(name)
        form, scale = TIMES[name]
        times = Time(numbers(table[name]), format=form, scale=scale)
        rest = QTable({other: table[other] for other in table.colnames if other != name}, copy=False)
        rest.meta.update(self.meta)
        return TimeSeries(data=rest, time=times)

    def to_pandas(self, *args: Any, **options: Any) -> pd.DataFrame:
        """Return it as a pandas table: units are dropped, missing values are NaN or NA; arguments are those of ``Table.to_pandas``."""
        return plain_table(self).to_pandas(*args, **options)

    def to_lightkurve(self, filter: str | None = None, *, time: str | None = None) -> Any:
        """Return one filter as a ``lightkurve.LightCurve``.

        Parameters
        ----------
        filter : str, optional
            Must be given where there are several.
        time : str, optional
            As of `fold`.

        Returns
        -------
        lightkurve.LightCurve
            ``flux`` and ``flux_err`` in uJy where calibrated, else counts per second; rows without a flux are left out.

        Raises
        ------
        InputError
            If lightkurve is not installed, a filter must be chosen or is not there, or there is no such time.
        """
        try:
            import lightkurve  # noqa: PLC0415  an extra
        except ImportError as err:
            raise InputError("to_lightkurve: lightkurve is not installed; pip install 'ezarchive[lightkurve]'") from err
        there = sorted(set(curvebins.texts(self, "filter")))
        if filter is None and len(there) > 1:
            raise InputError(f"filter: must be given, one of {', '.join(there)}")
        if filter is not None and filter not in there:
            raise InputError(f"filter={filter!r}: must be one of {', '.join(there) or 'none'}")
        name = self._time(time)
        table = self.select(filter=there if filter is None else filter)._in_time(name)
        quantity = "flux_ujy" if np.isfinite(numbers(table["flux_ujy"])).any() else "flux"
        table = table[np.isfinite(numbers(table[quantity]))]
        form, scale = TIMES[name]
        unit = table[quantity].unit
        return lightkurve.LightCurve(
            time=Time(numbers(table[name]), format=form, scale=scale), flux=numbers(table[quantity]) * unit,
            flux_err=numbers(table[f"{quantity}_err"]) * unit,
            data={other: numbers(table[other]) for other in ("mag", "mag_err", "flags") if other in table.colnames},
            meta={"LABEL": str(self.meta.get("object_id") or ""), "FILTER": filter or (there or [""])[0]},
        )  # fmt: skip

    def write(
        self, path: str | os.PathLike[str], format: str | None = None, *, name: str | None = None, observer: str | None = None, **aavso: Any
    ) -> Path:
        """Write it for other programs.

        Parameters
        ----------
        path : path
            ``.ecsv``, ``.csv``, ``.fits``, ``.vot`` (or ``.xml``), ``.parquet``, or ``.aavso``; the file appears whole or not at all.
        format : str, optional
            ``ecsv``, ``csv``, ``fits``, ``votable``, ``parquet`` or ``aavso``, where the suffix does not tell; astropy's own formats with
            a dot in their name (``ascii.latex``) go to ``Table.write`` with all arguments.
        name, observer : str, optional
            Of ``aavso`` (AAVSO extended file format), which must have them: the star's name, and the observer's code.
        **aavso
            Further arguments of `ezarchive.catalogs.curveexport.aavso`.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            If the format is none of these, or an argument is missing.
        """
        if format is not None and "." in format:
            super().write(path, format=format, **aavso)
            return Path(path)
        aavso.pop("overwrite", None)  # astropy's word: what is there is replaced in any case
        return curveexport.write(self, Path(path), format, name=name, observer=observer, **aavso)

    def _time(self, time: str | None) -> str:
        name = time if time is not None else "bjd_tdb" if "bjd_tdb" in self.colnames else "mjd_mid"
        if name not in TIMES or name not in self.colnames:
            how = "; light_curve(..., bjd=True) and heliocentric=True make the last two" if name in TIMES else ""
            raise InputError(f"time={name!r}: must be a time of this table, one of {', '.join(TIMES)}{how}")
        return name

    def _in_time(self, name: str) -> Self:
        """Return the rows with a time, sorted by it."""
        times = numbers(self[name])
        order = np.argsort(times, kind="stable")
        return self[order[np.isfinite(times[order])]]

    def _made(self, found: dict[str, Any]) -> LightCurveTable:
        made = LightCurveTable()
        for name, (values, unit, description) in found.items():
            set_column(made, name, values, unit, description)
        made.meta.update(self.meta)
        for name in made.colnames:
            made[name].info.format = self[name].info.format if name in self.colnames else FORMATS.get(name)
        return made


FORMATS = {
    "mjd_mid": ".6f", "ra": ".6f", "dec": ".6f", "flux": ".6g", "flux_err": ".4g", "mag_inst": ".4f", "mag_inst_err": ".4f", "mag": ".4f",
    "mag_err": ".4f", "flux_ujy": ".6g", "flux_ujy_err": ".4g", "mag_limit": ".3f", "snr": ".1f", "separation": ".3f", "zero_point": ".4f",
    "zero_point_err": ".4f", "flux_limit": ".4g", "bjd_tdb": ".6f", "hjd_utc": ".6f", "mjd_first": ".6f", "mjd_last": ".6f",
    "chi2_reduced": ".2f",
}  # fmt: skip
"""How many digits are printed; the values keep all of theirs."""


def set_column(table: QTable, name: str, values: Any, unit: str | None, description: str) -> None:
    """Put an array into a table, masked where it is NaN.

    Parameters
    ----------
    table : QTable
        It gets the column at its end, or in place of one of this name.
    name : str
    values : array_like
    unit : str or None
    description : str
    """
    values = np.asarray(values)
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if unit is not None:
        quantity = u.Quantity(values, unit, dtype=values.dtype)
        table[name] = Masked(quantity, mask=missing) if missing.any() else quantity
    else:
        table[name] = MaskedColumn(values, mask=missing) if missing.any() else Column(values)
    table[name].info.description = description
