"""One image against its references: how it gets to a resolution, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from anchorscenes import shift, small_scene, step_of
from astropy.io import fits

from ezarchive.compare.anchoring.work import (
    AnchorTask,
    BandImage,
    beam_of,
    fit_image,
    image_instrument,
    read_mask,
    resolution_kernel,
)
from ezarchive.errors import CompareError, InputError
from ezarchive.simulate.nebulae import band_image


@pytest.fixture
def scene(tmp_path):
    return small_scene(tmp_path, bands=("F770W", "F2100W"))


def test_how_a_band_gets_to_a_resolution(scene):
    job = step_of(scene).job
    assert resolution_kernel(job, "F2100W", "f2100w") is None
    assert resolution_kernel(job, "F770W", "Gauss4") == scene.kernels / "f770w_to_gauss4.fits"
    with pytest.raises(CompareError, match=r"f770w_to_gauss9\.fits: is not there, and psf_fwhm does not tell the beam of f770w$"):
        resolution_kernel(job, "F770W", "gauss9")
    with pytest.raises(CompareError, match="the beam of f560w and f770w"):
        resolution_kernel(job, "F560W", "f770w")
    known = replace(job, beams={"f560w": 0.2, "f444w": 9.0})
    assert resolution_kernel(known, "F560W_bgr", "gauss9") == (0.2, 9.0)
    assert resolution_kernel(known, "F444W", "gauss9") is None
    assert (beam_of(known, "F560W"), beam_of(known, "gauss7p5"), beam_of(known, "irac1")) == (0.2, 7.5, None)


@pytest.mark.truth
@pytest.mark.parametrize("fwhm", [0.674, 4.0])
def test_a_convolved_image_is_what_the_sky_is_like_through_that_beam(tmp_path, fwhm):
    scene = small_scene(tmp_path, bands=("F770W", "F2100W"), noise=0.0)
    assert step_of(scene).do_step()
    name = "f2100w" if fwhm < 1 else "gauss4"
    (path,) = (scene.data / "F770W" / "anchoring").glob(f"*_at{name}.fits")
    truth = band_image(scene.plan, "F770W", fwhm).data
    with fits.open(path) as units:
        data, coverage = units["SCI"].data, units["COVERAGE"].data
        assert units["ERR"].data.shape == data.shape
    for limit, worst in ((0.99999, 1e-4), (0.999, 2e-3), (0.98, 2e-2)):
        inside = (coverage > limit) & np.isfinite(data)
        assert inside.any() or fwhm > 1
        assert np.abs(data / truth - 1, where=inside, out=np.zeros(data.shape)).max() < worst


def test_what_was_convolved_is_used_until_something_changes(scene):
    job = step_of(scene).job
    scene.data.joinpath("F770W", "anchoring").mkdir()
    task = AnchorTask(job, BandImage("F770W", scene.files["F770W"], "miri"), ("irac4_atgauss4",))
    path = job.paths.convolved("F770W", scene.files["F770W"], "gauss4")
    (first,) = fit_image(task)
    made = path.stat().st_mtime_ns
    (second,) = fit_image(task)
    assert path.stat().st_mtime_ns == made
    assert second.fit.intercept == first.fit.intercept
    shift(scene.files["F770W"], 0.25)
    (third,) = fit_image(task)
    assert third.fit.intercept == pytest.approx(first.fit.intercept + 0.25, abs=1e-3)
    with fits.open(scene.kernels / "f770w_to_gauss4.fits", mode="update") as units:
        units[0].data *= 2
    made = path.stat().st_mtime_ns
    assert fit_image(task)[0].fit.intercept == pytest.approx(third.fit.intercept, abs=1e-5)  # kernels need no unit sum
    assert path.stat().st_mtime_ns != made


def test_what_goes_wrong_is_told_in_the_record(scene):
    job = step_of(scene).job
    scene.data.joinpath("F770W", "anchoring").mkdir()
    image = BandImage("F770W", scene.files["F770W"], "miri")
    other = BandImage("F560W", scene.data / "none.fits", "miri")
    survey, band = fit_image(AnchorTask(job, image, ("none_atgauss4",), (other,), prepare=True))
    assert (survey.status, survey.code) == ("failed", "no_reference")
    assert survey.message.endswith("ngc9999_none_atgauss4.fits: is not there")
    assert band.message.startswith("reference band F560W: ")


def test_masks_of_both_kinds(scene, tmp_path):
    path = scene.files["F770W"]
    shape = fits.getdata(path, "SCI").shape
    plane = np.zeros(shape)
    plane[3, 4], plane[5, 6] = 1, np.nan
    fits.PrimaryHDU(plane).writeto(tmp_path / "m.fits")
    assert np.argwhere(read_mask(tmp_path / "m.fits", path)).tolist() == [[3, 4], [5, 6]]
    (tmp_path / "m.reg").write_text("image; -circle(5, 4, 0.5)\n")
    assert np.argwhere(read_mask(tmp_path / "m.reg", path)).tolist() == [[3, 4]]
    fits.PrimaryHDU(plane.T).writeto(tmp_path / "t.fits")
    with pytest.raises(InputError, match="must have the shape of ngc9999_miri"):
        read_mask(tmp_path / "t.fits", path)


def test_the_instrument_of_an_image(scene, tmp_path):
    paths = step_of(scene).paths
    assert image_instrument(paths, scene.files["F770W"]) == "miri"
    header = fits.Header({"INSTRUME": "WFC3"})
    fits.PrimaryHDU(header=header).writeto(tmp_path / "hst_a.fits")
    assert image_instrument(paths, tmp_path / "hst_a.fits") == "wfc3"
    assert image_instrument(paths, tmp_path / "none.fits") == ""
