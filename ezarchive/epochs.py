"""Stamps of one place on every frame that reaches it: what is to be seen there, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.utils.masked import Masked
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ezarchive import plots, sky
from ezarchive.database import queries
from ezarchive.errors import FrameError, InputError
from ezarchive.frames.record import Frame
from ezarchive.images.image import Image
from ezarchive.plots.common import numbers
from ezarchive.plots.epochs import STATUSES, Stamp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ezarchive.archive import Archive

_LARGEST = 301
_MEASURED = {"detection": 0, "forced": 1, "limit": 2}


@dataclass(frozen=True)
class Epoch:
    """One frame at a place.

    Attributes
    ----------
    frame_id : int
    mjd_mid : float
        MJD UTC; NaN where unknown.
    filter, telname : str
        Empty where unknown.
    status : str
        ``detected``; ``forced`` (a forced measurement), ``negative`` (one whose flux is not positive); ``not detected`` (searched
        without finding a source there); ``not measured`` (not searched, or too near the edge for its aperture); ``outside`` (the stamp
        reaches the frame, the place does not lie on it).
    mag, mag_err, mag_limit, snr : float
        Of the measurement; calibrated, NaN where there is none. The limit is of 5 sigma.
    stamp : ndarray of float32 (n, n), optional
        Pixels in the stored unit, north up, east to the left, NaN off the frame; None where the frame could not be read.
    why : str
        Why it could not be read.
    """

    frame_id: int
    mjd_mid: float
    filter: str
    telname: str
    status: str
    mag: float = np.nan
    mag_err: float = np.nan
    mag_limit: float = np.nan
    snr: float = np.nan
    stamp: NDArray[np.float32] | None = field(default=None, repr=False)
    why: str = ""

    @property
    def title(self) -> str:
        """Time and filter, and the magnitude or its limit."""
        when = f"{self.mjd_mid:.3f}" if np.isfinite(self.mjd_mid) else "time unknown"
        if np.isfinite(self.mag) and self.status != "negative":
            found = f"{self.mag:.2f} ± {self.mag_err:.2f}" if np.isfinite(self.mag_err) else f"{self.mag:.2f}"
        elif np.isfinite(self.snr):
            found = f"S/N {self.snr:.1f}"
        else:
            found = f"> {self.mag_limit:.2f}" if np.isfinite(self.mag_limit) else ""
        return f"{when} {self.filter}\n{found}"


class EpochSet(Sequence[Epoch]):
    """The epochs of a place, by time.

    Attributes
    ----------
    ra, dec : float
        ICRS degrees.
    size : float
        Side of the stamps, arcsec.
    radius : float
        Within which a source counts as that of the place, arcsec.
    """

    def __init__(self, epochs: Sequence[Epoch], ra: float, dec: float, size: float, radius: float) -> None:
        self._epochs = tuple(epochs)
        self.ra, self.dec, self.size, self.radius = ra, dec, size, radius

    def __len__(self) -> int:
        return len(self._epochs)

    @overload
    def __getitem__(self, index: int) -> Epoch: ...

    @overload
    def __getitem__(self, index: slice) -> EpochSet: ...

    def __getitem__(self, index: int | slice) -> Epoch | EpochSet:
        """Return one epoch, or some of them as a set."""
        if isinstance(index, slice):
            return EpochSet(self._epochs[index], self.ra, self.dec, self.size, self.radius)
        return self._epochs[index]

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self._epochs)

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {name}" for name in STATUSES if (n := sum(epoch.status == name for epoch in self)))
        return f"<EpochSet {self.ra:.5f} {self.dec:+.5f}: {counts or 'no frame'}>"

    def where(self, *statuses: str) -> EpochSet:
        """Return the epochs of some statuses.

        Raises
        ------
        InputError
            If a status is none of those of `Epoch`.
        """
        for status in statuses:
            if status not in STATUSES:
                raise InputError(f"status {status!r}: must be one of {', '.join(STATUSES)}")
        return EpochSet([epoch for epoch in self if epoch.status in statuses], self.ra, self.dec, self.size, self.radius)

    def table(self) -> QTable:
        """Return one row an epoch, without the stamps."""
        made = QTable()
        for name, kind in (("frame_id", np.int64), ("filter", str), ("telname", str), ("status", str)):
            made[name] = np.array([getattr(epoch, name) for epoch in self], dtype=kind)
        for name, unit in (("mjd_mid", u.day), ("mag", u.mag), ("mag_err", u.mag), ("mag_limit", u.mag), ("snr", u.one)):
            values = np.array([getattr(epoch, name) for epoch in self], dtype=float)
            made[name] = Masked(values, mask=~np.isfinite(values)) * unit
        made["why"] = np.array([epoch.why for epoch in self], dtype=str)
        return made

    def figure(self, *, most: int = 80, columns: int = 8, title: str | None = None) -> Figure:
        """Draw the stamps.

        Parameters
        ----------
        most : int
            How many at the most, evenly chosen in time (the title tells it); at most 120.
        columns : int
            Stamps in a row.
        title : str, optional
            Above all; by default the place.

        Returns
        -------
        matplotlib.figure.Figure
        """
        if isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < 1:
            raise InputError(f"most={most!r}: must be a whole number from 1")
        chosen = list(self)
        if len(chosen) > most:
            chosen = [chosen[at] for at in np.unique(np.round(np.linspace(0, len(chosen) - 1, most)).astype(int))]
        title = f"{self.ra:.5f} {self.dec:+.5f}" if title is None else title
        share = f", {len(chosen)} of {len(self)} epochs" if len(chosen) < len(self) else ""
        title += f'  (stamps of {self.size:g}", north up, east left{share})'
        stamps = [Stamp(epoch.stamp, epoch.status, epoch.title, "not readable" if epoch.stamp is None else "") for epoch in chosen]
        return plots.epoch_stamps(stamps, radius=min(2 * self.radius / self.size, 1.0), columns=columns, title=title)


def epochs(
    archive: Archive,
    position: Any,
    size: Any = "30 arcsec",
    *,
    radius: Any = "2 arcsec",
    filter: str | Sequence[str] | None = None,  # noqa: A002 - the archive's word
    telname: str | Sequence[str] | None = None,
    mjd: tuple[float | None, float | None] | None = None,
    **options: Any,
) -> EpochSet:
    """Return a stamp of a place on every science frame that it or its surroundings lie on, with what was measured there.

    Parameters
    ----------
    archive : Archive
    position : int, SkyCoord, (ra, dec) in degrees, or str
        An ``object_id``, or a place, ICRS; as of ``Archive.light_curve``.
    size : Quantity or str
        Side of the stamps.
    radius : Quantity or str
        Within which a source counts as that of the place.
    filter, telname : str or sequence of str, optional
        Only these (globs allowed).
    mjd : pair of float or None, optional
        Only frames whose middle lies between, MJD UTC.
    **options
        Others of ``Archive.light_curve``: ``aperture``, ``method``, ``run``.

    Returns
    -------
    EpochSet
        By time. A frame that cannot be read has no stamp, and ``why`` tells it.

    Raises
    ------
    InputError
        If a position, an angle or a time is not one, or the size is over 10 arcmin.
    UnknownNameError
        If a filter or a telescope does not exist.
    QueryError
        If there is no such object.
    """
    side, within = (sky.parse_angle(value, name) * 3600 for name, value in (("size", size), ("radius", radius)))
    if not 0 < side <= 600:
        raise InputError(f"size={size!r}: must be more than 0 and at most 10 arcmin")
    chosen = {name: value for name, value in (("filter", filter), ("telname", telname)) if value is not None}
    rows = archive.light_curve(position, f"{within!r} arcsec", limits=True, **chosen, **options)
    ra, dec = _place(archive, position)
    names = {name: (value,) if isinstance(value, str) else tuple(value) for name, value in chosen.items()}
    wanted = queries.FrameQuery(kinds=("science",), names=names, cone=(ra, dec, side / 3600 / 2**0.5), mjd=mjd, available=False)
    with archive.database.connect() as conn:
        frames = queries.search(conn, wanted)
    measured = _best_rows(rows)
    grid = _grid(ra, dec, side, frames)
    return EpochSet([_epoch(frame, measured.get(frame.frame_id, {}), (ra, dec), grid) for frame in frames], ra, dec, side, within)


def _place(archive: Archive, position: Any) -> tuple[float, float]:
    if isinstance(position, (int, np.integer)) and not isinstance(position, bool):
        query = "SELECT ra, dec FROM objects WHERE object_id = coalesce((SELECT max(object_id) FROM aliases WHERE old_id = $id), $id)"
        (row,) = archive.sql(query, {"id": int(position)})
        return float(row.ra), float(row.dec)
    return sky.parse_position(position)


def _best_rows(rows: Any) -> dict[int, dict[str, Any]]:
    """Return the measurement of each frame: a detection before a forced one before a limit, of two the one of higher S/N."""
    plain = {name: numbers(rows[name]) for name in ("mag", "mag_err", "mag_limit", "snr", "flux")}
    found: dict[int, dict[str, Any]] = {}
    for at, (frame_id, kind) in enumerate(zip(rows["frame_id"], rows["kind"], strict=True)):
        row = {"kind": str(kind), **{name: float(values[at]) for name, values in plain.items()}}
        known = found.get(int(frame_id))
        if known is None or _rank(row) < _rank(known):
            found[int(frame_id)] = row
    return found


def _rank(row: dict[str, Any]) -> tuple[int, float]:
    return _MEASURED[row["kind"]], -np.nan_to_num(row["snr"], nan=-1e9)


def _grid(ra: float, dec: float, side: float, frames: Sequence[Frame]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions of a stamp's pixels: a tangent plane with north up and east to the left, as fine as the frames are."""
    scales = [frame.pixel_scale for frame in frames if frame.pixel_scale]
    n = int(np.clip(round(side / np.median(scales)) if scales else 61, 9, _LARGEST)) | 1
    steps = np.radians((np.arange(n) - n // 2) * side / n / 3600)
    a, d = np.radians(ra), np.radians(dec)
    east = np.array([-np.sin(a), np.cos(a), 0.0])
    north = np.array([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)])
    return sky.from_vectors(sky.unit_vectors(ra, dec) - steps[None, :, None] * east + steps[:, None, None] * north)


def _epoch(frame: Frame, row: dict[str, Any], place: tuple[float, float], grid: tuple[NDArray, NDArray]) -> Epoch:
    """Cut a stamp from a frame, and tell what is known there."""
    on_frame, stamp, why = None, None, ""
    try:
        on_frame, stamp = _cut(frame, place, grid)
    except (FrameError, InputError) as err:
        path = "" if frame.path is None else str(frame.path)
        why = str(err) if path in str(err) else f"{path}: {err}"
    if on_frame is None and frame.s_region:
        on_frame = bool(sky.polygon_contains(sky.parse_region(frame.s_region), *place))
    values = {name: row[name] for name in ("mag", "mag_err", "mag_limit", "snr")} if row else {}
    return Epoch(
        frame.frame_id, np.nan if frame.mjd_mid is None else frame.mjd_mid, frame.filter or "", frame.telname or "",
        _status(row, on_frame=on_frame is not False), **values, stamp=stamp, why=why,
    )  # fmt: skip


def _status(row: dict[str, Any], *, on_frame: bool) -> str:
    if row.get("kind") == "detection":
        return "detected"
    if row.get("kind") == "forced" and np.isfinite(row["flux"]):
        return "forced" if row["flux"] > 0 else "negative"
    if not on_frame:
        return "outside"
    return "not detected" if row.get("kind") == "limit" else "not measured"


def _cut(frame: Frame, place: tuple[float, float], grid: tuple[NDArray, NDArray]) -> tuple[bool, NDArray[np.float32]]:
    """Return whether a place lies on a frame, and its pixels at the positions of a grid; only those around it are read."""
    if frame.path is None:
        raise InputError(f"frame {frame.frame_id}: none of its files can be read at present")
    image = Image(frame.path, frame.hdu, frame=frame)
    if image.wcs is None:
        raise InputError(f"{frame.path}: has no WCS that works")
    ny, nx = image.shape
    x, y = sky.icrs_to_pixel(image.wcs, np.append(grid[0], place[0]), np.append(grid[1], place[1]))
    on_frame = bool(-0.5 <= x[-1] < nx - 0.5 and -0.5 <= y[-1] < ny - 0.5)
    x, y = x[:-1].reshape(grid[0].shape), y[:-1].reshape(grid[0].shape)
    stamp = np.full(x.shape, np.nan, np.float32)
    left, right = _span(x, nx)
    low, high = _span(y, ny)
    if left < right and low < high:
        piece = np.array(image.cut(slice(low, high), slice(left, right)), np.float32)
        # The outermost half pixel takes the value of its pixel.
        inside = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
        at = np.stack([np.clip(y - low, 0, high - low - 1), np.clip(x - left, 0, right - left - 1)])
        stamp[inside] = map_coordinates(piece, at[:, inside], order=1, mode="nearest")
    return on_frame, stamp


def _span(values: NDArray[np.float64], size: int) -> tuple[int, int]:
    """Return the pixels that the values lie between, on the image."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0, 0
    return int(np.clip(np.floor(finite.min()), 0, size)), int(np.clip(np.ceil(finite.max()) + 1, 0, size))
