"""Arguments of the anchoring, and what follows from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ezarchive.compare.anchoring import plan
from ezarchive.compare.anchoring.files import AnchorPaths
from ezarchive.compare.anchoring.work import AnchorJob, BandImage
from ezarchive.errors import FrameError, InputError


def paths(folder):
    return AnchorPaths(
        target="t", in_dir=folder / "in", ref_dir=folder / "refs", kernel_dir=folder / "kernels", in_subdir="lv3", out_subdir="out",
        in_ext="a", out_ext="b",
    )  # fmt: skip


def image(band, instrument="miri", name="x"):
    return BandImage(band, Path(f"{name}_{band}_a.fits"), instrument)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("F770W", {"*": ("F770W",)}),
        (["a", "b", "a"], {"*": ("a", "b")}),
        ({"MIRI": "a", "nircam": ("b", "c"), "niriss": None}, {"miri": ("a",), "nircam": ("b", "c")}),
    ],
)
def test_names_for_each_instrument_or_all(value, found):
    copy = dict(value) if isinstance(value, dict) else value
    assert plan.ranked("ref_band", value) == found
    assert value == copy


@pytest.mark.pure
@pytest.mark.parametrize("value", [5, [], [""], [1], ["a/b"], {"miri": {}}, {}, {"miri": None}])
def test_names_that_are_none(value):
    with pytest.raises(InputError, match="ref_band: must"):
        plan.ranked("ref_band", value)


@pytest.mark.pure
def test_images_are_grouped_by_what_they_are_anchored_to():
    images = [image("F770W"), image("F300M", "nircam"), image("F150W", "niriss")]
    groups, others = plan.grouped(images, {"miri": ("f770w",), "nircam": ("F300M", "F335M")})
    assert [(group.name, group.ranks, len(group.images)) for group in groups] == [
        ("miri", ("F770W",), 1),
        ("nircam", ("F300M", "F335M"), 1),
    ]
    assert others == images[2:]
    (group,), others = plan.grouped(images, {"*": ("F770W",)})
    assert (group.images, others) == (tuple(images), [])
    assert plan.surveys_of(images[0], {"*": ("w3",), "miri": ("irac4",)}) == ("irac4",)
    assert plan.surveys_of(images[1], {"*": ("w3",), "miri": ("irac4",)}) == ("w3",)
    assert plan.surveys_of(images[1], {"miri": ("irac4",)}) == ()


@pytest.mark.pure
def test_images_of_files(tmp_path):
    made = paths(tmp_path)
    files = [made.in_folder(band) / name for band, name in (("F1W", "x_a.fits"), ("F2W", "y_a.fits"), ("F2W", "z_a.fits"))]
    found = plan.band_images(made, {"any": files[:1], "key": files[1:]}, ["f1w", "F2W"])
    assert [(one.band, one.alone) for one in found] == [("f1w", True), ("F2W", False), ("F2W", False)]
    assert plan.band_images(made, files[0], ["F1W"])[0].image == files[0]
    with pytest.raises(InputError, match="must lie in the folder of a band"):
        plan.band_images(made, [tmp_path / "x_a.fits"], ["F1W"])


@pytest.mark.pure
def test_folders_are_tried_and_left_as_they_were(tmp_path):
    plan.check_writable([tmp_path / "a" / "b", tmp_path])
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="must be a folder that can be written to"):
        plan.check_writable([tmp_path / "file" / "b"])
    plan.make_folders([tmp_path / "a" / "b"] * 2)
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.pure
def test_the_fingerprint_changes_with_settings_and_files(tmp_path):
    path = tmp_path / "x"
    first = plan.fingerprint({"a": 1}, [path])
    assert plan.fingerprint({"a": 1}, [path, path]) == first
    assert plan.fingerprint({"a": 2}, [path]) != first
    path.write_text("x")
    second = plan.fingerprint({"a": 1}, [path])
    path.write_text("xy")
    assert len({first, second, plan.fingerprint({"a": 1}, [path])}) == 3
    assert plan.read_marker(tmp_path / "none") is None
    assert plan.read_marker(path) == "xy"
    with pytest.raises(FrameError, match="cannot be read"):
        plan.read_marker(tmp_path)


@pytest.mark.pure
def test_the_plan_of_beams(tmp_path):
    for folder in ("kernels", "refs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "kernels" / "f1w_to_f3w.fits").touch()
    job = AnchorJob(paths=paths(tmp_path), common="F3W", beams={"f1w": 0.2, "f2w": 0.3, "f3w": 0.5})
    groups, _ = plan.grouped([image("F1W"), image("F2W"), image("F3W")], {"*": ("F1W", "F2W")})
    table = plan.planned(job, groups, {"*": ("w3_atgauss15",)})
    found = {(row["band"], row["kind"]): (row["kernel"], row["problem"]) for row in table}
    assert found["F1W", "external"] == ("Gaussian 0.2 to 15 arcsec", f"{tmp_path / 'refs' / 't_w3_atgauss15.fits'} is not there")
    assert found["F2W", "internal"] == ("Gaussian 0.3 to 0.5 arcsec", "")
    assert found["F3W", "internal"] == ("none needed", "")
    assert ("F1W", "internal") not in found
    assert len(plan.planned(job, [], {})) == 0


@pytest.mark.pure
def test_masks_that_cannot_be_used_stop_before_anything(tmp_path):
    for name, text in (("open.reg", 'fk5\ncircle(1,2,3"\n'), ("good.REG", "fk5\ncircle(1,2,3)\n"), ("no.fits", "text")):
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"open\.reg, line 2: 'circle\(1,2,3\"': a bracket is not closed"):
        plan.masks_of({"F2W": tmp_path / "open.reg"})
    with pytest.raises(FrameError, match=r"no\.fits: cannot be read as FITS"):
        plan.masks_of(tmp_path / "no.fits")
    with pytest.raises(InputError, match=r"masks of f2w: must be files, .*none\.reg is not there"):
        plan.masks_of({"F2W": tmp_path / "none.reg"})
    assert plan.masks_of({"F2W": tmp_path / "good.REG"}) == {"f2w": tmp_path / "good.REG"}
