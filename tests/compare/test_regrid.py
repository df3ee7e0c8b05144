"""Images on the pixels of others."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from ezarchive import sky
from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.hst import HstFilterInfo
from ezarchive.compare.imagefit import ImageFitOptions, fit_images
from ezarchive.compare.lowpass import LowPass, lowpass_of
from ezarchive.compare.regrid import is_brightness, regrid, regrid_hst_like_muse
from ezarchive.compare.rescale import rescale_hst_like_muse
from ezarchive.errors import CompareError, FrameError, InputError
from ezarchive.simulate.pairs import fine_reference, image_pair, tangent_wcs

UNIT = u.Unit("1e-20 erg s-1 cm-2 Angstrom-1")
PHOTFLAM = HstFilterInfo("F606W").photflam


def fine(pair, noise=0.0, **options):
    """The sky of a pair as seen from space, electrons per second."""
    data, wcs = fine_reference(pair, noise=noise, photflam=PHOTFLAM, **options)
    variance = np.full(data.shape, noise**2) if noise else None
    return FluxImage(data, variance, wcs=wcs, unit=u.electron / u.s, header=fits.Header({"FILTER": "F606W"}), name="hst")


def flat(shape=(80, 90), pixel=0.2, rotation=20.0, centre=(53.16, -27.78), value=1.0, **fields):
    return FluxImage(np.full(shape, value), wcs=tangent_wcs(shape, pixel, rotation, centre), name="flat", **fields)


def sky_gauss(image, ra, dec, fwhm):
    """A round Gaussian of unit flux on the sky, sampled on the pixels."""
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    apart = sky.separation(*sky.pixel_to_icrs(image.wcs, x, y), ra, dec) * 3600
    sigma = fwhm / 2.3548200450309493
    return np.exp(-0.5 * (apart / sigma) ** 2) / (2 * np.pi * sigma**2) * image.step[0] * image.step[1]


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("seed", "shape", "rotation", "noise"),
    [(0, (300, 300), -35.0, 0.0), (1, (160, 200), 110.0, 0.0), (2, (240, 200), -80.0, 0.006)],
)
def test_a_fit_through_a_regridded_reference(seed, shape, rotation, noise):
    """The width of the image's profile is found to 0.001 arcsec through a 30 mas reference at another angle."""
    pair = image_pair(seed=seed, shape=shape, noise=2.0 if noise else 0.0, reference_noise=0.0)
    size = tuple(int(n * 9.3) for n in shape)
    image = FluxImage(pair.image, np.full(shape, 4.0) if noise else None, wcs=pair.wcs, unit=UNIT)
    reference = rescale_hst_like_muse(regrid_hst_like_muse(fine(pair, noise, shape=size, rotation=rotation), image), image)
    assert reference.unit == UNIT
    found, _ = fit_images(reference, image, ImageFitOptions(fix_beta=2.5))
    assert found.fwhm.value == pytest.approx(0.7, abs=1e-3 if noise else 5e-5)
    assert found.scale.value == pytest.approx(0.95, abs=2e-3 if noise else 5e-5)
    assert (found.dx.value, found.dy.value) == pytest.approx((0.13, -0.21), abs=6e-4 if noise else 2e-5)


@pytest.mark.truth
def test_the_pixels_are_those_of_a_band_limited_reference():
    pair = image_pair(seed=3, shape=(100, 120), noise=0.0, reference_noise=0.0)
    image = FluxImage(pair.image, wcs=pair.wcs, unit=UNIT)
    made = rescale_hst_like_muse(regrid_hst_like_muse(fine(pair, shape=(1000, 1000)), image), image)
    inner = ~made.mask
    assert inner.mean() > 0.95
    peak = pair.reference.max()
    np.testing.assert_allclose(made.data[inner], pair.reference[inner], atol=1e-5 * peak)
    assert made.data[inner].sum() == pytest.approx(pair.reference[inner].sum(), rel=1e-3)
    assert lowpass_of(made.header) == pytest.approx(LowPass(0.2, 0.2), rel=1e-5)


@pytest.mark.truth
@pytest.mark.parametrize("centre", [(0.0, 0.0), (359.9995, 45.0), (200.0, 89.999), (77.0, -90.0), (53.16, -27.78)])
@pytest.mark.parametrize("step", [0.05, 0.2])
def test_a_source_keeps_place_flux_and_width_anywhere(centre, step):
    shape = (60, 70)
    like, image = flat(shape, centre=centre), flat((int(16 / step), int(17 / step)), step, -50.0, centre)
    x, y = 40.3, 27.6
    ra, dec = like.wcs.all_pix2world([[x, y]], 0)[0]
    made = regrid(image.copy(data=sky_gauss(image, ra, dec, 1.2)), like)
    assert np.nansum(made.data) == pytest.approx(1, rel=1e-3)
    f = [np.fft.fftfreq(n, 0.2) for n in shape]
    k = np.hypot(f[1], f[0][:, None])
    phase = np.exp(-2j * np.pi * 0.2 * (f[1] * x + f[0][:, None] * y))
    gauss = np.exp(-((np.pi * 1.2 * k) ** 2) / (4 * np.log(2)))
    truth = np.fft.ifft2(gauss * LowPass(0.2, 0.2).transfer(f[1], f[0][:, None]) * phase).real
    np.testing.assert_allclose(made.data[~made.mask], truth[~made.mask], atol=1e-4 * truth.max())


@pytest.mark.oracle
def test_brightness_and_flux_against_reproject():
    """Wide things, which the filter hardly touches, are where another program puts them."""
    reproject = pytest.importorskip("reproject")
    image, like = flat((300, 320), 0.08, -35.0), flat((70, 80))
    data = sum(sky_gauss(image, 53.16 + a / 3600, -27.78 + b / 3600, 3.5) for a, b in [(0, 0), (3, -2), (-4, 4)])
    other, _ = reproject.reproject_interp((data, image.wcs), like.wcs, like.shape, order="bicubic")
    found = regrid(image.copy(data=data), like, surface_brightness=True)
    good = ~found.mask & np.isfinite(other)
    np.testing.assert_allclose(found.data[good], other[good], atol=0.03 * other[good].max())
    flux = regrid(image.copy(data=data), like)
    np.testing.assert_allclose(flux.data[good], found.data[good] * (0.2 / 0.08) ** 2, rtol=1e-6, atol=1e-9)


@pytest.mark.truth
def test_a_coarser_image_says_so():
    """On smaller pixels than its own, an image keeps the frequencies of its own pixels."""
    image, like = flat((60, 60), 0.3, 10.0), flat((60, 70), 0.1)
    ra, dec = 53.16, -27.78
    made = regrid(image.copy(data=sky_gauss(image, ra, dec, 1.5)), like)
    assert lowpass_of(made.header) == pytest.approx(LowPass(0.3, 0.3), rel=1e-4)
    f = [np.fft.fftfreq(n, 0.1) for n in like.shape]
    x, y = like.wcs.all_world2pix([[ra, dec]], 0)[0]
    phase = np.exp(-2j * np.pi * 0.1 * (f[1] * x + f[0][:, None] * y))
    gauss = np.exp(-((np.pi * 1.5) ** 2) * (f[1] ** 2 + f[0][:, None] ** 2) / (4 * np.log(2)))
    truth = np.fft.ifft2(gauss * LowPass(0.3, 0.3).transfer(f[1], f[0][:, None]) * phase).real
    np.testing.assert_allclose(made.data[~made.mask], truth[~made.mask], atol=3e-4 * truth.max())


@pytest.mark.pure
def test_units_say_whether_values_grow_with_the_pixel():
    assert is_brightness(u.MJy / u.sr)
    assert is_brightness(u.Unit("1e-18 erg s-1 cm-2 Angstrom-1 arcsec-2"))
    assert not any(is_brightness(unit) for unit in (None, u.Jy, u.electron / u.s))
    image, like = flat((300, 300), 0.05), flat((40, 40))
    assert np.nanmedian(regrid(image, like).data) == pytest.approx(16, rel=1e-4)
    assert np.nanmedian(regrid(image.copy(unit=u.MJy / u.sr), like).data) == pytest.approx(1, rel=1e-4)
    assert np.nanmedian(regrid(image, like, surface_brightness=True).data) == pytest.approx(1, rel=1e-4)


@pytest.mark.pure
def test_aligned_images_stay_unless_they_shall_be_filtered():
    image = flat()
    image.data[40, 45] = 100.0
    assert (regrid(image, image).data == image.data).all()
    assert lowpass_of(regrid(image, image).header) is None
    once = regrid(image, image, filter_aligned=True)
    assert once.data[40, 45] == pytest.approx(1 + 99 * 0.1707, rel=1e-3)
    assert (regrid(once, image, filter_aligned=True).data[~once.mask] == once.data[~once.mask]).all()


@pytest.mark.pure
def test_in_place_the_object_and_not_its_arrays():
    image, like = flat((300, 300), 0.05), flat((40, 40))
    pixels, header = image.data, image.header
    image.data[:150] = 0.0
    made = regrid_hst_like_muse(image, like)
    assert made is image
    assert image.shape == (40, 40)
    assert pixels.shape == (300, 300)
    assert "LPSTEPX" not in header
    assert 0.4 < image.mask.mean() < 0.6
    other = flat((300, 300), 0.05)
    assert regrid_hst_like_muse(other, like, inplace=False) is not other
    assert other.shape == (300, 300)


@pytest.mark.pure
def test_zeros_are_blank_in_a_reference_whatever_its_unit():
    image, like = flat((400, 400), 0.05, value=3e-18), flat((40, 40))
    image.data[:, :200] = 0.0
    image.data[200:, :200] = 1e-29
    made = regrid_hst_like_muse(image, like, inplace=False)
    assert 0.3 < made.mask.mean() < 0.7
    assert regrid(image, like).mask.sum() == 0


@pytest.mark.pure
def test_files_and_a_cube_as_the_grid(tmp_path):
    image = flat((300, 300), 0.05, unit=u.electron / u.s, variance=np.full((300, 300), 4.0))
    like = flat((40, 44))
    header = like.wcs.to_header()
    header.update({"CTYPE3": "WAVE", "CRVAL3": 5e-7, "CDELT3": 1e-10, "CRPIX3": 1.0, "CUNIT3": "m"})
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((3, 40, 44), np.float32), header, "DATA")]).writeto(tmp_path / "cube.fits")
    path = image.write(tmp_path / "hst.fits")
    size = path.read_bytes()
    made = regrid_hst_like_muse(path, tmp_path / "cube.fits")
    expected = regrid(image, like)
    np.testing.assert_allclose(made.data, expected.data, rtol=1e-6)
    np.testing.assert_allclose(made.variance, expected.variance, rtol=1e-5)
    assert path.read_bytes() == size
    again = flux_image(made.write(tmp_path / "out.fits"))
    np.testing.assert_allclose(again.wcs.wcs_pix2world([[3, 4]], 0), like.wcs.wcs_pix2world([[3, 4]], 0))
    assert lowpass_of(again.header) == pytest.approx((0.2, 0.2), rel=1e-5)
    assert again.unit == u.electron / u.s


@pytest.mark.pure
def test_cards_of_the_old_pixels_go():
    image = flat((300, 300), 0.05)
    image.header.update({"A_ORDER": 2, "A_2_0": 1e-5, "CD1_1": 1.0, "LTV1": 3.0, "ORIENTAT": 40.0, "OBJECT": "UDF", "CRVAL1A": 3.0})
    made = regrid(image, flat((40, 44)))
    assert not {"A_ORDER", "A_2_0", "LTV1", "ORIENTAT", "CRVAL1A"} & set(made.header)
    assert made.header["OBJECT"] == "UDF"
    assert made.header["CRVAL1"] == pytest.approx(53.16)


@pytest.mark.pure
def test_what_cannot_be_regridded(tmp_path):
    image, like = flat((100, 100), 0.05), flat((40, 44))
    with pytest.raises(CompareError, match="image: flat must overlap like flat with pixels .* centres are 36") as err:
        regrid(image, flat((40, 44), centre=(53.16, -27.77)))
    assert err.value.code == "no_overlap"
    with pytest.raises(CompareError, match="must overlap"):
        regrid(image.copy(mask=np.ones((100, 100), bool)), like)
    with pytest.raises(CompareError, match="must overlap"):
        regrid_hst_like_muse(image.copy(data=np.zeros((100, 100))), like)
    with pytest.raises(CompareError, match="must overlap"):
        regrid(image.copy(data=np.full((100, 100), np.nan), mask=None), like)
    with pytest.raises(CompareError, match="must overlap"):
        regrid(image, flat((40, 44), centre=(233.16, 27.78)))
    with pytest.raises(InputError, match="image: image must have a celestial WCS"):
        regrid(np.ones((5, 5)), like)
    with pytest.raises(InputError, match="like: like must have a celestial WCS"):
        regrid(image, np.ones((5, 5)))
    with pytest.raises(InputError, match="hst: hst must have a celestial WCS"):
        regrid_hst_like_muse(np.ones((5, 5)), like)
    with pytest.raises(InputError, match="muse: muse must have a celestial WCS"):
        regrid_hst_like_muse(image, np.ones((5, 5)))
    with pytest.raises(CompareError, match="hst: flat must overlap muse flat with pixels that are not masked, found none"):
        regrid_hst_like_muse(image, flat((40, 44), centre=(53.16, -27.77)))
    with pytest.raises(InputError, match=r"hst: must have two axes and at least one pixel, found shape \(3,\)"):
        regrid_hst_like_muse(np.ones(3), like)
    with pytest.raises(InputError, match="max_missing: must be from 0"):
        regrid(image, like, max_missing=1.5)
    with pytest.raises(FrameError, match="is not there"):
        regrid(tmp_path / "no.fits", like)
