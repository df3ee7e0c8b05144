"""Compiled loops of the stellarity: sums in Gaussian windows, neighbours taken out of them, odds of hypotheses.

The windows of a source are Gaussians of the widths ``WIDTHS`` and, for those of ``QUADRUPOLES``, these times the two components of the
quadrupole; widths are in units of the frame's FWHM. A source is described by its flux and by the covariance that it has beyond that of
a star (``extra``: xx, xy, yy, square FWHM), a star by a sum of Gaussians (``star``: weights, variances).
"""

from __future__ import annotations

import numpy as np
from numba import njit

WIDTHS = np.array([0.6, 1.0, 1.5, 2.2]) / 2.3548
"""Standard deviations of the windows, in FWHM."""
QUADRUPOLES = np.array([1, 2])
"""The windows that quadrupoles are taken in."""

N_ROUND, N_QUAD = len(WIDTHS), len(QUADRUPOLES)
N_WINDOWS = N_ROUND + 2 * N_QUAD
REFERENCE = 1
"""The window that fluxes are quoted in: as wide as a Gaussian star."""
WIDEST = N_ROUND - 1
REACH = 2.2
"""Half width of the square that is summed, in FWHM."""

_VECTOR = 32
_FAR = 40.0
_MOST_SHIFT = 0.2
_SEEN = 5.0
_ROUNDEST = 0.8
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_JIT)
def _profiles(offset, fwhm, half, out):  # type: ignore[no-untyped-def]
    """Fill the Gaussians of all windows along one axis, and these times t and t^2 (t in standard deviations); shape (3, k, width)."""
    for k in range(N_ROUND):
        step = 1.0 / (fwhm * WIDTHS[k])
        for side in (-1, 1):
            # From the middle outwards each value is the last one times a factor that shrinks by a constant factor: two exponentials.
            t = -offset * step
            value, factor, shrink = np.exp(-0.5 * t * t), np.exp(-side * t * step - 0.5 * step * step), np.exp(-step * step)
            for j in range(half + 1):
                at = half + side * j
                out[0, k, at], out[1, k, at], out[2, k, at] = value, value * t, value * t * t
                t, value, factor = t + side * step, value * factor, factor * shrink


@njit(**_JIT)
def _between(data, bad, x, y):  # type: ignore[no-untyped-def]
    """Interpolate between the four pixels around a place; without those that are off the image or bad, 0 where all are."""
    ny, nx = data.shape
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    total, weights = 0.0, 0.0
    for j in range(y0, y0 + 2):
        for i in range(x0, x0 + 2):
            if 0 <= i < nx and 0 <= j < ny and not (bad.size > 0 and bad[j, i]):
                weight = (1.0 - abs(x - i)) * (1.0 - abs(y - j))
                total, weights = total + weight * data[j, i], weights + weight
    return total / weights if weights > 0.25 else 0.0


@njit(**_JIT)
def _read_mirrored(data, bad, x, y, line, half, row):  # type: ignore[no-untyped-def]
    """Copy a row of pixels around a column; what is off the image or bad is taken from the mirror image through the centre (x, y)."""
    ny, nx = data.shape
    column = int(np.floor(x + 0.5)) - half
    for j in range(2 * half + 1):
        i = column + j
        if 0 <= i < nx and 0 <= line < ny and not (bad.size > 0 and bad[line, i]):
            row[j] = data[line, i]
        else:
            row[j] = _between(data, bad, 2.0 * x - i, 2.0 * y - line)


@njit(**_JIT)
def _add_row(row, down, r, columns):  # type: ignore[no-untyped-def]
    """Add a row of pixels, times what the windows have there, to the columns' sums (nothing is reduced along rows: it is fast)."""
    for k in range(N_ROUND):
        for power in range(3 if k == QUADRUPOLES[0] or k == QUADRUPOLES[1] else 1):
            factor, target = down[power, k, r], columns[power, k]
            for j in range(len(row)):
                target[j] += factor * row[j]


@njit(**_JIT)
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@njit(**_JIT)
def window_sums(data, bad, x, y, fwhm, half, sums, dipole):  # type: ignore[no-untyped-def]
    """Sum pixels in the windows around positions.

    Parameters
    ----------
    data : ndarray of float32 or float64, shape (ny, nx)
        Background-subtracted pixels.
    bad : ndarray of bool, shape (ny, nx) or (0, 0)
        Pixels that hold no value; empty for none.
    x, y : ndarray of float64, shape (n,)
        Positions, 0-based pixels.
    fwhm : float
        Unit of the windows, pixels.
    half : int
        Half width of the square that is summed, pixels.
    sums : ndarray of float64, shape (n, N_WINDOWS)
        Filled.
    dipole : ndarray of float64, shape (n, 2)
        Filled with the sums of x and of y in the reference window, in its standard deviations.
    """
    ny, nx = data.shape
    width = 2 * half + 1
    # Rows of whole vectors: a rest would be summed pixel by pixel.
    padded = (width + _VECTOR - 1) // _VECTOR * _VECTOR
    along, down = np.zeros((3, N_ROUND, padded), np.float32), np.zeros((3, N_ROUND, padded), np.float32)
    columns, row = np.empty((3, N_ROUND, padded), np.float32), np.zeros(padded, np.float32)
    for i in range(len(x)):
        column, line = int(np.floor(x[i] + 0.5)), int(np.floor(y[i] + 0.5))
        _profiles(x[i] - column, fwhm, half, along)
        _profiles(y[i] - line, fwhm, half, down)
        columns[:] = 0.0
        whole = bad.size == 0 and column >= half and line >= half and column + half < nx and line + half < ny
        for r in range(width):
            if whole:
                pixels = data[line - half + r, column - half : column + half + 1]
                for j in range(width):
                    row[j] = pixels[j]
            else:
                _read_mirrored(data, bad, x[i], y[i], line - half + r, half, row)
            _add_row(row, down, r, columns)
        for k in range(N_ROUND):
            sums[i, k] = _dot(along[0, k], columns[0, k])
        dipole[i, 0] = _dot(along[1, REFERENCE], columns[0, REFERENCE])
        dipole[i, 1] = _dot(along[0, REFERENCE], columns[1, REFERENCE])
        for q in range(N_QUAD):
            k, at = QUADRUPOLES[q], N_ROUND + 2 * q
            sums[i, at] = _dot(along[2, k], columns[0, k]) - _dot(along[0, k], columns[2, k])
            sums[i, at + 1] = 2 * _dot(along[1, k], columns[1, k])


@njit(**_JIT)
def respond(dx, dy, xx, xy, yy, star, out):  # type: ignore[no-untyped-def]
    """Fill the sums that a source of unit flux gives in windows from which it lies away by (dx, dy), all in FWHM.

    Parameters
    ----------
    dx, dy : float
        Place of the source from the centre of the windows.
    xx, xy, yy : float
        Its covariance beyond that of a star.
    star : ndarray, shape (2, m)
        Weights and variances of the Gaussians of a star.
    out : ndarray, shape (N_WINDOWS + 2,)
        Filled: the windows, then the dipole; integrals over the plane.
    """
    out[:] = 0.0
    for c in range(star.shape[1]):
        for k in range(N_ROUND):
            s2 = WIDTHS[k] ** 2
            a, b = star[1, c] + xx + s2, star[1, c] + yy + s2
            det = a * b - xy * xy
            px, py = (b * dx - xy * dy) / det, (a * dy - xy * dx) / det
            distance2 = px * dx + py * dy
            if distance2 > _FAR:
                continue
            amount = star[0, c] * s2 / np.sqrt(det) * np.exp(-0.5 * distance2)
            out[k] += amount
            if k == REFERENCE:
                out[N_WINDOWS] += amount * WIDTHS[k] * px
                out[N_WINDOWS + 1] += amount * WIDTHS[k] * py
            for q in range(N_QUAD):
                if k == QUADRUPOLES[q]:
                    # The product of two Gaussians is one: its mean is s2 p, its covariance s2 - s2^2 (...)^-1.
                    out[N_ROUND + 2 * q] += amount * ((a - b) * s2 / det + s2 * (px * px - py * py))
                    out[N_ROUND + 2 * q + 1] += amount * 2 * (xy * s2 / det + s2 * px * py)


@njit(**_JIT)
def _fit(sums, taken, noise, table, careful, model):  # type: ignore[no-untyped-def]
    """Fit flux and extra covariance of one source to its sums, less those of its neighbours; faint ones are drawn towards a star.

    ``table`` has the columns: extra variance, widest / reference sum, reference sum, response of the quadrupole to covariance.
    """
    amount = sums[REFERENCE] - taken[REFERENCE]
    if amount <= noise:
        model[0] = max(amount, 0.0) / table[0, 2]
        model[1:] = 0.0
        return
    error = 2.0 * noise / amount
    ratio = table[0, 1]
    if not careful:
        ratio += ((sums[WIDEST] - taken[WIDEST]) / amount - ratio) / (1 + (error / 0.5) ** 2)
    t = 0
    while t < len(table) - 2 and table[t + 1, 1] < ratio:
        t += 1
    w = min(max((ratio - table[t, 1]) / (table[t + 1, 1] - table[t, 1]), 0.0), 1.0)
    extra = table[t, 0] + w * (table[t + 1, 0] - table[t, 0])
    own = table[t, 2] + w * (table[t + 1, 2] - table[t, 2])
    slope = table[t, 3] + w * (table[t + 1, 3] - table[t, 3])
    along, across = 0.0, 0.0
    if not careful:
        share = 1.0 / (amount * slope * (1 + (error / 0.3) ** 2))
        along, across = (sums[N_ROUND] - taken[N_ROUND]) * share, (sums[N_ROUND + 1] - taken[N_ROUND + 1]) * share
        size = np.hypot(along, across)
        if size > _ROUNDEST * extra:
            along, across = along * _ROUNDEST * extra / size, across * _ROUNDEST * extra / size
    model[0], model[1], model[2], model[3] = amount / own, extra + along, across, extra - along


@njit(**_JIT)
def untangle(where, sums, dipole, noise, order, start, other, star, table, sweeps, taken, shift):  # type: ignore[no-untyped-def]
    """Find what neighbours put into the windows of each source, by turns (Gauss-Seidel), and how far its centre is off.

    Parameters
    ----------
    where : ndarray, shape (2, n)
        Positions x, y in FWHM.
    sums, dipole : ndarray, shapes (n, N_WINDOWS), (n, 2)
        From `window_sums`, in units of a unit flux.
    noise : ndarray, shape (n,)
        Noise of the reference window.
    order : ndarray of int, shape (n,)
        Sources from the brightest on.
    start, other : ndarray of int
        Neighbours of source i are ``other[start[i]:start[i + 1]]``.
    star, table : ndarray
        As in `respond` and `_fit`.
    sweeps : int
        How often all sources are gone through.
    taken : ndarray, shape (n, N_WINDOWS)
        Filled with the neighbours' sums.
    shift : ndarray, shape (n, 2)
        Filled with the steps towards the windowed centres, in FWHM.
    """
    n = where.shape[1]
    model, total, one = np.zeros((n, 4)), np.empty(N_WINDOWS + 2), np.empty(N_WINDOWS + 2)
    for sweep in range(sweeps + 1):
        for i in order:
            alone = start[i] == start[i + 1]
            if alone and 0 < sweep < sweeps:
                continue
            total[:] = 0.0
            for p in range(start[i], start[i + 1] if sweep > 0 else start[i]):
                j = other[p]
                if model[j, 0] > 0:
                    dx, dy = where[0, j] - where[0, i], where[1, j] - where[1, i]
                    respond(dx, dy, model[j, 1], model[j, 2], model[j, 3], star, one)
                    for k in range(N_WINDOWS + 2):
                        total[k] += model[j, 0] * one[k]
            taken[i] = total[:N_WINDOWS]
            # The first time nobody knows how much of the width is the neighbours'.
            _fit(sums[i], total, noise[i], table, sweep == 0 and not alone, model[i])
            amount = sums[i, REFERENCE] - total[REFERENCE]
            for k in range(2):
                # Twice the windowed mean, as for XWIN_IMAGE.
                step = 2.0 * WIDTHS[REFERENCE] * (dipole[i, k] - total[N_WINDOWS + k]) / amount
                shift[i, k] = min(max(step, -_MOST_SHIFT), _MOST_SHIFT) if amount > _SEEN * noise[i] else 0.0


@njit(**_JIT)
def _log_sum(values, first, last):  # type: ignore[no-untyped-def]
    """Return ln of the sum of exp(values[first:last])."""
    most = values[first]
    for k in range(first, last):
        most = max(most, values[k])
    total = 0.0
    for k in range(first, last):
        if values[k] > most - 20.0:
            total += np.exp(values[k] - most)
    return most + np.log(total)


@njit(**_JIT)
def _likelihoods(sums, taken, inverse, projection, power, log_det, prior, doubt, work, out):  # type: ignore[no-untyped-def]
    """Fill ln(likelihood x prior) of all hypotheses for one source; ``work`` is scratch of shape (2, h)."""
    d, h = projection.shape
    square, mixed, unsure = 0.0, 0.0, 0.0
    for p in range(d):
        a, c = 0.0, 0.0
        for q in range(d):
            a += inverse[p, q] * sums[q]
            c += inverse[p, q] * taken[q]
        square, mixed, unsure = square + a * sums[p], mixed + a * taken[p], unsure + c * taken[p]
    # Sherman & Morrison: the covariance with the doubt about the neighbours added.
    factor = doubt / (1 + doubt * unsure)
    base = -0.5 * (square - factor * mixed * mixed) - log_det - 0.5 * np.log(1 + doubt * unsure)
    along, across = work[0], work[1]
    work[:] = 0.0
    for q in range(d):
        for k in range(h):
            along[k] += projection[q, k] * sums[q]
    if doubt * unsure > 1e-3:
        for q in range(d):
            for k in range(h):
                across[k] += projection[q, k] * taken[q]
    for k in range(h):
        a, c = max(along[k] - factor * across[k] * mixed, 0.0), power[k] - factor * across[k] * across[k]
        out[k] = base + prior[k] + 0.5 * a * a / c


@njit(**_JIT)
def log_odds(sums, taken, bins, inverse, projection, power, log_det, prior, n_stars, doubt):  # type: ignore[no-untyped-def]
    """Return the logarithm of the odds of the other hypotheses against the first `n_stars`, each with its best flux.

    Parameters
    ----------
    sums, taken : ndarray, shape (n, d)
        Sums of the sources and of their neighbours, in units of the noise.
    bins : ndarray of int, shape (n,)
        Which of the `b` noise models holds.
    inverse : ndarray, shape (b, 2, d, d)
        Inverse covariances, of single and of disturbed sources.
    projection : ndarray, shape (b, 2, d, h)
        Inverse covariance times hypotheses.
    power : ndarray, shape (b, 2, h)
        Hypotheses times inverse covariance times hypotheses.
    log_det : ndarray, shape (b, 2)
        Half the logarithms of the determinants, and the logarithms of the shares taken off.
    prior : ndarray, shape (h,)
        Logarithms of the priors.
    n_stars : int
        How many hypotheses are stars.
    doubt : float
        Variance of the neighbours' sums relative to their square.

    Returns
    -------
    ndarray, shape (n,)
    """
    n, h = len(sums), len(prior)
    values, work, out = np.empty((2, h)), np.empty((2, h)), np.empty(n)
    for i in range(n):
        b = bins[i]
        for w in range(2):
            _likelihoods(
                sums[i], taken[i], inverse[b, w], projection[b, w], power[b, w], log_det[b, w], prior, doubt, work, values[w]
            )
        star = np.logaddexp(_log_sum(values[0], 0, n_stars), _log_sum(values[1], 0, n_stars))
        out[i] = np.logaddexp(_log_sum(values[0], n_stars, h), _log_sum(values[1], n_stars, h)) - star
    return out
