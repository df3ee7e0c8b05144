"""Moments of lists of pixels, against numpy; digit by digit they are tested against sep (photometry/test_extraction.py)."""

from __future__ import annotations

import numpy as np
import pytest
import sep

from ezarchive.kernels import moments

pytestmark = pytest.mark.pure

NONE = np.empty(0, np.float32)


def measured(image, where, noise=NONE, thresh=1.0, centre=None):
    rows, columns = (index.astype(np.int32) for index in np.nonzero(where))
    values = image[rows, columns].astype(np.float32)
    floats, integers = np.zeros(moments.N_FLOATS), np.zeros(moments.N_INTEGERS, np.int64)
    if centre is not None:
        floats[1:3] = centre
    members = np.arange(len(rows), dtype=np.int32)
    moments.measure(members, 0, len(rows), rows, columns, values, values, noise, np.float32(thresh), centre is not None, floats, integers)
    return dict(zip((*moments.FLOATS, "abcor"), floats, strict=True)) | dict(zip(moments.INTEGERS, integers.tolist(), strict=True))


def gaussian(shape=(60, 70), centre=(30.3, 25.8), sigma=(4.0, 2.0), angle=0.5):
    y, x = np.mgrid[: shape[0], : shape[1]]
    u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    v = -(x - centre[0]) * np.sin(angle) + (y - centre[1]) * np.cos(angle)
    return 1000 * np.exp(-0.5 * ((u / sigma[0]) ** 2 + (v / sigma[1]) ** 2))


def test_a_gaussian_has_its_own_shape():
    image = gaussian()
    found = measured(image, image > 1e-3)
    assert (found["x"], found["y"]) == pytest.approx((30.3, 25.8), abs=1e-4)
    assert (found["a"], found["b"], found["theta"]) == pytest.approx((4.0, 2.0, 0.5), rel=1e-3)
    matrix = np.linalg.inv([[found["x2"], found["xy"]], [found["xy"], found["y2"]]])
    assert (found["cxx"], found["cyy"], found["cxy"]) == pytest.approx((matrix[0, 0], matrix[1, 1], 2 * matrix[0, 1]), rel=1e-5)
    assert found["flux"] == pytest.approx(image.sum(), rel=1e-4)
    assert (found["xpeak"], found["ypeak"]) == (30, 26)


def test_limits_and_areas():
    image = gaussian()
    where = image > 100
    found = measured(image, where, thresh=200)
    y, x = np.nonzero(where)
    assert (found["xmin"], found["xmax"], found["ymin"], found["ymax"]) == (x.min(), x.max(), y.min(), y.max())
    assert (found["npix"], found["tnpix"]) == (where.sum(), (image > 200).sum())
    assert found["abcor"] == pytest.approx(1.0, abs=0.1)


def test_a_line_is_as_wide_as_a_pixel():
    image = np.zeros((5, 30))
    image[2, 4:20] = 7.0
    found = measured(image, image > 0)
    assert found["flag"] == moments.SINGULAR == sep.OBJ_SINGU
    assert found["y2"] == pytest.approx(1 / 12, rel=1e-4)
    assert found["b"] == pytest.approx(np.sqrt(1 / 12), rel=1e-4)


def test_a_centre_that_is_kept():
    image = gaussian()
    own, other = measured(image, image > 1), measured(image, image > 1, centre=(31.3, 25.8))
    assert (other["x"], other["y"]) == (31.3, 25.8)
    assert other["x2"] == pytest.approx(own["x2"] + (31.3 - own["x"]) ** 2, rel=1e-6)


def test_errors_of_the_moments(rng):
    image = gaussian()
    where = image > 50
    noise = rng.uniform(1, 2, where.sum()).astype(np.float32)
    found = measured(image, where, noise)
    weight = image[where].sum()
    x = np.nonzero(where)[1]
    assert found["errx2"] == pytest.approx((noise.astype(float) ** 2 * (x - found["x"]) ** 2).sum() / weight**2, rel=1e-5)
    assert measured(image, where)["errx2"] == 0


@pytest.mark.parametrize(("place", "flag"), [((0, 5), 2), ((5, 0), 2), ((9, 5), 2), ((5, 11), 2), ((5, 5), 0)])
def test_edges(place, flag):
    rows, columns = np.array([4, place[0]], np.int32), np.array([4, place[1]], np.int32)
    assert moments.edge_flag(np.arange(2, dtype=np.int32), 0, 2, rows, columns, 10, 12) == flag
    assert moments.TRUNCATED == sep.OBJ_TRUNC
