"""Sums portion by portion: geometry against brute force, sizes that differ, neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import flags
from ezarchive.photometry.forcedsums import Aperture, Rules, measure
from ezarchive.photometry.stamps import ArrayCutouts, Scene
from ezarchive.sky.ellipses import Ellipses

pytestmark = pytest.mark.pure
SHAPE = (120, 140)


def sums(data, x, y, shape, *, noise=1.0, **rules):
    scene = Scene(ArrayCutouts(data), noise=noise)
    return measure(scene, np.asarray(x, float), np.asarray(y, float), [Aperture(shape)], Rules(**({"gain": 1.0} | rules))).apertures[0]


def random_ellipses(rng, n, largest):
    a = np.exp(rng.uniform(np.log(0.7), np.log(largest), n))
    return Ellipses(a, a * rng.uniform(0.1, 1, n), rng.uniform(-90, 90, n))


def has(bits, name):
    return (bits & flags.value(flags.FLAGS_APER, name)) != 0


def test_the_bits_of_the_edges_against_points_on_the_ellipse(rng):
    n = 400
    x, y, shape = rng.uniform(-20, 160, n), rng.uniform(-20, 140, n), random_ellipses(rng, n, 15)
    found = sums(np.ones(SHAPE), x, y, shape)
    t, r = np.linspace(0, 2 * np.pi, 181)[:, None], np.sqrt(np.linspace(0, 1, 41))[None, :]
    for i in range(n):
        cos, sin = np.cos(np.radians(shape.theta[i])), np.sin(np.radians(shape.theta[i]))
        along, across = shape.a[i] * np.cos(t) * r, shape.b[i] * np.sin(t) * r
        px, py = x[i] + along * cos - across * sin, y[i] + along * sin + across * cos
        on = (px > -0.5) & (px < SHAPE[1] - 0.5) & (py > -0.5) & (py < SHAPE[0] - 0.5)
        share = found.area[i] / found.nominal[i]
        assert has(found.flags[i], "OFF_IMAGE") == (found.area[i] == 0)
        assert not (on.any() and found.area[i] == 0)
        assert has(found.flags[i], "OFF_IMAGE_PARTLY") == (0 < share < 1 - 1e-7) or 0.999 < share
        assert share == pytest.approx(_share(on, r), abs=0.06)


def _share(on, r):
    # Points lie evenly along the angle and, in the square root, along the radius: evenly over the area.
    return float(np.mean(on[:, 1:] if r.size > 1 else on))


def test_sizes_that_differ_are_measured_as_if_alone(rng):
    data, n = rng.normal(10, 2, SHAPE), 60
    x, y, shape = rng.uniform(0, 140, n), rng.uniform(0, 120, n), random_ellipses(rng, n, 60)
    together = sums(data, x, y, shape)
    for i in range(n):
        alone = sums(data, x[i : i + 1], y[i : i + 1], shape[np.array([i])])
        for name in ("flux", "flux_err", "area", "flags"):
            np.testing.assert_allclose(getattr(alone, name)[0], getattr(together, name)[i], rtol=1e-12)


def test_neighbours_against_brute_force(rng):
    n = 150
    x, y, shape = rng.uniform(0, 140, n), rng.uniform(0, 120, n), random_ellipses(rng, n, 20)
    known = rng.uniform(0, 130, (80, 2))
    found = sums(np.ones(SHAPE), x, y, shape, neighbours=known, own_radius=2.5)
    for i in range(n):
        dx, dy, angle = known[:, 0] - x[i], known[:, 1] - y[i], np.radians(shape.theta[i])
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        inside = (np.hypot(along / shape.a[i], across / shape.b[i]) < 1) & (np.hypot(dx, dy) > 2.5)
        assert has(found.flags[i], "NEIGHBOUR") == inside.any()
    assert 10 < has(found.flags, "NEIGHBOUR").sum() < n


def test_no_gain_is_said_everywhere():
    found = sums(np.ones(SHAPE), [50.0, np.nan, -2.8], [50.0, 50.0, -2.8], Ellipses.circles(3, 3), gain=None)
    assert has(found.flags, "NO_GAIN").all()
    assert has(found.flags, "OFF_IMAGE").tolist() == [False, True, True]


def test_an_aperture_off_the_image_whose_ring_is_on_it(rng):
    data = rng.normal(5, 1, SHAPE)
    circle = Ellipses.circles(3, 1)
    aperture = Aperture(circle, circle, circle.scaled(5))
    found = measure(Scene(ArrayCutouts(data)), np.array([-6.0]), np.array([60.0]), [aperture], Rules(gain=1.0)).apertures[0]
    assert has(found.flags, "OFF_IMAGE")[0]
    assert np.isnan(found.flux[0])
    assert found.area[0] == 0
