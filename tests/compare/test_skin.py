"""The fits under their published names: arguments, files and figures."""

from __future__ import annotations

import json

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive.compare import (
    CompareError,
    UserError,
    fit_image_and_star_photometry,
    fit_image_photometry,
    fit_star_photometry,
    flux_image,
)
from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.psf import MoffatPsf
from ezarchive.errors import FrameError, InputError
from ezarchive.simulate.pairs import image_pair

NAMES = ("scale", "bg", "dx", "dy", "fwhm")
TRUTH = np.array([0.95, 3.0, 0.13, -0.21, 0.7])


@pytest.fixture(scope="module")
def pair():
    return image_pair(shape=(150, 180), seed=11, n_discs=25, n_stars=3)


@pytest.fixture
def folder(pair, tmp_path):
    """``reference.fits`` and ``image.fits``."""
    return pair.write(tmp_path)


@pytest.fixture
def both(folder):
    return folder / "reference.fits", folder / "image.fits"


def values(result):
    return np.array([getattr(result, name).value for name in NAMES])


def errors(result):
    return np.array([getattr(result, name).stdev for name in NAMES])


@pytest.mark.truth
def test_image_fit_of_files(both):
    result = fit_image_photometry(*both, fix_beta=2.5)
    assert result.name == "image" and result.method == "image"
    assert (abs(values(result) - TRUTH) < 4 * errors(result)).all()
    assert result.beta.fixed
    assert not list(both[0].parent.glob("*_*")), "nothing is written that was not asked for"


@pytest.mark.truth
def test_star_fit_and_both(both, pair):
    star = (*pair.star, 3.0)
    of_star = fit_star_photometry(*map(str, both), star)
    assert (abs(values(of_star) - TRUTH) < 5 * errors(of_star)).all()
    of_image, again = fit_image_and_star_photometry(*both, star, fix_beta=2.5)
    assert (of_image.method, again.method) == ("image", "stars")
    assert again.scale.value == pytest.approx(of_star.scale.value, rel=1e-3)
    # Only the circle of the star.
    assert of_image.n_pixels == pytest.approx(np.pi * 15**2, rel=0.1)
    assert of_image.scale.value == pytest.approx(0.95, rel=0.01)


@pytest.mark.truth
def test_regions_and_masks(both, pair, tmp_path):
    star = (*pair.star, 3.0)
    everything = fit_image_photometry(*both, fix_beta=2.5, star=star).n_pixels
    without = fit_image_photometry(*both, "notstar", fix_beta=2.5, star=star)
    assert everything - without.n_pixels == pytest.approx(np.pi * 15**2, rel=0.1)
    lines = ["fk5", f'-circle({star[0]:.9f}, {star[1]:.9f}, 3")']
    assert fit_image_photometry(*both, lines, fix_beta=2.5).n_pixels == pytest.approx(without.n_pixels, abs=3)
    mask = np.zeros(pair.image.shape, np.int16)
    mask[:, 100:] = 4
    half = fit_image_photometry(*both, fix_beta=2.5, extramask=mask)
    assert half.n_pixels < 0.6 * everything
    given = flux_image(both[1]).copy(data=mask.astype(float), variance=None, unit=None)
    given.write(tmp_path / "mask.fits")
    for extramask in (given, tmp_path / "mask.fits"):
        assert fit_image_photometry(*both, fix_beta=2.5, extramask=extramask).n_pixels == half.n_pixels
    assert fit_image_photometry(*both, "star", fix_beta=2.5, extramask="none").n_pixels == everything


@pytest.mark.truth
def test_psfs_that_are_given(both):
    result = fit_image_photometry(*both, hst_psf=(0.085, 1.6), muse_psf=MoffatPsf(0.7, 2.5))
    assert result.fwhm.fixed and result.fwhm.value == pytest.approx(0.7)
    assert (abs(values(result) - TRUTH)[:4] < 5 * errors(result)[:4]).all()


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(60)
def test_every_file(both, pair, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    star = (*pair.star, 3.0)
    of_image, _ = fit_image_and_star_photometry(*both, star, None, fix_beta=2.5, save=True, apply=True, hardcopy="png", outdir=out)
    planes = {"_image", "_hst_model", "_residual", "_fft", "_hst_model_fft", "_residual_fft", "_aligned"}
    assert {path.name for path in out.iterdir()} == {f"image{end}.fits" for end in planes} | {"image_image_fit.png", "image_star_fit.png"}
    image, model, residual = (fits.getdata(out / f"image_{name}.fits") for name in ("image", "hst_model", "residual"))
    np.testing.assert_allclose(image - model, residual, atol=1e-9)
    assert image.dtype == np.dtype(">f8")
    place = WCS(fits.getheader(out / "image_image.fits")).all_world2pix([star[:2]], 0)[0] - pair.star_xy
    assert place == pytest.approx(np.round(place), abs=1e-3), "the crop lies where it was"
    header = fits.getheader(out / "image_fft.fits")
    ny, nx = header["NAXIS2"], header["NAXIS1"]
    assert (header["CRPIX1"], header["CRPIX2"]) == (nx // 2 + 1, ny // 2 + 1)
    assert header["CD1_1"] == pytest.approx(3600 / (nx * 0.2), rel=1e-6)
    aligned = flux_image(out / "image_aligned.fits")
    step = 0.2
    assert aligned.wcs.wcs.crpix[0] - pair.wcs.wcs.crpix[0] == pytest.approx(of_image.dx.value / step, abs=1e-6)


@pytest.mark.truth
def test_a_corrected_image_is_like_the_reference(both):
    fit_image_photometry(*both, fix_beta=2.5, apply=True, resample=True)
    again = fit_image_photometry(both[0], both[0].parent / "image_aligned.fits", fix_beta=2.5)
    assert values(again)[:4] == pytest.approx([1.0, 0.0, 0.0, 0.0], abs=0.02)
    assert values(again)[4] == pytest.approx(0.7, rel=0.005)


@pytest.mark.pure
def test_arguments_stay_as_they_are(both):
    reference, image = (flux_image(path) for path in both)
    kept = [one.data.copy() for one in (reference, image)]
    cards = [repr(one.header) for one in (reference, image)]
    fit_image_photometry(reference, image, fix_beta=2.5, segment=True, apply=True)
    for one, data, header in zip((reference, image), kept, cards, strict=True):
        np.testing.assert_array_equal(one.data, data)
        assert repr(one.header) == header


@pytest.mark.pure
def test_a_reference_in_a_unit_that_can_be_converted(both):
    reference = flux_image(both[0])
    other = reference.copy(data=reference.data * 1e-3, variance=reference.variance * 1e-6, unit=u.Unit(1e3 * reference.unit))
    assert fit_image_photometry(other, both[1], fix_beta=2.5).scale.value == pytest.approx(0.95, rel=0.01)


@pytest.mark.pure
def test_drawn_into_a_figure(both, pair):
    from matplotlib.figure import Figure

    figure = Figure()
    fit_star_photometry(*both, (*pair.star, 3.0), fig=figure, title="mine")
    assert len(figure.axes) == 4
    fit_image_photometry(*both, fix_beta=2.5, fig=figure, title="mine")
    assert "mine" in figure.get_suptitle()


def without_wcs(folder):
    return FluxImage(np.ones((150, 180)))


def other_unit(folder):
    image = flux_image(folder / "reference.fits")
    return image.copy(unit=u.Unit("electron/s"))


def smaller(folder):
    image = flux_image(folder / "reference.fits")
    return FluxImage(image.data[:, :-1], wcs=image.wcs)


def moved(folder):
    image = flux_image(folder / "reference.fits").copy()
    image.wcs.wcs.crpix += 1
    return image


def all_masked(folder):
    image = flux_image(folder / "reference.fits")
    return image.copy(data=np.full(image.shape, np.nan), variance=None)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        (without_wcs, InputError, "hst: image must have a celestial WCS"),
        (other_unit, InputError, "hst reference: must be in the unit of muse image, found 'electron / s' .*rescale_hst_like_muse"),
        (smaller, InputError, r"hst image: must lie on the grid of muse image \(150 x 179 and 150 x 180 pixels\); regrid_hst_like_muse"),
        (moved, InputError, "must lie on the grid of muse image"),
        (all_masked, CompareError, "hst reference: must have pixels that are not masked, found none"),
        (lambda folder: folder / "none.fits", FrameError, "none.fits: is not there"),
        (lambda folder: 3, InputError, "hst: must be a path, an Image"),
    ],
    ids=["no WCS", "unit", "shape", "moved", "masked", "no file", "no image"],
)
def test_references_that_cannot_be_used(folder, reference, error, message):
    with pytest.raises(error, match=message):
        fit_image_photometry(reference(folder), folder / "image.fits", save=True, apply=True)
    assert not list(folder.glob("*_*"))


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hardcopy": "gif"}, "hardcopy 'gif': must be one of png, pdf, svg, or none"),
        ({"outdir": "nowhere", "save": True}, r"outdir 'nowhere', for image_\*: must be a folder that can be written, found nothing there"),
        ({"star": (53.16, -27.78)}, "must be three numbers"),
        ({"star": (53.16, -27.78, 0)}, "its radius must be a positive number"),
        ({"star": (53.0, -27.78, 3), "regions": "star"}, "must be on muse image"),
        ({"fix_beta": 1.0}, "fix_beta 1.0: must be larger than 1"),
        ({"hst_beta": 0.9}, "^hst_beta 0.9: must be larger than 1"),
        ({"hst_fwhm": -1}, "^hst_fwhm -1.0: must be a positive number of arcsec"),
        ({"extramask": np.zeros((3, 4))}, r"extramask: must have the shape of the image, \(150, 180\), found \(3, 4\)"),
        ({"regions": ["fk5", "circle(53.16, -27.78, x)"]}, "circle"),
        ({"display": True}, "display: there is no screen here"),
        ({"muse_psf": "wide"}, "muse_psf: must be a PSF"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_arguments(both, monkeypatch, options, message):
    monkeypatch.setenv("MPLBACKEND", "agg")
    with pytest.raises(UserError, match=message):
        fit_image_photometry(*both, **options)


@pytest.mark.pure
def test_a_mask_on_another_grid(both):
    given = flux_image(both[1]).copy()
    given.wcs.wcs.crval[0] += 0.01
    with pytest.raises(InputError, match="extramask image: must lie on the grid of muse image"):
        fit_image_photometry(*both, extramask=given)


@pytest.mark.pure
def test_the_star_is_looked_at_before_anything_is_written(both):
    with pytest.raises(InputError, match="must be on muse image"):
        fit_image_and_star_photometry(*both, (53.0, -27.0, 3.0), save=True, apply=True, hardcopy="png")
    assert not list(both[0].parent.glob("*_*"))


@pytest.mark.pure
def test_a_correction_that_cannot_be_made_is_told_before_anything_is_written(both, monkeypatch):
    def apply(image, imfit, **options):
        raise InputError("imfit: the scale must be positive, found -1")

    monkeypatch.setattr("ezarchive.compare.skin.apply_corrections", apply)
    with pytest.raises(InputError, match="imfit: the scale must be positive"):
        fit_image_photometry(*both, fix_beta=2.5, save=True, apply=True, hardcopy="png")
    assert not list(both[0].parent.glob("*_*"))


@pytest.mark.pure
def test_results_go_to_json(both):
    told = json.loads(json.dumps(fit_image_photometry(*both, fix_beta=2.5).to_dict()))
    assert told["scale"]["value"] == pytest.approx(0.95, rel=0.01)
