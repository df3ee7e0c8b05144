"""The mesh background against sep's own maps, and on images with nothing in them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import sep
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.background import MeshBackground, estimate


def scene(shape, seed=0, level=400.0, noise=40.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ny, nx = shape
    gradient = np.linspace(0, 200, nx)[None, :] + 100 * np.sin(np.arange(ny) / 50.0)[:, None]
    return (rng.normal(level, noise, shape) + gradient).astype(np.float32)


@pytest.mark.oracle
class TestAgainstSep:
    @pytest.mark.parametrize(
        ("shape", "box", "filter_size"),
        [((256, 256), 64, 3), ((900, 700), 64, 3), ((300, 517), (32, 64), 5), ((65, 130), 64, 3), ((10, 10), 64, 3), ((64, 200), 64, 3),
         ((200, 64), 64, 3), ((129, 129), 128, 3), ((70, 3), 16, 1), ((1, 50), 8, 1), ((400, 400), 256, 5), ((130, 131), 7, 3)],
    )  # fmt: skip
    def test_maps_are_seps(self, shape, box, filter_size):
        data = scene(shape)
        mesh = estimate(data, box_size=box, filter_size=filter_size)
        bh, bw = mesh.box_size
        reference = sep.Background(data, bw=bw, bh=bh, fw=filter_size, fh=filter_size)
        back, rms = reference.back(dtype=np.float64), reference.rms(dtype=np.float64)
        # sep evaluates in single precision: 400 +- 2e-5.
        tolerance = 1e-5 * reference.globalrms
        np.testing.assert_allclose(mesh.level(), back, rtol=0, atol=tolerance)
        np.testing.assert_allclose(mesh.rms(), rms, rtol=0, atol=tolerance)
        np.testing.assert_allclose(mesh.subtract(data), data - back, rtol=0, atol=tolerance)
        yy, xx = np.mgrid[: shape[0], : shape[1]]
        np.testing.assert_allclose(mesh.at(xx, yy), back, rtol=0, atol=tolerance)
        np.testing.assert_allclose(mesh.rms_at(xx, yy), rms, rtol=0, atol=tolerance)
        assert mesh.global_level == pytest.approx(reference.globalback, rel=1e-7)
        assert mesh.global_rms == pytest.approx(reference.globalrms, rel=1e-7)
        assert mesh.upper >= back.max()
        assert mesh.level().dtype == np.float32

    def test_mask_and_bad_pixels_are_left_out(self):
        data = scene((256, 256))
        mask = np.zeros(data.shape, bool)
        mask[30:90, 100:180] = True
        reference = sep.Background(data, mask=mask)
        holed = data.copy()
        holed[30:90, 100:150], holed[30:90, 150:180] = np.nan, np.inf
        for image, left_out in ((data, mask), (holed, None), (holed, mask), (data, mask.astype(np.int16) * 4)):
            np.testing.assert_allclose(estimate(image, left_out).level(), reference.back(), rtol=0, atol=1e-5 * reference.globalrms)

    @pytest.mark.parametrize("share", [0.3, 0.49, 0.5, 0.51, 0.8])
    def test_boxes_with_few_pixels_take_those_of_their_neighbours(self, share):
        data = scene((300, 330))
        mask = np.zeros(data.shape, bool)
        for rows, cols in ((slice(0, 64), slice(64, 128)), (slice(128, 256), slice(0, 128)), (slice(256, 300), slice(320, 330))):
            piece = mask[rows, cols]
            piece[: int(np.ceil(share * piece.shape[0]))] = True
        reference = sep.Background(data, mask=mask)
        mesh = estimate(data, mask)
        np.testing.assert_allclose(mesh.level(), reference.back(), rtol=0, atol=1e-5 * reference.globalrms)
        np.testing.assert_allclose(mesh.rms(), reference.rms(), rtol=0, atol=1e-5 * reference.globalrms)

    @pytest.mark.parametrize("dtype", [">f4", "f8", ">f8", "<i2", ">i2", "u2", "i4"])
    def test_dtypes(self, dtype):
        data = np.rint(scene((150, 140)))
        np.testing.assert_allclose(estimate(data.astype(dtype)).level(), estimate(data).level(), rtol=1e-6)

    def test_real_frame(self, real_data):
        from astropy.io import fits

        data = fits.getdata(real_data / "decam" / "DEC-OBS04a.mini.fits").astype(np.float32)
        reference = sep.Background(data)
        np.testing.assert_allclose(estimate(data).level(), reference.back(), rtol=0, atol=1e-5 * reference.globalrms)


@pytest.mark.truth
def test_slope_under_stars(rng):
    yy, xx = np.mgrid[:512, :512]
    truth = 1000 + 0.1 * xx - 0.05 * yy
    data = truth + rng.normal(0, 10, truth.shape)
    for x, y in rng.uniform(20, 492, (40, 2)):
        data += 3000 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 8)
    mesh = estimate(data)
    inner = (slice(64, 448), slice(64, 448))
    assert np.abs(mesh.level(inner) - truth[inner]).mean() < 1.0
    assert mesh.global_rms == pytest.approx(10, rel=0.05)


@pytest.mark.pure
class TestEvaluation:
    @settings(max_examples=40, deadline=None)
    @given(y=st.tuples(st.integers(0, 199), st.integers(1, 120)), x=st.tuples(st.integers(0, 229), st.integers(1, 120)))
    def test_pieces_are_pieces_of_the_whole(self, y, x):
        mesh = estimate(scene((200, 230)), box_size=32)
        piece = (slice(y[0], y[0] + y[1]), slice(x[0], x[0] + x[1]))
        for whole, part in ((mesh.level(), mesh.level(piece)), (mesh.rms(), mesh.rms(piece))):
            np.testing.assert_allclose(part, whole[piece], rtol=1e-6)

    def test_empty_piece_and_steps(self):
        mesh = MeshBackground.constant(1.0, 2.0, (20, 30))
        assert mesh.level((slice(5, 5), slice(0, 3))).shape == (0, 3)
        with pytest.raises(InputError, match="slices: columns must have step 1, found 2"):
            mesh.level((slice(0, 5), slice(0, 5, 2)))

    def test_subtraction_in_place_is_asked_for(self):
        data = scene((100, 120))
        before = data.copy()
        mesh = estimate(data)
        result = mesh.subtract(data)
        np.testing.assert_array_equal(data, before)
        assert mesh.subtract(data, out=data) is data
        np.testing.assert_array_equal(data, result)

    def test_subtraction_keeps_doubles(self):
        data = scene((100, 120)).astype(np.float64)
        assert estimate(data).subtract(data).dtype == np.float64
        assert estimate(data).subtract(data.astype(np.int16)).dtype == np.float32

    def test_subtraction_wants_its_own_shape(self):
        mesh = MeshBackground.constant(1.0, 2.0, (20, 30))
        with pytest.raises(InputError, match=r"data: must have the shape of the background \(20, 30\), found \(30, 20\)"):
            mesh.subtract(np.zeros((30, 20)))
        with pytest.raises(InputError, match="out: must have the shape"):
            mesh.subtract(np.zeros((20, 30)), out=np.zeros((3, 3)))

    def test_constant(self):
        mesh = MeshBackground.constant(7.5, 2.0, (20, 30))
        np.testing.assert_array_equal(mesh.level(), np.full((20, 30), 7.5))
        np.testing.assert_array_equal(mesh.rms((slice(0, 2), slice(0, 3))), np.full((2, 3), 2.0))
        assert mesh.at(np.array([3.3]), np.array([-50.0]))[0] == 7.5
        assert mesh.upper == 7.5

    def test_store_and_restore(self):
        mesh = estimate(scene((150, 170)), box_size=(32, 48), filter_size=5)
        stream = io.BytesIO()
        np.savez(stream, **mesh.to_arrays())
        stream.seek(0)
        with np.load(stream) as arrays:
            again = MeshBackground.from_arrays(arrays)
        assert (again.shape, again.box_size, again.filter_size) == (mesh.shape, mesh.box_size, 5)
        assert (again.global_level, again.global_rms) == (mesh.global_level, mesh.global_rms)
        np.testing.assert_array_equal(again.level(), mesh.level())
        assert sum(array.nbytes for array in mesh.to_arrays().values()) < 1000


@pytest.mark.pure
class TestInput:
    def test_constant_image_has_a_level_and_no_noise(self):
        mesh = estimate(np.full((80, 90), 12.0, np.float32))
        assert (mesh.global_level, mesh.global_rms) == (12.0, 0.0)
        # sep claims a noise of 1 where it finds none.
        spiked = np.full((80, 90), 12.0, np.float32)
        spiked[3, 4] = 1000.0
        assert estimate(spiked).global_rms == 0.0

    @pytest.mark.parametrize("data", [np.full((20, 30), np.nan), np.full((20, 30), np.inf)])
    def test_nothing_finite(self, data):
        with pytest.raises(MeasurementError, match="every pixel is masked or not finite") as caught:
            estimate(data)
        assert caught.value.code == "no_valid_pixels"

    def test_everything_masked(self):
        with pytest.raises(MeasurementError, match="every pixel is masked") as caught:
            estimate(np.ones((5, 5)), np.ones((5, 5), bool))
        assert caught.value.code == "no_valid_pixels"

    def test_too_few_pixels_in_every_box(self, rng):
        # sep would claim a level of 0 and a noise of 1.
        data = rng.normal(100, 5, (200, 200))
        mesh = estimate(data, rng.random(data.shape) < 0.6)
        assert mesh.global_level == pytest.approx(100, abs=0.5)
        assert mesh.global_rms == pytest.approx(5, rel=0.05)

    @pytest.mark.parametrize("shape", [(1, 1), (10, 10), (3, 200), (2, 2)])
    def test_small_images(self, rng, shape):
        mesh = estimate(rng.normal(100, 5, shape))
        assert np.isfinite(mesh.level()).all()
        assert mesh.level().shape == shape

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"mask": np.zeros((3, 3), bool)}, r"mask: must have the shape of the image \(20, 30\), found \(3, 3\)"),
         ({"mask": np.zeros((20, 30))}, "mask: must be bool"), ({"box_size": 0}, "box_size: must be a whole number"),
         ({"box_size": 2.5}, "box_size: must be a whole number"), ({"box_size": (1, 2, 3)}, "box_size: must be a whole number"),
         ({"filter_size": 0}, "filter_size: must be a whole number of at least 1")],
    )  # fmt: skip
    def test_wrong_arguments(self, options, message):
        with pytest.raises(InputError, match=message):
            estimate(np.ones((20, 30)), **options)

    def test_data_that_are_no_image(self):
        with pytest.raises(InputError, match="data: must be a 2-D array"):
            estimate(np.ones(5))
        with pytest.raises(InputError, match="data: must hold real numbers"):
            estimate(np.ones((5, 5), complex))

    def test_nothing_is_altered(self):
        data, mask = scene((90, 100)), np.zeros((90, 100), bool)
        data[3, 3], mask[5:10] = np.nan, True
        kept = data.copy(), mask.copy()
        estimate(data, mask)
        np.testing.assert_array_equal(data, kept[0])
        np.testing.assert_array_equal(mask, kept[1])
        frozen = scene((90, 100))
        frozen.flags.writeable = False
        estimate(frozen)


def test_its_repr_is_one_short_line():
    assert repr(MeshBackground.constant(354.19, 45.2, (40, 50))) == "MeshBackground(40 x 50, 1 x 1 nodes, level 354.19, noise 45.2)"
