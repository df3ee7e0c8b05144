"""What a catalog can become: pictures, regions, stamps, files."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.wcs import WCS

from ezarchive import config
from ezarchive.browse.catalog import Catalog
from ezarchive.errors import InputError
from ezarchive.images.image import Image


def ellipses(axes):
    """Every ellipse drawn: (x, y, a, b, theta)."""
    rows = []
    for found in axes.collections:
        x, y = found.get_offsets().T
        rows += zip(x, y, found.get_widths() / 2, found.get_heights() / 2, found.get_angles(), strict=True)
    return np.array(rows).reshape(-1, 5)


@pytest.mark.truth
def test_detections_are_drawn_with_their_kron_ellipses(catalog, tmp_path):
    figure, (left, right) = catalog.show(zoom_radius_pixel=60, x=150, y=120, save_path=tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 20_000
    assert left.get_xlim() == (-0.5, 299.5)
    assert right.get_xlim() == (89.5, 210.5)
    drawn = ellipses(right)
    data = catalog.data
    inside = [i for i in range(len(data)) if 95 < data["X_IMAGE"][i].value < 205 and 65 < data["Y_IMAGE"][i].value < 175]
    assert len(inside) > 3
    for i in inside:
        row = data[i]
        expected = [row["X_IMAGE"].value, row["Y_IMAGE"].value, *(row["KRON_RADIUS"] * row[n].value for n in ("A_IMAGE", "B_IMAGE"))]
        assert np.isclose(drawn[:, :4], expected, rtol=1e-6).all(axis=1).any(), i
    assert len(left.lines[0].get_xdata()) == len(data)
    assert figure.legends[0].get_texts()[0].get_text() == "Kron ellipse"
    assert figure.get_suptitle() == f"calib_7DT01_T00528_20250901_020000_m600_100.fits: {len(data)} sources (sex)"
    assert [patch.get_bbox().bounds for patch in left.patches] == [(89.5, 59.5, 121, 121)]


@pytest.mark.truth
def test_forced_positions_are_drawn_with_every_aperture(forced, frame):
    figure, (left, right) = forced.show(coord_type="coord", zoom_radius_pixel=30)
    drawn = ellipses(right)
    np.testing.assert_allclose(drawn[:, :2], [(120.25, 80.5)] * 2)
    np.testing.assert_allclose(sorted(drawn[:, 2]), [2.5 / frame.pixel_scale, 5 / frame.pixel_scale])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['5"', '10"']
    assert type(left).__name__ == "WCSAxes"
    assert figure.get_suptitle().endswith(": 2 positions (circular)")
    assert "2 positions, circular" in repr(forced)
    assert right.get_xlim() == (89.5, 150.5)
    _, (_, right) = forced.show("APER_1")
    assert len(ellipses(right)) == 1


def test_what_is_selected_is_drawn(catalog):
    chosen = catalog.select_sources(150, 120, unit="pixel", matching_radius=50)
    figure, (left, _) = catalog.show(title="mine")
    assert len(left.lines[0].get_xdata()) == len(chosen)
    assert figure.get_suptitle() == "mine"


@pytest.mark.truth
def test_a_source_is_shown_beside_what_was_asked_for(catalog, tmp_path):
    row = catalog.data[3]
    ra, dec = row["ALPHA_J2000"].value, row["DELTA_J2000"].value
    path = tmp_path / "a.svg"
    figure, (left, right) = catalog.show_source(ra, dec, matching_radius="3 arcsec", nearest=True, zoom_radius_pixel=20, save_path=path)
    blue, red = right.collections
    assert path.read_bytes().startswith(b"<?xml")
    x, y = row["X_IMAGE"].value, row["Y_IMAGE"].value
    np.testing.assert_allclose(np.array(red.get_offsets()), [(x, y)], atol=1e-6)
    np.testing.assert_allclose(red.get_widths() / 2, 3 / catalog.frame.pixel_scale, rtol=1e-9)
    np.testing.assert_allclose(np.array(blue.get_offsets()), [(x, y)], atol=1e-6)
    assert catalog.nselected == catalog.nsources
    assert len(left.lines[0].get_xdata()) == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["found: 1", "asked for"]
    figure, (left, right) = catalog.show_source(2.0, 3.0, unit="pixel", matching_radius=0.5)
    assert len(ellipses(right)) == 1
    assert "0 found" in figure.get_suptitle()


def test_regions_on_the_pixels_are_the_apertures(catalog, tmp_path):
    path = tmp_path / "a.reg"
    assert catalog.to_region(path) == path
    regions = catalog.to_region()
    data = catalog.data
    assert [region.meta["text"] for region in regions] == [str(number) for number in data["NUMBER"]]
    for region, row in zip(regions, data, strict=True):
        assert (region.center.x, region.center.y) == (row["X_IMAGE"].value, row["Y_IMAGE"].value)
        assert region.width / 2 == pytest.approx(row["KRON_RADIUS"] * row["A_IMAGE"].value, rel=1e-6)
    lines = path.read_text().splitlines()
    assert lines[1] == "image"
    first = float(lines[2].split("(")[1].split(",")[0])
    assert first == pytest.approx(data["X_IMAGE"][0].value + 1, abs=1e-7)  # DS9 counts from 1
    circles = catalog.to_region(measure="APER_2")
    np.testing.assert_allclose([circle.radius for circle in circles], 19.7 / 2, rtol=1e-6)


def inside(region, east, north):
    """Return ``r^2`` of offsets (arcsec) in units of a region on the sky: 1 on its edge; its angle counts from west through north."""
    if not hasattr(region, "angle"):
        return (east**2 + north**2) / region.radius.to_value("arcsec") ** 2
    position_angle = np.radians(region.angle.to_value("deg") - 90)
    along = east * np.sin(position_angle) + north * np.cos(position_angle)
    across = east * np.cos(position_angle) - north * np.sin(position_angle)
    a, b = (size.to_value("arcsec") / 2 for size in (region.width, region.height))
    return (along / a) ** 2 + (across / b) ** 2


@pytest.mark.truth
@pytest.mark.parametrize("mirror", [1, -1])
@pytest.mark.parametrize("rotation", [0, 33, 200])
@pytest.mark.parametrize("stretch", [1.0, 1.4])
def test_regions_on_the_sky_cover_the_same_pixels(catalog, rotation, mirror, stretch):
    angle = np.radians(rotation)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [326.25, -77.26], [150, 120]
    wcs.wcs.cd = turn @ np.diag([-mirror * 0.5, 0.5 * stretch]) / 3600
    tilted = Catalog(catalog.data, image=Image(np.zeros((240, 300), np.float32), wcs=wcs))
    pairs = zip(tilted.to_region(), tilted.to_region(system="sky"), strict=True)
    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    for pixel, sky in list(pairs)[:10]:
        a, b, theta = pixel.width / 2, pixel.height / 2, np.radians(pixel.angle.to_value("deg"))
        x = pixel.center.x + a * np.cos(turns) * np.cos(theta) - b * np.sin(turns) * np.sin(theta)
        y = pixel.center.y + a * np.cos(turns) * np.sin(theta) + b * np.sin(turns) * np.cos(theta)
        offsets = sky.center.spherical_offsets_to(wcs.pixel_to_world(x, y))
        np.testing.assert_allclose(inside(sky, *(part.to_value("arcsec") for part in offsets)), 1.0, rtol=2e-3)


def test_rows_without_a_place_have_no_region(forced, catalog):
    table = forced.data.copy()
    table["X_IMAGE"][1] = np.nan * table["X_IMAGE"].unit
    regions = Catalog(table, frame=forced.frame).to_region()
    assert [region.meta["text"] for region in regions] == ["SN 1"]
    with pytest.raises(InputError, match="measure='ELIP': must be one of APER, APER_1"):
        forced.to_region(measure="ELIP")
    with pytest.raises(InputError, match="system='wcs': must be 'pixel' or 'sky'"):
        catalog.to_region(system="wcs")
    with pytest.raises(InputError, match="measure='AUTO': must be one of none, for the table holds no apertures"):
        Catalog(QTable({"NUMBER": [1]})).to_region()


@pytest.mark.truth
def test_stamps_are_cut_around_the_rows(forced, frame, tmp_path):
    pixels = fits.getdata(frame.path)
    first, second = forced.to_stamp(21, folder=tmp_path / "stamps")
    assert second is None
    assert first.corner == (110, 70)
    np.testing.assert_array_equal(first.data, pixels[70:91, 110:131])
    (written,) = (tmp_path / "stamps").iterdir()
    assert written.name == "calib_7DT01_T00528_20250901_020000_m600_100.SN%201.fits"
    with fits.open(written) as units:
        np.testing.assert_array_equal(units[0].data, pixels[70:91, 110:131])
        assert (units[0].header["FRAME_ID"], units[0].header["CORNER_X"]) == (7, 110)
        there = WCS(units[0].header).pixel_to_world(10, 10)
    assert there.separation(forced.image.wcs.pixel_to_world(120, 80)).arcsec < 1e-4
    assert forced.to_stamp("10 arcsec")[0].shape == (20, 20)


def test_files_for_other_programs(catalog, tmp_path):
    catalog.select_sources(150, 120, unit="pixel", matching_radius=80)
    path = catalog.write(tmp_path / "a.ecsv")
    found = Table.read(path)
    assert len(found) == catalog.nselected < catalog.nsources
    assert found["FLUX_AUTO"].unit == "ct"
    assert found.meta["target_img"] == catalog.frame.path
    np.testing.assert_allclose(found.meta["aperture_diameter_arcsec"], catalog.apertures)
    assert len(Table.read(catalog.write(tmp_path / "a.txt", "csv"), format="ascii.csv")) == len(found)


def test_nothing_is_written_over_the_archives_own(catalog, tmp_path):
    stored = Catalog(catalog.data, frame=catalog.frame, path=tmp_path / "a.parquet")
    with pytest.raises(InputError, match="path=.*must not be the archive's own file"):
        stored.write(tmp_path / "x" / ".." / "a.parquet")
    catalog._handle = SimpleNamespace(settings=config.Settings(roots={"scidata": {"path": tmp_path}}))
    writers = [
        lambda: catalog.write(tmp_path / "a.csv"), lambda: catalog.to_region(tmp_path / "a.reg"),
        lambda: catalog.to_stamp(5, folder=tmp_path), lambda: catalog.show(save_path=tmp_path / "a.png"),
    ]  # fmt: skip
    catalog._has_zero_points = True
    for write in writers:
        with pytest.raises(InputError, match="must not lie in data root 'scidata'"):
            write()
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_pictures_of_what_is_not_there(catalog):
    with pytest.raises(InputError, match="x=5, y=None: must both be given, or neither"):
        catalog.show(x=5)
    with pytest.raises(InputError, match="measure='PSF': must be one of AUTO, APER, APER_1, APER_2"):
        catalog.show("PSF")
    with pytest.raises(InputError, match="must overlap the image"):
        catalog.show(x=-500, y=3)
    nowhere = Catalog(QTable({"NUMBER": [1]}), frame=catalog.frame)
    for act in (nowhere.show, nowhere.to_stamp):
        with pytest.raises(InputError, match="data: lacks the column 'X_IMAGE'; it holds NUMBER"):
            act()


def test_without_an_image_nothing_can_be_drawn(measured):
    alone = Catalog(measured)
    for act in (alone.show, alone.to_stamp, lambda: alone.to_region(system="sky"), lambda: alone.show_source(1, 2)):
        with pytest.raises(InputError, match=r"<Catalog in memory: \d+ sources>: its image is not known"):
            act()
    assert len(alone.to_region()) == len(alone)


def test_a_source_is_shown_at_a_place_in_any_form(catalog):
    row = catalog.data[3]
    place = SkyCoord(row["ALPHA_J2000"], row["DELTA_J2000"])
    text = place.to_string("hmsdms", precision=5)
    wanted = f"1 found at {place.ra.deg:.6f}, {place.dec.deg:.6f}"
    for given in ((place,), (text,), (place.ra, place.dec), (place.ra.deg, place.dec.deg)):
        figure, _ = catalog.show_source(*given, matching_radius=1, zoom_radius_pixel=20)
        assert figure.get_suptitle().endswith(wanted)


@pytest.mark.pure
def test_rows_of_other_tables_are_called_by_their_place(frame, tmp_path):
    table = QTable({"X_IMAGE": [40.0, 80.0], "Y_IMAGE": [50.0, 60.0], "PIXSIZE_APER": [5.0, 6.0]})
    found = Catalog(table, frame=frame)
    assert [region.meta["text"] for region in found.to_region()] == ["0", "1"]
    assert len(found.to_stamp(9, tmp_path / "stamps")) == 2
    assert sorted(path.name.split(".")[-2] for path in (tmp_path / "stamps").iterdir()) == ["0", "1"]


def test_stamps_of_one_name_do_not_replace_each_other(frame, tmp_path):
    table = QTable({"target_id": ["a", "a", "b"], "X_IMAGE": [40.0, 80.0, 20.0], "Y_IMAGE": [50.0, 60.0, 20.0]})
    Catalog(table, frame=frame).to_stamp(9, tmp_path)
    stem = frame.path.rsplit("/")[-1].removesuffix(".fits")
    assert sorted(path.name.removeprefix(f"{stem}.") for path in tmp_path.glob("*.fits")) == ["a.2.fits", "a.fits", "b.fits"]
