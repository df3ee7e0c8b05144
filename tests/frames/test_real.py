"""The real frames: every trap that is in them."""

from __future__ import annotations

import warnings

import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive import flags, sky
from ezarchive.config import RootSettings
from ezarchive.frames.header import read_file

pytestmark = pytest.mark.oracle

NIRCAM = "nircam/jw01324001001-01324-o001_t001_nircam_clear-f200w_i2d_stamp"


@pytest.fixture
def frames(real_data, instruments):
    """Read the frame of a file, with a declared template."""

    def reading(relpath, **root):
        settings = RootSettings(path=real_data, layout="{_}", **root)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (got,) = read_file(real_data / relpath, relpath=relpath, root=settings, root_name="real", instruments=instruments, sites={})
        return got

    return reading


def quality(read):
    return set(flags.decode(read.frame.quality, flags.QUALITY))


def test_decam(frames):
    got = [frames(f"decam/DEC-OBS04{letter}.mini.fits", defaults={"objname": "DES field"}) for letter in "abcde"]
    for read in got:
        frame = read.frame
        assert (frame.kind, frame.observatory, frame.telname, frame.filter, frame.objname) == (
            "science",
            "CTIO",
            "CTIO 4.0-m telescope",
            "i",
            "DES field",
        )
        assert frame.mjd_start == pytest.approx(58334.39133794, abs=1e-7)
        assert frame.mjd_mid == pytest.approx(58334.39133794 + 165 / 86400, abs=1e-7)
        assert frame.night == "2018-08-03"
        assert frame.exptime == 330.0
        assert frame.gain == pytest.approx(3.98, abs=0.01)
        assert frame.origin["gain"] == "header:GAIN"
        assert frame.saturation > 40_000
        assert frame.seeing == pytest.approx(1.3, abs=0.4)
        assert frame.pixel_scale == pytest.approx(0.2626, rel=0.01)
        assert quality(read) == set()
    # One instant, five frames.
    assert len({read.frame.mjd_mid for read in got}) == 1
    assert len({(read.frame.header_hash, read.frame.data_sample) for read in got}) == 5


def test_nircam(frames):
    read = frames(f"{NIRCAM}.fits")
    frame = read.frame
    assert (frame.kind, frame.telname, frame.filter, frame.objname) == ("science", "JWST", "F200W", "ABELL2744")
    # MJD-OBS is 135 days off, and the exposure far longer than the span.
    assert frame.mjd_start == pytest.approx(59894.121293272)
    assert frame.mjd_mid == pytest.approx(59894.174046254)
    assert frame.mjd_end == pytest.approx(59894.226799329)
    assert frame.exptime == pytest.approx(44579.056)
    assert "MJD-OBS 59759.414498" in frame.origin["note:mjd_mid"]
    assert (frame.gain, frame.bunit) == (None, "MJy/sr")
    assert frame.pixel_scale == pytest.approx(0.0308, rel=0.01)
    assert quality(read) == {"TIME_DISAGREES", "NIGHT_UTC", "NO_GAIN"}


def test_nircam_noise_map(frames):
    read = frames(f"{NIRCAM}.noise.fits")
    assert read.frame.kind == "errormap"
    assert read.parent_name == f"{NIRCAM.rpartition('/')[2]}.fits"
    assert read.frame.s_region == frames(f"{NIRCAM}.fits").frame.s_region


def test_irac(frames):
    read = frames("irac/spitzer_example_image.fits")
    frame = read.frame
    assert (frame.telname, frame.filter, frame.mjd_mid, frame.night, frame.gain) == ("SPITZER", "I2", None, None, None)
    assert quality(read) == {"NO_TIME", "NO_GAIN"}
    # The header's own position is that of the whole mosaic.
    assert sky.separation(frame.ra, frame.dec, 275.926, -13.257) < 1.5
    assert frame.pixel_scale == pytest.approx(1.2, rel=1e-4)


def test_sep(frames):
    read = frames("sep/image.fits")
    frame = read.frame
    assert not frame.wcs_ok
    assert (frame.s_region, len(read.cells)) == (None, 0)
    assert (frame.objname, frame.object_raw) == ("NA36Rc50 sum of 3 frames", "NA36Rc50   sum of 3 frames")
    assert (frame.telname, frame.filter, frame.exptime) == ("ESONTTB", "R", 1200.0)
    # DATE-OBS is 26/10/92 and TM-START 03:04:08, as its log says. MJD-OBS counts from JD 2400000, half a day off.
    assert frame.date_obs == "1992-10-26T03:04:08.000"
    assert frame.mjd_start == pytest.approx(48921 + 11048 / 86400)
    assert "MJD-OBS 48921.627870 lies +0.500000 d" in frame.origin["note:mjd_mid"]
    assert frame.night == "1992-10-25"
    assert quality(read) == {"NO_WCS", "TIME_DISAGREES", "NO_GAIN"}


@pytest.mark.parametrize("relpath", ["decam/DEC-OBS04a.mini.fits", f"{NIRCAM}.fits", "irac/spitzer_example_image.fits"])
def test_footprints_agree_with_astropy(frames, real_data, relpath):
    frame = frames(relpath).frame
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = fits.getheader(real_data / relpath)
        corner = WCS(header).pixel_to_world(-0.5, -0.5).icrs
    vertices = sky.parse_region(frame.s_region)
    assert sky.separation(corner.ra.deg, corner.dec.deg, *vertices.T).min() * 3600e3 < 0.1
    assert len(vertices) == 4
