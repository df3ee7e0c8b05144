"""A reference image in the unit of another image."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.hst import HstFilterInfo
from ezarchive.compare.rescale import rescale_hst_like_muse
from ezarchive.errors import InputError
from ezarchive.simulate.pairs import tangent_wcs

pytestmark = pytest.mark.pure

MUSE = u.Unit("1e-20 erg s-1 cm-2 Angstrom-1")
F606W = HstFilterInfo("F606W")


def hst(unit=None, bunit=None, wcs=True, **cards):
    header = fits.Header({"FILTER": "F606W"} | cards)
    if bunit:
        header["BUNIT"] = bunit
    made = tangent_wcs((4, 5), 0.2, 0.0, (1.0, 2.0)) if wcs else None
    return FluxImage(np.full((4, 5), 2.0), np.full((4, 5), 3.0), wcs=made, unit=unit, header=header, name="h")


def muse(unit=MUSE):
    return FluxImage(np.ones((4, 5)), unit=unit, wcs=tangent_wcs((4, 5), 0.2, 0.0, (1.0, 2.0)), name="m")


@pytest.mark.parametrize(
    "reference",
    [
        hst(),
        hst(u.electron / u.s),
        hst(u.ct / u.s),
        hst(bunit="ELECTRONS/S"),
        hst(bunit="e-/s"),
        hst(bunit="counts s-1"),
        hst(bunit="ELECTRONS/SEC"),
    ],
)
def test_electrons_per_second(reference):
    made = rescale_hst_like_muse(reference, muse(), inplace=False)
    factor = F606W.photflam / 1e-20
    assert factor == pytest.approx(7.73, rel=1e-3)
    np.testing.assert_allclose(made.data, 2 * factor)
    np.testing.assert_allclose(made.variance, 3 * factor**2)
    assert made.unit == MUSE
    assert reference.data[0, 0] == 2


def test_electrons_are_divided_by_the_exposure():
    made = rescale_hst_like_muse(hst(bunit="ELECTRONS", EXPTIME=1000.0), muse())
    np.testing.assert_allclose(made.data, 2e-3 * F606W.photflam / 1e-20)
    with pytest.raises(InputError, match=r"holds counts \(ELECTRONS\) and must tell its exposure time \(EXPTIME\), found None"):
        rescale_hst_like_muse(hst(bunit="ELECTRONS"), muse())


def test_in_place_and_twice():
    reference = hst()
    pixels = reference.data
    assert rescale_hst_like_muse(reference, muse()) is reference
    assert pixels[0, 0] == 2
    once = reference.data.copy()
    rescale_hst_like_muse(reference, muse())
    np.testing.assert_allclose(reference.data, once)


def test_flux_densities_need_no_filter():
    made = rescale_hst_like_muse(hst(u.Unit("erg s-1 cm-2 Angstrom-1"), FILTER="F999X"), muse())
    np.testing.assert_allclose(made.data, 2e20)


def test_by_frequency_at_the_pivot_wavelength():
    made = rescale_hst_like_muse(hst(), muse(u.Unit("uJy")))
    expected = (2 * F606W.photflam * u.Unit("erg s-1 cm-2 Angstrom-1")).to_value(u.uJy, u.spectral_density(F606W.photplam * u.AA))
    np.testing.assert_allclose(made.data, expected)
    np.testing.assert_allclose(-2.5 * np.log10(expected / 2) + 23.9, F606W.abmag_zero, atol=2e-4)
    back = rescale_hst_like_muse(made, muse())
    np.testing.assert_allclose(back.data, 2 * F606W.photflam / 1e-20)


def test_per_solid_angle_by_the_pixel():
    made = rescale_hst_like_muse(hst(u.MJy / u.sr), muse(u.Jy))
    np.testing.assert_allclose(made.data, 2e6 * (0.2 * u.arcsec).to_value(u.rad) ** 2, rtol=1e-6)
    np.testing.assert_allclose(rescale_hst_like_muse(made, muse(u.MJy / u.sr)).data, 2, rtol=1e-9)
    assert rescale_hst_like_muse(hst(u.MJy / u.sr), muse()).unit == MUSE


@pytest.mark.parametrize(
    ("reference", "image", "message"),
    [
        (hst(), muse(None), "muse: m must have a unit of flux density"),
        (hst(), muse(u.electron), "hst: the unit of h.* must be one of flux that can be turned into that of muse, electron"),
        (hst(u.K), muse(), "hst: the unit of h, K, must be one of flux"),
        (hst(bunit="furlongs"), muse(), "hst: h must have a unit that is known, found BUNIT 'furlongs'"),
        (hst(FILTER="F999X"), muse(), "known filter, found F999X"),
        (hst(u.Jy, FILTER="F999X"), muse(), "known filter, found F999X"),
        (hst(u.MJy / u.sr, wcs=False), muse(u.Jy), "must be one of flux"),
    ],
)
def test_units_that_cannot_be_turned(reference, image, message):
    with pytest.raises(InputError, match=message):
        rescale_hst_like_muse(reference, image)


def test_files(tmp_path):
    path = hst(u.electron / u.s).write(tmp_path / "h.fits")
    made = rescale_hst_like_muse(path, muse().write(tmp_path / "m.fits"))
    np.testing.assert_allclose(made.data, 2 * F606W.photflam / 1e-20, rtol=1e-6)
    assert rescale_hst_like_muse(made.write(tmp_path / "again.fits"), muse()).data[0, 0] == pytest.approx(made.data[0, 0], rel=1e-6)


def test_one_unit_for_both_needs_no_filter():
    """Two images of brightness, of a telescope that the table does not know."""
    made = rescale_hst_like_muse(hst(u.MJy / u.sr, FILTER="F200W"), muse(u.MJy / u.sr), inplace=False)
    assert (made.data == 2).all()
    bare = FluxImage(np.ones((3, 3)), unit=u.MJy / u.sr, name="j")
    assert (rescale_hst_like_muse(bare, muse(u.MJy / u.sr)).data == 1).all()
