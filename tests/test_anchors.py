"""`archive.anchor`: levels of bands, recorded."""

from __future__ import annotations

import pytest
from anchorscenes import anchored, arguments, small_scene

from ezarchive import Archive
from ezarchive.errors import InputError


@pytest.fixture
def scene(tmp_path):
    return small_scene(tmp_path / "scene", surveys=("irac4_atgauss4",))


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "root").mkdir()
    with Archive.create(tmp_path / "home", roots={"scidata": tmp_path / "root"}) as made:
        yield made


def rows(archive):
    return archive.sql("SELECT * FROM anchors ORDER BY band, reference").to_table()


@pytest.mark.truth
def test_what_is_found_is_recorded(archive, scene):
    values = arguments(scene, external_bands=["w3_atgauss15", "irac4_atgauss4"])
    (report,) = archive.anchor(**values)
    assert report.ok
    assert f"run {report.run_id}" in str(report)
    found = rows(archive)
    assert list(zip(found["band"], found["reference"], strict=True)) == [
        ("F1000W", "F770W"),
        ("F2100W", "F770W"),
        ("F770W", "irac4_atgauss4"),
        ("F770W", "w3_atgauss15"),
    ]
    for row in found:
        if row["reference"] == "w3_atgauss15":
            assert (row["status"], bool(row["used"])) == ("failed", False)
            assert "is not there" in row["message"]
            continue
        assert row["used"]
        assert row["anchor_offset"] == pytest.approx(scene.offsets[row["band"]], abs=0.02)
        assert 0 < row["anchor_offset_err"] < 0.02
        assert row["output"] == str(anchored(scene, row["band"]))
        assert row["unit"] == "MJy/sr"
    assert '"anchor"' in str(archive.runs().to_json())


def test_what_was_done_without_the_archive_is_recorded_too_and_once(archive, scene):
    from ezarchive.compare import AnchoringStep

    assert AnchoringStep(**arguments(scene)).do_step()
    (report,) = archive.anchor(**arguments(scene))
    assert report.run_id is not None
    (again,) = archive.anchor(**arguments(scene))
    assert again.done_before
    assert len(rows(archive)) == 3


def test_a_band_that_failed_is_recorded_with_its_reason(archive, scene):
    (scene.kernels / "f1000w_to_f2100w.fits").unlink()
    (report,) = archive.anchor(**arguments(scene, bands=["F770W", "F1000W", "F2100W", "F444W"]))
    assert not report.ok
    found = {row["band"]: row for row in rows(archive)}
    assert found["F1000W"]["status"] == "failed"
    assert "f1000w_to_f2100w.fits" in found["F1000W"]["message"]
    assert "F444W" not in found  # it was not observed


def test_a_data_root_is_never_written_to(tmp_path, scene):
    with Archive.create(tmp_path / "home", roots={"data": scene.folder / "data"}) as archive:
        with pytest.raises(InputError, match="lies inside root 'data'.*never writes inside a data root"):
            archive.anchor(**arguments(scene))
    assert not list(scene.data.rglob("*anchor*"))
