"""Forced photometry of one image: positions -> pixels -> apertures -> one table; what `AperturePhotometry` and `Archive.forced` share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from astropy.table import QTable

from ezarchive import columns, sky
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.images.image import Image
from ezarchive.measureoptions import aperture_list, as_option, diameters_in_pixels
from ezarchive.photometry import forced
from ezarchive.photometry.forced import ForcedOptions
from ezarchive.photometry.forcedtable import Named, as_table
from ezarchive.targets import Targets

METHODS = ("circular", "elliptical")
"""Methods that measure positions which are given."""

_LEAST_RING = 5.0
"""Pixels, of the width of a ring that was not asked for."""

_RING_RATIO = 2.0


@dataclass(frozen=True, kw_only=True)
class PositionOptions:
    """What to measure at given positions.

    Attributes
    ----------
    aperture_diameter_arcsec, aperture_diameter_seeing, aperture_diameter_pixel : tuple of float
        Diameters of circles, numbered in this order; as of `MeasureOptions`.
    annulus_width_arcsec, annulus_width_pixel : tuple of float
        Width of the ring around a circle that gives the level of the sky: one for all circles, or one each; empty: no ring.
    annulus_inner_arcsec, annulus_inner_pixel : float, optional
        Inner radius of the rings; by default that of each circle.
    annulus_ratio : float, optional
        Outer axes of the ring around an ellipse, in units of the ellipse's; None: no ring.
    theta_frame : {"pixel", "sky"}
        Of the angle of ellipses: counter-clockwise from +x, or position angle from north through east.
    axes_unit : {"arcsec", "pixel"}
        Of the semi-axes of ellipses.
    saturation_level, gain, seeing, pixel_scale : float, optional
        As of `MeasureOptions`.
    neighbours : bool
        Whether the sources of the image's catalog, where there is one, set the bit NEIGHBOUR.
    engine : {"sep", "photutils"}
        Who sums.
    """

    aperture_diameter_arcsec: tuple[float, ...] = (5.0, 7.0, 10.0)
    aperture_diameter_seeing: tuple[float, ...] = (3.5, 4.5)
    aperture_diameter_pixel: tuple[float, ...] = ()
    annulus_width_arcsec: tuple[float, ...] = ()
    annulus_width_pixel: tuple[float, ...] = ()
    annulus_inner_arcsec: float | None = None
    annulus_inner_pixel: float | None = None
    annulus_ratio: float | None = None
    theta_frame: str = "pixel"
    axes_unit: str = "arcsec"
    saturation_level: float | None = None
    gain: float | None = None
    seeing: float | None = None
    pixel_scale: float | None = None
    neighbours: bool = True
    engine: str = "sep"

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> PositionOptions:
        """Make options of loose arguments: scalars for lists, None for an empty list.

        Raises
        ------
        UnknownNameError
            If there is no option of a name; the near misses are named.
        InputError
            If a value is of the wrong type or out of range.
        """
        known = {item.name: str(item.type) for item in fields(cls)}
        for name in arguments:
            if name not in known:
                raise UnknownNameError("option", name, known)
        made = cls(**{name: value if known[name] == "str" else as_option(name, value, known[name]) for name, value in arguments.items()})
        for quantity in ("annulus_width", "annulus_inner"):
            if getattr(made, f"{quantity}_arcsec") and getattr(made, f"{quantity}_pixel"):
                raise InputError(f"{quantity}: must be given in arcsec or in pixels, found both")
        widths = made.annulus_width_arcsec or made.annulus_width_pixel
        if (made.annulus_inner_arcsec or made.annulus_inner_pixel) and not widths:
            raise InputError("annulus_inner: needs an annulus_width as well")
        for unit in ("arcsec", "pixel"):
            inner, diameters = getattr(made, f"annulus_inner_{unit}"), getattr(made, f"aperture_diameter_{unit}")
            if inner is not None and diameters and inner < max(diameters) / 2 * (1 - 1e-9):
                message = f"found an inner radius of {inner:g} {unit} for one of {max(diameters) / 2:g}"
                raise InputError(f"annulus_inner: the ring must not reach into its aperture, {message}")
        if len(widths) > 1 and len(widths) != len(made.apertures()):
            message = f"must be one number, or one for each of the {len(made.apertures())} apertures, found {len(widths)}"
            raise InputError(f"annulus_width: {message}")
        ForcedOptions(**{name: getattr(made, name) for name in ("gain", "annulus_ratio", "theta_frame", "axes_unit", "engine")})
        return made

    def parameters(self) -> dict[str, Any]:
        """Every parameter as plain values: what a recipe records."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def apertures(self) -> list[dict[str, Any]]:
        """Return the circles in the order of their suffixes; see `MeasureOptions.apertures`."""
        return aperture_list(self)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known of an image besides its pixels.

    Attributes
    ----------
    background, noise : model, array or number, optional
        Level of the sky, and noise per pixel; without either of them a ring around each aperture serves.
    mask : array of bool or integer bits, or `images.compact.Mask`, optional
        Pixels that are left out.
    neighbours : tuple of two ndarrays, optional
        0-based x and y of the sources that are known.
    seeing : float, optional
        FWHM of the stars in arcsec, where the options give none.
    saturation : float, optional
        Level in the stored unit.
    """

    background: Any = None
    noise: Any = None
    mask: Any = None
    neighbours: tuple[np.ndarray, np.ndarray] | None = None
    seeing: float | None = None
    saturation: float | None = None


@dataclass(frozen=True)
class Axes:
    """Semi-axes and angles of ellipses, one for all positions or one each; units and frame as the options say."""

    sma: np.ndarray
    smi: np.ndarray
    theta: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Axes:
        return Axes(self.sma[rows], self.smi[rows], self.theta[rows])


def list_digest(targets: Targets, axes: Axes | None = None) -> str:
    """Return 16 hex digits that tell lists of targets apart: identifiers, positions, semi-axes and angles."""
    found = targets.digest()
    if axes is None:
        return found
    numbers = b"".join(np.ascontiguousarray(value, "<f8").tobytes() for value in (axes.sma, axes.smi, axes.theta))
    return hashlib.blake2b(found.encode() + numbers, digest_size=8).hexdigest()


@dataclass(frozen=True)
class AtPositions:
    """The columns of ``columns.FORCED`` with what follows them, and the diameters of circles in arcsec (None without a scale)."""

    columns: Named
    apertures: tuple[float | None, ...] = ()

    @property
    def table(self) -> QTable:
        """The columns as a table."""
        return as_table(self.columns)


def measure_positions(
    image: Image, targets: Targets, options: PositionOptions, around: Surroundings | None = None, *, axes: Axes | None = None
) -> AtPositions:
    """Measure circles, or with ``axes`` ellipses, at positions of an image; only the pixels around them are read.

    Parameters
    ----------
    image : Image
        It is not changed.
    targets : Targets
        On the sky or in pixels.
    options : PositionOptions
    around : Surroundings, optional
    axes : Axes, optional

    Returns
    -------
    AtPositions

    Raises
    ------
    InputError
        If positions or sizes on the sky are asked of an image without WCS or scale, or a ring reaches into its aperture.
    FrameError
        If the image cannot be read.
    """
    around = Surroundings() if around is None else around
    scale = image.pixel_scale or options.pixel_scale
    x, y = _pixels(image, targets)
    known = {
        "noise": around.noise, "background": around.background, "mask": around.mask, "wcs": image.wcs, "ids": list(targets.ids),
        "neighbours": around.neighbours if options.neighbours else None, "world": targets.positions if targets.unit == "coord" else None,
    }  # fmt: skip
    blind = around.background is None and around.noise is None
    if axes is not None:
        ratio = options.annulus_ratio or (_RING_RATIO if blind else None)
        plain = _forced_options(image, options, around, annulus_ratio=ratio)
        a, b = (_axis(image, options, scale, value) for value in (axes.sma, axes.smi))
        if options.axes_unit == "arcsec" and image.wcs is None:
            plain = _forced_options(image, options, around, annulus_ratio=ratio, axes_unit="pixel")
        return AtPositions(forced.elliptical(image, x, y, a, b, axes.theta, plain, bare=True, **known))
    seeing = options.seeing or around.seeing or image.seeing
    diameters = diameters_in_pixels(options, scale, seeing)
    named = _circles(image, x, y, diameters, _rings(options, scale, diameters, blind=blind), (options, around), known)
    return AtPositions(named, tuple(None if d is None or scale is None else d * scale for d in diameters))


def _pixels(image: Image, targets: Targets) -> tuple[np.ndarray, np.ndarray]:
    if targets.unit == "pixel":
        return targets.positions
    if image.wcs is None:
        raise InputError(f"{image.path or 'image'}: has no WCS that works, so positions must be given in pixels (unit='pixel')")
    return sky.icrs_to_pixel(image.wcs, targets.ra, targets.dec)


def _axis(image: Image, options: PositionOptions, scale: float | None, value: np.ndarray) -> np.ndarray:
    """Return a semi-axis as the kernel wants it: in the options' unit, or in pixels for an image that has a scale but no WCS."""
    if options.axes_unit == "pixel" or image.wcs is not None:
        return value
    if scale is None:
        raise InputError(f"{image.path or 'image'}: has no scale, so the semi-axes must be given in pixels (axes_unit='pixel')")
    return np.asarray(value) / scale


def _forced_options(image: Image, options: PositionOptions, around: Surroundings, **more: Any) -> ForcedOptions:
    gain = image.gain if options.gain is None else options.gain
    values = {"axes_unit": options.axes_unit, **more}
    return ForcedOptions(gain=gain, satur_level=around.saturation, theta_frame=options.theta_frame, engine=options.engine, **values)


def _rings(
    options: PositionOptions, scale: float | None, diameters: Sequence[float | None], *, blind: bool
) -> tuple[list[float | None], float | None]:
    """Return the width of the ring of every circle, and the inner radius of all, pixels; None for those without."""
    in_pixels = {"annulus_width": None, "annulus_inner": None}
    for quantity in in_pixels:
        arcsec = getattr(options, f"{quantity}_arcsec")
        if arcsec and scale is None:
            raise InputError(f"{quantity}_arcsec: the image has no scale, so it must be given in pixels ({quantity}_pixel)")
        in_pixels[quantity] = np.divide(arcsec, scale) if arcsec else getattr(options, f"{quantity}_pixel")
    width, inner = in_pixels.values()
    if np.size(width):
        widths = np.broadcast_to(width, len(diameters)).tolist()
        return widths, None if inner is None else float(inner)
    if not blind:
        return [None] * len(diameters), None
    # Nothing is known of the sky: a ring as wide as the largest radius lies around all circles.
    largest = max((d for d in diameters if d is not None), default=0.0) / 2
    return [max(largest, _LEAST_RING)] * len(diameters), largest if inner is None else float(inner)


def _circles(
    image: Image, x: np.ndarray, y: np.ndarray, diameters: Sequence[float | None], rings: tuple[list[float | None], float | None],
    said: tuple[PositionOptions, Surroundings], known: Mapping[str, Any],
) -> Named:  # fmt: skip
    """Measure all circles in one go, or those of each width of the ring together."""
    widths, inner = rings
    there = [index for index, diameter in enumerate(diameters) if diameter is not None]
    groups = dict.fromkeys(widths[index] for index in there) or {None: None}
    found: Named = {}
    for width in groups:
        chosen = [index for index in there if widths[index] == width]
        plain = _forced_options(image, *said, annulus_width=width, annulus_inner=None if width is None else inner)
        named = forced.circular(image, x, y, [diameters[index] for index in chosen], plain, bare=True, **known)
        found |= _renumbered(named, chosen)
    return found


def _renumbered(named: Named, numbers: Sequence[int]) -> Named:
    """Give every circle the suffix of its number among all that were asked for."""
    families = (columns.aperture, columns.annulus)
    new = {old: made for place, number in enumerate(numbers) for family in families
           for old, made in zip(family(place), family(number), strict=True)}  # fmt: skip
    return {new.get(column, column): values for column, values in named.items()}
