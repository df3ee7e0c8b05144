"""The filter and the sampling, against the same sums written out."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare import resample
from ezarchive.compare.moffat import blackman
from ezarchive.compare.resample import Piece, Sampling, Source, sample

SHAPE, NEW = (150, 170), (30, 34)
MATRIX = np.array([[3.4 * np.cos(0.6), -3.1 * np.sin(0.6)], [3.4 * np.sin(0.6), 3.1 * np.cos(0.6)]])


def to_source(x, y):
    u, v = x - 16.5, y - 14.5
    return MATRIX[0, 0] * u + MATRIX[0, 1] * v + 84.3, MATRIX[1, 0] * u + MATRIX[1, 1] * v + 74.6


def source(data, bad=None, variance=None):
    bad = np.zeros(data.shape, bool) if bad is None else bad
    return Source(data.shape, lambda a, b, c, d: Piece(data[a:b, c:d], bad[a:b, c:d], None if variance is None else variance[a:b, c:d]))


def radial(r, stretch=1.0):
    """The kernel at distances in new pixels: 2 pi times the integral of B(k) J0(2 pi k r) k."""
    from scipy.special import j0

    node, weight = np.polynomial.legendre.leggauss(200)
    k = 0.25 * (node + 1) / stretch
    values = np.zeros_like(r)
    for one, w in zip(k, 0.25 * weight / stretch, strict=True):
        values += w * 2 * np.pi * one * blackman(2 * stretch * one) * j0(2 * np.pi * one * r)
    return values


@pytest.mark.pure
def test_the_sums_written_out():
    """Each new pixel is the sum of the source's pixels times the kernel at their distance, in new pixels."""
    rng = np.random.default_rng(2)
    data, variance = rng.normal(size=SHAPE), rng.uniform(1, 5, SHAPE)
    made = sample(source(data, variance=variance), NEW, Sampling(to_source))
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    inverse = np.linalg.inv(MATRIX)
    for y, x in [(14, 16), (10, 12), (18, 20), (15, 10)]:
        u, v = cols - to_source(x, y)[0], rows - to_source(x, y)[1]
        weight = radial(np.hypot(inverse[0, 0] * u + inverse[0, 1] * v, inverse[1, 0] * u + inverse[1, 1] * v))
        assert made.data[y, x] == pytest.approx((weight * data).sum(), abs=2e-5 * np.abs(weight).sum())
        assert made.variance[y, x] == pytest.approx((weight**2 * variance).sum(), rel=1e-3)


@pytest.mark.pure
def test_pieces_do_not_show(monkeypatch):
    rng = np.random.default_rng(4)
    data = rng.normal(5, 1, (260, 300))
    bad = rng.random(data.shape) < 0.001
    how = Sampling(lambda x, y: (1.3 * x - 0.2 * y + 30, 0.2 * x + 1.3 * y - 8))
    whole = sample(source(data, bad, data), (190, 200), how)
    monkeypatch.setattr(resample, "_TARGET_PIXELS", 3000)
    pieces = sample(source(data, bad, data), (190, 200), how)
    assert (pieces.mask != whole.mask).mean() < 1e-3
    both = ~(pieces.mask | whole.mask)
    # What bad pixels are filled with depends on the piece; 1 % of the weight at most lies on them.
    np.testing.assert_allclose(pieces.data[both], whole.data[both], atol=0.03)
    np.testing.assert_allclose(pieces.variance[both], whole.variance[both], rtol=0.01)
    clean = sample(source(data), (190, 200), how, variance=False)
    monkeypatch.undo()
    expected = sample(source(data), (190, 200), how, variance=False)
    inner = slice(4, 150), slice(4, 150)
    np.testing.assert_allclose(clean.data[inner], expected.data[inner], atol=3e-4)


@pytest.mark.truth
@pytest.mark.parametrize("scale", [0.4, 1.0, 2.7, 6.67])
def test_a_wave_is_multiplied_by_the_window(scale):
    """Any wave comes out with its phase, times the window at its frequency."""
    turn, stretch = 0.4, max(1.0, 1 / scale)
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    shape, new = (900, 940), (60, 70)
    how = Sampling(
        lambda x, y: (c * (x - 35) - s * (y - 30) + 470.2, s * (x - 35) + c * (y - 30) + 450.7), (stretch, stretch), conserve=False
    )
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    ny, nx = np.mgrid[0 : new[0], 0 : new[1]]
    for r in (0.1, 0.5, 0.8):
        fx, fy = (0.5 * r / stretch / scale * part for part in (np.cos(1.1), np.sin(1.1)))
        made = sample(source(np.cos(2 * np.pi * (fx * x + fy * y))), new, how, variance=False)
        at = how.to_source(nx, ny)
        expected = blackman(np.array(r)) * np.cos(2 * np.pi * (fx * at[0] + fy * at[1]))
        inner = ~made.mask
        assert inner.mean() > 0.9
        np.testing.assert_allclose(made.data[inner], expected[inner], atol=2e-4)


@pytest.mark.truth
def test_flux_is_conserved_through_a_distortion():
    """Stars on a field whose pixels grow by a tenth from one side to the other: the sum stays, though the areas differ."""
    shape, new = (600, 640), (150, 150)
    data = np.zeros(shape)
    rng = np.random.default_rng(0)
    data[rng.integers(150, 450, 40), rng.integers(150, 480, 40)] = rng.uniform(1e3, 1e4, 40)
    how = Sampling(lambda x, y: (4 * x + 0.002 * x**2 + 3.0, 4 * y - 0.001 * x * y + 5.0))
    made = sample(source(data), new, how, variance=False)
    assert np.nansum(made.data) == pytest.approx(data.sum(), rel=1e-4)
    bright = sample(source(data), new, Sampling(how.to_source, conserve=False), variance=False)
    assert np.nansum(bright.data) < 0.07 * data.sum()


@pytest.mark.pure
def test_holes_are_masked_where_they_matter():
    data = np.full((300, 300), 7.0)
    bad = np.zeros(data.shape, bool)
    bad[150, 150] = True
    bad[40:60, 200:230] = True
    data[bad] = np.nan
    how = Sampling(lambda x, y: (6 * x + 2, 6 * y + 1), conserve=False)
    made = sample(source(data, bad), (50, 50), how, variance=False)
    assert not made.mask[20:30, 20:30].any()
    assert made.mask[8, 35]
    assert np.isnan(made.data[made.mask]).all()
    np.testing.assert_allclose(made.data[~made.mask], 7.0, rtol=1e-6)
    assert made.mask[0].all()
    assert not made.mask[4, 10:25].any()
    strict = sample(source(data, bad), (50, 50), Sampling(how.to_source, conserve=False, max_missing=1e-3), variance=False)
    assert strict.mask[25, 25]


@pytest.mark.pure
def test_what_lies_beside_the_source_is_masked():
    made = sample(source(np.ones((40, 50))), (30, 30), Sampling(lambda x, y: (x + 1000, y)))
    assert made.mask.all()
    nowhere = sample(
        source(np.ones((40, 50))), (30, 30), Sampling(lambda x, y: (np.where(x > 14, np.nan, x + 10), y + 5.0)), variance=False
    )
    assert nowhere.mask[:, 15:].all()
    assert not nowhere.mask[5:-5, 5:12].any()


@pytest.mark.truth
def test_variance_of_white_noise():
    rng = np.random.default_rng(8)
    level = np.broadcast_to(np.linspace(1, 16, 170), SHAPE)
    draws = [sample(source(rng.normal(0, np.sqrt(level)), variance=level), NEW, Sampling(to_source)) for _ in range(120)]
    good = ~draws[0].mask
    ratio = np.var([draw.data for draw in draws], axis=0)[good] / draws[0].variance[good]
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    x = np.broadcast_to(np.arange(34), NEW)[good]
    assert ratio[x < 15].mean() == pytest.approx(ratio[x > 19].mean(), abs=0.06)
