"""The linear problem of an ensemble: magnitudes of stars and zero points of epochs for given weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, cg

DENSE = 3000
"""Unknowns up to which a matrix of them is made, and errors are exact."""

_FILLED = 0.05  # share of the matrix above which it is filled, and BLAS multiplies it
_BLOCK = 10_000_000  # numbers in a part of it
_TOLERANCE = 1e-10  # of conjugate gradients, relative

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]


class Network(NamedTuple):
    """Measurements: numbers of star and epoch, magnitude and error, each of shape (n,); how many stars and epochs there are."""

    star: Ints
    epoch: Ints
    mag: Floats
    err: Floats
    n_stars: int
    n_epochs: int

    def of(self, chosen: Bools) -> Network:
        """Return some of the measurements, the numbers as they are."""
        return self._replace(star=self.star[chosen], epoch=self.epoch[chosen], mag=self.mag[chosen], err=self.err[chosen])


@dataclass(frozen=True)
class Fit:
    """Zero points and magnitudes; NaN where nothing of weight was measured.

    ``weight`` is that of each measurement; ``group`` and ``star_group`` number the sets that hang together, the one of most epochs first,
    -1 without weight. Stars without weight have the plain mean of what is known of them.
    """

    weight: Floats
    zero_point: Floats
    mag: Floats
    group: Ints
    star_group: Ints
    n_groups: int

    def residuals(self, network: Network) -> Floats:
        """Return measured minus fitted, mag; NaN on epochs without zero point."""
        return network.mag + self.zero_point[network.epoch] - self.mag[network.star]

    def freedom(self, network: Network) -> Floats:
        """Return the share of each measurement's variance that is left in its residual, to first order: 1 less its leverages."""
        of_star, of_epoch = self._sums(network)
        with np.errstate(invalid="ignore", divide="ignore"):
            on_epoch = np.where(self.weight > 0, self.weight / of_epoch[network.epoch], 0.0)
            on_star = np.where(self.weight > 0, self.weight / of_star[network.star], 0.0)
        known = np.isfinite(self.zero_point[network.epoch])
        n_known = group_sum(network.star, known, network.n_stars)
        plain = of_star[network.star] <= 0
        on_star = np.where(plain, 1.0 / np.maximum(n_known[network.star], 1), on_star)
        return np.clip(1.0 - on_star - on_epoch, 0.0, 1.0)

    def errors(self, network: Network) -> Floats:
        """Return the errors of the zero points, for weights that are inverse variances and zero points of mean 0."""
        of_star, of_epoch = self._sums(network)
        there = np.flatnonzero(of_epoch > 0)
        own = np.divide(1.0, of_epoch, out=np.zeros(network.n_epochs), where=of_epoch > 0)
        if min(network.n_stars, network.n_epochs) > DENSE:
            variance = own
        elif network.n_epochs <= network.n_stars:
            inverse = _inverse(_reduced(self.weight, network.star, network.epoch, of_star, of_epoch), self.group, self.n_groups)
            variance = np.diag(inverse).copy()
        else:
            variance = self._through_stars(network, of_star, of_epoch, own)
        errors = np.full(network.n_epochs, np.nan)
        errors[there] = np.sqrt(np.maximum(variance[there], 0.0))
        return errors

    def _through_stars(self, network: Network, of_star: Floats, of_epoch: Floats, own: Floats) -> Floats:
        """Return the variances of zero points where the stars are the fewer unknowns: own noise, and that of the stars' magnitudes."""
        covariance = _inverse(_reduced(self.weight, network.epoch, network.star, of_epoch, of_star), self.star_group, self.n_groups)
        shape = (network.n_epochs, network.n_stars)
        shares = sparse.csr_matrix((self.weight * own[network.epoch], (network.epoch, network.star)), shape=shape)
        variance = np.zeros(network.n_epochs)
        for group in range(self.n_groups):
            members = np.flatnonzero(self.group == group)
            part = shares[members]
            mean = np.asarray(part.mean(axis=0)).ravel()
            common = covariance @ mean
            through = part.multiply(part @ covariance).sum(axis=1)
            spread = np.asarray(through).ravel() - 2 * (part @ common) + mean @ common
            n = len(members)
            variance[members] = spread + own[members] * (1 - 2 / n) + own[members].sum() / n**2
        return variance

    def mag_errors(self, network: Network, variance: Floats) -> Floats:
        """Return the errors of the stars' means from the variances of measurements, those of the zero points left out."""
        weight = np.where(np.isfinite(self.zero_point[network.epoch]), 1.0 / variance, 0.0)
        of_star = group_sum(network.star, self.weight, network.n_stars)
        plain = group_sum(network.star, weight, network.n_stars)
        total = np.where(of_star > 0, of_star, plain)
        return np.where(total > 0, 1 / np.sqrt(np.where(total > 0, total, 1.0)), np.nan)

    def _sums(self, network: Network) -> tuple[Floats, Floats]:
        return group_sum(network.star, self.weight, network.n_stars), group_sum(network.epoch, self.weight, network.n_epochs)


def fit(network: Network, weight: Floats) -> Fit:
    """Solve for magnitudes and zero points by weighted least squares.

    Parameters
    ----------
    network : Network
    weight : ndarray of float, shape (n,)
        Of each measurement; 0 leaves it out.

    Returns
    -------
    Fit
        The zero points of each set of epochs that hang together have mean 0.
    """
    group, star_group, n_groups = _groups(network, weight)
    of_star = group_sum(network.star, weight, network.n_stars)
    of_epoch = group_sum(network.epoch, weight, network.n_epochs)
    product = weight * network.mag
    on_star = _mean(group_sum(network.star, product, network.n_stars), of_star)
    on_epoch = _mean(group_sum(network.epoch, product, network.n_epochs), of_epoch)
    if network.n_epochs <= network.n_stars:
        right = group_sum(network.epoch, weight * (on_star[network.star] - network.mag), network.n_epochs)
        zero = _solved(weight, network.star, network.epoch, of_star, of_epoch, right, group, n_groups)
    else:
        right = group_sum(network.star, weight * (network.mag - on_epoch[network.epoch]), network.n_stars)
        mag = _solved(weight, network.epoch, network.star, of_epoch, of_star, right, star_group, n_groups)
        zero = _mean(group_sum(network.epoch, weight * mag[network.star], network.n_epochs), of_epoch) - on_epoch
    zero = np.where(of_epoch > 0, _centred(zero, group, n_groups), np.nan)
    known = np.isfinite(zero[network.epoch])
    shifted = np.where(known, network.mag + np.where(known, zero[network.epoch], 0.0), 0.0)
    mag = _mean(group_sum(network.star, weight * shifted, network.n_stars), of_star)
    # A star that does not count has a magnitude all the same, if only so that it can count again.
    loose = known & (of_star[network.star] <= 0)
    middle = group_median(network.star[loose], shifted[loose], network.n_stars)
    mag = np.where(of_star > 0, mag, middle)
    return Fit(weight, zero, mag, group, star_group, n_groups)


def group_sum(group: Ints, values: ArrayLike, n: int) -> Floats:
    """Return the sums of values by group, shape (n,)."""
    return np.bincount(group, weights=np.asarray(values, float), minlength=n)


def group_median(group: Ints, values: Floats, n: int) -> Floats:
    """Return the medians of values by group, shape (n,); NaN of a group without values."""
    order = np.lexsort((values, group))
    counts = np.bincount(group, minlength=n)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    medians = np.full(n, np.nan)
    there = counts > 0
    sorted_values = values[order]
    low, high = starts[there] + (counts[there] - 1) // 2, starts[there] + counts[there] // 2
    medians[there] = (sorted_values[low] + sorted_values[high]) / 2
    return medians


def _groups(network: Network, weight: Floats) -> tuple[Ints, Ints, int]:
    """Return the numbers of the sets that epochs and stars hang together in by measurements of weight, and how many sets there are."""
    used = weight > 0
    n = network.n_stars + network.n_epochs
    links = sparse.coo_matrix((np.ones(used.sum(), np.int8), (network.star[used], network.n_stars + network.epoch[used])), shape=(n, n))
    _, label = connected_components(links, directed=False)
    star_label, epoch_label = label[: network.n_stars], label[network.n_stars :]
    counted = np.bincount(network.epoch[used], minlength=network.n_epochs) > 0
    found, first, sizes = np.unique(epoch_label[counted], return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    numbers = np.full(n, -1)
    numbers[found[order]] = np.arange(len(found))
    return np.where(counted, numbers[epoch_label], -1), numbers[star_label], len(found)


def _reduced(weight: Floats, out: Ints, kept: Ints, of_out: Floats, of_kept: Floats) -> Floats:
    """Return the normal matrix of one kind of unknowns, the other one eliminated; shape (k, k)."""
    total = of_out[out]
    shares = np.divide(weight, np.sqrt(total), out=np.zeros(len(weight)), where=total > 0)
    n, k = len(of_out), len(of_kept)
    if len(weight) < _FILLED * n * k:
        root = sparse.csr_matrix((shares, (out, kept)), shape=(n, k))
        return np.diag(of_kept) - (root.T @ root).toarray()
    matrix = np.diag(of_kept)
    step = max(1, _BLOCK // k)
    for start in range(0, n, step):
        rows = slice(None) if step >= n else (out >= start) & (out < start + step)
        height = min(step, n - start)
        block = np.bincount((out[rows] - start) * k + kept[rows], weights=shares[rows], minlength=height * k).reshape(height, k)
        matrix -= block.T @ block
    return matrix


def _held(matrix: Floats, group: Ints, n_groups: int) -> tuple[Floats, Floats, Ints]:
    """Return the matrix with the mean of each group held at 0, what that adds to its inverse, and which unknowns it is of."""
    there = np.flatnonzero(group >= 0)
    held = matrix[np.ix_(there, there)]
    members = (group[there][:, None] == np.arange(n_groups)[None, :]).astype(float)
    counts = members.sum(axis=0)
    strength = (members * np.diag(held)[:, None]).sum(axis=0) / counts
    strength = np.where(strength > 0, strength, 1.0)
    return held + (members * (strength / counts)) @ members.T, members / (strength * counts) @ members.T, there


def _inverse(matrix: Floats, group: Ints, n_groups: int) -> Floats:
    """Return the covariance matrix of unknowns of which each group has mean 0."""
    held, constraint, there = _held(matrix, group, n_groups)
    inverse = np.zeros_like(matrix)
    inverse[np.ix_(there, there)] = linalg.inv(held) - constraint
    return inverse


def _solved(
    weight: Floats, out: Ints, kept: Ints, of_out: Floats, of_kept: Floats, right: Floats, group: Ints, n_groups: int
) -> Floats:  # fmt: skip
    """Solve the reduced normal equations; the result has mean 0 in each group, and 0 outside of any."""
    if len(of_kept) <= DENSE:
        held, _, there = _held(_reduced(weight, out, kept, of_out, of_kept), group, n_groups)
        found = np.zeros(len(of_kept))
        found[there] = linalg.solve(held, right[there], assume_a="pos")
        return found
    shares = np.divide(weight, of_out[out], out=np.zeros(len(weight)), where=of_out[out] > 0)
    shape = (len(of_out), len(of_kept))
    left, spread = (sparse.csr_matrix((values, (out, kept)), shape=shape) for values in (weight, shares))
    scale = np.where(of_kept > 0, of_kept, 1.0)
    size = (len(of_kept), len(of_kept))
    operator = LinearOperator(size, matvec=lambda x: scale * np.ravel(x) - left.T @ (spread @ np.ravel(x)), dtype=float)
    jacobi = LinearOperator(size, matvec=lambda x: np.ravel(x) / scale, dtype=float)
    found, _ = cg(operator, right, rtol=_TOLERANCE, maxiter=2000, M=jacobi)
    return _centred(found, group, n_groups)


def _centred(values: Floats, group: Ints, n_groups: int) -> Floats:
    there = group >= 0
    means = group_sum(group[there], values[there], n_groups) / np.maximum(np.bincount(group[there], minlength=n_groups), 1)
    return np.where(there, values - means[np.where(there, group, 0)], 0.0)


def _mean(total: Floats, weight: Floats) -> Floats:
    return np.divide(total, weight, out=np.zeros(len(total)), where=weight > 0)
