"""Overlap, sums and statistics as users call them: edges, bad pixels, batches, bad input, and numbers of the reference page."""

from __future__ import annotations

import json
import math
import tracemalloc

import gauss4
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import NDData
from photutils.aperture import ApertureStats, CircularAperture, EllipticalAperture, aperture_photometry

from ezarchive.errors import InputError
from ezarchive.quicklook import aperture_statistics, aperture_sums, overlap
from ezarchive.quicklook.apertures.overlaps import STATISTICS
from ezarchive.quicklook.apertures.packing import BLOCK
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle

TENTHS = np.arange(1, 11) / 10
FIELDS = ("sum", "area", "variance", "strict_variance", "n_bad", "area_bad", "on_image")


def mixed(rng, n=60, size=(90, 120)):
    """Shapes of every kind, many of them over an edge or off the image."""
    made = [Raster(rng.random((9, 9)) > 0.5, 60, 85), Inverted(Circle(50, 50, 30)), Circle(-30, 10, 5), Polygon(((5, 5), (9, 6), (7, 11)))]
    made.append(Combined("and", (Circle(40, 40, 9), Inverted(Circle(44, 40, 6)))))
    for _ in range(n):
        x, y, a, b = rng.uniform(-10, size[1] + 10), rng.uniform(-10, size[0] + 10), *rng.uniform(0.2, 15, 2)
        made += [Circle(x, y, a), Ellipse(x, y, a, b, a * 20), Rectangle(x, y, a, b, b * 20)]
        made += [Annulus(Circle(x, y, a), Circle(x, y, a + b))]
    return made


@pytest.mark.truth
@pytest.mark.parametrize(
    ("shape", "golden"),
    [
        (
            Circle(25, 25, 20),
            (12.566371, 50.265482, 113.097336, 201.06193, 314.159265, 452.389342, 615.75216, 804.247719, 1017.87602, 1256.637061),
        ),
        (Ellipse(25, 25, 20, 15), tuple(9.42477796 * k**2 for k in range(1, 11))),
        (Rectangle(25, 25, 20, 15), (3, 12, 27, 48, 75, 108, 147, 192, 243, 300)),
    ],
)
def test_growth_over_an_image_of_ones(shape, golden):
    found = aperture_sums(np.ones((51, 51)), [shape.scaled(tenth) for tenth in TENTHS])
    assert found.sum == pytest.approx(golden, abs=6e-7)
    assert found.area == pytest.approx(golden, abs=6e-7)
    assert np.all(found.on_image == 1.0)


@pytest.mark.truth
def test_medians_of_the_reference_page():
    rings = [(150, 25, 7, 17), (20.5, 37.5, 20.5, 30.5), (20.5, 37.5, 40, 50), (20.5, 37.5, 40, 45)]
    shapes = [Annulus(Circle(x, y, inner), Circle(x, y, outer)) for x, y, inner, outer in rings] + [Circle(150, 25, 7)]
    found = aperture_statistics(gauss4.old(), shapes)["median"].tolist()
    assert found == [5.745596129482831, 5.13918435824334, 4.783765940615679, 4.894003242594493, pytest.approx(44.72559981461203, rel=1e-15)]
    found = aperture_statistics(gauss4.new(), [shapes[0], shapes[1], shapes[4]])["median"].tolist()
    assert found == [5.802286789188564, 5.052332379146563, 45.41683436281312]


@pytest.mark.oracle
def test_sums_areas_and_variances_equal_photutils(rng):
    data, error = rng.normal(50, 5, (90, 120)), rng.uniform(1, 3, (90, 120))
    mask = rng.random(data.shape) < 0.05
    places = np.column_stack([rng.uniform(5, 115, 50), rng.uniform(5, 85, 50)])
    for ours, theirs in (
        ([Circle(x, y, 6.3) for x, y in places], CircularAperture(places, 6.3)),
        ([Ellipse(x, y, 9.1, 4.2, 25) for x, y in places], EllipticalAperture(places, 9.1, 4.2, theta=math.radians(25))),
    ):
        found = aperture_sums(data, ours, good=~mask, variance=error**2)
        table = aperture_photometry(data, theirs, error=error, mask=mask)
        stats = ApertureStats(data, theirs, mask=mask, sum_method="exact")
        np.testing.assert_allclose(found.sum, table["aperture_sum"], rtol=1e-10)
        np.testing.assert_allclose(np.sqrt(found.variance), table["aperture_sum_err"], rtol=1e-10)
        np.testing.assert_allclose(found.area, stats.sum_aper_area.value, rtol=1e-10)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", ["nircam/jw01324001001-01324-o001_t001_nircam_clear-f200w_i2d_stamp.fits", "irac/spitzer_example_image.fits"]
)
def test_real_images_equal_photutils(real_data, rng, name):
    """Random ellipses over a NIRCam and an IRAC image, over the edges and over their NaN too."""
    path = real_data / name
    data = fits.getdata(path).astype(float)
    bad = np.argwhere(~np.isfinite(data))
    places = np.concatenate([rng.uniform(0, data.shape[::-1], (60, 2)), bad[:, ::-1] + 0.3])
    found = aperture_sums(path, [Ellipse(x, y, 9.3, 6.1, 40) for x, y in places])
    stats = ApertureStats(data, EllipticalAperture(places, 9.3, 6.1, theta=math.radians(40)), sum_method="exact")
    np.testing.assert_allclose(found.sum, stats.sum, rtol=1e-10)
    np.testing.assert_allclose(found.area, stats.sum_aper_area.value, rtol=1e-10)
    assert len(bad) > 0
    assert np.all(found.n_bad[60:] > 0)
    ours = aperture_statistics(path, [Ellipse(x, y, 9.3, 6.1, 40) for x, y in places])
    for one, other in (("median", "median"), ("biweight_location", "biweight_location"), ("mad_std", "mad_std"), ("fwhm", "fwhm")):
        np.testing.assert_allclose(ours[one], np.asarray(getattr(stats, other)), rtol=1e-9)


@pytest.mark.truth
def test_the_strict_variance_is_that_of_the_sum(rng):
    """Noise alone, 4000 times: the scatter of the sums is the root of `strict_variance`; `variance` is larger."""
    noise = rng.normal(0, 2.0, (4000, 9, 9))
    shape = Circle(4.3, 4.1, 1.2)
    weights = np.zeros((9, 9))
    weights[overlap(shape, (9, 9)).slices] = overlap(shape, (9, 9)).weights
    found = aperture_sums(noise[0], shape, variance=np.full((9, 9), 4.0))
    scatter = (noise * weights).sum(axis=(1, 2)).std()
    assert np.sqrt(found.strict_variance[0]) == pytest.approx(scatter, rel=0.04)
    assert found.variance[0] == pytest.approx(4.0 * shape.area, rel=1e-13)
    assert found.variance[0] > 1.2 * found.strict_variance[0]


@pytest.mark.truth
def test_bad_pixels_add_nothing_and_are_counted():
    data = np.full((20, 20), 7.0)
    data[10, 10], data[10, 11], data[0, 0] = np.nan, np.inf, np.nan
    good = np.ones((20, 20), bool)
    good[9, 10] = False
    found = aperture_sums(data, Circle(10, 10, 5), background=2.0, good=good)
    assert (found.n_bad[0], found.area_bad[0]) == (3, 3.0)
    assert found.area[0] == pytest.approx(25 * math.pi - 3, rel=1e-14)
    assert found.sum[0] == pytest.approx(5.0 * (25 * math.pi - 3), rel=1e-13)
    assert aperture_statistics(data, Circle(10, 10, 5), good=good)["n"][0] == 69 - 3


@pytest.mark.truth
def test_nothing_but_nan():
    found = aperture_sums(np.full((9, 9), np.nan), Circle(4, 4, 2), variance=np.ones((9, 9)))
    assert np.isnan(found.sum[0])
    assert np.isnan(found.variance[0])
    assert (found.area[0], found.n_bad[0], found.on_image[0]) == (0.0, 21, 1.0)
    stats = aperture_statistics(np.full((9, 9), np.nan), Circle(4, 4, 2))
    assert stats.pop("n")[0] == 0
    assert all(np.isnan(value[0]) for value in stats.values())


@pytest.mark.truth
def test_half_on_the_image_and_off_it():
    data = np.full((40, 30), 2.0)
    found = aperture_sums(data, [Circle(-0.5, 20, 6), Circle(-0.5, -0.5, 6), Circle(15, 39.5, 6), Circle(-7, 20, 6), Circle(900, 20, 6)])
    assert found.on_image == pytest.approx([0.5, 0.25, 0.5, 0.0, 0.0], rel=1e-13)
    assert found.area == pytest.approx(36 * math.pi * found.on_image, rel=1e-13)
    assert found.sum[:3] == pytest.approx(2 * found.area[:3], rel=1e-13)
    assert np.all(np.isnan(found.sum[3:]))
    off = overlap(Circle(-7, 20, 6), data.shape)
    assert (off.weights.shape, off.inside.shape, off.area) == ((0, 0), (0, 0), 0.0)
    assert data[off.slices].size == 0


@pytest.mark.truth
def test_an_aperture_without_the_centre_of_a_pixel():
    """Its sum and area are finite; there is nothing that statistics could be made of."""
    data = np.full((10, 10), 4.0)
    shapes = [Circle(5.5, 5.5, 0.3), Rectangle(5.2, 5.2, 0.2, 0.1, 30)]
    found = aperture_sums(data, shapes, background=1.0)
    assert found.area == pytest.approx([0.09 * math.pi, 0.02], rel=1e-12)
    assert found.sum == pytest.approx(3.0 * found.area, rel=1e-14)
    stats = aperture_statistics(data, shapes)
    assert stats.pop("n").tolist() == [0, 0]
    assert all(np.all(np.isnan(value)) for value in stats.values())


@pytest.mark.truth
def test_a_single_pixel_image():
    data = np.array([[5.0]])
    found = aperture_sums(data, [Circle(0, 0, 10), Circle(0, 0, 0.1), Circle(0.5, 0, 0.1)])
    assert found.sum == pytest.approx([5.0, 0.05 * math.pi, 0.025 * math.pi], rel=1e-13)
    assert found.on_image[0] == pytest.approx(1 / (100 * math.pi), rel=1e-13)


@pytest.mark.pure
@pytest.mark.parametrize("kind", [np.float64, np.float32, ">f4", np.int16])
def test_many_at_once_are_each_by_itself(rng, kind):
    data = rng.normal(1000, 50, (90, 120)).astype(kind)
    variance, good = rng.uniform(1, 2, data.shape), rng.random(data.shape) > 0.02
    shapes = mixed(rng)
    background = rng.normal(900, 5, len(shapes))
    sums = aperture_sums(data, shapes, background=background, variance=variance, good=good)
    stats = aperture_statistics(data, shapes, background=background, good=good)
    assert list(stats) == list(STATISTICS)
    for k, shape in enumerate(shapes):
        one = aperture_sums(data, [shape], background=background[k], variance=variance, good=good)
        for name in FIELDS:
            np.testing.assert_allclose(getattr(sums, name)[k], getattr(one, name)[0], rtol=1e-10, err_msg=f"{shape} {name}")
        alone = aperture_statistics(data, shape, background=background[k], good=good)
        for name in STATISTICS:
            np.testing.assert_allclose(stats[name][k], alone[name][0], rtol=1e-10, err_msg=f"{shape} {name}")


@pytest.mark.oracle
def test_sums_of_every_kind_equal_those_of_the_weights(rng):
    data, variance = rng.normal(1000, 50, (90, 120)), rng.uniform(1, 2, (90, 120))
    data[rng.random(data.shape) < 0.05] = np.nan
    shapes = mixed(rng, 20)
    found = aperture_sums(data, shapes, background=990.0, variance=variance)
    for k, shape in enumerate(shapes):
        part = overlap(shape, data.shape)
        values, weights = data[part.slices] - 990.0, part.weights
        used = np.isfinite(values) & (weights > 0)
        assert found.area[k] == pytest.approx(weights[used].sum(), rel=1e-12)
        assert found.n_bad[k] == np.count_nonzero(~np.isfinite(values) & (weights > 0))
        if used.any():
            assert found.sum[k] == pytest.approx((weights * values)[used].sum(), rel=1e-9, abs=1e-9)
            assert found.strict_variance[k] == pytest.approx((weights**2 * variance[part.slices])[used].sum(), rel=1e-12)


@pytest.mark.truth
def test_shares_of_compounds_and_of_shapes_without_end():
    data = np.ones((40, 50))
    whole = Combined("or", (Circle(-2, 20, 6.0), Circle(20, 20, 3)))
    found = aperture_sums(data, [whole, Inverted(Circle(20, 20, 3)), Combined("and", (Circle(5, 5, 2), Circle(25, 25, 2)))])
    assert found.on_image[0] == pytest.approx(found.area[0] / (45 * math.pi), rel=1e-12)
    assert math.isnan(found.on_image[1])
    assert found.area[1] == pytest.approx(2000 - 9 * math.pi, rel=1e-14)
    assert (found.area[2], np.isnan(found.sum[2])) == (0.0, True)


@pytest.mark.pure
def test_an_aperture_over_more_than_a_block_is_summed_in_pieces(rng):
    """More than one block, against the same sum by its weights."""
    data = np.broadcast_to(rng.normal(10, 1, (1, 700)).astype(np.float32), (BLOCK // 700 + 900, 700))
    ny, nx = data.shape
    shapes = [Rectangle(nx / 2, ny / 2, 600, ny - 50, 0.2), Inverted(Circle(300, 300, 200)), Circle(20, 30, 7)]
    found = aperture_sums(data, shapes)
    for k, shape in enumerate(shapes):
        part = overlap(shape, data.shape)
        assert found.sum[k] == pytest.approx(float((part.weights * data[part.slices]).sum()), rel=1e-11)
    assert aperture_statistics(data, shapes[0])["n"][0] == overlap(shapes[0], data.shape).inside.sum()


@pytest.mark.pure
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_large_frame_is_not_copied():
    """30 million pixels that take no memory: a shape over all of them, one without end, and small ones; six of seven blocks at most."""
    data = np.broadcast_to(np.float32(1.0), (6000, 5000))
    shapes = [Rectangle(2499.5, 2999.5, 5000, 6000), Inverted(Circle(30, 30, 20)), *(Circle(100 * k, 50 * k, 10) for k in range(90))]
    tracemalloc.start()
    found = aperture_sums(data, shapes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 8 * BLOCK
    assert found.sum[0] == data.size
    assert found.sum[1] == pytest.approx(data.size - 400 * math.pi, rel=1e-14)


@pytest.mark.pure
def test_data_may_be_a_file_or_bring_a_mask(tmp_path, rng):
    data = rng.normal(10, 1, (30, 40)).astype(np.float32)
    fits.PrimaryHDU(data).writeto(tmp_path / "image.fits")
    mask = data > 11
    expected = aperture_sums(data, Circle(20, 15, 6))
    assert aperture_sums(tmp_path / "image.fits", Circle(20, 15, 6)).sum[0] == expected.sum[0]
    expected = aperture_sums(data, Circle(20, 15, 6), good=~mask)
    for source in (np.ma.MaskedArray(data, mask), NDData(data, mask=mask)):
        assert aperture_sums(source, Circle(20, 15, 6)).sum[0] == expected.sum[0]
        assert aperture_statistics(source, Circle(20, 15, 6))["n"][0] < 113


@pytest.mark.pure
def test_arguments_are_not_changed(rng):
    data, variance, good = rng.normal(10, 1, (30, 40)), np.ones((30, 40)), np.zeros((30, 40), bool)
    kept = data.copy(), variance.copy(), good.copy()
    for one in (data, variance, good):
        one.flags.writeable = False
    aperture_sums(data, [Circle(20, 15, 6)], variance=variance, good=good, background=np.zeros(1))
    aperture_statistics(data, [Circle(20, 15, 6)], good=good)
    assert all(np.array_equal(one, two) for one, two in zip((data, variance, good), kept, strict=True))


@pytest.mark.pure
def test_results_become_json():
    found = aperture_sums(np.ones((9, 9)), [Circle(4, 4, 2), Circle(99, 4, 2)])
    made = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert made["sum"][1] is None
    assert made["variance"] is None
    assert made["n_bad"] == [0, 0]
    assert len(found) == 2
    made = json.loads(json.dumps(overlap(Circle(4, 4, 2), (9, 9)).to_dict(), allow_nan=False))
    assert (made["y0"], made["x0"], len(made["weights"])) == (2, 2, 5)


@pytest.mark.pure
def test_no_shapes_at_all():
    assert aperture_sums(np.ones((9, 9)), []).sum.shape == (0,)
    assert aperture_statistics(np.ones((9, 9)), [])["median"].shape == (0,)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"background": "much"}, "background='much': must be a number"),
        ({"background": [1.0, 2.0, 3.0]}, r"one for each of 2 shapes, found an array of shape \(3,\)"),
        ({"background": math.nan}, "background: must be finite"),
        ({"good": np.ones((3, 3), bool)}, r"good: must be an array of bool of the shape \(9, 8\), found bool of shape \(3, 3\)"),
        ({"good": np.ones((9, 8))}, "good: must be an array of bool .* found float64"),
        ({"variance": np.ones((8, 9))}, r"variance: must be an array of numbers of the shape \(9, 8\)"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        aperture_sums(np.ones((9, 8)), [Circle(4, 4, 2)] * 2, **options)


@pytest.mark.pure
def test_wrong_data_and_shapes():
    with pytest.raises(InputError, match=r"data: must be a 2-D array of real numbers, found float64 of shape \(3,\)"):
        aperture_sums(np.ones(3), Circle(4, 4, 2))
    with pytest.raises(InputError, match="data: must be a 2-D array of real numbers, found complex128"):
        aperture_statistics(np.ones((3, 3), complex), Circle(4, 4, 2))
    with pytest.raises(InputError, match=r"shapes\[1\]: must be a shape .* found CircularAperture"):
        aperture_sums(np.ones((9, 9)), [Circle(4, 4, 2), CircularAperture((4, 4), 2)])
    with pytest.raises(InputError, match=r"shapes\[0\]: must be a shape .* found int"):
        overlap(7, (9, 9))
    with pytest.raises(InputError, match="factor=0.0: must be a number above 0"):
        aperture_sums(np.ones((9, 9)), Circle(4, 4, 2).scaled(0.0))
