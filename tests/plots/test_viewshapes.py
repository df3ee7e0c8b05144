"""Regions in a view, to scale."""

from __future__ import annotations

import numpy as np
import pytest
import regions as astropy_regions
from astropy.coordinates import SkyCoord
from flatsky import tan
from matplotlib.figure import Figure
from matplotlib.path import Path
from regions import PixCoord

from ezarchive.errors import InputError
from ezarchive.plots.viewshapes import draw_regions
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle

STAR = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)


def drawn(regions, **options):
    axes = Figure().add_subplot()
    axes.set_xlim(-0.5, 99.5)
    axes.set_ylim(-0.5, 99.5)
    draw_regions(axes, regions, **options)
    return axes


def box(path):
    (x0, y0), (x1, y1) = path.get_extents().get_points()
    return x0, x1, y0, y1


@pytest.mark.truth
@pytest.mark.parametrize(
    "shape",
    [
        Circle(40, 50, 7), Ellipse(40, 50, 12, 5, 30), Ellipse(40, 50, 5, 12, 0), Rectangle(30, 20, 12, 6, 25),
        Annulus(Circle(30, 40, 5), Circle(30, 40, 9)), Polygon(((10, 10), (30, 12), (20, 40))), Raster(STAR, 20, 30),
        Inverted(Circle(40, 50, 7)), Combined("or", (Circle(40, 50, 7), Circle(45, 50, 7))),
    ],
)  # fmt: skip
def test_outlines_have_the_bounds_of_their_shapes(shape):
    (patch,) = drawn([shape]).patches
    bounds = (shape.part if isinstance(shape, Inverted) else shape).bounds
    np.testing.assert_allclose(box(patch.get_path()), bounds, rtol=0, atol=0.1)
    assert (patch.get_linestyle() != "-") == isinstance(shape, Inverted)


@pytest.mark.truth
def test_insides_are_those_of_the_shape():
    shape = Ellipse(40, 50, 12, 5, 30)
    x, y = np.meshgrid(np.arange(100.0), np.arange(100.0))
    (patch,) = drawn([shape]).patches
    outline = Path(patch.get_path().to_polygons()[0])
    inside = outline.contains_points(np.stack([x.ravel(), y.ravel()], 1)).reshape(x.shape)
    # The outline becomes a polygon here, which cuts its bends.
    assert inside[shape.scaled(0.98).contains(x, y)].all()
    assert not inside[~shape.scaled(1.001).contains(x, y)].any()


@pytest.mark.truth
def test_combinations_are_traced():
    overlap = Combined("and", (Circle(40, 50, 10), Circle(52, 50, 10)))
    (patch,) = drawn([overlap]).patches
    x0, x1, y0, y1 = box(patch.get_path())
    np.testing.assert_allclose((x0, x1, y0, y1), (42, 50, 42, 58), atol=0.05)
    (parts,) = drawn([overlap.to_dict()]).patches
    np.testing.assert_allclose(box(parts.get_path()), (30, 62, 40, 60), atol=0.05)
    apart = Combined("and", (Circle(10, 10, 2), Circle(52, 50, 10)))
    assert len(drawn([apart], labels=["nothing"]).patches) == 1
    outside = Combined("and", (Inverted(Circle(40, 50, 10)), Inverted(Circle(60, 50, 10))))
    np.testing.assert_allclose(box(drawn([outside]).patches[0].get_path()), (30, 70, 40, 60), atol=0.2)


@pytest.mark.truth
def test_the_edges_of_a_mask_go_around_its_pixels():
    (patch,) = drawn([Raster(STAR, 20, 30)]).patches
    ends = patch.get_path().vertices.reshape(-1, 2, 2)
    assert len(ends) == 12
    np.testing.assert_allclose(np.hypot(*(ends[:, 1] - ends[:, 0]).T), 1)
    np.testing.assert_allclose(np.abs(ends - np.floor(ends)), 0.5)


@pytest.mark.oracle
def test_regions_of_the_package_on_pixels_and_on_the_sky():
    wcs = tan(0.5, 40)
    pixel = [
        astropy_regions.CirclePixelRegion(PixCoord(40, 50), 7),
        astropy_regions.EllipsePixelRegion(PixCoord(40, 50), 24, 10),
        astropy_regions.RectanglePixelRegion(PixCoord(30, 20), 12, 6),
        astropy_regions.PolygonPixelRegion(PixCoord([10, 30, 20], [10, 12, 40])),
        astropy_regions.CircleAnnulusPixelRegion(PixCoord(30, 40), 5, 9),
        astropy_regions.PointPixelRegion(PixCoord(30, 40)),
    ]
    boxes = [(33, 47, 43, 57), (28, 52, 45, 55), (24, 36, 17, 23), (10, 30, 10, 40), (21, 39, 31, 49), (29, 31, 39, 41)]
    for patch, expected in zip(drawn(pixel).patches, boxes, strict=True):
        np.testing.assert_allclose(box(patch.get_path()), expected, atol=1e-6)
    (patch,) = drawn([pixel[0] & pixel[4]]).patches
    np.testing.assert_allclose(box(patch.get_path()), (21, 47, 31, 57), atol=1e-6)
    sky = pixel[0].to_sky(wcs)
    np.testing.assert_allclose(box(drawn([sky], wcs=wcs).patches[0].get_path()), boxes[0], atol=1e-3)
    with pytest.raises(InputError, match=r"regions\[1\]: is on the sky \(CircleSkyRegion\); the image must have a WCS"):
        drawn([pixel[0], sky])


@pytest.mark.pure
def test_labels_stay_within_the_view():
    shapes = [Circle(50, 50, 7), Circle(50, 96, 7), Circle(0, 50, 7), Circle(99, 50, 3), Circle(500, 50, 3), Circle(50, 50, 500)]
    axes = drawn(shapes, labels=[f"Subset {k}" for k in range(6)])
    places = {text.get_text(): text.xy for text in axes.texts}
    assert "Subset 4" not in places
    assert set(places) == {f"Subset {k}" for k in (0, 1, 2, 3, 5)}
    assert places["Subset 0"] == pytest.approx((50, 57))
    assert all(0 <= x <= 99 and 0 <= y <= 99 for x, y in places.values())


@pytest.mark.pure
def test_each_region_may_have_a_colour():
    patches = drawn([Circle(50, 50, 7), Circle(50, 50, 9), Circle(50, 50, 11)], colour=["#ff0000", "#00ff00"]).patches
    assert [patch.get_edgecolor()[:3] for patch in patches] == [(1, 0, 0), (0, 1, 0), (1, 0, 0)]


@pytest.mark.pure
@pytest.mark.parametrize(
    ("regions", "labels", "message"),
    [
        ([Circle(1, 2, 3)], ["a", "b"], "labels: must be one for each of 1 regions, found 2"),
        ([Circle(1, 2, 3), 5], None, r"regions\[1\]: must be a shape or a region, found int"),
        ([{"kind": "star"}], None, r"regions\[0\]: must be a shape or a region, found kind 'star'"),
        ([{"kind": "circle", "x": 3}], None, r"regions\[0\]: is no whole circle"),
        ([{"kind": "raster", "shape": [2, 2], "x0": 0, "y0": 0, "bits": "AAAA"}], None, r"regions\[0\]: is no whole raster"),
        ([SkyCoord(1, 2, unit="deg")], None, r"regions\[0\]: must be a shape or a region, found SkyCoord"),
    ],
)
def test_wrong_regions(regions, labels, message):
    with pytest.raises(InputError, match=message):
        drawn(regions, labels=labels)
