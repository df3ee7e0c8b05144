"""Statistics of the pixels in an aperture: photutils and astropy inside the image, loops written out over its edges."""

from __future__ import annotations

import math

import gauss4
import numpy as np
import pytest
from astropy.stats import biweight_location, biweight_midvariance, mad_std
from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture, EllipticalAperture, RectangularAperture

from ezarchive.quicklook import aperture_statistics
from ezarchive.quicklook.apertures.kernels_statistics import measure
from ezarchive.quicklook.apertures.overlaps import STATISTICS
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Ellipse, Inverted, Polygon, Raster, Rectangle

THEIRS = {"semimajor_sigma": "semimajor_axis", "semiminor_sigma": "semiminor_axis", "xcentroid": "x_centroid", "ycentroid": "y_centroid"}


def plain(value):
    return float(getattr(value, "value", value))


def written_out(values, x, y):
    """Every statistic of pixels, by numpy and astropy, one after the other."""
    made = {"n": values.size, "min": values.min(), "max": values.max(), "mean": values.mean(), "median": np.median(values)}
    made |= {"mode": 3 * made["median"] - 2 * made["mean"], "std": values.std(), "var": values.var(), "mad_std": mad_std(values)}
    made |= {"biweight_location": biweight_location(values), "biweight_midvariance": biweight_midvariance(values)}
    total = values.sum()
    cx, cy = (values * x).sum() / total, (values * y).sum() / total
    xx, yy, xy = (((one * two) * values).sum() / total for one, two in ((x - cx, x - cx), (y - cy, y - cy), (x - cx, y - cy)))
    while xx * yy - xy**2 < (1 - 1e-12) / 144:
        xx, yy = xx + 1 / 12, yy + 1 / 12
    b2, a2 = np.linalg.eigvalsh([[xx, xy], [xy, yy]])
    made |= {"xcentroid": cx, "ycentroid": cy, "covariance_xx": xx, "covariance_yy": yy, "covariance_xy": xy}
    made |= {"semimajor_sigma": math.sqrt(a2), "semiminor_sigma": math.sqrt(b2), "fwhm": 2 * math.sqrt(math.log(2) * (a2 + b2))}
    return made | {"orientation": math.degrees(0.5 * math.atan2(2 * xy, xx - yy)), "eccentricity": math.sqrt(1 - b2 / a2)}


def check(found, k, expected, rtol=1e-10):
    for name in STATISTICS:
        assert found[name][k] == pytest.approx(expected[name], rel=rtol, abs=1e-11), (k, name)


@pytest.mark.oracle
@pytest.mark.parametrize("background", [0.0, 5.0])
def test_every_number_equals_photutils_inside_the_image(background):
    data = gauss4.new()
    turn = math.radians(30)
    pairs = (
        (Circle(150, 25, 8), CircularAperture((150, 25), 8)),
        (Circle(30.3, 40.7, 21.5), CircularAperture((30.3, 40.7), 21.5)),
        (Ellipse(90, 60, 14.2, 8.1, 30), EllipticalAperture((90, 60), 14.2, 8.1, theta=turn)),
        (Rectangle(20.5, 37.5, 20, 15, 30), RectangularAperture((20.5, 37.5), 20, 15, theta=turn)),
        (Annulus(Circle(150, 25, 7), Circle(150, 25, 17)), CircularAnnulus((150, 25), 7, 17)),
    )
    found = aperture_statistics(data, [ours for ours, _ in pairs], background=background)
    for k, (_, theirs) in enumerate(pairs):
        stats = ApertureStats(data, theirs, local_bkg=background or None, sum_method="exact")
        expected = {name: plain(getattr(stats, THEIRS.get(name, name))) for name in STATISTICS if name != "n"}
        check(found, k, expected | {"n": plain(stats.center_aper_area)})


def shapes_over_edges(rng, n=40):
    """Shapes of four kinds, most of which reach over an edge of an image of 40 x 50."""
    made = [Polygon(((-4, -3), (12, -2), (9, 14))), Raster(np.ones((5, 7), bool), 46, -2), Inverted(Circle(20, 20, 19))]
    for _ in range(n):
        x, y, a, b = rng.choice([0.3, 49.2, 25.0]), rng.choice([-1.4, 39.1, 20.0]), *rng.uniform(2, 15, 2)
        made += [Circle(x, y, a), Ellipse(x, y, a, b, a * 20), Rectangle(x, y, a, b, b * 20)]
    return made


@pytest.mark.oracle
def test_over_the_edges_with_bad_pixels_they_equal_loops_written_out(rng):
    data = rng.gamma(2.0, 10.0, (40, 50))
    data[rng.random(data.shape) < 0.1] = np.nan
    data[5, 5], data[35, 45] = np.inf, -np.inf
    good = rng.random(data.shape) > 0.1
    background = rng.normal(0, 1, 123)
    shapes = shapes_over_edges(rng)
    found = aperture_statistics(data, shapes, background=background, good=good)
    y, x = np.mgrid[:40, :50]
    for k, shape in enumerate(shapes):
        used = shape.contains(x, y) & good & np.isfinite(data)
        check(found, k, written_out(data[used] - background[k], x[used], y[used]), rtol=1e-9)


@pytest.mark.truth
def test_a_centroid_over_the_left_edge_is_not_moved():
    """photutils adds the origin of the box that is not clipped: -0.391."""
    found = aperture_statistics(gauss4.new(), Circle(2.3, 97.6, 6))
    assert found["xcentroid"][0] == pytest.approx(3.609, abs=5e-4)
    corner = np.zeros((8, 10))
    corner[0, 0] = 1.0
    found = aperture_statistics(corner, Circle(2, 2, 3))
    assert (found["xcentroid"][0], found["ycentroid"][0]) == (0.0, 0.0)


@pytest.mark.truth
def test_an_aperture_cuts_the_wings_of_a_star():
    y, x = np.mgrid[:101, :101]
    star = np.exp(-((x - 50) ** 2 + (y - 50) ** 2) / 18)
    found = aperture_statistics(star, [Circle(50, 50, radius) for radius in (7, 10, 14)])["fwhm"]
    assert found == pytest.approx([6.265, 6.977, 7.064], abs=5e-4)


@pytest.mark.truth
def test_values_that_are_mostly_alike():
    """A median absolute deviation of zero: the biweights are the median and zero, as in astropy."""
    data = np.full((9, 9), 7.0)
    data[4, 4] = 100.0
    found = aperture_statistics(data, Circle(4, 4, 4))
    assert (found["mad_std"][0], found["biweight_location"][0], found["biweight_midvariance"][0]) == (0.0, 7.0, 0.0)
    assert found["max"][0] == 100.0


@pytest.mark.truth
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 10, 101])
def test_medians_of_few_values(n, rng):
    values = rng.integers(0, 5, (1, n)).astype(float)
    found = aperture_statistics(values, Rectangle((n - 1) / 2, 0, n, 1))
    assert found["n"][0] == n
    assert found["median"][0] == np.median(values)
    assert found["mad_std"][0] == pytest.approx(mad_std(values), rel=1e-15)


@pytest.mark.truth
def test_one_pixel_has_the_size_of_a_pixel():
    found = aperture_statistics(np.full((1, 1), 3.0), Circle(0, 0, 0.2))
    assert {name: found[name][0] for name in ("n", "mean", "median", "mode", "std", "var", "xcentroid", "ycentroid")} == {
        "n": 1, "mean": 3.0, "median": 3.0, "mode": 3.0, "std": 0.0, "var": 0.0, "xcentroid": 0.0, "ycentroid": 0.0,
    }  # fmt: skip
    assert found["semimajor_sigma"][0] == pytest.approx(math.sqrt(1 / 12), rel=1e-15)
    assert found["eccentricity"][0] == 0.0


@pytest.mark.pure
def test_sorted_and_equal_values_do_not_slow_the_median_down():
    """Hoare's selection, pivot in the middle: a million values, sorted, backwards and all alike."""
    for row in (np.arange(1e6), np.arange(1e6)[::-1], np.zeros(1_000_000)):
        found = aperture_statistics(row.reshape(1000, 1000), Raster(np.ones((1000, 1000), bool)))
        assert found["median"][0] == np.median(row)


@pytest.mark.pure
def test_the_loop_is_compiled_for_one_kind_of_array():
    for kind in (np.float32, ">f4", np.int16, float):
        aperture_statistics(np.ones((20, 20), kind)[::2], [Circle(5, 5, 3), Inverted(Circle(5, 5, 3))], good=np.ones((10, 20), bool))
    assert len(measure.signatures) == 1
