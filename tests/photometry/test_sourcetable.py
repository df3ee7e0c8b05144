"""The table of sources."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from ezarchive import columns
from ezarchive.photometry.aperture import ApertureSums
from ezarchive.photometry.sourcetable import build

pytestmark = pytest.mark.pure

_DERIVED = {"NUMBER", "MAG_AUTO", "MAGERR_AUTO", "SNR", "ELONGATION", "ELLIPTICITY"}


def make(n=3, **changes):
    values = {}
    for column in columns.SOURCE:
        if column.name in _DERIVED:
            continue
        values[column.name] = np.arange(n) + 1.0
    values["_healpix_29"] = np.ma.array(np.arange(n) + 1, mask=np.arange(n) == 1)
    values |= changes
    sums = ApertureSums(*(np.array([v] * n, float) for v in (100.0, 5.0, 4.0, 78.5)), np.full(n, 3, np.int16))
    return build(values, [sums, sums], [10.0, 14.0])


def test_derived_columns():
    flux, err = np.array([100.0, 0.0, -5.0]), np.array([10.0, 10.0, 0.0])
    table = make(FLUX_AUTO=flux, FLUXERR_AUTO=err, A_IMAGE=np.full(3, 4.0), B_IMAGE=np.full(3, 3.0))
    np.testing.assert_array_equal(table["NUMBER"], [1, 2, 3])
    np.testing.assert_allclose(table["MAG_AUTO"].value, [-5.0, np.nan, np.nan])
    np.testing.assert_allclose(table["SNR"], [10.0, 0.0, np.nan])
    np.testing.assert_allclose(table["ELONGATION"], 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(table["ELLIPTICITY"], 0.25)


def test_apertures_with_their_suffixes():
    table = make()
    assert table["FLUX_APER"].unit == u.ct
    assert table["PIXSIZE_APER"][0].value == 10.0
    assert table["PIXSIZE_APER_1"][0].value == 14.0
    assert table["FLAGS_APER_1"].dtype == np.int16
    np.testing.assert_allclose(table["MAG_APER_1"].value, -5.0)


def test_missing_integers_are_masked():
    table = make()
    np.testing.assert_array_equal(table["_healpix_29"].mask, [False, True, False])
    assert table["ISOAREA_IMAGE"].dtype == np.int32
    assert table["ISOAREA_IMAGE"].unit == u.Unit("pix2")
