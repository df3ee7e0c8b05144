"""The image that a camera with a filter would have taken of what a cube of spectra has seen."""

from __future__ import annotations

import re
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from itertools import islice
from numbers import Integral
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline, PPoly

from ezarchive.compare.cube import FluxCube, flux_cube
from ezarchive.compare.fluximage import FluxImage
from ezarchive.errors import CompareError, InputError
from ezarchive.pool import worker_count

Floats = NDArray[np.float64]

INTERPOLATIONS = ("linear", "cubic")
_ANGSTROM = u.Unit("Angstrom")
_LOST = 0.005
_THIRD_AXIS = re.compile(
    r"(NAXIS|CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA|CNAME|CRDER|CSYER)3|(CD|PC)(3_\d|\d_3)|P[VS]3_\d+|WCSAXES|SPECSYS|RESTWAV|RESTFRQ"
)
_PLANES = 128
"""Planes that are added up by themselves, whoever does it, so that the sums do not depend on how many work."""


class TruncationWarning(UserWarning):
    """A part of a filter curve lies outside of a cube."""


def bandpass_image(
    cube: Any,
    wavelengths: ArrayLike,
    sensitivities: ArrayLike,
    unit_wave: u.UnitBase | str | None = _ANGSTROM,
    interpolation: str = "linear",
    truncation_warning: bool = True,
    nprocess: int = 0,
) -> FluxImage:
    """Take the mean of the planes of a cube, weighted by a filter curve.

    Parameters
    ----------
    cube : path, FluxCube, NDData or array of shape (channels, ny, nx)
        Of a file one plane at a time is read.
    wavelengths, sensitivities : array_like, shape (n,)
        The curve; wavelengths rise, sensitivities have any scale. Beyond its ends it is 0.
    unit_wave : Unit, str or None
        Of the wavelengths; None: they are channel numbers, from 0.
    interpolation : {"linear", "cubic"}
        The curve between its points.
    truncation_warning : bool
        Whether to warn (`TruncationWarning`) when more than 0.5 % of the curve's integral lies outside of the cube.
    nprocess : int
        How many threads read and add up planes; 0 and less: the cores of this process and so many more. The result is the same to the bit.

    Returns
    -------
    FluxImage
        In the unit of the cube and on its pixels. A pixel that is masked in every plane that counts is masked.

    Raises
    ------
    InputError
        If the curve is not two lists of as many finite numbers, its wavelengths do not rise or its integral is not positive, an option
        has no such value, or the cube has no spectral axis of wavelengths (and ``unit_wave`` is not None).
    CompareError
        ``no_overlap``: the curve lies outside of the cube, or lets nothing through there.
    FrameError
        If the file cannot be read.

    Notes
    -----
    Channel k covers the wavelengths from half a channel before it to half a channel after. Its weight w is the integral of the curve
    over that, taken exactly from the pieces of the polynomial. Image: sum(w d) / sum(w); variance: sum(w^2 v) / sum(w)^2; both over the
    planes in which the pixel is not masked.
    """
    cube = flux_cube(cube, "cube")
    curve = filter_curve(wavelengths, sensitivities, interpolation)
    unit = None if unit_wave is None else _unit(unit_wave)
    channels = channel_weights(curve, cube.edges(unit))
    total = float(curve.antiderivative()(curve.x[-1]))
    if not channels.sum() > 0:
        raise CompareError("no_overlap", f"wavelengths: {_missed(curve, cube, unit)}")
    lost = 1.0 - channels.sum() / total
    if truncation_warning and lost > _LOST:
        warnings.warn(f"{cube.name}: {100 * lost:.1f} % of the filter curve lies outside of the cube", TruncationWarning, stacklevel=2)
    return _image(cube, _added(cube, channels, _workers(nprocess)))


def filter_curve(wavelengths: ArrayLike, sensitivities: ArrayLike, interpolation: str = "linear") -> PPoly:
    """Return a filter curve as a piecewise polynomial, after a look at its points (see `bandpass_image`)."""
    if interpolation not in INTERPOLATIONS:
        raise InputError(f"interpolation: must be {' or '.join(INTERPOLATIONS)}, found {interpolation!r}")
    x, y = _column("wavelengths", wavelengths), _column("sensitivities", sensitivities)
    if len(x) != len(y) or len(x) < 2:
        raise InputError(f"wavelengths, sensitivities: must have as many values, two or more, found {len(x)} and {len(y)}")
    step = np.diff(x)
    if (step <= 0).any():
        first = int(np.argmax(step <= 0))
        what = "repeated" if step[first] == 0 else "falling"
        raise InputError(f"wavelengths: must rise, found {what} ones: {x[first]:g}, then {x[first + 1]:g}")
    straight = interpolation == "linear" or len(x) == 2
    curve = PPoly(np.stack([np.diff(y) / step, y[:-1]]), x) if straight else CubicSpline(x, y)
    total = float(curve.integrate(x[0], x[-1]))
    if not total > 0:
        raise InputError(f"sensitivities: must have a positive integral, found {total:g}")
    return curve


def channel_weights(curve: PPoly, edges: Floats) -> Floats:
    """Return the integral of a curve over each channel.

    Parameters
    ----------
    curve : PPoly
        0 outside of its points.
    edges : ndarray, shape (n + 1,)
        Limits of the channels, rising or falling.

    Returns
    -------
    ndarray, shape (n,)
    """
    made = np.diff(curve.antiderivative()(np.clip(edges, curve.x[0], curve.x[-1])))
    return made if edges[-1] > edges[0] else -made


class _Sums(NamedTuple):
    """Sums over planes: weight times flux, weight, and squared weight times variance (None where it is not known)."""

    flux: Floats
    weight: Floats
    variance: Floats | None

    def plus(self, other: _Sums) -> _Sums:
        variance = None if self.variance is None or other.variance is None else self.variance + other.variance
        return _Sums(self.flux + other.flux, self.weight + other.weight, variance)


def _added(cube: FluxCube, weights: Floats, workers: int) -> _Sums:
    """Add up the planes: stretches of a fixed number of them, which are then added in their order."""
    used = np.flatnonzero(weights)
    starts = iter(range(int(used[0]), int(used[-1]) + 1, _PLANES))
    stop = int(used[-1]) + 1
    tasks = ((start, min(start + _PLANES, stop)) for start in starts)
    if workers == 1:
        return reduce(_Sums.plus, (_stretch(cube, weights, *task) for task in tasks))
    with ThreadPoolExecutor(workers) as executor:
        # No more stretches at a time than workers: each keeps sums of its own.
        return reduce(_Sums.plus, _in_order(executor, partial(_stretch, cube, weights), tasks, workers))


def _in_order(executor: ThreadPoolExecutor, function: Any, tasks: Iterator[tuple[int, int]], ahead: int) -> Iterator[_Sums]:
    waiting = deque(executor.submit(function, *task) for task in islice(tasks, ahead))
    while waiting:
        made = waiting.popleft().result()
        waiting.extend(executor.submit(function, *task) for task in islice(tasks, 1))
        yield made


def _stretch(cube: FluxCube, weights: Floats, start: int, stop: int) -> _Sums:
    flux, weight = np.zeros(cube.shape[1:]), np.zeros(cube.shape[1:])
    noise = None
    for w, plane in zip(weights[start:stop], cube.planes(start, stop), strict=True):
        if w == 0:
            continue
        good = ~plane.mask
        np.add(flux, w * plane.data, out=flux, where=good)
        np.add(weight, w, out=weight, where=good)
        if plane.variance is not None:
            noise = np.zeros(cube.shape[1:]) if noise is None else noise
            np.add(noise, w**2 * plane.variance, out=noise, where=good)
    return _Sums(flux, weight, noise)


def _image(cube: FluxCube, sums: _Sums) -> FluxImage:
    good = sums.weight > 0
    below = np.where(good, sums.weight, np.nan)
    variance = None if sums.variance is None else sums.variance / below**2
    return FluxImage(
        sums.flux / below,
        variance=variance,
        mask=~good,
        wcs=cube.wcs,
        unit=cube.unit,
        header=_flat(cube.header),
        primary=cube.primary.copy(),
        name=cube.name,
    )


def _flat(header: fits.Header) -> fits.Header:
    """Return the header of a cube without the cards of its third axis."""
    made = header.copy()
    for keyword in list(made):
        if _THIRD_AXIS.fullmatch(keyword):
            made.remove(keyword, ignore_missing=True, remove_all=True)
    return made


def _unit(unit: u.UnitBase | str) -> u.UnitBase:
    try:
        made = u.Unit(unit)
    except (ValueError, TypeError) as err:
        raise InputError(f"unit_wave: must be a unit of wavelength or None, found {unit!r}") from err
    if not made.is_equivalent(u.m, u.spectral()):
        raise InputError(f"unit_wave: must be a unit of wavelength, found {made}")
    return made


def _column(name: str, values: ArrayLike) -> Floats:
    try:
        made = np.asarray(values, np.float64)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name}: must be numbers, found {type(values).__name__}") from err
    if made.ndim != 1 or not np.isfinite(made).all():
        raise InputError(f"{name}: must be one list of finite numbers, found shape {made.shape} with {np.sum(~np.isfinite(made))} others")
    return made


def _missed(curve: PPoly, cube: FluxCube, unit: u.UnitBase | None) -> str:
    edges, label = cube.edges(unit), "channels" if unit is None else unit.to_string()
    return (
        f"the filter curve, {curve.x[0]:g} to {curve.x[-1]:g}, must let light through within the cube {cube.name}, "
        f"{edges.min():g} to {edges.max():g} {label}"
    )


def _workers(nprocess: int) -> int:
    if isinstance(nprocess, bool) or not isinstance(nprocess, Integral):
        raise InputError(f"nprocess: must be a whole number, found {nprocess!r}")
    return int(nprocess) if nprocess > 0 else max(worker_count(None) + int(nprocess), 1)
