"""Image fits against known truth: shapes, rotations, masks, holes, PSFs, shifts, what is held, what is refused."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.wcs import WCS
from fitpairs import clean, errors, filtered_noise, fit, fluxes

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.imagefit import ImageFitOptions, fit_images
from ezarchive.compare.lowpass import LowPass
from ezarchive.compare.psf import ArrayPsf, GaussianPsf, MoffatPsf
from ezarchive.errors import CompareError, InputError
from ezarchive.simulate import image_pair

pytestmark = pytest.mark.truth

TIGHT = np.array([5e-4, 2e-3, 4e-4, 4e-4, 4e-4])
"""Of scale, bg (of noise 2), dx, dy and fwhm in arcsec: what the fit must reach on a clean pair."""


def around(pair, radius, xy=None):
    y, x = np.indices(pair.image.shape)
    x0, y0 = pair.star_xy if xy is None else xy
    return np.hypot(x - x0, y - y0) < radius


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [0, 5])
def test_the_pair_of_the_acceptance_test(seed):
    pair = image_pair(seed=seed, noise=0, reference_noise=0)
    for options, limits in (({"fix_beta": 2.5}, TIGHT), ({}, TIGHT), ({"fix_beta": 2.5, "region_mask": around(pair, 15)}, TIGHT)):
        found, _ = fit(pair, **options)
        assert (np.abs(errors(found, pair.plan)) < limits).all()
        assert found.beta.value == pytest.approx(2.5, abs=1e-3)


@pytest.mark.parametrize(
    "plan",
    [
        {"rotation": 0.0},
        {"rotation": 110.0, "seed": 3},
        {"rotation": 290.0, "seed": 4, "shape": (131, 97)},
        {"shape": (101, 203), "seed": 5},
        {"pixel": 0.4, "fwhm": 1.5},
        {"dx": 3.0, "dy": -2.3},
        {"dx": -1.9, "dy": 2.9, "shape": (151, 130)},
        {"scale": 3.0, "bg": -40.0},
        {"reference_fwhm": 0.3, "reference_beta": 3.0},
        {"fwhm": 1.2, "beta": 3.3},
    ],
    ids=str,
)
def test_a_clean_pair(plan):
    pair = clean(**plan)
    scale = np.array([pair.plan.scale, 3, 1, 1, 1])  # in a small field more of the light is from beyond its edges
    for options in ({}, {"fix_beta": pair.plan.beta}):
        found, _ = fit(pair, **options)
        assert (np.abs(errors(found, pair.plan)) < TIGHT * scale).all()
        assert found.beta.value == pytest.approx(pair.plan.beta, abs=2e-3)


@pytest.mark.parametrize("beta", [1.6, 2.0, 5.0, np.inf])
def test_wings_of_any_kind(beta):
    pair = clean(beta=beta)
    found, _ = fit(pair, fix_beta=beta)
    assert (np.abs(errors(found, pair.plan)) < [5e-4, 0.05 if beta < 2 else 0.006, 4e-4, 4e-4, 4e-4]).all()
    found, _ = fit(pair)
    assert 1 / found.beta.value == pytest.approx(1 / beta, abs=2e-3)
    assert ("at a bound: beta" in found.fit_report) == np.isinf(beta)


@pytest.mark.parametrize("name", ["region_mask", "extramask"])
def test_a_star_that_is_left_out(name):
    pair = clean()
    found, _ = fit(pair, fix_beta=2.5, **{name: around(pair, 15)})
    assert (np.abs(errors(found, pair.plan)) < TIGHT).all()


def test_only_the_star():
    pair = clean()
    found, _ = fit(pair, fix_beta=2.5, region_mask=~around(pair, 15))
    assert (np.abs(errors(found, pair.plan)) < TIGHT * [1, 10, 1, 1, 1]).all()


def test_what_is_left_out_may_hold_anything():
    pair = clean()
    reference, image = fluxes(pair)
    spoilt = np.where(around(pair, 6, (40.3, 55.0)), 1e6, pair.image)
    found, _ = fit(pair, image=FluxImage(spoilt, wcs=pair.wcs), fix_beta=2.5, extramask=around(pair, 7, (40.3, 55.0)))
    assert (np.abs(errors(found, pair.plan)) < TIGHT).all()
    found, _ = fit(pair, image=FluxImage(spoilt, mask=around(pair, 7, (40.3, 55.0)), wcs=pair.wcs), fix_beta=2.5)
    assert (np.abs(errors(found, pair.plan)) < TIGHT).all()
    assert (reference.data == pair.reference).all()
    assert not image.mask.any()


@pytest.mark.parametrize("which", ["image", "reference", "both"])
def test_holes(which):
    pair = clean(seed=2)
    rng = np.random.default_rng(1)
    reference, image = pair.reference.copy(), pair.image.copy()
    holes = rng.uniform(size=image.shape) < 0.01
    holes[60:66, 70:80] = holes[:, 33] = True
    if which != "reference":
        image[holes] = np.nan
        image[:25, :40] = np.nan
    if which != "image":
        reference[rng.permutation(holes)] = np.nan
        reference[:, 140:] = np.nan
    small = 30 if which != "image" else 1
    found, products = fit(pair, FluxImage(reference, wcs=pair.wcs), FluxImage(image, wcs=pair.wcs), fix_beta=2.5)
    assert (np.abs(errors(found, pair.plan)) < TIGHT * small).all()
    assert all(np.isfinite(plane).all() for plane in (products.image, products.model, products.residual, products.image_fft))


def test_masks_move_with_the_reference():
    pair = clean(dx=3.0, dy=-2.4)
    spoilt = np.where(around(pair, 5), np.nan, pair.reference)
    found, products = fit(pair, FluxImage(spoilt, wcs=pair.wcs), fix_beta=2.5)
    x, y = (round(c) for c in np.array(pair.star_xy) + [15, -12])
    assert products.weight[y, x] == 0
    assert np.abs(errors(found, pair.plan))[2:4].max() < 0.01
    found, products = fit(pair, fix_beta=2.5, region_mask=around(pair, 15))
    assert products.weight[y, x] == 0
    assert (np.abs(errors(found, pair.plan)) < TIGHT * 2).all()


def test_a_segmented_fit_does_not_depend_on_scale_or_level():
    pair = clean()
    plain, _ = fit(pair, fix_beta=2.5, segment=True)
    assert (np.abs(errors(plain, pair.plan)) < TIGHT).all()
    scaled = FluxImage(1e-4 * pair.reference + 7.0, wcs=pair.wcs)
    other, _ = fit(pair, scaled, fix_beta=2.5, segment=True)
    assert other.n_pixels == plain.n_pixels
    assert other.scale.value * 1e-4 == pytest.approx(plain.scale.value, rel=1e-6)
    assert other.dx.value == pytest.approx(plain.dx.value, abs=1e-7)


@pytest.mark.parametrize("taper", [0, 1, 4, 9, 20])
@pytest.mark.parametrize("margin", [0.0, 2.0, 10.0])
def test_taper_and_margin_do_not_matter(taper, margin):
    pair = clean()
    found, _ = fit(pair, fix_beta=2.5, taper=taper, margin=margin)
    assert (np.abs(errors(found, pair.plan)) < TIGHT).all()


def test_what_is_held_stays():
    pair = clean()
    truth = {name: getattr(pair.plan, name) for name in ("scale", "bg", "dx", "dy", "fwhm", "beta")}
    for name, value in truth.items():
        found, _ = fit(pair, **{f"fix_{name}": value})
        assert getattr(found, name).fixed
        assert getattr(found, name).value == pytest.approx(value)
        assert getattr(found, name).stdev == 0
        assert (np.abs(errors(found, pair.plan)) < TIGHT).all()
    found, _ = fit(pair, **{f"fix_{name}": value for name, value in truth.items()})
    assert found.rms_error < 1.0
    found, _ = fit(pair, fix_bg=20.0, fix_fwhm=0.9, fix_beta=2.5)
    assert (found.bg.value, found.fwhm.value) == (20.0, 0.9)


def test_the_least_scale():
    pair = clean()
    found, _ = fit(pair, min_scale=1.5, fix_beta=2.5)
    assert found.scale.value == 1.5
    assert "at a bound: scale" in found.fit_report
    found, _ = fit(pair, min_scale=0.5, fix_beta=2.5)
    assert found.scale.value == pytest.approx(0.95, abs=5e-4)


@pytest.mark.parametrize("seed", [11, 12])
def test_a_bright_star_that_is_left_out_does_not_mislead_the_start(seed):
    pair = clean(shape=(150, 180), seed=seed, n_discs=25, n_stars=3, star_flux=60000.0)
    found, _ = fit(pair, fix_beta=2.5, region_mask=around(pair, 15))
    assert (np.abs(errors(found, pair.plan)) < TIGHT * [1, 3, 1, 1, 1]).all()


def test_the_header_of_a_reference_says_how_it_was_filtered():
    pair = clean(fwhm=1.4)
    reference, _ = fluxes(pair)
    reference.header.update(LowPass(0.2, 0.2).cards())
    found, _ = fit(pair, reference, antialias=False)
    assert (np.abs(errors(found, pair.plan)) < TIGHT * [1, 3, 1, 1, 1]).all()


def test_where_to_begin():
    pair = clean(dx=3.0, dy=-2.3)
    for options in ({"init_dx": 2.8, "init_dy": -2.5}, {"init_dx": 3.1}, {"fix_dx": 3.0}):
        found, _ = fit(pair, fix_beta=2.5, **options)
        assert (np.abs(errors(found, pair.plan)) < TIGHT).all()


def test_psfs_of_other_kinds():
    pair = clean(reference_fwhm=0.3, reference_beta=np.inf)
    y, x = (np.arange(61) - 30) * 0.04, (np.arange(71) - 35) * 0.04
    array = np.exp(-4 * np.log(2) * (x**2 + (y**2)[:, None]) / 0.3**2)
    for psf in (GaussianPsf(0.3), ArrayPsf(array, 0.04)):
        found, _ = fit(pair, reference_psf=psf)
        assert (np.abs(errors(found, pair.plan)) < TIGHT).all()
    found, _ = fit(pair, reference_psf=GaussianPsf(0.3), image_psf=MoffatPsf(0.7, 2.5))
    assert (found.fwhm.value, found.beta.value, found.fwhm.fixed, found.beta.fixed) == (0.7, 2.5, True, True)
    assert (np.abs(errors(found, pair.plan)) < TIGHT).all()


def test_a_reference_that_was_not_filtered():
    """An image of good sampling against one that is sharper, both as a camera on the ground gives them."""
    pair, sharper = clean(fwhm=1.4, beta=3.0), clean(fwhm=0.9, beta=3.5, scale=1.0, bg=0.0, dx=0.0, dy=0.0)
    options = ImageFitOptions(reference_psf=MoffatPsf(0.9, 3.5), antialias=False)
    found, _ = fit_images(FluxImage(sharper.image, wcs=pair.wcs), FluxImage(pair.image, wcs=pair.wcs), options)
    assert (np.abs(errors(found, pair.plan)) < TIGHT * 2).all()
    assert found.beta.value == pytest.approx(3.0, abs=0.01)


def noisy(pair, rng, noise=2.0, reference_noise=0.3, known=True):
    ours = [noise, reference_noise] if known else [None, None]
    reference, image = fluxes(pair, *ours)
    theirs = pair.reference + filtered_noise(rng, pair.image.shape, reference_noise)
    return reference.copy(data=theirs), image.copy(data=pair.image + rng.normal(scale=noise, size=pair.image.shape))


def pulls(draws, names, *, skies=10, plan=None, known=True, **options):
    found, pairs = [], [clean(**({"seed": k, "rotation": 37.0 * k} | (plan or {}))) for k in range(skies)]
    for i in range(draws):
        pair = pairs[i % skies]
        result, _ = fit(pair, *noisy(pair, np.random.default_rng([7, i]), known=known), **options)
        found.append([[error, getattr(result, name).stdev] for error, name in zip(errors(result, pair.plan, names), names, strict=True)])
    error, stdev = np.moveaxis(np.array(found), 2, 0)
    return error / stdev


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("free", [False, True])
def test_errors_are_true_and_nothing_is_biased(free):
    names = ("scale", "bg", "dx", "dy", "fwhm", *(["beta"] if free else []))
    found = pulls(120, names, **({} if free else {"fix_beta": 2.5}))
    assert (np.abs(found.mean(axis=0)) < 0.3 * found.std(axis=0)).all()
    assert (np.abs(found.std(axis=0) - 1) < 0.2).all()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "options",
    [{"known": False}, {"plan": {"star_flux": 500.0, "n_discs": 8}}, {"plan": {"dx": 2.0}, "taper": 0}, {"skies": 3, "segment": True}],
    ids=["no variance", "faint", "moved", "segment"],
)
def test_errors_are_true_elsewhere(options):
    names = ("scale", "dx", "dy", "fwhm") if options.get("segment") else ("scale", "bg", "dx", "dy", "fwhm")
    found = pulls(100, names, fix_beta=2.5, **options)
    assert (np.abs(found.mean(axis=0)) < 0.3 * found.std(axis=0)).all()
    assert (np.abs(found.std(axis=0) - 1) < 0.2).all()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.xfail(strict=True, reason="-0.32 scatters here, -0.23 on 200 other draws: pixels are chosen by the reference's noise")
def test_the_background_of_a_segmented_fit_is_not_biased():
    found = pulls(100, ("bg",), skies=3, segment=True, fix_beta=2.5)
    assert np.abs(found.mean()) < 0.3 * found.std()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_noisy_reference_does_not_bias():
    """Without its variance the width would come out 0.018 arcsec, two sigma, too large."""
    found, pairs = [], [clean(seed=k, star_flux=3000.0) for k in range(3)]
    for i in range(30):
        pair = pairs[i % 3]
        result, _ = fit(pair, *noisy(pair, np.random.default_rng([9, i]), 2.0, 3.0), fix_beta=2.5)
        found.append(errors(result, pair.plan, ("scale", "fwhm")))
    found = np.array(found)
    assert (np.abs(found.mean(axis=0)) < 0.55 * found.std(axis=0)).all()


def test_residuals_are_compared_with_the_noise():
    pair = clean()
    found, _ = fit(pair, *noisy(pair, np.random.default_rng(2)), fix_beta=2.5)
    assert found.rchi == pytest.approx(1.0, abs=0.06)
    assert found.chi2 == pytest.approx(found.rchi * found.n_pixels, rel=1e-3)
    assert found.rms_error == pytest.approx(2.0, abs=0.05)
    unknown, _ = fit(pair, *noisy(pair, np.random.default_rng(2), known=False), fix_beta=2.5)
    assert np.isnan(unknown.rchi)
    assert unknown.dx.stdev == pytest.approx(found.dx.stdev, rel=0.15)


def test_products_are_the_images_of_the_fit():
    pair = clean(shape=(131, 97))
    image = pair.image.copy()
    image[:, :7] = np.nan
    found, made = fit(pair, image=FluxImage(image, wcs=pair.wcs), fix_beta=2.5)
    assert made.slices == (slice(0, 131), slice(7, 97))
    for plane in (made.image, made.model, made.residual, made.weight, made.image_fft, made.model_fft, made.residual_fft):
        assert plane.shape == (131, 90)
    np.testing.assert_allclose(made.residual, made.image - made.model, atol=1e-9)
    assert np.abs(made.residual[made.weight > 0]).max() < 0.01 * np.abs(made.image).max()
    assert (made.fy[131 // 2], made.fx[90 // 2]) == (0, 0)
    assert made.image_fft[131 // 2, 90 // 2] == pytest.approx(abs((made.weight * (made.image - found.bg.value)).sum()), rel=0.2)
    np.testing.assert_allclose(made.wcs.all_pix2world([[10, 20]], 0), pair.wcs.all_pix2world([[17, 20]], 0))


def test_units_are_brought_together():
    pair = clean()
    reference, image = fluxes(pair)
    image.unit = u.Unit("1e-20 erg s-1 cm-2 Angstrom-1")
    reference = reference.copy(data=pair.reference * 1e-2, unit=u.Unit("1e-18 erg s-1 cm-2 Angstrom-1"))
    found, _ = fit(pair, reference, image, fix_beta=2.5)
    assert found.scale.value == pytest.approx(0.95, abs=5e-4)
    reference.unit = u.Unit("electron / s")
    with pytest.raises(CompareError, match=r"must be units that convert .*rescale") as caught:
        fit(pair, reference, image)
    assert caught.value.code == "other_units"


def bare(data, mask=None):
    return FluxImage(data, mask=mask, wcs=clean().wcs)


@pytest.mark.parametrize(
    ("reference", "image", "options", "code", "message"),
    [
        (np.ones((40, 50)), np.full((40, 50), np.nan), {}, "all_masked", "image image: every pixel is masked"),
        (np.full((40, 50), np.nan), np.ones((40, 50)), {}, "all_masked", "reference image: every pixel is masked"),
        (np.ones((40, 50)), np.ones((40, 50)), {"region_mask": np.ones((40, 50), bool)}, "all_masked", "every pixel is masked"),
        (np.ones((40, 50)), np.ones((40, 50)), {"init_dx": 50.0, "init_dy": 0.0}, "no_overlap", "0 pixels of both images are left"),
        (np.ones((40, 50)), np.ones((40, 50)), {}, "no_match", "nothing in common"),
        (np.ones((4, 5)), np.ones((4, 5)), {}, "no_overlap", "pixels of both images are left to compare: must be 30 or more"),
    ],
)
def test_images_that_cannot_be_fitted(reference, image, options, code, message):
    with pytest.raises(CompareError, match=message) as caught:
        fit_images(bare(reference), bare(image), ImageFitOptions(**options))
    assert caught.value.code == code


def test_images_of_opposite_sign_have_nothing_in_common():
    pair = clean()
    with pytest.raises(CompareError, match="nothing in common"):
        fit(pair, image=FluxImage(-pair.image, wcs=pair.wcs), fix_dx=0.13, fix_dy=-0.21)


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"must have one shape, found \(4, 5\) and \(5, 4\)"):
        fit_images(bare(np.ones((4, 5))), bare(np.ones((5, 4))))
    with pytest.raises(InputError, match=r"extramask: must have the shape of the image, \(40, 50\), found \(4, 5\)"):
        fit_images(bare(np.ones((40, 50))), bare(np.ones((40, 50))), ImageFitOptions(extramask=np.zeros((4, 5), bool)))


def test_without_any_wcs():
    with pytest.raises(InputError, match="must have a celestial WCS"):
        fit_images(FluxImage(np.ones((40, 50))), FluxImage(np.ones((40, 50))))
    pair = clean()
    found, _ = fit(pair, image=FluxImage(pair.image), fix_beta=2.5)
    assert found.dx.value == pytest.approx(pair.plan.dx, abs=4e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fix_beta": 1.0}, r"fix_beta 1.0: must be larger than 1"),
        ({"fix_beta": "x"}, r"fix_beta 'x': must be a number"),
        ({"fix_dx": "x"}, r"fix_dx 'x': must be a number"),
        ({"margin": [1, 2]}, r"margin \[1, 2\]: must be a number"),
        ({"fix_fwhm": 0.0}, r"fix_fwhm 0.0: must be a positive"),
        ({"fix_scale": -1.0}, r"fix_scale -1.0: must be positive"),
        ({"fix_dx": np.nan}, r"fix_dx nan: must be finite"),
        ({"min_scale": -1.0}, r"min_scale -1.0: must not be negative"),
        ({"margin": -1.0}, r"margin -1.0: must not be negative"),
        ({"taper": np.inf}, r"taper inf: must be finite"),
        ({"taper": 1.5}, r"taper 1.5: must be a whole number of pixels"),
        ({"reference_psf": 0.085}, r"reference_psf: must be a PSF .*found float"),
        ({"image_psf": "sharp"}, r"image_psf: must be a PSF .*found str"),
    ],
)
def test_options_that_are_wrong(options, message):
    with pytest.raises(InputError, match=message):
        ImageFitOptions(**options)


def test_a_wcs_of_oblong_pixels():
    pair = clean(pixel=0.2, fwhm=1.2)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10, 20], [50, 60]
    wcs.wcs.cdelt = [-0.2 / 3600, 0.4 / 3600]
    every = [FluxImage(plane[::2], wcs=wcs) for plane in (pair.image, clean(pixel=0.2, fwhm=1.2, dx=-0.4, dy=0.3).image)]
    found, _ = fit_images(every[1], every[0], ImageFitOptions(reference_psf=MoffatPsf(1.2, 2.5), antialias=False))
    assert found.dx.value == pytest.approx(0.53, abs=2e-3)
    assert found.dy.value == pytest.approx(-0.51, abs=2e-3)
    assert found.fwhm.value == pytest.approx(1.2, abs=5e-3)
