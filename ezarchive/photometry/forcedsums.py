"""Sums in apertures at given positions, portion by portion of the list: only the pixels around the positions are touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ezarchive import flags
from ezarchive.photometry.annulus import Clipping, Ring, measure_rings
from ezarchive.photometry.aperture import flux_error
from ezarchive.photometry.stamps import Scene, Stamps, chunks, stacked
from ezarchive.photometry.sums import exact_sums
from ezarchive.sky.ellipses import Ellipses

_BIT = {flag.name: np.int16(flag.bit) for flag in flags.FLAGS_APER}


@dataclass(frozen=True)
class Aperture:
    """One aperture at each position, and the edges of its ring if it has one."""

    ellipses: Ellipses
    inner: Ellipses | None = None
    outer: Ellipses | None = None

    @property
    def widest(self) -> Ellipses:
        """The outermost edge."""
        return self.ellipses if self.outer is None else self.outer


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How to sum: electrons per stored unit, the engine, the clipping of rings, and sources that may be in the way.

    ``neighbours`` has shape (m, 2): x and y of sources; one within `own_radius` pixels of a position is the source that is measured.
    """

    gain: float | None = None
    engine: str = "sep"
    clipping: Clipping = Clipping()
    neighbours: np.ndarray | None = None
    own_radius: float = 2.0


@dataclass(frozen=True)
class Measured:
    """What was measured in one aperture; every field has shape (n,). Fluxes, levels and noises are in the stored unit.

    Attributes
    ----------
    flux, flux_err, sky_sigma : ndarray
        Flux less the sky, its error, and the noise of the sky in the whole aperture; NaN where there is none.
    area, nominal : ndarray
        Area that was summed, and that of the aperture, square pixels.
    flags : ndarray of int16
        Bits of ``flags.FLAGS_APER``.
    ring, ring_err, ring_sigma : ndarray
        Level, error of the level and noise per pixel in the ring; NaN without one.
    ring_pixels : ndarray of int32
    """

    flux: np.ndarray
    flux_err: np.ndarray
    sky_sigma: np.ndarray
    area: np.ndarray
    nominal: np.ndarray
    flags: np.ndarray
    ring: np.ndarray
    ring_err: np.ndarray
    ring_sigma: np.ndarray
    ring_pixels: np.ndarray

    @classmethod
    def blank(cls, aperture: Aperture) -> Measured:
        """Return what is measured of apertures that lie off the image."""
        n = len(aperture.ellipses.a)
        nan = (np.full(n, np.nan) for _ in range(6))
        return cls(next(nan), next(nan), next(nan), np.zeros(n), aperture.ellipses.area, np.full(n, _BIT["OFF_IMAGE"], np.int16),
                   *nan, np.zeros(n, np.int32))  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What was measured in each aperture, and the level and the noise per pixel at the positions."""

    apertures: list[Measured]
    sky: np.ndarray
    sigma: np.ndarray


def measure(scene: Scene, x: np.ndarray, y: np.ndarray, apertures: Sequence[Aperture], rules: Rules) -> Result:
    """Measure apertures at positions.

    Parameters
    ----------
    scene : Scene
    x, y : ndarray, shape (n,)
        0-based pixels; NaN and positions off the image are flagged.
    apertures : sequence of Aperture
    rules : Rules

    Returns
    -------
    Result
        In the order of the positions.
    """
    measured = [Measured.blank(aperture) for aperture in apertures]
    sky, sigma = np.full(len(x), np.nan), np.full(len(x), np.nan)
    bits = [_geometry(scene.shape, x, y, aperture.ellipses) for aperture in apertures]
    for one, found in zip(measured, bits, strict=True):
        one.flags[:] = found if rules.gain is not None else found | _BIT["NO_GAIN"]
    reaches = [one.widest.reach() for one in apertures]
    width, height = (np.max([reach[k] for reach in reaches], axis=0) if reaches else np.zeros(len(x)) for k in (0, 1))
    on = np.any([(found & _BIT["OFF_IMAGE"]) == 0 for found in bits], axis=0) if bits else np.zeros(len(x), bool)
    tree = None if rules.neighbours is None or not len(rules.neighbours) else cKDTree(rules.neighbours)
    for index, half in _portions(scene.shape, y, width, height, np.flatnonzero(on)):
        stamps = stacked(scene, x[index], y[index], half)
        sky[index], sigma[index] = stamps.sky, stamps.sigma
        portion = _Portion(stamps, x[index], y[index], rules, tree)
        for one, result in zip(apertures, measured, strict=True):
            portion.measure(one, result, index)
    return Result(measured, sky, sigma)


class _Portion:
    """The stamps of some positions, on which one aperture after the other is summed."""

    def __init__(self, stamps: Stamps, x: np.ndarray, y: np.ndarray, rules: Rules, tree: cKDTree | None) -> None:
        self.stamps, self.x, self.y, self.rules, self.tree = stamps, x, y, rules, tree
        self.holed = stamps.has(stamps.out)
        self.pivot: np.ndarray | None = None
        self.rings: tuple[tuple[Ellipses, Ellipses], Ring] | None = None

    def measure(self, aperture: Aperture, result: Measured, index: np.ndarray) -> None:
        """Sum one aperture at the positions with these indices, into `result`."""
        stamps, shape = self.stamps, aperture.ellipses[index]
        off = (result.flags[index] & _BIT["OFF_IMAGE"]) != 0
        ring = self._ring(aperture, index)
        noise = None if not isinstance(stamps.noise, np.ndarray) else stamps.plane(stamps.noise)
        value, variance = exact_sums(self.rules.engine, stamps.plane(stamps.data), stamps.x, stamps.y, shape, noise)
        partly = self.holed | ((result.flags[index] & _BIT["OFF_IMAGE_PARTLY"]) != 0)
        area = np.where(off, 0.0, shape.area)
        area[partly] = self._summed(~stamps.out, shape, partly)
        area[off] = 0.0
        if ring is not None:
            value = value - area * (ring.level - self.pivot)
            result.ring[index], result.ring_err[index], result.ring_sigma[index], result.ring_pixels[index] = (
                ring.level, ring.level_err, ring.sigma, ring.pixels
            )  # fmt: skip
        if variance is None:
            known = stamps.noise if stamps.noise is not None else np.nan if ring is None else ring.sigma
            variance = np.square(known) * area
        self._store(result, index, np.where(area > 0, value, np.nan), np.where(area > 0, variance, np.nan), area, ring)
        result.flags[index] |= self._layer_bits(shape)
        nothing = (area == 0) & ((result.flags[index] & (_BIT["MASKED"] | _BIT["NOT_FINITE"])) == 0)
        result.flags[index[nothing]] &= _BIT["NO_GAIN"]
        result.flags[index[nothing]] |= _BIT["OFF_IMAGE"]

    def _store(
        self, result: Measured, index: np.ndarray, flux: np.ndarray, variance: np.ndarray, area: np.ndarray, ring: Ring | None
    ) -> None:
        sigma = np.sqrt(variance)
        error = flux_error(sigma, flux, self.rules.gain)
        if ring is not None:
            error = np.sqrt(error**2 + (area * ring.level_err) ** 2)
        result.flux[index], result.flux_err[index], result.sky_sigma[index], result.area[index] = flux, error, sigma, area
        bits = np.where(flux <= 0, _BIT["NON_POSITIVE"], np.int16(0))
        bits |= np.where((area > 0) & ~np.isfinite(flux + sigma), _BIT["NO_SKY"], np.int16(0))
        result.flags[index] |= bits

    def _ring(self, aperture: Aperture, index: np.ndarray) -> Ring | None:
        if aperture.inner is None or aperture.outer is None:
            return None
        edges = aperture.inner[index], aperture.outer[index]
        if self.rings is not None and all(np.array_equal(new.a, old.a) for new, old in zip(edges, self.rings[0], strict=True)):
            # One ring for all apertures.
            return self.rings[1]
        ring = measure_rings(self.stamps, *edges, self.rules.clipping)
        if self.pivot is None:
            # sep takes pixels as float32: a high level that was not subtracted would cost digits.
            self.pivot = np.nan_to_num(ring.level)
            data = self.stamps.data
            np.subtract(data, self.pivot[:, None, None], out=data, where=~self.stamps.out, casting="unsafe")
        else:
            ring = Ring(ring.level + self.pivot, ring.level_err, ring.sigma, ring.pixels)
        self.rings = edges, ring
        return ring

    def _summed(self, layer: np.ndarray, shape: Ellipses, chosen: np.ndarray) -> np.ndarray:
        if not chosen.any():
            return np.zeros(0)
        plane = self.stamps.plane(layer).astype(np.float32)
        return exact_sums(self.rules.engine, plane, self.stamps.x[chosen], self.stamps.y[chosen], shape[chosen]).value

    def _layer_bits(self, shape: Ellipses) -> np.ndarray:
        bits = np.zeros(len(self.x), np.int16)
        for name, layer in self.stamps.layers.items():
            near = self.stamps.has(layer)
            bits[near] |= np.where(self._summed(layer, shape, near) > 0, _BIT[name], np.int16(0))
        if self.tree is not None:
            bits |= np.where(self._crowded(shape), _BIT["NEIGHBOUR"], np.int16(0))
        return bits

    def _crowded(self, shape: Ellipses) -> np.ndarray:
        """Return whose aperture holds the position of another source."""
        centres, form = np.stack([self.x, self.y], axis=-1), shape.form()
        found = np.zeros(len(centres), bool)
        for i, near in enumerate(self.tree.query_ball_point(centres, shape.a, return_sorted=False)):
            dx, dy = (self.tree.data[near] - centres[i]).T
            inside = form[i, 0] * dx * dx + form[i, 1] * dx * dy + form[i, 2] * dy * dy < 1
            found[i] = (inside & (np.hypot(dx, dy) > self.rules.own_radius)).any()
        return found


def _geometry(shape: tuple[int, int], x: np.ndarray, y: np.ndarray, ellipses: Ellipses) -> np.ndarray:
    """Return the bits of apertures that reach over the edge of the image, or whose boxes lie beyond it."""
    width, height = ellipses.reach()
    (ny, nx), bits = shape, np.zeros(len(x), np.int16)
    with np.errstate(invalid="ignore", over="ignore"):
        partly = (x - width < -0.5) | (x + width > nx - 0.5) | (y - height < -0.5) | (y + height > ny - 0.5)
        touches = (x + width > -0.5) & (x - width < nx - 0.5) & (y + height > -0.5) & (y - height < ny - 0.5)
    bits[partly] = _BIT["OFF_IMAGE_PARTLY"]
    # A NaN compares as nothing.
    bits[~touches] = _BIT["OFF_IMAGE"]
    return bits


def _portions(
    shape: tuple[int, int], y: np.ndarray, width: np.ndarray, height: np.ndarray, chosen: np.ndarray
) -> Iterator[tuple[np.ndarray, tuple[int, int]]]:
    """Yield positions whose stamps are made together, and half the size of those, sizes within a factor of two in one go."""
    if not len(chosen):
        return
    size = np.maximum(width, height)[chosen]
    classes = np.ceil(np.log2(np.maximum(size, 1.0))).astype(np.int64) if size.min() < size.max() else np.zeros(len(chosen), np.int64)
    for one in np.unique(classes):
        members = chosen[classes == one]
        half = tuple(int(min(np.ceil(reach[members].max()) + 1, 2 * max(shape))) for reach in (height, width))
        for index in chunks(shape, y[members], half):
            yield members[index], half
