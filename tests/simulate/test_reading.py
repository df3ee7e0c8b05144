"""The simulated headers as the archive reads them."""

from __future__ import annotations

import pytest

from ezarchive import config
from ezarchive.frames.header import read_file
from ezarchive.frames.instruments import Instruments


@pytest.mark.truth
def test_the_archive_reads_what_was_simulated(toy):
    instruments = Instruments.load(())
    kinds = {"scidata": {"science"}, "refdata": {"reference"}, "mcalibdata": {"bias", "dark", "flat"}}
    for name, root in toy.roots.items():
        settings = config.root_settings(name, root)
        found = set()
        for path in sorted(root.rglob("*.fits"))[::2]:
            relpath = path.relative_to(root).as_posix()
            (read,) = read_file(path, relpath=relpath, root=settings, root_name=name, instruments=instruments, sites={})
            found.add(read.frame.kind)
            assert not any(key.startswith("note:") for key in read.frame.origin)
            if name != "mcalibdata":
                agrees(read.frame, toy.truth.frame(relpath).exposure)
        assert found == kinds[name]


def agrees(frame, exposure):
    assert frame.mjd_mid == pytest.approx(exposure.mjd_mid, abs=1e-8)
    assert (frame.objname, frame.telname, frame.filter) == (exposure.objname, exposure.telname, exposure.filter)
    assert frame.pixel_scale == pytest.approx(exposure.pixel_scale, rel=1e-5)
    assert frame.wcs_ok
    if "ZP" in exposure.lacks:
        assert frame.zero_point is None
    else:
        assert frame.zero_point == pytest.approx(exposure.zero_point, abs=1e-5)
        assert (frame.zero_point_aperture, frame.zero_point_system) == (5.0, "AB")
    if "DEPTH" not in exposure.lacks:
        assert (frame.depth, frame.depth_aperture) == (pytest.approx(exposure.depth, abs=1e-3), 5.0)
    if "EGAIN" not in exposure.lacks:
        assert frame.gain == exposure.gain
