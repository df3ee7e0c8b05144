"""One frame and the reference: which pixels, whose filter, what is saturated."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive import imagefitframe, sky
from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.lowpass import LowPass, lowpass_of
from ezarchive.compare.psf import MoffatPsf
from ezarchive.errors import CompareError
from ezarchive.imagefitframe import FilteredPsf, on_grid


def wcs(crpix=(50.0, 40.0), rotation=30.0, pixel=0.2, mirrored=False):
    made, t, s = WCS(naxis=2), np.radians(rotation), pixel / 3600
    made.wcs.ctype, made.wcs.crval, made.wcs.crpix = ["RA---TAN", "DEC--TAN"], [53.16, -27.78], list(crpix)
    sign = 1 if mirrored else -1
    made.wcs.cd = s * np.array([[sign * np.cos(t), -np.sin(t)], [sign * np.sin(t), np.cos(t)]])
    made.wcs.set()
    return made


def image(shape=(80, 100), **options):
    y, x = np.indices(shape)
    variance = options.pop("variance", False)
    return FluxImage(x + 1000.0 * y, variance=np.ones(shape) if variance else None, wcs=wcs(**options))


def test_pixels_that_are_the_same_are_cut():
    reference, part = image(variance=True), image((30, 40), crpix=(40.0, 35.0))
    made, regridded = on_grid(reference, part)
    assert not regridded
    np.testing.assert_array_equal(made.data, reference.data[5:35, 10:50])
    np.testing.assert_array_equal(made.variance, np.ones((30, 40)))
    assert on_grid(reference, reference) == (reference, False)


def test_what_the_reference_does_not_reach_is_masked():
    reference, part = image((30, 40)), image((50, 60), crpix=(60.0, 45.0))
    made, regridded = on_grid(reference, part)
    assert not regridded
    np.testing.assert_array_equal(~made.mask[5:35, 10:50], np.ones((30, 40), bool))
    assert made.mask.sum() == 50 * 60 - 30 * 40
    np.testing.assert_array_equal(made.data[5:35, 10:50], reference.data)
    with pytest.raises(CompareError, match="found no place that both cover"):
        on_grid(reference, image((30, 40), crpix=(500.0, 45.0)))


@pytest.mark.parametrize("other", [{"crpix": (50.3, 40.0)}, {"rotation": 31.0}, {"pixel": 0.201}, {"mirrored": True}])
def test_other_pixels_are_made(other):
    made, regridded = on_grid(image(), image((60, 60), **{"crpix": (40.0, 30.0), **other}))
    assert regridded
    assert lowpass_of(made.header) is not None


@pytest.mark.parametrize("largest", [2048, 60])
def test_the_overlap_is_what_the_reference_covers_or_its_middle(largest):
    frame = image((400, 500), crpix=(250.0, 200.0))
    reference = image((100, 120), crpix=(60.0, 50.0))
    rows, columns = imagefitframe._overlap(reference, frame, largest)
    assert rows.stop - rows.start == min(largest, rows.stop - rows.start)
    if largest == 2048:
        assert rows.start <= 150 <= 250 <= rows.stop
        assert columns.start <= 190 <= 310 <= columns.stop
        assert rows.stop - rows.start < 130
    else:
        assert abs((rows.start + rows.stop) / 2 - 200) < 8
        assert columns.stop - columns.start == 60


def test_a_reference_smaller_than_the_steps_of_the_search_is_found():
    frame = image((6500, 64), crpix=(32.0, 3200.0))
    rows, _ = imagefitframe._overlap(image((50, 64), crpix=(32.0, 10.0)), frame, 2048)
    assert rows.start <= 3190 <= 3240 <= rows.stop


def test_no_overlap_is_told():
    with pytest.raises(CompareError, match="must overlap") as caught:
        imagefitframe._overlap(image(), image(crpix=(9000.0, 40.0)), 2048)
    assert caught.value.code == "no_overlap"
    with pytest.raises(CompareError, match="share 32 rows"):
        imagefitframe._overlap(image(), image(crpix=(145.0, 40.0)), 2048)


def test_saturated_pixels_and_those_beside_them_are_masked():
    data = np.zeros((9, 9))
    data[4, 4], data[0, 0] = 960.0, 940.0
    given = FluxImage(data)
    made = imagefitframe._without_saturated(given, 1000.0)
    assert made.mask.sum() == 9
    assert made.mask[3:6, 3:6].all()
    assert not given.mask.any()
    assert imagefitframe._without_saturated(given, None) is given
    assert imagefitframe._without_saturated(given, np.nan) is given


@pytest.mark.parametrize(("unit", "expected"), [(None, 4.0), (u.adu, 4.0), (u.ct, 4.0), (u.electron, 1.0), (u.MJy / u.sr, None)])
def test_the_gain_counts_for_counts(unit, expected):
    assert imagefitframe._photon_gain(FluxImage(np.zeros((3, 3)), unit=unit), 4.0) == expected


def test_a_filter_before_the_present_one_is_part_of_the_psf():
    psf, lowpass = MoffatPsf(0.5, 2.5), LowPass(0.2, 0.2)
    both = FilteredPsf(psf, lowpass)
    fx, fy = np.linspace(-2, 2, 9)[None], np.linspace(-2, 2, 7)[:, None]
    np.testing.assert_allclose(both.transfer(fx, fy), psf.transfer(fx, fy) * lowpass.transfer(fx, fy))
    assert both.fwhm == 0.5


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("regridded", [True, False])
@pytest.mark.parametrize("told", [True, False])
def test_whose_filter_counts(measured, regridded, told):
    settings = imagefitframe.Settings(
        methods=("image",), reference_fwhm=0.5, reference_beta=2.5, measured=measured, star=None, regions=None, largest=64,
        any_unit=False, fit={},
    )  # fmt: skip
    header = fits.Header()
    if told:
        header.update(LowPass(0.2, 0.2).cards())
    own = FluxImage(np.zeros((3, 3)), header=header)
    new = fits.Header()
    new.update(LowPass(0.3, 0.3).cards())
    made = FluxImage(np.zeros((3, 3)), header=new) if regridded else own
    psf, filtered = imagefitframe._psf(own, made, settings, regridded=regridded)
    assert filtered == (regridded if measured else regridded or told)
    assert isinstance(psf, FilteredPsf) == (not measured and regridded and told)


def test_a_region_is_of_the_sky_of_the_piece():
    given = image((60, 60))
    ra, dec = sky.pixel_to_icrs(given.wcs, 20, 30)
    piece = given.wcs.deepcopy().slice((slice(10, 60), slice(5, 60)))
    x, y = sky.icrs_to_pixel(piece, ra, dec)
    assert (float(x), float(y)) == pytest.approx((15, 20), abs=1e-6)
