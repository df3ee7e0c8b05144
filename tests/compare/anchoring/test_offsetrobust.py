"""The robust line through two images: its values, its errors under noise of a beam, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ezarchive.compare.anchoring.offsetcells import Cells
from ezarchive.compare.anchoring.offsetrobust import PERCENTILES, robust_fit
from ezarchive.compare.anchoring.psfkernels import FWHM_OF_SIGMA
from ezarchive.errors import CompareError, InputError

BEAM = 3.0
SLOPE, INTERCEPT = 1.7, -0.4


def noise(rng, shape, sigma):
    """Noise that went through a beam of `BEAM` cells."""
    made = gaussian_filter(rng.normal(size=shape), BEAM / FWHM_OF_SIGMA, mode="wrap")
    return sigma * made / made.std()


def cells(seed=0, shape=(70, 64), reference_noise=0.0, image_noise=0.0):
    """A smooth sky of 0.2 to 5, image = INTERCEPT + SLOPE * reference."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    truth = 0.2 + 4.8 * np.exp(-np.hypot((x - 30) * 0.8, y - 35) / 14)
    everywhere = np.ones(shape, bool)
    return Cells(
        truth + noise(rng, shape, reference_noise) if reference_noise else truth,
        INTERCEPT + SLOPE * truth + (noise(rng, shape, image_noise) if image_noise else 0.0),
        everywhere, everywhere, BEAM, truth.size, truth.size / BEAM**2, 0.98,
    )  # fmt: skip


def fit(made, kind="internal", percentiles=None, value_range=None, slope=None, has_region=False):
    return robust_fit(made, kind, percentiles, value_range, slope, has_region)


@pytest.mark.truth
@pytest.mark.parametrize("kind", ["internal", "external"])
def test_an_exact_line(kind):
    found = fit(cells(), kind)
    assert found.slope == pytest.approx(SLOPE, rel=1e-9)
    assert found.intercept == pytest.approx(INTERCEPT, abs=1e-9)
    assert found.intercept_err < 1e-9
    assert (found.status, found.kind, found.method, found.n_bins) == ("ok", kind, "robust", 15)
    axis = {"internal": "reference", "external": "image"}[kind]
    assert found.range_axis == axis
    low, high = np.percentile(getattr(cells(), axis), PERCENTILES[kind])
    assert found.value_range == pytest.approx((low, high))
    np.testing.assert_allclose(found.bins.y, INTERCEPT + SLOPE * found.bins.x, rtol=1e-9)
    assert found.bins.n.sum() == found.n_cells
    assert np.ptp(found.bins.n) <= 1


@pytest.mark.truth
@pytest.mark.parametrize(
    ("kind", "noises"), [("internal", {"image_noise": 0.1}), ("external", {"reference_noise": 0.06}), ("external", {"image_noise": 0.004})]
)
def test_errors_are_true(kind, noises):
    found = [fit(cells(seed, **noises), kind) for seed in range(60)]
    pulls = {
        "slope": [(one.slope - SLOPE) / one.slope_err for one in found],
        "intercept": [(one.intercept - INTERCEPT) / one.intercept_err for one in found],
    }
    for name, values in pulls.items():
        assert 0.7 < np.std(values) < 1.4, name
        assert abs(np.mean(values)) < 0.5, name
    middle = [one.intercept + one.slope * 1.0 for one in found]
    # The median: of 60 skies noise makes one seem bent, which widens its error.
    quoted = np.sqrt(np.median([one.intercept_err**2 + one.slope_err**2 + 2 * one.covariance for one in found]))
    assert quoted == pytest.approx(np.std(middle), rel=0.3)
    assert sum("curved" in one.flags for one in found) <= 3


@pytest.mark.truth
def test_outliers_pull_little():
    made = cells(image_noise=0.02)
    image = made.image.copy()
    image[::9, ::7] += 30.0
    found, clean = fit(replace(made, image=image)), fit(made)
    assert abs(found.intercept - clean.intercept) < clean.intercept_err
    assert found.slope == pytest.approx(SLOPE, rel=0.02)


@pytest.mark.truth
@pytest.mark.parametrize("kind", ["internal", "external"])
def test_a_slope_that_is_given(kind):
    found = fit(cells(image_noise=0.02), kind, slope=SLOPE)
    assert found.slope == pytest.approx(SLOPE, rel=1e-12)
    assert found.slope_err == 0
    assert abs(found.intercept - INTERCEPT) < 4 * found.intercept_err
    with pytest.raises(InputError, match="slope -1: must be positive and finite"):
        fit(cells(), kind, slope=-1)


@pytest.mark.truth
def test_a_bend_is_flagged_and_widens_the_error():
    made = cells(image_noise=0.01)
    bent = replace(made, image=made.image + 0.15 * made.reference**2)
    found = fit(bent, percentiles=(2, 95))
    assert found.flags == ("curved",)
    assert found.intercept_err > 5 * fit(made, percentiles=(2, 95)).intercept_err


@pytest.mark.pure
def test_ranges():
    made = cells()
    found = fit(made, value_range=(1.0, 2.0))
    assert found.value_range == (1.0, 2.0)
    assert found.n_cells == np.count_nonzero((made.reference >= 1) & (made.reference <= 2))
    inner = np.zeros(made.reference.shape, bool)
    inner[20:50, 15:45] = True
    region = fit(replace(made, region=inner), has_region=True)
    assert region.value_range == pytest.approx(tuple(np.percentile(made.reference[inner], (15, 60))))


@pytest.mark.pure
def test_few_bins_and_no_significant_slope_are_flagged():
    rng = np.random.default_rng(1)
    made = cells()
    few = replace(made, used=np.arange(made.used.size).reshape(made.used.shape) % 40 == 0)
    assert "few_bins" in fit(few, percentiles=(10, 80)).flags
    flat = replace(made, image=rng.normal(size=made.image.shape))
    assert "slope" in fit(flat).flags


@pytest.mark.pure
def test_what_cannot_be_fitted():
    made = cells()
    with pytest.raises(CompareError, match="the range must hold 40 points at least, found 0") as caught:
        fit(made, value_range=(100.0, 200.0))
    assert caught.value.code == "no_data_in_range"
    with pytest.raises(CompareError, match="the range must hold 40 points at least, found") as caught:
        fit(made, value_range=(4.5, 4.6))
    assert caught.value.code == "too_few_bins"
    with pytest.raises(CompareError, match="the 4480 points in the range all have the same value, 2") as caught:
        fit(replace(made, reference=np.full(made.reference.shape, 2.0)), value_range=(1.0, 3.0))
    assert caught.value.code == "no_range"
    with pytest.raises(CompareError, match=r"the reference does not grow with the image \(slope -") as caught:
        fit(replace(made, image=-made.image), "external")
    assert caught.value.code == "no_slope"
