"""The filter of a regridded image, and what its header tells of it."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.compare.lowpass import LowPass, lowpass_of
from ezarchive.errors import InputError

pytestmark = pytest.mark.pure


def test_a_header_gives_the_filter_back():
    header = fits.Header()
    assert lowpass_of(header) is None
    header.update(LowPass(0.2, 0.3).cards())
    assert lowpass_of(fits.Header.fromstring(header.tostring())) == LowPass(0.2, 0.3)


def test_it_ends_at_half_a_cycle_per_pixel():
    low = LowPass(0.2, 0.25)
    assert low.transfer(0.0, 0.0) == pytest.approx(1)
    np.testing.assert_allclose(low.transfer([2.0, 0.0, 5.0], [0.0, 2.5, 0.0]), 0, atol=1e-15)
    assert low.transfer(0.0, 1.25) == pytest.approx(0.34)
    assert (low.transfer(np.linspace(0, 9, 50), 0.1) >= -1e-15).all()


@pytest.mark.parametrize(
    ("cards", "message"), [({"LPWINDOW": "HANN"}, "LPWINDOW: must be BLACKMAN"), ({"LPSTEPX": -1.0}, "must be positive arcsec, found -1")]
)
def test_damaged_cards(cards, message):
    header = fits.Header()
    header.update(LowPass(0.2, 0.3).cards())
    header.update(cards)
    with pytest.raises(InputError, match=message):
        lowpass_of(header)
