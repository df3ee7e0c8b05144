"""Least squares of a `PairModel` against an image, and the errors of what it finds.

Scale and background are linear and solved for at every step (variable projection: Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, 413); the
others follow by Levenberg-Marquardt steps with analytic derivatives. The residuals at the common resolution are correlated; the errors
are those of the noise of both images, carried through the same linear maps (the "sandwich": White 1982, Econometrica 50, 1). Noise of
the reference sits in the model itself, which lowers the scale and changes the width (errors in variables): where it is known, its effect
is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ezarchive.compare.imagemodel import FourierPlane, PairModel, Shape
from ezarchive.errors import CompareError

Floats = NDArray[np.float64]

NONLINEAR = ("fwhm", "q", "dx", "dy")
Q_RANGE = (1e-3, 1 / 1.02)
_STEPS = 40
_CLOSE = 1e-7
_LOW_FWHM = 0.05
_HEARD = 0.01
"""Power of a frequency by that of the strongest from which it tells of the noise."""
_TURNS = 6


@dataclass(frozen=True)
class Held:
    """Which parameters are held: `scale`, `bg` at values, of the others the names that are `free`; `min_scale` bounds the scale."""

    scale: float | None = None
    bg: float | None = None
    min_scale: float = 0.0
    free: tuple[str, ...] = NONLINEAR


@dataclass(frozen=True)
class Solution:
    """Where a fit has come to; `bounded` names parameters that lie at a bound."""

    shape: Shape
    scale: float
    bg: float
    cost: float
    bounded: tuple[str, ...] = ()


@dataclass
class Problem:
    """A model, the image it must meet at the common resolution, the weight of every pixel, and the level of the reference."""

    model: PairModel
    target: Floats
    weight: Floats
    level: float
    held: Held
    at: NDArray[np.bool_] = field(init=False)
    w: Floats = field(init=False)
    y: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.at = self.weight > 0
        self.w = self.weight[self.at]
        self.y = self.target[self.at]

    def lines(self, m: Floats) -> tuple[float, float, Floats, tuple[str, ...]]:
        """Return scale, background, weighted residuals and what is at a bound, for pixels m of the blurred reference."""
        held, w2 = self.held, self.w**2
        scale, bg = held.scale, held.bg
        total, mean_m, mean_y = w2.sum(), np.average(m, weights=w2), np.average(self.y, weights=w2)
        if scale is None:
            off, low = (mean_m, mean_y) if bg is None else (0.0, bg)
            power = (w2 * (m - off) ** 2).sum()
            scale = (w2 * (m - off) * (self.y - low)).sum() / power if power > 0 else 0.0
        bounded = ("scale",) if held.scale is None and scale <= held.min_scale else ()
        if bounded:
            scale = held.min_scale
        if bg is None:
            bg = (w2 * (self.y - scale * m)).sum() / total
        return float(scale), float(bg), self.w * (self.y - scale * m - bg), bounded

    def at_shape(self, shape: Shape) -> Solution:
        """Return the best scale and background for a shape."""
        scale, bg, residual, bounded = self.lines(self.model.blurred(shape)[self.at] + self.level)
        return Solution(shape, scale, bg, float(residual @ residual), bounded)

    def columns(self, found: Solution) -> tuple[list[str], Floats, Floats]:
        """Return names, derivatives (n, pixels) times weight of all free parameters, and the weighted residuals."""
        free = [name for name in self.held.free if name not in found.bounded]
        images = self.model.derivatives(found.shape, tuple(free))
        m = images.pop("scale")[self.at] + self.level
        rows = {name: found.scale * image[self.at] for name, image in images.items()}
        if self.held.scale is None and "scale" not in found.bounded:
            rows["scale"] = m
        if self.held.bg is None:
            rows["bg"] = np.ones_like(m)
        residual = self.w * (self.y - found.scale * m - found.bg)
        return list(rows), np.array([self.w * row for row in rows.values()]).reshape(len(rows), len(m)), residual


def minimise(problem: Problem, start: Shape) -> Solution:
    """Return the solution nearest to a start.

    Raises
    ------
    CompareError
        ``no_match`` if the reference has no structure there, or nothing of it is in the image.
    """
    found, damping = problem.at_shape(start), 1e-3
    low = _LOW_FWHM * min(problem.model.plane.step)
    for _ in range(_STEPS):
        found, names, normal, slope = _equations(problem, found, low)
        if not set(names) & set(NONLINEAR):
            return found
        size, moved = np.sqrt(np.diag(normal)), False
        while damping < 1e8 and not moved:
            step = np.linalg.solve(normal / np.outer(size, size) + damping * np.eye(len(size)), slope / size) / size
            trial = problem.at_shape(_moved(found.shape, dict(zip(names, step, strict=True)), low))
            moved = trial.cost <= found.cost
            damping = max(damping / 20, 1e-12) if moved else damping * 10
        if not moved:
            return found
        last, found = found, replace(trial, bounded=tuple({*trial.bounded, *found.bounded}))
        if _is_small(names, step, step @ slope, last.cost, problem):
            return found
    return found


def _equations(problem: Problem, found: Solution, low: float) -> tuple[Solution, list[str], Floats, Floats]:
    """Return the normal matrix and the gradient of what is free: of what lies at a bound, only if it is drawn back from it."""
    found = replace(found, bounded=tuple(name for name in found.bounded if name == "scale"))
    while True:
        names, columns, residual = problem.columns(found)
        normal, slope = columns @ columns.T, columns @ residual
        if not (np.diag(normal) > 0).all():
            raise CompareError("no_match", "the images have nothing in common to fit: the scale is 0, or the reference is flat")
        size = np.sqrt(np.diag(normal))
        step = dict(zip(names, np.linalg.lstsq(normal / np.outer(size, size), slope / size)[0] / size, strict=True))
        out = [name for name, ways in _bounds(found.shape, low).items() if name in step and step[name] * ways > 0]
        if not out:
            return found, names, normal, slope
        found = replace(found, bounded=(*found.bounded, *out))


def start_shape(problem: Problem, known: Shape) -> Shape:
    """Return the shape of the best of ten widths, from half a pixel to 20, where the width is free."""
    if "fwhm" not in problem.held.free:
        return known
    widths = np.geomspace(0.5, 20, 10) * np.sqrt(np.prod(problem.model.plane.step))
    return min((problem.at_shape(replace(known, fwhm=float(width))) for width in widths), key=lambda one: one.cost).shape


@dataclass(frozen=True)
class Noise:
    """Variance per pixel of both images (0 where a pixel was filled), None where it is not known."""

    image: Floats | None
    reference: Floats | None


@dataclass(frozen=True)
class Errors:
    """Free parameters, their covariance, what the noise of the reference had shifted, and how well the residuals fit the noise."""

    names: list[str]
    covariance: Floats
    shift: Floats
    rchi: float


def errors_of(problem: Problem, found: Solution, noise: Noise, used: NDArray[np.bool_]) -> Errors:
    """Return errors of a solution.

    Parameters
    ----------
    problem, found
    noise : Noise
        What is not known of the image is taken from the residuals as one number, of both if nothing is known of either.
    used : ndarray of bool, shape (ny, nx)
        Pixels of the image that have their own value.
    """
    names, columns, residual = problem.columns(found)
    plane, model = problem.model.plane, problem.model
    own = np.sqrt(plane.mean(model.window**2))
    through = found.scale * model.transfer(found.shape) * model.window / own
    through = through * plane.phase(found.shape.dy, found.shape.dx)
    filters = {"image": model.common, "reference": through}
    w2 = problem.weight**2
    expected = {}
    for name, transfer in filters.items():
        variance = getattr(noise, name)
        expected[name] = 0.0 if variance is None else float((w2 * _spread(plane, transfer, variance)).sum())
    chi2 = float(residual @ residual) * len(residual) / max(len(residual) - len(names), 1)
    known, rchi = noise.reference, np.nan
    if noise.image is not None:
        total = expected["image"] + expected["reference"]
        rchi = chi2 / total if total > 0 else np.nan
    elif known is not None:
        unit = float((w2 * _spread(plane, model.common, used.astype(float))).sum())
        noise = replace(noise, image=used * max(chi2 - expected["reference"], 0.0) / unit)
    else:
        noise = _of_residuals(problem, residual, filters, used)
    if not names:
        return Errors(names, np.zeros((0, 0)), np.zeros(0), rchi)
    normal, pull = columns @ columns.T, np.zeros(len(names))
    if known is not None:
        normal, pull = _less_noise(problem, found, names, normal, float((w2 * known).sum()), own)
    middle = _carried(problem, columns, np.conj(model.common), noise.image)
    if noise.reference is not None:
        middle = middle + _carried(problem, columns, np.conj(through), noise.reference)
    inverse = np.linalg.pinv(normal / (size := np.sqrt(np.outer(np.diag(normal), np.diag(normal)))), hermitian=True) / size
    covariance = inverse @ middle @ inverse
    return Errors(names, covariance * (max(rchi, 1.0) if np.isfinite(rchi) else 1.0), inverse @ pull, rchi)


def _of_residuals(problem: Problem, residual: Floats, filters: dict[str, NDArray], used: NDArray[np.bool_]) -> Noise:
    """Return the noise of both images by the power spectrum of the residuals, one number each.

    Noise of the image is behind the common resolution; that of the reference behind its filter and the image's PSF: it has lower
    frequencies, on which the background's error depends. The two levels are those of greatest likelihood for a spectrum of independent
    frequencies (Whittle 1953, Ark. Mat. 2, 423), by weighted least squares in turn.
    """
    plane = problem.model.plane
    spread = np.zeros(plane.shape)
    spread[problem.at] = residual
    power = np.abs(plane.forward(spread)) ** 2
    total = float((problem.w**2).sum())
    shapes = {name: total * np.abs(transfer) ** 2 for name, transfer in filters.items()}
    at = shapes["image"] > _HEARD * shapes["image"].max()
    seen, model = power[at], np.array([shapes[name][at] for name in ("image", "reference")])
    levels = np.array([seen.sum() / model[0].sum(), 0.0])
    for _ in range(_TURNS):
        expected = levels @ model
        if not (expected > 0).all():
            break
        levels = nnls((model / expected).T, seen / expected)[0]
    return Noise(used * levels[0], np.full(plane.shape, levels[1]))


def _carried(problem: Problem, columns: Floats, adjoint: Floats, variance: Floats) -> Floats:
    """Return the covariance of the gradient that white noise of a variance gives, through the filter whose adjoint is given."""
    plane, rows = problem.model.plane, []
    for column in columns:
        spread = np.zeros(plane.shape)
        spread[problem.at] = problem.w * column
        rows.append((plane.back(plane.forward(spread) * adjoint)).ravel())
    rows = np.array(rows)
    return (rows * variance.ravel()) @ rows.T


def _spread(plane: FourierPlane, transfer: NDArray, variance: Floats) -> Floats:
    """Return the variance of white noise of a variance per pixel behind a filter: local, by the square of its kernel."""
    low, high = variance.min(), variance.max()
    if high - low <= 1e-6 * high:
        return np.full(plane.shape, high * plane.mean(np.abs(transfer) ** 2))
    kernel = np.fft.irfft2(transfer, plane.size) ** 2
    return plane.back(plane.forward(variance) * np.fft.rfft2(kernel))


def _less_noise(problem: Problem, found: Solution, names: list[str], normal: Floats, amount: float, own: float) -> tuple[Floats, Floats]:
    """Return the normal matrix without what the reference's noise adds to it, and the gradient that this noise had made.

    With S the filter that the noise goes through (scale times transfer) and D_i its derivative by a parameter, noise of unit variance adds
    mean(B^2 D_i conj(D_j)) / mean(B^2) to the normal matrix, and pulls by the same with S in place of D_j.
    """
    model = problem.model
    factors = model.factors(found.shape, tuple(name for name in names if name in NONLINEAR))
    scaled = {name: factor if name == "scale" else found.scale * factor for name, factor in factors.items()}
    whole, window = found.scale * factors["scale"], (model.window / own) ** 2
    rows = [scaled.get(name) if name != "bg" else None for name in names]

    def common(a: Floats | None, b: Floats | None) -> float:
        return 0.0 if a is None or b is None else amount * model.plane.mean(window * np.real(a * np.conj(b)))

    less = normal - np.array([[common(a, b) for b in rows] for a in rows])
    size = np.sqrt(np.diag(normal))
    if np.linalg.eigvalsh(less / np.outer(size, size)).min() < 0.02 * np.linalg.eigvalsh(normal / np.outer(size, size)).min():
        return normal, np.zeros(len(names))
    return less, np.array([common(a, whole) for a in rows])


def _moved(shape: Shape, steps: dict[str, float], low: float) -> Shape:
    moved = {name: getattr(shape, name) + step for name, step in steps.items() if name in NONLINEAR}
    if "fwhm" in moved:
        moved["fwhm"] = float(np.clip(moved["fwhm"], max(low, shape.fwhm / 3), shape.fwhm * 3))
    if "q" in moved:
        moved["q"] = float(np.clip(moved["q"], max(Q_RANGE[0], shape.q - 0.25), min(Q_RANGE[1], shape.q + 0.25)))
    return replace(shape, **moved)


def _bounds(shape: Shape, low: float) -> dict[str, int]:
    """Return what lies at a bound, and the sign of the steps that would lead across it."""
    found = {"fwhm": -1} if shape.fwhm <= low else {}
    if shape.q <= Q_RANGE[0] or shape.q >= Q_RANGE[1]:
        found["q"] = -1 if shape.q <= Q_RANGE[0] else 1
    return found


def _is_small(names: list[str], step: Floats, gain: float, cost: float, problem: Problem) -> bool:
    """Tell whether a step is far below the noise, or below what numbers can hold."""
    size = min(problem.model.plane.step)
    tiny = all(abs(d) < _CLOSE * size for name, d in zip(names, step, strict=True) if name in NONLINEAR)
    return tiny or gain * len(problem.w) < 1e-6 * cost
