"""Stamps of a place on every frame."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from ezarchive import Archive, simulate
from ezarchive.errors import InputError, QueryError, UnknownNameError
from ezarchive.simulate.exposure import from_row

pytestmark = pytest.mark.timeout(120)
QUIET = {"workers": 1, "progress": False}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return simulate.variable_archive(
        tmp_path_factory.mktemp("toy") / "sky", n_epochs=8, telescopes=("7DT01", "7DT02", "7DT14"), shape=(256, 256)
    )


@pytest.fixture(scope="module")
def archive(toy, tmp_path_factory):
    with Archive.create(tmp_path_factory.mktemp("archive") / "home", {"scidata": toy.scidata}) as made:
        made.index()
        made.measure(detection_sigma=5, **QUIET)
        yield made


def place(star):
    return float(star["ra"].value), float(star["dec"].value)


def variable(toy, kind):
    return toy.truth.variables[toy.truth.variables["variability"] == kind][0]


@pytest.mark.truth
def test_a_star_is_in_the_middle_of_every_stamp_however_the_camera_is_turned(toy, archive):
    found = archive.epochs(place(variable(toy, "sine")), "20 arcsec")
    assert len(found) == 24
    assert {epoch.telname for epoch in found} == {"7DT01", "7DT02", "7DT14"}
    assert all(np.diff([epoch.mjd_mid for epoch in found]) >= 0)
    for epoch in found:
        assert epoch.status == "detected"
        light = np.clip(epoch.stamp - np.nanmedian(epoch.stamp), 0, None) ** 2
        rows, cols = np.indices(light.shape)
        middle = (len(light) - 1) / 2
        assert np.nansum(light * rows) / np.nansum(light) == pytest.approx(middle, abs=1)
        assert np.nansum(light * cols) / np.nansum(light) == pytest.approx(middle, abs=1)


@pytest.mark.truth
def test_north_is_up_and_east_to_the_left_in_all_of_them(toy, archive):
    """The brightest pixel of every stamp around a star beside the place lies where it belongs."""
    ra, dec = place(variable(toy, "sine"))
    beside = ra - 6 / 3600 / np.cos(np.radians(dec)), dec - 4 / 3600  # the star is 6 arcsec to the east and 4 to the north of it
    found = archive.epochs(beside, "20 arcsec")
    for epoch in found:
        assert epoch.status in ("not detected", "not measured")
        n = len(epoch.stamp)
        scale = 20 / n
        row, col = np.unravel_index(np.nanargmax(epoch.stamp), epoch.stamp.shape)
        assert (row - n // 2) * scale == pytest.approx(4, abs=1.1)
        assert (col - n // 2) * scale == pytest.approx(-6, abs=1.1)


@pytest.mark.truth
def test_a_transient_is_detected_where_it_is_bright_and_not_before_it_begins(toy, archive):
    star = variable(toy, "transient")
    found = archive.epochs(place(star))
    for epoch in found:
        if epoch.mjd_mid < star["epoch"].value:
            assert epoch.status == "not detected"
            assert np.isnan(epoch.mag)
            assert epoch.mag_limit > 14
        elif toy.truth.magnitudes(star["star_id"], [epoch.mjd_mid], "r")[0].value < epoch.mag_limit - 0.5:
            assert epoch.status == "detected"
    assert {epoch.status for epoch in found} == {"detected", "not detected"}
    assert found.where("detected")[0].title.endswith(f"{found.where('detected')[0].mag_err:.2f}")
    assert "detected" in repr(found)


@pytest.mark.truth
def test_a_place_off_some_frames_is_outside_there(toy, archive):
    exposure = from_row(toy.truth.frames[0])
    ra, dec = (float(value) for value in exposure.wcs.all_pix2world(exposure.nx + 8, 120, 0))
    found = {epoch.frame_id: epoch for epoch in archive.epochs((ra, dec), "30 arcsec")}
    statuses = {epoch.status for epoch in found.values()}
    assert "outside" in statuses
    for epoch in found.values():
        middle = epoch.stamp[len(epoch.stamp) // 2, len(epoch.stamp) // 2]
        assert np.isnan(middle) == (epoch.status == "outside")
        assert np.isfinite(epoch.stamp).any()


@pytest.mark.truth
def test_forced_measurements_and_negative_ones(toy, archive):
    star = variable(toy, "transient")
    archive.forced([place(star)], **QUIET)
    found = archive.epochs(place(star), method="circular")
    assert {epoch.status for epoch in found} <= {"forced", "negative"}
    for epoch in found:
        assert (epoch.snr > 0) == (epoch.status == "forced")
        assert epoch.status != "negative" or "S/N" in epoch.title
    assert archive.epochs(place(star)).where("detected")[0].mag == pytest.approx(
        archive.epochs(place(star), method="sex").where("detected")[0].mag
    )


@pytest.mark.pure
def test_frames_that_cannot_be_read_are_told(toy, archive, tmp_path):
    path = next(toy.scidata.rglob("*.fits"))
    kept = path.read_bytes()
    try:
        path.write_bytes(kept[:2880])
        found = archive.epochs(place(variable(toy, "sine")))
        broken = [epoch for epoch in found if epoch.stamp is None]
        assert len(broken) == 1
        assert path.name in broken[0].why
        assert broken[0].status == "detected"
        assert len(found) == 24
        texts = [text.get_text() for axes in found.figure().axes for text in axes.texts]
        assert texts == ["not readable"]
    finally:
        path.write_bytes(kept)
    assert fits.getval(path, "NAXIS") == 2


@pytest.mark.pure
def test_table_slices_and_figure(toy, archive):
    found = archive.epochs(place(variable(toy, "sine")), "15 arcsec", telname="7DT0*", mjd=(None, 60925.0))
    table = found.table()
    assert len(table) == len(found) == len(found[:]) > 0
    assert set(table["telname"]) == {"7DT01", "7DT02"}
    assert table["mjd_mid"].value.max() < 60925
    assert str(table["mag"].unit) == "mag"
    assert len(found[:2]) == 2
    figure = found.figure(most=3)
    assert sum(bool(axes.get_images()) for axes in figure.axes) == 3
    assert f"3 of {len(found)} epochs" in figure._suptitle.get_text()


@pytest.mark.pure
def test_a_place_without_frames(archive):
    found = archive.epochs("10.0 80.0")
    assert len(found) == len(found.table()) == 0
    assert "no frame" in repr(found)
    assert found.figure().axes[0].texts[0].get_text() == "nothing to draw"


@pytest.mark.pure
def test_wrong_arguments(archive):
    with pytest.raises(InputError, match="size='11 arcmin': must be more than 0 and at most 10 arcmin"):
        archive.epochs((150.0, -25.0), "11 arcmin")
    with pytest.raises(InputError, match="size"):
        archive.epochs((150.0, -25.0), 30)
    with pytest.raises(UnknownNameError, match="filter 'zz'"):
        archive.epochs((150.0, -25.0), filter="zz")
    with pytest.raises(QueryError, match="object 5: "):
        archive.epochs(5)
    found = archive.epochs((150.0, -25.0))
    with pytest.raises(InputError, match="status 'seen': must be one of detected"):
        found.where("seen")
    with pytest.raises(InputError, match="most=0: must be a whole number from 1"):
        found.figure(most=0)
