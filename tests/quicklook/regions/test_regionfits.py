"""Tables of regions in FITS files, and from where they count."""

from __future__ import annotations

import numpy as np
import pytest
import regions as rg
from astropy.io import fits
from astropy.table import QTable

from ezarchive.quicklook.regions.regionfiles import read_regions

pytestmark = pytest.mark.pure


def test_fits_counts_pixels_from_one(tmp_path):
    """A table as the standard has it: the first pixel is (1, 1)."""
    columns = [
        fits.Column("X", "1D", array=[1.0, 5.0]), fits.Column("Y", "1D", array=[2.0, 6.0]),
        fits.Column("SHAPE", "16A", array=["circle", "!circle"]),
        fits.Column("R", "1D", array=[3.0, 1.0]), fits.Column("ROTANG", "1D", array=[0.0, 0.0]),
    ]  # fmt: skip
    fits.BinTableHDU.from_columns(columns, name="REGION").writeto(tmp_path / "a.fits")
    found = read_regions(tmp_path / "a.fits")
    assert found[0].center.xy == (0, 1)
    assert found.excluded[0].center.xy == (4, 5)


def test_fits_of_the_package_counts_from_zero(tmp_path):
    rg.Regions([rg.CirclePixelRegion(rg.PixCoord(10, 20), 3)]).write(tmp_path / "a.fits", format="fits")
    assert read_regions(tmp_path / "a.fits")[0].center.xy == (10, 20)


def test_fits_polygons_of_unequal_length_keep_their_corners(tmp_path):
    """The package pads rows with zeros and reads them as corners."""
    rg.Regions(
        [rg.PolygonPixelRegion(rg.PixCoord([1.0, 5, 3], [1.0, 1, 4])), rg.PolygonPixelRegion(rg.PixCoord([1.0, 5, 6, 3], [1.0, 1, 3, 4]))]
    ).write(tmp_path / "a.fits", format="fits")
    assert [len(one.vertices.x) for one in read_regions(tmp_path / "a.fits")] == [3, 4]


def test_fits_rows_that_fail(tmp_path):
    table = QTable(
        {
            "X": [1.0, 2.0, 3.0],
            "Y": [1.0, 2.0, 3.0],
            "SHAPE": ["pie", "heart", "elliptannulus"],
            "R": np.ones((3, 4)),
            "ROTANG": np.zeros(3),
        }
    )
    fits.BinTableHDU(table, name="REGION").writeto(tmp_path / "a.fits")
    found = read_regions(tmp_path / "a.fits")
    assert not found.regions
    assert [one.region for one in found.failures] == ["pie", "heart", "elliptannulus"]
    assert "is not supported" in found.failures[0].reason
    assert "is not a valid FITS region shape" in found.failures[1].reason
    assert "written in several ways" in found.failures[2].reason
