"""Zero levels of one image against another, on arrays: truth, errors, and what cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ezarchive.compare import fit_offset
from ezarchive.compare.anchoring.offsets import CLASSIC_RANGE, CLASSIC_RANGE_W3, chain_offset, classic_range
from ezarchive.compare.anchoring.psfkernels import FWHM_OF_SIGMA
from ezarchive.errors import CompareError, InputError


def smooth(rng, shape, beam):
    made = gaussian_filter(rng.normal(size=shape), beam / FWHM_OF_SIGMA, mode="wrap")
    return made / made.std()


def pair(seed, *, shape=(130, 120), beam=5.0, slope=1.5, offset=0.3, noise=(0.02, 0.004)):
    """Return a sky through a beam, and an image of it with another slope and zero level; noise of the size of the beam."""
    rng = np.random.default_rng(seed)
    sky = 1.0 + 0.6 * smooth(rng, shape, 3 * beam) + 0.2 * np.abs(smooth(rng, shape, beam))
    reference = sky + noise[0] * smooth(rng, shape, beam)
    return reference, offset + slope * sky + slope * noise[1] * smooth(rng, shape, beam)


@pytest.mark.truth
@pytest.mark.parametrize("kind", ["external", "internal"])
def test_without_noise(kind):
    reference, image = pair(1, noise=(0, 0))
    fit = fit_offset(reference, image, kind=kind, beam_pixels=5.0)
    assert fit.slope == pytest.approx(1.5, abs=1e-9)
    assert fit.offset == pytest.approx(-0.3, abs=1e-9)
    assert fit.status == "ok" and not fit.message
    assert fit.range_axis == {"external": "image", "internal": "reference"}[kind]
    axis = fit.bins.y if kind == "external" else fit.bins.x
    assert fit.value_range[0] < axis[0] < axis[-1] < fit.value_range[1]
    np.testing.assert_allclose(fit.bins.y, 0.3 + 1.5 * fit.bins.x)
    assert fit.n_bins == 15 and fit.bins.n.sum() == fit.n_cells


@pytest.mark.truth
@pytest.mark.parametrize(("kind", "noise"), [("external", (0.03, 0.003)), ("internal", (0.003, 0.03))])
def test_errors_are_true(kind, noise):
    fits = [fit_offset(*pair(seed, noise=noise), kind=kind, beam_pixels=5.0) for seed in range(60)]
    off = np.array([[fit.intercept - 0.3, fit.slope - 1.5] for fit in fits])
    error = np.array([[fit.intercept_err, fit.slope_err] for fit in fits])
    pull = np.sqrt(np.mean((off / error) ** 2, axis=0))
    assert ((pull > 0.7) & (pull < 1.4)).all(), pull
    assert (np.abs(off.mean(axis=0)) < 0.4 * off.std(axis=0)).all()
    assert all(fit.covariance < 0 for fit in fits)


@pytest.mark.truth
def test_stars_of_another_colour_and_holes():
    reference, image = pair(4, shape=(200, 180))
    rng = np.random.default_rng(0)
    y, x = rng.integers(0, 180, (2, 60))
    image[y, x] += 30
    image[:20], reference[:, :15] = 0, np.nan
    fit = fit_offset(reference, image, beam_pixels=5.0)
    assert abs(fit.intercept - 0.3) < 4 * fit.intercept_err < 0.1
    assert fit.n_pixels == 180 * 165


@pytest.mark.pure
def test_coverage_is_lowered_once():
    reference, image = pair(5, shape=(60, 60))
    coverage = np.full(image.shape, 0.95)
    fit = fit_offset(reference, image, beam_pixels=5.0, coverage=coverage)
    assert fit.coverage == 0.9 and fit.flags[0] == "low_coverage" and fit.status == "flagged"
    assert "coverage asked for was lowered" in fit.message
    with pytest.raises(CompareError, match="must have 100 pixels and 8 beams in common .*, found 0 and 0.0") as err:
        fit_offset(reference, image, coverage=coverage - 0.1)
    assert err.value.code == "too_few_pixels"
    assert fit_offset(reference, image, beam_pixels=5.0, coverage=coverage + 0.04).coverage == 0.98
    assert "few_beams" in fit_offset(reference, image, beam_pixels=16.0).flags


@pytest.mark.pure
def test_a_curved_relation_is_flagged_and_has_a_larger_error():
    reference, image = pair(6, shape=(200, 200), noise=(0.002, 0.002))
    fit = fit_offset(reference, image + 0.2 * reference**2, kind="internal", percentiles=(2, 98), beam_pixels=5.0)
    assert "curved" in fit.flags
    assert fit.intercept_err > 3 * fit_offset(reference, image, kind="internal", percentiles=(2, 98), beam_pixels=5.0).intercept_err


@pytest.mark.pure
def test_range_region_and_slope():
    reference, image = pair(7)
    region = np.zeros(image.shape, bool)
    region[40:90, 30:80] = True
    fit = fit_offset(reference, image, region=region, beam_pixels=5.0)
    np.testing.assert_allclose(fit.value_range, np.percentile(image[region], (15, 60)), rtol=1e-6)
    fit = fit_offset(reference, image, value_range=(1.0, 2.0), beam_pixels=5.0)
    assert fit.value_range == (1.0, 2.0) and fit.n_cells == np.count_nonzero((image >= 1) & (image <= 2))
    for kind in ("external", "internal"):
        fit = fit_offset(reference, image, slope=1.5, kind=kind, beam_pixels=5.0)
        assert fit.slope == pytest.approx(1.5) and fit.slope_err == 0 and fit.covariance == 0
        assert abs(fit.intercept - 0.3) < 5 * fit.intercept_err < 0.1
    with pytest.raises(InputError, match="slope -1: must be positive"):
        fit_offset(reference, image, slope=-1)


@pytest.mark.pure
def test_masked_pixels_take_no_part():
    reference, image = pair(8)
    mask = np.zeros(image.shape, bool)
    mask[:60] = True
    spoiled = image.copy()
    spoiled[:60] = 99.0
    one, two = (fit_offset(reference, values, mask=mask, beam_pixels=5.0) for values in (image, spoiled))
    assert (one.slope, one.intercept, one.intercept_err) == (two.slope, two.intercept, two.intercept_err)


@pytest.mark.truth
def test_chains():
    rng = np.random.default_rng(9)
    reference, image = pair(9)
    fit = fit_offset(reference, image, kind="internal", beam_pixels=5.0)
    offset, error = chain_offset(fit, -0.25, 0.01)
    assert offset == pytest.approx(-fit.intercept + fit.slope * -0.25)
    covariance = [[fit.slope_err**2, fit.covariance], [fit.covariance, fit.intercept_err**2]]
    m, b = rng.multivariate_normal([fit.slope, fit.intercept], covariance, 200000).T
    assert error == pytest.approx(np.std(-b + m * rng.normal(-0.25, 0.01, m.size)), rel=0.01)
    for wrong in ((np.nan, 0.1), (0.1, -1)):
        with pytest.raises(InputError, match="must be finite, its error not negative"):
            chain_offset(fit, *wrong)


@pytest.mark.pure
def test_classic_ranges():
    assert classic_range("ngc1_w3_atgauss15") == CLASSIC_RANGE_W3 == (0.0, 0.8)
    assert classic_range("ngc1_irac4_atgauss4") == CLASSIC_RANGE == (0.25, 2.0)
    x = np.linspace(-0.5, 3, 40000).reshape(200, 200)
    for (low, high), n in (((0.25, 2.0), 17), ((0.0, 0.8), 7), ((0.0, 0.25), 2)):
        fit = fit_offset(x, 0.2 + 2 * x, method="classic", value_range=(low, high))
        assert fit.bins.x.size == n
        np.testing.assert_allclose(fit.bins.x, low + 0.05 + 0.1 * np.arange(n))
        np.testing.assert_allclose([fit.slope, fit.intercept], [2, 0.2], atol=1e-3)
    assert fit.flags == ("few_bins",)
    assert fit_offset(x, x, method="classic").value_range == CLASSIC_RANGE
    assert fit_offset(x, x, method="classic", percentiles=(20, 50)).value_range == tuple(np.percentile(x[x != 0], (20, 50)))


@pytest.mark.pure
@pytest.mark.parametrize(
    ("method", "value_range", "code"),
    [
        ("classic", (0.0, 0.05), "no_data_in_range"),
        ("classic", (0.5, 0.65), "too_few_bins"),
        ("classic", (50.0, 60.0), "no_data_in_range"),
        ("robust", (50.0, 60.0), "no_data_in_range"),
        ("robust", (1.5, 1.51), "too_few_bins"),
    ],
)
def test_ranges_without_data(method, value_range, code):
    reference, image = pair(10, shape=(60, 60))
    with pytest.raises(CompareError, match="found 0|found 1|found [0-9]+") as err:
        fit_offset(reference, image, method=method, value_range=value_range, beam_pixels=5.0)
    assert err.value.code == code


@pytest.mark.pure
def test_what_cannot_be_fitted():
    reference, image = pair(11, shape=(60, 60))
    for other, options in (
        (np.full(image.shape, np.nan), {}),
        (np.zeros(image.shape), {}),
        (reference, {"mask": np.ones(image.shape, bool)}),
    ):
        for method in ("robust", "classic"):
            with pytest.raises(CompareError, match="no pixel has a value in both images") as err:
                fit_offset(other, image, method=method, **options)
            assert err.value.code == "no_pixels"
    with pytest.raises(CompareError, match="are the same") as err:
        fit_offset(reference, np.full(image.shape, 3.0))
    assert err.value.code == "no_range"
    steps = np.round(image)
    with pytest.raises(CompareError, match="all have the same value, 2") as err:
        fit_offset(reference, steps, value_range=(1.9, 2.1), beam_pixels=5.0)
    assert err.value.code == "no_range"
    with pytest.raises(CompareError, match="does not grow with the image") as err:
        fit_offset(-reference, image, beam_pixels=5.0)
    assert err.value.code == "no_slope"
    unrelated = 1 + np.random.default_rng(0).random(image.shape)
    assert "slope" in fit_offset(unrelated, image, kind="internal", beam_pixels=5.0).flags


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"method": "fancy"}, "method 'fancy': must be one of robust, classic"),
        ({"kind": "sideways"}, "kind 'sideways': must be one of external, internal"),
        ({"beam_pixels": 0}, "beam_pixels 0: must be positive"),
        ({"value_range": (2, 1)}, r"value_range \(2, 1\): must be two finite numbers"),
        ({"percentiles": (90, 10)}, "percentiles .*: must be two numbers"),
        ({"mask": np.ones(3, bool)}, "mask: must have the shape of image"),
        ({"coverage": np.ones((3, 3))}, "coverage: must have the shape of image"),
        ({"region": np.ones((3, 3))}, "region: must have the shape of image"),
    ],
)
def test_bad_arguments(options, text):
    with pytest.raises(InputError, match=text):
        fit_offset(*pair(12, shape=(60, 60)), **options)


@pytest.mark.pure
def test_images_of_different_shape_or_dimension():
    with pytest.raises(InputError, match=r"reference: must have the shape of image, \(5, 6\), found \(6, 5\)"):
        fit_offset(np.ones((6, 5)), np.ones((5, 6)))
    with pytest.raises(InputError, match="image: must be a 2-D array"):
        fit_offset(np.ones(6), np.ones(6))


@pytest.mark.pure
def test_arguments_stay_as_they_were_and_the_result_is_always_the_same():
    reference, image = pair(13)
    image[3], mask, coverage = 0, image > 2.5, np.ones(image.shape, np.float32)
    before = [values.copy() for values in (reference, image, mask, coverage)]
    one, two = (fit_offset(reference, image, mask=mask, coverage=coverage, beam_pixels=5.0) for _ in range(2))
    assert (one.intercept, one.intercept_err, one.slope) == (two.intercept, two.intercept_err, two.slope)
    for values, old in zip((reference, image, mask, coverage), before, strict=True):
        np.testing.assert_array_equal(values, old)


@pytest.mark.parametrize("value", [(), (0.0,), (1.2, 0.9), (0.7, 0.9)])
def test_least_coverage_must_fall(value):
    with pytest.raises(InputError, match="least_coverage .*: must be numbers above 0 and up to 1, the largest first"):
        fit_offset(np.ones((9, 9)), np.ones((9, 9)), least_coverage=value)
