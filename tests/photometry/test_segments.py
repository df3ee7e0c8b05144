"""Pixels of segments, and flags by themselves; whole images are in test_photutils_engine."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import flags
from ezarchive.photometry.aperture import ApertureSums
from ezarchive.photometry.pixels import Pixels
from ezarchive.photometry.segments import Segments, segment_flags

BIT = {flag.name: flag.bit for flag in flags.FLAGS}


@pytest.fixture
def labels() -> np.ndarray:
    out = np.zeros((40, 50), np.int64)
    out[10:15, 10:15], out[10:15, 15:18], out[30:34, 0:4] = 1, 2, 3
    return out


def values(**changed) -> dict[str, np.ndarray]:
    base = {
        "X_IMAGE": [12.0, 16.0, 1.5], "Y_IMAGE": [12.0, 12.0, 31.5], "X2_IMAGE": [2.0, 0.7, 1.2], "Y2_IMAGE": [2.0, 2.0, 1.2],
        "XY_IMAGE": [0.0, 0.0, 0.0], "KRON_RADIUS": [1.0, 1.0, 0.5], "XMIN_IMAGE": [10, 15, 0], "XMAX_IMAGE": [14, 17, 3],
        "YMIN_IMAGE": [10, 10, 30], "YMAX_IMAGE": [14, 14, 33], "FLUX_MAX": [50.0, 20.0, 30.0], "BACKGROUND": [10.0, np.nan, 10.0],
    }  # fmt: skip
    return {name: np.array(changed.get(name, column), float) for name, column in base.items()}


def flags_of(labels, bad=None, merged=(False,) * 3, overflown=(False,) * 3, apertures=(), saturation=None, **changed) -> list[set[str]]:
    pixels = Pixels(np.zeros(labels.shape, np.float32), 1.0, bad)
    bits = segment_flags(pixels, values(**changed), Segments.of(labels, np.array(merged), np.array(overflown)), apertures, saturation)
    assert bits.dtype == np.int16
    return [set(flags.decode(value)) for value in bits]


@pytest.mark.pure
class TestSegments:
    def test_pixels(self, labels):
        found = Segments.of(labels, *np.zeros((2, 3), bool))
        assert found.n == 3
        np.testing.assert_array_equal(found.sum(), [25, 15, 16])
        assert found.labels.dtype == np.int32
        np.testing.assert_array_equal(labels[found.y, found.x], found.source + 1)

    def test_sums(self, labels):
        found = Segments.of(labels, *np.zeros((2, 3), bool))
        np.testing.assert_array_equal(found.sum(found.x, found.y == 10), [60, 48, 0])


@pytest.mark.pure
class TestFlags:
    def test_none(self, labels):
        assert flags_of(labels)[:2] == [set(), set()]

    def test_edge(self, labels):
        assert flags_of(labels)[2] == {"TRUNCATED"}
        assert flags_of(labels, KRON_RADIUS=[1.0, 1.0, 2.0])[2] == {"TRUNCATED", "APER_INCOMPLETE"}

    def test_merged(self, labels):
        assert flags_of(labels, merged=(True, True, False))[:2] == [{"MERGED"}, {"MERGED"}]

    def test_overflown(self, labels):
        assert flags_of(labels, overflown=(False, True, False))[:2] == [set(), {"DEBLEND_OVERFLOW"}]

    def test_crowded_from_a_tenth_on(self, labels):
        # The ellipse of 4.2 pixels round the first source holds 5 of the second's 15 in 57.
        assert flags_of(labels, KRON_RADIUS=[3.0, 1.0, 0.5])[0] == {"CROWDED"}
        assert flags_of(labels, KRON_RADIUS=[2.2, 1.0, 0.5])[0] == set()

    def test_saturated_with_the_background(self, labels):
        assert [("SATURATED" in one) for one in flags_of(labels, saturation=60.0)] == [True, False, False]
        assert [("SATURATED" in one) for one in flags_of(labels, saturation=20.0)] == [True, True, True]

    def test_bad_pixels(self, labels):
        bad = np.zeros(labels.shape, bool)
        bad[12, 9] = True
        assert flags_of(labels, bad)[0] == {"ISO_INCOMPLETE"}
        assert flags_of(labels, bad, KRON_RADIUS=[2.2, 1.0, 0.5])[0] == {"ISO_INCOMPLETE", "APER_INCOMPLETE"}

    def test_apertures(self, labels):
        off = flags.value(flags.FLAGS_APER, "OFF_IMAGE_PARTLY")
        neighbour = flags.value(flags.FLAGS_APER, "NEIGHBOUR")
        sums = ApertureSums(*np.zeros((4, 3)), np.array([neighbour, off, 0], np.int16))
        assert flags_of(labels, apertures=[sums])[:2] == [set(), {"APER_INCOMPLETE"}]

    def test_what_could_not_be_measured(self, labels):
        assert flags_of(labels, KRON_RADIUS=[np.nan, 1.0, 0.5], X2_IMAGE=[0.0, 0.7, 1.2])[0] == set()
