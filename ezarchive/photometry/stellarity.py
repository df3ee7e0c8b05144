"""Stellarity: how much a source looks like the stars of its frame, from 0 (extended) to 1.

The light of each source is summed in Gaussian windows: four round ones from 0.6 to 2.2 times as wide as a star, and the quadrupoles of two.
What the neighbours put in is taken out, all sources being fitted by turns. The frame's own stars tell what a star gives in the windows,
as a polynomial of the place, and how much that varies. The odds of two sets of hypotheses, each with its best flux and the covariance
of the noise, make the stellarity: star (alone, or with an unseen neighbour) against not a star (galaxies of nine sizes and eleven shapes;
spikes, as cosmic rays and hot pixels are). So 0.95 means that 19 of 20 such sources are stars where stars and galaxies are equally many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from ezarchive.photometry import kernels_stellarity as kernels
from ezarchive.photometry.hypotheses import (
    STAR,
    disturbance,
    growth_table,
    hypotheses,
    overlap,
    sampling,
    star_row,
    width_row,
    window_half,
)
from ezarchive.photometry.kernels_stellarity import N_ROUND, N_WINDOWS, REFERENCE
from ezarchive.photometry.pixels import Pixels
from ezarchive.photometry.starlocus import centres, find_locus, polynomial

_LEAST_WIDTH = 1.5
_RECENTRED = 2
_MOST_MOVED = 0.4
_STEP = 0.03
_SWEEPS = 2
_NEAR = 3.5
_BRIGHT = 20.0
_CLEAN = 0.1
_LEARNED = 3
_MOST_LEARNED = 2000
_NOT_SEEING = 0.1
_SEEING_ERROR = 0.15
_UNSEEN_CHANGE = 0.04
_LEAST_SCATTER = 0.005
_LEAST_SHAPE = 0.015
_DISTURBED = 0.1
_DISTURBANCE = 0.2
_DOUBT = 0.02
_RATIOS = np.geomspace(1.0, 2e4, 48)
"""Signal to noise that noise models are made for."""


def class_star(
    values: Mapping[str, np.ndarray],
    pixels: Pixels,
    *,
    seeing: float | None = None,
    gain: float | None = None,
    saturation: float | None = None,
) -> np.ndarray:
    """Return the stellarity of sources.

    Parameters
    ----------
    values : mapping of str to ndarray, shape (n,)
        Columns of ``columns.SOURCE`` measured so far: X_IMAGE, Y_IMAGE, SKYSIG; FWHM_IMAGE and FLUX_MAX where no seeing is given; FLUX_MAX
        and BACKGROUND where a saturation level is.
    pixels : Pixels
        The background-subtracted image.
    seeing : float, optional
        FWHM of the stars, pixels; 15 % of error does no harm, for the frame's own stars correct it. Without it they alone tell.
    gain : float, optional
        Electrons per stored unit, for the photon noise of bright sources.
    saturation : float, optional
        Level from which pixels are saturated, background included.

    Returns
    -------
    ndarray of float32, shape (n,)
        Between 0 and 1; NaN where neither a seeing nor three sources of S/N > 10 are known.
    """
    n = len(values["X_IMAGE"])
    noise = _noise(values, n)
    fwhm = _width(values, noise) if seeing is None or not seeing > 0 else float(seeing)
    if n == 0 or fwhm is None or noise is None:
        return np.full(n, np.nan, np.float32)
    full = _saturated(values, saturation)
    seen = _look(values, pixels, noise, max(fwhm, _LEAST_WIDTH))
    drawn = _locus(seen, ~full)
    if drawn is not None and abs(drawn[0]) > _NOT_SEEING:
        seen = _look(values, pixels, noise, max(fwhm * float(np.exp(drawn[0])), _LEAST_WIDTH))
        drawn = _locus(seen, ~full)
    log_odds = _judge(seen, drawn, full, gain)
    return (1.0 / (1.0 + np.exp(np.clip(log_odds, -50, 50)))).astype(np.float32)


@dataclass(frozen=True)
class _Seen:
    """Sums in the windows; arrays have n rows.

    ``sums`` are cleaned of the neighbours' (``taken``), ``x``, ``y`` the centres of the windows, ``noise`` that per pixel,
    ``ratio`` the signal to noise in the reference window, ``overlap`` the covariance for unit noise.
    """

    sums: np.ndarray
    taken: np.ndarray
    x: np.ndarray
    y: np.ndarray
    noise: np.ndarray
    ratio: np.ndarray
    fwhm: float
    overlap: np.ndarray
    shape: tuple[int, int]

    @property
    def amount(self) -> np.ndarray:
        """Sum in the reference window, at least a tenth of its noise."""
        return self.ratio * self.noise * np.sqrt(self.overlap[REFERENCE, REFERENCE])

    @property
    def relative(self) -> np.ndarray:
        """Sums over that in the reference window."""
        return self.sums / self.amount[:, None]

    @property
    def clean(self) -> np.ndarray:
        """Bright sources without much of their neighbours."""
        return (np.abs(self.taken).max(axis=1) < _CLEAN * self.amount) & (self.ratio > _BRIGHT)


def _noise(values: Mapping[str, np.ndarray], n: int) -> np.ndarray | None:
    noise = np.array(values["SKYSIG"], float).reshape(n)
    good = np.isfinite(noise) & (noise > 0)
    if not good.any():
        return None
    noise[~good] = np.median(noise[good])
    return noise


def _width(values: Mapping[str, np.ndarray], noise: np.ndarray | None) -> float | None:
    """Return the FWHM of the stars from those of the sources, None where too few are known."""
    if noise is None:
        return None
    fwhm, peak = np.asarray(values["FWHM_IMAGE"], float), np.asarray(values["FLUX_MAX"], float)
    with np.errstate(invalid="ignore"):
        snr = peak / noise * fwhm
        good = np.isfinite(snr) & (fwhm > 1.0) & (snr > 10.0)
    if good.sum() < _LEARNED:
        return None
    size = np.log(fwhm[good])
    grid = centres(*np.quantile(size, [0.0, 0.9]))
    return float(np.exp(find_locus(size, np.maximum(1.0 / snr[good], 0.01), grid).centre))


def _saturated(values: Mapping[str, np.ndarray], saturation: float | None) -> np.ndarray:
    if saturation is None:
        return np.zeros(len(values["X_IMAGE"]), bool)
    level = np.nan_to_num(np.asarray(values["BACKGROUND"], float)) if "BACKGROUND" in values else 0.0
    return np.asarray(values["FLUX_MAX"], float) + level >= saturation


def _look(values: Mapping[str, np.ndarray], pixels: Pixels, noise: np.ndarray, fwhm: float) -> _Seen:
    """Sum the windows, take the neighbours out, and move the windows to the centres that are left."""
    first = np.stack([np.array(values[name], float) for name in ("X_IMAGE", "Y_IMAGE")])
    n, half = first.shape[1], window_half(fwhm)
    bad = np.zeros((0, 0), bool) if pixels.bad is None else pixels.bad
    white = overlap(fwhm)
    reference = noise * np.sqrt(white[REFERENCE, REFERENCE])
    start, other = _neighbours(first, _NEAR * fwhm)
    table, where = growth_table(), first.copy()
    sums, taken = np.empty((n, N_WINDOWS)), np.empty((n, N_WINDOWS))
    dipole, shift = np.empty((n, 2)), np.empty((n, 2))
    moved = np.arange(n)
    for step in range(_RECENTRED + 1):
        some = np.empty((len(moved), N_WINDOWS)), np.empty((len(moved), 2))
        kernels.window_sums(pixels.data, bad, *where[:, moved], fwhm, half, *some)
        sums[moved], dipole[moved] = some
        order = np.argsort(-sums[:, REFERENCE], kind="stable")
        kernels.untangle(where / fwhm, sums, dipole, reference, order, start, other, STAR, table, _SWEEPS, taken, shift)
        if step < _RECENTRED:
            moved = np.flatnonzero(np.abs(shift).max(axis=1) > _STEP)
            way = where[:, moved] + fwhm * shift[moved].T - first[:, moved]
            where[:, moved] = first[:, moved] + np.clip(way, -_MOST_MOVED * fwhm, _MOST_MOVED * fwhm)
    cleaned = sums - taken
    ratio = np.maximum(cleaned[:, REFERENCE] / reference, 0.1)
    return _Seen(cleaned, taken, *where, noise, ratio, fwhm, white, pixels.shape)


def _neighbours(where: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return neighbours within reach: those of source i are ``other[start[i]:start[i + 1]]``."""
    pairs = cKDTree(where.T).query_pairs(reach, output_type="ndarray")
    one, other = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]]
    order = np.lexsort((other, one))
    return np.searchsorted(one[order], np.arange(where.shape[1] + 1)), other[order]


def _size(seen: _Seen, rows: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return ln(width) of sources relative to rows of sums (those of stars), and its error."""
    weights = width_row()
    weights[N_ROUND:] = 0.0
    weights /= weights @ weights
    # The reference window divides, so its noise counts with the other sign.
    net = weights.copy()
    net[REFERENCE] -= weights @ star_row()
    error = np.sqrt(net @ seen.overlap @ net / seen.overlap[REFERENCE, REFERENCE]) / seen.ratio
    return (seen.relative - rows) @ weights, error


def _locus(seen: _Seen, usable: np.ndarray) -> tuple[float, float, np.ndarray] | None:
    """Return the stars' ln(width) relative to the windows, its spread, and how well each source fits; None without candidates."""
    size, error = _size(seen, star_row())
    chosen = usable & seen.clean & (np.abs(size) < 0.8)
    if chosen.sum() < _LEARNED:
        return None
    found = find_locus(size[chosen], error[chosen], centres(-0.3, 0.3), expected=(0.0, _SEEING_ERROR))
    return found.centre, found.spread, chosen * np.exp(-0.5 * ((size - found.centre) / np.hypot(error, found.spread)) ** 2)


@dataclass(frozen=True)
class _Stars:
    """What stars give in the windows: one row for each source, and the covariance of that from star to star."""

    rows: np.ndarray
    spread: np.ndarray


def _judge(seen: _Seen, drawn: tuple[float, float, np.ndarray] | None, full: np.ndarray, gain: float | None) -> np.ndarray:
    """Return the logarithms of the odds against a star."""
    n = len(seen.ratio)
    if drawn is None:
        stars = _Stars(np.tile(star_row(), (n, 1)), _spread(seen, 0.08, 0.03))
    else:
        centre, spread, weight = drawn
        stars = _Stars(star_row() + centre * width_row() + np.zeros((n, 1)), _spread(seen, spread, _LEAST_SHAPE))
        candidates = _brightest(seen, np.flatnonzero(seen.clean & ~full))
        for _ in range(_LEARNED):
            if weight.sum() < _LEARNED:
                break
            stars = _learn(seen, weight, spread)
            odds = _log_odds(seen, stars, candidates, gain)
            weight = np.zeros(n)
            weight[candidates] = 1.0 / (1.0 + np.exp(np.clip(odds, -50, 50)))
    out = np.empty(n)
    for clipped in (False, True):
        index = np.flatnonzero(full == clipped)
        if index.size:
            out[index] = _log_odds(seen, stars, index, gain, clipped=clipped)
    return out


def _brightest(seen: _Seen, index: np.ndarray) -> np.ndarray:
    """Return at most so many sources as are needed to learn from."""
    return index if len(index) <= _MOST_LEARNED else index[np.argsort(-seen.ratio[index], kind="stable")[:_MOST_LEARNED]]


def _spread(seen: _Seen, size: float, shape: float) -> np.ndarray:
    """Return the covariance of the stars' relative sums for a scatter of ln(width) and of the quadrupole."""
    row = width_row()
    least = np.r_[np.full(N_ROUND, _LEAST_SCATTER), np.full(N_WINDOWS - N_ROUND, shape)]
    # Centres are not known better than to a part of a pixel either: twice what the sampling does.
    return size**2 * np.outer(row, row) + np.diag(least**2) + 2.0 * sampling(seen.fwhm)


def _learn(seen: _Seen, weight: np.ndarray, spread: float) -> _Stars:
    """Fit what the stars give in the windows as a polynomial of the place, robustly."""
    n_stars = float(weight.sum())
    terms = polynomial(seen.x, seen.y, seen.shape, n_stars)
    used = _brightest(seen, np.flatnonzero(weight > 1e-3))
    some = replace(seen, **{name: getattr(seen, name)[used] for name in ("sums", "taken", "x", "y", "noise", "ratio")})
    precision = weight[used] / (1.0 / some.ratio**2 + 0.02**2)
    relative, trust = some.relative, np.ones(len(used))
    shape_noise = seen.overlap[N_ROUND, N_ROUND] / seen.overlap[REFERENCE, REFERENCE]
    for _ in range(3):
        weighted = terms[used].T * (precision * trust)
        found = np.linalg.lstsq(weighted @ terms[used], weighted @ relative, rcond=None)[0]
        size, error = _size(some, terms[used] @ found)
        shape = relative[:, N_ROUND : N_ROUND + 2] - terms[used] @ found[:, N_ROUND : N_ROUND + 2]
        odd = (size / np.hypot(error, max(spread, 0.01))) ** 2 + (shape**2).sum(axis=1) / (shape_noise / some.ratio**2 + 0.02**2)
        trust = 1.0 / (1.0 + odd / 4.0)
    counted = weight[used] * trust
    scatter = max(float((counted * (size**2 - error**2)).sum() / counted.sum()), 0.0)
    # Ten stars' worth of a scatter of 1 % steadies that of a few, and a few do not show how the width changes over the frame.
    scatter = np.clip(np.sqrt((scatter * n_stars + 10 * 0.01**2) / (n_stars + 10)), 0.004, 0.03)
    return _Stars(terms @ found, _spread(seen, float(np.hypot(scatter, _UNSEEN_CHANGE / np.sqrt(n_stars))), _LEAST_SHAPE))


def _log_odds(seen: _Seen, stars: _Stars, index: np.ndarray, gain: float | None, *, clipped: bool = False) -> np.ndarray:
    """Return the logarithms of the odds against a star for some sources."""
    what = hypotheses(clipped=clipped)
    rows, noise = stars.rows[index], seen.noise[index]
    mean = np.median(stars.rows, axis=0)
    sums = seen.sums[index]
    white = np.linalg.inv(seen.overlap)
    amount = np.maximum(np.einsum("ij,jk,ik->i", rows, white, sums) / np.einsum("ij,jk,ik->i", rows, white, rows), 0.0)
    # All sources are judged by the star in the middle: what the place adds is taken off.
    sums = (sums - amount[:, None] * (rows - mean)) / noise[:, None]
    taken = seen.taken[index] / noise[:, None]
    ratio = np.clip(np.nan_to_num(amount / noise), _RATIOS[0], _RATIOS[-1])
    bins = np.rint(np.log(ratio / _RATIOS[0]) / np.log(_RATIOS[1] / _RATIOS[0])).astype(np.int64)
    models = _noise_models(seen, stars.spread, mean + what.rows, gain)
    return kernels.log_odds(sums, taken, bins, *models, what.log_prior, what.n_stars, _DOUBT)


def _noise_models(seen: _Seen, spread: np.ndarray, rows: np.ndarray, gain: float | None) -> tuple[np.ndarray, ...]:
    """Return what `kernels.log_odds` needs for each ratio of signal to noise: inverse, projection, power, log_det."""
    photons = np.zeros_like(spread)
    if gain is not None and gain > 0 and np.isfinite(gain):
        photons = overlap(seen.fwhm, of_star=True) / (gain * np.median(seen.noise))
    disturbed = _DISTURBANCE**2 * disturbance()
    ratio = _RATIOS[:, None, None]
    single = seen.overlap + ratio * photons + ratio**2 * spread
    covariance = np.stack([single, single + ratio**2 * disturbed], axis=1)
    inverse = np.linalg.inv(covariance)
    projection = inverse @ rows.T
    power = np.einsum("bwdh,hd->bwh", projection, rows)
    log_det = 0.5 * np.linalg.slogdet(covariance)[1] - np.log([1 - _DISTURBED, _DISTURBED])
    return inverse, np.ascontiguousarray(projection), power, log_det
