"""One star in two images: against injected truth."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.psf import ArrayPsf
from ezarchive.compare.starfit import StarFitOptions, check_star, fit_stars
from ezarchive.errors import CompareError, InputError
from ezarchive.simulate.pairs import image_pair


def images(pair, masks=(None, None)):
    plan = pair.plan
    levels = (plan.reference_noise**2, plan.noise**2)
    planes = [np.full(pair.image.shape, level) if level else None for level in levels]
    return [FluxImage(data, plane, mask, pair.wcs) for data, plane, mask in zip((pair.reference, pair.image), planes, masks, strict=True)]


NAMES = ("scale", "bg", "dx", "dy", "fwhm", "beta")


def found(fit):
    return np.array([getattr(fit.result, name).value for name in NAMES])


def truth(plan):
    return np.array([plan.scale, plan.bg, plan.dx, plan.dy, plan.fwhm, plan.beta])


def clean(**options):
    return image_pair(noise=0, reference_noise=0, **options)


@pytest.mark.truth
@pytest.mark.parametrize("seed", range(8))
def test_a_clean_star(seed):
    pair = clean(seed=seed)
    fit = fit_stars(*images(pair), (*pair.star, 3.0))
    off = found(fit) - truth(pair.plan)
    assert abs(off[0] / pair.plan.scale) < 0.001  # 0.005 is asked for
    assert abs(off[1]) < 0.04  # 0.1 is asked for
    assert abs(off[2:4]).max() < 2e-5
    assert abs(off[4]) < 2e-4
    assert abs(off[5]) < 5e-3
    assert fit.image.rchi < 1


@pytest.mark.truth
@pytest.mark.parametrize(
    "options",
    [
        {"shape": (211, 340), "rotation": -130.0, "dx": 0.9, "dy": 1.3},
        {"beta": 1.7, "fwhm": 0.5},
        {"beta": 5.0, "fwhm": 1.1, "scale": 3.2, "bg": -7.0},
        {"beta": np.inf, "fwhm": 0.8},
        {"star_motion": (0.31, -0.17)},
        {"reference_fwhm": 0.2, "reference_beta": 2.8},
        {"centre": (359.9999, 71.0)},
    ],
    ids=lambda options: ", ".join(options),
)
def test_other_scenes(options):
    pair = clean(seed=21, **options)
    plan = pair.plan
    settings = StarFitOptions(hst_fwhm=plan.reference_fwhm, hst_beta=plan.reference_beta)
    off = found(fit_stars(*images(pair), (*pair.star, 3.0), settings)) - truth(plan)
    off[2:4] -= plan.star_motion
    assert abs(off[0] / plan.scale) < 0.005
    # Wings of neighbours that only the sharper image has are background of that one.
    assert abs(off[1]) < 0.15 * max(plan.scale, 1)
    assert abs(off[2:4]).max() < 1e-4
    assert abs(off[4]) < 2e-3


@pytest.mark.truth
def test_masked_pixels_do_not_count():
    pair = clean(seed=3)
    yy, xx = np.indices(pair.image.shape)
    holes = (xx + 2 * yy) % 5 == 0
    image, reference = pair.image.copy(), pair.reference.copy()
    image[holes], reference[holes] = 1e6, np.nan
    fit = fit_stars(*images(pair_of(pair, reference, image), (None, holes)), (*pair.star, 3.0))
    off = found(fit) - truth(pair.plan)
    assert abs(off[0]) < 1e-3
    assert abs(off[1]) < 0.04
    assert abs(off[2:5]).max() < 1e-4


@pytest.mark.truth
def test_a_wide_stamp():
    """A radius of 30 arcsec, 60 000 pixels."""
    pair = clean(seed=0)
    fit = fit_stars(*images(pair), (*pair.star, 30.0))
    assert len(fit.stamp.values) > 50_000
    assert abs(found(fit) - truth(pair.plan))[2:4].max() < 1e-3


def pair_of(pair, reference, image):
    return type(pair)(reference, image, pair.wcs, pair.sources, pair.star, pair.star_xy, pair.plan)


@pytest.mark.truth
def test_a_psf_given_as_an_array():
    pair = clean(seed=5)
    fine = np.hypot(*(np.indices((401, 401)) - 200)) * 0.05
    width = 0.35 / np.sqrt(2**0.4 - 1)
    psf = ArrayPsf((1 + (fine / width) ** 2) ** -2.5, 0.05)
    fit = fit_stars(*images(pair), (*pair.star, 3.0), StarFitOptions(muse_psf=psf))
    off = found(fit) - truth(pair.plan)
    assert abs(off[0] / 0.95) < 0.005
    assert abs(off[2:4]).max() < 1e-4
    assert fit.result.fwhm.fixed
    assert fit.result.fwhm.value == pytest.approx(0.7, abs=0.01)
    assert np.isnan(fit.result.beta.value)


@pytest.mark.truth
def test_the_width_of_the_reference_may_be_free():
    pair = clean(seed=6, reference_fwhm=0.3, reference_beta=2.2)
    fit = fit_stars(*images(pair), (*pair.star, 3.0), StarFitOptions(free_reference=True))
    assert fit.result.hst_fwhm.value == pytest.approx(0.3, abs=0.02)
    assert fit.result.hst_beta.value == pytest.approx(2.2, abs=0.05)
    assert found(fit)[0] == pytest.approx(0.95, rel=0.005)


@pytest.mark.truth
def test_fixed_shapes():
    pair = clean(seed=7)
    fit = fit_stars(*images(pair), (*pair.star, 3.0), StarFitOptions(fix_fwhm=0.7, fix_beta=2.5))
    assert (fit.result.fwhm.value, fit.result.beta.value) == (0.7, 2.5)
    assert fit.result.fwhm.fixed and fit.result.beta.fixed
    assert fit.image.names == ("dx", "dy", "flux", "bg")
    assert found(fit)[0] == pytest.approx(0.95, rel=1e-4)


@pytest.mark.truth
def test_light_that_is_integrated_over_the_pixels():
    """A profile twice as narrow as a pixel is wide, summed on a fine grid."""
    pair = clean(seed=1, shape=(60, 60), n_stars=0, n_discs=0)
    fine, step = 40, 0.2
    x0, y0 = pair.star_xy
    place = (np.arange(60 * fine) + 0.5) / fine - 0.5
    away = np.hypot((place - x0) * step, ((place - y0) * step)[:, None])
    width = 0.15 / np.sqrt(2**0.4 - 1)
    light = 1.5 / (np.pi * width**2) * (1 + (away / width) ** 2) ** -2.5 * (step / fine) ** 2
    image = 5e4 * light.reshape(60, fine, 60, fine).sum(axis=(1, 3)) + 2
    reference, _ = images(pair)
    fit = fit_stars(reference, FluxImage(image, wcs=pair.wcs), (*pair.star, 3.0), StarFitOptions(integrate=True))
    assert fit.image["flux"] == pytest.approx(5e4, rel=1e-3)
    assert found(fit)[4:] == pytest.approx([0.3, 2.5], rel=3e-3)


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("known", [True, False], ids=["variance known", "variance from the residuals"])
def test_errors_are_true(known):
    """120 draws of the noise of both images: little bias, pulls of unit width."""
    plan, pulls, off = None, [], []
    quiet = clean(seed=2, shape=(80, 80), n_stars=0, n_discs=0)
    for draw in range(120):
        pair = noisy(quiet, draw)
        plan = pair.plan
        both = images(pair)
        if not known:
            both = [FluxImage(one.data, wcs=one.wcs) for one in both]
        fit = fit_stars(*both, (*pair.star, 3.0))
        off.append(found(fit) - truth(plan))
        pulls.append(off[-1] / errors(fit))
    off, pulls = np.array(off), np.array(pulls)
    assert (abs(off.mean(axis=0)) < 0.3 * off.std(axis=0)).all()
    assert pulls.std(axis=0) == pytest.approx(np.ones(6), abs=0.2)


def noisy(quiet, draw):
    """The pair with noise: drawn as by `image_pair`, whose sky is the same for the same seed."""
    made = image_pair(seed=1000 + draw, shape=quiet.plan.shape, n_stars=0, n_discs=0)
    empty = image_pair(seed=1000 + draw, shape=quiet.plan.shape, n_stars=0, n_discs=0, noise=0, reference_noise=0)
    reference = quiet.reference + made.reference - empty.reference
    image = quiet.image + made.image - empty.image
    return type(quiet)(reference, image, quiet.wcs, quiet.sources, quiet.star, quiet.star_xy, made.plan)


def errors(fit):
    return np.array([getattr(fit.result, name).stdev for name in NAMES])


@pytest.mark.parametrize(
    ("star", "message"),
    [
        (None, "star None: must be three numbers"),
        ((1.0, 2.0), "must be three numbers"),
        ("abc", "must be three numbers"),
        ((np.nan, 0.0, 3.0), "its position must be finite degrees"),
        ((0.0, 91.0, 3.0), "the declination from -90 to 90"),
        ((53.0, -27.0, 0.0), "its radius must be a positive number of arcsec, found 0"),
        ((53.0, -27.0, np.inf), "its radius must be a positive number"),
    ],
)
def test_a_star_that_is_none(star, message):
    with pytest.raises(InputError, match=message):
        check_star(star)


@pytest.mark.parametrize(("x", "y"), [(-1, 30), (60, 30), (30, -1), (30, 40), (1e4, 0)])
def test_a_star_outside(x, y):
    pair = clean(shape=(40, 60), n_stars=0, n_discs=0)
    place = pair.wcs.all_pix2world([[x, y]], 0)[0]
    with pytest.raises(InputError, match=r"star \(.*\): must be on hst image, found it at pixel .* of 60 columns and 40 rows"):
        fit_stars(*images(pair), (*place, 3.0))


def test_a_star_on_the_last_pixel_of_an_image_that_is_not_square():
    pair = clean(shape=(40, 60), n_stars=0, n_discs=0)
    place = pair.wcs.all_pix2world([[59, 39]], 0)[0]
    with pytest.raises(CompareError, match="must show a star within 1 arcsec"):
        fit_stars(*images(pair_of(pair, pair.reference, -pair.image)), (*place, 1.0))


def test_nothing_left():
    pair = clean(shape=(40, 60), n_stars=0, n_discs=0)
    with pytest.raises(CompareError, match="muse image: the star must have more than 6 pixels that are not masked, found 0") as err:
        fit_stars(*images(pair, (None, np.ones((40, 60), bool))), (*pair.star, 3.0))
    assert err.value.code == "too_few_pixels"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fix_beta": 1.0}, "fix_beta 1.0: must be larger than 1"),
        ({"hst_beta": 0.5}, "hst_beta 0.5: must be larger than 1"),
        ({"fix_fwhm": -1}, "fix_fwhm -1.*: must be a positive number of arcsec"),
        ({"fix_fwhm": "wide"}, "fix_fwhm 'wide': must be a number"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        StarFitOptions(**options)
