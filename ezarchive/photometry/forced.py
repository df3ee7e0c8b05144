"""Forced photometry: circles and ellipses at positions that are given, measured on the pixels around them alone.

Formulas (``w`` the exact fraction of a pixel inside the aperture, ``D`` the pixel less the level of the sky, ``s`` the noise of the sky per
pixel, ``g`` the gain; sums run over the pixels that are on the image, finite and not masked):

- flux ``F = sum w D``, effective area ``A = sum w`` (NPIX; NPIX_NOM is the whole aperture's)
- noise of the sky ``S^2 = sum w s^2`` (SKYSIG; linear in ``w``), limits ``ULn = -2.5 log10(n S)``
- error ``dF^2 = S^2 + max(F, 0) / g``
- with a ring of N pixels: ``F = sum w D - A m``, m their clipped median, and ``dF^2`` gains ``(A^2 / N) (pi / 2) s_ring^2``; ``s`` is
  ``s_ring`` where no noise is given

They are those of the SExtractor manual ("Flux measurements") and, of the ring, of Merline & Howell (1995, Exp. Astron. 6, 163) with the
variance of a median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import QTable
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.photometry import forcedtable
from ezarchive.photometry.annulus import Clipping
from ezarchive.photometry.forcedsums import Aperture, Rules, measure
from ezarchive.photometry.forcedtable import Named
from ezarchive.photometry.stamps import ArrayCutouts, Cutouts, Scene, as_cutouts, as_layer, as_level
from ezarchive.photometry.sums import ENGINES
from ezarchive.sky import ellipses
from ezarchive.sky.ellipses import Ellipses

__all__ = ["Cutouts", "ForcedOptions", "circular", "elliptical"]


@dataclass(frozen=True, kw_only=True)
class ForcedOptions:
    """How to measure at given positions.

    Attributes
    ----------
    gain : float, optional
        Electrons per stored unit; None (unknown) sets the bit NO_GAIN, 0 leaves photon noise out.
    satur_level : float, optional
        Level from which a pixel is saturated, background included, stored unit.
    annulus_width : float, optional
        Width in pixels of the ring around a circle that gives the level of the sky; None: no ring.
    annulus_inner : float, optional
        Inner radius of the ring in pixels, for all apertures; by default that of each aperture.
    annulus_ratio : float, optional
        Outer axes of the elliptical ring around an ellipse, in units of the ellipse's (then the inner ones); None: no ring.
    clip_sigma, clip_iterations : float, int
        Clipping of the pixels of a ring, round their median.
    annulus_least_pixels : int
        A ring with fewer pixels gives nothing (bit NO_SKY).
    theta_frame : {"pixel", "sky"}
        Of ellipses: direction counter-clockwise from +x, or position angle from north through east.
    axes_unit : {"pixel", "arcsec"}
        Of the semi-axes of ellipses.
    own_radius : float
        A neighbour within this many pixels of a position is the source itself.
    engine : {"sep", "photutils"}
        Who sums; both exactly.
    """

    gain: float | None = None
    satur_level: float | None = None
    annulus_width: float | None = None
    annulus_inner: float | None = None
    annulus_ratio: float | None = None
    clip_sigma: float = 3.0
    clip_iterations: int = 5
    annulus_least_pixels: int = 10
    theta_frame: str = "pixel"
    axes_unit: str = "pixel"
    own_radius: float = 2.0
    engine: str = "sep"

    def __post_init__(self) -> None:
        for name in ("satur_level", "annulus_width", "annulus_inner", "annulus_ratio", "clip_sigma"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and (value > 0 or name == "satur_level")):
                raise InputError(f"{name}: must be positive and finite, found {value}")
        if self.gain is not None and not self.gain >= 0:
            raise InputError(f"gain: must not be negative (electrons per stored unit), found {self.gain}")
        if self.annulus_ratio is not None and self.annulus_ratio <= 1:
            raise InputError(f"annulus_ratio: must exceed 1, for the ring lies around the ellipse, found {self.annulus_ratio}")
        if self.annulus_inner is not None and self.annulus_width is None:
            raise InputError("annulus_inner: needs an annulus_width as well")
        for name, known in (("engine", ENGINES), ("theta_frame", ellipses.THETA_FRAMES), ("axes_unit", ellipses.AXES_UNITS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}: must be {' or '.join(map(repr, known))}, found {getattr(self, name)!r}")
        for name in ("clip_iterations", "annulus_least_pixels"):
            if isinstance(getattr(self, name), bool) or int(getattr(self, name)) != getattr(self, name) or getattr(self, name) < 0:
                raise InputError(f"{name}: must be a whole number from 0, found {getattr(self, name)!r}")


def circular(  # noqa: PLR0913 - what may be known of an image
    data: np.ndarray | Cutouts,
    x: np.ndarray,
    y: np.ndarray,
    diameters: Sequence[float] | float,
    options: ForcedOptions | None = None,
    *,
    noise: Any = None,
    background: Any = None,
    mask: Any = None,
    segmap: Any = None,
    neighbours: tuple[np.ndarray, np.ndarray] | None = None,
    wcs: WCS | None = None,
    world: tuple[np.ndarray, np.ndarray] | None = None,
    ids: Sequence[Any] | None = None,
    sky_source: str | None = None,
    bare: bool = False,
) -> QTable | Named:
    """Measure circles at given positions.

    Parameters
    ----------
    data : array of shape (ny, nx), or Cutouts
        The image, any real dtype and byte order; anything with `shape` and ``cut(rows, cols)`` (``images.image.Image``) is read only
        around the positions. It is not changed.
    x, y : array_like, shape (n,)
        Centres, 0-based pixels. Those off the image and NaN are flagged, not dropped.
    diameters : float or sequence of float
        In pixels, in the order of the suffixes.
    options : ForcedOptions, optional
    noise : float, array, Cutouts or model, optional
        Noise of the sky per pixel; a model has ``rms(slices)``. Without it the ring's scatter serves; without a ring there are no errors
        (bit NO_SKY). Pixels whose noise is not positive and finite are left out (bit NOT_FINITE).
    background : float, array, Cutouts or model, optional
        Level of the sky, which is subtracted here; a model has ``level(slices)``. None: the image is subtracted already, or a ring will
        do. With both, the ring measures what the background left.
    mask : array of bool or integer bits, or Cutouts, optional
        Pixels that are not 0 are left out (bit MASKED).
    segmap : array of int, or Cutouts, optional
        Segmentation map; pixels of another source than the one at the position set the bit NEIGHBOUR, those of any are kept out of rings.
    neighbours : tuple of two arrays, optional
        x and y of known sources; another one's position in the aperture sets the bit NEIGHBOUR.
    wcs : WCS, optional
        For the sky columns, else NaN.
    world : tuple of two arrays, optional
        Right ascension and declination (ICRS degrees) of the positions, where they are known; else from `wcs`.
    ids : sequence, optional
        Identifiers, for ``target_id``; the place in the list otherwise.
    sky_source : str, optional
        What to record as such; by default annulus, mesh (a model), map (pixels or a number) or none.
    bare : bool
        Return the columns as arrays, for `catalogs.parquet`: to make a table of one row takes longer than to measure it.

    Returns
    -------
    QTable, or dict of Column to ndarray
        ``columns.FORCED``, then for each aperture ``columns.aperture(i)`` and, with a ring, ``columns.annulus(i)``; one row a position, in
        their order. What could not be measured is NaN; the bits of FLAGS_APER say why.

    Raises
    ------
    InputError
        If an argument has a wrong shape, type or value, or a ring reaches into its aperture.
    """
    options = ForcedOptions() if options is None else options
    x, y = _positions(x, y)
    radii = [_radius(diameter) for diameter in ([diameters] if np.ndim(diameters) == 0 else diameters)]
    scene = _scene(data, background, noise, mask, segmap, options)
    apertures = [_circle(radius, len(x), options) for radius in radii]
    found = measure(scene, x, y, apertures, _rules(options, neighbours))
    source = _sky_source(background, noise, options.annulus_width is not None) if sky_source is None else sky_source
    values = forcedtable.position_values(x, y, found, wcs=wcs, world=world, ids=ids, sky_source=source)
    named = forcedtable.circular_columns(values, found, [2 * radius for radius in radii], ring=options.annulus_width is not None)
    return named if bare else forcedtable.as_table(named)


def elliptical(  # noqa: PLR0913 - what may be known of an image
    data: np.ndarray | Cutouts,
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    theta: np.ndarray,
    options: ForcedOptions | None = None,
    *,
    noise: Any = None,
    background: Any = None,
    mask: Any = None,
    segmap: Any = None,
    neighbours: tuple[np.ndarray, np.ndarray] | None = None,
    wcs: WCS | None = None,
    world: tuple[np.ndarray, np.ndarray] | None = None,
    ids: Sequence[Any] | None = None,
    sky_source: str | None = None,
    bare: bool = False,
) -> QTable | Named:
    """Measure an ellipse at each of the given positions.

    Parameters
    ----------
    data, x, y, options, noise, background, mask, segmap, neighbours, wcs, world, ids, sky_source, bare
        As of `circular`.
    a, b : array_like, shape (n,) or scalar
        Semi-major and semi-minor axes, in ``options.axes_unit``.
    theta : array_like, shape (n,) or scalar
        Direction of the major axis in degrees, in ``options.theta_frame``.

    Returns
    -------
    QTable
        ``columns.FORCED`` and ``columns.ELLIPSE``, with a ring ``columns.ELLIPSE_ANNULUS`` too. The axes and angles are given on the
        pixels, where the sums are made, and on the sky.

    Raises
    ------
    InputError
        As `circular`; also if axes or angle need a WCS and there is none.
    """
    options = ForcedOptions() if options is None else options
    x, y = _positions(x, y)
    a, b, theta = (_of_length(name, value, len(x)) for name, value in (("a", a), ("b", b), ("theta", theta)))
    scene = _scene(data, background, noise, mask, segmap, options)
    jacobian = ellipses.jacobian_at(wcs, x, y)
    shapes = ellipses.on_pixels(a, b, theta, theta_frame=options.theta_frame, unit=options.axes_unit, jacobian=jacobian)
    ratio = options.annulus_ratio
    aperture = Aperture(shapes) if ratio is None else Aperture(shapes, shapes, shapes.scaled(ratio))
    found = measure(scene, x, y, [aperture], _rules(options, neighbours))
    source = _sky_source(background, noise, ratio is not None) if sky_source is None else sky_source
    values = forcedtable.position_values(x, y, found, wcs=wcs, world=world, ids=ids, sky_source=source)
    named = forcedtable.elliptical_columns(values, found, shapes, jacobian, ring=ratio is not None)
    return named if bare else forcedtable.as_table(named)


def _positions(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.atleast_1d(_numbers(name, value)) for name, value in (("x", x), ("y", y)))
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"x, y: must be 1-D and of equal length, found shapes {x.shape} and {y.shape}")
    return x, y


def _of_length(name: str, value: Any, n: int) -> np.ndarray:
    found = np.atleast_1d(_numbers(name, value))
    if found.ndim != 1 or len(found) not in (1, n):
        raise InputError(f"{name}: must be one number or as long as x and y ({n}), found shape {found.shape}")
    return np.repeat(found, n) if len(found) == 1 and n != 1 else found


def _numbers(name: str, value: Any) -> np.ndarray:
    try:
        return np.array(np.ma.filled(np.ma.asarray(value, float), np.nan))
    except (TypeError, ValueError) as err:
        raise InputError(f"{name}: must be a number or an array of numbers (pixels), found {type(value).__name__}") from err


def _radius(diameter: float) -> float:
    try:
        radius = float(diameter) / 2
    except (TypeError, ValueError) as err:
        raise InputError(f"diameters: must be numbers (pixels), found {diameter!r}") from err
    if not np.isfinite(radius) or radius <= 0:
        raise InputError(f"diameters: must be positive and finite (pixels), found {diameter}")
    return radius


def _circle(radius: float, n: int, options: ForcedOptions) -> Aperture:
    if options.annulus_width is None:
        return Aperture(Ellipses.circles(radius, n))
    inner = radius if options.annulus_inner is None else options.annulus_inner
    # Radii that went through arcsec may differ in the last digit.
    if inner < radius * (1 - 1e-9):
        raise InputError(
            f"annulus_inner: the ring must not reach into its aperture, found an inner radius of {inner:g} for one of {radius:g} pixels"
        )
    return Aperture(*(Ellipses.circles(value, n) for value in (radius, inner, inner + options.annulus_width)))


def _scene(data: Any, background: Any, noise: Any, mask: Any, segmap: Any, options: ForcedOptions) -> Scene:
    pixels = as_cutouts("data", data)
    shape = tuple(pixels.shape)
    return Scene(
        pixels,
        as_level("background", background, "level", shape),
        as_level("noise", noise, "rms", shape),
        as_layer("mask", mask, shape),
        as_layer("segmap", segmap, shape),
        options.satur_level,
    )


def _rules(options: ForcedOptions, neighbours: tuple[np.ndarray, np.ndarray] | None) -> Rules:
    clipping = Clipping(sigma=options.clip_sigma, iterations=options.clip_iterations, least_pixels=max(options.annulus_least_pixels, 2))
    listed = None
    if neighbours is not None:
        listed = np.stack(_positions(*neighbours), axis=-1)
        listed = listed[np.isfinite(listed).all(axis=1)]
    return Rules(gain=options.gain, engine=options.engine, clipping=clipping, neighbours=listed, own_radius=options.own_radius)


def _sky_source(background: Any, noise: Any, ring: bool) -> str:  # noqa: FBT001 - private
    if ring:
        return "annulus"
    given = noise if background is None else background
    if given is None:
        return "none"
    is_pixels = isinstance(given, (np.ndarray, ArrayCutouts, float, int)) or not (hasattr(given, "level") or hasattr(given, "rms"))
    return "map" if is_pixels else "mesh"
