"""What was measured, to scale: the apertures of a catalog's rows on their image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable

from ezarchive import plots
from ezarchive.browse.places import coordinates, matching_distance
from ezarchive.errors import InputError
from ezarchive.images.image import Image
from ezarchive.images.shown import averaged_pixels, wcs_for
from ezarchive.plots import Overlay
from ezarchive.plots.common import BLUE, RED, colours, numbers
from ezarchive.sky.ellipses import Ellipses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AXES = {
    "ELIP": ("SMA_IMAGE", "SMI_IMAGE", "THETA_IMAGE"),
    "AUTO": ("A_IMAGE", "B_IMAGE", "THETA_IMAGE", "KRON_RADIUS"),
}


def measures_of(table: QTable) -> tuple[str, ...]:
    """Return what was measured in a table whose aperture can be drawn: ``AUTO``, ``APER``, ``APER_1`` ..., ``ELIP``."""
    # By their names: a frame without seeing has no columns for some of the apertures, but the others keep their numbers.
    sizes = [name.removeprefix("PIXSIZE_") for name in table.colnames if name.startswith("PIXSIZE_APER")]
    there = [measure for measure, names in _AXES.items() if all(name in table.colnames for name in names)]
    return (*(name for name in there if name == "AUTO"), *sizes, *(name for name in there if name == "ELIP"))


def drawn_by_default(table: QTable) -> tuple[str, ...]:
    """Return the measures that a figure shows: Kron ellipses of detections, else every aperture that was forced."""
    known = measures_of(table)
    return known[:1] if known[:1] == ("AUTO",) else known


def apertures_of(table: QTable, measure: str) -> tuple[np.ndarray, np.ndarray, Ellipses]:
    """Return the apertures in which a measure was made.

    Parameters
    ----------
    table : QTable
        Rows of a catalog.
    measure : str
        One of `measures_of`.

    Returns
    -------
    x, y : ndarray (n,)
        Their centres, 0-based pixels.
    Ellipses
        In pixels; NaN for rows without a position or size.

    Raises
    ------
    InputError
        If the table holds no such measure.
    """
    known = measures_of(table)
    if measure not in known or "X_IMAGE" not in table.colnames:
        raise InputError(f"measure={measure!r}: must be one of {', '.join(known) or 'none, for the table holds no apertures'}")
    x, y = numbers(table["X_IMAGE"]), numbers(table["Y_IMAGE"])
    if measure.startswith("APER"):
        radius = numbers(table[f"PIXSIZE_{measure}"]) / 2.0
        return x, y, Ellipses(radius, radius, np.zeros(len(table)))
    a, b, theta, *factor = (numbers(table[name]) for name in _AXES[measure])
    scale = factor[0] if factor else 1.0
    return x, y, Ellipses(a * scale, b * scale, theta)


def catalog_figure(
    image: Image,
    table: QTable,
    *,
    measures: Sequence[str] | None = None,
    centre: tuple[float, float] | None = None,
    zoom_radius_pixel: int | None = None,
    overlays: Sequence[Overlay] = (),
    coord_type: str = "pixel",
    downsample: int | None = None,
    scale: str | tuple[float, float] = "zscale",
    title: str | None = None,
    cmap: str = "gray",
    labels: dict[str, str] | None = None,
) -> Figure:
    """Draw an image with its sources, and beside it a box in which their apertures are drawn to scale.

    Parameters
    ----------
    image : Image
        It is read a strip at a time.
    table : QTable
        Rows of a catalog of it.
    measures : sequence of str, optional
        Whose apertures to draw; by default those of `drawn_by_default`.
    centre : (float, float), optional
        Of the box, 0-based pixels; by default the source nearest to the mean position.
    zoom_radius_pixel : int, optional
        Pixels of the box on each side of its centre; by default 100, or 250 for detections.
    overlays : sequence of Overlay
        More to draw in the box.
    coord_type, downsample, scale, title, cmap
        As of `ArchiveImage.show`.
    labels : dict, optional
        Measure -> its name in the legend.

    Returns
    -------
    matplotlib.figure.Figure
    """
    measures = drawn_by_default(table) if measures is None else measures
    radius = (250 if "AUTO" in measures else 100) if zoom_radius_pixel is None else zoom_radius_pixel
    if isinstance(radius, bool) or int(radius) != radius or radius < 1:
        raise InputError(f"zoom_radius_pixel={radius!r}: must be a whole number from 1")
    x, y, _ = coordinates(table, "pixel")
    piece = image.cutout(*(_middle(x, y, image.shape) if centre is None else centre), 2 * int(radius) + 1)
    hues = colours(len(measures), on_grey=True)
    drawn = [
        Overlay(_near(*apertures_of(table, measure), piece.corner, piece.shape), (labels or {}).get(measure, measure), hue)
        for measure, hue in zip(measures, hues, strict=True)
    ]
    return plots.sources(
        averaged_pixels(image, downsample), piece.data, corner=piece.corner, overlays=[*drawn, *overlays], positions=(x, y),
        wcs=wcs_for(image, coord_type), limits=scale, title=title, cmap=cmap,
    )  # fmt: skip


def radius_in_pixels(image: Image, radius: Any, unit: str) -> float:
    """Return a matching radius in pixels of the image."""
    distance = matching_distance(radius, unit)
    return distance if unit == "pixel" else distance / float(image.pixel_scale)


def matched_overlay(table: QTable, radius: float, x: float, y: float) -> list[Overlay]:
    """Return a red circle around what was asked for, and in blue the apertures of the rows that were found."""
    measure = next(iter(drawn_by_default(table)), None)
    found = [] if measure is None else _near(*apertures_of(table, measure), (0, 0), None)
    return [Overlay(found, f"found: {len(table)}", BLUE), Overlay([(x, y, radius)], "asked for", RED)]


def _middle(x: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> tuple[float, float]:
    """Return the source on the image that is nearest to the mean position; the middle of the image where there is none."""
    ny, nx = shape
    there = np.flatnonzero((x >= -0.5) & (x <= nx - 0.5) & (y >= -0.5) & (y <= ny - 0.5))
    if not len(there):
        return (nx - 1) / 2, (ny - 1) / 2
    nearest = there[np.argmin(np.hypot(x[there] - x[there].mean(), y[there] - y[there].mean()))]
    return float(x[nearest]), float(y[nearest])


def _near(
    x: np.ndarray, y: np.ndarray, shapes: Ellipses, corner: tuple[int, int], size: tuple[int, int] | None
) -> list[tuple[float, ...]]:  # fmt: skip
    """Return the apertures that reach into a box, as figures take them."""
    good = np.isfinite([x, y, shapes.a, shapes.b, shapes.theta]).all(axis=0)
    if size is not None:
        across, up = x - corner[0], y - corner[1]
        with np.errstate(invalid="ignore"):
            good &= (across > -shapes.a) & (across < size[1] + shapes.a) & (up > -shapes.a) & (up < size[0] + shapes.a)
    rows = np.flatnonzero(good)
    return [tuple(map(float, row)) for row in np.column_stack([x, y, shapes.a, shapes.b, shapes.theta])[rows]]
