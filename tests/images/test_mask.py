"""Masks."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.background import MeshBackground
from ezarchive.images.mask import circular_mask, invalid_mask, source_mask


def stars(rng, n=12, shape=(200, 240), level=500.0):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    data = rng.normal(level, 5, shape)
    grid = np.array([(30 + 45 * (i % 5), 30 + 45 * (i // 5)) for i in range(n)], float)
    x, y = (grid + rng.uniform(-5, 5, grid.shape)).T
    for tx, ty in zip(x, y, strict=True):
        data += 2000 * np.exp(-((xx - tx) ** 2 + (yy - ty) ** 2) / 8)
    return data.astype(np.float32), x, y


@pytest.mark.pure
class TestInvalid:
    def test_nan_infinity_and_large_areas_of_zeros(self):
        data = np.ones((60, 70))
        data[0, 0], data[1, 1] = np.nan, -np.inf
        data[10:30, 10:30] = 0
        data[40:43, 40:43] = 0
        mask = invalid_mask(data, threshold_invalid_connection=100)
        assert mask[0, 0]
        assert mask[1, 1]
        assert mask[10:30, 10:30].all()
        assert mask.sum() == 402
        assert invalid_mask(data).sum() == 2

    def test_wants_an_image(self):
        with pytest.raises(InputError, match="data: must be a 2-D array"):
            invalid_mask(np.ones(3))


@pytest.mark.pure
class TestCircular:
    def test_pixels_whose_centre_lies_inside(self, rng):
        yy, xx = np.mgrid[:80, :90]
        for _ in range(30):
            x, y, radius = rng.uniform(-20, 110), rng.uniform(-20, 100), rng.uniform(0.3, 50)
            np.testing.assert_array_equal(circular_mask((80, 90), x, y, radius), (xx - x) ** 2 + (yy - y) ** 2 <= radius**2)

    def test_circle_on_the_sky(self):
        # Pixels of 0.5 x 1 arcsec, turned by 30 degrees: the circle is an ellipse of 20 x 10 pixels.
        turn = np.radians(30)
        rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        jacobian = rotate @ np.diag([-0.5, 1.0])
        mask = circular_mask((80, 90), 45, 40, 10.0, jacobian=jacobian)
        yy, xx = np.mgrid[:80, :90]
        np.testing.assert_array_equal(mask, ((xx - 45) / 20) ** 2 + ((yy - 40) / 10) ** 2 <= 1)

    def test_added_to_a_mask_that_stays_as_it_was(self):
        former = np.zeros((80, 90), bool)
        former[3, 4] = True
        mask = circular_mask((80, 90), 45, 40, 5.0, mask=former)
        assert mask[3, 4]
        assert mask[40, 45]
        assert former.sum() == 1
        assert not np.shares_memory(mask, former)

    def test_off_the_image(self):
        assert not circular_mask((80, 90), -100, 40, 50.0).any()

    @pytest.mark.parametrize(
        ("arguments", "options", "message"),
        [((5, 5, 0.0), {}, "radius: must be positive"), ((5, 5, np.nan), {}, "radius: must be positive"),
         ((np.nan, 5, 3), {}, "x, y: must be finite"),
         ((5, 5, 3), {"mask": np.zeros((2, 2), bool)}, r"mask: must have the shape of the image \(80, 90\)")],
    )  # fmt: skip
    def test_wrong_arguments(self, arguments, options, message):
        with pytest.raises(InputError, match=message):
            circular_mask((80, 90), *arguments, **options)


@pytest.mark.truth
class TestSources:
    def test_every_star_is_masked_and_little_else(self, rng):
        data, x, y = stars(rng)
        mask, n_sources, n_saturated = source_mask(data, sigma=5, radius_factor=2)
        assert (n_sources, n_saturated) == (12, 0)
        assert mask[np.rint(y).astype(int), np.rint(x).astype(int)].all()
        assert 0.05 < mask.mean() < 0.3

    def test_radius_factor_and_saturation(self, rng):
        data, _, _ = stars(rng, n=1)
        small, large = (source_mask(data, radius_factor=factor).mask.sum() for factor in (1.5, 3.0))
        assert large / small == pytest.approx(4, rel=0.05)
        saturated = source_mask(data, radius_factor=1.5, saturation=1000.0)
        assert saturated.n_saturated == 1
        assert saturated.mask.sum() == pytest.approx(large, rel=0.02)
        assert source_mask(data, saturation=1e5).n_saturated == 0

    def test_gradients_do_not_count_as_sources(self, rng):
        data, _, _ = stars(rng)
        sloped = data + np.linspace(0, 2000, data.shape[1], dtype=np.float32)
        assert source_mask(sloped, sigma=5).n_sources == 12

    def test_masked_and_bad_pixels(self, rng):
        data, x, y = stars(rng)
        former = circular_mask(data.shape, x[0], y[0], 15.0)
        data[100, 5] = np.nan
        kept = former.copy(), data.copy()
        found = source_mask(data, former)
        assert found.n_sources == 11
        assert found.mask[former].all()
        np.testing.assert_array_equal(former, kept[0])
        np.testing.assert_array_equal(data, kept[1])

    def test_given_background(self, rng):
        data, _, _ = stars(rng)
        assert source_mask(data, background=MeshBackground.constant(500.0, 5.0, data.shape)).n_sources == 12

    def test_constant_image(self):
        found = source_mask(np.ones((50, 50)))
        assert found.n_sources == 0
        assert not found.mask.any()


@pytest.mark.pure
class TestSourceInput:
    def test_wrong_numbers(self):
        with pytest.raises(InputError, match="sigma, radius_factor: must be positive"):
            source_mask(np.ones((5, 5)), sigma=0)

    def test_wrong_mask(self):
        with pytest.raises(InputError, match="mask: must have the shape of the image"):
            source_mask(np.ones((5, 5)), np.zeros((3, 3), bool))

    def test_threshold_in_the_sky(self, rng):
        flat = MeshBackground.constant(0.0, 1.0, (1200, 1200))
        with pytest.raises(MeasurementError, match="raise sigma") as caught:
            source_mask(rng.normal(100, 1, (1200, 1200)).astype(np.float32), background=flat)
        assert caught.value.code == "too_many_pixels"
