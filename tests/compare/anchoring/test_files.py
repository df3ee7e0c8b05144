"""Names of the anchoring: what is made is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ezarchive.compare.anchoring.files import AnchorPaths, band_key, label_of, resolution_of
from ezarchive.errors import InputError


def paths(tmp_path, **changes):
    values = {
        "target": "ngc_1365", "in_dir": tmp_path / "in", "ref_dir": tmp_path / "refs", "kernel_dir": tmp_path / "kernels",
        "in_subdir": "lv3", "out_subdir": "anchoring", "in_ext": "i2d_align", "out_ext": "i2d_anchor",
    }  # fmt: skip
    return AnchorPaths(**(values | changes))


def image(made, name="ngc_1365_nircam_lv3_f150w2_i2d_align.fits", band="F150W2"):
    path = made.in_folder(band) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.pure
def test_names_of_an_image(tmp_path):
    made = paths(tmp_path)
    path = image(made)
    assert made.anchored(path) == path.with_name("ngc_1365_nircam_lv3_f150w2_i2d_anchor.fits")
    out = tmp_path / "in" / "F150W2" / "anchoring"
    assert made.convolved("F150W2", path, "F2100W") == out / "ngc_1365_nircam_lv3_f150w2_i2d_align_atf2100w.fits"
    drawn = made.figures("F150W2", path, "irac1_atgauss4")
    assert drawn == tuple(out / f"ngc_1365_f150w2_vs_irac1_atgauss4_anchoring.{suffix}" for suffix in ("png", "pdf"))
    assert made.figures("F150W2", path, "f300m", alone=False)[0].name == "ngc_1365_nircam_lv3_f150w2_vs_f300m_anchoring.png"
    assert (made.instrument(path), made.band(path)) == ("nircam", "F150W2")


@pytest.mark.pure
def test_names_of_a_target(tmp_path):
    made = paths(tmp_path)
    assert made.reference("irac4_atgauss4") == tmp_path / "refs" / "ngc_1365_irac4_atgauss4.fits"
    assert made.kernel("F770W", "Gauss4") == tmp_path / "kernels" / "f770w_to_gauss4.fits"
    assert made.table.name == "ngc_1365_anchor_tab.fits"
    assert made.marker.name == "anchoring_step_complete.txt"


@pytest.mark.pure
@pytest.mark.parametrize(
    ("name", "instrument"),
    [
        ("ngc_1365_miri_lv3_f770w_i2d_align.fits", "miri"),
        ("NGC_1365_NIRISS_lv3_f150w_i2d_align.fits", "niriss"),
        ("mosaic_i2d_align.fits", None),
        ("ngc_1365_f770w_i2d_align.fits", None),
        ("ngc_628_miri_lv3_f770w_i2d_align.fits", None),
    ],
)
def test_the_instrument_of_a_name(tmp_path, name, instrument):
    assert paths(tmp_path).instrument(Path(name)) == instrument


@pytest.mark.pure
def test_images_of_a_band(tmp_path):
    made = paths(tmp_path)
    first, second = image(made), image(made, "ngc_1365_nircam_lv3_f150w2-b_i2d_align.fits")
    for name in ("ngc_1365_bgr_nircam_lv3_f150w2_i2d_align.fits", "a_i2d_anchor.fits", ".a_i2d_align.fits.1-ab.tmp", "a_i2d_align.txt"):
        image(made, name)
    assert made.images("F150W2") == sorted([first, second])
    assert made.images("F999W") == []
    assert made.images("f150w2") == made.images("F150W2")  # folders are in capitals
    flat = paths(tmp_path, in_subdir="")
    assert flat.in_folder("F150W2") == tmp_path / "in" / "F150W2"
    assert flat.band(tmp_path / "elsewhere" / "a.fits") is None


@pytest.mark.pure
@pytest.mark.parametrize(
    ("survey", "resolution"), [("irac4_atgauss4", "gauss4"), ("irac1", "irac1"), ("at_atlas_atGauss0p85", "gauss0p85")]
)
def test_resolutions(survey, resolution):
    assert resolution_of(survey) == resolution


@pytest.mark.pure
def test_labels_and_keys():
    assert label_of("irac4_atgauss4") == "IRAC4"
    assert label_of("w3_atirac1") == "W3_ATIRAC1"
    assert label_of("irac4_atgauss4", simplify=False) == "irac4_atgauss4"
    assert band_key("F770W_bgr") == "f770w"


@pytest.mark.pure
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out_ext": "i2d_align"}, "out_step_ext 'i2d_align': must not end like in_step_ext"),
        ({"out_ext": "a_i2d_align"}, "inputs are never written to"),
        ({"in_ext": ""}, "in_step_ext '': must be a part of a file name"),
        ({"target": "../x"}, "target '../x': must be a part of a file name"),
    ],
)
def test_names_that_would_be_wrong(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        paths(tmp_path, **changes)
