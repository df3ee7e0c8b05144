"""Subsets: labels, combination, editing, loading, recentring, other images, export."""

from __future__ import annotations

import json

import numpy as np
import pytest
import regions as rg
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.regions.centroids import recenter
from ezarchive.quicklook.regions.regionfiles import read_regions, write_regions
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Rectangle
from ezarchive.quicklook.regions.subsets import Subsets
from ezarchive.quicklook.regions.subsetvalues import logic_of, values_of

pytestmark = pytest.mark.pure

Y, X = np.mgrid[:60, :70]
PLACE = SkyCoord(30.0005, -40.0004, unit="deg")


def tan(angle=0.0, scale=0.3):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [30.0, -40.0], [35.0, 30.0]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = np.array([[-c, s], [s, c]]) * scale / 3600
    return wcs


def star(x, y):
    return 100.0 * np.exp(-0.5 * ((X - x) ** 2 + (Y - y) ** 2) / 9.0)


@pytest.fixture
def image():
    return picture(star(33.3, 28.7), wcs=tan(), label="one")


@pytest.fixture
def other():
    return picture(star(33.3, 28.7), wcs=tan(40.0, 0.6), label="two")


def test_labels_count_up_and_masks_have_their_own():
    subsets = Subsets()
    mask = np.zeros((60, 70), bool)
    mask[3, 4] = True
    made = [
        subsets.add(Circle(1, 2, 3)), subsets.add(mask), subsets.add(Ellipse(1, 2, 3, 2)), subsets.add(Polygon([(0, 0), (3, 0), (3, 3)])),
        subsets.add(Annulus(Circle(1, 2, 3), Circle(1, 2, 4)), label="ring"), subsets.add(Rectangle(1, 2, 3, 3)),
    ]  # fmt: skip
    labels = ["Subset 1", "MaskedSubset 1", "Subset 2", "MaskedSubset 2", "ring", "Subset 3"]
    assert [one.label for one in made] == subsets.labels == list(subsets) == labels
    subsets.remove("Subset 3")
    assert subsets.add(Circle(1, 1, 1)).label == "Subset 4"
    subsets.rename("ring", "Subset 5")
    assert subsets.labels[4] == "Subset 5"
    assert subsets.add(Circle(1, 1, 1)).label == "Subset 6"
    assert "Subset 6" in subsets
    assert len(subsets) == 7


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda s: s["Subset 9"], "subset 'Subset 9': must be one of Subset 1, Subset 2"),
        (lambda s: s.add(Circle(1, 1, 1), label="Subset 1"), "label='Subset 1': must be new, found a subset that has it"),
        (lambda s: s.add(Circle(1, 1, 1), label=" "), "label=' ': must be a text"),
        (lambda s: s.add("circle"), "Mask creation failed: must be a region"),
        (
            lambda s: s.combine("Subset 1", Circle(1, 1, 1), "plus"),
            "mode='plus': must be one of replace, or, add, and, xor, andnot, remove",
        ),
        (lambda s: s.combine("Subset 9", Circle(1, 1, 1), "or"), "subset 'Subset 9': must be one of"),
        (lambda s: s.edit("Subset 9", x=1), "subset 'Subset 9': must be one of"),
        (lambda s: s.edit("Subset 1", color=1), "color: must be one of x, y, radius"),
        (lambda s: s.edit("Subset 1", radius=0), "radius=0.0: must be a number above 0"),
        (lambda s: s.edit("Subset 1", radius=-2), "radius=-2.0: must be a number above 0"),
        (lambda s: s.edit("Subset 1", x="left"), "x='left': must be a finite number"),
        (lambda s: s.edit("Subset 1", part=1, x=2), "part=1: must be a whole number from 0 to 0"),
        (lambda s: s.edit("Subset 2", x=2), "part: must be given for 'Subset 2', which has 2 parts"),
        (lambda s: s.edit("Subset 2", part=True, x=2), "part=True: must be a whole number from 0 to 1"),
        (lambda s: s.recenter("Subset 1"), "image: must be given for 'Subset 1', which was made without one"),
        (lambda s: s.load([Circle(1, 1, 1)], None), "Cannot load regions without data"),
        (lambda s: s["Subset 1"].on(np.zeros((5, 5))), "Subset 1: was made without an image"),
        (lambda s: s["Subset 1"].on(np.zeros((5, 5)), "affine"), "link_type='affine': must be 'wcs' or 'pixels'"),
        (lambda s: s["Subset 1"].region(sky=True), "Subset 1: must have an image with a WCS to be a region of the sky"),
    ],
)
def test_bad_input_changes_nothing(work, message):
    subsets = Subsets()
    subsets.add(Circle(5, 5, 3))
    subsets.add(Circle(5, 5, 3))
    subsets.combine("Subset 2", Circle(8, 5, 3), "or")
    before = subsets.to_dict()
    with pytest.raises(InputError, match=message):
        work(subsets)
    assert subsets.to_dict() == before


@pytest.mark.parametrize("values", [None, {}, {"subsets": [{"label": "a"}]}, {"subsets": ["a"]}, {"subsets": 5}])
def test_what_to_dict_did_not_write_is_refused(values):
    with pytest.raises(InputError, match=r"values: must be what `Subsets.to_dict` returns, found"):
        Subsets.from_dict(values)


def test_nothing_yet():
    assert Subsets().get("a") is None
    with pytest.raises(InputError, match="subset 'a': must be one of none, as there is none"):
        Subsets()["a"]


@pytest.mark.parametrize(
    ("mode", "logic", "truth"),
    [
        ("replace", "0", lambda a, b: b),
        ("or", "0 or 1", lambda a, b: a | b),
        ("add", "0 or 1", lambda a, b: a | b),
        ("and", "0 and 1", lambda a, b: a & b),
        ("xor", "0 xor 1", lambda a, b: a ^ b),
        ("andnot", "0 and not 1", lambda a, b: a & ~b),
        ("remove", "0 and not 1", lambda a, b: a & ~b),
    ],
)
def test_modes(mode, logic, truth):
    one, two = Circle(20, 20, 8), Rectangle(26, 20, 9, 9)
    subsets = Subsets()
    subsets.add(one)
    found = subsets.combine("Subset 1", two, mode)
    assert found.logic == logic
    assert np.array_equal(found.shape.contains(X, Y), truth(one.contains(X, Y), two.contains(X, Y)))
    assert subsets["Subset 1"] is found


def test_trees():
    subsets = Subsets()
    subsets.add(Circle(20, 20, 8))
    subsets.combine("Subset 1", Circle(26, 20, 8), "or")
    subsets.combine("Subset 1", Circle(23, 20, 2), "andnot")
    assert subsets["Subset 1"].logic == "(0 or 1) and not 2"
    assert [one["part"] for one in subsets["Subset 1"].parameters()] == [0, 1, 2]
    found = subsets.edit("Subset 1", part=2, radius=4, y=0)
    assert values_of(found.shape.parts[1].part) == {"x": 23, "y": 0, "radius": 4}
    assert logic_of(Inverted(Combined("xor", (Circle(1, 1, 1), Circle(2, 2, 2))))) == "not (0 xor 1)"
    subsets.add(Circle(1, 1, 1))
    assert subsets.combine("Subset 2", "Subset 1", "xor").logic == "0 xor ((1 or 2) and not 3)"


def test_loading(image, tmp_path):
    subsets = Subsets()
    mask = np.zeros((60, 70), bool)
    mask[:3, :3] = True
    regions = [
        rg.CirclePixelRegion(rg.PixCoord(10, 10), 3), rg.CircleSkyRegion(PLACE, 2 * u.arcsec), rg.PointPixelRegion(rg.PixCoord(1, 1)), mask,
        Polygon([(500, 0), (510, 0), (510, 10)]), Circle(-50, 10, 3), "words", Circle(0, 0, 0.1), Circle(-2, -2, 4),
    ]  # fmt: skip
    report = subsets.load(regions, image)
    assert report.loaded == ("Subset 1", "Subset 2", "MaskedSubset 1", "Subset 3", "Subset 4")
    assert [one.reason for one in report.failures] == [
        "not implemented: PointPixelRegion has no area",
        "Mask creation failed: it is fully outside the image",
        "Mask creation failed: it is fully outside the image",
        "Mask creation failed: must be a region, an aperture, a shape or a mask of bool, found str",
    ]
    assert report.failures[0].region is regions[2]
    assert report.message == "Loaded 5 of 9 regions"
    json.dumps(report.to_dict(), allow_nan=False)
    bare = subsets.load(regions[:2], np.zeros((60, 70)))
    assert bare.failures[0].reason == "Sky region provided but data has no valid WCS"
    few = Subsets().load(regions[:2], image, limit=1)
    assert few.message == "Loaded 1 of 2 regions"
    assert few.failures[0].reason == "more than limit=1 regions"
    path = tmp_path / "a.reg"
    path.write_text("image\ncircle(10,10,3) # text={a star}\n-circle(20,20,3)\npoint(3,3)\n")
    filed = Subsets().load(path, image)
    assert filed.loaded == ("a star",)
    assert [one.reason for one in filed.failures] == ["not implemented: PointPixelRegion has no area", "it is excluded in the file"]


def test_thirty_regions_are_all_loaded(image):
    assert len(Subsets().load([Circle(10 + k, 10, 2) for k in range(30)], image).loaded) == 30


def test_on_other_images(image, other):
    subsets = Subsets()
    sky = subsets.add(rg.CircleSkyRegion(PLACE, 3 * u.arcsec), image)
    drawn = subsets.add(Circle(*sky.shape.center, sky.shape.radius), image)
    mask = np.zeros((60, 70), bool)
    mask[20:30, 20:30] = True
    masked = subsets.add(mask, image)
    for one in (sky, drawn):
        assert one.on(image) == one.shape
        there = one.on(other)
        assert there.radius == pytest.approx(5, rel=1e-6)
        assert there.center == pytest.approx([float(one) for one in other.wcs.world_to_pixel(PLACE)], abs=1e-6)
        assert one.on(np.zeros((60, 70)), "pixels") == one.shape
    assert drawn.on(other, "pixels") == drawn.shape
    assert sky.on(other, "pixels") == sky.on(other)
    assert masked.on(other).area == pytest.approx(25, abs=3)
    with pytest.raises(InputError, match="Sky region provided but data has no valid WCS"):
        sky.on(np.zeros((60, 70)))
    with pytest.raises(InputError, match="image: must have a WCS to bring a region from one image to another"):
        drawn.on(np.zeros((60, 70)))


def test_parameters_on_the_sky(image):
    subsets = Subsets()
    circle = subsets.add(Circle(34, 29, 10), image).parameters(sky=True)
    assert circle == [{"part": 0, "kind": "circle", "ra": pytest.approx(30), "dec": pytest.approx(-40), "radius": pytest.approx(3)}]
    oval = subsets.add(rg.EllipseSkyRegion(PLACE, 8 * u.arcsec, 4 * u.arcsec, 100 * u.deg), image).parameters(sky=True)
    assert oval[0] == {"part": 0, "kind": "ellipse", "ra": PLACE.ra.deg, "dec": PLACE.dec.deg, "a": 4, "b": 2, "pa": pytest.approx(10)}
    ring = subsets.add(Annulus(Circle(34, 29, 5), Circle(34, 29, 10)), image).parameters(sky=True)[0]
    assert (ring["kind"], ring["inner_radius"], ring["outer_radius"]) == ("annulus", pytest.approx(1.5), pytest.approx(3))
    corners = subsets.add(Polygon([(30, 30), (35, 30), (35, 35)]), image).parameters(sky=True)[0]["vertices"]
    assert len(corners) == 3
    with pytest.raises(InputError, match="must have an image with a WCS to be on the sky"):
        subsets.add(Circle(1, 1, 1)).parameters(sky=True)


def test_combined_on_other_images(image, other):
    subsets = Subsets()
    subsets.add(rg.CircleSkyRegion(PLACE, 3 * u.arcsec), image)
    found = subsets.combine("Subset 1", rg.CircleSkyRegion(PLACE, 1 * u.arcsec), "andnot")
    assert found.sky is not None
    assert [one.radius for one in (found.on(other).parts[0], found.on(other).parts[1].part)] == pytest.approx([5, 5 / 3], rel=1e-6)
    mixed = subsets.combine("Subset 1", Circle(30, 30, 2), "or")
    assert mixed.sky is None
    assert mixed.on(other).parts[1].radius == pytest.approx(1, rel=1e-6)
    from_other = subsets.combine("Subset 1", Circle(30, 30, 2), "replace", other)
    assert from_other.shape.radius == pytest.approx(4, rel=1e-6)
    edited = subsets.add(rg.CircleSkyRegion(PLACE, 3 * u.arcsec), image)
    again = subsets.edit(edited.label, x=12.0)
    assert image.wcs.world_to_pixel(SkyCoord(again.sky.ra, again.sky.dec, unit="deg"))[0] == pytest.approx(12, abs=1e-6)


def test_recenter(image, other):
    subsets = Subsets()
    subsets.add(rg.CircleSkyRegion(image.wcs.pixel_to_world(31.0, 27.0), 3 * u.arcsec), image)
    found = subsets.recenter("Subset 1")
    assert found.converged
    now = subsets["Subset 1"]
    assert now.shape.center == pytest.approx((33.3, 28.7), abs=0.02)
    assert now.shape.center == pytest.approx((found.x, found.y), abs=1e-9)
    assert image.wcs.world_to_pixel(SkyCoord(now.sky.ra, now.sky.dec, unit="deg")) == pytest.approx(now.shape.center, abs=1e-6)
    alone = recenter(other, now.on(other))
    there = subsets.recenter("Subset 1", other)
    assert there.converged
    assert (there.x, there.y) == (alone.x, alone.y)
    assert subsets["Subset 1"].on(other).center == pytest.approx((there.x, there.y), abs=1e-5)
    subsets.add(Circle(31, 27, 9))
    subsets.recenter("Subset 2", image)
    assert subsets["Subset 2"].shape.center == pytest.approx((33.3, 28.7), abs=0.02)
    subsets.combine("Subset 2", Circle(1, 1, 1), "or")
    before = subsets["Subset 2"]
    assert "several parts" in subsets.recenter("Subset 2", image).reason
    assert subsets["Subset 2"] is before


def test_export(image, tmp_path):
    subsets = Subsets()
    subsets.add(Circle(10, 10, 3), image)
    subsets.add(Ellipse(10, 10, 3, 2, 5), image, label="oval")
    assert read_regions(subsets.write(tmp_path / "a.reg")).labels == ("Subset 1", "oval")
    sky = read_regions(subsets.write(tmp_path / "s.reg", sky=True))
    assert isinstance(sky[0], rg.CircleSkyRegion)
    assert (
        Subsets().load(write_regions(tmp_path / "b.fits", [one.shape for one in subsets.values()]), image).message
        == "Loaded 2 of 2 regions"
    )
    assert subsets["oval"].region(sky=True).width.to_value(u.arcsec) == pytest.approx(1.8, rel=1e-6)


def test_dict_and_back(image):
    subsets = Subsets()
    subsets.add(Circle(10, 10, 3), image)
    subsets.add(Polygon([(0, 0), (3, 0), (3, 3)]), label="a")
    subsets.combine("a", Circle(1, 1, 1), "xor")
    values = json.loads(json.dumps(subsets.to_dict(), allow_nan=False))
    back = Subsets.from_dict(values, {"one": image})
    assert back.labels == subsets.labels
    assert [one.shape for one in back.values()] == [one.shape for one in subsets.values()]
    assert back["Subset 1"].picture is image
    assert back["Subset 1"].sky is None
    subsets.add(rg.CircleSkyRegion(PLACE, 3 * u.arcsec), image, label="s")
    again = Subsets.from_dict(json.loads(json.dumps(subsets.to_dict())), {"one": image})["s"].sky
    assert (again.ra, again.dec, *again.lengths) == pytest.approx((PLACE.ra.deg, PLACE.dec.deg, 3.0), rel=1e-9)
    assert Subsets.from_dict(subsets.to_dict())["s"].sky is None
    assert back.add(Circle(1, 1, 1)).label == "Subset 2"
