"""The compiled loops without masking, beside sep's functions on the same objects."""

from __future__ import annotations

import numpy as np
import pytest
import sep

from ezarchive.photometry import shapes
from ezarchive.photometry.extraction import detect
from ezarchive.photometry.options import SexOptions
from ezarchive.photometry.pixels import prepare

pytestmark = pytest.mark.oracle

DIAMETERS = (3.0, 7.3, 10.0, 31.7)


@pytest.fixture(scope="module", params=["number", "map", "double"])
def scene(request):
    """Pixels, noise, objects and measures of a crowded field whose sources reach over its edges."""
    rng = np.random.default_rng(7)
    dtype = np.float64 if request.param == "double" else np.float32
    yy, xx = np.mgrid[:180, :230]
    data = rng.normal(size=xx.shape)
    for _ in range(90):
        x, y, a, q, turn = rng.uniform(0, 230), rng.uniform(0, 180), rng.uniform(1.2, 5), rng.uniform(0.4, 1), rng.uniform(0, np.pi)
        along, across = (xx - x) * np.cos(turn) + (yy - y) * np.sin(turn), -(xx - x) * np.sin(turn) + (yy - y) * np.cos(turn)
        data += rng.uniform(10, 300) * np.exp(-(along**2 + (across / q) ** 2) / (2 * a**2))
    data = data.astype(dtype)
    noise = rng.uniform(0.9, 1.1, data.shape).astype(dtype) if request.param == "map" else 1.3
    options = SexOptions(detect_thresh=3.0, phot_apertures=DIAMETERS, gain=0.0, mask_type="NONE", phot_fluxfrac=0.8)
    pixels = prepare(data, noise)
    found = detect(pixels, options)
    assert len(found.objects) > 50
    return data, noise, found.objects, shapes.measure(pixels, found, options, level=np.zeros(len(found.objects)))


def ellipse(objects):
    return objects["x"], objects["y"], objects["a"], objects["b"], np.clip(objects["theta"], -np.pi / 2, np.pi / 2)


def test_circles(scene):
    data, noise, objects, found = scene
    for diameter, ours in zip(DIAMETERS, found.apertures, strict=True):
        flux, err, _ = sep.sum_circle(data, objects["x"], objects["y"], diameter / 2, err=noise, subpix=5)
        # sep takes pixels and noise in single precision.
        np.testing.assert_allclose(ours.flux, flux, rtol=1e-7, atol=1e-5)
        np.testing.assert_allclose(ours.sky_sigma, err, rtol=1e-7)
        area = sep.sum_circle(np.ones_like(data), objects["x"], objects["y"], diameter / 2, subpix=5)[0]
        np.testing.assert_allclose(ours.area, area, rtol=1e-10)


def test_kron_radius_and_flux(scene):
    data, noise, objects, found = scene
    moment, _ = sep.kron_radius(data, *ellipse(objects), 6.0)
    # sep's ellipse is made of A, B and theta again, so that a pixel on its edge may lie on the other side.
    assert np.mean(np.isclose(found.kron_radius, np.fmax(2.5 * moment, 3.5), rtol=1e-5)) > 0.95
    flux, err, _ = sep.sum_ellipse(data, *ellipse(objects), found.kron_radius, err=noise, subpix=1)
    assert np.mean(np.isclose(found.flux_auto, flux, rtol=1e-7)) > 0.95
    assert np.mean(np.isclose(found.flux_auto_err, err, rtol=1e-7)) > 0.95


def test_radii_of_the_curve_of_growth(scene):
    data, _, objects, found = scene
    for fraction, ours in ((0.5, found.half_light), (0.8, found.flux_radius)):
        theirs, _ = sep.flux_radius(data, objects["x"], objects["y"], 6.0 * objects["a"], fraction, normflux=found.flux_auto, subpix=5)
        # In the last of the 64 steps SExtractor extrapolates, up to the limit, sep does not.
        reached = theirs < 0.98 * 6.0 * objects["a"]
        assert reached.mean() > 0.6
        np.testing.assert_allclose(ours[reached], theirs[reached], rtol=1e-6)


def test_windowed_positions(scene):
    data, _, objects, found = scene
    sigma = np.maximum(np.abs(found.half_light), 0.5) * 2.0 / 2.35
    x, y, _ = sep.winpos(data, objects["x"], objects["y"], sigma, subpix=11)
    offset = np.hypot(found.xwin - x, found.ywin - y)
    stays = (found.xwin == objects["x"]) & (found.ywin == objects["y"])
    # Many wander off to a brighter neighbour in so dense a field.
    dx, dy = x - objects["x"], y - objects["y"]
    assert ((np.abs(dx) > 1) & (np.abs(dy) > 1) | ~np.isfinite(dx))[stays].all()
    assert stays.mean() < 0.7
    assert np.median(offset[~stays]) < 1e-5
    assert np.percentile(offset[~stays], 95) < 1e-3
