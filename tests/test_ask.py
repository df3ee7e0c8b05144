"""Questions: what they take, and what they say to wrong arguments."""

from __future__ import annotations

import astropy.units as u
import pytest

from ezarchive import Archive
from ezarchive.ask import as_result
from ezarchive.errors import InputError, UnknownNameError

PLACE = "21:45:00 -77:15:44"


@pytest.fixture(scope="module")
def archive(toy_sky, tmp_path_factory):
    home = tmp_path_factory.mktemp("ask") / "home"
    with Archive.create(home, roots={"scidata": toy_sky.scidata}) as opened:
        opened.index(progress=False)
        opened.measure(workers=1, progress=False)
        yield opened


@pytest.mark.parametrize("aperture", [7, "7 arcsec", 7 * u.arcsec, (7 / 60) * u.arcmin])
def test_an_aperture_is_a_number_of_arcsec_or_an_angle(archive, aperture):
    found = archive.sql("SELECT DISTINCT aperture_arcsec FROM light_curve", aperture=aperture)
    assert [row.aperture_arcsec for row in found] == [7.0]
    curve = archive.light_curve(PLACE, "1 arcmin", aperture=aperture)
    assert len(curve) == 2
    assert curve.meta["notes"] == ()


@pytest.mark.parametrize(("aperture", "message"), [("7", "aperture '7': has no unit"), (7 * u.s, "aperture .*unit s must be an angle")])
def test_a_wrong_aperture_is_named(archive, aperture, message):
    with pytest.raises(InputError, match=message):
        archive.light_curve(PLACE, aperture=aperture)


def test_a_radius_without_unit_is_named(archive):
    with pytest.raises(InputError, match="radius 2: a bare number has no unit"):
        archive.light_curve(PLACE, 2)


def test_an_absent_aperture_is_told_below_the_table(archive):
    curve = archive.light_curve(PLACE, "1 arcmin", aperture=6)
    assert "have no aperture of 6 arcsec and give no rows; all have 5, 7, 10" in as_result(curve).to_text()


def test_an_unknown_run_or_method_is_named(archive):
    with pytest.raises(UnknownNameError, match="run '99': must be one of '1'"):
        archive.sql("SELECT 1", run=99)
    with pytest.raises(UnknownNameError, match="method 'se': did you mean 'sex'"):
        archive.light_curve(PLACE, method="se")
    assert len(archive.light_curve(PLACE, "1 arcmin", run=1, method="sex")) == 2
