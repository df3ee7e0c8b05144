"""Images set right by what a fit has found."""

from __future__ import annotations

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.modeling.fitting import TRFLSQFitter
from astropy.modeling.models import Moffat2D
from astropy.wcs import WCS, Sip

from ezarchive.compare.corrections import apply_corrections, shifted, weights
from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.moffat import moffat_transfer as moffat
from ezarchive.errors import CompareError, InputError
from ezarchive.simulate.pairs import image_pair, tangent_wcs


def fit(dx=0.13, dy=-0.21, scale=0.95, bg=3.0):
    return SimpleNamespace(**{name: SimpleNamespace(value=value) for name, value in dict(dx=dx, dy=dy, scale=scale, bg=bg).items()})


def image(shape=(40, 50), rotation=20.0, variance=True, seed=0):
    rng = np.random.default_rng(seed)
    data = rng.normal(10, 2, shape)
    noise = rng.uniform(1, 4, shape) if variance else None
    return FluxImage(data, noise, wcs=tangent_wcs(shape, 0.2, rotation, (53.16, -27.78)), unit=u.Jy)


def star(shape, x, y, fwhm, pixel=0.2, beta=2.5):
    """A star at any place of the pixels, from its Fourier transform."""
    fx, fy = np.fft.rfftfreq(shape[1], pixel), np.fft.fftfreq(shape[0], pixel)[:, None]
    return np.fft.irfft2(moffat(np.hypot(fx, fy), fwhm, beta) * np.exp(-2j * np.pi * pixel * (fx * x + fy * y)), s=shape) * 1e4


@pytest.mark.pure
def test_xy_moves_the_reference_pixel():
    before = image()
    after = apply_corrections(before, fit(), "xy")
    np.testing.assert_allclose(after.wcs.wcs.crpix - before.wcs.wcs.crpix, [0.65, -1.05], rtol=1e-6)
    assert after.header["CRPIX1"] == after.wcs.wcs.crpix[0]
    assert (after.data == before.data).all()
    assert before.wcs.wcs.crpix[0] == 25.5


@pytest.mark.pure
def test_xy_moves_the_distortion_with_its_pixels():
    before = image()
    before.wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    a = np.zeros((3, 3))
    a[2, 0] = 1e-4
    before.wcs.sip = Sip(a, a, None, None, before.wcs.wcs.crpix)
    after = apply_corrections(before, fit(), "xy")
    at = np.array([[10.0, 20.0]])
    np.testing.assert_allclose(after.wcs.all_pix2world(at + [0.65, -1.05], 0), before.wcs.all_pix2world(at, 0), atol=1e-9)


@pytest.mark.truth
@pytest.mark.parametrize("rotation", [0.0, 20.0, 145.0])
def test_corrected_positions_agree_with_the_reference(rotation):
    pair = image_pair(rotation=rotation, shape=(90, 120), n_discs=0, n_stars=0, noise=0, reference_noise=0)
    corrected = apply_corrections(FluxImage(pair.image, wcs=pair.wcs), fit())
    x, y = corrected.wcs.all_world2pix([pair.star], 0)[0]
    model = TRFLSQFitter()(Moffat2D(1e4, x, y, 1.5, 2.5), *np.meshgrid(np.arange(120.0), np.arange(90.0)), corrected.data)
    np.testing.assert_allclose([model.x_0.value, model.y_0.value], [x, y], atol=1e-3)
    assert np.median(corrected.data[:10, -10:]) == pytest.approx(0, abs=1.5)


@pytest.mark.pure
def test_zero_comes_before_scale_and_variance_follows():
    before = image()
    after = apply_corrections(before, fit(), "scale, zero")
    np.testing.assert_allclose(after.data, (before.data - 3) / 0.95)
    np.testing.assert_allclose(after.variance, before.variance / 0.95**2)
    assert after.unit == u.Jy
    np.testing.assert_allclose(apply_corrections(image(variance=False), fit(), "scale").data, before.data / 0.95)


@pytest.mark.pure
def test_only_a_flux_image_given_in_place_is_changed():
    before = image()
    pixels = before.data
    assert apply_corrections(before, fit(), inplace=True) is before
    assert before.data is not pixels
    np.testing.assert_allclose(before.data, (pixels - 3) / 0.95)
    bare = pixels.copy()
    apply_corrections(bare, fit(), "zero", inplace=True)
    assert (bare == pixels).all()


@pytest.mark.truth
@pytest.mark.parametrize("fwhm", [0.45, 0.7, 1.2])
@pytest.mark.parametrize("offset", [(0.1, 0.1), (0.13, -0.21), (0.5, 0.1), (-0.02, 1.3)])
def test_resampling_hardly_widens(fwhm, offset):
    """The shift most harmful is half a pixel, 0.1 arcsec; the width must stay within 0.5 %."""
    shape, (dx, dy) = (96, 110), offset
    moved = FluxImage(star(shape, 50 + dx / 0.2, 45 + dy / 0.2, fwhm), wcs=tangent_wcs(shape, 0.2, 20.0, (10.0, 20.0)))
    back = apply_corrections(moved, fit(dx, dy), "xy", resample=True)
    assert (back.wcs.wcs.crpix == moved.wcs.wcs.crpix).all()
    truth = star(shape, 50, 45, fwhm)
    fitted, expected = (
        TRFLSQFitter()(Moffat2D(values.max(), 50, 45, 1.5, 2.5), *np.meshgrid(np.arange(110.0), np.arange(96.0)), values)
        for values in (np.nan_to_num(back.data), truth)
    )
    assert fitted.fwhm == pytest.approx(expected.fwhm, rel=5e-3 if fwhm < 0.5 else 1e-3)
    assert (fitted.x_0.value, fitted.y_0.value) == pytest.approx((50, 45), abs=2e-3)
    assert np.nansum(back.data) == pytest.approx(truth.sum(), rel=2e-3)


@pytest.mark.pure
@pytest.mark.parametrize("shift", [0.0, 0.3, -0.5, 2.25, -7.8])
def test_weights_are_those_of_the_interpolation(shift):
    values = np.random.default_rng(3).normal(size=(101, 121))
    made = shifted(values, shift, 0.0)
    w = weights(shift)
    columns = 60 + round(shift) + np.arange(-16, 17)
    np.testing.assert_allclose(values[:, columns] @ w, made[:, 60], atol=1e-7)
    assert w.sum() == pytest.approx(1)


@pytest.mark.truth
def test_variance_of_resampled_noise():
    """Of many draws of noise of known variance, the scatter of each pixel is what the variance says."""
    level = np.broadcast_to(np.linspace(1, 9, 40)[:, None], (40, 44))
    rng = np.random.default_rng(5)
    wcs = tangent_wcs(level.shape, 0.2, 0.0, (1.0, 2.0))
    noise = [FluxImage(rng.normal(0, np.sqrt(level)), level, wcs=wcs) for _ in range(300)]
    draws = [apply_corrections(one, fit(0.07, -0.11), "xy", resample=True) for one in noise]
    inner = slice(12, -12), slice(12, -12)
    ratio = np.var([draw.data[inner] for draw in draws], axis=0) / draws[0].variance[inner]
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert ratio.mean(axis=1) == pytest.approx(1, abs=0.12)


@pytest.mark.pure
def test_holes_and_masked_pixels_move_along():
    before = image()
    before.data[10, 20] = np.nan
    before.mask = np.zeros(before.shape, bool)
    before.mask[10, 20] = before.mask[30, 30] = True
    after = apply_corrections(before, fit(dx=0.6, dy=-0.4), "xy", resample=True)
    assert np.isnan(after.data[12, 17])
    assert after.mask[12, 17]
    assert after.mask[32, 27]
    assert np.isfinite(after.data[32, 27])
    assert np.isnan(after.data[:2]).all()
    assert after.mask[:, -3:].all()
    assert after.mask.sum() == 2 + 2 * 50 + 3 * 40 - 6
    assert np.abs(np.nan_to_num(after.data, nan=10.0)).max() < 40


@pytest.mark.pure
def test_x_and_y_by_themselves_are_xy():
    assert apply_corrections(image(), fit(), "x,y,scale,zero").wcs.wcs.crpix[0] == pytest.approx(26.15)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("result", "corrections", "message"),
    [
        (fit(), "xy,sale", "corrections: must be of xy, scale, zero"),
        (fit(), "", "corrections: must be of xy"),
        (fit(), None, "corrections: must be a text"),
        (fit(scale=0.0), "scale", "imfit: the scale must be positive, found 0"),
        (fit(dx=np.nan), "xy", "imfit: dx must be finite"),
        (object(), "xy", "imfit: must be the result of a fit, with dx.value, found object"),
    ],
)
def test_wrong_arguments(result, corrections, message):
    with pytest.raises(InputError, match=message):
        apply_corrections(image(), result, corrections)


@pytest.mark.pure
def test_a_shift_off_the_image_and_no_wcs():
    with pytest.raises(CompareError, match="imfit: moves image by"):
        apply_corrections(image(), fit(dx=11.0), "xy", resample=True)
    with pytest.raises(InputError, match="must have a celestial WCS"):
        apply_corrections(np.ones((4, 5)), fit(), "xy")
    assert apply_corrections(np.ones((4, 5)), fit(), "zero").data[0, 0] == -2


@pytest.mark.pure
def test_a_wcs_is_not_shared():
    made = image()
    kept = WCS(made.wcs.to_header())
    apply_corrections(made, fit(), inplace=False)
    assert (made.wcs.wcs.crpix == kept.wcs.crpix).all()
