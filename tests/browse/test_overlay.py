"""Which apertures a table holds, and where a figure looks."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable

from ezarchive.browse.overlay import _middle, apertures_of, catalog_figure, drawn_by_default, measures_of
from ezarchive.errors import InputError
from ezarchive.images.image import Image

pytestmark = pytest.mark.pure


def test_measures_of_a_table(measured, forced):
    assert measures_of(measured) == ("AUTO", "APER", "APER_1", "APER_2")
    assert drawn_by_default(measured) == ("AUTO",)
    assert measures_of(forced.data) == drawn_by_default(forced.data) == ("APER", "APER_1")
    assert measures_of(QTable({"NUMBER": [1]})) == ()
    names = {"SMA_IMAGE": 5.0, "SMI_IMAGE": 2.0, "THETA_IMAGE": 30.0, "X_IMAGE": 1.0, "Y_IMAGE": 2.0}
    ellipse = QTable({name: [value] for name, value in names.items()})
    assert measures_of(ellipse) == ("ELIP",)
    x, y, shape = apertures_of(ellipse, "ELIP")
    assert (x[0], y[0], shape.a[0], shape.b[0], shape.theta[0]) == (1.0, 2.0, 5.0, 2.0, 30.0)


def test_an_aperture_that_is_missing_keeps_the_numbers_of_the_others():
    # A frame without seeing has no columns for the seeing's apertures; the sizes of the others are not moved.
    table = QTable({"X_IMAGE": [1.0] * u.pix, "Y_IMAGE": [2.0] * u.pix})
    for index, size in ((0, 10.0), (3, 20.0)):
        table[f"FLUX_APER{f'_{index}' if index else ''}"] = [1.0] * u.ct
        table[f"PIXSIZE_APER{f'_{index}' if index else ''}"] = [size] * u.pix
    assert measures_of(table) == ("APER", "APER_3")
    assert apertures_of(table, "APER_3")[2].a.tolist() == [10.0]
    with pytest.raises(InputError, match="measure='APER_1': must be one of APER, APER_3"):
        apertures_of(table, "APER_1")


def test_the_box_lies_around_the_source_nearest_to_the_middle_of_all():
    x, y = np.array([0.0, 60, 50, np.nan, 5000]), np.array([0.0, 60, 40, 3, 5])
    assert _middle(x, y, (100, 200)) == (50.0, 40.0)
    assert _middle(x[3:], y[3:], (100, 200)) == (99.5, 49.5)


def test_a_table_without_any_row(measured):
    figure = catalog_figure(Image(np.zeros((50, 60), np.float32)), measured[:0])
    assert figure.axes[1].get_xlim() == (-0.5, 59.5)
    with pytest.raises(InputError, match="zoom_radius_pixel=2.5: must be a whole number from 1"):
        catalog_figure(Image(np.zeros((50, 60), np.float32)), measured, zoom_radius_pixel=2.5)
