"""Places, lists of images, and columns that profiles and cuts share."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from ezarchive.errors import InputError
from ezarchive.quicklook.places.lineplaces import for_each, is_on_sky, pictures_of, pixel_place, plain_values, table_of
from ezarchive.quicklook.planes.inputs import picture

pytestmark = pytest.mark.pure


def test_places():
    assert pixel_place((0, np.float32(2)), None, "start") == (0, 2)
    assert pixel_place(np.array([1, 2]), None, "start") == (1, 2)
    assert is_on_sky("10 20")
    assert is_on_sky(SkyCoord(1, 2, unit="deg"))
    assert not is_on_sky((1, 2))
    for bad in (None, 3, (1,), (1, None), (1, False), (1, "2"), np.zeros((2, 2)), (1 * u.pix, 2 * u.pix)):
        with pytest.raises(InputError, match=r"start: must be two finite numbers of pixels \(x, y\)"):
            pixel_place(bad, None, "start")
    with pytest.raises(InputError, match="start: must be pixels for 'mine', which has no WCS"):
        pixel_place("10 20", picture(np.zeros((2, 2)), label="mine"), "start")


def test_images():
    made, several = pictures_of([np.zeros((2, 2)), np.zeros((3, 3))], None, None, None)
    assert several
    assert [one.label for one in made] == ["image[0]", "image[1]"]
    made, several = pictures_of(np.zeros((2, 2)), None, "Jy", None)
    assert (several, made[0].unit) == (False, u.Jy)


def test_one_thing_for_all_or_one_for_each():
    assert for_each("file", 2, "error") == ["file", "file"]
    assert for_each((1, None), 2, "error") == [1, None]
    with pytest.raises(InputError, match="error: must be one for each image, 2, found 3"):
        for_each([1, 2, 3], 2, "error")


def test_columns(tmp_path):
    assert plain_values(np.array([1.0, np.nan, -np.inf])) == [1, None, None]
    assert plain_values(np.array([1, 2])) == [1, 2]
    assert plain_values(None) is None
    table_of({"value": (np.ones(2), u.Jy), "n": (np.arange(2), None)}).write(tmp_path / "a.ecsv")
    assert QTable.read(tmp_path / "a.ecsv")["value"].unit == u.Jy
