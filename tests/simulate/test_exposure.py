from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.simulate import exposure as exposures
from ezarchive.simulate import profiles
from ezarchive.simulate.exposure import Exposure

CARDS = "OBJECT FILTER TELESCOP EXPTIME DATE-OBS EGAIN SEEING DEPTH ZP SATURATE AIRMASS ZPAPER DEPTHAP MAGSYS NCOMBINE IMAGETYP".split()


@pytest.mark.pure
def test_the_header_holds_its_cards():
    header = Exposure().header()
    assert [card for card in CARDS if card not in header] == []
    assert header["ZPAPER"] == header["DEPTHAP"] == 5.0
    assert header["MAGSYS"] == "AB"
    assert header["DATE-OBS"] == "2025-09-01T03:36:00.000"
    assert header["MJD-OBS"] == 60919.15
    WCS(header)


@pytest.mark.pure
@pytest.mark.parametrize("card", exposures.DROPPABLE)
def test_a_header_lacks_what_it_should(card):
    full, header = Exposure().header(), Exposure(lacks=card).header()
    assert card not in header
    assert set(full) - set(header) == {card, *exposures._WITH.get(card, ())}


@pytest.mark.truth
def test_zero_point_is_of_the_5_arcsec_aperture():
    exposure = Exposure(seeing=2.7, ellipticity=0.05)
    inside = profiles.aperture_fraction(exposure.psf, 2.5 / 0.505)
    assert exposure.zero_point == pytest.approx(exposure.total_zero_point + 2.5 * np.log10(inside))
    assert exposure.header()["ZP"] == pytest.approx(exposure.zero_point, abs=1e-6)


@pytest.mark.truth
def test_depth_is_five_sigma_of_the_sky():
    exposure = Exposure()
    noise = np.sqrt(np.pi * (2.5 / 0.505) ** 2 * (400 / 0.2561 + (6 / 0.2561) ** 2))
    assert 10 ** (0.4 * (exposure.zero_point - exposure.depth)) == pytest.approx(5 * noise)


@pytest.mark.pure
def test_background_is_what_its_terms_say():
    exposure = Exposure(nx=101, ny=51, sky=100, slope_x=0.1, slope_y=-0.2, bowl=0.01)
    whole = exposure.background()
    assert whole.shape == (51, 101)
    assert whole[25, 50] == pytest.approx(100)
    assert whole[25, 100] - whole[25, 0] == pytest.approx(20 * 50 / 50.5)
    assert whole[50, 50] - whole[0, 50] == pytest.approx(-40 * 25 / 25.5)
    np.testing.assert_array_equal(exposure.background(slice(10, 20)), whole[10:20])
    assert np.ptp(Exposure().background()) == 0


@pytest.mark.pure
def test_exposures_go_through_a_table():
    both = [Exposure(), Exposure(relpath="b", lacks="ZP,SEEING", hot_x=3, mirrored=True, seeing=2.1)]
    table = exposures.to_table(both)
    assert table["seeing"].unit == "arcsec"
    assert [exposures.from_row(row) for row in table] == both
    assert table["mjd_mid"][0].value == pytest.approx(60919.15 + 50 / 86400)


@pytest.mark.pure
@pytest.mark.parametrize("diameter", [0, -1, float("nan")])
def test_a_diameter_must_be_positive(diameter):
    with pytest.raises(InputError, match="must be a positive number of arcsec"):
        Exposure().radius(diameter)
