"""``calculate_*`` of an image that belongs to no archive: a file, or an array."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.errors import InputError, MeasurementError
from ezarchive.frames.record import Frame
from ezarchive.images.background import MeshBackground, estimate
from ezarchive.images.compact import Mask
from ezarchive.images.image import Image
from ezarchive.images.mapfile import pack
from ezarchive.images.mask import circular_mask, source_mask
from ezarchive.images.noise import PropagatedNoise, SourceNoise
from ezarchive.images.pixelmap import PixelMap

pytestmark = pytest.mark.pure
QUIET = {"verbose": False, "visualize": False}
SHAPE = (120, 150)


@pytest.fixture
def pixels(rng):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = rng.normal(300, 6, SHAPE)
    for x, y in ((30, 40), (110, 80), (60, 100)):
        data += 3000 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 6)
    return data.astype(np.float32)


@pytest.fixture(params=["file", "array"])
def image(request, pixels, tmp_path):
    frame = Frame(frame_id=3, naxis1=SHAPE[1], naxis2=SHAPE[0], gain=2.0, read_noise=5.0, saturation=2500.0)
    if request.param == "array":
        return Image(pixels, frame=frame)
    fits.writeto(tmp_path / "a.fits", pixels)
    return Image(tmp_path / "a.fits", frame=frame)


def test_the_steps_of_the_tutorial(image, pixels, capsys):
    kept = pixels.copy()
    bright = Mask.of(circular_mask(SHAPE, 30.0, 40.0, 10.0))
    sources = image.calculate_sourcemask(bright, sigma=5, mask_radius_factor=2, saturation_level=50000, visualize=False)
    wanted = source_mask(pixels, bright, sigma=5, radius_factor=2, saturation=50000)
    assert "2 sources masked, 0 of them saturated" in capsys.readouterr().out
    np.testing.assert_array_equal(sources, wanted.mask)
    bkg = image.calculate_bkg(sources, box_size=40, filter_size=3, **QUIET)
    np.testing.assert_array_equal(bkg.level(), estimate(pixels, wanted.mask, 40, 3).level())
    rms = image.calculate_bkgrms(sources, box_size=40, **QUIET)
    np.testing.assert_array_equal(rms.rms(), estimate(pixels, wanted.mask, 40, 3).rms())
    noise = image.calculate_bkgrms_from_propagation(bkg, np.zeros(SHAPE), np.zeros(SHAPE), np.ones(SHAPE), **QUIET)
    assert isinstance(noise, PropagatedNoise)
    np.testing.assert_allclose(noise.rms(), np.sqrt(bkg.level() / 2 + 6.25 * (1 + 1 / 9)), rtol=1e-5)
    errors = image.calculate_errormap(bkg, noise, **QUIET)
    np.testing.assert_allclose(errors.rms()[sources.to_array()], image.calculate_errormap_from_propagation(
        bkg, np.zeros(SHAPE), np.zeros(SHAPE), np.ones(SHAPE), **QUIET).rms()[sources.to_array()], rtol=1e-5)  # fmt: skip
    assert image.sourcemask is sources
    assert image.bkgmap is bkg
    assert image.bkgrms is noise
    assert isinstance(image.errormap, SourceNoise)
    assert {item.frame_id for item in (sources, bkg, rms, noise, errors)} == {3}
    np.testing.assert_array_equal(pixels, kept)
    assert image.crmask is None


def test_the_other_masks(image, pixels):
    np.testing.assert_array_equal(image.calculate_saturatedmask(**QUIET), pixels >= 2500)
    assert image.saturatedmask.sum() < image.calculate_saturatedmask(2500.0, grow_pixel=2, **QUIET).sum()
    assert image.calculate_invalidmask(**QUIET).sum() == 0
    hit = Image(np.where(np.arange(150) == 77, np.where(np.arange(120)[:, None] == 9, 9000, pixels), pixels), frame=image.frame)
    found = hit.calculate_crmask(saturation_level=60000, **QUIET)
    assert found[9, 77]
    assert found.sum() < 60
    assert hit.crmask is found
    with pytest.raises(MeasurementError, match="its saturation level is unknown") as caught:
        Image(pixels).calculate_saturatedmask(**QUIET)
    assert caught.value.code == "no_saturation"
    for given, code in (({}, "no_gain"), ({"gain": 2.0}, "no_read_noise")):
        with pytest.raises(MeasurementError, match="is unknown; the header") as caught:
            Image(pixels).calculate_crmask(**given, **QUIET)
        assert caught.value.code == code


def test_engines(image):
    assert image.calculate_bkg(engine="photutils", estimator="median", **QUIET).global_level == pytest.approx(300, abs=2)
    assert image.calculate_bkg(engine="constant", **QUIET).level_nodes.shape == (1, 1)
    assert np.ptp(image.calculate_bkg(is_2D_bkg=False, box_size=30, **QUIET).level()) == 0
    with pytest.raises(InputError, match="engine='sex': must be one of sep, photutils, constant"):
        image.calculate_bkg(engine="sex", **QUIET)
    with pytest.raises(InputError, match="errormap_type='x': must be 'sourcerms' or 'bkgrms'"):
        image.calculate_errormap(errormap_type="x", **QUIET)
    assert isinstance(image.calculate_errormap(errormap_type="bkgrms", **QUIET), MeshBackground)
    assert isinstance(image.calculate_errormap(**QUIET), SourceNoise)


def test_what_may_be_given(image, pixels, tmp_path):
    masters = (np.zeros(SHAPE), np.zeros(SHAPE), np.ones(SHAPE))
    mesh, mask = estimate(pixels), np.zeros(SHAPE, bool)
    mask[:20] = True
    fits.writeto(tmp_path / "level.fits", mesh.level())
    fits.writeto(tmp_path / "mask.fits", mask.astype(np.int16))
    (tmp_path / "mesh.npz").write_bytes(pack(mesh, {"frame_id": 3}))
    wanted = image.calculate_bkgrms_from_propagation(mesh, *masters, **QUIET).rms()
    files = tmp_path / "level.fits", str(tmp_path / "mesh.npz")
    for level in (mesh.level(), Image(mesh.level()), PixelMap(mesh.level(), "background"), *files):
        np.testing.assert_allclose(image.calculate_bkgrms_from_propagation(level, *masters, **QUIET).rms(), wanted, rtol=1e-6)
    assert np.ptp(image.calculate_bkgrms_from_propagation(300, *masters, **QUIET).rms()) == 0
    level = image.calculate_bkg(mask, **QUIET).level()
    for given in (Mask.of(mask), mask.astype(np.uint8), tmp_path / "mask.fits", Image(mask.astype(np.int16))):
        np.testing.assert_array_equal(image.calculate_bkg(given, **QUIET).level(), level)


def test_wrong_maps_are_told(image, pixels):
    masters = (np.zeros(SHAPE), np.zeros(SHAPE), np.ones(SHAPE))
    for wrong, message in (
        (np.ones((3, 3)), r"target_bkg: must have the shape of the image \(120, 150\), found \(3, 3\)"),
        (estimate(pixels).of_frame(4), r"target_bkg: must be of this frame \(3\), found a map of frame 4"),
        (PixelMap(pixels, "rms"), "target_bkg: must be a map of kind 'background', found 'rms'"),
        (Mask.empty(SHAPE), "target_bkg: must be an image, an array or a number, found Mask"),
        ([1, 2], "target_bkg: must be an image, an array or a number, found list"),
        (True, "target_bkg: must be an image, an array or a number, found bool"),
    ):
        with pytest.raises(InputError, match=message):
            image.calculate_bkgrms_from_propagation(wrong, *masters, **QUIET)
    with pytest.raises(InputError, match="mdark: must be given for an image that belongs to no archive"):
        image.calculate_bkgrms_from_propagation(300.0, masters[0], **QUIET)
    with pytest.raises(InputError, match="gain=0: must be a finite number above 0"):
        image.calculate_bkgrms_from_propagation(300.0, *masters, gain=0, **QUIET)
    with pytest.raises(MeasurementError, match="its gain is unknown"):
        Image(pixels).calculate_bkgrms_from_propagation(300.0, *masters, **QUIET)
    with pytest.raises(InputError, match="radius_arcsec: is in arcsec, but .* has no WCS and so no scale"):
        image.calculate_circularmask(None, 3, 4, 5, unit="pixel", **QUIET)


@pytest.mark.parametrize("switch", ["save", "save_fig"])
def test_nowhere_to_store_anything(image, switch):
    for method, given in (("calculate_bkg", ()), ("calculate_sourcemask", ()), ("calculate_crmask", ()), ("calculate_errormap", ()),
                          ("calculate_bkgrms_from_propagation", (3.0,))):  # fmt: skip
        with pytest.raises(InputError, match=f"{switch}=True: must be False for an image that belongs to no archive"):
            getattr(image, method)(*given, **{switch: True}, **QUIET)


def test_it_travels_with_what_was_calculated(image):
    bkg, mask = image.calculate_bkg(**QUIET), image.calculate_sourcemask(**QUIET)
    image.calculate_errormap(**QUIET)
    again = pickle.loads(pickle.dumps(image))
    np.testing.assert_array_equal(again.bkgmap.level(), bkg.level())
    np.testing.assert_array_equal(again.sourcemask, mask)
    np.testing.assert_array_equal(again.errormap.rms(), image.errormap.rms())


def test_full_maps_as_fits(image, tmp_path):
    sources = image.calculate_sourcemask(**QUIET)
    bkg, rms = image.calculate_bkg(sources, box_size=40, **QUIET), image.calculate_bkgrms(sources, box_size=30, **QUIET)
    errors = image.calculate_errormap(**QUIET)
    for kind, wanted in (("background", bkg.level()), ("rms", rms.rms()), ("errormap", errors.rms()), ("mask", sources.to_array())):
        path = image.write_map(kind, tmp_path / f"{kind}.fits")
        np.testing.assert_array_equal(fits.getdata(path), wanted)
    with pytest.raises(InputError, match="kind='crmask': .* has none; it must be calculated first"):
        image.write_map("crmask", tmp_path / "a.fits")
    with pytest.raises(InputError, match="kind='noise': must be one of background, rms, mask"):
        image.write_map("noise", tmp_path / "a.fits")


def test_pixels_are_not_kept(pixels, tmp_path):
    fits.writeto(tmp_path / "a.fits", pixels)
    image = Image(tmp_path / "a.fits", frame=Frame(naxis1=SHAPE[1], naxis2=SHAPE[0], gain=2.0))
    image.calculate_bkg(image.calculate_sourcemask(**QUIET), **QUIET)
    image.calculate_errormap(**QUIET)
    image.calculate_invalidmask(**QUIET)
    assert "data" not in vars(image)
    _ = image.data
    image.calculate_bkg(**QUIET)
    np.testing.assert_array_equal(image.data, pixels)


@pytest.mark.truth
def test_real_frames(real_data, tmp_path):
    """Every kind of map of every real frame, and full maps with its header."""
    seen = 0
    for path in sorted([*real_data.glob("decam/*.fits*"), *real_data.glob("irac/*.fits"), *real_data.glob("sep/*.fits")]):
        image = Image(path)
        bkg = image.calculate_bkg(**QUIET)
        mask = image.calculate_sourcemask(saturation_level=None, **QUIET)
        assert 0.05 < mask.mean() < 0.8
        other = image.calculate_bkg(mask, engine="photutils", estimator="median", **QUIET)
        assert abs(other.global_level - image.calculate_bkg(mask, **QUIET).global_level) < 0.5 * bkg.global_rms
        errors = image.calculate_errormap(bkg, gain=1.5, **QUIET)
        noisiest = errors.rms()[mask.to_array()]
        assert np.nanmedian(noisiest) > bkg.global_rms
        for made in (bkg, mask, errors):
            with fits.open(made.to_fits(tmp_path / "a.fits", image.header)) as units:
                units.verify("exception")
                assert units[0].data.shape == image.shape
        seen += 1
    assert seen >= 7


def test_what_is_no_number_is_told(image):
    for given, match in (
        (lambda: image.calculate_sourcemask(sigma="5", **QUIET), "sigma='5': must be a finite number above 0"),
        (lambda: image.calculate_sourcemask(saturation_level="5", **QUIET), "saturation_level='5': must be a finite number$"),
        (lambda: image.calculate_saturatedmask(np.nan, **QUIET), "saturation_level=nan: must be a finite number$"),
        (lambda: image.calculate_saturatedmask(grow_pixel=-1, **QUIET), "grow_pixel=-1: must be a finite number from 0"),
        (lambda: image.calculate_crmask(gain="1", **QUIET), "gain='1': must be a finite number above 0"),
        (lambda: image.calculate_crmask(readout_noise=-1, **QUIET), "readout_noise=-1: must be a finite number from 0"),
        (lambda: image.calculate_errormap(target_bkgrms=-3.0, **QUIET), "target_bkgrms=-3.0: must be a finite number above 0"),
        (lambda: image.calculate_errormap(target_bkg=np.nan, **QUIET), "target_bkg=nan: must be a finite number$"),
    ):
        with pytest.raises(InputError, match=match):
            given()


@pytest.mark.parametrize("wrong", [{"mflaterr": -0.1}, {"mflaterr": np.nan}, {"readout_noise": "5"}, {"readout_noise": -1}])
def test_propagation_refuses_noise_that_is_none(image, wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}=.*: must be a finite number from 0"):
        image.calculate_bkgrms_from_propagation(300.0, np.zeros(SHAPE), np.zeros(SHAPE), np.ones(SHAPE), **wrong, **QUIET)


@pytest.mark.parametrize("given", [{"target_bkg": 300.0}, {"target_bkgrms": 6.0}, {"gain": 2.0}])
def test_an_error_map_of_the_image_alone_takes_no_maps(image, given):
    with pytest.raises(InputError, match=f"{next(iter(given))}: must be left out for errormap_type='bkgrms'"):
        image.calculate_errormap(errormap_type="bkgrms", **given, **QUIET)


def test_a_mask_or_an_image_of_another_frame_is_told(image, pixels):
    other = Image(pixels, frame=Frame(frame_id=4, naxis1=SHAPE[1], naxis2=SHAPE[0]))
    for kind, parent in (("science", None), ("background", 4)):
        level = Image(pixels, frame=Frame(frame_id=9 if parent else 4, kind=kind, parent_id=parent, naxis1=SHAPE[1], naxis2=SHAPE[0]))
        with pytest.raises(InputError, match="target_bkg: must be of this frame .3., found a map of frame 4"):
            image.calculate_errormap(target_bkg=level, **QUIET)
    own = Image(pixels, frame=Frame(frame_id=9, kind="background", parent_id=3, naxis1=SHAPE[1], naxis2=SHAPE[0]))
    assert image.calculate_errormap(target_bkg=own, **QUIET).frame_id == 3
    with pytest.raises(InputError, match="target_srcmask: must be of this frame .3., found a map of frame 4"):
        image.calculate_bkg(other.calculate_sourcemask(**QUIET), **QUIET)
    with pytest.raises(InputError, match="target_ivpmask: must be of this frame .3., found a map of frame 4"):
        image.calculate_crmask(other, **QUIET)


def test_cosmic_rays_where_the_sky_was_subtracted(rng):
    sky = 2500.0
    data = rng.normal(0, np.sqrt(sky), SHAPE)
    data[60, 70] += 3000
    image = Image(data.astype(np.float32))
    known = {"gain": 1.0, "readout_noise": 3.0, **QUIET}
    with pytest.raises(MeasurementError, match="a sky that was subtracted must be given as background") as caught:
        image.calculate_crmask(**known)
    assert caught.value.code == "too_many_pixels"
    for given in (sky, np.full(SHAPE, sky), MeshBackground.constant(sky, 50.0, SHAPE)):
        found = image.calculate_crmask(target_bkg=given, **known)
        assert found[60, 70]
        assert found.sum() < 5
