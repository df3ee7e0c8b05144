"""Compiled loops over the rows of many objects, sorted by object and time: positions, counts, and the numbers of `variability`.

numba keeps a compiled function until this file changes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ezarchive.timeseries.variability import PAIR_DAYS, PAIR_WEIGHT, SINGLE_WEIGHT

MEAN, MEAN_ERR, MEDIAN, STD, MIN, MAX, CHI2, ETA, J, FIRST, LAST = range(11)
"""Columns of what `measure_groups` gives; ``CHI2`` is not divided by the degrees of freedom."""

RA, DEC, RA_ERR, DEC_ERR, OBJECT_FIRST, OBJECT_LAST, OBJECT_CHI2, OBJECT_J, AMPLITUDE = range(9)
"""Columns of what `measure_objects` gives; ``OBJECT_CHI2`` is divided by the degrees of freedom; the position is in radians."""

_ARCSEC = 180 / np.pi * 3600
_POGSON = 2.5 / np.log(10)


class Rows(NamedTuple):
    """The rows of all objects, those of object ``i`` from ``start[i]`` to ``start[i + 1]``, in time; numbers that are missing are NaN."""

    start: np.ndarray
    detected: np.ndarray
    good: np.ndarray
    code: np.ndarray  # of the filter
    night: np.ndarray  # its code
    mjd: np.ndarray
    ra: np.ndarray  # degrees
    dec: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    mag: np.ndarray
    mag_err: np.ndarray
    zero_point_err: np.ndarray


class Groups(NamedTuple):
    """The detections of each object and filter: of group ``i``, rows ``order[start[i]]`` to ``order[start[i + 1] - 1]``, in time."""

    order: np.ndarray
    start: np.ndarray
    object: np.ndarray
    code: np.ndarray
    n_good: np.ndarray
    calibrated: np.ndarray


@njit(cache=True, nogil=True, error_model="numpy")
def arrange(start, detected, code, n_codes):  # pragma: no cover - compiled
    """Sort the detections of each object by filter, those of a filter staying in time; return order, start, object and code of groups."""
    n, n_objects = len(code), len(start) - 1
    order, begin = np.empty(n, np.int64), np.empty(n + 1, np.int64)
    owner, which = np.empty(n, np.int64), np.empty(n, np.int32)
    at, place = np.zeros(n_codes, np.int64), 0
    groups = 0
    for i in range(n_objects):
        for row in range(start[i], start[i + 1]):
            if detected[row]:
                at[code[row]] += 1
        for c in range(n_codes):
            count = at[c]
            if count == 0:
                continue
            begin[groups], owner[groups], which[groups] = place, i, c
            at[c] = place
            place += count
            groups += 1
        for row in range(start[i], start[i + 1]):
            if detected[row]:
                order[at[code[row]]] = row
                at[code[row]] += 1
        at[:] = 0
    begin[groups] = place
    return order[:place], begin[: groups + 1].copy(), owner[:groups].copy(), which[:groups].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def measure_groups(rows, groups, columns):  # pragma: no cover - compiled
    """Fill ``n_good`` and ``calibrated`` of the groups, and `columns`, shape (11, groups); return delta of J, NaN of what is not good."""
    out = columns.T  # of one group, an array by columns would be of another type than of several, and all be compiled once more
    delta = np.full(len(rows.mjd), np.nan)
    largest = 1
    for g in range(len(groups.object)):
        largest = max(largest, groups.start[g + 1] - groups.start[g])
    used, mag, err = np.empty(largest, np.int64), np.empty(largest), np.empty(largest)
    for g in range(len(groups.object)):
        members = groups.order[groups.start[g] : groups.start[g + 1]]
        _first_and_last(rows.mjd, members, out[g])
        n = _calibrated(rows, members, used, mag, err)
        groups.calibrated[g] = n > 0
        if n == 0:
            n = _instrumental(rows, members, used, mag, err)
        groups.n_good[g] = n
        if n > 0:
            _statistics(rows.mjd, used[:n], mag[:n], err[:n], out[g], delta)
    return delta


@njit(cache=True, nogil=True, error_model="numpy")
def _first_and_last(mjd, members, out):  # pragma: no cover - compiled
    out[FIRST], out[LAST] = np.nan, np.nan
    for row in members:
        if not out[FIRST] <= mjd[row]:
            out[FIRST] = mjd[row] if mjd[row] == mjd[row] else out[FIRST]
        if not out[LAST] >= mjd[row]:
            out[LAST] = mjd[row] if mjd[row] == mjd[row] else out[LAST]


@njit(cache=True, nogil=True, error_model="numpy")
def _calibrated(rows, members, used, mag, err):  # pragma: no cover - compiled
    n = 0
    for row in members:
        if rows.good[row] and rows.mag_err[row] > 0 and np.isfinite(rows.mag[row]) and np.isfinite(rows.mag_err[row]):
            zero = rows.zero_point_err[row]
            used[n], mag[n] = row, rows.mag[row]
            err[n] = np.hypot(rows.mag_err[row], zero) if np.isfinite(zero) else rows.mag_err[row]
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _instrumental(rows, members, used, mag, err):  # pragma: no cover - compiled
    n = 0
    for row in members:
        if rows.good[row]:
            used[n], mag[n] = row, -2.5 * np.log10(rows.flux[row])
            err[n] = _POGSON * rows.flux_err[row] / rows.flux[row]
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _statistics(mjd, used, mag, err, out, delta):  # pragma: no cover - compiled
    n, total, weights, plain = len(mag), 0.0, 0.0, 0.0
    reference = mag[0]
    for i in range(n):
        weight = 1 / err[i] ** 2
        total += weight * (mag[i] - reference)
        weights += weight
        plain += mag[i] - reference
    mean, plain = total / weights, plain / n
    chi2 = squares = steps = 0.0
    stretch = np.sqrt(n / (n - 1.0)) if n > 1 else np.nan
    for i in range(n):
        offset = mag[i] - reference
        chi2 += ((offset - mean) / err[i]) ** 2
        squares += (offset - plain) ** 2
        delta[used[i]] = stretch * (offset - mean) / err[i]
        if i > 0:
            steps += (mag[i] - mag[i - 1]) ** 2
    out[MEAN], out[MEAN_ERR], out[CHI2] = reference + mean, 1 / np.sqrt(weights), chi2
    out[J] = _j_of(mjd, delta, used)
    ordered = _sort(mag)
    out[MIN], out[MAX] = ordered[0], ordered[-1]
    out[MEDIAN] = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    out[STD] = np.sqrt(squares / (n - 1)) if n > 1 else np.nan
    out[ETA] = steps / squares if n > 2 and ordered[0] < ordered[-1] else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _sort(values):  # pragma: no cover - compiled
    """Sort in place; most light curves are short."""
    if len(values) > 32:
        values.sort()
        return values
    for i in range(1, len(values)):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    return values


@njit(cache=True, nogil=True, error_model="numpy")
def _j_of(mjd, delta, members):  # pragma: no cover - compiled
    """Return Stetson's J of rows in time; those without a delta are passed over."""
    total = weights = 0.0
    last = -1
    for row in members:
        if not np.isfinite(delta[row]):
            continue
        if last >= 0 and mjd[row] - mjd[last] <= PAIR_DAYS:
            product, weight, last = delta[last] * delta[row], PAIR_WEIGHT, -1
        elif last >= 0:
            product, weight, last = delta[last] ** 2 - 1, SINGLE_WEIGHT, row
        else:
            last = row
            continue
        total += weight * np.sign(product) * np.sqrt(abs(product))
        weights += weight
    if last >= 0:
        product = delta[last] ** 2 - 1
        total += SINGLE_WEIGHT * np.sign(product) * np.sqrt(abs(product))
        weights += SINGLE_WEIGHT
    return total / weights if weights > 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def measure_objects(rows, groups, group_columns, delta, n_nights, columns, counts):  # pragma: no cover - compiled
    """Fill `columns`, shape (9, objects), and `counts`, shape (objects, 4): detections, good ones, nights, filters."""
    values, out = group_columns.T, columns.T
    seen = np.full(n_nights, -1, np.int64)
    g = 0
    for i in range(len(rows.start) - 1):
        low, high = rows.start[i], rows.start[i + 1]
        out[i] = np.nan
        _position(rows, low, high, out[i])
        for row in range(low, high):
            if rows.detected[row]:
                counts[i, 0] += 1
                if seen[rows.night[row]] != i:
                    seen[rows.night[row]] = i
                    counts[i, 2] += 1
        out[i, OBJECT_J] = _j_of(rows.mjd, delta, np.arange(low, high))
        chi2, freedom = 0.0, 0
        while g < len(groups.object) and groups.object[g] == i:
            n = groups.n_good[g]
            counts[i, 1] += n
            counts[i, 3] += 1
            if not out[i, OBJECT_FIRST] <= values[g, FIRST]:
                out[i, OBJECT_FIRST] = values[g, FIRST] if values[g, FIRST] == values[g, FIRST] else out[i, OBJECT_FIRST]
            if not out[i, OBJECT_LAST] >= values[g, LAST]:
                out[i, OBJECT_LAST] = values[g, LAST] if values[g, LAST] == values[g, LAST] else out[i, OBJECT_LAST]
            if n > 1:
                chi2, freedom = chi2 + values[g, CHI2], freedom + n - 1
                span = values[g, MAX] - values[g, MIN]
                if not out[i, AMPLITUDE] >= span:
                    out[i, AMPLITUDE] = span
            g += 1
        if freedom > 0:
            out[i, OBJECT_CHI2] = chi2 / freedom


@njit(cache=True, nogil=True, error_model="numpy")
def _weight(rows, row, equal):  # pragma: no cover - compiled
    if not rows.detected[row] or not np.isfinite(rows.ra[row]) or not np.isfinite(rows.dec[row]):
        return 0.0
    if equal:
        return 1.0
    snr = rows.flux[row] / rows.flux_err[row] if rows.flux_err[row] > 0 else 0.0
    return snr * snr if snr > 0 and np.isfinite(snr) else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _position(rows, low, high, out):  # pragma: no cover - compiled
    """Mean on unit vectors, and errors of the mean by the scatter around it, as `summary.summarise` says."""
    x = y = z = total = 0.0
    equal = True
    for row in range(low, high):
        if _weight(rows, row, False) > 0:
            equal = False
    n = 0
    for row in range(low, high):
        weight = _weight(rows, row, equal)
        if weight > 0:
            a, d = np.radians(rows.ra[row]), np.radians(rows.dec[row])
            x, y, z = x + weight * np.cos(d) * np.cos(a), y + weight * np.cos(d) * np.sin(a), z + weight * np.sin(d)
            total += weight
            n += 1
    if n == 0:
        return
    ra, dec = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
    out[RA], out[DEC] = ra, dec
    if n == 1:
        return
    east2 = north2 = 0.0
    for row in range(low, high):
        weight = _weight(rows, row, equal)
        if weight > 0:
            # Differences of angles, and not of vectors: they are exact where the angles are.
            turn, d = np.radians(rows.ra[row]) - ra, np.radians(rows.dec[row])
            half = np.sin(turn / 2)
            east = np.cos(d) * np.sin(turn)
            north = np.sin(d - dec) + 2 * np.sin(dec) * np.cos(d) * half * half
            east2, north2 = east2 + (weight * east) ** 2, north2 + (weight * north) ** 2
    scale = np.sqrt(n / (n - 1.0)) / total * _ARCSEC
    out[RA_ERR], out[DEC_ERR] = np.sqrt(east2) * scale, np.sqrt(north2) * scale
