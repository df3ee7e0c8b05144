"""Images as figures: grey levels, the sky's coordinates, apertures to scale."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.plots.averaging import Averaged, averaged
from ezarchive.plots.common import RED

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NOT_FINITE = "#F3C9C4"
_AXES = {
    "RA": "RA", "DEC": "Dec", "GLON": "galactic longitude", "GLAT": "galactic latitude",
    "ELON": "ecliptic longitude", "ELAT": "ecliptic latitude",
}  # fmt: skip


def image(
    data: ArrayLike | Averaged,
    *,
    wcs: WCS | None = None,
    limits: str | tuple[float, float] = "zscale",
    downsample: int | None = None,
    apertures: Iterable[Sequence[float]] = (),
    corner: tuple[int, int] = (0, 0),
    title: str | None = None,
    label: str | None = None,
    cmap: str = "gray",
) -> Figure:
    """Draw an image, with the sky's coordinates where there is a WCS, and apertures on it.

    Parameters
    ----------
    data : array_like (ny, nx) or Averaged
        Pixels, or what `averaged_from` made of them; those that are not finite are drawn in pale red.
    wcs : astropy.wcs.WCS, optional
        Of the full image; the axes are RA and Dec then, else 0-based pixels.
    limits : str or (float, float)
        Black and white: ``"zscale"``, ``"minmax"``, or two values.
    downsample : int, optional
        Pixels to average along each axis; by default so many that at most 1200 are drawn.
    apertures : iterable of (x, y, radius) or (x, y, a, b, theta)
        Circles, or ellipses with their semi-axes; 0-based pixels of the full image, theta in degrees counter-clockwise from +x.
    corner : (int, int)
        Column and row of the full image at which ``data`` begins, when it is a piece of it.
    title : str, optional
        Above the axes.
    label : str, optional
        Of the colour bar, for example the unit.
    cmap : str
        A colour map of matplotlib.

    Returns
    -------
    matplotlib.figure.Figure
        Data coordinates of its first axes are pixels of the full image.

    Raises
    ------
    InputError
        If ``data`` is not 2-D, or another argument is not one of the above.
    """
    from matplotlib.figure import Figure

    shown = averaged(data, downsample)
    ny, nx = shown.shape
    width = 7.5
    figure = Figure(figsize=(width + 1.6, float(np.clip(width * ny / nx, 2.5, 11)) + 0.7), layout="compressed")
    axes = figure.add_subplot(projection=None if wcs is None else wcs.celestial)
    drawn = draw_image(axes, shown, limits=limits, corner=corner, cmap=cmap, sky=wcs is not None)
    draw_apertures(axes, apertures)
    figure.colorbar(drawn, ax=axes, label=label or "", fraction=0.04, aspect=28, pad=0.02)
    if title:
        axes.set_title(title, fontsize=10)
    return figure


def draw_image(
    axes: Axes,
    shown: Averaged,
    *,
    limits: str | tuple[float, float] = "zscale",
    corner: tuple[int, int] = (0, 0),
    cmap: str = "gray",
    sky: bool = False,
) -> Any:
    """Draw an image into axes whose data coordinates are then pixels of the full image; the arguments are those of `image`.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        WCSAxes of the full image where ``sky`` is True.

    Returns
    -------
    matplotlib.image.AxesImage
    """
    from matplotlib import colormaps

    if cmap not in colormaps:
        raise InputError(f"cmap {cmap!r}: must be a colour map of matplotlib, as 'gray'")
    low, high = grey_limits(shown.values, limits)
    (ny, nx), (rows, columns), step = shown.shape, shown.values.shape, shown.step
    # The last block may reach over the edge: the extent is that of whole blocks, the view that of the image.
    left, bottom = corner[0] - 0.5, corner[1] - 0.5
    extent = (left, left + columns * step, bottom, bottom + rows * step)
    ramp = colormaps[cmap].with_extremes(bad=_NOT_FINITE)
    drawn = axes.imshow(shown.values, origin="lower", extent=extent, cmap=ramp, vmin=low, vmax=high, interpolation="nearest")
    axes.set_xlim(left, left + nx)
    axes.set_ylim(bottom, bottom + ny)
    if sky:
        _label_sky(axes)
    else:
        axes.set_xlabel("x (pixel)")
        axes.set_ylabel("y (pixel)")
    return drawn


def grey_limits(shown: NDArray, limits: str | tuple[float, float]) -> tuple[float, float]:
    """Return the values of black and white: by name from the pixels, or the two that were given."""
    finite = shown[np.isfinite(shown)]
    if isinstance(limits, str):
        if limits not in ("zscale", "minmax"):
            raise InputError(f"limits {limits!r}: must be 'zscale', 'minmax' or two values")
        if finite.size == 0:
            return 0.0, 1.0
        if limits == "minmax":
            return float(finite.min()), float(finite.max())
        # Importing it pulls matplotlib in.
        from astropy.visualization import ZScaleInterval

        low, high = ZScaleInterval().get_limits(finite)
        return float(low), float(high)
    given = tuple(limits) if isinstance(limits, Iterable) else (limits,)
    good = all(isinstance(value, (int, float, np.number)) and np.isfinite(value) for value in given)
    if len(given) != 2 or not good or not given[0] < given[1]:
        raise InputError(f"limits {limits!r}: must be 'zscale', 'minmax' or two finite values, the lower first")
    return float(given[0]), float(given[1])


def draw_apertures(axes: Axes, apertures: Iterable[Sequence[float]], *, colour: str = RED, width: float = 1.0) -> None:
    """Draw circles and ellipses to scale into axes whose data coordinates are pixels.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    apertures : iterable of (x, y, radius) or (x, y, a, b, theta)
        As of `image`.
    colour : str
        Of the lines.
    width : float
        Of the lines, points.
    """
    rows = []
    for aperture in apertures:
        if len(aperture) not in (3, 5):
            raise InputError(f"apertures: holds {tuple(aperture)!r}; each must be (x, y, radius) or (x, y, a, b, theta)")
        rows.append((*aperture, aperture[2], 0.0) if len(aperture) == 3 else tuple(aperture))
    if not rows:
        return
    from matplotlib.collections import EllipseCollection

    x, y, a, b, theta = np.array(rows, float).T
    places = np.stack([x, y], axis=1)
    ellipses = EllipseCollection(
        2 * a, 2 * b, theta, units="xy", offsets=places, offset_transform=axes.transData, fc="none", ec=colour, lw=width
    )  # fmt: skip
    axes.add_collection(ellipses, autolim=False)


def _label_sky(axes: Any) -> None:
    transform = axes.wcs.wcs
    names = {transform.lng: transform.lngtyp.strip(), transform.lat: transform.lattyp.strip()}
    for place, coordinate in enumerate(axes.coords):
        coordinate.set_axislabel(f"{_AXES.get(names[place], names[place])} (deg)")
        coordinate.set_format_unit("deg", decimal=True)
        coordinate.set_ticks(number=6)
    axes.coords.grid(color="#8FC1FF", alpha=0.8, ls=":", lw=1)
