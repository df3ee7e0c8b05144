"""What is told of an anchoring: cards, table, report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from ezarchive.compare.anchoring.convolution import convolve_to
from ezarchive.compare.anchoring.offsets import fit_offset
from ezarchive.compare.anchoring.psfkernels import PsfKernel, gaussian_to_gaussian, resample_kernel
from ezarchive.compare.anchoring.table import (
    COLUMNS,
    VERSION,
    AnchorReport,
    BandRecord,
    FitRecord,
    ImageRecord,
    anchor_cards,
    anchor_history,
    fit_table,
    record_key,
    write_levels,
    write_table,
)
from ezarchive.errors import InputError


def made():
    rng = np.random.default_rng(1)
    x = rng.gamma(2.0, 0.5, (80, 80))
    fit = fit_offset(x, 0.2 + 0.5 * x + rng.normal(0, 0.01, x.shape))
    image, reference = Path("t_miri_lv3_f2w_a.fits"), Path("t_irac4_atgauss4.fits")
    good = FitRecord("F2W", "miri", image, "irac4_atgauss4", reference, "external", "gauss4", fit, "MJy/sr")
    lost = FitRecord("F1W", "miri", Path("é_a.fits"), "F2W", image, "internal", "f2w", code="no_kernel", message="é is not there")
    anchored = ImageRecord("F2W", "miri", image, Path("b.fits"), "ok", -0.2, 0.01, good, "MJy/sr")
    failed = ImageRecord("F1W", "miri", Path("é_a.fits"), Path("c.fits"), "failed", message="F2W: é is not there")
    return good, lost, anchored, failed


@pytest.mark.pure
def test_cards_and_history():
    good, _, image, _ = made()
    header = fits.Header()
    header.update(anchor_cards(image))
    assert (header["ANCHOFF"], header["ANCHERR"], header["ANCHREF"], header["ANCHRES"]) == (-0.2, 0.01, "irac4_atgauss4", "gauss4")
    assert header["ANCHSLP"] == good.fit.slope
    assert header.comments["ANCHOFF"].startswith("[MJy/sr]")
    assert anchor_history(image) == ["ANCHOR BKGRDVAL: -0.2"]
    assert "ANCHERR" not in anchor_cards(ImageRecord("F", "", Path("a"), Path("b"), "ok", 0.1))


@pytest.mark.pure
def test_the_table_comes_back_from_its_file(tmp_path):
    good, lost, image, failed = made()
    table = fit_table("t", [good, lost], [image, failed], {record_key(good): (-0.2, 0.01)}, "robust")
    assert list(table["compar_filter"]) == ["f1w", "f2w"]
    found = Table.read(write_table(tmp_path / "x_anchor_tab.fits", table))
    assert found.colnames == list(COLUMNS)
    assert list(found["ref_filter"]) == ["t_miri_lv3_f2w_a", "t_irac4_atgauss4"]
    assert list(found["used"]) == [False, True]
    assert found["message"][0] == "\\xe9 is not there"
    assert (found["offset"][1], found["slope"][1]) == (-0.2, good.fit.slope)
    assert len(fit_table("t", [], [], {}, "robust")) == 0


@pytest.mark.pure
def test_the_report_names_what_failed(tmp_path):
    good, lost, image, failed = made()
    bands = BandRecord("F2W", "ok", "", (image,)), BandRecord("F1W", "failed", "x", (failed,)), BandRecord("F9W", "absent", "no folder")
    report = AnchorReport("t", bands, (good, lost))
    text = str(report.of_run(7))
    assert text.startswith("t: 1 of 2 images anchored; run 7")
    assert "F2W      t_miri_lv3_f2w_a.fits: ok, -0.20000 +- 0.01000 MJy/sr from irac4_atgauss4" in text
    assert "F1W      é_a.fits: failed: F2W: é is not there" in text
    assert "F9W      absent: no folder" in text
    assert not report.ok
    assert AnchorReport("t", report.bands[:1] + report.bands[2:]).ok
    assert not AnchorReport("t", report.bands[2:]).ok
    assert AnchorReport("t", done_before=True).ok
    assert list(report.to_table()["status"]) == ["ok", "failed", "absent"]
    assert len(AnchorReport("t").to_table()) == 0


@pytest.mark.pure
@pytest.mark.parametrize("suffix", ["ecsv", "csv", "fits"])
def test_levels_of_several_targets_in_a_file(tmp_path, suffix):
    _, _, image, failed = made()
    reports = [AnchorReport(target, (BandRecord("F2W", "ok", "", (image, failed)),)) for target in ("one", "two")]
    found = Table.read(write_levels(tmp_path / f"x.{suffix}", reports))
    assert list(found["target"]) == ["one", "one", "two", "two"]
    assert list(found["offset"][::2]) == [-0.2, -0.2]
    with pytest.raises(InputError, match="the suffix must be one of .ecsv, .csv, .fits"):
        write_levels(tmp_path / "x.dat", reports)


PINNED = {
    "2": (
        0.01891163, 0.07034271, 1.400267, 0.5908399, 1.403322, 0.6022084, 4.069678, 0.1000000, 0.1000001, -0.00603111, 0.00390496, 1.002711
    )
}  # fmt: skip
"""Numbers of each version; a version that was once in use keeps its own."""


@pytest.mark.pure
def test_other_numbers_are_another_version():
    """Where this fails because numbers were meant to change: raise VERSION and put the new ones down for it.

    What older code convolved would be taken for what this code makes.
    """
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:90, :100]
    sky = 8 * np.exp(-np.hypot(x - 40, y - 50) / 15) + 0.3 + rng.normal(0, 0.02, y.shape)
    sky[:12, :30], sky[60, 70] = np.nan, 0
    kernel = gaussian_to_gaussian(0.4, 1.1, 0.15)
    turned = resample_kernel(PsfKernel(kernel, (0.15, 0.15)), (0.31, 0.27), angle=20.0)
    edged, plain = (convolve_to(sky, kernel, edges=edges).data for edges in (True, False))
    exact = [fit_offset(plain, 2 * plain + 0.1, beam_pixels=7.0, kind=kind).intercept for kind in ("external", "internal")]
    noisy = fit_offset(plain, edged + rng.normal(0, 0.02, y.shape), beam_pixels=7.0)
    values = [kernel.max(), turned.max(), np.nanmean(edged), edged[14, 5], np.nanmean(plain), plain[14, 5], plain[45, 50], *exact]
    values += [noisy.intercept, noisy.intercept_err, noisy.slope]
    np.testing.assert_allclose(values, PINNED[VERSION], rtol=2e-4, atol=2e-6)
