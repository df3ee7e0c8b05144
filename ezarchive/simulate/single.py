"""One simulated frame in memory, of any size."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import QTable
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.simulate.exposure import Exposure
from ezarchive.simulate.field import GALAXY_FRACTION, counts, generator, stars_table
from ezarchive.simulate.frames import Light, add_hot_pixel, expose, judge, place
from ezarchive.simulate.optics import Telescope
from ezarchive.simulate.optics import telescope as find_telescope
from ezarchive.simulate.truth import FrameTruth

_BRIGHT = 9.5
"""Brighter than the brightest drawn for a toy archive, whose saturated stars are put in by hand."""


class SimulatedFrame(NamedTuple):
    """Pixels (ADU, float32), header, and truth of one frame."""

    data: NDArray[np.float32]
    header: fits.Header
    truth: FrameTruth


def frame(
    shape: tuple[int, int] = (6388, 9576),
    n_stars: int = 20000,
    seed: int = 0,
    *,
    telescope: str | Telescope = "7DT01",
    known_background: bool = False,
    exposure: Exposure | None = None,
) -> SimulatedFrame:
    """Simulate one frame, for benchmarks and tests.

    The default is a full 7DT frame. Stars and galaxies lie all over it, those at the edges are cut; magnitudes follow the same
    counts as in a toy archive.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns; overrides the size in ``exposure``.
    n_stars : int
        Number of sources.
    seed : int
        Seed of sky and noise.
    telescope : str or Telescope
        Gives rotation, parity, distortion, gain, read noise and saturation, unless ``exposure`` is given.
    known_background : bool
        True: the sky is one constant level; else it has slopes. Unused when ``exposure`` is given.
    exposure : Exposure, optional
        Everything else: seeing, sky, zero point, pointing, filter ...

    Returns
    -------
    SimulatedFrame

    Raises
    ------
    InputError
        If the shape or the number is out of range.

    Examples
    --------
    >>> image = frame((64, 96), n_stars=5, seed=3)
    >>> image.data.shape, len(image.truth.sources), image.header["FILTER"]
    ((64, 96), 5, 'm600')
    """
    if n_stars < 0:
        raise InputError(f"n_stars {n_stars!r}: must not be negative")
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"shape {shape!r}: must be two positive numbers, rows and columns")
    exposure = _sized(exposure, shape) if exposure is not None else _default(shape, find_telescope(telescope), known_background)
    sources = _sources(exposure, n_stars, seed)
    light = Light(sources, exposure)
    scene = add_hot_pixel(light.render(np.float32), exposure)
    truth = FrameTruth(exposure, judge(sources, light, scene))
    data = expose(scene, exposure, generator(seed, "noise"))
    return SimulatedFrame(data, exposure.header(), truth)


def _default(shape: tuple[int, int], camera: Telescope, known_background: bool) -> Exposure:
    slopes = {} if known_background else {"slope_x": 0.04, "slope_y": -0.03, "bowl": 0.01}
    return Exposure(nx=int(shape[1]), ny=int(shape[0]), **camera.exposure_fields(100.0), **slopes)


def _sized(exposure: Exposure, shape: tuple[int, int]) -> Exposure:
    return replace(exposure, nx=int(shape[1]), ny=int(shape[0]))


def _sources(exposure: Exposure, n: int, seed: int) -> QTable:
    """Draw sources over the frame, evenly in pixels."""
    rng = generator(seed, "frame")
    x, y = rng.uniform(-0.5, exposure.nx - 0.5, n), rng.uniform(-0.5, exposure.ny - 0.5, n)
    ra, dec = exposure.wcs.all_pix2world(x, y, 0) if n else (x, y)
    return place(stars_table(ra, dec, counts(n, rng, _BRIGHT), rng.random(n) < GALAXY_FRACTION, rng), exposure)
